"""Lecture 04: usual mistakes in its exercises; the app."""


import numpy as np

from mlphys.lectures import vortices as lecture
from mlphys.lectures.fields_experiments import look_at_spins
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


# For each exercise usual mistakes and a word of the diagnosis that each must get (see test_lectures.py).
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


def test_controls_may_change_after_training():
    app = lecture.app("ci")
    player, training = app.player, app.training
    for control, value in (("trick", "insert a vortex pair"), ("side", "32"), ("model", "clock, 8 states"), ("side", "16")):
        training.step_once()
        setattr(app.knobs, control, value)
        player.step_once()
        assert not player.message and not training.message, (control, player.message, training.message)
    app.close()


def test_tricks_do_what_they_say():
    """Turn and twist touch no vortex, the twist takes |m| and hardly any energy; the pair is one vortex, one antivortex."""
    for side in (16, 32):
        angles = 0.1 * np.random.default_rng(1).normal(size=(side, side))
        before, _ = look_at_spins(angles, 1.0)
        found = {name: (trick(angles), *look_at_spins(trick(angles), 1.0)) for name, trick in lecture.TRICKS.items()}
        windings = {name: winding for name, (_, _, winding) in found.items()}
        assert [np.abs(winding).sum() for winding in windings.values()] == [0, 0, 0, 2]
        assert windings["insert a vortex pair"].sum() == 0
        twisted, values, _ = found["twist slowly, once around"]
        assert abs(np.exp(1j * twisted).mean()) < 0.02 and values["energy"] - before["energy"] < 0.08


def test_vortex_map_network_learns_and_no_twist_fools_it():
    lesson = lecture.Lesson("XY", 16, "vortex map", 0.9, samples=4, steps=150)
    assert lesson.judge(np.zeros((16, 16))) is None
    losses = [step.loss for step in lesson.learn()]
    assert np.mean(losses[-20:]) < 0.5 * np.mean(losses[:20])
    assert 0.75 < lesson.examine() < 1.1
    cold, hot = np.zeros((16, 16)), np.random.default_rng(2).uniform(-np.pi, np.pi, (16, 16))
    assert lesson.judge(cold) > 0.8 > 0.2 > lesson.judge(hot)
    assert lesson.judge(lecture.TRICKS["twist slowly, once around"](cold)) == lesson.judge(cold)


def test_perceptron_on_raw_angles_takes_a_twist_for_heat():
    lesson = lecture.Lesson("clock, 6 states", 16, "raw angles, perceptron", 0.9, samples=4, steps=150)
    for _ in lesson.learn():
        pass
    cold = np.zeros((16, 16))
    assert lesson.judge(cold) > 0.8 > 0.2 > lesson.judge(lecture.TRICKS["twist slowly, once around"](cold))
