"""Neural wave functions: log ψ of basis states, its derivatives by the parameters, and what those span."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.func import functional_call, grad, jacrev, vmap


class Diverged(FloatingPointError):
    """The optimisation broke down; the parameters are those of the last good step."""


class WaveFunction(nn.Module):
    """A network with `log_psi(x)` `(batch,)`, real or complex, of states x = ±1 `(batch, n_sites)`.

    Parameters are all real, or all complex and ψ holomorphic in them. A network may add compiled paths: `metropolis`
    for sampling, `local_energies`, `tangent`; without them the batched ones that work for every network are taken, on the
    device of the parameters. One that can be sampled exactly has `sample(n, seed) -> (x, log_q)`, and needs no chains.

    `batch` is how many amplitudes are computed at a time on a CPU, 64 times as many on a GPU; an eighth of that for
    derivatives. `compiled` says that all work is done in kernels, beside which linear algebra gains nothing from threads.
    """

    n_sites: int
    batch: int = 1024
    compiled = False

    def log_psi(self, x: torch.Tensor) -> torch.Tensor:
        """Logarithm of the amplitude, `(batch,)`; the norm is free."""
        raise NotImplementedError

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.log_psi(x)

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next(self.parameters()).device

    def metropolis(self, flips: np.ndarray) -> tuple[Callable, tuple] | None:
        """A compiled sweep of |ψ|² that turns the rows of `flips`, and its tables; None where there is none."""
        return None

    def _batch(self) -> int:
        return self.batch * (1 if self.device.type == "cpu" else 64)

    def log_psi_of(self, x: torch.Tensor) -> torch.Tensor:
        """`log_psi` in double precision without derivatives, `batch` states at a time."""
        with torch.no_grad():
            value = torch.cat([self.log_psi(part) for part in x.to(self.device).split(self._batch())])
        return value.to(torch.complex128 if value.is_complex() else torch.float64)

    def local_energies(self, hamiltonian: Any, x: torch.Tensor) -> torch.Tensor:
        """Σ_x' ⟨x|H|x'⟩ ψ(x')/ψ(x) `(batch,)`; only what acts is computed, and never more than `batch` states are held."""
        x, weights = x.to(self.device), hamiltonian.tensors(self.device).weights
        here = self.log_psi_of(x)
        energies = hamiltonian.diagonal(x).to(here.dtype)
        acting = hamiltonian.acts(x).nonzero()
        for row, term in (part.T for part in acting.split(self._batch())):
            ratios = (self.log_psi_of(hamiltonian.turned(x[row], term)) - here[row]).exp()
            energies.index_add_(0, row, weights[term] * ratios)
        return energies

    def _jacobian(self, x: torch.Tensor) -> torch.Tensor:
        """Derivatives `(batch, parts, n_parameters)`: of log ψ, or of its real and imaginary part by real parameters."""
        values = {name: value.detach() for name, value in self.named_parameters()}
        x, holomorphic = x.to(self.device), next(self.parameters()).is_complex()
        with torch.no_grad():
            two = self.log_psi(x[:1]).is_complex() and not holomorphic

        def of_one(values, x):
            value = functional_call(self, values, (x[None],))[0]
            return torch.view_as_real(value) if two else value.real

        derivative = vmap((jacrev if two else grad)(of_one), (None, 0))
        found = torch.empty(
            (len(x), 1 + two, sum(value.numel() for value in values.values())),
            dtype=torch.complex128 if holomorphic else torch.float64, device=self.device,
        )  # fmt: skip
        size = max(1, self._batch() // 8)
        for part, rows in zip(x.split(size), found.split(size), strict=True):
            gradients = derivative(values, part)
            at = 0
            for gradient in (gradients[name].reshape(len(part), 1 + two, -1) for name in values):
                rows[:, :, at : at + gradient.shape[2]] = gradient
                at += gradient.shape[2]
        # The gradient of the real part is the conjugate of a holomorphic derivative.
        return found.conj_physical_() if holomorphic else found

    def log_derivatives(self, x: torch.Tensor) -> torch.Tensor:
        """∂ log ψ / ∂ parameters, `(batch, n_parameters)`, in the order of `parameters()`."""
        parts = self._jacobian(x)
        return parts[:, 0] if parts.shape[1] == 1 else torch.complex(parts[:, 0], parts[:, 1])

    def tangent(self, x: torch.Tensor) -> "Tangent":
        """What the derivatives span at the states x."""
        return Tangent(self._jacobian(x))


class Tangent:
    """Log derivatives O about their mean over the batch, from `(batch, n_parameters)` or the parts of `_jacobian`.

    These are large: they are centred in place.

    Vectors are numpy's and on the CPU, matrices stay where the derivatives are. Changes of real parameters are real, also
    where log ψ is complex: the real and the imaginary part of each sample then are two samples of their own, and O†O
    stands for its real part.
    """

    parts = 1

    def __init__(self, derivatives: torch.Tensor):
        if derivatives.ndim == 3:
            self.parts = derivatives.shape[1]
        derivatives -= derivatives.mean(0)
        self.rows = derivatives.reshape(-1, derivatives.shape[-1])

    @property
    def centred(self) -> torch.Tensor:
        """O `(batch, n_parameters)`."""
        return self.rows if self.parts == 1 else torch.complex(self.rows[::2], self.rows[1::2])

    @property
    def n_parameters(self) -> int:
        return self.rows.shape[1]

    def overlaps(self) -> np.ndarray | torch.Tensor:
        """O O† `(parts · batch, parts · batch)`, of which only the lower triangle counts."""
        return _gram(self.rows)

    def covariance(self) -> np.ndarray | torch.Tensor:
        """O† O `(n_parameters, n_parameters)`, of which only the lower triangle counts."""
        return _gram(self.rows.mH)

    def pull_back(self, values: np.ndarray) -> np.ndarray:
        """O† values `(n_parameters,)` of values `(batch,)`."""
        values = values.astype(np.complex128).view(np.float64) if self.parts == 2 else values
        return (self.rows.mH @ torch.from_numpy(values).to(self.rows)).resolve_conj().cpu().numpy()

    def push_forward(self, change: np.ndarray) -> np.ndarray:
        """O change `(batch,)`."""
        values = (self.rows @ torch.from_numpy(change).to(self.rows)).cpu().numpy()
        return values.view(np.complex128) if self.parts == 2 else values


def _gram(rows: torch.Tensor) -> np.ndarray | torch.Tensor:
    """rows rows†; on the CPU only its lower triangle, which takes half the time."""
    if rows.device.type != "cpu":
        return rows @ rows.mH
    from scipy.linalg.blas import dsyrk, zherk

    array = rows.resolve_conj().numpy()
    update = zherk if array.dtype.kind == "c" else dsyrk
    if array.flags.c_contiguous:
        # LAPACK wants columns: a transposed view is free, but a conjugate is what it then multiplies to.
        return update(1.0, array.T, trans=2 if array.dtype.kind == "c" else 1, lower=1).conj()
    return update(1.0, array, lower=1)
