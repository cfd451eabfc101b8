"""Measured against exact: value, error, exact value and their distance in standard deviations."""

import html
import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pandas import DataFrame

LIMIT = 5.0
"""Deviations beyond this many σ mean that something is wrong, not unlucky: 1 in 1.7 million for a Gaussian."""


class Disagreement(AssertionError):
    """A measurement lies further from the exact value than chance allows."""


def with_error(mean: float, error: float) -> str:
    """Value and standard error in the concise notation; two digits of an error that begins with 1.

    >>> with_error(-1.41543, 0.00032), with_error(0.5, 0.012), with_error(31234.0, 260.0)
    ('-1.4154(3)', '0.500(12)', '31200(300)')
    """
    if not (math.isfinite(mean) and math.isfinite(error)) or error <= 0:
        return f"{mean:.6g}"
    exponent = math.floor(math.log10(error))
    decimals = -exponent + (error / 10**exponent < 1.95)
    if decimals > 0:
        return f"{mean:.{decimals}f}({error * 10**decimals:.0f})"
    return f"{round(mean, decimals):.0f}({round(error, decimals):.0f})"


def with_errors(table: "DataFrame") -> "DataFrame":
    """A table to be read: each column called error, or …_error, is joined with the column before it, as 0.934(5).

    >>> import pandas as pd
    >>> with_errors(pd.DataFrame({"side": [10], "accuracy": [0.8341], "error": [0.0052]})).accuracy.tolist()
    ['0.834(5)']
    """
    shown = table.copy()
    for value, error in pairwise(table.columns):
        if error.endswith("error"):
            shown[value] = [minus(with_error(*pair)) for pair in zip(table[value], table[error], strict=True)]
            del shown[error]
    return shown


def split(estimate: Any) -> tuple[float, float]:
    """Mean and error of an estimate, a (mean, error) pair, or a bare number, whose error is nan."""
    if hasattr(estimate, "mean") and hasattr(estimate, "error"):
        return float(estimate.mean), float(estimate.error)
    if isinstance(estimate, Sequence) and not isinstance(estimate, str) and len(estimate) == 2:
        return float(estimate[0]), float(estimate[1])
    return float(estimate), math.nan


class Measured:
    """One comparison, shown as a row: value, error, exact value (with its own error or 0), deviation in σ."""

    def __init__(
        self, name: str, value: float, error: float, exact: float, exact_error: float, unit: str, kind: str = ""
    ):  # fmt: skip
        self.name, self.unit = name, unit
        self.value, self.error = value, error
        self.exact, self.exact_error = exact, exact_error
        self.deviation = (value - exact) / math.hypot(error, exact_error)
        # An exact value has no error of its own; one with an error was published by somebody who measured.
        self._kind = kind or ("published" if exact_error > 0 else "exact")

    def __repr__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        return (
            f"{self.name}: {with_error(self.value, self.error)}{unit}, {self._kind} {self._exact_text()}{unit}, "
            f"deviation {sigmas(self.deviation)} σ"
        )

    def _repr_html_(self) -> str:
        return _table([self])

    def _exact_text(self) -> str:
        if self.exact_error > 0:
            return with_error(self.exact, self.exact_error)
        # Two digits more than the measurement knows.
        digits = max(0, 2 - math.floor(math.log10(self.error))) if self.error > 0 else 6
        return f"{self.exact:.{min(digits, 10)}f}"


class MeasuredTable(list[Measured]):
    """Several comparisons in one table."""

    def __repr__(self) -> str:
        return "\n".join(map(repr, self))

    def _repr_html_(self) -> str:
        return _table(self)


def measured(name: str, estimate: Any, exact: Any, unit: str = "") -> Measured:
    """Show a measurement beside the exact value; raise `Disagreement` beyond 5 σ.

    Arguments: estimate, with attributes mean and error, or a (mean, error) pair; exact, a number, or (value, error) for a
    published value that has an error itself, or an estimate from elsewhere to refer to.
    Raises ValueError if a number is not finite or the error is not positive; Disagreement is an AssertionError.

    >>> measured("energy per site", (-1.4157, 0.0006), -2**0.5, unit="J")
    energy per site: -1.4157(6) J, exact -1.414214 J, deviation -2.5 σ
    >>> import numpy as np
    >>> measured("energy per site", (-1.4157, 0.0006), np.float64(-(2**0.5)), unit="J")
    energy per site: -1.4157(6) J, exact -1.414214 J, deviation -2.5 σ
    """
    value, error = split(estimate)
    exact_value, exact_error = split(exact)
    exact_error = 0.0 if math.isnan(exact_error) else exact_error
    if not math.isfinite(value):
        raise ValueError(f"{name} is {value}; a measured value must be finite")
    if not (math.isfinite(error) and error > 0):
        raise ValueError(f"{name} has error {error}; it must be finite and positive (did the samples vary at all?)")
    if not math.isfinite(exact_value) or not (math.isfinite(exact_error) and exact_error >= 0):
        raise ValueError(f"exact is {exact}; it must be finite, its error not negative")
    result = Measured(name, value, error, exact_value, exact_error, unit, "reference" if hasattr(exact, "error") else "")
    if abs(result.deviation) > LIMIT:
        raise Disagreement(f"{result!r}: more than {LIMIT:g} σ")
    return result


def measured_table(rows: Iterable[Any], unit: str = "") -> MeasuredTable:
    """Several at once: results of `measured`, or tuples (name, estimate, exact[, unit]).

    Every row is compared before the first disagreement is raised, with all rows in its message.

    >>> len(measured_table([("m", (0.70, 0.01), 0.71), ("e", (-1.40, 0.01), -1.41)]))
    2
    """
    table, wrong = MeasuredTable(), []
    for row in rows:
        try:
            table.append(row if isinstance(row, Measured) else measured(*row, **({"unit": unit} if len(row) < 4 else {})))
        except Disagreement as error:
            wrong.append(str(error))
    if wrong:
        raise Disagreement("\n".join([*wrong, *map(repr, table)]))
    return table


def sigmas(deviation: float) -> str:
    """A deviation to one digit, without a negative zero.

    >>> sigmas(-0.01), sigmas(-1.27)
    ('+0.0', '-1.3')
    """
    return f"{round(deviation, 1) + 0.0:+.1f}"


def minus(number: str) -> str:
    """The number with a real minus sign, for display."""
    return number.replace("-", "−")


def level(deviation: float) -> str:
    """How a deviation in σ is to be taken: "good" up to 2, "fair" up to 5, else "bad"."""
    return "good" if abs(deviation) <= 2 else "fair" if abs(deviation) <= LIMIT else "bad"


def _table(rows: Sequence[Measured]) -> str:
    cell = "padding:7px 18px 7px 0;border:0;text-align:left;white-space:nowrap;vertical-align:middle"
    rule = "border-bottom:1px solid color-mix(in srgb,currentColor 22%,transparent);background:none"
    names = ("quantity", "measured", " or ".join(sorted({row._kind for row in rows})), "deviation")
    head = "".join(f'<th scope="col" style="{cell};font-weight:500;opacity:.75">{name}</th>' for name in names)
    body = ""
    for row in rows:
        unit = f' <span style="opacity:.75">{html.escape(row.unit)}</span>' if row.unit else ""
        texts = (
            html.escape(row.name),
            f"<strong>{minus(with_error(row.value, row.error))}</strong>{unit}",
            f"{minus(row._exact_text())}{unit}",
            f"{_gauge(row.deviation)} {minus(sigmas(row.deviation))} σ",
        )
        body += f'<tr style="{rule}">' + "".join(f'<td style="{cell}">{text}</td>' for text in texts) + "</tr>"
    style = "border-collapse:collapse;font-size:16px;line-height:1.4;font-variant-numeric:tabular-nums;margin:6px 0"
    table = f'<table style="{style}"><thead><tr style="{rule}">{head}</tr></thead><tbody>{body}</tbody></table>'
    return f'<div style="overflow-x:auto">{table}</div>'


def _gauge(deviation: float) -> str:
    """A scale from −5 to 5 σ, its inner 1 σ thick, with the measurement on it."""
    at = 60 + 11 * max(-5.0, min(5.0, deviation))
    return (
        '<svg width="120" height="18" viewBox="0 0 120 18" aria-hidden="true" '
        'stroke="currentColor" style="vertical-align:-4px">'
        '<path d="M5 9H115" opacity=".35"/><path d="M49 9H71" stroke-width="5" opacity=".35"/>'
        '<path d="M60 3V15" opacity=".6"/>'
        f'<circle cx="{at:.1f}" cy="9" r="5" fill="currentColor" stroke="none"/></svg>'
    )
