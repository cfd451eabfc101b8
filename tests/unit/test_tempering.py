"""Tempering and annealing keep the contract: their ladders, exchanges, bookkeeping and errors."""

from itertools import pairwise

import numpy as np
import pytest

import mlphys as mp
from mlphys.exact import distribution, enumerate_states, thermal

LADDER = [0.6, 0.9, 1.4, 2.2]
GLASS = mp.SpinGlass(mp.square(4), "gaussian", seed=1)


def deviations(sampler, samples=4000, chains=16):
    """Deviation of the energy from its exact value at each rung, in σ."""
    chain = mp.run(sampler, samples, chains=chains, seed=2, observe=("energy",))
    exact = [thermal(sampler.hamiltonian, t).energy for t in sampler.temperatures]
    return [chain.estimate("energy", t).deviation(e) for t, e in zip(sampler.temperatures, exact, strict=True)]


class WrongSign(mp.Tempering):
    """Exchanges what should stay, and keeps what should be exchanged."""

    def acceptance(self, beta, energy, lower):
        return super().acceptance(-beta, energy, lower)


class WithoutBeta(mp.Tempering):
    """Compares energies as if the temperatures were 1 apart."""

    def acceptance(self, beta, energy, lower):
        return super().acceptance(-np.arange(float(len(beta))), energy, lower)


def test_energies_at_all_rungs():
    assert np.max(np.abs(deviations(mp.Tempering(mp.Metropolis(GLASS), LADDER)))) < 4


@pytest.mark.parametrize("broken", [WrongSign, WithoutBeta])
def test_broken_exchanges_are_rejected(broken):
    assert np.max(np.abs(deviations(broken(mp.Metropolis(GLASS), LADDER)))) > 6


def test_packed_replicas_are_exchanged_too():
    assert np.max(np.abs(deviations(mp.Tempering(mp.Metropolis(mp.Ising(mp.square(4))), [1.8, 2.3, 3.0]), 1500, 40))) < 4


@pytest.mark.parametrize("shape", [(4, 4), (6, 5), (128, 2)], ids=["replicas", "sites", "strips"])
def test_exchange_swaps_configurations(shape):
    state = mp.Metropolis(mp.Ising(mp.square(*shape))).init(200, 2.3, seed=1, start="random")
    first, second = np.array([0, 5, 70, 130]), np.array([1, 66, 199, 3])
    expected = state.x.numpy().copy()
    expected[first], expected[second] = expected[second], expected[first]
    state.configuration.exchange(first, second)
    np.testing.assert_array_equal(state.x, expected)


def test_exchange_rates_are_those_of_independent_rungs():
    import torch

    states = torch.from_numpy(np.concatenate(list(enumerate_states(16))))
    glass = mp.SpinGlass(mp.square(4), seed=1)
    energy, inverse = np.unique(glass.energy(states).numpy().round(9), return_inverse=True)
    levels = [np.bincount(inverse, distribution(glass, t)) for t in LADDER[:2]]
    swap = np.exp(np.minimum((1 / LADDER[0] - 1 / LADDER[1]) * (energy[:, None] - energy), 0))
    exact = levels[0] @ swap @ levels[1]
    sampler = mp.Tempering(mp.Metropolis(glass), LADDER)
    rates = []
    for seed in range(8):
        state = sampler.init(16, seed=seed)
        sampler.step(state, 100)
        state.cache["exchange_tally"][:] = 0
        sampler.step(state, 1500)
        rates.append(sampler.exchange_rates(state)[0])
    assert abs(np.mean(rates) - exact) < 4 * np.std(rates, ddof=1) / np.sqrt(8)


def test_replicas_travel():
    """Following each exchange by hand gives the same permutation and the same round trips."""
    sampler = mp.Tempering(mp.Metropolis(GLASS), LADDER[:3])
    state = sampler.init(2, seed=1)
    history = [state.cache["replica"].copy()]
    for _ in range(300):
        sampler.step(state)
        history.append(state.cache["replica"].copy())
        assert sorted(history[-1]) == list(range(6))
        assert set(history[-1][:3]) == {0, 1, 2}
    for replica in range(6):
        rungs = [int(np.flatnonzero(row == replica)[0]) % 3 for row in history[1:]]
        ends = [rung for rung in rungs if rung != 1]
        turns = [a for a, b in zip(ends, [*ends[1:], None], strict=True) if a != b]
        trips = max(0, turns.count(0) - 1) if 0 in turns else 0
        assert sampler.round_trips(state)[replica] == trips
    assert sampler.round_trips(state).sum() > 20


def test_tuning_makes_exchange_rates_equal():
    glass = mp.SpinGlass(mp.square(6), "gaussian", seed=4)
    uneven = [0.2, 0.25, 0.3, 0.4, 1.0, 2.0]
    spreads = []
    for tune in (False, True):
        sampler = mp.Tempering(mp.Metropolis(glass), uneven, tune)
        chain = mp.run(sampler, 1000, chains=8, seed=1, burn_in=2000, observe=("energy",))
        spreads.append(np.ptp(sampler.exchange_rates(chain.state)))
    ladder = chain.state.temperature[:6]
    assert spreads[0] > 0.6 and spreads[1] < 0.15
    assert np.allclose(ladder[[0, -1]], [0.2, 2.0]) and (np.diff(ladder) > 0).all()
    exact = thermal(glass, float(ladder[3])).energy
    assert abs(chain.estimate("energy", ladder[3]).deviation(exact)) < 4


def test_resumes_bit_for_bit(tmp_path):
    sampler = mp.Tempering(mp.Metropolis(GLASS), LADDER, tune=True)
    chain = mp.run(sampler, 50, chains=3, seed=5, burn_in=40)
    chain.state.save(tmp_path / "state")
    again = mp.State.load(tmp_path / "state")
    first, second = (mp.run(sampler, 30, state=state)["energy"] for state in (chain.state, again))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(chain.state.cache["replica"], again.cache["replica"])
    assert chain.state.sweep == again.sweep == 120


def test_one_and_two_threads_agree(monkeypatch):
    from mlphys import threads

    sampler = mp.Tempering(mp.Metropolis(mp.SpinGlass(mp.square(16), seed=1)), LADDER)
    results = []
    for count in (1, 2):
        monkeypatch.setattr(threads, "thread_count", lambda count=count: count)
        state = sampler.init(32, seed=3)
        sampler.step(state, 20)
        results.append(state.x)
    assert (results[0] == results[1]).all()


def test_another_samplers_state_becomes_a_ladder():
    state = mp.Metropolis(GLASS).init(8, 1.0, seed=1)
    sampler = mp.Tempering(mp.HeatBath(GLASS), LADDER)
    sampler.step(state)
    np.testing.assert_allclose(state.temperature, [*LADDER, *LADDER])


def test_bad_arguments_are_named():
    metropolis = mp.Metropolis(GLASS)
    for temperatures in ([1.0], [1.0, 1.0], [1.0, -2.0], "cold"):
        with pytest.raises(ValueError, match="temperature"):
            mp.Tempering(metropolis, temperatures)
    for wrong in (GLASS, mp.Tempering(metropolis, LADDER)):
        with pytest.raises(ValueError, match="sampler="):
            mp.Tempering(wrong, LADDER)
    sampler = mp.Tempering(metropolis, LADDER)
    with pytest.raises(ValueError, match="temperature=2"):
        mp.run(sampler, 10, temperature=2.0)
    state = sampler.init(2)
    with pytest.raises(ValueError, match="temperature"):
        mp.run(sampler, 10, temperature=2.0, state=state)
    assert len(mp.run(sampler, 10, state=state)) == 10
    with pytest.raises(ValueError, match="6 chains"):
        sampler.adopt(metropolis.init(6, 1.0))
    with pytest.raises(ValueError, match="couplings='pm2'"):
        mp.SpinGlass(mp.square(4), "pm2")
    with pytest.raises(ValueError, match="temperatures="):
        mp.anneal(metropolis, [])
    with pytest.raises(ValueError, match="sweeps=0"):
        mp.anneal(metropolis, [1.0], sweeps=0)
    with pytest.raises(ValueError, match="transfer matrix"):
        mp.exact.spin_glass_ground_energy(mp.SpinGlass(mp.cubic(3)))


def test_annealing_keeps_its_best(monkeypatch):
    glass = mp.SpinGlass(mp.square(8), "gaussian", seed=2)
    steps = list(mp.anneal(mp.Metropolis(glass), [1.5, 1.0, 0.6, 0.3, 0.1], chains=10, sweeps=30, seed=3))
    assert [step.temperature for step in steps] == pytest.approx([1.5, 1.0, 0.6, 0.3, 0.1])
    for step, after in pairwise(steps):
        assert (after.best_energy <= np.minimum(step.best_energy, after.energy)).all()
    for step in steps:
        np.testing.assert_allclose(glass.energy(step.best_x).numpy() / 64, step.best_energy)
    ground = mp.exact.spin_glass_ground_energy(glass)
    assert ground - 1e-12 < steps[-1].best_energy.min() < ground + 0.02

    def interrupt(state, sweeps=1):
        raise KeyboardInterrupt

    sampler = mp.Metropolis(glass)
    monkeypatch.setattr(sampler, "step", interrupt)
    assert list(mp.anneal(sampler, [1.0])) == []
