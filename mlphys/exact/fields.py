"""Solved φ⁴ fields: the free field on any lattice, and the ring by its transfer operator. Per site, k_B = 1."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mlphys.exact.values import Exact, plain, positive


def free_field(hamiltonian: Any, temperature: ArrayLike = 1.0) -> Exact:
    """Exact values of `Phi4` with coupling 0 on any lattice: every wave vector is a Gaussian of its own.

    temperature: > 0, scalar or array, 1 for the action itself. Raises ValueError for another coupling.
    Source: Montvay and Münster 1994 (10.1017/CBO9780511470783), chapter 2.

    >>> import mlphys as mp
    >>> print(f"{free_field(mp.Phi4(mp.square(8), mass2=0.5, coupling=0.0)).phi2:.6f}")
    0.158796
    """
    if hamiltonian.coupling != 0:
        raise ValueError(f"coupling={hamiltonian.coupling!r} is not that of a free field: allowed is 0")
    temperatures, spectrum = positive(temperature), hamiltonian.spectrum
    m2 = temperatures / (2 * spectrum[0] * spectrum.size)
    return Exact(
        energy=plain(temperatures / 2),
        heat_capacity=plain(np.full(temperatures.shape, 0.5)),
        magnetisation=plain(np.zeros(temperatures.shape)),
        abs_magnetisation=plain(np.sqrt(2 * m2 / np.pi)),
        m2=plain(m2),
        m4=plain(3 * m2**2),
        binder=plain(np.zeros(temperatures.shape)),
        log_partition=plain(np.log(np.pi * temperatures[..., None] / spectrum).sum(-1) / 2),
        phi2=plain(temperatures / 2 * np.mean(1 / spectrum)),
    )


def field_ring(hamiltonian: Any, temperature: ArrayLike = 1.0) -> Exact:
    """Exact values of `Phi4` on a chain, from the eigenvalues of its transfer operator on a grid of field values.

    The trapezoidal rule converges exponentially here: the grid is refined until nothing changes by more than 1e-11.
    temperature: > 0, scalar or array, 1 for the action itself. Raises ValueError for other lattices.
    Source of the rule's convergence: Trefethen and Weideman 2014 (10.1137/130932132).

    >>> import mlphys as mp
    >>> print(f"{field_ring(mp.Phi4(mp.chain(16), mass2=-1.0, coupling=1.0)).phi2:.6f}")
    0.344899
    """
    if hamiltonian.lattice.name != "chain":
        raise ValueError(f"lattice={hamiltonian.lattice!r} is not a ring: allowed is chain(n_sites)")
    temperatures = positive(temperature)
    values = np.array([_refined(hamiltonian, 1 / t) for t in temperatures.ravel()]).T.reshape(5, *temperatures.shape)
    energy, heat_capacity, m2, phi2, log_partition = map(plain, values)
    zero = plain(np.zeros(temperatures.shape))
    return Exact(energy, heat_capacity, zero, m2=m2, phi2=phi2, log_partition=log_partition)


def _refined(hamiltonian: Any, beta: float) -> np.ndarray:
    points, values = 64, _ring(hamiltonian, beta, 32)
    while points <= 4096:
        finer = _ring(hamiltonian, beta, points)
        if np.allclose(values, finer, rtol=1e-11, atol=1e-11):
            return finer
        points, values = 2 * points, finer
    raise ValueError(f"temperature={1 / beta!r} is not allowed: at this one the field has a finer structure than the grid")


def _ring(hamiltonian: Any, beta: float, points: int) -> np.ndarray:
    """Action and heat capacity per site, ⟨m²⟩, ⟨φ²⟩ and ln Z, with `points` values of the field."""
    n, a, coupling, b = hamiltonian.lattice.n_sites, hamiltonian.quadratic, hamiltonian.coupling, hamiltonian.hopping
    # Beyond ±edge no configuration has a weight above exp(−70) of the largest.
    softest, depth = a - abs(b), 70 / beta
    if softest < 0:
        depth += softest**2 / (4 * coupling)
    size = np.sqrt(softest**2 + 4 * coupling * depth)
    edge = np.sqrt((size - softest) / (2 * coupling) if softest < 0 else 2 * depth / (size + softest))
    phi, spacing = np.linspace(-edge, edge, points, retstep=True)
    site = (coupling * phi**2 + a) * phi**2 / 2
    bond = site[:, None] + site - b * np.outer(phi, phi)
    lowest = bond.min()
    eigenvalues, states = np.linalg.eigh(spacing * np.exp(-beta * (bond - lowest)))
    largest = eigenvalues[-1]
    ratios = eigenvalues / largest  # of a positive operator's the largest is the one of largest size
    partition = (ratios**n).sum()

    def mean(operator):
        """⟨operator⟩ of one bond, given on the grid times the transfer operator."""
        return (ratios ** (n - 1) * np.einsum("ik,ij,jk->k", states, operator, states, optimize=True)).sum() / partition

    def correlations(matrix, steps):
        """Sum over distances of the correlations of an operator that takes `steps` of the ring itself."""
        squares = (states.T @ matrix @ states) ** 2
        waves = ratios ** np.arange(n + 1 - steps)[:, None]
        powers = np.arange(n + 1 - 2 * steps) if steps else np.arange(n)
        return sum(waves[n - 2 * steps - r] @ squares @ waves[r] for r in powers) / partition

    transfer = np.exp(-beta * (bond - lowest)) * spacing / largest
    energy = mean(bond * transfer)
    energy2 = mean(bond**2 * transfer) + correlations(bond * transfer, 1)
    phi2 = mean(transfer * phi**2)
    m2 = correlations(np.diag(phi), 0) / n
    heat_capacity = beta**2 * (energy2 - n * energy**2)
    return np.array([energy, heat_capacity, m2, phi2, np.log(partition) + n * (np.log(largest) - beta * lowest)])
