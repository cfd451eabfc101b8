"""Lecture 03: of each exercise the stub fails, the solution passes, usual mistakes are told apart; the app; sizes."""

import numpy as np
import pytest

from mlphys.lectures.phases_exercises import exercises


def block_means(spins, factor):
    return spins.reshape(len(spins) // factor, factor, -1, factor).mean(axis=(1, 3))


def strips(spins, factor):
    rows, columns = spins.shape
    return np.sign(spins.reshape(rows // factor, columns // factor, factor**2).sum(2))


def chain_means(right, chain):
    return np.array([right[chain == one].mean() for one in np.unique(chain)])


# For each exercise usual mistakes and a word of the diagnosis that each must get.
MISTAKES = {
    "optimum": [
        (lambda cold, hot: cold / np.maximum(cold + hot, 1), "divide each histogram"),
        (lambda cold, hot: (cold / cold.sum()) / (cold / cold.sum() + hot / hot.sum()), "0/0"),
        (lambda cold, hot: cold / cold.sum(), "Bayes"),
        (lambda cold, hot: (cold / 100) / np.maximum(hot / 400, 1e-9), "outside [0, 1]"),
    ],
    "confused": [
        (lambda guess, transition, low, high: 1 - abs(guess - transition) / (high - low), "no choice"),
        (lambda guess, transition, low, high: max(guess - low, high - guess) / (high - low), "sees nothing"),
        (lambda guess, transition, low, high: max(guess - low, transition - guess) + high - transition, "between 0 and 1"),
    ],
    "blocks": [
        (block_means, "mean of each block"),
        (lambda spins, factor: spins[::factor, ::factor], "decimation"),
        (strips, "lie in a row"),
    ],
    "held out": [
        (lambda chain, share, random: random.random(len(chain)) < share, "a leak"),
        (lambda chain, share, random: np.arange(len(chain)) >= (1 - share) * len(chain), "elder neighbours"),
        (lambda chain, share, random: ~np.isin(chain, random.permutation(np.unique(chain))[:4]), "training set"),
        (lambda chain, share, random: np.isin(chain, np.unique(chain)[:4]), "by lot"),
    ],
    "accuracy": [
        (
            lambda right, chain: (right.mean(), np.sqrt(right.mean() * (1 - right.mean()) / len(right))),
            "independent samples",
        ),
        (lambda right, chain: (right.mean(), chain_means(right, chain).std(ddof=1)), "spread of the chains"),
        (lambda right, chain: (right.mean(), chain_means(right, chain).std() / np.sqrt(10)), "ddof=1"),
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
