"""Cluster updates of Ising models: Wolff and Swendsen-Wang, on the square lattice and on any other.

Two sites joined by a satisfied bond (J s s' > 0) are linked with probability 1 - exp(-2 β |J|). Random numbers come
from one xoshiro256+ stream per chain, `streams (chains, 4, 1)` from `seed_streams(seed, chains, 1)`, advanced in place.

Swendsen and Wang 1987, 10.1103/PhysRevLett.58.86; Wolff 1989, 10.1103/PhysRevLett.62.361; raster labelling: Hoshen
and Kopelman 1976, 10.1103/PhysRevB.14.3438.
"""

import numpy as np
from numba import njit

from mlphys.kernels.bits import popcount
from mlphys.kernels.generators import rotate_left, unit, xoshiro

_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_ALL = np.uint64(2**64 - 1)
_FLIP = np.int8(-2)  # s ^ -2 = -s for s = ±1


@njit(inline="always")
def link_threshold(strength):
    """The integer that a random 64-bit word falls short of with probability 1 - exp(-2 strength), strength = β |J|."""
    if strength < 0.25:
        return np.uint64(-np.expm1(-2.0 * strength) * 2.0**64)
    # The complement keeps its digits where the probability itself rounds to one.
    apart = np.uint64(np.exp(-2.0 * strength) * 2.0**64)
    return _ALL - max(apart, _ONE) + _ONE


@njit
def links(wanted, threshold, stream):
    """A word whose bits are set with probability threshold / 2^64, independently, where they are `wanted`.

    Bit by bit a random number is compared with the threshold, most significant digit first, in all 64 lanes at once,
    until no lane is undecided: about 7 random words.
    """
    s0, s1, s2, s3 = stream[0], stream[1], stream[2], stream[3]
    result = _ZERO
    for k in range(64):
        if k >= 10 and wanted == _ZERO:  # ten digits before the first question: cheaper than a missed branch
            break
        word = s0 + s3
        s2, s3 = s2 ^ s0, s3 ^ s1
        s0, s1, s2, s3 = s0 ^ s3, s1 ^ s2, s2 ^ (s1 << np.uint64(17)), rotate_left(s3, 45)
        digit = _ZERO - ((threshold >> np.uint64(63 - k)) & _ONE)
        result |= wanted & digit & ~word
        wanted &= ~(word ^ digit)
    stream[0], stream[1], stream[2], stream[3] = s0, s1, s2, s3
    return result


@njit(cache=True, nogil=True)
def wolff_clusters(spins, neighbours, couplings, betas, clusters, streams):
    """Flip `clusters (chains,)` Wolff clusters on any lattice with any couplings; flipped sites `(chains,)`."""
    flipped = np.zeros(len(spins), np.int64)
    queue = np.empty(spins.shape[1] + 1, np.int32)
    for chain in range(len(spins)):
        for _ in range(clusters[chain]):
            flipped[chain] += _flip_any(spins[chain], neighbours, couplings, betas[chain], streams[chain, :, 0], queue)
    return flipped


@njit
def _flip_any(x, neighbours, couplings, beta, stream, queue):
    """Grow and flip one cluster, breadth first; its size.

    Queued sites carry their spin in the lowest bit and read as zero until the end, so that none is taken twice.
    """
    site = np.uint32(unit(xoshiro(stream)) * x.size)
    queue[0] = (site << 1) | (x[site] > 0)
    x[site] = 0
    head, tail = _ZERO, _ONE
    strength, threshold = 0.0, _ZERO
    while head < tail:
        site, spin = np.uint32(queue[head] >> 1), 2 * (queue[head] & 1) - 1
        head += _ONE
        for k in range(neighbours.shape[1]):
            coupling = couplings[site, k]
            if abs(coupling) != strength:
                strength = abs(coupling)
                threshold = link_threshold(beta * strength)
            other = np.uint32(neighbours[site, k])
            joins = (coupling * spin * x[other] > 0.0) & (xoshiro(stream) < threshold)
            queue[tail] = (other << 1) | (x[other] > 0)
            x[other] *= 1 - joins
            tail += np.uint64(joins)
    for entry in queue[:tail]:
        x[np.uint32(entry >> 1)] = 1 - 2 * (entry & 1)
    return np.int64(tail)


@njit
def _square_neighbours(rows, columns):
    neighbours = np.empty((rows * columns, 4), np.int32)
    for site in range(rows * columns):
        row, column = site // columns, site % columns
        neighbours[site, 0] = row * columns + (column + 1) % columns
        neighbours[site, 1] = (row + 1) % rows * columns + column
        neighbours[site, 2] = row * columns + (column - 1) % columns
        neighbours[site, 3] = (row - 1) % rows * columns + column
    return neighbours


@njit(cache=True, nogil=True)
def wolff_clusters_square(spins, rows, columns, coupling, betas, clusters, streams):
    """Flip `clusters (chains,)` Wolff clusters on periodic square lattices; flipped sites `(chains,)`."""
    if coupling < 0.0 and (rows % 2 or columns % 2):  # frustrated: a cluster can hold both ends of an unsatisfied bond
        neighbours = _square_neighbours(rows, columns)
        return wolff_clusters(spins, neighbours, np.full(neighbours.shape, coupling), betas, clusters, streams)
    flipped = np.zeros(len(spins), np.int64)
    queue = np.empty(rows * columns + 1, np.uint32)
    for chain in range(len(spins)):
        threshold = link_threshold(betas[chain] * abs(coupling))
        stream = streams[chain, :, 0]
        for _ in range(clusters[chain]):
            flipped[chain] += _flip_square(spins[chain], rows, columns, coupling < 0.0, threshold, stream, queue)
    return flipped


@njit
def _visit(x, site, alike, link, queue, tail):
    """Flip and enqueue a neighbour, without a branch: the entry counts only if the tail moves."""
    joins = np.uint64(x[site] == alike) & link
    queue[tail] = site
    x[site] ^= np.int8(joins) * _FLIP
    return tail + joins


@njit
def _flip_square(x, rows, columns, staggered, threshold, stream, queue):
    """Grow and flip one cluster, breadth first; its size."""
    n_sites, width, one = np.uint32(rows * columns), np.uint32(columns), np.uint32(1)
    last_row, last_column = np.uint32(n_sites - width), np.uint32(width - one)
    # site // columns as a multiplication, exact while sites * columns < 2^40
    reciprocal = np.uint64(2**40) // np.uint64(columns) + _ONE
    site = np.uint32(unit(xoshiro(stream)) * n_sites)
    queue[0] = site
    x[site] ^= _FLIP
    head, tail = _ZERO, _ONE
    bits, left = _ZERO, 0
    while head < tail:
        site = queue[head]
        head += _ONE
        if left == 0:
            bits, left = links(_ALL, threshold, stream), 16
        left -= 1
        alike = x[site] if staggered else -x[site]
        column = np.uint32(site - np.uint32((np.uint64(site) * reciprocal) >> np.uint64(40)) * width)
        west = np.uint32(site + (last_column if column == 0 else np.uint32(-one)))
        east = np.uint32(site - (last_column if column == last_column else np.uint32(-one)))
        north = np.uint32(site + (last_row if site < width else np.uint32(-width)))
        south = np.uint32(site - (last_row if site >= last_row else np.uint32(-width)))
        tail = _visit(x, west, alike, bits & _ONE, queue, tail)
        tail = _visit(x, east, alike, (bits >> _ONE) & _ONE, queue, tail)
        tail = _visit(x, north, alike, (bits >> np.uint64(2)) & _ONE, queue, tail)
        tail = _visit(x, south, alike, (bits >> np.uint64(3)) & _ONE, queue, tail)
        bits >>= np.uint64(4)
    return np.int64(tail)


@njit(cache=True, nogil=True)
def swendsen_wang_sweeps_square(spins, rows, columns, coupling, betas, sweeps, streams):
    """Swendsen-Wang sweeps of periodic square lattices with one coupling and no field.

    Raster labelling by runs: the linked bonds of 64 columns are drawn as bits of one word, and a run of sites linked
    along a row shares a label, which is the number of beginnings of runs so far: a count of bits.
    """
    n_words = (columns + 63) // 64
    signs = np.empty((rows, n_words), np.uint64)
    begins = np.empty((rows, n_words), np.uint64)
    before = np.empty((rows, n_words), np.uint64)
    parents = np.empty(rows * columns + 64, np.uint32)
    flips = np.empty(rows * columns, np.int8)
    for chain in range(len(spins)):
        x, stream = spins[chain].reshape(rows, columns), streams[chain, :, 0]
        threshold = link_threshold(betas[chain] * abs(coupling))
        unlike = _ALL if coupling < 0.0 else _ZERO
        for _ in range(sweeps):
            _pack(x, signs)
            n_runs = _label_runs(signs, columns, unlike, threshold, stream, begins, before, parents)
            _toss(parents, n_runs, stream, flips)
            _flip_runs(x, begins, before, flips)


@njit
def _pack(x, signs):
    """The signs of the spins as bits, 64 columns to a word."""
    for row in range(x.shape[0]):
        for k in range(signs.shape[1]):
            part = x[row, 64 * k : 64 * (k + 1)]
            word = _ZERO
            for c in range(len(part)):
                word |= np.uint64(part[c] < 0) << np.uint64(c)
            signs[row, k] = word


@njit
def _root(parents, label):
    """The root of a label's tree, with path halving (Tarjan and van Leeuwen 1984, 10.1145/62.2160)."""
    parent = np.uint64(parents[label])
    while parent != label:
        grandparent = np.uint64(parents[parent])
        parents[label] = grandparent
        label, parent = grandparent, np.uint64(parents[grandparent])
    return label


@njit
def _join(parents, a, b):
    """Link two roots, the later below the earlier, so that a parent never comes after its child; the root of both."""
    low, high = min(a, b), max(a, b)
    parents[high] = low
    return low


@njit
def _label_runs(signs, columns, unlike, threshold, stream, begins, before, parents):
    """Draw the links and join the runs; the number of runs.

    Fills `begins`, a bit where a run begins, and `before`, the runs before each word: together the label of a site.
    """
    rows, n_words = signs.shape
    last_bit = np.uint64((columns - 1) % 64)
    n_runs = _ZERO
    for row in range(rows):
        first = n_runs
        carry = signs[row, n_words - 1] >> last_bit
        closes = False
        label, root = _ALL, _ZERO
        for k in range(n_words):
            inside = _ALL >> (np.uint64(63) - last_bit) if k == n_words - 1 else _ALL
            here, above = signs[row, k], signs[row - 1, k]
            west = (here << _ONE) | carry
            carry = here >> np.uint64(63)
            linked = links(~(here ^ west ^ unlike) & inside, threshold, stream)
            if k == 0:  # the bond around the torus joins the last run of the row to the first
                closes = (linked & _ONE) != _ZERO
                linked &= ~_ONE
            begin = inside & ~linked
            begins[row, k], before[row, k] = begin, n_runs
            for c in range(64):
                parents[n_runs + np.uint64(c)] = n_runs + np.uint64(c)
            n_runs += popcount(begin)
            if row == 0:
                continue
            pending = links(~(here ^ above ^ unlike) & inside, threshold, stream)
            # Of two neighbouring vertical links between the same two runs one is enough.
            pending &= ~((pending << _ONE) & linked & ~begins[row - 1, k])
            while pending:
                upto = pending ^ (pending - _ONE)
                pending &= pending - _ONE
                own = before[row, k] + popcount(begin & upto) - _ONE
                if own != label:  # a new run is its own root still
                    label = root = own
                other = before[row - 1, k] + popcount(begins[row - 1, k] & upto) - _ONE
                root = _join(parents, _root(parents, other), root)
        if closes:
            _join(parents, _root(parents, first), _root(parents, n_runs - _ONE))
    for k in range(n_words):
        inside = _ALL >> (np.uint64(63) - last_bit) if k == n_words - 1 else _ALL
        pending = links(~(signs[0, k] ^ signs[rows - 1, k] ^ unlike) & inside, threshold, stream)
        while pending:
            upto = pending ^ (pending - _ONE)
            pending &= pending - _ONE
            own = before[0, k] + popcount(begins[0, k] & upto) - _ONE
            other = before[rows - 1, k] + popcount(begins[rows - 1, k] & upto) - _ONE
            _join(parents, _root(parents, own), _root(parents, other))
    return np.int64(n_runs)


@njit
def _toss(parents, n_runs, stream, flips):
    """A coin for each root, passed on to its tree: one pass, since parents come before their children."""
    for start in range(0, n_runs, 64):
        coins = xoshiro(stream)
        for label in range(np.uint64(start), np.uint64(min(start + 64, n_runs))):
            parent = parents[label]
            coin = np.int8(coins & _ONE) * _FLIP
            coins >>= _ONE
            flips[label] = coin if parent == label else flips[parent]


@njit
def _flip_runs(x, begins, before, flips):
    for row in range(x.shape[0]):
        for k in range(begins.shape[1]):
            part, begin = x[row, 64 * k : 64 * (k + 1)], begins[row, k]
            label = before[row, k] - _ONE
            for c in range(len(part)):
                label += begin & _ONE
                begin >>= _ONE
                part[c] ^= flips[label]


@njit(cache=True, nogil=True)
def swendsen_wang_sweeps(spins, neighbours, couplings, fields, betas, sweeps, streams):
    """Swendsen-Wang sweeps on any lattice with any couplings and fields."""
    parents = np.empty(spins.shape[1], np.uint32)
    pulls = np.empty(spins.shape[1])
    flips = np.empty(spins.shape[1], np.int8)
    for chain in range(len(spins)):
        for _ in range(sweeps):
            _label_sites(spins[chain], neighbours, couplings, betas[chain], streams[chain, :, 0], parents)
            _turn(spins[chain], fields, betas[chain], streams[chain, :, 0], parents, pulls, flips)


@njit
def _label_sites(x, neighbours, couplings, beta, stream, parents):
    """Draw the links, each bond from the later of its sites, and join what they link."""
    strength, threshold = 0.0, _ZERO
    for site in range(np.uint64(x.size)):
        spin, root = x[site], site
        parents[site] = site
        for k in range(neighbours.shape[1]):
            other = np.uint64(neighbours[site, k])
            coupling = couplings[site, k]
            if other >= site or coupling * spin * x[other] <= 0.0:
                continue
            if abs(coupling) != strength:
                strength = abs(coupling)
                threshold = link_threshold(beta * strength)
            if xoshiro(stream) < threshold:
                root = _join(parents, _root(parents, other), root)


@njit
def _turn(x, fields, beta, stream, parents, pulls, flips):
    """Turn each cluster by heat bath in the sum of its fields; without a field that is a coin."""
    for site in range(np.uint64(x.size)):
        parents[site] = root = np.uint64(parents[parents[site]])
        if root == site:
            pulls[site] = 0.0
        pulls[root] += fields[site] * x[site]
    for site in range(np.uint64(x.size)):
        root = np.uint64(parents[site])
        if root == site:
            turns = unit(xoshiro(stream)) < 1.0 / (1.0 + np.exp(2.0 * beta * pulls[site]))
            flips[site] = np.int8(turns) * _FLIP
        x[site] ^= flips[root]
