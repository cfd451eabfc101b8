"""The U-Net on a periodic lattice: coarser and coarser lattices, then back, with the details handed across."""

import torch
from torch import nn
from torch.nn.functional import interpolate, silu

from mlphys.checks import whole
from mlphys.lattices import Lattice
from mlphys.nets.classifiers import draw_weights
from mlphys.nets.scores import Level, PeriodicConvolution, zero


class _Block(nn.Module):
    """Two convolutions beside a shortcut; the level of noise scales and shifts the channels between them."""

    def __init__(self, dimensions: int, inputs: int, outputs: int):
        super().__init__()
        self.first = PeriodicConvolution(dimensions, inputs, outputs)
        self.second = PeriodicConvolution(dimensions, outputs, outputs)
        self.shortcut = PeriodicConvolution(dimensions, inputs, outputs, kernel=1)
        self.level = Level(2 * outputs)

    def forward(self, x, level):
        told = self.level(level)
        scale, shift = told.reshape(*told.shape, *[1] * (x.ndim - 2)).chunk(2, dim=1)
        hidden = self.first(silu(x))
        # Channels get the mean square 1 in all, over the whole lattice: one number for each configuration.
        size = torch.linalg.vector_norm(hidden, dim=tuple(range(1, x.ndim)), keepdim=True)
        gain = (1 + scale) * torch.rsqrt(size**2 / hidden[0].numel() + 1e-5)
        return self.second(silu(torch.addcmul(shift, gain, hidden), inplace=True)).add_(self.shortcut(x))


class UNet(nn.Module):
    """A U-Net of fields `(batch, n_sites)` and a level of noise `(batch, 1)`, over a lattice and `levels` − 1 coarser ones.

    Every coarser lattice has half the sides and twice the `channels`. Equivariant under moves by 2^(levels − 1) sites; with
    `odd`, x → −x changes the sign exactly, for twice the work. Weights are drawn from `seed` alone, the last ones zero.
    Raises ValueError for sides that cannot be halved so often. Source: Ronneberger, Fischer, Brox 2015 (arXiv:1505.04597).

    >>> from mlphys.lattices import square
    >>> UNet(square(4), channels=4, levels=2)(torch.ones(3, 16), torch.zeros(3, 1)).shape
    torch.Size([3, 16])
    """

    def __init__(self, lattice: Lattice, channels: int = 32, levels: int = 3, odd: bool = False, seed: int = 0):
        super().__init__()
        levels, channels = whole("levels", levels, 1), whole("channels", channels, 1)
        if any(side % 2**levels for side in lattice.shape):
            raise ValueError(f"levels={levels!r} is not allowed: sides of {lattice!r} must be multiples of 2**levels")
        d, self.lattice, self.odd = len(lattice.shape), lattice, bool(odd)
        widths = [channels * 2**level for level in range(levels)]
        self.first = PeriodicConvolution(d, 1, channels)
        self.down = nn.ModuleList(_Block(d, width, width) for width in widths)
        self.coarser = nn.ModuleList(
            PeriodicConvolution(d, width, 2 * width, kernel=2, stride=2) for width in widths[:-1]
        )
        self.finer = nn.ModuleList(PeriodicConvolution(d, 2 * width, width, kernel=1) for width in widths[:-1])
        self.up = nn.ModuleList(_Block(d, 2 * width, width) for width in widths[:-1])
        self.last = PeriodicConvolution(d, channels, 1)
        draw_weights(self, seed)
        zero(self.last)

    def forward(self, x: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        if not self.odd:
            return self._forward(x, level)
        level = level.reshape(-1, 1).expand(len(x), 1)
        there, back = self._forward(torch.cat([x, -x]), torch.cat([level, level])).chunk(2)
        return (there - back) / 2

    def _forward(self, x, level):
        hidden, kept = self.first(x.reshape(len(x), 1, *self.lattice.shape)), []
        for block, coarser in zip(self.down, self.coarser, strict=False):
            kept.append(block(hidden, level))
            hidden = coarser(kept[-1])
        hidden = self.down[-1](hidden, level)
        for block, finer in zip(reversed(self.up), reversed(self.finer), strict=True):
            hidden = interpolate(finer(hidden), scale_factor=2, mode="nearest")
            hidden = block(torch.cat([hidden, kept.pop()], 1), level)
        return self.last(silu(hidden)).reshape(x.shape)
