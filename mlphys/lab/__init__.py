"""What people see and touch: lattice view, plot, controls, players, measured values, exercises, app shell."""
# Type checkers see the imports, which are exported by name below.
# ruff: noqa: F401

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlphys.lab import theme
    from mlphys.lab.app import App
    from mlphys.lab.comparison import attempt, power_law, yardstick
    from mlphys.lab.control import Choice, Control, Controls, Switch, controls
    from mlphys.lab.exercises import Exercise, Verdict
    from mlphys.lab.lattice_view import LatticeView, checksum
    from mlphys.lab.live_app import LiveApp
    from mlphys.lab.measurement import Disagreement, Measured, measured, measured_table, with_errors
    from mlphys.lab.optimisation import Optimisation
    from mlphys.lab.player import Player
    from mlphys.lab.plot import Plot
    from mlphys.lab.readouts import Readouts
    from mlphys.lab.simulation import Simulation, SimulationPlayer
    from mlphys.lab.traces import band, line, markers, points
    from mlphys.lab.training import TrainingPlayer

_HOMES = {
    "app": ["App"],
    "comparison": ["attempt", "power_law", "yardstick"],
    "control": ["Choice", "Control", "Controls", "Switch", "controls"],
    "exercises": ["Exercise", "Verdict"],
    "lattice_view": ["LatticeView", "checksum"],
    "live_app": ["LiveApp"],
    "measurement": ["Disagreement", "Measured", "measured", "measured_table", "with_errors"],
    "optimisation": ["Optimisation"],
    "player": ["Player"],
    "plot": ["Plot"],
    "readouts": ["Readouts"],
    "simulation": ["Simulation", "SimulationPlayer"],
    "traces": ["band", "line", "markers", "points"],
    "training": ["TrainingPlayer"],
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [*_HOME_OF, "theme"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"mlphys.lab has no {name!r}; it has {', '.join(__all__)}")
    module = import_module(f"mlphys.lab.{_HOME_OF.get(name, name)}")
    value = getattr(module, name, module)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
