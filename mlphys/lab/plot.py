"""Plots drawn by plotly.js, on a widget of our own.

plotly's own ``FigureWidget`` sends 5 MB of JavaScript per figure and dies when five visitors open a page at once. Here data
and layout are synced traits with arrays as binary buffers, and plotly.js reaches a page once, as a static file or, failing
that, over the kernel's connection.
"""

import html
import importlib.util
import json
import re
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import traitlets

from mlphys.lab import theme
from mlphys.lab.live import Live

Trace = dict[str, Any]


class Plot(Live):
    """A figure that follows the page's theme and takes live updates from any thread.

    Arguments: figure, either traces (dicts as plotly knows them, or lists of them as `band` gives) or one plotly `Figure`;
    x, y, the axis titles with units, like "temperature T (J)" (a figure may bring its own); title; legend, "above"
    the axes or the corner in which it stands, like "bottom left"; height in CSS pixels; axes, further plotly layout; for
    those who cannot see it: label, its name (default: title or axes), and summary, what it shows, in words.
    Raises ValueError if an axis has no title. Mathematics is Unicode or HTML: "⟨|m|⟩", "T<sub>c</sub>".

    >>> plot = Plot({"x": [1, 2], "y": [0.9, 0.7]}, x="temperature T (J)", y="⟨|m|⟩")
    >>> plot.update({"x": [1, 2], "y": [0.9, 0.6]})
    >>> plot.traces[0]["y"]
    [0.9, 0.6]
    """

    _esm = theme.script("plot")

    traces: traitlets.List = traitlets.List().tag(sync=True, to_json=lambda value, _widget: _packed(value))
    axes = traitlets.Dict().tag(sync=True, to_json=lambda value, _widget: _packed(value))
    height = traitlets.Int(400).tag(sync=True)
    summary = traitlets.Unicode("").tag(sync=True)
    label = traitlets.Unicode("").tag(sync=True)

    def __init__(
        self,
        *figure: Any,
        x: str = "",
        y: str = "",
        title: str = "",
        legend: str = "above",
        height: int = 400,
        axes: Mapping[str, Any] | None = None,
        summary: str = "",
        label: str = "",
    ):
        traces, layout = _parts(figure)
        layout = _merge(layout, axes or {})
        for letter, text in (("x", x), ("y", y)):
            axis = dict(layout.get(f"{letter}axis", {}))
            if text:
                axis["title"] = {"text": text}
            if not _text(axis.get("title")):
                raise ValueError(f"{letter} is {text!r}; it must name the axis and its unit, like 'temperature T (J)'")
            layout[f"{letter}axis"] = axis
        layout["legend"] = _place(legend) | dict(layout.get("legend", {}))
        if title:
            layout["title"] = {"text": title}
        super().__init__(traces=traces, axes=layout, height=height, summary=summary, label=label)
        self._wanted = (traces, layout, summary)
        self._lock = threading.Lock()

    def update(self, *traces: Any, layout: Mapping[str, Any] | None = None, summary: str | None = None) -> None:
        """Replace all traces (give them as to `Plot`), or some (`{index: trace}`); merge `layout` into the axes.

        The page draws the newest state as fast as it can; states that come before it has drawn the last are dropped.
        """
        with self._lock:
            now, axes, words = self._wanted
            if len(traces) == 1 and _is_by_index(traces[0]):
                now = list(now)
                for index, trace in traces[0].items():
                    if not 0 <= index < len(now):
                        raise ValueError(f"traces has index {index}; the plot has traces 0 to {len(now) - 1}")
                    now[index] = dict(trace)
            elif traces:
                now = _flat(traces)
            self._wanted = (now, _merge(axes, layout or {}), words if summary is None else summary)
            self._offer(self._wanted)

    def _put(self, frame: tuple[list[Trace], dict, str]) -> None:
        self.traces, self.axes, self.summary = frame

    def _heard(self, _widget: Any, content: dict, _buffers: Any) -> None:
        super()._heard(_widget, content, _buffers)
        if content.get("want") == "plotly":
            self.send({"plotly": True}, buffers=[plotly_path().read_bytes()])

    def to_html(self) -> str:
        """The figure for a page without a kernel: drawn if the page has plotly.js, else its description."""
        layout = {"height": self.height, "font": {"size": 15}, "margin": {"t": 48, "r": 16}} | _printable(self.axes)
        figure = json.dumps({"data": _printable(self.traces), "layout": layout}, separators=(",", ":"))
        figure = figure.replace("</", "<\\/")
        return _HTML.format(words=html.escape(self._words()), figure=figure)

    def _words(self) -> str:
        x, y = (_text(self.axes[f"{letter}axis"]["title"]) for letter in "xy")
        names = [trace["name"] for trace in self.traces if trace.get("name") and trace.get("showlegend", True)]
        sentence = f"Figure: {y} against {x}" + (f", {', '.join(names)}." if names else ".")
        return re.sub(r"<[^>]+>", "", f"{sentence} {self.summary}".strip())


_HTML = """<div class="mlphys-static"><p>{words}</p><script type="application/json">{figure}</script><script>
(() => {{
  const box = document.currentScript.parentElement;
  const draw = () => {{
    const figure = JSON.parse(box.querySelector("script[type]").textContent);
    const target = document.createElement("div");
    box.querySelector("p").replaceWith(target);
    window.Plotly.newPlot(target, figure.data, figure.layout, {{ responsive: true, displayModeBar: false }});
  }};
  if (window.Plotly) draw();
  else document.querySelector("script[src*=plotly]")?.addEventListener("load", draw);
}})();
</script></div>"""


def plotly_path() -> Path:
    """Where the installed plotly package keeps plotly.js, found without importing plotly."""
    found = importlib.util.find_spec("plotly")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("plots need plotly; install mlphys with its course extra: pip install 'mlphys[course]'")
    return Path(found.origin).parent / "package_data" / "plotly.min.js"


def _parts(figure: tuple[Any, ...]) -> tuple[list[Trace], dict[str, Any]]:
    """Traces and layout of what `Plot` was given; plotly's default template, 7 kB of it, stays behind."""
    if len(figure) == 1 and hasattr(figure[0], "to_plotly_json"):
        parts = figure[0].to_plotly_json()
        if "data" not in parts:
            return _flat(figure), {}
        layout = dict(parts.get("layout", {}))
        layout.pop("template", None)
        return list(parts["data"]), layout
    return _flat(figure), {}


def _place(legend: str) -> dict[str, Any]:
    """plotly's words for a corner inside the axes, or for the line above them."""
    if legend == "above":
        return {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"}
    vertical, _, horizontal = legend.partition(" ")
    if vertical not in ("top", "bottom") or horizontal not in ("left", "right"):
        raise ValueError(f"legend is {legend!r}; it must be 'above' or a corner like 'top right' or 'bottom left'")
    x, y = {"left": 0.02, "right": 0.98}[horizontal], {"bottom": 0.02, "top": 0.98}[vertical]
    return {"x": x, "xanchor": horizontal, "y": y, "yanchor": vertical}


def _is_by_index(traces: Any) -> bool:
    return isinstance(traces, Mapping) and bool(traces) and all(isinstance(key, int) for key in traces)


def _flat(traces: Iterable[Any]) -> list[Trace]:
    flat: list[Trace] = []
    for trace in traces:
        if hasattr(trace, "to_plotly_json"):
            trace = trace.to_plotly_json()
        if isinstance(trace, Mapping):
            flat.append(dict(trace))
        elif isinstance(trace, Iterable) and not isinstance(trace, str):
            flat += _flat(trace)
        else:
            raise ValueError(f"traces holds {trace!r}; a trace must be a dict or a plotly graph object")
    return flat


def _merge(base: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in extra.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = _merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def _text(title: Any) -> str:
    return (title.get("text") or "") if isinstance(title, Mapping) else (title or "")


def _packed(value: Any) -> Any:
    """Arrays of numbers become ``{dtype, shape, buffer}``, which travels in binary; typed arrays on the other side."""
    if isinstance(value, Mapping):
        return {key: _packed(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_packed(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    if hasattr(value, "__array__"):
        array = np.asarray(value)
        if array.dtype.kind not in "fiub" or array.dtype == np.float16:
            return array.tolist()
        if (array.dtype.kind in "iu" and array.dtype.itemsize == 8) or array.dtype == np.bool_:
            array = array.astype(np.float64)
        array = np.ascontiguousarray(array)
        return {"dtype": array.dtype.name, "shape": list(array.shape), "buffer": array.tobytes()}
    return value


def _printable(value: Any) -> Any:
    """The same as plain JSON: colours as on white, numbers to six digits."""
    if isinstance(value, Mapping):
        return {key: _printable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_printable(item) for item in value]
    if hasattr(value, "__array__"):
        return _printable(np.asarray(value).tolist())
    if isinstance(value, float):
        return float(f"{value:.6g}") if np.isfinite(value) else None
    if value in theme.COLOURS:
        return theme.PRINT_COLOURS[theme.COLOURS.index(value)]
    return value
