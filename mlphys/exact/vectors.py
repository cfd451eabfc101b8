"""Exact values of continuous spins and of the U(1) gauge field, from the characters of their symmetry.

A bond weight exp(K z), z the cosine between two spins, is a sum of characters with coefficients λ, so that a ring of N bonds
has Z = Σ g λ^N: integers with Bessel functions for the circle, l with g = 2l + 1 and spherical ones for the sphere. In two
dimensions the plaquettes of a gauge field are such a ring. All integrals are quadratures that converge exponentially.
"""

from math import gamma
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mlphys.checks import whole
from mlphys.exact.discrete import MOST_ROWS, discrete_torus
from mlphys.exact.values import Exact, finite, plain, positive


def xy_ring(n_sites: int, temperature: ArrayLike, coupling: float = 1.0) -> Exact:
    """Energy, heat capacity, ⟨m²⟩ and log partition function (from dθ/2π) of a ring of XY spins.

    temperature: > 0, scalar or array. Raises ValueError for fewer than 2 sites, for bad temperatures and couplings, and for
    cold antiferromagnetic rings of odd length, where rounding would be large.
    Source: Mattis 1984 (10.1016/0375-9601(84)90816-8).

    >>> print(f"{xy_ring(6, 0.7).energy:.6f}")
    -0.609440
    """
    return _ring(_circle, n_sites, temperature, coupling)


def heisenberg_ring(n_sites: int, temperature: ArrayLike, coupling: float = 1.0) -> Exact:
    """Energy, heat capacity, ⟨m²⟩ and log partition function (from dΩ/4π) of a ring of classical Heisenberg spins.

    Arguments and errors as in `xy_ring`. Source: Joyce 1967 (10.1103/PhysRev.155.478).

    >>> print(f"{heisenberg_ring(400, 0.5).energy:.6f}")
    -0.537315
    """
    return _ring(_sphere, n_sites, temperature, coupling)


def xy_torus(lattice: Any, temperature: ArrayLike, coupling: float = 1.0) -> Exact:
    """Energy, heat capacity and log partition function (from dθ/2π) of XY spins on a square torus two or three sites wide.

    The angles are summed over q equidistant ones, a clock model, which errs by less than 1e-9. temperature: > 0, scalar or
    array. Raises ValueError where that takes a transfer matrix of more than 4096 rows.

    >>> import mlphys as mp
    >>> print(f"{xy_torus(mp.square(2, 4), 1.0).energy:.6f}")
    -1.454333
    """
    from mlphys.hamiltonians.discrete import Clock

    strength = abs(finite("coupling", coupling)) / positive(temperature).min()
    # A false term needs currents that add up to q at a site, at best the fourth part on each bond.
    q = next(q for q in range(4, 65) if q == 64 or (strength / 2) ** q / gamma(1 + q / 4) ** 4 < 1e-9)
    if lattice.name != "square" or q ** min(lattice.shape) > MOST_ROWS:
        raise ValueError(f"lattice={lattice!r} has no small transfer matrix: allowed are narrow square ones, not too cold")
    clock = discrete_torus(Clock(lattice, q, coupling), temperature)
    return Exact(clock.energy, clock.heat_capacity, log_partition=clock.log_partition - lattice.n_sites * np.log(q))


def u1_torus(n_sites: int, beta: float, temperature: ArrayLike = 1.0) -> Exact:
    """Action, its variance (as heat capacity), plaquette ⟨cos P⟩, ⟨Q²⟩ and log Z of U(1) gauge theory on a torus.

    It has n_sites plaquettes; action and variance are per site, log Z is that of the whole and of dθ/2π. temperature: > 0,
    scalar or array, divides the action.
    Raises ValueError for fewer than 4 sites and unless beta > 0. Source: Bonati and Rossi 2019 (10.1103/PhysRevD.99.054503).

    >>> values = u1_torus(64, 2.0)
    >>> print(f"{values.plaquette:.9f} {values.charge2 / 64:.9f}")
    0.697774658 0.019364045
    """
    if finite("beta", beta) <= 0:
        raise ValueError(f"beta={beta!r} is not allowed: it must be positive")
    ring = _ring(_circle, whole("n_sites", n_sites, 4), temperature, beta)
    charge2 = [_charge2(n_sites, beta / t) for t in np.ravel(temperature)]
    charge2 = plain(np.reshape(charge2, np.shape(temperature)))
    observables = {"plaquette": -ring.energy / beta, "charge2": charge2}
    return Exact(ring.energy, ring.heat_capacity, log_partition=ring.log_partition, **observables)


def _charge2(n: int, beta: float) -> float:
    degree = _degree(beta)
    nodes, weights = np.polynomial.legendre.leggauss(3 * degree)
    angles, waves = np.pi * nodes, np.arange(degree + 1)
    weights = weights * np.exp(beta * (np.cos(angles) - 1))
    # An angle of vacuum θ turns the wave number k into k + θ/2π: the derivatives by it.
    phases = waves[:, None] * angles
    value, first, second = (f(phases) @ (angles**k * weights) for k, f in enumerate((np.cos, np.sin, np.cos)))
    value, first, second = value / value[0], first / value[0], second / value[0]
    copies = np.where(waves, 2, 1)
    curvature = copies @ (value ** (n - 1) * second - (n - 1) * value ** (n - 2) * first**2)
    return float(n * curvature / (copies @ value**n) / (2 * np.pi) ** 2)


def _degree(strength: float) -> int:
    """The characters that count: their coefficients fall as exp(−n²/2K)."""
    return 20 + int(10 * np.sqrt(abs(strength)))


def _circle(degree: int):
    """Cosines z, weights, characters, their copies, and the weights of a step upwards in correlations."""
    angles = 2 * np.pi * np.arange(3 * degree) / (3 * degree)
    n = np.arange(degree + 1)
    characters = np.cos(n[:, None] * angles)
    return np.cos(angles), np.full(3 * degree, 1 / (3 * degree)), characters, np.where(n, 2, 1), np.ones(degree)


def _sphere(degree: int):
    z, weights = np.polynomial.legendre.leggauss(3 * degree)
    degrees = np.arange(degree + 1)
    return z, weights / 2, np.polynomial.legendre.legvander(z, degree).T, 2 * degrees + 1, degrees[1:]


def _ring(basis, n_sites: int, temperature: ArrayLike, coupling: float) -> Exact:
    n_sites, coupling, temperature = whole("n_sites", n_sites, 2), finite("coupling", coupling), positive(temperature)
    rows = [_bonds(basis, n_sites, coupling / t) for t in temperature.ravel()]
    aligned, heat_capacity, m2, log_partition = (plain(part.reshape(temperature.shape)) for part in np.array(rows).T)
    return Exact(-coupling * aligned, heat_capacity, 0.0 * m2, m2=m2, log_partition=log_partition)


def _bonds(basis, n: int, strength: float) -> tuple[float, float, float, float]:
    """Mean cosine, K² times the variance of the cosines' sum over n, ⟨m²⟩ and log Z of a ring of n bonds."""
    z, weights, characters, copies, up = basis(_degree(strength))
    weights = weights * np.exp(strength * z - abs(strength))
    total = weights.sum()
    centre = weights @ z / total
    value, first, second = (characters @ (weights * (z - centre) ** k) / total for k in range(3))
    partition = copies @ value**n
    if partition < 1e-7 * (copies @ np.abs(value) ** n):
        raise ValueError(f"coupling/temperature={strength!r} is too strong for an odd ring: its sums cancel")
    mean = copies @ (value ** (n - 1) * first) / partition
    spread = copies @ (value ** (n - 1) * second + (n - 1) * value ** (n - 2) * first**2) / partition - n * mean**2
    r = np.arange(n)[:, None]
    correlations = (value[:-1] ** (n - r) * value[1:] ** r + value[1:] ** (n - r) * value[:-1] ** r) @ up / partition
    log_partition = n * (np.log(total) + abs(strength)) + np.log(partition)
    return centre + mean, strength**2 * spread, correlations.mean(), log_partition
