"""Fields that come out of noise before everybody's eyes, four ways, and the networks that learn two of them."""

import copy
import math
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

import mlphys as mp
from mlphys.configurations import Sites
from mlphys.core import Sampler, State
from mlphys.lectures.quantization_experiments import SPAN, early, network, phi4, rates, thermalised
from mlphys.random import generator, torch_generator
from mlphys.stats import ChainTooShort, estimate
from mlphys.threads import one_torch_thread

# diffusion and flows import torch, which takes two seconds: an app that opens does not wait for it.
if TYPE_CHECKING:
    from mlphys.diffusion import DiffusionModel
    from mlphys.flows import FieldFlow
    from mlphys.train import Step

DT = 0.1
WAYS = {
    "diffusion, with noise": "back in time, along the learnt score, with noise",
    "diffusion, flow": "back in time along the probability flow of the learnt score",
    "normalising flow": "layer by layer, from a free field",
    f"Langevin, dt = {DT}": "stochastic quantization: along −∂S/∂φ, with noise, in fictitious time",
    "HMC": "one trajectory after the other",
}
LEARNT = tuple(WAYS)[:3]
LESSONS = ("fields at this κ", "fields at κ = 0.18, 0.20 … 0.28", "fields at this κ, too early")


def look(x: np.ndarray) -> dict[str, np.ndarray]:
    """M, |M|, V M² and φ² of fields `(batch, n_sites)`, `(batch,)` each."""
    m = x.mean(1)
    return {"m": m, "abs_m": np.abs(m), "chi": x.shape[1] * m**2, "phi2": (x**2).mean(1)}


def torch_fields(x: np.ndarray) -> Any:
    """Fields as a tensor."""
    import torch

    return torch.from_numpy(x)


def _walk(sampler: Sampler, x: np.ndarray, seed: int) -> State:
    # Made by hand, without torch.
    state = State(Sites(x.astype(float)), np.ones(len(x)), seed)
    sampler.adopt(state)
    return state


class Reference:
    """What HMC says of the same field meanwhile: 64 chains, that begin in order."""

    CHAINS, BEGIN, MEMORY = 64, 200, 3000

    def __init__(self, field: mp.Phi4, seed: int):
        start = generator(seed, "reference").choice([-1.0, 1.0], (self.CHAINS, 1)).repeat(field.lattice.n_sites, 1)
        self.sampler = mp.HMC(field, step_size=0.2)
        self.state = _walk(self.sampler, start, seed)
        self.series: dict[str, list[np.ndarray]] = {}
        self.sampler.step(self.state, self.BEGIN)

    def advance(self, sweeps: int = 4) -> None:
        if len(self.series.get("m", ())) < self.MEMORY:
            self.sampler.step(self.state, sweeps)
            for name, values in look(np.asarray(self.state.configuration.spins())).items():
                self.series.setdefault(name, []).append(values)

    def estimate(self, name: str) -> tuple[float, float]:
        """Mean and error; the error is nan while the chains are too short."""
        if not self.series:
            return math.nan, math.nan
        try:
            found = estimate(np.array(self.series[name]))
        except ChainTooShort as short:
            return short.estimate.mean, math.nan
        return found.mean, found.error


class Masters:
    """A diffusion model and a flow of fields of one size, that learn, and copies of them that are used: as last shown.

    `learnt` says from what; before that, the score is that of white noise, and the flow draws nearly free fields.
    """

    def __init__(self, side: int, seed: int = 1):
        self.side, self.seed = side, seed
        self.learnt: dict[str, str] = {}
        self._learning: dict[str, Any] = {}
        self._shown: dict[str, Any] = {}

    def learn(self, kind: str, field: mp.Phi4, lesson: str, steps: int) -> "Iterator[Step]":
        """Train the "flow" or the "diffusion" anew: yields the steps."""
        from mlphys import diffusion, flows

        kappa = f"κ = {field.kappa:.3f}"
        if kind == "flow":
            self._learning[kind], self.learnt[kind] = flows.FieldFlow(field, layers=4, seed=self.seed), f"S at {kappa}"
            yield from flows.fit(self._learning[kind], field, steps, 64, seed=self.seed)
            return
        data: Any = thermalised(field, 4096, self.seed)
        action: Any = field
        self.learnt[kind], span = kappa, None
        if lesson == LESSONS[1]:
            self.learnt[kind], span, kappas = "κ = 0.18 … 0.28", SPAN, np.linspace(*SPAN, 6).round(3).tolist()
            data = {value: thermalised(phi4(self.side, value), 2048, self.seed) for value in kappas}
            action = partial(phi4, self.side)
        elif lesson == LESSONS[2]:
            # From these fields alone: the force would know better.
            self.learnt[kind], action = f"{kappa}, too early", None
            data = early(field, 64, 32, skipped=5, seed=self.seed).flatten(0, 1)
        model = self._learning[kind] = network(field, 0.9, span, self.seed)
        matching = "denoising" if action is None else "energy"
        yield from diffusion.fit(model, data, steps, self.seed, 64, rates(steps), matching, action)

    def show(self, kind: str) -> None:
        """From now on, draw with what has been learnt so far."""
        self._shown[kind] = copy.deepcopy(self._learning[kind]).requires_grad_(False)

    def model(self, field: mp.Phi4) -> "DiffusionModel":
        """The diffusion model, told κ if it knows what that is."""
        model = self._shown.setdefault("diffusion", None) or network(field, 0.9, seed=self.seed)
        return model if model.condition is None else model.at(field.kappa)

    def flow(self, field: mp.Phi4) -> "FieldFlow":
        from mlphys import flows

        return self._shown.get("flow") or flows.FieldFlow(field, layers=4, seed=self.seed)


class Studio:
    """Fields on their way out of noise, a batch after the other, and what was measured on those that arrived.

    `time` runs from 1, noise, to 0, fields, in so many `steps`; each is computed when first asked for. Fields that arrived
    are independent of each other, whatever the way.
    """

    def __init__(self, kappa: float, side: int, way: str, steps: int, masters: Masters, seed: int):
        self.field = phi4(side, kappa)
        self.side, self.way, self.asked, self.masters, self.seed = side, way, steps, masters, seed
        self.batch = max(8, 2048 // side**2)
        self.reference: Reference | None = None
        self.count = 0
        self.forget()

    @property
    def kind(self) -> str:
        """What has to be learnt on this way, or nothing."""
        return {LEARNT[0]: "diffusion", LEARNT[1]: "diffusion", LEARNT[2]: "flow"}.get(self.way, "")

    def forget(self) -> None:
        """Drop what was measured, and begin another batch: a network has learnt more."""
        self.series: dict[str, list[np.ndarray]] = {}
        self._begin()

    def _begin(self) -> None:
        self.count += 1
        noise = generator(self.seed, "noise", self.count).normal(size=(self.batch, self.side**2))
        self.states, self.position, self.steps, self.counted = [noise], 0, self.asked, False
        self._log_q: np.ndarray | None = None
        self._coming = self._steps(noise)

    def _steps(self, noise: np.ndarray) -> Iterator[np.ndarray]:
        """The fields after each step."""
        if self.way == LEARNT[2]:
            return self._layers()
        if self.kind:
            return self._back(noise)
        sampler = mp.HMC(self.field, step_size=0.2) if self.way == "HMC" else mp.Langevin(self.field, DT, adjusted=False)
        return self._walked(sampler, noise)

    def _walked(self, sampler: Sampler, noise: np.ndarray) -> Iterator[np.ndarray]:
        state = _walk(sampler, noise, self.seed + self.count)
        while True:
            sampler.step(state, 1)
            yield np.array(state.configuration.spins())

    def _back(self, noise: np.ndarray) -> Iterator[np.ndarray]:
        import torch

        from mlphys.diffusion import solvers

        model = self.masters.model(self.field)
        random, x = torch_generator(self.seed, "back", self.count), torch.from_numpy(noise).to(model.origin)
        for t, until in pairwise(model.process.grid(self.steps, model.end).tolist()):
            with one_torch_thread(), torch.no_grad():
                if self.way == LEARNT[1]:
                    x = solvers.runge_kutta(model.reverse_drift, x, t, until)
                else:
                    kick = model.process.diffusion(torch.tensor(t)).item() * math.sqrt(t - until)
                    z = torch.randn(x.shape, generator=random, dtype=x.dtype)
                    x = x + (until - t) * model.reverse_drift(x, t, noise=1.0) + kick * z
                last = until == model.end and self.way == LEARNT[1]
                # Each step is one to one: from where it ended the density is found on the way back.
                self._log_q = model.log_prob(x, steps=min(self.steps, 20)).double().numpy() if last else None
            yield x.double().numpy()

    def _layers(self) -> Iterator[np.ndarray]:
        import torch

        flow = self.masters.flow(self.field)
        x = flow.prior.sample(self.batch, torch_generator(self.seed, "prior", self.count))
        log_q = flow.prior.log_prob(x)
        self.steps = len(flow.layers) + 1
        yield x.double().numpy()
        for layer in flow.layers:
            with one_torch_thread(), torch.no_grad():
                x, log_det = layer(x)
                log_q = log_q - log_det
            self._log_q = log_q.double().numpy()
            yield x.double().numpy()

    @property
    def time(self) -> float:
        return (self.steps - self.position) / self.steps

    @property
    def x(self) -> np.ndarray:
        """The fields now `(batch, n_sites)`."""
        return self.states[self.position]

    def advance(self, _: int = 1) -> None:
        """One step on; after the last, another batch."""
        if self.reference is None:
            self.reference = Reference(self.field, self.seed)
        self.reference.advance()
        if self.position == self.steps:
            self._begin()
        else:
            self._go(self.position + 1)

    def at(self, time: float) -> int:
        """The step nearest to a time from 1, noise, to 0, fields."""
        return round((1 - time) * self.steps)

    def seek(self, time: float) -> None:
        """Go to a time."""
        self._go(self.at(time))

    def _go(self, position: int) -> None:
        while len(self.states) <= min(position, self.steps):
            self.states.append(next(self._coming))
        self.position = min(position, self.steps)
        if self.position == self.steps and not self.counted:
            self.counted = True
            values = look(self.x)
            if self._log_q is not None:
                values["log_w"] = -self.field.action(torch_fields(self.x)).numpy() - self._log_q
            for name, part in values.items():
                self.series.setdefault(name, []).append(part)

    def arrived(self, name: str) -> np.ndarray:
        """One quantity of all fields that arrived."""
        return np.concatenate(self.series.get(name, [np.zeros(0)]))

    def weights(self, exact: bool) -> np.ndarray:
        """What each field that arrived counts, with the mean 1: alike, or, `exact`, by its weight where that is known."""
        log_w = self.arrived("log_w")
        if not exact or len(log_w) == 0:
            return np.ones(len(self.arrived("m")))
        weight = np.exp(log_w - log_w.max())
        return weight / weight.mean()

    @property
    def kish(self) -> float | None:
        """Kish ESS over the number of fields; None where their density is not known."""
        weight = self.weights(True)
        return None if "log_w" not in self.series else float(1 / (weight**2).mean())

    def measured(self, name: str, exact: bool) -> tuple[float, float, float] | None:
        """Mean, error, and what HMC says, whose error is in ours; None before there is anything."""
        values, weight = self.arrived(name), self.weights(exact)
        if self.reference is None or len(values) == 0:
            return None
        known, error = (0.0, 0.0) if name == "m" else self.reference.estimate(name)
        mean = float((weight * values).mean())
        own = float(np.sqrt((weight**2 * (values - mean) ** 2).sum()) / len(values))
        return mean, math.hypot(own, 0.0 if math.isnan(error) else error), known

    def mosaic(self) -> np.ndarray:
        """Some of the fields side by side, with gaps of 0."""
        many = max(1, min(36 // (self.side + 1), int(self.batch**0.5)))
        pitch = self.side + 1
        sheet = np.zeros((many * pitch - 1, many * pitch - 1))
        for k in range(many**2):
            row, column = pitch * (k // many), pitch * (k % many)
            sheet[row : row + self.side, column : column + self.side] = self.x[k].reshape(self.side, self.side)
        return sheet
