"""Potts and clock models: exact values against each other and against printed ones, samplers against exact values."""

from itertools import product

import numpy as np
import pytest

import mlphys as mp
from mlphys import exact

TEMPERATURES = np.array([0.1, 0.5, 1.0, 3.0])
SMALL = [
    mp.Potts(mp.square(3, 4), q=3),
    mp.Potts(mp.square(2, 3), q=5, coupling=-0.7),
    mp.Potts(mp.square(2), q=10),
    mp.Potts(mp.chain(9), q=3),
    mp.Clock(mp.square(2, 3), q=6),
    mp.Clock(mp.chain(5), q=7, coupling=-1.0),
]


@pytest.mark.parametrize("model", SMALL, ids=repr)
def test_the_transfer_matrix_agrees_with_the_sum_over_states(model):
    torus, states = exact.discrete_torus(model, TEMPERATURES), exact.enumeration(model, TEMPERATURES)
    for name in ("energy", "heat_capacity", "log_partition"):
        np.testing.assert_allclose(getattr(torus, name), getattr(states, name), rtol=1e-12, atol=1e-12)


def test_the_sum_over_states_agrees_with_one_by_hand():
    potts, beta, rows = mp.Potts(mp.square(2), q=3, coupling=0.8), 1 / 0.7, []
    for values in product(range(3), repeat=4):
        equal = sum(values[a] == values[b] for a, b in potts.lattice.bonds)
        shares = np.bincount(values, minlength=3) / 4
        m2 = (3 * (shares**2).sum() - 1) / 2
        rows.append([-0.8 * equal, (3 * shares[0] - 1) / 2, np.sqrt(m2), m2, m2**2])
    energy, *moments = np.array(rows).T
    weight = np.exp(-beta * energy)
    states = exact.enumeration(potts, 0.7)
    assert states.energy == pytest.approx(weight @ energy / weight.sum() / 4, rel=1e-13)
    for name, moment in zip(("magnetisation", "abs_magnetisation", "m2", "m4"), moments, strict=True):
        assert getattr(states, name) == pytest.approx(weight @ moment / weight.sum(), rel=1e-12, abs=1e-14)


def test_the_ring_of_any_length():
    # Z = (e^β + q − 1)^N + (q − 1)(e^β − 1)^N.
    n, q, beta = 1000, 5, 1 / 0.6
    larger, smaller = np.exp(beta) + q - 1, np.expm1(beta)
    ratio = (q - 1) * (smaller / larger) ** n
    energy = -np.exp(beta) * (1 / larger + ratio / smaller) / (1 + ratio)
    ring = exact.thermal(mp.Potts(mp.chain(n), q), 0.6)
    assert ring.energy == pytest.approx(energy, rel=1e-12)
    assert ring.log_partition == pytest.approx(n * np.log(larger) + np.log1p(ratio), rel=1e-12)


def test_the_clock_of_four_states_is_two_ising_models():
    clock, ising = exact.discrete_torus(mp.Clock(mp.square(4, 5), 4), TEMPERATURES), exact.kaufman(4, 5, TEMPERATURES, 0.5)
    np.testing.assert_allclose(clock.energy, 2 * ising.energy, rtol=1e-12)
    np.testing.assert_allclose(clock.heat_capacity, 2 * ising.heat_capacity, rtol=1e-10, atol=1e-13)


def test_the_transition_of_potts_models():
    for q, temperature in ((3, 0.9949728611), (4, 0.9102392266), (5, 0.8515283616), (10, 0.7012315679)):
        assert exact.potts_transition(q).temperature == pytest.approx(temperature, abs=1e-10)
    for q in (2, 3, 4):
        assert exact.potts_transition(q).energy == -(1 + 1 / np.sqrt(q)) and exact.potts_transition(q).latent_heat == 0
    ten = exact.potts_transition(10)
    assert ten.latent_heat == pytest.approx(0.69604943, abs=1e-8)
    assert ten.energy - ten.latent_heat / 2 == pytest.approx(-1.66425248, abs=1e-8)
    assert ten.energy + ten.latent_heat / 2 == pytest.approx(-0.96820305, abs=1e-8)


def test_what_has_no_twin_says_so():
    with pytest.raises(ValueError, match="no known exact value"):
        exact.thermal(mp.Potts(mp.square(16), 3), 1.0)
    with pytest.raises(ValueError, match="4096"):
        exact.discrete_torus(mp.Clock(mp.square(8), 6), 1.0)
    with pytest.raises(ValueError, match="q=1"):
        exact.potts_transition(1)
    with pytest.raises(ValueError, match=r"n_sites=9 .*5 values"):
        exact.enumeration(mp.Potts(mp.square(3), 5), 1.0)


# Models with exact values at sizes of work; samples of 256 chains, by heat bath and by Metropolis, and sweeps between them,
# for a relative error of 1e-3.
SAMPLED = {
    "Potts 3 below T_c": (mp.Potts(mp.square(6, 16), q=3), 0.95, (250, 350), 10),
    "Potts 3 above T_c": (mp.Potts(mp.square(6, 16), q=3), 1.05, (250, 350), 10),
    # Metropolis takes 600 sweeps to turn the ordered strip to another of its ten values: not worth a test's time.
    "Potts 10 ordered": (mp.Potts(mp.square(3, 16), q=10), 0.6, (260, None), 20),
    "Potts 10 disordered": (mp.Potts(mp.square(3, 16), q=10), 0.9, (500, 1200), 5),
    "clock 4": (mp.Clock(mp.square(24), q=4), 1.0, (100, 100), 5),
}


def twin_of(model, temperature):
    if model.q == 4:  # two Ising models, of any size
        ising = exact.kaufman(*model.lattice.shape, temperature, 0.5)
        return exact.Exact(2 * ising.energy, 2 * ising.heat_capacity)
    return exact.thermal(model, temperature)


SAMPLERS = (mp.HeatBath, mp.Metropolis)
PAIRS = [(sampler, case) for case in SAMPLED for sampler, samples in zip(SAMPLERS, SAMPLED[case][2], strict=True) if samples]


@pytest.mark.parametrize("sampler, case", PAIRS, ids=lambda part: getattr(part, "__name__", part))
def test_energy_agrees_with_the_exact_one(sampler, case):
    model, temperature, samples, thin = SAMPLED[case]
    samples = samples[SAMPLERS.index(sampler)]
    chain = mp.run(sampler(model), samples, temperature, 256, seed=21, thin=thin, observe=("energy",))
    energy, twin = chain.estimate("energy"), twin_of(model, temperature)
    assert abs(energy.deviation(twin.energy)) < 4
    assert energy.error < 1e-3 * abs(twin.energy)
    heat_capacity = chain.estimate("heat_capacity")
    assert abs(heat_capacity.deviation(twin.heat_capacity)) < 4
    assert heat_capacity.error < 0.02 * twin.heat_capacity


@pytest.mark.parametrize("model", [mp.Potts(mp.square(3), q=3), mp.Clock(mp.square(2, 3), q=6)], ids=repr)
def test_moments_agree_with_enumeration(model):
    twin = exact.thermal(model, 1.2)
    chain = mp.run(mp.HeatBath(model), 500, 1.2, 256, seed=22, thin=4)
    for name in ("energy", "magnetisation", "abs_magnetisation", "m2", "m4", "binder"):
        assert abs(chain.estimate(name).deviation(getattr(twin, name))) < 4, name
    assert chain.estimate("m2").error < 2e-3 * twin.m2


@pytest.mark.parametrize("temperature, energy", [(0.7, -1.6445), (0.9, -1.4542)])
def test_the_clock_of_six_states(temperature, energy):
    chain = mp.run(mp.HeatBath(mp.Clock(mp.square(16), q=6)), 100, temperature, 64, seed=23, thin=20, observe=("energy",))
    measured = chain.estimate("energy")
    assert abs(measured.mean - energy) < 4 * np.hypot(measured.error, 9e-4)
    assert measured.error < 9e-4
