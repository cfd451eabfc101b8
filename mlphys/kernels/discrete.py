"""Single-site updates of models with q values a site and one energy for each pair of neighbouring values.

H = Σ_bonds E(s, s') with s = 0 … q − 1 and a symmetric table E `(q, q)`: Potts, clock, or any other. Sites are visited
colour by colour, and each draws the Philox word of its own (seed, chain, sweep, site). As for Ising spins, one Metropolis
sweep in 16 proposes changes with probability 1/2 only, so that no sequence of moves is certain.

Metropolis et al. 1953, 10.1063/1.1699114; heat bath: Creutz 1980, 10.1103/PhysRevD.21.2308.
"""

import numpy as np
from numba import njit

from mlphys.kernels.generators import unit
from mlphys.kernels.spins import _BLOCK, _draw, proposes_half

# exp(±700) is still a number: products of Boltzmann factors must stay within.
_LARGEST_EXPONENT = 700.0


@njit(inline="always")
def other_value(word, value, q):
    """A value other than `value`, each as likely, and a uniform number for its acceptance, given a random 64-bit word."""
    choice = unit(word) * (q - 1)
    step = np.int64(choice)
    other = value + 1 + step
    return (other - q if other >= q else other), choice - step


@njit(inline="always")
def drawn_value(word, weights):
    """A value drawn with probabilities proportional to `weights`, given a random 64-bit word."""
    total = 0.0
    for value in range(len(weights)):
        total += weights[value]
    target = unit(word) * total
    below, drawn = 0.0, 0
    for value in range(len(weights) - 1):
        below += weights[value]
        drawn += below <= target
    return drawn


@njit(inline="always")
def _energy_change(x, neighbours, pair_energy, site, old, new):
    change = 0.0
    for k in range(neighbours.shape[1]):
        row = pair_energy[x[np.uint32(neighbours[site, k])]]
        change += row[new] - row[old]
    return change


@njit(cache=True, nogil=True)
def metropolis_sweeps(x, neighbours, pair_energy, order, betas, chains, seed, first_sweep, sweeps):
    """Metropolis sweeps that propose any other value; changed sites `(chains,)`."""
    changed = np.zeros(len(x), np.int64)
    q = len(pair_energy)
    words = np.empty(_BLOCK, np.uint64)
    for row in range(len(x)):
        values, beta = x[row], betas[row]
        for sweep in range(first_sweep, first_sweep + sweeps):
            proposal = 0.5 if proposes_half(sweep) else 1.0
            for start in range(0, len(order), _BLOCK):
                block = order[start : start + _BLOCK]
                _draw(words, seed, block, chains[row], sweep)
                for k in range(len(block)):
                    site = np.uint32(block[k])
                    old = np.int64(values[site])
                    new, uniform = other_value(words[k], old, q)
                    cost = _energy_change(values, neighbours, pair_energy, site, old, new)
                    if uniform < proposal and (cost <= 0.0 or uniform < proposal * np.exp(-beta * cost)):
                        values[site] = new
                        changed[row] += 1
    return changed


@njit(cache=True, nogil=True)
def heat_bath_sweeps(x, neighbours, pair_energy, order, betas, chains, seed, first_sweep, sweeps):
    """Heat-bath sweeps; changed sites `(chains,)`."""
    changed = np.zeros(len(x), np.int64)
    centred = pair_energy - pair_energy.mean()
    words = np.empty(_BLOCK, np.uint64)
    weights = np.empty(len(pair_energy))
    for row in range(len(x)):
        values = x[row]
        exponents = -betas[row] * centred
        factors = np.exp(exponents)
        multiplies = neighbours.shape[1] * np.abs(exponents).max() < _LARGEST_EXPONENT
        for sweep in range(first_sweep, first_sweep + sweeps):
            for start in range(0, len(order), _BLOCK):
                block = order[start : start + _BLOCK]
                _draw(words, seed, block, chains[row], sweep)
                for k in range(len(block)):
                    site = np.uint32(block[k])
                    if multiplies:
                        _multiply(values, neighbours, factors, site, weights)
                    else:
                        _add(values, neighbours, exponents, site, weights)
                    new = drawn_value(words[k], weights)
                    changed[row] += new != values[site]
                    values[site] = new
    return changed


@njit(inline="always")
def _multiply(x, neighbours, factors, site, weights):
    """Boltzmann weights of the values at `site` as products over its neighbours."""
    weights[:] = factors[x[np.uint32(neighbours[site, 0])]]
    for k in range(1, neighbours.shape[1]):
        row = factors[x[np.uint32(neighbours[site, k])]]
        for value in range(len(weights)):
            weights[value] *= row[value]


@njit(inline="always")
def _add(x, neighbours, exponents, site, weights):
    """The same from sums of exponents, at temperatures so low that products would leave the range of floats."""
    weights[:] = 0.0
    for k in range(neighbours.shape[1]):
        weights += exponents[x[np.uint32(neighbours[site, k])]]
    weights[:] = np.exp(weights - weights.max())


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
