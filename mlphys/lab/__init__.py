"""What people see and touch: lattice view, plot, controls, player, measured values, exercises, app shell."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlphys.lab import theme
    from mlphys.lab.app import App
    from mlphys.lab.control import Choice, Control, Controls, Switch, controls
    from mlphys.lab.exercises import Exercise, Verdict
    from mlphys.lab.lattice_view import LatticeView, checksum
    from mlphys.lab.measurement import Disagreement, Measured, measured, measured_table
    from mlphys.lab.player import Player
    from mlphys.lab.plot import Plot
    from mlphys.lab.readouts import Readouts
    from mlphys.lab.simulation import Simulation, SimulationPlayer
    from mlphys.lab.traces import band, line, markers
    from mlphys.lab.training import TrainingPlayer

_HOME = {
    "App": "app",
    "Choice": "control",
    "Control": "control",
    "Controls": "control",
    "Switch": "control",
    "controls": "control",
    "Exercise": "exercises",
    "Verdict": "exercises",
    "LatticeView": "lattice_view",
    "checksum": "lattice_view",
    "Disagreement": "measurement",
    "Measured": "measurement",
    "measured": "measurement",
    "measured_table": "measurement",
    "Player": "player",
    "Plot": "plot",
    "Readouts": "readouts",
    "Simulation": "simulation",
    "SimulationPlayer": "simulation",
    "TrainingPlayer": "training",
    "band": "traces",
    "line": "traces",
    "markers": "traces",
    "theme": "theme",
}

__all__ = [
    "App",
    "Choice",
    "Control",
    "Controls",
    "Disagreement",
    "Exercise",
    "LatticeView",
    "Measured",
    "Player",
    "Plot",
    "Readouts",
    "Simulation",
    "SimulationPlayer",
    "Switch",
    "TrainingPlayer",
    "Verdict",
    "band",
    "checksum",
    "controls",
    "line",
    "markers",
    "measured",
    "measured_table",
    "theme",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"mlphys.lab has no {name!r}; it has {', '.join(__all__)}")
    module = importlib.import_module(f"mlphys.lab.{_HOME[name]}")
    value = module if name == "theme" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
