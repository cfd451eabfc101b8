"""Single-site updates of models with q values a site and one energy for each pair of neighbouring values.

H = Σ_bonds E(s, s') with s = 0 … q − 1 and a symmetric table E `(q, q)`: Potts, clock, or any other. Sites are visited
colour by colour, and each draws the Philox word of its own (seed, chain, sweep, site). As for Ising spins, one Metropolis
sweep in 16 proposes changes with probability 1/2 only, so that no sequence of moves is certain.

Metropolis et al. 1953, 10.1063/1.1699114; heat bath: Creutz 1980, 10.1103/PhysRevD.21.2308.
"""

import numpy as np
from numba import njit

from mlphys.kernels.generators import unit
from mlphys.kernels.spins import BLOCK, draw, proposes_half


@njit(inline="always")
def other_value(word, value, q):
    """A value other than `value`, each as likely, and a uniform number for its acceptance, given a random 64-bit word."""
    choice = unit(word) * (q - 1)
    step = np.uint64(choice)
    other = value + np.uint64(1) + step
    return (other - np.uint64(q) if other >= np.uint64(q) else other), choice - np.float64(step)


@njit(inline="always")
def drawn_value(word, cumulative):
    """A value drawn with the probabilities behind their `cumulative` weights, given a random 64-bit word."""
    last = len(cumulative) - 1
    target = unit(word) * cumulative[last]
    drawn = 0
    for value in range(last):
        drawn += cumulative[value] <= target
    return drawn


@njit(inline="always")
def _near(x, neighbours, site, k):
    return np.uint64(x[np.uint32(neighbours[site, k])])


@njit(inline="always")
def _weight(x, neighbours, factors, site, value):
    """Boltzmann weight of `value` at `site`: a product of factors `(q, q)` over its neighbours."""
    if neighbours.shape[1] == 4:  # unrolled: twice as fast
        return (factors[_near(x, neighbours, site, 0), value] * factors[_near(x, neighbours, site, 1), value]) * (
            factors[_near(x, neighbours, site, 2), value] * factors[_near(x, neighbours, site, 3), value]
        )
    weight = 1.0
    for k in range(neighbours.shape[1]):
        weight *= factors[_near(x, neighbours, site, k), value]
    return weight


@njit(cache=True, nogil=True)
def _cold(x, neighbours, exponents, site):
    """Logarithms of all weights, the largest of them 0: for temperatures where products would leave the range of floats."""
    total = np.zeros(len(exponents))
    for k in range(neighbours.shape[1]):
        total += exponents[x[neighbours[site, k]]]
    return total - total.max()


@njit(inline="always")
def _exponents(beta, pair_energy, neighbours):
    """−β E about its mean, and whether products of its exponentials over all neighbours stay in the range of floats."""
    exponents = -beta * (pair_energy - pair_energy.mean())
    return exponents, neighbours.shape[1] * np.abs(exponents).max() < 700.0


@njit(cache=True, nogil=True)
def metropolis_sweeps(x, neighbours, pair_energy, order, betas, chains, seed, first_sweep, sweeps):
    """Metropolis sweeps that propose any other value; changed sites `(chains,)`."""
    changed = np.zeros(len(x), np.int64)
    words = np.empty(BLOCK, np.uint64)
    for row in range(len(x)):
        values, total = x[row], 0
        exponents, warm = _exponents(betas[row], pair_energy, neighbours)
        factors = np.exp(exponents)
        for sweep in range(first_sweep, first_sweep + sweeps):
            proposal = 0.5 if proposes_half(sweep) else 1.0
            for start in range(0, len(order), BLOCK):
                block = order[start : start + BLOCK]
                draw(words, seed, block, chains[row], sweep)
                for k in range(len(block)):
                    site = np.uint32(block[k])
                    old = np.uint64(values[site])
                    new, uniform = other_value(words[k], old, len(pair_energy))
                    if warm:
                        before = _weight(values, neighbours, factors, site, old)
                        after = _weight(values, neighbours, factors, site, new)
                    else:
                        logarithms = _cold(values, neighbours, exponents, site)
                        before, after = 1.0, np.exp(min(logarithms[new] - logarithms[old], 0.0))
                    accepted = uniform * before < proposal * min(before, after)
                    values[site] = new if accepted else old
                    total += accepted
        changed[row] = total
    return changed


@njit(cache=True, nogil=True)
def heat_bath_sweeps(x, neighbours, pair_energy, order, betas, chains, seed, first_sweep, sweeps):
    """Heat-bath sweeps; changed sites `(chains,)`."""
    changed = np.zeros(len(x), np.int64)
    words = np.empty(BLOCK, np.uint64)
    cumulative = np.empty(len(pair_energy))
    for row in range(len(x)):
        values, total = x[row], 0
        exponents, warm = _exponents(betas[row], pair_energy, neighbours)
        factors = np.exp(exponents)
        for sweep in range(first_sweep, first_sweep + sweeps):
            for start in range(0, len(order), BLOCK):
                block = order[start : start + BLOCK]
                draw(words, seed, block, chains[row], sweep)
                for k in range(len(block)):
                    site = np.uint32(block[k])
                    if warm:
                        weight = 0.0
                        for value in range(len(cumulative)):
                            weight += _weight(values, neighbours, factors, site, value)
                            cumulative[value] = weight
                    else:
                        cumulative[:] = np.cumsum(np.exp(_cold(values, neighbours, exponents, site)))
                    new = drawn_value(words[k], cumulative)
                    total += new != values[site]
                    values[site] = new
        changed[row] = total
    return changed


@njit(cache=True, nogil=True)
def energies_and_counts(x, neighbours, pair_energy):
    """Total energies `(chains,)` and the number of sites at each value, `(chains, q)`."""
    energies = np.zeros(len(x))
    counts = np.zeros((len(x), len(pair_energy)), np.int64)
    forward = neighbours.shape[1] // 2
    for chain in range(len(x)):
        values = x[chain]
        for site in range(values.size):
            row = pair_energy[values[site]]
            for k in range(forward):
                energies[chain] += row[values[np.uint32(neighbours[site, k])]]
            counts[chain, values[site]] += 1
    return energies, counts
