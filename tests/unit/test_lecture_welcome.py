"""Lecture 00: usual mistakes in its exercises, and a race that is fair."""

import numpy as np
import pytest

import mlphys as mp
from mlphys.lectures import welcome as lecture


def measured(temperature, side=16, samples=1000, chains=8):
    run = mp.run(mp.Wolff(mp.Ising(mp.square(side))), samples, temperature, chains, seed=1)
    return run.estimate("energy")


# For each exercise usual mistakes and a word of the diagnosis that each must get (see test_lectures.py).
MISTAKES = {
    "distance": [
        (lambda value, error, exact: (exact - value) / error, "reversed"),
        (lambda value, error, exact: abs(value - exact) / error, "is lost"),
        (lambda value, error, exact: value - exact, "divide it"),
    ],
    "rate": [
        (lambda samples, tau, seconds: samples / seconds, "every measurement"),
        (lambda samples, tau, seconds: samples / tau / seconds, "Twice as many"),
    ],
    "first run": [
        (lambda temperature: measured(temperature).mean, "no estimate"),
        (lambda temperature: measured(1 / temperature), "1/T"),
        (lambda temperature: measured(temperature, side=8), "side 8"),
        (lambda temperature: measured(temperature, samples=100, chains=1), "measure more"),
    ],
}


def raced(temperature: float, seconds: float) -> lecture.Race:
    """A race of that many seconds, and longer on a slow machine: until both chains are long enough for an error bar."""
    race = lecture.Race(128, temperature, ordered=True, pace=0.01, seed=1)
    while race.seconds < seconds or any(found.rate is None for found in race.standing.values()):
        assert race.seconds < 30, "no error bar after half a minute of computing"
        for _ in range(10):
            race.advance(1)
        race.judge()
    return race


@pytest.fixture(scope="module")
def critical() -> lecture.Race:
    return raced(lecture.CRITICAL_TEMPERATURE, 1.5)


def test_both_get_the_same_computing_time(critical):
    spent = [racer.seconds for racer in critical.racers.values()]
    assert np.ptp(spent) < 0.05 and min(spent) >= critical.seconds
    assert all(racer.count > 300 for racer in critical.racers.values())


def test_both_agree_with_the_exact_energy(critical):
    for name, found in critical.standing.items():
        assert abs(found.honest.deviation(critical.exact)) < 4, name
        assert found.naive.error < found.honest.error, name
    racer = critical.racers["Metropolis"]
    assert critical.standing["Metropolis"].honest.error > 1.5 * lecture.naive(racer.kept("energy")).error


def test_clusters_win_at_the_critical_temperature_and_single_spins_far_from_it(critical):
    def ahead(race):
        local, cluster = (race.standing[name].rate.mean for name in ("Metropolis", "Wolff"))
        return local / cluster

    assert ahead(critical) < 1 < ahead(raced(3.0, 0.2))


def test_another_temperature_begins_anew():
    race = raced(3.0, 0.1)
    race.heat(2.0)
    race.judge()
    assert race.seconds == 0 and not any(racer.samples or racer.seconds for racer in race.racers.values())
    assert race.standing["Wolff"].honest is None
