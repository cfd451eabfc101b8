"""Small networks of noisy configurations and a number that says how noisy they are, for diffusion models."""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import nn
from torch.nn.functional import silu

from mlphys.checks import whole
from mlphys.lattices import Lattice
from mlphys.nets.classifiers import draw_weights, layer
from mlphys.random import torch_generator

CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


def zero(module: nn.Module) -> None:
    """All parameters 0."""
    for parameter in module.parameters():
        nn.init.zeros_(parameter)


class Level(nn.Module):
    """The level of noise, between about −2 and 2, as `outputs` learned functions `(batch, outputs)`.

    The level is `(batch, 1 + conditions)`: beside the noise, parameters between −1 and 1 on which the data depend.
    """

    frequencies: torch.Tensor

    def __init__(self, outputs: int, hidden: int = 32, conditions: int = 0):
        super().__init__()
        self.register_buffer("frequencies", math.pi / 4 * torch.arange(1, 9), persistent=False)
        self.inner, self.outer = layer(nn.Linear, 16 + conditions, hidden), layer(nn.Linear, hidden, outputs)

    def forward(self, level: torch.Tensor) -> torch.Tensor:
        angles = level[:, :1] * self.frequencies.to(level)
        return self.outer(silu(self.inner(torch.cat([angles.cos(), angles.sin(), level[:, 1:]], 1))))


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


class _Wrapped(torch.autograd.Function):
    """x `(batch, channels, *sides)` between its own last `before` and first `after` sites, along every side.

    What `pad(mode="circular")` gives, but with the channels of a site together in memory, as convolutions are fastest, and
    with one copy of the gradient.
    """

    @staticmethod
    def forward(ctx, x, before, after):
        ctx.reach = before, after
        wide = (side + before + after for side in x.shape[2:])
        inner = out = x.new_empty(len(x), *wide, x.shape[1]).movedim(-1, 1)
        for axis, side in enumerate(x.shape[2:], 2):
            inner = inner.narrow(axis, before, side)
        inner.copy_(x)
        for axis, side in enumerate(x.shape[2:], 2):
            out.narrow(axis, 0, before).copy_(out.narrow(axis, side, before))
            out.narrow(axis, before + side, after).copy_(out.narrow(axis, before, after))
        return out

    @staticmethod
    def backward(ctx, gradient):
        before, after = ctx.reach
        gradient = gradient.clone()
        for axis in range(2, gradient.ndim):
            side = gradient.shape[axis] - before - after
            gradient.narrow(axis, side, before).add_(gradient.narrow(axis, 0, before))
            gradient.narrow(axis, before, after).add_(gradient.narrow(axis, before + side, after))
            gradient = gradient.narrow(axis, before, side)
        return gradient, None, None


class PeriodicConvolution(nn.Module):
    """A convolution over a periodic lattice, `(batch, inputs, *sides)` to `(batch, outputs, *sides)`, or of blocks of it.

    A `stride` other than 1 must be the `kernel`: the blocks then do not overlap.
    """

    def __init__(self, dimensions: int, inputs: int, outputs: int, kernel: int = 3, bias: bool = True, stride: int = 1):
        super().__init__()
        self.kernel, self.stride = whole("kernel", kernel, 1), stride
        self.inner = layer(CONVOLUTIONS[dimensions], inputs, outputs, kernel_size=kernel, bias=bias, stride=stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.kernel == self.stride:
            return self.inner(x)
        return self.inner(_Wrapped.apply(x, (self.kernel - 1) // 2, self.kernel // 2))


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
            # In place: fresh memory costs as much as the sums.
            saturated = (gains[:, number] * hidden).tanh_()
            common = mean(saturated.flatten(2).mean(2)).reshape(len(x), -1, *ones)
            hidden = convolution(saturated).add_(common).add_(hidden)
        return self.last(direct * hidden).reshape(x.shape)


class ScorePotential(nn.Module):
    """The gradient of a potential of filtered fields `(batch, n_sites)`, odd and equivariant under all lattice symmetries.

    Each of the `channels` is the field with its waves weighted, saturated site by site, and weighted again: A x + Σ_c W_c
    a_c tanh(g_c W_c x), as in the first order of perturbation theory. All weights follow the level of noise `(batch, 1)`, or
    `(batch, 1 + conditions)`. Derivatives are known in closed form: `divergence` costs nothing beside the values, `jacobian`
    a product of matrices. Weights are drawn from `seed` alone, W_c near 1; A and a_c are zero. Raises ValueError for bad
    arguments.
    Source of cheap divergences by saturated sites between linear maps: Gerdes et al. 2023 (10.21468/SciPostPhys.15.6.238).

    >>> from mlphys.lattices import square
    >>> network, x = ScorePotential(square(4), channels=2), torch.ones(3, 16)
    >>> network(x, torch.zeros(3, 1)).shape, network.divergence(x, torch.zeros(3, 1))[1].shape
    (torch.Size([3, 16]), torch.Size([3]))
    """

    # Up to so many sites, multiplying by matrices is faster than Fourier transforms.
    MATRICES = 256
    orbits: torch.Tensor
    differences: torch.Tensor

    def __init__(self, lattice: Lattice, channels: int = 8, hidden: int = 32, conditions: int = 0, seed: int = 0):
        super().__init__()
        self.lattice, self.channels = lattice, whole("channels", channels, 1)
        self.axes = tuple(range(-len(lattice.shape), 0))
        # A real field needs half of its waves.
        orbits = lattice.wave_orbits.reshape(lattice.shape)[..., : lattice.shape[-1] // 2 + 1]
        n_orbits, sites = orbits.max() + 1, np.arange(lattice.n_sites)
        differences = np.empty((lattice.n_sites, lattice.n_sites), np.int64)
        differences[sites[:, None], lattice.translations.T] = sites
        for name, table in {"orbits": orbits, "differences": differences}.items():
            self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(table)), persistent=False)
        self.sizes = [channels * n_orbits, channels, channels, n_orbits]
        self.level = Level(sum(self.sizes), whole("hidden", hidden, 1), whole("conditions", conditions, 0))
        draw_weights(self, seed)
        zero(self.level.outer)
        normal = torch.randn(channels, n_orbits, generator=torch_generator(seed, "filters"))
        self.filters = nn.Parameter(1 + 0.3 * normal)  # nearly the field itself
        self.gains = nn.Parameter(torch.linspace(0.3, 2.0, channels))

    def _weights(self, level: torch.Tensor):
        """W `(batch, channels, *waves)`, g and a `(batch, channels, 1)`, A `(batch, 1, *waves)`; one if all agree."""
        if len(level) > 1 and bool((level == level[:1]).all()):
            level = level[:1]
        filters, gains, amplitudes, linear = self.level(level).split(self.sizes, 1)
        filters = (self.filters * (1 + filters.unflatten(1, self.filters.shape)))[..., self.orbits]
        return filters, (self.gains * (1 + gains))[..., None], amplitudes[..., None], linear[:, None, self.orbits]

    def _kernels(self, filters: torch.Tensor) -> torch.Tensor:
        """What filters make of a field that is 1 on site 0, `(batch, channels, n_sites)`."""
        return torch.fft.irfftn(filters, s=self.lattice.shape, dim=self.axes).flatten(-len(self.axes))

    def _matrices(self, filters: torch.Tensor) -> torch.Tensor:
        """Filters as matrices `(batch, channels, n_sites, n_sites)`."""
        return self._kernels(filters)[..., self.differences]

    def _evaluate(self, x: torch.Tensor, weights) -> tuple[torch.Tensor, torch.Tensor]:
        """The values, and all saturated fields tanh(g W x), `(batch, channels, n_sites)`."""
        filters, gains, amplitudes, linear = weights
        if len(filters) == 1 and x.shape[1] <= self.MATRICES:
            rows = self._matrices(filters)[0]  # channel, site, site
            saturated = torch.tanh(x @ (gains[0, :, None] * rows).flatten(0, 1).T)
            value = saturated @ (amplitudes[0, :, None] * rows).flatten(0, 1) + x @ self._matrices(linear)[0, 0]
            return value, saturated.unflatten(1, (self.channels, -1))
        waves = torch.fft.rfftn(x.reshape(-1, 1, *self.lattice.shape), dim=self.axes)
        saturated = torch.tanh(gains * self._kernels(filters * waves))
        back = torch.fft.rfftn((amplitudes * saturated).unflatten(2, self.lattice.shape), dim=self.axes)
        return self._kernels((filters * back).sum(1, keepdim=True) + linear * waves)[:, 0], saturated

    def forward(self, x: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        return self._evaluate(x, self._weights(level))[0]

    def divergence(self, x: torch.Tensor, level: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The values, and their divergence `(batch,)`."""
        weights = self._weights(level)
        value, saturated = self._evaluate(x, weights)
        filters, gains, amplitudes, linear = weights
        slopes = (gains * amplitudes)[:, :, 0] * self._kernels(filters**2)[..., 0]
        squares = torch.linalg.vector_norm(saturated, dim=2) ** 2
        return value, (slopes * (x.shape[1] - squares)).sum(1) + x.shape[1] * self._kernels(linear)[:, 0, 0]

    def jacobian(self, x: torch.Tensor, level: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The values, and their derivatives `(batch, n_sites, n_sites)`."""
        weights = self._weights(level)
        value, saturated = self._evaluate(x, weights)
        filters, gains, amplitudes, linear = weights
        rows, slopes = self._matrices(filters).flatten(1, 2), (gains * amplitudes * (1 - saturated**2)).flatten(1)
        return value, rows.mT @ (slopes[..., None] * rows) + self._matrices(linear)[:, 0]
