"""Colours and scripts shared by every widget.

The palette is Okabe and Ito's (jfly.uni-koeln.de/color, 2008), told apart with any colour vision; dark pages get the lighter
members. Colours in figures are CSS variables of ``static/lab.css``, so that they follow the theme of the page.
"""

import functools
import json
from pathlib import Path

STATIC = Path(__file__).parent / "static"
PATIENCE = Path(__file__).parent / "voila" / "templates" / "mlphys" / "static" / "patience.js"

COLOURS = tuple(f"var(--mlphys-{i})" for i in range(7))
"""Line colours in order of use: blue, vermilion, green, purple, orange, sky, grey."""

PRINT_COLOURS = ("#0072B2", "#C84E00", "#00805E", "#A8578A", "#B87800", "#2E86B8", "#5B6570")
"""The same on white, for pages that carry no style sheet."""

SPIN_DOWN, SPIN_UP = "#0B3558", "#FFB938"
"""The two spin colours: far apart in lightness, hence readable in grey and with any colour vision."""

SPINS = (SPIN_DOWN, SPIN_UP)

CATEGORIES = ("#0B3558", "#FFB938", "#56B4E9", "#D55E00", "#009E73", "#F0E442", "#CC79A7", "#F5F5F5")
"""States of a Potts or clock model, by index."""


def colour(which: int | str) -> str:
    """Colour number `which` of the palette, or any CSS colour as it is.

    >>> colour(0)
    'var(--mlphys-0)'
    """
    return COLOURS[which % len(COLOURS)] if isinstance(which, int) else which


@functools.cache
def script(name: str) -> str:
    """The JavaScript module of a widget: its own file with what all widgets share, and their style sheet, before it."""
    style = (STATIC / "lab.css").read_text(encoding="utf-8")
    common = (STATIC / "common.js").read_text(encoding="utf-8")
    patience = PATIENCE.read_text(encoding="utf-8")  # pages of Voila have it from their template, before any widget
    own = (STATIC / f"{name}.js").read_text(encoding="utf-8")
    return f"{patience}\nconst STYLE = {json.dumps(style)};\n{common}\n{own}"
