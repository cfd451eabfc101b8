"""Lecture 08, gauge: its sizes, and two live gauge fields, one moved by HMC, one by a flow that learns beside it."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace

import numpy as np

from mlphys.lab import (
    Choice,
    Control,
    LatticeView,
    LiveApp,
    Plot,
    Readouts,
    Simulation,
    Switch,
    controls,
    line,
    markers,
    theme,
)
from mlphys.lectures.gauge_exercises import exercises
from mlphys.lectures.gauge_live import Race, transformed
from mlphys.lectures.sizes import choose

__all__ = ["Race", "app", "exercises", "sizes", "transformed"]


@dataclass(frozen=True)
class Sizes:
    """How much the notebook of this lecture computes.

    `live_*` belong to the training in the app; lattices of links have `side`; `freezing_*` belong to the autocorrelation
    times of HMC, `samples` to every chain that is compared with exact values, `field_*` to the flow of the φ⁴ field (of
    `field_layers` layers), `steps` and `batch` to those of links, `loops_*` to the networks that see Wilson loops,
    `guided_*` to HMC with a learnt force.
    """

    side: int
    live_steps: int
    live_batch: int
    freezing_samples: int
    freezing_chains: int
    samples: int
    field_layers: int
    field_steps: int
    field_batch: int
    field_samples: int
    steps: int
    batch: int
    loops_samples: int
    loops_steps: int
    guided_steps: tuple[int, ...]
    guided_samples: int


_SIZES = {
    "ci": Sizes(4, 100, 32, 300, 8, 500, 4, 30, 64, 200, 30, 64, 20, 40, (30,), 200),
    "lecture": Sizes(8, 1000, 32, 1500, 16, 2000, 4, 250, 128, 500, 120, 64, 40, 150, (0, 10, 100), 300),
    "full": Sizes(8, 5000, 512, 20000, 64, 20000, 8, 3000, 512, 5000, 2000, 512, 400, 2000, (0, 10, 30, 100, 300), 2000),
}
sizes = partial(choose, _SIZES)


QUANTITIES = {"plaquette": "⟨cos P⟩", "charge2": "⟨Q²⟩", "acceptance": "acceptance"}
WORDS = {"HMC": "HMC", "flow": "flow, accepted or not"}
SHOWN = ("plaquettes", "links and plaquettes")
BEGINNINGS = ("knowing nothing", "at weak coupling")
HEIGHT = 280


def app(size: str | None = None) -> LiveApp:
    """One gauge field by HMC, one by a flow that learns: watch the topological charge freeze, and jump."""
    chosen = sizes(size)
    knobs = controls(
        beta=Control(1.0, 7.0, 2.0, step=0.5, label="β"),
        side=Choice(["4", "8", "16"], "8", label="lattice side L"),
        begins=Choice(list(BEGINNINGS), label="the flow begins"),
        shown=Choice(list(SHOWN), label="picture"),
        gauge=Switch(False, label="a random gauge transformation every frame"),
    )
    views = {name: LatticeView(rows=8, label=words, caption=words, size=210) for name, words in WORDS.items()}
    labels = {f"{name}_{key}": f"{text}, {name}" for key, text in QUANTITIES.items() for name in WORDS}
    readouts = Readouts("frames", "training", *labels, labels=labels)
    history = Plot(x="time (frames)", y="charge Q", label="history of the topological charge", height=HEIGHT)
    histogram = Plot(x="charge Q", y="probability", label="distribution of the topological charge", height=HEIGHT)
    kish = 0.0

    def make(seed: int) -> Race:
        race = Race(knobs.beta, int(knobs.side), knobs.begins == BEGINNINGS[1], seed)
        readouts.update(training="press run")
        return race

    def draw(race: Race) -> None:
        if knobs.gauge:
            race.transform()
        for name, run in race.runs.items():
            picture = run.seen if knobs.shown == SHOWN[0] else _woven(run)
            views[name].show(picture, scale="wheel")

    def plot(race: Race) -> None:
        q, exact = race.charges, race.probabilities
        past = np.array(race.past).reshape(-1, len(WORDS))
        time, bars, lines = np.arange(len(past)) + race.count - len(past), [], []
        for colour, name in enumerate(WORDS):
            lines.append(line(time, past[:, colour], WORDS[name], colour))
            share = (past[:, colour, None] == q).mean(0) if len(past) else 0 * exact
            bars.append({"type": "bar", "x": q, "y": share, "name": name, "marker": {"color": theme.colour(colour)}})
        # A charge that jumps at every step would be a block of colour: points.
        lines[1] |= {"mode": "markers", "marker": {"color": theme.colour(1), "size": 4}}
        history.update(*lines)
        histogram.update(*bars, markers(q, exact, name="exact", colour=6, symbol="diamond"))

    def tell(race: Race) -> None:
        known = {"plaquette": race.exact.plaquette, "charge2": race.exact.charge2}
        values: dict[str, object] = {"frames": race.count}
        for name, run in race.runs.items():
            for key in QUANTITIES:
                found, mean = run.estimate(key), run.mean(key)
                if mean is None or key == "acceptance":
                    values[f"{name}_{key}"] = None if mean is None else f"{mean:.0%}"
                elif found is None or found.error == 0:
                    values[f"{name}_{key}"] = f"{mean:.3f}, too short"
                else:
                    values[f"{name}_{key}"] = (found.mean, found.error, known[key])
        readouts.update(**values)

    def learn(app: LiveApp) -> Iterator[SimpleNamespace]:
        nonlocal kish
        race = app.player.simulation
        readouts.update(training="begins …")
        for step in race.pupil.learn(chosen.live_steps, chosen.live_batch):
            kish = step.kish
            # The free energy is known: what is left of the loss is the divergence from it.
            yield SimpleNamespace(loss=step.loss + race.log_partition)

    def learnt(app: LiveApp) -> dict:
        with app.player.lock:
            app.player.simulation.learnt()
        readouts.update(training=f"step {len(app.training.losses)}, Kish ESS {kish:.0%}")
        return {}

    live = LiveApp(
        "Frozen charges",
        "The topological charge of a gauge field freezes under local updates: can a flow that knows its symmetry jump?",
        knobs, readouts, views=list(views.values()), plots=[history, histogram],
        make=make, draw=draw, plot=plot, tell=tell, rebuilds=("beta", "side", "begins"), label="the fields",
        learn=learn, learnt=learnt, relearns=("beta", "side", "begins"), loss="divergence KL(q‖p)",
    )  # fmt: skip
    # A step takes as long as several frames: look often, and leave the fields time to move.
    live.training.plot.height, live.training.LOOK, live.training.rate = HEIGHT, 5, 8.0
    return live


def _woven(run: Simulation) -> np.ndarray:
    """Sites (as 0), links to the right and down, and plaquettes where they lie, (2 rows, 2 columns)."""
    rows, columns = run.shape[:2]
    woven = np.zeros((2 * rows, 2 * columns))
    woven[::2, 1::2], woven[1::2, ::2] = run.x[..., 0], run.x[..., 1]
    woven[1::2, 1::2] = run.seen
    return woven
