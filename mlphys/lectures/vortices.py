"""Lecture 04, vortices: its sizes, and the live lattice at which networks look, each in its own way."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

import mlphys as mp
from mlphys.lab import (
    Choice,
    Control,
    LatticeView,
    LiveApp,
    Plot,
    Readouts,
    Simulation,
    band,
    controls,
    line,
    markers,
)
from mlphys.lectures.fields import PUBLISHED as STIFFNESS
from mlphys.lectures.fields_experiments import look_at_spins
from mlphys.lectures.sizes import choose
from mlphys.lectures.vortices_exercises import exercises
from mlphys.random import generator

if TYPE_CHECKING:
    import torch
    from pandas import DataFrame

    from mlphys.train import Step

__all__ = ["CLOCK_OF_SIX", "PUBLISHED", "T_BKT", "Lesson", "app", "exercises", "sizes"]

T_BKT = 0.8929

CLOCK_OF_SIX = {
    "Li, Pai, Gu": {"T1": (0.6901, 0.0004), "T2": (0.9127, 0.0005)},
    "Tomita, Okabe": {"T1": (0.7014, 0.0011), "T2": (0.9008, 0.0006)},
}
"""Transition temperatures in J by source, with errors: arXiv:2009.10695 and 10.1103/PhysRevB.65.184405. They disagree."""

PUBLISHED = {
    "XY": {"T_BKT": (0.89289, 0.00005)},
    "clock, 6 states": CLOCK_OF_SIX["Li, Pai, Gu"],
    "clock, 8 states": {"T1": (0.4259, 0.0004), "T2": (0.8936, 0.0007)},
}
"""Transition temperatures in J with errors, by model; XY: Komura and Okabe 2012 (arXiv:1210.6116), 8: Tomita and Okabe."""


@dataclass(frozen=True)
class Sizes:
    """How much the notebook of this lecture computes.

    `live` is the side of the app's first lattice, `lesson_*` belong to its training; `samples` (of each chain) and `steps`
    to the networks built by hand, `fooled` configurations to the tricks, `exact_*` to the exact comparisons, `near_*` to
    the helicity modulus, `block_*` and `clock_sides` to what is seen from afar, `waves` of each stiffness to spin waves.
    """

    live: int
    lesson_samples: int
    lesson_steps: int
    samples: int
    steps: int
    fooled: int
    exact_samples: int
    near_sides: tuple[int, int]
    near_samples: int
    block_sides: tuple[int, ...]
    clock_sides: tuple[int, ...]
    block_temperatures: int
    block_samples: int
    block_steps: int
    waves: int


_SIZES = {
    "ci": Sizes(16, 4, 60, 8, 80, 8, 400, (8, 16), 100, (8, 16, 32), (16, 24, 32), 5, 8, 250, 40),
    "lecture": Sizes(16, 8, 600, 30, 400, 40, 2000, (16, 32), 300, (16, 32, 48), (16, 24, 32), 7, 30, 400, 300),
    "full": Sizes(32, 20, 3000, 200, 2000, 400, 20000, (32, 64), 5000, (16, 32, 64), (16, 32, 64), 13, 200, 2000, 2000),
}
sizes = partial(choose, _SIZES)


MODELS = {"XY": None, "clock, 6 states": 6, "clock, 8 states": 8}
SHOWN = ("raw angles, perceptron", "raw angles, convolutions", "turns of bonds", "vortex map")


def model_of(name: str, side: int):
    """The model called `name` in MODELS, and the sampler that the app runs it by."""
    lattice, q = mp.square(side), MODELS[name]
    if q is None:
        return mp.XY(lattice), mp.Overrelaxation(mp.XY(lattice))
    return mp.Clock(lattice, q), mp.HeatBath(mp.Clock(lattice, q))


def vortex_pair(angles: np.ndarray) -> np.ndarray:
    """Angles (rows, columns) with a vortex and an antivortex more, half a lattice apart.

    The field of a charge on a torus, without the twist that a pair leaves behind.
    """
    rows, columns = angles.shape
    z = np.arange(columns) + 1j * np.arange(rows)[:, None]
    turned = angles + np.pi * z.imag / rows
    for charge, column in ((1, columns // 4), (-1, 3 * columns // 4)):
        for image in range(-2, 3):
            away = z - column + 0.5 + 1j * (image * rows - rows // 2 + 0.5)
            turned = turned + charge * np.angle(np.sin(np.pi * away / columns))
    return turned


TRICKS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "none": lambda angles: angles,
    "turn all spins by 180°": lambda angles: angles + np.pi,
    "twist slowly, once around": lambda angles: angles + 2 * np.pi * np.arange(angles.shape[1]) / angles.shape[1],
    "insert a vortex pair": vortex_pair,
}
"""What may be done to angles (rows, columns) before a network sees them."""


class Lesson:
    """A network that learns to tell cold from hot by what it is shown of one model.

    Arguments: name of the model, side of its lattice, what of SHOWN the network sees, and `middle`, around which 0.1 J to
    either side are left out of the training. Nothing is drawn before `learn` begins.
    """

    TEMPERATURES, CHAINS, GAP = np.linspace(0.4, 1.4, 21), 12, 0.1

    def __init__(self, name: str, side: int, shown: str, middle: float, samples: int, steps: int, seed: int = 1):
        self.name, self.side, self.shown, self.middle = name, side, shown, middle
        self.samples, self.steps, self.seed = samples, steps, seed
        self.network: Any = None
        self.stiffness: np.ndarray | None = None
        self.curve: DataFrame | None = None

    def learn(self) -> "Iterator[Step]":
        """Draw configurations, make the network and train it: yields the steps."""
        import torch

        from mlphys import nets, phases

        q = MODELS[self.name]
        model, sampler = model_of(self.name, self.side)
        each = np.repeat(self.TEMPERATURES, self.CHAINS)
        run = mp.run(
            sampler, self.samples, each, len(each), self.seed, 10, burn_in=100, observe=["helicity_modulus"], keep=True
        )
        by_chain = run["helicity_modulus"].mean(0).reshape(-1, self.CHAINS)
        self.stiffness = np.stack([by_chain.mean(1), by_chain.std(1, ddof=1) / np.sqrt(self.CHAINS)])
        # Any direction is as likely as any other, which a short run at low temperature would not show.
        random, x = generator(self.seed, "directions"), run.x.flatten(0, 1).numpy()
        if q is None:
            x = x + random.uniform(-np.pi, np.pi, (len(x), 1))
        else:
            x = 2 * np.pi / q * (x + random.integers(0, q, (len(x), 1)))
        chain = np.tile(np.arange(len(each)), self.samples)
        data = phases.Dataset(torch.from_numpy(x), np.tile(each, self.samples), chain, model.lattice, 10).map(self.see)
        train, self.test = phases.split(data, (2 / 3, 1 / 3), self.seed)
        inputs = 1 if train.x.ndim == 2 else train.x.shape[1]
        if "perceptron" in self.shown:
            self.network = nets.MultilayerPerceptron(model.lattice, (64,), inputs=inputs, seed=self.seed)
        else:
            self.network = nets.ConvolutionalNetwork(model.lattice, even=inputs == 1, inputs=inputs, seed=self.seed)
        window = (self.middle - self.GAP, self.middle + self.GAP)
        options = {"batch": 64, "rate": 5e-3, "symmetries": True, "seed": self.seed}
        yield from phases.supervised(train, self.network, window, self.steps, **options)

    def see(self, x: "torch.Tensor") -> "torch.Tensor":
        """What the network is shown of angles `(batch, n_sites)`."""
        from mlphys.phases import features

        x, lattice = x.float(), mp.square(self.side)
        if "raw angles" in self.shown:
            return features.angles(x)
        return features.turns(x, lattice) if "turns" in self.shown else features.vortices(x, lattice)

    def judge(self, angles: np.ndarray) -> float | None:
        """The probability of the cold phase for angles (rows, columns); None before there is a network for them."""
        if self.network is None or len(angles) != self.side:
            return None
        import torch

        return float(self.network.probability(self.see(torch.from_numpy(angles.reshape(1, -1)))))

    def examine(self) -> float | None:
        """Ask the network about configurations that it has not seen; the temperature where its output falls through 1/2."""
        from mlphys import phases

        self.curve = phases.curve(self.network.probability, self.test)
        mean = self.curve["value"].to_numpy()
        below = np.flatnonzero((mean[1:] < 0.5) & (mean[:-1] >= 0.5))
        if not below.size:
            return None
        k = int(below[0])
        return float(np.interp(0.5, mean[[k + 1, k]], self.TEMPERATURES[[k + 1, k]]))


READOUTS = {
    "output": "network: cold with probability",
    "abs_magnetisation": "|m| of this lattice",
    "vortices": "vortices on this lattice",
    "helicity_modulus": "stiffness Υ",
    "network": "its output is ½ at",
}


def app(size: str | None = None) -> LiveApp:
    """A live lattice, and what networks that see it each in its own way make of it, tricks included."""
    chosen = sizes(size)
    knobs = controls(
        temperature=Control(0.4, 1.4, 0.7, step=0.01, label="temperature T", unit="J", marks={T_BKT: "T_BKT"}),
        trick=Choice(list(TRICKS), label="trick"),
        shown=Choice(list(SHOWN), label="the network sees"),
        middle=Control(0.7, 1.1, 0.9, step=0.05, label="left out: ± 0.1 around", unit="J"),
        model=Choice(list(MODELS), label="model"),
        side=Choice(["16", "32"], str(chosen.live), label="lattice side L"),
    )
    view = LatticeView(rows=chosen.live, label="the lattice", marked=("vortex", "antivortex"), caption="direction", size=360)
    readouts = Readouts(*READOUTS, units={"helicity_modulus": "J"}, labels=READOUTS)
    curve = Plot(
        x="temperature T (J)",
        y="output, and Υ (J)",
        label="output against temperature",
        axes={"xaxis": {"range": [0.4, 1.4]}, "yaxis": {"range": [-0.05, 1.05]}},
    )
    grid = np.linspace(0.4, 1.4, 51)
    lesson: Lesson

    def look(live: Simulation) -> tuple[dict[str, float], None]:
        return {"helicity_modulus": look_at_spins(angles_of(live), live.beta)[0]["helicity_modulus"]}, None

    def angles_of(live: Simulation) -> np.ndarray:
        # Asked of the lattice: while a frame is being made, the control may already say another model.
        q = getattr(live.model, "q", None)
        return live.x if q is None else 2 * np.pi / q * live.x

    def tricked(live: Simulation) -> tuple[np.ndarray, np.ndarray]:
        """Angles as the network sees them, and their vortices; a clock keeps to its hours."""
        angles, q = TRICKS[knobs.trick](angles_of(live)), getattr(live.model, "q", None)
        angles = angles if q is None else 2 * np.pi / q * np.rint(q * angles / (2 * np.pi))
        return angles, look_at_spins(angles, live.beta)[1]

    def make(seed: int) -> Simulation:
        model, sampler = model_of(knobs.model, int(knobs.side))
        start = np.zeros(model.lattice.shape, float if MODELS[knobs.model] is None else np.int8)
        return Simulation(sampler, start, knobs.temperature, seed, look)

    def draw(live: Simulation) -> None:
        angles, vortices = tricked(live)
        view.show(angles, scale="wheel", marks=vortices)

    def plot(live: Simulation) -> None:
        traces = [line(grid, 2 * grid / np.pi, name="2T/π", colour=6, dash="dash")]
        for name, (value, _) in PUBLISHED.get(knobs.model, {}).items():
            traces.append(line([value, value], [0, 1], f"{name[0]}<sub>{name[1:].lstrip('_')}</sub>", 6, "dot"))
        if lesson.stiffness is not None:
            mean, error = lesson.stiffness
            traces.append(markers(lesson.TEMPERATURES, mean, error, "stiffness Υ", 2))
        if lesson.curve is not None:
            table = lesson.curve
            traces += band(table["temperature"], table["value"], table["error"], "network")
        output = lesson.judge(tricked(live)[0])
        if output is not None:
            traces.append(markers([live.temperature], [output], name="this lattice", colour=1, symbol="diamond"))
        curve.update(*traces)

    def tell(live: Simulation) -> None:
        angles, vortices = tricked(live)
        output = lesson.judge(angles)
        stiffness = live.estimate("helicity_modulus")
        known = STIFFNESS["helicity_modulus"].get(live.side) if knobs.model == "XY" and live.temperature == T_BKT else None
        readouts.update(
            output=None if output is None else f"{output:.1%}",
            abs_magnetisation=abs(np.exp(1j * angles).mean()),
            vortices=str(np.count_nonzero(vortices)),
            helicity_modulus=None if stiffness is None else (stiffness.mean, stiffness.error, *(known or ())[:1]),
        )

    def learn(_: LiveApp) -> "Iterator[Step]":
        readouts.update(network="drawing configurations …")
        return lesson.learn()

    def learnt(_: LiveApp) -> dict[str, Any]:
        if lesson.network is not None:  # else a control has just made another one
            crossing = lesson.examine()
            readouts.update(network="no temperature" if crossing is None else f"T = {crossing:.3f} J")
        return {}

    def enrol() -> None:
        nonlocal lesson
        lesson = Lesson(knobs.model, int(knobs.side), knobs.shown, knobs.middle, chosen.lesson_samples, chosen.lesson_steps)
        readouts.update(network="not trained yet")

    return LiveApp(
        "What does the network look at?",
        "Networks learn to tell cold spins from hot ones. Which of them has noticed the vortices?",
        knobs, readouts, views=[view], plots=[curve],
        make=make, draw=draw, plot=plot, tell=tell,
        turns={"temperature": Simulation.heat}, rebuilds=("model", "side"), label="the lattice",
        enrol=enrol, learn=learn, learnt=learnt, relearns=("model", "side", "shown", "middle"),
    )  # fmt: skip
