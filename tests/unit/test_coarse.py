"""Majority of blocks: what wins, what a tie gives, what is refused, and that coarse spins are those of the lattice."""

import numpy as np
import pytest
import torch

from mlphys import Ising, Potts, cubic, nets, phases, square, triangular


def dataset(x, lattice):
    return phases.Dataset(torch.as_tensor(x), np.full(len(x), 2.0), np.arange(len(x)), lattice)


@pytest.mark.parametrize("lattice, factor", [(square(6, 9), 3), (triangular(15), 5), (cubic(6), 3)], ids=repr)
def test_majority_of_ising_spins(lattice, factor):
    data = dataset(Ising(lattice).random(20, seed=1), lattice)
    coarse = phases.coarsen(data, factor)
    assert coarse.lattice.shape == tuple(side // factor for side in lattice.shape)
    assert coarse.lattice.name == lattice.name and coarse.x.dtype == data.x.dtype
    block = np.ravel_multi_index(tuple(lattice.coordinates.T // factor), coarse.lattice.shape)
    sums = np.stack([data.x.numpy()[:, block == k].sum(1) for k in range(coarse.lattice.n_sites)], 1)
    assert (coarse.x.numpy() == np.sign(sums)).all()
    # The sign of all spins is the sign of all blocks.
    assert torch.equal(phases.coarsen(dataset(-data.x, lattice), factor).x, -coarse.x)


def test_majority_of_potts_values():
    x = Potts(square(12), q=7).random(50, seed=2)
    coarse = phases.coarsen(dataset(x, square(12)), 4, seed=3).x
    blocks = x.reshape(50, 3, 4, 3, 4).transpose(2, 3).reshape(50, 9, 16)
    votes = torch.stack([(blocks == value).sum(2) for value in range(7)], 2)
    assert torch.equal(votes.gather(2, coarse.long()[..., None])[..., 0], votes.amax(2))
    again, other = (phases.coarsen(dataset(x, square(12)), 4, seed=seed).x for seed in (3, 4))
    assert torch.equal(coarse, again) and not torch.equal(coarse, other)


def test_ties_are_fair():
    """Blocks of four sites with two of each, or all different: every value wins equally often."""
    for values, pattern in ((2, [0, 1, 1, 0]), (4, [0, 3, 1, 2])):
        x = torch.tensor(pattern).reshape(2, 2).repeat(4000, 4, 4).reshape(4000, 64)
        coarse = phases.coarsen(dataset(x, square(8)), 2).x
        share = np.bincount(coarse.flatten().numpy(), minlength=values) / coarse.numel()
        assert np.abs(share - 1 / values).max() < 4 * np.sqrt((1 / values) * (1 - 1 / values) / coarse.numel())


def test_factor_one_changes_nothing():
    data = dataset(Ising(square(6)).random(5, seed=1), square(6))
    coarse = phases.coarsen(data, 1)
    assert torch.equal(coarse.x, data.x) and coarse.lattice == data.lattice


@pytest.mark.parametrize(
    "x, lattice, factor, message",
    [
        (torch.ones(2, 36, dtype=torch.int8), square(6), 4, r"factor=4 .* square\(6, 6\) into 2 blocks"),
        (torch.ones(2, 36, dtype=torch.int8), square(6), 6, "factor=6"),
        (torch.ones(2, 36, dtype=torch.int8), triangular(6), 3, "into 3 blocks"),
        (torch.ones(2, 36, dtype=torch.int8), square(6), 0, "factor=0"),
        (torch.ones(2, 36), square(6), 2, "float32"),
        (torch.ones(2, 2, 36, dtype=torch.int8), square(6), 2, "shape"),
        (torch.arange(72).reshape(2, 36), square(6), 2, "at most 64"),
    ],
)
def test_refused(x, lattice, factor, message):
    with pytest.raises(ValueError, match=message):
        phases.coarsen(dataset(x, lattice), factor)


def test_curves_of_two_sizes_through_one_network():
    def data(size):
        return phases.sample(Ising(square(size)), [1.8, 2.8], samples=20, chains=4, seed=size, pilot=500)

    network = nets.MultilayerPerceptron(square(4), hidden=(8,), even=True)
    for _ in phases.supervised(phases.coarsen(data(12), 3), network, (2.0, 2.6), 200):
        pass
    table = phases.coarse_curves(network.probability, map(data, (12, 20)), blocks=4)
    assert table["size"].tolist() == [12, 12, 20, 20] and list(table.columns) == ["size", "temperature", "value", "error"]
    assert table["value"].round().tolist() == [1, 0, 1, 0]
    with pytest.raises(ValueError, match="blocks=5"):
        phases.coarse_curves(network.probability, [data(12)], blocks=5)
