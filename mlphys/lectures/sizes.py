"""How much a lecture computes: `ci` for tests, `lecture` for two cores in class, `full` for a large machine."""

import os
from collections.abc import Mapping
from typing import TypeVar

from mlphys import checks

Sizes = TypeVar("Sizes")


def choose(sizes: Mapping[str, Sizes], name: str | None = None) -> Sizes:
    """The sizes called `name`; by default those that the environment variable MLPHYS_SIZE names, or `lecture`.

    Raises ValueError for a name that is not among `sizes`.

    >>> choose({"ci": 1, "lecture": 2}, "ci")
    1
    """
    name = os.environ.get("MLPHYS_SIZE", "lecture") if name is None else name
    checks.one_of("size", name, tuple(sizes))
    return sizes[name]
