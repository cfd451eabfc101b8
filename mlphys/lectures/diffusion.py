"""Lecture 09, diffusion: its sizes, and particles that dissolve into noise and come back from it, live."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from mlphys.lab import Choice, Control, LatticeView, LiveApp, Plot, Readouts, controls, line, theme
from mlphys.lectures.diffusion_exercises import exercises
from mlphys.lectures.diffusion_live import SOLVERS, WORLDS, Film, Pupil, Ring, process, trajectories
from mlphys.lectures.diffusion_pictures import PALETTE, plane, sheet
from mlphys.lectures.sizes import choose

if TYPE_CHECKING:
    from mlphys.train import Step

__all__ = ["WORLDS", "Film", "Pupil", "Ring", "app", "exercises", "process", "sizes", "trajectories"]


@dataclass(frozen=True)
class Sizes:
    """How much the notebook of this lecture computes.

    `live_steps` belong to the training in the app, `particles` to every way back with an exact score; `order_steps` and
    `weak_*` to the errors of steps, `judged` to densities, `healing_*` to wrong scores, `paths` to their actions; `sides`,
    dimensions, and `clones` to speciation, `collapse` and `remembered`, numbers of data, to memory; `train` and `looks`, the
    steps at which it is judged, to the score that is learnt, `generated` to what it makes; `hmc`, `independent`, for each
    chain, and `populations` to the comparison, `dataless`, steps, and `weighed`, paths, to the sampler without data.
    """

    live_steps: int
    particles: int
    order_steps: tuple[int, ...]
    weak_steps: tuple[int, ...]
    weak_samples: int
    judged: int
    healing_samples: int
    healing_steps: int
    paths: int
    sides: tuple[int, ...]
    clones: int
    collapse: int
    remembered: tuple[int, ...]
    train: int
    looks: tuple[int, ...]
    generated: int
    hmc: int
    independent: int
    populations: int
    dataless: int
    weighed: int


_ORDERS, _WEAK = (10, 20, 40, 80, 160), (16, 32, 64)
_SIZES = {
    "ci": Sizes(
        100, 2000, _ORDERS[2:], _WEAK[:2], 30_000, 200, 10_000, 150, 1000, (16, 64), 200, 2000, (100, 1000), 150,
        (1, 50, 150), 300, 60, 20, 10, 10, 1000,
    ),
    "lecture": Sizes(
        2000, 10_000, _ORDERS, _WEAK, 200_000, 1000, 40_000, 300, 4000, (16, 64, 256), 1000, 8000, (10, 100, 1000), 1500,
        (1, 10, 30, 100, 300, 1000, 1500), 1500, 2500, 150, 40, 200, 4000,
    ),
    "full": Sizes(
        20_000, 100_000, (*_ORDERS, 320), (*_WEAK, 128, 256), 2_000_000, 10_000, 400_000, 600, 40_000, (16, 64, 256, 1024),
        10_000, 100_000, (10, 100, 1000, 10_000), 20_000, (1, 10, 100, 1000, 10_000, 20_000), 40_000, 20_000, 2000, 200,
        5000, 40_000,
    ),
}  # fmt: skip
sizes = partial(choose, _SIZES)

SHOWN = {"second moment": "⟨q²⟩", "free energy": "−ln p(q) + constant"}
SCORES = ("exact", "learnt by the network")
READOUTS = {
    "samples": "samples",
    "square": "⟨q²⟩ of the samples",
    "right": "share with q > 0",
    "evaluations": "evaluations of the score, each",
    "speciation": "½ ln Λ is time",
}
HEIGHT, BINS = 260, 45
CAPTIONS = {
    True: "across: time, from data to noise and back to data; up: {}; bright: exact density, scaled at each time",
    False: "the plane: bright is the exact density, arrows are the score, points are particles",
}


def app(size: str | None = None) -> LiveApp:
    """Trajectories from data to noise and back, under one time: choose data, solver, ħ, and how wrong the score is."""
    chosen = sizes(size)
    time = Control(0.0, 2.0, 0.0, step=1 / Film.COLUMNS, label="time: data 0, noise 1, data again 2")
    timeline = controls(label="time", time=time)
    knobs = controls(
        data=Choice(list(WORLDS), label="data"),
        solver=Choice(list(SOLVERS), label="the way back"),
        steps=Control(2, 400, 200, label="steps"),
        noise=Control(0.0, 2.0, 1.0, step=0.05, label="noise ħ", marks={1.0: "time reversal"}),
        wrong=Control(-0.3, 0.3, 0.0, step=0.01, label="error ε of the score"),
        score=Choice(list(SCORES), label="score"),
        plot=Choice(list(SHOWN), label="plot"),
    )
    view = LatticeView(palette=PALETTE, label="trajectories over densities", size=560)
    readouts = Readouts(*READOUTS, labels=READOUTS)
    density = Plot(x="x", y="probability density", label="density at this time", height=HEIGHT)
    curve = Plot(x="time", y=SHOWN[knobs.plot], label="second moment, or free energy", height=HEIGHT)
    pupil_of = cache(lambda name: Pupil(WORLDS[name]))

    def score() -> Any:
        if knobs.score == SCORES[0]:
            return exact_of(knobs.data)
        return pupil_of(knobs.data).shown

    exact_of = cache(lambda name: WORLDS[name].score())

    def make(seed: int) -> Film:
        return Film(WORLDS[knobs.data], knobs.solver, knobs.steps, knobs.noise, knobs.wrong, score, seed)

    def again(film: Film, _: Any) -> Film:
        """The same moment of a film with the same random numbers, as the controls say now."""
        renewed = make(film.seed)
        renewed.seek(film.time)
        return renewed

    def draw(film: Film) -> None:
        flat = film.world.n != 2
        view.caption = CAPTIONS[flat].format(film.world.axis)
        view.show(sheet(film) if flat else plane(film))
        timeline.time = film.time
        if film.column % 10 == 0:
            plot(film)

    def plot(film: Film) -> None:
        world = film.world
        edges = np.linspace(-world.reach, world.reach, BINS + 1)
        q, width = (edges[1:] + edges[:-1]) / 2, edges[1] - edges[0]
        fine = (q[:, None] + width * (np.arange(9) - 4) / 9).ravel()
        exact = world.density(fine, film.t).reshape(BINS, 9).mean(1)
        share, _ = np.histogram(world.coordinate(film.x), edges)
        bars = {"type": "bar", "x": q, "y": share / film.batch / width, "name": "particles"}
        bars["marker"] = {"color": theme.colour(4)}
        axis = {"title": {"text": world.axis}, "range": [-world.reach, world.reach]}
        density.update(bars, line(q, exact, "exact", 0), layout={"xaxis": axis, "bargap": 0})
        if knobs.plot == "free energy":
            well = -np.log(np.maximum(exact, 1e-12))
            traces, ranges = [line(q, well - well.min(), "exact", 0)], [-0.2, 8]
        else:
            clock = np.linspace(0, 2, len(film.clock))
            path = (film.path() ** 2).mean(1)
            traces = [line(clock, world.square(film.clock**2), "exact", 0, "dash")]
            traces.append(line(clock[: len(path)], path, "particles", 4))
            axis, ranges = {"title": {"text": "time"}, "range": [0, 2]}, [0, 1.6 * max(world.square(0), world.unit)]
        vertical = {"title": {"text": SHOWN[knobs.plot]}, "range": ranges}
        curve.update(*traces, layout={"xaxis": axis, "yaxis": vertical})

    def tell(film: Film) -> None:
        values: dict[str, Any] = dict.fromkeys(READOUTS) | {"samples": sum(map(len, film.ends))} | film.measured()
        values["evaluations"] = film.evaluations
        values["speciation"] = 2 - film.world.speciation
        readouts.update(**values)

    def learn(app: LiveApp) -> "Iterator[Step]":
        return pupil_of(knobs.data).learn(chosen.live_steps)

    def learnt(app: LiveApp) -> dict[str, Any]:
        """The way back uses the score as it is known by now; what was measured with another is dropped."""
        pupil = pupil_of(knobs.data)
        with app.player.lock:
            pupil.show()
            if knobs.score == SCORES[1]:
                app.player.simulation.forget()
        return {"distance from the exact score": pupil.distance()}

    def move(_: Any) -> None:
        with live.player.lock:
            if abs(live.player.simulation.time - timeline.time) > 1e-6:
                live.player.simulation.seek(timeline.time)
                live.player.show()

    turning = ("data", "solver", "steps", "noise", "wrong", "score")
    live = LiveApp(
        "There and back again",
        "Noise destroys whatever it is given: which force leads back, and what does noise do on the way?",
        knobs, readouts, views=[view, timeline], plots=[density, curve],
        make=make, draw=draw, plot=plot, tell=tell, turns=dict.fromkeys(turning, again), label="the film",
        learn=learn, learnt=learnt, relearns=("data",), loss="⟨|s · score + z|²⟩",
    )  # fmt: skip
    live.training.plot.height = HEIGHT
    timeline.observe(move)
    return live
