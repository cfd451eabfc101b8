"""Jastrow wave functions: a weight for each pair of spins."""

import numpy as np
import torch
from torch import nn

from mlphys.checks import one_of, whole
from mlphys.lattices import Lattice
from mlphys.nets.wavefunctions import WaveFunction
from mlphys.random import torch_generator


class Jastrow(WaveFunction):
    """A Jastrow factor, log ψ = ½ Σ_ij v_ij σ_i σ_j: the simplest wave function with correlations.

    sites: their number, for a v of its own for each pair, or a Lattice, for one v for each distance: ψ then has every
    symmetry of the lattice. dtype: torch.float64, positive amplitudes, or torch.complex128. The v are normal numbers of
    width 0.01 drawn from `seed`. Raises ValueError for bad arguments. Source: Jastrow 1955 (10.1103/PhysRev.98.1479).

    >>> from mlphys.lattices import square
    >>> [Jastrow(sites).values.numel() for sites in (16, square(4))]
    [120, 5]
    """

    pairs: torch.Tensor
    kinds: torch.Tensor

    def __init__(self, sites: int | Lattice, dtype: torch.dtype = torch.float64, seed: int = 0):
        super().__init__()
        one_of("dtype", dtype, (torch.float64, torch.complex128))
        if isinstance(sites, Lattice):
            shells = [sites.shell(k + 1) for k in range(sites.n_shells)]
            self.n_sites, pairs = sites.n_sites, np.concatenate(shells).T
            kinds = np.repeat(np.arange(len(shells)), [len(shell) for shell in shells])
        else:
            self.n_sites = whole("sites", sites, 2)
            pairs = np.stack(np.triu_indices(sites, 1))
            kinds = np.arange(pairs.shape[1])
        self.register_buffer("pairs", torch.from_numpy(pairs).long(), persistent=False)
        self.register_buffer("kinds", torch.from_numpy(kinds), persistent=False)
        generator = torch_generator(seed, "weights")
        self.values = nn.Parameter(0.01 * torch.randn(int(kinds[-1]) + 1, dtype=dtype, generator=generator))

    def couplings(self) -> torch.Tensor:
        """The matrix v `(n_sites, n_sites)`, with a diagonal of zeros."""
        v = self.values.new_zeros(self.n_sites, self.n_sites).index_put(tuple(self.pairs), self.values[self.kinds])
        return v + v.T

    def log_psi(self, x):
        x = x.to(self.values.dtype)
        return ((x @ self.couplings()) * x).sum(1) / 2

    def metropolis(self, flips):
        from mlphys.kernels.jastrow import metropolis_sweeps

        return metropolis_sweeps, (flips, self.couplings().real.detach().cpu().contiguous().numpy())

    def local_energies(self, hamiltonian, x):
        with torch.no_grad():
            return torch.cat([self._local_energies(hamiltonian, part) for part in x.to(self.device).split(self._batch())])

    def _local_energies(self, hamiltonian, x):
        tensors, v, spins = hamiltonian.tensors(self.device), self.couplings(), x.to(self.values.dtype)
        # What turning one spin changes; for two antiparallel ones their own product has to be put back.
        change = (-2 * spins * (spins @ v))[:, tensors.flips].sum(2)
        if hamiltonian.conserves_magnetisation:
            change = change - 4 * v[tuple(tensors.flips.T)]
        return hamiltonian.diagonal(x) + (change.exp() * hamiltonian.acts(x)) @ tensors.weights.to(v.dtype)

    def _jacobian(self, x):
        first, second = self.pairs
        x = x.to(self.device)
        products = (x[:, first] * x[:, second]).to(self.values.dtype)
        sums = products.new_zeros(len(x), len(self.values)).index_add_(1, self.kinds, products)
        return sums[:, None]
