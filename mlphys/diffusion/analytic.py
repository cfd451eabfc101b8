"""Data whose score is known under every forward process, and the times at which the way back decides.

Each is a callable (x, t) -> score `(batch, n)`, as `DiffusionModel` takes it, with t anything that broadcasts to
`(batch, 1)`; `log_prob(x, t)` is the density of the noisy data and `sample(n, seed)` draws data without noise.
"""

import math

import numpy as np
import torch
from numpy.typing import ArrayLike

from mlphys import checks
from mlphys.diffusion.processes import Process
from mlphys.random import torch_generator


class GaussianMixture:
    """Normal distributions with `weights` `(k,)`, `means` `(k, n)` and `covariances` `(k, n, n)`, or variances `(k,)`.

    A variance may be 0: the data are then points. Weights are normalised. Raises ValueError for shapes that do not fit and
    for covariances that are not positive semidefinite.

    >>> from mlphys.diffusion import VariancePreserving
    >>> wells = GaussianMixture(VariancePreserving(), [0.5, 0.5], [[-2.0], [2.0]], [0.1, 0.1])
    >>> wells(torch.zeros(1, 1), 0.5).abs().item() < 1e-12
    True
    """

    def __init__(self, process: Process, weights: ArrayLike, means: ArrayLike, covariances: ArrayLike):
        self.process = process
        weights, means, covariances = (
            torch.as_tensor(np.asarray(part), dtype=torch.float64) for part in (weights, means, covariances)
        )
        k, n = means.shape if means.ndim == 2 else (0, 0)
        if weights.shape != (k,) or not bool((weights >= 0).all()) or not weights.sum() > 0:
            raise ValueError(f"weights={weights.tolist()} are not allowed: one, not negative, for each of the rows of means")
        if covariances.shape not in ((k,), (k, n, n)):
            raise ValueError(f"covariances have shape {tuple(covariances.shape)}: allowed are ({k},) and ({k}, {n}, {n})")
        self.weights, self.means = weights / weights.sum(), means
        # Along its own axes, the columns of `axes`, a component falls into independent numbers at all times.
        if covariances.ndim == 1:
            self.variances, self.axes = covariances[:, None].expand(k, n), None
        else:
            self.variances, self.axes = torch.linalg.eigh(covariances)
        if self.variances.min() < -1e-12 * self.variances.abs().max():
            raise ValueError("covariances are not allowed to have negative eigenvalues")
        self.variances = self.variances.clamp_min(0)

    @property
    def covariance(self) -> torch.Tensor:
        """That of the data, `(n, n)`."""
        mean = self.weights @ self.means
        axes = torch.eye(len(mean), dtype=torch.float64) if self.axes is None else self.axes
        within = (axes * self.variances[:, None, :]) @ axes.mT
        apart = self.means - mean
        return torch.einsum("k,kij->ij", self.weights, within + apart[:, :, None] * apart[:, None, :])

    def _components(self, x: torch.Tensor, t) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """ln (weight × density) `(batch, k)`, offsets along the axes and variances there, `(batch, k, n)`."""
        t = torch.as_tensor(t, dtype=torch.float64).to(x.device)
        # Legs: batch, component, element.
        t = t[..., None] if t.ndim == 2 else t
        a, s = self.process.mean_factor(t), self.process.deviation(t)
        if self.axes is None:
            offsets = x[:, None, :].double() - a * self.means.to(x.device)
        else:
            axes = self.axes.to(x.device)
            centres = torch.einsum("ki,kij->kj", self.means.to(x.device), axes)
            offsets = (x.double() @ axes.transpose(0, 1).flatten(1)).unflatten(1, centres.shape) - a * centres
        variances = a**2 * self.variances.to(x.device) + s**2
        density = -(offsets**2 / variances + variances.log() + math.log(2 * math.pi)).sum(2) / 2
        return self.weights.to(x.device).log() + density, offsets, variances

    def log_prob(self, x: torch.Tensor, t=0.0) -> torch.Tensor:
        """ln p_t `(batch,)` of x `(batch, n)`."""
        return self._components(x, t)[0].logsumexp(1)

    def membership(self, x: torch.Tensor, t) -> torch.Tensor:
        """The probability of each component given noisy x, `(batch, k)`."""
        return self._components(x, t)[0].softmax(1)

    def __call__(self, x: torch.Tensor, t) -> torch.Tensor:
        log_density, offsets, variances = self._components(x, t)
        pulls = -log_density.softmax(1)[:, :, None] * offsets / variances
        if self.axes is None:
            return pulls.sum(1).to(x)
        return (pulls.flatten(1) @ self.axes.to(x.device).mT.flatten(0, 1)).to(x)

    def sample(self, n: int, seed: int = 0) -> torch.Tensor:
        """n data `(n, dimension)`, float64."""
        generator = torch_generator(seed, "data")
        which = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        noise = torch.randn(n, self.means.shape[1], generator=generator, dtype=torch.float64) * self.variances[which].sqrt()
        if self.axes is not None:
            noise = torch.einsum("bj,bij->bi", noise, self.axes[which])
        return self.means[which] + noise


class Gaussian(GaussianMixture):
    """Normal data with a `mean` `(n,)` and a `covariance` `(n, n)`: the score is −(a² Σ + s²)⁻¹ (x − a μ).

    >>> from mlphys.diffusion import VarianceExploding
    >>> Gaussian(VarianceExploding(), [1.0], [[4.0]])(torch.tensor([[3.0]]), 0.0).item()
    -0.5
    """

    def __init__(self, process: Process, mean: ArrayLike, covariance: ArrayLike):
        super().__init__(process, [1.0], np.asarray(mean)[None], np.asarray(covariance)[None])


class CurieWeiss:
    """Spins ±1 that all couple to each other, E = −(Σσ)²/2n − field Σσ, at a temperature (J = 1, k_B = 1).

    The sum over states becomes an integral over the mean field that acts on each, done to rounding. Below t = 1e-8, where
    spins are points, nothing is defined. Raises ValueError for n < 1 and temperatures that are not positive. Source of the
    model as diffusion data: Biroli, Bonnaire, de Bortoli, Mézard 2024 (10.1038/s41467-024-54281-3).

    >>> from mlphys.diffusion import VariancePreserving
    >>> magnet = CurieWeiss(VariancePreserving(), n_sites=10, temperature=0.8)
    >>> magnet.sample(5, seed=1).shape, round(magnet.covariance_eigenvalue, 2)
    (torch.Size([5, 10]), 4.9)
    """

    def __init__(self, process: Process, n_sites: int, temperature: float, field: float = 0.0):
        self.process, self.n_sites = process, checks.whole("n_sites", n_sites, 1)
        self.beta = 1 / checks.temperatures(temperature, 1).item()
        self.field = float(field)
        # Values of θ = β (m + field), on a grid on which the sum is the integral to rounding: every state of the spins
        # adds a normal curve of this width.
        width = math.sqrt(self.beta / self.n_sites)
        reach = self.beta * (1 + abs(self.field)) + 9 * width
        self.theta = torch.linspace(-reach, reach, 2 + math.ceil(3 * reach / width), dtype=torch.float64)
        self._log_weights = -self.n_sites * (self.theta - self.beta * self.field) ** 2 / (2 * self.beta)
        self.log_weights = (self._log_weights + self.n_sites * torch.logaddexp(self.theta, -self.theta)).log_softmax(0)

    @property
    def covariance_eigenvalue(self) -> float:
        """Λ, the eigenvalue of ⟨σσᵀ⟩ along the magnetisation: ⟨M²⟩/n, the largest."""
        square = (self.log_weights.exp() * self.theta.tanh() ** 2).sum().item()
        return 1 + (self.n_sites - 1) * square

    def _at(self, x: torch.Tensor, t):
        """a, s, and ln of weight × density for each θ, `(batch, θ)`, with a x_i/s² + θ `(batch, n, θ)`."""
        t = torch.as_tensor(t, dtype=torch.float64)
        a, s = self.process.mean_factor(t), self.process.deviation(t)
        fields = (a * x.double() / s**2)[:, :, None] + self.theta
        log_density = torch.logaddexp(fields, -fields).sum(1) + self._log_weights
        return a, s, log_density, fields

    def log_prob(self, x: torch.Tensor, t) -> torch.Tensor:
        """ln p_t `(batch,)` of x `(batch, n)`."""
        a, s, log_density, _ = self._at(x, t)
        norm = (self._log_weights + self.n_sites * torch.logaddexp(self.theta, -self.theta)).logsumexp(0)
        free = -(x.double() ** 2 + a**2) / (2 * s**2) - s.log() - math.log(2 * math.pi) / 2
        return free.expand_as(x).sum(1) + log_density.logsumexp(1) - norm

    def __call__(self, x: torch.Tensor, t) -> torch.Tensor:
        a, s, log_density, fields = self._at(x, t)
        spins = torch.einsum("bnm,bm->bn", fields.tanh(), log_density.softmax(1))
        return ((a * spins - x) / s**2).to(x)

    def sample(self, n: int, seed: int = 0) -> torch.Tensor:
        """n data `(n, n_sites)` of ±1, float64."""
        generator = torch_generator(seed, "data")
        theta = self.theta[torch.multinomial(self.log_weights.exp(), n, replacement=True, generator=generator)]
        up = torch.rand(n, self.n_sites, generator=generator, dtype=torch.float64) < torch.sigmoid(2 * theta)[:, None]
        return 2 * up.double() - 1


def speciation_time(eigenvalue: float) -> float:
    """½ ln Λ, the `Process.age` at which the way back chooses between classes: Λ is the largest eigenvalue of ⟨x xᵀ⟩.

    To leading order in a large Λ. Raises ValueError unless Λ > 1. Source: Biroli et al. 2024 (10.1038/s41467-024-54281-3).

    >>> round(speciation_time(64.0), 6)
    2.079442
    """
    if not eigenvalue > 1:
        raise ValueError(f"eigenvalue={eigenvalue!r} is not allowed: it must be above 1")
    return math.log(eigenvalue) / 2


def collapse_time(samples: int, dimension: int, variance: float = 1.0) -> float:
    """½ ln[1 + σ²/(n^(2/d) − 1)], the `Process.age` below which an exact score of n data returns one of them.

    For normal data of variance σ² in d dimensions. Source: Biroli et al. 2024 (10.1038/s41467-024-54281-3).

    >>> round(collapse_time(1000, 8), 6)
    0.097903
    """
    samples, dimension = checks.whole("samples", samples, 2), checks.whole("dimension", dimension, 1)
    if not variance > 0:
        raise ValueError(f"variance={variance!r} is not allowed: it must be positive")
    return math.log1p(variance / math.expm1(2 * math.log(samples) / dimension)) / 2
