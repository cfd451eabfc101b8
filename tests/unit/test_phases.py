"""Phase classifiers: symmetries to rounding, data that do not leak, and nobody better than the optimum."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

import mlphys
from mlphys import Ising, Metropolis, SwendsenWang, cubic, nets, phases, square, stats, triangular
from mlphys.lattices import chain
from mlphys.lectures.phases_accuracy import accuracy_table
from mlphys.random import torch_generator

CRITICAL = 2 / np.log(1 + np.sqrt(2))
TEMPERATURES = np.linspace(1.8, 2.8, 20)
pytestmark = pytest.mark.usefixtures("one_thread")


@cache
def ising_parts(size):
    return phases.split(phases.sample(Ising(square(size)), TEMPERATURES, samples=50, chains=20, seed=size), (0.7, 0.3))


def energy(size):
    return Ising(square(size)).energy


def abs_magnetisation(size):
    return lambda x: Ising(square(size)).magnetisation(x).abs()


# Networks


@pytest.mark.parametrize("lattice", [chain(7), square(6), square(4, 6), triangular(5), cubic(4)], ids=repr)
def test_convolutions_are_invariant_under_translations_and_sign(lattice):
    network = nets.ConvolutionalNetwork(lattice, (4, 5), outputs=2, even=True, seed=1).double()
    x = torch.randn(3, lattice.n_sites, dtype=torch.float64, generator=torch_generator(1))
    value = network(x)
    assert value.std() > 1e-3  # it does look at x
    moved = torch.stack([network(x[:, permutation]) for permutation in torch.from_numpy(lattice.translations).long()])
    assert (moved - value).abs().max() < 1e-10
    assert (network(-x) - value).abs().max() < 1e-10


def test_the_mirror_is_no_symmetry_of_a_network_unless_asked():
    network = nets.ConvolutionalNetwork(square(6)).double()
    x = torch.randn(3, 36, dtype=torch.float64, generator=torch_generator(1))
    assert (network(-x) - network(x)).abs().min() > 1e-6
    perceptron = nets.MultilayerPerceptron(square(6), even=True).double()
    assert (perceptron(-x) - perceptron(x)).abs().max() < 1e-10
    assert (perceptron(x.roll(1, 1)) - perceptron(x)).abs().min() > 1e-6


def test_refused_inputs():
    with pytest.raises(ValueError, match="x has shape"):
        nets.LogisticRegression(square(4))(torch.ones(2, 9))
    with pytest.raises(ValueError, match="kernel=4"):
        nets.ConvolutionalNetwork(square(4), kernel=4)
    with pytest.raises(ValueError, match=r"lattice=square\(2, 2\)"):
        nets.ConvolutionalNetwork(square(2), kernel=7)
    with pytest.raises(ValueError, match=r"lattice=cubic"):
        nets.ConvolutionalNetwork(square(4)).on(cubic(4))


def test_a_network_on_another_lattice_shares_its_weights():
    network = nets.ConvolutionalNetwork(square(4), seed=1).double()
    twin, tile = network.on(square(8)), torch.randn(3, 4, 4, dtype=torch.float64, generator=torch_generator(1))
    assert torch.allclose(twin(tile.tile(1, 2, 2).flatten(1)), network(tile.flatten(1)), atol=1e-12)
    assert all(a is b for a, b in zip(twin.parameters(), network.parameters(), strict=True))
    assert network.lattice == square(4) and twin.lattice == square(8)


# Data


def test_samples_are_balanced_and_as_independent_as_stated():
    data = phases.sample(Ising(square(10)), [2.0, 2.27, 2.6], samples=400, chains=8, seed=1, correlation=0.05)
    assert np.unique(data.temperature, return_counts=True)[1].tolist() == [3200] * 3
    assert len(np.unique(data.chain)) == 24 and data.size == 10
    for t in np.unique(data.temperature):
        for measure in (energy(10), abs_magnetisation(10), Ising(square(10)).magnetisation):
            series = measure(data.x[torch.from_numpy(data.temperature == t)]).numpy().reshape(400, 8)
            series = series - series.mean()
            neighbours = (series[1:] * series[:-1]).mean() / series.var()
            assert abs(neighbours) < 0.05 + 4 / np.sqrt(3200)


def test_same_seed_same_data():
    first, again, other = (phases.sample(Ising(square(4)), [2.0, 3.0], 5, 2, seed, pilot=500) for seed in (1, 1, 2))
    assert torch.equal(first.x, again.x) and (first.chain == again.chain).all()
    assert not torch.equal(first.x, other.x) and not np.isin(first.chain, other.chain).any()


def test_slow_chains_are_refused():
    with pytest.raises(stats.ChainTooShort, match=r"magnetisation.*temperature 2\.2.*raise pilot=1000"):
        phases.sample(Metropolis(Ising(square(16))), [2.2], samples=5, chains=8)
    with pytest.raises(ValueError, match="correlation=2"):
        phases.sample(SwendsenWang(Ising(square(4))), [2.2], samples=5, correlation=2)


def test_split_shares_no_chain_and_neighbours_are_caught():
    data = phases.sample(Ising(square(4)), [2.0, 3.0], samples=10, chains=10, pilot=500)
    parts = phases.split(data, (0.6, 0.2, 0.2), seed=1)
    assert [len(part) for part in parts] == [120, 40, 40]
    assert all(len(np.unique(part.temperature)) == 2 for part in parts)
    assert not any(phases.leakage(parts[i], parts[j]) for i, j in ((0, 1), (0, 2), (1, 2)))
    # Every other sample of each chain: no configuration is in both parts, and yet each has its neighbours in the other.
    even = np.arange(len(data)) // 20 % 2 == 0
    assert phases.leakage(data.where(even), data.where(~even)) == 1
    with pytest.raises(ValueError, match="10 chains"):
        phases.split(data, (0.99, 0.01))
    with pytest.raises(ValueError, match="fractions"):
        phases.split(data, (0.9, 0.2))


def test_what_is_learnt_on_some_sizes_is_judged_on_others():
    datasets = [phases.sample(Ising(square(side)), TEMPERATURES, 10, 10, pilot=500) for side in (6, 8, 12)]
    train, test = phases.split_sizes(datasets, unseen=[12], fractions=(0.7, 0.3))
    assert [part.size for part in train] == [6, 8] and [part.size for part in test] == [6, 8, 12]
    assert not any(phases.leakage(seen, judge) for seen in train for judge in test)
    network = nets.ConvolutionalNetwork(square(6), even=True)
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    trainings = [
        phases.supervised(part, network.on(part.lattice), (CRITICAL, CRITICAL), 250, optimiser=optimiser) for part in train
    ]
    for _ in zip(*trainings, strict=True):  # sizes take turns
        pass
    new = test[-1]
    (value,) = phases.accuracy(network.on(new.lattice).probability, new, [CRITICAL])
    gain = phases.advantage(network.on(new.lattice).probability, phases.optimal(new, energy(12), [CRITICAL]), new, CRITICAL)
    assert gain.mean < 3 * gain.error and value.mean > 0.8
    for unseen in ([], [6, 8, 12]):
        with pytest.raises(ValueError, match="unseen="):
            phases.split_sizes(datasets, unseen)


@pytest.mark.parametrize("lattice", [square(4), square(4, 6), triangular(6), cubic(4), chain(6)], ids=repr)
def test_augmentation_keeps_energy_and_reaches_all_images(lattice):
    model = Ising(lattice)
    x, generator = model.random(200, seed=3), torch_generator(1)
    images = phases.augment(x, lattice, generator, flip=True)
    assert torch.equal(model.energy(images), model.energy(x))
    assert images.dtype == x.dtype and not torch.equal(images, x)
    spots = phases.augment(torch.eye(lattice.n_sites)[:1].repeat(50 * lattice.n_sites, 1), lattice, generator)
    assert bool((spots.sum(0) > 0).all()) and bool((spots.sum(1) == 1).all())
    assert len(phases.point_group(lattice)) == {"chain(6)": 2, "square(4, 4)": 8, "square(4, 6)": 4}.get(
        repr(lattice), 12 if lattice.name == "triangular" else 48
    )


# Methods


@pytest.mark.parametrize(
    "size, baseline, network, steps",
    [
        (10, 0.82, nets.MultilayerPerceptron(square(10), even=True), 600),
        (10, 0.82, nets.ConvolutionalNetwork(square(10), even=True), 300),
        (20, 0.89, nets.MultilayerPerceptron(square(20), even=True), 400),
    ],
    ids=["perceptron 10", "convolutions 10", "perceptron 20"],
)
def test_nobody_beats_the_optimum(size, baseline, network, steps):
    train, test = ising_parts(size)
    best = phases.optimal(train, energy(size), [CRITICAL])
    cut = phases.threshold(train, abs_magnetisation(size), [CRITICAL])
    *_, last = phases.supervised(train, network, (CRITICAL, CRITICAL), steps, symmetries=True)
    assert last.loss < 0.6
    (optimum,) = phases.accuracy(best, test, [CRITICAL])
    for indicator in (cut, network.probability):
        (value,) = phases.accuracy(indicator, test, [CRITICAL])
        # The baseline does not state its range of temperatures: near, not equal.
        assert abs(value.mean - baseline) < 0.05
        gain = phases.advantage(indicator, best, test, CRITICAL)
        assert gain.mean < 3 * gain.error
        assert abs(value.mean - gain.mean - optimum.mean) < 1e-12


def test_the_optimum_is_that_of_the_exact_likelihoods():
    """Two temperatures of four spins: the accuracy of the best guess is known by enumeration."""
    model, betas = Ising(square(2)), np.array([0.4, 0.2])
    x = torch.tensor(np.array(np.meshgrid(*[[-1, 1]] * 4)).reshape(4, -1).T)
    weights = np.exp(-betas[:, None] * model.energy(x).numpy())
    likelihood = weights / weights.sum(1, keepdims=True)
    data = phases.sample(model, 1 / betas, samples=500, chains=20, seed=1, pilot=500)
    train, test = phases.split(data, (0.5, 0.5))
    indicator = phases.optimal(train, model.energy, [3.0])
    (value,) = phases.accuracy(indicator, test, [3.0])
    assert abs(value.deviation(likelihood.max(0).sum() / 2)) < 4
    posterior = likelihood[0] / likelihood.sum(0)
    assert np.abs(indicator(x)[:, 0] - posterior).max() < 0.05


def test_shuffled_labels_give_chance():
    def shuffled(part, seed):
        return replace(part, temperature=np.random.default_rng(seed).permutation(part.temperature))

    train, test = (shuffled(part, seed) for seed, part in enumerate(ising_parts(10)))
    network = nets.MultilayerPerceptron(square(10), hidden=(32,), even=True)
    for _ in phases.supervised(train, network, (CRITICAL, CRITICAL), 300):
        pass
    (value,) = phases.accuracy(network.probability, test, [CRITICAL])
    # Whatever it answers, it is right as often as a class is large.
    share = (test.temperature < CRITICAL).mean()
    assert abs(value.mean - 0.5) < abs(share - 0.5) + 4 * value.error


def test_a_leak_shows_as_skill_without_knowledge():
    """Slow chains of a glass, labelled by lot: a network recognises the neighbours of what it saw, and nothing else."""
    couplings, lots = np.random.default_rng(1).choice([-1.0, 1.0], 512), np.repeat([1.0, 2.0], 40)
    run = mlphys.run(Metropolis(Ising(square(16), couplings)), samples=40, temperature=0.5, chains=80, keep=True, seed=1)
    data = phases.Dataset(run.x.flatten(0, 1), np.tile(lots, 40), np.tile(np.arange(80), 40), square(16))

    def skill(train, test):
        network = nets.MultilayerPerceptron(square(16))
        for _ in phases.supervised(train, network, (1.5, 1.5), 300):
            pass
        return phases.accuracy(network.probability, test, [1.5])[0]

    even = np.arange(len(data)) // 80 % 2 == 0
    leaky, honest = (data.where(even), data.where(~even)), phases.split(data, (0.5, 0.5))
    assert phases.leakage(*leaky) == 1 and phases.leakage(*honest) == 0
    assert abs(skill(*honest).deviation(0.5)) < 4
    assert skill(*leaky).mean > 0.9


def test_a_linear_network_sees_nothing():
    train, test = ising_parts(10)
    network = nets.LogisticRegression(square(10))
    for _ in phases.supervised(train, network, (CRITICAL, CRITICAL), 300, flip=True, symmetries=True):
        pass
    assert abs(phases.accuracy(network.probability, test, [CRITICAL])[0].mean - 0.5) < 0.05


def test_confusion_is_least_confused_at_the_transition():
    train, test = ising_parts(20)
    guesses = (TEMPERATURES[1:] + TEMPERATURES[:-1]) / 2
    best = np.array([value.mean for value in phases.accuracy(phases.optimal(train, energy(20), guesses), test, guesses)])
    network = nets.MultilayerPerceptron(square(20), outputs=len(guesses), even=True)
    for _ in phases.confusion(train, network, guesses, 400, symmetries=True):
        pass
    estimates = phases.accuracy(network.probability, test, guesses)
    assert all(value.mean < top + 3 * max(value.error, 0.002) for value, top in zip(estimates, best, strict=True))
    inner = slice(4, -4)
    peak = guesses[inner][np.argmax([value.mean for value in estimates][inner])]
    assert abs(peak - CRITICAL) < 0.2  # the finite lattice turns at a somewhat higher temperature
    with pytest.raises(ValueError, match="outputs"):
        phases.confusion(train, network, [2.0], 10)
    with pytest.raises(ValueError, match="each needs samples"):
        phases.optimal(train, energy(20), [1.0])


def test_network_learns_from_the_outside_and_repeats_itself():
    train, test = ising_parts(10)

    def curve():
        network = nets.MultilayerPerceptron(square(10), hidden=(16,), even=True, seed=2)
        for _ in phases.supervised(train, network, (2.0, 2.5), 200, seed=5):
            pass
        return phases.curve(network.probability, test)

    first = curve()
    assert first.equals(curve())
    assert list(first.columns) == ["size", "temperature", "value", "error"]
    assert (first.error > 0).all() and first.value.iloc[0] > 0.9 > 0.2 > first.value.iloc[-1]
    with pytest.raises(ValueError, match="exclude"):
        phases.supervised(train, nets.LogisticRegression(square(10)), (2.5, 2.0), 10)


def test_table_of_accuracies():
    table = accuracy_table([6, 8], steps=100, samples=20, chains=10)
    assert table.groupby("side", sort=False).indicator.agg(list).to_dict() == {
        side: ["|m| threshold", "perceptron", "convolutions", "optimum"] for side in (6, 8)
    }
    assert (table.over_optimum < 3 * table.over_optimum_error + 1e-12).all() and (table.error > 0).all()
    assert (table.accuracy - table.over_optimum).groupby(table.side).std().max() < 1e-12
    assert table[table.side == 6].equals(accuracy_table([6], steps=100, samples=20, chains=10))
