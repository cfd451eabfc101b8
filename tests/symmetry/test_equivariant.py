"""Energies of unit spins: whoever turns all spins, or moves the lattice, finds the same energy, and the features moved."""

import numpy as np
import pytest
import torch

import mlphys as mp
from mlphys.nets import EquivariantTransformer, LinearEffective, MessagePassing
from mlphys.random import generator, torch_generator

LATTICES = [mp.square(6), mp.square(4, 6), mp.triangular(4), mp.cubic(4), mp.chain(9)]
MODELS = {
    "linear": LinearEffective,
    "transformer": lambda lattice, **options: EquivariantTransformer(lattice, layers=3, **options),
    "messages": lambda lattice, **options: MessagePassing(lattice, channels=6, rounds=3, hidden=10, **options),
}


def randomised(network):
    """Every weight random: what begins at zero would hide what it multiplies."""
    random = torch_generator(5, "weights")
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=random, dtype=torch.float64))
    return network


def spins(lattice, batch=4):
    return torch.nn.functional.normalize(
        torch.from_numpy(generator(1, "spins").normal(size=(batch, lattice.n_sites, 3))), dim=2
    )


def violation(network, turn, move) -> float:
    """How far the energies are off, in units of their spread, and the features, when spins turn and sites move."""
    x = spins(network.lattice)
    moved = (x @ turn)[:, move]
    energy, after = network.energy(x).detach(), network.energy(moved).detach()
    errors = [(after - energy).abs().max() / energy.std()]
    for before, after in zip(network.features(x), network.features(moved), strict=True):
        assert before.shape == x.shape
        errors.append(((after - (before @ turn)[:, move]).abs().max() / before.abs().max()).detach())
    return max(errors).item()


def violations(network):
    """The same for a rotation, a reflection, inversion, translations and the point group, each alone."""
    lattice, random = network.lattice, generator(2, "rotations")
    orthogonal, nowhere = np.linalg.qr(random.normal(size=(3, 3)))[0], np.arange(lattice.n_sites)
    rotation = torch.from_numpy(orthogonal * np.linalg.det(orthogonal))
    found = {
        "rotation": violation(network, rotation, nowhere),
        "reflection": violation(network, rotation @ torch.diag(torch.tensor([1.0, 1, -1]).double()), nowhere),
        "inversion": violation(network, -torch.eye(3).double(), nowhere),
    }
    for name, moves in (("translation", lattice.translations), ("point group", lattice.point_group)):
        found[name] = max(violation(network, torch.eye(3).double(), move) for move in moves[1:12])
    return found


@pytest.mark.parametrize("lattice", LATTICES, ids=str)
@pytest.mark.parametrize("name", MODELS)
def test_energy_is_invariant_and_features_turn_along(name, lattice):
    network = randomised(MODELS[name](lattice, dtype=torch.float64))
    assert network.energy(spins(lattice)).detach().std() > 1e-3  # or there were nothing to compare
    assert max(violations(network).values()) < 1e-10


@pytest.mark.parametrize("name", MODELS)
def test_a_weight_of_its_own_for_one_direction_breaks_the_point_group(name):
    network = randomised(MODELS[name](mp.square(6), dtype=torch.float64))
    row = torch.from_numpy(np.eye(36)[network.lattice.shifted((0, 1))])
    network.adjacency[1] += 0.1 * (row + row.T)
    found = violations(network)
    assert found["translation"] < 1e-10 and found["rotation"] < 1e-10 < 1e-6 < found["point group"]


@pytest.mark.parametrize("name", MODELS)
def test_a_bond_of_its_own_breaks_the_translations(name):
    network = randomised(MODELS[name](mp.square(6), dtype=torch.float64))
    network.adjacency[1, 0, 1] = network.adjacency[1, 1, 0] = 0.9
    found = violations(network)
    assert found["rotation"] < 1e-10 < 1e-6 < found["translation"]


@pytest.mark.parametrize("name", MODELS)
def test_an_easy_axis_breaks_the_rotations(name):
    class Stretched(type(MODELS[name](mp.square(6)))):
        def vectors(self, s):
            return super().vectors(s * torch.tensor([1.0, 1.0, 1.1]).to(s))

    network = randomised(Stretched(mp.square(6), dtype=torch.float64))
    found = violations(network)
    assert found["translation"] < 1e-10 and found["point group"] < 1e-10 < 1e-6 < found["rotation"]


def test_two_shells_of_a_small_torus_count_each_pair_once():
    lattice, x = mp.square(4), spins(mp.square(4))
    network = LinearEffective(lattice, shells=5, dtype=torch.float64)
    for k in range(1, 6):
        first, second = lattice.shell(k).T
        assert torch.allclose(network.correlations(x)[:, k - 1], (x[:, first] * x[:, second]).sum((1, 2)))


def test_a_nearest_neighbour_model_is_the_heisenberg_model():
    heisenberg = mp.Heisenberg(mp.square(6), coupling=-0.7)
    network, x = LinearEffective(mp.square(6), shells=3, dtype=torch.float64), spins(mp.square(6), 40)
    network.start_from(x, heisenberg.energy(x) + 3.0)
    y = heisenberg.random(10, seed=2)
    assert torch.allclose(network.energy(y), heisenberg.energy(y) + 3.0, atol=1e-9)


@pytest.mark.parametrize("name", MODELS)
def test_an_unfitted_network_begins_as_the_linear_model(name):
    x, target = spins(mp.square(6), 200), mp.DoubleExchange(mp.square(6), temperature=0.5)
    network, energy = MODELS[name](mp.square(6), dtype=torch.float64), target.energy(x)
    assert not network.fitted
    network.start_from(x, energy)
    with torch.no_grad():
        assert network.fitted and (network.energy(x) - energy).std() < 0.05 * energy.std()


def test_few_parameters():
    square = mp.square(6)
    counts = [EquivariantTransformer(square, layers=layers).n_parameters for layers in (1, 3)]
    assert counts == [40, 100] and LinearEffective(square).n_parameters == 10


def test_errors_name_the_argument():
    with pytest.raises(ValueError, match="shell k=10"):
        LinearEffective(mp.square(6), shells=10)
    with pytest.raises(ValueError, match="layers=0"):
        EquivariantTransformer(mp.square(6), layers=0)
    with pytest.raises(ValueError, match="rounds=0"):
        MessagePassing(mp.square(6), rounds=0)
    with pytest.raises(ValueError, match="hidden=4"):
        MessagePassing(mp.square(6), channels=8, hidden=4)
    with pytest.raises(ValueError, match="dtype"):
        LinearEffective(mp.square(6), dtype=torch.float16)
