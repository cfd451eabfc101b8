"""Lecture 06, frustration: its sizes, and networks that learn the 4 × 4 J1–J2 model before everybody's eyes."""

from dataclasses import dataclass
from functools import partial
from typing import Any

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
    markers,
    theme,
)
from mlphys.lectures.frustration_exact import SIDE, WAVES, exact
from mlphys.lectures.frustration_exercises import exercises
from mlphys.lectures.frustration_learner import NETWORKS, Learner
from mlphys.lectures.sizes import choose

__all__ = ["NETWORKS", "Learner", "app", "exact", "exercises", "sizes"]


@dataclass(frozen=True)
class Sizes:
    """How much the notebook of this lecture computes.

    `scan` values of J2 are diagonalised; `steps` belong to the first training, `learner_steps` to each of the table of
    learners, `factor_steps` to each network of the structure factor; `samples` to measurements at fixed parameters;
    `race_*` to the race on `race_side`² sites, `race_seconds` of processor time each; `checkpoint_*` to the checkpoint.
    """

    scan: int
    steps: int
    learner_steps: int
    factor_steps: int
    samples: int
    race_side: int
    race_seconds: float
    race_samples: int
    checkpoint_samples: int
    checkpoint_chains: int


_SIZES = {
    "ci": Sizes(5, 25, 3, 8, 1024, 4, 0.5, 512, 64, 32),
    "lecture": Sizes(21, 200, 120, 100, 16128, 6, 12.0, 2048, 512, 256),
    "full": Sizes(41, 1000, 1000, 500, 161280, 6, 600.0, 16384, 16384, 512),
}
sizes = partial(choose, _SIZES)


SHOWN = ("overlap with the exact state", "structure factor")
READOUTS = {
    "step": "step",
    "energy": "energy per site",
    "exact_energy": "exact energy",
    "relative_error": "(E − E₀) / |E₀|",
    "v_score": "V-score",
    "overlap": "overlap |⟨Φ|ψ⟩|",
    "amplitudes": "amplitudes alone",
    "signs": "signs alone",
    "mean_sign": "mean sign, network; exact",
}


def app(size: str | None = None) -> LiveApp:
    """Networks learn a frustrated magnet small enough to know every sign of its ground state."""
    sizes(size)
    knobs = controls(
        j2=Control(0.0, 1.0, 0.5, step=0.05, label="frustration J2", unit="J", marks={0.5: "½"}),
        network=Choice(list(NETWORKS), "RBM, complex", label="network"),
        marshall=Switch(True, label="Marshall's sign is given"),
        plot=Choice(list(SHOWN), label="plot"),
    )
    view = LatticeView(
        rows=3 * SIDE + 2,
        palette=(*theme.SPINS, "#8A8F98"),
        label="states drawn from |ψ|²",
        size=360,
        marked=("sign right", "sign wrong"),
        caption="states drawn from |ψ|²",
    )
    readouts = Readouts(*READOUTS, units={"energy": "J", "exact_energy": "J"}, labels=READOUTS)
    history = Plot(x="step", y="energy per site (J)", label="energy against step")
    other = Plot(x="step", y="overlap", label="overlap, or structure factor")

    def make(seed: int) -> Learner:
        return Learner(knobs.network, knobs.j2, knobs.marshall, seed)

    def draw(learner: Learner) -> None:
        sheet, marks = learner.picture()
        view.show(sheet, marks=marks)
        if learner.count % 5 == 0:
            plot(learner)

    def plot(learner: Learner) -> None:
        count, energy, error, known = learner.series()
        if not len(count):
            count, energy, error, known = np.array([[0, 100], [np.nan] * 2, [0, 0], [learner.exact.energy] * 2])
        traces = [*band(count, energy, error, "energy of the samples"), line(count, known, "exact", 1, "dash")]
        if learner.best_positive is not None:
            traces.append(line(count[[0, -1]], 2 * [learner.best_positive], "best positive state", 6, "dot"))
        history.update(*traces)
        (by_wave_vector if knobs.plot == "structure factor" else by_step)(learner)

    def by_step(learner: Learner) -> None:
        count = [count for count, _ in learner.seen]
        traces = [
            line(count, [getattr(likeness, name) for _, likeness in learner.seen], READOUTS[name], colour, dash)
            for name, colour, dash in (("overlap", 0, None), ("amplitudes", 2, "dash"), ("signs", 1, "dot"))
        ]
        axes = {"xaxis": {"title": {"text": "step"}, "tickmode": "auto", "autorange": True}}
        other.update(*traces, layout=axes | {"yaxis": {"title": {"text": "overlap"}, "range": [0, 1.02]}})

    def by_wave_vector(learner: Learner) -> None:
        here = np.arange(len(WAVES))
        traces = [markers(here, list(learner.exact.structure_factor().values()), None, "exact", 1, "diamond")]
        if learner.amplitudes is not None:
            found = learner.exact.structure_factor(np.abs(learner.amplitudes) ** 2)
            colour = {"color": theme.colour(0)}
            traces.insert(0, {"type": "bar", "x": here, "y": list(found.values()), "name": "network", "marker": colour})
        ticks = {"tickvals": list(map(int, here)), "ticktext": list(WAVES), "range": [-0.6, len(WAVES) - 0.4]}
        x = {"title": {"text": "wave vector q"}, "tickmode": "array", "autorange": False} | ticks
        other.update(*traces, layout={"xaxis": x, "yaxis": {"title": {"text": "S(q)"}, "range": [0, 6.5]}})

    def tell(learner: Learner) -> None:
        energy, known = learner.energy, learner.exact.energy
        values: dict[str, Any] = dict.fromkeys(READOUTS)
        values |= {"step": learner.count, "exact_energy": f"{known:.6f}".replace("-", "−")}
        if energy:
            values["energy"] = energy
            values["relative_error"] = (energy.mean - known) / -known, energy.error / -known
            values["v_score"] = float(np.mean([step.v_score for step in learner.recent]))
        if learner.amplitudes is not None:
            likeness = learner.exact.likeness(learner.amplitudes, learner.marshall)
            values |= {name: f"{value:.3f}" for name, value in vars(likeness).items()}
            values["mean_sign"] = f"{learner.mean_sign():.3f}; {learner.exact.mean_sign(learner.marshall):.3f}"
        readouts.update(**values)

    return LiveApp(
        "What does a network learn when signs cannot be combed?",
        "Turn up the frustration, take Marshall's sign away: which does the network miss, the amplitudes or the signs?",
        knobs, readouts, views=[view], plots=[history, other],
        make=make, draw=draw, plot=plot, tell=tell,
        turns={"j2": lambda learner, j2: learner.turn(j2=j2)}, rebuilds=("network", "marshall"), label="the training",
    )  # fmt: skip
