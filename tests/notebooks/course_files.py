"""The notebooks of the course, and how they read."""

import re
from pathlib import Path

import nbformat

ROOT = Path(__file__).parent.parent.parent
COURSE = ROOT / "course"
LECTURES = sorted(COURSE.glob("[0-9][0-9]_*.ipynb"))
DASHBOARDS = sorted((COURSE / "dashboards").glob("*.ipynb"))


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def sections(notebook) -> list[tuple[str, list]]:
    """Heading and cells of each part; a part begins with a heading of level two, the first has the title's."""
    found: list[tuple[str, list]] = []
    for cell in notebook.cells:
        heading = re.search(r"^##? (.+)$", cell.source, re.MULTILINE) if cell.cell_type == "markdown" else None
        if heading or not found:
            found.append((heading.group(1) if heading else "", []))
        found[-1][1].append(cell)
    return found


def code(cells) -> str:
    return "\n".join(cell.source for cell in cells if cell.cell_type == "code")
