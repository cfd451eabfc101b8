"""Metropolis, heat bath, overrelaxation of angles (spins on a circle, links of a U(1) gauge field) and of spins on a sphere.

A heat bath is an overrelaxation without reflections. An angular variable u = (cos θ, sin θ) sees the rest through a local
field h, by the weight exp(u · h): the sum of its neighbours, or that of its staples. A sweep keeps (cos θ, sin θ) in scratch
arrays, colour after colour, so that a neighbour costs no trigonometry; what trigonometry is left is done by short series
without branches, which the compiler vectorises. Angles are written back after every sweep, so that cutting a run into calls
changes nothing.

Tables: `near[p]`, the places of the neighbours of place p (or the six links of its two staples, where `staples`), `order[p]`
the site at place p, whose Philox words it draws, `starts` the first place of every colour.
"""

import math

import numpy as np
from numba import njit

from mlphys.kernels.generators import philox, unit

BLOCK = 256
_FACTORIALS = np.cumprod([1.0, *range(1, 18)]).tolist()
_SIN = tuple((-1) ** k / _FACTORIALS[2 * k + 1] for k in range(8))
_COS = tuple((-1) ** k / _FACTORIALS[2 * k] for k in range(9))
_ATAN = tuple((-1) ** k / (2 * k + 1) for k in range(12))
_EXP = tuple(1 / _FACTORIALS[k] for k in range(12))
_ROUNDER = 1.5 * 2.0**52  # added and taken away again, it leaves a whole number


@njit(inline="always")
def _cos_sin_small(angle):
    square = angle * angle
    cosine, sine = _COS[8], 0.0
    for k in range(7, -1, -1):
        cosine = cosine * square + _COS[k]
        sine = sine * square + _SIN[k]
    return cosine, sine * angle


@njit(inline="always")
def cos_sin(angle):
    """Cosine and sine of an angle in [−π, π], from those of its fourth part; errors below 1e-15."""
    c, s = _cos_sin_small(0.25 * angle)
    c, s = c * c - s * s, 2.0 * c * s
    return c * c - s * s, 2.0 * c * s


@njit(inline="always")
def angle_of(cosine, sine):
    """The angle in [−π, π) of a vector that is not zero, from the tangent of its fourth part; errors below 1e-15."""
    large, small = max(abs(cosine), abs(sine)), min(abs(cosine), abs(sine))
    tangent = small / (large + math.sqrt(large * large + small * small))
    tangent = tangent / (1.0 + math.sqrt(1.0 + tangent * tangent))
    square = tangent * tangent
    angle = 0.0
    for k in range(11, -1, -1):
        angle = angle * square + _ATAN[k]
    angle = 4.0 * tangent * angle
    angle = 0.5 * np.pi - angle if abs(sine) > abs(cosine) else angle
    angle = np.pi - angle if cosine < 0.0 else angle
    angle = -angle if sine < 0.0 else angle
    return angle if angle < np.pi else -np.pi


@njit(inline="always")
def wrapped(angle):
    """The angle moved to [−π, π] by whole turns."""
    return angle - 2.0 * np.pi * ((angle / (2.0 * np.pi) + _ROUNDER) - _ROUNDER)


@njit(inline="always")
def decay(exponent):
    """exp(−exponent) for exponents above −1, to 1e-12; beyond 40 it stays at exp(−40), below any random number."""
    y = -min(exponent, 40.0) / 128.0
    value = 0.0
    for k in range(11, -1, -1):
        value = value * y + _EXP[k]
    for _ in range(7):
        value = value * value
    return value


@njit(inline="always")
def von_mises_try(word, other, kappa):
    """tan(θ/2) of a candidate for the density exp(κ cos θ), nan if it is rejected; at worst 66 % are accepted.

    The envelope is a wrapped Cauchy distribution, tan(θ/2) being a Cauchy number, without cancellation at any κ ≥ 0.
    Best and Fisher 1979, 10.2307/2346732.
    """
    square = 0.5 + 0.5 * math.sqrt(1.0 + 4.0 * kappa * kappa)
    scale, least = math.sqrt(square) / (square + kappa), square / (square + kappa)
    c, s = _cos_sin_small(0.25 * np.pi * (2.0 * unit(word) - 1.0))
    c, s = max(c * c - s * s, 1e-100), 2.0 * scale * c * s
    cost = least + 2.0 * kappa * s * s / (c * c + s * s)
    return s / c if unit(other) < cost * decay(cost - 1.0) else np.nan


@njit(inline="always")
def turned(cosine, sine, half_tangent):
    """The direction of the vector (cosine, sine), (1, 0) if that is zero, turned by an angle of given tan(angle/2)."""
    length = math.sqrt(cosine * cosine + sine * sine)
    cosine = cosine / length if length > 0.0 else 1.0
    sine = sine / length if length > 0.0 else 0.0
    share = 2.0 / (1.0 + half_tangent * half_tangent)
    c, s = share - 1.0, share * half_tangent
    return cosine * c - sine * s, sine * c + cosine * s


@njit(inline="always")
def reflected(cosine, sine, field_x, field_y):
    """A unit vector reflected about the local field; its opposite where there is none."""
    square = field_x * field_x + field_y * field_y
    share = 2.0 * (cosine * field_x + sine * field_y) / square if square > 0.0 else 0.0
    return share * field_x - cosine, share * field_y - sine


@njit(inline="always")
def staple(c, s, a, b, opposite):
    """The product of the unit complex numbers a, b and the conjugate of `opposite`, given by their places."""
    x, y = c[a] * c[b] - s[a] * s[b], s[a] * c[b] + c[a] * s[b]
    return x * c[opposite] + y * s[opposite], y * c[opposite] - x * s[opposite]


@njit(inline="always")
def _local_fields(fields_x, fields_y, c, s, near, start, stop, staples, strength):
    if staples:
        for p in range(start, stop):
            x, y = staple(c, s, near[p, 0], near[p, 1], near[p, 2])
            x_other, y_other = staple(c, s, near[p, 3], near[p, 4], near[p, 5])
            fields_x[p - start], fields_y[p - start] = strength * (x + x_other), strength * (y + y_other)
    elif near.shape[1] == 4:  # unrolled: twice as fast
        for p in range(start, stop):
            i, j = np.uint32(near[p, 0]), np.uint32(near[p, 1])
            k, m = np.uint32(near[p, 2]), np.uint32(near[p, 3])
            fields_x[p - start] = strength * ((c[i] + c[j]) + (c[k] + c[m]))
            fields_y[p - start] = strength * ((s[i] + s[j]) + (s[k] + s[m]))
    else:
        for p in range(start, stop):
            x, y = 0.0, 0.0
            for k in range(near.shape[1]):
                x += c[near[p, k]]
                y += s[near[p, k]]
            fields_x[p - start], fields_y[p - start] = strength * x, strength * y


@njit(inline="always")
def draw(words, others, seed, sites, count, chain, counter):
    for k in range(count):
        words[k], others[k] = philox(seed, sites[k], chain, counter)


@njit(inline="always")
def _unpack(c, s, angles, order):
    for p in range(len(order)):
        c[p] = angles[order[p]]
    for p in range(len(order)):
        c[p], s[p] = cos_sin(wrapped(c[p]))


@njit(inline="always")
def _pack(c, s, angles, order):
    for p in range(len(order)):
        c[p] = angle_of(c[p], s[p])
    for p in range(len(order)):
        angles[order[p]] = c[p]


@njit(cache=True, nogil=True, error_model="numpy")
def metropolis_sweeps(x, near, order, starts, staples, coupling, widths, betas, chains, seed, first_sweep, sweeps):
    """Metropolis sweeps with steps uniform in [−width, width], width at most π; accepted steps `(chains,)`."""
    accepted = np.zeros(len(x), np.int64)
    c, s = np.empty(len(order)), np.empty(len(order))
    fields_x, fields_y = np.empty(BLOCK), np.empty(BLOCK)
    words, others = np.empty(BLOCK, np.uint64), np.empty(BLOCK, np.uint64)
    for row in range(len(x)):
        angles = x[row].reshape(len(order))
        width, strength = min(widths[row], np.pi), coupling * betas[row]
        for sweep in range(first_sweep, first_sweep + sweeps):
            _unpack(c, s, angles, order)
            for colour in range(len(starts) - 1):
                for start in range(starts[colour], starts[colour + 1], BLOCK):
                    stop = min(start + BLOCK, starts[colour + 1])
                    count = stop - start
                    _local_fields(fields_x, fields_y, c, s, near, start, stop, staples, strength)
                    draw(words, others, seed, order[start:stop], count, chains[row], sweep)
                    here_c, here_s = c[start:stop], s[start:stop]
                    for k in range(count):
                        along = here_c[k] * fields_x[k] + here_s[k] * fields_y[k]
                        fields_y[k] = here_c[k] * fields_y[k] - here_s[k] * fields_x[k]
                        fields_x[k] = along
                    total = 0
                    for k in range(count):
                        turn_c, turn_s = cos_sin(width * (2.0 * unit(words[k]) - 1.0))
                        cost = (1.0 - turn_c) * fields_x[k] - turn_s * fields_y[k]
                        accept = unit(others[k]) < decay(max(cost, 0.0))
                        total += accept
                        fields_x[k] = turn_c if accept else 1.0
                        fields_y[k] = turn_s if accept else 0.0
                    accepted[row] += total
                    for k in range(count):
                        old = here_c[k]
                        here_c[k] = old * fields_x[k] - here_s[k] * fields_y[k]
                        here_s[k] = here_s[k] * fields_x[k] + old * fields_y[k]
            _pack(c, s, angles, order)
    return accepted


@njit(cache=True, nogil=True, error_model="numpy")
def overrelaxation_sweeps(x, near, order, starts, staples, coupling, reflections, betas, chains, seed, first_sweep, sweeps):
    """Sweeps of `reflections` reflections about the local field and one heat bath; changed variables `(chains,)`."""
    c, s = np.empty(len(order)), np.empty(len(order))
    fields_x, fields_y, kappas, tangents = np.empty((4, BLOCK))
    words, others = np.empty(BLOCK, np.uint64), np.empty(BLOCK, np.uint64)
    sites, slots, drawn = np.empty(BLOCK, np.int32), np.empty(BLOCK, np.int32), np.empty(BLOCK)
    for row in range(len(x)):
        angles = x[row].reshape(len(order))
        strength = coupling * betas[row]
        for sweep in range(first_sweep, first_sweep + sweeps):
            _unpack(c, s, angles, order)
            for repeat in range(reflections + 1):
                for colour in range(len(starts) - 1):
                    for start in range(starts[colour], starts[colour + 1], BLOCK):
                        stop = min(start + BLOCK, starts[colour + 1])
                        here_c, here_s = c[start:stop], s[start:stop]
                        _local_fields(fields_x, fields_y, c, s, near, start, stop, staples, strength)
                        if repeat < reflections:
                            for k in range(stop - start):
                                here_c[k], here_s[k] = reflected(here_c[k], here_s[k], fields_x[k], fields_y[k])
                            continue
                        count = stop - start
                        for k in range(count):
                            kappas[k] = np.sqrt(fields_x[k] * fields_x[k] + fields_y[k] * fields_y[k])
                            slots[k], sites[k] = k, order[start + k]
                        attempt = 0
                        while count > 0:
                            # The rejected close ranks and try again, with words of their own.
                            draw(words, others, seed, sites, count, chains[row], sweep + (attempt << 48))
                            for k in range(count):
                                drawn[k] = von_mises_try(words[k], others[k], kappas[k])
                            left = 0
                            for k in range(count):
                                tangents[slots[k]] = drawn[k]
                                kappas[left], sites[left], slots[left] = kappas[k], sites[k], slots[k]
                                left += np.isnan(drawn[k])
                            count = left
                            attempt += 1
                        for k in range(stop - start):
                            here_c[k], here_s[k] = turned(fields_x[k], fields_y[k], tangents[k])
            _pack(c, s, angles, order)
    return np.full(len(x), len(order) * sweeps * (reflections + 1))


@njit(inline="always")
def around(x, y, z, lift, azimuth):
    """The unit vector at an angle of cosine 1 − lift from the unit vector (x, y, z), turned about it by `azimuth`.

    Basis without a branch: Duff et al. 2017, Journal of Computer Graphics Techniques 6(1).
    """
    sign = 1.0 if z >= 0.0 else -1.0
    a = -1.0 / (sign + z)
    b = x * y * a
    c, s = cos_sin(azimuth)
    radius = np.sqrt(lift * (2.0 - lift))
    c, s, along = c * radius, s * radius, 1.0 - lift
    new_x = c * (1.0 + sign * x * x * a) + s * b + along * x
    new_y = c * sign * b + s * (sign + y * y * a) + along * y
    new_z = -c * sign * x - s * y + along * z
    length = np.sqrt(new_x * new_x + new_y * new_y + new_z * new_z)
    return new_x / length, new_y / length, new_z / length


@njit(inline="always")
def fisher_lift(word, kappa):
    """1 − cos θ for the density exp(κ cos θ) on the sphere, by inversion, without cancellation at any κ > 0."""
    return min(-np.log1p(unit(word) * np.expm1(-2.0 * kappa)) / kappa, 2.0)


@njit(inline="always")
def _local_vector(spins, neighbours, site, strength):
    x, y, z = 0.0, 0.0, 0.0
    for k in range(neighbours.shape[1]):
        near = spins[neighbours[site, k]]
        x, y, z = x + near[0], y + near[1], z + near[2]
    return strength * x, strength * y, strength * z


@njit(cache=True, nogil=True, error_model="numpy")
def sphere_metropolis_sweeps(x, neighbours, order, coupling, widths, betas, chains, seed, first_sweep, sweeps):
    """Metropolis sweeps with new spins uniform on the cap of angle `width`, at most π; accepted ones `(chains,)`."""
    accepted = np.zeros(len(x), np.int64)
    for row in range(len(x)):
        spins, strength, cap = x[row], coupling * betas[row], 1.0 - np.cos(min(widths[row], np.pi))
        for sweep in range(first_sweep, first_sweep + sweeps):
            for site in order:
                word, other = philox(seed, site, chains[row], sweep)
                third, _ = philox(seed, site, chains[row], sweep + (1 << 48))
                fx, fy, fz = _local_vector(spins, neighbours, site, strength)
                spin = spins[site]
                nx, ny, nz = around(spin[0], spin[1], spin[2], cap * unit(word), np.pi * (2.0 * unit(other) - 1.0))
                cost = (spin[0] - nx) * fx + (spin[1] - ny) * fy + (spin[2] - nz) * fz
                if unit(third) < decay(max(cost, 0.0)):
                    spin[0], spin[1], spin[2] = nx, ny, nz
                    accepted[row] += 1
    return accepted


@njit(cache=True, nogil=True, error_model="numpy")
def sphere_overrelaxation_sweeps(x, neighbours, order, coupling, reflections, betas, chains, seed, first_sweep, sweeps):
    """Sweeps of `reflections` reflections about the local field and one heat bath; changed spins `(chains,)`."""
    for row in range(len(x)):
        spins, strength = x[row], coupling * betas[row]
        for sweep in range(first_sweep, first_sweep + sweeps):
            for repeat in range(reflections + 1):
                for site in order:
                    fx, fy, fz = _local_vector(spins, neighbours, site, strength)
                    square, spin = fx * fx + fy * fy + fz * fz, spins[site]
                    if repeat < reflections:
                        along = spin[0] * fx + spin[1] * fy + spin[2] * fz
                        share = 2.0 * along / square if square > 0.0 else 0.0
                        spin[0], spin[1], spin[2] = share * fx - spin[0], share * fy - spin[1], share * fz - spin[2]
                        continue
                    kappa = max(np.sqrt(square), 1e-150)
                    fz = fz if square > 0.0 else kappa
                    word, other = philox(seed, site, chains[row], sweep)
                    lift, azimuth = fisher_lift(word, kappa), np.pi * (2.0 * unit(other) - 1.0)
                    spin[0], spin[1], spin[2] = around(fx / kappa, fy / kappa, fz / kappa, lift, azimuth)
    return np.full(len(x), len(order) * sweeps * (reflections + 1))
