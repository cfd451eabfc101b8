"""The whole sum over states: exact for any model of up to 20 spins ±1, whatever its bonds and fields."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mlphys.checks import is_whole
from mlphys.exact.values import Exact, plain, positive

MOST_SITES = 20


def enumerate_states(n_sites: int, chunk: int = 2**15) -> Iterator[np.ndarray]:
    """All 2^n_sites configurations in order of their integer code, as int8 arrays `(at most chunk, n_sites)` of ±1.

    Bit i of the code says whether spin i is up. Raises ValueError for more than 20 sites.

    >>> next(enumerate_states(2)).tolist()
    [[-1, -1], [1, -1], [-1, 1], [1, 1]]
    """
    if not is_whole(n_sites) or not 1 <= n_sites <= MOST_SITES:
        raise ValueError(f"n_sites={n_sites!r} is not allowed: enumeration takes 1 to {MOST_SITES} sites, as 4 x 5 has")
    return (_spins(n_sites, first, min(chunk, 2**n_sites - first)) for first in range(0, 2**n_sites, chunk))


def enumeration(hamiltonian: Any, temperature: ArrayLike) -> Exact:
    """Every thermal value of a model of spins ±1, from all its states.

    hamiltonian: its `energy(x)` gives the total energy `(batch,)` of an int8 tensor `(batch, n_sites)`; temperature: > 0,
    scalar or array. Raises ValueError for more than 20 sites and for temperatures that are not positive.

    >>> import mlphys as mp
    >>> print(f"{mp.exact.enumeration(mp.Ising(mp.square(4)), 2.0).abs_magnetisation:.6f}")
    0.918943
    """
    temperature = positive(temperature)
    n_sites = hamiltonian.lattice.n_sites
    energy, up, states = _levels(hamiltonian)
    m = (2 * up - n_sites) / n_sites
    # Columns that are averaged; the mean energy is needed before its variance.
    columns = np.stack([m, np.abs(m), m**2, m**4])
    rows = []
    for t in temperature.ravel():
        weight = states * np.exp((energy.min() - energy) / t)
        total = weight.sum()
        weight /= total
        mean = weight @ energy
        variance = weight @ (energy - mean) ** 2
        rows.append([mean / n_sites, variance / t**2 / n_sites, *(columns @ weight), np.log(total) - energy.min() / t])
    u, c, *moments, log_partition = (plain(part.reshape(temperature.shape)) for part in np.array(rows).T)
    magnetisation, abs_magnetisation, m2, m4 = moments
    return Exact(u, c, magnetisation, abs_magnetisation, m2, m4, 1 - m4 / (3 * m2**2), log_partition)


def distribution(hamiltonian: Any, temperature: float) -> np.ndarray:
    """Boltzmann probabilities `(2^n_sites,)` of all states, in the order of `enumerate_states`.

    Raises ValueError for more than 20 sites and for a temperature that is not one positive number.

    >>> import mlphys as mp
    >>> mp.exact.distribution(mp.Ising(mp.chain(3)), 1.0).round(3).tolist()
    [0.474, 0.009, 0.009, 0.009, 0.009, 0.009, 0.009, 0.474]
    """
    single = positive(temperature)
    if single.ndim:
        raise ValueError(f"temperature has shape {single.shape}: allowed is one number")
    energy = _energies(hamiltonian)
    weight = np.exp((energy.min() - energy) / single)
    return weight / weight.sum()


def _levels(hamiltonian: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct pairs of energy and number of spins up, with the number of states of each."""
    sites = hamiltonian.lattice.n_sites + 1
    energies, level = np.unique(_energies(hamiltonian), return_inverse=True)
    up = np.bitwise_count(np.arange(level.size))
    states = np.bincount(level * sites + up, minlength=energies.size * sites)
    present = np.flatnonzero(states)
    return energies[present // sites], present % sites, states[present]


def _energies(hamiltonian: Any) -> np.ndarray:
    import torch

    chunks = enumerate_states(hamiltonian.lattice.n_sites)
    return np.concatenate([np.asarray(hamiltonian.energy(torch.from_numpy(x)), np.float64) for x in chunks])


def _spins(n_sites: int, first: int, count: int) -> np.ndarray:
    codes = np.arange(first, first + count, dtype="<u4")
    bits = np.unpackbits(codes.view(np.uint8).reshape(count, 4), axis=1, count=n_sites, bitorder="little")
    return 2 * bits.view(np.int8) - 1
