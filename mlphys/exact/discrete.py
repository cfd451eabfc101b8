"""Exact values of Potts and clock models: transfer matrices of narrow tori, the transition of Potts models."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mlphys.checks import whole
from mlphys.exact.values import Exact, plain, positive

MOST_ROWS = 4096


class Transition(NamedTuple):
    """Where the infinite square lattice changes phase: temperature (J), energy per site there, latent heat per site.

    With a latent heat the two phases lie half of it above and below `energy`; without one, `energy` is that of T_c.
    """

    temperature: float
    energy: float
    latent_heat: float


def potts_transition(q: int) -> Transition:
    """The transition of H = −Σ δ(s, s') on the square lattice: continuous up to q = 4, with a latent heat above.

    q: at least 2, ValueError otherwise. Source: Potts 1952 (10.1017/S0305004100027419); latent heat, Baxter 1973
    (10.1088/0022-3719/6/23/005).

    >>> print(f"{potts_transition(3).temperature:.6f} {potts_transition(10).latent_heat:.6f}")
    0.994973 0.696049
    """
    root = np.sqrt(whole("q", q, 2))
    latent = 0.0
    if q > 4:
        theta = np.arccosh(root / 2)
        # Factors of the product come as close to 1 as floats can.
        latent = 2 * (1 + 1 / root) * np.tanh(theta / 2) * np.prod(np.tanh(theta * np.arange(1, 20 / theta + 1)) ** 2)
    return Transition(float(1 / np.log1p(root)), float(-(1 + 1 / root)), float(latent))


def is_narrow(hamiltonian: Any) -> bool:
    """Whether `discrete_torus` takes the lattice of a Potts or clock model."""
    lattice = hamiltonian.lattice
    return lattice.name in ("chain", "square") and hamiltonian.q ** _across(lattice) <= MOST_ROWS


def discrete_torus(hamiltonian: Any, temperature: ArrayLike) -> Exact:
    """Energy, heat capacity and log partition function of a Potts or clock model on a chain or a narrow square torus.

    temperature: > 0, scalar or array. The transfer matrix, a factor for every site, carries its first two derivatives by
    β. Raises ValueError for other lattices, and where q^side exceeds 4096 for both sides.
    Source: Kramers and Wannier 1941 (10.1103/PhysRev.60.252).

    >>> import mlphys as mp
    >>> print(f"{discrete_torus(mp.Potts(mp.square(4, 16), q=3), 1.0).energy:.6f}")
    -1.583738
    """
    lattice, q, temperature = hamiltonian.lattice, hamiltonian.q, positive(temperature)
    if not is_narrow(hamiltonian):
        raise ValueError(f"hamiltonian={hamiltonian!r} has no small transfer matrix: q^side must be at most {MOST_ROWS}")
    across = _across(lattice)
    lowest = float(hamiltonian.pair_energy.min())
    pair = hamiltonian.pair_energy - lowest
    digits = np.indices((q,) * across).reshape(across, -1)
    inside = sum(pair[digits[k], digits[(k + 1) % across]] for k in range(across)) if across > 1 else np.zeros(q)
    values = []
    for t in temperature.ravel():
        log_z, mean, variance = _trace(pair, inside, across, lattice.n_sites // across, 1 / t)
        values.append([mean, variance / t**2, log_z - lattice.n_bonds * lowest / t])
    mean, heat_capacity, log_partition = (plain(part.reshape(temperature.shape)) for part in np.array(values).T)
    energy = (mean + lattice.n_bonds * lowest) / lattice.n_sites
    return Exact(energy, heat_capacity / lattice.n_sites, log_partition=log_partition)


def _across(lattice: Any) -> int:
    return 1 if lattice.name == "chain" else min(lattice.shape)


def _trace(pair: np.ndarray, inside: np.ndarray, across: int, along: int, beta: float) -> tuple[float, float, float]:
    """log Z, mean and variance of the total energy, for energies `pair` of bonds along and `inside` of bonds across."""
    q, rows = len(pair), len(inside)
    weight = np.exp(-beta * pair)
    # Sums over the paths so far of their weight, and of its first and second derivative by β.
    step = np.zeros((3, q, 3, q))
    for k in range(3):
        step[k, :, k] = weight
    step[1, :, 0], step[2, :, 1], step[2, :, 0] = -pair * weight, -2 * pair * weight, pair**2 * weight
    row, energy = np.exp(-beta * inside)[:, None], inside[:, None]
    # All values may be turned together, so that every first row may begin with a 0.
    paths: Any = np.zeros((3, rows, rows // q))
    paths[0] = np.eye(rows, rows // q)
    log_scale = 0.0
    for _ in range(along):
        for _ in range(across):
            # The first digit of the row is replaced by that of the next row, and goes to its end.
            paths = np.tensordot(step, paths.reshape(3, q, -1), ((2, 3), (0, 1))).reshape(3, q, rows // q, -1)
            paths = paths.transpose(0, 2, 1, 3).reshape(3, rows, -1)
        z, first, second = paths
        paths = row * np.stack([z, first - energy * z, second - 2 * energy * first + energy**2 * z])
        scale = paths[0].max()
        paths /= scale
        log_scale += np.log(scale)
    z, first, second = q * np.trace(paths, axis1=1, axis2=2)
    return float(np.log(z) + log_scale), float(-first / z), float(second / z - (first / z) ** 2)
