"""Sampling without data: wells of known weight, and paths whose weights are exact whatever led them."""

import numpy as np
import pytest
import torch
from scipy.integrate import quad

import mlphys as mp


def test_many_wells_have_their_published_values():
    exact = mp.exact.thermal(mp.ManyWell(32), 1.0)
    assert exact.log_partition == pytest.approx(164.695675, abs=5e-7)
    assert exact.modes == pytest.approx(np.full(16, 0.844307), abs=5e-7)


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_moments_of_wells(temperature):
    """The exact twins beside integrals of the actions themselves."""
    wells = mp.ManyWell(2)

    def integral(function, start=-5.0):
        def density(a):
            action = wells.action(torch.tensor([[a, 0.0]], dtype=torch.float64)).item()
            return function(action) * np.exp(-action / temperature - 9)

        return quad(density, start, 0, epsabs=1e-12)[0] + quad(density, 0, 5, epsabs=1e-12)[0]

    z, exact = integral(lambda action: 1.0), mp.exact.thermal(wells, temperature)
    first, second = (integral(lambda action, k=k: action**k) / z for k in (1, 2))
    assert exact.log_partition == pytest.approx(np.log(z) + 9 + np.log(2 * np.pi * temperature) / 2, abs=1e-9)
    assert exact.modes[0] == pytest.approx(integral(lambda action: 1.0, start=0) / z, abs=1e-7)
    assert 2 * exact.energy == pytest.approx(first + temperature / 2, abs=1e-8)
    assert 2 * exact.heat_capacity == pytest.approx((second - first**2) / temperature**2 + 0.5, abs=1e-7)


def test_modes_in_the_plane():
    modes = mp.ManyModes(40, seed=3)
    exact = mp.exact.thermal(modes, 1.0)
    assert abs(exact.log_partition) < 1e-10 and exact.modes == pytest.approx(np.full(40, 1 / 40))
    assert modes.means.abs().max() < 40 and not torch.equal(modes.means, mp.ManyModes(40, seed=4).means)
    # The entropy of one normal distribution is known.
    one = mp.exact.thermal(mp.ManyModes(1, reach=3.0, width=0.7), 2.0)
    assert one.energy * 2 == pytest.approx(2.0 + np.log(2 * np.pi * 0.49), abs=1e-9)
    assert one.heat_capacity == pytest.approx(0.5, abs=1e-9)


@pytest.mark.parametrize("model", [mp.ManyWell(6), mp.ManyModes(5, reach=3.0)], ids=repr)
def test_forces(model):
    x = 2 * model.random(20, seed=1)
    np.testing.assert_allclose(model.force(x), super(type(model), model).force(x), rtol=1e-9, atol=1e-9)


def test_a_chain_among_modes():
    model = mp.ManyModes(3, reach=2.0)
    chain = mp.run(mp.HMC(model), 300, temperature=1.0, chains=16, seed=1)
    assert abs(chain.estimate("energy").deviation(mp.exact.thermal(model, 1.0).energy)) < 4
