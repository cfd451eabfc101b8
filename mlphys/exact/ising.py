"""Solved Ising models, H = -J Σ s s' - h Σ s: Onsager's plane, Kaufman's torus, and the chain.

Everything is written in k_B = 1 and per site. The torus and the plane are functions of x = ln sinh 2K, K = |J|/T: duality is
x → -x, the critical point is x = 0, and in the combinations used here nothing cancels on the way to either end.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mlphys.checks import whole
from mlphys.exact.values import Exact, finite, plain, positive

SQUARE_CRITICAL_TEMPERATURE = float(2 / np.log1p(np.sqrt(2)))
TRIANGULAR_CRITICAL_TEMPERATURE = float(4 / np.log(3))

# Beyond these, energy and heat capacity equal their limits to the last digit, and exp(3x) would overflow.
_WEAKEST, _STRONGEST = 1e-80, 100.0


def onsager(temperature: ArrayLike, coupling: float = 1.0) -> Exact:
    """Energy, heat capacity and spontaneous magnetisation of the infinite square lattice without field.

    temperature: > 0, scalar or array, in units of J; coupling: J, of either sign (an antiferromagnet orders in its staggered
    magnetisation: the uniform one is 0). At the critical temperature the energy is -√2 |J| and the heat capacity infinite.
    Raises ValueError for temperatures that are not positive. L. Onsager 1944 (10.1103/PhysRev.65.117); magnetisation,
    C. N. Yang 1952 (10.1103/PhysRev.85.808).

    >>> exact = onsager(2.0)
    >>> print(f"{exact.energy:.6f} {exact.magnetisation:.6f}")
    -1.745565 0.911319
    """
    coupling = finite("coupling", coupling)
    strength, x = _reduced(positive(temperature), coupling)
    sinh, cosh = np.exp(x), np.cosh(2 * strength)
    # Temperatures that round to the critical one are the critical one.
    critical = np.abs(x) < 4e-15
    below = x > 0
    complement = np.where(critical, 0.5, np.abs(np.expm1(x)) * (sinh + 1) / cosh**2)  # |2 tanh² 2K - 1|
    deficit = np.where(below, 2 / cosh**2, 2 * (sinh / cosh) ** 2)  # 1 - |2 tanh² 2K - 1|
    mean, mean_deficit, squares = _arithmetic_geometric_mean(complement, deficit, (2 * sinh / cosh**2) ** 2)
    sign = np.where(below, 1.0, -1.0)
    bracket = np.where(below, 1 + complement / mean, (deficit - mean_deficit) / mean)
    energy = np.where(critical, -np.sqrt(2.0), -bracket / np.tanh(2 * strength))
    one_minus = np.where(below, deficit, 2 - deficit)
    integral = np.pi / (2 * mean)
    singular = 2 * integral * squares - one_minus * (np.pi / 2 + sign * complement * integral)
    heat_capacity = 2 / np.pi * (strength / np.tanh(2 * strength)) ** 2 * singular
    ordered = below & ~critical & (coupling > 0)
    magnetisation = np.where(ordered, -np.expm1(-4 * np.where(ordered, x, 1.0)), 0.0) ** 0.125
    return Exact(plain(abs(coupling) * energy), plain(np.where(critical, np.inf, heat_capacity)), plain(magnetisation))


def kaufman(rows: int, columns: int, temperature: ArrayLike, coupling: float = 1.0) -> Exact:
    """Energy and heat capacity per site of the periodic rows × columns square lattice without field, at any size.

    rows, columns: at least 2 (a side of 2 counts its bonds twice, as the periodic lattice does); temperature: > 0, scalar or
    array; coupling: J. A negative coupling needs two even sides, where flipping one sublattice turns it into a positive one.
    Raises ValueError otherwise. B. Kaufman 1949 (10.1103/PhysRev.76.1232).

    >>> print(f"{kaufman(16, 16, SQUARE_CRITICAL_TEMPERATURE).energy:.12f}")
    -1.453064852813
    """
    short, long = sorted((whole("rows", rows, 2), whole("columns", columns, 2)))
    coupling = finite("coupling", coupling)
    if coupling < 0 and (rows % 2 or columns % 2):
        raise ValueError(
            f"coupling={coupling!r} frustrates the {rows} x {columns} torus: a negative coupling needs two even sides"
        )
    strength, x = _reduced(positive(temperature), coupling)
    flat = np.ravel(x)[:, None]
    slope, curvature = _torus(flat, short, long / 2)
    slope, curvature = (part.reshape(x.shape) / (short * long) for part in (slope, curvature))
    # From x to K: x' = 2 coth 2K and x'' = -4 / sinh² 2K.
    first = 2 / np.tanh(2 * strength)
    energy = -abs(coupling) * first * slope
    heat_capacity = strength**2 * (first**2 * curvature - 4 * np.exp(-2 * x) * slope)
    return Exact(plain(energy), plain(heat_capacity))


def ising_chain(n_sites: int, temperature: ArrayLike, coupling: float = 1.0, field: float = 0.0) -> Exact:
    """Energy, heat capacity and magnetisation per site of the periodic chain, exact at finite length.

    n_sites: at least 2; temperature: > 0, scalar or array; coupling, field: J and h, of either sign. Raises ValueError
    otherwise. The transfer matrix (E. Ising 1925, 10.1007/BF02980577) is raised to the power n_sites by squaring; each entry
    carries the logarithm of its weight with the mean and variance of the energy over its paths, so that neither low
    temperatures nor frustrated rings lose digits.

    >>> print(f"{ising_chain(1000, 1.0).energy:.6f}")
    -0.761594
    """
    n_sites = whole("n_sites", n_sites, 2)
    coupling, field = finite("coupling", coupling), finite("field", field)
    temperature = positive(temperature)
    beta = 1 / np.ravel(temperature)
    spins = np.array([1.0, -1.0])
    bond_energy = -coupling * np.multiply.outer(spins, spins) - field * np.add.outer(spins, spins) / 2
    shape = (2, 2, beta.size)
    bond = _Paths(
        -bond_energy[:, :, None] * beta,
        np.broadcast_to(bond_energy[:, :, None], shape),
        np.zeros(shape),
        np.broadcast_to((np.add.outer(spins, spins) / 2)[:, :, None], shape),
    )
    ring = bond
    for digit in bin(n_sites)[3:]:
        ring = ring.then(ring)
        if digit == "1":
            ring = ring.then(bond)
    closed = ring.merged(np.arange(2), np.arange(2))
    mean, variance, moment = (part.reshape(temperature.shape) / n_sites for part in closed)
    return Exact(plain(mean), plain(variance / temperature**2), plain(moment))


@dataclass(frozen=True)
class _Paths:
    """Paths between two spins, `(2, 2, temperatures)`: log weight, mean and variance of the energy, mean sum of spins."""

    log_weight: np.ndarray
    energy: np.ndarray
    variance: np.ndarray
    spin: np.ndarray

    def then(self, other: "_Paths") -> "_Paths":
        """These paths continued by the others, over either value of the spin between."""
        log_weight = self.log_weight[:, :, None] + other.log_weight[None]
        energy = self.energy[:, :, None] + other.energy[None]
        variance = self.variance[:, :, None] + other.variance[None]
        spin = self.spin[:, :, None] + other.spin[None]
        return _Paths(np.logaddexp.reduce(log_weight, axis=1), *_mixture(log_weight, energy, variance, spin, 1))

    def merged(self, first: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean energy, its variance and the mean sum of spins over the paths from first[i] to last[i]."""
        ends = first, last
        return _mixture(self.log_weight[ends], self.energy[ends], self.variance[ends], self.spin[ends], 0)


def _mixture(log_weight, energy, variance, spin, axis):
    weight = np.exp(log_weight - log_weight.max(axis=axis, keepdims=True))
    weight /= weight.sum(axis=axis, keepdims=True)
    mean = (weight * energy).sum(axis=axis, keepdims=True)
    spread = (weight * (variance + (energy - mean) ** 2)).sum(axis=axis)
    return mean.squeeze(axis), spread, (weight * spin).sum(axis=axis)


def _torus(x: np.ndarray, n: int, half: float) -> tuple[np.ndarray, np.ndarray]:
    """First and second derivative in x of ln Z for a torus of n × 2·half sites; x has shape (temperatures, 1).

    Z ∝ sinh(2K)^(N/2) (Z₁ + Z₂ + Z₃ + Z₄): products over modes γ of 2 cosh(half γ) and of 2 sinh(half γ), the first two over
    odd momenta, the last two over even ones. Only γ₀ changes sign at the critical point: it stays out of the logarithms.
    """
    odd = _modes(x, (2 * np.arange(n) + 1) * np.pi / n)
    even = _modes(x, 2 * np.arange(1, n) * np.pi / n)
    logs, slopes, curves = (
        np.stack(parts, axis=1)
        for parts in zip(*(_product(*modes, half, sign) for modes in (odd, even) for sign in (1, -1)), strict=True)
    )
    zero, gap, bend = _zero_mode(x, half)
    decayed = np.exp(-2 * np.abs(zero))
    cosh, sinh = 1 + decayed, -np.sign(zero) * np.expm1(-2 * np.abs(zero))
    nothing, one = np.zeros_like(zero), np.ones_like(zero)
    # Z₁ … Z₄ = exp(logs) · value, where `other` takes the place of `value` in odd derivatives.
    value, other = np.hstack([one, one, cosh, sinh]), np.hstack([nothing, nothing, sinh, cosh])
    logs[:, 2:] += np.abs(zero)
    weight = np.exp(logs - logs.max(axis=1, keepdims=True))
    weight /= (weight * value).sum(axis=1, keepdims=True)
    # Slopes carry their share of sinh(2K)^(N/2): the two almost cancel at high temperature, and so never stand apart.
    own = slopes * value
    own[:, 2:] += 2 * half * np.exp(zero - np.abs(zero)) - gap * other[:, 2:]
    mean = (weight * own).sum(axis=1, keepdims=True)
    # The slopes once the mean and the zero mode's part are taken off, and that part.
    rest = slopes - mean + half * np.array([0, 0, 1, 1])
    slope, bend = (part * np.array([0, 0, 1, 1]) for part in (half - gap, bend))
    second = value * (rest**2 + slope**2 + curves) + other * (2 * rest * slope + bend)
    return mean[:, 0], (weight * second).sum(axis=1)


def _zero_mode(x: np.ndarray, half: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """z = half γ₀, positive below the critical point, with half - dz/dx and d²z/dx²."""
    delta = 4 * np.sinh(x / 2) ** 2
    zero = 2 * half * np.arcsinh(np.sqrt(2) * np.sinh(x / 2))
    gap = -2 * half / (2 + delta + np.sqrt((2 + delta) * (4 + delta)))
    return zero, gap, -half * np.sinh(x / 2) / np.sqrt(2 * np.cosh(x) ** 3)


def _modes(x: np.ndarray, momentum: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """γ > 0 with cosh γ = 2 cosh x - cos(momentum), 1 + dγ/dx and d²γ/dx², each (temperatures, momenta)."""
    delta, epsilon = 4 * np.sinh(x / 2) ** 2, 2 * np.sin(momentum / 2) ** 2
    excess = delta + epsilon  # cosh γ - 1
    sinh = np.sqrt(excess * (2 + excess))
    gap = (epsilon * (2 + epsilon) - 2 * (1 - epsilon) * delta) / (sinh * (sinh + 2 * np.sinh(np.abs(x))))
    curve = (epsilon * (2 + epsilon) * (2 + delta) - (1 - epsilon) * delta**2) / sinh**3
    return 2 * np.arcsinh(np.sqrt(excess / 2)), np.where(x < 0, gap, 2 - gap), curve


def _product(gamma, slope, curve, half, sign):
    """Logarithm of Π 2 cosh(half γ) (sign 1) or Π 2 sinh(half γ) (sign -1), its slope plus half a mode, its curvature.

    `slope` is that of γ plus 1, as `_modes` gives it.
    """
    decayed = sign * np.exp(-2 * half * gamma)
    missing = 2 * decayed / (1 + decayed)  # 1 - tanh, or 1 - coth
    square = 4 * decayed / (1 + decayed) ** 2
    logs = half * gamma + np.log1p(decayed)
    slopes = half * (slope - (slope - 1) * missing)
    curves = half * curve * (1 - missing) + (half * (slope - 1)) ** 2 * square
    return logs.sum(axis=1), slopes.sum(axis=1), curves.sum(axis=1)


def _arithmetic_geometric_mean(complement, deficit, modulus_squared):
    """The mean M of 1 and `complement` = 1 - `deficit`, the deficit 1 - M, and (K - E)/K of the complete elliptic integrals.

    K = π / 2M. Both the numbers and their distances from 1 are carried, so that neither is lost where the other rounds.
    """
    upper, lower = np.ones_like(complement), complement
    upper_deficit, lower_deficit = np.zeros_like(deficit), deficit
    squares, power = modulus_squared / 2, 0.5
    for _ in range(9):  # from a complement of 1e-16; convergence is quadratic at the end
        half_gap, power = (upper - lower) / 2, 2 * power
        squares = squares + power * half_gap**2
        total, cross = upper_deficit + lower_deficit, upper_deficit * lower_deficit
        upper, lower = (upper + lower) / 2, np.sqrt(upper * lower)
        upper_deficit, lower_deficit = total / 2, (total - cross) / (1 + lower)
    return upper, upper_deficit, squares


def _reduced(temperature: np.ndarray, coupling: float) -> tuple[np.ndarray, np.ndarray]:
    """K = |J|/T and x = ln sinh 2K."""
    strength = np.clip(abs(coupling) / temperature, _WEAKEST, _STRONGEST)
    return strength, 2 * strength + np.log(-np.expm1(-4 * strength)) - np.log(2)
