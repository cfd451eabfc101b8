"""Small networks of noisy configurations and a number that says how noisy they are, for diffusion models."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn
from torch.nn.functional import pad, silu

from mlphys.checks import whole
from mlphys.lattices import Lattice
from mlphys.nets.classifiers import draw_weights, layer

CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


def zero(module: nn.Module) -> None:
    """All parameters 0."""
    for parameter in module.parameters():
        nn.init.zeros_(parameter)


class Level(nn.Module):
    """The level of noise, `(batch, 1)` and between about −2 and 2, as `outputs` learned functions `(batch, outputs)`."""

    frequencies: torch.Tensor

    def __init__(self, outputs: int, hidden: int = 32):
        super().__init__()
        self.register_buffer("frequencies", math.pi / 4 * torch.arange(1, 9), persistent=False)
        self.inner, self.outer = layer(nn.Linear, 16, hidden), layer(nn.Linear, hidden, outputs)

    def forward(self, level: torch.Tensor) -> torch.Tensor:
        angles = level.reshape(-1, 1) * self.frequencies.to(level)
        return self.outer(silu(self.inner(torch.cat([angles.cos(), angles.sin()], 1))))


class ScorePerceptron(nn.Module):
    """A perceptron with layers of `hidden` units for x `(batch, n)` in low dimension, told the level of noise in each layer.

    Weights are drawn from `seed` alone, the last ones zero.

    >>> ScorePerceptron(2, hidden=(8,))(torch.ones(3, 2), torch.zeros(3, 1)).shape
    torch.Size([3, 2])
    """

    def __init__(self, n: int, hidden: Sequence[int] = (64, 64), seed: int = 0):
        super().__init__()
        sizes = [whole("n", n, 1), *(whole("hidden", size, 1) for size in hidden)]
        self.layers = nn.ModuleList(layer(nn.Linear, *pair) for pair in pairwise(sizes))
        self.levels = nn.ModuleList(Level(2 * size) for size in sizes[1:])
        self.last = layer(nn.Linear, sizes[-1], n)
        draw_weights(self, seed)
        zero(self.last)

    def forward(self, x: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        hidden = x.flatten(1)
        for linear, told in zip(self.layers, self.levels, strict=True):
            scale, shift = told(level).chunk(2, dim=1)
            hidden = silu((1 + scale) * linear(hidden) + shift)
        return self.last(hidden).reshape(x.shape)


class PeriodicConvolution(nn.Module):
    """A convolution over a periodic lattice, `(batch, inputs, *sides)` to `(batch, outputs, *sides)`."""

    def __init__(self, dimensions: int, inputs: int, outputs: int, kernel: int = 3, bias: bool = True, stride: int = 1):
        super().__init__()
        self.kernel, self.dimensions = whole("kernel", kernel, 1), dimensions
        self.inner = layer(CONVOLUTIONS[dimensions], inputs, outputs, kernel_size=kernel, bias=bias, stride=stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        before = (self.kernel - 1) // 2
        return self.inner(pad(x, (before, self.kernel - 1 - before) * self.dimensions, mode="circular"))


class ScoreConvolution(nn.Module):
    """Periodic convolutions for fields `(batch, n_sites)`, odd under x → −x and equivariant under all translations.

    Each of the `layers` adds to `channels` a convolution of their saturated values, with `kernel` sites a side, and a linear
    map of their means over the lattice, since near a transition the whole lattice moves at once. There are no biases; the
    level of noise, `(batch, 1)`, sets the gain of every channel. Weights are drawn from `seed` alone, the last ones zero.
    Raises ValueError for bad arguments.

    >>> from mlphys.lattices import square
    >>> ScoreConvolution(square(4), channels=4)(torch.ones(3, 16), torch.zeros(3, 1)).shape
    torch.Size([3, 16])
    """

    def __init__(self, lattice: Lattice, channels: int = 16, layers: int = 2, kernel: int = 3, seed: int = 0):
        super().__init__()
        if not 1 <= whole("kernel", kernel, 1) <= min(lattice.shape):
            raise ValueError(f"kernel={kernel!r} is not allowed: from 1 to the shortest side of {lattice!r}")
        d, self.channels, self.lattice = len(lattice.shape), whole("channels", channels, 1), lattice
        self.first = PeriodicConvolution(d, 1, channels, kernel, bias=False)
        self.convolutions = nn.ModuleList(
            PeriodicConvolution(d, channels, channels, kernel, bias=False) for _ in range(whole("layers", layers, 1))
        )
        self.means = nn.ModuleList(layer(nn.Linear, channels, channels, bias=False) for _ in self.convolutions)
        self.last = PeriodicConvolution(d, channels, 1, kernel, bias=False)
        self.level = Level((layers + 2) * channels)
        draw_weights(self, seed)
        zero(self.last)

    def forward(self, x: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        ones = [1] * len(self.lattice.shape)
        gains = 1 + self.level(level).reshape(len(x), -1, self.channels, *ones)
        hidden, direct = self.first(x.reshape(len(x), 1, *self.lattice.shape)), gains[:, -1]
        for number, (convolution, mean) in enumerate(zip(self.convolutions, self.means, strict=True)):
            saturated = torch.tanh(gains[:, number] * hidden)
            common = mean(saturated.flatten(2).mean(2)).reshape(len(x), -1, *ones)
            hidden = hidden + convolution(saturated) + common
        return self.last(direct * hidden).reshape(x.shape)
