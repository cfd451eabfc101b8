"""Phases and their transitions: what classifiers see, and critical points with errors."""

from mlphys.phases import features
from mlphys.phases.attributions import attribution, saliency
from mlphys.phases.coarse import coarse_curves, coarsen
from mlphys.phases.data import Dataset, augment, leakage, point_group, sample, split, split_sizes
from mlphys.phases.finite_size import Scaling, binder_table, crossings, scaling
from mlphys.phases.methods import accuracy, advantage, confusion, cross_entropy, curve, optimal, supervised, threshold
from mlphys.phases.percolation import percolation, severed, strands
from mlphys.phases.regression import (
    bootstrap,
    optimal_prediction,
    predicted,
    prediction,
    slope,
    squared_error,
    steepest,
    summit,
)
from mlphys.phases.unsupervised import PrincipalComponents, autoencode, depth, persistence, principal_components

__all__ = [
    "Dataset",
    "PrincipalComponents",
    "Scaling",
    "accuracy",
    "advantage",
    "attribution",
    "augment",
    "autoencode",
    "binder_table",
    "bootstrap",
    "coarse_curves",
    "coarsen",
    "confusion",
    "cross_entropy",
    "crossings",
    "curve",
    "depth",
    "features",
    "leakage",
    "optimal",
    "optimal_prediction",
    "percolation",
    "persistence",
    "point_group",
    "predicted",
    "prediction",
    "principal_components",
    "saliency",
    "sample",
    "scaling",
    "severed",
    "slope",
    "split",
    "split_sizes",
    "squared_error",
    "steepest",
    "strands",
    "summit",
    "supervised",
    "threshold",
]
