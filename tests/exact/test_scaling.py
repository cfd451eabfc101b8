"""Finite-size scaling of the Ising Binder ratio: the exact Tc and ν, from twenty independent tables of real data."""

import warnings

import numpy as np
import pandas as pd
import pytest
from binder_tables import PATH

from mlphys.exact import SQUARE_CRITICAL_TEMPERATURE
from mlphys.phases import scaling


@pytest.fixture(scope="module")
def tables():
    return pd.read_csv(PATH)


def pooled(tables: pd.DataFrame) -> pd.DataFrame:
    """One table from several: means, and their errors."""
    points = tables.groupby(["size", "temperature"])
    error = points["error"].apply(lambda errors: np.sqrt((errors**2).sum()) / len(errors))
    return points["value"].mean().to_frame().assign(error=error).reset_index()


def test_errors_cover_the_exact_values(tables):
    found = []
    for seed, table in tables.groupby("seed"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit = scaling(table, seed=seed)
        found.append((fit.critical_temperature.deviation(SQUARE_CRITICAL_TEMPERATURE), fit.inverse_nu.deviation(1)))
    deviations = np.abs(found)
    assert len(deviations) == 20
    assert (np.mean(deviations < 1, axis=0) >= 0.6).all()
    assert (np.mean(deviations < 2, axis=0) >= 0.9).all()


@pytest.mark.parametrize("first", range(2001, 2021, 4))
def test_four_tables_together_meet_the_bounds(tables, first):
    fit = scaling(pooled(tables[tables["seed"].between(first, first + 3)]), seed=first)
    assert abs(fit.critical_temperature.mean - SQUARE_CRITICAL_TEMPERATURE) < 0.001
    assert abs(fit.inverse_nu.mean - 1) < 0.02


def test_all_tables_together(tables):
    fit = scaling(pooled(tables))
    assert abs(fit.critical_temperature.deviation(SQUARE_CRITICAL_TEMPERATURE)) < 3 and abs(fit.inverse_nu.deviation(1)) < 3
    assert fit.critical_temperature.error < 0.0004 and fit.inverse_nu.error < 0.012 and not fit.notes
