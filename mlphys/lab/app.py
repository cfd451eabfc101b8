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

    Arguments: title; question, the one sentence that the app answers; views (left), plots (right), controls, player and
    readouts (below), each optional; also, further widgets under the rest.
    Inside the app space runs and stops the player, s steps it, r resets it. `close` stops its thread.

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
        player: Player | None = None,
        readouts: ipywidgets.Widget | None = None,
        also: Sequence[ipywidgets.Widget] = (),
    ):
        self.player = player
        knobs = [] if controls is None else [controls] if isinstance(controls, ipywidgets.Widget) else list(controls)
        sections = [
            _box("head", [Header(title=title, question=question)]),
            _box("stage", [box for box in (_box("views", views), _box("plots", plots)) if box.children]),
            _box("desk", [part for part in (player, readouts) if part is not None]),
            _box("knobs", knobs),
            _box("also", also),
        ]
        super().__init__([section for section in sections if section.children])
        self.add_class("mlphys-app")

    def close(self) -> None:
        """Stop the player's thread and close every widget of the app."""
        if self.player is not None:
            self.player.stop()
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
