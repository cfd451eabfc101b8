"""Learnt proposals made exact: one distribution proposes whole configurations, another one accepts them."""

from collections.abc import Callable
from typing import Any

import numpy as np

from mlphys import checks, devices
from mlphys.configurations import Sites
from mlphys.core import Info, Sampler, State
from mlphys.hamiltonians.base import Hamiltonian
from mlphys.hamiltonians.effective import Effective
from mlphys.random import spawn, torch_generator
from mlphys.samplers.molecular import HMC


class _Corrected(Sampler):
    """Accepts y in place of x with probability min(1, w(y)/w(x)), where w is the target over what proposes, q.

    That is exact for proposals drawn from q, and for those of a reversible chain whose stationary distribution q is.
    """

    def runs_on(self, device: str) -> bool:
        return True

    def _log_q(self, state: State, x):
        """log q of configurations, up to a constant, `(chains,)`."""
        raise NotImplementedError

    def _propose(self, state: State) -> tuple[Any, Any, Any]:
        """New configurations like `state.x`, their energies and their log q."""
        raise NotImplementedError

    def adopt(self, state: State) -> None:
        self.check_device(state.device)
        if not isinstance(state.configuration, Sites):
            state.configuration = Sites(state.configuration.spins())
        if "log_q" in state.cache:
            # Another q since then, trained on perhaps; if only rounding differs, the run goes on bit for bit.
            known, now = state.cache["log_q"], self._log_q(state, state.x).cpu().numpy()
            state.cache["log_q"] = known if np.allclose(known, now, rtol=1e-4, atol=1e-3) else now

    def _weighed(self, state: State) -> tuple[Any, Any]:
        """Energy and log q of the present configurations: they were found when those were proposed."""
        import torch

        x = state.x
        if "log_q" not in state.cache or not np.array_equal(state.cache["weighed"], x.cpu().numpy()):
            energy, log_q = self.hamiltonian.energy(x), self._log_q(state, x)
        else:
            energy, log_q = (torch.from_numpy(state.cache[name]).to(x.device) for name in ("target_energy", "log_q"))
        return energy.double(), log_q.double()

    def step(self, state: State, sweeps: int = 1) -> Info:
        """Advance by `sweeps` proposals for each chain; the logarithms of the Info are those of the last one."""
        import torch

        x, accepted = state.x, np.zeros(state.chains)
        energy, log_q = self._weighed(state)
        beta = torch.from_numpy(state.beta).to(x.device)
        log_target = log_proposal = torch.zeros_like(beta)
        for _ in range(sweeps):
            proposed, new_energy, new_log_q = self._propose(state)
            log_target, log_proposal = beta * (energy - new_energy), log_q - new_log_q
            lots = torch.rand(state.chains, generator=torch_generator(state.seed, "lots", state.sweep), dtype=torch.float64)
            accept = lots.to(x.device).log() < log_target + log_proposal  # never where they are not numbers
            x.copy_(torch.where(accept.reshape(-1, *[1] * (x.ndim - 1)), proposed.to(x), x))
            energy, log_q = torch.where(accept, new_energy, energy), torch.where(accept, new_log_q, log_q)
            accepted += accept.cpu().numpy()
            state.sweep += 1
        known = {"target_energy": energy, "log_q": log_q, "weighed": x.clone()}
        state.cache |= {name: value.cpu().numpy() for name, value in known.items()}
        return Info(accepted / max(sweeps, 1), None, log_target.cpu().numpy(), log_proposal.cpu().numpy())


class IndependenceMH(_Corrected):
    """Independence Metropolis–Hastings: a generative model proposes, each time from scratch, and the target accepts.

    `proposal` has `sample(n, seed) -> (x, log_q)` with x `(n, n_sites[, components])` and log q `(n,)` normalised alike for
    all x, and `log_prob(x)`: a flow, an autoregressive network, a diffusion model. One sweep is one proposal for each chain.
    Exact wherever q > 0 where the target is; where q misses a mode, no finite chain tells. Chains start from proposals.
    Raises ValueError for proposals without these functions or of another shape.
    Source: Tierney 1994 (10.1214/aos/1176325750); with flows: Albergo, Kanwar, Shanahan 2019 (10.1103/PhysRevD.100.034515).

    >>> import mlphys as mp, torch
    >>> class Uniform:
    ...     def sample(self, n, seed=0):
    ...         x = 2 * torch.randint(2, (n, 4), generator=torch.Generator().manual_seed(seed % 2**63)) - 1
    ...         return x, self.log_prob(x)
    ...     def log_prob(self, x):
    ...         return torch.full((len(x),), -4 * torch.tensor(2.0).log().item())
    >>> chain = mp.run(mp.IndependenceMH(Uniform(), mp.Ising(mp.chain(4))), 200, temperature=3.0, chains=8, seed=1)
    >>> print(f"{chain.acceptance.mean():.1f}")
    0.7
    """

    # Models are fastest on large batches: as many sweeps are drawn at once as make at least so many proposals.
    BATCH = 512

    def __init__(self, proposal: Any, hamiltonian: Hamiltonian):
        super().__init__(hamiltonian)
        for name in ("sample", "log_prob"):
            if not callable(getattr(proposal, name, None)):
                raise ValueError(f"proposal={proposal!r} has no {name}: it needs sample(n, seed) and log_prob(x)")
        self.proposal = proposal
        self._drawn: tuple[Any, ...] = (None,)

    def _start(self, chains: int, seed: int, start) -> np.ndarray:
        if start is None:
            start = self.proposal.sample(chains, spawn(seed, "start"))[0].to(self.hamiltonian.random(1).dtype)
        return super()._start(chains, seed, start)

    def _log_q(self, state: State, x):
        return self.proposal.log_prob(x).detach().double()

    def adopt(self, state: State) -> None:
        super().adopt(state)
        self._drawn = (None,)  # the model may have been trained since

    def _propose(self, state: State):
        sweeps = -(-self.BATCH // state.chains)
        key, place = (state.seed, state.chains, state.device, state.sweep // sweeps), state.sweep % sweeps
        if self._drawn[0] != key:
            x, log_q = self.proposal.sample(sweeps * state.chains, spawn(state.seed, "proposals", key[-1]))
            x = self.hamiltonian.check_x(x).to(state.x.device)
            parts = x, self.hamiltonian.energy(x).double(), log_q.detach().double().to(x.device)
            self._drawn = (key, *(part.reshape(sweeps, state.chains, *part.shape[1:]) for part in parts))
        return tuple(part[place] for part in self._drawn[1:])

    def __repr__(self) -> str:
        return f"IndependenceMH({type(self.proposal).__name__}, {self.hamiltonian!r})"


class SelfLearning(_Corrected):
    """Self-learning Monte Carlo: a chain of a cheap effective model proposes, the exact weight accepts or rejects.

    `effective` is a Hamiltonian on the same configurations, or a network with `energy(x) -> (batch,)` on those of
    `hamiltonian`. `sampler` makes its chain, `sampler(effective)`: hybrid Monte Carlo unless given; `proposal_sweeps` sweeps
    of it make a proposal, and one proposal for each chain makes a sweep. The chain must obey detailed balance, so that
    samplers that visit sites in a fixed order raise ValueError: `reversible` says which do. Parameters of a network may not
    change while it is sampled; whoever trains on starts from the same state. An error of standard deviation σ in
    (E_effective − E)/T gives an acceptance of erfc(σ/2). Source: Liu, Qi, Meng, Fu 2017 (10.1103/PhysRevB.95.041101).

    >>> import mlphys as mp
    >>> target = mp.Ising(mp.square(8), field=0.02)
    >>> sampler = mp.SelfLearning(mp.Ising(mp.square(8)), target, sampler=mp.Wolff, proposal_sweeps=1)
    >>> chain = mp.run(sampler, 100, temperature=2.5, chains=8, seed=1)
    >>> print(f"{chain.acceptance.mean():.1f}")
    0.8
    """

    def __init__(
        self,
        effective: Any,
        hamiltonian: Hamiltonian,
        sampler: Callable[[Hamiltonian], Sampler] | None = None,
        proposal_sweeps: int = 10,
    ):
        super().__init__(hamiltonian)
        self.effective = effective if isinstance(effective, Hamiltonian) else Effective(effective, hamiltonian)
        self.sampler = (sampler or HMC)(self.effective)
        if not self.sampler.reversible:
            raise ValueError(
                f"sampler={type(self.sampler).__name__} is not allowed: its chain does not obey detailed balance; allowed "
                "are HMC, adjusted Langevin, and Wolff or SwendsenWang of models that need no local updates beside them"
            )
        self.proposal_sweeps = checks.whole("proposal_sweeps", proposal_sweeps, 1)

    def runs_on(self, device: str) -> bool:
        return self.sampler.runs_on(device)

    def _proposing(self, state: State) -> State:
        """The state of the effective chain: its own configurations and numbers; what it tunes is kept with the rest."""
        x, seed = devices.copy(state.configuration.spins()), spawn(state.seed, "effective")
        inner = State(Sites(x), state.beta, seed, state.sweep * self.proposal_sweeps, state.cache)
        self.sampler.adopt(inner)
        return inner

    def _log_q(self, state: State, x):
        import torch

        return -torch.from_numpy(state.beta).to(x.device) * self.effective.energy(x).double()

    def _propose(self, state: State):
        inner = self._proposing(state)
        self.sampler.step(inner, self.proposal_sweeps)
        x = inner.x
        return x, self.hamiltonian.energy(x).double(), self._log_q(state, x)

    def adapt(self, state: State) -> None:
        self.sampler.adapt(self._proposing(state))

    def __repr__(self) -> str:
        return f"SelfLearning({self.effective!r}, {self.hamiltonian!r})"
