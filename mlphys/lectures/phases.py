"""Lecture 03, phases: its sizes, and the live lattice on which a network learns to see the transition."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

import mlphys as mp
from mlphys.exact import SQUARE_CRITICAL_TEMPERATURE, potts_transition
from mlphys.lab import (
    Choice,
    Control,
    LatticeView,
    LiveApp,
    Plot,
    Readouts,
    Simulation,
    Switch,
    band,
    controls,
    line,
    markers,
    theme,
    with_errors,
)
from mlphys.lectures.phases_exercises import exercises
from mlphys.lectures.sizes import choose
from mlphys.random import generator

if TYPE_CHECKING:
    import torch

    from mlphys.stats import Estimate
    from mlphys.train import Step

__all__ = ["CRITICAL_TEMPERATURE", "MODELS", "Lesson", "app", "exercises", "sizes", "with_errors"]

CRITICAL_TEMPERATURE = float(SQUARE_CRITICAL_TEMPERATURE)


@dataclass(frozen=True)
class Sizes:
    """How much the notebook of this lecture computes.

    `lesson_*` belong to the training in the app (samples are of each chain), `side`, `samples` and `steps` to what is built
    by hand, `block_*` and `potts_*` to critical temperatures, `first_order_*` to distributions of outputs,
    `own_sides` to networks for each size, `accuracy_*`, `methods_*` and `percolation_*` to the tables of these names.
    """

    lesson_samples: int
    lesson_steps: int
    side: int
    samples: int
    steps: int
    block_sides: tuple[int, ...]
    block_samples: int
    block_steps: int
    potts_sides: tuple[int, ...]
    potts_samples: int
    first_order_sides: tuple[int, ...]
    first_order_samples: int
    own_sides: tuple[int, ...]
    accuracy_sides: tuple[int, ...]
    accuracy_samples: int
    accuracy_chains: int
    accuracy_steps: int
    methods_side: int
    methods_samples: int
    methods_steps: int
    percolation_sides: tuple[int, ...]
    percolation_samples: int
    percolation_steps: int


_SIZES = {
    "ci": Sizes(
        4, 60, 16, 10, 200, (20, 36), 20, 300, (12, 20), 10, (12,), 100, (10, 20), (10, 20), 10, 10, 150, 10, 10,
        60, (32,), 10, 100,
    ),
    "lecture": Sizes(
        20, 3000, 20, 30, 600, (20, 36, 60), 45, 800, (12, 20, 36), 80, (12, 20), 400, (10, 20, 40),
        (10, 20, 30, 40), 20, 16, 500, 16, 16, 400, (32, 64), 40, 300,
    ),
    "full": Sizes(
        40, 20000, 40, 200, 3000, (20, 36, 60), 300, 1500, (20, 36, 60), 400, (12, 20, 28), 4000, (10, 20, 40),
        (10, 20, 30, 40), 200, 40, 3000, 24, 100, 3000, (32, 64), 400, 3000,
    ),
}
sizes = partial(choose, _SIZES)


@dataclass(frozen=True)
class Magnet:
    """A model of `states` values a site, its exact critical temperature in J, and the sampler that soonest forgets."""

    make: Callable[[Any], Any]
    states: int
    critical: float
    sampler: Callable[[Any], Any]


MODELS: Mapping[str, Magnet] = {
    "Ising": Magnet(mp.Ising, 2, CRITICAL_TEMPERATURE, mp.SwendsenWang),
    "Potts, q = 3": Magnet(partial(mp.Potts, q=3), 3, potts_transition(3).temperature, mp.Wolff),
    # A cluster that draws one of ten colours mostly keeps out of the others: a local update forgets sooner.
    "Potts, q = 10": Magnet(partial(mp.Potts, q=10), 10, potts_transition(10).temperature, mp.HeatBath),
}
NETWORKS = ("logistic regression", "perceptron", "convolutions")
JUDGES = {"network": "the network", "cut": "a cut in |m|", "optimum": "the optimum"}
COLOURS = (*theme.CATEGORIES, "#8A8F98", "#7A4A2B")


class Lesson:
    """A network that learns to tell cold configurations from hot ones, and the two rules that it has to be compared with.

    Arguments: name of the model, side of its lattice, name of the network; the boundary between cold and hot, and the
    distance from it up to which temperatures are left out of the training, both in units of T_c; shuffled, whether the
    labels are drawn by lot; samples of each chain; steps. Nothing is drawn before `learn` begins.
    """

    RATIOS = np.array([0.75, 0.8, 0.85, 0.9, 0.93, 0.95, 1.05, 1.07, 1.1, 1.15, 1.2, 1.25])
    CHAINS, SHARES = 8, (0.5, 0.5)

    def __init__(
        self, name: str, side: int, network: str, boundary: float, window: float, shuffled: bool, samples: int, steps: int,
        seed: int = 1,
    ):
        self.magnet, self.side, self.name = MODELS[name], side, network
        self.guess = boundary * self.magnet.critical
        self.exclude = self.guess - window * self.magnet.critical, self.guess + window * self.magnet.critical
        self.shuffled, self.samples, self.steps, self.seed = shuffled, samples, steps, seed
        self.judges: dict[str, Callable] = {}
        self.curves: dict[str, Any] = {}

    def learn(self) -> "Iterator[Step]":
        """Draw configurations, find the two rules, make the network and train it: yields the steps."""
        from mlphys import phases

        model = self.magnet.make(mp.square(self.side))
        data = phases.sample(
            self.magnet.sampler(model),
            (self.RATIOS * self.magnet.critical).tolist(),
            self.samples,
            self.CHAINS,
            self.seed,
            correlation=0.1,
            pilot=700,
            observables=("energy",),
        )
        train, self.test = phases.split(data.map(self._recoloured), self.SHARES, self.seed)
        network = self._network(model.lattice)
        cut = phases.threshold(train, model.observables["abs_magnetisation"], [self.guess])
        optimum = phases.optimal(train, model.energy, [self.guess])
        self.judges = {"network": lambda x: network.probability(self._see(x)), "cut": cut, "optimum": optimum}
        self.curves = {name: phases.curve(self.judges[name], self.test) for name in ("cut", "optimum")}
        if self.shuffled:
            lots = generator(self.seed, "labels").permutation(len(train))
            train = replace(train, temperature=train.temperature[lots])
        yield from phases.supervised(train.map(self._see), network, self.exclude, self.steps, seed=self.seed)

    def _network(self, lattice):
        from mlphys import nets

        inputs = self.magnet.states if self.magnet.states > 2 else 1
        if self.name == "logistic regression":
            return nets.LogisticRegression(lattice, inputs=inputs, seed=self.seed)
        if self.name == "perceptron":
            return nets.MultilayerPerceptron(lattice, (32,), inputs=inputs, seed=self.seed)
        return nets.ConvolutionalNetwork(lattice, even=inputs == 1, inputs=inputs, seed=self.seed)

    def _recoloured(self, x: "torch.Tensor") -> "torch.Tensor":
        """Any colour is as likely as any other, which short runs at low temperature would not show."""
        import torch

        shift = torch.from_numpy(generator(self.seed, "colours").integers(0, self.magnet.states, (len(x), 1)))
        return (1 - 2 * shift) * x if self.magnet.states == 2 else (x + shift) % self.magnet.states

    def _see(self, x: "torch.Tensor") -> "torch.Tensor":
        """What the network is shown: spins, or one channel a colour."""
        from mlphys.phases import features

        return x.float() if self.magnet.states == 2 else features.one_hot(x, self.magnet.states)

    def examine(self) -> "dict[str, Estimate]":
        """How often each judge is right about configurations that the network has not seen; measures its curve."""
        from mlphys import phases

        self.curves["network"] = phases.curve(self.judges["network"], self.test)
        return {name: phases.accuracy(judge, self.test, [self.guess])[0] for name, judge in self.judges.items()}

    def verdicts(self, x: np.ndarray) -> dict[str, float]:
        """The probability of the cold phase for one configuration (rows, columns), says each judge; none before `learn`."""
        if not self.judges:
            return {}
        import torch

        sites = torch.from_numpy(x.reshape(1, -1).astype(np.int64))
        return {name: float(np.ravel(judge(sites))[0]) for name, judge in self.judges.items()}


def app(size: str | None = None) -> LiveApp:
    """A live lattice, and a network that learns beside it to tell cold from hot."""
    chosen = sizes(size)
    knobs = controls(
        temperature=Control(0.75, 1.25, 0.95, step=0.005, label="temperature T", unit="T_c", marks={1.0: "T_c"}),
        model=Choice(list(MODELS), label="model"),
        side=Choice(["16", "24"], label="lattice side L"),
        network=Choice(list(NETWORKS), "perceptron", label="network"),
        boundary=Control(0.9, 1.1, 1.0, step=0.01, label="called cold below", unit="T_c", marks={1.0: "T_c"}),
        window=Control(0.0, 0.1, 0.05, step=0.01, label="left out of the training: ±", unit="T_c"),
        shuffled=Switch(False, label="shuffle labels"),
    )
    view = LatticeView(rows=16, palette=COLOURS, label="the lattice", caption="one colour for each value", size=360)
    labels = {f"{name}_now": f"{words} says" for name, words in JUDGES.items()}
    labels |= {f"{name}_right": f"{words} is right" for name, words in JUDGES.items()}
    readouts = Readouts("training", *labels, labels=labels)
    curve = Plot(
        x="temperature T / T<sub>c</sub>",
        y="probability of the cold phase",
        label="output against temperature",
        axes={"xaxis": {"range": [0.74, 1.26]}, "yaxis": {"range": [-0.05, 1.05]}},
    )
    lesson: Lesson

    def make(seed: int) -> Simulation:
        model = MODELS[knobs.model].make(mp.square(int(knobs.side)))
        start = np.full(model.lattice.shape, 1 if knobs.model == "Ising" else 0, np.int8)
        return Simulation(mp.HeatBath(model), start, knobs.temperature * MODELS[knobs.model].critical, seed, look)

    def look(live: Simulation) -> tuple[dict, None]:
        return live.model.measure(live.state, ("abs_magnetisation",)), None

    def heat(live: Simulation, ratio: float) -> None:
        live.heat(ratio * MODELS[knobs.model].critical)

    def draw(live: Simulation) -> None:
        # Asked of the lattice: while a frame is being made, the control may already say another model.
        view.show((live.x > 0).astype(np.uint8) if isinstance(live.model, mp.Ising) else live.x.astype(np.uint8))

    def plot(live: Simulation) -> None:
        traces: list = [line([1, 1], [0, 1], "T<sub>c</sub>, exact", 6, "dot")]
        for colour, (name, words) in enumerate(JUDGES.items()):
            if name in lesson.curves:
                table = lesson.curves[name]
                traces += band(table["temperature"] / lesson.magnet.critical, table["value"], table["error"], words, colour)
        for name, value in now(live).items():
            if name == "network":
                at = [live.temperature / lesson.magnet.critical]
                traces.append(markers(at, [value], name="the network, on this lattice", symbol="diamond"))
        curve.update(*traces)

    def now(live: Simulation) -> dict[str, float]:
        return lesson.verdicts(live.x) if live.side == lesson.side else {}

    def tell(live: Simulation) -> None:
        verdicts = now(live)
        readouts.update(**{f"{name}_now": _verdict(verdicts.get(name)) for name in JUDGES})

    def learn(_: LiveApp) -> "Iterator[Step]":
        readouts.update(training="drawing configurations …")
        return lesson.learn()

    def learnt(app: LiveApp) -> "dict[str, Estimate]":
        if not lesson.judges:  # A control has just made another one.
            return {}
        right = lesson.examine()
        found = {f"{name}_right": value for name, value in right.items()}
        readouts.update(training=f"{len(app.training.losses)} steps", **found)
        return {"accuracy on unseen configurations": right["network"]}

    def enrol() -> None:
        nonlocal lesson
        lesson = Lesson(
            knobs.model, int(knobs.side), knobs.network, knobs.boundary, knobs.window, knobs.shuffled,
            chosen.lesson_samples, chosen.lesson_steps,
        )  # fmt: skip
        readouts.update(training="press run", **dict.fromkeys(labels))

    return LiveApp(
        "Teach a network to see the transition",
        "Cold or hot? A network learns to tell, beside a rule with one number in it and the best that can be done at all.",
        knobs, readouts, views=[view], plots=[curve],
        make=make, draw=draw, plot=plot, tell=tell,
        turns={"temperature": heat}, rebuilds=("model", "side"), label="the lattice",
        enrol=enrol, learn=learn, learnt=learnt, loss="loss, accuracy",
        relearns=("model", "side", "network", "boundary", "window", "shuffled"),
    )  # fmt: skip


def _verdict(probability: float | None) -> str | None:
    if probability is None:
        return None
    return f"cold, {probability:.0%}" if probability >= 0.5 else f"hot, {1 - probability:.0%}"
