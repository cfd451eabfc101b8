"""Classifiers of configurations: each output is the log odds of the phase at low temperature."""

import copy
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise, product

import numpy as np
import torch
from torch import nn

from mlphys.checks import whole
from mlphys.lattices import Lattice
from mlphys.random import torch_generator

# Patterns of spins ±1 on kernels of so many sites are tabulated: 512 on 3 × 3.
MOST_CELLS = 9


class Classifier(nn.Module):
    """What classifiers share: log odds `(batch, outputs)` of configurations, in the network's own dtype.

    Configurations are `(batch, n_sites)`, or `(batch, inputs, n_sites)` where a site has several `inputs`. `even` networks
    give x and −x exactly the same answer: the mean over both. Weights are drawn from `seed` alone.
    """

    def __init__(self, lattice: Lattice, outputs: int = 1, even: bool = False, inputs: int = 1):
        super().__init__()
        self.lattice, self.even = lattice, even
        self.outputs, self.inputs = whole("outputs", outputs, 1), whole("inputs", inputs, 1)

    def log_odds(self, x: torch.Tensor) -> torch.Tensor:
        """What `forward` symmetrises."""
        raise NotImplementedError

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shape = (self.lattice.n_sites,) if self.inputs == 1 else (self.inputs, self.lattice.n_sites)
        if x.shape[1:] != shape:
            raise ValueError(f"x has shape {tuple(x.shape)}: allowed is (batch, {', '.join(map(str, shape))})")
        x = x.to(next(self.parameters()).dtype)
        if not self.even:
            return self.log_odds(x)
        return self.log_odds(torch.cat([x, -x])).view(2, len(x), self.outputs).mean(0)

    @torch.no_grad()
    def evaluate(self, x: torch.Tensor, batch: int = 1024) -> torch.Tensor:
        """The outputs `(len(x), outputs)` on the CPU without gradients, computed `batch` rows at a time."""
        device = next(self.parameters()).device
        return torch.cat([self(part.to(device)).cpu() for part in torch.as_tensor(x).split(batch)])

    def probability(self, x: torch.Tensor, batch: int = 1024) -> torch.Tensor:
        """Probability of the low-temperature phase, `(len(x), outputs)` on the CPU."""
        return self.evaluate(x, batch).sigmoid()


def layer(kind: type[nn.Module], *sizes, **options) -> nn.Module:
    """A layer left empty: its own initialisation would draw from torch's global generator."""
    return nn.utils.skip_init(kind, *sizes, **options)


def draw_weights(network: nn.Module, seed: int) -> None:
    """Weights uniform within √(3 / fan-in), which keeps the variance; biases zero."""
    generator = torch_generator(seed, "weights")
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:
                width = (3 / parameter[0].numel()) ** 0.5
                parameter.uniform_(-width, width, generator=generator)
            else:
                parameter.zero_()


def _dense(name: str, widths: Sequence[int]) -> list[nn.Module]:
    """Fully connected layers between the given widths, a ReLU after each."""
    widths = [whole(name, width, 1) for width in widths]
    return [module for pair in pairwise(widths) for module in (layer(nn.Linear, *pair), nn.ReLU())]


class LogisticRegression(Classifier):
    """Log odds linear in x: blind to an order that has either sign."""

    def __init__(self, lattice: Lattice, outputs: int = 1, inputs: int = 1, seed: int = 0):
        super().__init__(lattice, outputs, inputs=inputs)
        self.layer = layer(nn.Linear, inputs * lattice.n_sites, outputs)
        draw_weights(self, seed)

    def log_odds(self, x):
        return self.layer(x.flatten(1))


class MultilayerPerceptron(Classifier):
    """Fully connected layers of `hidden` units with ReLU between them; it knows nothing of the lattice."""

    def __init__(
        self, lattice: Lattice, hidden: Sequence[int] = (64,), outputs=1, even: bool = False, inputs=1, seed: int = 0
    ):
        super().__init__(lattice, outputs, even, inputs)
        widths = [inputs * lattice.n_sites, *hidden]
        self.layers = nn.Sequential(*_dense("hidden", widths), layer(nn.Linear, widths[-1], outputs))
        draw_weights(self, seed)

    def log_odds(self, x):
        return self.layers(x.flatten(1))


class ConvolutionalNetwork(Classifier):
    """A convolution on the torus, the mean over all sites, and fully connected layers: exactly invariant under translations.

    Each site sees the `kernel` sites (an odd number) around it along every axis, through layers of `channels` units; the
    means of what all sites found go through layers of `hidden` units. Of any dimension; a triangular lattice is the square
    one with a diagonal, which a 3 × 3 kernel holds. Weights do not depend on the size: `on` takes the network to another
    lattice. Few patterns fit into a small kernel on spins ±1: there each is looked at once and counted, the same function up
    to rounding, at a cost that hardly grows with the batch.

    >>> import mlphys as mp
    >>> small, large = (mp.Ising(mp.square(side)) for side in (4, 8))
    >>> network = ConvolutionalNetwork(small.lattice, even=True)
    >>> network.probability(small.random(3)).shape, network.on(large.lattice).probability(large.random(2)).shape
    (torch.Size([3, 1]), torch.Size([2, 1]))
    """

    def __init__(
        self, lattice: Lattice, channels: Sequence[int] = (8, 8), kernel=3, hidden: Sequence[int] = (8,),
        outputs=1, even: bool = False, inputs=1, seed: int = 0,
    ):
        super().__init__(lattice, outputs, even, inputs)
        if not whole("kernel", kernel, 1) % 2:
            raise ValueError(f"kernel={kernel!r} is not allowed: it must be odd")
        self.kernel, self.cells = kernel, kernel ** len(lattice.shape)
        self.on(lattice)  # where it has to fit
        widths = [inputs * self.cells, *channels]
        self.layers = nn.Sequential(*_dense("channels", widths))
        widths = [widths[-1], *hidden]
        self.last = nn.Sequential(*_dense("hidden", widths), layer(nn.Linear, widths[-1], outputs))
        draw_weights(self, seed)

    def on(self, lattice: Lattice) -> "ConvolutionalNetwork":
        """The network on another lattice of its dimension: the weights are shared, not copied.

        Raises ValueError for another dimension, and where the kernel does not fit.
        """
        dimensions = len(self.lattice.shape)
        if len(lattice.shape) != dimensions or self.kernel // 2 > min(lattice.shape):
            allowed = f"{dimensions} sides of {self.kernel // 2} or more, for a kernel {self.kernel} wide"
            raise ValueError(f"lattice={lattice!r} is not allowed: it must have {allowed}")
        twin = copy.copy(self)
        twin.lattice = lattice
        return twin

    def log_odds(self, x):
        if self.inputs == 1 and self.cells <= MOST_CELLS and not x.requires_grad and bool((x.abs() == 1).all()):
            found = self._counts(x) @ self.layers(_patterns(self.cells).to(x)) / self.lattice.n_sites
        else:
            patches = x.reshape(-1, self.lattice.n_sites).index_select(1, _seen(self.lattice, self.kernel).to(x.device))
            patches = patches.view(len(x), self.inputs, self.lattice.n_sites, self.cells).transpose(1, 2).flatten(2)
            found = self.layers(patches).mean(1)
        return self.last(found)

    def _counts(self, x):
        """How often each pattern stands in spins ±1, `(batch, patterns)`."""
        codes, width = (x > 0).short().view(len(x), *self.lattice.shape), 1
        for axis in range(len(self.lattice.shape), 0, -1):
            codes = sum(codes.roll(self.kernel // 2 - k, axis) << k * width for k in range(self.kernel))
            width *= self.kernel
        counts = x.new_zeros(len(x), 2**self.cells)
        return counts.scatter_add_(1, codes.flatten(1).long(), x.new_ones(1).expand(x.shape))


@lru_cache
def _seen(lattice: Lattice, kernel: int) -> torch.Tensor:
    """The sites that each site sees, `(n_sites * cells,)`."""
    steps = product(range(-(kernel // 2), kernel // 2 + 1), repeat=len(lattice.shape))
    return torch.from_numpy(np.stack([lattice.shifted(step) for step in steps], axis=1)).flatten()


@lru_cache
def _patterns(cells: int) -> torch.Tensor:
    """All patterns of spins ±1 on so many sites, `(2**cells, cells)`."""
    return 2 * (torch.arange(2**cells)[:, None] >> torch.arange(cells) & 1) - 1
