"""How a batch of configurations lies in memory: a number for each site, or Ising spins packed 64 to a word.

Every kind decodes to the same `x` of shape `(chains, n_sites[, components])`; samplers choose the kind they are fastest
on, and a `State` saves and loads any of them. Their arrays are numpy's, or numba's device arrays on a GPU.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mlphys import devices


@dataclass
class Sites:
    """One number (or vector) for each site: `array` has shape `(chains, n_sites[, components])`."""

    array: Any

    @property
    def chains(self) -> int:
        return len(self.array)

    def spins(self) -> Any:
        """The array itself: writing to it changes the configuration."""
        return self.array

    def exchange(self, first: np.ndarray, second: np.ndarray) -> None:
        """Swap the configurations of the chains `first` with those of `second`, `(pairs,)` each, all different."""
        self.array[first], self.array[second] = self.array[second], self.array[first]


@dataclass
class Strips:
    """One Ising lattice for each chain, spread over words: bit b of a word row belongs to the b-th of 64 strips.

    `words` has shape `(chains, 2, rows / 64, columns / 2)`: the two planes are the chequerboard's sublattices. The
    lattice `shape` is stored transposed where only its columns divide by 128. An antiferromagnet is stored
    `staggered`: with one sublattice reversed it is a ferromagnet.
    """

    words: Any
    shape: tuple[int, ...]
    transposed: bool = False
    staggered: bool = False

    @classmethod
    def pack(cls, spins: np.ndarray, shape: tuple[int, ...], staggered: bool = False) -> "Strips":
        """Pack int8 spins `(chains, n_sites)`; one of the sides must be divisible by 128."""
        from mlphys.kernels import bitplanes

        grid = _grid(spins, shape, staggered)
        transposed = shape[0] % 128 != 0
        if transposed:
            grid = np.ascontiguousarray(grid.transpose(0, 2, 1))
        return cls(bitplanes.pack_strips(grid), tuple(shape), transposed, staggered)

    @staticmethod
    def fits(shape: tuple[int, ...]) -> bool:
        """Whether a lattice of this shape can be stored so."""
        return len(shape) == 2 and all(side % 2 == 0 for side in shape) and any(side % 128 == 0 for side in shape)

    @property
    def chains(self) -> int:
        return len(self.words)

    def spins(self) -> np.ndarray:
        """Int8 spins `(chains, n_sites)`, a copy."""
        from mlphys.kernels import bitplanes

        grid = bitplanes.unpack_strips(devices.to(self.words, "cpu"))
        return _flat(grid.transpose(0, 2, 1) if self.transposed else grid, self.staggered)

    def sums(self) -> tuple[np.ndarray, np.ndarray]:
        """Unsatisfied bonds and the sum of spins of each chain, int64 `(chains,)` each."""
        return _split_sums(_counted(self.words, "strips"), self.shape, self.staggered)

    def exchange(self, first: np.ndarray, second: np.ndarray) -> None:
        """Swap configurations, as those of `Sites` do."""
        self.words[first], self.words[second] = self.words[second], self.words[first]


@dataclass
class Replicas:
    """64 independent Ising lattices to a word: bit b of every word of a block belongs to chain 64 · block + b.

    `words` has shape `(blocks, 2, rows, columns / 2)`; lanes beyond the last chain run along unseen.
    """

    words: Any
    shape: tuple[int, ...]
    chains: int
    staggered: bool = False

    @classmethod
    def pack(cls, spins: np.ndarray, shape: tuple[int, ...], staggered: bool = False) -> "Replicas":
        """Pack int8 spins `(chains, n_sites)`; both sides must be even."""
        from mlphys.kernels import bitplanes

        return cls(bitplanes.pack_replicas(_grid(spins, shape, staggered)), tuple(shape), len(spins), staggered)

    @staticmethod
    def fits(shape: tuple[int, ...]) -> bool:
        """Whether a lattice of this shape can be stored so."""
        return len(shape) == 2 and all(side % 2 == 0 for side in shape)

    def spins(self) -> np.ndarray:
        """Int8 spins `(chains, n_sites)`, a copy."""
        from mlphys.kernels import bitplanes

        return _flat(bitplanes.unpack_replicas(devices.to(self.words, "cpu"), self.chains), self.staggered)

    def sums(self) -> tuple[np.ndarray, np.ndarray]:
        """Unsatisfied bonds and the sum of spins of each chain, int64 `(chains,)` each."""
        sums = _counted(self.words, "replicas").reshape(-1, 3)[: self.chains]
        return _split_sums(sums, self.shape, self.staggered)

    def exchange(self, first: np.ndarray, second: np.ndarray) -> None:
        """Swap configurations, as those of `Sites` do."""
        both = np.concatenate([first, second])
        block, bit = both // 64, (both % 64).astype(np.uint64)[:, None, None, None]
        values = self.words[block] >> bit & np.uint64(1)
        np.bitwise_xor.at(self.words, block, (values ^ np.roll(values, len(first), axis=0)) << bit)


KINDS = {kind.__name__: kind for kind in (Sites, Strips, Replicas)}


def _counted(words, layout: str) -> np.ndarray:
    if devices.on_gpu(words):
        from mlphys.kernels import cuda

        return cuda.packed_sums(words, seam=int(layout == "strips"))
    from mlphys.kernels import bitplanes

    return getattr(bitplanes, f"{layout}_sums")(words)


def _grid(spins: np.ndarray, shape: tuple[int, ...], staggered: bool) -> np.ndarray:
    grid = np.ascontiguousarray(spins, dtype=np.int8).reshape(-1, *shape)
    return grid * _signs(shape) if staggered else grid


def _flat(grid: np.ndarray, staggered: bool) -> np.ndarray:
    if staggered:
        grid = grid * _signs(grid.shape[1:])
    return np.ascontiguousarray(grid).reshape(len(grid), -1)


def _signs(shape: tuple[int, ...]) -> np.ndarray:
    rows, columns = np.indices(shape)
    return np.where((rows + columns) % 2, -1, 1).astype(np.int8)


def _split_sums(sums: np.ndarray, shape: tuple[int, ...], staggered: bool) -> tuple[np.ndarray, np.ndarray]:
    """From (unequal bonds, up on the even, up on the odd sublattice) to (unsatisfied bonds, sum of spins)."""
    half = shape[0] * shape[1] // 2
    even, odd = 2 * sums[:, 1] - half, 2 * sums[:, 2] - half
    return sums[:, 0], even - odd if staggered else even + odd
