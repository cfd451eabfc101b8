"""Diffusion models: a forward process, a score, and the ways back from noise to samples with their densities."""

import copy
import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise

import torch
from torch import nn

from mlphys import checks
from mlphys.diffusion import solvers
from mlphys.diffusion.processes import Process
from mlphys.random import torch_generator

MAPS = ("euler", "heun")
DETERMINISTIC = (*MAPS, "runge_kutta", "adaptive")
METHODS = (*DETERMINISTIC, "multistep", "euler_maruyama", "predictor_corrector")
# Above so many numbers in a configuration the divergence is estimated, unless asked otherwise or known in closed form.
MOST_EXACT = 256


class DiffusionModel(nn.Module):
    """Samples, and their densities, from the score ∇ log p_t of data that a forward process has turned into noise.

    `score` is a network or any callable (x, t) -> like x: x `(batch, *shape)`, t `(batch, 1, …)` so that it broadcasts over
    x, between `end` and `process.start`. `shape` is that of one configuration, or its number of sites. Numbers are float64,
    or what the network's parameters are, on their device.

    `method` and `steps` are what `sample` and `log_prob` use unless told otherwise: the probability flow by "euler", "heun",
    "runge_kutta", or "adaptive" to a `tolerance`. For the first two, the model is the map that the steps make: with its full
    Jacobian, log q is its exact density, as for a flow, however few the steps, so that `IndependenceMH` and
    `mlphys.flows.importance` are exact. Where steps so long that they fold space turn it over, log q is ∞: such samples
    carry no weight. For the others log q is the integral of the exact divergence, with the error of the steps; a density
    that `IndependenceMH` samples is then off by that error.

    Scores may know `jacobian(x, t)` and `divergence(x, t)`, as those of `ScorePotential` do: pairs of the score and its
    derivatives. Otherwise these take a backward pass for each number in a configuration, and are used up to 256 of them;
    above, or where `probes` is given, Hutchinson's estimate with that many vectors takes the place of the divergence: its
    error is random, beside that of the steps. `condition` is passed on to a score that takes one, after x and t; `at` sets
    it. Raises ValueError for bad arguments. Source: Song et al. 2021 (arXiv:2011.13456).

    >>> import mlphys as mp
    >>> process = mp.diffusion.VariancePreserving()
    >>> model = DiffusionModel(process, mp.diffusion.Gaussian(process, [1.0, 0.0], [[2.0, 0.5], [0.5, 1.0]]), shape=2)
    >>> x, log_q = model.sample(1000, seed=1)
    >>> x.shape, bool((x.mean(0) - torch.tensor([1.0, 0.0])).abs().max() < 0.2)
    (torch.Size([1000, 2]), True)
    >>> bool((model.log_prob(x) - log_q).abs().max() < 1e-6)
    True
    """

    def __init__(
        self, process: Process, score: Callable, shape: int | tuple[int, ...], method: str = "heun", steps: int = 40,
        probes: int | None = None, tolerance: float = 1e-6, end: float = 1e-4, condition: float | None = None,
    ):  # fmt: skip
        super().__init__()
        checks.one_of("method", method, DETERMINISTIC)
        if not 0 <= end < process.start:
            raise ValueError(f"end={end!r} is not allowed: it must be at least 0 and below {process.start:g}")
        if not tolerance > 0:
            raise ValueError(f"tolerance={tolerance!r} is not allowed: it must be positive")
        self.process, self.score, self.end, self.tolerance = process, score, float(end), tolerance
        sides = shape if isinstance(shape, tuple | list) else (shape,)
        self.shape = tuple(checks.whole("shape", side, 1) for side in sides)
        self.method, self.steps = method, checks.whole("steps", steps, 1)
        self.probes = None if probes is None else checks.whole("probes", probes, 0)
        self.condition = condition

    def at(self, condition: float) -> "DiffusionModel":
        """The same model, its network shared, for data at a value of the parameter that its score is told."""
        view = copy.copy(self)
        view.condition = float(condition)
        return view

    @property
    def origin(self) -> torch.Tensor:
        """A number of the type and on the device of the model."""
        return next(self.parameters(), torch.zeros((), dtype=torch.float64)).detach()

    def score_at(self, x: torch.Tensor, t: float | torch.Tensor, condition: torch.Tensor | None = None) -> torch.Tensor:
        """The score `(batch, *shape)` at configurations `(batch, *shape)` and a time, or a time for each `(batch, 1, …)`.

        The condition is that of the model, unless there is one for each `(batch, 1, …)`.
        """
        t, *told = self._told(x, t, condition)
        score = self.score(x, t, *told)
        if score.shape != x.shape:
            raise ValueError(f"score gives {tuple(score.shape)} for x of shape {tuple(x.shape)} and t {tuple(t.shape)}")
        return score

    def reverse_drift(self, x: torch.Tensor, t: float, noise: float = 0.0) -> torch.Tensor:
        """f x − ½ (1 + noise) g² score, flat `(batch, n)`: the velocity of the probability flow where `noise` is 0."""
        time = torch.as_tensor(t, dtype=torch.float64)
        f, g = self.process.drift(time).item(), self.process.diffusion(time).item()
        return f * x - (1 + noise) / 2 * g**2 * self._flat_score(x, t)

    def _told(self, x, t, condition=None) -> list[torch.Tensor]:
        """What the score is told beside x: times and, if there is one, the condition, `(batch, 1, …)`."""
        condition = self.condition if condition is None else condition
        shape = len(x), *[1] * len(self.shape)
        given = [value for value in (t, condition) if value is not None]
        return [torch.as_tensor(value, dtype=x.dtype, device=x.device).expand(shape) for value in given]

    def _flat_score(self, x, t):
        return self.score_at(x.unflatten(1, self.shape), t).flatten(1)

    def _derivatives(self, x, t, exact: str = "jacobian", probes=None):
        """The velocity of the probability flow, and its Jacobian `(batch, n, n)` or its divergence `(batch,)`."""
        if probes is None and (known := getattr(self.score, exact, None)) is not None:
            shaped = x.unflatten(1, self.shape)
            score, change = known(shaped, *self._told(shaped, t))
            score = score.flatten(1)
        else:
            estimate = solvers.jacobian if exact == "jacobian" else partial(solvers.divergence, probes=probes)
            score, change = estimate(lambda x: self._flat_score(x, t), x)
        time = torch.as_tensor(t, dtype=torch.float64)
        f, g = self.process.drift(time).item(), self.process.diffusion(time).item()
        own = f * (torch.eye(x.shape[1], dtype=x.dtype, device=x.device) if exact == "jacobian" else x.shape[1])
        return f * x - g**2 / 2 * score, own - g**2 / 2 * change

    @torch.no_grad()
    def sample(
        self, n: int, seed: int = 0, method: str | None = None, steps: int | None = None, noise: float = 1.0,
        probes: int | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:  # fmt: skip
        """n independent configurations `(n, *shape)` and their log q `(n,)`, None for methods without a known density.

        Beside the methods of the model, without density: "euler_maruyama", where `noise` h ≥ 0 leads from the probability
        flow (0) to the reverse stochastic equation (1), and beyond, through equations with the same distributions at every
        time; "predictor_corrector", the same with a step of Langevin dynamics after each; "multistep", an exponential
        integrator of fourth order with one evaluation a step: `solvers.multistep`. probes=0 leaves the density out. Source:
        Song et al. 2021 (arXiv:2011.13456).
        """
        n, method = checks.whole("n", n, 1), self.method if method is None else method
        checks.one_of("method", method, METHODS)
        if not 0 <= noise < math.inf:
            raise ValueError(f"noise={noise!r} is not allowed: it must not be negative")
        steps = self.steps if steps is None else checks.whole("steps", steps, 1)
        probes = self._probes(probes) if method in DETERMINISTIC else 0
        generator, origin, parts = torch_generator(seed, "sample"), self.origin, []
        size = self._batch(probes)
        for first in range(0, n, size):
            z = torch.randn(min(size, n - first), math.prod(self.shape), generator=generator, dtype=origin.dtype)
            parts.append(self._generate(z.to(origin.device), method, steps, noise, probes, generator))
        x = torch.cat([x for x, _ in parts]).unflatten(1, self.shape)
        return x, None if probes == 0 else torch.cat([log_q for _, log_q in parts])

    @torch.no_grad()
    def log_prob(
        self, x: torch.Tensor, seed: int = 0, method: str | None = None, steps: int | None = None, probes: int | None = None
    ) -> torch.Tensor:
        """log q `(batch,)` of configurations `(batch, *shape)`: for "euler" and "heun" that of what `sample` draws.

        `seed` is that of Hutchinson's vectors. Raises ValueError for another shape, and FloatingPointError where steps are
        so long that their map cannot be inverted.
        """
        method = self.method if method is None else method
        checks.one_of("method", method, DETERMINISTIC)
        if x.shape[1:] != self.shape:
            raise ValueError(f"x has shape {tuple(x.shape)}: allowed is (batch, {', '.join(map(str, self.shape))})")
        if (probes := self._probes(probes)) == 0:
            raise ValueError("probes=0 is not allowed: a density needs None, all derivatives, or at least one vector")
        steps = self.steps if steps is None else checks.whole("steps", steps, 1)
        generator, times = torch_generator(seed, "log_prob"), self._times(steps)
        parts = []
        for part in x.to(self.origin).flatten(1).split(self._batch(probes)):
            if probes is None and method in MAPS:
                step = solvers.STEPS[method]
                z, log_det = solvers.transport_back(self.reverse_drift, self._derivatives, step, part, times)
            else:
                z, log_det = self._carry(part, times[::-1], method, probes, generator)
                log_det = -log_det
            parts.append(self._log_prior(z) - log_det)
        return torch.cat(parts)

    def _generate(self, z, method, steps, noise, probes, generator):
        """Flat samples from normal numbers z, and log q where there are `probes`."""
        times, z = self._times(steps), self._width * z
        if method == "multistep":
            return self._multistep(z, steps), None
        if method in ("euler_maruyama", "predictor_corrector"):
            return self._diffuse(z, times, noise, method == "predictor_corrector", generator), None
        if probes is None and method in MAPS:
            x, log_det = solvers.transport(self._derivatives, solvers.STEPS[method], z, times)
        else:
            x, log_det = self._carry(z, times, method, probes, generator)
        return x, None if probes == 0 else self._log_prior(z) - log_det

    def _carry(self, x, times, method, probes, generator):
        """x carried along the flow, and the integral of the divergence on the way unless `probes` is 0."""
        field: solvers.Field = self.reverse_drift
        state, signs = x, None
        if probes != 0:
            if probes is not None:
                signs = torch.randint(0, 2, (probes, *x.shape), generator=generator).to(x) * 2 - 1
            field = solvers.with_density(partial(self._derivatives, exact="divergence", probes=signs))
            state = torch.cat([x, x.new_zeros(len(x), 1)], 1)
        if method == "adaptive":
            state = solvers.adaptive(field, state, times[0], times[-1], self.tolerance)
        else:
            for t, until in pairwise(times):
                state = solvers.STEPS[method](field, state, t, until)
        return state[:, : x.shape[1]], state[:, -1]

    def _diffuse(self, x, times, noise, corrected, generator):
        """Euler and Maruyama's steps of the equation with a share `noise` of the noise."""

        def normal():
            return torch.randn(x.shape, generator=generator, dtype=x.dtype).to(x.device)

        for t, until in pairwise(times):
            amplitude = self.process.diffusion(torch.tensor(t, dtype=torch.float64)).item() * math.sqrt(noise * (t - until))
            x = x + (until - t) * self.reverse_drift(x, t, noise) + amplitude * normal()
            if corrected:
                # In units of the noise on the data, which no length in p_t is shorter than.
                length = 2 * (self.CORRECTION * self.process.deviation(torch.tensor(until, dtype=torch.float64)).item()) ** 2
                x = x + length * self._flat_score(x, until) + math.sqrt(2 * length) * normal()
        return x

    # Width of a corrector step over the width of the noise (Song et al. 2021 call it the signal-to-noise ratio r).
    CORRECTION = 0.16

    def _multistep(self, x, steps):
        """Between levels equidistant in the log-SNR: those of `times` lie far apart there, near the data."""
        ends = torch.tensor([self.process.start, max(self.end, 1e-6)], dtype=torch.float64)
        first, last = self.process.log_snr(ends).tolist()
        times = self.process.time(torch.linspace(first, last, steps + 1, dtype=torch.float64))
        a, s = self.process.mean_factor(times).tolist(), self.process.deviation(times).tolist()

        def data(x, k):
            return (x + s[k] ** 2 * self._flat_score(x, times[k].item())) / a[k]

        return solvers.multistep(data, x, a, s)

    def _times(self, steps: int) -> list[float]:
        return self.process.grid(steps, self.end).tolist()

    @property
    def _width(self) -> float:
        return self.process.deviation(torch.tensor(self.process.start, dtype=torch.float64)).item()

    def _log_prior(self, z: torch.Tensor) -> torch.Tensor:
        n = math.prod(self.shape)
        return -((z / self._width) ** 2).sum(1) / 2 - n * (math.log(self._width) + math.log(2 * math.pi) / 2)

    def _probes(self, probes: int | None) -> int | None:
        """None for exact derivatives, else the number of Hutchinson's vectors, 0 for no density."""
        probes = self.probes if probes is None else checks.whole("probes", probes, 0)
        exact = hasattr(self.score, "divergence") or math.prod(self.shape) <= MOST_EXACT
        return 1 if probes is None and not exact else probes

    def _batch(self, probes: int | None) -> int:
        """Samples at once: the memory is bounded, and the same seed gives the same samples."""
        n = math.prod(self.shape)
        return max(64, 2**22 // (n * n if probes is None else 16 * n))
