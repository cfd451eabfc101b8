"""Critical points from classifiers against the exact ones, and the order of transitions from what networks say."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch

from mlphys import Potts, square
from mlphys.exact import SQUARE_CRITICAL_TEMPERATURE, TRIANGULAR_CRITICAL_TEMPERATURE, potts_transition
from mlphys.lectures import phases_experiments as experiments
from mlphys.lectures.phases_experiments import POTTS, POTTS10, SQUARE, TRIANGULAR


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module", autouse=True)
def networks_are_trained_once():
    train = cache(experiments.train_on_blocks)

    def trained(subject, steps=1000, seed=0):
        return train(subject, steps=steps, seed=seed)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiments, "train_on_blocks", trained)
        yield


@pytest.mark.parametrize(
    "subject, exact, sides, precision",
    [
        (SQUARE, SQUARE_CRITICAL_TEMPERATURE, (20, 36, 60), 0.003),
        (TRIANGULAR, TRIANGULAR_CRITICAL_TEMPERATURE, (12, 20, 36), 0.01),
    ],
    ids=["square", "triangular, by transfer"],
)
def test_one_network_on_blocks_finds_tc(subject, exact, sides, precision):
    network = experiments.train_on_blocks(SQUARE, seed=1)
    fit, table = experiments.classified_critical_temperature(subject, sides, 60, seed=1, network=network)
    assert table["size"].unique().tolist() == list(sides) and not fit.notes
    assert abs(fit.critical_temperature.deviation(exact)) < 3
    assert fit.critical_temperature.error < precision
    assert abs(fit.inverse_nu.deviation(1)) < 3


def test_three_states():
    fit, _ = experiments.classified_critical_temperature(POTTS, (12, 20, 28), 40, chains=12, points=8, seed=1)
    exact = potts_transition(3).temperature
    assert abs(fit.critical_temperature.mean / exact - 1) < 0.005
    assert abs(fit.critical_temperature.deviation(exact)) < 3


def test_a_line_in_inverse_size_misses():
    networks = experiments.networks_by_size((10, 20, 40), seed=1)
    table = experiments.half_temperatures(networks, SQUARE, np.linspace(2.2, 2.45, 11), seed=1)
    assert (table["error"] < 0.01).all()
    assert experiments.line_in_inverse_size(table).deviation(SQUARE_CRITICAL_TEMPERATURE) < -3


@cache
def dips(q):
    """Dips of two sizes, which started ordered and random, and what they are at Tc itself."""
    outputs, table = experiments.order_of_transition({3: POTTS, 10: POTTS10}[q], (12, 20), samples=400, seed=1)
    assert (table["apart"].abs() < 4).all()
    return table, experiments.dip(outputs[outputs["size"] == 20], potts_transition(q).temperature)


def test_ten_states_coexist_and_three_do_not():
    (first, first_at), (second, second_at) = dips(10), dips(3)
    assert (first["dip"] + 4 * first["error"] < 0.5).all()
    # The interface costs more on the larger lattice; without one, the outputs do not depend on the size.
    fall, scatter = -np.diff(first["dip"])[0], np.hypot(*first["error"])
    assert fall > 3 * scatter
    assert (second["dip"] - 4 * second["error"] > 1).all()
    assert abs(np.diff(second["dip"])[0]) < 4 * np.hypot(*second["error"])
    assert first_at.mean + 4 * first_at.error < 1 < second_at.mean - 4 * second_at.error


def test_phases_that_nobody_leaves_are_caught():
    outputs = experiments.potts_outputs(experiments.train_on_blocks(POTTS10, seed=1), POTTS10, 36, samples=20, thin=10)
    apart = experiments.halves_apart(outputs)
    assert apart.mean > 10 * apart.error


def drawn(seed, shift=0.0):
    """Log odds of two phases as sharp as their distance is long, and an energy that goes with them."""
    rng = np.random.default_rng(seed)
    phase = rng.choice([-1, 1], (16, 500), p=[0.5 - shift, 0.5 + shift])
    odds = 8 * phase + rng.normal(0, 4, phase.shape)
    chain = np.repeat(np.arange(16), 500)
    columns = {"log_odds": odds.ravel(), "energy": -50.0 * phase.ravel(), "chain": chain, "temperature": 1.0}
    return pd.DataFrame(columns)


def test_the_dip_and_its_error():
    estimates = [experiments.dip(drawn(seed)) for seed in range(40)]
    means, errors = np.array([(estimate.mean, estimate.error) for estimate in estimates]).T
    assert abs(means.std() / errors.mean() - 1) < 4 / np.sqrt(2 * 40)
    flat = pd.DataFrame({"log_odds": np.linspace(-30, 30, 8000), "energy": 0.0, "chain": np.arange(8000) % 16})
    assert abs(experiments.dip(flat.assign(temperature=1.0)).mean - 1) < 0.01
    # Reweighted to where both phases weigh the same, a lopsided table says the same.
    lopsided = [experiments.dip(drawn(seed, 0.2), 1 / (1 - np.log(0.7 / 0.3) / 100)) for seed in range(40)]
    scatter = np.hypot(means.std(), np.std([estimate.mean for estimate in lopsided])) / np.sqrt(40)
    assert abs(np.mean([estimate.mean for estimate in lopsided]) - means.mean()) < 4 * scatter


def test_no_value_of_potts_is_special():
    x = Potts(square(4), q=5).random(200, seed=1)
    x = x[[len(set(np.bincount(row, minlength=5))) == 5 for row in x.numpy()]]  # without ties
    renamed = torch.tensor([3, 0, 4, 2, 1])[x.long()].to(x.dtype)
    ranked = experiments.by_popularity(x, 5)
    assert len(x) > 5 and torch.equal(ranked, experiments.by_popularity(renamed, 5)) and ranked.dtype == x.dtype
    counts = torch.stack([(ranked == value).sum(1) for value in range(5)], 1)
    assert bool((counts.diff(dim=1) < 0).all())


def test_where_phases_coexist():
    """By the weights of phases: q ordered ones against one, whose energies are a latent heat apart."""
    transition, side = potts_transition(10), 20
    shift = 1 / transition.temperature - 1 / experiments.coexistence(10, side)
    assert abs(shift * transition.latent_heat * side**2 / np.log(10) - 1) < 0.01
    assert experiments.coexistence(3, side) == potts_transition(3).temperature
