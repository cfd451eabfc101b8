"""Normalising flows for lattice fields: proposals for `IndependenceMH`, and free energies."""

from mlphys.flows.fields import Coupling, FieldFlow, FreeField, Waves
from mlphys.flows.flow import Flow, Importance, Layer, Prior, Step, fit, importance
from mlphys.flows.gauge import EvenLinks, FluxCoupling, GaugeFlow

__all__ = [
    "Coupling",
    "EvenLinks",
    "FieldFlow",
    "Flow",
    "FluxCoupling",
    "FreeField",
    "GaugeFlow",
    "Importance",
    "Layer",
    "Prior",
    "Step",
    "Waves",
    "fit",
    "importance",
]
