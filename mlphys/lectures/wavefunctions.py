"""Lecture 05, wave functions: its sizes, and the live optimisation of a chain in a transverse field."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

import mlphys as mp
from mlphys.exact.quantum import free_fermions
from mlphys.hamiltonians.born import Born
from mlphys.lab import (
    App,
    Choice,
    Control,
    LatticeView,
    Plot,
    Readouts,
    SimulationPlayer,
    band,
    controls,
    line,
    markers,
)
from mlphys.lectures.phases import with_errors
from mlphys.lectures.sizes import choose
from mlphys.lectures.wavefunctions_exercises import exercises
from mlphys.random import generator
from mlphys.stats import Estimate

# nets and vmc import torch, which takes two seconds: an app that opens does not wait for it.
if TYPE_CHECKING:
    from mlphys.vmc import Step

__all__ = ["LOG", "Descent", "app", "exercises", "sizes", "with_errors"]


@dataclass(frozen=True)
class Sizes:
    """How much the notebook of this lecture computes.

    `live` is the number of sites in the app's first chain; `samples` are drawn from |ψ|² by hand; `chain` and `steps`
    belong to the run at the critical field, `fields` and `field_steps` to the scan across the transition, `race_*` to the
    two optimisers, `ansatz_*` to the table of ansätze, `entropy_*` to Rényi's entropy, `quench_*` to the evolution in
    time (`quench_step` is its time step).
    """

    live: int
    samples: int
    chain: int
    steps: int
    fields: tuple[float, ...]
    field_steps: int
    race_chain: int
    race_steps: int
    ansatz_chain: int
    ansatz_steps: int
    entropy_chain: int
    entropy_steps: int
    entropy_samples: int
    quench_chain: int
    quench_samples: int
    quench_step: float


_SIZES = {
    "ci": Sizes(16, 400, 12, 80, (1.4, 1.0, 0.6), 30, 12, 60, 10, 20, 10, 80, 8000, 8, 480, 0.04),
    "lecture": Sizes(
        40, 2000, 40, 300, (1.5, 1.3, 1.1, 1.0, 0.9, 0.7, 0.5), 30, 24, 200, 12, 60, 16, 150, 40000, 12, 2016, 0.05
    ),
    "full": Sizes(
        40, 20000, 80, 1000, (1.5, 1.3, 1.2, 1.1, 1.05, 1.0, 0.95, 0.9, 0.8, 0.7, 0.5), 300, 40, 600, 40, 600,
        16, 600, 400000, 16, 8064, 0.02,
    ),
}  # fmt: skip


def sizes(name: str | None = None) -> Sizes:
    """The sizes `ci`, `lecture` or `full` (default: environment variable MLPHYS_SIZE, else `lecture`)."""
    return choose(_SIZES, name)


class Descent:
    """A restricted Boltzmann machine on its way to the ground state of −Σ σᶻσᶻ − h Σ σˣ, one step after the other.

    `rate` may be changed between steps; after a change of `field`, `method` or `samples` by `turn` the optimisation goes on
    from the present weights. Nothing is drawn, and torch is not loaded, before the first step.
    """

    MEMORY, ROWS, RECENT = 600, 40, 20

    def __init__(self, n_sites: int, alpha: int, field: float, method: str, rate: float, samples: int, seed: int):
        self.n_sites, self.alpha, self.seed = n_sites, alpha, seed
        self.field, self.method, self.rate, self.samples = field, method, rate, samples
        self.count, self.turns = 0, 0
        self.past: deque[tuple[int, float, Step]] = deque(maxlen=self.MEMORY)
        self.psi: Any = None
        self._steps: Iterator[Step] | None = None
        self._since = 0
        self.x = 2 * generator(seed, "start").integers(0, 2, (self.ROWS, n_sites), np.int8) - 1

    def turn(self, **settings: Any) -> None:
        """Go on from the present weights with another field, method, or number of samples."""
        for name, value in settings.items():
            setattr(self, name, value)
        self._steps = None
        if "field" in settings:
            self._since = self.count

    def _begin(self) -> "Iterator[Step]":
        from mlphys import nets, vmc

        model = mp.TransverseIsing(mp.chain(self.n_sites), field=self.field)
        self.psi = self.psi or nets.RBM(self.n_sites, self.alpha, seed=self.seed)
        self._sampler = mp.Metropolis(Born(self.psi, model))
        self._state = self._sampler.init(self.ROWS, seed=self.seed, start=self.x)
        self.turns += 1
        return vmc.ground_state(
            model,
            self.psi,
            10**9,
            self.samples,
            seed=self.seed + 1000 * self.turns,
            rate=lambda _: self.rate,
            method=self.method,
        )

    def advance(self, _sweeps: int = 1) -> None:
        """One step of the optimisation, and one sweep of the chains in the picture."""
        self._steps = self._steps or self._begin()
        try:
            step = next(self._steps)
        except Exception:
            self._steps = None  # Broken: the next step begins anew, from the last good weights.
            raise
        self.count += 1
        self.past.append((self.count, self.field, step))
        self._sampler.step(self._state)
        self.x = self._state.x.numpy()

    @property
    def weights(self) -> np.ndarray:
        """W (n_sites, hidden), the hidden units in the order of the sites that they look at most."""
        if self.psi is None:
            return np.zeros((self.n_sites, self.alpha * self.n_sites))
        weights = self.psi.weights.detach().cpu().numpy()
        return weights[:, np.argsort(np.abs(weights).argmax(0), kind="stable")]

    @property
    def exact(self) -> float:
        """The exact energy per site."""
        return free_fermions(self.n_sites, 1.0, self.field) / self.n_sites

    @property
    def at_this_field(self) -> "list[Step]":
        """The steps since the field was changed."""
        return [step for count, _, step in self.past if count > self._since]

    @property
    def energy(self) -> Estimate | None:
        """Energy per site, the mean of the newest steps at this field; None before the first few."""
        newest = self.at_this_field[-self.RECENT :]
        if len(newest) < 3:
            return None
        mean = np.mean([step.energy.mean for step in newest])
        error = np.sqrt(sum(step.energy.error**2 for step in newest)) / len(newest)
        return Estimate(float(mean) / self.n_sites, float(error) / self.n_sites)

    def series(self) -> tuple[np.ndarray, ...]:
        """Number, energy per site, its error, exact energy per site of the steps remembered."""
        exact = cache(lambda field: free_fermions(self.n_sites, 1.0, field))
        rows = [(count, step.energy.mean, step.energy.error, exact(field)) for count, field, step in self.past]
        count, *energies = np.array(rows).reshape(-1, 4).T
        return count, *(energy / self.n_sites for energy in energies)


# A logarithmic axis with powers of ten alone.
LOG = {"type": "log", "dtick": 1, "exponentformat": "power"}
SHOWN = {
    "energy against variance": ("variance per site (J²)", "energy per site (J)"),
    "relative error against step": ("step", "(E − E₀) / |E₀|"),
    "energy against field": ("transverse field h (J)", "energy per site (J)"),
    "relative error against field": ("transverse field h (J)", "(E − E₀) / |E₀|"),
}
# Name in the library, and a learning rate that suits it.
METHODS = {"stochastic reconfiguration": ("sr", 0.05), "Adam": ("adam", 0.01)}


def app(size: str | None = None) -> App:
    """A live search for the ground state: turn the field, and see the wave function follow."""
    chosen = sizes(size)
    knobs = controls(
        field=Control(0.2, 2.0, 1.0, step=0.02, label="transverse field h", unit="J", marks={1.0: "h_c"}),
        rate=Control(0.001, 0.2, 0.05, step=1.1, log=True, label="learning rate", description="another method sets it anew"),
        method=Choice(list(METHODS), label="method"),
        n_sites=Choice(["16", "24", "40", "64"], str(chosen.live), label="sites N"),
        alpha=Choice(["1", "2", "4"], "1", label="hidden units per site α"),
        samples=Choice(["256", "512", "1008"], "512", label="samples a step"),
        picture=Choice(["samples", "weights"], label="picture"),
        plot=Choice(list(SHOWN), label="plot"),
    )
    view = LatticeView(rows=Descent.ROWS, columns=chosen.live, label="samples or weights", size=420)
    readouts = Readouts(
        "step",
        "energy",
        "exact_energy",
        "relative_error",
        "variance",
        "v_score",
        "r_hat",
        units={"energy": "J", "exact_energy": "J", "variance": "J²"},
        labels={
            "energy": "energy per site",
            "exact_energy": "exact energy",
            "variance": "variance per site",
            "v_score": "V-score",
            "r_hat": "R-hat of the chains",
        },
    )
    history = Plot(x="step", y="energy per site (J)", label="energy against step")
    other = Plot(x=SHOWN[knobs.plot][0], y=SHOWN[knobs.plot][1], label="zero variance, or the field")
    grid = np.linspace(0.2, 2.0, 91)
    curve = cache(lambda n_sites: np.array([free_fermions(n_sites, 1.0, h) for h in grid]) / n_sites)
    visited: dict[tuple[int, float], Estimate] = {}

    def make(seed: int) -> Descent:
        settings = knobs.values()
        return Descent(
            int(settings["n_sites"]),
            int(settings["alpha"]),
            settings["field"],
            METHODS[settings["method"]][0],
            settings["rate"],
            int(settings["samples"]),
            seed,
        )

    def draw(descent: Descent) -> None:
        if knobs.picture == "weights":
            weights = descent.weights
            largest = max(0.01, float(np.abs(weights).max()))
            view.caption = "weights W: one row a site, one column a hidden unit"
            view.show(weights, scale=(-largest, largest))
        else:
            view.caption = "states drawn from |ψ|²: one row a Markov chain, one column a site; light σᶻ = 1, dark −1"
            view.show(descent.x)
        if descent.count % 5 == 0:
            tell(descent)
            plot(descent)

    def plot(descent: Descent) -> None:
        count, energy, error, exact = descent.series()
        history.update(*band(count, energy, error, "energy"), line(count, exact, "exact", 1, "dash"))
        by = {"energy against variance": by_variance, "relative error against step": by_step}
        draw_other = by.get(knobs.plot, by_field)
        x, y = SHOWN[knobs.plot]
        scale = LOG if knobs.plot.startswith("relative") else {"type": "linear", "dtick": None}
        axes = {"xaxis": {"title": {"text": x}}, "yaxis": {"title": {"text": y}} | scale}
        other.update(*draw_other(descent), layout=axes)

    def by_variance(descent: Descent) -> list:
        steps = descent.at_this_field[-200:]
        variance = [step.variance / descent.n_sites for step in steps]
        points = markers(variance, [step.energy.mean / descent.n_sites for step in steps], None, "steps at this field")
        return [points, markers([0.0], [descent.exact], None, "exact", 1, "diamond")]

    def by_step(descent: Descent) -> list:
        count, energy, error, exact = descent.series()
        # Below the error there is only noise, and a logarithm has no room for it.
        above = np.maximum(energy - exact, error)
        return [line(count, above / -exact, "energy"), line(count, error / -exact, "its error", 1, "dot")]

    def by_field(descent: Descent) -> list:
        found = sorted((h, value) for (n_sites, h), value in visited.items() if n_sites == descent.n_sites)
        h, mean = np.array([(h, value.mean) for h, value in found]).reshape(-1, 2).T
        error = np.array([value.error for _, value in found])
        if knobs.plot == "energy against field":
            return [line(grid, curve(descent.n_sites), "exact", 1), markers(h, mean, error, "found")]
        exact = np.array([free_fermions(descent.n_sites, 1.0, field) for field in h]) / descent.n_sites
        return [markers(h, np.maximum(mean - exact, error) / np.abs(exact), error / np.abs(exact), "found")]

    def tell(descent: Descent) -> None:
        energy, steps, exact = descent.energy, descent.at_this_field, descent.exact
        values: dict[str, Any] = {"step": descent.count, "exact_energy": f"{exact:.6f}".replace("-", "−")}
        values |= dict.fromkeys(("energy", "relative_error", "variance", "v_score", "r_hat"))
        if energy:
            visited[descent.n_sites, round(descent.field, 2)] = energy
            newest = steps[-Descent.RECENT :]
            values |= {"energy": energy, "relative_error": ((energy.mean - exact) / -exact, energy.error / -exact)}
            values["variance"] = float(np.mean([step.variance for step in newest])) / descent.n_sites
            values["v_score"] = float(np.mean([step.v_score for step in newest]))
            values["r_hat"] = newest[-1].rhat
        readouts.update(**values)

    def set_rate(descent: Descent, rate: float) -> None:
        descent.rate = rate

    def set_method(descent: Descent, method: str) -> None:
        name, knobs.rate = METHODS[method]
        descent.turn(method=name)

    player = SimulationPlayer(
        make,
        knobs,
        draw=draw,
        plot=plot,
        tell=tell,
        turns={
            "field": lambda descent, field: descent.turn(field=field),
            "method": set_method,
            "samples": lambda descent, samples: descent.turn(samples=int(samples)),
            "rate": set_rate,
        },
        rebuilds=("n_sites", "alpha"),
        label="the optimisation",
    )
    return App(
        "A network finds a ground state",
        "How few numbers hold a quantum state of 2ᴺ? Turn the field, and watch the wave function follow.",
        views=[view],
        plots=[history, other],
        controls=knobs,
        player=player,
        readouts=readouts,
    )
