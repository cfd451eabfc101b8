"""The exact ground state of the 4 × 4 J1–J2 model: its signs, its correlations, and how close a network comes to each.

Without magnetisation there are 12 870 states: few enough to look at every one of them, and at what a network says of it.
"""

from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING

import numpy as np

import mlphys as mp
from mlphys.exact.quantum import ground_state, renyi2

if TYPE_CHECKING:
    from mlphys.nets import WaveFunction

SIDE = 4
WAVES = {"(0, 0)": (0, 0), "(π/2, 0)": (1, 0), "(π/2, π/2)": (1, 1), "(π, 0)": (2, 0), "(π, π/2)": (2, 1), "(π, π)": (2, 2)}
"""Wave vectors of the 4 × 4 lattice by name, in units of π/2; the others are mirror images of these."""


@dataclass(frozen=True)
class Likeness:
    """How a network's state compares with the exact one, each between 0 and 1.

    `overlap` is |⟨Φ|ψ⟩|, `amplitudes` what it would be if all signs were right, Σ|Φ||ψ|, and `signs` what it would be if all
    amplitudes were right, |Σ Φ² sign(Φ) ψ/|ψ||.
    """

    overlap: float
    amplitudes: float
    signs: float


class GroundState:
    """The ground state Φ of the 4 × 4 J1–J2 model, over all states without magnetisation.

    `energy` per site in J; `codes`, `spins` `(n_states, 16)` and `vector` `(n_states,)` in the basis where one sublattice is
    turned: there Marshall's rule says that all signs are equal. Use `exact(j2)`, which keeps what it has found.
    """

    def __init__(self, j2: float):
        model = self.model = mp.HeisenbergJ1J2(mp.square(SIDE), j2)
        total, self.vector = ground_state(model, sector=0)
        self.j2, self.energy = j2, total / model.lattice.n_sites
        self.codes = model.basis(0)
        self.spins = model.spins(self.codes)

    @cached_property
    def _matrix(self):
        return self.model.to_sparse(0)

    @cached_property
    def marshall(self) -> np.ndarray:
        """Marshall's sign of each state: −1 where the number of up spins on one sublattice is odd."""
        up = (self.spins[:, self.model.lattice.colours == 0] == 1).sum(1)
        return 1 - 2 * (up % 2)

    def signed(self, marshall: bool) -> np.ndarray:
        """The vector as a network sees it that is given Marshall's sign, or is not."""
        return self.vector if marshall else self.marshall * self.vector

    def mean_sign(self, marshall: bool = True) -> float:
        """|Σ Φ² sign Φ|: 1 if all signs are equal, 0 if they cancel."""
        vector = self.signed(marshall)
        return float(abs((vector**2 * np.sign(vector)).sum()))

    def wrong(self) -> tuple[float, float]:
        """The share of states, and the share of Φ², to which Marshall's rule gives the wrong sign."""
        majority = np.sign((self.vector * np.abs(self.vector)).sum())
        # Components that vanish by symmetry have no sign.
        there = np.abs(self.vector) > 1e-10
        wrong = there & (self.vector * majority < 0)
        return float(wrong.sum() / there.sum()), float((self.vector[wrong] ** 2).sum())

    def structure_factor(self, probability: np.ndarray | None = None) -> dict[str, float]:
        """S(q) = (4/N) Σ ⟨SᶻSᶻ⟩ exp iq(r − r') at WAVES of Φ², or of another `probability` `(n_states,)` of the states.

        The z part times four, that of σᶻ: a singlet has the same in every direction.
        """
        probability = self.vector**2 if probability is None else probability
        grid = self.spins.reshape(-1, SIDE, SIDE)
        power = probability @ (np.abs(np.fft.fft2(grid, axes=(1, 2))) ** 2).reshape(len(grid), -1) / SIDE**2
        power = power.reshape(SIDE, SIDE)
        return {name: float(power[p, q] + power[q, p]) / 2 for name, (p, q) in WAVES.items()}

    def renyi2(self, rows: int = 2, amplitudes: np.ndarray | None = None) -> float:
        """Rényi-2 entropy of the first `rows` rows in Φ, or in a state given by its amplitudes."""
        vector = self.vector if amplitudes is None else amplitudes
        return renyi2(vector, self.codes, SIDE**2, range(SIDE * rows))

    def amplitudes(self, psi: "WaveFunction") -> np.ndarray:
        """ψ of every state `(n_states,)`, normalised."""
        import torch

        log_psi = psi.log_psi_of(torch.from_numpy(self.spins)).cpu().numpy()
        amplitudes = np.exp(log_psi - log_psi.real.max())
        return amplitudes / np.linalg.norm(amplitudes)

    def projected(self, amplitudes: np.ndarray, permutations: np.ndarray, flip: bool = False) -> np.ndarray:
        """What `nets.Symmetric` makes of the amplitudes, normalised; with all of them at hand, only states are moved."""
        bits, total = (self.spins < 0).astype(np.int64), np.zeros_like(amplitudes)
        for permutation in permutations:
            codes = bits[:, permutation] @ (1 << np.arange(SIDE**2))
            for image in (codes, 2 ** (SIDE**2) - 1 - codes)[: 1 + flip]:
                total += amplitudes[np.searchsorted(self.codes, image)]
        return total / np.linalg.norm(total)

    def energy_of(self, amplitudes: np.ndarray, marshall: bool = True) -> float:
        """⟨ψ|H|ψ⟩ per site of the amplitudes of a network that was given Marshall's sign, or was not."""
        signed = amplitudes if marshall else self.marshall * amplitudes
        return float(np.vdot(signed, self._matrix @ signed).real) / SIDE**2

    def likeness(self, amplitudes: np.ndarray, marshall: bool = True) -> Likeness:
        """Compare Φ with the amplitudes of a network that was given Marshall's sign, or was not."""
        exact, size = self.signed(marshall), np.abs(amplitudes)
        phase = np.divide(amplitudes, size, out=np.zeros_like(amplitudes), where=size > 0)
        parts = exact @ amplitudes, np.abs(exact) @ size, (exact * np.abs(exact)) @ phase
        return Likeness(*(float(abs(part)) for part in parts))


@cache
def exact(j2: float) -> GroundState:
    """The ground state at one j2, found once.

    >>> round(exact(0.5).energy, 9), round(exact(0.0).mean_sign(), 9)
    (-0.528620209, 1.0)
    """
    return GroundState(j2)


@cache
def positive_energy(j2: float, marshall: bool = True, steps: int = 50) -> float:
    """The lowest energy per site of a state without any minus sign: the best that positive amplitudes can do.

    By projected descent from the positive and from the negative part of Φ, or a single basis state if that is lower;
    an upper bound, since the energy of positive states may have several minima.

    >>> print(f"{positive_energy(0.5, marshall=False):.4f}")  # Néel's state, as classical spins have it
    -0.2500
    """
    vector, model = exact(j2).signed(marshall), mp.HeisenbergJ1J2(mp.square(SIDE), j2, marshall)
    # Nothing lies above the ferromagnet.
    matrix, top = model.to_sparse(0), model.zz.sum()
    found = matrix.diagonal().min()
    for start in (vector, -vector):
        state = np.maximum(start, 0)
        if np.allclose(state, 0):
            continue
        for _ in range(steps):
            state /= np.linalg.norm(state)
            slope = matrix @ state
            energy = state @ slope
            state = np.maximum(state - (slope - energy * state) / (top - energy), 0)
        found = min(found, energy)
    return float(found) / SIDE**2
