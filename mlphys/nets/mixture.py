"""Sums of restricted Boltzmann machines: amplitudes that interfere, and vanish where a single product cannot."""

import numpy as np
import torch

from mlphys.nets.rbm import TranslationRBM
from mlphys.nets.wavefunctions import Tangent
from mlphys.threads import over_chains


class RBMSum(TranslationRBM):
    """A sum of `alpha` machines with one moved filter each, ψ = Σ_f ∏_r 2 cosh(b_f + Σ_i w_fi σ_{r+i}); momentum 0.

    As large and as fast as a `TranslationRBM`, which multiplies what is added here. States in motion have zeros that move;
    a sum follows them, a product hardly does. Arguments and errors as there.

    >>> from mlphys.lattices import chain
    >>> psi = RBMSum(chain(4), alpha=3, dtype=torch.complex128)
    >>> psi.log_psi(torch.ones(5, 4)).shape, sum(p.numel() for p in psi.parameters())
    (torch.Size([5]), 15)
    """

    def log_psi(self, x):
        _, bias, weights = self.dense()
        theta = x.to(weights.dtype) @ weights + bias
        theta = torch.where(theta.real < 0, -theta, theta)
        logs = (theta + torch.log1p(torch.exp(-2 * theta))).view(len(x), self.alpha, -1).sum(2)
        largest = logs.real.max(1, keepdim=True).values.detach()
        return (logs - largest).exp().sum(1).log() + largest[:, 0]

    def metropolis(self, flips):
        from mlphys.kernels.mixture import sweeps_in_place

        _, bias, weights = self._arrays()
        return sweeps_in_place, (flips, *map(self._by_machine, (weights, bias, self._tables(flips)[1])))

    def _by_machine(self, table: np.ndarray) -> np.ndarray:
        return table.reshape(*table.shape[:-1], self.alpha, self.n_sites)

    def _parts(self, spins: np.ndarray) -> tuple[np.ndarray, ...]:
        """e^θ / 2 cosh θ, e^−θ / 2 cosh θ `(batch, alpha, n_sites)`, and the share of each machine in ψ `(batch, alpha)`."""
        from mlphys.kernels.mixture import parts

        _, bias, weights = self._arrays()
        shape = (len(spins), self.alpha, self.n_sites)
        found = tuple(np.empty(part, weights.dtype) for part in (shape, shape, shape[:2]))
        over_chains(parts, (spins, *found), (self._by_machine(weights), self._by_machine(bias)), found[0].size * 5e-8)
        return found

    def local_energies(self, hamiltonian, x):
        from mlphys.kernels.mixture import local_energies

        spins = np.ascontiguousarray(x.cpu().numpy(), np.int8)
        energies = hamiltonian.diagonal(x).cpu().numpy().astype(self.filters.detach().cpu().numpy().dtype)
        factors = self._by_machine(self._tables(hamiltonian.flips)[1])
        shared = hamiltonian.flips, hamiltonian.weights, factors
        over_chains(local_energies, (spins, *self._parts(spins), energies), shared, len(spins) * factors.size * 1e-9)
        return torch.from_numpy(energies)

    def tangent(self, x):
        spins = np.ascontiguousarray(x.cpu().numpy(), np.int8)
        up, down, shares = self._parts(spins)
        weights = np.concatenate([shares, np.repeat(shares, self.n_sites, axis=1)], axis=1)
        return Tangent(torch.from_numpy(weights * self._derivatives(spins, up - down)))
