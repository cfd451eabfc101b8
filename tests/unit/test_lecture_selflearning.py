"""Lecture 07: of each exercise the stub fails, the solution passes, usual mistakes are told apart; the app; the tables."""

import math

import numpy as np
import pytest

from mlphys.lectures.selflearning_exercises import exercises
from mlphys.stats import estimate


def metropolis(energy, effective, new_energy, new_effective, temperature):
    return np.minimum(1, np.exp((energy - new_energy) / temperature))


def added(energy, effective, new_energy, new_effective, temperature):
    return np.minimum(1, np.exp((energy + effective - new_energy - new_effective) / temperature))


def unbounded(energy, effective, new_energy, new_effective, temperature):
    return np.exp((energy - effective - new_energy + new_effective) / temperature)


def attention(finish):
    """Something else made of the sums over the shells."""

    def answer(x, adjacency, queries, keys):
        return finish(*(np.einsum("k,kij,bjc->bic", weights, adjacency, x) for weights in (queries, keys)))

    return answer


def relu_of_components(q, k):
    return np.maximum(0, q) @ np.maximum(0, k).transpose(0, 2, 1) / math.sqrt(3)


def prediction(finish):
    """Something else made of the errors of the action."""
    return lambda exact, effective, temperature: finish((effective - exact) / temperature)


# For each exercise usual mistakes and a word of the diagnosis that each must get.
MISTAKES = {
    "acceptance": [(metropolis, "divided out"), (added, "cancelling"), (unbounded, "ends at 1")],
    "attention": [
        (attention(lambda q, k: np.maximum(0, q @ k.transpose(0, 2, 1))), "√3"),
        (attention(lambda q, k: q @ k.transpose(0, 2, 1) / math.sqrt(3)), "ReLU is missing"),
        (attention(relu_of_components), "numbers change"),
    ],
    "equivariance": [
        (lambda features, x, rotation: np.abs(features(x @ rotation.T) - features(x)).max(), "vectors that stay"),
        (lambda features, x, rotation: np.abs(features(x @ rotation) - features(x) @ rotation.T).max(), "opposite"),
        (lambda features, x, rotation: abs((features(x @ rotation.T) - features(x) @ rotation.T).mean()), "cancel"),
        (lambda features, x, rotation: 0.0, "Zero"),
    ],
    "prediction": [
        (prediction(lambda error: math.erfc(error.std())), "Half"),
        (prediction(lambda error: math.erfc(np.sqrt((error**2).mean()) / 2)), "constant"),
        (lambda exact, effective, temperature: math.erfc((effective - exact).std() / 2), "temperature"),
    ],
    "price": [
        (lambda series, each: estimate(series).tau * each, "Half"),
        (lambda series, each: 2 * estimate(series).tau * each * series.shape[1], "drops out"),
        (lambda series, each: 2 * estimate(series).tau, "counts samples"),
    ],
}


@pytest.mark.parametrize("name", exercises)
def test_stub_fails_and_solution_passes(name):
    exercise = exercises[name]
    assert not exercise.check(exercise.stub) and "stub" in exercise.verdict.message
    assert exercise.check(exercise.solution)


@pytest.mark.parametrize("name", exercises)
def test_usual_mistakes_are_told_apart(name):
    messages = set()
    for answer, word in MISTAKES[name]:
        verdict = exercises[name].check(answer)
        assert not verdict and word in verdict.message, verdict
        messages.add(verdict.message)
    assert len(messages) == len(MISTAKES[name]) >= 2
