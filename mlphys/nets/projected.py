"""A restricted Boltzmann machine projected on momentum 0: its translations are added, so that amplitudes interfere."""

import numpy as np
import torch

from mlphys.checks import whole
from mlphys.lattices import Lattice
from mlphys.nets.rbm import RBM
from mlphys.nets.wavefunctions import Tangent, WaveFunction
from mlphys.threads import over_chains


class ProjectedRBM(RBM):
    """ψ(σ) = Σ_r ∏_j 2 cosh(b_j + Σ_i W_ij σ_{r+i}), the sum over all translations of a machine of `hidden` units.

    What `Symmetric` makes of an RBM, in compiled kernels and without visible fields: hidden (n_sites + 1) parameters. A
    state in motion has zeros that move; a sum follows them, while a product of all translations, a `TranslationRBM`, hardly
    does. dtype, seed and errors as for `RBM`. Source: Nomura 2021 (10.1088/1361-648X/abe268).

    >>> from mlphys.lattices import chain
    >>> psi = ProjectedRBM(chain(4), hidden=3, dtype=torch.complex128)
    >>> x = torch.tensor([[1, 1, -1, 1], [1, 1, 1, -1]])
    >>> bool(psi.log_psi(x).diff().abs() < 1e-12), sum(p.numel() for p in psi.parameters())
    (True, 15)
    """

    def __init__(self, lattice: Lattice, hidden: int = 8, dtype: torch.dtype = torch.float64, seed: int = 0):
        WaveFunction.__init__(self)
        self.lattice, self.n_sites, self.hidden = lattice, lattice.n_sites, whole("hidden", hidden, 1)
        self._draw(dtype, seed, bias=(hidden,), weights=(lattice.n_sites, hidden))
        # The row of W that acts on each site, for each translation: (site, translation).
        self._which = torch.from_numpy(np.argsort(lattice.translations, axis=1).T.copy()).long()

    def dense(self):
        weights = self.weights[self._which.to(self.weights.device)].flatten(1)
        return weights.new_zeros(self.n_sites), self.bias.repeat(self.n_sites), weights

    def log_psi(self, x):
        _, bias, weights = self.dense()
        theta = x.to(weights.dtype) @ weights + bias
        theta = torch.where(theta.real < 0, -theta, theta)
        logs = (theta + torch.log1p(torch.exp(-2 * theta))).view(len(x), self.n_sites, self.hidden).sum(2)
        largest = logs.real.max(1, keepdim=True).values.detach()
        return (logs - largest).exp().sum(1).log() + largest[:, 0]

    def metropolis(self, flips):
        from mlphys.kernels.mixture import sweeps_in_place

        _, bias, weights = self._arrays()
        return sweeps_in_place, (flips, *map(self._by_translation, (weights, bias, self._tables(flips)[1])))

    def _by_translation(self, table: np.ndarray) -> np.ndarray:
        return table.reshape(*table.shape[:-1], self.n_sites, self.hidden)

    def _parts(self, spins: np.ndarray) -> tuple[np.ndarray, ...]:
        """e^θ / 2 cosh θ, e^−θ / 2 cosh θ `(batch, translations, hidden)`, and the share of each translation in ψ."""
        from mlphys.kernels.mixture import parts

        _, bias, weights = self._arrays()
        shape = (len(spins), self.n_sites, self.hidden)
        found = tuple(np.empty(part, weights.dtype) for part in (shape, shape, shape[:2]))
        tables = tuple(map(self._by_translation, (weights, bias)))
        over_chains(parts, (spins, *found), tables, seconds=found[0].size * 5e-8)
        return found

    def local_energies(self, hamiltonian, x):
        from mlphys.kernels.mixture import local_energies

        spins = np.ascontiguousarray(x.cpu().numpy(), np.int8)
        factors = self._by_translation(self._tables(hamiltonian.flips)[1])
        energies = hamiltonian.diagonal(x).cpu().numpy().astype(factors.dtype)
        shared = hamiltonian.flips, hamiltonian.weights, factors
        over_chains(local_energies, (spins, *self._parts(spins), energies), shared, len(spins) * factors.size * 1e-9)
        return torch.from_numpy(energies)

    def tangent(self, x):
        spins = np.ascontiguousarray(x.cpu().numpy(), np.int8)
        up, down, shares = self._parts(spins)
        hidden = shares[:, :, None] * (up - down)
        moved = spins[:, self.lattice.translations].swapaxes(1, 2).astype(hidden.dtype)
        return Tangent(torch.from_numpy(np.concatenate([hidden.sum(1), (moved @ hidden).reshape(len(spins), -1)], axis=1)))
