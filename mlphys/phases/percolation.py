"""Site percolation: a phase boundary without an order in what is near, which networks that look locally do not see."""

from collections.abc import Sequence

import numpy as np
import torch

from mlphys import checks
from mlphys.kernels.percolation import barriers
from mlphys.lattices import Lattice
from mlphys.phases.data import Dataset
from mlphys.random import generator


def percolation(lattice: Lattice, densities: Sequence[float], samples: int, seed: int = 0) -> Dataset:
    """Sites occupied (1) or empty (−1) independently, `samples` configurations at each density p, a chain each.

    The density takes the place of the temperature. Raises ValueError for densities outside 0 to 1.

    >>> from mlphys.lattices import square
    >>> data = percolation(square(32), [0.2, 0.8], samples=100)
    >>> [round(float((data.x[data.temperature == p] > 0).float().mean()), 1) for p in (0.2, 0.8)]
    [0.2, 0.8]
    """
    each = np.repeat(np.asarray(densities, np.float64).ravel(), checks.whole("samples", samples, 1))
    if not ((each >= 0) & (each <= 1)).all():
        raise ValueError(f"densities={densities!r} are not allowed: they must lie between 0 and 1")
    rng = generator(seed, "percolation")
    occupied = rng.random((len(each), lattice.n_sites), np.float32) < each[:, None]
    return Dataset(_spins(occupied), each, rng.integers(2**62, size=len(each)), lattice)


def strands(x: torch.Tensor, lattice: Lattice) -> np.ndarray:
    """How many occupied paths go from the top row to the bottom one without sharing a site, `(samples,)`; edges are open.

    A configuration spans where there is one. By duality no path crosses exactly where a line of empty sites, which may step
    diagonally, joins left and right, and so many sites have to be emptied to complete such a line (Menger 1927,
    10.4064/fm-10-1-96-115). Raises ValueError for lattices other than the square one.

    >>> from mlphys.lattices import square
    >>> strands(torch.tensor([[1, -1, 1, 1, -1, 1, -1, 1, 1], [1, -1, 1, 1, -1, 1, 1, 1, -1]]), square(3)).tolist()
    [1, 1]
    """
    return barriers(_occupied(x, lattice), *lattice.shape)[0]


def severed(x: torch.Tensor, lattice: Lattice, seed: int = 0) -> torch.Tensor:
    """Configurations that no longer span: as few sites as possible are emptied, as many others occupied at random.

    The density stays what it was. Raises ValueError where there is no room for that.

    >>> from mlphys.lattices import square
    >>> data = percolation(square(16), [0.6], samples=50)
    >>> cut = severed(data.x, data.lattice)
    >>> int(strands(cut, data.lattice).max()), bool((cut.sum(1) == data.x.sum(1)).all())
    (0, True)
    """
    occupied, rng = _occupied(x, lattice).copy(), generator(seed, "severed")
    counts, lines = barriers(occupied, *lattice.shape)
    for own, line, count in zip(occupied, lines, counts, strict=True):
        room = np.flatnonzero(~own & ~line)
        if len(room) < count:
            raise ValueError(f"x has only {len(room)} empty sites off the cut: at least {count} are needed")
        own &= ~line
        own[rng.choice(room, count, replace=False)] = True
    return _spins(occupied)


def _spins(occupied: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(2 * occupied.astype(np.int8) - 1)


def _occupied(x: torch.Tensor, lattice: Lattice) -> np.ndarray:
    if lattice.name != "square":
        raise ValueError(f"lattice={lattice!r} is not allowed: it must be square")
    return np.asarray(x).reshape(-1, lattice.n_sites) > 0
