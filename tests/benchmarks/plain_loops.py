"""The plain numba loops of a first afternoon: one spin at a time, neighbours by remainder, a table of exponentials.

They are the honest starting point to compare with. A numpy Generator as argument is twice as fast as `np.random` inside.
"""

import numpy as np
from numba import njit


def acceptance_table(beta: float) -> np.ndarray:
    """exp(−βΔE) for ΔE = 2h with the local field h = s Σ s' = −4 … 4 as index h + 4."""
    field = np.arange(-4, 5)
    return np.minimum(1.0, np.exp(-2.0 * beta * field))


@njit(cache=True, nogil=True)
def metropolis(spins, acceptance, sweeps, generator):
    """Sequential Metropolis (Metropolis et al., 1953, DOI:10.1063/1.1699114), site after site; returns accepted flips."""
    rows, columns = spins.shape
    accepted = 0
    for _ in range(sweeps):
        for i in range(rows):
            for j in range(columns):
                neighbours = (
                    spins[(i + 1) % rows, j]
                    + spins[(i - 1) % rows, j]
                    + spins[i, (j + 1) % columns]
                    + spins[i, (j - 1) % columns]
                )
                field = spins[i, j] * neighbours
                if field <= 0 or generator.random() < acceptance[field + 4]:
                    spins[i, j] = -spins[i, j]
                    accepted += 1
    return accepted


@njit(cache=True, nogil=True)
def wolff(spins, bond_probability, clusters, generator):
    """Single-cluster updates (Wolff, 1989, DOI:10.1103/PhysRevLett.62.361) on a stack; returns flipped sites."""
    rows, columns = spins.shape
    stack = np.empty((rows * columns, 2), np.int32)
    flipped = 0
    for _ in range(clusters):
        i, j = int(generator.random() * rows), int(generator.random() * columns)
        sign = spins[i, j]
        spins[i, j] = -sign
        stack[0, 0], stack[0, 1] = i, j
        height = 1
        while height > 0:
            height -= 1
            i, j = stack[height, 0], stack[height, 1]
            flipped += 1
            for di, dj in ((1, 0), (-1, 0), (0, 1), (0, -1)):
                a, b = (i + di) % rows, (j + dj) % columns
                if spins[a, b] == sign and generator.random() < bond_probability:
                    spins[a, b] = -sign
                    stack[height, 0], stack[height, 1] = a, b
                    height += 1
    return flipped


@njit(cache=True, nogil=True)
def energy_per_site(spins):
    rows, columns = spins.shape
    total = 0
    for i in range(rows):
        for j in range(columns):
            total -= spins[i, j] * (spins[(i + 1) % rows, j] + spins[i, (j + 1) % columns])
    return total / (rows * columns)
