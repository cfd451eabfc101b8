"""Lanczos in symmetry sectors: translations and the spin flip divide the number of states by the number of symmetries."""

from collections.abc import Iterator
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from mlphys.threads import one_blas_thread

if TYPE_CHECKING:
    from mlphys.hamiltonians.quantum import QuantumSpins

# Relative accuracy of the energies by which sectors are left out.
ROUGH = 1e-3
# Bits of a state that one look into a table moves at once.
_WIDTH = 11


class Sectors:
    """The states `hamiltonian.basis(sector)` in orbits under the translations and the flip x → −x, where H has them.

    Each symmetry g takes x to x[g], and a vector of the sector with characters χ has ψ(x[g]) = χ(g) ψ(x): it is known from
    one state of each orbit. Source: Sandvik 2010 (10.1063/1.3518900).
    """

    def __init__(self, hamiltonian: "QuantumSpins", sector: int | None = None):
        self.hamiltonian, self.codes = hamiltonian, hamiltonian.basis(sector)
        self.translations = hamiltonian.lattice.translations if _is_uniform(hamiltonian) else np.arange(self.n)[None]
        self.flips = 1 if sector else 2
        first, self.which = self.codes, np.zeros(len(self.codes), np.int16)
        for number, images in enumerate(self._images(self.codes)):
            smaller = images < first
            first, self.which = np.where(smaller, images, first), np.where(smaller, np.int16(number), self.which)
        self.representatives = self.codes[first == self.codes]
        self.orbit = np.searchsorted(self.representatives, first)
        self.sizes = np.bincount(self.orbit)

    @property
    def n(self) -> int:
        return self.hamiltonian.lattice.n_sites

    def _images(self, codes: np.ndarray) -> Iterator[np.ndarray]:
        """The states that each symmetry makes of `codes`: every translation, without and with the flip."""
        pieces = [codes >> low & (1 << _WIDTH) - 1 for low in range(0, self.n, _WIDTH)]
        values = np.arange(1 << _WIDTH)
        for goes_to in np.argsort(self.translations, axis=1).astype(np.int64):
            moved = np.zeros_like(codes)
            for piece, low in zip(pieces, range(0, self.n, _WIDTH), strict=True):
                bits = goes_to[low : low + _WIDTH]
                moved |= ((values[:, None] >> np.arange(len(bits)) & 1) << bits).sum(1)[piece]
            yield moved
            if self.flips == 2:
                yield moved ^ ((1 << self.n) - 1)

    def characters(self) -> Iterator[np.ndarray]:
        """Characters of sectors, one of which holds a ground state: all, but one of k and −k; or the trivial ones alone.

        With no positive matrix element off the diagonal a ground state is positive, by Perron and Frobenius.
        """
        lattice, flip = self.hamiltonian.lattice, np.arange(self.flips)
        if (self.hamiltonian.weights <= 0).all():
            yield np.ones(len(self.translations) * self.flips)
            return
        shape = lattice.shape if len(self.translations) > 1 else (1,) * len(lattice.shape)
        for numbers in product(*map(range, shape)):
            if numbers <= tuple(-k % side for k, side in zip(numbers, shape, strict=True)):
                turns = (lattice.coordinates[: len(self.translations)] * numbers % shape / shape).sum(1)
                wave = np.exp(2j * np.pi * turns) if (2 * turns % 1).any() else np.cos(2 * np.pi * turns).round()
                yield from (np.outer(wave, sign**flip).ravel() for sign in (1, -1)[: self.flips])

    @cached_property
    def _elements(self) -> tuple[np.ndarray, ...]:
        """Matrix elements from the representatives: row, orbit reached, by which symmetry, value."""
        row, reached, value = self.hamiltonian.elements(self.representatives)
        place = np.searchsorted(self.codes, reached)
        column = self.orbit[place]
        return row, column, self.which[place], value * np.sqrt(self.sizes[row] / self.sizes[column])

    @cached_property
    def _fixed(self) -> np.ndarray:
        """Which representatives a symmetry leaves alone, `(n_symmetries, n_representatives)`."""
        return np.stack([images == self.representatives for images in self._images(self.representatives)])

    def lowest(self, characters: np.ndarray, tolerance: float = 0) -> tuple[float, np.ndarray]:
        """The lowest energy of a sector and its vector over `codes`; infinity where there is no state."""
        from scipy.sparse import csr_array
        from scipy.sparse.linalg import eigsh

        allowed = np.abs(characters @ self._fixed) > 0.5
        if not allowed.any():
            return np.inf, np.zeros(len(self.codes))
        row, column, symmetry, value = self._elements
        matrix = csr_array((value * characters[symmetry].conj(), (row, column)), shape=(len(self.sizes),) * 2)
        matrix = matrix[allowed][:, allowed]
        if matrix.shape[0] < 64:
            values, vectors = np.linalg.eigh(matrix.toarray())
        else:
            # A fixed start: the same vector, sign for sign, every time.
            start = np.random.Generator(np.random.Philox(1)).normal(size=matrix.shape[0])
            values, vectors = eigsh(matrix, k=1, which="SA", v0=start.astype(matrix.dtype), tol=tolerance)
        short = np.zeros(len(self.sizes), vectors.dtype)
        short[allowed] = vectors[:, 0]
        vector = ((short / np.sqrt(self.sizes))[self.orbit] * characters[self.which].conj()).real
        return float(values[0]), vector / np.linalg.norm(vector)

    def ground_state(self) -> tuple[float, np.ndarray]:
        """The lowest energy of all sectors and a real vector over `codes`, of norm 1."""
        sectors = list(self.characters())
        with one_blas_thread():
            if len(sectors) > 1:
                rough = np.array([self.lowest(characters, ROUGH)[0] for characters in sectors])
                near = rough <= rough.min() + 2 * ROUGH * np.abs(rough.min())
                sectors = [sectors[k] for k in np.flatnonzero(near)]
            return min((self.lowest(characters) for characters in sectors), key=lambda found: round(found[0], 9))


def _is_uniform(hamiltonian: "QuantumSpins") -> bool:
    """Whether every translation leaves every term as it is."""
    n = hamiltonian.lattice.n_sites
    for sites, values in ((hamiltonian.pairs, hamiltonian.zz), (hamiltonian.flips, hamiltonian.weights)):
        table = np.zeros((n, n))
        np.add.at(table, (sites[:, 0], sites[:, -1]), values)
        table += table.T
        if not all(np.allclose(table[np.ix_(moved, moved)], table) for moved in hamiltonian.lattice.translations):
            return False
    return True
