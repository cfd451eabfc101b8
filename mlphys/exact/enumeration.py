"""The whole sum over states: exact for any model of discrete values, such as 20 spins ±1, whatever its bonds and fields."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mlphys.checks import is_whole
from mlphys.exact.values import Exact, plain, positive

MOST_STATES = 2**20


def enumerable(hamiltonian: Any) -> bool:
    """Whether a model of discrete values has few enough states to sum over all of them."""
    return len(values_of(hamiltonian)) ** hamiltonian.lattice.n_sites <= MOST_STATES


def enumerate_states(n_sites: int, chunk: int = 2**15, values: Sequence[int] = (-1, 1)) -> Iterator[np.ndarray]:
    """All configurations of the given `values` in order of their code, as int8 arrays `(at most chunk, n_sites)`.

    Digit i of the code, to the base of the number of values, says which value is at site i; of spins ±1, bit i whether
    spin i is up. Raises ValueError for more than 2²⁰ states, as 20 spins have.

    >>> next(enumerate_states(2)).tolist()
    [[-1, -1], [1, -1], [-1, 1], [1, 1]]
    """
    most = int(np.log(MOST_STATES) / np.log(len(values)) + 1e-9)
    if not is_whole(n_sites) or not 1 <= n_sites <= most:
        raise ValueError(f"n_sites={n_sites!r} is not allowed: enumeration of {len(values)} values takes 1 to {most} sites")
    states = len(values) ** n_sites
    return (_configurations(n_sites, first, min(chunk, states - first), values) for first in range(0, states, chunk))


def enumeration(hamiltonian: Any, temperature: ArrayLike) -> Exact:
    """Every thermal value of a model of discrete values, from all its states.

    hamiltonian: its `energy(x)` gives the total energy `(batch,)` of an int8 tensor `(batch, n_sites)`; its `values` are
    those a site can take, ±1 if it has none. temperature: > 0, scalar or array. Raises ValueError for more than 2²⁰
    states, as 20 spins ±1 have, and for temperatures that are not positive.

    >>> import mlphys as mp
    >>> print(f"{mp.exact.enumeration(mp.Ising(mp.square(4)), 2.0).abs_magnetisation:.6f}")
    0.918943
    """
    temperature = positive(temperature)
    n_sites = hamiltonian.lattice.n_sites
    energies, order = _all(hamiltonian)
    energy, level = np.unique(energies, return_inverse=True)
    states = np.bincount(level)
    # Means over the states of one energy; the mean energy is needed before its variance.
    columns = np.stack([np.bincount(level, moment) / states for moment in order])
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
    """Boltzmann probabilities `(states,)` of all states, in the order of `enumerate_states`.

    Raises ValueError for more than 2²⁰ states and for a temperature that is not one positive number.

    >>> import mlphys as mp
    >>> mp.exact.distribution(mp.Ising(mp.chain(3)), 1.0).round(3).tolist()
    [0.474, 0.009, 0.009, 0.009, 0.009, 0.009, 0.009, 0.474]
    """
    single = positive(temperature)
    if single.ndim:
        raise ValueError(f"temperature has shape {single.shape}: allowed is one number")
    energy = _all(hamiltonian)[0]
    weight = np.exp((energy.min() - energy) / single)
    return weight / weight.sum()


def values_of(hamiltonian: Any) -> Sequence[int]:
    """The values that a site can take: ±1 unless the model says otherwise."""
    return getattr(hamiltonian, "values", (-1, 1))


def _all(hamiltonian: Any) -> tuple[np.ndarray, np.ndarray]:
    """Energies `(states,)` and magnetisation, its absolute value, square and fourth power `(4, states)` of all states."""
    import torch

    observables = getattr(hamiltonian, "observables", {})
    m = observables.get("magnetisation", lambda x: x.mean(1, dtype=torch.float64))
    length = observables.get("abs_magnetisation", lambda x: m(x).abs())
    rows = []
    for states in enumerate_states(hamiltonian.lattice.n_sites, values=values_of(hamiltonian)):
        x = torch.from_numpy(states)
        rows.append(np.stack([np.asarray(of(x), np.float64) for of in (hamiltonian.energy, m, length)]))
    energy, signed, unsigned = np.concatenate(rows, axis=1)
    return energy, np.stack([signed, unsigned, unsigned**2, unsigned**4])


def _configurations(n_sites: int, first: int, count: int, values: Sequence[int]) -> np.ndarray:
    codes = np.arange(first, first + count)
    return np.array(values, np.int8)[codes[:, None] // len(values) ** np.arange(n_sites) % len(values)]
