"""The newest of many frames, few of them under way: how pictures reach a browser that may be slow, late or gone."""

import threading
import time
from collections.abc import Callable
from typing import Any

LONGEST = 2.0  # seconds


class Frames:
    """Hands `send` the newest frame offered, and never lets more than `window` frames wait for the browser to paint them.

    A frame that nobody acknowledges within `patience` seconds no longer holds up the next, so nothing stalls when no
    browser is attached or when it has vanished. Every further one waits twice as long, up to LONGEST, until the browser
    has caught up: on a way that is slower than `patience` frames would else queue without end. A cell that offers frames
    keeps the kernel from hearing of them, which says nothing of the way; its frames go out every `patience` seconds.
    Every method may be called from any thread.

    Arguments: send(number, frame), called under a lock; patience, seconds; window, 1 for frames that are dear to draw, more
    to fill the time that a frame and its acknowledgement travel.

    >>> sent = []
    >>> frames = Frames(lambda number, frame: sent.append(frame), patience=60, window=1)
    >>> for frame in "abc":
    ...     frames.offer(frame)
    >>> frames.acknowledge(1)
    >>> sent
    ['a', 'c']
    """

    def __init__(self, send: Callable[[int, Any], None], patience: float = 0.25, window: int = 1):
        self._send = send
        self.patience = self._wait = patience
        self.window = window
        self.sent = 0
        self.acknowledged = 0
        self.heard_at: float | None = None
        self._sent_at = 0.0
        self._from_cell = False
        self._waiting: list[Any] = []
        self._timer: threading.Timer | None = None
        self._lock = threading.RLock()

    def offer(self, frame: Any) -> None:
        """Send `frame` now if the browser keeps up, else as soon as it does, unless a newer one comes first."""
        with self._lock:
            self._waiting = [frame]
            self._from_cell = threading.current_thread() is threading.main_thread()
            wait = self._remaining()
            if wait <= 0:
                self.flush()
            elif self._timer is None:
                self._arm(wait)

    def acknowledge(self, number: int) -> None:
        """The browser has painted frame `number`."""
        with self._lock:
            self.acknowledged = max(self.acknowledged, min(int(number), self.sent))
            self.heard_at = time.monotonic()
            if self.sent - self.acknowledged < self.window:
                self._wait = self.patience
                self.flush()

    def flush(self) -> None:
        """Send what waits, whether the browser keeps up or not."""
        with self._lock:
            if self._waiting:
                frame = self._waiting.pop()
                if self.sent - self.acknowledged >= self.window and not self._from_cell:
                    self._wait = min(2 * self._wait, max(self.patience, LONGEST))
                self.sent += 1
                self._sent_at = time.monotonic()
                self._send(self.sent, frame)

    @property
    def pending(self) -> bool:
        """Whether a frame waits to be sent."""
        return bool(self._waiting)

    def _remaining(self) -> float:
        if self.sent - self.acknowledged < self.window:
            return 0.0
        return self._sent_at + self._wait - time.monotonic()

    def _arm(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._overdue)
        self._timer.daemon = True
        self._timer.start()

    def _overdue(self) -> None:
        with self._lock:
            self._timer = None
            if self._waiting:
                wait = self._remaining()
                if wait <= 0:
                    self.flush()
                else:
                    self._arm(wait)
