"""Lecture 10, quantization: its sizes, and a φ⁴ field that comes out of noise, live, four ways."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from mlphys.lab import (
    Choice,
    Control,
    LatticeView,
    LiveApp,
    Plot,
    Readouts,
    Switch,
    band,
    controls,
    line,
    theme,
)
from mlphys.lectures.quantization_contest import contest_app
from mlphys.lectures.quantization_exercises import exercises
from mlphys.lectures.quantization_live import LESSONS, WAYS, Masters, Studio
from mlphys.lectures.sizes import choose

if TYPE_CHECKING:
    from mlphys.train import Step

__all__ = ["WAYS", "Masters", "Studio", "app", "contest_app", "exercises", "sizes"]


@dataclass(frozen=True)
class Sizes:
    """How much the notebook of this lecture computes.

    `live_steps` belong to the training in the app; `langevin_steps` and `bias_time` to the Langevin equation; `samples` to
    every chain of 64; `data` are learnt from in `steps`; `drawn` fields are weighed and `proposals` for each chain accepted
    or not; `side` is that of the lattice near the transition, to which `large_*` belong; `trap_*` belong to data that were
    taken too early, `told_steps` and `kappas` to the network that is told κ, `flow_*` to the normalising flow.
    """

    live_steps: int
    langevin_steps: int
    bias_time: float
    samples: int
    data: int
    steps: int
    drawn: int
    proposals: int
    side: int
    large_steps: int
    large_proposals: int
    trap_steps: int
    trap_drawn: int
    told_steps: int
    kappas: tuple[float, ...]
    flow_layers: int
    flow_steps: int


_KAPPAS = (0.19, 0.21, 0.23, 0.25, 0.27)
_SIZES = {
    "ci": Sizes(60, 500, 100, 600, 2048, 120, 800, 60, 8, 120, 100, 80, 400, 100, _KAPPAS[1:4], 2, 40),
    "lecture": Sizes(600, 1000, 250, 1500, 8192, 600, 4000, 100, 16, 600, 80, 400, 800, 500, _KAPPAS, 4, 150),
    "full": Sizes(6000, 2000, 4000, 20000, 65536, 6000, 40000, 2000, 16, 10000, 2000, 4000, 10000, 10000, _KAPPAS, 8, 3000),
}
sizes = partial(choose, _SIZES)

CRITICAL_KAPPA = 0.269
READOUTS = {
    "fields": "fields",
    "learnt": "has learnt",
    "kish": "Kish ESS / n",
    "m": "⟨M⟩",
    "abs_m": "⟨|M|⟩",
    "chi": "V⟨M²⟩",
    "phi2": "⟨φ²⟩",
}
HEIGHT = 250


def app(size: str | None = None) -> LiveApp:
    """Fields out of noise under one time: choose κ, the lattice and the way; train the network that knows the way."""
    chosen = sizes(size)
    timeline = controls(label="time", time=Control(0.0, 1.0, 1.0, step=0.005, label="time, from noise (1) to fields (0)"))
    knobs = controls(
        way=Choice(list(WAYS), label="the way"),
        kappa=Control(0.18, 0.28, 0.24, step=0.001, label="hopping κ", marks={0.21: "0.21", CRITICAL_KAPPA: "κ_c"}),
        side=Choice(["8", "16"], "8", label="lattice side L"),
        steps=Control(5, 200, 40, label="steps"),
        lesson=Choice(list(LESSONS), label="learns from"),
        exact=Switch(False, label="count fields by their weights: exact"),
    )
    view = LatticeView(rows=35, label="fields out of noise", size=420)
    readouts = Readouts(*READOUTS, labels=READOUTS, known=dict.fromkeys(("abs_m", "chi", "phi2"), "HMC"))
    histogram = Plot(x="mean field M", y="probability density", label="distribution of the mean field", height=HEIGHT)
    running = Plot(x="fields", y="⟨|M|⟩", label="running mean of |M|", height=HEIGHT)
    masters = cache(Masters)

    def make(seed: int) -> Studio:
        return Studio(knobs.kappa, int(knobs.side), knobs.way, knobs.steps, masters(int(knobs.side)), seed)

    def draw(studio: Studio) -> None:
        view.caption = f"{studio.way}: {WAYS[studio.way]}"
        view.show(studio.mosaic(), scale=(-2.5, 2.5))
        # A hand on the slider may stand between two steps.
        if studio.at(timeline.time) != studio.position:
            timeline.time = round(studio.time, 3)

    def plot(studio: Studio) -> None:
        reach = 3 * max(0.3, float(np.std(studio.arrived("m"))) if studio.counted else 0.3)
        edges = np.linspace(-reach, reach, 41)
        middle, traces = (edges[1:] + edges[:-1]) / 2, []
        if len(m := studio.arrived("m")):
            height = np.histogram(m, edges, weights=studio.weights(knobs.exact), density=True)[0]
            bars = {"type": "bar", "x": middle, "y": height, "name": "fields that arrived"}
            traces.append(bars | {"marker": {"color": theme.colour(0)}})
        if studio.reference is not None and studio.reference.series:
            known = np.concatenate(studio.reference.series["m"])
            traces.append(line(middle, np.histogram(known, edges, density=True)[0], "HMC", 1))
        histogram.update(*traces, layout={"xaxis": {"range": [-reach, reach]}, "bargap": 0})
        values = studio.weights(knobs.exact) * studio.arrived("abs_m")
        count = np.unique(np.geomspace(min(16, max(len(values), 1)), max(len(values), 1), 60).astype(int))
        means, squares = (np.cumsum(part)[count - 1] / count if len(values) else 0 * count for part in (values, values**2))
        error = np.sqrt(np.maximum(squares - means**2, 0) / count)
        curves = band(count[count <= len(values)], means[count <= len(values)], error[count <= len(values)], "measured", 0)
        if studio.reference is not None:
            level, _ = studio.reference.estimate("abs_m")
            curves.append(line([1, max(len(values), 2)], [level, level], "HMC", 1, "dash"))
        running.update(*curves)

    def tell(studio: Studio) -> None:
        values: dict[str, Any] = {name: studio.measured(name, knobs.exact) for name in ("m", "abs_m", "chi", "phi2")}
        learnt = studio.masters.learnt.get(studio.kind, "nothing yet") if studio.kind else "not needed"
        kish = None if studio.kish is None else f"{studio.kish:.0%}"
        readouts.update(fields=len(studio.arrived("m")), learnt=learnt, kish=kish, **values)

    def learn(app: LiveApp) -> "Iterator[Step]":
        studio = app.player.simulation
        return studio.masters.learn(studio.kind or "diffusion", studio.field, knobs.lesson, chosen.live_steps)

    def learnt(app: LiveApp) -> dict[str, Any]:
        """The fields of the next batch come by the network as it is by now; what was measured is dropped."""
        with app.player.lock:
            studio = app.player.simulation
            studio.masters.show(studio.kind or "diffusion")
            if studio.kind:
                studio.forget()
        return {}

    live = LiveApp(
        "A field out of noise",
        "A quantum field is what a Langevin equation settles in: can a network learn it, and lead noise to fields?",
        knobs, readouts, views=[view, timeline], plots=[histogram, running],
        make=make, draw=draw, plot=plot, tell=tell, rebuilds=("way", "kappa", "side", "steps"), label="the fields",
        learn=learn, learnt=learnt, relearns=("side", "lesson"), loss="loss",
    )  # fmt: skip
    live.training.plot.height = HEIGHT
    live.player.rate = 30

    def move(_: Any) -> None:
        with live.player.lock:
            studio = live.player.simulation
            if studio.at(timeline.time) != studio.position:
                studio.seek(timeline.time)
                live.player.show()

    timeline.observe(move)
    return live
