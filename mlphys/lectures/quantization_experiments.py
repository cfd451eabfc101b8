"""What lecture 10 measures: φ⁴ by HMC, by Langevin steps, by a diffusion model and by a flow, raw and made exact."""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

import mlphys as mp
from mlphys.stats import Estimate
from mlphys.threads import one_torch_thread

# diffusion and flows import torch, which takes two seconds: an app that opens does not wait for it.
if TYPE_CHECKING:
    import torch
    from pandas import DataFrame

    from mlphys.diffusion import DiffusionModel

COUPLING = 0.022

PUBLISHED: Mapping[tuple[int, float], Mapping[str, tuple[float, float]]] = {
    (8, 0.21): {"abs_magnetisation": (0.1607, 0.0002), "chi": (2.586, 0.007), "phi2": (0.6232, 0.0003)},
    (8, 0.24): {"abs_magnetisation": (0.2438, 0.0025), "chi": (5.87, 0.12), "phi2": (0.7305, 0.0026)},
    (16, 0.27): {
        "abs_magnetisation": (0.767, 0.005), "chi": (174.5, 1.9), "phi2": (1.463, 0.006), "binder": (0.535, 0.003),
    },
}  # fmt: skip
"""⟨|M|⟩, V⟨M²⟩, ⟨φ²⟩ and the Binder ratio at λ = 0.022 by (L, κ), each with its error, from independent simulations."""

WORDS = {"abs_magnetisation": "⟨|M|⟩", "chi": "V⟨M²⟩", "phi2": "⟨φ²⟩", "binder": "U"}
OBSERVE = ("magnetisation", "abs_magnetisation", "m2", "m4", "phi2")


def field(side: int, kappa: float) -> mp.Phi4:
    """The field of this lecture, in the κ form at λ = 0.022."""
    return mp.Phi4.from_kappa(mp.square(side), kappa, COUPLING)


def averages(model: mp.Phi4, chain: mp.Chain) -> dict[str, Estimate]:
    """⟨|M|⟩, V⟨M²⟩, ⟨φ²⟩ and U of a chain that observed `OBSERVE`; raises ChainTooShort."""
    sites = model.lattice.n_sites
    found = {name: chain.estimate(name) for name in ("abs_magnetisation", "phi2", "binder")}
    m2 = chain.estimate("m2")
    return found | {"chi": Estimate(sites * m2.mean, sites * m2.error, m2.tau, m2.ess, m2.tau_error)}


def raw(model: mp.Phi4, x: "torch.Tensor") -> dict[str, Estimate]:
    """The same of independent fields x `(samples, n_sites)`, as they are."""
    m, sites = x.double().mean(1).numpy(), model.lattice.n_sites
    square = sites * mp.stats.estimate(m**2).mean
    return {
        "abs_magnetisation": independent(np.abs(m)),
        "chi": independent(sites * m**2),
        "phi2": independent(x.double().square().mean(1).numpy()),
        "binder": mp.stats.jackknife(lambda m2, m4: 1 - m4 / (3 * m2**2), m**2, m**4) if square else Estimate(0, 0),
    }


def independent(values: np.ndarray) -> Estimate:
    """The mean of independent values."""
    return Estimate(float(values.mean()), float(values.std(ddof=1)) / math.sqrt(len(values)), 0.5, len(values))


def thermalised(model: mp.Phi4, count: int, thin: int = 10, seed: int = 1) -> "torch.Tensor":
    """So many fields of 64 chains of HMC, after burn-in, float32 `(count, n_sites)`."""
    chains = 64
    observe = ["phi2"]
    chain = mp.run(mp.HMC(model), -(-count // chains), chains=chains, thin=thin, seed=seed, observe=observe, keep=True)
    return chain.x.flatten(0, 1)[:count].float()


def network(model: mp.Phi4, data: "torch.Tensor | None", seed: int = 1, steps: int = 10) -> "DiffusionModel":
    """A diffusion model with an odd, translation-equivariant network, as wide as the data; before any data, 1."""
    from mlphys import diffusion, nets

    process = diffusion.VariancePreserving()
    scale = 1.0 if data is None else float(data.square().mean().sqrt())
    score = diffusion.Preconditioned(process, nets.ScoreConvolution(model.lattice, seed=seed), scale)
    return diffusion.DiffusionModel(process, score, shape=model.lattice.n_sites, steps=steps)


def rates(steps: int, highest: float = 0.01) -> Callable[[int], float]:
    """A learning rate that rises for a twentieth of the steps, and falls to zero."""
    return lambda step: highest * min(1.0, 20 * step / steps) * math.cos(math.pi / 2 * (step - 1) / steps) ** 2


def teach(
    model: "DiffusionModel", data: "torch.Tensor", action: mp.Phi4 | None, steps: int, batch: int = 128, seed: int = 1,
    progress: Callable[[], Any] = lambda: None,
) -> tuple[np.ndarray, float]:  # fmt: skip
    """Train on data, with the known force of `action` beside them if it is given: losses, and the seconds that took."""
    from mlphys import diffusion

    matching, losses, began = "denoising" if action is None else "energy", [], time.perf_counter()
    with one_torch_thread():
        for step in diffusion.fit(model, data, steps, seed, batch, rates(steps), matching, action):
            losses.append(step.loss)
            progress()
    return np.array(losses), time.perf_counter() - began


def smoothed(losses: Iterable[float], points: int = 100) -> tuple[np.ndarray, np.ndarray]:
    """Steps and means of a loss over as many steps as leave so many points."""
    losses = np.asarray(losses)
    block = max(1, len(losses) // points)
    means = losses[: len(losses) // block * block].reshape(-1, block).mean(1)
    return block * np.arange(1, len(means) + 1), means


def table(rows: list[dict[str, Any]]) -> "DataFrame":
    """Rows as a table."""
    # Imported here: an app that opens has no use for pandas.
    import pandas as pd

    return pd.DataFrame(rows)
