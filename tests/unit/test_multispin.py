"""The bit-packed kernels: packing, counting, and every acceptance probability to the last digit."""

import numpy as np
import pytest

from mlphys.exact.ising import kaufman
from mlphys.kernels import bitplanes, generators, multispin
from mlphys.kernels.multispin import HEAT_BATH, LANES, METROPOLIS

STRIPS = [(128, 2), (128, 4), (256, 6), (128, 130), (256, 256), (128, 2050)]
REPLICAS = [(2, 2), (2, 4), (4, 2), (4, 4), (8, 12), (10, 10), (6, 64), (64, 64), (100, 22), (4, 2050)]
LAYOUTS = [("strips", shape) for shape in STRIPS] + [("replicas", shape) for shape in REPLICAS]


class Packed:
    """One lattice per chain or 64 to a block behind the same few calls, as the tests want them."""

    def __init__(self, layout, spins, seed=0):
        self.layout, self.chains = layout, len(spins)
        self.words = (bitplanes.pack_strips if layout == "strips" else bitplanes.pack_replicas)(spins)
        self.streams = generators.seed_streams(seed, len(self.words), LANES)

    def sweep(self, probabilities, sweeps=1, rule=METROPOLIS):
        """`probabilities`: (2,) for all chains or (chains, 2)."""
        probabilities = np.broadcast_to(probabilities, (self.chains, 2))
        if self.layout == "strips":
            multispin.strips_sweep(self.words, self.streams, probabilities.copy(), sweeps, rule)
        else:
            lanes = np.zeros((len(self.words) * 64, 2))
            lanes[: self.chains] = probabilities
            multispin.replicas_sweep(self.words, self.streams, lanes.reshape(-1, 64, 2), sweeps, rule)

    @property
    def spins(self):
        if self.layout == "strips":
            return bitplanes.unpack_strips(self.words)
        return bitplanes.unpack_replicas(self.words, self.chains)

    @property
    def sums(self):
        if self.layout == "strips":
            return bitplanes.strips_sums(self.words)
        return bitplanes.replicas_sums(self.words).reshape(-1, 3)[: self.chains]


def random_spins(chains, shape, seed=1):
    return np.random.default_rng(seed).choice(np.array([-1, 1], np.int8), (chains, *shape))


def sublattices(shape):
    return np.add.outer(np.arange(shape[0]), np.arange(shape[1])) % 2


def neighbour_sum(spins):
    return sum(np.roll(spins, step, axis).astype(int) for axis in (1, 2) for step in (-1, 1))


@pytest.mark.parametrize("layout, shape", LAYOUTS)
def test_packing_and_counting(layout, shape):
    spins = random_spins(3 if layout == "strips" else 70, shape)
    packed = Packed(layout, spins)
    assert np.array_equal(packed.spins, spins)
    unequal = sum((spins != np.roll(spins, 1, axis)).sum((1, 2)) for axis in (1, 2))
    up = [((spins > 0) & (sublattices(shape) == s)).sum((1, 2)) for s in (0, 1)]
    assert np.array_equal(packed.sums, np.stack([unequal, *up], axis=1))


@pytest.mark.parametrize("layout, shape", LAYOUTS)
@pytest.mark.parametrize("rule", [METROPOLIS, HEAT_BATH])
def test_each_spin_follows_its_own_neighbours(layout, shape, rule):
    chains = 4 if layout == "strips" else 68
    certain = np.array([(one, none) for one in (0.0, 1.0) for none in (0.0, 1.0)])[np.arange(chains) % 4]
    even = sublattices(shape) == 0
    before = random_spins(chains, shape)
    packed = Packed(layout, before)
    free = kept = 0
    for _ in range(5):
        packed.sweep(certain, rule=rule)
        after = packed.spins
        seen = neighbour_sum(np.where(even, after, before))  # by the second sublattice
        seen = np.where(even, neighbour_sum(before), seen)
        proposal = before if rule == METROPOLIS else np.where(seen < 0, -1, 1)
        unequal = (4 - proposal * seen) // 2
        # Probabilities of 0 and 1 leave nothing to chance but the spins with two or more unequal neighbours.
        turn = np.where(unequal == 1, certain[:, 0, None, None], certain[:, 1, None, None])
        expected = np.where(turn == 1, -proposal, proposal)
        assert np.array_equal(after[unequal < 2], expected[unequal < 2])
        free += np.sum(unequal >= 2)
        kept += np.sum((after == proposal) & (unequal >= 2))
        before = after
    chance = multispin.IDLE if rule == METROPOLIS else 0.5
    assert abs(kept - free * chance) < 4 * np.sqrt(free * chance * (1 - chance)) + 1


def test_probabilities_at_the_ends():
    beta = np.array([0.0, 1e-12, 0.3, 1.0, 1e3, np.inf])
    with np.errstate(all="raise", under="ignore"):
        metropolis = multispin.probabilities(beta, METROPOLIS)
        heat_bath = multispin.probabilities(beta, HEAT_BATH)
    assert np.allclose(metropolis, (1 - multispin.IDLE) * np.exp(-np.multiply.outer(beta, [4, 8])), rtol=1e-15, atol=0)
    assert np.allclose(heat_bath[:4], 1 / (1 + np.exp(np.multiply.outer(beta[:4], [4, 8]))), rtol=1e-14, atol=0)
    assert heat_bath[0].tolist() == [0.5, 0.5]
    assert not metropolis[4:].any() and not heat_bath[4:].any()


def prepared(layout, unequal):
    """Lattices with spins up on sublattice 0, each with the given number of neighbours down."""
    shape = (128, 64) if layout == "strips" else (32, 64)
    row, column = np.ogrid[: shape[0], : shape[1]]
    first, second = (row + column) % 4 == 1, (row - column) % 4 == 1
    down = {0: first & ~first, 1: first & second, 2: first}[unequal]
    return np.broadcast_to(np.where(down, -1, 1).astype(np.int8), (64, *shape))


def turned(layout, unequal, probability, rule=METROPOLIS, repeats=300, seed=5):
    """How often sublattice 0 turned, `(repeats, 64 chains)`, and of how many spins each."""
    packed = Packed(layout, prepared(layout, unequal), seed)
    sites = packed.spins[0].size // 2
    start = packed.words.copy()
    other = np.full_like(np.asarray(probability, float), 0.5)
    counts = np.empty((repeats, 64))
    for repeat in range(repeats):
        packed.words[:] = start
        pair = [probability, other] if unequal == 1 else [other, probability]
        packed.sweep(np.stack(pair, axis=-1), rule=rule)
        counts[repeat] = sites - packed.sums[:, 1]
    return counts, sites


def deviation(counts, sites, probability):
    """By how many standard deviations the total differs from a binomial one."""
    expected = np.sum(np.broadcast_to(sites * np.asarray(probability), counts.shape))
    variance = np.sum(np.broadcast_to(sites * np.asarray(probability) * (1 - np.asarray(probability)), counts.shape))
    return (counts.sum() - expected) / np.sqrt(variance)


PROBABILITIES = [1e-5, 0.0294372515, 0.1715728753, 1 / 3, 0.5 - 2**-14, 1 - 1e-4]


@pytest.mark.parametrize("layout", ["strips", "replicas"])
@pytest.mark.parametrize("unequal", [0, 1])
@pytest.mark.parametrize("rule", [METROPOLIS, HEAT_BATH])
@pytest.mark.parametrize("probability", PROBABILITIES)
def test_acceptance_is_exact(layout, unequal, rule, probability):
    counts, sites = turned(layout, unequal, np.full(64, probability), rule)
    assert abs(deviation(counts, sites, probability)) < 4


@pytest.mark.parametrize("digits, probability", [(4, 0.1715728753), (4, 0.0294372515), (12, 0.7 / 2**5), (12, 1 - 1e-4)])
def test_truncated_acceptance_is_seen(digits, probability):
    truncated = np.floor(probability * 2**digits) / 2**digits
    counts, sites = turned("replicas", 0, np.full(64, truncated), repeats=1000)
    assert abs(deviation(counts, sites, probability)) > 5


@pytest.mark.parametrize("layout", ["strips", "replicas"])
def test_heat_bath_breaks_ties_evenly(layout):
    counts, sites = turned(layout, 2, np.full(64, 0.1), HEAT_BATH)
    assert abs(deviation(counts, sites, 0.5)) < 4


@pytest.mark.parametrize("layout", ["strips", "replicas"])
def test_chains_have_their_own_probability_and_their_own_randomness(layout):
    probability = np.geomspace(1e-3, 0.9, 64)
    counts, sites = turned(layout, 0, probability, repeats=2000)
    scaled = (counts - sites * probability) / np.sqrt(sites * probability * (1 - probability))
    chi2 = 2000 * scaled.mean(0) ** 2  # each has mean 1, variance 2
    assert abs(chi2.sum() - 64) < 4 * np.sqrt(2 * 64)
    # Correlated sites would spread the counts, shared random numbers would tie chains together.
    assert abs((scaled**2).sum() - scaled.size) < 5 * np.sqrt(2 * scaled.size)
    products = (scaled.T @ scaled / np.sqrt(2000))[np.triu_indices(64, 1)]
    assert abs((products**2).sum() - products.size) < 5 * np.sqrt(2 * products.size)
    assert np.abs(products).max() < 5.5


@pytest.mark.parametrize("rule", [METROPOLIS, HEAT_BATH])
@pytest.mark.parametrize("layout, shape", [("strips", (128, 66)), ("replicas", (10, 10)), ("replicas", (100, 22))])
def test_resuming_and_slicing_change_nothing(layout, shape, rule):
    spins = random_spins(192, shape)
    probabilities = multispin.probabilities(np.linspace(0.1, 0.9, 192), rule)
    whole = Packed(layout, spins, seed=3)
    whole.sweep(probabilities, 5, rule)
    resumed = Packed(layout, spins, seed=3)
    for sweeps in (1, 3, 1):
        resumed.sweep(probabilities, sweeps, rule)
    sliced = Packed(layout, spins, seed=3)
    kernel = multispin.strips_sweep if layout == "strips" else multispin.replicas_sweep
    by_block = probabilities if layout == "strips" else probabilities.reshape(-1, 64, 2)
    for part in (slice(1, None), slice(0, 1)):
        kernel(sliced.words[part], sliced.streams[part], by_block[part], 5, rule)
    for other in (resumed, sliced):
        assert np.array_equal(whole.words, other.words) and np.array_equal(whole.streams, other.streams)


@pytest.mark.parametrize("rule", [METROPOLIS, HEAT_BATH])
@pytest.mark.parametrize(
    "layout, shape, temperatures",
    [
        ("replicas", (2, 2), (1.5, 5.0)),
        ("replicas", (2, 4), (1.5, 5.0)),
        ("replicas", (4, 4), (1.8, 5.0)),
        ("replicas", (8, 12), (2.2, 5.0)),
        ("strips", (128, 6), (2.2, 5.0)),
    ],
)
def test_energy_is_exact_at_each_temperature(layout, shape, temperatures, rule):
    chains, samples, sites = 64, 100, shape[0] * shape[1]
    temperature = np.linspace(*temperatures, chains)
    probabilities = multispin.probabilities(1 / temperature, rule)
    blocks = 32 if layout == "replicas" else 8  # independent copies of the 64 chains give the error
    packed = Packed(layout, random_spins(blocks * chains, shape))
    probabilities = np.tile(probabilities, (blocks, 1))
    packed.sweep(probabilities, 500, rule)
    energy = 0
    for _ in range(samples):
        packed.sweep(probabilities, 20, rule)
        energy = energy - (2 - 2 * packed.sums[:, 0] / sites) / samples
    energy = energy.reshape(blocks, chains)
    error = energy.std(0, ddof=1) / np.sqrt(blocks)
    deviations = (energy.mean(0) - kaufman(*shape, temperature).energy) / error
    # Student's t: variance ν / (ν - 2), fourth moment 3ν² / ((ν - 2)(ν - 4)).
    nu = blocks - 1
    variance = nu / (nu - 2)
    spread = np.sqrt(chains * (3 * nu**2 / ((nu - 2) * (nu - 4)) - variance**2))
    assert abs((deviations**2).sum() - chains * variance) < 4 * spread
    assert abs(deviations.sum()) < 4 * np.sqrt(chains * variance)


@pytest.mark.parametrize("rule", [METROPOLIS, HEAT_BATH])
def test_strips_and_replicas_agree_with_the_torus_of_128(rule):
    temperature = 2.6
    exact = kaufman(128, 128, temperature).energy
    probabilities = multispin.probabilities(1 / temperature, rule)
    for layout in ("strips", "replicas"):
        packed = Packed(layout, np.ones((64, 128, 128), np.int8), seed=8)
        packed.sweep(probabilities, 300, rule)
        energy = 0
        for _ in range(400):
            packed.sweep(probabilities, 10, rule)
            energy = energy - (2 - 2 * packed.sums[:, 0] / 128**2) / 400
        error = energy.std(ddof=1) / 8
        assert error < 2e-4 * abs(exact)
        assert abs(energy.mean() - exact) < 4 * error
