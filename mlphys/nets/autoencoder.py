"""A variational autoencoder of configurations whose variables take two values."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from mlphys.checks import whole
from mlphys.lattices import Lattice
from mlphys.nets.classifiers import MultilayerPerceptron, draw_weights, layer
from mlphys.random import spawn


class VariationalAutoencoder(nn.Module):
    """Describes a configuration by `latent` numbers z, normal a priori, from which its sites are drawn one by one.

    q(z|x) is normal, its mean and width from a perceptron with layers of `hidden` units; in p(x|z) sites are independent,
    with log odds from the mirrored perceptron. Sites of x `(batch, n_sites)`, or `(batch, inputs, n_sites)`, are positive or
    not: ±1, or 0 and 1. Weights are drawn from `seed` alone. Source: Kingma and Welling 2014 (arXiv:1312.6114).

    >>> import mlphys as mp
    >>> ising = mp.Ising(mp.square(4))
    >>> network = VariationalAutoencoder(ising.lattice, hidden=(8,))
    >>> network.encode(ising.random(3)).shape, network.bound(ising.random(3), torch.zeros(3, 1)).shape
    (torch.Size([3, 1]), torch.Size([3]))
    """

    def __init__(self, lattice: Lattice, hidden: Sequence[int] = (64,), latent: int = 1, inputs: int = 1, seed: int = 0):
        super().__init__()
        self.latent = whole("latent", latent, 1)
        self.encoder = MultilayerPerceptron(lattice, hidden, outputs=2 * self.latent, inputs=inputs, seed=seed)
        sizes = [self.latent, *reversed(hidden)]
        layers = [module for pair in pairwise(sizes) for module in (layer(nn.Linear, *pair), nn.ReLU())]
        self.decoder = nn.Sequential(*layers, layer(nn.Linear, sizes[-1], inputs * lattice.n_sites))
        draw_weights(self.decoder, spawn(seed, "decoder"))

    def bound(self, x: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Estimates of a lower bound of log p(x), `(batch,)` in nats, from normal noise `(batch, latent)`."""
        mean, log_width = self.encoder(x).chunk(2, dim=1)
        logits = self.decoder(mean + log_width.exp() * noise)
        reconstruction = binary_cross_entropy_with_logits(logits, (x.flatten(1) > 0).to(logits), reduction="none").sum(1)
        divergence = ((mean**2 + (2 * log_width).exp() - 1) / 2 - log_width).sum(1)
        return -reconstruction - divergence

    def encode(self, x: torch.Tensor, batch: int = 1024) -> torch.Tensor:
        """Mean of z given x, `(len(x), latent)` on the CPU, computed `batch` rows at a time."""
        return self.encoder.evaluate(x, batch)[:, : self.latent]
