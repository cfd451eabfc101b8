"""Which sites block a crossing of a square of occupied and empty sites."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def barriers(occupied, rows, columns):
    """The fewest occupied sites on a path from the left edge to the right, diagonal steps allowed, and such a path.

    `occupied (samples, n_sites)` is boolean; returns `(samples,)` and a mask `(samples, n_sites)`. Sites are visited in the
    order of their cost, all empty ones that can be reached before the next occupied one.
    """
    samples, n_sites = occupied.shape
    costs, paths = np.zeros(samples, np.int64), np.zeros(occupied.shape, np.bool_)
    came = np.empty(n_sites, np.int64)
    cheap, dear = np.empty(n_sites, np.int64), np.empty(n_sites, np.int64)
    for sample in range(samples):
        came[:] = -1
        n_cheap, n_dear, cost, site = 0, 0, 0, -1
        for row in range(rows):
            site = row * columns
            came[site] = site
            if occupied[sample, site]:
                dear[n_dear], n_dear = site, n_dear + 1
            else:
                cheap[n_cheap], n_cheap = site, n_cheap + 1
        while True:
            if n_cheap == 0:
                cheap, dear, n_cheap, n_dear, cost = dear, cheap, n_dear, 0, cost + 1
            n_cheap -= 1
            site = cheap[n_cheap]
            row, column = site // columns, site % columns
            if column == columns - 1:
                break
            for r in range(max(row - 1, 0), min(row + 2, rows)):
                for c in range(max(column - 1, 0), column + 2):
                    other = r * columns + c
                    if came[other] >= 0:
                        continue
                    came[other] = site
                    if occupied[sample, other]:
                        dear[n_dear], n_dear = other, n_dear + 1
                    else:
                        cheap[n_cheap], n_cheap = other, n_cheap + 1
        costs[sample] = cost
        paths[sample, site] = True
        while came[site] != site:
            site = came[site]
            paths[sample, site] = True
    return costs, paths
