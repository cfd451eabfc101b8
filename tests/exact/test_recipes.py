"""Recipes of restricted Boltzmann machines keep what they promise."""

import pytest

import mlphys as mp
from mlphys.recipes import start

PARAMETERS = {
    "ising_chain_1": 1680, "ising_chain_2": 3320, "ising_chain_symmetric": 82,
    "heisenberg_chain": 3320, "heisenberg_chain_symmetric": 82, "heisenberg_square": 444,
}  # fmt: skip


def test_ising_chain_reaches_its_target():
    training = start("ising_chain_1", seed=1)
    steps = list(training.run())
    measured, exact = training.measure(), mp.exact.ground_energy(training.hamiltonian)
    error, sigma = measured.energy.mean / exact - 1, measured.energy.error / abs(exact)
    assert sigma < 3e-5
    assert -5e-4 < error < 2 * sigma
    assert measured.rhat < 1.01 and measured.v_score < steps[20].v_score / 5


@pytest.mark.parametrize("name", PARAMETERS)
def test_two_steps_of_each(name):
    def energies(seed):
        training = start(name, seed)
        assert training.n_parameters == PARAMETERS[name]
        return [step.energy.mean for step in training.run(steps=2)]

    training, first = start(name), energies(seed=1)
    assert min(first) > training.reference[0] * training.psi.n_sites
    assert energies(seed=1) == first != energies(seed=2)
