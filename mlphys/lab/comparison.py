"""How lectures compare: samplers by one yardstick, and laws of power with their errors."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mlphys.core import Chain
from mlphys.stats import ChainTooShort, Estimate

if TYPE_CHECKING:
    from pandas import DataFrame


def attempt(chain: Chain, name: str) -> tuple[Estimate, bool]:
    """The estimate of one observable, and whether the chain is long enough for its error to be believed."""
    try:
        return chain.estimate(name), True
    except ChainTooShort as short:
        return short.estimate, False


def yardstick(runs: Mapping[str, tuple[Chain, int, float]]) -> "DataFrame":
    """Effective samples per second of the slowest observable of each run, by name: (chain, sweeps a sample, training in s).

    `tau` is in sweeps. The first is what the others have to beat: `break_even` is the number of effective samples from
    which on one is sooner ready than the first, training included; infinite if it makes fewer of them a second. A chain
    that is too short gets its bound and no error.
    """
    # Imported here: an app that opens has no use for pandas.
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for name, (chain, thin, training) in runs.items():
        each = {observable: attempt(chain, observable) for observable in chain.samples}
        slowest = max(each, key=lambda observable: each[observable][0].tau)
        found, trusted = each[slowest]
        rate = found.ess / chain.seconds
        row = {"sampler": name, "slowest": slowest, "tau": thin * found.tau}
        row["tau_error"] = thin * found.tau_error if trusted else np.nan
        accepted = np.nan if chain.acceptance is None else float(np.mean(chain.acceptance))
        row |= {"acceptance": accepted, "ess_per_second": rate}
        row |= {"rate_error": rate * found.tau_error / found.tau if trusted else np.nan, "training": training}
        gain = 1 / rows[0]["ess_per_second"] - 1 / rate if rows else np.nan
        rows.append(row | {"break_even": training / gain if gain > 0 else np.nan if not rows else np.inf})
    return pd.DataFrame(rows)


def power_law(x: Any, y: Any, error: Any) -> tuple[Estimate, float]:
    """Exponent and factor of y = factor · x^exponent by weighted least squares of logarithms.

    Where the points scatter by more than their errors, the error of the exponent is that of the scatter.

    >>> power_law([1, 2, 4], [3.0, 0.75, 0.1875], [0.3, 0.07, 0.02])[0].mean
    -2.0
    """
    u, v = np.log(np.asarray(x, float)), np.log(np.asarray(y, float))
    weight = (np.asarray(y) / np.asarray(error)) ** 2
    middle = np.average(u, weights=weight)
    spread = (weight * (u - middle) ** 2).sum()
    slope = (weight * (u - middle) * v).sum() / spread
    height = np.average(v, weights=weight) - slope * middle
    scatter = max(1.0, (weight * (v - height - slope * u) ** 2).sum() / max(len(u) - 2, 1))
    return Estimate(round(float(slope), 12), math.sqrt(scatter / spread)), math.exp(height)
