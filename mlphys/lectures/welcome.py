"""Lecture 00, welcome: its sizes, and a race of two samplers that shows what the course measures by."""

from dataclasses import dataclass
from functools import partial

from mlphys.exact import SQUARE_CRITICAL_TEMPERATURE
from mlphys.lab import Choice, Control, LatticeView, LiveApp, Plot, Readouts, band, controls, line, markers
from mlphys.lectures.sizes import choose
from mlphys.lectures.welcome_exercises import exercises
from mlphys.lectures.welcome_live import RACERS, Race, exact_energy, naive

__all__ = ["CRITICAL_TEMPERATURE", "RACERS", "Race", "app", "exact_energy", "exercises", "naive", "sizes"]

CRITICAL_TEMPERATURE = float(SQUARE_CRITICAL_TEMPERATURE)


@dataclass(frozen=True)
class Sizes:
    """How much the notebook of this lecture computes.

    `live` is the side of the app's first lattice; the notebook's has `side`, with `samples` on each of `chains` chains.
    """

    live: int
    side: int
    samples: int
    chains: int


_SIZES = {"ci": Sizes(128, 16, 1000, 64), "lecture": Sizes(128, 32, 2000, 64), "full": Sizes(256, 64, 20_000, 64)}
sizes = partial(choose, _SIZES)

HEIGHT = 400
PACES = {"0.2": 2e-4, "2": 2e-3, "5": 5e-3}
REFUSED = "chain too short"


def app(size: str | None = None) -> LiveApp:
    """One magnet by Metropolis, one by Wolff, on equal computing time: who knows its energy, and who only believes so?"""
    chosen = sizes(size)
    knobs = controls(
        temperature=Control(1.5, 3.5, 2.27, step=0.01, label="temperature T", unit="J", marks={CRITICAL_TEMPERATURE: "T_c"}),
        side=Choice(["128", "256", "512"], str(chosen.live), label="lattice side L"),
        start=Choice(["ordered", "random"], label="start from"),
        pace=Choice(list(PACES), "2", label="computing time a frame", unit="ms"),
    )
    views = {name: LatticeView(rows=chosen.live, label=f"spins, {name}", caption=name, size=200) for name in RACERS}
    labels = {f"{name} {kind}": f"⟨e⟩, {name}, {kind}" for name in RACERS for kind in ("naive", "honest")}
    labels |= {f"{name} rate": f"ESS/s, {name}" for name in RACERS}
    readouts = Readouts(*labels, labels=labels)
    energies = Plot(
        x="sampler", y="energy ⟨e⟩ per site (J)", label="energy by both samplers, with both error bars", height=HEIGHT,
        axes={"xaxis": {"tickvals": [0, 1], "ticktext": list(RACERS), "range": [-0.6, 1.6], "zeroline": False}},
    )  # fmt: skip
    race_track = Plot(
        x="computing time (s)", y="effective samples", label="effective samples against computing time", height=HEIGHT,
        axes={axis: {"rangemode": "tozero"} for axis in ("xaxis", "yaxis")},
    )  # fmt: skip

    def make(seed: int) -> Race:
        return Race(int(knobs.side), knobs.temperature, knobs.start == "ordered", PACES[knobs.pace], seed)

    def draw(race: Race) -> None:
        for name, racer in race.racers.items():
            views[name].show(racer.x)

    def tell(race: Race) -> None:
        race.judge()
        values: dict[str, object] = {}
        for name, found in race.standing.items():
            for kind, energy in (("naive", found.naive), ("honest", found.honest)):
                values[f"{name} {kind}"] = energy and (energy.mean, energy.error, race.exact)
            values[f"{name} rate"] = found.rate and (found.rate.mean, found.rate.error)
            if found.naive:
                refused = {"honest": found.honest, "rate": found.rate}
                values |= {f"{name} {kind}": REFUSED for kind, estimate in refused.items() if estimate is None}
        readouts.update(**values)

    def plot(race: Race) -> None:
        traces = [line([-0.6, 1.6], [race.exact] * 2, "exact", 6, "dash")]
        for kind, shift, colour, symbol in (("naive", -0.12, 1, "x"), ("honest", 0.12, 0, "circle")):
            found = [getattr(standing, kind) for standing in race.standing.values()]
            there = {k + shift: each for k, each in enumerate(found) if each}
            means, errors = [each.mean for each in there.values()], [each.error for each in there.values()]
            traces.append(markers(list(there), means, errors, kind, colour, symbol))
        energies.update(*traces, summary=_sentence(race))
        rays = []
        for (name, standing), colour in zip(race.standing.items(), (3, 2), strict=True):
            if rate := standing.rate:
                ess, error = rate.mean * race.seconds, rate.error * race.seconds
                legend = f"{name}, {rate.mean:.3g} a second"
                rays += band([0, race.seconds], [0, ess], [0, error], legend, colour)
        race_track.update(*rays)

    return LiveApp(
        "A fair race",
        "Two samplers get the same seconds to measure one magnet. Which knows more, and which error bar can you believe?",
        knobs, readouts, views=list(views.values()), plots=[energies, race_track],
        make=make, draw=draw, plot=plot, tell=tell,
        turns={"temperature": Race.heat, "pace": lambda race, pace: setattr(race, "pace", PACES[pace])},
        rebuilds=("side", "start"), label="the race",
    )  # fmt: skip


def _sentence(race: Race) -> str:
    """What the picture of the energies shows."""
    words = [f"The exact energy is {race.exact:.4f} J."]
    for name, found in race.standing.items():
        if found.naive and found.honest:
            off = (abs(each.deviation(race.exact)) for each in (found.naive, found.honest))
            words.append("{} is off by {:.1f} naive and {:.1f} honest errors.".format(name, *off))
    return " ".join(words)
