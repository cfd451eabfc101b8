"""Updates of one site after the other for a real field φ: Metropolis, heat bath, overrelaxation.

S = Σ_sites (a φ² + λ φ⁴) − b Σ_bonds φ φ'. Sites are visited colour by colour, and each draws the Philox words of its own
(seed, chain, sweep, site), so that no order of evaluation, thread or slice of chains can change a result. `chains` holds
the number of each chain, `first_sweep` the sweeps done before.
"""

import numpy as np
from numba import njit

from mlphys.kernels.generators import philox, unit


@njit(inline="always")
def metropolis_step(word, value, width):
    """The value proposed for a site, up to `width` away, given a random 64-bit word."""
    return value + width * (2.0 * unit(word) - 1.0)


@njit(inline="always")
def potential(value, quadratic, quartic, pull):
    """a φ² + λ φ⁴ − φ · pull, the part of the action that a site's value sets; pull = b Σ φ' over its neighbours."""
    square = value * value
    return (quartic * square + quadratic) * square - pull * value


@njit(inline="always")
def _neighbour_sum(x, neighbours, site):
    total = 0.0
    for k in range(neighbours.shape[1]):
        total += x[neighbours[site, k]]
    return total


@njit(cache=True, nogil=True)
def metropolis_sweeps(
    fields, neighbours, quadratic, quartic, hopping, order, widths, betas, chains, seed, first_sweep, sweeps
):
    """Metropolis sweeps; accepted changes `(chains,)`."""
    changed = np.zeros(len(fields), np.int64)
    for row in range(len(fields)):
        x = fields[row]
        for sweep in range(first_sweep, first_sweep + sweeps):
            for site in order:
                proposing, accepting = philox(seed, site, chains[row], sweep)
                pull = hopping * _neighbour_sum(x, neighbours, site)
                proposed = metropolis_step(proposing, x[site], widths[row])
                cost = potential(proposed, quadratic, quartic, pull) - potential(x[site], quadratic, quartic, pull)
                if unit(accepting) < np.exp(-betas[row] * cost):
                    x[site] = proposed
                    changed[row] += 1
    return changed
