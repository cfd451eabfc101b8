"""φ⁴: exact twins against brute force, every sampler against them, and against the reference values of both forms."""

import math

import numpy as np
import pytest

import mlphys as mp
from mlphys.exact import field_ring, free_field

RING = mp.Phi4(mp.chain(12), mass2=-3.0, coupling=0.5)
FREE = mp.Phi4(mp.square(4, 6), mass2=0.5, coupling=0.0)
SAMPLERS = [mp.Metropolis, mp.HeatBath, mp.Overrelaxation, mp.Wolff, mp.SwendsenWang]


@pytest.mark.parametrize("n_sites", [2, 3])
@pytest.mark.parametrize("hopping", [0.4, -0.4])
def test_ring_agrees_with_direct_quadrature(n_sites, hopping):
    model, temperature = mp.Phi4.from_kappa(mp.chain(n_sites), kappa=hopping, coupling=0.7), 0.8
    phi = np.linspace(-4, 4, 121)
    x = np.stack(np.meshgrid(*[phi] * n_sites, indexing="ij"), axis=-1).reshape(-1, n_sites)
    action = model.energy(x).numpy()
    weight = np.exp(-action / temperature)
    total = weight.sum()
    mean, square = weight @ action / total, weight @ action**2 / total
    ring = field_ring(model, temperature)
    assert np.isclose(ring.log_partition, np.log(total * (phi[1] - phi[0]) ** n_sites), rtol=1e-11)
    assert np.isclose(ring.energy, mean / n_sites, rtol=1e-10)
    assert np.isclose(ring.heat_capacity, (square - mean**2) / temperature**2 / n_sites, rtol=1e-10)
    assert np.isclose(ring.phi2, weight @ (x**2).mean(1) / total, rtol=1e-10)
    assert np.isclose(ring.m2, weight @ x.mean(1) ** 2 / total, rtol=1e-10)


@pytest.mark.parametrize("model", [RING, mp.Phi4.from_kappa(mp.chain(40), kappa=-0.45, coupling=2.0)], ids=repr)
def test_action_of_the_ring_is_the_slope_of_its_partition_function(model):
    step = 1e-3
    betas = 1 + step * np.array([-2, -1, 0, 1, 2])
    ring = field_ring(model, 1 / betas)
    slope = ring.log_partition @ np.array([1, -8, 0, 8, -1]) / (12 * step) / model.lattice.n_sites
    assert np.isclose(ring.energy[2], -slope, rtol=1e-9)
    slope = ring.energy @ np.array([1, -8, 0, 8, -1]) / (12 * step)
    assert np.isclose(ring.heat_capacity[2], -slope, rtol=1e-8)


@pytest.mark.parametrize("n_sites", [2, 5, 64])
def test_free_ring_agrees_with_the_free_field(n_sites):
    model = mp.Phi4(mp.chain(n_sites), mass2=0.3, coupling=0.0)
    ring, free = field_ring(model, [0.5, 2.0]), free_field(model, [0.5, 2.0])
    for name in ("energy", "heat_capacity", "m2", "phi2", "log_partition"):
        assert np.allclose(getattr(ring, name), getattr(free, name), rtol=1e-11, atol=1e-11), name


def test_free_field_is_a_gaussian_with_the_inverse_matrix():
    lattice = mp.triangular(3)
    model = mp.Phi4(lattice, mass2=0.2, coupling=0.0)
    matrix = -np.stack([model.force(np.eye(9))[k].numpy() for k in range(9)]) / 2
    free = free_field(model, 0.7)
    assert np.isclose(free.phi2, 0.35 * np.trace(np.linalg.inv(matrix)) / 9, rtol=1e-12)
    assert np.isclose(free.m2, 0.35 * np.linalg.inv(matrix).sum() / 81, rtol=1e-12)
    assert np.isclose(free.log_partition, np.linalg.slogdet(np.pi * 0.7 * np.linalg.inv(matrix))[1] / 2, rtol=1e-12)


# Sweeps between samples, about two autocorrelation times.
THIN = {mp.Metropolis: 6, mp.HeatBath: 3, mp.Overrelaxation: 1, mp.Wolff: 1, mp.SwendsenWang: 1}


# At the lower temperature the weight of a site has two wells, far enough apart for the envelope of their own.
@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda s: s.__name__)
@pytest.mark.parametrize("model, temperature, chains", [(RING, 1.0, 128), (RING, 0.4, 128), (FREE, 1.0, 512)], ids=str)
def test_sampler_agrees_with_the_exact_twin(sampler, model, temperature, chains):
    exact, names = mp.exact.thermal(model, temperature), ("energy", "phi2", "m2")
    chain = mp.run(sampler(model), 350, temperature, chains, seed=21, thin=THIN[sampler], burn_in=200, observe=names)
    for name in names:
        estimate, expected = chain.estimate(name), getattr(exact, name)
        assert abs(estimate.deviation(expected)) < 4, f"{name}: {estimate} is not {expected}"
    assert chain.estimate("energy").error < 1e-3 * abs(exact.energy)


def mass(side, coupling):
    return mp.Phi4(mp.square(side), -4.0, coupling)


def kappa(side, value):
    return mp.Phi4.from_kappa(mp.square(side), value, 0.022)


# Simulations by others: values and errors. Samples, chains and sweeps between samples that reach errors no larger.
REFERENCE = [
    (mp.Metropolis, mass(6, 6.975), (400, 256, 8), {"abs_magnetisation": (0.1414, 5e-4), "phi2": (0.1612, 2e-4)}),
    (mp.HeatBath, mass(8, 6.008), (300, 256, 4), {"abs_magnetisation": (0.1426, 6e-4), "phi2": (0.1840, 2e-4)}),
    (mp.Overrelaxation, mass(10, 5.550), (200, 256, 2), {"abs_magnetisation": (0.1406, 8e-4), "phi2": (0.1986, 2e-4)}),
    (mp.Wolff, mass(14, 5.113), (300, 128, 2), {"abs_magnetisation": (0.1368, 9e-4), "phi2": (0.2182, 2e-4)}),
    (mp.SwendsenWang, kappa(32, 0.5), (200, 32, 1), {"abs_magnetisation": (4.8296, 5e-4), "energy": (-11.8822, 4e-4)}),
    (mp.HeatBath, kappa(32, 0.21), (100, 64, 2), {"phi2": (0.6238, 1e-3), "energy": (0.4767, 6e-4)}),
    (mp.HeatBath, kappa(8, 0.21), (1000, 512, 3), {"abs_magnetisation": (0.1607, 2e-4), "phi2": (0.6232, 3e-4)}),
    (mp.Metropolis, kappa(8, 0.24), (200, 256, 4), {"abs_magnetisation": (0.2438, 2.5e-3), "phi2": (0.7305, 2.6e-3)}),
    (mp.Wolff, kappa(16, 0.27), (600, 64, 3), {"abs_magnetisation": (0.767, 5e-3), "phi2": (1.463, 6e-3)}),
]


@pytest.mark.parametrize("sampler, model, effort, expected", REFERENCE, ids=str)
def test_reference_values(sampler, model, effort, expected):
    samples, chains, thin = effort
    observe = {name: model.observables[name] for name in expected}
    observe["identity"] = lambda x: -(x * model.force(x)).mean(1)
    chain = mp.run(sampler(model), samples, None, chains, seed=22, thin=thin, burn_in=200, observe=observe)
    for name, (value, error) in expected.items():
        estimate = chain.estimate(name)
        assert abs(estimate.mean - value) < 4 * math.hypot(estimate.error, error), f"{name}: {estimate} is not {value}"
        assert estimate.error <= error, name
    assert abs(chain.estimate("identity").deviation(1.0)) < 4


def test_derived_quantities_of_the_free_field():
    """⟨M²⟩ and the structure factor are propagators: the second-moment length is 1/√m² up to its lattice form."""
    model = mp.Phi4(mp.square(8), mass2=0.5, coupling=0.0)
    chain = mp.run(mp.Overrelaxation(model), 300, None, 512, seed=23, burn_in=100, observe=("m2", "m4", "structure_factor"))
    assert abs(chain.estimate("structure_factor").deviation(1 / (2 * model.spectrum[1] * 64))) < 4
    assert abs(chain.estimate("binder").deviation(0.0)) < 4
    assert abs(chain.estimate("correlation_length").deviation(1 / math.sqrt(0.5))) < 4
