"""Transformers of patches as wave functions, whose attention depends only on how far apart two patches are."""

import numpy as np
import torch
from torch import nn

from mlphys.checks import whole
from mlphys.lattices import Lattice
from mlphys.nets.wavefunctions import WaveFunction
from mlphys.random import torch_generator


class ViT(WaveFunction):
    """A transformer over patches of `patch` sites a side, with factored attention: even under spin flip, momentum 0.

    Each patch becomes a token of `dimension` numbers. In each of the `layers`, `heads` average the tokens of the whole
    lattice with learned weights of their distance, and a network of two layers turns each token; log ψ is Σ log cosh of
    complex linear functions of the sum of the tokens, or of real ones if `positive`. All parameters are real; all maps are
    odd without a bias, so that ψ(−x) = ψ(x), and translations by whole patches leave ψ as it is, both exactly. What lies
    within a patch is for `Symmetric` to project. dtype: torch.float64 or torch.float32. Raises ValueError for bad
    arguments, patches that do not tile the lattice among them.
    Sources: Viteritti, Rende, Becca 2023 (10.1103/PhysRevLett.130.236401); Rende et al. 2024 (10.1038/s42005-024-01732-4).

    >>> from mlphys.lattices import square
    >>> psi = ViT(square(4), patch=2, dimension=8, heads=2, layers=1)
    >>> x = torch.sign(torch.randn(5, 16, generator=torch_generator(0)))
    >>> psi.log_psi(x).dtype, bool((psi.log_psi(-x) - psi.log_psi(x)).abs().max() < 1e-12)
    (torch.complex128, True)
    """

    sites: torch.Tensor
    distance: torch.Tensor
    embedding: torch.Tensor
    attention: torch.Tensor
    values: torch.Tensor
    mix: torch.Tensor
    expand: torch.Tensor
    contract: torch.Tensor
    output: torch.Tensor

    def __init__(
        self, lattice: Lattice, patch: int = 2, dimension: int = 32, heads: int = 8, layers: int = 2,
        positive: bool = False, dtype: torch.dtype = torch.float64, seed: int = 0,
    ):  # fmt: skip
        super().__init__()
        self.lattice, self.n_sites, self.positive = lattice, lattice.n_sites, positive
        self.dimension, self.heads = whole("dimension", dimension, 1), whole("heads", heads, 1)
        if self.dimension % self.heads:
            raise ValueError(f"heads={heads!r} is not allowed: it must divide dimension={dimension}")
        if any(side % whole("patch", patch, 1) for side in lattice.shape):
            raise ValueError(f"patch={patch!r} is not allowed: it must divide every side of {lattice!r}")
        if dtype not in (torch.float64, torch.float32):
            raise ValueError(f"dtype={dtype!r} is not allowed: it must be torch.float64 or torch.float32")
        blocks = Lattice(lattice.name, tuple(side // patch for side in lattice.shape), lattice.directions, lattice.basis)
        block = np.ravel_multi_index(tuple((lattice.coordinates // patch).T), blocks.shape)
        # The sites of each block, in the same order within it: (patch sites, blocks).
        sites = np.argsort(block, kind="stable").reshape(blocks.n_sites, -1).T
        # Which translation takes block i to block j.
        distance = np.argsort(blocks.translations, axis=0).T
        self.register_buffer("sites", torch.from_numpy(sites.copy()), persistent=False)
        self.register_buffer("distance", torch.from_numpy(distance.copy()), persistent=False)
        d, n, generator = self.dimension, whole("layers", layers, 1), torch_generator(seed, "weights")
        shapes = {"embedding": (d, len(sites)), "attention": (n, self.heads, blocks.n_sites), "values": (n, d, d)}
        shapes |= {"mix": (n, d, d), "expand": (n, 2 * d, d), "contract": (n, d, 2 * d), "output": (2 - positive, d, d)}
        for name, shape in shapes.items():
            weights = torch.randn(shape, dtype=torch.float64, generator=generator) / shape[-1] ** 0.5
            self.register_parameter(name, nn.Parameter(weights.to(dtype)))

    def log_psi(self, x):
        batch, d, blocks = len(x), self.dimension, self.sites.shape[1]
        # Tokens are columns (dimension, blocks · batch), so that every map is one product of matrices.
        tokens = self.embedding @ x.T[self.sites].flatten(1).to(self.embedding.dtype)
        attention = self.attention[:, :, self.distance].repeat_interleave(d // self.heads, dim=1)
        for weights, values, mix, expand, contract in zip(
            attention, self.values, self.mix, self.expand, self.contract, strict=True
        ):
            seen = (values @ _normed(tokens)).view(d, blocks, batch)
            tokens = torch.addmm(tokens, mix, torch.bmm(weights, seen).view(d, -1))
            tokens = torch.addmm(tokens, contract, torch.tanh(expand @ _normed(tokens)))
        hidden = self.output @ tokens.view(d, blocks, batch).sum(1)
        theta = hidden[0] if self.positive else torch.complex(hidden[0], hidden[1])
        # log cosh without overflow: of θ or −θ, whichever has the larger real part.
        theta = torch.where(theta.real < 0, -theta, theta)
        return (theta + torch.log1p(torch.exp(-2 * theta)) - np.log(2.0)).sum(0)


def _normed(tokens: torch.Tensor) -> torch.Tensor:
    """Columns of mean square 1 (Zhang and Sennrich 2019, arXiv:1910.07467)."""
    return tokens * torch.rsqrt((tokens * tokens).mean(0) + 1e-6)
