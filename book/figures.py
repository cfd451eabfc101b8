"""Executed lectures: drawn once for each state of their code and of the library, and kept."""

import hashlib
import os
import time
from functools import cache
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
SECONDS_A_CELL = 600


def draw(path: Path, size: str, kept: Path, execute: bool = True) -> nbformat.NotebookNode:
    """The notebook with its outputs at one size (see `mlphys.lectures`), from the folder `kept` if it is there."""
    notebook = nbformat.read(path, as_version=4)
    if not execute:
        return notebook
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    drawn = kept / f"{path.stem}-{size}-{_digest(code.encode(), library())}.ipynb"
    if not drawn.exists():
        began = time.monotonic()
        resources = {"metadata": {"path": str(path.parent)}}
        client = NotebookClient(notebook, timeout=SECONDS_A_CELL, resources=resources, store_widget_state=False)
        client.execute(env={**os.environ, "MLPHYS_SIZE": size})
        print(f"{path.stem}: drawn at size {size} in {time.monotonic() - began:.0f} s", flush=True)
        for old in kept.glob(f"{path.stem}-{size}-*.ipynb"):
            old.unlink()
        kept.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, drawn)
    # Text as it is now stands around outputs that belong to the same code.
    outputs = [cell.outputs for cell in nbformat.read(drawn, as_version=4).cells if cell.cell_type == "code"]
    for cell, output in zip((cell for cell in notebook.cells if cell.cell_type == "code"), outputs, strict=True):
        cell.outputs = output
    return notebook


@cache
def library() -> bytes:
    """What the numbers of a lecture depend on: every module and every table of the library."""
    files = sorted(path for path in (ROOT / "mlphys").rglob("*") if path.suffix in (".py", ".csv", ".pt"))
    return b"".join(path.read_bytes() for path in files)


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
