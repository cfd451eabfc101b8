"""What lecture 06 measures: where Marshall's rule fails, what networks learn, what symmetry adds, who wins the race."""

import time
from collections.abc import Callable, Iterable, Mapping
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

import mlphys as mp
from mlphys.lectures.frustration_exact import SIDE, exact, positive_energy
from mlphys.lectures.frustration_learner import NETWORKS, OPTIONS
from mlphys.lectures.wavefunctions_experiments import blocks, history
from mlphys.stats import Estimate

# nets and vmc import torch, which takes two seconds: an app that opens does not wait for it.
if TYPE_CHECKING:
    from mlphys.nets import WaveFunction

__all__ = [
    "CHECKPOINT",
    "PUBLISHED",
    "blocks",
    "ground_states",
    "history",
    "judge",
    "learn",
    "learners",
    "measure",
    "positive_energy",
    "race",
    "scan",
    "symmetries",
]

DATA = Path(__file__).parent / "data"
CHECKPOINT = DATA / "j1j2_square.pt"
"""A trained transformer, with what `recipes.load` needs to know about it."""

PUBLISHED = pd.DataFrame(
    [
        ("transverse Ising chain, N = 32, h = 1", "RBM", np.nan, 3.8e-4),
        ("J1–J2, 10 × 10, J2 = 1/2", "RBM", -0.47700, 0.20),
        ("J1–J2, 10 × 10, J2 = 1/2", "DMRG, χ = 1024", -0.49140, np.nan),
        ("J1–J2, 10 × 10, J2 = 1/2", "VMC of a BCS state", -0.49515, np.nan),
        ("J1–J2, 10 × 10, J2 = 1/2", "transformer", -0.497508, np.nan),
        ("J1–J2, 10 × 10, J2 = 1/2", "transformer, symmetrised", -0.497676, np.nan),
        ("J1–J2, 10 × 10, J2 = 1/2", "RBM + pair product", -0.4976294, 2.0e-3),
    ],
    columns=["system", "network", "energy", "v_score"],
)
"""Energies per site in J and V-scores: the collection of Wu et al. 2024 (10.1126/science.adg9774), NetKet's transformer."""


def scan(values: Iterable[float]) -> pd.DataFrame:
    """The exact 4 × 4 ground state against J2: how often Marshall's rule is wrong, and what that costs positive states.

    Columns j2, energy, mean_sign, wrong_states and wrong_weight (shares of the states and of Φ²), positive (the energy of
    the best positive state in Marshall's basis), neel and stripe (S(π, π) and S(π, 0)).
    """
    rows = []
    for j2 in map(float, values):
        state = exact(j2)
        factor = state.structure_factor()
        signs = state.mean_sign(), *state.wrong()
        rows.append((j2, state.energy, *signs, positive_energy(j2), factor["(π, π)"], factor["(π, 0)"]))
    columns = ["j2", "energy", "mean_sign", "wrong_states", "wrong_weight", "positive", "neel", "stripe"]
    return pd.DataFrame(rows, columns=columns)


def learn(network: str, j2: float, marshall: bool, steps: int, seed: int = 1) -> tuple["WaveFunction", bool]:
    """Train one of NETWORKS on the 4 × 4 model; also whether it got through without breaking down."""
    from mlphys import vmc

    psi, model = NETWORKS[network](seed), mp.HeisenbergJ1J2(mp.square(SIDE), j2, marshall)
    try:
        for _ in vmc.ground_state(model, psi, steps, seed=seed, **OPTIONS[network]):
            pass
    except vmc.Diverged:  # the weights are those of the last good step
        return psi, False
    return psi, True


def judge(psi: "WaveFunction", j2: float, marshall: bool = True) -> dict[str, float]:
    """Energy per site of ψ, summed over all states, its relative error, and the `Likeness` to the exact state."""
    return _judge(exact(j2).amplitudes(psi), j2, marshall)


def _judge(amplitudes: np.ndarray, j2: float, marshall: bool) -> dict[str, float]:
    state = exact(j2)
    energy = state.energy_of(amplitudes, marshall)
    relative = (energy - state.energy) / -state.energy
    return {"energy": energy, "relative": relative} | vars(state.likeness(amplitudes, marshall))


def learners(
    j2: float, steps: int, networks: Iterable[str] = tuple(NETWORKS), seed: int = 1, progress: Callable = lambda: None
) -> pd.DataFrame:
    """Every network with and without Marshall's sign, as `judge` sees it; `steady` says whether the training got through."""
    rows = []
    for network in networks:
        for marshall in (True, False):
            psi, steady = learn(network, j2, marshall, steps, seed)
            rows.append({"network": network, "Marshall's sign": marshall} | judge(psi, j2, marshall) | {"steady": steady})
            progress()
    return pd.DataFrame(rows)


def symmetries(psi: "WaveFunction", j2: float, marshall: bool = True) -> pd.DataFrame:
    """ψ as it is, and projected onto one symmetry of the 4 × 4 lattice after the other, as `judge` sees each."""
    state = exact(j2)
    group, itself = state.model.lattice, np.arange(SIDE**2)[None]
    amplitudes, rows = state.amplitudes(psi), {}
    for name, permutations, flip in (
        ("as trained", itself, False),
        ("+ spin flip", itself, True),
        ("+ translations", group.translations, False),
        ("+ rotations, reflections", group.point_group, False),
    ):
        amplitudes = state.projected(amplitudes, permutations, flip)
        rows[name] = _judge(amplitudes, j2, marshall)
    return pd.DataFrame(rows).T


def race(
    contenders: "Mapping[str, tuple[WaveFunction, Mapping[str, Any]]]", model: mp.HeisenbergJ1J2, seconds: float, seed=1
) -> pd.DataFrame:
    """Train contenders, by name (ψ, options), for the same processor time each: a `history`, with column `network`."""
    tables = [_contend(*each, model, seconds, seed).assign(network=name) for name, each in contenders.items()]
    return pd.concat(tables, ignore_index=True)


def _contend(psi: "WaveFunction", options: Mapping[str, Any], model, seconds: float, seed: int) -> pd.DataFrame:
    from mlphys import vmc

    deadline = time.process_time() + seconds

    def steps():
        try:
            yield from vmc.ground_state(model, psi, 10**9, **{"seed": seed, **options})
        except vmc.Diverged:  # the weights are those of the last good step, and the race is over
            return

    return history(takewhile(lambda _: time.process_time() < deadline, steps()), model.lattice.n_sites)


def measure(psi: "WaveFunction", model: mp.HeisenbergJ1J2, samples: int, seed: int = 1) -> dict[str, Estimate]:
    """Energy per site, S(π, π), S(π, 0) and the Rényi-2 entropy of the upper half, from samples of |ψ|²."""
    from mlphys.vmc import observables, sample

    x, lattice = sample(model, psi, samples, chains=32, seed=seed), model.lattice
    n, (rows, columns) = lattice.n_sites, lattice.shape
    energy = observables.mean(model, psi, x)
    factor = observables.structure_factor(model, psi, x)
    at = {"(π, π)": rows // 2 * columns + columns // 2, "(π, 0)": rows // 2 * columns, "(0, π)": columns // 2}
    stripe = [factor[at[name]] for name in ("(π, 0)", "(0, π)")]
    error = np.hypot(*(value.error for value in stripe)) / 2
    return {
        "energy per site": Estimate(energy.mean / n, energy.error / n),
        "S(π, π)": factor[at["(π, π)"]],
        "S(π, 0)": Estimate(float(np.mean([value.mean for value in stripe])), float(error)),
        "Rényi-2 of the upper half": observables.renyi2(model, psi, x, range(n // 2)),
    }


def ground_states() -> pd.DataFrame:
    """Every training run of this project and what others published, best V-score first; energies per site in J."""
    ours = pd.read_csv(DATA / "ground_states.csv").assign(by="this project")
    both = pd.concat([ours, PUBLISHED.assign(by="published")], ignore_index=True)
    columns = ["by", "system", "network", "seed", "energy", "error", "relative_error", "v_score", "seconds", "command"]
    return both[columns].sort_values("v_score", ignore_index=True)
