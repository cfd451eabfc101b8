"""Stochastic reconfiguration: the natural gradient, solved in the smaller of the two spaces."""

import numpy as np

from mlphys.nets.wavefunctions import Tangent

NOWHERE = np.zeros(())


class Diverged(FloatingPointError):
    """The optimisation broke down; the parameters are those of the last good step."""


def natural_gradient(tangent: Tangent, local: np.ndarray, shift: float, space: str = "auto", near: np.ndarray = NOWHERE):
    """The change `(n_parameters,)` that follows the local energies `(batch,)` best, and otherwise stays close to `near`.

    It minimises |O change − (local − mean)|² / batch + shift · |change − near|², O the centred log derivatives: with
    near = 0, (S + shift)⁻¹ F with their covariance S and the force F. Both values of `space` give the same.
    """
    from scipy.linalg import LinAlgError, cho_factor, cho_solve

    n, error = len(local), local - local.mean()
    if near.ndim:
        error = error - tangent.push_forward(near)
    if space == "auto":
        space = "samples" if n <= tangent.n_parameters else "parameters"
    metric = (tangent.overlaps() if space == "samples" else tangent.covariance()) / n
    metric[np.diag_indices(len(metric))] += shift
    right = error / n if space == "samples" else tangent.pull_back(error / n)
    try:
        factor = cho_factor(metric, lower=True, overwrite_a=True, check_finite=False)
    except LinAlgError:
        raise Diverged(f"the metric is not positive with shift={shift:g}: raise it, or lower the rate") from None
    found = cho_solve(factor, right, overwrite_b=True, check_finite=False)
    return near + (tangent.pull_back(found) if space == "samples" else found)
