"""Percolation: spanning against a plain search, its exact probability, and cuts that only a search notices."""

import numpy as np
import pytest
import torch

from mlphys import chain, phases, square, triangular
from mlphys.lectures.phases_percolation import SQUARE_THRESHOLD, percolation_table, told_apart
from mlphys.phases.percolation import percolation, severed, strands


def plainly_spans(cells: np.ndarray) -> bool:
    """Whether occupied sites reach from the first row to the last, by spreading from the first until nothing changes."""
    reached = np.zeros_like(cells)
    reached[0] = cells[0]
    while True:
        padded = np.pad(reached, 1)
        spread = cells & (reached | padded[2:, 1:-1] | padded[:-2, 1:-1] | padded[1:-1, 2:] | padded[1:-1, :-2])
        if (spread == reached).all():
            return bool(reached[-1].any())
        reached = spread


@pytest.mark.parametrize("shape", [(12, 12), (7, 15), (2, 2)])
def test_spanning_is_that_of_a_plain_search(shape):
    lattice = square(*shape)
    data = percolation(lattice, [0.5, SQUARE_THRESHOLD, 0.7], samples=100, seed=1)
    plain = [plainly_spans(cells) for cells in (data.x > 0).numpy().reshape(-1, *shape)]
    assert 0 < sum(plain) < 300
    assert ((strands(data.x, lattice) > 0) == plain).all()


def test_strands_are_the_sites_that_hold_a_crossing_together():
    """No fewer sites cut it: on 4 × 4 every choice of as many, or of one fewer, is tried."""
    from itertools import combinations

    lattice = square(4)
    data = percolation(lattice, [0.7], samples=40, seed=2)
    for x, count in zip((data.x > 0).numpy(), strands(data.x, lattice), strict=True):
        occupied = np.flatnonzero(x)

        def cuts(number, x=x, occupied=occupied):
            for sites in combinations(occupied, number):
                rest = x.copy()
                rest[list(sites)] = False
                yield not plainly_spans(rest.reshape(4, 4))

        assert any(cuts(count)) and (count == 0 or not any(cuts(count - 1)))
    full = torch.ones(1, 16)
    assert strands(full, lattice).tolist() == [4]


def test_crossing_at_the_threshold_is_a_fair_coin():
    """Crossing an open square has probability 1/2 at p_c, by duality and universality, up to corrections about 1/L."""
    data = percolation(square(64), [SQUARE_THRESHOLD], samples=4000, seed=3)
    spanning = (strands(data.x, data.lattice) > 0).mean()
    assert abs(spanning - 0.5) < 1 / 64 + 3 * 0.5 / np.sqrt(4000)


def test_severed_configurations_keep_their_density_and_almost_all_sites():
    data = percolation(square(32), [SQUARE_THRESHOLD], samples=300, seed=4)
    count = strands(data.x, data.lattice)
    cut = severed(data.x, data.lattice, seed=1)
    assert (strands(cut, data.lattice) == 0).all()
    assert torch.equal(cut.sum(1), data.x.sum(1)) and cut.dtype == data.x.dtype
    assert ((cut != data.x).sum(1).numpy() == 2 * count).all()
    assert torch.equal(cut, severed(data.x, data.lattice, seed=1))
    with pytest.raises(ValueError, match="empty sites off the cut"):
        severed(torch.ones(1, 16), square(4))


def test_same_seed_same_configurations():
    first, again, other = (percolation(square(8), [0.3, 0.6], 50, seed) for seed in (1, 1, 2))
    assert torch.equal(first.x, again.x) and not torch.equal(first.x, other.x)
    assert len(np.unique(first.chain)) == len(first) == 100 and first.temperature.tolist() == [0.3] * 50 + [0.6] * 50
    assert not phases.leakage(*phases.split(first, (0.5, 0.5)))


def test_refused_arguments():
    with pytest.raises(ValueError, match="densities"):
        percolation(square(4), [1.2], 10)
    for lattice in (triangular(4), chain(16)):
        with pytest.raises(ValueError, match="must be square"):
            strands(torch.ones(1, 16), lattice)


def test_networks_answer_like_the_density_and_do_not_notice_a_cut():
    table = percolation_table([16], samples=40, steps=300, seed=1).set_index("indicator")
    assert table.fooled["density"] == 1 and table.fooled["cluster search"] == 0 and table.accuracy["cluster search"] == 1
    for network in ("convolutions", "perceptron"):
        # They learn: far above the larger class. And they gain at most a little on the cut, which sees one number.
        assert table.accuracy[network] > 0.85
        assert table.over_density[network] < 0.01 + 3 * table.over_density_error[network]
        assert table.fooled[network] > 0.5


def test_what_is_severed_cannot_be_told_from_what_spans():
    for accuracy in told_apart(16, samples=2000, steps=200, seed=1).values():
        assert abs(accuracy.mean - 0.5) < 0.1 + 3 * accuracy.error
