"""From a Hamiltonian to its exact twin."""

from typing import Any

from numpy.typing import ArrayLike

from mlphys.exact.enumeration import MOST_SITES, enumeration
from mlphys.exact.glass import MOST_COLUMNS, glass_torus, is_narrow_torus
from mlphys.exact.ising import ising_chain, kaufman
from mlphys.exact.values import Exact


def thermal(hamiltonian: Any, temperature: ArrayLike) -> Exact:
    """Exact thermal values of an Ising model: by enumeration, by Kaufman's torus, or by a transfer matrix.

    temperature: > 0, scalar or array. Raises ValueError where no exact value is known: above 20 sites that is everything
    but uniform chains, the uniform square lattice without field, and square lattices with a side of at most 10.

    >>> import mlphys as mp
    >>> print(f"{mp.exact.thermal(mp.Ising(mp.square(64)), 2.0).energy:.6f}")
    -1.745565
    """
    from mlphys.hamiltonians.spins import Ising

    if isinstance(hamiltonian, Ising):
        lattice = hamiltonian.lattice
        coupling: Any = hamiltonian.coupling
        field: Any = hamiltonian.field
        if lattice.n_sites <= MOST_SITES:
            return enumeration(hamiltonian, temperature)
        if lattice.name == "chain" and hamiltonian.uniform and hamiltonian.uniform_field:
            return ising_chain(lattice.n_sites, temperature, coupling, field)
        if lattice.name == "square" and hamiltonian.uniform and hamiltonian.without_field:
            rows, columns = lattice.shape
            if coupling >= 0 or lattice.bipartite:
                return kaufman(rows, columns, temperature, coupling)
        if is_narrow_torus(hamiltonian):
            return glass_torus(hamiltonian, temperature)
    raise ValueError(
        f"hamiltonian={hamiltonian!r} has no known exact value: allowed are Ising models of up to {MOST_SITES} sites, "
        "uniform chains, the uniform square lattice without field, and any square lattice with a side of at most "
        f"{MOST_COLUMNS}"
    )
