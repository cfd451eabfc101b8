"""Neural wave functions: log ψ of basis states, its derivatives by the parameters, and what those span."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.func import functional_call, grad, vmap


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
        """O O† `(batch, batch)`, of which only the lower triangle counts."""
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
