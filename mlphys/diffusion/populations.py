"""Sampling a density without data by the classical rivals of diffusion models: many steps from a wide Gaussian to it."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from mlphys import checks, stats
from mlphys.flows import Importance
from mlphys.random import torch_generator

MOST_LEVELS = 10_000


@dataclass(frozen=True)
class Populations(Importance):
    """Weighted samples in so many independent `populations`, one after the other: errors are those of their scatter.

    `evaluations` counts those of the density or its gradient, per sample.
    """

    populations: int
    evaluations: float

    def _sums(self, values: torch.Tensor) -> torch.Tensor:
        return values.reshape(self.populations, -1).sum(1)

    @property
    def log_partition(self) -> stats.Estimate:
        top = self.log_weights.max()
        parts = self._sums((self.log_weights - top).exp()) * self.populations / len(self.log_weights)
        mean, error = parts.mean().item(), parts.std().item() / self.populations**0.5
        return stats.Estimate(math.log(mean) + top.item(), error / mean)

    def mean(self, observable) -> stats.Reweighted:
        weight = (self.log_weights - self.log_weights.max()).exp()
        values, totals = self._sums(weight * observable(self.x)), self._sums(weight)
        ratio = values.sum() / totals.sum()
        scatter = ((values - ratio * totals) ** 2).sum() * self.populations / (self.populations - 1)
        return stats.Reweighted(ratio.item(), (scatter.sqrt() / totals.sum()).item(), kish_ess=self.kish * len(weight))


def annealed(
    log_density: Callable, n_sites: int, n: int = 500, populations: int = 10, seed: int = 0, width: float = 1.0,
    overlap: float = 0.9, leapfrog: int = 10, resample: bool = True,
) -> Populations:  # fmt: skip
    """Samples of the density exp(`log_density`) / Z by populations that pass through N(0, width²)^(1−β) exp(β log_density).

    β rises from 0 to 1 so that the weights of each rise keep the share `overlap` of their samples (conditional Kish ESS);
    after it, hybrid Monte Carlo of `leapfrog` steps moves all samples. With `resample`, sequential Monte Carlo: samples are
    drawn again by their weights where these rest on less than half of them. Without, annealed importance sampling. x is
    float64 `(populations · n, n_sites)`; `log_partition` of the result is that of exp(`log_density`), with a bias of order
    1/n from schedules and step lengths that look at the samples. Raises ValueError for bad arguments. Sources: Neal 2001
    (10.1023/A:1008923215028); Del Moral, Doucet, Jasra 2006 (10.1111/j.1467-9868.2006.00553.x).

    >>> double_well = lambda x: (-x**4 + 6 * x**2 + x / 2).sum(1)
    >>> found = annealed(double_well, n_sites=1, n=200, seed=1, width=2.0)
    >>> abs(found.log_partition.deviation(9.3746)) < 4, abs(found.mean(lambda x: x[:, 0] > 0).deviation(0.8443)) < 4
    (True, True)
    """
    n, populations = checks.whole("n", n, 2), checks.whole("populations", populations, 2)
    n_sites, leapfrog = checks.whole("n_sites", n_sites, 1), checks.whole("leapfrog", leapfrog, 1)
    if not (width > 0 and 0 < overlap < 1):
        raise ValueError(f"width={width!r}, overlap={overlap!r} are not allowed: width > 0 and 0 < overlap < 1")
    generators = [torch_generator(seed, "annealed", number) for number in range(populations)]
    options = log_density, n_sites, n, width, overlap, leapfrog, resample
    x, log_weights, levels = zip(*(_population(*options, generator) for generator in generators), strict=True)
    evaluations = sum(levels) / populations * (leapfrog + 2)
    return Populations(torch.cat(x), torch.cat(log_weights), populations, evaluations)


def _population(log_density, n_sites, n, width, overlap, leapfrog, resample, generator):
    """Samples, their log weights, and the number of levels."""
    beta, length = 0.0, width / n_sites**0.25

    def prior(x):
        return -((x / width) ** 2).sum(1) / 2 - n_sites * math.log(width * math.sqrt(2 * math.pi))

    x = width * torch.randn(n, n_sites, generator=generator, dtype=torch.float64)
    log_weights = x.new_zeros(n)
    for level in range(MOST_LEVELS):
        ratio = log_density(x).detach() - prior(x)
        rise = _rise(ratio, log_weights, 1 - beta, overlap)
        log_weights, beta = log_weights + rise * ratio, min(1.0, beta + rise)
        if beta > 1 - 1e-12:
            return x, log_weights, level
        weight = log_weights.softmax(0)
        if resample and 1 / (weight**2).sum() < n / 2:
            # Systematic: one random number places all draws.
            places = (torch.arange(n) + torch.rand(1, generator=generator, dtype=torch.float64)) / n
            x = x[torch.searchsorted(weight.cumsum(0), places).clamp_max(n - 1)]
            log_weights = (log_weights.logsumexp(0) - math.log(n)).expand(n)
        x, acceptance = _move(lambda x, b=beta: (1 - b) * prior(x) + b * log_density(x), x, length, leapfrog, generator)
        length *= math.exp(acceptance - 0.8)
    raise ValueError(f"overlap={overlap!r} is not reached in {MOST_LEVELS} steps: take a smaller one, or another width")


def _rise(ratio: torch.Tensor, log_weights: torch.Tensor, most: float, overlap: float) -> float:
    """The longest rise of β, `most` at most, whose weights keep `overlap`."""
    weight, steepest = log_weights.softmax(0), ratio.max()

    def keeps(rise: float) -> bool:
        factor = (rise * (ratio - steepest)).exp()
        return bool((weight @ factor) ** 2 >= overlap * (weight @ factor**2))

    if keeps(most):
        return most
    low, high = 0.0, most
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if keeps(middle) else (low, middle)
    return low


def _move(log_density, x, length, leapfrog, generator):
    """One transition of hybrid Monte Carlo for all x, its lengths spread by half, and its acceptance."""

    def pull(x):
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            value = log_density(x)
            return value.detach(), torch.autograd.grad(value.sum(), x)[0]

    momenta = torch.randn(x.shape, generator=generator, dtype=x.dtype)
    lengths = length * (0.75 + 0.5 * torch.rand(len(x), 1, generator=generator, dtype=x.dtype))
    here, force = pull(x)
    y, p = x, momenta
    for _ in range(leapfrog):
        p = p + lengths / 2 * force
        y = y + lengths * p
        there, force = pull(y)
        p = p + lengths / 2 * force
    gain = there - here + ((momenta**2).sum(1) - (p**2).sum(1)) / 2
    accept = torch.rand(len(x), generator=generator, dtype=x.dtype).log() < gain
    return torch.where(accept[:, None], y, x), accept.double().mean().item()
