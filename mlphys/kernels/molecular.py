"""Molecular dynamics of WIDTH chains side by side, for hybrid Monte Carlo and the Langevin equation.

A block of chains lies transposed in `(n, WIDTH)` arrays, which fit into the second-level cache, so that every neighbour of
every site on every lattice is one vector load. Fewer chains than WIDTH cost as much as WIDTH. A trajectory is a list of
passes over the lattice: each kicks the momenta by the force and lets the variables drift into another array at once.
"""

import math

import numpy as np
from numba import njit

from mlphys.kernels.lanes import WIDTH, draw, lanes, normals, put, row, scratch, sine_cosine, uniform, where, wrapped

# The models, by what they pass as tables and as parameters.
PHI4 = 0  # neighbours; (a, λ, b) of Σ (a φ² + λ φ⁴) − b Σ φ φ'
XY = 1  # neighbours; (J,) of −J Σ cos(θ − θ')
GAUGE = 2  # links of each plaquette, with signs + + − −, and plaquettes of each link, with signs + −; (β,) of −β Σ cos P

ACCEPTED, PROBABILITY, LOG_TARGET, LOG_PROPOSAL = range(4)


@njit(cache=True, nogil=True)
def trajectories(x, momenta, streams, betas, step_sizes, model, tables, parameters, kicks, drifts, jitter, adjusted, sweeps):
    """Advance `x` `(chains, n)` by `sweeps` trajectories, in place, and return `(chains, 4)`, columns as named above.

    These count the accepted trajectories, sum their acceptance probabilities, and give the changes of −βE and of minus
    the kinetic energy proposed by the last one. A trajectory of step ε adds kicks[0] ε force to the momenta, drifts[0] ε
    momenta to x, and so on; it ends with a kick, which is left out, and every trajectory accepted, unless `adjusted`. ε is
    drawn evenly from (1 ± jitter) step_size. Angles end between ±π. `momenta` is `(chains, 0)`; or, `(chains, n)`, it is
    what trajectories start from, all of them accepted, and what it is at the end. `streams` `(chains, 4)` draw the rest.
    """
    chains, n = x.shape
    results = np.zeros((chains, 4))
    now, p = scratch(n), scratch(n)
    buffers, waves = scratch(2 * n).reshape(2, n, WIDTH), scratch(2 * n).reshape(2, n, WIDTH)
    generators, accepted = np.empty((4, WIDTH), np.uint64), np.empty((1, WIDTH), np.uint64)
    temporary = np.empty((3, WIDTH))
    given = momenta.size > 0
    passes = len(kicks) if adjusted else len(drifts)
    for first in range(0, chains, WIDTH):
        members = min(WIDTH, chains - first)
        # Lanes beyond the last chain repeat it and are forgotten.
        who = np.minimum(first + np.arange(WIDTH), chains - 1)
        _gather(now, x, who)
        _gather(generators, streams, who)
        if given:
            _gather(p, momenta, who)
        for lane in range(WIDTH):
            temporary[0, lane], temporary[1, lane] = betas[who[lane]], step_sizes[who[lane]]
        beta, step_size = row(temporary, 0), row(temporary, 1)
        for _ in range(sweeps):
            step = step_size * (1.0 + jitter * (1.0 - 2.0 * uniform(draw(generators))))
            if not given:
                _refresh(p, generators)
            kinetic = _kinetic(p)
            energy = lanes(0.0)
            for k in range(passes):
                ends = k == 0 or k == len(drifts)
                source, target = now if k == 0 else buffers[(k + 1) % 2], buffers[k % 2]
                drift = drifts[k] if k < len(drifts) else 0.0
                force = beta * step * kicks[k]
                if model == PHI4:
                    part = _phi4(source, target, p, tables[0], parameters, force, step * drift, ends)
                elif model == XY:
                    part = _xy(source, target, p, waves, tables[0], parameters, force, step * drift, ends)
                else:
                    part = _gauge(source, target, p, waves, tables, parameters, force, step * drift, ends)
                if ends:
                    energy = part - energy
            put(temporary, 0, 0.0 - beta * energy)
            put(temporary, 1, kinetic - _kinetic(p))
            put(temporary, 2, uniform(draw(generators)))
            for lane in range(WIDTH):
                exponent, probability = temporary[0, lane] + temporary[1, lane], 0.0
                if exponent > -700.0:  # and a number: what ran away to infinity is not accepted
                    probability = math.exp(min(0.0, exponent))
                accepted[0, lane] = given or not adjusted or temporary[2, lane] <= probability
                if lane < members:
                    chain = results[first + lane]
                    chain[ACCEPTED] += accepted[0, lane]
                    chain[PROBABILITY] += probability
                    chain[LOG_TARGET], chain[LOG_PROPOSAL] = temporary[0, lane], temporary[1, lane]
            final, mask = buffers[(passes + 1) % 2], row(accepted, 0)
            for i in range(n):
                moved = row(final, i)
                if model != PHI4:
                    moved = wrapped(moved)
                put(now, i, where(mask, moved, row(now, i)))
        _scatter(now, x, who, members)
        _scatter(generators, streams, who, members)
        if given:
            _scatter(p, momenta, who, members)
    return results


@njit(nogil=True)
def _gather(block, chains, who):
    for i in range(len(block)):
        for lane in range(WIDTH):
            block[i, lane] = chains[who[lane], i]


@njit(nogil=True)
def _scatter(block, chains, who, members):
    for i in range(len(block)):
        for lane in range(members):
            chains[who[lane], i] = block[i, lane]


@njit(nogil=True)
def _refresh(p, generators):
    """Draw the momenta."""
    for i in range(0, len(p), 2):
        one, other = normals(generators)
        put(p, i, one)
        if i + 1 < len(p):
            put(p, i + 1, other)


@njit(nogil=True)
def _kinetic(p):
    total = lanes(0.0)
    for i in range(len(p)):
        total = total + row(p, i) * row(p, i)
    return 0.5 * total


@njit(nogil=True)
def _around(x, near):
    """Sum of x over these sites."""
    if len(near) == 4:
        return (row(x, near[0]) + row(x, near[1])) + (row(x, near[2]) + row(x, near[3]))
    total = row(x, near[0])
    for k in range(1, len(near)):
        total = total + row(x, near[k])
    return total


@njit(nogil=True)
def _phi4(x, target, p, neighbours, parameters, kick, drift, ends):
    """One pass: kick p, drift x into `target`; returns the energy of x where `ends`."""
    a, coupling, b = parameters
    energy = lanes(0.0)
    for i in range(len(x)):
        phi, near = row(x, i), b * _around(x, neighbours[i])
        square = phi * phi
        momentum = row(p, i) + kick * (near - phi * (2.0 * a + 4.0 * coupling * square))
        put(p, i, momentum)
        put(target, i, phi + drift * momentum)
        if ends:
            energy = energy + phi * (phi * (a + coupling * square) - 0.5 * near)
    return energy


@njit(nogil=True)
def _xy(x, target, p, waves, neighbours, parameters, kick, drift, ends):
    sines, cosines = waves
    energy = lanes(0.0)
    for i in range(len(x)):
        sine, cosine = sine_cosine(row(x, i))
        put(sines, i, sine)
        put(cosines, i, cosine)
    for i in range(len(x)):
        sine, cosine = row(sines, i), row(cosines, i)
        near_sine = parameters[0] * _around(sines, neighbours[i])
        near_cosine = parameters[0] * _around(cosines, neighbours[i])
        momentum = row(p, i) + kick * (cosine * near_sine - sine * near_cosine)
        put(p, i, momentum)
        put(target, i, row(x, i) + drift * momentum)
        if ends:
            energy = energy - 0.5 * (cosine * near_cosine + sine * near_sine)
    return energy


@njit(nogil=True)
def _gauge(x, target, p, waves, tables, parameters, kick, drift, ends):
    links, plaquettes = tables
    sines = waves[0]
    energy = lanes(0.0)
    for i in range(len(links)):
        near = links[i]
        sine, cosine = sine_cosine(row(x, near[0]) + row(x, near[1]) - row(x, near[2]) - row(x, near[3]))
        put(sines, i, sine)
        energy = energy - parameters[0] * cosine
    for i in range(len(x)):
        force = row(sines, plaquettes[i, 1]) - row(sines, plaquettes[i, 0])
        momentum = row(p, i) + kick * (parameters[0] * force)
        put(p, i, momentum)
        put(target, i, row(x, i) + drift * momentum)
    return energy
