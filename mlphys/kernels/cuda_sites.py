"""Updates of single sites on the GPU: Ising spins, angles and fields, a thread for each site of a colour in each chain.

`TWINS` names the twin of a kernel of the CPU: `twin(starts, *tables)` brings the tables to the GPU, where `starts` are the
first places of the colours, and returns a function that is called like the kernel without its tables. What happens to a site
is the CPU's own functions of the same Philox words: spins come out bit for bit, real numbers up to rounding. These functions
take roots and logarithms from `math`: CUDA does not know numpy's, and the simulator does not notice.
"""

import math

import numpy as np
from numba import cuda, njit

from mlphys.kernels import fields, spins, vectors
from mlphys.kernels.cuda import launch
from mlphys.kernels.generators import philox, unit

_LOW_HALF = np.uint64(0xFFFFFFFF)


def _colours(starts):
    return [(int(starts[colour]), int(starts[colour + 1])) for colour in range(len(starts) - 1)]


def _counter(chains):
    return cuda.to_device(np.zeros(chains, np.int64))


@cuda.jit(device=True)
def _here(per_chain):
    """The chain of this thread and its number within it."""
    block = cuda.blockIdx.x
    return block // per_chain, block % per_chain * cuda.blockDim.x + cuda.threadIdx.x


@cuda.jit(device=True)
def _count(changed, chain, yes):
    """Count, for its chain, each thread that says yes; all threads of a block have to call."""
    total = cuda.syncthreads_count(np.int32(yes))
    if cuda.threadIdx.x == 0 and total > 0:
        cuda.atomic.add(changed, chain, total)


# Ising spins, by the integer thresholds of the CPU.


def _ising(rule):
    def prepare(starts, neighbours, coupling, field, order):
        neighbours_there, order_there = cuda.to_device(neighbours), cuda.to_device(order)
        degree, draws_up = neighbours.shape[1], rule == "heat_bath"

        def sweep(x, betas, chains, seed, first_sweep, sweeps):
            table = getattr(spins, f"{rule}_table")(degree, coupling, field, betas)
            tables = [cuda.to_device((table + half) >> half) for half in (np.uint64(0), np.uint64(1))]
            chains, changed = cuda.to_device(chains), _counter(len(x))
            for now in range(first_sweep, first_sweep + sweeps):
                table = tables[spins.proposes_half(now) and not draws_up]
                for start, stop in _colours(starts):
                    arguments = (x, neighbours_there, table, draws_up, order_there, start, stop, chains, seed, now, changed)
                    launch(_ising_colour, len(x), stop - start, *arguments)
            return changed.copy_to_host()

        return sweep

    return prepare


@njit
def _flips(seed, site, chain, sweep, threshold, up, draws_up):
    return (philox(seed, site, chain, sweep)[0] >> np.uint64(11) < threshold) ^ (up & draws_up)


@cuda.jit(cache=True)
def _ising_colour(x, neighbours, table, draws_up, order, start, stop, chains, seed, sweep, changed, per_chain):
    row, place = _here(per_chain)
    flip = False
    if start + place < stop:
        site = order[start + place]
        up = x[row, site] > 0
        degree = neighbours.shape[1]
        total = 0
        for k in range(degree):
            total += x[row, neighbours[site, k]]
        column = 2 * (total + degree) + (1 if up else 0)
        flip = _flips(seed, site, chains[row], sweep, table[row, column], up, draws_up)
        if flip:
            x[row, site] = -x[row, site]
    _count(changed, row, flip)


# Angles, as (cos θ, sin θ) during a sweep.


def _angles(rule):
    def prepare(starts, near, order, _, staples, coupling, reflections=0):
        near_there, order_there = cuda.to_device(near), cuda.to_device(order)

        def sweep(x, *by_chain):
            *widths, betas, chains, seed, first_sweep, sweeps = by_chain
            c, s = (cuda.device_array((len(x), len(order)), np.float64) for _ in range(2))
            strengths, chains, changed = cuda.to_device(coupling * betas), cuda.to_device(chains), _counter(len(x))
            widths = [cuda.to_device(np.minimum(width, np.pi)) for width in widths]
            for now in range(first_sweep, first_sweep + sweeps):
                launch(_to_vectors, len(x), len(order), x, c, s, order_there)
                for start, stop in _colours(starts) * reflections:
                    launch(_reflect, len(x), stop - start, c, s, near_there, start, stop, strengths)
                for start, stop in _colours(starts):
                    where = (c, s, near_there, order_there, start, stop, strengths)
                    if rule == "metropolis":
                        launch(_turn, len(x), stop - start, *where, *widths, chains, seed, now, changed)
                    else:
                        launch(_von_mises, len(x), stop - start, *where, chains, seed, now)
                launch(_to_angles, len(x), len(order), x, c, s, order_there)
            if rule == "metropolis":
                return changed.copy_to_host()
            return np.full(len(x), len(order) * sweeps * (reflections + 1))

        return sweep

    return prepare


@cuda.jit(cache=True)
def _to_vectors(x, c, s, order, per_chain):
    row, place = _here(per_chain)
    if place < order.size:
        c[row, place], s[row, place] = vectors.cos_sin(vectors.wrapped(x[row, order[place]]))


@cuda.jit(cache=True)
def _to_angles(x, c, s, order, per_chain):
    row, place = _here(per_chain)
    if place < order.size:
        x[row, order[place]] = vectors.angle_of(c[row, place], s[row, place])


@cuda.jit(device=True)
def _local_field(c, s, near, row, place, strength):
    x, y = 0.0, 0.0
    if near.shape[1] == 4:  # in the order of the CPU: reflections about a small field amplify the rounding
        i, j, k, m = near[place, 0], near[place, 1], near[place, 2], near[place, 3]
        x = (c[row, i] + c[row, j]) + (c[row, k] + c[row, m])
        y = (s[row, i] + s[row, j]) + (s[row, k] + s[row, m])
    else:
        for k in range(near.shape[1]):
            x += c[row, near[place, k]]
            y += s[row, near[place, k]]
    return strength * x, strength * y


@cuda.jit(cache=True)
def _reflect(c, s, near, start, stop, strengths, per_chain):
    row, place = _here(per_chain)
    place += start
    if place < stop:
        x, y = _local_field(c, s, near, row, place, strengths[row])
        c[row, place], s[row, place] = vectors.reflected(c[row, place], s[row, place], x, y)


@njit(error_model="numpy")
def _drawn_direction(seed, site, chain, sweep, x, y):
    attempt = 0
    while True:
        word, other = philox(seed, site, chain, sweep + (attempt << 48))
        half_tangent = vectors.von_mises_try(word, other, math.sqrt(x * x + y * y))
        if not np.isnan(half_tangent):
            return vectors.turned(x, y, half_tangent)
        attempt += 1


@cuda.jit(cache=True)
def _von_mises(c, s, near, order, start, stop, strengths, chains, seed, sweep, per_chain):
    row, place = _here(per_chain)
    place += start
    if place < stop:
        x, y = _local_field(c, s, near, row, place, strengths[row])
        c[row, place], s[row, place] = _drawn_direction(seed, order[place], chains[row], sweep, x, y)


@njit(error_model="numpy")
def _turned(seed, site, chain, sweep, c, s, x, y, width):
    """A direction after a Metropolis step, and whether that was accepted."""
    word, other = philox(seed, site, chain, sweep)
    turn_c, turn_s = vectors.cos_sin(width * (2.0 * unit(word) - 1.0))
    cost = (1.0 - turn_c) * (c * x + s * y) - turn_s * (c * y - s * x)
    if unit(other) < vectors.decay(max(cost, 0.0)):
        return c * turn_c - s * turn_s, s * turn_c + c * turn_s, True
    return c, s, False


@cuda.jit(cache=True)
def _turn(c, s, near, order, start, stop, strengths, widths, chains, seed, sweep, changed, per_chain):
    row, place = _here(per_chain)
    place += start
    accepted = False
    if place < stop:
        x, y = _local_field(c, s, near, row, place, strengths[row])
        here = (c[row, place], s[row, place])
        here_c, here_s, accepted = _turned(seed, order[place], chains[row], sweep, here[0], here[1], x, y, widths[row])
        c[row, place], s[row, place] = here_c, here_s
    _count(changed, row, accepted)


# Real fields.


def _field(rule):
    def prepare(starts, near, order, _, quadratic, quartic, hopping, reflections=0):
        near_there, order_there = cuda.to_device(near), cuda.to_device(order)

        def sweep(x, *by_chain):
            *widths, betas, chains, seed, first_sweep, sweeps = by_chain
            weights = np.stack([betas * quadratic, betas * quartic, betas * hopping], axis=1)
            lone = [fields.lone_site(a, q) for a, q, _ in weights]
            weights = cuda.to_device(np.concatenate([weights, lone], axis=1))
            widths = [cuda.to_device(width) for width in widths]
            chains, changed = cuda.to_device(chains), _counter(len(x))
            for now in range(first_sweep, first_sweep + sweeps):
                for repeat in range(reflections, -1, -1):
                    counter = now + (repeat << 32)
                    for start, stop in _colours(starts):
                        where = (x, near_there, order_there, start, stop, weights, chains, seed, counter, changed)
                        if rule == "metropolis":
                            launch(_field_step, len(x), stop - start, *where, *widths)
                        else:
                            launch(_field_draw, len(x), stop - start, *where, repeat > 0)
            return changed.copy_to_host()

        return sweep

    return prepare


@cuda.jit(device=True)
def _pull(x, near, order, row, place, strength):
    total = 0.0
    for k in range(near.shape[1]):
        total += x[row, order[near[place, k]]]
    return strength * total


@njit(error_model="numpy")
def _drawn_value(seed, site, chain, sweep, value, reflect, a, q, pull, lone, lift):
    """The value reflected, or one drawn afresh."""
    alpha = fields.precision(a, q, pull, lone, lift)
    if reflect:
        return fields.reflected(value, unit(philox(seed, site, chain, sweep)[0]), a, q, pull, alpha)
    attempt = 0
    while True:
        word, other = philox(seed, site, chain, sweep + (attempt << 48))
        # Box and Muller 1958, from the upper bits, as the lanes of the CPU do it.
        radius = math.sqrt(-2.0 * math.log(1.0 - np.float64(word >> np.uint64(12)) * 2.0**-52))
        normal = radius * math.cos(2.0 * math.pi * (1.0 - np.float64(other >> np.uint64(12)) * 2.0**-52))
        new = fields.heat_bath_try(normal, (np.float64(other & _LOW_HALF) + 0.5) * 2.0**-32, a, q, pull, alpha)
        if not np.isnan(new):
            return new
        attempt += 1


@cuda.jit(cache=True)
def _field_draw(x, near, order, start, stop, weights, chains, seed, sweep, changed, reflect, per_chain):
    row, place = _here(per_chain)
    place += start
    new = False
    if place < stop:
        site = order[place]
        pull = _pull(x, near, order, row, place, weights[row, 2])
        a, q, lone, lift = weights[row, 0], weights[row, 1], weights[row, 3], weights[row, 4]
        value = _drawn_value(seed, site, chains[row], sweep, x[row, site], reflect, a, q, pull, lone, lift)
        new = not reflect or value != x[row, site]
        x[row, site] = value
    _count(changed, row, new)


@njit(error_model="numpy")
def _stepped(seed, site, chain, sweep, value, width, a, q, pull):
    word, other = philox(seed, site, chain, sweep)
    proposed = value + width * (2.0 * unit(word) - 1.0)
    accepted = unit(other) < vectors.decay(max(fields.cost(value, proposed, a, q, pull), 0.0))
    return (proposed if accepted else value), accepted


@cuda.jit(cache=True)
def _field_step(x, near, order, start, stop, weights, chains, seed, sweep, changed, widths, per_chain):
    row, place = _here(per_chain)
    place += start
    accepted = False
    if place < stop:
        site = order[place]
        pull = _pull(x, near, order, row, place, weights[row, 2])
        width, a, q = widths[row], weights[row, 0], weights[row, 1]
        value, accepted = _stepped(seed, site, chains[row], sweep, x[row, site], width, a, q, pull)
        x[row, site] = value
    _count(changed, row, accepted)


TWINS = {
    spins.metropolis_sweeps_uniform: _ising("metropolis"),
    spins.heat_bath_sweeps_uniform: _ising("heat_bath"),
    vectors.metropolis_sweeps: _angles("metropolis"),
    vectors.overrelaxation_sweeps: _angles("overrelaxation"),
    fields.metropolis_sweeps: _field("metropolis"),
    fields.overrelaxation_sweeps: _field("overrelaxation"),
}
