"""Variational Monte Carlo of quantum spins: ground states, dynamics and what they measure."""

from mlphys.vmc import observables
from mlphys.vmc.descent import Step, expectation, ground_state
from mlphys.vmc.dynamics import Moment, evolve, polarise
from mlphys.vmc.observables import sample
from mlphys.vmc.reconfiguration import Diverged, natural_gradient
from mlphys.vmc.sampling import draw

__all__ = [
    "Diverged",
    "Moment",
    "Step",
    "draw",
    "evolve",
    "expectation",
    "ground_state",
    "natural_gradient",
    "observables",
    "polarise",
    "sample",
]
