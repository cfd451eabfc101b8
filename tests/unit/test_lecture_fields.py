"""Lecture 02: of each exercise the stub fails, the solution passes, usual mistakes are told apart; apps; experiments."""

import numpy as np
import pytest

from mlphys.lectures import fields as lecture


def shortest(turns):
    return (turns + np.pi) % (2 * np.pi) - np.pi


def current(angles):
    return np.sin(np.roll(angles, -1, axis=2) - angles).sum(axis=(1, 2))


def bonds(angles):
    return np.cos(np.roll(angles, -1, axis=2) - angles).mean()


def full_kicks(x, momentum, force, step_size, steps):
    for _ in range(steps):
        momentum = momentum + step_size * force(x)
        x = x + step_size * momentum
    return x, momentum


def wrong_force(x, momentum, force, step_size, steps):
    return lecture.exercises["leapfrog"].solution(x, momentum, lambda x: -force(x), step_size, steps)


# For each exercise two usual mistakes and a word of the diagnosis that each must get.
MISTAKES = {
    "winding": [
        (lambda angles: np.sum(np.roll(angles, -1) - angles) / (2 * np.pi), "Always 0"),
        (lambda angles: np.sum(shortest(np.diff(angles))) / (2 * np.pi), "Three of the four"),
        (lambda angles: np.sum(shortest(np.roll(angles, -1) - angles)), "full circles"),
    ],
    "helicity": [
        (lambda angles, temperature: bonds(angles), "Only the bonds"),
        (lambda angles, temperature: bonds(angles) - temperature * (current(angles) ** 2).mean() / 48, "by T"),
        (lambda angles, temperature: bonds(angles) - current(angles).mean() ** 2 / temperature / 48, "square its average"),
    ],
    "leapfrog": [(full_kicks, "you do not return"), (wrong_force, "runs away")],
    "langevin": [
        (lambda x, force, dt, noise: x + dt * force(x) + np.sqrt(dt) * noise, "half the temperature"),
        (lambda x, force, dt, noise: x + dt * force(x), "No noise"),
        (lambda x, force, dt, noise: x - dt * force(x) + np.sqrt(2 * dt) * noise, "Uphill"),
    ],
    "exchange": [
        (lambda b, e, c, f: min(1, np.exp(-(b - c) * (e - f))), "sign"),
        (lambda b, e, c, f: min(1, np.exp(-b * (f - e))), "one chain alone"),
        (lambda b, e, c, f: np.exp((b - c) * (e - f)), "larger than 1"),
    ],
}


@pytest.mark.parametrize("name", lecture.exercises)
def test_stub_fails_and_solution_passes(name):
    exercise = lecture.exercises[name]
    assert not exercise.check(exercise.stub) and "stub" in exercise.verdict.message
    assert exercise.check(exercise.solution)


@pytest.mark.parametrize("name", lecture.exercises)
def test_usual_mistakes_are_told_apart(name):
    messages = set()
    for answer, word in MISTAKES[name]:
        verdict = lecture.exercises[name].check(answer)
        assert not verdict and word in verdict.message
        messages.add(verdict.message)
    assert len(messages) == len(MISTAKES[name]) >= 2


def test_every_exercise_has_its_mistakes():
    assert set(MISTAKES) == set(lecture.exercises)
