"""The solved Ising models against published numbers, against each other, and against the sum over all states."""

import numpy as np
import pytest

from mlphys import exact
from mlphys.hamiltonians.spins import Ising
from mlphys.lattices import chain, square, triangular

TC = exact.SQUARE_CRITICAL_TEMPERATURE
TEMPERATURES = np.array([0.1, 0.5, 1.0, 2.0, TC - 1e-9, TC, TC + 1e-9, 2.5, 4.0, 100.0, 1e4])

# side, temperature, energy and heat capacity per site: printed to 12 and 10 digits.
PRINTED = [
    (4, 2.0, -1.755380288777, 0.6055326572),
    (4, TC, -1.565623787638, 0.7832668259),
    (8, 2.0, -1.745683170293, 0.7141226029),
    (8, TC, -1.491589107440, 1.1455592399),
    (16, TC, -1.453064852813, 1.4987049594),
    (32, TC, -1.433658466146, 1.8467675900),
    (64, TC, -1.423938389833, 2.1922113931),
]


def test_critical_temperatures():
    assert pytest.approx(2.269185314213, abs=1e-12) == TC
    assert np.sinh(2 / TC) == pytest.approx(1, abs=1e-15)
    # Triangular: exp(4 / T) = 3.
    assert np.exp(4 / exact.TRIANGULAR_CRITICAL_TEMPERATURE) == pytest.approx(3, abs=1e-14)


@pytest.mark.parametrize(("side", "temperature", "energy", "heat_capacity"), PRINTED)
def test_kaufman_against_printed_values(side, temperature, energy, heat_capacity):
    torus = exact.kaufman(side, side, temperature)
    assert torus.energy == pytest.approx(energy, abs=1e-12)
    assert torus.heat_capacity == pytest.approx(heat_capacity, abs=1e-10)


@pytest.mark.parametrize("shape", [(2, 2), (2, 3), (3, 2), (3, 3), (3, 4), (2, 7), (4, 4), (5, 3), (4, 5)])
@pytest.mark.parametrize("coupling", [1.0, 0.7, -1.3])
def test_kaufman_against_enumeration(shape, coupling):
    if coupling < 0 and any(side % 2 for side in shape):
        with pytest.raises(ValueError, match="even"):
            exact.kaufman(*shape, 2.0, coupling)
        return
    torus = exact.kaufman(*shape, TEMPERATURES, coupling)
    states = exact.enumeration(Ising(square(*shape), coupling=coupling), TEMPERATURES)
    np.testing.assert_allclose(torus.energy, states.energy, rtol=0, atol=1e-12)
    np.testing.assert_allclose(torus.heat_capacity, states.heat_capacity, rtol=0, atol=1e-12)


def test_the_sign_of_the_zero_mode_is_seen():
    # With |γ₀| in place of γ₀ the fourth product changes sign above the critical point. It is worth 1e-2 at 4 x 4, T = 2.5:
    # the test above would not let that pass. Here: both sides of the critical point continue each other.
    step = 1e-5
    below, at, above = (exact.kaufman(8, 8, t).energy for t in (TC - step, TC, TC + step))
    slope = exact.kaufman(8, 8, TC).heat_capacity
    assert (above - below) / (2 * step) == pytest.approx(slope, rel=1e-8)
    assert above - 2 * at + below == pytest.approx(0, abs=1e-9)


def test_heat_capacity_is_the_slope_of_the_energy():
    t, step = np.linspace(1.0, 5.0, 41), 1e-5
    for value in (lambda t: exact.kaufman(12, 7, t), lambda t: exact.ising_chain(11, t, -0.8, 0.3)):
        slope = (value(t + step).energy - value(t - step).energy) / (2 * step)
        np.testing.assert_allclose(value(t).heat_capacity, slope, rtol=0, atol=1e-9)


def test_a_large_torus_is_the_plane_away_from_the_critical_point():
    t = np.array([0.001, 0.01, 0.3, 1.5, 2.0, 2.2, 2.35, 2.5, 5.0, 1e3, 1e6, 1e100])
    torus, plane = exact.kaufman(1024, 1024, t), exact.onsager(t)
    np.testing.assert_allclose(torus.energy, plane.energy, rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(torus.heat_capacity, plane.heat_capacity, rtol=0, atol=1e-12)


def test_a_long_torus_follows_its_short_side():
    # Twice the length of a strip much longer than its correlation length changes nothing.
    short, long = exact.kaufman(4, 200, 2.5), exact.kaufman(400, 4, 2.5)
    assert short.energy == pytest.approx(long.energy, abs=1e-13)
    assert short.heat_capacity == pytest.approx(long.heat_capacity, abs=1e-12)


def test_finite_size_scaling_of_the_energy_at_the_critical_point():
    # Ferdinand and Fisher 1969 (10.1103/PhysRev.185.832): L (u + √2) → -2 θ₂θ₃θ₄ / (θ₂ + θ₃ + θ₄), the rest as 1/L².
    k, nome = np.arange(-9, 10), np.exp(-np.pi)
    theta = np.array([(nome ** (k + 0.5) ** 2).sum(), (nome**k**2).sum(), ((-1.0) ** k * nome**k**2).sum()])
    for side in (128, 256, 512, 1024):
        scaled = side * (exact.kaufman(side, side, TC).energy + np.sqrt(2))
        assert scaled == pytest.approx(-2 * theta.prod() / theta.sum(), abs=0.3 / side**2)


def test_onsager_against_printed_values():
    plane = exact.onsager([2.0, TC, 2.5])
    np.testing.assert_allclose(plane.energy, [-1.7455645753, -np.sqrt(2), -1.1060792037], rtol=0, atol=1e-10)
    np.testing.assert_allclose(plane.magnetisation, [0.9113193779, 0, 0], rtol=0, atol=1e-10)
    assert plane.heat_capacity[1] == np.inf


def test_onsager_against_its_integral():
    # The free energy is a double integral that a periodic sum gives to all digits away from the critical point.
    angle = 2 * np.pi * (np.arange(400) + 0.5) / 400
    cosines = np.cos(angle)[:, None] + np.cos(angle)

    def energy(beta):
        s, c = np.sinh(2 * beta), np.cosh(2 * beta)
        return -((4 * c * s - 2 * c * cosines) / (c**2 - s * cosines)).mean() / 2

    for t in (1.0, 1.8, 2.1, 2.4, 3.0, 10.0):
        plane, step = exact.onsager(t), 1e-5
        assert plane.energy == pytest.approx(energy(1 / t), abs=1e-12)
        slope = (energy(1 / t + step) - energy(1 / t - step)) / (2 * step)
        assert plane.heat_capacity == pytest.approx(-slope / t**2, rel=1e-7)


def test_onsager_near_the_critical_point():
    # Both branches close in on -√2 with the same logarithm; (T - Tc) log|T - Tc| at 1e-8 is about 1e-7.
    below, above = exact.onsager(TC * (1 - 1e-8)), exact.onsager(TC * (1 + 1e-8))
    assert below.energy < -np.sqrt(2) < above.energy
    assert above.energy - below.energy == pytest.approx(2e-8 * TC * below.heat_capacity, rel=0.1)
    assert below.heat_capacity == pytest.approx(above.heat_capacity, rel=1e-6)
    # The amplitude of the logarithm (McCoy and Wu 1973): c ≈ -(2/π) (2/Tc)² ln|1 - T/Tc| + constant.
    amplitude = (exact.onsager(TC * (1 + 1e-9)).heat_capacity - exact.onsager(TC * (1 + 1e-6)).heat_capacity) / np.log(1e3)
    assert amplitude == pytest.approx(2 / np.pi * (2 / TC) ** 2, rel=1e-4)


@pytest.mark.parametrize("coupling", [0.5, 3.0])
def test_energies_scale_with_the_coupling(coupling):
    t = np.array([1.0, TC, 3.0])
    for value in (exact.onsager, lambda t, j=1.0: exact.kaufman(6, 9, t, j), lambda t, j=1.0: exact.ising_chain(7, t, j)):
        unit, scaled = value(t), value(coupling * t, coupling)
        np.testing.assert_allclose(scaled.energy, coupling * unit.energy, rtol=1e-12)
        np.testing.assert_allclose(scaled.heat_capacity, unit.heat_capacity, rtol=1e-10)


def test_antiferromagnet_has_no_uniform_magnetisation():
    ferro, antiferro = exact.onsager(1.5), exact.onsager(1.5, -1.0)
    assert antiferro.energy == ferro.energy and antiferro.heat_capacity == ferro.heat_capacity
    assert (ferro.magnetisation > 0.9, antiferro.magnetisation) == (True, 0.0)


@pytest.mark.parametrize("n_sites", [2, 3, 8, 13])
@pytest.mark.parametrize("coupling", [1.0, -1.0, 0.0])
@pytest.mark.parametrize("field", [0.0, 0.4, -1.7])
def test_chain_against_enumeration(n_sites, coupling, field):
    t = np.array([0.05, 0.3, 1.0, 5.0, 1e3])
    ring = exact.ising_chain(n_sites, t, coupling, field)
    states = exact.enumeration(Ising(chain(n_sites), coupling=coupling, field=field), t)
    np.testing.assert_allclose(ring.energy, states.energy, rtol=0, atol=1e-12)
    np.testing.assert_allclose(ring.heat_capacity, states.heat_capacity, rtol=0, atol=1e-12)
    np.testing.assert_allclose(ring.magnetisation, states.magnetisation, rtol=0, atol=1e-12)


def test_chain_in_its_limits():
    t = np.array([0.2, 1.0, 3.0])
    long = exact.ising_chain(10**6, t)
    np.testing.assert_allclose(long.energy, -np.tanh(1 / t), rtol=1e-12)
    np.testing.assert_allclose(long.heat_capacity, (1 / t / np.cosh(1 / t)) ** 2, rtol=1e-9)
    in_field = exact.ising_chain(10**6, 1.0, 1.0, 0.1)
    s = np.sinh(0.1)
    assert in_field.magnetisation == pytest.approx(s / np.sqrt(s**2 + np.exp(-4)), rel=1e-12)
    # A frustrated ring keeps one broken bond down to the lowest temperatures.
    assert exact.ising_chain(101, 1e-4, -1.0).energy == pytest.approx(-99 / 101, rel=1e-12)


def test_scalars_give_floats_and_arrays_keep_their_shape():
    grid = np.array([[1.0, 2.0, 3.0], [TC, 5.0, 6.0]])
    for value in (exact.onsager, lambda t: exact.kaufman(4, 6, t), lambda t: exact.ising_chain(5, t)):
        assert isinstance(value(2.0).energy, float)
        assert value(grid).energy.shape == value(grid).heat_capacity.shape == grid.shape
        assert value(grid).energy[1, 2] == pytest.approx(value(6.0).energy, rel=1e-14)


@pytest.mark.parametrize("temperature", [0.0, -1.0, np.nan, np.inf, [1.0, 0.0], "hot"])
def test_bad_temperatures(temperature):
    calls = (exact.onsager, lambda t: exact.kaufman(4, 4, t), lambda t: exact.ising_chain(5, t))
    for value in (*calls, lambda t: exact.enumeration(Ising(square(2)), t)):
        with pytest.raises(ValueError, match="temperature="):
            value(temperature)


@pytest.mark.parametrize("side", [1, 0, 4.5, "4"])
def test_bad_sides(side):
    with pytest.raises(ValueError, match="rows="):
        exact.kaufman(side, 4, 2.0)
    with pytest.raises(ValueError, match="columns="):
        exact.kaufman(4, side, 2.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, "1", None, [1.0, 2.0]])
def test_bad_couplings(bad):
    for call in (
        lambda j: exact.onsager(2.0, j),
        lambda j: exact.kaufman(4, 4, 2.0, j),
        lambda j: exact.ising_chain(4, 2.0, j),
    ):
        with pytest.raises(ValueError, match="coupling="):
            call(bad)
    with pytest.raises(ValueError, match="field="):
        exact.ising_chain(4, 2.0, 1.0, bad)


def test_bad_chains():
    with pytest.raises(ValueError, match="n_sites=1"):
        exact.ising_chain(1, 2.0)


def test_thermal_picks_the_twin():
    t = np.array([1.5, TC])
    assert exact.thermal(Ising(square(4)), t).binder.shape == (2,)
    assert exact.thermal(Ising(square(8, 12)), t).energy == pytest.approx(exact.kaufman(8, 12, t).energy)
    ring = exact.thermal(Ising(chain(64), field=0.2), t)
    assert ring.magnetisation == pytest.approx(exact.ising_chain(64, t, 1.0, 0.2).magnetisation)
    # Uniform bonds given one by one, and an odd antiferromagnet, go by the transfer matrix.
    bonds = exact.thermal(Ising(square(6), coupling=np.ones(72)), 2.0)
    assert bonds.energy == pytest.approx(exact.kaufman(6, 6, 2.0).energy, abs=1e-12)
    odd = exact.thermal(Ising(square(5, 4), coupling=-1.0), 2.0)
    assert odd.energy == pytest.approx(exact.enumeration(Ising(square(5, 4), coupling=-1.0), 2.0).energy, abs=1e-12)
    for unknown in (Ising(square(12), field=0.1), Ising(triangular(6)), Ising(square(12), coupling=np.ones(288))):
        with pytest.raises(ValueError, match="no known exact value"):
            exact.thermal(unknown, 2.0)
