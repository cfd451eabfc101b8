"""Molecular dynamics: hybrid Monte Carlo, and the Langevin equation with and without its accept/reject step."""

from functools import cached_property
from statistics import NormalDist
from typing import Any

import numpy as np

from mlphys import checks
from mlphys.core import Info, Sampler, State
from mlphys.hamiltonians.base import Hamiltonian
from mlphys.hamiltonians.effective import Effective
from mlphys.random import spawn, torch_generator
from mlphys.threads import over_chains

# Minimises the error of a step that kicks λ, drifts ½, kicks 1 − 2λ, drifts ½ and kicks λ.
_OMELYAN = 0.1931833275037836


def scheme(integrator: str, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Kicks (k + 1,) and drifts (k,) of a trajectory, in units of its step size, in turn; it begins and ends with a kick.

    >>> scheme("leapfrog", 2)
    (array([0.5, 1. , 0.5]), array([1., 1.]))
    """
    inner = [0.5, 0.5] if integrator == "leapfrog" else [_OMELYAN, 1 - 2 * _OMELYAN, _OMELYAN]
    kicks = np.zeros(steps * (len(inner) - 1) + 1)
    for start in range(0, len(kicks) - 1, len(inner) - 1):
        kicks[start : start + len(inner)] += inner
    return kicks, np.full(len(kicks) - 1, 1 / (len(inner) - 1))


def integrate(hamiltonian: Hamiltonian, x, momenta, step_sizes, betas, kicks, drifts):
    """Follow Hamilton's equations for βE + p²/2 by a `scheme`, in torch on any device; returns the new x and momenta.

    `step_sizes` and `betas` are tensors that spread over x. The last kick may be left out of `kicks`.
    """
    for k, kick in enumerate(kicks):
        momenta = momenta + (kick * step_sizes * betas) * hamiltonian.tangent(x, hamiltonian.force(x))
        if k < len(drifts):
            x, momenta = hamiltonian.drift(x, momenta, drifts[k] * step_sizes)
    return x, momenta


class _Molecular(Sampler):
    """Draws momenta, follows Hamilton's equations, accepts or rejects; step sizes are tuned in burn-in unless given.

    φ⁴, XY and U(1) gauge fields on the CPU take a compiled kernel, everything else takes torch and the model's `force`.
    """

    adjusted = reversible = True
    jitter = 0.0
    # The acceptance is erfc of a number that grows with this power of the step size.
    order = 2.0

    def __init__(self, hamiltonian: Hamiltonian, integrator: str, steps: int, step_size: Any, target: Any, default: float):
        super().__init__(hamiltonian)
        if not hamiltonian.continuous:
            name = type(self).__name__
            raise ValueError(f"hamiltonian={hamiltonian!r} is not supported by {name}: its variables have no force")
        if step_size is not None and not (isinstance(step_size, float | int) and 0 < step_size < np.inf):
            raise ValueError(f"step_size={step_size!r} is not allowed: it must be one positive number, or None to tune it")
        if target is not None and not (isinstance(target, float | int) and 0 < target < 1):
            raise ValueError(f"target_acceptance={target!r} is not allowed: it must lie between 0 and 1")
        self.guide: Hamiltonian = hamiltonian
        self.tuned = step_size is None or target is not None
        self.target_acceptance = default if target is None else target
        self.steps, self.integrator = checks.whole("steps", steps, 1), integrator
        self.kicks, self.drifts = scheme(integrator, steps)
        self.step_size = 0.5 * hamiltonian.n_updates ** (-1 / 4) if step_size is None else float(step_size)

    @cached_property
    def _compiled(self) -> Any:
        return _tables(self.hamiltonian)

    def runs_on(self, device: str) -> bool:
        return True

    def _runs_compiled(self, state: State) -> bool:
        return self._compiled is not None and state.device == "cpu" and self.guide is self.hamiltonian

    def step_sizes(self, state: State) -> np.ndarray:
        """The step size of each chain, `(chains,)`."""
        return state.cache[self._key] if self.tuned else np.full(state.chains, self.step_size)

    @property
    def _key(self) -> str:
        return f"{type(self).__name__.lower()}_step_size"

    def _lengths(self, state: State) -> np.ndarray:
        """The steps ε of the integrator, `(chains,)`."""
        return self.step_sizes(state)

    def adopt(self, state: State) -> None:
        if self.tuned and self._key not in state.cache:
            state.cache |= {self._key: np.full(state.chains, self.step_size), f"{self._key}_tunings": np.zeros(1)}
            state.cache[f"{self._key}_tally"] = np.zeros((2, state.chains))
        if self._runs_compiled(state) and "molecular_streams" not in state.cache:
            from mlphys.kernels.generators import seed_streams

            seed = np.uint64(spawn(state.seed, "molecular"))
            state.cache["molecular_streams"] = seed_streams(seed, state.chains, 1)[:, :, 0].copy()

    def step(self, state: State, sweeps: int = 1) -> Info:
        """Advance by `sweeps` trajectories; the two logarithms of the Info are those of the last one."""
        self.adopt(state)
        if self._runs_compiled(state):
            results = self._compiled_step(state, sweeps)
        else:
            import torch

            each = torch.stack([self._torch_step(state, state.sweep + sweep) for sweep in range(sweeps)]).cpu().numpy()
            results = np.column_stack([each[:, :, :2].sum(0), each[-1, :, 2:]])
        state.sweep += sweeps
        if not self.adjusted:
            return Info()
        accepted, probability, log_target, log_proposal = results.T
        if self.tuned:
            state.cache[f"{self._key}_tally"] += [probability, np.full(state.chains, sweeps)]
        return Info(accepted / sweeps, log_target_change=log_target, log_proposal_ratio=log_proposal)

    def _compiled_step(self, state: State, sweeps: int) -> np.ndarray:
        from mlphys.kernels.molecular import trajectories

        x = state.configuration.spins().reshape(state.chains, -1)
        by_chain = (x, np.empty((state.chains, 0)), state.cache["molecular_streams"], state.beta, self._lengths(state))
        shared = (*self._compiled, self.kicks, self.drifts, self.jitter, self.adjusted, sweeps)
        return over_chains(trajectories, by_chain, shared, seconds=x.size * len(self.kicks) * sweeps * 1e-9)

    def _torch_step(self, state: State, sweep: int) -> Any:
        """One trajectory: whether it was accepted, its acceptance probability, and the two logarithms, `(chains, 4)`."""
        import torch

        x, where = state.x, state.x.device
        rng = torch_generator(state.seed, "molecular", sweep, device=where)
        momenta = self.hamiltonian.tangent(x, self._momenta(x, rng))
        lots = torch.rand((2, state.chains), dtype=x.dtype, device=where, generator=rng)
        shape = (-1,) + (1,) * (x.ndim - 1)
        beta, length = (torch.as_tensor(array).to(x) for array in (state.beta, self._lengths(state)))
        length = length * (1 + self.jitter * (2 * lots[0] - 1))
        kicks = self.kicks if self.adjusted else self.kicks[:-1]
        scales = length.reshape(shape), beta.reshape(shape)
        proposal, final = integrate(self.guide, x, momenta, *scales, kicks, self.drifts)
        log_target = beta * (self.hamiltonian.energy(x) - self.hamiltonian.energy(proposal))
        log_proposal = self._kinetic(momenta) - self._kinetic(final)
        probability = (log_target + log_proposal).clamp(max=0).exp().nan_to_num(0.0)
        accepted = lots[1] < probability if self.adjusted else torch.ones_like(probability, dtype=torch.bool)
        if self._compiled and self._compiled[0] > 0:
            proposal = torch.remainder(proposal + torch.pi, 2 * torch.pi) - torch.pi
        x.copy_(torch.where(accepted.reshape(shape), proposal, x))
        return torch.stack([accepted.to(x), probability, log_target, log_proposal], 1)

    def _momenta(self, x, rng):
        import torch

        return torch.randn(x.shape, dtype=x.dtype, device=x.device, generator=rng)

    def _kinetic(self, momenta):
        return (momenta**2).flatten(1).sum(1) / 2

    def adapt(self, state: State) -> None:
        """Bring the step sizes closer to the target acceptance: one step size for all chains at one temperature."""
        if not self.tuned:
            return
        tally, sizes = state.cache[f"{self._key}_tally"], state.cache[self._key]
        tunings = state.cache[f"{self._key}_tunings"]
        tunings += 1
        for beta in np.unique(state.beta):
            members = state.beta == beta
            probability, trajectories = tally[:, members].sum(1)
            if trajectories:
                # Later tunings count less, as the noise of the measured acceptance is then most of the difference.
                power = min(1.0, 4 / tunings[0]) / self.order
                ratio = _quantile(self.target_acceptance) / _quantile(np.clip(probability / trajectories, 0.01, 0.99))
                sizes[members] *= np.clip(ratio**power, 0.25, 4)
        tally[:] = 0


def _quantile(probability: float) -> float:
    """The number whose erfc is this, up to a factor."""
    return -NormalDist().inv_cdf(probability / 2)


class HMC(_Molecular):
    """Hybrid (Hamiltonian) Monte Carlo: momenta drawn afresh, a trajectory of `steps` steps, accept or reject.

    `integrator` is "leapfrog" or "minimum_norm", whose steps take two forces each and may be more than twice as long; both
    are reversible, of second order, and keep the volume. Without `step_size` ε, or with a `target_acceptance` beside it, ε
    is tuned in the burn-in of `run`, alike for all chains at one temperature (`step_sizes`), and frozen then. Independent
    samples cost least at an acceptance of 0.65 for integrators of second order, the target of leapfrog; that of minimum
    norm is 0.8, since its error of second order is so small that it behaves like one of fourth order. Every trajectory draws
    its ε from (1 ± `jitter`) of that one: after a fixed time a mode whose period fits is back where it was, never sampled.

    `guide` is another model of the same configurations, or a network with `energy(x)`, whose force the trajectories follow
    instead; two energies of `hamiltonian` a trajectory decide. Any guide leaves the chain exact, a wrong one lowers the
    acceptance. Raises ValueError for models without a force, such as Ising and Potts, and for bad arguments.
    Source: Duane et al. 1987 (10.1016/0370-2693(87)91197-X); acceptance: Beskos et al. 2013 (10.3150/12-BEJ414); minimum
    norm: Omelyan, Mryglod, Folk 2003 (10.1016/S0010-4655(02)00754-3), Takaishi and de Forcrand 2006
    (10.1103/PhysRevE.73.036706); jitter: Mackenzie 1989 (10.1016/0370-2693(89)91212-4); guides: Nagai, Okuno, Tanaka,
    Tomiya 2020 (arXiv:2010.11900).

    >>> import mlphys as mp
    >>> field = mp.Phi4.from_kappa(mp.square(8), kappa=0.24, coupling=0.022)
    >>> chain = mp.run(mp.HMC(field), samples=200, chains=8, seed=1)
    >>> chain["phi2"].shape
    (200, 8)
    """

    def __init__(
        self,
        hamiltonian: Hamiltonian,
        step_size: float | None = None,
        steps: int = 10,
        integrator: str = "leapfrog",
        target_acceptance: float | None = None,
        jitter: float = 0.5,
        guide: Any = None,
    ):
        checks.one_of("integrator", integrator, ("leapfrog", "minimum_norm"))
        if not 0 <= jitter < 1:
            raise ValueError(f"jitter={jitter!r} is not allowed: it must be at least 0 and below 1")
        default = 0.65 if integrator == "leapfrog" else 0.8
        super().__init__(hamiltonian, integrator, steps, step_size, target_acceptance, default)
        self.jitter = float(jitter)
        if guide is not None:
            self.guide = guide if isinstance(guide, Hamiltonian) else Effective(guide, hamiltonian)


class Langevin(_Molecular):
    """The Langevin equation dx = −β ∂E dt + √2 dW in time steps `step_size` = dt, with accept/reject or, biased, without.

    A step is a trajectory of one leapfrog step ε = √(2 dt). `adjusted` accepts or rejects it (MALA) and is exact; without
    `step_size` it is tuned in the burn-in of `run` to the acceptance of 0.574 that is best in high dimensions, or to another
    `target_acceptance`. Unadjusted it is the Euler method, whose averages are off by an amount linear in dt: marked
    `exact=False`. Raises ValueError for models without a force, and for an unadjusted one without `step_size`.
    Source: Parisi and Wu 1981 (Sci. Sin. 24, 483); Roberts and Rosenthal 1998 (10.1111/1467-9868.00123).

    >>> import mlphys as mp
    >>> field = mp.Phi4.from_kappa(mp.square(8), kappa=0.2, coupling=0.022)
    >>> chain = mp.run(mp.Langevin(field, step_size=0.02, adjusted=False), samples=200, chains=8, seed=1)
    >>> chain.exact
    False
    """

    order = 1.5

    def __init__(
        self,
        hamiltonian: Hamiltonian,
        step_size: float | None = None,
        adjusted: bool = True,
        target_acceptance: float | None = None,
    ):
        if not adjusted and (step_size is None or target_acceptance is not None):
            raise ValueError(f"step_size={step_size!r} is not allowed with adjusted=False: give it; no acceptance tunes it")
        super().__init__(hamiltonian, "leapfrog", 1, step_size, target_acceptance, 0.574)
        self.adjusted = self.exact = self.reversible = adjusted

    def _lengths(self, state: State) -> np.ndarray:
        return np.sqrt(2 * self.step_sizes(state))


def _tables(hamiltonian: Any) -> tuple[int, tuple, tuple] | None:
    """Model, tables and parameters for the compiled kernel; None if it does not know the model, a subclass perhaps."""
    from mlphys.hamiltonians.fields import Phi4
    from mlphys.hamiltonians.gauge import U1Gauge
    from mlphys.hamiltonians.vectors import XY
    from mlphys.kernels import molecular

    lattice, kind = hamiltonian.lattice, type(hamiltonian)
    neighbours = (lattice.neighbours, lattice.neighbours)
    if kind is Phi4:
        return molecular.PHI4, neighbours, (hamiltonian.quadratic, hamiltonian.coupling, hamiltonian.hopping)
    if kind is XY:
        return molecular.XY, neighbours, (hamiltonian.coupling, 0.0, 0.0)
    if kind is U1Gauge:
        along, across = np.array(lattice.directions)
        here = np.arange(lattice.n_sites, dtype=np.int32)
        links = [2 * here, 2 * lattice.shifted(along) + 1, 2 * lattice.shifted(across), 2 * here + 1]
        plaquettes = [here, lattice.shifted(-across), lattice.shifted(-along), here]
        tables = np.stack(links, 1), np.stack(plaquettes, 1).reshape(-1, 2)
        return molecular.GAUGE, tables, (hamiltonian.beta, 0.0, 0.0)
    return None
