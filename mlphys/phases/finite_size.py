"""Critical points from finite lattices: curves of several sizes collapse onto one, and cross near the transition.

A table is a DataFrame with one measured point a row: size, temperature, value, error.
"""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mlphys import random
from mlphys.core import Chain
from mlphys.phases.posterior import COLUMNS, Posterior
from mlphys.stats import Estimate, kish_ess


@dataclass(frozen=True)
class Scaling:
    """A data collapse: value · L^exponent = f(x), x = (T − Tc) L^(1/ν).

    `curve` is f with its standard error for plotting (columns x, mean, error), `points` are the data on its axes (size, x,
    value, error). `chi2_per_point` measures the residuals in the given errors, per degree of freedom: about 1 when the
    collapse is good. `notes` say what is wrong with the fit, and are empty when nothing is.
    """

    critical_temperature: Estimate
    nu: Estimate
    inverse_nu: Estimate
    exponent: Estimate
    chi2_per_point: float
    curve: pd.DataFrame
    points: pd.DataFrame
    notes: tuple[str, ...] = ()


def scaling(table, seed: int = 0, exponent: float | None = 0.0, omega: float | None = 1.5, draws: int = 600) -> Scaling:
    """Tc, ν and the exponent of a finite-size scaling law, with posterior errors; no form of f is assumed.

    table: columns size, temperature (in J), value, error (one standard deviation; of independent points); exponent: fixed,
    0 for dimensionless values such as the Binder ratio, or None to fit it; draws: size of a sample of the posterior. f is a
    Gaussian process whose kernel, θ0² δ + θ1² exp(−Δ²/2θ2²) and a free constant, adds to the measurement errors; θ0 is what
    the law leaves unexplained. Corrections, which would bias Tc and ν from small sizes and distant temperatures, are
    integrated over: a second process, with a mean of its own, times A L^−omega, A of order 1, and a bend of the scaling
    field, t + b t² with t = (T − Tc)/Tc, b = −1 ± 1/2, since a field linear in 1/T has −1; omega=None leaves them out.
    Warns, and notes, when the collapse is bad or Tc lies outside the data. Raises ValueError for tables that cannot be
    collapsed.
    Sources: Harada 2011 (10.1103/PhysRevE.84.056704), corrections Harada 2015 (10.1103/PhysRevE.92.012106), scaling fields
    Pelissetto and Vicari 2002 (10.1016/S0370-1573(02)00219-3); the posterior is integrated by adaptive importance sampling
    (Cappé et al. 2004, 10.1198/106186004X12803), begun at its maximum.

    >>> sizes, temperatures = np.repeat([8, 16, 32], 9), np.tile(np.linspace(0.9, 1.1, 9), 3)
    >>> table = pd.DataFrame({"size": sizes, "temperature": temperatures, "error": 0.003})
    >>> noise = np.random.default_rng(1).normal(0, 0.003, 27)
    >>> table["value"] = 0.5 - 0.4 * np.tanh((temperatures - 1) * sizes**1.0 / 3) + noise
    >>> fit = scaling(table)
    >>> bool(abs(fit.critical_temperature.deviation(1.0)) < 3 and abs(fit.nu.deviation(1.0)) < 3)
    True
    """
    table = _checked(table, sizes=2)
    if exponent is not None and not math.isfinite(exponent):
        raise ValueError(f"exponent={exponent!r} is not allowed: it must be a finite number, or None to fit it")
    if omega is not None and not 0 < omega < math.inf:
        raise ValueError(f"omega={omega!r} is not allowed: it must be positive, or None to leave corrections out")
    free = [True, True, exponent is None, True, True, True, omega is not None, omega is not None]
    posterior = Posterior(table, free, exponent or 0.0, omega)
    rng = random.generator(seed, "finite-size scaling")
    best = posterior.maximise(rng)
    values, weights = posterior.sample(best, draws, rng)
    mode = posterior.complete(best)

    def estimate(quantity) -> Estimate:
        mean = float(weights @ quantity)
        return Estimate(mean, math.sqrt(float(weights @ (quantity - mean) ** 2)), ess=1 / float(weights @ weights))

    critical = estimate(posterior.middle + posterior.half_range * values[:, 0])
    curve, points, chi2, freedom = posterior.collapse(mode)
    notes = _notes(table, critical, chi2, freedom, kish_ess(np.log(np.maximum(weights, 1e-300))))
    for note in notes:
        warnings.warn(note, RuntimeWarning, stacklevel=2)
    inverse_nu = np.exp(values[:, 1])
    amplitude = Estimate(float(exponent), 0.0) if exponent is not None else estimate(values[:, 2])
    return Scaling(critical, estimate(1 / inverse_nu), estimate(inverse_nu), amplitude, chi2, curve, points, notes)


def crossings(table, seed: int = 0, replicas: int = 400) -> pd.DataFrame:
    """Where the curves of successive sizes cross: columns size, next_size, temperature, error, value, value_error.

    Each curve is smoothed by a Gaussian process of its own. Errors are those of `replicas` tables redrawn within the given
    errors, whose crossings nearest to the measured one count; error is nan when a twentieth of them or more do not cross.
    Nothing is extrapolated: crossings drift as L^(−1/ν − ω), and a straight line in 1/L through small sizes misses Tc.
    Raises ValueError for bad tables and for curves that do not cross.
    """
    table = _checked(table, sizes=2)
    rng = random.generator(seed, "crossings")
    smoothed = {size: Posterior(part, [False] * 3 + [True] * 3 + [False] * 2) for size, part in table.groupby("size")}
    modes = {size: posterior.complete(posterior.maximise(rng)) for size, posterior in smoothed.items()}
    rows = []
    for size, next_size in zip(list(smoothed)[:-1], list(smoothed)[1:], strict=True):
        pair = smoothed[size], smoothed[next_size]
        low, high = (max(p.temperature.min() for p in pair), min(p.temperature.max() for p in pair))
        if not low < high:
            raise ValueError(f"table has sizes {size:g} and {next_size:g} at temperatures that do not overlap")
        grid = np.linspace(low, high, 400)
        drawn = []
        for posterior, this in zip(pair, (size, next_size), strict=True):
            noise = rng.normal(size=(replicas, len(posterior.y))) * posterior.error
            noise[0] = 0
            drawn.append((posterior.y + noise) @ posterior.smoother(modes[this], grid).T * posterior.scale)
        found = _crossing(grid, *drawn)
        if math.isnan(found[0, 0]):
            raise ValueError(f"table has curves of sizes {size:g} and {next_size:g} that do not cross")
        crossed = found[~np.isnan(found[:, 0])]
        spread = crossed[1:].std(axis=0) if len(crossed) > 0.95 * replicas else np.full(2, np.nan)
        rows.append((size, next_size, found[0, 0], spread[0], found[0, 1], spread[1]))
    return pd.DataFrame(rows, columns=["size", "next_size", "temperature", "error", "value", "value_error"])


def binder_table(chains_by_size: Mapping[int, Chain], observable: str = "binder") -> pd.DataFrame:
    """The table of runs {size: Chain}, each over several temperatures: one row per size and temperature.

    Errors are those of `Chain.estimate`, which raises ChainTooShort where they could not be believed.

    >>> import mlphys as mp
    >>> runs = {L: mp.run(mp.Wolff(mp.Ising(mp.square(L))), samples=400, temperature=[2.2, 2.3], chains=2) for L in (4, 8)}
    >>> binder_table(runs)["temperature"].tolist()
    [2.2, 2.3, 2.2, 2.3]
    """
    rows = []
    for size, chain in chains_by_size.items():
        for temperature in np.unique(np.round(1 / chain.state.beta, 12)):
            measured = chain.estimate(observable, float(temperature))
            rows.append((size, float(temperature), measured.mean, measured.error))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _crossing(grid: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Temperature and value `(replicas, 2)` where two curves `(replicas, grid)` cross; nan where they do not.

    Of several crossings the measured curves' steepest counts, then the nearest to it.
    """
    difference = first - second
    found = np.full((len(first), 2), np.nan)
    for row, gap in enumerate(difference):
        before = np.flatnonzero(gap[:-1] * gap[1:] <= 0)
        if not before.size:
            continue
        steep = np.abs(gap[before + 1] - gap[before])
        at = before[np.argmax(steep)] if row == 0 else before[np.argmin(np.abs(grid[before] - found[0, 0]))]
        part = gap[at] / (gap[at] - gap[at + 1]) if gap[at] != gap[at + 1] else 0.5
        found[row] = [v[at] + part * (v[at + 1] - v[at]) for v in (grid, first[row])]
    return found


def _notes(table: pd.DataFrame, critical: Estimate, chi2: float, freedom: float, ess: float) -> tuple[str, ...]:
    notes = []
    low, high = table["temperature"].min(), table["temperature"].max()
    if not low <= critical.mean <= high:
        notes.append(f"Tc = {critical} lies outside the data, {low:g} to {high:g}: it is extrapolated")
    if abs(chi2 - 1) > 4 * math.sqrt(2 / freedom):
        reason = "the sizes do not collapse, or errors are too small" if chi2 > 1 else "errors are too large, or correlated"
        notes.append(f"chi² per point is {chi2:.2g}: {reason}")
    if ess < 50:
        notes.append(f"only {ess:.0f} effective draws of the posterior: the errors are rough")
    return tuple(notes)


def _checked(table, sizes: int) -> pd.DataFrame:
    """The four columns, sorted; ValueError unless they hold enough finite numbers and positive errors."""
    if not isinstance(table, pd.DataFrame) or (missing := [name for name in COLUMNS if name not in table]):
        lacking = f"lacks {', '.join(missing)}" if isinstance(table, pd.DataFrame) else f"is a {type(table).__name__}"
        raise ValueError(f"table {lacking}: it must be a DataFrame with columns {', '.join(COLUMNS)}")
    try:
        table = table[list(COLUMNS)].astype(np.float64).sort_values(["size", "temperature"], ignore_index=True)
    except (TypeError, ValueError):
        raise ValueError("table holds values that are not numbers") from None
    if not np.isfinite(table.to_numpy()).all():
        raise ValueError("table holds values that are not finite: only numbers are allowed")
    for name in ("size", "error"):
        if not (table[name] > 0).all():
            raise ValueError(f"table has {name}={table[name].min():g}: allowed are positive numbers")
    if table["size"].nunique() < sizes:
        raise ValueError(f"table has {table['size'].nunique()} sizes: at least {sizes} are needed")
    points = table.groupby("size")["temperature"].nunique()
    if (points < 3).any():
        raise ValueError(f"table has {points.min()} temperatures at size {points.idxmin():g}: at least 3 are needed")
    return table
