"""The compiled kernels of `spins` and `cluster` against enumeration, Kaufman's torus and limits known beforehand."""

from dataclasses import dataclass

import numpy as np
import pytest

from mlphys import exact
from mlphys.kernels import cluster, spins
from mlphys.kernels.generators import seed_streams
from mlphys.lattices import Lattice, chain, square, triangular

TC = 2 / np.log(1 + np.sqrt(2))
SEED = np.uint64(7)


@dataclass
class Model:
    """A lattice with its couplings (one per bond) and fields as the kernels take them."""

    lattice: Lattice
    couplings: np.ndarray
    fields: np.ndarray

    @classmethod
    def uniform(cls, lattice, coupling=1.0, field=0.0):
        return cls(lattice, np.full(lattice.n_bonds, coupling), np.full(lattice.n_sites, field))

    @classmethod
    def disordered(cls, lattice, field=1.0, seed=3):
        """Normal couplings of either sign, one of them missing, and normal fields."""
        generator = np.random.default_rng(seed)
        couplings = generator.normal(size=lattice.n_bonds)
        couplings[1] = 0.0
        return cls(lattice, couplings, field * generator.normal(size=lattice.n_sites))

    @property
    def neighbours(self):
        return self.lattice.neighbours

    @property
    def table(self):
        return self.couplings[self.lattice.bond_of]

    def energies(self, x):
        """Total energies from the list of bonds: none of the code under test."""
        a, b = self.lattice.bonds.T
        return -(x[:, a] * x[:, b]) @ self.couplings - x @ self.fields

    def averages(self, temperature):
        """Exact ⟨E⟩, ⟨|M|⟩ and ⟨M²⟩, over all states."""
        n = self.lattice.n_sites
        states = 1.0 - 2.0 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)
        energies, total = self.energies(states), np.abs(states.sum(1))
        weights = np.exp((energies.min() - energies) / temperature)
        return np.array([energies, total, total**2]) @ weights / weights.sum()


def random_spins(chains, n_sites, seed=0):
    return np.where(np.random.default_rng(seed).random((chains, n_sites)) < 0.5, 1, -1).astype(np.int8)


def updates(model, betas, first=0):
    """Each kernel that applies to the model, as a function of (spins, sweep) for the chains from `first` on."""
    lattice, order = model.lattice, model.lattice.update_order
    chains = np.arange(first, first + len(betas))
    streams = {
        name: seed_streams(SEED, first + len(betas), 1)[first:] for name in ("sw", "wolff", "sw square", "wolff square")
    }
    clusters = np.full(len(betas), 3)
    coupling, field = float(model.couplings[0]), float(model.fields[0])
    bonds = (model.neighbours, model.table)
    general = (*bonds, model.fields, order, betas, chains, SEED)
    uniform = (model.neighbours, coupling, field, order, betas, chains, SEED)
    plain = (*lattice.shape, coupling, betas)
    found = {
        "metropolis": lambda x, sweep: spins.metropolis_sweeps(x, *general, sweep, 1),
        "heat bath": lambda x, sweep: spins.heat_bath_sweeps(x, *general, sweep, 1),
        "swendsen-wang": lambda x, _: cluster.swendsen_wang_sweeps(x, *bonds, model.fields, betas, 1, streams["sw"]),
    }
    is_uniform = np.all(model.couplings == coupling) and np.all(model.fields == field)
    if is_uniform:
        found["metropolis, uniform"] = lambda x, sweep: spins.metropolis_sweeps_uniform(x, *uniform, sweep, 1)
        found["heat bath, uniform"] = lambda x, sweep: spins.heat_bath_sweeps_uniform(x, *uniform, sweep, 1)
    if not model.fields.any():
        found["wolff"] = lambda x, _: cluster.wolff_clusters(x, *bonds, betas, clusters, streams["wolff"])
        if is_uniform and lattice.name == "square":
            found["wolff, square"] = lambda x, _: cluster.wolff_clusters_square(x, *plain, clusters, streams["wolff square"])
            found["swendsen-wang, square"] = lambda x, _: cluster.swendsen_wang_sweeps_square(
                x, *plain, 1, streams["sw square"]
            )
    return found


def measured(model, update, chains, samples, burn_in):
    """Means and errors of E, |M|, M²; the errors from the spread of independent chains."""
    x = random_spins(chains, model.lattice.n_sites)
    sums = np.zeros((3, chains))
    for sweep in range(burn_in + samples):
        update(x, sweep)
        if sweep >= burn_in:
            total = np.abs(x.sum(1, dtype=np.int64))
            sums += np.stack([model.energies(x), total, total**2])
    means = sums / samples
    return means.mean(1), means.std(1, ddof=1) / np.sqrt(chains)


SMALL = {
    "square 4x4, T = 2": (Model.uniform(square(4)), 2.0),
    "square 4x4, Tc": (Model.uniform(square(4)), TC),
    "square 4x4, antiferromagnet": (Model.uniform(square(4), -1.0), TC),
    "square 3x5, frustrated": (Model.uniform(square(3, 5), -0.7), 1.0),
    "square 2x6, double bonds": (Model.uniform(square(2, 6)), 2.5),
    "square 2x2, field": (Model.uniform(square(2), 0.5, 0.3), 2.0),
    "triangular 4x4": (Model.uniform(triangular(4)), 3.6),
    "triangular 4x4, antiferromagnet in a field": (Model.uniform(triangular(4), -1.0, 0.4), 1.5),
    "triangular 3x3, spin glass": (Model.disordered(triangular(3), field=0.0), 1.2),
    "ring of 5, random couplings and fields": (Model.disordered(chain(5)), 0.8),
}
CASES = [(system, name) for system, (model, _) in SMALL.items() for name in updates(model, np.ones(1))]


@pytest.mark.parametrize(("system", "name"), CASES)
def test_averages_of_small_systems(system, name):
    model, temperature = SMALL[system]
    chains = 256
    update = updates(model, np.full(chains, 1 / temperature))[name]
    mean, error = measured(model, update, chains, samples=400, burn_in=100)
    assert error[0] < 5e-3 * model.lattice.n_sites
    assert np.all(np.abs(mean - model.averages(temperature)) < 4 * error), (mean, error)


def test_enumeration_of_the_test_agrees_with_known_values():
    for temperature, energy, magnetisation in (
        (2.0, -1.755380288777, 0.9189432674),
        (TC, -1.565623787638, 0.8438604448),
    ):
        averages = Model.uniform(square(4)).averages(temperature) / 16
        assert averages[:2] == pytest.approx([energy, magnetisation], abs=1e-9)


@pytest.mark.parametrize(
    ("shape", "temperature", "name", "chains", "samples", "burn_in"),
    [
        ((16, 16), TC, "metropolis, uniform", 128, 1000, 1500),
        ((16, 16), TC, "heat bath, uniform", 128, 2000, 3000),
        ((16, 16), TC, "wolff, square", 64, 2000, 100),
        ((16, 16), TC, "swendsen-wang, square", 64, 2000, 100),
        ((64, 64), TC, "wolff, square", 32, 700, 150),
        ((64, 64), TC, "swendsen-wang, square", 32, 700, 150),
        ((3, 70), 2.4, "swendsen-wang, square", 64, 1500, 100),  # a row is one word and a few bits
        ((5, 129), 2.2, "swendsen-wang, square", 32, 1000, 100),
        ((70, 3), 2.4, "wolff, square", 64, 1500, 200),
    ],
)
def test_energy_of_the_torus(shape, temperature, name, chains, samples, burn_in):
    model = Model.uniform(square(*shape))
    update = updates(model, np.full(chains, 1 / temperature))[name]
    mean, error = measured(model, update, chains, samples, burn_in)
    energy, error = mean[0] / model.lattice.n_sites, error[0] / model.lattice.n_sites
    assert error < (3e-3 if "uniform" in name else 1.5e-3)  # slow near Tc: single-spin updates
    assert abs(energy - exact.kaufman(*shape, temperature).energy) < 4 * error


@pytest.mark.parametrize("name", ["metropolis", "metropolis, uniform"])
def test_metropolis_leaves_states_without_local_fields(name):
    """In stripes every flip is free: were it certain, the stripes would turn over for ever at energy 0."""
    model = Model.uniform(square(4))
    x = np.repeat(np.repeat([1, -1, 1, -1], 4)[None].astype(np.int8), 256, axis=0)
    update = updates(model, np.full(256, 0.5))[name]
    for sweep in range(80):
        update(x, sweep)
    energies = model.energies(x)
    assert abs(energies.mean() - model.averages(2.0)[0]) < 4 * energies.std() / np.sqrt(256)


def test_each_chain_has_its_own_temperature():
    model = Model.uniform(square(4))
    temperatures = np.repeat([1.5, TC, 4.0], 128)
    for name, update in updates(model, 1 / temperatures).items():
        x = random_spins(len(temperatures), 16)
        energy = np.zeros(len(temperatures))
        for sweep in range(500):
            update(x, sweep)
            energy += (sweep >= 100) * model.energies(x) / 400
        for means, temperature in zip(energy.reshape(3, 128), [1.5, TC, 4.0], strict=True):
            deviation = means.mean() - model.averages(temperature)[0]
            assert abs(deviation) < 4 * means.std(ddof=1) / np.sqrt(128), (name, temperature)


def test_wolff_cluster_size_estimates_m2():
    """⟨|C|⟩ / N = ⟨m²⟩, the improved estimator: sensitive to a seed site or a count that is not uniform."""
    model, chains, clusters = Model.uniform(square(4)), 256, 2000
    x, streams, betas = random_spins(chains, 16), seed_streams(SEED, chains, 1), np.full(chains, 1 / TC)
    cluster.wolff_clusters_square(x, 4, 4, 1.0, betas, np.full(chains, 200), streams)
    sizes = cluster.wolff_clusters_square(x, 4, 4, 1.0, betas, np.full(chains, clusters), streams) / clusters
    expected = model.averages(TC)[2] / 16
    assert abs(sizes.mean() - expected) < 4 * sizes.std(ddof=1) / np.sqrt(chains)


@pytest.mark.parametrize("model", [Model.uniform(square(4, 6)), Model.disordered(triangular(4), field=0.0)])
def test_a_slice_of_chains_does_what_the_whole_does(model):
    betas = 1 / np.linspace(2.5, 5.0, 6)
    for name, update in updates(model, betas).items():
        whole, parts = random_spins(6, model.lattice.n_sites), random_spins(6, model.lattice.n_sites)
        head, tail = updates(model, betas[:2])[name], updates(model, betas[2:], first=2)[name]
        for sweep in range(5):
            update(whole, sweep)
            tail(parts[2:], sweep)
            head(parts[:2], sweep)
        assert np.array_equal(whole, parts), name
        assert len(np.unique(whole, axis=0)) == 6, name


@pytest.mark.parametrize("sweeps", [spins.metropolis_sweeps, spins.heat_bath_sweeps])
def test_single_spin_updates_depend_on_no_order(sweeps):
    """Sites of one colour in any order, and many sweeps in one call or in several: the same spins."""
    model = Model.disordered(square(6))
    lattice, betas, chains = model.lattice, np.full(3, 0.6), np.arange(3)
    generator = np.random.default_rng(1)
    shuffled = np.lexsort([generator.random(lattice.n_sites), lattice.colours]).astype(np.int32)
    assert not np.array_equal(shuffled, lattice.update_order)
    once, twice = random_spins(3, 36), random_spins(3, 36)
    flipped = sweeps(once, model.neighbours, model.table, model.fields, lattice.update_order, betas, chains, SEED, 10, 7)
    first = sweeps(twice, model.neighbours, model.table, model.fields, shuffled, betas, chains, SEED, 10, 3)
    last = sweeps(twice, model.neighbours, model.table, model.fields, shuffled, betas, chains, SEED, 13, 4)
    assert np.array_equal(once, twice)
    assert np.array_equal(flipped, first + last)


@pytest.mark.parametrize("lattice", [square(6), triangular(6), chain(300)], ids=repr)
@pytest.mark.parametrize("field", [0.0, 0.3])
def test_tabulated_updates_decide_as_the_general_ones(lattice, field):
    model = Model.uniform(lattice, 0.9, field)
    common = (lattice.update_order, 1 / np.linspace(1.0, 4.0, 5), np.arange(5), SEED, 0, 20)
    for general, tabulated in (
        (spins.metropolis_sweeps, spins.metropolis_sweeps_uniform),
        (spins.heat_bath_sweeps, spins.heat_bath_sweeps_uniform),
    ):
        x, y = random_spins(5, lattice.n_sites), random_spins(5, lattice.n_sites)
        flipped = general(x, model.neighbours, model.table, model.fields, *common)
        assert np.array_equal(flipped, tabulated(y, model.neighbours, 0.9, field, *common))
        assert np.array_equal(x, y)
        assert 0 < flipped.min() < flipped.max() < 20 * lattice.n_sites


@pytest.mark.parametrize("lattice", [square(4, 6), square(2, 5), triangular(5), chain(7)], ids=repr)
def test_energies_and_magnetisations(lattice):
    x = random_spins(9, lattice.n_sites)
    disordered, uniform = Model.disordered(lattice), Model.uniform(lattice, -0.8, 0.3)
    assert spins.magnetisations(x) == pytest.approx(x.sum(1, dtype=np.int64))
    found = spins.energies(x, lattice.neighbours, disordered.table, disordered.fields)
    assert found == pytest.approx(disordered.energies(x), abs=1e-12)
    expected = uniform.energies(x)
    assert spins.energies_uniform(x, lattice.neighbours, -0.8, 0.3) == pytest.approx(expected, abs=1e-12)
    if lattice.name == "square":
        assert spins.energies_square(x, *lattice.shape, -0.8, 0.3) == pytest.approx(expected, abs=1e-12)


def test_link_thresholds_have_the_right_limits():
    assert cluster.link_threshold(0.0) == 0
    assert cluster.link_threshold(np.inf) == cluster.link_threshold(40.0) == 2**64 - 1
    for strength in (1e-12, 1e-3, 0.2499, 0.25, 0.4407, 3.0):
        probability = float(cluster.link_threshold(strength)) / 2**64
        assert probability == pytest.approx(-np.expm1(-2 * strength), rel=1e-14)
    # Where the probability itself rounds to one in double precision, its complement is still there.
    assert 2**64 - int(cluster.link_threshold(20.0)) == pytest.approx(np.exp(-40.0) * 2**64, abs=1)


@pytest.mark.parametrize("probability", [0.0, 2.0**-12, 0.3, 1 - np.sqrt(0.5), 1 - 2.0**-11])
def test_links_come_with_their_probability_in_every_lane(probability):
    threshold, stream = np.uint64(probability * 2**64), seed_streams(SEED, 1, 1)[0, :, 0]
    wanted, words = np.uint64(0xFFFF_0000_FFFF_00F0), 20_000
    drawn = np.array([cluster.links(wanted, threshold, stream) for _ in range(words)], np.uint64)
    lanes = (drawn[:, None] >> np.arange(64, dtype=np.uint64) & np.uint64(1)).mean(0)
    free = (int(wanted) >> np.arange(64, dtype=object) & 1).astype(bool)
    assert not lanes[~free].any()
    sigma = np.sqrt(probability * (1 - probability) / words)
    assert np.all(np.abs(lanes[free] - probability) <= 5 * sigma)
    assert abs(lanes[free].mean() - probability) <= 4 * sigma / np.sqrt(free.sum())


def domains(x, lattice):
    """Connected domains of equal spins as an array of labels, by flood fill."""
    label = np.full(lattice.n_sites, -1)
    for start in range(lattice.n_sites):
        stack = [start] if label[start] < 0 else []
        while stack:
            site = stack.pop()
            label[site] = start
            stack += [other for other in lattice.neighbours[site] if label[other] < 0 and x[other] == x[site]]
    return label


@pytest.mark.parametrize("shape", [(2, 2), (5, 7), (9, 64), (6, 65), (7, 200)])
def test_frozen_clusters_are_the_domains(shape):
    """At β → ∞ every satisfied bond links, so that the clusters are the domains of the configuration."""
    lattice, coins, chains = square(*shape), [], 8
    frozen, streams = np.full(chains, 1e3), seed_streams(SEED, chains, 1)
    model = Model.uniform(lattice)
    before = random_spins(chains, lattice.n_sites, seed=5)
    for sweep in ("swendsen-wang", "swendsen-wang, square"):
        after = before.copy()
        updates(model, frozen)[sweep](after, 0)
        for x, y in zip(before, after, strict=True):
            turned, label = x != y, domains(x, lattice)
            for domain in np.unique(label):
                assert turned[label == domain].all() == turned[domain]
                coins.append(turned[domain])
    assert abs(np.mean(coins) - 0.5) < 4 * 0.5 / np.sqrt(len(coins))
    after = before.copy()
    sizes = cluster.wolff_clusters_square(after, *shape, 1.0, frozen, np.ones(chains, np.int64), streams)
    for x, y, size in zip(before, after, sizes, strict=True):
        turned, label = x != y, domains(x, lattice)
        assert turned.sum() == size
        assert np.array_equal(turned, label == label[turned.argmax()])


@pytest.mark.parametrize("coupling", [1.0, -1.0])
def test_cold_and_hot_limits_of_clusters(coupling):
    lattice = square(8, 6)
    model, chains = Model.uniform(lattice, coupling), 64
    ground = np.ones(48) if coupling > 0 else 1.0 - 2.0 * lattice.colours
    start = np.repeat(ground[None].astype(np.int8), chains, axis=0)
    cold, hot = updates(model, np.full(chains, 1e3)), updates(model, np.zeros(chains))
    for name in ("wolff", "wolff, square"):
        x = start.copy()
        assert np.all(cold[name](x, 0) == 3 * 48) and np.array_equal(x, -start), name
        assert np.all(hot[name](x, 0) == 3), name
    for name in ("swendsen-wang", "swendsen-wang, square"):
        x = start.copy()
        cold[name](x, 0)
        whole = (x * start).sum(1, dtype=np.int64)
        assert set(whole) == {48, -48}, name
        hot[name](x, 0)
        assert abs(x.mean()) < 4 / np.sqrt(x.size), name
        assert abs((x * start).mean()) < 4 / np.sqrt(x.size), name
