"""Critical points from finite sizes: errors judged by how often they are right, on tables whose Tc and ν are known."""

import time
import warnings

import numpy as np
import pandas as pd
import pytest

import mlphys as mp
from mlphys.phases.finite_size import _checked, binder_table, crossings, scaling
from mlphys.phases.posterior import COLUMNS, Posterior

TC, INVERSE_NU = 2.25, 0.8
SEEDS = 60


def made(seed: int, points: int = 10, exponent: float = 0.0, correction: float = 0.0) -> pd.DataFrame:
    """A table that scales exactly, but for `correction` · L^-1.5, with noise that grows sixtyfold along the temperatures."""
    size, temperature = (grid.ravel() for grid in np.meshgrid([16.0, 32, 64], np.linspace(2.2, 2.3, points), indexing="ij"))
    x = (temperature - TC) * size**INVERSE_NU
    value = (0.6 * np.exp(-((x + 1.4) ** 2) / 8) + correction * size**-1.5) * size**-exponent
    error = 0.0003 * 60 ** ((temperature - 2.2) / 0.1) * size**-exponent
    noise = np.random.default_rng(seed).normal(size=len(size)) * error
    return pd.DataFrame(dict(zip(COLUMNS, (size, temperature, value + noise, error), strict=True)))


def pulls(change=lambda table: table, seeds: int = SEEDS, **options) -> np.ndarray:
    """Distances of Tc and 1/ν from the truth in their errors, `(seeds, 2)`."""
    found = []
    for seed in range(seeds):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit = scaling(change(made(seed)), seed=seed, omega=None, draws=200, **options)
        found.append((fit.critical_temperature.deviation(TC), fit.inverse_nu.deviation(INVERSE_NU)))
    return np.array(found)


def judge(found: np.ndarray) -> None:
    """68 % and 95 % within four binomial errors, and a mean square of 1 within four of its errors."""
    count = len(found)
    for column in np.abs(found).T:
        assert abs(np.mean(column < 1) - 0.683) < 4 * np.sqrt(0.683 * 0.317 / count)
        assert np.mean(column < 2) > 0.954 - 4 * np.sqrt(0.954 * 0.046 / count)
        assert abs(np.mean(column**2) - 1) < 4 * np.sqrt(2 / count)


def test_errors_cover():
    judge(pulls())


@pytest.mark.parametrize("factor", [0.5, 2.0, None])
def test_broken_likelihoods_are_caught(factor):
    def broken(table):
        return table.assign(error=1e-5 if factor is None else factor * table["error"])

    with pytest.raises(AssertionError):
        judge(pulls(broken))


@pytest.mark.filterwarnings("ignore:chi")
def test_corrections_to_scaling_would_bias():
    bad, good = (
        [scaling(made(seed, 14, correction=0.6), omega=omega).critical_temperature.deviation(TC) for seed in range(12)]
        for omega in (None, 1.5)
    )
    assert abs(np.mean(good)) < 1 < 2 < abs(np.mean(bad))


def test_exponent_is_found():
    fit = scaling(made(3, exponent=-1.75), exponent=None, omega=None)
    assert 0 < fit.exponent.error < 0.05
    assert abs(fit.exponent.deviation(-1.75)) < 3 and abs(fit.critical_temperature.deviation(TC)) < 3
    assert abs(fit.nu.deviation(1 / INVERSE_NU)) < 3
    band = np.interp(fit.points["x"], fit.curve["x"], fit.curve["mean"])
    assert np.mean(((fit.points["value"] - band) / fit.points["error"]) ** 2) < 2


def test_gradient_is_that_of_the_posterior():
    posterior = Posterior(_checked(made(1), sizes=2), [True] * 8, omega=1.2)
    at = np.array([0.1, 0.2, 0.3, -3.0, 0.5, -0.4, 0.3, 0.6])
    numerical = [(posterior.log_prob(at + h) - posterior.log_prob(at - h)) / 2e-5 for h in 1e-5 * np.eye(8)]
    np.testing.assert_allclose(posterior.gradient(at), numerical, rtol=1e-4)


def test_ising_from_runs():
    temperatures, runs = np.linspace(2.2, 2.34, 30), {}
    for size, samples in ((16, 8000), (32, 8000), (64, 5000)):
        wolff = mp.Wolff(mp.Ising(mp.square(size)))
        runs[size] = mp.run(wolff, samples=samples, temperature=temperatures, chains=30, seed=size, observe=("m2", "m4"))
    table = binder_table(runs)
    began = time.process_time()
    fit = scaling(table, seed=1)
    assert len(table) == 90 and time.process_time() - began < 2
    tc = 2 / np.log(1 + np.sqrt(2))
    assert abs(fit.critical_temperature.deviation(tc)) < 3 and abs(fit.inverse_nu.deviation(1)) < 3
    assert fit.critical_temperature.error < 0.0015 and fit.inverse_nu.error < 0.04 and not fit.notes
    again = scaling(table.sample(frac=1, random_state=1), seed=1)
    assert again.critical_temperature == fit.critical_temperature


def test_crossings():
    deviations = []
    for seed in range(15):
        found = crossings(made(seed, points=14), seed=seed)
        assert found[["size", "next_size"]].to_numpy().tolist() == [[16, 32], [32, 64]]
        deviations += ((found["temperature"] - TC) / found["error"]).tolist()
    assert 0.4 < np.mean(np.square(deviations)) < 2
    apart = made(1).assign(value=lambda table: table["value"] + table["size"])
    with pytest.raises(ValueError, match="do not cross"):
        crossings(apart)


def test_a_bad_collapse_and_a_distant_transition_are_told():
    table = made(1)
    with pytest.warns(RuntimeWarning, match="do not collapse"):
        fit = scaling(table.assign(error=table["error"] / 4))
    assert fit.notes and fit.chi2_per_point > 2
    with pytest.warns(RuntimeWarning, match="outside the data"):
        scaling(table[table["temperature"] < 2.24], omega=None)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda t: t.drop(columns="error"), "lacks error"),
        (lambda t: t[t["size"] == 16], "1 sizes"),
        (lambda t: t.assign(error=0.0), "error=0"),
        (lambda t: t.assign(value=np.nan), "not finite"),
        (lambda t: t.assign(size="large"), "not numbers"),
        (lambda t: t.groupby("size").head(2), "2 temperatures"),
        (lambda t: t.to_numpy(), "ndarray"),
    ],
)
def test_bad_tables(change, message):
    with pytest.raises(ValueError, match=message):
        scaling(change(made(1)))
