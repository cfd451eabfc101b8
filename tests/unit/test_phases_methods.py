"""All methods on one set of configurations: temperatures are read off curves as they should be, and the tables are whole."""

import numpy as np
import pytest

from mlphys.lectures import phases_methods as methods

pytestmark = pytest.mark.usefixtures("one_thread")


def test_readings_of_known_curves():
    temperature = np.array(methods.TEMPERATURES)
    falling = 1 / (1 + np.exp((temperature - 2.27) / 0.05))
    assert methods.half(temperature, falling[:, None]) == pytest.approx(2.27, abs=0.005)
    bump = 1 / (1 + ((temperature - 2.31) / 0.15) ** 2)
    assert methods.fastest(temperature, bump[:, None]) == pytest.approx(2.31, abs=0.01)
    # The W: sure at both ends, where one class is all there is, and in the middle.
    guess = np.array(methods.GUESSES)
    accuracy = 0.85 + 0.1 * ((guess - 2.3) / 0.5) ** 8 + 0.06 * np.exp(-(((guess - 2.33) / 0.1) ** 2))
    assert methods.least_confused(temperature, np.tile(accuracy, (21, 1))) == pytest.approx(2.33, abs=0.01)


def test_tables_hold_every_method_beside_its_rival():
    pytest.importorskip("gudhi")
    done = []
    rows, curves = methods.methods_table(8, 8, 40, chains=8, trainings=2, progress=lambda *counts: done.append(counts))
    assert done == [(k, methods.METHODS) for k in range(1, methods.METHODS + 1)]
    assert rows.method.is_unique and set(curves.method) == set(rows.method)
    assert rows.temperature.between(methods.TEMPERATURES[0], methods.TEMPERATURES[-1]).all() and (rows.error > 0).all()
    assert ((rows.training_error > 0) == ~rows.method.isin(["|m| threshold", "principal component"])).all()
    assert np.allclose(rows.temperature - rows.rival_temperature, rows.difference)
    # On so small a lattice the uniform component is all but the magnetisation.
    (component,) = rows[rows.method == "principal component"].itertuples()
    assert abs(component.difference) < component.error
    axes = {name: part.temperature.tolist() for name, part in curves.groupby("method")}
    assert axes.pop("confusion") == methods.GUESSES and all(axis == methods.TEMPERATURES for axis in axes.values())
    assert (curves.error >= 0).all() and not curves.isna().any(axis=None)
