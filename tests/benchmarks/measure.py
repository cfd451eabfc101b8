"""Speed in interleaved repeats, and the energy check without which no speed counts."""

import time
from dataclasses import dataclass, field

import numpy as np
from contenders import METROPOLIS, SWENDSEN_WANG, WOLFF, Contender, Library, clock

import mlphys as mp

CRITICAL = 2 / np.log1p(np.sqrt(2))
COLD = 2.0
TOLERANCE = 5.0
UNITS = {METROPOLIS: "updates/ns", WOLFF: "ns/flipped site", SWENDSEN_WANG: "ns/site"}


@dataclass(frozen=True)
class Check:
    """A measured energy per site beside Kaufman's exact one."""

    temperature: float
    exact: float
    measured: mp.Estimate
    length: float  # of a chain, in autocorrelation times

    @property
    def deviation(self) -> float:
        """In units of the error."""
        return self.measured.deviation(self.exact)


@dataclass
class Entry:
    """One contender's speed, repeat by repeat, and its energies."""

    name: str
    algorithm: str
    side: int
    speeds: np.ndarray  # in UNITS
    checks: list[Check] = field(default_factory=list)
    idle: float = 0.0  # share of the wall time in which other programs had the core

    @property
    def worst(self) -> float:
        """The largest deviation among the energy checks, in σ; NaN without any."""
        return max((check.deviation for check in self.checks), key=abs, default=np.nan)

    @property
    def refused(self) -> bool:
        """Whether the energies disagree with the exact value, or none was measured: then its speed means nothing."""
        return not abs(self.worst) <= TOLERANCE

    def times_slower(self, reference: "Entry") -> np.ndarray:
        """By what factor this contender is slower than `reference`, repeat by repeat."""
        ratio = self.speeds / reference.speeds
        return 1 / ratio if self.algorithm == METROPOLIS else ratio


def temperatures_to_check(algorithm: str, side: int) -> list[float]:
    """Where the energy is measured: at T = 2, soon reached from all spins up, and at Tc where that takes seconds at most.

    Local updates at Tc need of the order of side^2.17 sweeps: feasible at side 64, out of reach for the peers at 1024.
    """
    return [COLD, CRITICAL] if side <= (64 if algorithm == METROPOLIS else 256) else [COLD]


def check_energy(contender: Contender, seconds: float) -> Check:
    """Thermalise, then measure the energy for some `seconds` of CPU time; the autocorrelation found sets the error."""
    critical = contender.temperature > COLD
    local = contender.algorithm == METROPOLIS
    thin = (20 if critical else 5) if local else 1
    contender.energies(1, thin)
    began = clock()
    contender.energies(5, thin)
    pace = (clock() - began) / 5
    samples = int(np.clip(seconds / pace, 100, 4000))
    # A quarter of a run of samples, or what equilibrium needs: tens of autocorrelation times.
    contender.advance(max(samples // 4, 50) * thin)
    series = contender.energies(samples, thin)
    try:
        estimate = mp.stats.estimate(series)
    except mp.stats.ChainTooShort as short:
        estimate = short.estimate
    exact = mp.exact.kaufman(contender.side, contender.side, contender.temperature).energy
    return Check(contender.temperature, exact, estimate, samples / estimate.tau)


def equilibrium(side: int, temperature: float, seed: int) -> np.ndarray:
    """Spins `(side, side)` after 100 Swendsen–Wang sweeps from all up: where the timed runs start."""
    library = Library(SWENDSEN_WANG, side, temperature, seed)
    library.advance(100)
    return library.state.x.numpy().reshape(side, side).copy()


def race(contenders: list[Contender], repeats: int, seconds: float) -> list[Entry]:
    """Time all contenders in turn (A B C A B C …), each repeat about `seconds` long; one entry each.

    Construction and compilation come before: a first short run of each sets the number of sweeps of its repeats.
    """
    sweeps = []
    for contender in contenders:
        count, spent = 1, 0.0
        contender.timed(1)
        while (spent := contender.timed(count)[0]) < seconds / 8:
            count *= 2
        sweeps.append(max(1, round(count * seconds / spent)))
    speeds = np.empty((len(contenders), repeats))
    idle = np.empty_like(speeds)
    for repeat in range(repeats):
        for i, contender in enumerate(contenders):
            wall, cpu = time.perf_counter(), clock()
            spent, work = contender.timed(sweeps[i])
            idle[i, repeat] = 1 - (clock() - cpu) / (time.perf_counter() - wall)
            speeds[i, repeat] = work / spent * 1e-9 if contender.algorithm == METROPOLIS else spent / work * 1e9
    return [
        Entry(contender.name, contender.algorithm, contender.side, speeds[i], idle=float(idle[i].mean()))
        for i, contender in enumerate(contenders)
    ]


def compare(kinds: tuple[type[Contender], ...], algorithm: str, side: int, repeats: int, seconds: float, check: float):
    """Race these contenders at Tc and check each one's energies; a list of entries.

    seconds: CPU time of a repeat; check: CPU time of an energy measurement.
    """
    spins = equilibrium(side, CRITICAL, seed=1)
    contenders = [kind(algorithm, side, CRITICAL, seed=2) for kind in kinds]
    for contender in contenders:
        contender.start(spins)
    entries = race(contenders, repeats, seconds)
    for kind, entry in zip(kinds, entries, strict=True):
        for temperature in temperatures_to_check(algorithm, side):
            entry.checks.append(check_energy(kind(algorithm, side, temperature, seed=3), check))
    return entries
