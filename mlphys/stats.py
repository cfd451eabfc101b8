"""Error bars that can be believed: autocorrelation times, errors, effective sample sizes, and when to refuse.

A series is `(samples,)` or `(samples, chains)`; chains share one distribution. Autocorrelation times follow the convention
of lattice physics, τ = 1/2 + Σ_{t ≥ 1} ρ(t), in units of the spacing of the samples: independent samples have τ = 1/2, the
error of a mean is √(2τ σ²/n), and the effective sample size is n / 2τ.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mlphys.checks import whole


@dataclass(frozen=True)
class Estimate:
    """A mean with its standard error, autocorrelation time and effective sample size; nan stands for what was not measured.

    Printed as the field writes it, with the error in units of the last digit.

    >>> print(Estimate(-1.42393, 0.00034), Estimate(-1.42393, 0.00012))
    -1.4239(3) -1.42393(12)
    """

    mean: float
    error: float
    tau: float = math.nan
    ess: float = math.nan
    tau_error: float = math.nan

    def deviation(self, exact: float) -> float:
        """Distance of the mean from `exact` in standard errors; infinite where a vanishing error misses it.

        >>> Estimate(1.2, 0.1).deviation(1.0).__round__(6)
        2.0
        """
        distance = self.mean - exact
        if self.error == 0:
            return 0.0 if abs(distance) <= 1e-12 * max(1.0, abs(exact)) else math.copysign(math.inf, distance)
        return distance / self.error

    def __str__(self) -> str:
        if not math.isfinite(self.error) or not math.isfinite(self.mean) or self.error <= 0:
            return f"{self.mean:.7g}({self.error:.1g})"
        # Two digits of the error where the first one is a 1, which is a coarse unit; one digit elsewhere.
        decimals = 1 - math.floor(math.log10(self.error))
        if round(self.error * 10.0**decimals) >= 20:
            decimals -= 1
        if decimals <= 0:
            return f"{round(self.mean, decimals):.0f}({round(self.error, decimals):.0f})"
        in_last_digits = round(self.error * 10.0**decimals)
        shown = str(in_last_digits)
        if in_last_digits >= 10**decimals:
            shown = f"{in_last_digits / 10**decimals:.{decimals}f}"
        return f"{self.mean:.{decimals}f}({shown})"

    def __format__(self, spec: str) -> str:
        return f"{self.mean:{spec}} ± {self.error:{spec}}" if spec else str(self)


class Refusal(Exception):
    """An error bar that must not be believed, and why; `estimate` is what came out."""

    def __init__(self, reason: str, estimate: Estimate):
        super().__init__(reason, estimate)
        self.estimate = estimate

    def __str__(self) -> str:
        return self.args[0]


class ChainTooShort(Refusal):
    """A chain holds too few autocorrelation times."""


class OverlapLost(Refusal):
    """Too few samples carry the weight of a reweighted mean."""


def autocorrelation_function(series: ArrayLike) -> np.ndarray:
    """ρ(t) of a series for t = 0 … samples - 1, averaged over chains around their common mean; 0 beyond t = 0 if constant.

    Raises ValueError for shapes other than `(samples[, chains])` and for values that are not finite.

    >>> autocorrelation_function([1, -1, 1, -1]).tolist()
    [1.0, -1.0, 1.0, -1.0]
    """
    return _autocorrelation(_checked(series))


def autocorrelation_time(series: ArrayLike, window: float = 5.0) -> tuple[float, float]:
    """Integrated autocorrelation time of a series and its standard error, in samples.

    The sum of ρ stops at the first W ≥ window · τ(W), where noise would begin to outweigh signal (A. Sokal 1997,
    10.1007/978-1-4899-0319-8_6), unless eight or more chains scatter by far more than that explains: then τ is what their
    means say. The bias from the subtracted mean is undone as in U. Wolff 2004 (hep-lat/0306017), whose
    error 2τ √((W + 1/2 - τ)/n) refines that of Madras and Sokal. A constant series has (1/2, 0). Raises ValueError as
    `autocorrelation_function` does, and for a window that is not positive.

    >>> noise = np.random.default_rng(1).normal(size=10_000)
    >>> tau, error = autocorrelation_time(noise)
    >>> abs(tau - 0.5) < 3 * error
    True
    """
    if not window > 0:
        raise ValueError(f"window={window!r} is not allowed: it must be positive")
    series = _checked(series)
    if _constant(series):
        return 0.5, 0.0
    rho = _autocorrelation(series)
    lags = np.arange(rho.size)
    running = np.cumsum(rho) - 0.5
    # An alternating series may have a small τ and yet a long memory: that of the series with every other sign reversed.
    staggered = np.cumsum(np.where(lags % 2, -rho, rho)) - 0.5
    stops = np.flatnonzero((lags >= 1) & (lags >= window * np.maximum(running, staggered)))
    last = int(stops[0]) if stops.size else rho.size - 1
    # Each ρ(t) lost 2τ/n with the mean. Anticorrelation beats independent samples, but is not trusted without bound.
    tau = max(running[last] * (1 + (2 * last + 1) / series.size), 0.5 / math.log10(series.size + 10))
    tau_error = 2 * tau * math.sqrt(max(last + 0.5 - tau, 0.5) / series.size)
    # Rare, slow moves hide below the noise of ρ and escape the window; the scatter of the chains' means still shows them.
    samples, chains = series.shape
    if chains >= 8:
        scatter = samples * series.mean(axis=0).var(ddof=1) / (2 * series.var())
        relative = math.sqrt(2 / (chains - 1))
        if scatter > tau * (1 + 5 * relative):
            tau, tau_error = scatter, relative * scatter
    return float(tau), float(tau_error)


def estimate(series: ArrayLike, minimum: float = 50) -> Estimate:
    """Mean of a series with an error that knows its autocorrelation; several chains are combined.

    Raises ChainTooShort, with the estimate attached, when a chain is shorter than `minimum` autocorrelation times: more
    short chains do not help, since none of them has seen the slow motion decay. Raises ValueError as
    `autocorrelation_function` does.

    >>> print(estimate(np.random.default_rng(1).normal(size=10_000)))
    -0.011(10)
    """
    series = _checked(series)
    tau, tau_error = autocorrelation_time(series)
    mean, ess = float(series.mean()), series.size / (2 * tau)
    # The variance about the sample mean is too small by its part 1/ess.
    error = 0.0 if _constant(series) else float(series.std() * math.sqrt((1 + 1 / ess) / ess))
    result = Estimate(mean, error, tau, ess, tau_error)
    _refuse_short(len(series), result, minimum)
    return result


def effective_sample_size(series: ArrayLike) -> float:
    """Number of independent samples that would give a mean as precise, n / 2τ.

    >>> 9_000 < effective_sample_size(np.random.default_rng(1).normal(size=10_000)) < 11_000
    True
    """
    series = _checked(series)
    return series.size / (2 * autocorrelation_time(series)[0])


def split_rhat(series: ArrayLike) -> float:
    """Potential scale reduction of the halves of all chains: near 1 when they agree, above 1.01 when they have not mixed.

    nan below 4 samples, 1 for a constant series, infinite for chains frozen apart. A. Gelman and D. Rubin 1992
    (10.1214/ss/1177011136), with split chains as in A. Vehtari et al. 2021 (10.1214/20-BA1221).

    >>> noise = np.random.default_rng(1).normal(size=(1000, 4))
    >>> split_rhat(noise) < 1.01 < split_rhat(noise + [0, 0, 0, 1])
    True
    """
    series = _checked(series)
    half = len(series) // 2
    if half < 2:
        return math.nan
    halves = np.concatenate([series[:half], series[-half:]], axis=1)
    within, between = halves.var(axis=0, ddof=1).mean(), halves.mean(axis=0).var(ddof=1)
    if within == 0:
        return 1.0 if between == 0 else math.inf
    return float(math.sqrt((half - 1) / half + between / within))


def blocking(series: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Block lengths 1, 2, 4 …, the error of the mean seen at each, and the error of that error.

    The error grows with the length until blocks are independent, and then stays: the plateau is the true one. Lengths go on
    while every chain has two blocks. H. Flyvbjerg and H. G. Petersen 1989 (10.1063/1.457480).

    >>> lengths, errors, _ = blocking(np.random.default_rng(1).normal(size=4096))
    >>> lengths[:4].tolist(), bool(abs(errors[4] / errors[0] - 1) < 0.2)
    ([1, 2, 4, 8], True)
    """
    blocks = _checked(series)
    rows, length = [], 1
    while len(blocks) >= 2:
        error = math.sqrt(blocks.var() / (blocks.size - 1))
        rows.append((length, error, error / math.sqrt(2 * (blocks.size - 1))))
        paired = blocks[: len(blocks) // 2 * 2]
        blocks, length = (paired[::2] + paired[1::2]) / 2, 2 * length
    lengths, errors, uncertainty = np.array(rows).T.reshape(3, -1)
    return lengths.astype(int), errors, uncertainty


def jackknife(function: Callable[..., Any], *series: ArrayLike, blocks: int | None = None, minimum: float = 50) -> Estimate:
    """A function of means, such as `lambda m2, m4: 1 - m4 / (3 * m2**2)`, with its error and without its bias of order 1/n.

    function: takes the mean of each series as a float; series: equal shapes, sampled together. Each chain is cut into
    blocks, which are left out one at a time. By default a block is at least 10 τ of the slowest series long, and there are
    about 200 at most; `blocks` sets their number per chain instead. Raises ChainTooShort as `estimate` does, ValueError for
    shapes that differ and for fewer than two blocks. B. Efron 1982 (10.1137/1.9781611970319).

    >>> x = np.random.default_rng(1).normal(size=(1000, 4))
    >>> print(jackknife(lambda x, x2: x2 - x**2, x, x**2))
    1.01(2)
    """
    columns = _checked_together(series)
    tau, tau_error = max(autocorrelation_time(column) for column in columns)
    samples, chains = columns[0].shape
    if blocks is None:
        length = max(math.ceil(10 * tau), samples * chains // 200, 1)
        blocks = max(samples // length, 1 if chains > 1 else 2)
    if not 1 <= blocks <= samples or blocks * chains < 2:
        raise ValueError(f"blocks={blocks!r} is not allowed: at least 2 in all, and at most {samples} in each chain")
    length = samples // blocks
    # (series, blocks in all): the few samples left over at the start are the least equilibrated ones.
    means = np.stack(
        [column[samples - blocks * length :].reshape(blocks, length, chains).mean(axis=1).ravel() for column in columns]
    )
    count = means.shape[1]
    left_out = (means.sum(axis=1, keepdims=True) - means) / (count - 1)
    values = np.array([float(function(*map(float, column))) for column in left_out.T])
    together = float(function(*map(float, means.mean(axis=1))))
    mean = count * together - (count - 1) * values.mean()
    error = math.sqrt((count - 1) * values.var())
    result = Estimate(float(mean), error, tau, samples * chains / (2 * tau), tau_error)
    _refuse_short(samples, result, minimum)
    return result


def gamma_method(function: Callable[..., Any], *series: ArrayLike, minimum: float = 50) -> Estimate:
    """A function of means with its error by linearisation: the autocorrelation is that of the series along its gradient.

    Arguments and errors as in `jackknife`, which needs no derivative but has to choose blocks. U. Wolff 2004
    (hep-lat/0306017).

    >>> x = np.random.default_rng(1).normal(size=(1000, 4))
    >>> print(gamma_method(lambda x, x2: x2 - x**2, x, x**2))
    1.01(2)
    """
    columns = _checked_together(series)
    means = [float(column.mean()) for column in columns]
    projected = np.zeros_like(columns[0])
    for i, column in enumerate(columns):
        # The step is the size of the fluctuation of the mean: the scale on which the function is asked to be linear.
        step = float(column.std()) / math.sqrt(column.size)
        if step > 0:
            up, down = ([*means[:i], means[i] + sign * step, *means[i + 1 :]] for sign in (1, -1))
            projected += (float(function(*up)) - float(function(*down))) / (2 * step) * (column - means[i])
    linear = estimate(projected, minimum=0)
    result = Estimate(float(function(*means)), linear.error, linear.tau, linear.ess, linear.tau_error)
    _refuse_short(len(projected), result, minimum)
    return result


@dataclass(frozen=True)
class Reweighted(Estimate):
    """An estimate at another temperature than was sampled; `kish_ess` counts the samples that carry its weight."""

    kish_ess: float = math.nan


def reweight(
    energy: ArrayLike,
    observable: ArrayLike,
    beta: float,
    new_beta: float,
    *,
    n_sites: int,
    minimum: float = 50,
) -> Reweighted:
    """Mean of an observable at `new_beta` from samples taken at `beta`.

    energy: per site, as the samplers report it; n_sites: turns it into the total that the weights exp(-(β' - β) E) need.
    Raises OverlapLost, with the estimate attached, when the weights rest on fewer than `minimum` independent samples;
    otherwise raises as `jackknife` does. A. Ferrenberg and R. Swendsen 1988 (10.1103/PhysRevLett.61.2635).

    >>> energy = np.random.default_rng(1).normal(size=10_000)           # one Gaussian degree of freedom
    >>> print(reweight(energy, energy, 1.0, 1.1, n_sites=1))            # its mean moves by -0.1
    -0.111(10)
    """
    energy, observable = _checked_together((energy, observable))
    log_weights = -(new_beta - beta) * whole("n_sites", n_sites, 1) * energy
    kish = kish_ess(log_weights)
    weight = np.exp(log_weights - log_weights.max())
    # The largest weight is 1: dividing by the mean keeps both series near the observable's own size.
    weight /= weight.mean()
    independent = kish / max(1.0, 2 * autocorrelation_time(energy)[0])
    ratio = jackknife(lambda weighted, total: weighted / total, weight * observable, weight, minimum=0)
    result = Reweighted(ratio.mean, ratio.error, ratio.tau, ratio.ess, ratio.tau_error, kish)
    if independent < minimum:
        raise OverlapLost(
            f"new_beta={new_beta:g} is too far from the sampled beta={beta:g}: its weight rests on {independent:.1f} "
            f"independent samples, and {minimum:g} are needed; sample closer to it",
            result,
        )
    _refuse_short(len(energy), result, minimum)
    return result


def kish_ess(log_weights: ArrayLike) -> float:
    """Number of equal weights as good as these, (Σw)²/Σw², for independent samples.

    It knows nothing of autocorrelation and is blind to what was never sampled: not to be compared with
    `effective_sample_size`. L. Kish 1965, Survey Sampling.

    >>> kish_ess([0.0, 0.0, -1000.0])
    2.0
    """
    log_weights = np.asarray(log_weights, dtype=np.float64).ravel()
    if log_weights.size == 0 or np.isnan(log_weights).any() or not np.isfinite(log_weights.max()):
        raise ValueError("log_weights are not allowed to be empty, nan, infinite, or all -inf")
    weight = np.exp(log_weights - log_weights.max())
    return float(weight.sum() ** 2 / (weight**2).sum())


def _checked(series: ArrayLike) -> np.ndarray:
    """The series as float64 `(samples, chains)`."""
    array = np.asarray(series, dtype=np.float64)
    if array.ndim not in (1, 2) or array.size == 0:
        raise ValueError(f"series has shape {array.shape}: allowed are (samples,) and (samples, chains), not empty")
    if not np.isfinite(array).all():
        count = np.count_nonzero(~np.isfinite(array))
        raise ValueError(f"series holds {count} values that are not finite: only numbers are allowed")
    return array.reshape(len(array), -1)


def _checked_together(series: tuple[ArrayLike, ...]) -> list[np.ndarray]:
    columns = [_checked(column) for column in series]
    if not columns or any(column.shape != columns[0].shape for column in columns):
        shapes = ", ".join(str(column.shape) for column in columns)
        raise ValueError(f"series have shapes {shapes or 'none'}: allowed are one or more, all of the same shape")
    return columns


def _constant(series: np.ndarray) -> bool:
    return bool((series == series[0, 0]).all())


def _autocorrelation(series: np.ndarray) -> np.ndarray:
    samples = len(series)
    if _constant(series):
        return np.eye(1, samples)[0]
    centred = np.ascontiguousarray((series - series.mean()).T)
    # Padding with as many zeros keeps the ends of a chain from meeting.
    size = 1 << (2 * samples - 1).bit_length()
    power = np.zeros(size // 2 + 1)
    for chain in centred:
        transform = np.fft.rfft(chain, size)
        power += transform.real**2 + transform.imag**2
    covariance = np.fft.irfft(power, size)[:samples] / np.arange(samples, 0, -1)
    return covariance / covariance[0]


def _refuse_short(samples: int, result: Estimate, minimum: float) -> None:
    needed = math.ceil(minimum * result.tau)
    if samples < needed:
        raise ChainTooShort(
            f"each chain holds {samples} samples, and needs at least {needed}: {minimum:g} autocorrelation times of "
            f"{Estimate(result.tau, result.tau_error)}; make chains longer, more of them do not help",
            result,
        )
