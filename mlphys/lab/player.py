"""Run, stop, step, reset: a simulation that steps in a thread of its own."""

import atexit
import threading
import time
import traceback
import weakref
from collections.abc import Callable
from typing import Any

import anywidget
import traitlets

from mlphys.lab import theme

# A step that waited for its processor is followed by a rest that many times as long, up to so many seconds.
YIELD, LONGEST_REST = 3, 0.5
_PLAYERS: "weakref.WeakSet[Player]" = weakref.WeakSet()


class Player(anywidget.AnyWidget):
    """Buttons that run `step` again and again in a daemon thread, at most `rate` times a second.

    `step` is called under `lock`; take the lock to change what it works on (``with player.lock: ...``). The thread leaves
    at least a tenth of each period to the kernel, so that sliders stay alive, and rests longer while many compute on the
    same processors. It stops when `step` raises (the message is
    shown) or has nothing left to do (it raises StopIteration, whose words are shown); it pauses when no page has shown the
    player for `patience` seconds, and goes on when one does again.

    Arguments: step(), one frame's worth of work; rate, frames per second; reset(), called by the reset button; unit, what
    the rate shown counts; label, the accessible name.
    Raises ValueError for a rate outside (0, 1000], or a step or reset that cannot be called.

    >>> player = Player(lambda: None, rate=50)
    >>> player.step_once()
    >>> player.steps
    1
    """

    _esm = theme.script("player")

    running = traitlets.Bool(False).tag(sync=True)
    message = traitlets.Unicode("").tag(sync=True)
    finished = traitlets.Unicode("").tag(sync=True)
    rate_text = traitlets.Unicode("").tag(sync=True)
    can_reset = traitlets.Bool(False).tag(sync=True)
    label = traitlets.Unicode("simulation").tag(sync=True)

    def __init__(
        self,
        step: Callable[[], Any],
        *,
        rate: float = 60.0,
        reset: Callable[[], Any] | None = None,
        unit: str = "frames/s",
        label: str = "simulation",
        patience: float = 10.0,
    ):
        # First of all: a refused player is closed too, when it is collected.
        self._switch = threading.Lock()
        self._stop: threading.Event | None = None
        self._thread: threading.Thread | None = None
        if not callable(step):
            raise ValueError(f"step is {step!r}; it must be callable without arguments")
        if reset is not None and not callable(reset):
            raise ValueError(f"reset is {reset!r}; it must be callable without arguments, or None")
        if not 0 < rate <= 1000:
            raise ValueError(f"rate is {rate}; it must lie in (0, 1000] frames per second")
        super().__init__(can_reset=reset is not None, label=label)
        self.lock = threading.RLock()
        self.rate = float(rate)
        self.unit = unit
        self.patience = patience
        self.steps = 0
        self.measured_rate = 0.0
        self._step = step
        self._reset = reset
        self._seen_at: float | None = None
        self.on_msg(self._heard)
        _PLAYERS.add(self)

    def start(self) -> None:
        """Run until `stop`."""
        with self._switch:
            if self._stop is not None:
                return
            self._stop = threading.Event()
            self._seen_at = None if self._seen_at is None else time.monotonic()
            self._thread = threading.Thread(target=self._run, args=(self._stop,), name="mlphys-player", daemon=True)
            self.running, self.message, self.finished = True, "", ""
            self._thread.start()

    def stop(self, timeout: float = 0.5) -> bool:
        """Stop; False if a step outlasts `timeout` seconds (the thread then ends with that step)."""
        with self._switch:
            stop, thread = self._stop, self._thread
            self._stop = None
            if stop is not None:
                stop.set()
            self.running = False
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)
            return not thread.is_alive()
        return True

    def toggle(self) -> None:
        """Stop if running, else start."""
        if self.running:
            self.stop()
        else:
            self.start()

    def step_once(self) -> None:
        """Stop, then one step."""
        self.stop()
        self._guarded(self._step)

    def reset(self) -> None:
        """Call the reset function between two steps; a running simulation runs on."""
        if self._reset is not None:
            self._guarded(self._reset, count=0)

    def close(self) -> None:
        """Stop the thread and close the widget."""
        self.stop()
        super().close()

    def _guarded(self, work: Callable[[], Any], count: int = 1) -> bool:
        try:
            with self.lock:
                work()
                self.steps += count
        except StopIteration as end:
            self.finished = str(end)
            return False
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            self.message = f"{type(error).__name__}: {error} ({last.name}, line {last.lineno})"
            return False
        if self.message or self.finished:
            self.message = self.finished = ""
        return True

    def _run(self, stop: threading.Event) -> None:
        period = 1 / self.rate
        due = time.monotonic()
        counted_at, counted = due, self.steps
        while not stop.is_set():
            if self._unseen():
                self.message = "paused: nobody is looking"
                stop.wait(0.3)
                due = time.monotonic()
                counted_at, counted = due, self.steps
                continue
            began, used = time.monotonic(), time.process_time()
            if not self._guarded(self._step):
                break
            now = time.monotonic()
            # As long as others keep it waiting, it lets them: players of a full house slow down together, none stands still.
            waited = now - began - (time.process_time() - used)
            if now - counted_at >= 0.5:
                self.measured_rate = (self.steps - counted) / (now - counted_at)
                self.rate_text = f"{_three_digits(self.measured_rate)} {self.unit}"
                counted_at, counted = now, self.steps
            due = max(due + period, now + max(0.1 * period, min(YIELD * waited, LONGEST_REST)))
            stop.wait(max(0.0, due - time.monotonic()))
        with self._switch:
            # Another run may have begun meanwhile; only the current one may say that nothing runs.
            if self._stop is stop:
                self._stop = None
                self.running = False

    def _unseen(self) -> bool:
        return self._seen_at is not None and time.monotonic() - self._seen_at > self.patience

    def _heard(self, _widget: Any, content: dict, _buffers: Any) -> None:
        self._seen_at = time.monotonic()
        action = content.get("action")
        if action == "toggle":
            self.toggle()
        elif action == "step":
            self.step_once()
        elif action == "reset":
            self.reset()


def _three_digits(x: float) -> str:
    if x >= 1e6:
        return f"{x / 1e6:.3g} M"
    return f"{float(f'{x:.3g}'):g}" if x < 1e4 else f"{x / 1e3:.3g} k"


@atexit.register
def _stop_all() -> None:
    for player in list(_PLAYERS):
        player.stop(timeout=0.2)
