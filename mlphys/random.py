"""Seeds: independent generators for every purpose, spawned from the one seed that the user gave.

Inside kernels the generators are those of `mlphys.kernels.generators`; here are the seeds that key them, and numpy's and
torch's generators for everything else.
"""

import zlib
from functools import lru_cache

import numpy as np

from mlphys.checks import seed as checked_seed


@lru_cache(maxsize=4096, typed=True)
def spawn(seed: int, *purpose: str | int) -> int:
    """A seed for one purpose, statistically independent of every other purpose under the same `seed`.

    Raises ValueError for a seed that is not a whole number from 0 to 2**64 - 1. Source of the hash: numpy's SeedSequence
    (O'Neill 2015).

    >>> spawn(1, "start") != spawn(1, "streams")
    True
    """
    keys = [zlib.crc32(word.encode()) if isinstance(word, str) else int(word) for word in purpose]
    return int(np.random.SeedSequence([checked_seed(seed), *keys]).generate_state(1, np.uint64)[0])


def generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """A numpy generator for one purpose (counter-based Philox).

    >>> float(generator(1, "noise").random()) == float(generator(1, "noise").random())
    True
    """
    return np.random.Generator(np.random.Philox(spawn(seed, *purpose)))


def torch_generator(seed: int, *purpose: str | int, device="cpu"):
    """A torch generator for one purpose on `device`."""
    import torch

    return torch.Generator(device=device).manual_seed(spawn(seed, *purpose) >> 1)
