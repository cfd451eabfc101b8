"""The distribution |ψ|² of a wave function, as a classical model: every sampler and every tool of chains works on it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from mlphys.hamiltonians.base import Hamiltonian
from mlphys.hamiltonians.quantum import QuantumSpins
from mlphys.random import generator, spawn


class Born(Hamiltonian):
    """|ψ(x)|² over the basis states x = ±1 `(batch, n_sites)` that a quantum Hamiltonian reaches; its action is −2 Re log ψ.

    psi: a `WaveFunction`. Metropolis turns what a term of the Hamiltonian turns: single spins, or two antiparallel ones
    where Σσᶻ is conserved. Chains start from the Néel state on bipartite lattices then, else at random. Where ψ has
    `sample`, every sweep draws afresh.

    >>> import mlphys as mp
    >>> model = mp.TransverseIsing(mp.lattices.chain(8))
    >>> chain = mp.run(mp.Metropolis(Born(mp.nets.RBM(8), model)), samples=50, chains=4, seed=1, keep=True)
    >>> chain.x.shape
    torch.Size([50, 4, 8])
    """

    temperature = 1.0
    rules = ("metropolis",)

    def __init__(self, psi: Any, hamiltonian: QuantumSpins):
        self.psi, self.hamiltonian, self.lattice = psi, hamiltonian, hamiltonian.lattice
        self._frozen: tuple | None = None
        self.observables = {"energy": lambda x: self.energy(x) / self.lattice.n_sites, "magnetisation": self.magnetisation}

    def energy(self, x):
        return -2 * self.psi.log_psi_of(self.check_x(x)).real

    def magnetisation(self, x):
        """Mean of σᶻ, `(batch,)`."""
        return self.check_x(x).double().mean(1)

    def random(self, batch: int, seed: int = 0, device: str = "cpu"):
        import torch

        rng, n = generator(seed, "random"), self.lattice.n_sites
        if self.hamiltonian.conserves_magnetisation:
            x = rng.permuted(np.tile(np.where(np.arange(n) % 2, -1, 1), (batch, 1)), axis=1)
        else:
            x = 2 * rng.integers(0, 2, (batch, n)) - 1
        return torch.from_numpy(x.astype(np.int8)).to(device)

    def start(self, batch: int, seed: int = 0):
        if not (self.hamiltonian.conserves_magnetisation and self.lattice.bipartite):
            return self.random(batch, seed)
        import torch

        neel = 1 - 2 * (self.lattice.colours % 2)
        signs = np.where(np.arange(batch) % 2, -1, 1)[:, None]
        return torch.from_numpy((signs * neel).astype(np.int8))

    def check_start(self, x, chains: int):
        import torch

        x = self.check_x(x)
        if len(x) != chains or not bool((x.abs() == 1).all()):
            raise ValueError(f"start has shape {tuple(x.shape)}: allowed are ±1 for each of {chains} chains")
        return x.to(torch.int8)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Inside, ψ may not change: what its kernel needs is made once, not for every sweep."""
        self._frozen = self.kernel("metropolis")
        try:
            yield
        finally:
            self._frozen = None

    def kernel(self, rule: str):
        if hasattr(self.psi, "sample"):
            return self._redraws, ()
        return self._frozen or self.psi.metropolis(self.hamiltonian.flips) or (self._sweeps, ())

    def _redraws(self, x, betas, chains, seed, first_sweep, sweeps):
        """Where ψ can be sampled exactly, a sweep is a new sample."""
        if (betas != 1).any():
            return self._sweeps(x, betas, chains, seed, first_sweep, sweeps)
        drawn, _ = self.psi.sample(int(chains.max()) + 1, spawn(int(seed), first_sweep + sweeps))
        x[:] = drawn[chains].cpu().numpy()
        return np.full(len(x), self.n_updates * sweeps)

    def _sweeps(self, x, betas, chains, seed, first_sweep, sweeps):
        """Metropolis for every network: one proposal for all chains at once, on the device of ψ."""
        import torch

        device = self.psi.device
        spins, betas = (torch.from_numpy(part).to(device) for part in (x, betas))
        accepted, action = torch.zeros_like(spins[:, 0], dtype=torch.long), self.energy(spins)
        for sweep in range(first_sweep, first_sweep + sweeps):
            rng = np.random.Generator(np.random.Philox(key=np.array([seed, sweep], np.uint64)))
            # One chain after the other, so that the first of them draw the same whatever their number.
            drawn = rng.random((chains.max() + 1, 2, self.lattice.n_sites))[chains].transpose(1, 2, 0)
            # One proposal in 256 idles, or where all are accepted a sweep of an even number of flips would keep a parity.
            lots = np.where(drawn[1] < 1 / 256, np.inf, np.log((1 - drawn[1]) * 256 / 255))
            parts = (len(self.hamiltonian.flips) * drawn[0]).astype(np.int64), lots
            for terms, log_u in zip(*(torch.from_numpy(part).to(device) for part in parts), strict=True):
                rows = self.hamiltonian.acts(spins, terms).nonzero()[:, 0]
                before = spins[rows]
                after = self.hamiltonian.turned(before, terms[rows])
                old, new = action[rows], self.energy(after)
                accept = log_u[rows] < betas[rows] * (old - new)
                spins[rows], action[rows] = torch.where(accept[:, None], after, before), torch.where(accept, new, old)
                accepted[rows] += accept
        x[:] = spins.cpu().numpy()
        return accepted.cpu().numpy()

    # Torch has threads of its own.
    _redraws.whole = _sweeps.whole = True  # type: ignore[attr-defined]
