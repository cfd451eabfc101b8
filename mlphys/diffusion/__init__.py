"""Diffusion models: the Langevin equation run backwards, as samplers that can be checked exactly."""

from mlphys.diffusion import analytic
from mlphys.diffusion.analytic import CurieWeiss, Gaussian, GaussianMixture, collapse_time, speciation_time
from mlphys.diffusion.drift import drift_error
from mlphys.diffusion.model import DiffusionModel
from mlphys.diffusion.paths import Guided, PathSampler, fit_paths
from mlphys.diffusion.populations import Populations, annealed
from mlphys.diffusion.processes import Interpolant, Process, SubVP, VarianceExploding, VariancePreserving
from mlphys.diffusion.solvers import divergence
from mlphys.diffusion.training import Preconditioned, fit

__all__ = [
    "CurieWeiss",
    "DiffusionModel",
    "Gaussian",
    "GaussianMixture",
    "Guided",
    "Interpolant",
    "PathSampler",
    "Populations",
    "Preconditioned",
    "Process",
    "SubVP",
    "VarianceExploding",
    "VariancePreserving",
    "analytic",
    "annealed",
    "collapse_time",
    "divergence",
    "drift_error",
    "fit",
    "fit_paths",
    "speciation_time",
]
