"""Who is there: one session for each page with a kernel, a cap on their number, and a line of log for what happens."""

import json
import logging
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

_KERNEL = re.compile(r'"kernelId": ?"([0-9a-f-]{36})"')


def note(event: str, **facts) -> None:
    """Write one line of JSON to the standard error stream: the time, the event, and what belongs to it."""
    line = {"time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "event": event, **facts}
    print(json.dumps(line), file=sys.stderr, flush=True)


class Lines(logging.Formatter):
    """What the libraries below have to say, as lines of the same kind."""

    def format(self, record: logging.LogRecord) -> str:
        line = {"time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "event": "message", "level": record.levelname}
        line |= {"source": record.name, "message": record.getMessage()}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


@dataclass
class Session:
    """A visitor's page: `kernel` is known once its first lines have been sent."""

    page: str
    began: float = field(default_factory=time.monotonic)
    kernel: str | None = None
    loading: bool = True

    def read(self, html: str) -> None:
        """Find the kernel in what is being sent: Voila tells nobody but the page."""
        if self.kernel is None and (found := _KERNEL.search(html)):
            self.kernel = found[1]
            note("visit", page=self.page, kernel=self.kernel, seconds=round(time.monotonic() - self.began, 2))


class Sessions:
    """At most `limit` sessions at once; `lives` says of a kernel whether it does.

    >>> sessions = Sessions(1, lives=lambda kernel: kernel == "x")
    >>> first = sessions.open("01_ising.ipynb")
    >>> sessions.open("02_fields.ipynb") is None, len(sessions)
    (True, 1)
    >>> first.loading, first.kernel = False, "gone"
    >>> len(sessions)
    0
    """

    def __init__(self, limit: int, lives: Callable[[str], bool]):
        self.limit, self.lives, self._open = limit, lives, list[Session]()

    def __len__(self) -> int:
        self._open = [each for each in self._open if (each.loading if each.kernel is None else self.lives(each.kernel))]
        return len(self._open)

    def open(self, page: str) -> Session | None:
        """A session for one more page, or None where there is no room."""
        if len(self) >= self.limit:
            note("full", page=page, sessions=self.limit)
            return None
        self._open.append(Session(page))
        return self._open[-1]
