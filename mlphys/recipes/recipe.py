"""What a recipe is made of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Stage:
    """`steps` steps of `vmc.ground_state` with `options`, on ψ or, from here on, on what `wrap` makes of it and the lattice.

    With 0 steps a stage only wraps, such as a projection that is put on for the measurement alone.
    """

    steps: int
    options: Mapping[str, Any] = field(default_factory=dict)
    wrap: Callable | None = None


@dataclass(frozen=True)
class Recipe:
    """What is trained and how: a system, a network made for its lattice and a seed, the stages, options of the measurement.

    reference: energy per site to compare with, and where it is from; the exact twin where it is None.
    """

    system: str
    network: str
    hamiltonian: Callable
    psi: Callable
    stages: tuple[Stage, ...]
    measurement: Mapping[str, Any] = field(default_factory=dict)
    reference: tuple[float, str] | None = None

    @property
    def steps(self) -> int:
        return sum(stage.steps for stage in self.stages)
