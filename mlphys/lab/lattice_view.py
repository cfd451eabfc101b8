"""A live picture of a lattice: one byte a site, painted on a canvas, with marks above it and a legend below."""

import base64
import html
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import traitlets

from mlphys.lab import palettes, theme
from mlphys.lab.live import Live

Scale = str | tuple[float, float] | None
Frame = tuple[np.ndarray, Scale, bytes | None]


def checksum(pixels: bytes) -> str:
    """Adler-32 of the pixels in hexadecimal, as the canvas states it for what it has painted (``data-checksum``).

    >>> checksum(bytes([0, 1, 1, 0]))
    '00090003'
    """
    return f"{zlib.adler32(pixels):08x}"


class LatticeView(Live):
    """A lattice as a canvas; `show` repaints it, from any thread, no faster than the browser paints.

    The whole picture lies in the synced traits `pixels` (palette indices, row major), `rows`, `columns`, `palette`, `legend`
    and `marks`, so a view that is created late, twice, or after a reload paints what the kernel holds.

    Arguments: x, a first picture (see `show`), or None for `rows` × `columns` sites of index 0; scale, that of the first
    picture; palette, CSS hex colours by index (default: spin down, spin up), for pictures without a scale; caption, text
    under the picture; label, the accessible name (default: caption); size, the largest side in CSS pixels;
    marked, what positive and negative marks are called in the legend.

    >>> view = LatticeView(np.array([[1, -1], [-1, -1]]))
    >>> view.array()
    array([[1, 0],
           [0, 0]], dtype=uint8)
    >>> LatticeView(np.array([[0.0, np.pi]]), scale="wheel").array()
    array([[  0, 128]], dtype=uint8)
    """

    _esm = theme.script("lattice_view")
    window = 4

    pixels = traitlets.Bytes(b"\0").tag(sync=True)
    rows = traitlets.Int(1).tag(sync=True)
    columns = traitlets.Int(1).tag(sync=True)
    palette = traitlets.List(traitlets.Unicode()).tag(sync=True)
    legend: traitlets.Dict = traitlets.Dict().tag(sync=True)
    marks = traitlets.Bytes(b"").tag(sync=True)
    caption = traitlets.Unicode("").tag(sync=True)
    label = traitlets.Unicode("").tag(sync=True)
    size = traitlets.Int(560).tag(sync=True)

    def __init__(
        self,
        x: Any = None,
        *,
        rows: int = 64,
        columns: int | None = None,
        scale: Scale = None,
        palette: Sequence[str] = theme.SPINS,
        caption: str = "",
        label: str = "",
        size: int = 560,
        marked: Sequence[str] = ("positive", "negative"),
    ):
        columns = rows if columns is None else columns
        for name, value in (("rows", rows), ("columns", columns), ("size", size)):
            if int(value) < 1:
                raise ValueError(f"{name} is {value}; it must be a positive whole number")
        self._plain = list(palette)
        self._marked = list(marked)
        self._shown: tuple[Scale, bool] = (None, True)
        first = np.zeros((rows, columns), np.uint8) if x is None else self._coloured(x, scale)
        super().__init__(palette=self._plain, caption=caption, label=label or caption or "lattice", size=size)
        with self.hold_sync():
            self._put((first, scale, None))

    def show(self, x: Any, scale: Scale = None, marks: Any = None) -> None:
        """Paint `x` (rows, columns): signed numbers are spins ±1 (palette 1 and 0), uint8 are palette indices.

        scale: None for these; "wheel" for angles in radians, of any number of turns; (low, high) for real numbers, which get
        a diverging palette and are cut off at its ends. marks: (rows, columns) of charges, + and − marked at the lower right
        corner of their site, which is the middle of a plaquette.
        Costs one copy of a byte a site; a frame that comes before the last one was painted replaces the one that waits.
        Raises ValueError if `x` is not two-dimensional or does not fit its scale, or `marks` has another shape.
        """
        self._offer((self._coloured(x, scale), scale, _marks(marks, np.shape(x))))

    def array(self) -> np.ndarray:
        """The picture that the kernel holds, (rows, columns) palette indices."""
        return np.frombuffer(self.pixels, np.uint8).reshape(self.rows, self.columns)

    def checksum(self) -> str:
        """What ``data-checksum`` of the canvas reads once it has painted `pixels`."""
        return checksum(self.pixels)

    def to_html(self) -> str:
        """The picture for a page without a kernel."""
        picture = base64.b64encode(_png(self.array(), self.palette)).decode()
        style = f"width:min(100%,{self.size * self.columns // max(self.rows, self.columns)}px);image-rendering:pixelated"
        source = f'<img style="{style}" alt="{html.escape(self.label)}" src="data:image/png;base64,{picture}">'
        return f"<figure>{source}<figcaption>{html.escape(self.caption)}</figcaption></figure>"

    def _coloured(self, x: Any, scale: Scale) -> np.ndarray:
        return _indices(x, len(self._plain)) if scale is None else _levels(x, scale)

    def _put(self, frame: Frame) -> None:
        indices, scale, marks = frame
        if (scale, marks is None) != self._shown:
            self._shown = scale, marks is None
            legend = {} if marks is None else {"marked": self._marked}
            if scale is None:
                self.palette, self.legend = self._plain, legend
            elif scale == "wheel":
                self.palette, self.legend = list(palettes.wheel()), legend | {"kind": "wheel"}
            else:
                bar = {"kind": "bar", "low": scale[0], "high": scale[1]}
                self.palette, self.legend = list(palettes.diverging()), legend | bar
        self.rows, self.columns = indices.shape
        self.pixels, self.marks = indices.tobytes(), marks or b""


def _png(indices: np.ndarray, palette: Sequence[str]) -> bytes:
    """Palette indices (rows, columns) as a picture of one byte a site."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows, columns = indices.shape
    head = struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)  # 8 bits, colours by index
    colours = bytes.fromhex("".join(colour.lstrip("#") for colour in palette))
    lines = zlib.compress(np.pad(indices, ((0, 0), (1, 0))).tobytes())  # a line begins with its filter, none
    parts = ((b"IHDR", head), (b"PLTE", colours), (b"IDAT", lines), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def _levels(x: Any, scale: str | tuple[float, float]) -> np.ndarray:
    """Real numbers as indices of a palette of 256 colours."""
    x = np.asarray(x)
    if x.ndim != 2 or x.size == 0:
        raise ValueError(f"x has shape {x.shape}; it must be (rows, columns)")
    if not np.isfinite(x).all():
        raise ValueError("x holds numbers that are not finite; only finite numbers have a colour")
    if isinstance(scale, str):
        if scale != "wheel":
            raise ValueError(f"scale is {scale!r}; it must be 'wheel', (low, high) or None")
        # Whole turns leave with the higher bytes.
        return np.floor(x * (128 / np.pi)).astype(np.int32).astype(np.uint8)
    low, high = scale
    if not low < high:
        raise ValueError(f"scale is {scale!r}; its low end must be below its high end")
    return np.clip((x - low) * (256 / (high - low)), 0, 255).astype(np.uint8)


def _marks(charges: Any, shape: tuple[int, ...]) -> bytes | None:
    """Charges as little-endian uint32, 2 site + (charge > 0)."""
    if charges is None:
        return None
    charges = np.asarray(charges)
    if charges.shape != shape:
        raise ValueError(f"marks has shape {charges.shape}; it must be that of x, {shape}")
    sites = np.flatnonzero(charges)
    return (2 * sites + (charges.ravel()[sites] > 0)).astype("<u4").tobytes()


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
