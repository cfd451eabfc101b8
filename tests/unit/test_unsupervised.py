"""Order without labels: what principal components, autoencoders and persistent homology find, and their exact limits."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from mlphys import XY, Ising, exact, nets, phases, square, triangular
from mlphys.exact import SQUARE_CRITICAL_TEMPERATURE
from mlphys.random import torch_generator

pytestmark = pytest.mark.usefixtures("one_thread")

TEMPERATURES = np.linspace(1.8, 2.8, 11)
SIZE = 10
ISING = Ising(square(SIZE))
CRITICAL = SQUARE_CRITICAL_TEMPERATURE


@cache
def parts():
    return phases.split(phases.sample(ISING, TEMPERATURES, samples=40, chains=24, seed=5), (0.5, 0.5))


# Principal components


def test_the_first_component_is_the_magnetisation():
    train, test = parts()
    found = phases.principal_components(train, k=3)
    assert found.components.shape == (3, SIZE**2) and found.project(test.x).shape == (len(test), 3)
    assert torch.allclose(found.components @ found.components.T, torch.eye(3, dtype=torch.float64), atol=1e-10)
    assert found.components[0].sum() / SIZE > 0.99
    first, second, third = (each.mean for each in found.explained)
    assert first > 5 * second and second >= third
    assert np.allclose(found.project(train.x).mean(0), 0, atol=1e-9)
    # Chains of their own see the same share.
    other = phases.principal_components(test, k=1).explained[0]
    assert abs(first - other.mean) < 4 * np.hypot(found.explained[0].error, other.error)


def test_arrows_have_two_components():
    model = XY(square(8))
    data = phases.sample(model, [0.5, 0.9, 1.3], samples=40, chains=16, seed=1).map(phases.features.angles)
    found = phases.principal_components(data, k=3)
    uniform = torch.kron(torch.eye(2, dtype=torch.float64), torch.ones(1, 64, dtype=torch.float64)) / 8
    assert ((found.components[:2] @ uniform.T).square().sum(1) > 0.98).all()
    shares = [each.mean for each in found.explained]
    assert shares[1] > 0.8 * shares[0] and shares[2] < shares[1] / 5


def test_errors_of_explained_shares():
    """Normal numbers with variances 4, 1, 1, 1 and a memory in each chain, on forty sets of data."""
    rng, chain = np.random.default_rng(1), np.repeat(np.arange(20), 15)
    width = np.array([2.0, 1, 1, 1])

    def share():
        x = width * (0.7 * rng.normal(size=(20, 4))[chain] + 0.7 * rng.normal(size=(300, 4)))
        data = phases.Dataset(torch.from_numpy(x), np.ones(300), chain, square(2))
        return phases.principal_components(data, k=1).explained[0]

    shares = [share() for _ in range(40)]
    assert 0.7 < np.std([each.mean for each in shares]) / np.mean([each.error for each in shares]) < 1.4


# Autoencoder


def log_prob(x):
    """Exact log probability of configurations under the mixture of all temperatures."""
    betas = np.linspace(1e-6, 1 / TEMPERATURES.min(), 4001)
    energies = SIZE**2 * exact.kaufman(SIZE, SIZE, 1 / betas).energy
    steps = np.concatenate([[0], np.cumsum((energies[1:] + energies[:-1]) / 2 * np.diff(betas))])
    log_partition = SIZE**2 * np.log(2) - np.interp(1 / TEMPERATURES, betas, steps)
    each = -ISING.energy(x).numpy()[:, None] / TEMPERATURES - log_partition
    return np.logaddexp.reduce(each, axis=1) - np.log(len(TEMPERATURES))


def test_the_latent_number_is_the_magnetisation_and_the_bound_is_one():
    train, test = parts()
    network = nets.VariationalAutoencoder(ISING.lattice, hidden=(32,))
    losses = [step.loss for step in phases.autoencode(train, network, 400)]
    latent, order = network.encode(test.x)[:, 0], ISING.magnetisation(test.x)
    assert abs(np.corrcoef(latent, order)[0, 1]) > 0.95
    bound = network.bound(test.x, torch.randn(len(test), 1, generator=torch_generator(1))).detach().numpy()
    known = log_prob(test.x)
    gap = known - bound
    # Better than fair coins, and yet below the truth: sites are not independent given one number.
    assert -SIZE**2 * np.log(2) < bound.mean() < known.mean() and gap.mean() > 10 * gap.std() / np.sqrt(len(gap))
    assert abs(np.mean(losses[-50:]) + bound.mean()) < 2


def test_the_bound_is_the_integral_over_the_latent_number():
    states = torch.tensor(np.array(np.meshgrid(*[[-1, 1]] * 4)).reshape(4, -1).T)
    network = nets.VariationalAutoencoder(square(2), hidden=(8,), seed=3).double()
    grid = torch.linspace(-12, 12, 4801, dtype=torch.float64)[:, None]
    with torch.no_grad():
        noise = torch.randn(2000, 16, 1, generator=torch_generator(1), dtype=torch.float64)
        bounds = torch.stack([network.bound(states, each) for each in noise])
        log_odds = torch.nn.functional.logsigmoid(network.decoder(grid)[:, None] * states).sum(2)  # (grid, states)
        mean, log_width = network.encoder(states).T
    prior = torch.distributions.Normal(0, 1).log_prob(grid)
    posterior = torch.distributions.Normal(mean, log_width.exp()).log_prob(grid)
    exact_bound = (posterior.exp() * (log_odds + prior - posterior)).sum(0) * 0.005
    log_prob = ((log_odds + prior).exp().sum(0) * 0.005).log()
    assert log_prob.exp().sum() == pytest.approx(1) and (exact_bound < log_prob).all()
    assert ((bounds.mean(0) - exact_bound).abs() < 4.5 * bounds.std(0) / 2000**0.5).all()


def test_same_seed_same_autoencoder():
    def weights(seed):
        network = nets.VariationalAutoencoder(ISING.lattice, hidden=(4,), seed=seed)
        for _ in phases.autoencode(parts()[0], network, 5, symmetries=True, flip=True, seed=seed):
            pass
        return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])

    assert torch.equal(weights(1), weights(1)) and not torch.equal(weights(1), weights(2))
    one_hot = nets.VariationalAutoencoder(square(4), inputs=3)
    assert one_hot.encode(torch.ones(2, 3, 16)).shape == (2, 1)


# Persistent homology


@pytest.mark.parametrize("lattice", [square(6), square(4, 7), triangular(5)], ids=repr)
def test_depth_is_the_distance_to_the_nearest_opposite_spin(lattice):
    x = Ising(lattice).random(20, seed=2)
    x[:, : lattice.n_sites // 2] = 1  # some domains are deep
    distance = np.full((lattice.n_sites,) * 2, np.inf)
    np.fill_diagonal(distance, 0)
    for _ in range(lattice.n_sites):
        distance = np.minimum(distance, distance[lattice.neighbours].min(1) + 1)
    opposite = np.where(x[:, :, None] != x[:, None, :], distance, np.inf).min(2)
    sign = np.where(x == np.where(x.sum(1, keepdim=True) < 0, 1, -1), -1, 1)
    assert np.array_equal(phases.depth(x, lattice).numpy(), sign * (opposite - 0.5))
    # One spin against all others, and none.
    x = torch.ones(2, lattice.n_sites)
    x[0, 0] = -1
    expected = np.where(np.arange(lattice.n_sites) == 0, -0.5, distance[0] - 0.5)
    lonely, ordered = phases.depth(x, lattice).numpy()
    assert np.array_equal(lonely, expected) and (ordered == sum(lattice.shape) / 2).all()


def test_a_ring_is_one_component_and_one_loop():
    pytest.importorskip("gudhi")
    field = torch.ones(8, 8)
    field[2:5, 2:5] = -1.0
    field[3, 3] = 1.0
    field[6, 6] = -1.0
    components, loops = phases.persistence(field.reshape(1, -1), square(8), [-2, 0, 2])[0] * 64
    # The ring outlives the island, its hole is filled at 1, where both ways around the torus close for good.
    assert components.tolist() == [[0, 2], [0, 0]] and loops.tolist() == [[0, 1], [0, 2]]


def test_persistence_is_invariant_and_tells_the_phases():
    pytest.importorskip("gudhi")
    train, test = (part.where(np.arange(len(part)) % 2 == 0) for part in parts())
    lattice, edges = ISING.lattice, np.arange(-3, 4)

    def counts(x):
        return phases.persistence(phases.depth(x, lattice), lattice, edges)

    x = test.x[:50]
    images = phases.augment(x, lattice, torch_generator(1))
    assert np.array_equal(counts(x), counts(images))
    magnetised = x[ISING.magnetisation(x) != 0]
    assert np.array_equal(counts(magnetised), counts(-magnetised))

    def shown(part):
        return replace(part, x=torch.from_numpy(10 * counts(part.x).reshape(len(part), -1)).float())

    network = nets.LogisticRegression(square(8, 9))
    for _ in phases.supervised(shown(train), network, (CRITICAL, CRITICAL), 600, rate=0.02):
        pass
    (value,) = phases.accuracy(network.probability, shown(test), [CRITICAL])
    (best,) = phases.accuracy(phases.optimal(train, ISING.energy, [CRITICAL]), test, [CRITICAL])
    assert 0.75 < value.mean < best.mean + 3 * best.error


def test_refusals():
    with pytest.raises(ValueError, match="triangular"):
        phases.persistence(torch.ones(1, 25), triangular(5), [0, 1])
    with pytest.raises(ValueError, match="edges"):
        phases.persistence(torch.ones(1, 16), square(4), [1, 0])
    with pytest.raises(ValueError, match="k=101"):
        phases.principal_components(parts()[0], k=101)
    with pytest.raises(ValueError, match="nothing varies"):
        phases.principal_components(phases.Dataset(torch.ones(4, 16), np.ones(4), np.arange(4), square(4)))
