"""Stochastic quantisation read backwards: at small noise the score must be −∂S/∂φ, the drift of Langevin's equation."""

import math
from collections.abc import Sequence

import torch

from mlphys import stats
from mlphys.diffusion.model import DiffusionModel
from mlphys.hamiltonians.base import Hamiltonian
from mlphys.random import torch_generator


@torch.no_grad()
def drift_error(
    model: DiffusionModel, hamiltonian: Hamiltonian, data: torch.Tensor, times: Sequence[float], seed: int = 0
) -> list[stats.Estimate]:
    """How far the score is from the force −∂S/∂x, for each of `times`: the root mean square of the difference over that of
    the force, at independent `data` `(samples, *shape)` with the noise of that time.

    The score of data from exp(−S) tends to the force in proportion to the variance of the noise; what a network leaves
    beyond that is its own error. For normal data of covariance Σ, with Σ_t = a² Σ + s², the exact score is off by
    √(tr (Σ⁻¹ − Σ_t⁻¹)² Σ_t / tr Σ⁻² Σ_t). Raises what `mlphys.stats.jackknife` raises for few data.
    Sources: Parisi and Wu 1981 (Sci. Sin. 24, 483); Wang, Aarts, Zhou 2024 (10.1007/JHEP05(2024)060).

    >>> import mlphys as mp
    >>> process, free = mp.diffusion.VarianceExploding(), mp.Phi4.from_kappa(mp.chain(4), kappa=0.0, coupling=0.0)
    >>> exact = mp.diffusion.Gaussian(process, torch.zeros(4), torch.eye(4) / 2)          # exp(−φ²) on every site
    >>> model = mp.diffusion.DiffusionModel(process, exact, shape=4)
    >>> t = process.time(-torch.tensor(0.5, dtype=torch.float64).log()).item()          # as much noise as field: s² = 1/2
    >>> round(drift_error(model, free, exact.sample(500), [t])[0].mean, 6)
    0.5
    """
    generator, found = torch_generator(seed, "noise"), []
    x = data.to(model.origin)
    for time in times:
        t = torch.tensor(time, dtype=x.dtype, device=x.device)
        noisy = model.process.perturb(x, t, torch.randn(x.shape, generator=generator, dtype=x.dtype).to(x.device))
        force = hamiltonian.force(noisy)
        parts = ((part.flatten(1).double() ** 2).sum(1).cpu() for part in (model.score_at(noisy, t) - force, force))
        found.append(stats.jackknife(lambda error, size: math.sqrt(error / size), *parts))
    return found
