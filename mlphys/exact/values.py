"""What every exact twin takes and returns."""

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Exact:
    """Exact thermal values, per site but for `log_partition`: floats, or arrays shaped like the temperatures.

    m is the mean spin of a configuration; magnetisation ⟨m⟩, abs_magnetisation ⟨|m|⟩, m2 ⟨m²⟩, m4 ⟨m⁴⟩, binder
    1 - ⟨m⁴⟩/(3⟨m²⟩²); of a real field phi2 ⟨φ²⟩; of a gauge field plaquette ⟨cos P⟩ and charge2 ⟨Q²⟩; of
    separate wells the weights of their `modes`. None stands for what a solution does not give.
    """

    energy: Any
    heat_capacity: Any
    magnetisation: Any = None
    abs_magnetisation: Any = None
    m2: Any = None
    m4: Any = None
    binder: Any = None
    log_partition: Any = None
    phi2: Any = None
    plaquette: Any = None
    charge2: Any = None
    modes: Any = None


def positive(temperature: ArrayLike) -> np.ndarray:
    """Temperatures of any shape, in J; ValueError unless all are positive and finite."""
    try:
        values = np.asarray(temperature, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"temperature={temperature!r} is not a number or an array of numbers") from None
    if not (np.isfinite(values) & (values > 0)).all():
        raise ValueError(f"temperature={temperature!r} is not allowed: it must be positive and finite")
    return values


def finite(name: str, value: Any) -> float:
    """`value` as a float; ValueError unless it is one finite number."""
    if not isinstance(value, Real) or not math.isfinite(value):
        raise ValueError(f"{name}={value!r} is not allowed: it must be one finite number")
    return float(value)


def plain(values: Any) -> Any:
    """A float for a scalar, the array itself otherwise."""
    return float(values) if np.ndim(values) == 0 else values
