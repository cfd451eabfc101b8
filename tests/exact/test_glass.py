"""Spin glasses: the transfer matrix against enumeration and published means, tempering against the transfer matrix."""

import numpy as np
import pytest

import mlphys as mp
from mlphys.exact import enumeration, glass_torus, kaufman, spin_glass_ground_energy, thermal

# Disorder means of the ground-state energy per site: size, couplings, mean, its error, glasses to average here.
MEANS = [
    (4, "pm1", -1.3137, 0.0009, 2000),
    (6, "pm1", -1.3653, 0.0010, 1000),
    (4, "gaussian", -1.2595, 0.0013, 2000),
    (6, "gaussian", -1.2952, 0.0015, 1000),
]


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("shape", [(4, 4), (3, 5), (5, 3), (2, 7)], ids=str)
@pytest.mark.parametrize("couplings", ["pm1", "gaussian"])
def test_transfer_matrix_agrees_with_enumeration(shape, couplings):
    glass = mp.SpinGlass(mp.square(*shape), couplings, seed=3)
    in_field = mp.Ising(glass.lattice, glass.coupling, np.linspace(-0.5, 0.7, glass.lattice.n_sites))
    for model in (glass, in_field):
        expected, found = (solve(model, [1e-6, 0.1, 0.7, 5.0]) for solve in (enumeration, glass_torus))
        for name in ("energy", "heat_capacity", "log_partition"):
            np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-11, atol=1e-13)
        assert spin_glass_ground_energy(model) == pytest.approx(expected.energy[0], abs=1e-13)


def test_transfer_matrix_agrees_with_enumeration_on_4_x_5():
    glass = mp.SpinGlass(mp.square(4, 5), seed=3)
    assert glass_torus(glass, 0.5).energy == pytest.approx(enumeration(glass, 0.5).energy, rel=1e-12)
    assert spin_glass_ground_energy(glass) == pytest.approx(enumeration(glass, 1e-6).energy, rel=1e-12)


def test_transfer_matrix_agrees_with_kaufman():
    expected, found = kaufman(8, 12, [1.0, 2.3]), glass_torus(mp.Ising(mp.square(12, 8)), [1.0, 2.3])
    np.testing.assert_allclose(found.energy, expected.energy, rtol=1e-11)
    np.testing.assert_allclose(found.heat_capacity, expected.heat_capacity, rtol=1e-10)


def test_thermal_finds_the_transfer_matrix():
    glass = mp.SpinGlass(mp.square(6), seed=1)
    assert thermal(glass, 1.0) == glass_torus(glass, 1.0)
    assert thermal(mp.Ising(mp.square(5), coupling=-1.0), 1.0).energy > -2
    with pytest.raises(ValueError, match="side of at most 10"):
        thermal(mp.SpinGlass(mp.square(12)), 1.0)


@pytest.mark.parametrize("size, couplings, mean, error, glasses", MEANS)
def test_disorder_means(size, couplings, mean, error, glasses):
    energies = [spin_glass_ground_energy(mp.SpinGlass(mp.square(size), couplings, seed)) for seed in range(glasses)]
    deviation = np.mean(energies) - mean
    assert abs(deviation) < 4 * np.hypot(error, np.std(energies, ddof=1) / np.sqrt(glasses))


def test_tempering_finds_ground_states():
    """At least 99 % of 200 glasses of 8 × 8 spins, each proved by the transfer matrix; their mean is the published one."""
    ladder, exact, found = np.linspace(0.4, 1.6, 7), [], []
    for seed in range(200):
        glass = mp.SpinGlass(mp.square(8), seed=seed)
        exact.append(spin_glass_ground_energy(glass))
        chain = mp.run(mp.Tempering(mp.Metropolis(glass), ladder), 200, chains=2, seed=seed, burn_in=0, observe=("energy",))
        found.append(chain["energy"].min())
    assert (np.array(found) > np.array(exact) - 1e-9).all()
    assert np.mean(np.isclose(found, exact)) >= 0.99
    assert abs(np.mean(exact) + 1.3816) < 4 * np.hypot(0.0020, np.std(exact, ddof=1) / np.sqrt(200))


def test_tempering_reaches_equilibrium_where_metropolis_is_stuck():
    """Every rung of an 8 × 8 glass within 4 σ of its exact energy, to a relative 1e-3; plain chains never agree.

    The errors are those of independent ladders: the two valleys of this glass trade places once in a thousand sweeps, too
    slowly and too faintly for an autocorrelation time to notice.
    """
    glass = mp.SpinGlass(mp.square(8), "gaussian", seed=7)
    ladder = np.array([0.1, 0.2, 0.3, 0.42, 0.57, 0.75, 1.0, 1.3])
    exact = thermal(glass, ladder).energy
    run = {"samples": 5000, "chains": 32, "seed": 1, "burn_in": 2000, "observe": ("energy",)}
    energies = mp.run(mp.Tempering(mp.Metropolis(glass), ladder), **run)["energy"].reshape(5000, 32, 8)
    means = energies.mean(0)
    errors = means.std(0, ddof=1) / np.sqrt(32)
    assert (np.abs(means.mean(0) - exact) < 4 * errors + 1e-12).all()
    assert (errors < 1e-3 * np.abs(exact)).all()
    plain = mp.run(mp.Metropolis(glass), temperature=ladder[0], **run)["energy"]
    assert mp.stats.split_rhat(energies[:, :, 0]) < 1.01 < 3 < mp.stats.split_rhat(plain)
    assert plain.mean() - exact[0] > 5 * plain.mean(0).std(ddof=1) / np.sqrt(32)
