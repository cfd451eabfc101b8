"""Random numbers inside kernels: Philox, a number for each (seed, chain, sweep, site), and xoshiro256+ streams.

Philox (Salmon et al. 2011, 10.1145/2063384.2063405) is a pure function of its counter: nothing to store, and no
order of evaluation can change a result. Xoshiro256+ (Blackman and Vigna 2021, 10.1145/3460772) is several times
faster; its four words per stream are kept by the State, and Philox seeds them.
"""

import numpy as np
from numba import njit

_MULTIPLIER_0 = np.uint64(0xD2511F53)
_MULTIPLIER_1 = np.uint64(0xCD9E8D57)
_WEYL_0 = np.uint32(0x9E3779B9)
_WEYL_1 = np.uint32(0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)
_UNIT = 2.0**-53


@njit(inline="always")
def philox(seed, site, chain, sweep):
    """Two independent 64-bit words for the counter (site, chain, sweep) under the key `seed` (Philox4x32-10)."""
    c0 = np.uint32(site)
    c1 = np.uint32(chain)
    c2 = np.uint32(np.uint64(sweep) & _LOW)
    c3 = np.uint32(np.uint64(sweep) >> _SHIFT)
    k0 = np.uint32(np.uint64(seed) & _LOW)
    k1 = np.uint32(np.uint64(seed) >> _SHIFT)
    for _ in range(10):
        p0 = _MULTIPLIER_0 * np.uint64(c0)
        p1 = _MULTIPLIER_1 * np.uint64(c2)
        c0 = np.uint32(p1 >> _SHIFT) ^ c1 ^ k0
        c1 = np.uint32(p1 & _LOW)
        c2 = np.uint32(p0 >> _SHIFT) ^ c3 ^ k1
        c3 = np.uint32(p0 & _LOW)
        k0 = np.uint32(k0 + _WEYL_0)
        k1 = np.uint32(k1 + _WEYL_1)
    return (np.uint64(c1) << _SHIFT) | np.uint64(c0), (np.uint64(c3) << _SHIFT) | np.uint64(c2)


@njit(inline="always")
def unit(word):
    """A uniform number in [0, 1) from the upper 53 bits of a 64-bit word."""
    return np.float64(word >> np.uint64(11)) * _UNIT


@njit(inline="always")
def rotate_left(word, bits):
    """`word` rotated left by `bits` (0 < bits < 64)."""
    return (word << np.uint64(bits)) | (word >> np.uint64(64 - bits))


@njit(inline="always")
def xoshiro(stream):
    """The next 64-bit word of a stream `(4,)`, advanced in place (xoshiro256+)."""
    s0, s1, s2, s3 = stream[0], stream[1], stream[2], stream[3]
    word = s0 + s3
    s2 ^= s0
    s3 ^= s1
    stream[0] = s0 ^ s3
    stream[1] = s1 ^ s2
    stream[2] = s2 ^ (s1 << np.uint64(17))
    stream[3] = rotate_left(s3, 45)
    return word


@njit(cache=True, nogil=True)
def philox_words(seed, chains, lanes, sweep):
    """Philox words `(chains, lanes, 2)` for one sweep: the table that tests and starting configurations read."""
    words = np.empty((chains, lanes, 2), np.uint64)
    for chain in range(chains):
        for lane in range(lanes):
            words[chain, lane, 0], words[chain, lane, 1] = philox(seed, lane, chain, sweep)
    return words


@njit(cache=True, nogil=True)
def seed_streams(seed, chains, lanes):
    """Xoshiro streams `(chains, 4, lanes)`, each keyed by (seed, chain, lane)."""
    streams = np.empty((chains, 4, lanes), np.uint64)
    for chain in range(chains):
        for lane in range(lanes):
            # The last two values of the sweep counter are never reached by sampling.
            streams[chain, 0, lane], streams[chain, 1, lane] = philox(seed, lane, chain, np.uint64(2**64 - 1))
            streams[chain, 2, lane], streams[chain, 3, lane] = philox(seed, lane, chain, np.uint64(2**64 - 2))
    return streams
