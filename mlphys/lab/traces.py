"""Traces of a plot, in the theme's colours: a line, points with error bars, a line in its error band."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mlphys.lab import theme
from mlphys.stats import Estimate

Trace = dict[str, Any]


def line(x: Any, y: Any, name: str, colour: int | str = 0, dash: str | None = None) -> Trace:
    """A curve: x and y of shape (points,); dash: "dash", "dot" or None.

    >>> line([0, 1], [0, 1], "exact")["mode"]
    'lines'
    """
    x, y = _columns(x=x, y=y)
    style = {"color": theme.colour(colour), "width": 3} | ({"dash": dash} if dash else {})
    return {"type": "scatter", "mode": "lines", "x": x, "y": y, "name": name, "line": style}


def markers(x: Any, mean: Any, error: Any = None, name: str = "", colour: int | str = 0, symbol: str = "circle") -> Trace:
    """Points at (x, mean), with bars of one `error` above and below; all of shape (points,).

    >>> markers([1.0], [0.5], [0.1], "measured")["error_y"]["array"]
    array([0.1])
    """
    tint = theme.colour(colour)
    x, mean = _columns(x=x, mean=mean)
    trace: Trace = {
        "type": "scatter",
        "mode": "markers",
        "x": x,
        "y": mean,
        "name": name,
        "marker": {"color": tint, "size": 9, "symbol": symbol},
    }
    if error is not None:
        error = _errors(error, mean)
        trace["error_y"] = {"type": "data", "array": error, "color": tint, "thickness": 2, "width": 5}
    return trace


def points(found: Mapping[float, Estimate], name: str, colour: int | str = 0, symbol: str = "circle") -> Trace:
    """What was found at each x, with its error bars.

    >>> points({2.0: Estimate(0.5, 0.1), 1.0: Estimate(0.4, 0.2)}, "measured")["x"]
    array([1., 2.])
    """
    x = sorted(found)
    return markers(x, [found[at].mean for at in x], [found[at].error for at in x], name, colour, symbol)


def band(x: Any, mean: Any, error: Any, name: str, colour: int | str = 0) -> list[Trace]:
    """A curve in its band of ±1 `error` (one standard deviation), in one colour: two traces, one entry in the legend.

    >>> [trace["showlegend"] for trace in band([0, 1], [1.0, 2.0], [0.1, 0.1], "measured")]
    [False, True]
    """
    x, mean = _columns(x=x, mean=mean)
    error = _errors(error, mean)
    area = {
        "type": "scatter",
        "mode": "lines",
        "x": np.concatenate([x, x[::-1]]),
        "y": np.concatenate([mean + error, (mean - error)[::-1]]),
        "fill": "toself",
        "fillcolor": theme.colour(colour),
        "line": {"width": 0},
        "opacity": 0.25,
        "hoverinfo": "skip",
        "showlegend": False,
        "legendgroup": name,
        "name": name,
    }
    return [area, line(x, mean, name, colour) | {"legendgroup": name, "showlegend": True}]


def _columns(**arrays: Any) -> list[np.ndarray]:
    columns = {name: np.asarray(values, dtype=float) for name, values in arrays.items()}
    (first, length), *others = [(name, column.shape) for name, column in columns.items()]
    for name, column in columns.items():
        if column.ndim != 1:
            raise ValueError(f"{name} has shape {column.shape}; it must be one-dimensional")
    for name, shape in others:
        if shape != length:
            raise ValueError(f"{name} has shape {shape}; it must have that of {first}, {length}")
    return list(columns.values())


def _errors(error: Any, mean: np.ndarray) -> np.ndarray:
    error = np.broadcast_to(np.asarray(error, dtype=float), mean.shape)
    if (error < 0).any():
        raise ValueError(f"error holds {error.min()}; standard errors cannot be negative")
    return np.array(error)
