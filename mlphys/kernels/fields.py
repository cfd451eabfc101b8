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
from mlphys.kernels.vectors import _BLOCK, _draw, decay

_LOW_HALF = np.uint64(0xFFFFFFFF)


@njit(inline="always")
def cost(old, new, quadratic, quartic, pull):
    """The change of A φ² + Q φ⁴ − B φ from `old` to `new`."""
    squares = new * new + old * old
    return (new - old) * ((new + old) * (quadratic + quartic * squares) - pull)


@njit(inline="always")
def level(quadratic, quartic, pull, lone, lift):
    """The c for which φ⁴ ≥ 2 c φ² − c² bounds a site's weight best by a normal density: c is that density's mean of φ².

    Its precision is 2α with α = A + 2 Q c, so that α³ − A α² − Q α − Q B²/2 = 0, which Halley's method solves from
    α = lone + lift |B|^(5/8); `lone`, the α of B = 0, and `lift` come from `lone_site`.
    """
    size = abs(pull)
    alpha = lone + lift * math.sqrt(size * math.sqrt(math.sqrt(size)))
    for _ in range(4):
        value = ((alpha - quadratic) * alpha - quartic) * alpha - 0.5 * quartic * pull * pull
        slope = (3.0 * alpha - 2.0 * quadratic) * alpha - quartic
        alpha -= value * slope / (slope * slope - value * (3.0 * alpha - quadratic))
    return (0.5 + 0.25 * pull * pull / alpha) / alpha


@njit(inline="always")
def lone_site(quadratic, quartic):
    """What `level` needs to know of A and Q."""
    size = math.sqrt(quadratic * quadratic + 4.0 * quartic)
    return 0.5 * (quadratic + size) if quadratic > 0.0 else 2.0 * quartic / (size - quadratic), 0.9 * quartic ** (11 / 32)


@njit(inline="always")
def heat_bath_try(normal, number, quadratic, quartic, pull, c):
    """A site's candidate value for the normal density of `level` c, nan if it is rejected.

    Takes a `normal` and a uniform random `number`; accepts 42 % at worst, given A ≥ −2 √Q.
    """
    alpha = quadratic + 2.0 * quartic * c
    value = 0.5 * pull / alpha + normal * math.sqrt(0.5 / alpha)
    miss = value * value - c
    return value if number < decay(quartic * miss * miss) else np.nan


@njit(inline="always")
def reflected(value, number, quadratic, quartic, pull, c):
    """The value reflected about the centre of the normal density of `level` c, or itself if that is rejected."""
    other = pull / (quadratic + 2.0 * quartic * c) - value
    return other if number < decay(max(cost(value, other, quadratic, quartic, pull), 0.0)) else value


@njit(inline="always")
def has_two_wells(quadratic, quartic):
    """Whether wells are so deep that `two_well_try` is worth its ten times longer computation."""
    return quadratic < -2.0 * math.sqrt(quartic)


@njit
def two_well_try(word, other, quadratic, quartic, pull):
    """A site's candidate value where A < 0, nan if it is rejected; accepts 85 % at worst.

    |φ| = w has the density exp(g), g = −A w² − Q w⁴ + ln cosh B w. g' = 2 w u(w²), where u is convex and falls, so there is
    one maximum, and from √⅓ of its place on g is concave and lies below its tangents and its maximum. The left tangent is
    raised where it cuts off g(0). The sign is + with probability 1/(1 + exp(−2 B w)).
    """
    square = -0.5 * quadratic / quartic
    while True:  # Newton's method for u(w²) = 0; the zero lies between `square` and `aim`
        z = abs(pull) * math.sqrt(square)
        t = math.tanh(z)
        ratio = t / z if z > 0.0 else 1.0
        aim = (0.5 * pull * pull * ratio - quadratic) / (2.0 * quartic)
        curvature = 8.0 * quartic * square + pull * pull * (ratio - 1.0 + t * t)  # −g''
        slack = 2.0 * quartic * (aim - square) ** 2
        if slack < 1e-3:
            break
        square += 8.0 * quartic * square / curvature * (aim - square)
    mode, spread = math.sqrt(square), math.sqrt(2.0 / curvature)
    top = _folded(mode, quadratic, quartic, pull)[0] + slack  # no less than the maximum, by g's concavity in w²
    left, right = max(mode - spread, math.sqrt(2.0 / 3.0) * mode), mode + spread
    height, fall = _folded(right, quadratic, quartic, pull)
    right += (top - height) / fall  # where the tangent meets the top
    height, rise = _folded(left, quadratic, quartic, pull)
    height += max(0.0, rise * left - height)  # g(0) = 0
    left += (top - height) / rise
    below, above = -math.expm1(-rise * left) / rise, -1.0 / fall
    place = unit(word) * (below + right - left + above) - below
    w, bound = left + place, top
    if place < 0.0:
        bound += math.log1p(rise * place)
        w = left + (bound - top) / rise
    elif w > right:
        bound += math.log(max(1.0 - (w - right) / above, 2.0**-53))
        w = right + (bound - top) / fall
    chance, number = math.exp(_folded(w, quadratic, quartic, pull)[0] - bound), unit(other)
    if number >= chance:
        return np.nan
    return w if number * (1.0 + math.exp(-2.0 * pull * w)) < chance else -w


@njit(inline="always")
def _folded(w, quadratic, quartic, pull):
    """g and g' of `two_well_try`."""
    z = abs(pull) * w
    value = z + math.log1p(math.exp(-2.0 * z)) - math.log(2.0) - (quadratic + quartic * w * w) * w * w
    return value, abs(pull) * math.tanh(z) - 2.0 * (quadratic + 2.0 * quartic * w * w) * w


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
    u, pulls = np.empty(len(order)), np.empty(_BLOCK)
    words, others = np.empty(_BLOCK, np.uint64), np.empty(_BLOCK, np.uint64)
    for chain in range(len(x)):
        a, q, width = betas[chain] * quadratic, betas[chain] * quartic, widths[chain]
        u[:] = x[chain][order]
        for sweep in range(first_sweep, first_sweep + sweeps):
            for colour in range(len(starts) - 1):
                for start in range(starts[colour], starts[colour + 1], _BLOCK):
                    stop = min(start + _BLOCK, starts[colour + 1])
                    _pulls(pulls, u, near, start, stop, betas[chain] * hopping)
                    _draw(words, others, seed, order[start:stop], stop - start, chains[chain], sweep)
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
    u, pulls, levels = np.empty(len(order)), np.empty(_BLOCK), np.empty(_BLOCK)
    normals, drawn = np.empty(_BLOCK), np.empty(_BLOCK)
    words, others = np.empty(_BLOCK, np.uint64), np.empty(_BLOCK, np.uint64)
    sites, slots = np.empty(_BLOCK, np.int32), np.empty(_BLOCK, np.int32)
    for chain in range(len(x)):
        a, q, strength = betas[chain] * quadratic, betas[chain] * quartic, betas[chain] * hopping
        lone, lift = lone_site(a, q)
        two_wells = has_two_wells(a, q)
        u[:] = x[chain][order]
        for sweep in range(first_sweep, first_sweep + sweeps):
            for repeat in range(reflections, -1, -1):
                counter = sweep + (repeat << 32)
                for colour in range(len(starts) - 1):
                    for start in range(starts[colour], starts[colour + 1], _BLOCK):
                        stop = min(start + _BLOCK, starts[colour + 1])
                        here, count = u[start:stop], stop - start
                        _pulls(pulls, u, near, start, stop, strength)
                        for k in range(count):
                            levels[k] = level(a, q, pulls[k], lone, lift)
                        if repeat > 0:
                            _draw(words, others, seed, order[start:stop], count, chains[chain], counter)
                            total = 0
                            for k in range(count):
                                new = reflected(here[k], unit(words[k]), a, q, pulls[k], levels[k])
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
                            _draw(words, others, seed, sites, count, chains[chain], counter + (attempt << 48))
                            if two_wells:
                                for k in range(count):
                                    drawn[k] = two_well_try(words[k], others[k], a, q, pulls[k])
                            else:
                                _normals(normals, words, others, count)
                                for k in range(count):
                                    number = (np.float64(others[k] & _LOW_HALF) + 0.5) * 2.0**-32
                                    drawn[k] = heat_bath_try(normals[k], number, a, q, pulls[k], levels[k])
                            left = 0
                            for k in range(count):
                                here[slots[k]] = drawn[k]
                                pulls[left], levels[left] = pulls[k], levels[k]
                                sites[left], slots[left] = sites[k], slots[k]
                                left += np.isnan(drawn[k])
                            count = left
                            attempt += 1
        x[chain][order] = u
    return changed
