"""From a Hamiltonian to its exact twin."""

from typing import Any

from numpy.typing import ArrayLike

from mlphys.exact.discrete import MOST_ROWS, discrete_torus, is_narrow
from mlphys.exact.electrons import double_exchange
from mlphys.exact.enumeration import enumerable, enumeration
from mlphys.exact.fields import field_ring, free_field
from mlphys.exact.glass import MOST_COLUMNS, glass_torus, is_narrow_torus
from mlphys.exact.ising import ising_chain, kaufman
from mlphys.exact.values import Exact
from mlphys.exact.vectors import heisenberg_ring, u1_torus, xy_ring, xy_torus
from mlphys.exact.wells import many_modes, many_well


def thermal(hamiltonian: Any, temperature: ArrayLike) -> Exact:
    """Exact thermal values of a model: by enumeration, by Kaufman's torus, by a transfer matrix, or in closed form.

    temperature: > 0, scalar or array. Raises ValueError where no exact value is known. Discrete models are enumerated up
    to 2²⁰ states. Above that, Ising models need a uniform chain, the uniform square lattice without field, or a square
    lattice with a side of at most 10; Potts and clock models a chain or a square lattice with q^side at most 4096. A φ⁴
    field needs a chain, or coupling 0.

    >>> import mlphys as mp
    >>> print(f"{mp.exact.thermal(mp.Ising(mp.square(64)), 2.0).energy:.6f}")
    -1.745565
    """
    from mlphys.hamiltonians.discrete import Clock, Potts
    from mlphys.hamiltonians.electrons import DoubleExchange
    from mlphys.hamiltonians.fields import Phi4
    from mlphys.hamiltonians.gauge import U1Gauge
    from mlphys.hamiltonians.plaquettes import PlaquetteIsing
    from mlphys.hamiltonians.spins import Ising
    from mlphys.hamiltonians.vectors import XY, Heisenberg
    from mlphys.hamiltonians.wells import ManyModes, ManyWell

    if isinstance(hamiltonian, Ising | PlaquetteIsing | Potts | Clock) and enumerable(hamiltonian):
        return enumeration(hamiltonian, temperature)
    if isinstance(hamiltonian, Potts | Clock):
        if is_narrow(hamiltonian):
            return discrete_torus(hamiltonian, temperature)
    if isinstance(hamiltonian, Ising):
        lattice = hamiltonian.lattice
        coupling: Any = hamiltonian.coupling
        field: Any = hamiltonian.field
        if lattice.name == "chain" and hamiltonian.uniform and hamiltonian.uniform_field:
            return ising_chain(lattice.n_sites, temperature, coupling, field)
        if lattice.name == "square" and hamiltonian.uniform and hamiltonian.without_field:
            rows, columns = lattice.shape
            if coupling >= 0 or lattice.bipartite:
                return kaufman(rows, columns, temperature, coupling)
        if is_narrow_torus(hamiltonian):
            return glass_torus(hamiltonian, temperature)
    if isinstance(hamiltonian, Phi4):
        if hamiltonian.coupling == 0:
            return free_field(hamiltonian, temperature)
        if hamiltonian.lattice.name == "chain":
            return field_ring(hamiltonian, temperature)
    if isinstance(hamiltonian, DoubleExchange):
        if hamiltonian.lattice.n_sites <= 3 and temperature == hamiltonian.temperature:
            return double_exchange(hamiltonian)
    if isinstance(hamiltonian, U1Gauge):
        return u1_torus(hamiltonian.lattice.n_sites, hamiltonian.beta, temperature)
    if isinstance(hamiltonian, ManyWell | ManyModes):
        return (many_well if isinstance(hamiltonian, ManyWell) else many_modes)(hamiltonian, temperature)
    if isinstance(hamiltonian, XY | Heisenberg) and hamiltonian.lattice.name == "chain":
        ring = xy_ring if isinstance(hamiltonian, XY) else heisenberg_ring
        return ring(hamiltonian.lattice.n_sites, temperature, hamiltonian.coupling)
    if isinstance(hamiltonian, XY) and hamiltonian.lattice.name == "square" and min(hamiltonian.lattice.shape) <= 3:
        return xy_torus(hamiltonian.lattice, temperature, hamiltonian.coupling)
    raise ValueError(
        f"hamiltonian={hamiltonian!r} has no known exact value: allowed are discrete models of up to 2**20 states, Ising "
        "models on uniform chains, on the uniform square lattice without field, and on square lattices with a side of at "
        f"most {MOST_COLUMNS}, Potts and clock models on chains and narrow square lattices, q**side <= {MOST_ROWS}, "
        "φ⁴ fields on chains, or free, XY and Heisenberg models on chains, XY also two or three wide, U(1) gauge "
        "fields, separate wells, and double exchange on up to three sites at its own temperature"
    )
