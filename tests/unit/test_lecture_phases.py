"""Lecture 03: usual mistakes in its exercises; the app; sizes."""


import numpy as np
import pandas as pd
import pytest

from mlphys.lectures import phases as lecture


def block_means(spins, factor):
    return spins.reshape(len(spins) // factor, factor, -1, factor).mean(axis=(1, 3))


def strips(spins, factor):
    rows, columns = spins.shape
    return np.sign(spins.reshape(rows // factor, columns // factor, factor**2).sum(2))


def chain_means(right, chain):
    return np.array([right[chain == one].mean() for one in np.unique(chain)])


# For each exercise usual mistakes and a word of the diagnosis that each must get (see test_lectures.py).
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


@pytest.mark.parametrize("model", lecture.MODELS)
def test_a_lesson_is_learnt_and_judged(model):
    """A few steps on few configurations: each judge has an accuracy and a verdict, the optimum's is good."""
    lesson = lecture.Lesson(model, 16, "perceptron", 1.0, 0.05, shuffled=False, samples=4, steps=100)
    assert lesson.verdicts(np.ones((16, 16), np.int8)) == {}
    losses = [step.loss for step in lesson.learn()]
    assert len(losses) == 100 and np.mean(losses[-20:]) < 0.5 * np.mean(losses[:20])
    right = lesson.examine()
    assert right.keys() == lesson.curves.keys() == lecture.JUDGES.keys()
    assert right["optimum"].mean > 0.9
    assert lesson.verdicts(np.ones((16, 16), np.int8))["optimum"] > 0.9


def test_shuffled_labels_are_learnt_by_heart_and_teach_nothing():
    lesson = lecture.Lesson("Ising", 16, "perceptron", 1.0, 0.05, shuffled=True, samples=4, steps=600)
    *_, last = lesson.learn()
    right = lesson.examine()
    assert last.loss < 0.1  # by heart: chance is log 2
    assert right["network"].mean < 0.7 and right["cut"].mean > 0.85


def test_app_trains():
    app = lecture.app("ci")
    trainer = app.training
    trainer.step_once()
    assert len(trainer.losses) == 1 and not trainer.message
    for name, value in (("model", "Potts, q = 10"), ("side", "24"), ("network", "convolutions"), ("shuffled", True)):
        setattr(app.knobs, name, value)
        app.player.step_once()
        assert not app.player.message and not trainer.losses
    app.close()


def test_tables_are_read_with_their_errors():
    table = pd.DataFrame({"side": [8], "m": [-0.5], "m_error": [0.02], "rate": [1.0]})
    assert lecture.with_errors(table).to_dict("list") == {"side": [8], "m": ["−0.50(2)"], "rate": [1.0]}
    assert list(table) == ["side", "m", "m_error", "rate"]
