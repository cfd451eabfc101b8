"""Controls from a specification: sliders, choices and switches on the browser's own inputs.

Native inputs bring keyboard, touch and accessible names with them; the widget aligns them in one grid.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import anywidget
import traitlets

from mlphys.lab import theme


@dataclass(frozen=True)
class Control:
    """A slider from `low` to `high`, standing at `value` at first.

    `step`: distance of neighbouring values (default: a hundredth or so of the range; 1 if all three are whole numbers);
    `log`: equal distances mean equal ratios, and `step` is a ratio like 1.05; `marks`: values that deserve a button under
    the track, with their names, like ``{2.269: "T_c"}``; `unit` follows the value, `description` is the help text.
    """

    low: float
    high: float
    value: float | None = None
    step: float | None = None
    label: str = ""
    unit: str = ""
    description: str = ""
    log: bool = False
    marks: Mapping[float, str] = field(default_factory=dict)

    kind = "range"

    def check(self, name: str) -> None:
        """Raise ValueError if the specification makes no sense."""
        numbers = [self.low, self.high, *([] if self.value is None else [self.value]), *self.marks]
        if not all(isinstance(x, int | float) and math.isfinite(x) for x in numbers):
            raise ValueError(f"{name} has {numbers}; low, high, value and marks must be finite numbers")
        if not self.low < self.high:
            raise ValueError(f"{name} runs from {self.low} to {self.high}; low must be below high")
        if self.log and self.low <= 0:
            raise ValueError(f"{name} starts at {self.low}; a logarithmic control must start above 0")
        if self.step is not None and not self.step > (1 if self.log else 0):
            raise ValueError(f"{name} has step {self.step}; it must be above {1 if self.log else 0}")
        for x in [*([] if self.value is None else [self.value]), *self.marks]:
            self.clean(name, x)

    def clean(self, name: str, value: Any) -> float:
        """`value` as the control's number; ValueError if it is none or lies outside."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not self.low <= value <= self.high:
            raise ValueError(f"{name} is {value!r}; it must be a number from {self.low} to {self.high}")
        return int(value) if self.whole else float(value)

    @property
    def whole(self) -> bool:
        """Whether the control counts in whole numbers."""
        numbers = (self.low, self.high, *([] if self.value is None else [self.value]))
        return all(isinstance(x, int) for x in numbers) and (self.step is None or isinstance(self.step, int))

    @property
    def start(self) -> float:
        """The first value."""
        return self.low if self.value is None else self.value

    def describe(self) -> dict[str, Any]:
        """What the browser needs to draw it."""
        step = self.step
        if step is None:
            step = 1 if self.whole else 1.02 if self.log else 10 ** math.floor(math.log10((self.high - self.low) / 50))
        return {
            "low": self.low,
            "high": self.high,
            "step": step,
            "log": self.log,
            "whole": self.whole,
            "marks": [[value, name] for value, name in self.marks.items()],
        }


@dataclass(frozen=True)
class Choice:
    """One of several `options`, `value` at first (default: the first option)."""

    options: Sequence[Any]
    value: Any = None
    label: str = ""
    unit: str = ""
    description: str = ""

    kind = "choice"

    def check(self, name: str) -> None:
        """Raise ValueError if the specification makes no sense."""
        if len(self.options) < 1 or len({str(option) for option in self.options}) != len(self.options):
            raise ValueError(f"{name} offers {list(self.options)}; it must offer at least one option, each once")
        self.clean(name, self.start)

    def clean(self, name: str, value: Any) -> Any:
        """The option that reads like `value`; ValueError if there is none."""
        for option in self.options:
            if str(option) == str(value):
                return option
        raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(map(str, self.options))}")

    @property
    def start(self) -> Any:
        """The first value."""
        return self.options[0] if self.value is None else self.value

    def describe(self) -> dict[str, Any]:
        """What the browser needs to draw it."""
        return {"options": [str(option) for option in self.options]}


@dataclass(frozen=True)
class Switch:
    """On or off."""

    value: bool = False
    label: str = ""
    unit: str = ""
    description: str = ""

    kind = "switch"

    def check(self, name: str) -> None:
        """Raise ValueError if the specification makes no sense."""
        self.clean(name, self.value)

    def clean(self, name: str, value: Any) -> bool:
        """`value` if it is True or False; else ValueError."""
        if not isinstance(value, bool):
            raise ValueError(f"{name} is {value!r}; it must be True or False")
        return value

    @property
    def start(self) -> bool:
        """The first value."""
        return self.value

    def describe(self) -> dict[str, Any]:
        """What the browser needs to draw it."""
        return {}


AnyControl = Control | Choice | Switch


class Value(traitlets.TraitType):
    """The trait behind one control: holds what the control allows."""

    def __init__(self, control: AnyControl):
        super().__init__(default_value=control.start)
        self.control = control

    def validate(self, obj: Any, value: Any) -> Any:
        """`value` as the control keeps it."""
        return self.control.clean(cast(str, self.name), value)


class Controls(anywidget.AnyWidget):
    """Labelled controls in one aligned grid; each value is a synced trait under its name. Made by `controls`."""

    _esm = theme.script("controls")

    specification: traitlets.List = traitlets.List().tag(sync=True)
    label = traitlets.Unicode("controls").tag(sync=True)

    def __init__(self, specification: dict[str, AnyControl], label: str = "controls"):
        self.names = tuple(specification)
        described = [
            {
                "name": name,
                "kind": control.kind,
                "label": control.label or name.replace("_", " "),
                "unit": control.unit,
                "description": control.description,
                **control.describe(),
            }
            for name, control in specification.items()
        ]
        self.add_traits(**{name: Value(control).tag(sync=True) for name, control in specification.items()})
        super().__init__(specification=described, label=label)

    def values(self) -> dict[str, Any]:
        """All values by name."""
        return {name: getattr(self, name) for name in self.names}

    def observe(self, handler: Callable[[Any], None], names: Any = None, type: Any = "change") -> None:
        """Call `handler(change)` when one of `names` changes (default: any control); change.name, change.new, change.old.

        In a kernel with subshells (JupyterLab) the call comes from another thread than the one that runs cells.
        """
        chosen = [names] if isinstance(names, str) else list(self.names if names is None else names)
        for name in chosen:
            if not self.has_trait(name):
                raise ValueError(f"names holds {name!r}; the controls are {', '.join(self.names)}")
        super().observe(handler, chosen, type)


def controls(*, label: str = "controls", **specification: Any) -> Controls:
    """Controls by name: (low, high, value[, step]) or `Control` for a slider, a list or `Choice`, a bool or `Switch`.

    The values are attributes: read them, set them, `observe` them. `label` names the group for screen readers.
    Raises ValueError for a specification that makes no sense and, later, for values outside it.

    >>> knobs = controls(temperature=(1.5, 3.5, 2.27), lattice=["64", "128"], shared=False)
    >>> knobs.temperature
    2.27
    >>> knobs.temperature = 9
    Traceback (most recent call last):
    ValueError: temperature is 9; it must be a number from 1.5 to 3.5
    """
    if not specification:
        raise ValueError("controls() got no control; give at least one, like temperature=(1.5, 3.5, 2.27)")
    made: dict[str, AnyControl] = {}
    for name, given in specification.items():
        if hasattr(Controls, name) or name in ("names", "comm", "keys"):
            raise ValueError(f"a control cannot be called {name!r}, which every widget uses itself; choose another name")
        made[name] = _control(name, given)
        made[name].check(name)
    return Controls(made, label)


def _control(name: str, given: Any) -> AnyControl:
    if isinstance(given, Control | Choice | Switch):
        return given
    if isinstance(given, bool):
        return Switch(given)
    if isinstance(given, tuple) and len(given) in (2, 3, 4):
        return Control(*given)
    if isinstance(given, Iterable) and not isinstance(given, str | tuple | Mapping):
        return Choice(list(given))
    raise ValueError(
        f"{name} is {given!r}; it must be (low, high, value[, step]), a list of options, True or False, "
        "or a Control, Choice or Switch"
    )
