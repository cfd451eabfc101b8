"""``mlphys release``: everything a lecturer hands out, written from the notebooks of the course and their exercises."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mlphys.lab.teaching import bundle
from mlphys.lab.teaching.editions import Lecture
from mlphys.lab.teaching.grading import CONFIGURATION

COURSE = Path(__file__).parents[3] / "course"


def release(out: Path, names: Sequence[str] = (), course: Path = COURSE, slides: bool = False) -> list[Path]:
    """Write the teaching kit of lectures, by default of all, into the folder `out`, and return its files.

    ``student/``, notebooks with stubs; ``instructor/``, with reference solutions, and the instructor's pages; ``nbgrader/``,
    a course directory of nbgrader; ``lms/``, a zip of each lecture with all that it needs; with `slides`, which runs the
    notebooks, ``slides/``. The same course gives the same bytes. Lectures are named as their notebooks, or by their number.

    Raises ValueError if `out` holds anything, if a name is unknown or a notebook's exercises are not in order, and
    FileNotFoundError if there is no course; nothing is written then.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"--out is {out}, which is not empty; name a folder that is empty or does not exist yet")
    lectures = [Lecture(path.stem, _read(path)) for path in _chosen(course, names)]
    files = dict(_files(course, lectures))
    if slides:
        from mlphys.lab.teaching.slides import decks

        files |= decks(lectures, course)
    for name, content in files.items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return [out / name for name in files]


def _files(course: Path, lectures: Sequence[Lecture]) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file, but for the slides."""
    wheel, requirements = bundle.wheel(), bundle.requirements()
    everything = len(lectures) == len(_chosen(course, ()))
    if everything and (course / "index.ipynb").exists():
        # The gallery links to every lecture.
        yield "student/index.ipynb", (course / "index.ipynb").read_bytes()
    for lecture in lectures:
        slug = lecture.slug
        yield f"student/{slug}.ipynb", _written(lecture.student())
        yield f"instructor/{slug}.ipynb", _written(lecture.instructor())
        if (course / "instructor" / f"{slug}.md").exists():
            yield f"instructor/{slug}.md", (course / "instructor" / f"{slug}.md").read_bytes()
        if lecture.exercises:
            yield f"nbgrader/source/{slug}/{slug}.ipynb", _written(lecture.source())
            yield f"nbgrader/release/{slug}/{slug}.ipynb", _written(lecture.release())
        handout = {f"{slug}.ipynb": _written(lecture.student()), "README.md": _readme(lecture).encode()}
        handout |= wheel | requirements
        yield f"lms/{slug}.zip", bundle.zipped({f"{slug}/{name}": content for name, content in handout.items()})
    if (course / "instructor" / "semester.md").exists():
        yield "instructor/semester.md", (course / "instructor" / "semester.md").read_bytes()
    yield "nbgrader/nbgrader_config.py", CONFIGURATION.encode()


def _chosen(course: Path, names: Sequence[str]) -> list[Path]:
    found = sorted(course.glob("[0-9][0-9]_*.ipynb"))
    if not found:
        raise FileNotFoundError(f"{course} holds no lectures: a release needs a checkout of the repository")
    for name in names:
        if not any(name in (path.stem, path.stem[:2]) for path in found):
            raise ValueError(f"there is no lecture {name!r}; there are {', '.join(path.stem for path in found)}")
    return [path for path in found if not names or path.stem in names or path.stem[:2] in names]


def _read(path: Path) -> dict[str, Any]:
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        return {**notebook, "cells": notebook["cells"], "metadata": notebook["metadata"]}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a notebook ({error})") from None


def _written(notebook: dict[str, Any]) -> bytes:
    """As Jupyter writes it."""
    return (json.dumps(notebook, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()


def _readme(lecture: Lecture) -> str:
    return f"""# {lecture.title}

If mlphys is installed where you work (a hub, Binder, a computer room), open `{lecture.slug}.ipynb` there. Otherwise, with
Python 3.11 or newer, in this folder:

    python3 -m venv .venv
    .venv/bin/python -m pip install -r requirements.txt
    .venv/bin/mlphys lab .

On Linux, `--extra-index-url https://download.pytorch.org/whl/cpu` behind the second line saves some gigabytes; on Windows,
do all of this in WSL. Then complete the stubs of the exercises, run each cell with Shift + Enter, save, and hand in
`{lecture.slug}.ipynb`.
"""
