"""Exercises: a stub to complete, a check that answers at once, three hints, a reference solution."""

import contextlib
import html
import io
import traceback
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import anywidget
import traitlets

from mlphys.lab import theme


class Card:
    """A short text with a mark before it, for a notebook cell: plain and HTML."""

    def __init__(self, mark: str, heading: str, message: str, colour: str = "currentColor"):
        self.mark, self.heading, self.message, self.colour = mark, heading, message, colour

    def __repr__(self) -> str:
        return f"{self.mark} {self.heading}: {self.message}"

    def _repr_html_(self) -> str:
        style = (
            f"border-left:5px solid {self.colour};padding:10px 16px;margin:6px 0;max-width:46em;font-size:16px;"
            "line-height:1.45;background:color-mix(in srgb,currentColor 7%,transparent);border-radius:0 8px 8px 0"
        )
        message = html.escape(self.message).replace("\n", "<br>")
        return f'<div style="{style}"><strong>{self.mark} {html.escape(self.heading)}</strong><br>{message}</div>'


class Verdict(Card):
    """What a check found: true if the answer passed; `message` says what is right or wrong with it."""

    def __init__(self, passed: bool, message: str):
        mark, heading, colour = ("✓", "Right", "#00926b") if passed else ("✗", "Not yet", "#d55e00")
        super().__init__(mark, heading, message, colour)
        self.passed = passed

    def __bool__(self) -> bool:
        return self.passed


class Exercise:
    """One exercise, kept in a lecture module and used in its notebook.

    Arguments: name; statement, what to do; stub, the incomplete answer that the notebook starts from; check(answer), which
    returns None or True for a right answer and else a diagnosis in words (it may also raise AssertionError with one);
    hints, three, from a nudge to nearly the answer; solution, an answer that passes; praise, said when it does.
    Raises ValueError unless there are three hints and check can be called.

    >>> double = Exercise("double", "Double x.", lambda x: ..., lambda f: None if f(2) == 4 else f"f(2) is {f(2)}, not 4.",
    ...                   hints=("Think of +.", "x plus x", "return 2 * x"), solution=lambda x: 2 * x)
    >>> double.check(lambda x: x)
    ✗ Not yet: f(2) is 2, not 4.
    >>> bool(double.check(double.solution))
    True
    >>> double.hint()
    → Hint 1 of 3: Think of +.
    """

    def __init__(
        self,
        name: str,
        statement: str,
        stub: Any,
        check: Callable[[Any], Any],
        hints: Sequence[str],
        solution: Any,
        praise: str = "Well done.",
    ):
        if len(hints) != 3 or not all(isinstance(text, str) and text for text in hints):
            raise ValueError(f"hints are {hints!r}; an exercise has three, none of them empty")
        if not callable(check):
            raise ValueError(f"check is {check!r}; it must be callable with the answer")
        self.name, self.statement, self.stub = name, statement, stub
        self.hints, self.solution, self.praise = tuple(hints), solution, praise
        self.revealed = 0
        self.verdict: Verdict | None = None
        self._judge = check
        self._widget: ExerciseWidget | None = None

    def __repr__(self) -> str:
        return f"Exercise({self.name!r})"

    def check(self, answer: Any) -> Verdict:
        """Judge an answer; never raises, whatever the answer does."""
        try:
            found = self._judge(answer)
            self.verdict = Verdict(True, self.praise) if found is None or _right(found) else Verdict(False, _words(found))
        except NotImplementedError:
            self.verdict = Verdict(False, "This is still the stub; complete it and check again.")
        except AssertionError as error:
            self.verdict = Verdict(False, _words(str(error)))
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            self.verdict = Verdict(
                False, f"Your code raised {type(error).__name__}: {error} (in {last.name}, line {last.lineno})."
            )
        self._tell()
        return self.verdict

    def grade(self, answer: Any) -> None:
        """Say nothing to a right answer, and raise AssertionError with the diagnosis of any other: for graders."""
        # nbgrader takes whatever goes to stderr for a failure, and a warning or a progress bar is none.
        with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings(action="ignore"):
            verdict = self.check(answer)
        if not verdict:
            raise AssertionError(verdict.message)

    def hint(self) -> Card:
        """The next hint; the last one again once all are out."""
        self.revealed = min(self.revealed + 1, len(self.hints))
        self._tell()
        return Card("→", f"Hint {self.revealed} of {len(self.hints)}", self.hints[self.revealed - 1])

    @property
    def widget(self) -> "ExerciseWidget":
        """Statement, hint button, hints so far and the last verdict, for a notebook cell."""
        if self._widget is None:
            self._widget = ExerciseWidget(self)
        return self._widget

    def _tell(self) -> None:
        if self._widget is not None:
            self._widget.follow()


class ExerciseWidget(anywidget.AnyWidget):
    """The face of an `Exercise`."""

    _esm = theme.script("exercise")

    name = traitlets.Unicode().tag(sync=True)
    statement = traitlets.Unicode().tag(sync=True)
    hints = traitlets.List(traitlets.Unicode()).tag(sync=True)
    total = traitlets.Int(3).tag(sync=True)
    passed = traitlets.Bool(None, allow_none=True).tag(sync=True)
    verdict = traitlets.Unicode("").tag(sync=True)

    def __init__(self, exercise: Exercise):
        super().__init__(name=exercise.name, statement=exercise.statement, total=len(exercise.hints))
        self.exercise = exercise
        self.follow()
        self.on_msg(self._heard)

    def follow(self) -> None:
        """Show the state of the exercise."""
        self.hints = list(self.exercise.hints[: self.exercise.revealed])
        if self.exercise.verdict is not None:
            self.passed, self.verdict = self.exercise.verdict.passed, self.exercise.verdict.message

    def _heard(self, _widget: Any, content: dict, _buffers: Any) -> None:
        if content.get("action") == "hint":
            self.exercise.hint()


def _right(found: Any) -> bool:
    return not isinstance(found, str) and bool(found)


def _words(found: Any) -> str:
    return found if isinstance(found, str) and found else "The answer is not right yet."
