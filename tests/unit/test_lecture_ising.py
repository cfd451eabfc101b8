"""Lecture 01: usual mistakes in its exercises, its experiments, its live numbers."""

import numpy as np

import mlphys as mp
from mlphys.lectures import ising as lecture


class AllAtOnce(mp.Sampler):
    """Every site is drawn from the configuration before the sweep."""

    def step(self, state, sweeps=1):
        x, near = state.x.numpy(), self.hamiltonian.lattice.neighbours
        for _ in range(sweeps):
            field = x[:, near].sum(axis=2)
            uniform = mp.random.generator(state.seed, state.sweep).random(x.shape)
            x[:] = np.where(uniform < 1 / (1 + np.exp(-2 * state.beta[:, None] * field)), 1, -1)
            state.sweep += 1
        return mp.Info()


class OneCoin(mp.Sampler):
    """Every chain uses the same numbers."""

    def step(self, state, sweeps=1):
        x, near = state.x.numpy(), self.hamiltonian.lattice.neighbours
        for _ in range(sweeps):
            uniform = mp.random.generator(state.seed, state.sweep).random(x.shape[1])
            for site in range(x.shape[1]):
                up = 1 / (1 + np.exp(-2 * state.beta * x[:, near[site]].sum(axis=1)))
                x[:, site] = np.where(uniform[site] < up, 1, -1)
            state.sweep += 1
        return mp.Info()


def both_ends(spins):
    return -np.mean(spins * sum(np.roll(spins, s, axis=a) for s in (1, -1) for a in (0, 1)))


def open_ends(spins):
    return -(np.sum(spins[1:] * spins[:-1]) + np.sum(spins[:, 1:] * spins[:, :-1])) / spins.size


def too_small_by_root_two(series):
    return series.std() * np.sqrt(mp.stats.autocorrelation_time(series)[0] / len(series))


# For each exercise usual mistakes and a word of the diagnosis that each must get (see test_lectures.py).
MISTAKES = {
    "energy": [(both_ends, "both of its ends"), (open_ends, "boundary")],
    "acceptance": [
        (lambda change, temperature: np.exp(-change / temperature), "larger than 1"),
        (lambda change, temperature: 1 / (1 + np.exp(change / temperature)), "heat bath"),
    ],
    "error": [(lambda series: series.std() / len(series) ** 0.5, "σ/√n"), (too_small_by_root_two, "√2")],
    "heat capacity": [
        (lambda energies, n_sites, temperature: np.var(energies) / temperature**2, "by N"),
        (lambda energies, n_sites, temperature: n_sites * np.var(energies) / temperature, "power of T"),
    ],
    "sampler": [(AllAtOnce, "wrong distribution"), (OneCoin, "")],
}


def test_dynamic_exponent_recovers_a_power_law():
    import pandas as pd

    sides = np.array([8, 16, 32, 64])
    noise = np.random.default_rng(1).normal(size=4)
    tau = 0.5 * sides**2.0 * (1 + 0.01 * noise)
    table = pd.DataFrame({"sampler": "a", "L": sides, "tau": tau, "tau_error": 0.01 * tau})
    z = lecture.dynamic_exponent(table, "a")
    assert abs(z.deviation(2.0)) < 3 and z.error < 0.02
    assert abs(z.deviation(2.17)) > 5


def test_shared_numbers_make_copies_and_the_contract_sees_it():
    from mlphys.contract import judge
    from mlphys.lectures.ising import SharedHeatBath

    failed = {verdict.check for verdict in judge(SharedHeatBath, samples=100) if not verdict.passed}
    assert "independent chains" in failed


def test_live_numbers_are_those_of_the_exact_solution():
    player = lecture.app("ci").player
    for _ in range(1500):
        player.simulation.advance(4)
    for quantity in lecture.QUANTITIES:
        estimate = lecture.measure(player.simulation, quantity)
        assert abs(estimate.deviation(float(lecture.exact(quantity, 64, 2.0)))) < 4, quantity
    assert lecture.looks_infinite(player.simulation)
    player.simulation.heat(lecture.CRITICAL_TEMPERATURE)
    assert not lecture.looks_infinite(player.simulation) and lecture.measure(player.simulation, "energy") is None
