"""Updates of one site after the other for a real field φ: Metropolis, heat bath, overrelaxation.

A site's weight is exp(−A φ² − Q φ⁴ + B φ): A = β a, Q = β λ, and the pull B = β b Σ φ' of its neighbours. Sites are visited
colour by colour, and each draws the Philox words of its own (seed, chain, sweep, site), so that no order of evaluation,
thread or slice of chains can change a result. A chain is copied to scratch memory colour after colour and updated in blocks
of one colour, by loops without branches, which the compiler vectorises.

Tables: `near[p]`, the places of the neighbours of place p, `order[p]` the site at place p, `starts` the first place of every
colour; `quadratic` a, `quartic` λ, `hopping` b.
"""

import math

import numpy as np
from numba import njit

from mlphys.kernels.generators import unit
from mlphys.kernels.lanes import WIDTH, log, put, root, row, sine_cosine, uniform
from mlphys.kernels.vectors import BLOCK, decay, draw

_LOW_HALF = np.uint64(0xFFFFFFFF)


@njit(inline="always")
def cost(old, new, quadratic, quartic, pull):
    """The change of A φ² + Q φ⁴ − B φ from `old` to `new`."""
    squares = new * new + old * old
    return (new - old) * ((new + old) * (quadratic + quartic * squares) - pull)


@njit(inline="always")
def precision(quadratic, quartic, pull, lone, lift):
    """Half the precision α of the normal density whose bound −Q φ⁴ ≤ −2 Q c φ² + Q c² is best: c is its mean of φ².

    So α = A + 2 Q c and α³ − A α² − Q α − Q B²/2 = 0, which Halley's method solves from α = lone + lift |B|^(5/8); `lone`,
    the α of B = 0, and `lift` come from `lone_site`.
    """
    size = abs(pull)
    alpha = lone + lift * math.sqrt(size * math.sqrt(math.sqrt(size)))
    for _ in range(4):
        value = ((alpha - quadratic) * alpha - quartic) * alpha - 0.5 * quartic * pull * pull
        slope = (3.0 * alpha - 2.0 * quadratic) * alpha - quartic
        alpha -= value * slope / (slope * slope - value * (3.0 * alpha - quadratic))
    return alpha


@njit(inline="always")
def lone_site(quadratic, quartic):
    """What `precision` needs to know of A and Q."""
    size = math.sqrt(quadratic * quadratic + 4.0 * quartic)
    return 0.5 * (quadratic + size) if quadratic > 0.0 else 2.0 * quartic / (size - quadratic), 0.9 * quartic ** (11 / 32)


@njit(inline="always")
def heat_bath_try(normal, number, quadratic, quartic, pull, alpha):
    """A site's candidate value from α, a normal and a uniform number; nan if it is rejected, half the time at worst."""
    if quadratic < -0.5 * math.sqrt(quartic):
        return _two_wells_try(normal, number, quadratic, quartic, pull, alpha)
    return _one_well_try(normal, number, quadratic, quartic, pull, alpha)


@njit(inline="always")
def _one_well_try(normal, number, quadratic, quartic, pull, alpha):
    """The normal density of `precision`; what it leaves of the weight, for rejection, is exp(−Q (φ² − c)²)."""
    c = (0.5 + 0.25 * pull * pull / alpha) / alpha
    alpha = quadratic + 2.0 * quartic * c
    value = 0.5 * pull / alpha + normal * math.sqrt(0.5 / alpha)
    miss = value * value - c
    return value if number < decay(quartic * miss * miss) else np.nan


@njit(inline="always")
def _two_wells_try(normal, number, quadratic, quartic, pull, alpha):
    """A normal density for each sign s = ±√c: φ² − c = (φ − s)(φ + s), where (φ + s)² ≥ c if φ has the sign of s."""
    c = 0.5 * (alpha - quadratic) / quartic
    well, stiffness = math.sqrt(c) if pull > 0.0 else -math.sqrt(c), quartic * c
    share = decay(2.0 * pull * well * stiffness / (alpha + stiffness))  # of the far well, over that of the near one
    number *= 1.0 + share
    far = number > 1.0
    number = (number - 1.0) / share if far else number
    well = -well if far else well
    value = (0.5 * pull + stiffness * well) / (alpha + stiffness) + normal * math.sqrt(0.5 / (alpha + stiffness))
    miss, other = value - well, value + well
    accepted = number < decay(max(quartic * miss * miss * (other * other - c), 0.0))
    return value if accepted and value * well > 0.0 else np.nan


@njit(inline="always")
def reflected(value, number, quadratic, quartic, pull, alpha):
    """The value reflected about the centre of the normal density of `precision` α, or itself if that is rejected."""
    other = pull / alpha - value
    return other if number < decay(max(cost(value, other, quadratic, quartic, pull), 0.0)) else value


@njit(inline="always")
def _pulls(pulls, u, near, start, stop, strength):
    if near.shape[1] == 4:  # unrolled: twice as fast
        for p in range(start, stop):
            i, j = np.uint32(near[p, 0]), np.uint32(near[p, 1])
            k, m = np.uint32(near[p, 2]), np.uint32(near[p, 3])
            pulls[p - start] = strength * ((u[i] + u[j]) + (u[k] + u[m]))
    else:
        for p in range(start, stop):
            total = 0.0
            for k in range(near.shape[1]):
                total += u[near[p, k]]
            pulls[p - start] = strength * total


@njit(inline="always")
def _normals(normals, words, others, count):
    """Normal numbers from the first words and the upper halves of the others (Box and Muller 1958)."""
    first, second, result = words.reshape(-1, WIDTH), others.reshape(-1, WIDTH), normals.reshape(-1, WIDTH)
    for k in range((count + WIDTH - 1) // WIDTH):
        angle = 2.0 * math.pi * uniform(row(second, k))
        put(result, k, root(-2.0 * log(uniform(row(first, k)))) * sine_cosine(angle)[1])


@njit(cache=True, nogil=True, error_model="numpy")
def metropolis_sweeps(x, near, order, starts, quadratic, quartic, hopping, widths, betas, chains, seed, first_sweep, sweeps):
    """Metropolis sweeps with steps uniform in [−width, width]; accepted steps `(chains,)`."""
    accepted = np.zeros(len(x), np.int64)
    u, pulls = np.empty(len(order)), np.empty(BLOCK)
    words, others = np.empty(BLOCK, np.uint64), np.empty(BLOCK, np.uint64)
    for chain in range(len(x)):
        a, q, width = betas[chain] * quadratic, betas[chain] * quartic, widths[chain]
        u[:] = x[chain][order]
        for sweep in range(first_sweep, first_sweep + sweeps):
            for colour in range(len(starts) - 1):
                for start in range(starts[colour], starts[colour + 1], BLOCK):
                    stop = min(start + BLOCK, starts[colour + 1])
                    _pulls(pulls, u, near, start, stop, betas[chain] * hopping)
                    draw(words, others, seed, order[start:stop], stop - start, chains[chain], sweep)
                    here, total = u[start:stop], 0
                    for k in range(stop - start):
                        proposed = here[k] + width * (2.0 * unit(words[k]) - 1.0)
                        accept = unit(others[k]) < decay(max(cost(here[k], proposed, a, q, pulls[k]), 0.0))
                        total += accept
                        here[k] = proposed if accept else here[k]
                    accepted[chain] += total
        x[chain][order] = u
    return accepted


@njit(cache=True, nogil=True, error_model="numpy")
def overrelaxation_sweeps(
    x, near, order, starts, quadratic, quartic, hopping, reflections, betas, chains, seed, first_sweep, sweeps
):
    """Sweeps of `reflections` reflections (0 for a heat bath alone) and one heat bath; changed sites `(chains,)`."""
    changed = np.zeros(len(x), np.int64)
    u, pulls, alphas = np.empty(len(order)), np.empty(BLOCK), np.empty(BLOCK)
    normals, drawn = np.empty(BLOCK), np.empty(BLOCK)
    words, others = np.empty(BLOCK, np.uint64), np.empty(BLOCK, np.uint64)
    sites, slots = np.empty(BLOCK, np.int32), np.empty(BLOCK, np.int32)
    for chain in range(len(x)):
        a, q, strength = betas[chain] * quadratic, betas[chain] * quartic, betas[chain] * hopping
        lone, lift = lone_site(a, q)
        u[:] = x[chain][order]
        for sweep in range(first_sweep, first_sweep + sweeps):
            for repeat in range(reflections, -1, -1):
                counter = sweep + (repeat << 32)
                for colour in range(len(starts) - 1):
                    for start in range(starts[colour], starts[colour + 1], BLOCK):
                        stop = min(start + BLOCK, starts[colour + 1])
                        here, count = u[start:stop], stop - start
                        _pulls(pulls, u, near, start, stop, strength)
                        for k in range(count):
                            alphas[k] = precision(a, q, pulls[k], lone, lift)
                        if repeat > 0:
                            draw(words, others, seed, order[start:stop], count, chains[chain], counter)
                            total = 0
                            for k in range(count):
                                new = reflected(here[k], unit(words[k]), a, q, pulls[k], alphas[k])
                                total += new != here[k]
                                here[k] = new
                            changed[chain] += total
                            continue
                        changed[chain] += count
                        for k in range(count):
                            slots[k], sites[k] = k, order[start + k]
                        attempt = 0
                        while count > 0:
                            # The rejected close ranks and try again, with words of their own.
                            draw(words, others, seed, sites, count, chains[chain], counter + (attempt << 48))
                            _normals(normals, words, others, count)
                            for k in range(count):
                                number = (np.float64(others[k] & _LOW_HALF) + 0.5) * 2.0**-32
                                drawn[k] = heat_bath_try(normals[k], number, a, q, pulls[k], alphas[k])
                            left = 0
                            for k in range(count):
                                here[slots[k]] = drawn[k]
                                pulls[left], alphas[left] = pulls[k], alphas[k]
                                sites[left], slots[left] = sites[k], slots[k]
                                left += np.isnan(drawn[k])
                            count = left
                            attempt += 1
        x[chain][order] = u
    return changed
