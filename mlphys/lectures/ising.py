"""Lecture 01, the Ising model: its sizes, its live magnet, and the trap of shared random numbers."""

from collections import deque
from dataclasses import dataclass

import numpy as np

import mlphys as mp
from mlphys.core import State
from mlphys.exact import SQUARE_CRITICAL_TEMPERATURE, kaufman, onsager
from mlphys.lab import App, Choice, Control, LatticeView, Player, Plot, Readouts, Switch, controls, line, markers
from mlphys.lectures.ising_exercises import exercises
from mlphys.lectures.ising_experiments import SAMPLERS, dynamic_exponent, heat_capacity, slowing_down, yardstick
from mlphys.lectures.sizes import choose
from mlphys.stats import ChainTooShort, Estimate, jackknife

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


def sizes(name: str | None = None) -> Sizes:
    """The sizes `ci`, `lecture` or `full` (default: environment variable MLPHYS_SIZE, else `lecture`)."""
    return choose(_SIZES, name)


def temperature_grid(low: float, high: float) -> np.ndarray:
    """Temperatures to draw exact curves at, in J: even, and ever denser towards the critical one, where they are steep."""
    near = np.geomspace(1e-6, 0.1, 40)
    grid = np.concatenate([np.linspace(low, high, 121), CRITICAL_TEMPERATURE - near, CRITICAL_TEMPERATURE + near])
    return np.unique(grid[(grid >= low) & (grid <= high)])


class Magnet:
    """One lattice that runs live, and what was measured on it since its last change."""

    MEMORY, TUNING = 2**14, 200

    def __init__(self, side: int, sampler: str, temperature: float, start: str = "ordered", seed: int = 1):
        self.model = mp.Ising(mp.square(side))
        self.sampler = SAMPLERS[sampler](self.model)
        self.side, self.seed = side, seed
        self.state: State = self.sampler.init(1, temperature, seed, start=start)
        self.energy: deque[float] = deque(maxlen=self.MEMORY)
        self.magnetisation: deque[float] = deque(maxlen=self.MEMORY)

    def advance(self, sweeps: int) -> None:
        """Go `sweeps` sweeps on and measure."""
        self.sampler.step(self.state, sweeps)
        if len(self.energy) < self.TUNING:
            self.sampler.adapt(self.state)
        values = self.model.measure(self.state, ("energy", "magnetisation"))
        self.energy.append(float(values["energy"][0]))
        self.magnetisation.append(float(values["magnetisation"][0]))

    def forget(self) -> None:
        """Drop the measurements: something has changed."""
        self.energy.clear()
        self.magnetisation.clear()

    @property
    def temperature(self) -> float:
        return float(self.state.temperature[0])

    def estimate(self, quantity: str) -> Estimate | None:
        """The quantity since the last change, its first fifth left out; None while that is too little for an error."""
        # Tuning ends with the first measurements, and the lattice has to forget where it came from.
        first = max(self.TUNING, len(self.energy) // 5)
        energy, m = (np.array(series)[first:] for series in (self.energy, self.magnetisation))
        if len(energy) < 100:
            return None
        try:
            if quantity == "heat capacity":
                mp.stats.estimate(energy)
                factor = self.side**2 / self.temperature**2
                return jackknife(lambda e, e2: factor * (e2 - e**2), energy, energy**2)
            return mp.stats.estimate(energy if quantity == "energy" else np.abs(m))
        except ChainTooShort:
            return None

    @property
    def looks_infinite(self) -> bool:
        """Whether the magnetisation of the infinite lattice holds here: the side is many correlation lengths."""
        beta = 1 / self.temperature
        return bool(self.side * (4 * beta + 2 * np.log(np.tanh(beta))) > 20)

    def exact(self, quantity: str, temperature=None):
        """The exact value: of this lattice for the energy and heat capacity, of the infinite one for the magnetisation."""
        temperature = self.temperature if temperature is None else temperature
        if quantity == "magnetisation":
            return onsager(temperature).magnetisation
        value = kaufman(self.side, self.side, temperature)
        return value.energy if quantity == "energy" else value.heat_capacity


def app(size: str | None = None) -> App:
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
    visited: dict[tuple[str, str, float], Estimate] = {}
    magnet = Magnet(chosen.live, "Metropolis", knobs.temperature)

    def rebuild() -> None:
        nonlocal magnet
        magnet = Magnet(int(knobs.side), knobs.sampler, knobs.temperature, knobs.start, magnet.seed + 1)
        player.steps = 0
        draw()
        plot()

    def draw() -> None:
        side = magnet.side
        view.show(magnet.state.configuration.spins().reshape(side, side))

    def plot() -> None:
        quantity, here = knobs.quantity, f"L = {magnet.side}"
        points = [(t, e) for (q, label, t), e in visited.items() if q == quantity and label == here]
        traces = [line(grid, magnet.exact(quantity, grid), name=f"exact, L = {QUANTITIES[quantity][1]}")]
        if points:
            t, estimates = zip(*sorted(points, key=lambda point: point[0]), strict=True)
            means, errors = [e.mean for e in estimates], [e.error for e in estimates]
            traces.append(markers(t, means, errors, name=f"measured, {here}", colour=1))
        curve.update(*traces, layout={"yaxis": {"title": {"text": QUANTITIES[quantity][0]}}})
        energy, m = (np.array(series)[-500:] for series in (magnet.energy, magnet.magnetisation))
        time = np.arange(len(energy))
        exact_energy = np.full(len(time), magnet.exact("energy"))
        history.update(
            line(time, m, name="magnetisation m", colour=1),
            line(time, energy, name="energy e (J)", colour=2),
            line(time, exact_energy, name="exact ⟨e⟩", colour=2, dash="dot"),
        )

    def tell() -> None:
        values: dict[str, object] = {"sweeps": magnet.state.sweep, "heat capacity": None}
        for quantity in QUANTITIES:
            estimate = magnet.estimate(quantity)
            if estimate is not None:
                visited[quantity, f"L = {magnet.side}", round(magnet.temperature, 2)] = estimate
                shown = (estimate.mean, estimate.error, float(magnet.exact(quantity)))
                values[quantity] = shown if quantity != "magnetisation" or magnet.looks_infinite else shown[:2]
        if magnet.energy:
            values.setdefault("energy", float(np.mean(magnet.energy)))
            values.setdefault("magnetisation", float(np.mean(np.abs(magnet.magnetisation))))
        readouts.update(**values)

    def step() -> None:
        magnet.advance(int(knobs.sweeps))
        draw()
        if player.steps % 30 == 0:
            tell()
            plot()

    def changed(change) -> None:
        with player.lock:
            if change.name == "temperature":
                magnet.state.temperature = change.new
                magnet.forget()
                draw()
            elif change.name in ("side", "sampler", "start"):
                rebuild()
            else:
                plot()

    player = Player(step, rate=60, reset=rebuild, unit="frames/s", label="the magnet")
    knobs.observe(changed, ["temperature", "side", "sampler", "start", "quantity"])
    draw()
    plot()
    return App(
        "A magnet that melts",
        "At which temperature does the order disappear, and what does the lattice look like there?",
        views=[view],
        plots=[curve, history],
        controls=knobs,
        player=player,
        readouts=readouts,
    )


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
