"""Stochastic reconfiguration: the natural gradient, solved in the smaller of the two spaces."""

import numpy as np
import torch

from mlphys.nets.wavefunctions import Diverged, Tangent

NOWHERE = np.zeros(())


def natural_gradient(tangent: Tangent, local: np.ndarray, shift: float, space: str = "auto", near: np.ndarray = NOWHERE):
    """The change `(n_parameters,)` that follows the local energies `(batch,)` best, and otherwise stays close to `near`.

    It minimises |O change − (local − mean)|² / batch + shift · |change − near|², O the centred log derivatives: with
    near = 0, (S + shift)⁻¹ F with their covariance S and the force F. Both values of `space` give the same.
    """
    n, error = len(local), local - local.mean()
    if near.ndim:
        error = error - tangent.push_forward(near)
    if space == "auto":
        space = "samples" if tangent.parts * n <= tangent.n_parameters else "parameters"
    if space == "parameters":
        return near + _solve(tangent.covariance(), n * shift, tangent.pull_back(error))
    right = error if tangent.parts == 1 else error.astype(np.complex128).view(np.float64)
    found = _solve(tangent.overlaps(), n * shift, right)
    return near + tangent.pull_back(found if tangent.parts == 1 else found.view(np.complex128))


def _solve(metric: np.ndarray | torch.Tensor, shift: float, right: np.ndarray) -> np.ndarray:
    """(metric + shift)⁻¹ right, solved where the metric is; its lower triangle counts."""
    if isinstance(metric, torch.Tensor):
        metric.diagonal().add_(shift)
        factor, failed = torch.linalg.cholesky_ex(metric)
        found = torch.cholesky_solve(torch.from_numpy(right).to(metric)[:, None], factor)[:, 0].cpu().numpy()
        failed = bool(failed)
    else:
        from scipy.linalg import LinAlgError, cho_factor, cho_solve

        metric[np.diag_indices(len(metric))] += shift
        try:
            factor = cho_factor(metric, lower=True, overwrite_a=True, check_finite=False)
            found, failed = cho_solve(factor, right, overwrite_b=True, check_finite=False), False
        except LinAlgError:
            failed = True
    if failed:
        raise Diverged("the metric is not positive: raise the shift, or lower the rate")
    return found
