"""Inner loops of a sum of restricted Boltzmann machines, ψ = Σ_k ∏_j 2 cosh θ_kj.

Each machine keeps up and down as in `mlphys.kernels.wavefunction`, and its part of ψ, its share. A term of H multiplies
share k by a product over its hidden units; the ratio of amplitudes is the sum of them. Tables are `(n_terms, 2, machines,
hidden)`, their second index is 1 for s = 1 and 0 for s = −1.
"""

import numpy as np
from numba import njit

from mlphys.kernels.wavefunction import _FAST, _acts, _propose


@njit(cache=True, nogil=True, fastmath=_FAST)
def _ratio(shares, up, down, rise, fall):
    ratio = 0 * shares[0]
    for k in range(len(shares)):
        product = shares[k]
        for j in range(up.shape[1]):
            product *= up[k, j] * rise[k, j] + down[k, j] * fall[k, j]
        ratio += product
    return ratio


@njit(cache=True, nogil=True)
def _normalise(shares, up, down):
    """Make every up + down and the sum of the shares 1 again, so that nothing can overflow."""
    for k in range(len(shares)):
        for j in range(up.shape[1]):
            norm = up[k, j] + down[k, j]
            shares[k] *= norm
            up[k, j] /= norm
            down[k, j] /= norm
    shares /= shares.sum()


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def parts(x, up, down, shares, weights, bias):
    """Fill in up, down `(batch, machines, hidden)` and the shares `(batch, machines)` from weights `(n_sites, …)`."""
    theta, logs = np.empty_like(bias), np.empty(len(bias), bias.dtype)
    for row in range(len(x)):
        theta[:] = bias
        for site in range(x.shape[1]):
            theta += x[row, site] * weights[site]
        for k in range(len(theta)):
            logs[k], norm = 0, 1 + 0 * bias[k, 0]
            for j in range(theta.shape[1]):
                grows = theta[k, j].real > 0
                larger = theta[k, j] if grows else -theta[k, j]
                falling = np.exp(-2 * larger)
                logs[k] += larger
                both = 1 + falling
                norm *= both
                high = np.conj(both) / (both * np.conj(both)).real
                up[row, k, j], down[row, k, j] = (high, falling * high) if grows else (falling * high, high)
            logs[k] += np.log(norm)
        share = np.exp(logs - logs.real.max())
        shares[row] = share / share.sum()


@njit(cache=True, nogil=True)
def metropolis_sweeps(x, kept, flips, weights, bias, factors, betas, chains, seed, first_sweep, sweeps):
    """Metropolis sweeps of |ψ|^(2β); arguments and result as in `mlphys.kernels.wavefunction.metropolis_sweeps`."""
    accepted = np.zeros(len(x), np.int64)
    terms, bounds = np.empty(x.shape[1], np.int64), np.empty(x.shape[1])
    ups, downs = np.empty((1, *bias.shape), bias.dtype), np.empty((1, *bias.shape), bias.dtype)
    all_shares = np.empty((1, len(bias)), bias.dtype)
    for chain in range(len(x)):
        spins = x[chain]
        parts(x[chain : chain + 1], ups, downs, all_shares, weights, bias)
        up, down, shares = ups[0], downs[0], all_shares[0]
        for row in range(kept.shape[1]):
            for sweep in range(first_sweep + row * sweeps, first_sweep + (row + 1) * sweeps):
                _propose(terms, bounds, len(flips), betas[chain], seed, chains[chain], sweep)
                _normalise(shares, up, down)
                amplitude = 1.0
                for term, bound in zip(terms, bounds):  # noqa: B905
                    if not _acts(spins, flips, term):
                        continue
                    side = (1 + spins[flips[term, 0]]) // 2
                    rise, fall = factors[term, side], factors[term, 1 - side]
                    turned = abs(_ratio(shares, up, down, rise, fall))
                    if turned > bound * amplitude:
                        amplitude = turned
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
def local_energies(x, up, down, shares, energies, flips, elements, factors):
    """Add Σ_x' ⟨x|H|x'⟩ ψ(x')/ψ(x) over the terms of H to `energies` `(batch,)`."""
    for row in range(len(x)):
        for term in range(len(flips)):
            if _acts(x[row], flips, term):
                side = (1 + x[row, flips[term, 0]]) // 2
                rise, fall = factors[term, side], factors[term, 1 - side]
                energies[row] += elements[term] * _ratio(shares[row], up[row], down[row], rise, fall)
