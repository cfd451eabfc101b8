"""The plain numba loops of a first afternoon for φ⁴ on a square lattice, one site after the other."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def action(phi, kappa, coupling):
    rows, columns = phi.shape
    total = 0.0
    for i in range(rows):
        for j in range(columns):
            x = phi[i, j]
            total -= 2 * kappa * x * (phi[(i + 1) % rows, j] + phi[i, (j + 1) % columns])
            total += (1 - 2 * coupling) * x**2 + coupling * x**4
    return total


@njit(cache=True, nogil=True)
def kick(phi, momenta, kappa, coupling, step):
    rows, columns = phi.shape
    for i in range(rows):
        for j in range(columns):
            x = phi[i, j]
            near = phi[(i + 1) % rows, j] + phi[i - 1, j] + phi[i, (j + 1) % columns] + phi[i, j - 1]
            momenta[i, j] += step * (2 * kappa * near - 2 * (1 - 2 * coupling) * x - 4 * coupling * x**3)


@njit(cache=True, nogil=True)
def trajectories(fields, kappa, coupling, step, steps, count, generator):
    """`count` trajectories of every field `(chains, rows, columns)`, in place; returns how many were accepted."""
    accepted = 0
    for phi in fields:
        for _ in range(count):
            momenta = np.empty(phi.shape)
            for i in range(phi.shape[0]):
                for j in range(phi.shape[1]):
                    momenta[i, j] = generator.standard_normal()
            new = phi.copy()
            before = action(phi, kappa, coupling) + (momenta**2).sum() / 2
            kick(new, momenta, kappa, coupling, step / 2)
            for k in range(steps):
                new += step * momenta
                kick(new, momenta, kappa, coupling, step if k < steps - 1 else step / 2)
            after = action(new, kappa, coupling) + (momenta**2).sum() / 2
            if generator.random() < np.exp(before - after):
                phi[:] = new
                accepted += 1
    return accepted


@njit(cache=True, nogil=True)
def metropolis(fields, kappa, coupling, width, reflections, count, generator):
    """`count` Metropolis sweeps of every field, each after `reflections` sweeps of overrelaxation; accepted proposals."""
    accepted = 0
    a = 1 - 2 * coupling
    for phi in fields:
        rows, columns = phi.shape
        for _ in range(count):
            for sweep in range(reflections + 1):
                for i in range(rows):
                    for j in range(columns):
                        x = phi[i, j]
                        near = phi[(i + 1) % rows, j] + phi[i - 1, j] + phi[i, (j + 1) % columns] + phi[i, j - 1]
                        if sweep < reflections:
                            new = 2 * kappa * near / a - x
                            change = coupling * (new**4 - x**4)
                        else:
                            new = x + width * (2 * generator.random() - 1)
                            change = -2 * kappa * near * (new - x) + a * (new**2 - x**2) + coupling * (new**4 - x**4)
                        if generator.random() < np.exp(-change):
                            phi[i, j] = new
                            accepted += sweep == reflections
    return accepted
