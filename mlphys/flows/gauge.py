"""Gauge-equivariant flows of links: magnetic flux is moved between neighbouring blocks of plaquettes."""

import math
from functools import partial

import torch
from torch import nn

from mlphys import checks
from mlphys.flows.circular import odd_map
from mlphys.flows.flow import Flow, Layer, Prior
from mlphys.hamiltonians.gauge import U1Gauge
from mlphys.hamiltonians.vectors import plaquettes, wrapped
from mlphys.lattices import Lattice
from mlphys.random import torch_generator

BINS = 16


class EvenLinks(Prior):
    """Links spread evenly over the circle (the Haar measure), `(n, n_sites, 2)`: all gauges and all charges alike."""

    def __init__(self, lattice: Lattice, dtype: torch.dtype = torch.float64):
        super().__init__()
        self.n_sites = lattice.n_sites
        self.register_buffer("origin", torch.zeros((), dtype=dtype), persistent=False)

    def sample(self, n, generator):
        turns = torch.rand(n, self.n_sites, 2, generator=generator, dtype=self.origin.dtype)
        return ((2 * turns - 1) * math.pi).to(self.origin.device)

    def log_prob(self, z):
        return z.new_full((len(z),), -2 * self.n_sites * math.log(2 * math.pi))


class FluxCoupling(Layer):
    """Blocks of `shape` plaquettes tile the torus; each divides its flux anew between its two halves along `axis`.

    With ψ the flux through a block, in [−π, π), and ψ/2 ± δ that through its halves, δ is carried by an odd map of the
    circle. The density that this map makes, exp(Σ aₙ fₙ(cos δ)) with a₁ > 0, is chosen by a network of `width` hidden units
    from ψ, and from ψ of the blocks within `reach` of it: Wilson loops that the layer does not change. Links across it move,
    by amounts that spread what was moved evenly over each half, so that the halves' own divisions stay as they were.
    Since loops see no gauge, the layer commutes with gauge transformations; with θ → −θ, the exchange of the halves and the
    translations that keep the blocks, too. `offset` says where blocks begin.

    ψ → ψ + 2π is the same as δ → δ + π, so that aₙ of odd powers have the factor cos ψ/2: where the density jumps with ψ,
    gradients through samples are wrong.
    """

    waves: torch.Tensor
    tent: torch.Tensor

    def __init__(
        self, lattice: Lattice, shape, axis: int, modes=4, width=16, reach=0, offset=(0, 0), generator=None,
        dtype=torch.float64,
    ):  # fmt: skip
        super().__init__()
        self.lattice, self.shape, self.axis, self.reach, self.offset = lattice, tuple(shape), axis, reach, tuple(offset)
        inputs = 2 + 2 * ((2 * reach + 1) ** 2 - 1)
        hidden = torch.randn(inputs, width, generator=generator, dtype=torch.float64) / inputs**0.5
        self.hidden, self.shift = nn.Parameter(hidden.to(dtype)), nn.Parameter(torch.zeros(width, dtype=dtype))
        self.output, self.bias = (nn.Parameter(torch.zeros(*size, modes, dtype=dtype)) for size in ((width,), ()))
        # Two that curve at δ = 0, the second where the first is weak, and others that do not: well apart for the optimiser.
        t = torch.linspace(0, math.pi, 2 * BINS + 1, dtype=dtype).cos()
        waves = [t, t**2, *(t ** (n - 2) - (n - 2) / n * t**n for n in range(3, modes + 1))]
        self.register_buffer("waves", torch.stack(waves[:modes]), persistent=False)
        # How far each link across a block moves: a tent, up to the middle and down again.
        rows, columns = self.shape
        length, breadth = (columns, rows) if axis == 1 else (rows, columns)
        tent = (1 - (2 * torch.arange(length, dtype=dtype) / length - 1).abs()) / breadth
        tent = tent.expand(rows, columns) if axis == 1 else -tent[:, None].expand(rows, columns)
        tent = torch.stack([torch.zeros_like(tent), tent] if axis == 1 else [tent, torch.zeros_like(tent)], -1)
        self.register_buffer("tent", tent[:, None], persistent=False)  # rows, 1, columns, 2

    def log_density(self, flux: torch.Tensor) -> torch.Tensor:
        """Logarithm of the density of δ, at equally spaced angles from 0 to π, of fluxes `(batch, rows, columns)`."""
        seen = [flux.cos(), (2 * flux).cos()]
        for step in _around(self.reach):
            near = flux.roll(step, (1, 2))
            seen += [near.cos(), near.sin() * flux.sin()]
        numbers = torch.tanh(torch.stack(seen, -1) @ self.hidden + self.shift) @ self.output + self.bias
        odd, even = (flux / 2).cos(), torch.ones_like(flux)
        factors = [odd, even - odd, *(odd if n % 2 else even for n in range(3, len(self.waves) + 1))]
        factors[0] = factors[0] * numbers[..., 0].exp()
        scaled = torch.cat([torch.ones_like(numbers[..., :1]), numbers[..., 1:]], -1)
        return (scaled * torch.stack(factors[: len(self.waves)], -1)) @ self.waves

    def _moved(self, x, inverse):
        (rows, columns), (height, breadth) = self.lattice.shape, self.shape
        tiles = rows // height, height, columns // breadth, breadth
        angles = self._rolled(plaquettes(self.lattice, x).reshape(-1, rows, columns), -1).reshape(-1, *tiles)
        half = angles[..., : breadth // 2] if self.axis == 1 else angles[:, :, : height // 2]
        flux = wrapped(angles.sum((2, 4)))
        delta = wrapped(half.sum((2, 4)) - flux / 2)
        moved, log_slope = odd_map(delta, self.log_density(flux), inverse)
        shift = (moved - delta)[:, :, None, :, None, None] * self.tent
        shift = self._rolled(shift.reshape(-1, rows, columns, 2), 1)
        return x + shift.reshape(x.shape), log_slope.sum((1, 2))

    def _rolled(self, grid, sign):
        return grid.roll([sign * o for o in self.offset], (1, 2)) if any(self.offset) else grid

    def forward(self, x):
        return self._moved(x, inverse=False)

    def inverse(self, y):
        return self._moved(y, inverse=True)


def _around(reach: int) -> list[tuple[int, int]]:
    steps = range(-reach, reach + 1)
    return [(i, j) for i in steps for j in steps if (i, j) != (0, 0)]


class GaugeFlow(Flow):
    """A gauge-equivariant flow for `U1Gauge`: evenly spread links, then flux is divided, from the largest blocks down.

    The torus is halved again and again, down to single plaquettes, by one layer of `FluxCoupling` each: 2 log₂ L of them,
    which begin at the weights of weak coupling. With `layers`, so many couplings of neighbouring plaquettes stand in their
    place, in four tilings by turns, whose networks see the blocks within `reach`: flux then has to diffuse. Links that stay
    on the boundary of every block, and thereby gauges and closed lines around the torus, stay evenly spread. Sides must be
    powers of two, or even with `layers`; ValueError otherwise. Sources: Kanwar et al. 2020
    (10.1103/PhysRevLett.125.121601); of many scales: Abbott et al. 2024 (arXiv:2404.10819).

    >>> import mlphys as mp
    >>> gauge = mp.U1Gauge(mp.square(4), beta=2.0)
    >>> flow = GaugeFlow(gauge, seed=1)
    >>> for step in mp.flows.fit(flow, gauge, steps=20, batch=64, rate=0.02):
    ...     pass
    >>> step.kish > 0.9
    True
    """

    def __init__(
        self, hamiltonian: U1Gauge, layers: int | None = None, modes: int = 4, width: int = 16, reach: int | None = None,
        seed: int = 0, dtype: torch.dtype = torch.float64,
    ):  # fmt: skip
        if not isinstance(hamiltonian, U1Gauge):
            raise ValueError(f"hamiltonian={hamiltonian!r} is not allowed: it must be a U1Gauge")
        lattice = hamiltonian.lattice
        modes, width = checks.whole("modes", modes, 1), checks.whole("width", width, 1)
        if layers is None:
            if any(side & (side - 1) for side in lattice.shape):
                raise ValueError(f"lattice={lattice!r} cannot be halved down to plaquettes: sides must be powers of two")
            tiles, reach = _halved(lattice.shape), 0 if reach is None else reach
        else:
            if any(side % 2 for side in lattice.shape):
                raise ValueError(f"lattice={lattice!r} has no pairs of plaquettes: sides must be even")
            pairs = [((1, 2), 1, (0, 0)), ((2, 1), 0, (0, 0)), ((1, 2), 1, (0, 1)), ((2, 1), 0, (1, 0))]
            tiles = [pairs[n % 4] for n in range(checks.whole("layers", layers, 1))]
            reach = 1 if reach is None else reach
        generator, reach = torch_generator(seed, "weights"), checks.whole("reach", reach, 0)
        make = partial(FluxCoupling, lattice, modes=modes, width=width, reach=reach, generator=generator, dtype=dtype)
        couplings = [make(shape, axis, offset=offset) for shape, axis, offset in tiles]
        super().__init__(EvenLinks(lattice, dtype), couplings)
        for coupling in couplings:
            # Where β is large, halves of s plaquettes have the weights exp(β/s cos flux); many layers share the work.
            rows, columns = coupling.shape
            with torch.no_grad():
                coupling.bias[0] = math.log(4 * hamiltonian.beta / (rows * columns) if layers is None else 0.1)

    def adopt(self, smaller: "GaugeFlow") -> None:
        """Take over what a flow on a smaller torus learnt, but not from its largest block, which has no flux to divide.

        Both begin at the same smallest blocks; layers for larger ones are left as they are.
        """
        for layer, learnt in zip(reversed(self.layers), reversed(smaller.layers[1:]), strict=False):
            layer.load_state_dict(learnt.state_dict())

    def forward(self, x):
        x, log_det = super().forward(x)
        return wrapped(x), log_det

    def inverse(self, y):
        y, log_det = super().inverse(y)
        return wrapped(y), log_det


def _halved(shape: tuple[int, ...]) -> list[tuple[tuple[int, int], int, tuple[int, int]]]:
    """Blocks and the axis along which each is halved, from the torus itself down to pairs."""
    (rows, columns), tiles = shape, []
    while rows * columns > 1:
        axis = 1 if columns >= rows else 0
        tiles.append(((rows, columns), axis, (0, 0)))
        rows, columns = (rows, columns // 2) if axis == 1 else (rows // 2, columns)
    return tiles
