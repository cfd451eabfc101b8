"""Normalising flows for lattice fields: proposals for `IndependenceMH`, and free energies."""

from mlphys.flows.fields import Coupling, FieldFlow, FreeField, Waves
from mlphys.flows.flow import Flow, Importance, Layer, Prior, Step, fit, importance

__all__ = [
    "Coupling",
    "FieldFlow",
    "Flow",
    "FreeField",
    "Importance",
    "Layer",
    "Prior",
    "Step",
    "Waves",
    "fit",
    "importance",
]
