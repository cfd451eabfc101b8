"""From the release to the marks: nbgrader itself grades what students hand in."""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from nbgrader.api import Gradebook

from mlphys.lab.teaching.editions import POINTS, text
from mlphys.lab.teaching.release import release

LECTURE = "00_welcome"


@pytest.fixture
def course(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)  # of alembic, for the gradebook
    release(tmp_path, [LECTURE])
    return tmp_path / "nbgrader"


def nbgrader(course: Path, command: str) -> None:
    single = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    line = [sys.executable, "-m", "nbgrader", command, LECTURE]
    done = subprocess.run(line, cwd=course, env={**os.environ, **single}, capture_output=True, text=True, timeout=200)
    assert not done.returncode, done.stderr[-4000:]


def read(course: Path, part: str) -> dict:
    return json.loads((course / part / LECTURE / f"{LECTURE}.ipynb").read_text())


def write(folder: Path, name: str, notebook: dict) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.ipynb").write_text(json.dumps(notebook))


def role(notebook: dict, name: str) -> dict:
    return next(cell for cell in notebook["cells"] if cell["metadata"].get("nbgrader", {}).get("grade_id") == name)


def grading_nothing(source: dict) -> dict:
    wrong = copy.deepcopy(source)
    for cell in wrong["cells"]:
        cell["source"] = text(cell).replace("].grade(", "].check(")
    return wrong


@pytest.mark.timeout(400)
def test_reference_solutions_get_full_marks_and_stubs_none(course):
    ours, source = read(course, "release"), read(course, "source")
    stubs, right, half, loud, sly = (copy.deepcopy(ours) for _ in range(5))
    for notebook, names in ((right, ("distance", "rate", "first-run")), (half, ("distance",)), (loud, ("distance",))):
        for name in names:
            role(notebook, f"answer-{name}")["source"] = role(source, f"answer-{name}")["source"]
    role(half, "answer-rate")["source"] = "def rate(samples, tau, seconds):\n    return samples / tau / seconds"
    # Right answers may warn.
    role(loud, "answer-rate")["source"] = (
        "import sys, warnings\n\ndef rate(samples, tau, seconds):\n    warnings.warn('loud')\n"
        "    print('and right', file=sys.stderr)\n    return samples / (2 * tau) / seconds"
    )
    # Whoever meddles with the tests gains nothing.
    role(sly, "test-distance")["source"] = "pass"
    role(sly, "test-rate")["metadata"]["tags"] = ["skip-execution"]
    sly["cells"].remove(role(sly, "test-first-run"))
    role(sly, "opening")["source"] = "from mlphys.lectures import welcome as lecture; lecture.exercises.clear()"

    # Beside it a release that grades nothing, in the same assignment: the marks for its stubs tell it from ours.
    write(course / "source" / LECTURE, "wrong", grading_nothing(source))
    nbgrader(course, "generate_assignment")
    theirs = read(course, "release")
    for cell in [*ours["cells"], *theirs["cells"]]:
        cell["source"] = text(cell)
    assert theirs == ours

    for student, notebook in {"stubs": stubs, "right": right, "half": half, "loud": loud, "sly": sly}.items():
        write(course / "submitted" / student / LECTURE, LECTURE, notebook)
    write(course / "submitted" / "stubs" / LECTURE, "wrong", stubs)
    nbgrader(course, "autograde")
    expected = {"stubs": 0, "right": 3, "half": 1, "loud": 2, "sly": 0}
    with Gradebook(f"sqlite:///{course}/gradebook.db") as gradebook:
        scores = {student: gradebook.find_submission_notebook(LECTURE, LECTURE, student).score for student in expected}
        assert scores == {student: right * POINTS for student, right in expected.items()}
        assert gradebook.find_submission_notebook("wrong", LECTURE, "stubs").score == 3 * POINTS
