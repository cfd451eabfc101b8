"""Lecture 08: of each exercise the stub fails, the solution passes, usual mistakes are told apart; charges; the app."""

import numpy as np
import pytest

from mlphys.lectures.gauge_exercises import exercises
from mlphys.stats import autocorrelation_time


def around(links, backwards=True):
    along, across = links[..., 0], links[..., 1]
    if not backwards:
        return along + np.roll(across, 1, 2) - np.roll(along, 1, 1) - across
    return along + np.roll(across, -1, 2) - np.roll(along, -1, 1) - across


def charge(wrap=True, unit=2 * np.pi, sign=1, mixed=False):
    def answer(links):
        angles = sign * (around(links) if not mixed else around(links) + 0.5 * np.roll(links[..., 0], 1, 1))
        if wrap:
            angles = (angles + np.pi) % (2 * np.pi) - np.pi
        return angles.sum((1, 2)) / unit

    return answer


def transform(begin=1, end=-1, shift=-1, axes=(1, 0)):
    def answer(links, alpha):
        ends = np.stack([np.roll(alpha, shift, axis) for axis in axes], -1)
        return links + begin * alpha[..., None] + end * ends

    return answer


def circle_map(log_det):
    return lambda x, s: (2 * np.arctan(np.exp(s) * np.tan(x / 2)), log_det(x, s))


def slopes(x, s):
    return 1 / (np.exp(-s) * np.cos(x / 2) ** 2 + np.exp(s) * np.sin(x / 2) ** 2)


def worth(acceptance, top=True, over=True):
    def answer(log_weights):
        w = np.exp(log_weights - (log_weights.max() if top else 0))
        kish = w.sum() ** 2 / (w**2).sum()
        return kish / len(w) if over else kish, acceptance(w)

    return answer


def paired(w):
    return np.minimum(w[:, None], w).mean() / w.mean()


def trusted(name, constant=False, chains=False):
    def answer(runs):
        found = []
        for run, series in runs.items():
            tau, samples = autocorrelation_time(series[name])[0], series[name].size if chains else len(series[name])
            if (constant or series[name].std(0).all()) and samples >= 50 * tau:
                found.append(run)
        return found

    return answer


# For each exercise usual mistakes and a word of the diagnosis that each must get.
MISTAKES = {
    "charge": [
        (charge(wrap=False), "without wrapping"),
        (charge(unit=1), "divide by 2π"),
        (charge(sign=-1), "sign is the other one"),
        (charge(mixed=True), "not whole numbers"),
    ],
    "transform": [
        (transform(end=0), "beginning of each link alone"),
        (transform(end=1), "subtracted, not added"),
        (transform(shift=1), "the one before"),
        (transform(axes=(0, 1)), "swapped"),
        (lambda links, alpha: links, "No link has changed"),
    ],
    "circle map": [
        (circle_map(lambda x, s: np.log(slopes(x, s))), "One number for each sample"),
        (circle_map(lambda x, s: -np.log(slopes(x, s)).sum(1)), "for the way back"),
        (circle_map(lambda x, s: np.full(len(x), s * x.shape[1])), "x = 0 only"),
        (circle_map(lambda x, s: np.log(slopes(x, s)).mean(1)), "mean over the angles"),
        (lambda x, s: (np.arctan(np.exp(s) * np.tan(x)), np.log(slopes(x, s)).sum(1)), "half the angle"),
    ],
    "worth": [
        (worth(lambda w: np.minimum(1, w / w[:, None]).mean()), "weigh x by w(x)"),
        (worth(lambda w: np.minimum(1, w[1:] / w[:-1]).mean()), "come from the flow alone"),
        (worth(paired, over=False), "divide it by n"),
        (worth(paired, top=False), "must not matter"),
    ],
    "trusted": [
        (trusted("plaquette"), "trust everybody"),
        (trusted("charge", constant=True), "never moves"),
        (lambda runs: [name for name in runs if "9" not in name], "β = 5"),
        (lambda runs: ["flow"], "is fine"),
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
