"""The sum over all states, against printed numbers and against a sum written out by hand."""

from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest

from mlphys import exact
from mlphys.hamiltonians.spins import Ising
from mlphys.lattices import chain, square, triangular

TC = exact.SQUARE_CRITICAL_TEMPERATURE


@pytest.mark.parametrize(
    ("temperature", "energy", "heat_capacity", "abs_magnetisation", "binder"),
    [
        (2.0, -1.755380288777, 0.6055326572, 0.9189432674, 0.6448107912),
        (TC, -1.565623787638, 0.7832668259, 0.8438604448, 0.6171993184),
    ],
)
def test_printed_values(temperature, energy, heat_capacity, abs_magnetisation, binder):
    states = exact.enumeration(Ising(square(4)), temperature)
    assert states.energy == pytest.approx(energy, abs=1e-12)
    assert states.heat_capacity == pytest.approx(heat_capacity, abs=1e-10)
    assert states.abs_magnetisation == pytest.approx(abs_magnetisation, abs=1e-10)
    assert states.binder == pytest.approx(binder, abs=1e-10)
    assert states.magnetisation == pytest.approx(0, abs=1e-14)


def test_against_a_sum_by_hand_with_bonds_and_fields_of_all_kinds():
    lattice = triangular(3)
    random = np.random.default_rng(1)
    couplings, fields = random.normal(size=lattice.n_bonds), random.normal(size=lattice.n_sites)
    beta, energies, moments = 1 / 1.3, [], []
    for spins in product((-1, 1), repeat=9):
        bonds = sum(j * spins[a] * spins[b] for j, (a, b) in zip(couplings, lattice.bonds, strict=True))
        energies.append(-bonds - sum(h * s for h, s in zip(fields, spins, strict=True)))
        moments.append(np.mean(spins))
    e, m = np.array(energies), np.array(moments)
    weight = np.exp(-beta * e)
    z = weight.sum()
    states = exact.enumeration(Ising(lattice, coupling=couplings, field=fields), 1.3)
    mean = (weight * e).sum() / z
    assert states.log_partition == pytest.approx(np.log(z), rel=1e-13)
    assert states.energy == pytest.approx(mean / 9, rel=1e-12)
    assert states.heat_capacity == pytest.approx(beta**2 * ((weight * e**2).sum() / z - mean**2) / 9, rel=1e-10)
    for name, values in (("magnetisation", m), ("abs_magnetisation", abs(m)), ("m2", m**2), ("m4", m**4)):
        assert getattr(states, name) == pytest.approx((weight * values).sum() / z, rel=1e-12)


def test_anything_with_spins_and_an_energy_can_be_enumerated():
    # Three sites, one bond: Z = 2 · 4 cosh(1/T), whatever else the class is.
    pair = SimpleNamespace(lattice=SimpleNamespace(n_sites=3), energy=lambda x: -(x[:, 0] * x[:, 1]).double())
    states = exact.enumeration(pair, [0.5, 2.0])
    np.testing.assert_allclose(states.log_partition, np.log(8 * np.cosh([2.0, 0.5])), rtol=1e-14)
    np.testing.assert_allclose(states.energy, -np.tanh([2.0, 0.5]) / 3, rtol=1e-14)


def test_low_temperatures_do_not_overflow():
    states = exact.enumeration(Ising(square(4)), [1e-3, 1e-6])
    np.testing.assert_array_equal(states.energy, -2)
    np.testing.assert_array_equal(states.abs_magnetisation, 1)
    np.testing.assert_allclose(states.log_partition * [1e-3, 1e-6], 32, rtol=1e-4)


def test_states_are_ordered_by_code():
    spins = np.concatenate(list(exact.enumerate_states(11, chunk=300)))
    assert spins.dtype == np.int8 and spins.shape == (2048, 11)
    assert set(np.unique(spins)) == {-1, 1}
    np.testing.assert_array_equal((spins > 0) @ 2 ** np.arange(11), np.arange(2048))


def test_distribution_is_that_of_the_states():
    ising, t = Ising(chain(6), coupling=0.8, field=0.3), 1.7
    probability = exact.distribution(ising, t)
    spins = np.concatenate(list(exact.enumerate_states(6)))
    assert probability.sum() == pytest.approx(1, rel=1e-14)
    assert probability @ spins.mean(axis=1) == pytest.approx(exact.ising_chain(6, t, 0.8, 0.3).magnetisation, rel=1e-13)
    # All up over all down: the field alone tells them apart.
    assert probability[-1] / probability[0] == pytest.approx(np.exp(2 * 6 * 0.3 / t), rel=1e-12)


@pytest.mark.parametrize("call", [exact.enumeration, exact.distribution])
def test_too_many_sites(call):
    with pytest.raises(ValueError, match=r"n_sites=21 .*20 sites"):
        call(Ising(square(3, 7)), 2.0)


def test_bad_arguments():
    with pytest.raises(ValueError, match="n_sites=0"):
        exact.enumerate_states(0)
    with pytest.raises(ValueError, match="one number"):
        exact.distribution(Ising(square(2)), [1.0, 2.0])
