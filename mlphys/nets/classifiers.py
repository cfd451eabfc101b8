"""Classifiers of configurations: each output is the log odds of the phase at low temperature."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from mlphys.checks import whole
from mlphys.lattices import Lattice
from mlphys.random import torch_generator


class Classifier(nn.Module):
    """What classifiers share: log odds `(batch, outputs)` of configurations `(batch, n_sites)`, in the network's own dtype.

    `even` networks give x and −x exactly the same answer: the mean over both. Weights are drawn from `seed` alone.
    """

    def __init__(self, lattice: Lattice, outputs: int = 1, even: bool = False):
        super().__init__()
        self.lattice, self.outputs, self.even = lattice, whole("outputs", outputs, 1), even

    def log_odds(self, x: torch.Tensor) -> torch.Tensor:
        """What `forward` symmetrises."""
        raise NotImplementedError

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.ndim != 2 or x.shape[1] != self.lattice.n_sites:
            raise ValueError(f"x has shape {tuple(x.shape)}: allowed is (batch, {self.lattice.n_sites})")
        x = x.to(next(self.parameters()).dtype)
        if not self.even:
            return self.log_odds(x)
        up, down = self.log_odds(torch.cat([x, -x])).chunk(2)
        return (up + down) / 2

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


class LogisticRegression(Classifier):
    """Log odds linear in x: blind to an order that has either sign."""

    def __init__(self, lattice: Lattice, outputs: int = 1, seed: int = 0):
        super().__init__(lattice, outputs)
        self.layer = layer(nn.Linear, lattice.n_sites, outputs)
        draw_weights(self, seed)

    def log_odds(self, x):
        return self.layer(x)


class MultilayerPerceptron(Classifier):
    """Fully connected layers of `hidden` units with ReLU between them; it knows nothing of the lattice."""

    def __init__(self, lattice: Lattice, hidden: Sequence[int] = (64,), outputs: int = 1, even: bool = False, seed: int = 0):
        super().__init__(lattice, outputs, even)
        sizes = [lattice.n_sites, *(whole("hidden", width, 1) for width in hidden)]
        layers = [module for pair in pairwise(sizes) for module in (layer(nn.Linear, *pair), nn.ReLU())]
        self.layers = nn.Sequential(*layers, layer(nn.Linear, sizes[-1], outputs))
        draw_weights(self, seed)

    def log_odds(self, x):
        return self.layers(x)


class ConvolutionalNetwork(Classifier):
    """Convolutions on the torus, the mean over all sites, one linear layer: exactly invariant under translations.

    `channels` after each convolution, each `kernel` sites wide (an odd number). Of any dimension from 1 to 3; a triangular
    lattice is the square one with a diagonal, which a 3 × 3 kernel holds. Weights do not depend on the size: with
    `load_state_dict` they move to another lattice of the same dimension.

    >>> import mlphys as mp
    >>> ising = mp.Ising(mp.square(4))
    >>> ConvolutionalNetwork(ising.lattice, even=True).probability(ising.random(3)).shape
    torch.Size([3, 1])
    """

    def __init__(self, lattice: Lattice, channels: Sequence[int] = (8, 8), kernel=3, outputs=1, even=False, seed: int = 0):
        super().__init__(lattice, outputs, even)
        reach, odd = divmod(whole("kernel", kernel, 1), 2)
        if not odd or reach > min(lattice.shape):
            raise ValueError(f"kernel={kernel!r} is not allowed: it must be odd, and fit on the lattice")
        convolution = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[len(lattice.shape) - 1]
        sizes = [1, *(whole("channels", width, 1) for width in channels)]
        layers = []
        for pair in pairwise(sizes):
            layers += [layer(convolution, *pair, kernel, padding=reach, padding_mode="circular"), nn.ReLU()]
        self.layers, self.last = nn.Sequential(*layers), layer(nn.Linear, sizes[-1], outputs)
        draw_weights(self, seed)

    def log_odds(self, x):
        return self.last(self.layers(x.reshape(len(x), 1, *self.lattice.shape)).flatten(2).mean(2))
