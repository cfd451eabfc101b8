"""States drawn from |ψ|²."""

import numpy as np
import torch

from mlphys.core import State
from mlphys.random import spawn
from mlphys.samplers.metropolis import Metropolis


def draw(sampler: Metropolis, state: State, rows: int, sweeps: int = 1) -> tuple[torch.Tensor, float]:
    """States `(rows · chains, n_sites)`, `sweeps` sweeps apart, and the share of accepted proposals.

    A wave function that has `sample` gives as many independent ones, and no proposal is lost.
    """
    psi, x, acceptance = sampler.hamiltonian.psi, [], 0.0
    if hasattr(psi, "sample"):
        independent, _ = psi.sample(rows * state.chains, spawn(state.seed, "sample", state.sweep))
        state.sweep += rows * sweeps
        return independent, 1.0
    with sampler.hamiltonian.frozen():
        for _ in range(rows):
            info = sampler.step(state, sweeps)
            acceptance += float(np.mean(np.asarray(info.acceptance)))
            x.append(state.x.clone())
    return torch.cat(x), acceptance / rows
