"""Clusters of the Ising variables embedded in other models: numbers a on the sites with the energy −Σ_bonds a a'.

The signs of a are Ising spins with the couplings |a a'| of their own chain: two sites are linked with probability
1 − exp(−2 β a a') where a a' > 0. The kernels of `cluster` grow the clusters, one chain at a time.

Wolff 1989, 10.1103/PhysRevLett.62.361.
"""

import numpy as np
from numba import njit

from mlphys.kernels import cluster


@njit
def _signs(a, neighbours, couplings):
    """The embedded spins `(1, n_sites)`, with their couplings written to `couplings`, shaped like `neighbours`."""
    spins = np.empty((1, a.size), np.int8)
    for site in range(a.size):
        spins[0, site] = 1 if a[site] > 0.0 else -1
        for k in range(neighbours.shape[1]):
            couplings[site, k] = abs(a[site] * a[neighbours[site, k]])
    return spins


@njit(cache=True, nogil=True)
def wolff_clusters(a, turned, neighbours, betas, clusters, streams):
    """Turn `clusters (chains,)` Wolff clusters; marks the sites in `turned (chains, n_sites)`, returns cluster sizes."""
    visited = np.zeros(len(a), np.int64)
    couplings = np.empty(neighbours.shape)
    for chain in range(len(a)):
        own = slice(chain, chain + 1)
        spins = _signs(a[chain], neighbours, couplings)
        visited[own] = cluster.wolff_clusters(spins, neighbours, couplings, betas[own], clusters[own], streams[own])
        turned[chain] = (spins[0] > 0) != (a[chain] > 0.0)
    return visited


@njit(cache=True, nogil=True)
def swendsen_wang_sweep(a, turned, neighbours, betas, streams):
    """A Swendsen–Wang sweep; marks the turned sites in `turned (chains, n_sites)`, returns their number `(chains,)`."""
    total = np.zeros(len(a), np.int64)
    couplings, fields = np.empty(neighbours.shape), np.zeros(a.shape[1])
    for chain in range(len(a)):
        own = slice(chain, chain + 1)
        spins = _signs(a[chain], neighbours, couplings)
        cluster.swendsen_wang_sweeps(spins, neighbours, couplings, fields, betas[own], 1, streams[own])
        turned[chain] = (spins[0] > 0) != (a[chain] > 0.0)
        total[chain] = turned[chain].sum()
    return total
