"""Energies of every sampler on real sizes against Kaufman's torus, and moments against enumeration.

Each run is as long as the stated relative error needs; the whole file takes a minute or two on two cores.
"""

import numpy as np
import pytest

import mlphys as mp
from mlphys.exact import SQUARE_CRITICAL_TEMPERATURE, enumeration, kaufman

TC = float(SQUARE_CRITICAL_TEMPERATURE)
SAMPLERS = [mp.Metropolis, mp.HeatBath, mp.Wolff, mp.SwendsenWang]
CASES = [((16, 16), 2.0), ((16, 16), TC), ((16, 16), 2.5), ((8, 12), 2.4), ((64, 64), 2.0), ((64, 64), TC), ((64, 64), 2.5)]


def effort(sampler, shape, temperature):
    """Samples, chains and sweeps between samples that reach a relative error of 2e-4."""
    if sampler in (mp.Metropolis, mp.HeatBath):
        critical = {(16, 16): (2000, 1024, 20), (64, 64): (3000, 128, 200)}
        return critical[shape] if temperature == TC else {(64, 64): (600, 256, 5)}.get(shape, (2500, 1024, 10))
    factor = 1 if sampler is mp.Wolff else 2
    critical = {(16, 16): (10000 * factor, 256, 1), (64, 64): (6000 * factor, 64, 1)}
    other = {(8, 12): (7000 * factor, 1024, 1), (16, 16): (12000 * factor, 256, 1), (64, 64): (1200, 96, 1)}
    return critical[shape] if temperature == TC else other[shape]


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda s: s.__name__)
@pytest.mark.parametrize("shape, temperature", CASES, ids=lambda v: str(v))
def test_energy_agrees_with_kaufman(sampler, shape, temperature):
    samples, chains, thin = effort(sampler, shape, temperature)
    ising = mp.Ising(mp.square(*shape))
    chain = mp.run(sampler(ising), samples, temperature, chains, seed=11, thin=thin, observe=("energy",))
    energy, exact = chain.estimate("energy"), kaufman(*shape, temperature).energy
    assert abs(energy.deviation(exact)) < 4
    assert energy.error < 2e-4 * abs(exact)


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda s: s.__name__)
@pytest.mark.parametrize("temperature", [2.0, TC])
def test_moments_agree_with_enumeration(sampler, temperature):
    ising = mp.Ising(mp.square(4))
    exact = enumeration(ising, temperature)
    thin = 10 if sampler in (mp.Metropolis, mp.HeatBath) else 1
    chain = mp.run(sampler(ising), 12500, temperature, 1024, seed=12, thin=thin)
    for name in ("energy", "abs_magnetisation", "m2"):
        estimate = chain.estimate(name)
        assert abs(estimate.deviation(getattr(exact, name))) < 4, name
        assert estimate.error < 2e-4 * abs(getattr(exact, name)), name
    assert abs(chain.estimate("magnetisation").mean) < 4 * chain.estimate("magnetisation").error
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
