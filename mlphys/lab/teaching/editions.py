"""One notebook, many editions: with the reference solutions in it, or as an assignment that nbgrader grades.

nbgrader's part is written here, without nbgrader: which cells are graded, for how many points, and what its
generate_assignment makes of them (a test compares the two).
"""

import copy
import hashlib
import re
from importlib import import_module
from typing import Any

from mlphys.lab.exercises import Exercise
from mlphys.lab.teaching.answers import defined, fill

POINTS = 2
"""What each exercise is worth."""
SKIP = "skip-execution"
"""The tag of cells that the autograder does not run."""

_CHECK = re.compile(r'^lecture\.exercises\["(.+)"\]\.check\(\w+\)$', re.MULTILINE)
_NOTE = (
    f"**{{}} points, {POINTS} for each exercise.** A locked cell below each answer gives them. When your work is graded, "
    "only the first code cell, the exercises and cells that you add are run: an answer may use what the first code cell "
    "imports, but no result from the lecture."
)

Cell = dict[str, Any]
Notebook = dict[str, Any]


class Lecture:
    """A notebook of the course, and the exercise of each cell that checks one.

    Arguments: slug, the name of the notebook; notebook, its content. Raises ValueError unless each exercise of the lecture
    has one such cell.
    """

    def __init__(self, slug: str, notebook: Notebook):
        self.slug, self.notebook = slug, notebook
        code = [at for at, cell in enumerate(notebook["cells"]) if cell["cell_type"] == "code"]
        self.first = code[0] if code else -1
        self.opening = text(notebook["cells"][self.first]) if code else ""
        module = re.search(r"^from mlphys\.lectures import (\w+) as lecture$", self.opening, re.MULTILINE)
        known = import_module(f"mlphys.lectures.{module[1]}").exercises if module else {}
        checks = {at: _CHECK.search(text(notebook["cells"][at])) for at in code}
        names = {at: check[1] for at, check in checks.items() if check}
        if sorted(names.values()) != sorted(known):
            raise ValueError(f"{slug} checks the exercises {[*names.values()]}; each of {[*known]} must have one cell")
        self.exercises: dict[int, Exercise] = {at: known[name] for at, name in names.items()}

    @property
    def title(self) -> str:
        return self.notebook["metadata"].get("title", self.slug)

    def student(self) -> Notebook:
        """The notebook with its stubs; ValueError if it was saved with outputs, which may give answers away."""
        for cell in self.notebook["cells"]:
            if cell.get("outputs"):
                raise ValueError(f"{self.slug} is saved with outputs ({text(cell)[:40]!r} …); clear them all")
        return self.notebook

    def instructor(self) -> Notebook:
        """The notebook with the reference solutions in the place of the stubs."""
        solved = copy.deepcopy(self.student())
        for at, exercise in self.exercises.items():
            cell = solved["cells"][at]
            cell["source"] = _lines(fill(text(cell), exercise.solution, self.opening))
        return solved

    def source(self) -> Notebook:
        """The assignment as its author keeps it: solutions between nbgrader's marks, a graded cell after each."""
        notebook = copy.deepcopy(self.student())
        cells: list[Cell] = []
        for at, cell in enumerate(notebook["cells"]):
            cells.append(cell)
            if exercise := self.exercises.get(at):
                name, stub = re.sub(r"\W+", "-", exercise.name), text(cell)
                test = f'lecture.exercises["{exercise.name}"].grade({defined(stub)})'
                cells.append({**copy.deepcopy(cell), "id": f"{cell['id']}-test", "source": [test]})
                cell["source"] = _lines(fill(stub, exercise.solution, self.opening, marks=True))
                cell["metadata"]["nbgrader"] = _role(f"answer-{name}", solution=True)
                cells[-1]["metadata"]["nbgrader"] = _role(f"test-{name}", grade=True, locked=True) | {"points": POINTS}
            elif at == self.first:
                cell["metadata"]["nbgrader"] = _role("opening", locked=True)
            elif cell["cell_type"] == "code":
                cell["metadata"]["tags"] = [SKIP]
        source = [_NOTE.format(len(self.exercises) * POINTS)]
        note = {"cell_type": "markdown", "id": "points", "metadata": {}, "source": source}
        notebook["cells"] = [*cells[:1], note, *cells[1:]]
        return notebook

    def release(self) -> Notebook:
        """The assignment as students get it: what nbgrader's generate_assignment makes of the source."""
        notebook = self.source()
        stubs = {self.notebook["cells"][at]["id"]: self.notebook["cells"][at]["source"] for at in self.exercises}
        for cell in notebook["cells"]:
            if role := cell["metadata"].get("nbgrader"):
                cell["source"] = stubs.get(cell["id"], cell["source"])
                cell["metadata"]["deletable"] = False
                if role["locked"]:
                    cell["metadata"]["editable"] = False
                role |= {"cell_type": cell["cell_type"], "checksum": _checksum(cell)}
        return notebook


def text(cell: Cell) -> str:
    """The source of a cell in one piece.

    >>> text({"source": ["a = 1\\n", "a"]})
    'a = 1\\na'
    """
    return "".join(cell["source"])


def _lines(source: str) -> list[str]:
    return source.splitlines(keepends=True)


def _role(name: str, grade: bool = False, solution: bool = False, locked: bool = False) -> dict[str, Any]:
    """What nbgrader is told about a cell."""
    about = {"grade_id": name, "grade": grade, "solution": solution, "locked": locked}
    return {"schema_version": 3, "task": False, **about}


def _checksum(cell: Cell) -> str:
    """nbgrader's: over source, type, what the cell is, its name and its points."""
    about = cell["metadata"]["nbgrader"]
    parts = [text(cell), cell["cell_type"], *(str(about[key]) for key in ("grade", "solution", "locked")), about["grade_id"]]
    parts += [str(float(about["points"]))] if about["grade"] else []
    return hashlib.md5("".join(parts).encode(), usedforsecurity=False).hexdigest()
