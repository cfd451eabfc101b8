"""The posterior of a scaling collapse: what finite_size.py maximises and samples."""

import math

import numpy as np
import pandas as pd

# What every table of measured points holds, a point a row.
COLUMNS = ("size", "temperature", "value", "error")


class Posterior:
    """Log posterior of (Tc, log 1/ν, exponent, log θ0, log θ1, log θ2, log A, bend) in the units of the data.

    Temperatures are in half the range of the data from its middle, sizes in the largest one, values in their scatter. Then
    all parameters are of order 1, and weak normal priors keep them there. The bend is that of the scaling field,
    t + bend t² with t = (T − Tc)/Tc. It is −1 for a field linear in 1/T, with which temperature enters, and therefore
    about −1; for Ising, whose field 1/sinh(2/T) − sinh(2/T) is odd under duality, it is −0.69.
    """

    prior_mean = np.array([0.0, 0.0, 0.0, -6.0, 0.7, 0.0, 0.0, -1.0])
    prior_width = np.array([4.0, 1.5, 3.0, 2.0, 1.5, 1.5, 0.7, 0.5])

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
        self.constant, self.offset = 10 * np.mean(self.y**2), np.mean(self.y**2)
        self.relative = self.half_range / np.abs(self.temperature).max()
        self.fixed = np.array([0, 0, exponent, 0, 0, 0, -40, 0])

    def complete(self, free: np.ndarray) -> np.ndarray:
        """All parameters from the free ones."""
        parameters = self.fixed.copy()
        parameters[self.free] = free
        return parameters

    def x(self, parameters: np.ndarray) -> np.ndarray:
        distance = self.t - parameters[0]
        bent = distance * (1 + parameters[7] * self.relative * distance)
        return bent * np.exp(np.exp(parameters[1]) * self.log_size)

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
        corrections = np.outer(correction, correction)
        smooth = smooth * (1 + corrections)
        free_mean = (self.constant + self.offset * corrections) * np.outer(amplitude, amplitude)
        law = smooth + free_mean + np.diag((np.exp(parameters[3]) * amplitude) ** 2)
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
        amplitude = np.exp(-parameters[2] * self.log_size)
        corrected = (weighted / (1 + correction) + slope * self.offset * np.outer(amplitude, amplitude)) * correction
        bend, distance = parameters[7] * self.relative, self.t - parameters[0]
        scale = np.exp(stretch * self.log_size)
        full = [
            -along_x @ ((1 + 2 * bend * distance) * scale),
            along_x @ (x * self.log_size) * stretch,
            -2 * self.log_size @ (slope * law).sum(1),
            2 * math.exp(2 * parameters[3]) * (slope.diagonal() @ amplitude**2),
            2 * weighted.sum(),
            (weighted * (x[:, None] - x) ** 2).sum() / theta2**2,
            2 * corrected.sum(),
            along_x @ (self.relative * distance**2 * scale),
        ]
        return np.array(full)[self.free] - (free - self.prior_mean[self.free]) / self.prior_width[self.free] ** 2

    def maximise(self, rng: np.random.Generator, starts: int = 6) -> np.ndarray:
        """The best of several climbs, which start at temperatures all over the data."""
        # Where sizes differ by orders of magnitude, a climb from exponent 0 would get lost.
        growth = np.polyfit(self.log_size, np.log(np.abs(self.y) + self.error), 1)[0] if self.free[2] else 0.0
        centres = np.tile(np.array([0.0, 0.0, -growth, -4.0, 0.7, -0.7, 0.0, -1.0]), (starts, 1))
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
        """Draws of the parameters `(draws, 8)` and their normalised weights; the proposal learns from the draws before."""
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
