"""What a network is shown of XY and clock models, as plain functions of configurations x `(batch, n_sites)`.

x holds angles in radians, or, where `q` is given, the states 0 … q − 1 of a clock. Use them with `Dataset.map`, and give the
network as many `inputs` as there are channels.
"""

import torch

from mlphys.checks import whole
from mlphys.hamiltonians.vectors import XY, seen_along
from mlphys.lattices import Lattice


def angles(x: torch.Tensor, q: int | None = None) -> torch.Tensor:
    """The raw spins: cos θ and sin θ, `(batch, 2, n_sites)`; float32 for states of a clock, the dtype of x otherwise.

    >>> angles(torch.tensor([[0, 1, 2, 3]]), q=4).round().tolist()
    [[[1.0, -0.0, -1.0, 0.0], [0.0, 1.0, -0.0, -1.0]]]
    """
    theta = _radians(x, q)
    return torch.stack([theta.cos(), theta.sin()], 1)


def turns(x: torch.Tensor, lattice: Lattice, q: int | None = None) -> torch.Tensor:
    """cos(θ' − θ) along the bonds of each direction, `(batch, directions, n_sites)`: blind to rotations and mirrors of θ.

    >>> from mlphys.lattices import square
    >>> turns(torch.zeros(1, 16), square(4)).shape
    torch.Size([1, 2, 16])
    """
    theta = _radians(x, q)
    return torch.stack([(seen_along(lattice, theta, step) - theta).cos() for step in lattice.directions], 1)


def vortices(x: torch.Tensor, lattice: Lattice, q: int | None = None) -> torch.Tensor:
    """The vortex map: windings −1, 0, 1 of the plaquettes of a square lattice, int8 `(batch, n_sites)`.

    Rotations of θ leave it alone, a mirror of θ turns its sign: an `even` network on it is blind to all of O(2), but for
    half turns of a clock of even q, which have no sign of their own and count as −π. Raises ValueError for other lattices.
    Source: Beach, Golubeva, Melko 2018 (arXiv:1710.09842).

    >>> from mlphys.lattices import square
    >>> vortices(torch.zeros(1, 16), square(4)).abs().sum().item()
    0
    """
    return XY(lattice).vortices(_radians(x, q))


def one_hot(x: torch.Tensor, q: int) -> torch.Tensor:
    """One channel for each state 0 … q − 1 of a Potts or clock model, 1 where it stands, int8 `(batch, q, n_sites)`.

    >>> one_hot(torch.tensor([[0, 2]]), q=3).tolist()
    [[[1, 0], [0, 0], [0, 1]]]
    """
    return (x[:, None] == torch.arange(whole("q", q, 2), device=x.device)[:, None]).char()


def _radians(x: torch.Tensor, q: int | None) -> torch.Tensor:
    if q is not None:
        return x.float() * (2 * torch.pi / whole("q", q, 2))
    if not x.is_floating_point():
        raise ValueError(f"x has entries of type {x.dtype}: allowed are angles, or whole numbers together with q")
    return x
