"""Forward processes: linear drift and noise turn data into a Gaussian, x_t = a(t) x_0 + s(t) z, at times from 0 to 1.

With a and s given, the stochastic differential equation is dx = f x dt + g dW with f = d ln a/dt and g² = ds²/dt − 2 f s².
All processes are the Ornstein–Uhlenbeck process on another clock and scale; what a network sees is the signal-to-noise
ratio. Sources: Song et al. 2021 (arXiv:2011.13456); Kingma et al. 2021 (arXiv:2107.00630).
"""

import math

import torch


class Process:
    """What forward processes share. Subclasses say what a, s, f and g² are, each a function of a tensor of times.

    `start` is the latest time, where generation begins from a Gaussian of width s; `power` spaces the steps of generation,
    densest near the data above 1.
    """

    start = 1.0
    power = 1.0

    def mean_factor(self, t: torch.Tensor) -> torch.Tensor:
        """a(t): what is left of the data."""
        raise NotImplementedError

    def deviation(self, t: torch.Tensor) -> torch.Tensor:
        """s(t): the standard deviation of the noise on it."""
        raise NotImplementedError

    def drift(self, t: torch.Tensor) -> torch.Tensor:
        """f(t) of the drift f x."""
        raise NotImplementedError

    def diffusion(self, t: torch.Tensor) -> torch.Tensor:
        """g(t), the amplitude of the noise dW."""
        raise NotImplementedError

    def time(self, log_snr: torch.Tensor) -> torch.Tensor:
        """The time at which the logarithm of the signal-to-noise ratio is `log_snr`."""
        raise NotImplementedError

    def log_snr(self, t: torch.Tensor) -> torch.Tensor:
        """ln a²/s²: the logarithm of the signal-to-noise ratio, which falls with time."""
        return 2 * (self.mean_factor(t).log() - self.deviation(t).log())

    def age(self, t: torch.Tensor) -> torch.Tensor:
        """Time of the Ornstein–Uhlenbeck process dx = −x dt + √2 dW at the same signal-to-noise ratio, ½ ln(1 + s²/a²)."""
        return torch.log1p((self.deviation(t) / self.mean_factor(t)) ** 2) / 2

    def perturb(self, x: torch.Tensor, t: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """a(t) x + s(t) noise: data at time t, in one leap."""
        return self.mean_factor(t) * x + self.deviation(t) * noise

    def grid(self, steps: int, end: float) -> torch.Tensor:
        """Times from `start` down to `end`, `(steps + 1,)`: equidistant in t^(1/power)."""
        root = torch.linspace(self.start ** (1 / self.power), end ** (1 / self.power), steps + 1, dtype=torch.float64)
        return root**self.power

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value:g}" for name, value in vars(self).items())
        return f"{type(self).__name__}({options})"


class VariancePreserving(Process):
    """The Ornstein–Uhlenbeck process with rate β(t)/2, β from `beta_min` to `beta_max`: a = e^(−B/2), s² = 1 − e^(−B).

    B(t) is the integral of β. Raises ValueError unless 0 ≤ beta_min ≤ beta_max, with beta_max above 0.

    >>> process, t = VariancePreserving(), torch.tensor(0.5)
    >>> round((process.mean_factor(t) ** 2 + process.deviation(t) ** 2).item(), 6)
    1.0
    """

    power = 2.0

    def __init__(self, beta_min: float = 0.1, beta_max: float = 20.0):
        if not 0 <= beta_min <= beta_max or beta_max == 0:
            raise ValueError(f"beta_min={beta_min!r}, beta_max={beta_max!r} are not allowed: 0 ≤ beta_min ≤ beta_max > 0")
        self.beta_min, self.beta_max = float(beta_min), float(beta_max)

    def beta(self, t):
        return self.beta_min + (self.beta_max - self.beta_min) * t

    def total(self, t):
        """B(t)."""
        return self.beta_min * t + (self.beta_max - self.beta_min) * t**2 / 2

    def mean_factor(self, t):
        return (-self.total(t) / 2).exp()

    def deviation(self, t):
        return (-torch.expm1(-self.total(t))).sqrt()

    def drift(self, t):
        return -self.beta(t) / 2

    def diffusion(self, t):
        return self.beta(t).sqrt()

    def time(self, log_snr):
        return self._at(torch.nn.functional.softplus(-log_snr))

    def _at(self, total):
        """The time at which B is `total`, without cancellation."""
        slope = self.beta_max - self.beta_min
        return 2 * total / (self.beta_min + (self.beta_min**2 + 2 * slope * total).sqrt())


class SubVP(VariancePreserving):
    """The sub-variance-preserving process: the drift of `VariancePreserving`, but s = 1 − e^(−B), less noise.

    >>> process, t = SubVP(), torch.tensor(0.3)
    >>> bool(process.deviation(t) < VariancePreserving().deviation(t))
    True
    """

    def deviation(self, t):
        return -torch.expm1(-self.total(t))

    def diffusion(self, t):
        return (-self.beta(t) * torch.expm1(-2 * self.total(t))).sqrt()

    def time(self, log_snr):
        # a/s = y/(1 − y²) with y = e^(−B/2) says sinh(B/2) = s/2a.
        return self._at(2 * torch.asinh((-log_snr / 2).exp() / 2))


class VarianceExploding(Process):
    """Brownian motion: a = 1, s² = σ(t)² − σ(0)² with σ(t) rising geometrically from `sigma_min` to `sigma_max`.

    `sigma_max` is to exceed all distances in the data. Raises ValueError unless 0 < sigma_min < sigma_max.

    >>> VarianceExploding(0.01, 10.0).deviation(torch.tensor(1.0)).round(decimals=3).item()
    10.0
    """

    def __init__(self, sigma_min: float = 0.01, sigma_max: float = 50.0):
        if not 0 < sigma_min < sigma_max:
            raise ValueError(f"sigma_min={sigma_min!r}, sigma_max={sigma_max!r} are not allowed: 0 < sigma_min < sigma_max")
        self.sigma_min, self.sigma_max = float(sigma_min), float(sigma_max)

    @property
    def _rate(self) -> float:
        return 2 * math.log(self.sigma_max / self.sigma_min)

    def mean_factor(self, t):
        return torch.ones_like(t)

    def deviation(self, t):
        return self.sigma_min * torch.expm1(self._rate * t).sqrt()

    def drift(self, t):
        return torch.zeros_like(t)

    def diffusion(self, t):
        return self.sigma_min * (self._rate * (self._rate * t).exp()).sqrt()

    def time(self, log_snr):
        return torch.log1p((-log_snr).exp() / self.sigma_min**2) / self._rate


class Interpolant(Process):
    """Flow matching: data and noise are mixed along a straight line, a = 1 − t, s = t.

    The velocity of the probability flow is the mean of z − x_0 given x_t. Times end just before 1, where no data is left and
    the drift of the stochastic equation diverges. Sources: Lipman et al. 2023 (arXiv:2210.02747); Albergo, Boffi,
    Vanden-Eijnden 2023 (arXiv:2303.08797).

    >>> Interpolant().perturb(torch.ones(2), torch.tensor(0.25), torch.zeros(2)).tolist()
    [0.75, 0.75]
    """

    start = 0.999
    power = 2.0

    def mean_factor(self, t):
        return 1 - t

    def deviation(self, t):
        return t

    def drift(self, t):
        return -1 / (1 - t)

    def diffusion(self, t):
        return (2 * t / (1 - t)).sqrt()

    def time(self, log_snr):
        return torch.sigmoid(-log_snr / 2)
