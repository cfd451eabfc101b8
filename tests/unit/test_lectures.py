"""What every lecture promises: exercises that tell mistakes apart, and apps that open at once and run."""

import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from mlphys import lectures
from mlphys.lab import App, LiveApp

SLUGS = sorted(path.stem.removesuffix("_exercises") for path in Path(lectures.__path__[0]).glob("*_exercises.py"))
LECTURES = {slug: import_module(f"mlphys.lectures.{slug}") for slug in SLUGS}
EXERCISES = [(slug, name) for slug, lecture in LECTURES.items() for name in lecture.exercises]
APPS = {
    f"{slug}.{name}": made
    for slug, lecture in LECTURES.items()
    for name, made in vars(lecture).items()
    if inspect.isfunction(made) and made.__annotations__.get("return") in (App, LiveApp)
}


def mistakes(slug: str) -> dict:
    """By exercise wrong answers, each with a word of the diagnosis that it must get: they lie beside the lecture's tests."""
    return import_module(f"test_lecture_{slug}").MISTAKES


@pytest.mark.parametrize(("slug", "name"), EXERCISES)
def test_stub_fails_and_solution_passes(slug, name):
    exercise = LECTURES[slug].exercises[name]
    assert not exercise.check(exercise.stub) and "stub" in exercise.verdict.message
    assert exercise.check(exercise.solution), exercise.verdict
    assert len(set(exercise.hints)) == 3


@pytest.mark.parametrize(("slug", "name"), EXERCISES)
def test_usual_mistakes_are_told_apart(slug, name):
    messages = set()
    for answer, word in mistakes(slug)[name]:
        verdict = LECTURES[slug].exercises[name].check(answer)
        assert not verdict and word in verdict.message, verdict
        messages.add(verdict.message)
    assert len(messages) == len(mistakes(slug)[name]) >= 2


@pytest.mark.parametrize("slug", SLUGS)
def test_every_exercise_has_its_mistakes(slug):
    fewest = 3 if slug == "welcome" else 4
    assert mistakes(slug).keys() == LECTURES[slug].exercises.keys() and len(LECTURES[slug].exercises) >= fewest


def test_opening_the_apps_takes_neither_torch_nor_pandas():
    """All dashboards in one process, one after the other: whichever loads one of them is named."""
    dashboards = [name for name in APPS if name.endswith("app")]
    code = (
        "import importlib, sys\n"
        f"for name in {dashboards}:\n"
        "    slug, app = name.split('.')\n"
        "    getattr(importlib.import_module(f'mlphys.lectures.{slug}'), app)('ci').close()\n"
        "    assert not {'torch', 'pandas', 'plotly'} & set(sys.modules), name"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert not done.returncode, done.stderr


@pytest.mark.parametrize("name", APPS)
def test_app_runs_stops_and_closes(name):
    app = APPS[name]("ci")
    app.player.step_once()
    app.player.start()
    app.player.stop(30)
    assert app.player.steps >= 1 and not app.player.message
    app.close()


@pytest.mark.parametrize("name", [name for name, made in APPS.items() if made.__annotations__["return"] is LiveApp])
def test_a_frame_in_the_making_survives_any_change_of_a_control(name):
    """A control speaks first, from another thread; that it changes the lattice comes when the frame is done."""
    app = APPS[name]("ci")
    knobs = app.knobs
    knobs.unobserve_all()
    ends = {"range": lambda part: (part["low"], part["high"]), "choice": lambda part: part["options"]}
    for part in knobs.specification:
        before = getattr(knobs, part["name"])
        for value in ends.get(part["kind"], lambda _: (False, True))(part):
            setattr(knobs, part["name"], value)
            app.player.step_once()
            assert not app.player.message, f"{part['name']} = {value}"
        setattr(knobs, part["name"], before)
    app.close()
