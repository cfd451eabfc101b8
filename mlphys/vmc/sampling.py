"""States drawn from |ψ|²."""

import numpy as np
import torch

from mlphys.core import State
from mlphys.random import spawn
from mlphys.samplers.metropolis import Metropolis
from mlphys.threads import over_chains


def draw(sampler: Metropolis, state: State, rows: int, sweeps: int = 1) -> tuple[torch.Tensor, float]:
    """States `(rows · chains, n_sites)`, `sweeps` sweeps apart, and the share of accepted proposals.

    A wave function that has `sample` gives as many independent ones, and no proposal is lost.
    """
    psi, x, acceptance = sampler.hamiltonian.psi, [], 0.0
    if hasattr(psi, "sample"):
        independent, _ = psi.sample(rows * state.chains, spawn(state.seed, "sample", state.sweep))
        state.sweep += rows * sweeps
        return independent, 1.0
    kernel, tables = sampler.hamiltonian.kernel(sampler.rule)
    if hasattr(kernel, "keeping"):
        # One call for all rows.
        kept = np.empty((state.chains, rows, psi.n_sites), np.int8)
        by_chain = state.configuration.spins(), kept, state.beta, np.arange(state.chains)
        counters = np.uint64(spawn(state.seed, sampler.rule)), np.int64(state.sweep), sweeps

        def slice_of(x, kept, *by_chain):
            return kernel.keeping(x, kept, *tables, *by_chain, *counters)

        accepted = over_chains(slice_of, by_chain, seconds=kept.size * sweeps * 1e-8)
        state.sweep += rows * sweeps
        return torch.from_numpy(kept.swapaxes(0, 1).reshape(-1, psi.n_sites)), float(accepted.mean()) / kept[0].size / sweeps
    with sampler.hamiltonian.frozen():
        for _ in range(rows):
            info = sampler.step(state, sweeps)
            acceptance += float(np.mean(np.asarray(info.acceptance)))
            x.append(state.x.clone())
    return torch.cat(x), acceptance / rows
