"""Experiments of lecture 01 that take more than a cell: critical slowing down, and the yardstick."""

from typing import TYPE_CHECKING

import numpy as np

import mlphys as mp
from mlphys.exact import SQUARE_CRITICAL_TEMPERATURE
from mlphys.stats import Estimate, jackknife

if TYPE_CHECKING:
    from pandas import DataFrame

SAMPLERS = {
    "Metropolis": mp.Metropolis,
    "heat bath": mp.HeatBath,
    "Wolff": mp.Wolff,
    "Swendsen–Wang": mp.SwendsenWang,
}
_LOCAL = ("Metropolis", "heat bath")


def _thin(name: str, side: int) -> int:
    """Sweeps between samples: about a tenth of the autocorrelation time of a local sampler at criticality."""
    return max(1, side**2 // 100) if name in _LOCAL else 1


def _copies(name: str, side: int, chains: int) -> int:
    """Chains to run: four times as many where 64 replicas share a word, and come for the price of one."""
    return 4 * chains if name in _LOCAL and side % 128 else chains


def heat_capacity(chain: mp.Chain, side: int, temperature: float) -> Estimate:
    """Heat capacity per site, N(⟨e²⟩ − ⟨e⟩²)/T², of the chains of a run at one temperature, by jackknife."""
    energy = chain["energy"][:, np.isclose(chain.state.temperature, temperature)]
    return jackknife(lambda e, e2: side**2 * (e2 - e**2) / temperature**2, energy, energy**2)


def slowing_down(sides, samples: int, chains: int = 16, seed: int = 1, progress=None) -> "DataFrame":
    """Autocorrelation time of |m| at the critical temperature, in sweeps: one row for each sampler and side L.

    `samples` are measured on each of `chains` chains, or of four times as many where packing makes them cheap.
    `progress(done, total)` is called after each row. Raises ChainTooShort.
    """
    rows = []
    for name, sampler in SAMPLERS.items():
        for side in sides:
            thin, copies = _thin(name, side), _copies(name, side, chains)
            model = mp.Ising(mp.square(side))
            observe = ("abs_magnetisation",)
            chain = mp.run(sampler(model), samples, SQUARE_CRITICAL_TEMPERATURE, copies, seed, thin, observe=observe)
            estimate = chain.estimate("abs_magnetisation")
            rows.append({"sampler": name, "L": side, "tau": estimate.tau * thin, "tau_error": estimate.tau_error * thin})
            if progress is not None:
                progress(len(rows), len(SAMPLERS) * len(sides))
    return _table(rows)


def dynamic_exponent(table: "DataFrame", sampler: str, smallest: int = 0) -> Estimate:
    """The exponent z of τ ∝ L^z by weighted least squares of ln τ on ln L, over the sides from `smallest` on.

    Its error is that of the times, enlarged where they scatter about the line by more than their errors.
    """
    rows = table[(table["sampler"] == sampler) & (table["L"] >= smallest)]
    x, y, sigma = np.log(rows["L"]), np.log(rows["tau"]), rows["tau_error"] / rows["tau"]
    weight = 1 / sigma**2
    centred = x - np.average(x, weights=weight)
    slope = (weight * centred * y).sum() / (weight * centred**2).sum()
    residual = y - np.average(y, weights=weight) - slope * centred
    scatter = (weight * residual**2).sum() / max(len(rows) - 2, 1)
    return Estimate(float(slope), float(np.sqrt(max(scatter, 1.0) / (weight * centred**2).sum())))


def yardstick(sides, samples: int, chains: int = 16, seed: int = 2, progress=None) -> "DataFrame":
    """Effective samples per second at the critical temperature, of the slowest observable of each sampler and side.

    Signed magnetisation is left out: no sampler needs it, since up and down are the same physics.
    """
    rows = []
    observe = ("energy", "abs_magnetisation", "m2", "m4")
    for side in sides:
        for name, sampler in SAMPLERS.items():
            thin, copies = _thin(name, side), _copies(name, side, chains)
            model = mp.Ising(mp.square(side))
            chain = mp.run(sampler(model), samples, SQUARE_CRITICAL_TEMPERATURE, copies, seed, thin, observe=observe)
            report = chain.report()
            slowest = report["ess_per_second"].idxmin()
            row = report.loc[slowest]
            rate, error = row["ess_per_second"], row["ess_per_second"] * row["tau_error"] / row["tau"]
            rows.append({"L": side, "sampler": name, "slowest": slowest, "ess_per_second": rate, "error": error})
            rows[-1]["energy"] = str(chain.estimate("energy"))
            if progress is not None:
                progress(len(rows), len(SAMPLERS) * len(sides))
    return _table(rows)


def _table(rows: list[dict]) -> "DataFrame":
    # Imported here: an app that opens has no use for pandas.
    import pandas as pd

    return pd.DataFrame(rows)
