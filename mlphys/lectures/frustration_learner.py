"""Networks that learn the ground state of the 4 × 4 J1–J2 model, watched state by state."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

import mlphys as mp
from mlphys.lectures.frustration_exact import SIDE, GroundState, Likeness, exact, positive_energy
from mlphys.random import generator
from mlphys.stats import Estimate

# nets and vmc import torch, which takes two seconds: an app that opens does not wait for it.
if TYPE_CHECKING:
    from mlphys.nets import WaveFunction
    from mlphys.vmc import Step


def _rbm(real: bool) -> "Callable[[int], WaveFunction]":
    def make(seed: int) -> "WaveFunction":
        import torch

        from mlphys import nets

        return nets.RBM(SIDE**2, alpha=2, dtype=torch.float64 if real else torch.complex128, seed=seed)

    return make


def _symmetric_rbm(seed: int) -> "WaveFunction":
    import torch

    from mlphys import nets

    return nets.TranslationRBM(mp.square(SIDE), alpha=4, dtype=torch.complex128, seed=seed)


def _transformer(seed: int) -> "WaveFunction":
    from mlphys import nets

    return nets.ViT(mp.square(SIDE), patch=2, dimension=8, heads=2, layers=1, seed=seed)


NETWORKS: "dict[str, Callable[[int], WaveFunction]]" = {
    "RBM, positive": _rbm(real=True),
    "RBM, complex": _rbm(real=False),
    "RBM, complex, translations": _symmetric_rbm,
    "transformer": _transformer,
}
"""Networks for the 4 × 4 lattice by name, each made from a seed."""

# How each is optimised: a transformer is dearer by the state, and many short chains suit its batches.
OPTIONS: dict[str, dict[str, Any]] = {name: {"samples": 512, "chains": 32, "rate": 0.02, "shift": 1e-2} for name in NETWORKS}
OPTIONS["transformer"] = {"samples": 256, "chains": 256, "rate": 0.02, "shift": 1e-2}


class Learner:
    """A network on its way to the ground state of the 4 × 4 J1–J2 model, one step after the other.

    Every LOOK steps its amplitudes at all states are compared with the exact ones. After a change of `j2` by `turn` it goes
    on from its present weights. Nothing is drawn, and torch is not loaded, before the first step.
    """

    MEMORY, RECENT, LOOK, SHOWN = 1000, 20, 10, 9

    def __init__(self, network: str, j2: float, marshall: bool, seed: int):
        self.network, self.j2, self.marshall, self.seed = network, j2, marshall, seed
        self.count, self.turns = 0, 0
        self.past: deque[tuple[int, float, Step]] = deque(maxlen=self.MEMORY)
        self.seen: deque[tuple[int, Likeness]] = deque(maxlen=self.MEMORY)
        self.amplitudes: np.ndarray | None = None
        self.best_positive: float | None = None
        self.psi: Any = None
        self.shown = np.full(self.SHOWN, np.argmax(np.abs(exact(j2).vector)))
        self._random = generator(seed, "picture")
        self._steps: Iterator[Step] | None = None
        self._since = 0

    @property
    def exact(self) -> GroundState:
        return exact(self.j2)

    def turn(self, j2: float) -> None:
        """Go on with another J2, from the present weights."""
        self.j2, self._steps, self._since = j2, None, self.count
        self.best_positive = None

    def _begin(self) -> "Iterator[Step]":
        from mlphys import vmc

        model = mp.HeisenbergJ1J2(mp.square(SIDE), self.j2, self.marshall)
        self.psi = self.psi or NETWORKS[self.network](self.seed)
        self.turns += 1
        return vmc.ground_state(model, self.psi, 10**9, seed=self.seed + 1000 * self.turns, **OPTIONS[self.network])

    def advance(self, _sweeps: int = 1) -> None:
        """One step of the optimisation; ends with StopIteration when it breaks down."""
        self._steps = self._steps or self._begin()
        from mlphys.vmc import Diverged

        try:
            step = next(self._steps)
        except Diverged as end:
            self._steps = None  # The next step begins anew, from the last good weights.
            self.look()
            raise StopIteration(f"{end}".split(":")[0]) from None
        self.count += 1
        self.past.append((self.count, self.j2, step))
        if self.count % self.LOOK == 1:
            self.look()
        drawn = np.searchsorted(self._cumulative, self._random.random() * self._cumulative[-1])
        self.shown[self.count % self.SHOWN] = drawn

    def look(self) -> None:
        """Compare the amplitudes of all states with the exact ones."""
        self.best_positive = positive_energy(self.j2, self.marshall)
        self.amplitudes = self.exact.amplitudes(self.psi)
        self._cumulative = np.cumsum(np.abs(self.amplitudes) ** 2)
        self.seen.append((self.count, self.exact.likeness(self.amplitudes, self.marshall)))

    @property
    def recent(self) -> "list[Step]":
        """The newest steps at this J2, at most RECENT."""
        return [step for count, _, step in self.past if count > self._since][-self.RECENT :]

    @property
    def energy(self) -> Estimate | None:
        """Energy per site, averaged over the `recent` steps; None before the first."""
        steps = self.recent
        if not steps:
            return None
        mean = np.mean([step.energy.mean for step in steps])
        error = np.sqrt(sum(step.energy.error**2 for step in steps)) / len(steps)
        return Estimate(float(mean) / SIDE**2, float(error) / SIDE**2)

    def mean_sign(self) -> float | None:
        """|Σ |ψ|² ψ/|ψ||: 1 if all signs of the network are equal."""
        return None if self.amplitudes is None else float(abs((np.abs(self.amplitudes) * self.amplitudes).sum()))

    def picture(self) -> tuple[np.ndarray, np.ndarray]:
        """States drawn from |ψ|², a new one each step, as palette indices, and whether the network has their signs right."""
        sheet, marks = np.full((3 * SIDE + 2,) * 2, 2, np.uint8), np.zeros((3 * SIDE + 2,) * 2, np.int8)
        right = np.zeros(self.SHOWN)
        if self.amplitudes is not None:
            known = self.exact.signed(self.marshall)
            common = np.conj(known @ self.amplitudes)
            right = np.sign((known * self.amplitudes * common).real[self.shown])
        for k, (state, sign) in enumerate(zip(self.shown, right, strict=True)):
            row, column = (SIDE + 1) * (k // 3), (SIDE + 1) * (k % 3)
            sheet[row : row + SIDE, column : column + SIDE] = self.exact.spins[state].reshape(SIDE, SIDE) > 0
            marks[row + 1, column + 1] = sign
        return sheet, marks

    def series(self) -> tuple[np.ndarray, ...]:
        """Number, energy per site, its error, exact energy per site of the steps remembered."""
        rows = [(count, step.energy.mean, step.energy.error, SIDE**2 * exact(j2).energy) for count, j2, step in self.past]
        count, *energies = np.array(rows).reshape(-1, 4).T
        return count, *(energy / SIDE**2 for energy in energies)
