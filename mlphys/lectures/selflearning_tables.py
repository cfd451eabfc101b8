"""What the notebook of lecture 07 measures: broken symmetries, errors and acceptances, laws of power, prices."""

import copy
import math
import time
from collections.abc import Callable, Mapping
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

import mlphys as mp
from mlphys.lectures.selflearning_live import learnt, model
from mlphys.stats import Estimate, estimate

# nets and selflearning import torch, which takes two seconds: an app that opens does not wait for it.
if TYPE_CHECKING:
    import torch

    from mlphys.nets import EquivariantEnergy
    from mlphys.selflearning import Data

PUBLISHED = {"energy": (-1.6980, 0.0006), "staggered_m2": (0.305, 0.008)}
"""⟨Ω⟩ per site and staggered ⟨m²⟩ of 6 × 6 sites at J = t, T = 0.05 t, by local Monte Carlo of another program."""


def three_spins(fields: tuple[float, float, float]) -> np.ndarray:
    """Probabilities (8,) of three Ising spins in a row, coupled by 1, in these fields."""
    states = np.array(list(product((1, -1), repeat=3)))
    weights = np.exp(states @ np.array(fields) + states[:, 0] * states[:, 1] + states[:, 1] * states[:, 2])
    return weights / weights.sum()


def heat_bath(probabilities: np.ndarray, spin: int) -> np.ndarray:
    """Transition matrix (from, to) of one of three spins that is drawn anew, the others given."""
    states = np.array(list(product((1, -1), repeat=3)))
    others = np.delete(states, spin, 1)
    same = (others[:, None] == others[None]).all(2)
    return same * probabilities / (same * probabilities).sum(1, keepdims=True)


def corrected(proposal: np.ndarray, effective: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Transition matrix of a chain that accepts what `proposal` (from, to) proposes by the ratio of the weights."""
    ratio = target / effective
    accepted = proposal * np.minimum(1, ratio[None] / ratio[:, None])
    return accepted + np.diag(1 - accepted.sum(1))


def symmetries(side: int = 6) -> "dict[str, Callable[[torch.Tensor], torch.Tensor]]":
    """What may be done to spins (batch, n_sites, 3) of a square lattice without changing their energy."""
    import torch

    turn, _ = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))

    def on_lattice(move: "Callable[[torch.Tensor], torch.Tensor]") -> "Callable[[torch.Tensor], torch.Tensor]":
        return lambda x: move(x.reshape(len(x), side, side, 3)).reshape(x.shape)

    return {
        "turn all spins": lambda x: x @ (turn * torch.linalg.det(turn)).T,
        "mirror all spins": lambda x: -x,
        "move by (1, 2)": on_lattice(lambda grid: grid.roll((1, 2), (1, 2))),
        "quarter turn of the lattice": on_lattice(lambda grid: grid.rot90(1, (1, 2))),
        "mirror the lattice": on_lattice(lambda grid: grid.flip(1)),
    }


def broken(networks: "Mapping[str, EquivariantEnergy]", x: "torch.Tensor") -> pd.DataFrame:
    """By how much the energy of each network changes at most, in float64, under each of the `symmetries` of `x`."""
    from mlphys import selflearning

    rows = {}
    for name, network in networks.items():
        double = copy.deepcopy(network).double()
        here = selflearning.energies(double, x)
        changes = {what: selflearning.energies(double, act(x)) - here for what, act in symmetries().items()}
        rows[name] = {what: float(change.abs().max()) for what, change in changes.items()}
    return pd.DataFrame.from_dict(rows, orient="index")


def acceptances(
    networks: "Mapping[str, EquivariantEnergy]", held_out: "Data", proposals: int, chains: int = 16, sweeps: int = 8
) -> pd.DataFrame:
    """Of each network: parameters, σ on held-out data, erfc(σ/2), measured acceptance, milliseconds a force a chain.

    Every chain starts from one of the held-out configurations; `sweeps` trajectories make a proposal.
    """
    from mlphys import selflearning
    from mlphys.hamiltonians.effective import Effective

    rows = []
    for name, network in networks.items():
        sampler = learnt(network, sweeps)
        state = sampler.init(chains, seed=1, start=held_out.x[-chains:])
        chain = mp.run(sampler, -(-proposals // chains), state=state, observe=["staggered_m2"])
        found, began = selflearning.sigma(network, held_out), time.process_time()
        for _ in range(5):
            Effective(network, model()).force(state.x)
        force = 1000 * (time.process_time() - began) / 5 / chains
        accepted = chain.acceptance if chain.acceptance is not None else np.zeros(chains)
        row = {"network": name, "parameters": network.n_parameters, "sigma": found.mean, "sigma_error": found.error}
        row |= {"predicted": math.erfc(found.mean / 2), "acceptance": accepted.mean()}
        rows.append(row | {"acceptance_error": accepted.std(ddof=1) / math.sqrt(chains), "force_ms": force})
    return pd.DataFrame(rows)


def prices(contenders: Mapping[str, tuple[mp.Sampler, int]], start: "torch.Tensor", seed: int = 1) -> pd.DataFrame:
    """Of each sampler, run for so many samples from typical spins `start`, one chain each: what an independent one costs.

    Columns: staggered ⟨m²⟩ and Ω per site; exact energies and seconds for each independent staggered m², and ESS per second.
    """
    from mlphys import selflearning

    rows = []
    for name, (sampler, samples) in contenders.items():
        state = sampler.init(len(start), seed=seed, start=start)
        chain = mp.run(sampler, samples, state=state, observe=["staggered_m2", "energy"])
        exact, seconds = selflearning.per_independent_sample(chain, sampler, "staggered_m2")
        row: dict[str, Any] = {"sampler": name}
        for observable in ("staggered_m2", "energy"):
            found = of_chains(chain[observable])
            row |= {observable: found.mean, f"{observable}_error": found.error}
        row |= {"exact_energies": exact.mean, "exact_energies_error": exact.error}
        row |= {"seconds": seconds.mean, "seconds_error": seconds.error, "ess_per_second": 1 / seconds.mean}
        rows.append(row | {"ess_per_second_error": seconds.error / seconds.mean**2})
    return pd.DataFrame(rows)


def of_chains(series: np.ndarray) -> Estimate:
    """The mean of a series (samples, chains), its error from autocorrelation, or the chains' scatter if that is larger."""
    try:
        found = estimate(series)
    except mp.ChainTooShort as short:
        found = short.estimate
    scatter = series.mean(0).std(ddof=1) / math.sqrt(series.shape[1])
    return Estimate(found.mean, max(found.error, float(scatter)), found.tau, found.ess)


def clusters(
    side: int, samples: int, temperature: float = 2.493, chains: int = 8, seed: int = 1
) -> tuple[float, pd.DataFrame]:
    """The Ising model with a plaquette term: the coupling that was learnt, and local updates beside learnt clusters."""
    from mlphys import selflearning

    target = mp.PlaquetteIsing(mp.square(side))
    known = selflearning.gather(mp.Metropolis(target), 400, 16, seed, temperature=temperature, thin=10)
    effective = selflearning.ising(known, target.lattice)
    samplers = {
        "Metropolis": mp.Metropolis(target),
        "clusters of the learnt model": mp.SelfLearning(effective, target, sampler=mp.Wolff, proposal_sweeps=1),
    }
    rows = []
    for name, sampler in samplers.items():
        chain = mp.run(sampler, samples, temperature, chains, seed, observe=["abs_magnetisation"])
        row = chain.report().loc["abs_magnetisation", ["mean", "error", "tau", "tau_error", "ess_per_second", "acceptance"]]
        rows.append({"sampler": name} | row.to_dict())
    return float(effective.coupling), pd.DataFrame(rows)
