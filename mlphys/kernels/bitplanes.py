"""Square lattices as bit planes for the kernels in `multispin`: packing, unpacking, counting.

`words[chain, sublattice, row, column // 2]`, sublattice 0 where row + column is even; a set bit is a spin up.
Strips: bit b of word row r is lattice row b * (rows // 64) + r of one lattice. Replicas: bit b is lattice b of 64.
"""

import numpy as np
from numba import njit

from mlphys.kernels.bits import popcount

BATCH = 1024  # words worked on at a time, in buffers that stay in the first cache
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


@njit(cache=True, nogil=True)
def strips_sums(words):
    """Unequal bonds, spins up on sublattice 0 and on sublattice 1, `(chains, 3)`."""
    chains, _, rows, width = words.shape
    batch = min(rows, max(1, BATCH // width))
    field = np.empty((batch + 2, width + 2), np.uint64)
    unequal = np.empty((batch, 4, width), np.uint64)
    sums = np.zeros((chains, 3), np.int64)
    for chain in range(chains):
        for first in range(0, rows, batch):
            last = min(first + batch, rows)
            surround(words[chain, 1], first, last, 1, field)
            _compare(words[chain, 0], first, last, field, unequal)
            sums[chain, 0] += _count(unequal[: last - first].reshape((last - first) * 4 * width))
        for sublattice in range(2):
            sums[chain, 1 + sublattice] = _count(words[chain, sublattice].reshape(rows * width))
    return sums


@njit(cache=True, nogil=True)
def replicas_sums(words):
    """Unequal bonds, spins up on sublattice 0 and on sublattice 1 of each replica, `(blocks, 64, 3)`."""
    blocks, _, rows, width = words.shape
    batch = min(rows, max(1, BATCH // width))
    field = np.empty((batch + 2, width + 2), np.uint64)
    unequal = np.empty((batch, 4, width), np.uint64)
    digits = np.zeros(64, np.uint64)
    sums = np.zeros((blocks, 64, 3), np.int64)
    for block in range(blocks):
        for first in range(0, rows, batch):
            last = min(first + batch, rows)
            surround(words[block, 1], first, last, 0, field)
            _compare(words[block, 0], first, last, field, unequal)
            _add(unequal[: last - first].reshape((last - first) * 4 * width), digits)
        _read(digits, 4 * rows * width, sums[block, :, 0])
        for sublattice in range(2):
            _add(words[block, sublattice].reshape(rows * width), digits)
            _read(digits, rows * width, sums[block, :, 1 + sublattice])
    return sums


@njit(nogil=True, forceinline=True)
def above(last, seam):
    """The word above the first row, from that of the last row: with a seam, bit b is bit b - 1 of it."""
    back = np.uint64(63 - seam)
    return (last << np.uint64(seam)) | (last >> back >> _U1)


@njit(nogil=True, forceinline=True)
def below(first, seam):
    """The word below the last row, from that of the first row: with a seam, bit b is bit b + 1 of it."""
    back = np.uint64(63 - seam)
    return (first >> np.uint64(seam)) | (first << back << _U1)


@njit(nogil=True, forceinline=True)
def counts_of(even, up, down, left, right, bit):
    """Unequal neighbours of a word of sublattice 0, its spins up and those of `left`, in one `bit` or (-1) in all."""
    mask = np.uint64(2**64 - 1) if bit < 0 else _U1 << np.uint64(bit)
    vertical = popcount((even ^ up) & mask) + popcount((even ^ down) & mask)
    horizontal = popcount((even ^ left) & mask) + popcount((even ^ right) & mask)
    return np.int64(vertical + horizontal), np.int64(popcount(even & mask)), np.int64(popcount(left & mask))


@njit(nogil=True)
def surround(other, first, last, seam, field):
    """Copy rows of the other sublattice with their periodic surroundings: one row and one word more on each side.

    Strips have a seam (1) between the last row and the first, replicas do not (0).
    """
    rows, width = other.shape
    for i in range(last - first + 2):
        row = first - 1 + i
        if row < 0:
            for c in range(width):
                field[0, c + 1] = above(other[rows - 1, c], seam)
        elif row == rows:
            for c in range(width):
                field[i, c + 1] = below(other[0, c], seam)
        else:
            for c in range(width):
                field[i, c + 1] = other[row, c]
        field[i, 0] = field[i, width]
        field[i, width + 1] = field[i, 1]


@njit(nogil=True)
def _compare(plane, first, last, field, unequal):
    """Mark the unequal pairs of sublattice 0 with its four neighbours."""
    for i in range(last - first):
        shift = 2 * ((first + i) % 2)
        for c in range(plane.shape[1]):
            unequal[i, 0, c] = plane[first + i, c] ^ field[i, c + 1]
        for c in range(plane.shape[1]):
            unequal[i, 1, c] = plane[first + i, c] ^ field[i + 2, c + 1]
        for c in range(plane.shape[1]):
            unequal[i, 2, c] = plane[first + i, c] ^ field[i + 1, c + 1]
        for c in range(plane.shape[1]):
            unequal[i, 3, c] = plane[first + i, c] ^ field[i + 1, c + shift]


@njit(nogil=True)
def _count(words):
    """Number of set bits."""
    total = 0
    for i in range(words.size):
        total += popcount(words[i])
    return total


@njit(nogil=True)
def _add(words, digits):
    """Add words to 64 counters at once, one for each bit; word k of `digits` holds binary digit k of all of them.

    Eight words make one carry of weight eight (Harley and Seal's carry-save adders), so that the long ripple is rare.
    """
    ones, twos, fours = digits[0], digits[1], digits[2]
    whole = words.size // 8 * 8
    for i in range(0, whole, 8):
        ones, a = _full_adder(ones, words[i], words[i + 1])
        ones, b = _full_adder(ones, words[i + 2], words[i + 3])
        twos, c = _full_adder(twos, a, b)
        ones, a = _full_adder(ones, words[i + 4], words[i + 5])
        ones, b = _full_adder(ones, words[i + 6], words[i + 7])
        twos, d = _full_adder(twos, a, b)
        fours, carry = _full_adder(fours, c, d)
        _ripple(digits, 3, carry)
    digits[0], digits[1], digits[2] = ones, twos, fours
    for i in range(whole, words.size):
        _ripple(digits, 0, words[i])


@njit(nogil=True)
def _full_adder(a, b, c):
    """Sum and carry of three bits, in 64 places."""
    half = a ^ b
    return half ^ c, (a & b) | (half & c)


@njit(nogil=True)
def _ripple(digits, k, carry):
    while carry:
        digits[k], carry = digits[k] ^ carry, digits[k] & carry
        k += 1


@njit(nogil=True)
def _read(digits, largest, counts):
    """Read the counters, none above `largest`, and clear them."""
    k = 0
    while largest >> k:
        for bit in range(64):
            counts[bit] += np.int64((digits[k] >> np.uint64(bit)) & _U1) << k
        digits[k] = 0
        k += 1
