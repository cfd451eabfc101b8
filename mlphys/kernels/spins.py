"""Single-spin updates of Ising models on any lattice: Metropolis and heat bath, with energies and magnetisations.

H = -Σ J s s' (bonds) - Σ h s (sites). A bond stands in the rows of both its sites in the neighbour table; sites of
lower degree are padded with zero couplings. Sites are visited colour by colour, and each draws the Philox word of its
own (seed, chain, sweep, site), so that no order of evaluation, thread or slice of chains can change a result.
`chains` holds the number of each chain, `first_sweep` the sweeps done before.

Metropolis colour by colour is not ergodic by itself: where every local field vanishes (36 of the 65536 states of the
4 × 4 torus, stripes among them) every flip is free, hence certain, and leads to another such state, for ever. One sweep
in 16 therefore proposes each flip with probability 1/2 only, which keeps detailed balance and leaves no move certain.

Metropolis et al. 1953, 10.1063/1.1699114; heat bath: Creutz 1980, 10.1103/PhysRevD.21.2308.
"""

import numpy as np
from numba import njit

from mlphys.kernels.generators import philox, unit

BLOCK = 256


@njit(inline="always")
def proposes_half(sweep):
    """Whether this Metropolis sweep proposes each flip with probability 1/2 rather than 1."""
    return sweep % 16 == 15


@njit(inline="always")
def metropolis_flips(word, beta, delta_energy, proposal):
    """Whether a flip that costs `delta_energy`, of probability `proposal`, is made, given a random 64-bit word."""
    return unit(word) < proposal * np.exp(-beta * max(delta_energy, 0.0))


@njit(inline="always")
def heat_bath_up(word, beta, local_field):
    """Whether a spin in the `local_field` Σ J s' + h is drawn up, given a random 64-bit word."""
    return unit(word) < 1.0 / (1.0 + np.exp(-2.0 * beta * local_field))


@njit(inline="always")
def draw(words, seed, sites, chain, sweep):
    for k in range(len(sites)):  # a loop of its own, which the compiler vectorises
        words[k] = philox(seed, sites[k], chain, sweep)[0]


@njit(inline="always")
def _local_field(x, neighbours, couplings, fields, site):
    total = fields[site]
    for k in range(neighbours.shape[1]):
        total += couplings[site, k] * x[neighbours[site, k]]
    return total


@njit(inline="always")
def _neighbour_sum(x, neighbours, site):
    if neighbours.shape[1] == 4:  # unrolled: twice as fast
        return (x[np.uint32(neighbours[site, 0])] + x[np.uint32(neighbours[site, 1])]) + (
            x[np.uint32(neighbours[site, 2])] + x[np.uint32(neighbours[site, 3])]
        )
    total = 0
    for k in range(neighbours.shape[1]):
        total += x[np.uint32(neighbours[site, k])]
    return total


@njit(cache=True, nogil=True)
def metropolis_sweeps(spins, neighbours, couplings, fields, order, betas, chains, seed, first_sweep, sweeps):
    """Metropolis sweeps with a coupling per bond and a field per site; flipped spins `(chains,)`."""
    flipped = np.zeros(len(spins), np.int64)
    words = np.empty(BLOCK, np.uint64)
    for row in range(len(spins)):
        x, beta = spins[row], betas[row]
        for sweep in range(first_sweep, first_sweep + sweeps):
            proposal = 0.5 if proposes_half(sweep) else 1.0
            for start in range(0, len(order), BLOCK):
                block = order[start : start + BLOCK]
                draw(words, seed, block, chains[row], sweep)
                for k in range(len(block)):
                    site = block[k]
                    cost = 2.0 * x[site] * _local_field(x, neighbours, couplings, fields, site)
                    if metropolis_flips(words[k], beta, cost, proposal):
                        x[site] = -x[site]
                        flipped[row] += 1
    return flipped


@njit(cache=True, nogil=True)
def plaquette_sweeps(spins, neighbours, corners, coupling, plaquette, order, betas, chains, seed, first_sweep, sweeps):
    """Metropolis sweeps with products of four spins beside those of two; flipped spins `(chains,)`.

    `corners (n_sites, 4, 3)` are the other three sites of the plaquettes around each site.
    """
    flipped = np.zeros(len(spins), np.int64)
    words = np.empty(BLOCK, np.uint64)
    for row in range(len(spins)):
        x, beta = spins[row], betas[row]
        for sweep in range(first_sweep, first_sweep + sweeps):
            proposal = 0.5 if proposes_half(sweep) else 1.0
            for start in range(0, len(order), BLOCK):
                block = order[start : start + BLOCK]
                draw(words, seed, block, chains[row], sweep)
                for k in range(len(block)):
                    site = block[k]
                    threes = 0
                    for others in corners[site]:
                        threes += x[others[0]] * x[others[1]] * x[others[2]]
                    field = coupling * _neighbour_sum(x, neighbours, site) + plaquette * threes
                    if metropolis_flips(words[k], beta, 2.0 * x[site] * field, proposal):
                        x[site] = -x[site]
                        flipped[row] += 1
    return flipped


@njit(cache=True, nogil=True)
def heat_bath_sweeps(spins, neighbours, couplings, fields, order, betas, chains, seed, first_sweep, sweeps):
    """Heat-bath sweeps with a coupling per bond and a field per site; flipped spins `(chains,)`."""
    flipped = np.zeros(len(spins), np.int64)
    words = np.empty(BLOCK, np.uint64)
    for row in range(len(spins)):
        x, beta = spins[row], betas[row]
        for sweep in range(first_sweep, first_sweep + sweeps):
            for start in range(0, len(order), BLOCK):
                block = order[start : start + BLOCK]
                draw(words, seed, block, chains[row], sweep)
                for k in range(len(block)):
                    site = block[k]
                    local_field = _local_field(x, neighbours, couplings, fields, site)
                    spin = 2 * heat_bath_up(words[k], beta, local_field) - 1
                    flipped[row] += spin != x[site]
                    x[site] = spin
    return flipped


@njit(cache=True, nogil=True)
def metropolis_sweeps_uniform(spins, neighbours, coupling, field, order, betas, chains, seed, first_sweep, sweeps):
    """`metropolis_sweeps` for one coupling and one field, from a table of probabilities: the same decisions."""
    table = metropolis_table(neighbours.shape[1], coupling, field, betas)
    return _tabulated_sweeps(spins, neighbours, table, False, order, chains, seed, first_sweep, sweeps)


@njit(cache=True, nogil=True)
def heat_bath_sweeps_uniform(spins, neighbours, coupling, field, order, betas, chains, seed, first_sweep, sweeps):
    """`heat_bath_sweeps` for one coupling and one field, from a table of probabilities: the same decisions."""
    table = heat_bath_table(neighbours.shape[1], coupling, field, betas)
    return _tabulated_sweeps(spins, neighbours, table, True, order, chains, seed, first_sweep, sweeps)


@njit(nogil=True)
def metropolis_table(degree, coupling, field, betas):
    """Thresholds `(chains, 4 degree + 2)` for `_tabulated_sweeps`."""
    table = np.empty((len(betas), 4 * degree + 2), np.uint64)
    for row in range(len(betas)):
        for column in range(4 * degree + 2):
            cost = 2.0 * (2 * (column % 2) - 1) * (coupling * (column // 2 - degree) + field)
            table[row, column] = _threshold(np.exp(-betas[row] * max(cost, 0.0)))
    return table


@njit(nogil=True)
def heat_bath_table(degree, coupling, field, betas):
    """Thresholds `(chains, 4 degree + 2)` for `_tabulated_sweeps`."""
    table = np.empty((len(betas), 4 * degree + 2), np.uint64)
    for row in range(len(betas)):
        for column in range(4 * degree + 2):
            local_field = coupling * (column // 2 - degree) + field
            table[row, column] = _threshold(1.0 / (1.0 + np.exp(-2.0 * betas[row] * local_field)))
    return table


@njit(inline="always")
def _threshold(probability):
    """The 53-bit integer that `word >> 11` falls short of exactly when `unit(word) < probability`."""
    return np.uint64(np.ceil(probability * 2.0**53))


@njit(cache=True, nogil=True)
def _tabulated_sweeps(spins, neighbours, table, draws_up, order, chains, seed, first_sweep, sweeps):
    """Sweeps by integer thresholds `table[chain, 2 * (neighbour sum + degree) + (spin is up)]`.

    A word below its threshold flips the spin; with `draws_up` it sets the spin up, and any other sets it down.
    """
    flipped = np.zeros(len(spins), np.int64)
    degree = neighbours.shape[1]
    words = np.empty(BLOCK, np.uint64)
    for row in range(len(spins)):
        x = spins[row]
        flips = 0
        for sweep in range(first_sweep, first_sweep + sweeps):
            halved = np.uint64(proposes_half(sweep) and not draws_up)
            thresholds = (table[row] + halved) >> halved
            for start in range(0, len(order), BLOCK):
                block = order[start : start + BLOCK]
                draw(words, seed, block, chains[row], sweep)
                for k in range(len(block)):
                    site = np.uint32(block[k])
                    up = x[site] > 0
                    column = np.uint64(2 * (_neighbour_sum(x, neighbours, site) + degree) + up)
                    flip = (words[k] >> np.uint64(11) < thresholds[column]) ^ (up & draws_up)
                    x[site] *= 1 - 2 * flip
                    flips += flip
        flipped[row] = flips
    return flipped


@njit(cache=True, nogil=True)
def energies(spins, neighbours, couplings, fields):
    """Total energies `(chains,)` with a coupling per bond and a field per site."""
    result = np.zeros(len(spins))
    for row in range(len(spins)):
        x = spins[row]
        for site in range(x.size):
            # Each bond is met from both its ends.
            result[row] -= 0.5 * x[site] * (_local_field(x, neighbours, couplings, fields, site) + fields[site])
    return result


@njit(cache=True, nogil=True)
def energies_uniform(spins, neighbours, coupling, field):
    """Total energies `(chains,)` with one coupling and one field."""
    result = np.empty(len(spins))
    for row in range(len(spins)):
        x = spins[row]
        bonds, sites = 0, 0
        for site in range(x.size):
            bonds += x[site] * _neighbour_sum(x, neighbours, site)
            sites += x[site]
        result[row] = -0.5 * coupling * bonds - field * sites
    return result


@njit(cache=True, nogil=True)
def energies_square(spins, rows, columns, coupling, field):
    """Total energies `(chains,)` with one coupling and one field on a periodic square lattice, without its table."""
    result = np.empty(len(spins))
    for row in range(len(spins)):
        x = spins[row].reshape(rows, columns)
        bonds, sites = 0, 0
        for r in range(rows):
            here, below = x[r], x[(r + 1) % rows]
            bonds += here[columns - 1] * (here[0] + below[columns - 1])
            sites += here[columns - 1]
            for c in range(columns - 1):
                bonds += here[c] * (here[c + 1] + below[c])
                sites += here[c]
        result[row] = -coupling * bonds - field * sites
    return result


@njit(cache=True, nogil=True)
def magnetisations(spins):
    """Sums of the spins `(chains,)`."""
    result = np.zeros(len(spins), np.int64)
    for row in range(len(spins)):
        total = 0
        for spin in spins[row]:
            total += spin
        result[row] = total
    return result
