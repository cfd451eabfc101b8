"""One magnet twice, moved by two samplers that get the same computing time: the race of lecture 00."""

import time
from dataclasses import dataclass
from functools import cache

import numpy as np

import mlphys as mp
from mlphys.exact import kaufman
from mlphys.lab import Simulation
from mlphys.stats import Estimate

RACERS = {"Metropolis": mp.Metropolis, "Wolff": mp.Wolff}


def naive(series: np.ndarray) -> Estimate:
    """The mean of a series with the error σ/√n, as if every measurement were a new one."""
    return Estimate(float(np.mean(series)), float(np.std(series) / np.sqrt(series.size)))


def exact_energy(side: int, temperature: float) -> float:
    """Energy per site of this lattice, J = 1."""
    return _energy(side, round(temperature, 6))


@cache
def _energy(side: int, temperature: float) -> float:
    return float(kaufman(side, side, temperature).energy)


def correlation_length(temperature: float) -> float:
    """How far one spin feels another on the infinite lattice, in sites; infinite at the critical temperature.

    >>> round(correlation_length(3.0), 2)
    2.14
    """
    rate = abs(2 / temperature + np.log(np.tanh(1 / temperature)))
    return float("inf") if rate < 1e-9 else float(1 / rate)


@dataclass(frozen=True)
class Standing:
    """Where a racer stands: its mean energy with the naive error and the honest one, and its effective samples a second.

    None while there is too little to say, or while the chain is too short for its error to be believed.
    """

    naive: Estimate | None
    honest: Estimate | None
    rate: Estimate | None


class Racer(Simulation):
    """A simulation that counts the seconds of computing that it took, measuring included."""

    MEMORY = 2**16
    OBSERVED = ("energy", "abs_magnetisation")

    def __init__(self, sampler: mp.Sampler, x: np.ndarray, temperature: float, seed: int):
        self.seconds, self.count = 0.0, 0
        super().__init__(sampler, x, temperature, seed, lambda live: (live.model.measure(live.state, self.OBSERVED), None))

    @property
    def pause(self) -> int:
        """Sweeps from one measurement to the next.

        Wolff's are dear. Local ones are cheap, and more of them the further spins feel one another bring nothing new.
        """
        if not isinstance(self.sampler, mp.Metropolis):
            return 1
        return int(np.clip(min(correlation_length(self.temperature), self.side) ** 2 / 100, 8, 64))

    def spend(self, seconds: float) -> None:
        """Go on until that many seconds of computing are spent in all."""
        while self.seconds < seconds:
            # The processor's time in this thread: what other programs do meanwhile costs neither racer anything.
            began = time.thread_time()
            self.advance(self.pause)
            # The first step loads its kernel, which is not the sampler's time.
            if self.samples > 1:
                self.seconds += time.thread_time() - began
                self.count += 1

    def heat(self, temperature: float) -> None:
        super().heat(temperature)
        self.seconds, self.count = 0.0, 0

    def stands(self) -> Standing:
        kept = self.kept("energy")
        if len(kept) < 100:
            return Standing(None, None, None)
        energy, magnetisation = (self.estimate(name) for name in self.OBSERVED)
        if energy is None or magnetisation is None:
            return Standing(naive(kept), energy, None)
        slowest = max(energy, magnetisation, key=lambda each: each.tau)
        rate = self.count / self.seconds / (2 * slowest.tau)
        return Standing(naive(kept), energy, Estimate(rate, rate * slowest.tau_error / slowest.tau))


class Race:
    """The same magnet twice; every frame gives both racers another `pace` seconds of computing."""

    def __init__(self, side: int, temperature: float, ordered: bool, pace: float, seed: int):
        model, up = mp.Ising(mp.square(side)), np.ones((side, side), np.int8)
        start = up if ordered else 2 * mp.random.generator(seed, "start").integers(0, 2, up.shape, np.int8) - up
        self.side, self.pace = side, pace
        self.racers = {name: Racer(sampler(model), start, temperature, seed) for name, sampler in RACERS.items()}
        self._clear()

    def _clear(self) -> None:
        self.seconds = 0.0
        self.standing = {name: Standing(None, None, None) for name in self.racers}

    @property
    def temperature(self) -> float:
        return next(iter(self.racers.values())).temperature

    @property
    def exact(self) -> float:
        """The energy per site that both ought to find."""
        return exact_energy(self.side, self.temperature)

    def advance(self, frames: int) -> None:
        self.seconds += frames * self.pace
        for racer in self.racers.values():
            racer.spend(self.seconds)

    def heat(self, temperature: float) -> None:
        """Go on at another temperature, and begin the race anew."""
        for racer in self.racers.values():
            racer.heat(temperature)
        self._clear()

    def judge(self) -> None:
        """Find where both stand."""
        self.standing = {name: racer.stands() for name, racer in self.racers.items()}
