"""Networks of gauge fields: links go in, what comes out does not depend on the gauge."""

import torch
from torch import nn

from mlphys import checks
from mlphys.hamiltonians.vectors import plaquettes, seen_along
from mlphys.lattices import Lattice
from mlphys.random import torch_generator


class GaugeCovariant(nn.Module):
    """A gauge-equivariant convolutional network for U(1) links `(batch, n_sites, 2)` in two dimensions.

    Every site has features W that transform as closed loops through it do, at first the plaquette exp(iP). A layer
    multiplies those of the site, with 1 and all complex conjugates beside them, by those of sites up to `reach` steps along
    an axis, carried here along the links, and sums products with learnt real weights into `channels` new features: n layers
    reach loops of 2ⁿ plaquettes, of any shape. There and back along the same links, the transport of a closed loop cancels
    in U(1). `forward` gives numbers `(batch, n_sites, outputs)`, linear in the features of all layers, `energy` their sum
    over sites `(batch,)`. They do not change under gauge transformations, move with translations, and are even under
    θ → −θ, or odd with `odd`: real and imaginary parts. Raises ValueError for bad arguments.
    Source: Favoni, Ipp, Müller, Schuh 2022 (10.1103/PhysRevLett.128.032003).

    >>> import mlphys as mp
    >>> gauge = mp.U1Gauge(mp.square(4), beta=1.0)
    >>> net = GaugeCovariant(gauge.lattice, seed=1)
    >>> x, turn = gauge.random(2, seed=1), torch.linspace(0, 1, 16).double()
    >>> turned = x + turn[:, None] - turn[torch.as_tensor(gauge.lattice.neighbours[:, :2]).long()]
    >>> bool((net.energy(turned) - net.energy(x)).abs().max() < 1e-10)
    True
    """

    def __init__(
        self, lattice: Lattice, channels: int = 4, layers: int = 2, reach: int = 1, outputs: int = 1, odd: bool = False,
        seed: int = 0, dtype: torch.dtype = torch.float64,
    ):  # fmt: skip
        super().__init__()
        if lattice.name != "square":
            raise ValueError(f"lattice={lattice!r} is not allowed: it must be square")
        checks.whole("channels", channels, 1)
        self.lattice, self.odd, reach = lattice, odd, checks.whole("reach", reach, 1)
        self.steps = [(0, 0), *((0, s) for s in range(1, reach + 1)), *((s, 0) for s in range(1, reach + 1))]
        generator, before = torch_generator(seed, "weights"), 1
        self.products = nn.ParameterList()
        for _ in range(checks.whole("layers", layers, 1)):
            shape = (channels, 1 + 2 * before, len(self.steps) * (1 + 2 * before))
            weights = torch.randn(shape, generator=generator, dtype=torch.float64) / (shape[1] * shape[2]) ** 0.5
            self.products.append(nn.Parameter(weights.to(dtype)))
            before = channels
        width = 1 + layers * channels
        self.output = nn.Parameter(torch.zeros(checks.whole("outputs", outputs, 1), width, dtype=dtype))
        self.bias = nn.Parameter(torch.zeros(outputs, dtype=dtype))

    def features(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Loops through every site, complex `(batch, n_sites, channels)`, before the first layer and after each."""
        if x.shape[1:] != (self.lattice.n_sites, 2):
            raise ValueError(f"x has shape {tuple(x.shape)}: allowed is (batch, {self.lattice.n_sites}, 2)")
        angle = plaquettes(self.lattice, x).to(self.output.dtype)
        loops = [torch.polar(torch.ones_like(angle), angle)[..., None]]
        for weights in self.products:
            w = loops[-1]
            here = torch.cat([torch.ones_like(w[..., :1]), w, w.conj()], -1)
            near = torch.cat([seen_along(self.lattice, here, step) for step in self.steps], -1)
            # batch, site, channel i of this site times channel j of those around, into channel k
            mixed = near @ weights.to(w.dtype).permute(2, 0, 1).flatten(1)
            mixed = mixed.unflatten(-1, weights.shape[:2])
            loops.append((mixed * here[..., None, :]).sum(-1))
        return loops

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        loops = torch.cat(self.features(x), -1)
        return (loops.imag if self.odd else loops.real) @ self.output.T + (0 if self.odd else self.bias)

    def energy(self, x: torch.Tensor) -> torch.Tensor:
        """The sum of the first output over all sites `(batch,)`: an action that can be learnt."""
        return self(x)[..., 0].sum(1)
