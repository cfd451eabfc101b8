"""Lecture 02, fields: its sizes, the live XY model with its vortices, and the live φ⁴ field with its two peaks."""

from collections import defaultdict
from dataclasses import dataclass
from functools import partial

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
    Switch,
    controls,
    line,
    markers,
    points,
)
from mlphys.lectures.fields_exercises import exercises
from mlphys.lectures.fields_experiments import (
    FIELD_SAMPLERS,
    RANKED,
    SPIN_SAMPLERS,
    efficiency,
    extrapolate,
    force_temperature,
    helicity_scan,
    langevin_bias,
    look_at_field,
    look_at_spins,
    step_sizes,
    tempering,
    transition,
    yardstick,
)
from mlphys.lectures.sizes import choose
from mlphys.random import generator
from mlphys.stats import Estimate

__all__ = [
    "CONTENDERS",
    "COUPLING",
    "CRITICAL_KAPPA",
    "KOSTERLITZ_THOULESS",
    "PUBLISHED",
    "app",
    "efficiency",
    "exercises",
    "extrapolate",
    "field_app",
    "force_temperature",
    "helicity_scan",
    "langevin_bias",
    "look_at_field",
    "look_at_spins",
    "sizes",
    "step_sizes",
    "tempering",
    "transition",
    "yardstick",
]

CONTENDERS = len(RANKED)
KOSTERLITZ_THOULESS = 0.8929
CRITICAL_KAPPA, COUPLING = 0.269, 0.022

PUBLISHED = {
    "helicity_modulus": {8: (0.6711, 0.0005), 16: (0.6482, 0.0008), 32: (0.635, 0.002)},
    "energy": {8: (-1.4611, 0.0004), 16: (-1.4501, 0.0003), 32: (-1.4464, 0.0005)},
}
"""The XY model at T = 0.8929 J by side L, each with its error, from independent simulations."""


@dataclass(frozen=True)
class Sizes:
    """How much the notebook of this lecture computes.

    `spins` and `field` are the sides of the apps' first lattices; `scan_*` belong to the scan over temperatures, `point_*`
    to the comparison at the transition, `near_*` to the search for it, `peak_*` and `field_*` to the φ⁴ field, `hmc_*` to
    the step sizes of HMC, `langevin_time` to the bias, `glass_*` to tempering, `yard_*` to the comparison of samplers.
    """

    spins: int
    field: int
    scan_sides: tuple[int, ...]
    scan_samples: int
    point_samples: int
    near_sides: tuple[int, ...]
    near_samples: int
    peak_samples: int
    field_samples: int
    hmc_side: int
    hmc_steps: tuple[float, ...]
    hmc_samples: int
    langevin_time: float
    glass_samples: int
    yard_side: int
    yard_samples: int


_STEPS = (0.08, 0.12, 0.16, 0.2, 0.24, 0.28, 0.32)
_SIZES = {
    "ci": Sizes(32, 16, (8, 16), 150, 300, (16, 32), 100, 200, 500, 16, _STEPS[1::2], 200, 100, 400, 16, 400),
    "lecture": Sizes(64, 32, (8, 16, 32), 300, 800, (8, 16, 32), 600, 800, 3000, 32, _STEPS, 300, 500, 1000, 32, 600),
    "full": Sizes(
        128, 64, (8, 16, 32, 64), 2000, 10000, (8, 16, 32, 64), 10000, 10000, 10000, 64, _STEPS, 1000, 4000, 10000, 64, 5000
    ),
}
sizes = partial(choose, _SIZES)


QUANTITIES = {
    "helicity_modulus": "helicity modulus Υ (J)",
    "energy": "energy ⟨e⟩ per site (J)",
    "vortex_density": "vortices per plaquette",
}


def app(size: str | None = None) -> LiveApp:
    """The live XY model: drag the temperature and see the pairs of vortices come apart."""
    chosen = sizes(size)
    knobs = controls(
        temperature=Control(0.3, 1.6, 0.7, step=0.01, label="temperature T", unit="J", marks={KOSTERLITZ_THOULESS: "T_KT"}),
        side=Choice(["8", "16", "32", "64", "128", "256"], str(chosen.spins), label="lattice side L"),
        sampler=Choice(list(SPIN_SAMPLERS), "overrelaxation", label="sampler"),
        sweeps=Choice(["1", "4", "16"], "1", label="sweeps per frame"),
        start=Choice(["ordered", "random"], "random", label="start from"),
        quantity=Choice([name.replace("_", " ") for name in QUANTITIES], label="plot"),
        vortices=Switch(True, label="mark vortices"),
    )
    view = LatticeView(
        rows=chosen.spins,
        label="spins of the XY model",
        marked=("vortex", "antivortex"),
        caption="direction",
        size=360,
    )
    readouts = Readouts(
        "sweeps",
        *QUANTITIES,
        "force_temperature",
        units={"energy": "J", "helicity_modulus": "J", "force_temperature": "J"},
        labels={"helicity_modulus": "stiffness Υ", "vortex_density": "vortices", "force_temperature": "T from forces"},
    )
    curve = Plot(x="temperature T (J)", y=QUANTITIES["helicity_modulus"], label="quantity against temperature")
    history = Plot(x="time (frames)", y="Υ and e (J)", label="history of helicity modulus and energy")
    grid = np.linspace(0.3, 1.6, 80)
    visited: dict[tuple[str, int], dict[float, Estimate]] = defaultdict(dict)

    def look(live: Simulation) -> tuple[dict, np.ndarray]:
        return look_at_spins(live.x, live.beta)

    def make(seed: int) -> Simulation:
        model = mp.XY(mp.square(int(knobs.side)))
        angles = generator(seed, "start").uniform(-np.pi, np.pi, model.lattice.shape)
        start = angles if knobs.start == "random" else 0 * angles
        return Simulation(SPIN_SAMPLERS[knobs.sampler](model), start, knobs.temperature, seed, look)

    def draw(live: Simulation) -> None:
        view.show(live.x, scale="wheel", marks=live.seen if knobs.vortices else None)

    def plot(live: Simulation) -> None:
        quantity, side = knobs.quantity.replace(" ", "_"), live.side
        traces = []
        if quantity == "helicity_modulus":
            traces.append(line(grid, 2 * grid / np.pi, name="2T/π, where the jump ends", dash="dash"))
        if quantity == "energy":
            traces.append(line(grid, grid / 2 - 2, name="spin waves, −2 + T/2", dash="dash"))
        if side in PUBLISHED.get(quantity, {}):
            mean, error = PUBLISHED[quantity][side]
            traces.append(markers([KOSTERLITZ_THOULESS], [mean], [error], f"published, L = {side}", 2, "diamond"))
        traces.append(points(visited[quantity, side], f"measured, L = {side}", colour=1))
        curve.update(*traces, layout={"xaxis": {"range": [0.3, 1.6]}, "yaxis": {"title": {"text": QUANTITIES[quantity]}}})
        recent = [live.recent(name) for name in ("helicity_modulus", "energy")]
        time = np.arange(len(recent[0]))
        names = ("helicity modulus Υ (J)", "energy e (J)")
        history.update(*(line(time, y, name, colour) for y, name, colour in zip(recent, names, (1, 2), strict=True)))

    def tell(live: Simulation) -> None:
        values: dict[str, object] = {"sweeps": live.state.sweep}
        temperature = round(live.temperature, 4)
        for name in QUANTITIES:
            estimate = live.estimate(name)
            values[name] = live.mean(name)
            if estimate is not None:
                visited[name, live.side][temperature] = estimate
                values[name] = (estimate.mean, estimate.error)
        told = live.estimate("energy", "squared_force", of=lambda e, f2: -f2 / (2 * e))
        values["force_temperature"] = None if told is None else (told.mean, told.error, temperature)
        readouts.update(**values)

    return LiveApp(
        "Vortices",
        "No order survives in two dimensions: what, then, changes at one sharp temperature?",
        knobs, readouts, views=[view], plots=[curve, history],
        make=make, draw=draw, plot=plot, tell=tell,
        turns={"temperature": Simulation.heat}, rebuilds=("side", "sampler", "start"), label="the spins",
    )  # fmt: skip


def field_app(size: str | None = None) -> LiveApp:
    """The live φ⁴ field: raise κ and see the distribution of its mean split in two."""
    chosen = sizes(size)
    knobs = controls(
        kappa=Control(0.2, 0.32, 0.25, step=0.001, label="hopping κ", marks={CRITICAL_KAPPA: "κ_c"}),
        side=Choice(["8", "16", "32", "64", "128"], str(chosen.field), label="lattice side L"),
        sampler=Choice(list(FIELD_SAMPLERS), "heat bath", label="sampler"),
        sweeps=Choice(["1", "4", "16"], "4", label="sweeps per frame"),
    )
    view = LatticeView(rows=chosen.field, label="the field φ", caption="field φ", size=360)
    names = ("abs_magnetisation", "phi2", "action", "identity")
    labels = {"abs_magnetisation": "⟨|M|⟩", "phi2": "⟨φ²⟩", "action": "action ⟨S⟩/V", "identity": "identity ⟨φ ∂S/∂φ⟩/V"}
    readouts = Readouts("sweeps", *names, labels=labels)
    peaks = Plot(
        x="mean field M",
        y="probability density",
        label="distribution of the mean field",
        axes={"yaxis": {"rangemode": "nonnegative"}},
    )
    history = Plot(x="time (frames)", y="mean field M", label="history of the mean field")
    edges = np.linspace(-3, 3, 61)

    def simulation(seed: int, start: np.ndarray | None = None) -> Simulation:
        field = mp.Phi4.from_kappa(mp.square(int(knobs.side)), knobs.kappa, COUPLING)
        if start is None:
            start = generator(seed, "start").normal(size=field.lattice.shape)
        look = look_at_field(field)
        return Simulation(FIELD_SAMPLERS[knobs.sampler](field), start, 1.0, seed, lambda live: look(live.x, live.beta))

    def plot(live: Simulation) -> None:
        m = live.recent("magnetisation", live.MEMORY)
        density = np.histogram(m[len(m) // 5 :], edges, density=True)[0] if len(m) > 20 else np.zeros(len(edges) - 1)
        peaks.update(line((edges[1:] + edges[:-1]) / 2, density, name=f"κ = {knobs.kappa:.3f}, L = {live.side}", colour=1))
        # Points: a line between the signs of a cluster algorithm would fill the plot.
        dots = markers(np.arange(len(m[-1000:])), m[-1000:], name="mean field M", colour=1)
        history.update(dots | {"marker": dots["marker"] | {"size": 4}})

    def tell(live: Simulation) -> None:
        values: dict[str, object] = {"sweeps": live.state.sweep}
        for name in names:
            estimate = live.estimate(name)
            values[name] = (
                None if estimate is None else (estimate.mean, estimate.error, *([1.0] if name == "identity" else []))
            )
        readouts.update(**values)

    return LiveApp(
        "A field that chooses a side",
        "The action treats φ and −φ alike: when does the field not?",
        knobs, readouts, views=[view], plots=[peaks, history],
        make=simulation, draw=lambda live: view.show(live.x, scale=(-4, 4)), plot=plot, tell=tell,
        turns={"kappa": lambda live, _: simulation(live.state.seed + 1, live.x)}, rebuilds=("side", "sampler"),
        label="the field",
    )  # fmt: skip
