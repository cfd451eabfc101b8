"""Lattice tables against their definitions."""

import numpy as np
import pytest

import mlphys as mp

LATTICES = [mp.chain(5), mp.chain(6), mp.square(4), mp.square(5, 6), mp.square(2, 4)]
LATTICES += [mp.triangular(4), mp.triangular(6), mp.cubic(3), mp.cubic(4)]
SHELLS = [
    (mp.square(6), [4, 4, 4, 8]),
    (mp.triangular(7), [6, 6, 6, 12]),
    (mp.cubic(4), [6, 12, 8, 3]),
    (mp.chain(8), [2, 2, 2, 1]),
]


@pytest.mark.parametrize("lattice", LATTICES, ids=repr)
def test_neighbours_are_mutual_and_match_the_bonds(lattice):
    n, z = lattice.neighbours.shape
    assert n == lattice.n_sites and lattice.n_bonds == n * z // 2 == len(lattice.bonds)
    counts = np.zeros((n, n), int)
    np.add.at(counts, (np.arange(n)[:, None], lattice.neighbours), 1)
    from_bonds = np.zeros((n, n), int)
    np.add.at(from_bonds, tuple(lattice.bonds.T), 1)
    assert (counts == counts.T).all() and (counts == from_bonds + from_bonds.T).all()
    ends = np.sort(lattice.bonds[lattice.bond_of], axis=2)
    assert (ends == np.sort(np.stack([np.broadcast_to(np.arange(n)[:, None], (n, z)), lattice.neighbours], 2), axis=2)).all()


@pytest.mark.parametrize("lattice", LATTICES, ids=repr)
def test_no_two_neighbours_share_a_colour(lattice):
    assert (lattice.colours[lattice.bonds[:, 0]] != lattice.colours[lattice.bonds[:, 1]]).all()
    assert sorted(lattice.update_order) == list(range(lattice.n_sites))
    assert not lattice.bipartite or lattice.colours.max() == 1


def test_translations_keep_the_bonds():
    lattice = mp.triangular(4)
    bonds = {tuple(sorted(bond)) for bond in lattice.bonds.tolist()}
    for moved in lattice.translations:
        assert {tuple(sorted(bond)) for bond in moved[lattice.bonds].tolist()} == bonds


@pytest.mark.parametrize("lattice, sizes", SHELLS, ids=repr)
def test_shells_have_the_known_coordination(lattice, sizes):
    for k, size in enumerate(sizes, start=1):
        assert len(lattice.shell(k)) == size * lattice.n_sites // 2
