"""Restricted Boltzmann machines, dense and symmetric under translations, with compiled kernels behind them."""

import numpy as np
import torch
from torch import nn

from mlphys.checks import whole
from mlphys.lattices import Lattice
from mlphys.nets.wavefunctions import Diverged, Tangent, WaveFunction
from mlphys.random import torch_generator
from mlphys.threads import over_chains

# Fields θ that could grow beyond would overflow in cosh θ or in what a term of H makes of it.
LARGEST = 350.0
# Moved spins held at a time.
MOVED = 2**18


class RBM(WaveFunction):
    """A restricted Boltzmann machine, log ψ = Σ a σ + Σ_j log cosh(b_j + Σ_i W_ij σ_i), with alpha · n_sites hidden units.

    dtype: torch.float64, positive amplitudes, or torch.complex128. Weights are normal numbers of width 0.01 drawn from
    `seed`. Sampling, local energies and stochastic reconfiguration run in compiled kernels on the CPU. Raises ValueError
    for bad arguments. Source: Carleo and Troyer 2017 (10.1126/science.aag2302).

    >>> psi = RBM(4, alpha=2)
    >>> psi.log_psi(torch.ones(3, 4)).shape, sum(p.numel() for p in psi.parameters())
    (torch.Size([3]), 44)
    """

    visible: torch.Tensor
    bias: torch.Tensor
    weights: torch.Tensor
    compiled = True

    def __init__(self, n_sites: int, alpha: int = 1, dtype: torch.dtype = torch.float64, seed: int = 0):
        super().__init__()
        self.n_sites, hidden = whole("n_sites", n_sites, 1), whole("alpha", alpha, 1) * n_sites
        self._draw(dtype, seed, visible=(n_sites,), bias=(hidden,), weights=(n_sites, hidden))

    def _draw(self, dtype: torch.dtype, seed: int, **shapes: tuple[int, ...]) -> None:
        if dtype not in (torch.float64, torch.complex128):
            raise ValueError(f"dtype={dtype!r} is not allowed: it must be torch.float64 or torch.complex128")
        generator = torch_generator(seed, "weights")
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(0.01 * torch.randn(shape, dtype=dtype, generator=generator)))

    def dense(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The fields a `(n_sites,)`, b `(hidden,)` and the weights W `(n_sites, hidden)`."""
        return self.visible, self.bias, self.weights

    def log_psi(self, x):
        visible, bias, weights = self.dense()
        x = x.to(weights.dtype)
        theta = x @ weights + bias
        # log cosh without overflow: of θ or −θ, whichever has the larger real part.
        theta = torch.where(theta.real < 0, -theta, theta)
        return x @ visible + (theta + torch.log1p(torch.exp(-2 * theta)) - np.log(2.0)).sum(1)

    def _arrays(self) -> tuple[np.ndarray, ...]:
        return tuple(np.ascontiguousarray(part.detach().cpu().numpy()) for part in self.dense())

    def _tables(self, flips: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What turning each row of `flips` multiplies: the part of the visible fields, and e^θ of each hidden unit."""
        visible, bias, weights = self._arrays()
        reach = np.max([(np.abs(bias) + np.abs(weights).sum(0)).max(), 2 * np.abs(visible).max()])
        if not reach < LARGEST:
            raise Diverged(f"weights add up to {reach:.0f}, allowed is {LARGEST:g}: lower the rate, or raise the shift")
        first, other = flips[:, 0], flips[:, 1:]
        fields = 2 * (visible[first] - visible[other].sum(1))
        change = 2 * (weights[first] - weights[other].sum(1))
        return np.exp(np.stack([fields, -fields], axis=1)), np.exp(np.stack([change, -change], axis=1))

    def metropolis(self, flips):
        from mlphys.kernels.wavefunction import sweeps_in_place

        _, bias, weights = self._arrays()
        return sweeps_in_place, (flips, weights, bias, *self._tables(flips))

    def _theta(self, x: np.ndarray) -> np.ndarray:
        _, bias, weights = self._arrays()
        # Complex numbers are pairs of real ones to a product with real ones.
        return (x.astype(np.float64) @ weights.view(np.float64)).view(weights.dtype) + bias

    def local_energies(self, hamiltonian, x):
        from mlphys.kernels.wavefunction import local_energies

        spins = np.ascontiguousarray(hamiltonian.check_x(x).cpu().numpy(), np.int8)
        (fields, factors), theta = self._tables(hamiltonian.flips), self._theta(spins)
        energies = np.empty(len(spins), theta.dtype)
        model = hamiltonian.pairs, hamiltonian.zz, hamiltonian.flips, hamiltonian.weights
        seconds = len(spins) * factors.size * 1e-10
        over_chains(local_energies, (spins, *_sides(theta), energies), (*model, fields, factors), seconds)
        return torch.from_numpy(energies)

    def tangent(self, x):
        spins = x.cpu().numpy()
        return RBMTangent(spins, _tanh(self._theta(spins)))


def _sides(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """e^θ and e^−θ, each over 2 cosh θ."""
    growth = np.empty_like(theta)
    size = np.exp(2 * theta.real)
    growth.real = size
    if np.iscomplexobj(theta):
        # Several times faster than exp of complex numbers.
        growth.real *= np.cos(2 * theta.imag)
        growth.imag = size * np.sin(2 * theta.imag)
    down = 1 / (1 + growth)
    return growth * down, down


def _tanh(theta: np.ndarray) -> np.ndarray:
    up, down = _sides(theta)
    return up - down


class TranslationRBM(RBM):
    """A restricted Boltzmann machine with exact translation symmetry: alpha filters of n_sites weights, moved everywhere.

    As `RBM`, with W of the hidden unit (f, r) at site r + i equal to the i-th weight of filter f, one bias for each filter
    and no visible fields: alpha (n_sites + 1) parameters, and momentum 0. Source: Carleo and Troyer 2017
    (10.1126/science.aag2302).

    >>> from mlphys.lattices import square
    >>> psi = TranslationRBM(square(4), alpha=2)
    >>> x = torch.tensor([[1, -1, -1, 1, 1, 1, -1, 1, -1, 1, 1, -1, -1, 1, -1, -1]])
    >>> bool((psi.log_psi(x[:, psi.lattice.translations[5]]) - psi.log_psi(x)).abs() < 1e-12)
    True
    """

    filters: torch.Tensor

    def __init__(self, lattice: Lattice, alpha: int = 1, dtype: torch.dtype = torch.float64, seed: int = 0):
        WaveFunction.__init__(self)
        self.lattice, self.n_sites, self.alpha = lattice, lattice.n_sites, whole("alpha", alpha, 1)
        self._draw(dtype, seed, bias=(alpha,), filters=(alpha, lattice.n_sites))
        # Which weight of a filter stands at each site, for the unit at each r: (site, r).
        self._which = torch.from_numpy(np.argsort(lattice.translations, axis=1).T.copy()).long()

    def dense(self):
        filters = self.filters
        weights = filters[:, self._which.to(filters.device)].movedim(0, 1).flatten(1)
        return filters.new_zeros(self.n_sites), self.bias.repeat_interleave(self.n_sites), weights

    def tangent(self, x):
        spins = x.cpu().numpy()
        return Tangent(torch.from_numpy(self._derivatives(spins, _tanh(self._theta(spins)))))

    def _derivatives(self, spins: np.ndarray, hidden: np.ndarray) -> np.ndarray:
        """∂ log ψ / ∂ (biases, filters) `(batch, alpha (n_sites + 1))` from t = tanh θ."""
        n = self.n_sites
        parts = hidden.reshape(len(spins), self.alpha, n)
        found = np.empty((len(spins), self.alpha * (n + 1)), hidden.dtype)
        np.sum(parts, axis=2, out=found[:, : self.alpha])
        real = np.concatenate([parts.real, parts.imag], axis=1) if np.iscomplexobj(hidden) else parts
        for begin in range(0, len(spins), MOVED // n**2 + 1):
            rows = slice(begin, begin + MOVED // n**2 + 1)
            # Σ_r t(r) σ(r + i).
            moments = real[rows] @ spins[rows][:, self.lattice.translations].astype(np.float64)
            if np.iscomplexobj(hidden):
                moments = moments[:, : self.alpha] + 1j * moments[:, self.alpha :]
            found[rows, self.alpha :] = moments.reshape(len(moments), -1)
        return found


class RBMTangent(Tangent):
    """The tangent of an RBM, whose derivatives σ_i, t_j and σ_i t_j are never written down."""

    def __init__(self, spins: np.ndarray, hidden: np.ndarray):
        self.spins, self.hidden = spins.astype(np.float64), hidden

    @property
    def n_parameters(self):
        return (1 + self.spins.shape[1]) * (1 + self.hidden.shape[1]) - 1

    @property
    def rows(self) -> torch.Tensor:  # type: ignore[override]
        products = (self.spins[:, :, None] * self.hidden[:, None]).reshape(len(self.spins), -1)
        derivatives = np.concatenate([self.spins, self.hidden, products], axis=1)
        return torch.from_numpy(derivatives - derivatives.mean(0))

    def overlaps(self):
        from mlphys.kernels.wavefunction import centred_overlaps

        # Products of spins are whole numbers, exact in single precision.
        return centred_overlaps(self.spins.astype(np.float32), self.hidden)

    def pull_back(self, values):
        values = values - values.mean()
        hidden = self.hidden.conj()
        parts = (self.spins.T @ values, hidden.T @ values, self.spins.T @ (values[:, None] * hidden))
        return np.concatenate([part.ravel() for part in parts])

    def push_forward(self, change):
        n, hidden = self.spins.shape[1], self.hidden.shape[1]
        visible, bias, weights = np.split(change, [n, n + hidden])
        values = self.spins @ visible + (self.hidden * (bias + self.spins @ weights.reshape(n, hidden))).sum(1)
        return values - values.mean()
