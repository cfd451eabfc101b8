"""What lecture 10 measures: φ⁴ by HMC, by Langevin steps, by a diffusion model and by a flow, raw and made exact."""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

import mlphys as mp
from mlphys.lab import yardstick
from mlphys.random import spawn
from mlphys.stats import Estimate, jackknife
from mlphys.threads import one_torch_thread

# diffusion and flows import torch, which takes two seconds: an app that opens does not wait for it.
if TYPE_CHECKING:
    import torch
    from pandas import DataFrame

    from mlphys.diffusion import DiffusionModel
    from mlphys.flows import Importance

COUPLING, CHAINS = 0.022, 64
SPAN = (0.18, 0.28)
"""The couplings κ between which a network can be told at which it is."""

PUBLISHED: Mapping[tuple[int, float], Mapping[str, tuple[float, float]]] = {
    (8, 0.21): {"⟨|M|⟩": (0.1607, 0.0002), "V⟨M²⟩": (2.586, 0.007), "⟨φ²⟩": (0.6232, 0.0003)},
    (8, 0.24): {"⟨|M|⟩": (0.2438, 0.0025), "V⟨M²⟩": (5.87, 0.12), "⟨φ²⟩": (0.7305, 0.0026)},
    (16, 0.27): {"⟨|M|⟩": (0.767, 0.005), "V⟨M²⟩": (174.5, 1.9), "⟨φ²⟩": (1.463, 0.006), "U": (0.535, 0.003)},
}
"""Averages at λ = 0.022 by (L, κ), each with its error, from independent simulations by HMC."""

MEANS: Mapping[str, tuple[str, ...]] = {
    "⟨M⟩": ("M",),
    "⟨|M|⟩": ("|M|",),
    "V⟨M²⟩": ("VM²",),
    "⟨φ²⟩": ("φ²",),
    "S/V": ("S/V",),
    "⟨φ ∂S/∂φ⟩/V": ("φS'",),
    "U": ("VM²", "V²M⁴"),
}
"""Averages, by name, and the observables whose means they are made of."""


def phi4(side: int, kappa: float) -> mp.Phi4:
    """The field of this lecture, in the κ form at λ = 0.022."""
    return mp.Phi4.from_kappa(mp.square(side), kappa, COUPLING)


def observables(model: mp.Phi4) -> dict[str, Callable]:
    """Functions of fields `(batch, n_sites)`, `(batch,)` each."""
    sites = model.lattice.n_sites
    return {
        "M": lambda x: x.mean(1),
        "|M|": lambda x: x.mean(1).abs(),
        "VM²": lambda x: sites * x.mean(1) ** 2,
        "V²M⁴": lambda x: sites**2 * x.mean(1) ** 4,
        "φ²": lambda x: (x**2).mean(1),
        "S/V": lambda x: model.energy(x) / sites,
        "φS'": lambda x: -(x * model.force(x)).mean(1),
    }


def series_of(model: mp.Phi4, x: "torch.Tensor") -> dict[str, np.ndarray]:
    """The observables of independent fields."""
    return {name: function(x.double()).numpy() for name, function in observables(model).items()}


def averages(
    series: Mapping[str, np.ndarray], names: Iterable[str] = ("⟨|M|⟩", "V⟨M²⟩", "⟨φ²⟩", "U"), log_weights: Any = None
) -> dict[str, Estimate]:
    """Averages of a chain's samples, or of independent fields, as they are or by their weights; raises ChainTooShort.

    ⟨M⟩ of a chain takes more samples than the others: signs are slow.
    """
    weight = np.ones_like(series["M"])
    if log_weights is not None:
        weight = np.exp(np.asarray(log_weights) - float(max(log_weights)))
        weight = weight / weight.mean()
    found = {}
    for name in names:
        parts = [weight * series[part] for part in MEANS[name]]
        found[name] = jackknife(_ratio if len(parts) == 1 else _binder, weight, *parts)
    return found


def _ratio(total: float, value: float) -> float:
    return value / total


def _binder(total: float, square: float, fourth: float) -> float:
    """1 − ⟨M⁴⟩/3⟨M²⟩²; weights have the mean `total`."""
    return 1 - fourth * total / (3 * square**2)


def hmc(model: mp.Phi4, samples: int, thin: int = 1, seed: int = 1) -> mp.Chain:
    """64 chains of hybrid Monte Carlo that observe what `averages` needs."""
    return mp.run(mp.HMC(model), samples, chains=CHAINS, thin=thin, seed=seed, observe=observables(model))


def thermalised(model: mp.Phi4, count: int, seed: int = 1) -> "torch.Tensor":
    """So many fields of 64 chains of HMC after burn-in, five trajectories apart: float32 `(count, n_sites)`."""
    options: dict = {"chains": CHAINS, "thin": 5, "burn_in": 300, "observe": ["phi2"], "keep": True}
    return mp.run(mp.HMC(model), -(-count // CHAINS), seed=seed, **options).x.flatten(0, 1)[:count].float()


def early(model: mp.Phi4, samples: int = 128, chains: int = 8, skipped: int = 10, seed: int = 1) -> "torch.Tensor":
    """Fields of a few chains of HMC from a hot start, after too short a burn-in: float32 `(samples, chains, n_sites)`."""
    sampler = mp.HMC(model, step_size=0.2)
    state = sampler.init(chains, seed=seed, start="random")
    return mp.run(sampler, samples, state=state, burn_in=skipped, observe=["phi2"], keep=True).x.float()


def network(model: mp.Phi4, scale: float = 1.0, span: tuple[float, float] | None = None, seed: int = 1) -> "DiffusionModel":
    """A diffusion model with a small odd network that knows the lattice's symmetries; with a `span`, it is told κ."""
    from mlphys import diffusion, nets

    process = diffusion.VariancePreserving()
    score = nets.ScorePotential(model.lattice, conditions=int(span is not None), seed=seed)
    told = diffusion.Preconditioned(process, score, scale, span)
    sites = model.lattice.n_sites
    # Fewer steps leave a bias in log q that can be measured: at L = 16 six of them lower ⟨|M|⟩ by 0.01.
    options: dict = {"shape": sites, "method": "runge_kutta", "steps": 6 if sites <= 64 else 10}
    return diffusion.DiffusionModel(process, told, condition=None if span is None else model.kappa, **options)


def one_sided(model: "DiffusionModel", seed: int = 1) -> "DiffusionModel":
    """The same kind of model with a network that is not odd: it adds a learnt number to the field that it looks at."""
    import copy

    from torch import nn

    from mlphys.nets.classifiers import draw_weights
    from mlphys.nets.scores import Level, zero

    class OneSided(nn.Module):
        def __init__(self, odd: Any):
            super().__init__()
            self.odd, self.shift = odd, Level(1)
            draw_weights(self.shift, seed)
            zero(self.shift.outer)

        def forward(self, x, level):
            return self.odd(x + self.shift(level), level)

        def divergence(self, x, level):
            return self.odd.divergence(x + self.shift(level), level)

    other: Any = copy.deepcopy(model)
    other.score.network = OneSided(other.score.network)
    return other


def rates(steps: int, highest: float = 0.015) -> Callable[[int], float]:
    """A learning rate that rises for a twentieth of the steps, and falls to zero."""
    return lambda step: highest * min(1.0, 20 * step / steps) * math.cos(math.pi / 2 * (step - 1) / steps) ** 2


def teach(
    model: "DiffusionModel", data: Any, action: Any, steps: int, batch: int = 128, seed: int = 1,
    progress: Callable[[], Any] = lambda: None,
) -> tuple[np.ndarray, float]:  # fmt: skip
    """Train on data, with the known force of `action` beside the noise unless it is None: losses, and seconds."""
    from mlphys import diffusion

    matching, losses, began = "denoising" if action is None else "energy", [], time.perf_counter()
    with one_torch_thread():
        for step in diffusion.fit(model, data, steps, seed, batch, rates(steps), matching, action):
            losses.append(step.loss)
            progress()
    return np.array(losses), time.perf_counter() - began


def learn_flow(
    model: mp.Phi4, layers: int, steps: int, batch: int = 128, seed: int = 1, progress: Callable[[], Any] = lambda: None
):
    """A trained normalising flow of the field, and the seconds that took."""
    from mlphys import flows

    flow, began = flows.FieldFlow(model, layers=layers, seed=seed), time.perf_counter()
    with one_torch_thread():
        for _ in flows.fit(flow, model, steps, batch, seed=seed):
            progress()
    return flow, time.perf_counter() - began


def weighed(proposal: Any, model: mp.Phi4, count: int, seed: int = 2) -> "Importance":
    """So many fields of a diffusion model or a flow, and their weights."""
    from mlphys import flows

    with one_torch_thread():
        return flows.importance(proposal, model, count, spawn(seed, "weighed"))


def drift(proposal: "DiffusionModel", model: mp.Phi4, x: "torch.Tensor", widths: Iterable[float]) -> "DataFrame":
    """How far the score is from −∂S/∂φ at fields of the model with noise of such `widths`, relative to its size.

    Columns: s; distance, distance_error; unavoidable, that of the exact score for normal data of the same covariance.
    """
    import pandas as pd
    import torch

    from mlphys.diffusion import drift_error

    process, s = proposal.process, torch.tensor(list(widths), dtype=torch.float64)
    # At the time where the noise has this width a² = 1 − s².
    times = process.time((1 - s**2).log() - 2 * s.log())
    with one_torch_thread():
        found = drift_error(proposal, model, x, times.tolist())
    before = torch.linalg.eigvalsh(torch.cov(x.double().T))
    after = (1 - s[:, None] ** 2) * before + s[:, None] ** 2
    exact = (((1 / before - 1 / after) ** 2 * after).sum(1) / (after / before**2).sum(1)).sqrt()
    columns = {"s": s, "distance": [e.mean for e in found], "distance_error": [e.error for e in found]}
    return pd.DataFrame(columns | {"unavoidable": exact})


def across(
    proposal: "DiffusionModel", side: int, kappas: Iterable[float], count: int, samples: int, seed: int = 3
) -> dict[str, dict[str, dict[float, Estimate]]]:
    """Averages by way (as it is, by weights, HMC), name and κ: a model that is told κ; "Kish" by κ alone beside them."""
    found: dict[str, dict[str, dict[float, Estimate]]] = {way: {} for way in ("as it is", "by weights", "HMC")}
    kish = {}
    for kappa in kappas:
        model = phi4(side, kappa)
        drawn = weighed(proposal.at(kappa), model, count, seed)
        own, kish[kappa] = series_of(model, drawn.x), Estimate(drawn.kish, 0.0)
        all_ways = {
            "as it is": averages(own),
            "by weights": averages(own, log_weights=drawn.log_weights.numpy()),
            "HMC": averages(hmc(model, samples, 4, seed).samples),
        }
        for way, values in all_ways.items():
            for name, value in values.items():
                found[way].setdefault(name, {})[kappa] = value
    found["by weights"]["Kish"] = kish
    return found


def beside(found: Mapping[str, Estimate], known: Mapping[str, Any], words: str) -> list[tuple[str, Estimate, Any]]:
    """Rows for `measured_table`: what was found, named with some words, beside what is known, exactly or with an error."""
    return [(f"{name}, {words}", found[name], value) for name, value in known.items() if name in found]


def accept(
    proposal: Any, model: mp.Phi4, samples: int, chains: int = CHAINS, seed: int = 4,
    observe: Mapping[str, Callable] | None = None,
) -> mp.Chain:  # fmt: skip
    """Chains that accept or reject the fields of a diffusion model or a flow."""
    options: dict = {"chains": chains, "burn_in": 20, "seed": seed, "observe": observe or observables(model)}
    return mp.run(mp.IndependenceMH(proposal, model), samples, **options)


def slowest(model: mp.Phi4) -> dict[str, Callable]:
    """The observables that decide how fast a sampler is: |M|, M² and φ². Slow signs are cured by φ → −φ."""
    return {name: function for name, function in observables(model).items() if name in ("|M|", "VM²", "φ²")}


def contest(model: mp.Phi4, learnt: Mapping[str, tuple[mp.Chain, float]], samples: int, seed: int = 5) -> "DataFrame":
    """HMC, Langevin with accept/reject, and chains of what was learnt in so many seconds, by one yardstick.

    Effective samples per second are those of the `slowest`.
    """
    slow, runs = slowest(model), {}
    for name, sampler, thin in (("HMC", mp.HMC(model), 2), ("Langevin, adjusted", mp.Langevin(model), 20)):
        runs[name] = mp.run(sampler, samples, chains=CHAINS, thin=thin, seed=seed, observe=slow), thin, 0.0
    for name, (chain, seconds) in learnt.items():
        runs[name] = replace(chain, samples={part: chain[part] for part in slow}), 1, seconds
    return yardstick(runs)


def smoothed(losses: Iterable[float], points: int = 100) -> tuple[np.ndarray, np.ndarray]:
    """Steps and means of a loss over as many steps as leave so many points."""
    losses = np.asarray(losses)
    block = max(1, len(losses) // points)
    means = losses[: len(losses) // block * block].reshape(-1, block).mean(1)
    return block * np.arange(1, len(means) + 1), means
