"""Inner loops of a restricted Boltzmann machine: |ψ|² sampled, and what H makes of ψ, without a transcendental function.

log ψ = Σ a σ + Σ_j log 2 cosh θ_j with θ = b + Wσ. A term of H turns one spin or exchanges two antiparallel ones, of which
the first is s: θ changes by −s D, D = 2W_i or 2(W_i − W_k). With up = e^θ and down = e^−θ, each over 2 cosh θ, the ratio of
amplitudes is a product of up · e^(−sD) + down · e^(sD), and up and down only take a factor each: nothing cancels, nothing is
divided. The table of e^∓D, `factors` `(n_terms, 2, hidden)`, and the same of the fields a, `fields` `(n_terms, 2)`, are made
once for given weights; their second index is 1 for s = 1, 0 for s = −1.
"""

import numpy as np
from numba import njit, types
from numba.extending import overload

from mlphys.kernels.generators import philox, unit

# Lets a sum or product be taken in several parts at once; nothing here is infinite or not a number.
_FAST = {"reassoc", "contract", "arcp", "nsz"}


@njit(inline="always")
def _acts(spins, flips, term):
    return flips.shape[1] == 1 or spins[flips[term, 0]] != spins[flips[term, 1]]


def _product(up, down, rise, fall):
    """∏ (up rise + down fall) over the hidden units."""
    raise NotImplementedError("for kernels")


def _modulus(up, down, rise, fall):
    """|∏ (up rise + down fall)|."""
    raise NotImplementedError("for kernels")


@overload(_product, jit_options={"fastmath": _FAST})
def _product_of(up, down, rise, fall):
    def real(up, down, rise, fall):
        product = 1.0
        for j in range(len(up)):
            product *= up[j] * rise[j] + down[j] * fall[j]
        return product

    def halving(up, down, rise, fall):
        # A product of complex numbers one by one would wait for each of them.
        n = len(up)
        re, im = np.empty(n), np.empty(n)
        for j in range(n):
            factor = up[j] * rise[j] + down[j] * fall[j]
            re[j], im[j] = factor.real, factor.imag
        while n > 1:
            half, odd = n // 2, n % 2
            _multiply_into(re[odd : half + odd], im[odd : half + odd], re[half + odd : n], im[half + odd : n])
            n = half + odd
        return complex(re[0], im[0])

    return halving if isinstance(up.dtype, types.Complex) else real


@overload(_modulus, jit_options={"fastmath": _FAST})
def _modulus_of(up, down, rise, fall):
    def real(up, down, rise, fall):
        return abs(_product(up, down, rise, fall))

    def squares(up, down, rise, fall):
        product = 1.0
        for j in range(len(up)):
            factor = up[j] * rise[j] + down[j] * fall[j]
            product *= factor.real * factor.real + factor.imag * factor.imag
        return np.sqrt(product)

    return squares if isinstance(up.dtype, types.Complex) else real


@njit(cache=True, nogil=True, fastmath=_FAST)
def _multiply_into(re, im, other_re, other_im):
    for j in range(len(re)):
        re[j], im[j] = re[j] * other_re[j] - im[j] * other_im[j], re[j] * other_im[j] + im[j] * other_re[j]


@njit(cache=True, nogil=True, fastmath=_FAST)
def _normalise(up, down):
    for j in range(len(up)):
        scale = 1 / (up[j] + down[j])
        up[j] *= scale
        down[j] *= scale


@njit(inline="always")
def _lot(bits):
    """What the ratio of probabilities has to exceed: uniform, but never reached by one proposal in 256.

    Where every proposal is accepted, as in the uniform state, a sweep of an even number of them would keep a parity.
    """
    lot = unit(bits) * (256 / 255)
    return lot if lot < 1 else np.inf


@njit(cache=True, nogil=True)
def _propose(terms, bounds, n_terms, beta, seed, chain, sweep):
    """Draw the terms of a sweep, and for each the least |ratio| that is accepted, u^(1/2β)."""
    for k in range(len(terms)):
        first, second = philox(seed, k, chain, sweep)
        terms[k] = np.int64(unit(first) * n_terms)
        bounds[k] = np.sqrt(_lot(second))
    if beta != 1:
        for k in range(len(terms)):
            bounds[k] **= 1 / beta


@njit(cache=True, nogil=True)
def metropolis_sweeps(x, kept, flips, weights, bias, fields, factors, betas, chains, seed, first_sweep, sweeps):
    """Metropolis sweeps of |ψ|^(2β): a sweep proposes as many terms, drawn at random, as there are sites.

    After every `sweeps` of them x is copied to the next row of `kept` `(chains, rows, n_sites)`. Returns the accepted
    `(chains,)`.
    """
    accepted = np.zeros(len(x), np.int64)
    terms, bounds = np.empty(x.shape[1], np.int64), np.empty(x.shape[1])
    for chain in range(len(x)):
        spins, sweep = x[chain], first_sweep
        theta = bias.copy()
        for site in range(len(spins)):
            theta += spins[site] * weights[site]
        up, down = 1 / (1 + np.exp(-2 * theta)), 1 / (1 + np.exp(2 * theta))
        for row in range(kept.shape[1]):
            for sweep in range(first_sweep + row * sweeps, first_sweep + (row + 1) * sweeps):
                _propose(terms, bounds, len(flips), betas[chain], seed, chains[chain], sweep)
                # ∏ (up + down) is 1 again, so that it cannot overflow.
                _normalise(up, down)
                norm = 1.0
                for k in range(len(spins)):
                    term = terms[k]
                    if not _acts(spins, flips, term):
                        continue
                    side = (1 + spins[flips[term, 0]]) // 2
                    rise, fall = factors[term, side], factors[term, 1 - side]
                    modulus = _modulus(up, down, rise, fall)
                    if abs(fields[term, side]) * modulus > bounds[k] * norm:
                        norm = modulus
                        up *= rise
                        down *= fall
                        for site in flips[term]:
                            spins[site] = -spins[site]
                        accepted[chain] += 1
            kept[chain, row] = spins
    return accepted


def sweeps_in_place(x, *rest):
    """`metropolis_sweeps` that keeps nothing but the last state; `keeping` keeps more."""
    return metropolis_sweeps(x, x[:, None], *rest)


sweeps_in_place.keeping = metropolis_sweeps


@njit(cache=True, nogil=True)
def local_energies(x, up, down, energies, pairs, zz, flips, elements, fields, factors):
    """Put Σ_x' ⟨x|H|x'⟩ ψ(x')/ψ(x) into `energies` `(batch,)`; `up` and `down` are `(batch, hidden)`."""
    # A block of states stays in the nearest cache while the tables pass by.
    block = 8
    acting = np.empty(block, np.int64)
    for begin in range(0, len(x), block):
        end = min(begin + block, len(x))
        for row in range(begin, end):
            diagonal = 0.0
            for k in range(len(pairs)):
                diagonal += zz[k] * (x[row, pairs[k, 0]] * x[row, pairs[k, 1]])
            energies[row] = diagonal
        for term in range(len(flips)):
            count, first = 0, flips[term, 0]
            for row in range(begin, end):
                acting[count] = row
                count += flips.shape[1] == 1 or x[row, first] != x[row, flips[term, 1]]
            for row in acting[:count]:
                side = (1 + x[row, first]) // 2
                product = _product(up[row], down[row], factors[term, side], factors[term, 1 - side])
                energies[row] += elements[term] * fields[term, side] * product


@njit(cache=True, nogil=True, fastmath=_FAST)
def _multiply(visible, hidden, panel, sums):
    """Fill `panel` with (1 + visible) (1 + hidden) right of its diagonal, and add its rows and columns to `sums`."""
    for j in range(len(panel)):
        own = 0 * sums[0]
        for i in range(j, panel.shape[1]):
            panel[j, i] = (1 + visible[j, i]) * (1 + hidden[j, i])
            sums[i] += panel[j, i]
        for i in range(j + 1, panel.shape[1]):
            own += np.conj(panel[j, i])
        sums[j] += own


@njit(cache=True, nogil=True, fastmath=_FAST)
def _subtract(panel, means):
    overall = means.mean()
    for j in range(len(panel)):
        own = np.conj(means[j]) - overall
        for i in range(j, len(means)):
            panel[j, i] -= means[i] + own


@njit(cache=True, nogil=True)
def centred_overlaps(spins, t):
    """O O† of O = (σ, t, σ t) about its mean, `(batch, batch)` in Fortran order, of which only the lower triangle is filled.

    Up to a constant, which the mean takes away, it is (1 + σσᵀ) (1 + tt†), element by element: two small matrix products.
    """
    n, block, conjugate = len(spins), 128, np.conj(t)
    overlaps, means = np.empty((n, n), t.dtype), np.zeros(n, t.dtype)
    first, second = np.empty(block * n, spins.dtype), np.empty(block * n, t.dtype)
    for begin in range(0, n, block):
        end = min(begin + block, n)
        shape = (end - begin, n - begin)
        visible, hidden = first[: shape[0] * shape[1]].reshape(shape), second[: shape[0] * shape[1]].reshape(shape)
        np.dot(spins[begin:end], spins[begin:].T, visible)
        np.dot(conjugate[begin:end], t[begin:].T, hidden)
        _multiply(visible, hidden, overlaps[begin:end, begin:], means[begin:])
    means /= n
    _subtract(overlaps, means)
    return overlaps.T
