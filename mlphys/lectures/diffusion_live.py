"""What the app of lecture 09 moves: data that dissolve into noise, and noise that becomes data again, under one time."""

import copy
import math
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from mlphys.random import generator
from mlphys.threads import one_torch_thread

# mlphys.diffusion imports torch, which takes two seconds: an app that opens does not wait for it.
if TYPE_CHECKING:
    import torch

    from mlphys.diffusion import DiffusionModel, VariancePreserving
    from mlphys.train import Step

RATE, END = 10.0, 1e-4
SOLVERS = {
    "Euler–Maruyama": "euler_maruyama",
    "predictor–corrector": "predictor_corrector",
    "Euler, ħ = 0": "euler",
    "Heun, ħ = 0": "heun",
    "multistep, ħ = 0": "multistep",
}
# Evaluations of the score in a step, where it is not one.
EVALUATIONS = {"heun": 2, "predictor_corrector": 2}


def process() -> "VariancePreserving":
    """The Ornstein–Uhlenbeck process dx = −5 x dt + √10 dW: after t = 1 a factor e⁻⁵ is left of the data."""
    from mlphys.diffusion import VariancePreserving

    return VariancePreserving(RATE, RATE)


def kernel(t: Any) -> tuple[Any, Any]:
    """a and s² of that process at times t."""
    return np.exp(-RATE * np.asarray(t) / 2), -np.expm1(-RATE * np.asarray(t))


class World:
    """Data of which everything is known. What is drawn is one coordinate q of x, whose density is a sum of normal curves.

    `weights`, `centres` `(k,)` and `variance` are those of q for the data; `unit` is the variance of q where x is white
    noise; `n` numbers make an x; `axis` and `reach` say how q is drawn.
    """

    n, unit, variance, reach, axis = 1, 1.0, 0.0, 1.0, "x"
    weights: np.ndarray
    centres: np.ndarray

    def density(self, q: np.ndarray, t: Any) -> np.ndarray:
        """p_t(q), `(*t, *q)`."""
        a, s2 = (part[..., None, None] for part in map(np.asarray, kernel(t)))
        variance = a**2 * self.variance + s2 * self.unit
        curves = np.exp(-((q[:, None] - a * self.centres) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)
        return curves @ self.weights

    def square(self, t: Any) -> Any:
        """⟨q²⟩ at times t."""
        a, s2 = kernel(t)
        return a**2 * self.eigenvalue * self.unit + s2 * self.unit

    @property
    def eigenvalue(self) -> float:
        """⟨q²⟩ of the data in units of that of white noise: Λ of the direction q."""
        return float(self.weights @ (self.centres**2 + self.variance)) / self.unit

    @property
    def speciation(self) -> float:
        """√t at the age ½ ln Λ."""
        return math.sqrt(math.log(self.eigenvalue) / RATE)

    def right(self, t: float) -> float:
        """The probability that q > 0 at time t."""
        a, s2 = kernel(t)
        z = a * self.centres / np.sqrt(2 * (a**2 * self.variance + s2 * self.unit))
        return float(self.weights @ [0.5 + 0.5 * math.erf(value) for value in z])

    def coordinate(self, x: np.ndarray) -> np.ndarray:
        """q `(…,)` of x `(…, n)`."""
        return x[..., 0]

    def draw(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Data `(count, n)`."""
        raise NotImplementedError

    def score(self) -> Any:
        """Their score (x, t) under `process`."""
        raise NotImplementedError


class Wells(World):
    """One number that is near −1.5, or, more often, near 1.5."""

    variance, reach = 0.06, 3.4
    weights, centres = np.array([0.35, 0.65]), np.array([-1.5, 1.5])

    def draw(self, count, rng):
        return rng.choice(self.centres, (count, 1), p=self.weights) + math.sqrt(self.variance) * rng.normal(size=(count, 1))

    def score(self):
        from mlphys.diffusion import GaussianMixture

        return GaussianMixture(process(), self.weights, self.centres[:, None], [self.variance] * 2)


class Ring(World):
    """Eight normal modes on a circle in the plane."""

    n, reach, axis = 2, 3.2, "x₁"
    angles = 2 * np.pi * (np.arange(8) + 0.5) / 8
    means = 2 * np.stack([np.cos(angles), np.sin(angles)], 1)
    weights, centres = np.full(8, 1 / 8), means[:, 0]

    def __init__(self, variance: float = 0.04):
        self.variance = variance

    def draw(self, count, rng):
        return self.means[rng.integers(8, size=count)] + math.sqrt(self.variance) * rng.normal(size=(count, 2))

    def score(self):
        from mlphys.diffusion import GaussianMixture

        return GaussianMixture(process(), self.weights, self.means, [self.variance] * 8)

    def plane(self, side: int, t: float) -> np.ndarray:
        """p_t(x) on a grid of the plane, rows from top to bottom, `(side, side)`."""
        a, s2 = kernel(t)
        axis = np.linspace(-self.reach, self.reach, side)
        along, across = (
            np.exp(-((axis[:, None] - a * self.means[:, k]) ** 2) / (2 * (a**2 * self.variance + s2))) for k in (0, 1)
        )
        return across[::-1] @ along.T


class Magnet(World):
    """Spins ±1 that all couple to each other, below their transition; q is their mean."""

    n, temperature, reach, axis = 32, 0.8, 45 / 32, "mean of the spins m"

    def __init__(self) -> None:
        up = np.arange(self.n + 1)
        self.centres, self.unit = 2 * up / self.n - 1, 1 / self.n
        log_ways = [math.lgamma(self.n + 1) - math.lgamma(k + 1) - math.lgamma(self.n - k + 1) for k in up]
        weights = np.exp(log_ways + self.n * self.centres**2 / (2 * self.temperature))
        self.weights = weights / weights.sum()

    def draw(self, count, rng):
        up = rng.choice(self.n + 1, count, p=self.weights)
        return rng.permuted(np.where(np.arange(self.n) < up[:, None], 1.0, -1.0), axis=1)

    def coordinate(self, x):
        return x.mean(-1)

    def score(self):
        from mlphys.diffusion import CurieWeiss

        return CurieWeiss(process(), self.n, self.temperature)


WORLDS: dict[str, World] = {"two wells": Wells(), "ring of modes": Ring(), "Curie–Weiss": Magnet()}


def trajectories(model: "DiffusionModel", n: int, seed: int = 0, **options: Any) -> tuple[np.ndarray, np.ndarray]:
    """Times `(steps + 1,)`, and where n samples are before each step and after the last, `(steps + 1, n, *shape)`.

    The options are those of `DiffusionModel.sample`.
    """
    from mlphys.diffusion import DiffusionModel

    seen: list[tuple[float, torch.Tensor]] = []

    def watched(x, t):
        seen.append((t.flatten()[0].item(), x))
        return model.score(x, t)

    watching = DiffusionModel(model.process, watched, model.shape, end=model.end)
    with one_torch_thread():
        last, _ = watching.sample(n, seed, probes=0, **options)
    times, path = zip(*seen[:: EVALUATIONS.get(options.get("method", "heun"), 1)], (model.end, last), strict=True)
    return np.array(times), np.stack([x.numpy() for x in path])


class Pupil:
    """A small network that learns the score of a world, and a copy of it that is used: as it was when last shown.

    `seconds` are those of its training.
    """

    JUDGED = 2000

    def __init__(self, world: World):
        self.world, self.seconds = world, 0.0
        self._shown: Any = None

    @cached_property
    def _network(self) -> Any:
        from mlphys import nets
        from mlphys.diffusion import Preconditioned

        network = nets.ScorePerceptron(self.world.n, hidden=(96, 96), seed=1)
        return Preconditioned(process(), network, math.sqrt(max(0.1, self._data(4000).var())))

    def _data(self, count: int) -> np.ndarray:
        return self.world.draw(count, generator(1, "data"))

    @property
    def shown(self) -> Any:
        """The score (x, t) as it was learnt so far."""
        if self._shown is None:
            self.show()
        return self._shown

    def show(self) -> None:
        """From now on, use what has been learnt so far."""
        # In double precision, as the exact scores are.
        self._shown = copy.deepcopy(self._network).double().requires_grad_(False)

    def learn(self, steps: int) -> "Iterator[Step]":
        """Train anew: yields the steps."""
        import torch

        from mlphys.diffusion import DiffusionModel, fit

        vars(self).pop("_network", None)
        model = DiffusionModel(process(), self._network, self.world.n, end=1e-3)
        data, self.seconds = torch.from_numpy(self._data(20_000)).float(), 0.0
        began = time.perf_counter()
        for step in fit(model, data, steps, seed=1, batch=512, rate=lambda step: 8e-3 * (1 - step / (steps + 1))):
            self.seconds += time.perf_counter() - began
            yield step
            began = time.perf_counter()

    @cached_property
    def _judges(self) -> Any:
        """Noisy data, their times, and s and the exact score there."""
        import torch

        from mlphys.random import torch_generator

        t = process().time(torch.linspace(-9, 7, self.JUDGED, dtype=torch.float64))[:, None]
        x = torch.from_numpy(self._data(self.JUDGED))
        noise = torch.randn(x.shape, generator=torch_generator(1, "judge"), dtype=torch.float64)
        x = process().perturb(x, t, noise)
        return x, t, process().deviation(t), self.world.score()(x, t)

    def distance(self) -> tuple[float, float]:
        """⟨s² |score − exact|²⟩ for each number, over all levels of noise alike, with its error."""
        squares = self.by_level()[1]
        return float(squares.mean()), float(squares.std()) / math.sqrt(len(squares))

    def by_level(self) -> tuple[np.ndarray, np.ndarray]:
        """s² |score − exact|² for noisy data, one each from the largest noise to the smallest, and their s."""
        x, t, s, exact = self._judges
        with one_torch_thread():
            return s[:, 0].numpy(), ((s * (self.shown(x, t) - exact)) ** 2).mean(1).numpy()


class Film:
    """Particles that go from data (time 0) to noise (1), and others that come back from noise to data (2).

    `score` (x, t) is asked for when the way back begins. Whatever is measured adds up over the films shown.
    """

    COLUMNS = 100

    def __init__(
        self, world: World, solver: str, steps: int, noise: float, wrong: float, score: Callable[[], Any], seed: int
    ):  # fmt: skip
        self.world, self.solver, self.steps, self.noise, self.wrong = world, SOLVERS[solver], steps, noise, wrong
        self._score, self.seed, self.reel, self.column = score, seed, 0, 0
        self.ends: list[np.ndarray] = []
        self.batch = 1000 if world.n <= 2 else 100
        self._begin()

    def _begin(self) -> None:
        """Another film, from other data."""
        self.reel += 1
        rng, clock = generator(self.seed, "film", self.reel), self.clock[: self.COLUMNS + 1]
        x = self.world.draw(self.batch, rng)
        a, s2 = kernel(clock**2)
        out = [x]
        for j in range(self.COLUMNS):
            ratio = a[j + 1] / a[j]
            out.append(ratio * out[-1] + math.sqrt(s2[j + 1] - ratio**2 * s2[j]) * rng.normal(size=x.shape))
        self.there = np.stack(out)
        self.q_there = self.world.coordinate(self.there)
        self._turn_back()

    def _turn_back(self) -> None:
        """Begin the way back anew."""
        self.counted = False
        for name in ("back", "q_back"):
            vars(self).pop(name, None)

    @property
    def clock(self) -> np.ndarray:
        """√t of every column: up to 1 and down again. Steps, but for multistep, are equidistant in it."""
        rise = np.arange(self.COLUMNS + 1) / self.COLUMNS
        return np.concatenate([rise, rise[-2::-1]])

    @property
    def time(self) -> float:
        return self.column / self.COLUMNS

    @property
    def t(self) -> float:
        """Time of the process now, at least that at which the way back ends."""
        return max(float(self.clock[self.column]) ** 2, END)

    def score(self, x: Any, t: Any) -> Any:
        """The score that leads back, wrong by the factor that was asked for."""
        return (1 + self.wrong) * self._score()(x, t)

    @cached_property
    def back(self) -> np.ndarray:
        """The way back at the columns from noise to data, `(COLUMNS + 1, batch, n)`: straight between steps."""
        from mlphys.diffusion import DiffusionModel

        model = DiffusionModel(process(), self.score, self.world.n, end=END)
        options = {"method": self.solver, "steps": self.steps, "noise": self.noise}
        times, path = trajectories(model, self.batch, seed=1000 * self.seed + self.reel, **options)
        at = np.interp(-self.clock[self.COLUMNS :], -np.sqrt(times), np.arange(len(times)))
        low = np.minimum(at.astype(int), len(times) - 2)
        share = (at - low)[:, None, None]
        return (1 - share) * path[low] + share * path[low + 1]

    @cached_property
    def q_back(self) -> np.ndarray:
        """The coordinate on the way back."""
        return self.world.coordinate(self.back)

    def path(self, count: int | None = None) -> np.ndarray:
        """The coordinate of all particles, or of the first few, at all columns until now, `(columns, particles)`."""
        there, late = self.q_there[: self.column + 1, :count], self.column - self.COLUMNS
        return there if late <= 0 else np.concatenate([there, self.q_back[1 : late + 1, :count]])

    @property
    def x(self) -> np.ndarray:
        """Where the particles are now, `(batch, n)`."""
        late = self.column - self.COLUMNS
        return self.back[late] if late > 0 else self.there[self.column]

    def advance(self, _: int = 1) -> None:
        """One column on; after the last, another film."""
        if self.column == 2 * self.COLUMNS:
            self._begin()
            self.column = 0
        else:
            self.seek((self.column + 1) / self.COLUMNS)

    def seek(self, time: float) -> None:
        """Go to a time from 0 to 2."""
        self.column = round(time * self.COLUMNS)
        if self.column == 2 * self.COLUMNS and not self.counted:
            self.ends.append(self.q_back[-1])
            self.counted = True

    def forget(self) -> None:
        """The score has changed: drop the way back, and what was measured with another one."""
        self.ends.clear()
        self._turn_back()
        self.seek(self.time)

    @property
    def evaluations(self) -> int:
        """Of the score, for each sample."""
        return self.steps * EVALUATIONS.get(self.solver, 1)

    def measured(self) -> dict[str, tuple[float, float, float]]:
        """⟨q²⟩ and the share with q > 0 of all samples so far: value, error, exact."""
        if not self.ends:
            return {}
        q = np.concatenate(self.ends)
        values = {"square": (q**2, self.world.square(END)), "right": (q > 0, self.world.right(END))}
        return {
            name: (float(value.mean()), float(value.std()) / math.sqrt(len(q)), float(exact))
            for name, (value, exact) in values.items()
        }
