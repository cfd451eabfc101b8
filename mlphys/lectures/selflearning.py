"""Lecture 07, self-learning: its sizes, and electrons' spins that a network moves, live."""

import math
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
    controls,
    line,
    markers,
    palettes,
    with_errors,
)
from mlphys.lab.measurement import minus
from mlphys.lectures.selflearning_exercises import exercises
from mlphys.lectures.selflearning_live import NETWORKS, SIDE, STAGGER, Student, Walk, model, start, turned
from mlphys.lectures.sizes import choose
from mlphys.lectures.wavefunctions import LOG
from mlphys.stats import Estimate

if TYPE_CHECKING:
    from mlphys.train import Step

__all__ = ["LOG", "NETWORKS", "Student", "Walk", "app", "exercises", "model", "sizes", "with_errors"]


@dataclass(frozen=True)
class Sizes:
    """How much the notebook of this lecture computes.

    `samples` configurations are learnt from, `held_out` ones judge; `steps` belong to each training, `channels` and
    `family_steps` to the networks of the power law; `ring` to three spins, `proposals` to each acceptance; `local`, `hybrid`
    and `learnt` are samples of each chain in the comparison, by sampler; `ising_*` belong to the plaquette term, `lesson_*`
    to the training in the app.
    """

    samples: int
    held_out: int
    steps: int
    channels: tuple[int, ...]
    family_steps: int
    ring: int
    proposals: int
    local: int
    hybrid: int
    learnt: int
    ising_side: int
    ising_samples: int
    lesson_samples: int
    lesson_steps: int


_SIZES = {
    "ci": Sizes(300, 150, 30, (1, 2, 4), 20, 100, 32, 4, 6, 12, 8, 200, 300, 60),
    "lecture": Sizes(1200, 600, 800, (1, 2, 4, 8), 400, 400, 240, 32, 48, 64, 24, 1000, 1200, 1000),
    "full": Sizes(6000, 2000, 10000, (1, 2, 4, 8, 16), 10000, 20000, 3200, 1000, 1000, 2000, 64, 5000, 6000, 10000),
}
sizes = partial(choose, _SIZES)


GAP = "#8A8F98"
PICTURES = {"last layer": "features of the network's last layer", "field": "the fields −∂E/∂S of the network"}
CAPTION = "left the spins, right {}: each colour is a direction, every second site is reversed"
SHOWN = {
    "exact against learnt energy": ("energy E of the network (t)", "grand potential Ω (t)"),
    "acceptance against error": ("σ, error of E/T", "acceptance"),
}
READOUTS = {
    "proposals": "proposals",
    "acceptance": "acceptance",
    "sigma": "σ, its error of E/T",
    "predicted": "erfc(σ/2)",
    "staggered_m2": "staggered ⟨m²⟩",
    "energy": "Ω per site",
    "turning": "turning changes E by",
    "turning_exact": "turning changes Ω by",
}


def _power(change: float) -> str:
    """A change, by which power of ten; nothing smaller than rounding."""
    return "0" if abs(change) < 1e-6 else minus(f"{change:.1e}")


def app(size: str | None = None) -> LiveApp:
    """A live self-learning chain: choose the network that proposes, turn all spins, train it anew."""
    chosen = sizes(size)
    knobs = controls(
        network=Choice(list(NETWORKS), "transformer, 1 layer", label="the network"),
        trajectories=Control(1, 10, 2, label="trajectories per proposal"),
        angle=Control(0, 360, 0, step=5, label="turn all spins", unit="°"),
        picture=Choice(list(PICTURES), label="beside the spins"),
        plot=Choice(list(SHOWN), label="plot"),
    )
    palette = (*palettes.sphere(), GAP)
    view = LatticeView(rows=SIDE, columns=2 * SIDE + 1, palette=palette, label="spins, vectors of the network", size=520)
    readouts = Readouts(*READOUTS, units={"energy": "t", "turning": "t", "turning_exact": "t"}, labels=READOUTS)
    figure = Plot(x=SHOWN[knobs.plot][0], y=SHOWN[knobs.plot][1], label="energies, or acceptance")
    visited: dict[str, tuple[Estimate, Estimate]] = {}
    student_of = cache(Student)  # what one has learnt is still there when it is chosen again
    pupil: Student | None = None

    def make(seed: int) -> Walk:
        return Walk(student_of(knobs.network), knobs.trajectories, start(seed), seed)

    def draw(walk: Walk) -> None:
        spins = turned(walk.x.reshape(-1, 3), knobs.angle)
        sheet = np.full((SIDE, 2 * SIDE + 1), len(palettes.sphere()), np.uint8)
        sheet[:, :SIDE] = palettes.on_sphere(STAGGER * spins).reshape(SIDE, SIDE)
        if walk.student.sigma:
            vectors = walk.student.vectors(spins, knobs.picture)
            sheet[:, -SIDE:] = palettes.on_sphere(STAGGER * vectors).reshape(SIDE, SIDE)
        view.caption = CAPTION.format(PICTURES[knobs.picture])
        view.show(sheet)

    def plot(walk: Walk) -> None:
        {"acceptance against error": by_error}.get(knobs.plot, by_energy)(walk)

    def by_energy(walk: Walk) -> None:
        rows = np.array(walk.proposals, float).reshape(-1, 3)
        traces = []
        for name, flag, colour, symbol in (("rejected", 0, 1, "x"), ("accepted", 1, 0, "circle")):
            exact, learnt, _ = rows[rows[:, 2] == flag].T
            points = markers(learnt, exact, None, name, colour, symbol)
            traces.append(points | {"marker": points["marker"] | {"size": 6}})
        ends = rows[:, 0].min(initial=-62.0), rows[:, 0].max(initial=-60.0)
        shift = np.median(rows[:, 1] - rows[:, 0]) if len(rows) else 0.0
        traces.append(line(np.array(ends) + shift, ends, "slope 1", 6, "dash"))
        show(traces, {"autorange": True}, {"autorange": True})

    def by_error(walk: Walk) -> None:
        grid = np.linspace(0, 3, 61)
        traces = [line(grid, [math.erfc(sigma / 2) for sigma in grid], "erfc(σ/2)", 6, "dash")]
        for k, (name, (sigma, found)) in enumerate(visited.items()):
            traces.append(markers([sigma.mean], [found.mean], [found.error], name, k))
        show(traces, {"range": [0, 3], "autorange": False}, {"range": [-0.02, 1.02], "autorange": False})

    def show(traces: list, x: dict, y: dict) -> None:
        titles = [{"title": {"text": text}} for text in SHOWN[knobs.plot]]
        figure.update(*traces, layout={"xaxis": titles[0] | x, "yaxis": titles[1] | y})

    def tell(walk: Walk) -> None:
        values: dict[str, Any] = dict.fromkeys(READOUTS) | {"proposals": walk.samples}
        for name in values.keys() & walk.series.keys():
            values[name] = walk.estimate(name) or f"{walk.mean(name):.3f}, too short".replace("-", "−")
        sigma = walk.student.sigma
        if sigma:
            values |= {"sigma": sigma, "predicted": math.erfc(sigma.mean / 2)}
            values["turning"], values["turning_exact"] = (_power(change) for change in walk.turning(knobs.angle))
            if isinstance(values["acceptance"], Estimate):
                visited[knobs.network] = sigma, values["acceptance"]
        readouts.update(**values)

    def learn(_: LiveApp) -> "Iterator[Step]":
        nonlocal pupil
        pupil = student_of(knobs.network)
        return pupil.learn(chosen.lesson_samples, chosen.lesson_steps)

    def learnt(app: LiveApp) -> dict[str, Any]:
        """The network proposes as it is by now, and what was measured with the one before is dropped."""
        with app.player.lock:
            walk = app.player.simulation
            if pupil is None or walk.student is not pupil:
                return {}
            sigma = pupil.show()
            walk.forget()
        return {"σ² on configurations not seen": (sigma.mean**2, 2 * sigma.mean * sigma.error)}

    return LiveApp(
        "A network proposes, the electrons decide",
        "Each exact weight costs a diagonalisation: what must a network know for nearly all its guesses to be accepted?",
        knobs, readouts, views=[view], plots=[figure],
        make=make, draw=draw, plot=plot, tell=tell,
        turns={"trajectories": Walk.stride}, rebuilds=("network",), label="the spins",
        learn=learn, learnt=learnt, relearns=("network",), loss="variance of (E − Ω)/T",
    )  # fmt: skip
