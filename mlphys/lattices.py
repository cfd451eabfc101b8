"""Periodic lattices: sites, neighbours, bonds, colours and translations, as plain index tables.

Sites are numbered in C order of `shape`: on a square lattice, `site = row * columns + column`.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np

from mlphys.checks import is_whole, whole


@dataclass(frozen=True)
class Lattice:
    """A periodic Bravais lattice; build one with `chain`, `square`, `triangular` or `cubic`.

    `shape` counts the cells along each axis, `basis` holds one Cartesian vector for each axis (rows, in lattice
    constants), and `directions` the integer steps to half of the nearest neighbours; the other half are their opposites.
    A side of 2 reaches the same neighbour both ways: that bond then counts twice, as in every exact formula for the torus.

    >>> lattice = square(4)
    >>> lattice.n_sites, lattice.n_bonds, lattice.neighbours[0].tolist()
    (16, 32, [1, 4, 3, 12])
    """

    name: str
    shape: tuple[int, ...]
    directions: tuple[tuple[int, ...], ...]
    basis: tuple[tuple[float, ...], ...]

    @cached_property
    def n_sites(self) -> int:
        return int(np.prod(self.shape))

    @property
    def n_bonds(self) -> int:
        return self.n_sites * len(self.directions)

    @cached_property
    def coordinates(self) -> np.ndarray:
        """Integer coordinates of the sites, `(n_sites, dimensions)`."""
        return np.stack(np.unravel_index(np.arange(self.n_sites), self.shape), axis=1)

    def shifted(self, step) -> np.ndarray:
        """The site that each site reaches by the integer vector `step`, `(n_sites,)`."""
        moved = (self.coordinates + np.asarray(step)) % np.asarray(self.shape)
        return np.ravel_multi_index(tuple(moved.T), self.shape).astype(np.int32)

    @cached_property
    def neighbours(self) -> np.ndarray:
        """Nearest neighbours `(n_sites, coordination)`: along every direction first, then against each."""
        forward = [self.shifted(step) for step in self.directions]
        backward = [self.shifted(-np.asarray(step)) for step in self.directions]
        return np.stack(forward + backward, axis=1)

    @cached_property
    def bonds(self) -> np.ndarray:
        """Bonds `(n_bonds, 2)`: bond `k * n_sites + i` joins site i to its neighbour along direction k."""
        sites = np.arange(self.n_sites, dtype=np.int32)
        return np.concatenate([np.stack([sites, self.shifted(step)], axis=1) for step in self.directions])

    @cached_property
    def bond_of(self) -> np.ndarray:
        """The bond behind each entry of `neighbours`, `(n_sites, coordination)`."""
        offsets = np.arange(len(self.directions), dtype=np.int32) * self.n_sites
        forward = np.arange(self.n_sites, dtype=np.int32)[:, None] + offsets
        backward = np.stack([self.shifted(-np.asarray(step)) for step in self.directions], axis=1) + offsets
        return np.concatenate([forward, backward], axis=1)

    @property
    def bipartite(self) -> bool:
        """Whether two colours suffice: every bond then joins an even site to an odd one."""
        return self.name != "triangular" and all(side % 2 == 0 for side in self.shape)

    @cached_property
    def colours(self) -> np.ndarray:
        """A colour for each site, `(n_sites,)`, such that no two neighbours share one."""
        if self.name == "triangular":
            if all(side % 3 == 0 for side in self.shape):
                return ((self.coordinates[:, 1] - self.coordinates[:, 0]) % 3).astype(np.int32)
            return self._greedy_colours()
        # An odd ring takes a third colour on its last site; sums of proper ring colours stay proper modulo 3.
        ring = [np.where((np.arange(n) == n - 1) & (n % 2 == 1), 2, np.arange(n) % 2) for n in self.shape]
        total = np.sum([ring[axis][self.coordinates[:, axis]] for axis in range(len(self.shape))], axis=0)
        return (total % (2 if self.bipartite else 3)).astype(np.int32)

    def _greedy_colours(self) -> np.ndarray:
        colours = np.full(self.n_sites, -1, np.int32)
        for site, near in enumerate(self.neighbours.tolist()):
            taken = {int(colours[other]) for other in near}
            colours[site] = next(colour for colour in range(len(near) + 1) if colour not in taken)
        return colours

    @cached_property
    def update_order(self) -> np.ndarray:
        """All sites, sorted by colour: sites of one colour can be updated in any order, or at once."""
        return np.argsort(self.colours, kind="stable").astype(np.int32)

    @cached_property
    def translations(self) -> np.ndarray:
        """Every translation as a permutation of the sites, `(n_sites, n_sites)`."""
        return np.stack([self.shifted(step) for step in self.coordinates])

    @cached_property
    def rotations(self) -> np.ndarray:
        """Rotations and reflections that keep the torus, acting on integer coordinates from the right, `(n, d, d)`."""
        d, metric = len(self.shape), np.asarray(self.basis) @ np.transpose(self.basis)
        matrices = np.array(list(product((-1, 0, 1), repeat=d * d))).reshape(-1, d, d)
        keep_lengths = np.isclose(matrices @ metric @ matrices.swapaxes(1, 2), metric).all((1, 2))
        keep_sides = (np.asarray(self.shape)[:, None] * matrices % self.shape == 0).all((1, 2))
        found = matrices[keep_lengths & keep_sides]
        return found[np.argsort(-np.trace(found, axis1=1, axis2=2), kind="stable")]

    @cached_property
    def point_group(self) -> np.ndarray:
        """The `rotations` about site 0 as permutations of the sites, `(n, n_sites)`, the identity first."""
        moved = (self.coordinates @ self.rotations) % self.shape
        return np.ravel_multi_index(tuple(np.moveaxis(moved, -1, 0)), self.shape).astype(np.int32)

    @cached_property
    def wave_orbits(self) -> np.ndarray:
        """Which waves the `rotations` join, a number for each orbit, `(n_sites,)`: vectors in the order of the sites."""
        # k · (x M) = (k Mᵀ) · x: wave vectors turn by the transposed matrices.
        sides = np.asarray(self.shape)
        turned = np.rint((self.coordinates / sides) @ self.rotations.swapaxes(1, 2) * sides).astype(int) % sides
        joined = np.ravel_multi_index(tuple(np.moveaxis(turned, -1, 0)), self.shape).min(0)
        return np.unique(joined, return_inverse=True)[1]

    @cached_property
    def _shells(self) -> list[np.ndarray]:
        """Integer steps grouped by the shortest periodic distance from the origin, nearest shell first."""
        images = np.array(list(product((-1, 0, 1), repeat=len(self.shape)))) * np.asarray(self.shape)
        cartesian = (self.coordinates[:, None, :] + images) @ np.asarray(self.basis)
        distance = np.round(np.linalg.norm(cartesian, axis=-1).min(axis=1), 9)
        return [self.coordinates[distance == d] for d in np.unique(distance) if d > 0]

    @property
    def n_shells(self) -> int:
        """How many distances there are between two sites."""
        return len(self._shells)

    def shell(self, k: int) -> np.ndarray:
        """Pairs of sites at the k-th shortest distance, each once, `(n_pairs, 2)`; k = 1 are nearest neighbours.

        Raises ValueError when the lattice has no such shell.
        """
        if not is_whole(k) or not 1 <= k <= self.n_shells:
            raise ValueError(f"shell k={k!r} does not exist on this lattice: allowed are 1 to {self.n_shells}")
        sites = np.arange(self.n_sites, dtype=np.int32)
        pairs = np.concatenate([np.stack([sites, self.shifted(step)], axis=1) for step in self._shells[k - 1]])
        return np.unique(np.sort(pairs, axis=1), axis=0)

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(map(str, self.shape))})"


def chain(n_sites: int) -> Lattice:
    """A ring of `n_sites` sites.

    >>> chain(5).neighbours[0].tolist()
    [1, 4]
    """
    return Lattice("chain", (whole("n_sites", n_sites, 2),), ((1,),), ((1.0,),))


def square(rows: int, columns: int | None = None) -> Lattice:
    """A square lattice on the torus; `columns` defaults to `rows`.

    >>> square(8, 12).shape
    (8, 12)
    """
    shape = (whole("rows", rows, 2), whole("columns", rows if columns is None else columns, 2))
    return Lattice("square", shape, ((0, 1), (1, 0)), ((0.0, 1.0), (1.0, 0.0)))


def triangular(side: int) -> Lattice:
    """A triangular lattice of `side` × `side` sites on the torus: the square lattice with one diagonal added.

    >>> triangular(6).neighbours.shape
    (36, 6)
    """
    side = whole("side", side, 3)
    return Lattice(
        "triangular", (side, side), ((0, 1), (1, 0), (1, -1)), ((0.5, 3**0.5 / 2), (1.0, 0.0))
    )


def cubic(side: int) -> Lattice:
    """A simple cubic lattice of `side`³ sites on the torus.

    >>> cubic(4).n_bonds
    192
    """
    side = whole("side", side, 2)
    directions = ((0, 0, 1), (0, 1, 0), (1, 0, 0))
    return Lattice("cubic", (side,) * 3, directions, tuple(tuple(map(float, step)) for step in directions))
