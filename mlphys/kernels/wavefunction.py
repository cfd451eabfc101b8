"""Inner loops of a restricted Boltzmann machine: |ψ|² sampled, and what H makes of ψ, without a transcendental function.

log ψ = Σ a σ + Σ_j log cosh θ_j with θ = b + Wσ. A term of H turns one spin or exchanges two antiparallel ones, of which the
first is s: θ changes by −s D, D = 2W_i or 2(W_i − W_k), and the ratio of amplitudes is a product of cosh D − s t sinh D,
t = tanh θ. The tables of cosh D, sinh D and tanh D, `(n_terms, hidden)`, are made once for given weights.
"""

import numpy as np
from numba import njit

from mlphys.kernels.generators import philox, unit

# Lets a product be taken in several parts at once; nothing here is infinite or not a number.
_FAST = {"reassoc", "contract", "arcp", "nsz"}
_BLOCK = 16


@njit(inline="always")
def _acts(spins, flips, term):
    return flips.shape[1] == 1 or spins[flips[term, 0]] != spins[flips[term, 1]]


@njit(cache=True, nogil=True, fastmath=_FAST)
def _product(cosh, sinh, t):
    """∏ (cosh − t sinh) over the hidden units; with `sinh` of the right sign the ratio of their parts of ψ."""
    product = cosh[0] - t[0] * sinh[0]
    for j in range(1, len(t)):
        product *= cosh[j] - t[j] * sinh[j]
    return product


@njit(cache=True, nogil=True, fastmath=_FAST)
def _reversed_product(cosh, sinh, t):
    product = cosh[0] + t[0] * sinh[0]
    for j in range(1, len(t)):
        product *= cosh[j] + t[j] * sinh[j]
    return product


@njit(cache=True, nogil=True, fastmath=_FAST)
def _turn(t, tanh, sign):
    """t after θ has changed by −sign · D."""
    for j in range(len(t)):
        step = sign * tanh[j]
        t[j] = (t[j] - step) / (1 - step * t[j])


@njit(inline="always")
def _ratio(cosh, sinh, visible, term, sign, t):
    if sign > 0:
        return visible[term, 0] * _product(cosh[term], sinh[term], t)
    return visible[term, 1] * _reversed_product(cosh[term], sinh[term], t)


@njit(cache=True, nogil=True)
def metropolis_sweeps(x, flips, weights, bias, visible, cosh, sinh, tanh, betas, chains, seed, first_sweep, sweeps):
    """Metropolis sweeps of |ψ|^(2β): a sweep proposes as many terms, drawn at random, as there are sites.

    `visible` `(n_terms, 2)` holds the ratio from the fields a, for s = 1 and s = −1. Returns the accepted `(chains,)`.
    """
    accepted = np.zeros(len(x), np.int64)
    for row in range(len(x)):
        spins = x[row]
        t = bias.copy()
        for site in range(len(spins)):
            t += spins[site] * weights[site]
        t = np.tanh(t)
        for sweep in range(first_sweep, first_sweep + sweeps):
            for k in range(len(spins)):
                first, second = philox(seed, k, chains[row], sweep)
                term = np.int64(unit(first) * len(flips))
                if not _acts(spins, flips, term):
                    continue
                sign = spins[flips[term, 0]]
                if unit(second) < abs(_ratio(cosh, sinh, visible, term, sign, t)) ** (2 * betas[row]):
                    _turn(t, tanh[term], sign)
                    for site in flips[term]:
                        spins[site] = -spins[site]
                    accepted[row] += 1
    return accepted


@njit(cache=True, nogil=True)
def local_energies(x, t, flips, elements, visible, cosh, sinh, energies):
    """Add Σ_x' ⟨x|H|x'⟩ ψ(x')/ψ(x) over the terms of H to `energies` `(batch,)`; t = tanh θ `(batch, hidden)`."""
    # A block of states stays in the nearest cache while the tables pass by.
    for begin in range(0, len(x), _BLOCK):
        end = min(begin + _BLOCK, len(x))
        for term in range(len(flips)):
            for row in range(begin, end):
                if _acts(x[row], flips, term):
                    sign = x[row, flips[term, 0]]
                    energies[row] += elements[term] * _ratio(cosh, sinh, visible, term, sign, t[row])


@njit(cache=True, nogil=True, fastmath=_FAST)
def centred_overlaps(visible, hidden):
    """O O† of O = (σ, t, σ t) about its mean, from σσᵀ and tt†: lower triangles in Fortran order, the first overwritten."""
    n = len(visible)
    rows = np.zeros(n, visible.dtype)
    for j in range(n):
        a, b = visible[:, j], hidden[:, j]
        for i in range(j, n):
            a[i] += b[i] + a[i] * b[i]
            rows[i] += a[i]
        for i in range(j + 1, n):
            rows[j] += a[i]
    rows /= n
    mean = rows.mean()
    for j in range(n):
        a, own = visible[:, j], rows[j] - mean
        for i in range(j, n):
            a[i] -= rows[i] + own
    return visible
