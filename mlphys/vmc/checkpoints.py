"""Files from which an optimisation goes on, bit for bit."""

import os
from pathlib import Path
from typing import Any

import torch

FORMAT = "mlphys ground state 1"


def write(path, about: dict[str, str], content: dict[str, Any]) -> None:
    """Write `content`, made of tensors, numbers and words, and what it is `about`, or leave the old file whole."""
    save(path, {"format": FORMAT, "about": about, **content})


def read(path, about: dict[str, str] | None = None) -> dict[str, Any]:
    """What `write` wrote, on the CPU; ValueError for any other file, and for a run that is not the one `about`."""
    content = load(path, FORMAT)
    if content is None:
        raise ValueError(f"checkpoint={str(path)!r} is not a checkpoint of a ground state, or is damaged")
    for name, here in (about or {}).items():
        there = content["about"].get(name)
        if there != here:
            raise ValueError(f"checkpoint={str(path)!r} belongs to another run: its {name} is {there}, here it is {here}")
    return content


def save(path, content: dict[str, Any]) -> None:
    """Write `content` whole, or leave the old file as it is."""
    unfinished = Path(f"{path}.unfinished")
    torch.save(content, unfinished)
    os.replace(unfinished, path)


def load(path, format: str) -> dict[str, Any] | None:
    """What `save` wrote, on the CPU, if its "format" is this one; None for any other file."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        return content if content["format"] == format else None
    except FileNotFoundError:
        raise
    except Exception:  # whatever the unpickler stumbles over
        return None
