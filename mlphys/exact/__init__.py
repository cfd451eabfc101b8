"""Exact twins: what a simulation must reproduce within its error bars."""

from mlphys.exact.discrete import Transition, discrete_torus, potts_transition
from mlphys.exact.electrons import double_exchange
from mlphys.exact.enumeration import distribution, enumerate_states, enumeration
from mlphys.exact.fields import field_ring, free_field
from mlphys.exact.glass import glass_torus, spin_glass_ground_energy
from mlphys.exact.ising import (
    SQUARE_CRITICAL_TEMPERATURE,
    TRIANGULAR_CRITICAL_TEMPERATURE,
    ising_chain,
    kaufman,
    onsager,
)
from mlphys.exact.quantum import ground_energy
from mlphys.exact.twin import thermal
from mlphys.exact.values import Exact
from mlphys.exact.vectors import heisenberg_ring, u1_torus, xy_ring, xy_torus
from mlphys.exact.wells import many_modes, many_well

__all__ = [
    "SQUARE_CRITICAL_TEMPERATURE",
    "TRIANGULAR_CRITICAL_TEMPERATURE",
    "Exact",
    "Transition",
    "discrete_torus",
    "distribution",
    "double_exchange",
    "enumerate_states",
    "enumeration",
    "field_ring",
    "free_field",
    "glass_torus",
    "ground_energy",
    "heisenberg_ring",
    "ising_chain",
    "kaufman",
    "many_modes",
    "many_well",
    "onsager",
    "potts_transition",
    "spin_glass_ground_energy",
    "thermal",
    "u1_torus",
    "xy_ring",
    "xy_torus",
]
