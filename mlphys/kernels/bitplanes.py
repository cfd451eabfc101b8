"""Square lattices as bit planes for the kernels in `multispin`: packing, unpacking, counting.

`words[chain, sublattice, row, column // 2]`, sublattice 0 where row + column is even; a set bit is a spin up.
Strips: bit b of word row r is lattice row b * (rows // 64) + r of one lattice. Replicas: bit b is lattice b of 64.
"""

import numpy as np
from numba import njit

_U1 = np.uint64(1)


@njit(cache=True, nogil=True)
def pack_strips(spins):
    """Spins ±1 `(chains, rows, columns)` int8 to words `(chains, 2, rows // 64, columns // 2)`."""
    chains, rows, columns = spins.shape
    strip = rows // 64
    words = np.zeros((chains, 2, strip, columns // 2), np.uint64)
    for chain in range(chains):
        for bit in range(64):
            for row in range(strip):
                _pack_row(spins[chain, bit * strip + row], bit, row % 2, words[chain, :, row])
    return words


@njit(cache=True, nogil=True)
def unpack_strips(words):
    """Words `(chains, 2, rows // 64, columns // 2)` to spins ±1 `(chains, rows, columns)` int8."""
    chains, _, strip, width = words.shape
    spins = np.empty((chains, 64 * strip, 2 * width), np.int8)
    for chain in range(chains):
        for bit in range(64):
            for row in range(strip):
                _unpack_row(words[chain, :, row], bit, row % 2, spins[chain, bit * strip + row])
    return spins


@njit(cache=True, nogil=True)
def pack_replicas(spins):
    """Spins ±1 `(chains, rows, columns)` int8 to words `(blocks, 2, rows, columns // 2)`, 64 chains to a block.

    The last block is filled up with copies of the last chain.
    """
    chains, rows, columns = spins.shape
    words = np.zeros((-(-chains // 64), 2, rows, columns // 2), np.uint64)
    for block in range(words.shape[0]):
        for bit in range(64):
            chain = min(64 * block + bit, chains - 1)
            for row in range(rows):
                _pack_row(spins[chain, row], bit, row % 2, words[block, :, row])
    return words


@njit(cache=True, nogil=True)
def unpack_replicas(words, chains):
    """Words `(blocks, 2, rows, columns // 2)` to the first `chains` lattices, spins ±1 `(chains, rows, columns)` int8."""
    _, _, rows, width = words.shape
    spins = np.empty((chains, rows, 2 * width), np.int8)
    for chain in range(chains):
        for row in range(rows):
            _unpack_row(words[chain // 64, :, row], chain % 64, row % 2, spins[chain, row])
    return spins


@njit(nogil=True)
def _pack_row(spins, bit, parity, words):
    for c in range(words.shape[1]):
        words[0, c] |= np.uint64(spins[2 * c + parity] > 0) << np.uint64(bit)
        words[1, c] |= np.uint64(spins[2 * c + 1 - parity] > 0) << np.uint64(bit)


@njit(nogil=True)
def _unpack_row(words, bit, parity, spins):
    shift = np.uint64(bit)
    for c in range(words.shape[1]):
        spins[2 * c + parity] = np.int8((words[0, c] >> shift) & _U1) * np.int8(2) - np.int8(1)
        spins[2 * c + 1 - parity] = np.int8((words[1, c] >> shift) & _U1) * np.int8(2) - np.int8(1)
