"""Lecture 05, wave functions: its sizes, and the live optimisation of a chain in a transverse field."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

import mlphys as mp
from mlphys.exact.quantum import free_fermions
from mlphys.hamiltonians.born import Born
from mlphys.lab import (
    Choice,
    Control,
    LatticeView,
    LiveApp,
    Optimisation,
    Plot,
    Readouts,
    band,
    controls,
    line,
    markers,
    points,
    with_errors,
)
from mlphys.lectures.sizes import choose
from mlphys.lectures.wavefunctions_exercises import exercises
from mlphys.random import generator
from mlphys.stats import Estimate

# nets and vmc import torch, which takes two seconds: an app that opens does not wait for it.
if TYPE_CHECKING:
    from mlphys.nets import RBM
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
sizes = partial(choose, _SIZES)


class Descent(Optimisation):
    """A restricted Boltzmann machine on its way to the ground state of −Σ σᶻσᶻ − h Σ σˣ; `rate` may change at any time."""

    MEMORY, ROWS = 600, 40

    def __init__(self, n_sites: int, alpha: int, field: float, method: str, rate: float, samples: int, seed: int):
        super().__init__(n_sites, seed)
        self.alpha, self.field, self.method, self.rate, self.samples = alpha, field, method, rate, samples
        self.x = 2 * generator(seed, "start").integers(0, 2, (self.ROWS, n_sites), np.int8) - 1

    def model(self) -> mp.TransverseIsing:
        return mp.TransverseIsing(mp.chain(self.n_sites), field=self.field)

    def network(self) -> "RBM":
        from mlphys import nets

        return nets.RBM(self.n_sites, self.alpha, seed=self.seed)

    def options(self) -> dict[str, Any]:
        return {"samples": self.samples, "rate": lambda _: self.rate, "method": self.method}

    @property
    def exact_energy(self) -> float:  # type: ignore[override]
        return free_fermions(self.n_sites, 1.0, self.field) / self.n_sites

    def _begin(self) -> "Iterator[Step]":
        steps = super()._begin()
        self._sampler = mp.Metropolis(Born(self.psi, self.model()))
        self._state = self._sampler.init(self.ROWS, seed=self.seed, start=self.x)
        return steps

    def advance(self, _sweeps: int = 1) -> None:
        """One step of the optimisation, and one sweep of the chains in the picture."""
        self.step()
        self._sampler.step(self._state)
        self.x = self._state.x.numpy()

    @property
    def weights(self) -> np.ndarray:
        """W (n_sites, hidden), the hidden units in the order of the sites that they look at most."""
        if self.psi is None:
            return np.zeros((self.n_sites, self.alpha * self.n_sites))
        weights = self.psi.weights.detach().cpu().numpy()
        return weights[:, np.argsort(np.abs(weights).argmax(0), kind="stable")]


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


def app(size: str | None = None) -> LiveApp:
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
    visited: dict[int, dict[float, Estimate]] = defaultdict(dict)

    def make(seed: int) -> Descent:
        n_sites, alpha, samples = int(knobs.n_sites), int(knobs.alpha), int(knobs.samples)
        return Descent(n_sites, alpha, knobs.field, METHODS[knobs.method][0], knobs.rate, samples, seed)

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
        steps = descent.since_turn[-200:]
        variance = [step.variance / descent.n_sites for step in steps]
        points = markers(variance, [step.energy.mean / descent.n_sites for step in steps], None, "steps at this field")
        return [points, markers([0.0], [descent.exact_energy], None, "exact", 1, "diamond")]

    def by_step(descent: Descent) -> list:
        count, energy, error, exact = descent.series()
        # Below the error there is only noise, and a logarithm has no room for it.
        above = np.maximum(energy - exact, error)
        return [line(count, above / -exact, "energy"), line(count, error / -exact, "its error", 1, "dot")]

    def by_field(descent: Descent) -> list:
        found = visited[descent.n_sites]
        if knobs.plot == "energy against field":
            return [line(grid, curve(descent.n_sites), "exact", 1), points(found, "found")]
        exact = {h: free_fermions(descent.n_sites, 1.0, h) / descent.n_sites for h in found}
        # Below the error there is only noise, and a logarithm has no room for it.
        relative = {h: Estimate(max(e.mean - exact[h], e.error) / -exact[h], e.error / -exact[h]) for h, e in found.items()}
        return [points(relative, "found")]

    def tell(descent: Descent) -> None:
        energy, newest, exact = descent.energy, descent.recent, descent.exact_energy
        values: dict[str, Any] = {"step": descent.count, "exact_energy": f"{exact:.6f}".replace("-", "−")}
        values |= dict.fromkeys(("energy", "relative_error", "variance", "v_score", "r_hat"))
        if energy:
            visited[descent.n_sites][round(descent.field, 2)] = energy
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

    return LiveApp(
        "A network finds a ground state",
        "How few numbers hold a quantum state of 2ᴺ? Turn the field, and watch the wave function follow.",
        knobs, readouts, views=[view], plots=[history, other],
        make=make, draw=draw, plot=plot, tell=tell,
        turns={
            "field": lambda descent, field: descent.turn(field=field),
            "method": set_method,
            "samples": lambda descent, samples: descent.turn(samples=int(samples)),
            "rate": set_rate,
        },
        rebuilds=("n_sites", "alpha"), label="the optimisation",
    )  # fmt: skip
