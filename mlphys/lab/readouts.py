"""The status line of an app: names, values with errors, exact values, deviations."""

import math
from collections.abc import Mapping
from typing import Any

import traitlets

from mlphys.lab import theme
from mlphys.lab.live import Live
from mlphys.lab.measurement import level, minus, sigmas, split, with_error


class Readouts(Live):
    """Named numbers, updated live from any thread; nothing is raised, however far from the exact value they are.

    Arguments: names; by name units, labels (default: the name), and what is known (default: "exact") to compare with.
    Raises ValueError for an unknown or repeated name.

    >>> readouts = Readouts("energy", units={"energy": "J"})
    >>> readouts.update(energy=(-1.4157, 0.0008, -1.4142))
    >>> readouts.rows[0]["value"], readouts.rows[0]["deviation"]
    ('−1.4157(8)', '−1.9 σ')
    """

    _esm = theme.script("readouts")

    rows: traitlets.List = traitlets.List().tag(sync=True)
    label = traitlets.Unicode("measurements").tag(sync=True)

    def __init__(
        self, *names: str, units: Mapping[str, str] | None = None, labels: Mapping[str, str] | None = None,
        known: Mapping[str, str] | None = None,
    ):  # fmt: skip
        if not names or len(set(names)) != len(names):
            raise ValueError(f"names are {names}; give at least one, each once")
        units, labels, known = units or {}, labels or {}, known or {}
        for name in (*units, *labels, *known):
            if name not in names:
                raise ValueError(f"unknown name {name!r}; the readouts are {', '.join(names)}")
        self._current = {
            name: {"name": name, "label": labels.get(name, name.replace("_", " ")), "unit": units.get(name, "")}
            | {"known": known.get(name, "exact")} | _EMPTY
            for name in names
        }
        super().__init__(rows=list(self._current.values()))

    def update(self, **values: Any) -> None:
        """Show new values: a number or text, an estimate or (value, error), or (value, error, exact); None clears."""
        for name, value in values.items():
            if name not in self._current:
                raise ValueError(f"unknown name {name!r}; the readouts are {', '.join(self._current)}")
            self._current[name] = self._current[name] | _texts(value)
        self._offer(list(self._current.values()))

    def _put(self, frame: list[dict[str, str]]) -> None:
        self.rows = frame


_EMPTY = {"value": "–", "exact": "", "deviation": "", "level": ""}


def _texts(value: Any) -> dict[str, str]:
    if value is None:
        return _EMPTY
    if isinstance(value, str):
        return _EMPTY | {"value": value}
    exact = math.nan
    if isinstance(value, tuple) and len(value) == 3:
        value, exact = value[:2], float(value[2])
    mean, error = split(value)
    texts = _EMPTY | {"value": minus(with_error(mean, error) if error > 0 else f"{mean:.4g}".replace("nan", "–"))}
    if math.isfinite(exact):
        texts["exact"] = minus(f"{exact:.5g}")
        if error > 0 and math.isfinite(mean):
            deviation = (mean - exact) / error
            texts |= {"deviation": minus(f"{sigmas(deviation)} σ"), "level": level(deviation)}
    return texts
