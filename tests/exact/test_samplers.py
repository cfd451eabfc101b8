"""Energies of every sampler on real sizes against Kaufman's torus, and moments against enumeration.

Each run is as long as the stated relative error needs; the whole file takes a minute or two on two cores.
"""

import numpy as np
import pytest

import mlphys as mp
from mlphys.exact import SQUARE_CRITICAL_TEMPERATURE, enumeration, kaufman

TC = float(SQUARE_CRITICAL_TEMPERATURE)
SAMPLERS = [mp.Metropolis, mp.HeatBath, mp.Wolff, mp.SwendsenWang]


# Samples, chains and sweeps between samples that reach a relative error below 2e-4, by size and temperature.
LOCAL = {
    ((16, 16), 2.0): (400, 1024, 10),
    ((16, 16), TC): (1000, 1024, 20),
    ((16, 16), 2.5): (1200, 1024, 10),
    ((8, 12), 2.4): (2500, 1024, 10),
    ((64, 64), 2.0): (200, 256, 5),
    ((64, 64), TC): (800, 128, 200),
    ((64, 64), 2.5): (500, 256, 5),
}
WOLFF = {
    ((16, 16), 2.0): (1000, 256, 1),
    ((16, 16), TC): (5700, 256, 1),
    ((16, 16), 2.5): (5900, 256, 1),
    ((8, 12), 2.4): (3550, 1024, 1),
    ((64, 64), 2.0): (200, 96, 1),
    ((64, 64), TC): (3200, 64, 1),
    ((64, 64), 2.5): (800, 96, 1),
}
# A Swendsen–Wang sweep is cheaper and remembers longer.
SWENDSEN_WANG = {case: (2 * samples, chains, thin) for case, (samples, chains, thin) in WOLFF.items()}
# Metropolis, which forgets twice as fast as the heat bath, needs less where that counts.
METROPOLIS = LOCAL | {((64, 64), TC): (500, 128, 200)}
EFFORT = {mp.Metropolis: METROPOLIS, mp.HeatBath: LOCAL, mp.Wolff: WOLFF, mp.SwendsenWang: SWENDSEN_WANG}


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda s: s.__name__)
@pytest.mark.parametrize("shape, temperature", LOCAL, ids=str)
def test_energy_agrees_with_kaufman(sampler, shape, temperature):
    samples, chains, thin = EFFORT[sampler][shape, temperature]
    ising = mp.Ising(mp.square(*shape))
    chain = mp.run(sampler(ising), samples, temperature, chains, seed=11, thin=thin, observe=("energy",))
    energy, exact = chain.estimate("energy"), kaufman(*shape, temperature).energy
    assert abs(energy.deviation(exact)) < 4
    assert energy.error < 2e-4 * abs(exact)


# Samples at either temperature, and sweeps between them, for the same relative error of four moments of 16 spins.
MOMENTS = {mp.Metropolis: ((2300, 5000), 10), mp.HeatBath: ((2300, 5000), 10)}
MOMENTS |= {mp.Wolff: ((4000, 8900), 1), mp.SwendsenWang: ((4700, 10_000), 2)}


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda s: s.__name__)
@pytest.mark.parametrize("temperature", [2.0, TC])
def test_moments_agree_with_enumeration(sampler, temperature):
    ising = mp.Ising(mp.square(4))
    exact = enumeration(ising, temperature)
    (cold, critical), thin = MOMENTS[sampler]
    samples = cold if temperature == 2.0 else critical
    chain = mp.run(sampler(ising), samples, temperature, 1024, seed=12, thin=thin)
    for name in ("energy", "abs_magnetisation", "m2"):
        estimate = chain.estimate(name)
        assert abs(estimate.deviation(getattr(exact, name))) < 4, name
        assert estimate.error < 2e-4 * abs(getattr(exact, name)), name
    assert abs(chain.estimate("magnetisation").deviation(0)) < 4
    binder = mp.stats.jackknife(lambda m2, m4: 1 - m4 / (3 * m2**2), chain["m2"], chain["m4"])
    assert abs(binder.deviation(exact.binder)) < 4
    assert binder.error < 2e-4 * exact.binder


def test_a_scan_of_temperatures_is_one_run():
    temperatures = np.repeat([1.5, 2.0, TC, 2.5, 4.0], 26)
    chain = mp.run(mp.Metropolis(mp.Ising(mp.square(8))), 4000, temperatures, len(temperatures), seed=13, thin=20)
    report = chain.report()
    for temperature in np.unique(temperatures):
        row = report.loc[(round(float(temperature), 12), "energy")]
        assert abs(row["mean"] - kaufman(8, 8, temperature).energy) < 4 * row["error"]
