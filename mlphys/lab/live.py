"""A widget that is repainted live, no faster than the browser paints."""

from typing import Any

import anywidget
import traitlets

from mlphys.lab.frames import Frames


class Live(anywidget.AnyWidget):
    """Base of the views: `_offer` a frame from any thread; `_put` writes it into the synced traits when its turn comes."""

    window = 1
    frame = traitlets.Int(0).tag(sync=True)

    def __init__(self, **state: Any):
        super().__init__(**state)
        self._frames = Frames(self._send_frame, window=self.window)
        self.on_msg(self._heard)

    def _offer(self, frame: Any) -> None:
        self._frames.offer(frame)

    def _put(self, frame: Any) -> None:
        raise NotImplementedError

    def to_html(self) -> str:
        """What a page without a kernel shows in its place, if there is anything."""
        return ""

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict, dict] | None:
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is not None and (picture := self.to_html()):
            bundle[0]["text/html"] = picture
        return bundle

    def flush(self) -> None:
        """Send the frame that waits for the browser, if any."""
        self._frames.flush()

    @property
    def acknowledged(self) -> int:
        """The newest frame that a browser has painted, 0 before the first."""
        return self._frames.acknowledged

    def _send_frame(self, number: int, frame: Any) -> None:
        with self.hold_sync():
            self.frame = number
            self._put(frame)

    def _heard(self, _widget: Any, content: dict, _buffers: Any) -> None:
        if "painted" in content:
            self._frames.acknowledge(content["painted"])
