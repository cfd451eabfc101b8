"""How a training runs in an app: the same generator as in a script, a slice of time after the other."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from mlphys.lab.measurement import split
from mlphys.lab.player import Player
from mlphys.lab.plot import Plot
from mlphys.lab.traces import line, markers
from mlphys.threads import one_torch_thread


class TrainingPlayer(Player):
    """Drives a training and shows its loss in `plot`, averaged over as many steps as leave 200 points.

    Run goes on until the training ends or stop is pressed, step makes one update, reset begins anew; all leave the network
    usable. A frame is SLICE seconds long, so that a lattice beside it goes on moving.

    Arguments: begin(), called by the first step, gives the training, an iterator of steps with a `loss`, such as
    `mlphys.train.fit` returns; look(), called every LOOK frames and at the end, may draw what the network has learnt, and
    gives numbers by name to show beside the loss: floats, estimates or (value, error); y, the axis of both, with
    units; label, the accessible name.

    >>> from types import SimpleNamespace
    >>> player = TrainingPlayer(lambda: iter([SimpleNamespace(loss=1.0), SimpleNamespace(loss=0.5)]))
    >>> for _ in range(3):
    ...     player.step_once()
    >>> player.losses, player.finished
    ([1.0, 0.5], 'finished after 2 steps')
    """

    SLICE, LOOK, POINTS = 0.03, 25, 200

    def __init__(
        self,
        begin: Callable[[], Iterator[Any]],
        look: Callable[[], Mapping[str, Any]] = dict,
        *,
        y: str = "loss",
        label: str = "the training",
    ):
        super().__init__(self._frame, rate=25, reset=self._clear, unit="steps/s", label=label)
        self.plot = Plot(x="step", y=y, label=f"curve of {label}", axes={"xaxis": {"rangemode": "tozero"}})
        self._begin, self._look = begin, look
        self._clear()

    def reset(self) -> None:
        """Begin anew; if a step is under way, which may draw all the data, then after it: the kernel does not wait."""
        self._again = True
        if self.lock.acquire(blocking=False):
            try:
                super().reset()
            finally:
                self.lock.release()

    def _clear(self) -> None:
        self._again = False
        self._training: Iterator[Any] | None = None
        self.losses: list[float] = []
        self._seen: dict[str, list[tuple[float, ...]]] = {}
        self._frames = self.steps = 0
        self._draw()

    def _frame(self) -> None:
        if self._training is None or self._again:
            self._clear()
            self._training = iter(self._begin())
        try:
            ended = self._advance(self._training, self.SLICE if self.running else 0.0)
        except Exception:
            self._training = None  # Broken: another run begins anew.
            raise
        if self._again:
            return self._clear()
        if ended or self._frames % self.LOOK == 0:
            for name, value in self._look().items():
                self._seen.setdefault(name, []).append((len(self.losses), *split(value)))
        self._frames += 1
        self._draw()
        if ended:
            raise StopIteration(f"finished after {len(self.losses)} steps")

    def _advance(self, training: Iterator[Any], seconds: float) -> bool:
        """Train for so long, one step at least; whether the training has ended."""
        until = time.monotonic() + seconds
        with one_torch_thread():
            for step in training:
                self.losses.append(step.loss)
                if time.monotonic() >= until:
                    break
            else:
                self.steps = len(self.losses)
                return True
        self.steps = len(self.losses) - 1  # The player counts the last one.
        return False

    def _draw(self) -> None:
        block = max(1, -(-len(self.losses) // self.POINTS))
        means = np.reshape(self.losses[: len(self.losses) // block * block], (-1, block)).mean(1)
        traces = [line(block * np.arange(1, len(means) + 1), means, name="loss")]
        for colour, (name, seen) in enumerate(self._seen.items(), 1):
            step, mean, error = np.array(seen).T
            traces.append(markers(step, mean, np.nan_to_num(error), name, colour))
        # Axes without data would begin at −1.
        self.plot.update(*traces, layout={"yaxis": {"range": [0, 1], "autorange": bool(self.losses)}})
