"""States drawn from |ψ|²."""

import numpy as np
import torch

from mlphys.core import State
from mlphys.samplers.metropolis import Metropolis


def draw(sampler: Metropolis, state: State, rows: int, sweeps: int = 1) -> tuple[torch.Tensor, float]:
    """States `(rows · chains, n_sites)`, `sweeps` sweeps apart, and the share of accepted proposals."""
    x, acceptance = [], 0.0
    with sampler.hamiltonian.frozen():
        for _ in range(rows):
            info = sampler.step(state, sweeps)
            acceptance += float(np.mean(np.asarray(info.acceptance)))
            x.append(state.x.clone())
    return torch.cat(x), acceptance / rows
