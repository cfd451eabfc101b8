"""Bit-packed Ising lattices on the GPU: the kernels of `multispin`, a thread for each random stream.

A launch updates one sublattice of all chains. Neighbouring threads are neighbouring lanes, so they read neighbouring words;
each goes through the tiles of its block in the order of the CPU, and what happens to a word is the CPU's own functions.
Multi-spin coding on GPUs: Block, Virnau, Preis 2010 (10.1016/j.cpc.2010.05.005).
"""

import numba
import numpy as np
from numba import cuda

from mlphys.kernels.bitplanes import above, below, counts_of
from mlphys.kernels.multispin import DIGITS, LANES, skip, thresholds_of_chains, tiling, update

_BLOCK = 128
_DIGITS = 2 + 2 * DIGITS  # of a shared array, whose size has to be a constant
# A few chains of small lattices are no reason to warn.
numba.config.CUDA_LOW_OCCUPANCY_WARNINGS = 0


def launch(kernel, chains, threads, *arguments):
    """Run `kernel(*arguments, per_chain)` with that many threads for each chain, in `per_chain` blocks of one chain each."""
    block = min(_BLOCK, threads)
    per_chain = -(-threads // block)
    kernel[chains * per_chain, block](*arguments, per_chain)


def packed_sweeps(words, streams, probabilities, sweeps, rule, seam):
    """`multispin.strips_sweep` (seam 1) or `replicas_sweep` (seam 0) of `words` and `streams` on the GPU."""
    digits, rests = map(cuda.to_device, thresholds_of_chains(probabilities.reshape(len(words), -1, 2)))
    for _ in range(sweeps):
        for sublattice in range(2):
            launch(_update, len(words), streams.shape[2], words, streams, digits, rests, sublattice, rule, seam)


def packed_sums(words, seam):
    """`bitplanes.strips_sums` (seam 1) `(chains, 3)` or `replicas_sums` (seam 0) `(blocks, 64, 3)` of words on the GPU."""
    bits = 1 if seam else 64
    sums = cuda.to_device(np.zeros((len(words), bits, 3), np.int64))
    threads = bits * min(words.shape[2] * words.shape[3], 2**15 // bits)
    launch(_count, len(words), threads, words, sums, seam)
    return sums.copy_to_host().reshape(-1, 3) if seam else sums.copy_to_host()


@cuda.jit(cache=True)
def _update(words, streams, all_digits, all_rests, sublattice, rule, seam, per_chain):
    chain = cuda.blockIdx.x // per_chain
    thread = cuda.blockIdx.x % per_chain * cuda.blockDim.x + cuda.threadIdx.x
    digits = cuda.shared.array(_DIGITS, np.uint64)
    rests = cuda.shared.array((64, 2), np.float64)
    for k in range(cuda.threadIdx.x, _DIGITS, cuda.blockDim.x):
        digits[k] = all_digits[chain, k]
    for k in range(cuda.threadIdx.x, 64, cuda.blockDim.x):
        rests[k, 0] = all_rests[chain, k, 0]
        rests[k, 1] = all_rests[chain, k, 1]
    cuda.syncthreads()
    lanes = streams.shape[2]
    if thread >= lanes:
        return
    stream = cuda.local.array(4, np.uint64)
    for k in range(4):
        stream[k] = streams[chain, k, thread]
    plane = words[chain, sublattice]
    other = words[chain, 1 - sublattice]
    rows, width = plane.shape
    batch, tiles, total = tiling(rows, width)
    run = -(-total * LANES // lanes)
    lane, first = thread % LANES, thread // LANES * run
    # Divisions are slow: rows and columns are counted along.
    row_0, column_0 = lane // width, lane % width
    tile, start = first % tiles, first // tiles * batch
    row, column = start + (tile * LANES + lane) // width, (tile * LANES + lane) % width
    for _ in range(first, min(first + run, total)):
        if row < min(start + batch, rows):
            up = other[row - 1, column] if row > 0 else np.uint64(above(other[rows - 1, column], seam))
            down = other[row + 1, column] if row < rows - 1 else np.uint64(below(other[0, column], seam))
            if (row + sublattice) % 2:
                beside = other[row, column + 1 if column < width - 1 else 0]
            else:
                beside = other[row, column - 1 if column > 0 else width - 1]
            plane[row, column] = update(
                stream, plane[row, column], up, down, other[row, column], beside, digits, rests, rule
            )
        else:
            skip(stream)
        tile += 1
        column += LANES
        while column >= width:
            column -= width
            row += 1
        if tile == tiles:
            tile = 0
            start += batch
            row, column = start + row_0, column_0
    for k in range(4):
        streams[chain, k, thread] = stream[k]


@cuda.jit(cache=True)
def _count(words, sums, seam, per_chain):
    chain = cuda.blockIdx.x // per_chain
    bits = sums.shape[1]
    thread = cuda.blockIdx.x % per_chain * cuda.blockDim.x + cuda.threadIdx.x
    threads = per_chain * cuda.blockDim.x // bits
    bit = thread % bits
    plane = words[chain, 0]
    other = words[chain, 1]
    rows, width = plane.shape
    unequal, even, odd = 0, 0, 0
    for i in range(thread // bits, rows * width, threads):
        row, column = i // width, i % width
        up = other[row - 1, column] if row > 0 else np.uint64(above(other[rows - 1, column], seam))
        down = other[row + 1, column] if row < rows - 1 else np.uint64(below(other[0, column], seam))
        if row % 2:
            beside = other[row, column + 1 if column < width - 1 else 0]
        else:
            beside = other[row, column - 1 if column > 0 else width - 1]
        more = counts_of(plane[row, column], up, down, other[row, column], beside, bit if bits > 1 else -1)
        unequal += more[0]
        even += more[1]
        odd += more[2]
    cuda.atomic.add(sums, (chain, bit, 0), unequal)
    cuda.atomic.add(sums, (chain, bit, 1), even)
    cuda.atomic.add(sums, (chain, bit, 2), odd)
