"""Spins that move by a network's proposals before everybody's eyes, and the network that learns meanwhile."""

import copy
import math
from collections import deque
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

import mlphys as mp
from mlphys.lab import Simulation
from mlphys.random import generator
from mlphys.stats import Estimate
from mlphys.threads import one_torch_thread

# nets and selflearning import torch, which takes two seconds: an app that opens does not wait for it.
if TYPE_CHECKING:
    from mlphys.nets import EquivariantEnergy
    from mlphys.selflearning import Data
    from mlphys.train import Step

SIDE, TEMPERATURE = 6, 0.05
STEP = 0.45
"""A step of molecular dynamics that suits the electrons and every model of them: nothing is tuned while people wait."""


def model(side: int = SIDE) -> mp.DoubleExchange:
    """Double exchange at J = t, T = 0.05 t, half filled."""
    return mp.DoubleExchange(mp.square(side), temperature=TEMPERATURE)


def hybrid(hamiltonian: Any, steps: int = 10) -> mp.HMC:
    """Hybrid Monte Carlo of the spins, of the electrons themselves or of a model of them."""
    return mp.HMC(hamiltonian, step_size=STEP, steps=steps)


def learnt(network: Any, trajectories: int, steps: int = 10) -> mp.SelfLearning:
    """Self-learning Monte Carlo of 6 × 6 sites: so many trajectories of the network's energy make a proposal."""
    return mp.SelfLearning(network, model(), lambda effective: hybrid(effective, steps), trajectories)


def _linear(shells: int | None) -> "Callable[[], EquivariantEnergy]":
    return lambda: mp.nets.LinearEffective(mp.square(SIDE), shells)


def _transformer(layers: int) -> "Callable[[], EquivariantEnergy]":
    return lambda: mp.nets.EquivariantTransformer(mp.square(SIDE), layers, seed=1)


def _messages() -> "EquivariantEnergy":
    return mp.nets.MessagePassing(mp.square(SIDE), channels=8, hidden=16, seed=1)


def _perceptron() -> "EquivariantEnergy":
    from mlphys.lectures.selflearning_networks import Perceptron

    return Perceptron(mp.square(SIDE), seed=1)


NETWORKS: "dict[str, Callable[[], EquivariantEnergy]]" = {
    "linear, 1 shell": _linear(1),
    "linear, all 9 shells": _linear(None),
    "transformer, 1 layer": _transformer(1),
    "transformer, 3 layers": _transformer(3),
    "message passing": _messages,
    "perceptron, not equivariant": _perceptron,
}
"""Networks for the 6 × 6 lattice by name."""


@cache
def few() -> "Data":
    """The first 128 configurations, by exact HMC: not yet at rest, but enough for a first model."""
    from mlphys import selflearning

    return selflearning.gather(hybrid(model()), 128, chains=16, seed=1, burn_in=4)


@cache
def data(samples: int) -> "Data":
    """So many configurations of an exact chain whose proposals come from the linear model that the first few teach."""
    from mlphys import selflearning

    linear = NETWORKS["linear, all 9 shells"]()
    linear.start_from(few().x, few().energy)
    return selflearning.gather(learnt(linear, trajectories=4), samples, chains=32, seed=2, burn_in=15)


class Student:
    """A network that learns, and a copy of it that proposes: as it was when last shown.

    The copy keeps every chain exact, however little it has learnt: it never changes because of where the chain stands.
    Nothing is made, and torch is not loaded, before the first energy.
    """

    HELD_OUT = 300

    def __init__(self, name: str):
        self.name = name
        self._network: EquivariantEnergy | None = None
        self._learning: EquivariantEnergy | None = None
        self.sigma: Estimate | None = None

    @property
    def network(self) -> "EquivariantEnergy":
        """The one that proposes, trained beforehand unless another was shown; `sigma` is the error of its action."""
        if self._network is None:
            from mlphys.lectures.selflearning_networks import shipped

            self._network, self.sigma = shipped(self.name)
        return self._network

    def energy(self, x: Any) -> Any:
        return self.network.energy(x)

    def learn(self, samples: int, steps: int) -> "Iterator[Step]":
        """Gather, begin anew, train: yields the steps."""
        from mlphys import selflearning

        everything = data(samples + self.HELD_OUT)
        known, self._held_out = everything[:samples], everything[samples:]
        self._learning = NETWORKS[self.name]()
        yield from selflearning.fit(self._learning, known, steps, seed=1)

    def show(self) -> Estimate:
        """From now on propose with what has been learnt so far; its `sigma`."""
        from mlphys import selflearning

        self._network = copy.deepcopy(self._learning)
        self.sigma = selflearning.sigma(self.network, self._held_out)
        return self.sigma

    def vectors(self, x: np.ndarray, which: str) -> np.ndarray:
        """Of spins (n_sites, 3): features of the "last layer", where there are any, else the field −∂E/∂S; unit vectors."""
        import torch

        from mlphys.hamiltonians.effective import Effective

        with one_torch_thread(), torch.no_grad():
            spins = torch.from_numpy(x[None])
            layers = self.network.features(spins) if which == "last layer" else []
            vectors = layers[-1] if len(layers) > 1 else Effective(self.network, model()).force(spins)
        return unit(vectors[0].double().numpy())


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (…, 3) of length 1."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def turned(x: np.ndarray, degrees: float) -> np.ndarray:
    """Vectors (…, 3), all turned about the z axis."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return x @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])


STAGGER = 1.0 - 2 * (np.indices((SIDE, SIDE)).sum(0).ravel() % 2)[:, None]


def start(seed: int) -> np.ndarray:
    """An antiferromagnet with some disorder, about as hot as the model is, (rows, columns, 3)."""
    drawn = generator(seed, "start").normal(size=(SIDE**2, 3))
    return (STAGGER * unit(np.array([0.6, 0.0, 0.8]) + 0.8 * drawn)).reshape(SIDE, SIDE, 3)


class Walk(Simulation):
    """One lattice that moves by the proposals of a `Student`: exact energies, the network's, what was accepted."""

    SHOWN, STEPS = 300, 5

    def __init__(self, student: Student, trajectories: int, x: np.ndarray, seed: int):
        self.student = student
        self.proposals: deque[tuple[float, float, bool]] = deque(maxlen=self.SHOWN)
        super().__init__(learnt(student, trajectories, self.STEPS), x, TEMPERATURE, seed, lambda _: (self._seen(), None))

    def _seen(self) -> dict[str, float]:
        info = self.info
        if info.acceptance is None or info.log_target_change is None or info.log_proposal_ratio is None:
            return {}
        exact = float(self.state.cache["target_energy"][0])
        effective = -TEMPERATURE * float(self.state.cache["log_q"][0])
        order = float(((STAGGER * self.x.reshape(-1, 3)).mean(0) ** 2).sum())
        values = {"staggered_m2": order, "energy": exact / SIDE**2}
        # Where the network's own chain rejected everything there was no proposal to judge.
        accepted, change, model_change = info.acceptance[0], info.log_target_change[0], info.log_proposal_ratio[0]
        if change or model_change:
            there = (0.0, 0.0) if accepted else (-TEMPERATURE * change, TEMPERATURE * model_change)
            self.proposals.append((exact + there[0], effective + there[1], bool(accepted)))
            values["acceptance"] = float(accepted)
        return values

    def advance(self, sweeps: int = 1) -> None:
        with one_torch_thread():
            super().advance(1)

    def stride(self, trajectories: int) -> "Walk":
        """Another walk from here, whose proposals are as many trajectories long."""
        return Walk(self.student, trajectories, self.x, self.state.seed + 1000)

    def turning(self, degrees: float) -> tuple[float, float]:
        """By how much E of the network and Ω of the electrons change when all spins are turned."""
        import torch

        both = torch.from_numpy(np.stack([part.reshape(-1, 3) for part in (self.x, turned(self.x, degrees))]))
        with one_torch_thread(), torch.no_grad():
            learnt, exact = self.student.energy(both), self.model.energy(both)
        return float(learnt[1] - learnt[0]), float(exact[1] - exact[0])

    def forget(self) -> None:
        """The network has changed: drop what was measured with another."""
        self.sampler.adopt(self.state)
        self.series.clear()
        self.proposals.clear()
