"""Neural wave functions: log ψ of basis states, its derivatives by the parameters, and what those span."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.func import functional_call, grad, vmap

from mlphys.checks import whole
from mlphys.random import torch_generator


class WaveFunction(nn.Module):
    """A network with `log_psi(x)` `(batch,)`, real or complex, of states x = ±1 `(batch, n_sites)`.

    Parameters are all real, or all complex and ψ holomorphic in them. A network may add compiled paths: `metropolis`
    for sampling, `local_energies`, `tangent`; without them the batched ones that work for every network are taken.
    """

    n_sites: int

    def log_psi(self, x: torch.Tensor) -> torch.Tensor:
        """Logarithm of the amplitude, `(batch,)`; the norm is free."""
        raise NotImplementedError

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.log_psi(x)

    def metropolis(self, flips: np.ndarray) -> tuple[Callable, tuple] | None:
        """A compiled sweep of |ψ|² that turns the rows of `flips`, and its tables; None where there is none."""
        return None

    def local_energies(self, hamiltonian: Any, x: torch.Tensor, batch: int = 4096) -> torch.Tensor:
        """Σ_x' ⟨x|H|x'⟩ ψ(x')/ψ(x) `(batch,)`, computed `batch` amplitudes at a time."""
        with torch.no_grad():
            states, elements = hamiltonian.connected(x)
            here = self.log_psi(x)
            acting = elements != 0
            row, _ = acting.nonzero(as_tuple=True)
            there = torch.cat([self.log_psi(part) for part in states[acting].split(batch)])
            parts = elements[acting] * (there - here[row]).exp()
            return torch.zeros_like(here).index_add_(0, row, parts.to(here.dtype))

    def log_derivatives(self, x: torch.Tensor) -> torch.Tensor:
        """∂ log ψ / ∂ parameters, `(batch, n_parameters)`, in the order of `parameters()`."""
        values = {name: value.detach() for name, value in self.named_parameters()}

        def single(part: Callable) -> torch.Tensor:
            def of_one(values, x):
                return part(functional_call(self, values, (x[None],))[0])

            gradients = vmap(grad(of_one), (None, 0))(values, x)
            return torch.cat([gradients[name].flatten(1) for name in values], dim=1)

        if next(self.parameters()).is_complex():
            # The gradient of the real part is the conjugate of a holomorphic derivative.
            return single(torch.real).conj()
        with torch.no_grad():
            is_complex = self.log_psi(x[:1]).is_complex()
        return torch.complex(single(torch.real), single(torch.imag)) if is_complex else single(lambda value: value)

    def tangent(self, x: torch.Tensor) -> "Tangent":
        """What the derivatives span at the states x."""
        return Tangent(self.log_derivatives(x))


class Tangent:
    """Log derivatives O `(batch, n_parameters)` about their mean over the batch."""

    def __init__(self, derivatives: torch.Tensor):
        self.centred = derivatives - derivatives.mean(0)

    @property
    def n_parameters(self) -> int:
        return self.centred.shape[1]

    def overlaps(self) -> np.ndarray:
        """O O† `(batch, batch)`."""
        return (self.centred @ self.centred.mH).numpy()

    def covariance(self) -> np.ndarray:
        """O† O `(n_parameters, n_parameters)`."""
        return (self.centred.mH @ self.centred).numpy()

    def pull_back(self, values: np.ndarray) -> np.ndarray:
        """O† values `(n_parameters,)`."""
        return (self.centred.mH @ torch.from_numpy(values).to(self.centred.dtype)).numpy()

    def push_forward(self, change: np.ndarray) -> np.ndarray:
        """O change `(batch,)`."""
        return (self.centred @ torch.from_numpy(change).to(self.centred.dtype)).numpy()


class RBM(WaveFunction):
    """A restricted Boltzmann machine, log ψ = Σ a σ + Σ_j log cosh(b_j + Σ_i W_ij σ_i), with alpha · n_sites hidden units.

    dtype: torch.float64, positive amplitudes, or torch.complex128. Weights are normal numbers of width 0.01 drawn from
    `seed`. Sampling, local energies and stochastic reconfiguration run in compiled kernels on the CPU. Raises ValueError
    for bad arguments. Source: Carleo and Troyer 2017 (10.1126/science.aag2302).

    >>> psi = RBM(4, alpha=2)
    >>> psi.log_psi(torch.ones(3, 4)).shape, sum(p.numel() for p in psi.parameters())
    (torch.Size([3]), 44)
    """

    def __init__(self, n_sites: int, alpha: int = 1, dtype: torch.dtype = torch.float64, seed: int = 0):
        super().__init__()
        self.visible: nn.Parameter
        self.bias: nn.Parameter
        self.weights: nn.Parameter
        if dtype not in (torch.float64, torch.complex128):
            raise ValueError(f"dtype={dtype!r} is not allowed: it must be torch.float64 or torch.complex128")
        self.n_sites = whole("n_sites", n_sites, 1)
        hidden, generator = whole("alpha", alpha, 1) * n_sites, torch_generator(seed, "weights")
        shapes = {"visible": (n_sites,), "bias": (hidden,), "weights": (n_sites, hidden)}
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(0.01 * torch.randn(shape, dtype=dtype, generator=generator)))

    def log_psi(self, x):
        x = x.to(self.weights.dtype)
        theta = x @ self.weights + self.bias
        # log cosh without overflow: of θ or −θ, whichever has the larger real part.
        theta = torch.where(theta.real < 0, -theta, theta)
        return x @ self.visible + (theta + torch.log1p(torch.exp(-2 * theta)) - np.log(2.0)).sum(1)

    def _arrays(self) -> tuple[np.ndarray, ...]:
        return tuple(parameter.detach().cpu().numpy() for parameter in (self.visible, self.bias, self.weights))

    def _tables(self, flips: np.ndarray) -> tuple[np.ndarray, ...]:
        """What turning each row of `flips` does: factors of the visible fields, cosh D, sinh D and tanh D."""
        visible, _, weights = self._arrays()
        first, other = flips[:, 0], flips[:, 1:]
        fields = 2 * (visible[first] - visible[other].sum(1))
        change = 2 * (weights[first] - weights[other].sum(1))
        return np.exp(np.stack([-fields, fields], axis=1)), np.cosh(change), np.sinh(change), np.tanh(change)

    def metropolis(self, flips):
        from mlphys.kernels.wavefunction import metropolis_sweeps

        _, bias, weights = self._arrays()
        return metropolis_sweeps, (flips, weights, bias, *self._tables(flips))

    def _hidden(self, x: np.ndarray) -> np.ndarray:
        _, bias, weights = self._arrays()
        return np.tanh(x.astype(np.float64) @ weights + bias)

    def local_energies(self, hamiltonian, x, batch=4096):
        from mlphys.kernels.wavefunction import local_energies

        spins = np.ascontiguousarray(x.cpu().numpy(), np.int8)
        visible, cosh, sinh, _ = self._tables(hamiltonian.flips)
        energies = hamiltonian.diagonal(x).cpu().numpy().astype(cosh.dtype)
        local_energies(spins, self._hidden(spins), hamiltonian.flips, hamiltonian.weights, visible, cosh, sinh, energies)
        return torch.from_numpy(energies)

    def tangent(self, x):
        spins = x.cpu().numpy().astype(np.float64)
        return RBMTangent(spins, self._hidden(spins))


class RBMTangent(Tangent):
    """The tangent of an RBM, whose derivatives σ_i, t_j and σ_i t_j are never written down."""

    def __init__(self, spins: np.ndarray, hidden: np.ndarray):
        self.spins, self.hidden = spins, hidden

    @property
    def n_parameters(self):
        return (1 + self.spins.shape[1]) * (1 + self.hidden.shape[1]) - 1

    @property
    def centred(self) -> torch.Tensor:  # type: ignore[override]
        products = (self.spins[:, :, None] * self.hidden[:, None]).reshape(len(self.spins), -1)
        derivatives = np.concatenate([self.spins, self.hidden, products], axis=1)
        return torch.from_numpy(derivatives - derivatives.mean(0))

    def overlaps(self):
        visible, hidden = self.spins @ self.spins.T, self.hidden @ self.hidden.conj().T
        overlaps = visible * hidden
        overlaps += visible
        overlaps += hidden
        rows = overlaps.mean(1)
        overlaps -= rows[:, None]
        overlaps -= rows.conj() - rows.mean()
        return overlaps

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
