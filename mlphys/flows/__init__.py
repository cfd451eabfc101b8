"""Normalising flows for lattice fields: proposals for `IndependenceMH`, and free energies."""

from mlphys.flows.flow import Flow, Importance, Layer, Prior, Step, fit, importance

__all__ = ["Flow", "Importance", "Layer", "Prior", "Step", "fit", "importance"]
