"""The teaching kit: what each edition holds and, above all, what it does not."""

import ast
import csv
import hashlib
import inspect
import io
import json
import shutil
import tomllib
import zipfile
from base64 import urlsafe_b64decode
from email import message_from_string
from pathlib import Path

import pytest
from nbformat import from_dict
from nbgrader import preprocessors
from nbgrader.converters import GenerateAssignment
from nbgrader.nbgraderformat import MetadataValidator, ValidationError

from mlphys.cli import main
from mlphys.lab.teaching.editions import POINTS, Lecture, text
from mlphys.lab.teaching.grading import STUB
from mlphys.lab.teaching.release import COURSE, release

SLUGS = [path.stem for path in sorted(COURSE.glob("[0-9][0-9]_*.ipynb"))]
LECTURES = {slug: Lecture(slug, json.loads((COURSE / f"{slug}.ipynb").read_text())) for slug in SLUGS}
WITH_EXERCISES = [slug for slug, lecture in LECTURES.items() if lecture.exercises]

lectures = pytest.mark.parametrize("slug", SLUGS)
assignments = pytest.mark.parametrize("slug", WITH_EXERCISES)


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kit")
    release(folder)
    return folder


def read(path: Path) -> dict:
    return json.loads(path.read_text())


def statements(code: str) -> set[str]:
    """Simple statements and conditions in a piece of code that are long enough to be nobody's by chance."""
    simple = ast.Assign | ast.AugAssign | ast.Return | ast.If
    nodes = [node for node in ast.walk(ast.parse(code)) if isinstance(node, simple)]
    found = {ast.unparse(node.test if isinstance(node, ast.If) else node) for node in nodes}
    return {one for one in found if len(one) > 24}


def given_away(notebook: dict, slug: str) -> set[str]:
    """Names of the exercises of which a notebook shows a statement of the solution, wherever it stands."""
    shown = set().union(*(statements(text(cell)) for cell in notebook["cells"] if cell["cell_type"] == "code"))
    exercises = LECTURES[slug].exercises.values()
    return {exercise.name for exercise in exercises if statements(inspect.getsource(exercise.solution)) & shown}


@lectures
def test_students_get_the_course_as_it_is_and_no_solution(kit, slug):
    student = read(kit / "student" / f"{slug}.ipynb")
    assert student == read(COURSE / f"{slug}.ipynb")
    assert not given_away(student, slug)
    with zipfile.ZipFile(kit / "lms" / f"{slug}.zip") as archive:
        assert json.loads(archive.read(f"{slug}/{slug}.ipynb")) == student
        assert f"{slug}.ipynb" in archive.read(f"{slug}/README.md").decode()


@lectures
def test_instructors_get_all_solutions_and_their_page(kit, slug):
    instructor = read(kit / "instructor" / f"{slug}.ipynb")
    assert given_away(instructor, slug) == {exercise.name for exercise in LECTURES[slug].exercises.values()}
    assert "NotImplementedError" not in "".join(text(cell) for cell in instructor["cells"])
    page = COURSE / "instructor" / f"{slug}.md"
    assert not page.exists() or (kit / "instructor" / page.name).read_bytes() == page.read_bytes()


@assignments
def test_every_exercise_is_graded_once(kit, slug):
    source, given = (read(kit / "nbgrader" / part / slug / f"{slug}.ipynb") for part in ("source", "release"))
    valid(source)
    valid(given)
    exercises = LECTURES[slug].exercises
    roles = [cell["metadata"]["nbgrader"] for cell in given["cells"] if "nbgrader" in cell["metadata"]]
    assert len({role["grade_id"] for role in roles}) == len(roles) == 2 * len(exercises) + 1
    assert [role.get("points") for role in roles if role["grade"]] == [POINTS] * len(exercises)
    assert len({cell["id"] for cell in given["cells"]}) == len(given["cells"])
    assert not given_away(given, slug) and len(given_away(source, slug)) == len(exercises)
    # What is not graded is not run, and what is graded is.
    for cell in given["cells"]:
        if cell["cell_type"] == "code":
            assert ("nbgrader" in cell["metadata"]) != ("skip-execution" in cell["metadata"].get("tags", []))


@assignments
def test_release_is_what_nbgrader_makes_of_the_source(kit, slug):
    source, given = (joined(kit / "nbgrader" / part / slug / f"{slug}.ipynb") for part in ("source", "release"))
    notebook = from_dict(source)
    for made in GenerateAssignment.preprocessors.default_args[0]:
        if made not in (preprocessors.SaveCells, preprocessors.InstantiateTests):  # a database; tests by template
            options = {"code_stub": {"python": STUB}} if made is preprocessors.ClearSolutions else {}
            notebook, _ = made(**options).preprocess(notebook, {})
    assert given == notebook


def joined(path: Path) -> dict:
    """A notebook whose cells hold one string each, as nbgrader has them."""
    notebook = read(path)
    for cell in notebook["cells"]:
        cell["source"] = text(cell)
    return notebook


@assignments
def test_solutions_in_the_assignment_pass_and_stubs_do_not(slug):
    """Cell by cell as the autograder does it, but for nbgrader and a kernel: names that a solution misses are found here."""
    lecture = LECTURES[slug]
    namespace: dict = {}
    exec(lecture.opening.replace("lecture.app()", ""), namespace)
    solved, stubs = lecture.source()["cells"], lecture.release()["cells"]
    for at, cell in enumerate(solved):
        if cell["metadata"].get("nbgrader", {}).get("grade"):
            for answer, right in ((stubs[at - 1], False), (solved[at - 1], True)):
                exec(text(answer).split("\nlecture.exercises")[0], namespace)
                if right and not text(cell).endswith("(MySampler)"):  # its judge takes eight seconds; see test_lectures.py
                    exec(text(cell), namespace)
                if not right:
                    with pytest.raises(AssertionError, match="stub"):
                        exec(text(cell), namespace)


def valid(notebook: dict) -> None:
    MetadataValidator().validate_nb(from_dict(notebook))


def test_a_wrong_release_is_noticed(kit):
    """The tests above find a solution that was left in, an exercise graded twice, and a cell that lost its role."""
    slug = WITH_EXERCISES[0]
    source = read(kit / "nbgrader" / "source" / slug / f"{slug}.ipynb")
    at = next(at for at, cell in enumerate(source["cells"]) if cell["metadata"].get("nbgrader", {}).get("solution"))
    given = read(kit / "student" / f"{slug}.ipynb")
    given["cells"].append({**source["cells"][at], "metadata": {}})
    assert len(given_away(given, slug)) == 1
    twice = {**source, "cells": [*source["cells"], source["cells"][at]]}
    with pytest.raises(ValidationError, match="Duplicate"):
        valid(twice)
    del source["cells"][at]["metadata"]["nbgrader"]["grade"]
    with pytest.raises(ValidationError, match="grade"):
        valid(source)


def test_same_course_same_bytes(tmp_path):
    first, second = (release(tmp_path / name, ["01"]) for name in "ab")
    assert len(first) == len(second) == 8
    for one, other in zip(first, second, strict=True):
        assert one.relative_to(tmp_path / "a") == other.relative_to(tmp_path / "b")
        assert one.read_bytes() == other.read_bytes(), one


def test_wheel_is_the_library_and_what_it_needs(kit):
    with zipfile.ZipFile(kit / "lms" / f"{SLUGS[0]}.zip") as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".whl")]
        assert f"./{Path(name).name}[course]" in archive.read(f"{SLUGS[0]}/requirements.txt").decode()
        wheel = zipfile.ZipFile(io.BytesIO(archive.read(name)))
    (about,) = {name.split("/")[0] for name in wheel.namelist() if ".dist-info/" in name}
    for path, digest, size in csv.reader(wheel.read(f"{about}/RECORD").decode().splitlines()):
        if digest:
            content = wheel.read(path)
            assert hashlib.sha256(content).digest() == urlsafe_b64decode(digest.removeprefix("sha256=") + "=")
            assert len(content) == int(size)
    project = tomllib.loads((COURSE.parent / "pyproject.toml").read_text())["project"]
    needed = message_from_string(wheel.read(f"{about}/METADATA").decode()).get_all("Requires-Dist")
    assert {one for one in needed if ";" not in one} == set(project["dependencies"])
    assert {one.split(";")[0] for one in needed if '"course"' in one} == set(project["optional-dependencies"]["course"])
    files = {f"mlphys/lab/{path}" for path in ("static/plot.js", "voila/templates/mlphys/conf.json", "jupyter/voila.json")}
    assert files < set(wheel.namelist()) and not any("__pycache__" in name for name in wheel.namelist())


def course_with(folder: Path, change) -> Path:
    """A course of lecture 01 alone, its cells changed."""
    notebook = read(COURSE / "01_ising.ipynb")
    change(notebook)
    folder.mkdir()
    (folder / "01_ising.ipynb").write_text(json.dumps(notebook))
    return folder


def error_cell(notebook: dict) -> dict:
    return next(cell for cell in notebook["cells"] if '["error"].check' in text(cell))


def rewritten(old: str, new: str):
    """A change of the notebook: other words in the cell of the exercise "error"."""

    def change(notebook):
        error_cell(notebook)["source"] = text(error_cell(notebook)).replace(old, new, 1)

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda notebook: notebook["cells"].remove(error_cell(notebook)), "'error'"),
        (lambda notebook: notebook["cells"].append(error_cell(notebook)), "must have one cell"),
        (lambda notebook: error_cell(notebook).update(outputs=[{}]), "outputs"),
        (rewritten('["error"]', '["eror"]'), "'eror'"),
        (rewritten("raise NotImplementedError", "return 0"), "one place"),
        (rewritten("error(series)", "error(x)"), "'x'"),
        (lambda notebook: notebook.pop("cells"), "not a notebook"),
    ],
)
def test_a_notebook_out_of_order_is_refused(tmp_path, change, words):
    with pytest.raises(ValueError, match=words):
        release(tmp_path / "out", course=course_with(tmp_path / "course", change))
    assert not (tmp_path / "out").exists()


def test_a_folder_in_use_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="not empty"):
        release(tmp_path, ["01"])
    with pytest.raises(ValueError, match="not empty"):
        release(tmp_path / "notes.txt", ["01"])
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_unknown_lectures_and_missing_courses_are_named(tmp_path):
    with pytest.raises(ValueError, match="'99'"):
        release(tmp_path / "out", ["99"])
    with pytest.raises(FileNotFoundError, match="checkout"):
        release(tmp_path / "out", course=tmp_path)


def test_a_lecture_without_exercises_is_no_assignment(tmp_path):
    def only_text(notebook):
        notebook["cells"] = notebook["cells"][:3]

    release(tmp_path / "out", course=course_with(tmp_path / "course", only_text))
    assert not (tmp_path / "out" / "nbgrader" / "source").exists()
    assert (tmp_path / "out" / "student" / "01_ising.ipynb").exists()
    shutil.rmtree(tmp_path / "out")


def test_command_tells_what_it_wrote_and_what_it_refused(tmp_path, capsys):
    line = ["release", "--out", str(tmp_path / "kit"), "00"]
    assert main(line) == 0
    assert f"{tmp_path / 'kit' / 'student'}: 1 file" in capsys.readouterr().out
    assert main(line) == 1
    assert "not empty" in capsys.readouterr().err
