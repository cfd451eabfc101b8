"""Self-learning: what it learns, what it costs, and that the chain behind it is exact."""

import math

import numpy as np
import pytest
import torch

import mlphys as mp
from mlphys import selflearning
from mlphys.nets import LinearEffective, MessagePassing
from mlphys.random import generator

TEMPERATURE = 2.493  # where the model with K = 0.2 J orders


def plaquettes(side=4, **options):
    return mp.PlaquetteIsing(mp.square(side), **options)


def test_plaquette_energies_are_those_of_the_sum_written_out():
    model, side = mp.PlaquetteIsing(mp.square(4, 6), coupling=0.7, plaquette=-0.3), (4, 6)
    x = model.random(5, seed=1)
    for spins, energy in zip(x.numpy().astype(int), model.energy(x).tolist(), strict=True):
        s, total = spins.reshape(side), 0.0
        for i in range(4):
            for j in range(6):
                here, right, down = s[i, j], s[i, (j + 1) % 6], s[(i + 1) % 4, j]
                total -= 0.7 * here * (right + down) - 0.3 * here * right * down * s[(i + 1) % 4, (j + 1) % 6]
        assert energy == pytest.approx(total)
    with pytest.raises(ValueError, match="no square plaquettes"):
        mp.PlaquetteIsing(mp.triangular(6))


def misses(sampler, wanted, seed=1, samples=800):
    """Distances from the exact values of energy and m², in standard errors."""
    chain = mp.run(sampler, samples, temperature=TEMPERATURE, chains=32, seed=seed, thin=2)
    return [chain.estimate(name).deviation(getattr(wanted, name)) for name in ("energy", "m2")]


class Unweighted(mp.SelfLearning):
    """Accepts whatever the effective model proposes."""

    def _log_q(self, state, x):
        return -torch.from_numpy(state.beta) * self.hamiltonian.energy(x)


def test_plaquette_chains_are_exact_and_clusters_of_another_model_are_not():
    model = plaquettes()
    wanted, effective = mp.exact.enumeration(model, TEMPERATURE), mp.Ising(model.lattice, 1.11)
    learnt = mp.SelfLearning(effective, model, sampler=mp.Wolff, proposal_sweeps=1)
    for sampler in (mp.Metropolis(model), learnt):
        assert max(map(abs, misses(sampler, wanted))) < 4
    for sampler in (
        mp.Metropolis(plaquettes(plaquette=0.23)),
        Unweighted(effective, model, sampler=mp.Wolff, proposal_sweeps=1),
    ):
        assert max(map(abs, misses(sampler, wanted))) > 6


def test_the_ising_model_nearest_to_the_one_with_plaquettes():
    model = plaquettes(8)
    data = selflearning.gather(mp.Metropolis(model), 4000, temperature=TEMPERATURE, seed=1, thin=5)
    learnt = selflearning.ising(data, model.lattice)
    # Regression of Σ s s s s on Σ s s at the same temperature, by numpy.
    pairs, energy = -mp.Ising(model.lattice).energy(data.x).numpy(), data.energy.numpy()
    assert learnt.coupling == pytest.approx(-np.polyfit(pairs, energy, 1)[0], rel=1e-6)
    assert 1.0 < learnt.coupling < 1.2
    assert data.temperature == pytest.approx(TEMPERATURE) and len(data[:100]) == 100


@pytest.fixture(scope="module")
def three_sites():
    """Double exchange on three sites, whose averages are known by quadrature."""
    return mp.DoubleExchange(mp.chain(3), coupling=2.0, temperature=0.2)


@pytest.fixture(scope="module")
def data():
    """Spins between disorder and order, and what the electrons make of them."""
    model = mp.DoubleExchange(mp.square(4), temperature=0.05)
    order = torch.linspace(0, 1, 512, dtype=torch.float64)[torch.from_numpy(generator(2, "order").permutation(512))]
    x = model.configurations(model.random(512, seed=1) + order[:, None, None] * model.ordered(512))
    return selflearning.Data(x, model.energy(x), 0.05)


def test_fit_lowers_what_counts_and_sets_the_constant(data):
    train, held = data[:384], data[384:]
    linear, network = LinearEffective(mp.square(4)), MessagePassing(mp.square(4), channels=8, hidden=16)
    linear.start_from(train.x, train.energy)
    steps = list(selflearning.fit(network, train, steps=200, seed=1))
    assert steps[-1].step == 200
    before, after = (selflearning.sigma(each, held) for each in (linear, network))
    assert after.mean < before.mean - 4 * math.hypot(before.error, after.error)
    offsets = selflearning.energies(network, held.x) - held.energy
    assert abs(offsets.mean()) < 4 * offsets.std() / math.sqrt(len(held))
    again = MessagePassing(mp.square(4), channels=8, hidden=16)
    assert [step.loss for step in selflearning.fit(again, train, steps=200, seed=1)] == [step.loss for step in steps]


def test_a_fit_that_is_stopped_leaves_a_usable_network(data):
    network = MessagePassing(mp.square(4), channels=4, hidden=8)
    for step in selflearning.fit(network, data, steps=300):
        if step.step == 5:
            break
    assert abs((selflearning.energies(network, data.x) - data.energy).mean()) < 1e-3 * data.energy.std()


def test_sigma_and_the_acceptance_it_predicts(data):
    """The chain stands where errors e are Gaussian; proposals come with the weight exp(−e) besides."""
    random = generator(3, "errors")
    for sigma in (0.3, 1.0):
        here, proposed = random.normal(0, sigma, (2, 200_000))
        weights = np.exp(-proposed)
        accepted = (weights * np.minimum(1, np.exp(proposed - here))).sum() / weights.sum()
        assert accepted == pytest.approx(selflearning.predicted_acceptance(sigma), abs=0.01)
    network = LinearEffective(mp.square(4), shells=1)
    network.start_from(data.x, data.energy)
    errors = (network.energy(data.x).detach() - data.energy) / data.temperature
    assert selflearning.sigma(network, data).mean == pytest.approx(errors.std().item())


def test_rounds_learn_and_the_last_chain_is_exact(three_sites):
    model, network = three_sites, MessagePassing(mp.chain(3), channels=4, hidden=8, rounds=1)
    x = model.random(64, seed=1)
    start = selflearning.Data(x, model.energy(x), model.temperature)
    options = dict(rounds=2, samples=320, steps=100, chains=32, proposal_sweeps=2, seed=1)
    first, last = selflearning.rounds(network, model, start, **options)
    assert last.sigma.mean < first.sigma.mean and len(last.data) == 64 + 2 * 320
    assert last.acceptance == pytest.approx(selflearning.predicted_acceptance(last.sigma.mean), abs=0.05)
    wanted = mp.exact.thermal(model, model.temperature)
    chain = mp.run(mp.SelfLearning(network, model, proposal_sweeps=2), 120, state=last.state)
    assert max(abs(chain.estimate(name).deviation(getattr(wanted, name))) for name in ("energy", "m2")) < 4


def test_exact_energies_are_counted():
    class Counting(mp.DoubleExchange):
        calls = 0

        def energy(self, x):
            self.calls += len(x)
            return super().energy(x)

        def force(self, x):
            self.calls += len(x)
            return super().force(x)

    for make in (mp.Metropolis, mp.HMC, lambda model: mp.SelfLearning(mp.Heisenberg(model.lattice), model)):
        model = Counting(mp.chain(4), temperature=0.2)
        sampler = make(model)
        state = sampler.init(chains=3, seed=1)
        sampler.step(state, 2)
        before = model.calls
        sampler.step(state, 8)
        # A step may begin by finding the energy of where it stands.
        assert 0 <= model.calls - before - 3 * 8 * selflearning.exact_energies(sampler) <= 3


def test_costs_of_independent_samples():
    random, rho = generator(4, "noise"), 0.8
    series = np.zeros((20_000, 4))
    for k in range(1, len(series)):
        series[k] = rho * series[k - 1] + random.normal(size=4)
    sampler = mp.Metropolis(mp.DoubleExchange(mp.chain(4)))
    state = sampler.init(chains=4, seed=1)
    chain = mp.core.Chain({"m2": series}, state, seconds=40.0)
    energies, seconds = selflearning.per_independent_sample(chain, sampler, "m2", thin=3)
    tau = 0.5 * (1 + rho) / (1 - rho)
    assert abs(energies.deviation(2 * tau * 3 * 4)) < 4 and energies.error < 0.05 * energies.mean
    assert seconds.mean == pytest.approx(energies.mean / 12 * 40 / series.size)
    assert selflearning.break_even(60.0, 0.1, 0.7) == pytest.approx(100)
    assert selflearning.break_even(60.0, 0.7, 0.1) == math.inf
