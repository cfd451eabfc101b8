"""Lecture 04: of each exercise the stub fails, the solution passes, usual mistakes are told apart; the app."""

import numpy as np
import pytest

from mlphys.lectures.vortices_exercises import exercises


def turn(angle):
    return (angle + np.pi) % (2 * np.pi) - np.pi


def raw_windings(angles):
    along, down = (np.roll(angles, -1, axis) - angles for axis in (2, 1))
    return (along + np.roll(down, -1, 2) - np.roll(along, -1, 1) - down) / (2 * np.pi)


def open_lattice(angles):
    return exercises["vortex_map"].solution(angles)[:, :-1, :-1]


def open_features(angles):
    ahead = [np.diff(angles, axis=axis, append=np.take(angles, [-1], axis)) for axis in (2, 1)]
    return np.cos(np.stack(ahead, 1))


def fast_twist(angles):
    return angles + 2 * np.pi * np.arange(24) / 6


def two_walls(angles):
    return angles + np.pi * (np.arange(24) >= 12)


def nearest(temperatures, outputs, random):
    return temperatures[np.argmin(np.abs(outputs.mean(1) - 0.5))], 0.01


def wrong_error(factor):
    def answer(temperatures, outputs, random):
        value, error = exercises["crossing"].solution(temperatures, outputs, random)
        return value, factor * error

    return answer


def fit(x, w=None):
    return lambda sides, temperatures, errors: np.polyfit(x(sides), temperatures, 1, w=None if w is None else w(errors))[1]


# For each exercise two usual mistakes and a word of the diagnosis that each must get.
MISTAKES = {
    "vortex_map": [
        (raw_windings, "No vortex anywhere"),
        (open_lattice, "last row and column"),
        (lambda angles: -exercises["vortex_map"].solution(angles), "exchanged"),
    ],
    "features": [
        (lambda angles: np.stack([np.cos(angles), np.sin(angles)], 1), "by one angle"),
        (lambda angles: turn(np.roll(angles, -1, 2) - angles)[:, None], "Reflect"),
        (lambda angles: (np.roll(angles, -1, 2) - angles)[:, None], "one spin"),
        (lambda angles: np.cos(np.roll(angles, -1, 2) - angles)[:, None], "both bonds"),
        (open_features, "boundary"),
    ],
    "fool": [
        (lambda angles: angles + 2.0, "turned all spins alike"),
        (two_walls, "changed their winding"),
        (fast_twist, "more slowly"),
    ],
    "crossing": [(nearest, "nearest"), (wrong_error(500**-0.5), "already"), (wrong_error(12**0.5), "single chains")],
    "extrapolation": [
        (fit(lambda sides: 1 / sides, lambda errors: 1 / errors), "1/L"),
        (fit(lambda sides: 1 / np.log(sides) ** 2), "weigh the same"),
        (fit(lambda sides: 1 / np.log(sides) ** 2, lambda errors: errors**-2), "not 1/σ²"),
    ],
}


@pytest.mark.parametrize("name", exercises)
def test_stub_fails_and_solution_passes(name):
    exercise = exercises[name]
    assert not exercise.check(exercise.stub) and "stub" in exercise.verdict.message
    assert exercise.check(exercise.solution), exercise.verdict


@pytest.mark.parametrize("name", exercises)
def test_usual_mistakes_are_told_apart(name):
    messages = set()
    for answer, word in MISTAKES[name]:
        verdict = exercises[name].check(answer)
        assert not verdict and word in verdict.message, verdict
        messages.add(verdict.message)
    assert len(messages) == len(MISTAKES[name]) >= 2


def test_every_exercise_has_its_mistakes():
    assert set(MISTAKES) == set(exercises)
