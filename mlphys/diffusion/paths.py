"""Sampling an energy without data: paths out of noise, each weighed exactly by the noise that would have led back."""

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import nn

from mlphys import checks, stats, train
from mlphys.diffusion.processes import Process
from mlphys.flows import Step
from mlphys.hamiltonians.base import Hamiltonian
from mlphys.nets.classifiers import draw_weights
from mlphys.nets.scores import Level, ScorePerceptron, zero
from mlphys.random import torch_generator

LOSSES = ("log_variance", "kl")


class Guided(nn.Module):
    """A score, and the spread of a step, by a perceptron that is told the force of a `hamiltonian` on noisy x.

    With `sitewise`, one perceptron sees each site alone, its number and its force, which knows of the others: less to learn
    for fields. The score is that of normal data of width `scale` until the force, bounded in units of the noise, takes over
    as noise goes, with a learned gate for each number; x is in units of `scale`. Weights are drawn from `seed`, the last
    ones zero. Source of the force in the network: Zhang and Chen 2022 (arXiv:2111.15141).

    >>> import mlphys as mp
    >>> guided = Guided(mp.diffusion.VariancePreserving(), mp.ManyWell(4), scale=1.7, hidden=(8,))
    >>> score, stretch = guided(torch.ones(3, 4), torch.full((1, 1), 0.5))
    >>> score.shape, stretch.abs().max().item()
    (torch.Size([3, 4]), 0.0)
    """

    BOUND = 2.0

    def __init__(
        self, process: Process, hamiltonian: Hamiltonian, scale: float = 1.0, hidden: Sequence[int] = (32, 32),
        sitewise: bool = False, seed: int = 0,
    ):  # fmt: skip
        super().__init__()
        self.process, self.hamiltonian, self.scale, self.sitewise = process, hamiltonian, float(scale), sitewise
        n_sites = hamiltonian.lattice.n_sites
        self.network, self.gate = ScorePerceptron(2 if sitewise else 2 * n_sites, hidden, seed), Level(n_sites)
        draw_weights(self.gate, seed)
        zero(self.gate.outer)

    def forward(self, x: torch.Tensor, t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        a, s = self.process.mean_factor(t), self.process.deviation(t)
        width, level = (a**2 + s**2).sqrt(), -self.process.log_snr(t) / 8
        x = x / width
        pull = s * self.scale * self.hamiltonian.force(self.scale * x)
        pull = pull / (1 + (pull / self.BOUND) ** 2).sqrt()
        # Legs: batch, site, (number, force).
        seen = torch.stack([x, pull], 2)
        told = self.network(seen.flatten(0, 1) if self.sitewise else seen.flatten(1), level).reshape(seen.shape)
        shift = told[:, :, 0] + (a**2 + self.gate(level)) * (pull + s * x)
        return -x / width + a / (width * s) * shift, told[:, :, 1]


class PathSampler(nn.Module):
    """Samples of an action by random paths of `steps` steps, whose weights are exact whatever score leads them.

    The process turns x/`scale` into noise: scale is the width of what is sampled. `score`, a network or any callable
    (x, t) -> like x, stands for the score of the noisy x/scale `(batch, n_sites)`, with t `(1, 1)`; it may give a second
    tensor, by whose exponential the spread of the next step is multiplied. A step back draws normal numbers around the mean
    that follows from the score, spread as they would be for normal data of width `scale`.

    log q is that of the path over that of the noise which leads from its end back along it. `mp.flows.importance` then gives
    log Z, means and the Kish ESS without bias from score or steps; it is no density of x alone. Raises ValueError for bad
    arguments. Sources: Zhang and Chen 2022 (arXiv:2111.15141); Vargas, Grathwohl, Doucet 2023 (arXiv:2302.13834).

    >>> import mlphys as mp
    >>> wells = mp.ManyWell(2)
    >>> sampler = PathSampler(mp.diffusion.VariancePreserving(), lambda x, t: -x, n_sites=2, scale=1.5)
    >>> found = mp.flows.importance(sampler, wells, 4000, seed=1)
    >>> abs(found.log_partition.deviation(mp.exact.thermal(wells, 1.0).log_partition)) < 4
    True
    """

    # Paths at once: the same seed gives the same samples.
    BATCH = 4096
    # The spread of a step may differ by this power of e from that for normal data.
    MOST = 2.0

    def __init__(self, process: Process, score: Callable, n_sites: int, scale: float = 1.0, steps: int = 40):
        super().__init__()
        if not scale > 0:
            raise ValueError(f"scale={scale!r} is not allowed: it must be positive")
        self.process, self.score, self.scale = process, score, float(scale)
        self.n_sites, self.steps = checks.whole("n_sites", n_sites, 1), checks.whole("steps", steps, 1)

    @property
    def origin(self) -> torch.Tensor:
        """A number of the type and on the device of the model."""
        return next(self.parameters(), torch.zeros((), dtype=torch.float64)).detach()

    def paths(self, n: int, generator: torch.Generator, through: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
        """Ends of n paths `(n, n_sites)` and their log q `(n,)`: gradients go `through` the paths, or see them fixed."""
        origin = self.origin

        def normal():
            return torch.randn(n, self.n_sites, generator=generator, dtype=origin.dtype).to(origin.device)

        times = self.process.grid(self.steps, 0.0)
        a, s = self.process.mean_factor(times), self.process.deviation(times)
        # Of each step: what it keeps of x on the way to noise, the variance it adds there, and the spread on the way back.
        ratios = a[:-1] / a[1:]
        noises = s[:-1] ** 2 - (ratios * s[1:]) ** 2
        variances = a**2 + s**2
        spreads = (noises * variances[1:] / variances[:-1]).sqrt()
        x = variances[0].sqrt().item() * normal()
        log_q = log_normal(x, variances[0].to(x)) - self.n_sites * math.log(self.scale)
        for t, ratio, noise, spread in zip(*(part.tolist() for part in (times[:-1], ratios, noises, spreads)), strict=True):
            score = self.score(x, x.new_full((1, 1), t))
            score, stretch = score if isinstance(score, tuple) else (score, torch.zeros_like(x))
            mean, deviation = (x + noise * score) / ratio, spread * (self.MOST * (stretch / self.MOST).tanh()).exp()
            y = mean + deviation * normal()
            y = y if through else y.detach()
            log_q = log_q + log_normal(y - mean, deviation**2) - self._log_noising(x - ratio * y, noise)
            x = y
        return self.scale * x, log_q

    def _log_noising(self, added: torch.Tensor, noise: float) -> torch.Tensor:
        return log_normal(added, added.new_full((1, 1), noise))

    @torch.no_grad()
    def sample(self, n: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
        """n independent configurations `(n, n_sites)` and the log q `(n,)` of their paths."""
        n, generator = checks.whole("n", n, 1), torch_generator(seed, "sample")
        parts = [self.paths(min(self.BATCH, n - first), generator) for first in range(0, n, self.BATCH)]
        x, log_q = map(torch.cat, zip(*parts, strict=True))
        return x, log_q


def log_normal(x: torch.Tensor, variance: torch.Tensor) -> torch.Tensor:
    """ln of the normal density of x `(batch, n)` around 0, `(batch,)`."""
    return -(x**2 / variance + variance.log() + math.log(2 * math.pi)).sum(1) / 2


def fit_paths(
    sampler: PathSampler, hamiltonian: Hamiltonian, steps: int, loss: str = "log_variance", batch: int = 128,
    rate: float = 3e-3, seed: int = 0, anneal: float = 0.5,
) -> Iterator[Step]:  # fmt: skip
    """Lead the paths of `sampler` to exp(−S)/Z by their weights alone; yields a `flows.Step` after each update.

    `loss`: "log_variance", the variance of the log weights over the batch, at fixed paths; or "kl", the mean of log q + S,
    with gradients through the paths, which are exact where a model knows its force in closed form. Both are lowest where
    all weights are equal, and both can forget a mode. Against that, S is mixed over the first share `anneal` of the steps
    with the action of the normal distribution of width `scale`. `rate` is the highest learning rate, which then falls to
    zero. `kish` is blind to forgotten modes. Raises ValueError for bad arguments and for models whose β is not absorbed in
    the action, and what `mlphys.train.fit` raises. Source of the first loss: Richter and Berner 2024 (arXiv:2307.01198).

    >>> import mlphys as mp
    >>> process, wells = mp.diffusion.VariancePreserving(), mp.ManyWell(2)
    >>> sampler = PathSampler(process, Guided(process, wells, 1.7, (16,), sitewise=True), 2, scale=1.7, steps=10)
    >>> gaps = [step.loss + 10.29348 for step in fit_paths(sampler, wells, steps=40, loss="kl", rate=1e-2, anneal=0.0)]
    >>> 0 < gaps[-1] < gaps[0] / 2
    True
    """
    checks.one_of("loss", loss, LOSSES)
    steps, batch = checks.whole("steps", steps, 1), checks.whole("batch", batch, 2)
    if not (rate > 0 and 0 <= anneal <= 1):
        raise ValueError(f"rate={rate!r}, anneal={anneal!r} are not allowed: rate > 0 and anneal from 0 to 1")
    if hamiltonian.temperature != 1 or hamiltonian.lattice.n_sites != sampler.n_sites:
        raise ValueError(f"hamiltonian={hamiltonian!r} is not allowed: an action of {sampler.n_sites} numbers is needed")
    return _steps(sampler, hamiltonian, steps, loss, batch, rate, seed, anneal)


def _steps(sampler, hamiltonian, steps, loss, batch, rate, seed, anneal) -> Iterator[Step]:
    step, log_weights = 0, torch.zeros(batch)

    def value(sampler, generator):
        nonlocal step, log_weights
        step += 1
        share = min(1.0, step / (anneal * steps + 1))
        x, log_q = sampler.paths(batch, generator, through=loss == "kl")
        action = share * hamiltonian.action(x) + (1 - share) * ((x / sampler.scale) ** 2).sum(1) / 2
        log_weights = -(action + log_q)
        return log_weights.var() if loss == "log_variance" else -log_weights.mean()

    def falling(step):
        return rate * min(1.0, 20 * step / steps) * math.cos(math.pi / 2 * (step - 1) / steps) ** 2

    for now in train.fit(sampler, value, lambda generator: generator, steps, seed, falling):
        yield Step(now.step, now.loss, stats.kish_ess(log_weights.detach().cpu()) / batch)
