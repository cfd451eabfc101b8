"""Checks of arguments: each raises one sentence that names the argument, its value and what is allowed."""

from collections.abc import Callable
from numbers import Integral

import numpy as np


def is_whole(value) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def whole(name: str, value, minimum: int) -> int:
    """`value` as an int; ValueError unless it is a whole number of at least `minimum`.

    >>> whole("samples", 10, 1)
    10
    """
    if not is_whole(value) or value < minimum:
        raise ValueError(f"{name}={value!r} is not allowed: it must be a whole number of at least {minimum}")
    return int(value)


def temperatures(value, chains: int) -> np.ndarray:
    """Temperatures `(chains,)` in J from a number or a sequence; ValueError unless all are positive and finite."""
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"temperature={value!r} is not a number: give one, or one for each chain") from None
    if array.ndim > 1 or (array.ndim == 1 and array.size != chains):
        raise ValueError(f"temperature has shape {array.shape}: allowed are a number or one for each of {chains} chains")
    if not (np.isfinite(array) & (array > 0)).all():
        raise ValueError(f"temperature={value!r} is not allowed: it must be positive and finite (k_B = 1, units of J)")
    return np.broadcast_to(array, (chains,)).copy()


def seed(value) -> int:
    """A seed as an int; ValueError unless it is a whole number from 0 to 2⁶⁴ − 1."""
    if not is_whole(value) or not 0 <= value < 2**64:
        raise ValueError(f"seed={value!r} is not allowed: it must be a whole number from 0 to 2**64 - 1")
    return int(value)


def one_of(name: str, value, allowed) -> None:
    """ValueError unless `value` is among `allowed`."""
    if value not in allowed:
        raise ValueError(f"{name}={value!r} is unknown: allowed are {', '.join(map(str, allowed))}")


Schedule = float | Callable[[int], float]


def schedule(name: str, value: Schedule) -> Callable[[int], float]:
    """`value` as a function of the step, 1, 2, …; ValueError unless it is one, or a positive number."""
    if callable(value):
        return value
    if not value > 0:
        raise ValueError(f"{name}={value!r} is not allowed: it must be positive, or a function of the step")
    return lambda step: value
