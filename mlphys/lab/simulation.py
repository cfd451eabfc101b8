"""What most apps are made of: one lattice that runs live, what was measured on it, and the player that drives it."""

import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from mlphys.configurations import Sites
from mlphys.core import Info, Sampler, State
from mlphys.lab.control import Controls
from mlphys.lab.player import Player
from mlphys.stats import ChainTooShort, Estimate, estimate, jackknife

Look = Callable[["Simulation"], tuple[Mapping[str, Any], Any]]


class Simulation:
    """One lattice that runs live, and what was measured on it since its last change.

    Arguments: sampler; x, the variables to start from, in the lattice's shape (rows, columns[, components]); temperature, in
    J, and 1 where β is absorbed; seed; look(simulation), asked after every step for the numbers to keep, by name, and for
    anything that costs too much to find twice and shall be drawn: it is kept as `seen`. `info` is what the last step said.

    >>> import mlphys as mp
    >>> ising = mp.Ising(mp.square(4))
    >>> live = Simulation(mp.HeatBath(ising), np.ones((4, 4), np.int8), 2.0, 1, lambda live: ({"m": live.x.mean()}, None))
    >>> for _ in range(400):
    ...     live.advance(1)
    >>> live.estimate("m", of=abs).error > 0
    True
    """

    MEMORY, TUNING = 2**14, 200

    def __init__(self, sampler: Sampler, x: np.ndarray, temperature: float, seed: int, look: Look):
        self.sampler, self.model, self.shape = sampler, sampler.hamiltonian, x.shape
        # Made by hand, without torch: that takes longer to import than the rest of an app to open.
        self.state = State(Sites(x.reshape(1, -1, *x.shape[2:]).copy()), np.array([1 / temperature]), seed)
        sampler.adopt(self.state)
        self.series: dict[str, deque[float]] = {}
        self._look, self.info = look, Info()
        self.seen = look(self)[1]

    @property
    def x(self) -> np.ndarray:
        """The lattice (rows, columns[, components]) as it is now."""
        return np.asarray(self.state.configuration.spins()).reshape(self.shape)

    @property
    def side(self) -> int:
        return self.shape[0]

    @property
    def temperature(self) -> float:
        return float(self.state.temperature[0])

    @property
    def beta(self) -> float:
        return float(self.state.beta[0])

    @property
    def samples(self) -> int:
        """How often it was measured since the last change."""
        return len(next(iter(self.series.values()), ()))

    def advance(self, sweeps: int) -> None:
        """Go `sweeps` sweeps on and measure."""
        self.info = self.sampler.step(self.state, sweeps)
        if self.samples < self.TUNING:
            self.sampler.adapt(self.state)
        values, self.seen = self._look(self)
        for name, value in values.items():
            self.series.setdefault(name, deque(maxlen=self.MEMORY)).append(np.asarray(value).item())

    def heat(self, temperature: float) -> None:
        """Go on at another temperature, and drop what was measured at this one."""
        self.state.temperature = temperature
        self.series.clear()

    def recent(self, name: str, count: int = 500) -> np.ndarray:
        """The newest measurements of one quantity, at most `count`."""
        return np.array(self.series.get(name, ()))[-count:]

    def mean(self, name: str) -> float | None:
        """The mean of one quantity so far, however few its measurements; None before the first."""
        return float(np.mean(self.series[name])) if self.samples else None

    def kept(self, name: str) -> np.ndarray:
        """The measurements of one quantity that count: without those of the tuning, and of the way from the start."""
        first = max(self.TUNING, self.samples // 5)
        return np.array(self.series.get(name, ()))[first:]

    def estimate(self, *names: str, of: Callable[..., float] | None = None) -> Estimate | None:
        """The mean of one quantity, or a function `of` several means; None while there is too little for an error."""
        parts = [self.kept(name) for name in names]
        if len(parts[0]) < 100:
            return None
        try:
            return estimate(parts[0]) if of is None else jackknife(of, *parts)
        except ChainTooShort:
            return None


class SimulationPlayer(Player):
    """Drives the `simulation` of an app and lets the controls change it.

    Every frame goes as many sweeps on as the control `sweeps` says (1 without it) and draws; every thirtieth also tells and
    plots, and so do a single step and the end of a run. A control that changes is handed to its function in `turns`; if it
    is among `rebuilds`, as for a reset, a new simulation is made; after any change everything is drawn, told and plotted.

    Arguments: make(seed), a new simulation as the controls say, or anything else with `advance(sweeps)`; knobs, the
    controls; draw, plot and tell, called with the simulation, to show the lattice, the plots and the numbers;
    turns(simulation, value), by name of the control: changes the simulation, or returns another that takes its place;
    rebuilds, names of controls; label, the accessible name.
    """

    def __init__(
        self,
        make: Callable[[int], Any],
        knobs: Controls,
        *,
        draw: Callable[[Any], None],
        plot: Callable[[Any], None],
        tell: Callable[[Any], None],
        turns: Mapping[str, Callable[[Any, Any], Any]],
        rebuilds: Collection[str],
        label: str,
    ):
        super().__init__(self._frame, rate=60, reset=self._rebuild, unit="frames/s", label=label)
        self._make, self._knobs, self._turns, self._rebuilds = make, knobs, turns, rebuilds
        self._draw, self._plot, self._tell = draw, plot, tell
        self._seed = 0
        self._rebuild()
        knobs.observe(self._changed)

    def _rebuild(self) -> None:
        self._seed += 1
        self.simulation = self._make(self._seed)
        self.steps = 0
        self.show()

    def show(self) -> None:
        self._draw(self.simulation)
        self._tell(self.simulation)
        self._plot(self.simulation)

    def _run(self, stop: threading.Event) -> None:
        super()._run(stop)
        if not self.message:
            self._guarded(self.show, count=0)

    def _frame(self) -> None:
        self.simulation.advance(int(getattr(self._knobs, "sweeps", 1)))
        self._draw(self.simulation)
        if not self.running or self.steps % 30 == 0:
            self._tell(self.simulation)
            self._plot(self.simulation)

    def _changed(self, change: Any) -> None:
        with self.lock:
            if change.name in self._rebuilds:
                return self._rebuild()
            if change.name in self._turns:
                self.simulation = self._turns[change.name](self.simulation, change.new) or self.simulation
            self.show()
