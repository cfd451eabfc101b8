"""The comparison as a Markdown table, and everything behind it as JSON."""

import json
import os
import platform
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import numpy as np
from measure import UNITS, Entry

ENOUGH = 50  # autocorrelation times, for an error bar to be trusted

HEADER = (
    "| algorithm | L | contender | unit | median | min–max | mlphys is faster by | energy, worst of checks |\n"
    "|---|---|---|---|---|---|---|---|"
)


def markdown(entries: list[Entry], reference: str = "mlphys") -> str:
    """A row each. Who disagrees with the exact energy is refused: listed without a speed, and nobody is compared with it."""
    best = {(entry.algorithm, entry.side): entry for entry in entries if entry.name == reference and not entry.refused}
    rows = [_row(entry, best.get((entry.algorithm, entry.side))) for entry in entries]
    return "\n".join([HEADER, *rows])


def _row(entry: Entry, reference: Entry | None) -> str:
    head = f"| {entry.algorithm} | {entry.side} | {entry.name} | {UNITS[entry.algorithm]} "
    if entry.refused:
        return f"{head}| refused | – | – | refused: energy off by {entry.worst:+.1f}σ |"
    if reference is None:
        ratio = "–"
    elif entry is reference:
        ratio = "1"
    else:
        low, middle, high = np.quantile(entry.times_slower(reference), [0, 0.5, 1])
        ratio = f"{_digits(middle)}× ({_digits(low)}–{_digits(high)})"
    low, middle, high = np.quantile(entry.speeds, [0, 0.5, 1])
    short = "†" if any(check.length < ENOUGH for check in entry.checks) else ""
    return f"{head}| {_digits(middle)} | {_digits(low)}–{_digits(high)} | {ratio} | {entry.worst:+.1f}σ{short} |"


def legend(entries: list[Entry]) -> str:
    """What the numbers mean, and how much of the core was ours."""
    share = np.mean([entry.idle for entry in entries])
    return (
        "One thread, CPU time, at Tc; medians and extremes of interleaved repeats, the factors repeat by repeat.\n"
        "Energies are compared with Kaufman's at T = 2, and at Tc where local updates thermalise; beyond 5σ: refused.\n"
        f"† a check of fewer than {ENOUGH} autocorrelation times. Other programs had the core {share:.0%} of the time."
    )


def _digits(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def machine() -> dict:
    """Where and with what this was measured."""
    model = ""
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
    versions = {}
    for package in ("mlphys", "numba", "numpy", "torch", "mcising", "peapods"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": model or platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": versions,
    }


def lines_of(facts: dict) -> str:
    """The facts of `machine` in two lines."""
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    return (
        f"{facts['date']}, {facts['processor']}, {facts['cores']} cores, load {facts['load']:.1f} at the start\n"
        f"Python {facts['python']}, {versions}"
    )


def save(path: Path, entries: list[Entry], **more) -> None:
    """Write the entries and whatever else was measured as JSON, speeds repeat by repeat."""
    rows = [
        {
            "algorithm": entry.algorithm,
            "side": entry.side,
            "contender": entry.name,
            "unit": UNITS[entry.algorithm],
            "speeds": entry.speeds.tolist(),
            "median": float(np.median(entry.speeds)),
            "idle": entry.idle,
            "refused": entry.refused,
            "checks": [asdict(check) | {"deviation": check.deviation} for check in entry.checks],
        }
        for entry in entries
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"rows": rows, **more}, indent=1, ensure_ascii=False, default=float) + "\n")
