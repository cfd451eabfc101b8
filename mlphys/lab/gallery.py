"""What each lecture is about, and who takes which: read off the notebooks of the course, for the gallery."""

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PICTURES = Path(__file__).parent / "voila" / "templates" / "mlphys" / "static" / "pictures"
LEVELS = ("introductory", "intermediate", "advanced")


@dataclass(frozen=True)
class Card:
    """A lecture in short: `slug` names its notebook, `title` is that of its app, `picture` the name of a file or empty."""

    slug: str
    title: str
    lecture: str
    question: str
    minutes: int
    level: str
    prerequisites: str
    picture: str

    @property
    def number(self) -> str:
        return self.slug[:2]


@cache
def card(dashboard: Path) -> Card | None:
    """The card of a dashboard whose lecture lies in the folder above, or None where there is no such lecture.

    >>> course = Path(__file__).parents[2] / "course"
    >>> found = card(course / "dashboards" / "01_ising.ipynb")
    >>> found.number, found.title, found.minutes, found.level
    ('01', 'A magnet that melts', 90, 'introductory')
    """
    lecture = dashboard.parent.parent / dashboard.name
    if not (dashboard.is_file() and lecture.is_file()):
        return None
    opening = "".join(_read(lecture)["cells"][0]["source"])
    parts = {
        "lecture": r"^# (.+)$",
        "question": r"^\*\*The question\.\*\* (.+)$",
        "minutes": r"^\*\*Time:\*\* (\d+) minutes",
        "level": rf"\*\*Level:\*\* ({'|'.join(LEVELS)})\.",
        "prerequisites": r"^\*\*Prerequisites:\*\* (.+)$",
    }
    matches = {name: re.search(pattern, opening, re.MULTILINE) for name, pattern in parts.items()}
    found = {name: _plain(match[1]) for name, match in matches.items() if match}
    if len(found) < len(parts):
        return None
    picture = f"{dashboard.stem}.jpg" if (PICTURES / f"{dashboard.stem}.jpg").is_file() else ""
    title = _read(dashboard)["metadata"].get("title", found["lecture"])
    minutes = int(found.pop("minutes"))
    return Card(dashboard.stem, title, **found, minutes=minutes, picture=picture)


@cache
def ways(dashboards: Path) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """For whom, and which way through the course: the list of lecture 00 in the folder above, if it is there.

    Each way comes in parts, of which every second is the number of a lecture.

    >>> course = Path(__file__).parents[2] / "course"
    >>> whom, way = ways(course / "dashboards")[0]
    >>> whom, way[1]
    ('One lecture of an hour', '00')
    """
    tour = dashboards.parent / "00_welcome.ipynb"
    cells = ["".join(cell["source"]) for cell in _read(tour)["cells"]] if tour.is_file() else []
    text = next((cell for cell in cells if cell.startswith("## Which way for whom")), "")
    found = re.findall(r"^- \*\*(.+?):\*\* (.+)$", text, re.MULTILINE)
    return tuple((whom, tuple(re.split(r"\b(\d\d)\b", _plain(way)))) for whom, way in found)


def _read(notebook: Path) -> dict:
    return json.loads(notebook.read_text(encoding="utf-8"))


_SYMBOLS = {r"\varphi": "φ", r"\theta": "θ", r"\beta": "β", r"\kappa": "κ", r"\sigma": "σ", r"\lambda": "λ", r"\hbar": "ħ"}
_RAISED = str.maketrans("0123456789+-i", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁱ")


def _plain(text: str) -> str:
    """Text without Markdown's marks, its formulas in Unicode: the gallery is there before any script has run.

    >>> _plain(r"over $2^{65536}$ states of a *$\\varphi^4$* field")
    'over 2⁶⁵⁵³⁶ states of a φ⁴ field'
    """
    for name, symbol in _SYMBOLS.items():
        text = text.replace(name, symbol)
    text = re.sub(r"\^\{([^}]*)\}|\^(\w)", lambda match: (match[1] or match[2]).translate(_RAISED), text)
    return re.sub(r"[$*`{}]", "", text)
