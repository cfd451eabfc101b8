"""Lecture 05: usual mistakes in its exercises; the app; the tables."""


import numpy as np
import pandas as pd
import pytest

from mlphys.exact import quantum
from mlphys.lectures import wavefunctions as lecture
from mlphys.lectures import wavefunctions_experiments as experiments
from mlphys.lectures.wavefunctions_exercises import exercises


def overflowing(x, visible, bias, weights):
    return x @ visible + np.log(np.cosh(x @ weights + bias)).sum(1)


def local_energy(ratio):
    """The local energy with another function in place of exp(log ψ(x') − log ψ(x))."""

    def answer(log_psi, x, field):
        energy = -(x * np.roll(x, 1, axis=1)).sum(1).astype(float)
        for site in range(x.shape[1]):
            turned = x.copy()
            turned[:, site] *= -1
            energy -= field * ratio(log_psi(turned) - log_psi(x))
        return energy

    return answer


def on_an_open_chain(log_psi, x, field):
    return local_energy(np.exp)(log_psi, x, field) + x[:, 0] * x[:, -1]


def uncentred(derivatives, local, shift):
    metric = derivatives.T @ derivatives / len(local) + shift * np.eye(derivatives.shape[1])
    return np.linalg.solve(metric, derivatives.T @ (local - local.mean()) / len(local))


def swap(finish):
    """Something made of the log ratios of a swap."""

    def answer(log_psi, x, y, sites):
        u, v = x.copy(), y.copy()
        u[:, sites], v[:, sites] = y[:, sites], x[:, sites]
        return finish(log_psi(u) + log_psi(v) - log_psi(x) - log_psi(y))

    return answer


def swap_on_views(log_psi, x, y, sites):
    x[:, sites], y[:, sites] = y[:, sites], x[:, sites]
    return -np.log(np.exp(log_psi(x) + log_psi(y) - log_psi(x) - log_psi(y)).mean())


# For each exercise usual mistakes and a word of the diagnosis that each must get (see test_lectures.py).
MISTAKES = {
    "amplitude": [
        (lambda x, visible, bias, weights: np.exp(x @ visible) * np.cosh(x @ weights + bias).prod(1), "ψ itself"),
        (lambda x, visible, bias, weights: np.log(2 * np.cosh(x @ weights + bias)).sum(1), "visible spins are missing"),
        (overflowing, "overflows"),
    ],
    "local energy": [
        (local_energy(lambda change: np.exp(-change)), "upside down"),
        (local_energy(lambda change: np.exp(2 * change)), "squared"),
        (on_an_open_chain, "ring"),
    ],
    "gradient": [
        (lambda derivatives, local: 2 * (derivatives * local[:, None]).mean(0), "add 100"),
        (lambda derivatives, local: derivatives.T @ (local - local.mean()) / len(local), "both sides"),
        (lambda derivatives, local: -2 * derivatives.T @ (local - local.mean()) / len(local), "reversed"),
    ],
    "natural gradient": [
        (lambda derivatives, local, shift: derivatives.T @ (local - local.mean()) / len(local), "plain gradient"),
        (uncentred, "subtract the means"),
        (lambda derivatives, local, shift: exercises["natural gradient"].solution(derivatives, local, 0.0), "shift"),
    ],
    "swap": [
        (swap(lambda logs: -logs.mean()), "log comes last"),
        (swap(lambda logs: np.exp(logs).mean()), "purity"),
        (swap_on_views, "on copies"),
    ],
}


def test_app_follows_its_controls():
    app = lecture.app("ci")
    knobs = app.knobs
    for name, value in (
        ("method", "Adam"), ("rate", 0.002), ("samples", "256"), ("picture", "weights"), ("n_sites", "24"), ("alpha", "2"),
        ("plot", "relative error against field"), ("plot", "energy against field"), ("field", 0.2), ("field", 2.0),
    ):  # fmt: skip
        setattr(knobs, name, value)
        for _ in range(4):
            app.player.step_once()
            assert not app.player.message
    assert app.player.simulation.rate == knobs.rate == 0.002
    assert app.player.simulation.psi.n_sites == 24 and app.player.simulation.samples == 256
    app.close()


def test_a_descent_goes_on_from_its_weights_when_the_field_turns():
    descent = lecture.Descent(10, 1, 1.5, "sr", 0.05, 512, seed=1)
    for _ in range(60):
        descent.advance()
    assert abs(descent.energy.mean / descent.exact_energy - 1) < 2e-3
    weights = descent.weights.copy()
    descent.turn(field=1.4)
    assert descent.energy is None and np.array_equal(descent.weights, weights)
    for _ in range(5):
        descent.advance()
    # From scratch it would begin 0.3 J per site above.
    assert abs(descent.since_turn[0].energy.mean / 10 / descent.exact_energy - 1) < 0.02
    again = lecture.Descent(10, 1, 1.5, "sr", 0.05, 512, seed=1)
    again.advance()
    assert again.past[0] == descent.past[0]


@pytest.mark.parametrize("field", [0.6, 1.0, 1.7])
def test_sigma_x_of_free_fermions_is_that_of_the_state_vector(field):
    model = experiments.chain(8, field)
    energy, vector = quantum.ground_state(model)
    bonds = vector @ (experiments.chain(8, 0.0).to_sparse() @ vector)
    assert abs((bonds - energy) / (8 * field) - experiments.exact_sigma_x(8, field)) < 1e-9


def test_a_line_is_followed_to_zero_variance():
    noise = np.random.default_rng(1).normal(size=20)
    variance = np.geomspace(1e-3, 1e-1, 20)
    table = pd.DataFrame({"variance": variance, "energy": -1.25 + 0.3 * variance + 1e-4 * noise, "error": 1e-4})
    found = experiments.at_zero_variance(table)
    assert abs(found.deviation(-1.25)) < 3 and found.error < 1e-4
    assert experiments.at_zero_variance(table.assign(energy=np.sqrt(variance))).error > 10 * found.error


def test_adam_gets_the_time_that_reconfiguration_took():
    table = experiments.race(8, 15)
    seconds, steps = table.groupby("method")["seconds"].max(), table["method"].value_counts()
    assert steps["stochastic reconfiguration"] == 15 < steps["Adam"]
    assert 0 <= seconds["Adam"] - seconds["stochastic reconfiguration"] < 0.1
