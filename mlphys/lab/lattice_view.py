"""A live picture of a lattice: one byte a site, painted on a canvas."""

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import traitlets

from mlphys.lab import theme
from mlphys.lab.live import Live


def checksum(pixels: bytes) -> str:
    """Adler-32 of the pixels in hexadecimal, as the canvas states it for what it has painted (``data-checksum``).

    >>> checksum(bytes([0, 1, 1, 0]))
    '00090003'
    """
    return f"{zlib.adler32(pixels):08x}"


class LatticeView(Live):
    """A lattice as a canvas; `show` repaints it, from any thread, no faster than the browser paints.

    The whole picture lies in the synced traits `pixels` (palette indices, row major), `rows`, `columns` and `palette`, so a
    view that is created late, twice, or after a reload paints what the kernel holds.

    Arguments: x, a first picture (see `show`), or None for `rows` × `columns` sites of index 0; palette, CSS hex colours
    by index (default: spin down, spin up); caption, text under the picture; label, the accessible name (default: caption);
    size, the largest side in CSS pixels.

    >>> view = LatticeView(np.array([[1, -1], [-1, -1]]))
    >>> view.array()
    array([[1, 0],
           [0, 0]], dtype=uint8)
    """

    _esm = theme.script("lattice_view")
    window = 4

    pixels = traitlets.Bytes(b"\0").tag(sync=True)
    rows = traitlets.Int(1).tag(sync=True)
    columns = traitlets.Int(1).tag(sync=True)
    palette = traitlets.List(traitlets.Unicode()).tag(sync=True)
    caption = traitlets.Unicode("").tag(sync=True)
    label = traitlets.Unicode("").tag(sync=True)
    size = traitlets.Int(560).tag(sync=True)

    def __init__(
        self,
        x: Any = None,
        *,
        rows: int = 64,
        columns: int | None = None,
        palette: Sequence[str] = theme.SPINS,
        caption: str = "",
        label: str = "",
        size: int = 560,
    ):
        columns = rows if columns is None else columns
        for name, value in (("rows", rows), ("columns", columns), ("size", size)):
            if int(value) < 1:
                raise ValueError(f"{name} is {value}; it must be a positive whole number")
        first = np.zeros((rows, columns), np.uint8) if x is None else _indices(x, len(palette))
        super().__init__(
            pixels=first.tobytes(),
            rows=first.shape[0],
            columns=first.shape[1],
            palette=list(palette),
            caption=caption,
            label=label or caption or "lattice",
            size=size,
        )

    def show(self, x: Any) -> None:
        """Paint `x`: (rows, columns), either spins ±1 (palette 1 and 0) as signed numbers or palette indices as uint8.

        Costs one copy of a byte a site; a frame that comes before the last one was painted replaces the one that waits.
        Raises ValueError if `x` is not a two-dimensional array of spins or palette indices.
        """
        self._offer(_indices(x, len(self.palette)))

    def array(self) -> np.ndarray:
        """The picture that the kernel holds, (rows, columns) palette indices."""
        return np.frombuffer(self.pixels, np.uint8).reshape(self.rows, self.columns)

    def checksum(self) -> str:
        """What ``data-checksum`` of the canvas reads once it has painted `pixels`."""
        return checksum(self.pixels)

    def _put(self, frame: np.ndarray) -> None:
        self.rows, self.columns = frame.shape
        self.pixels = frame.tobytes()


def _indices(x: Any, colours: int) -> np.ndarray:
    """A copy of `x` as palette indices."""
    x = np.asarray(x)
    if x.ndim != 2 or x.size == 0:
        raise ValueError(f"x has shape {x.shape}; it must be (rows, columns)")
    if x.dtype == np.uint8 or x.dtype == np.bool_:
        indices = x.astype(np.uint8)
    elif x.dtype == np.int8:
        # (±1 + 1) / 2 on bytes: 0x01 -> 1, 0xff -> 0 without leaving one byte a site.
        indices = (x.view(np.uint8) + np.uint8(1)) >> 1
    else:
        indices = ((x + 1) // 2).astype(np.uint8)
    if indices.max() >= colours:
        raise ValueError(f"x holds values outside the palette; they must be spins ±1 or uint8 indices below {colours}")
    return indices
