"""Transformers of patches as wave functions, whose attention depends only on how far apart two patches are."""

import math

import numpy as np
import torch
from torch import nn
from torch.nn.functional import gelu

from mlphys.checks import whole
from mlphys.lattices import Lattice
from mlphys.nets.wavefunctions import WaveFunction
from mlphys.random import torch_generator


class ViT(WaveFunction):
    """A transformer over patches of `patch` sites a side with factored attention, even under spin flip: ψ(−x) = ψ(x).

    Each patch is a token of `dimension` numbers. In each of the `layers`, `heads` average what the tokens say over the whole
    lattice with learned weights of the distance, and a network of two layers turns each token; in the first, what is seen is
    multiplied by the patch's own spins, which makes all that follows even. log ψ is Σ log cosh of 4 · `dimension` complex
    linear functions of the sum of all tokens, or of real ones if `positive`. All parameters are real. Moves by whole patches
    leave ψ as it is, so that patch = 1 means momentum 0; other symmetries are for `Symmetric` to project.
    dtype: torch.float64 or torch.float32. Raises ValueError for bad arguments, patches that do not tile the lattice among
    them.
    Sources: Viteritti, Rende, Becca 2023 (10.1103/PhysRevLett.130.236401); Rende et al. 2024 (10.1038/s42005-024-01732-4).

    >>> from mlphys.lattices import square
    >>> psi = ViT(square(4), patch=2, dimension=8, heads=2, layers=1)
    >>> x = torch.sign(torch.randn(5, 16, generator=torch_generator(0)))
    >>> moved = -x[:, psi.lattice.shifted((0, 2))]
    >>> psi.log_psi(x).dtype, bool((psi.log_psi(moved) - psi.log_psi(x)).abs().max() < 1e-12)
    (torch.complex128, True)
    """

    sites: torch.Tensor
    translations: torch.Tensor
    distance: torch.Tensor
    embedding: torch.Tensor
    attention: torch.Tensor
    values: torch.Tensor
    mix: torch.Tensor
    expand: torch.Tensor
    expand_bias: torch.Tensor
    contract: torch.Tensor
    output: torch.Tensor
    output_bias: torch.Tensor

    def __init__(
        self, lattice: Lattice, patch: int = 2, dimension: int = 24, heads: int = 6, layers: int = 2,
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
        # Which translation takes block i to block j: (i, j).
        distance = np.argsort(blocks.translations, axis=0).T
        for name, table in (("sites", sites), ("translations", blocks.translations), ("distance", distance)):
            self.register_buffer(name, torch.from_numpy(table.astype(np.int64)), persistent=False)
        # Tokens of a batch stay in the nearest caches.
        self.batch = max(32, 2**17 // (self.dimension * blocks.n_sites))
        d, n, generator = self.dimension, whole("layers", layers, 1), torch_generator(seed, "weights")

        def parameter(name: str, *shape: int, width: float | torch.Tensor = 1.0) -> None:
            weights = torch.randn(shape, dtype=torch.float64, generator=generator) * width / math.sqrt(shape[-1])
            self.register_parameter(name, nn.Parameter(weights.to(dtype)))

        # What a token says of itself, and to others.
        parameter("embedding", 2, d, len(sites))
        parameter("attention", n, self.heads, blocks.n_sites)
        parameter("values", n - 1, d, d)
        parameter("mix", n - 1, d, d)
        parameter("expand", n, 2 * d, d)
        parameter("expand_bias", n, 2 * d, 1, width=0.1)
        parameter("contract", n, d, 2 * d)
        # Small moduli, so that no state is far more probable than the others before the first step; wider phases, or the
        # nodes at which a sign may turn would be out of reach.
        widths = torch.tensor([0.05, 0.25], dtype=torch.float64)[: 2 - positive, None, None]
        parameter("output", 2 - positive, 4 * d, d, width=widths)
        parameter("output_bias", 2 - positive, 4 * d, 1, width=0.1)

    def log_psi(self, x):
        return self._log_psi(x, [])

    def _log_psi(self, x: torch.Tensor, tape: list) -> torch.Tensor:
        """log ψ; `tape` gets the parameter, the outputs and the inputs of every linear map."""
        batch, d = len(x), self.dimension

        def noted(name, outputs, inputs):
            tape.append((name, outputs, inputs))
            return outputs

        def seen(layer, values):
            values = values.view(d, -1, batch)
            return noted("attention", torch.bmm(attention[layer], values), values).view(d, -1)

        # Tokens are columns (dimension, blocks · batch), so that every map is one product of matrices.
        spins = x.T.to(self.embedding.dtype)[self.sites].flatten(1)
        attention = self.attention[:, :, None, self.distance].expand(-1, -1, d // self.heads, -1, -1).flatten(1, 2)
        own, values = noted("embedding", self.embedding.flatten(0, 1) @ spins, spins).split(d)
        tokens = own * seen(0, values)
        for layer in range(len(attention)):
            if layer:
                normed = _normed(tokens)
                averages = seen(layer, noted("values", self.values[layer - 1] @ normed, normed))
                tokens = noted("mix", torch.addmm(tokens, self.mix[layer - 1], averages), averages)
            normed = _normed(tokens)
            hidden = gelu(noted("expand", torch.addmm(self.expand_bias[layer], self.expand[layer], normed), normed))
            if layer == len(attention) - 1:  # only the sum over all tokens is still needed
                tokens, hidden = (part.view(len(part), -1, batch).sum(1) for part in (tokens, hidden))
            tokens = noted("contract", torch.addmm(tokens, self.contract[layer], hidden), hidden)
        total = _normed(tokens, floor=1.0)
        return _log_cosh(noted("output", self.output @ total + self.output_bias, total))

    def _jacobian(self, x):
        sizes = {name: parameter.numel() for name, parameter in self.named_parameters()}
        shape = len(x), 1 if self.positive else 2, sum(sizes.values())
        found = torch.empty(shape, dtype=torch.float64, device=self.device)
        starts = dict(zip(sizes, np.cumsum([0, *sizes.values()]).tolist(), strict=False))
        for part, rows in zip(x.to(self.device).split(self.batch), found.split(self.batch), strict=True):
            self._write_jacobian(part, rows, starts)
        return found

    def _write_jacobian(self, x: torch.Tensor, found: torch.Tensor, starts: dict[str, int]) -> None:
        """Products of what goes into each linear map and of the gradient by what comes out, for all samples at once."""
        tape: list = []
        value = self._log_psi(x, tape)
        for k, part in enumerate((value,) if self.positive else (value.real, value.imag)):
            gradients = torch.autograd.grad(part.sum(), [outputs for _, outputs, _ in tape], retain_graph=True)
            at = dict(starts)
            for (name, _, inputs), gradient in zip(tape, gradients, strict=True):
                inputs = inputs.detach().reshape(len(inputs), -1, len(x))
                gradient = gradient.reshape(-1, *inputs.shape[1:])
                if name == "attention":
                    moved = [(gradient * inputs[:, move]).sum(1) for move in self.translations]
                    products = torch.stack(moved).unflatten(1, (self.heads, -1)).sum(2).permute(2, 1, 0)
                else:
                    # In one piece each: many small matrices would be copied one by one.
                    inputs, gradient = (part.permute(2, 1, 0).contiguous() for part in (inputs, gradient))
                    products = gradient.mT @ inputs
                blocks = {name: products.flatten(1)}
                if f"{name}_bias" in at:
                    blocks[f"{name}_bias"] = gradient.sum(1)
                for name, block in blocks.items():
                    found[:, k, at[name] : at[name] + block.shape[1]] = block
                    at[name] += block.shape[1]


def _normed(tokens: torch.Tensor, floor: float = 1e-2) -> torch.Tensor:
    """Columns of mean square 1, unless that is below `floor` (Zhang and Sennrich 2019, arXiv:1910.07467)."""
    return tokens * torch.rsqrt((tokens * tokens).mean(0) + floor)


def _log_cosh(theta: torch.Tensor) -> torch.Tensor:
    """Σ log cosh θ `(batch,)` of real parts and, where there are any, imaginary parts `(1 or 2, units, batch)`."""
    # Without overflow: of θ or −θ, whichever has the larger real part.
    real, decay = theta[0].abs(), torch.exp(-2 * theta[0].abs())
    if len(theta) == 1:
        return (real + torch.log1p(decay) - math.log(2)).sum(0)
    # Logarithms of products, since that of a complex number is dear, short enough not to underflow.
    angle, decay = theta[1] * torch.copysign(torch.ones_like(decay), theta[0].detach()), decay / 2
    factors = torch.complex(0.5 + decay * torch.cos(2 * angle), -decay * torch.sin(2 * angle))
    logarithm = torch.stack([part.prod(0).log() for part in factors.split(64)]).sum(0)
    return torch.complex(real.sum(0), angle.sum(0)) + logarithm
