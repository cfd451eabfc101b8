"""Flows for real fields: a free field, then sites of one colour moved by what the others say; φ → −φ is built in."""

import math

import numpy as np
import torch
from torch import nn

from mlphys import checks
from mlphys.flows.flow import Flow, Layer, Prior
from mlphys.flows.maps import Affine, Sinh, Spline
from mlphys.hamiltonians.fields import Phi4
from mlphys.lattices import Lattice
from mlphys.random import torch_generator

MAPS = {"affine": Affine, "sinh": Sinh, "spline": Spline}


class FreeField(Prior):
    """The free field of a `Phi4` with coupling 0, or the one nearest to an interacting one: every wave is Gaussian.

    Nearest means of least variational free energy: ⟨φ²⟩ corrects the mass until both agree (the Hartree approximation).

    >>> import mlphys as mp
    >>> free = mp.Phi4(mp.square(8), mass2=0.5, coupling=0.0)
    >>> z = FreeField(free).sample(4000, torch.Generator().manual_seed(1))
    >>> round(z.square().mean().item(), 2), round(mp.exact.free_field(free).phi2, 2)
    (0.16, 0.16)
    """

    size: torch.Tensor

    def __init__(self, hamiltonian: Phi4, dtype: torch.dtype = torch.float32):
        super().__init__()
        self.shape = hamiltonian.lattice.shape
        self.register_buffer("origin", torch.zeros((), dtype=dtype), persistent=False)
        # Noise of unit variance on the sites has unit variance in each wave, and exp(−s φ²) asks for 1/2s.
        size = (2 * nearest_free(hamiltonian)) ** -0.5
        self.register_buffer("size", torch.from_numpy(size).to(dtype), persistent=False)

    def sample(self, n, generator):
        noise = torch.randn(n, len(self.size), generator=generator, dtype=self.origin.dtype)
        return _filtered(noise.to(self.origin.device), self.size, self.shape)

    def log_prob(self, z):
        noise = _filtered(z, 1 / self.size, self.shape)
        return -0.5 * (noise * noise).sum(1) - self.size.log().sum() - 0.5 * len(self.size) * math.log(2 * math.pi)


def nearest_free(hamiltonian: Phi4) -> np.ndarray:
    """Eigenvalues s_k of the quadratic action Σ_k s_k |φ_k|² that is nearest to that of `hamiltonian`, `(n_sites,)`."""
    spectrum, coupling = hamiltonian.spectrum, hamiltonian.coupling
    if coupling == 0:
        return spectrum
    # ⟨φ²⟩ = mean 1/2(s_k + shift), and 6 λ ⟨φ²⟩ is the shift that the quartic term makes: bisection.
    low = max(0.0, -spectrum.min())
    high = low + math.sqrt(3 * coupling)
    for _ in range(60):
        shift = (low + high) / 2
        low, high = (shift, high) if 3 * coupling * np.mean(1 / (spectrum + shift)) > shift else (low, shift)
    return spectrum + high


def _filtered(x: torch.Tensor, factors: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """Every wave of fields `(batch, n_sites)` times its factor `(n_sites,)`, the same for k and −k."""
    axes = tuple(range(1, 1 + len(shape)))
    waves = torch.fft.fftn(x.reshape(-1, *shape), dim=axes) * factors.reshape(shape)
    return torch.fft.ifftn(waves, dim=axes).real.reshape(x.shape)


class Waves(Layer):
    """Every wave of a field times a factor that is learnt, the same one for waves that the point group joins."""

    orbit: torch.Tensor

    def __init__(self, lattice: Lattice, dtype: torch.dtype = torch.float32):
        super().__init__()
        self.shape = lattice.shape
        self.register_buffer("orbit", torch.from_numpy(lattice.wave_orbits), persistent=False)
        self.log_factor = nn.Parameter(torch.zeros(lattice.wave_orbits.max() + 1, dtype=dtype))

    def _scaled(self, x, log_factor):
        return _filtered(x, log_factor.exp(), self.shape), log_factor.sum().expand(len(x))

    def forward(self, x):
        return self._scaled(x, self.log_factor[self.orbit])

    def inverse(self, y):
        return self._scaled(y, -self.log_factor[self.orbit])


class Coupling(Layer):
    """Sites of one colour, each moved by a monotone `map` whose numbers the other sites within `reach` steps say.

    One network of `width` hidden units serves all sites, so that the layer commutes with the translations that keep the
    colours. Its hidden units are odd in the field, and even numbers come from their squares: the layer commutes with φ → −φ.
    `scale` is the size of the field. Source: Dinh, Sohl-Dickstein, Bengio 2017 (arXiv:1605.08803).
    """

    sites: torch.Tensor
    near: torch.Tensor
    seen: torch.Tensor

    def __init__(self, lattice: Lattice, colour: int, map, width: int, reach: int, scale: float, generator, dtype):
        super().__init__()
        self.map, self.scale, self.width = map, scale, width
        sites, others = np.flatnonzero(lattice.colours == colour), lattice.colours != colour
        steps = [step for step in _within(lattice, reach) if others[lattice.shifted(step)[sites]].any()]
        near = np.stack([lattice.shifted(step)[sites] for step in steps], axis=1).astype(np.int64)
        for name, table in {"sites": sites, "near": near}.items():
            self.register_buffer(name, torch.from_numpy(table), persistent=False)
        self.register_buffer("seen", torch.from_numpy(others[near] / scale).to(dtype), persistent=False)
        weights = torch.randn(len(steps), width, generator=generator, dtype=dtype)
        self.hidden = nn.Parameter(weights / len(steps) ** 0.5)
        self.odd = nn.Parameter(torch.zeros(width, map.odd, dtype=dtype))
        self.even = nn.Parameter(torch.zeros(1 + width, map.even, dtype=dtype))

    def _moved(self, x, inverse):
        near = x.index_select(1, self.near.ravel()).reshape(-1, *self.near.shape)  # batch, site, step
        h = torch.tanh((near * self.seen) @ self.hidden)
        # Means over hidden units, so that one learning rate suits any width.
        odd, even = h @ (self.odd / self.width), (h * h) @ (self.even[1:] / self.width) + self.even[0]
        y, log_slope = self.map(x[:, self.sites] / self.scale, odd, even, inverse)
        return x.index_copy(1, self.sites, y * self.scale), log_slope.sum(1)

    def forward(self, x):
        return self._moved(x, inverse=False)

    def inverse(self, y):
        return self._moved(y, inverse=True)


def _within(lattice: Lattice, reach: int) -> list[np.ndarray]:
    """Integer steps to other sites, the shortest way around, of at most `reach` along all axes together."""
    shape = np.asarray(lattice.shape)
    steps = (lattice.coordinates + shape // 2) % shape - shape // 2
    return [step for step in steps if 0 < np.abs(step).sum() <= reach]


class FieldFlow(Flow):
    """A flow for `Phi4` in either form: the nearest free field, learnt factors of its waves, then `layers` couplings.

    The couplings move the colours of the lattice in turn. `kind` is their map: "affine", "spline" (rational-quadratic) or
    "sinh", whose tails fit φ⁴; a number of hidden units `width`, and the steps `reach` that they see. Everything random is
    drawn from `seed`. The flow has one mode: it is for the symmetric phase. Raises ValueError for bad arguments.

    >>> import mlphys as mp
    >>> field = mp.Phi4(mp.square(4), mass2=-4.0, coupling=6.008)
    >>> flow = FieldFlow(field, layers=4)
    >>> for step in mp.flows.fit(flow, field, steps=60, batch=128):
    ...     pass
    >>> step.kish > 0.7
    True
    """

    def __init__(
        self, hamiltonian: Phi4, layers: int = 8, kind: str = "sinh", width: int = 16, reach: int = 3, seed: int = 0,
        dtype: torch.dtype = torch.float32,
    ):  # fmt: skip
        if not isinstance(hamiltonian, Phi4):
            raise ValueError(f"hamiltonian={hamiltonian!r} is not allowed: it must be a Phi4")
        checks.one_of("kind", kind, tuple(MAPS))
        for name, value in {"layers": layers, "width": width, "reach": reach}.items():
            checks.whole(name, value, 1)
        lattice, generator = hamiltonian.lattice, torch_generator(seed, "weights")
        prior = FreeField(hamiltonian, dtype)
        scale, colours = float(prior.size.square().mean().sqrt()), int(lattice.colours.max()) + 1
        couplings = [
            Coupling(lattice, n % colours, MAPS[kind](), width, reach, scale, generator, dtype) for n in range(layers)
        ]
        super().__init__(prior, [Waves(lattice, dtype), *couplings])
