"""Prediction of temperatures: nothing below the exact bound, and slopes that are what fluctuations say."""

from functools import cache

import numpy as np
import pytest

from mlphys import Ising, exact, nets, phases, square

pytestmark = pytest.mark.usefixtures("one_thread")

TEMPERATURES = np.linspace(1.8, 2.8, 11)
SIZE = 10
ISING = Ising(square(SIZE))


@cache
def parts():
    return phases.split(phases.sample(ISING, TEMPERATURES, samples=40, chains=32, seed=3), (0.5, 0.5))


def log_partition(temperatures):
    """Exact log Z of the torus up to a constant: minus the integral of the energy over β."""
    betas = np.linspace(1 / TEMPERATURES.max(), 1 / TEMPERATURES.min(), 2001)
    energies = SIZE**2 * exact.kaufman(SIZE, SIZE, 1 / betas).energy
    steps = np.concatenate([[0], np.cumsum((energies[1:] + energies[:-1]) / 2 * np.diff(betas))])
    return -np.interp(1 / temperatures, betas, steps)


def exact_prediction(x):
    log_weights = -np.asarray(ISING.energy(x))[:, None] / TEMPERATURES - log_partition(TEMPERATURES)
    weights = np.exp(log_weights - log_weights.max(1, keepdims=True))
    return weights @ TEMPERATURES / weights.sum(1)


@cache
def trained(steps=400):
    network = nets.ConvolutionalNetwork(ISING.lattice, even=True)
    for _ in phases.prediction(parts()[0], network, steps):
        pass
    return phases.predicted(network, parts()[0])


def test_nobody_predicts_better_than_the_optimum():
    train, test = parts()
    bound = phases.squared_error(exact_prediction, test)
    excess = phases.squared_error(phases.optimal_prediction(train, ISING.energy), test, exact_prediction)
    assert -3 * excess.error < excess.mean < 0.02 * bound.mean
    network = phases.squared_error(trained(), test, exact_prediction)
    assert -3 * network.error < network.mean < 0.2 * bound.mean
    guess = phases.squared_error(lambda x: np.full(len(x), TEMPERATURES.mean()), test)
    assert guess.mean == pytest.approx(TEMPERATURES.var()) and bound.mean < guess.mean / 3
    # What both share in noise has dropped out.
    assert network.error < bound.error / 3


def test_the_network_changes_fastest_where_the_optimum_does():
    _, test = parts()
    energy = ISING.energy(test.x)
    best, network = phases.steepest(exact_prediction, test, energy), phases.steepest(trained(), test, energy)
    assert abs(best.mean - network.mean) < 3 * np.hypot(best.error, network.error)
    assert 2.1 < network.mean < 2.5 and network.error < 0.05


def test_slopes_are_those_of_the_exact_energy():
    _, test = parts()
    energy = ISING.energy(test.x)
    table = phases.slope(ISING.energy, test, energy)
    expected = SIZE**2 * exact.kaufman(SIZE, SIZE, TEMPERATURES).heat_capacity
    assert list(table.columns) == ["size", "temperature", "value", "error"]
    deviations = (table.value - expected) / table.error
    assert deviations.abs().max() < 4 and 0.3 < (deviations**2).mean() < 2.5
    fine = np.linspace(2.2, 2.5, 301)
    peak = fine[np.argmax(exact.kaufman(SIZE, SIZE, fine).heat_capacity)]
    found = phases.steepest(ISING.energy, test, energy)
    assert abs(found.deviation(peak)) < 3 and found.error < 0.05


def test_errors_of_a_bootstrap_are_those_of_new_data():
    """A crossing of known curves under noise, measured on forty sets of data of its own."""
    temperatures, rng = np.linspace(0, 1, 6), np.random.default_rng(1)

    def crossing(temperature, means):
        return np.interp(-0.5, -means[:, 0], temperature)

    def measured():
        temperature = np.repeat(temperatures, 12 * 5)
        chain = np.repeat(np.arange(6 * 12), 5)
        noise = rng.normal(0, 0.1, 72)[chain] + rng.normal(0, 0.1, len(chain))
        data = phases.Dataset(np.zeros((len(chain), 4)), temperature, chain, square(2))
        return phases.bootstrap(crossing, (1 - temperature + noise)[:, None], data)

    estimates = [measured() for _ in range(40)]
    scatter, error = np.std([each.mean for each in estimates]), np.mean([each.error for each in estimates])
    assert 0.7 < scatter / error < 1.4


def test_summits():
    x = np.linspace(-1, 1, 21)
    assert phases.summit(x, 1 - (x - 0.33) ** 2) == pytest.approx(0.33)
    assert phases.summit(x, np.where(np.abs(x - 0.5) < 0.01, 1.0, 0.1)) == pytest.approx(0.5)
    assert phases.summit(x, x) == pytest.approx(1)


def test_refusals():
    train, _ = parts()
    with pytest.raises(ValueError, match="network has 2 outputs"):
        phases.prediction(train, nets.LogisticRegression(square(SIZE), outputs=2), 10)
    with pytest.raises(ValueError, match=r"only the temperatures \[1\.8\]"):
        phases.prediction(train.where(train.temperature < 1.85), nets.LogisticRegression(square(SIZE)), 10)
