"""Networks that learn the ground state of the 4 × 4 J1–J2 model, watched state by state."""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

import mlphys as mp
from mlphys.lab import Optimisation
from mlphys.lectures.frustration_exact import SIDE, GroundState, Likeness, exact, positive_energy
from mlphys.random import generator

# nets and vmc import torch, which takes two seconds: an app that opens does not wait for it.
if TYPE_CHECKING:
    from mlphys.nets import WaveFunction


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


class Learner(Optimisation):
    """A network on its way to the ground state of the 4 × 4 J1–J2 model, whose `j2` may be turned.

    Every LOOK steps its amplitudes at all states are compared with the exact ones.
    """

    TURNED, LOOK, SHOWN = "j2", 10, 9

    def __init__(self, network: str, j2: float, marshall: bool, seed: int):
        super().__init__(SIDE**2, seed)
        self.name, self.j2, self.marshall = network, j2, marshall
        self.seen: deque[tuple[int, Likeness]] = deque(maxlen=self.MEMORY)
        self.amplitudes: np.ndarray | None = None
        self.best_positive: float | None = None
        self.shown = np.full(self.SHOWN, np.argmax(np.abs(exact(j2).vector)))
        self._random = generator(seed, "picture")

    def model(self) -> mp.HeisenbergJ1J2:
        return mp.HeisenbergJ1J2(mp.square(SIDE), self.j2, self.marshall)

    def network(self) -> "WaveFunction":
        return NETWORKS[self.name](self.seed)

    def options(self) -> dict[str, Any]:
        return OPTIONS[self.name]

    @property
    def exact(self) -> GroundState:
        return exact(self.j2)

    @property
    def exact_energy(self) -> float:  # type: ignore[override]
        return self.exact.energy

    def turn(self, **settings: Any) -> None:
        super().turn(**settings)
        self.best_positive = None

    def advance(self, _sweeps: int = 1) -> None:
        """One step of the optimisation; ends with StopIteration when it breaks down."""
        from mlphys.vmc import Diverged

        try:
            self.step()
        except Diverged as end:
            self.look()
            raise StopIteration(f"{end}".split(":")[0]) from None
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
