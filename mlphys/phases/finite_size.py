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
from mlphys.stats import Estimate, kish_ess

COLUMNS = ("size", "temperature", "value", "error")


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
    0 for dimensionless values such as the Binder ratio, or None to fit it; draws: size of a sample of the
    posterior. f is a Gaussian process whose kernel, θ0² δ + θ1² exp(−Δ²/2θ2²) and a free constant, adds to the measurement
    errors; θ0 is what the law leaves unexplained. Corrections to scaling, a second process times A L^−omega, A of order 1,
    are integrated over, since small sizes would bias Tc without them; omega=None leaves them out. Warns, and notes, when the
    collapse is bad or Tc lies outside the data. Raises ValueError for tables that cannot be collapsed.
    Sources: Harada 2011 (10.1103/PhysRevE.84.056704), corrections Harada 2015 (10.1103/PhysRevE.92.012106); the posterior
    is integrated by adaptive importance sampling (Cappé et al. 2004, 10.1198/106186004X12803), begun at its maximum.

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
    free = [True, True, exponent is None, True, True, True, omega is not None]
    posterior = _Posterior(table, free, exponent or 0.0, omega)
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
    smoothed = {size: _Posterior(part, [False] * 3 + [True] * 3 + [False]) for size, part in table.groupby("size")}
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


class _Posterior:
    """Log posterior of (Tc, log 1/ν, exponent, log θ0, log θ1, log θ2, log A) in the units of the data.

    Temperatures are in half the range of the data from its middle, sizes in the largest one, values in their scatter. Then
    all parameters are of order 1, and weak normal priors keep them there.
    """

    prior_mean = np.array([0.0, 0.0, 0.0, -6.0, 0.7, 0.0, 0.0])
    prior_width = np.array([4.0, 1.5, 3.0, 2.0, 1.5, 1.5, 0.7])

    def __init__(self, table: pd.DataFrame, free: list[bool], exponent: float = 0.0, omega: float | None = None):
        size, self.temperature, value, error = (table[name].to_numpy(np.float64) for name in COLUMNS)
        self.size, self.free = size, np.array(free)
        self.decay = size ** -(omega or 0.0)
        self.log_size = np.log(size / size.max())
        self.half_range = np.ptp(self.temperature) / 2
        self.middle = self.temperature.min() + self.half_range
        self.t = (self.temperature - self.middle) / self.half_range
        self.scale = value.std() or 1.0
        self.y, self.error = value / self.scale, error / self.scale
        self.constant = 10 * np.mean(self.y**2)
        self.fixed = np.array([0, 0, exponent, 0, 0, 0, -40])

    def complete(self, free: np.ndarray) -> np.ndarray:
        """All parameters from the free ones."""
        parameters = self.fixed.copy()
        parameters[self.free] = free
        return parameters

    def x(self, parameters: np.ndarray) -> np.ndarray:
        return (self.t - parameters[0]) * np.exp(np.exp(parameters[1]) * self.log_size)

    def correction(self, parameters: np.ndarray) -> np.ndarray:
        """A L^−ω of every point."""
        return np.exp(parameters[6]) * self.decay

    def kernel(self, parameters: np.ndarray, x: np.ndarray, others: np.ndarray) -> np.ndarray:
        """θ1² exp(−Δ²/2θ2²) without the constant."""
        theta1, theta2 = np.exp(parameters[4:6])
        return theta1**2 * np.exp(-0.5 * ((x[:, None] - others) / theta2) ** 2)

    def covariances(self, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of the smooth part, of the law with what it leaves unexplained, and of the data, all of y."""
        amplitude = np.exp(-parameters[2] * self.log_size)
        smooth = amplitude[:, None] * self.kernel(parameters, self.x(parameters), self.x(parameters)) * amplitude
        correction = self.correction(parameters)
        smooth = smooth * (1 + np.outer(correction, correction))
        law = smooth + self.constant * np.outer(amplitude, amplitude) + np.diag((np.exp(parameters[3]) * amplitude) ** 2)
        return smooth, law, law + np.diag(self.error**2)

    def log_prob(self, free: np.ndarray) -> float:
        """The log posterior up to a constant."""
        parameters = self.complete(free)
        data = self.covariances(parameters)[2]
        # The last row of the factor of [[K, y], [yᵀ, huge]] is the whitened y.
        bordered = np.block([[data, self.y[:, None]], [self.y, np.array(1e30)]])
        try:
            factor = np.linalg.cholesky(bordered)
        except np.linalg.LinAlgError:
            return -math.inf
        prior = ((free - self.prior_mean[self.free]) / self.prior_width[self.free]) ** 2
        return float(-0.5 * (factor[-1, :-1] ** 2).sum() - np.log(factor.diagonal()[:-1]).sum() - 0.5 * prior.sum())

    def gradient(self, free: np.ndarray) -> np.ndarray:
        """Derivatives of `log_prob` with respect to the free parameters."""
        parameters = self.complete(free)
        smooth, law, data = self.covariances(parameters)
        inverse = np.linalg.inv(data)
        alpha = inverse @ self.y
        slope = 0.5 * (np.outer(alpha, alpha) - inverse)
        weighted, x, theta2 = slope * smooth, self.x(parameters), math.exp(parameters[5])
        along_x = -2 / theta2**2 * (x * weighted.sum(1) - weighted @ x)
        stretch = np.exp(parameters[1])
        correction = np.outer(*[self.correction(parameters)] * 2)
        corrected = weighted * correction / (1 + correction)
        amplitude2 = np.exp(-2 * parameters[2] * self.log_size)
        full = [
            -along_x @ np.exp(stretch * self.log_size),
            along_x @ (x * self.log_size) * stretch,
            -2 * self.log_size @ (slope * law).sum(1),
            2 * math.exp(2 * parameters[3]) * (slope.diagonal() @ amplitude2),
            2 * weighted.sum(),
            (weighted * (x[:, None] - x) ** 2).sum() / theta2**2,
            2 * corrected.sum(),
        ]
        return np.array(full)[self.free] - (free - self.prior_mean[self.free]) / self.prior_width[self.free] ** 2

    def maximise(self, rng: np.random.Generator, starts: int = 6) -> np.ndarray:
        """The best of several climbs, which start at temperatures all over the data."""
        # Where sizes differ by orders of magnitude, a climb from exponent 0 would get lost.
        growth = np.polyfit(self.log_size, np.log(np.abs(self.y) + self.error), 1)[0] if self.free[2] else 0.0
        centres = np.tile(np.array([0.0, 0.0, -growth, -4.0, 0.7, -0.7, 0.0]), (starts, 1))
        centres[:, 0] = np.linspace(-0.8, 0.8, starts)
        centres[:, 1] += 0.4 * rng.normal(size=starts)
        short = [self._climb(start, 12) for start in centres[:, self.free]]
        return self._climb(max(short, key=self.log_prob), 200)

    def _climb(self, position: np.ndarray, steps: int) -> np.ndarray:
        """BFGS with steps of length 1 at most, halved until the log posterior rises."""
        curvature, height, slope = np.eye(len(position)) * 0.01, self.log_prob(position), self.gradient(position)
        for _ in range(steps):
            step = curvature @ slope
            step /= max(1.0, float(np.linalg.norm(step)))
            while (risen := self.log_prob(position + step)) < height + 1e-4 * (step @ slope):
                step = step / 2
                if np.abs(step).max() < 1e-9:
                    return position
            new_slope = self.gradient(position + step)
            fall = slope - new_slope
            if (bend := step @ fall) > 1e-12:
                mixed = np.eye(len(step)) - np.outer(step, fall) / bend
                curvature = mixed @ curvature @ mixed.T + np.outer(step, step) / bend
            gained, position, height, slope = risen - height, position + step, risen, new_slope
            if gained < 1e-7 and np.abs(slope).max() < 1e-2:
                break
        return position

    def sample(self, mode: np.ndarray, draws: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draws of the parameters `(draws, 7)` and their normalised weights; the proposal learns from the draws before."""
        step = 1e-3 * np.eye(len(mode))
        curvature = np.stack([self.gradient(mode - s) - self.gradient(mode + s) for s in step]) / 2e-3
        heights, axes = np.linalg.eigh((curvature + curvature.T) / 2)
        # No direction is wider than the prior.
        heights = np.maximum(heights, 1 / self.prior_width.max() ** 2)
        centre, covariance, degrees = mode, axes / heights @ axes.T, 5.0
        for _ in range(6):
            factor = np.linalg.cholesky(covariance)
            normal = rng.normal(size=(draws, len(mode))) / np.sqrt(rng.chisquare(degrees, size=(draws, 1)) / degrees)
            values = centre + normal @ factor.T
            log_proposal = -0.5 * (degrees + len(mode)) * np.log1p((normal**2).sum(1) / degrees)
            log_weights = np.array([self.log_prob(value) for value in values]) - log_proposal
            weights = np.exp(log_weights - log_weights.max())
            weights /= weights.sum()
            if 1 / (weights @ weights) > draws / 3:
                break
            # Where few draws carry the weight, the proposal moves there by smaller steps.
            softened = weights
            for _ in range(6):
                if 1 / (softened @ softened) < 8 * len(mode):
                    softened = np.sqrt(softened) / np.sqrt(softened).sum()
            centre = softened @ values
            covariance = ((values - centre).T * softened) @ (values - centre)
        return np.array([self.complete(value) for value in values]), weights

    def smoother(self, parameters: np.ndarray, temperature: np.ndarray) -> np.ndarray:
        """The matrix that takes y to the mean of f at new temperatures of the largest size."""
        x = (temperature - self.middle) / self.half_range - parameters[0]
        amplitude = np.exp(-parameters[2] * self.log_size)
        cross = (self.kernel(parameters, x, self.x(parameters)) + self.constant) * amplitude
        return np.linalg.solve(self.covariances(parameters)[2], cross.T).T

    def collapse(self, parameters: np.ndarray) -> tuple[pd.DataFrame, pd.DataFrame, float, float]:
        """Curve and points in the units of the data, χ² per degree of freedom and the degrees of freedom."""
        _, law, data = self.covariances(parameters)
        amplitude, x = np.exp(-parameters[2] * self.log_size), self.x(parameters)
        hat = np.linalg.solve(data, law - np.diag((np.exp(parameters[3]) * amplitude) ** 2)).T
        freedom = max(len(self.y) - float(np.trace(hat)) - self.free[:3].sum(), 1.0)
        chi2 = float((((self.y - hat @ self.y) / self.error) ** 2).sum()) / freedom

        grid = np.linspace(x.min(), x.max(), 200)
        smoother = self.smoother(parameters, self.middle + self.half_range * (grid + parameters[0]))
        cross = (self.kernel(parameters, grid, x) + self.constant) * amplitude
        variance = math.exp(2 * parameters[4]) + self.constant - (smoother * cross).sum(1)
        largest = self.size.max()
        stretch = self.half_range * largest ** math.exp(parameters[1])
        unit = self.scale * largest ** parameters[2]
        band = unit * np.sqrt(np.maximum(variance, 0))
        curve = pd.DataFrame({"x": stretch * grid, "mean": unit * (smoother @ self.y), "error": band})
        value, error = unit * self.y / amplitude, unit * self.error / amplitude
        points = pd.DataFrame({"size": self.size, "x": stretch * x, "value": value, "error": error})
        return curve, points, chi2, freedom


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
