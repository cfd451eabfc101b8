"""Lecture 01, the Ising model: its sizes, its live magnet, and the trap of shared random numbers."""

from collections import defaultdict, deque
from dataclasses import dataclass
from functools import cache, partial

import numpy as np

import mlphys as mp
from mlphys.core import State
from mlphys.exact import SQUARE_CRITICAL_TEMPERATURE, kaufman, onsager
from mlphys.lab import (
    App,
    Choice,
    Control,
    LatticeView,
    LiveApp,
    Player,
    Plot,
    Readouts,
    Simulation,
    Switch,
    controls,
    line,
    points,
)
from mlphys.lectures.ising_exercises import exercises
from mlphys.lectures.ising_experiments import SAMPLERS, dynamic_exponent, heat_capacity, slowing_down, yardstick
from mlphys.lectures.sizes import choose
from mlphys.random import generator
from mlphys.stats import Estimate

__all__ = [
    "CRITICAL_TEMPERATURE",
    "SAMPLERS",
    "app",
    "dynamic_exponent",
    "exercises",
    "heat_capacity",
    "sizes",
    "slowing_down",
    "temperature_grid",
    "trap",
    "yardstick",
]

CRITICAL_TEMPERATURE = float(SQUARE_CRITICAL_TEMPERATURE)
QUANTITIES = {
    "magnetisation": ("magnetisation ⟨|m|⟩ per site", "∞ (Onsager, Yang)"),
    "energy": ("energy ⟨e⟩ per site (J)", "this lattice (Kaufman)"),
    "heat capacity": ("heat capacity c per site (k<sub>B</sub>)", "this lattice (Kaufman)"),
}


@dataclass(frozen=True)
class Sizes:
    """How much the notebook of this lecture computes.

    `live` is the side of the app's first lattice; `curve_*` belong to the scan over temperatures, `slowing_*` to the
    measurement of z (samples are for each of `chains` chains), `yardstick_*` to the comparison of samplers.
    """

    live: int
    chains: int
    curve_side: int
    curve_samples: int
    slowing_sides: tuple[int, ...]
    slowing_samples: int
    yardstick_sides: tuple[int, ...]
    yardstick_samples: int


_SIZES = {
    "ci": Sizes(64, 8, 16, 400, (8, 16, 32), 2000, (8, 16), 1000),
    "lecture": Sizes(256, 16, 32, 2000, (8, 16, 32, 64), 3000, (32, 64, 128), 1000),
    "full": Sizes(512, 64, 64, 10000, (8, 16, 32, 64, 128), 10000, (16, 32, 64, 128, 256), 10000),
}
sizes = partial(choose, _SIZES)


def temperature_grid(low: float, high: float) -> np.ndarray:
    """Temperatures to draw exact curves at, in J: even, and ever denser towards the critical one, where they are steep."""
    near = np.geomspace(1e-6, 0.1, 40)
    grid = np.concatenate([np.linspace(low, high, 121), CRITICAL_TEMPERATURE - near, CRITICAL_TEMPERATURE + near])
    return np.unique(grid[(grid >= low) & (grid <= high)])


def look_at_spins(live: Simulation) -> tuple[dict, None]:
    """Energy per site in J, its square, and magnetisation, with and without its sign."""
    values = live.model.measure(live.state, ("energy", "magnetisation", "abs_magnetisation"))
    return values | {"squared_energy": values["energy"] ** 2}, None


def measure(live: Simulation, quantity: str) -> Estimate | None:
    """One of `QUANTITIES`; None while there is too little for an error."""
    if quantity == "heat capacity":
        factor = live.side**2 / live.temperature**2
        return live.estimate("energy", "squared_energy", of=lambda e, e2: factor * (e2 - e**2))
    return live.estimate("abs_magnetisation" if quantity == "magnetisation" else quantity)


def exact(quantity: str, side: int, temperature):
    """The exact value: of this lattice for the energy and heat capacity, of the infinite one for the magnetisation."""
    if quantity == "magnetisation":
        return onsager(temperature).magnetisation
    value = kaufman(side, side, temperature)
    return value.energy if quantity == "energy" else value.heat_capacity


def looks_infinite(live: Simulation) -> bool:
    """Whether the magnetisation of the infinite lattice holds here: the side is many correlation lengths."""
    beta = 1 / live.temperature
    return bool(live.side * (4 * beta + 2 * np.log(np.tanh(beta))) > 20)


def app(size: str | None = None) -> LiveApp:
    """The live magnet: drag the temperature and see it melt, beside the exact solution."""
    chosen = sizes(size)
    knobs = controls(
        temperature=Control(1.0, 4.0, 2.0, step=0.01, label="temperature T", unit="J", marks={CRITICAL_TEMPERATURE: "T_c"}),
        side=Choice(["64", "128", "256", "512"], str(chosen.live), label="lattice side L"),
        sampler=Choice(list(SAMPLERS), "Metropolis", label="sampler"),
        sweeps=Choice(["1", "4", "16", "64"], "1", label="sweeps per frame"),
        start=Choice(["ordered", "random"], "ordered", label="start from"),
        quantity=Choice(list(QUANTITIES), "magnetisation", label="plot"),
    )
    view = LatticeView(rows=chosen.live, columns=chosen.live, caption="spins: light up, dark down")
    readouts = Readouts("sweeps", *QUANTITIES, units={"energy": "J"})
    curve = Plot(x="temperature T (J)", y=QUANTITIES["magnetisation"][0], label="quantity against temperature")
    history = Plot(x="time (frames)", y="m and e (J) per site", label="history of energy and magnetisation")
    grid = temperature_grid(1.0, 4.0)
    exact_curve = cache(lambda quantity, side: exact(quantity, side, grid))
    visited: dict[tuple[str, int], dict[float, Estimate]] = defaultdict(dict)

    def make(seed: int) -> Simulation:
        model = mp.Ising(mp.square(int(knobs.side)))
        up = generator(seed, "start").integers(0, 2, model.lattice.shape, np.int8)
        spins = 2 * up - 1 if knobs.start == "random" else np.ones_like(up)
        return Simulation(SAMPLERS[knobs.sampler](model), spins, knobs.temperature, seed, look_at_spins)

    def plot(magnet: Simulation) -> None:
        quantity, side = knobs.quantity, magnet.side
        traces = [line(grid, exact_curve(quantity, side), name=f"exact, L = {QUANTITIES[quantity][1]}")]
        traces.append(points(visited[quantity, side], f"measured, L = {side}", colour=1))
        curve.update(*traces, layout={"yaxis": {"title": {"text": QUANTITIES[quantity][0]}}})
        energy, m = magnet.recent("energy"), magnet.recent("magnetisation")
        time = np.arange(len(energy))
        exact_energy = np.full(len(time), exact("energy", side, magnet.temperature))
        history.update(
            line(time, m, name="magnetisation m", colour=1),
            line(time, energy, name="energy e (J)", colour=2),
            line(time, exact_energy, name="exact ⟨e⟩", colour=2, dash="dot"),
        )

    def tell(magnet: Simulation) -> None:
        values: dict[str, object] = {"sweeps": magnet.state.sweep, "heat capacity": None}
        values |= {"energy": magnet.mean("energy"), "magnetisation": magnet.mean("abs_magnetisation")}
        for quantity in QUANTITIES:
            estimate = measure(magnet, quantity)
            if estimate is not None:
                visited[quantity, magnet.side][round(magnet.temperature, 2)] = estimate
                shown = (estimate.mean, estimate.error, float(exact(quantity, magnet.side, magnet.temperature)))
                values[quantity] = shown if quantity != "magnetisation" or looks_infinite(magnet) else shown[:2]
        readouts.update(**values)

    return LiveApp(
        "A magnet that melts",
        "At which temperature does the order disappear, and what does the lattice look like there?",
        knobs, readouts, views=[view], plots=[curve, history],
        make=make, draw=lambda magnet: view.show(magnet.x), plot=plot, tell=tell,
        turns={"temperature": Simulation.heat}, rebuilds=("side", "sampler", "start"), label="the magnet",
    )  # fmt: skip


class SharedHeatBath(mp.Sampler):
    """A heat bath in which every chain uses the random numbers of chain 0: the trap of this lecture."""

    exact = False
    hamiltonian: mp.Ising

    def step(self, state: State, sweeps: int = 1) -> mp.Info:
        from mlphys.kernels.spins import heat_bath_sweeps_uniform

        model, lattice = self.hamiltonian, self.hamiltonian.lattice
        same = np.zeros(state.chains, np.int64)
        heat_bath_sweeps_uniform(
            state.configuration.spins(), lattice.neighbours, model.coupling, model.field, lattice.update_order,
            state.beta, same, np.uint64(state.seed), np.int64(state.sweep), sweeps,
        )
        state.sweep += sweeps
        return mp.Info()


class Copies:
    """Sixteen magnets that start differently, with shared or with independent random numbers."""

    COUNT, MEMORY = 16, 300

    def __init__(self, side: int, temperature: float, shared: bool, seed: int = 1):
        model = mp.Ising(mp.square(side))
        self.sampler = SharedHeatBath(model) if shared else mp.HeatBath(model)
        self.state = self.sampler.init(self.COUNT, temperature, seed, start="random")
        self.seed, self.magnetisation = seed, deque([self.spins.mean(1)], maxlen=self.MEMORY)

    @property
    def spins(self) -> np.ndarray:
        return self.state.configuration.spins()

    def advance(self) -> None:
        self.sampler.step(self.state, 1)
        self.magnetisation.append(self.spins.mean(1))


def trap(size: str | None = None) -> App:
    """Copies of one magnet, from different starts, with shared or with independent random numbers."""
    side = 64 if sizes(size).live >= 256 else 32
    knobs = controls(
        temperature=Control(1.5, 4.0, 2.6, step=0.01, label="temperature T", unit="J", marks={CRITICAL_TEMPERATURE: "T_c"}),
        shared=Switch(True, label="shared random numbers"),
    )
    view = LatticeView(rows=side, columns=2 * side + 2, caption="two of the copies, side by side")
    plot = Plot(x="time (sweeps)", y="magnetisation m per site", label="magnetisation of the copies")
    readouts = Readouts("distinct copies", "magnetisation")
    copies = Copies(side, knobs.temperature, knobs.shared)

    def show() -> None:
        x, m = copies.spins, np.array(copies.magnetisation)
        pair = np.zeros((side, 2 * side + 2), np.int8)
        pair[:, :side], pair[:, side + 2 :] = x[0].reshape(side, side), x[1].reshape(side, side)
        view.show(pair)
        error = m[-1].std(ddof=1) / np.sqrt(copies.COUNT)
        readouts.update(**{"distinct copies": len(np.unique(x, axis=0)), "magnetisation": (m[-1].mean(), error)})
        time = np.arange(copies.state.sweep - len(m) + 1, copies.state.sweep + 1)
        plot.update(*(line(time, m[:, k], name=f"copy {k + 1}", colour=k) for k in range(8)))

    def reset() -> None:
        nonlocal copies
        copies = Copies(side, knobs.temperature, knobs.shared, copies.seed + 1)
        show()

    def step() -> None:
        copies.advance()
        show()

    def changed(change) -> None:
        with player.lock:
            if change.name == "temperature":
                copies.state.temperature = change.new
            else:
                reset()

    player = Player(step, rate=20, reset=reset, unit="sweeps/s", label="the copies")
    knobs.observe(changed, ["temperature", "shared"])
    show()
    return App(
        "Sixteen copies, one coin",
        "Sixteen magnets start differently and use the same random numbers. How many independent measurements are they?",
        views=[view],
        plots=[plot],
        controls=knobs,
        player=player,
        readouts=readouts,
    )
