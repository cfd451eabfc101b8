"""The shell of an app: title and question above, lattice beside plots, then player, readouts and controls."""

from collections.abc import Iterator, Sequence
from typing import Any

import anywidget
import ipywidgets
import traitlets

from mlphys.lab import theme
from mlphys.lab.player import Player


class Header(anywidget.AnyWidget):
    """Title and question; names the app for screen readers."""

    _esm = theme.script("app")

    title = traitlets.Unicode().tag(sync=True)
    question = traitlets.Unicode().tag(sync=True)


class App(ipywidgets.VBox):
    """Widgets laid out for a hall's projector (1280 × 720), a notebook's narrower column and a phone alike.

    Arguments: title; question, the one sentence that the app answers; views (left), plots (right), player, one or
    several, readouts and controls (below), each optional.
    Inside the app space runs and stops the first player, s steps it, r resets it. `close` stops the threads of all.

    >>> App("Ising model", "When does the magnet melt?").close()
    """

    def __init__(
        self,
        title: str,
        question: str = "",
        *,
        views: Sequence[ipywidgets.Widget] = (),
        plots: Sequence[ipywidgets.Widget] = (),
        controls: ipywidgets.Widget | Sequence[ipywidgets.Widget] | None = None,
        player: Player | Sequence[Player] | None = None,
        readouts: ipywidgets.Widget | None = None,
    ):
        players = [] if player is None else [player] if isinstance(player, Player) else list(player)
        self.player = players[0] if players else None
        knobs = [] if controls is None else [controls] if isinstance(controls, ipywidgets.Widget) else list(controls)
        sections = [
            _box("head", [Header(title=title, question=question)]),
            _box("stage", [box for box in (_box("views", views), _box("plots", plots)) if box.children]),
            _box("desk", [*players, *([] if readouts is None else [readouts])]),
            _box("knobs", knobs),
        ]
        super().__init__([section for section in sections if section.children])
        self.add_class("mlphys-app")

    def close(self) -> None:
        """Stop the players' threads and close every widget of the app."""
        for part in _inside(self):
            part.close()
        super().close()


def _inside(box: Any) -> Iterator[ipywidgets.Widget]:
    for child in getattr(box, "children", ()):
        yield from _inside(child)
        yield child


def _box(name: str, children: Sequence[Any]) -> ipywidgets.Box:
    box = ipywidgets.Box(list(children))
    box.add_class(f"mlphys-{name}")
    return box
