"""Lecture 10: usual mistakes in its exercises; fields that come out of noise."""

import numpy as np

from mlphys.lectures import quantization as lecture
from mlphys.lectures import quantization_live as live


def drift(steps=(1, -1), factor=2, sign=1, quartic=4):
    def answer(phi, kappa, coupling):
        near = sum(np.roll(phi, step, axis) for step in steps for axis in (1, 2))
        return sign * (factor * kappa * near - 2 * (1 - 2 * coupling) * phi - quartic * coupling * phi**3)

    return answer


def score(variance, sign=-1, waves=True):
    def answer(x, stiffness, a, s):
        if not waves:
            return sign * x / variance(stiffness, a, s)
        return np.fft.ifft2(sign * np.fft.fft2(x) / variance(stiffness, a, s)).real

    return answer


def noisy(stiffness, a, s):
    return a**2 / (2 * stiffness) + s**2


def reweigh(weights, normalised=True):
    def answer(m, log_weights):
        w = weights(log_weights)
        norm = w.sum() if normalised else len(w)
        return 1 - (w * m**4).sum() / norm / (3 * ((w * m**2).sum() / norm) ** 2)

    return answer


def diagnose(drifting=True, signs=True, naive=False):
    def answer(m):
        first, second = np.split(np.abs(m), [len(m) // 2])
        change, mean = (second - first, m) if naive else (second.mean(0) - first.mean(0), m.mean(0))
        if drifting and abs(change.mean()) > 4 * change.std() / change.size**0.5:
            return "drifts"
        return "one sign" if signs and abs(mean.mean()) > 4 * mean.std() / mean.size**0.5 else "thermalised"

    return answer


MISTAKES = {
    "drift": [
        (drift(steps=(-1,)), "Two neighbours only"),
        (drift(sign=-1), "it climbs"),
        (drift(factor=4), "counted once"),
        (drift(quartic=1), "4φ³"),
    ],
    "step bias": [
        (lambda s, dt: 1 / (2 * s), "the limit dt → 0"),
        (lambda s, dt: (1 + s * dt) / (2 * s), "First order"),
        (lambda s, dt: dt / (1 - (1 - 2 * s * dt) ** 2), "variance 2 dt"),
        (lambda s, dt: 2 * dt / (1 - (1 - s * dt) ** 2), "2 s φ"),
    ],
    "noisy score": [
        (score(lambda k, a, s: 1 / (2 * k)), "without noise"),
        (score(lambda k, a, s: 1 / (2 * k) + s**2), "shrink"),
        (score(noisy, waves=False), "belongs to a wave"),
        (score(noisy, sign=1), "The sign"),
    ],
    "reweigh": [
        (reweigh(np.ones_like), "as it is"),
        (reweigh(np.exp, normalised=False), "divide by Σ w"),
        (reweigh(lambda log_weights: np.exp(-log_weights)), "draws too little"),
        (reweigh(np.exp), "must not matter"),
    ],
    "diagnose": [
        (diagnose(drifting=False), "half by half"),
        (diagnose(signs=False), "other half of the fields"),
        (diagnose(naive=True), "not a wrong one"),
        (lambda m: "thermalised", "of all five"),
    ],
}


def test_fields_that_arrive_are_those_of_hmc_where_the_way_is_exact():
    """HMC from noise agrees with the chains beside it; Langevin's long steps and an untrained score do not."""
    deviations = {}
    for way, steps in (("HMC", 40), ("Langevin, dt = 0.1", 100), ("diffusion, with noise", 10)):
        studio = live.Studio(0.21, 8, way, steps, live.Masters(8), seed=1)
        for _ in range(4 * (steps + 1)):
            studio.advance()
        assert len(studio.arrived("m")) == 4 * studio.batch
        assert abs(studio.measured("m", False)[0]) < 4 * studio.measured("m", False)[1]
        mean, error, known = studio.measured("phi2", False)
        deviations[way] = (mean - known) / error
    assert abs(deviations.pop("HMC")) < 4 and min(abs(value) for value in deviations.values()) > 5, deviations


def test_time_runs_back_and_what_was_computed_stays():
    studio = live.Studio(0.24, 8, "HMC", 10, live.Masters(8), seed=3)
    studio.seek(0.3)
    seen = studio.x.copy()
    studio.seek(0.8)
    studio.seek(0.3)
    assert np.array_equal(studio.x, seen) and abs(studio.time - 0.3) < 1e-9 and not studio.counted
    studio.seek(0.0)
    studio.seek(1.0)
    studio.seek(0.0)
    assert len(studio.arrived("m")) == studio.batch
    assert np.allclose(live.look(seen)["m"], studio.field.magnetisation(seen))


def test_app_learns_on_every_way():
    app = lecture.app("ci")
    for way in lecture.WAYS:
        app.knobs.way = way
        app.knobs.lesson = live.LESSONS[-1]
        app.player.step_once()
        app.training.step_once()
        app.training.plot.flush()
        assert not app.player.message and not app.training.message, (app.player.message, app.training.message)
    app.knobs.kappa = 0.26
    app.knobs.side = "16"
    app.player.step_once()
    assert not app.player.message and app.player.simulation.side == 16
    app.close()
