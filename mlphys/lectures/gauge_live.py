"""Two live gauge fields: one moved by HMC, one by a flow that learns beside it and whose proposals are accepted or not."""

import copy
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

import mlphys as mp
from mlphys.lab import Simulation
from mlphys.lectures.gauge_experiments import charges, falling
from mlphys.random import generator
from mlphys.threads import one_torch_thread

# flows import torch, which takes two seconds: an app that opens does not wait for it.
if TYPE_CHECKING:
    from mlphys.flows import Flow, Step


def around(links: np.ndarray) -> np.ndarray:
    """Angles of the plaquettes (rows, columns) in [−π, π), of links (rows, columns, 2)."""
    along, across = links[..., 0], links[..., 1]
    angles = along + np.roll(across, -1, 1) - np.roll(along, -1, 0) - across
    return (angles + np.pi) % (2 * np.pi) - np.pi


def transformed(links: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Links (rows, columns, 2) after a gauge transformation by the angles alpha (rows, columns) of the sites."""
    ends = np.stack([np.roll(alpha, -1, 1), np.roll(alpha, -1, 0)], -1)
    return (alpha[..., None] + links - ends + np.pi) % (2 * np.pi) - np.pi


def _look(live: Simulation) -> tuple[dict[str, float], np.ndarray]:
    angles = around(live.x)
    charge = float(np.rint(angles.sum() / (2 * np.pi)))
    accepted = live.info.acceptance
    values = {"plaquette": float(np.cos(angles).mean()), "charge": charge, "charge2": charge**2}
    return values | {"acceptance": 0.0 if accepted is None else float(np.mean(accepted))}, angles


class Pupil:
    """A flow that learns, and a copy of it that proposes: as it was when last shown.

    The copy makes every chain exact, however little it has learnt: it changes between proposals, never because of where the
    chain stands. `informed` says whether the flow begins with the weights of weak coupling at the model's β, or with those
    of β = 1/2, which know nothing of it. Nothing is made, and torch is not loaded, before the first step.
    """

    def __init__(self, model: mp.U1Gauge, informed: bool = True, seed: int = 1):
        self.model, self.informed, self.seed = model, informed, seed
        self._flow: Flow | None = None
        self._shown: Flow | None = None

    def _make(self) -> "Flow":
        from mlphys import flows

        beginning = self.model if self.informed else mp.U1Gauge(self.model.lattice, 0.5)
        return flows.GaugeFlow(beginning, seed=self.seed)

    def learn(self, steps: int, batch: int) -> "Iterator[Step]":
        """Train: yields the steps."""
        from mlphys import flows

        self._flow = self._flow or self._make()
        yield from flows.fit(self._flow, self.model, steps, batch, falling, self.seed)

    def show(self) -> None:
        """From now on, propose with what has been learnt so far."""
        self._shown = copy.deepcopy(self._flow)

    @property
    def shown(self) -> "Flow":
        self._shown = self._shown or self._make()
        return self._shown

    def sample(self, n: int, seed: int = 0) -> Any:
        with one_torch_thread():
            return self.shown.sample(n, seed)

    def log_prob(self, x: Any) -> Any:
        import torch

        with one_torch_thread(), torch.no_grad():
            return self.shown.log_prob(x)


class Race:
    """The same gauge field twice, moved by HMC and by a flow with accept/reject, from the same random links.

    One frame is one trajectory of the one and one proposal of the other. `past` holds the newest charges of both,
    `exact`, `charges` and `probabilities` what they ought to be.
    """

    # A flow works on batches; small ones, since a frame waits for them.
    AHEAD, MEMORY = 16, 1000

    def __init__(self, beta: float, side: int, informed: bool, seed: int):
        self.beta, self.side = beta, side
        self.model = mp.U1Gauge(mp.square(side), beta)
        self.exact, (q, p) = mp.exact.u1_torus(side**2, beta), charges(side**2, beta)
        self.charges, self.probabilities = q[p > 1e-4], p[p > 1e-4]
        self.pupil = Pupil(self.model, informed)
        learnt = mp.IndependenceMH(self.pupil, self.model)
        learnt.BATCH = self.AHEAD
        start = generator(seed, "start").uniform(-np.pi, np.pi, (side, side, 2))
        samplers = {"HMC": mp.HMC(self.model), "flow": learnt}
        self.runs = {name: Simulation(sampler, start, 1.0, seed, _look) for name, sampler in samplers.items()}
        self.count = 0
        self.past: deque[tuple[float, ...]] = deque(maxlen=self.MEMORY)
        self._random = generator(seed, "gauge")

    @property
    def log_partition(self) -> float:
        """log Z of the integral over dθ of every link."""
        return float(self.exact.log_partition) + 2 * self.side**2 * np.log(2 * np.pi)

    def advance(self, sweeps: int) -> None:
        for run in self.runs.values():
            run.advance(sweeps)
        self.count += sweeps
        self.past.append(tuple(run.series["charge"][-1] for run in self.runs.values()))

    def learnt(self) -> None:
        """Let the flow propose what it has learnt, and begin its statistics anew."""
        self.pupil.show()
        flow = self.runs["flow"]
        flow.sampler.adopt(flow.state)
        flow.series.clear()

    def transform(self) -> None:
        """The same random gauge transformation of both fields."""
        from mlphys.configurations import Sites

        alpha = self._random.uniform(-np.pi, np.pi, (self.side, self.side))
        for run in self.runs.values():
            run.state.configuration = Sites(transformed(run.x, alpha).reshape(1, -1, 2))
