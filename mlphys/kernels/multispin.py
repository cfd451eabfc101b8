"""Bit-packed Metropolis and heat bath for the Ising model on square lattices: 64 spins to a word, two bit planes.

`words[chain, sublattice, row, column // 2]` holds the chequerboard, sublattice 0 where row + column is even. What the
64 bits of a word are differs (see `bitplanes`): strips of one lattice, or 64 replicas. The neighbours of a word are
four words of the other plane either way; only across the first and the last row do the bits of strips move by one.

Every spin is proposed a value and then turned against it with a probability that depends on the number of neighbours
unequal to the proposal: none or one (two numbers), or more (a constant). For the heat bath the proposal is the majority
of three neighbours, and "more" is a tie: 1/2. For Metropolis it is the spin itself, and "more" costs no energy: 1 - IDLE.
All of Metropolis is slower by this factor, and that makes it ergodic. With IDLE = 0 sublattices updated in turn have
closed orbits, such as diagonal stripes two sites wide, where every spin has two unequal neighbours and turns each time;
they are never reached from elsewhere (4 of the 16 states of a 2×2 torus, 36 of the 65,536 of 4×4).

A probability is met exactly: its binary digits are compared with one random word each, most significant first, for 64
spins at once (multispin coding: Jacobs and Rebbi 1981, 10.1016/0021-9991(81)90089-9). After `DIGITS` of them the few
spins still undecided draw a 53-bit number against what is left of the probability.

Words are worked on in batches of rows and tiles of `LANES` words. Each lane has a random stream of its own; on large
lattices every run of tiles has its own `LANES` streams, so that the thousands of threads of a GPU have work. How many
there are depends on the lattice alone: CPU and GPU (`cuda`) make the same lattice of the same state.
"""

import numpy as np
from numba import njit

from mlphys.kernels.bitplanes import BATCH, surround
from mlphys.kernels.bits import popcount
from mlphys.kernels.generators import rotate_left, unit, xoshiro

METROPOLIS = 0
HEAT_BATH = 1
LANES = 32
DIGITS = 12
IDLE = 2.0**-8
_ALL = np.uint64(2**64 - 1)
_U1 = np.uint64(1)


@njit(nogil=True)
def tiling(rows, width):
    """How the words of a sublattice are worked on: rows to a batch, tiles to a full batch, and tiles in all."""
    batch = min(rows, max(1, BATCH // width))
    tiles = -(-batch * width // LANES)
    return batch, tiles, rows // batch * tiles - (-(rows % batch) * width // LANES)


def stream_count(rows, width):
    """Random streams for a sublattice of `rows` × `width` words: a multiple of LANES, at most 4096 LANES."""
    tiles = tiling(rows, width)[2]
    return LANES * (1 if tiles <= 64 else -(-tiles // max(16, -(-tiles // 4096))))


def probabilities(beta_coupling, rule):
    """Probabilities `(..., 2)` of turning a spin with one unequal neighbour and with none, for β|J| `(...,)`."""
    boltzmann = np.exp(np.multiply.outer(-np.asarray(beta_coupling, np.float64), [4.0, 8.0]))
    return (1 - IDLE) * boltzmann if rule == METROPOLIS else boltzmann / (1 + boltzmann)


@njit(cache=True, nogil=True)
def strips_sweep(words, streams, probabilities, sweeps, rule):
    """Sweep single lattices `words (chains, 2, rows // 64, columns // 2)` in place.

    `streams (chains, 4, LANES)` advance in place, `probabilities (chains, 2)`, rows a multiple of 128, columns even.
    """
    for chain in range(words.shape[0]):
        digits, rests = thresholds(probabilities[chain : chain + 1])
        _sweep(words[chain], streams[chain], digits, rests, sweeps, rule, 1)


@njit(cache=True, nogil=True)
def replicas_sweep(words, streams, probabilities, sweeps, rule):
    """Sweep 64 lattices to a word, `words (blocks, 2, rows, columns // 2)`, in place.

    `streams (blocks, 4, LANES)` advance in place, `probabilities (blocks, 64, 2)`, both sides even.
    """
    for block in range(words.shape[0]):
        digits, rests = thresholds(probabilities[block])
        _sweep(words[block], streams[block], digits, rests, sweeps, rule, 0)


@njit(nogil=True)
def _sweep(words, streams, digits, rests, sweeps, rule, seam):
    _, rows, width = words.shape
    batch, tiles, total = tiling(rows, width)
    one = np.empty((tiles, LANES), np.uint64)
    none = np.empty_like(one)
    one_rows = one.reshape(one.size)[: batch * width].reshape(batch, width)
    none_rows = none.reshape(none.size)[: batch * width].reshape(batch, width)
    field = np.empty((batch + 2, width + 2), np.uint64)
    lazy = lazy_bits(rule)
    run = -(-total * LANES // streams.shape[1])
    stream = np.empty((4, LANES), np.uint64)
    _copy(streams, 0, stream, 0)
    state = stream.reshape(4 * LANES)  # here and not in `_decide`, where it would cost a tenth of the time
    held = 0
    for _ in range(sweeps):
        for sublattice in range(2):
            plane = words[sublattice]
            other = words[1 - sublattice]
            block, left = 0, 0
            for first in range(0, rows, batch):
                last = min(first + batch, rows)
                surround(other, first, last, seam, field)
                if rule == HEAT_BATH:
                    _majority(plane, first, last, field)
                _classify(plane, first, last, (first + sublattice) % 2, field, one_rows, none_rows)
                used = (last - first) * width
                tiles = -(-used // LANES)
                for i in range(used - (tiles - 1) * LANES, LANES):  # nothing to decide behind the last row
                    one[tiles - 1, i] = 0
                    none[tiles - 1, i] = 0
                for tile in range(tiles):
                    if left == 0:
                        if block != held:
                            _copy(stream, 0, streams, held * LANES)
                            _copy(streams, block * LANES, stream, 0)
                            held = block
                        block, left = block + 1, run
                    left -= 1
                    _decide(state, one, none, tile, digits, lazy)
                    for i in range(LANES):
                        if none[tile, i]:
                            one[tile, i] = settle(stream[:, i], one[tile, i], none[tile, i], rests)
                _turn(plane, first, last, one_rows)
    _copy(stream, 0, streams, held * LANES)


@njit(nogil=True)
def _copy(source, first, target, start):
    """Copy LANES streams, those from `first` on to the places from `start` on."""
    for k in range(4):
        for i in range(LANES):
            target[k, start + i] = source[k, first + i]


@njit(nogil=True)
def _majority(plane, first, last, field):
    for i in range(last - first):
        for c in range(plane.shape[1]):
            plane[first + i, c] = majority(field[i, c + 1], field[i + 1, c + 1], field[i + 2, c + 1])


@njit(nogil=True)
def _classify(plane, first, last, parity, field, one, none):
    """Mark where exactly one and where none of the four neighbours differ from the proposal.

    Two loops of two neighbours each: with more arrays in one loop LLVM does not vectorise.
    """
    for i in range(last - first):
        row = first + i
        shift = 2 * ((parity + i) % 2)
        for c in range(plane.shape[1]):
            one[i, c], none[i, c] = beside(plane[row, c], field[i + 1, c + 1], field[i + 1, c + shift])
        for c in range(plane.shape[1]):
            one[i, c], none[i, c] = around(plane[row, c], field[i, c + 1], field[i + 2, c + 1], one[i, c], none[i, c])


@njit(nogil=True)
def _decide(state, one, none, tile, digits, lazy):
    """Replace `one` by the spins to turn and `none` by those undecided, whose bit in `one` keeps their class."""
    for i in range(LANES):
        now = (state[i], state[LANES + i], state[2 * LANES + i], state[3 * LANES + i])
        now, one[tile, i], none[tile, i] = decide(now, one[tile, i], none[tile, i], digits, lazy)
        state[i], state[LANES + i], state[2 * LANES + i], state[3 * LANES + i] = now


@njit(nogil=True)
def _turn(plane, first, last, turn):
    for i in range(last - first):
        for c in range(plane.shape[1]):
            plane[first + i, c] ^= turn[i, c]


@njit(nogil=True)
def thresholds(probabilities):
    """Digit masks `(2 + 2 DIGITS,)`, one word for each class and digit, and what is left of the probabilities `(64, 2)`.

    The first two words are the first digit, the others the difference of each digit to the next (the last: to 0).
    """
    digits = np.zeros(2 + 2 * DIGITS, np.uint64)
    rests = np.empty((64, 2))
    for bit in range(64):
        for class_ in range(2):
            scaled = probabilities[bit % probabilities.shape[0], class_] * 2.0**DIGITS
            whole = min(np.uint64(scaled), np.uint64(2**DIGITS - 1))
            rests[bit, class_] = scaled - whole
            changes = whole ^ (whole << _U1)
            for k in range(DIGITS + 1):
                digits[2 * k + class_] |= ((changes >> np.uint64(DIGITS - k)) & _U1) << np.uint64(bit)
    return digits, rests


def thresholds_of_chains(probabilities):
    """`thresholds` of `(chains, 1 or 64, 2)`: `(chains, 2 + 2 DIGITS)` and `(chains, 64, 2)`."""
    digits, rests = zip(*map(thresholds, probabilities), strict=True)
    return np.stack(digits), np.stack(rests)


# What happens to one word: the same functions on CPU and GPU.


@njit(nogil=True, forceinline=True)
def majority(up, beside, down):
    """The proposal of the heat bath, the majority of three neighbours: that of all four wherever four have one."""
    return (up & down) | (beside & (up | down))


@njit(nogil=True, forceinline=True)
def beside(spins, left, right):
    """Where exactly one, and where none, of two neighbours differs."""
    left ^= spins
    right ^= spins
    return left ^ right, ~(left | right)


@njit(nogil=True, forceinline=True)
def around(spins, up, down, one, none):
    """The same of four neighbours, given that of the other two."""
    up ^= spins
    down ^= spins
    neither = ~(up | down)
    return (one & neither) | (none & (up ^ down)), none & neither


@njit(nogil=True, forceinline=True)
def update(stream, spins, up, down, left, right, digits, rests, rule):
    """A word after its update, given its four neighbours; `stream` (4,) moves on."""
    if rule == HEAT_BATH:
        spins = majority(up, left, down)
    one, none = beside(spins, left, right)
    one, none = around(spins, up, down, one, none)
    now = (stream[0], stream[1], stream[2], stream[3])
    now, turn, undecided = decide(now, one, none, digits, lazy_bits(rule))
    stream[0], stream[1], stream[2], stream[3] = now
    return spins ^ settle(stream, turn, undecided, rests)


@njit(nogil=True, forceinline=True)
def skip(stream):
    """Move `stream` (4,) on as if a word had been updated."""
    for _ in range(DIGITS):
        xoshiro(stream)


@njit(nogil=True, forceinline=True)
def lazy_bits(rule):
    """All bits where spins with two or more unequal neighbours turn with 1 − IDLE, none where they toss a coin."""
    return _ALL if rule == METROPOLIS else np.uint64(0)


@njit(nogil=True, forceinline=True)
def decide(stream, one, none, digits, lazy):
    """The stream afterwards, the spins to turn, and those undecided, whose bit among those to turn keeps their class."""
    s0, s1, s2, s3 = stream
    coin = s0 + s3
    now = (s0, s1, s2, s3, _ALL, (one & digits[0]) | (none & digits[1]))
    now = _four_digits(now, one, none, digits, 2)
    now = _four_digits(now, one, none, digits, 10)
    more = (~now[4] & lazy) | (coin & ~lazy)
    s0, s1, s2, s3, undecided, turn = _four_digits(now, one, none, digits, 18)
    undecided &= one | none
    return (s0, s1, s2, s3), turn | (one & undecided) | (more & ~(one | none)), undecided


@njit(nogil=True, forceinline=True)
def _four_digits(state, one, none, digits, k):
    state = _digit(state, one, none, digits[k], digits[k + 1])
    state = _digit(state, one, none, digits[k + 2], digits[k + 3])
    state = _digit(state, one, none, digits[k + 4], digits[k + 5])
    return _digit(state, one, none, digits[k + 6], digits[k + 7])


@njit(nogil=True, forceinline=True)
def _digit(state, one, none, digit_one, digit_none):
    """Compare one binary digit: a spin stays undecided while its random bits say "equal to the digit".

    The result so far is the digit compared last, so going on means adding the difference to the next digit.
    """
    s0, s1, s2, s3, undecided, turn = state
    undecided &= s0 + s3  # the word of xoshiro256+; the state moves on below, as in `generators.xoshiro`
    turn ^= undecided & ((one & digit_one) | (none & digit_none))
    t = s1 << np.uint64(17)
    s2 ^= s0
    s3 ^= s1
    s1 ^= s2
    s0 ^= s3
    s2 ^= t
    return s0, s1, s2, rotate_left(s3, 45), undecided, turn


@njit(nogil=True, forceinline=True)
def settle(stream, turn, undecided, rests):
    """Decide what the digits left open, by a number in [0, 1) against the rest of the probability."""
    while undecided:
        bit = undecided & (~undecided + _U1)
        undecided ^= bit
        position = popcount(bit - _U1)
        rest = rests[position, 0] if turn & bit else rests[position, 1]
        if unit(xoshiro(stream)) < rest:
            turn |= bit
        else:
            turn &= ~bit
    return turn
