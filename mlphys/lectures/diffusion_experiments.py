"""What the notebook of lecture 09 measures: healing, weights of paths, orders of solvers, speciation and collapse."""

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import torch

import mlphys as mp
from mlphys.diffusion import CurieWeiss, DiffusionModel, Gaussian, GaussianMixture
from mlphys.hamiltonians.fields import RealField
from mlphys.lectures.diffusion_live import RATE, World, kernel, process, trajectories
from mlphys.random import torch_generator
from mlphys.stats import Estimate
from mlphys.threads import one_torch_thread

HEALED = {(0.1, 0.0): 0.36788, (0.1, 1.0): 0.83333, (-0.1, 0.0): 2.71828, (-0.1, 1.0): 1.24992}
"""⟨x²⟩ of samples for N(0, 1) data when the score is too large by a factor 1 + ε, by (ε, ħ), from an independent program."""


def mean(values: Any) -> Estimate:
    """The mean of independent values, with its error."""
    values = np.asarray(values, float)
    return Estimate(float(values.mean()), float(values.std(ddof=1)) / math.sqrt(len(values)), 0.5, len(values))


def descend(model: DiffusionModel, x: torch.Tensor, times: Sequence[float], noise: float, seed: int) -> torch.Tensor:
    """x `(batch, n)` carried from the first time down to the last by Euler and Maruyama's steps."""
    generator = torch_generator(seed, "descent")
    with one_torch_thread(), torch.no_grad():
        for t, until in pairwise(times):
            g = model.process.diffusion(torch.tensor(t)).item()
            normal = torch.randn(x.shape, generator=generator, dtype=x.dtype)
            x = x + (until - t) * model.reverse_drift(x, t, noise) + g * math.sqrt(noise * (t - until)) * normal
    return x


# A wrong score


def healed(epsilon: float, noise: Any) -> Any:
    """Exact ⟨x²⟩ of samples for N(0, 1) data with the score −(1 + ε) x after B = 10: h/k + (1 − h/k) e^(−kB).

    >>> print(f"{healed(0.1, 1.0):.5f}")
    0.83333
    """
    k = noise + epsilon * (1 + noise)
    return noise / k + (1 - noise / k) * np.exp(-RATE * k)


def wrong(epsilon: float, begin: float = 1.0, end: float = 0.0) -> DiffusionModel:
    """N(0, 1) data with a score that is too large by a factor 1 + ε, at times from `begin` down to `end`."""
    return DiffusionModel(process(), lambda x, t: -(1 + epsilon * ((t <= begin) & (t > end))) * x, 1, end=0.0)


def healing(samples: int, steps: int, noises: Iterable[float] = (0.0, 1.0), seed: int = 1) -> pd.DataFrame:
    """⟨x²⟩ of samples that a wrong score makes, by ε and ħ, beside its exact value."""
    rows = []
    for epsilon in (0.1, -0.1):
        for noise in noises:
            with one_torch_thread():
                x, _ = wrong(epsilon).sample(samples, seed, "euler_maruyama", steps, noise)
            found = mean(x[:, 0] ** 2)
            rows.append((epsilon, noise, found.mean, found.error, healed(epsilon, noise)))
    return pd.DataFrame(rows, columns=["epsilon", "noise", "square", "square_error", "exact"])


def early_and_late(samples: int, steps: int, epsilon: float = 0.1, part: float = 0.3, seed: int = 1) -> pd.DataFrame:
    """⟨x²⟩ of samples when the score is wrong at times above `part` alone, early on the way back, or below alone."""
    rows = []
    for noise in (0.0, 1.0):
        k = noise + epsilon * (1 + noise)
        late = noise / k + (1 - noise / k) * math.exp(-RATE * part * k)
        before = noise / k + (1 - noise / k) * math.exp(-RATE * (1 - part) * k)
        early = 1 + (before - 1) * math.exp(-RATE * part * noise)
        for when, exact, span in (("early", early, (1.0, part)), ("late", late, (part, 0.0))):
            with one_torch_thread():
                x, _ = wrong(epsilon, *span).sample(samples, seed, "euler_maruyama", steps, noise)
            found = mean(x[:, 0] ** 2)
            rows.append((when, noise, found.mean, found.error, exact))
    return pd.DataFrame(rows, columns=["wrong", "noise", "square", "square_error", "exact"])


def divergences(epsilon: float, noise: Any) -> tuple[Any, Any]:
    """KL divergences of N(0, 1) data from what a wrong score makes: of the samples, and of the whole paths."""
    v = healed(epsilon, noise)
    return (1 / v - 1 + np.log(v)) / 2, (1 + noise) ** 2 * epsilon**2 * RATE / (8 * noise)


def action(model: DiffusionModel, path: torch.Tensor, times: Sequence[float], noise: float) -> torch.Tensor:
    """Onsager and Machlup's A `(batch,)` of paths `(steps + 1, batch, n)`: their weight is exp(−A/ħ) times a constant."""
    total = path.new_zeros(path.shape[1])
    for k, (t, until) in enumerate(pairwise(times)):
        off = path[k + 1] - path[k] - (until - t) * model.reverse_drift(path[k], t, noise)
        total += (off**2).sum(1) / (2 * model.process.diffusion(torch.tensor(t)).item() ** 2 * (t - until))
    return total


def weighed_paths(made: float, other: float, noise: float, samples: int, steps: int, seed: int = 1) -> pd.DataFrame:
    """Paths of the score that is wrong by `made`, one a row: x where they end, and ln P_made[path] − ln P_other[path]."""
    model = wrong(made)
    times, states = trajectories(model, samples, seed, method="euler_maruyama", steps=steps, noise=noise)
    path = torch.from_numpy(states)
    with one_torch_thread():
        actions = [action(drifting, path, times.tolist(), noise) for drifting in (wrong(other), model)]
    return pd.DataFrame({"x": path[-1, :, 0].numpy(), "log_ratio": ((actions[0] - actions[1]) / noise).numpy()})


# Orders


def orders(steps: Iterable[int], samples: int = 200, seed: int = 1) -> pd.DataFrame:
    """Largest errors of samples, and of their log q, against the exact probability flow of N(0.5, 0.25) data."""
    end, mu, variance = 1e-3, 0.5, 0.25
    model = DiffusionModel(process(), Gaussian(process(), [mu], [[variance]]), 1, end=end)
    z = torch.randn(samples, 1, dtype=torch.float64, generator=torch_generator(seed, "sample")).numpy()
    (a, s2), (a_end, s2_end) = kernel(1.0), kernel(end)
    stretch = math.sqrt((a_end**2 * variance + s2_end) / (a**2 * variance + s2))
    exact = a_end * mu + stretch * (math.sqrt(s2) * z - a * mu)
    log_exact = -(z[:, 0] ** 2) / 2 - math.log(stretch * math.sqrt(2 * math.pi * s2))
    rows = []
    for number in steps:
        row: dict[str, float] = {"steps": number}
        for method in ("euler", "heun", "multistep"):
            with one_torch_thread():
                x, log_q = model.sample(samples, seed, method, number)
            row[method] = np.abs(x.numpy() - exact).max()
            if log_q is not None:
                row[f"{method}_density"] = np.abs(log_q.numpy() - log_exact).max()
        rows.append(row)
    return pd.DataFrame(rows)


def slope(x: Any, y: Any) -> float:
    """The power of 1/x that y falls by, from its last two points."""
    x, y = np.log(np.asarray(x, float)[-2:]), np.log(np.asarray(y, float)[-2:])
    return float((y[0] - y[1]) / (x[1] - x[0]))


def weak_errors(steps: Iterable[int], samples: int) -> pd.DataFrame:
    """By how much Euler and Maruyama's steps miss ⟨x²⟩ of N(0, 0.25) data, with independent numbers for each."""
    from mlphys.diffusion import VariancePreserving

    slow = VariancePreserving(4, 4)
    model = DiffusionModel(slow, Gaussian(slow, [0.0], [[0.25]]), 1, end=0.0)
    rows = []
    for number in steps:
        with one_torch_thread():
            x, _ = model.sample(samples, number, "euler_maruyama", number)
        found = mean(x[:, 0] ** 2)
        rows.append((number, abs(found.mean - 0.25), found.error))
    return pd.DataFrame(rows, columns=["steps", "bias", "error"])


# Symmetry breaking in time


def at_age(age: float) -> float:
    """The time of the process at an age."""
    return 2 * age / RATE


def pair(n: int, variance: float = 0.2) -> GaussianMixture:
    """Two classes (1, 1, …) and (−1, −1, …) in n dimensions, each with normal deviations."""
    return GaussianMixture(process(), [0.5, 0.5], np.outer([1, -1], np.ones(n)), [variance] * 2)


def age_of_change(function: Callable[[float], float], low: float, high: float) -> float:
    """The age at which a function that is positive above changes its sign."""
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (low, middle) if function(middle) > 0 else (middle, high)
    return low


def speciation(score: GaussianMixture | CurieWeiss, n: int) -> float:
    """The age at which the density halfway between the classes (1, 1, …) and (−1, −1, …) turns from a peak to a saddle."""
    step = 1e-3

    def curvature(age: float) -> float:
        x = torch.full((1, n), step, dtype=torch.float64)
        return -score(x, torch.tensor(at_age(age), dtype=torch.float64)).mean().item() / step

    with one_torch_thread():
        return age_of_change(curvature, 0.3, 5.0)


def speciation_times(sides: Iterable[int], temperature: float = 0.8) -> pd.DataFrame:
    """½ ln Λ beside the age found from the score, for two normal classes and for the Curie–Weiss magnet."""
    rows = []
    for n in sides:
        magnet = CurieWeiss(process(), n, temperature)
        known: list[tuple[str, float, Any]] = [("two classes", n + 0.2, pair(n))]
        for name, eigenvalue, score in [*known, ("Curie–Weiss", magnet.covariance_eigenvalue, magnet)]:
            predicted, found = mp.diffusion.speciation_time(eigenvalue), speciation(score, n)
            rows.append((name, n, eigenvalue, predicted, found, found / predicted))
    return pd.DataFrame(rows, columns=["data", "n", "eigenvalue", "½ ln Λ", "measured", "ratio"])


class Pair(World):
    """The coordinate across the two classes of `pair(n)`."""

    def __init__(self, n: int, variance: float = 0.2):
        self.n, self.variance = n, variance
        self.weights, self.centres = np.array([0.5, 0.5]), math.sqrt(n) * np.array([1.0, -1.0])

    def agreement(self, age: float) -> float:
        """The probability that two ways back which part at this age end in one class: ⟨p₊² + p₋²⟩ of the class given x."""
        a, s2 = kernel(at_age(age))
        width, middle = math.sqrt(a**2 * self.variance + s2), a * self.centres[0]
        q = np.linspace(-middle - 10 * width, middle + 10 * width, 4001)
        likely = (1 + np.tanh(middle * q / width**2)) / 2
        return float(np.trapezoid(self.density(q, at_age(age)) * (likely**2 + (1 - likely) ** 2), q))


def clones(n: int, ages: Iterable[float], count: int, steps: int = 60, seed: int = 1) -> pd.DataFrame:
    """How often two ways back that part at an age end in the same class of `pair(n)`, with the exact probability."""
    data, rows = pair(n), []
    model = DiffusionModel(process(), data, n, end=1e-3)
    for k, age in enumerate(ages):
        t = at_age(age)
        noise = torch.randn(count, n, generator=torch_generator(seed, "clones", k), dtype=torch.float64)
        x = process().perturb(data.sample(count, seed + k), torch.tensor(t), noise)
        times = (torch.linspace(t**0.5, model.end**0.5, steps + 1, dtype=torch.float64) ** 2).tolist()
        ends = [descend(model, x, times, 1.0, 2 * (seed + k) + copy).sum(1) > 0 for copy in (0, 1)]
        found = mean((ends[0] == ends[1]).double())
        rows.append((age, found.mean, found.error, Pair(n).agreement(age)))
    return pd.DataFrame(rows, columns=["age", "same", "same_error", "exact"])


# Collapse


def collapse(samples: int, dimension: int, count: int, seed: int = 1) -> Estimate:
    """The age at which noisy N(0, 1) data carry ln(samples) of information about what they were, measured on so many."""
    cloud = Gaussian(process(), np.zeros(dimension), np.eye(dimension))
    data = cloud.sample(count, seed)
    noise = torch.randn(data.shape, dtype=torch.float64, generator=torch_generator(seed, "collapse"))

    def missing(age: float) -> Estimate:
        t = torch.tensor(at_age(age), dtype=torch.float64)
        known = -(noise**2).sum(1) / 2 - dimension * (process().deviation(t).log() + math.log(2 * math.pi) / 2)
        return mean(math.log(samples) - (known - cloud.log_prob(process().perturb(data, t, noise), t)))

    with one_torch_thread():
        age = age_of_change(lambda age: missing(age).mean, 0.01, 3.0)
        rise = (missing(1.01 * age).mean - missing(0.99 * age).mean) / (0.02 * age)
        return Estimate(age, missing(age).error / rise, 0.5, count)


def memory(samples: int, dimension: int, ages: Iterable[float], count: int = 300, seed: int = 1) -> pd.DataFrame:
    """How much of the score of `samples` data one of them alone makes, where noisy data are; by age."""
    data = Gaussian(process(), np.zeros(dimension), np.eye(dimension)).sample(samples, seed)
    remembered, rows = GaussianMixture(process(), np.ones(samples), data, np.zeros(samples)), []
    origin = data[torch.arange(count) % samples]
    for k, age in enumerate(ages):
        t = torch.tensor(at_age(age), dtype=torch.float64)
        noise = torch.randn(count, dimension, dtype=torch.float64, generator=torch_generator(seed, "memory", k))
        with one_torch_thread():
            found = mean(remembered.membership(process().perturb(origin, t, noise), t).amax(1))
        rows.append((age, found.mean, found.error))
    return pd.DataFrame(rows, columns=["age", "share", "share_error"])


def returned(samples: int, dimension: int, count: int, steps: int = 60, seed: int = 1) -> tuple[Estimate, Estimate]:
    """Distances to the nearest datum: of what the exact score of the data makes, and of new data; per √dimension."""
    cloud = Gaussian(process(), np.zeros(dimension), np.eye(dimension))
    data, fresh = cloud.sample(samples, seed), cloud.sample(count, seed + 1)
    memory = GaussianMixture(process(), np.ones(samples), data, np.zeros(samples))
    with one_torch_thread():
        made, _ = DiffusionModel(process(), memory, dimension, end=1e-4).sample(count, seed, "heun", steps, probes=0)
        near, far = (mean(torch.cdist(x, data).amin(1) / math.sqrt(dimension)) for x in (made, fresh))
    return near, far


# Against chains


class Known(RealField):
    """The action −ln p of data whose density is known, so that every sampler of chains works on them."""

    def __init__(self, data: GaussianMixture):
        self.data, self.lattice = data, mp.chain(data.means.shape[1])
        self.observables = {
            "energy": lambda x: self.energy(x) / self.lattice.n_sites,
            "x": lambda x: self.check_x(x)[:, 0],
            "square": lambda x: (self.check_x(x) ** 2).mean(1),
        }

    def energy(self, x):
        return -self.data.log_prob(self.check_x(x))

    def force(self, x):
        return self.data(self.check_x(x), 0.0)


def with_noises(score: Callable, data: GaussianMixture, noises: Iterable[float], samples: int, steps: int) -> pd.DataFrame:
    """What a score makes at each ħ: ⟨−ln p⟩ of the samples under the exact p of `data`, by Euler and Maruyama's steps."""
    model, rows = DiffusionModel(process(), score, data.means.shape[1], end=1e-3), []
    for noise in noises:
        with one_torch_thread():
            x, _ = model.sample(samples, 1, "euler_maruyama", steps, noise)
            found = mean(-data.log_prob(x))
        rows.append((noise, found.mean, found.error))
    return pd.DataFrame(rows, columns=["noise", "energy", "energy_error"])


def worth(error: float, variance: float, populations: int) -> Estimate:
    """How many independent samples of that variance have the error that the scatter of so many populations gave."""
    number = variance / error**2
    return Estimate(number, number * math.sqrt(2 / (populations - 1)))
