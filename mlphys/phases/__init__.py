"""Phases and their transitions: what classifiers see, and critical points with errors."""

from mlphys.phases.finite_size import Scaling, binder_table, crossings, scaling

__all__ = ["Scaling", "binder_table", "crossings", "scaling"]
