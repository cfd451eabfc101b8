"""Phases and their transitions: what classifiers see, and critical points with errors."""

from mlphys.phases import features
from mlphys.phases.coarse import coarse_curves, coarsen
from mlphys.phases.data import Dataset, augment, leakage, point_group, sample, split
from mlphys.phases.finite_size import Scaling, binder_table, crossings, scaling
from mlphys.phases.methods import accuracy, advantage, confusion, curve, optimal, supervised, threshold

__all__ = [
    "Dataset",
    "Scaling",
    "accuracy",
    "advantage",
    "augment",
    "binder_table",
    "coarse_curves",
    "coarsen",
    "confusion",
    "crossings",
    "curve",
    "features",
    "leakage",
    "optimal",
    "point_group",
    "sample",
    "scaling",
    "split",
    "supervised",
    "threshold",
]
