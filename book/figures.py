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
    drawn = kept / place(notebook, path.stem, size)
    if not drawn.exists():
        began = time.monotonic()
        resources = {"metadata": {"path": str(path.parent)}}
        options = {"store_widget_state": False, "extra_arguments": ["--IPKernelApp.log_level=ERROR"]}
        client = NotebookClient(notebook, timeout=SECONDS_A_CELL, resources=resources, **options)
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


def place(notebook: nbformat.NotebookNode, slug: str, size: str) -> str:
    """The name under which a drawn lecture is kept."""
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    return f"{slug}-{size}-{hashlib.sha256(code.encode() + library()).hexdigest()[:16]}.ipynb"


@cache
def library() -> bytes:
    """What the numbers of a lecture depend on: every module and every table of the library."""
    files = sorted(path for path in (ROOT / "mlphys").rglob("*") if path.suffix in (".py", ".csv", ".pt"))
    return b"".join(path.read_bytes() for path in files)

