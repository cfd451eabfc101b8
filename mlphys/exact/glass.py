"""Spin glasses on narrow square tori: ground states and thermal values by the transfer matrix, one bond at a time.

For every first row of spins the sum (or the minimum) over all rows so far is kept as a table over the current row, and the
spins of the next row replace those of this one singly: 2^columns · 2^columns · sites steps rather than 2^sites. The table
holds "paths": an energy where the minimum is asked for; log weight, mean and variance of the energy where the sum is.
Source: Morgenstern and Binder 1980 (10.1103/PhysRevB.22.288).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mlphys.exact.values import Exact, plain, positive

MOST_COLUMNS = 10
# Added to the energy that decides about paths which do not exist.
_FORBIDDEN = 1e100


def spin_glass_ground_energy(hamiltonian: Any) -> float:
    """The lowest energy per site, in J, of Ising spins with any couplings and fields on a square torus.

    Raises ValueError for other models, and where both sides exceed 10. An 8 × 8 glass takes some 10 ms.

    >>> import mlphys as mp
    >>> spin_glass_ground_energy(mp.SpinGlass(mp.square(8), seed=1))
    -1.40625
    """
    closed, _ = _around(hamiltonian, np.ones(1), np.minimum)
    return float(closed.min()) / hamiltonian.lattice.n_sites


def glass_torus(hamiltonian: Any, temperature: ArrayLike) -> Exact:
    """Energy and heat capacity of Ising spins with any couplings and fields on a square torus, one side of at most 10.

    temperature: > 0, scalar or array. Raises ValueError otherwise.

    >>> import mlphys as mp
    >>> print(f"{glass_torus(mp.Ising(mp.square(8)), 2.0).energy:.10f}")
    -1.7456831703
    """
    temperature = positive(temperature)
    rows = []
    for t in temperature.ravel():
        paths, copies = _around(hamiltonian, np.array([-1 / t, 1.0, 0.0]), _mixed)
        while paths.shape[1] > 1:
            paths = _mixed(paths[:, ::2], paths[:, 1::2])
        log_weight, energy, variance = paths[:, 0]
        rows.append([energy, variance / t**2, log_weight + np.log(copies)])
    energy, heat_capacity, log_partition = (plain(part.reshape(temperature.shape)) for part in np.array(rows).T)
    n_sites = hamiltonian.lattice.n_sites
    return Exact(energy / n_sites, heat_capacity / n_sites, log_partition=log_partition)


def is_narrow_torus(hamiltonian: Any) -> bool:
    """Whether this is an Ising model on a square torus with a side of at most 10."""
    from mlphys.hamiltonians.spins import Ising

    ising = isinstance(hamiltonian, Ising)
    return ising and hamiltonian.lattice.name == "square" and min(hamiltonian.lattice.shape) <= MOST_COLUMNS


def _around(hamiltonian: Any, shift: np.ndarray, merge: Callable) -> tuple[np.ndarray, int]:
    """Closed paths `(parts, first rows)`, and how often each first row counts.

    An energy e adds `shift` (parts,) times e to a path; `merge` joins paths that lead to the same spins.
    """
    if not is_narrow_torus(hamiltonian):
        raise ValueError(
            f"hamiltonian={hamiltonian!r} is not solved by this transfer matrix: allowed are Ising models on square tori "
            f"with a side of at most {MOST_COLUMNS}"
        )
    shape = hamiltonian.lattice.shape
    couplings = np.broadcast_to(hamiltonian.coupling, hamiltonian.lattice.n_bonds)
    right, down = couplings.reshape(2, *shape)
    fields = hamiltonian.site_fields.reshape(shape)
    if shape[0] < shape[1]:
        right, down, fields = down.T, right.T, fields.T
    rows, columns = fields.shape
    spins = 2.0 * (np.arange(2**columns)[:, None] >> np.arange(columns) & 1) - 1
    row_energies = -(right @ (spins * np.roll(spins, -1, axis=1)).T + fields @ spins.T)
    # Without a field, turning all spins over changes nothing: the last spin of the first row stays down.
    copies = 2 if hamiltonian.without_field else 1
    first = np.arange(2**columns // copies)
    paths = np.zeros((len(shift), len(first), 2**columns))
    paths[0] = _FORBIDDEN * shift[0]
    paths[:, first, first] = 0
    for row in range(rows):
        paths += np.multiply.outer(shift, row_energies[row])[:, None]
        for column in range(columns):
            spin = paths.reshape(len(shift), len(first), -1, 2, 2**column)
            minus, plus = spin[..., 0, :], spin[..., 1, :]
            bond = (shift * down[row, column])[:, None, None, None]
            replaced = np.stack([merge(minus - bond, plus + bond), merge(minus + bond, plus - bond)], axis=3)
            paths = replaced.reshape(paths.shape)
    return paths[:, first, first], copies


def _mixed(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Both sets of paths together: parts log weight, mean and variance of the energy, along the first axis."""
    excess = others[0] - some[0]
    ratio = np.exp(-np.abs(excess))
    share = np.where(excess > 0, 1, ratio) / (1 + ratio)
    gap = others[1] - some[1]
    mixed = some + share * (others - some)
    mixed[0] = np.maximum(some[0], others[0]) + np.log1p(ratio)
    mixed[2] += share * (1 - share) * gap**2
    return mixed
