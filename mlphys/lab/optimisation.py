"""A wave function on its way to a ground state, before everybody's eyes."""

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from mlphys.stats import Estimate

# vmc imports torch, which takes two seconds: an app that opens does not wait for it.
if TYPE_CHECKING:
    from mlphys.nets import WaveFunction
    from mlphys.vmc import Step


class Optimisation:
    """The search for a ground state, one step after the other; its settings may be turned while it goes on.

    A subclass says what `model()` it is the ground state of, `network()` (called once), `options()` of
    `mlphys.vmc.ground_state`, and the `exact_energy` per site, which with the model depends on the attribute called TURNED.
    Nothing is drawn, and torch is not loaded, before the first step.
    """

    MEMORY, RECENT, TURNED = 1000, 20, "field"
    exact_energy: float

    def __init__(self, n_sites: int, seed: int):
        self.n_sites, self.seed = n_sites, seed
        self.count, self.turns = 0, 0
        self.past: deque[tuple[int, float, Step]] = deque(maxlen=self.MEMORY)
        self.psi: Any = None
        self._steps: Iterator[Step] | None = None
        self._since = 0

    def model(self) -> Any:
        raise NotImplementedError

    def network(self) -> "WaveFunction":
        raise NotImplementedError

    def options(self) -> dict[str, Any]:
        raise NotImplementedError

    def turn(self, **settings: Any) -> None:
        """Go on from the present weights with other settings, which are attributes."""
        for name, value in settings.items():
            setattr(self, name, value)
        self._steps = None
        if self.TURNED in settings:
            self._since = self.count

    def _begin(self) -> "Iterator[Step]":
        from mlphys import vmc

        self.psi = self.psi or self.network()
        self.turns += 1
        return vmc.ground_state(self.model(), self.psi, 10**9, seed=self.seed + 1000 * self.turns, **self.options())

    def step(self) -> "Step":
        """One step; after one that breaks down the next begins anew, from the last good weights."""
        self._steps = self._steps or self._begin()
        try:
            step = next(self._steps)
        except Exception:
            self._steps = None
            raise
        self.count += 1
        self.past.append((self.count, self.exact_energy, step))
        return step

    @property
    def since_turn(self) -> "list[Step]":
        """The steps with this model."""
        return [step for count, _, step in self.past if count > self._since]

    @property
    def recent(self) -> "list[Step]":
        """The newest of them, at most RECENT."""
        return self.since_turn[-self.RECENT :]

    @property
    def energy(self) -> Estimate | None:
        """Energy per site, averaged over the `recent` steps; None before the first few."""
        steps = self.recent
        if len(steps) < 3:
            return None
        mean = np.mean([step.energy.mean for step in steps])
        error = np.sqrt(sum(step.energy.error**2 for step in steps)) / len(steps)
        return Estimate(float(mean) / self.n_sites, float(error) / self.n_sites)

    def series(self) -> tuple[np.ndarray, ...]:
        """Number, energy per site, its error, exact energy per site of the steps remembered."""
        rows = [(count, step.energy.mean, step.energy.error, self.n_sites * exact) for count, exact, step in self.past]
        count, *energies = np.array(rows).reshape(-1, 4).T
        return count, *(energy / self.n_sites for energy in energies)
