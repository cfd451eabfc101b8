"""Classical spins that point anywhere on a circle or a sphere."""

from collections.abc import Callable
from functools import cached_property

import numpy as np

from mlphys.checks import whole
from mlphys.exact.values import finite
from mlphys.hamiltonians.base import (
    Hamiltonian,
    binder,
    check_lattice,
    correlation_length,
    heat_capacity,
    structure_factor,
    susceptibility,
)
from mlphys.lattices import Lattice
from mlphys.random import generator


class _Vectors(Hamiltonian):
    """H = −J Σ_bonds u · u' for unit vectors u: what the models have in common."""

    rules = ("metropolis", "heat_bath", "overrelaxation")
    proposal_width = 2.0

    def __init__(self, lattice: Lattice, coupling: float = 1.0):
        self.lattice = check_lattice(lattice)
        self.coupling = finite("coupling", coupling)
        # Functions of (x, its vectors u, beta): a measurement needs u once.
        self._parts: dict[str, Callable] = {
            "energy": lambda x, u, beta: -self.coupling * self._aligned(u).sum(0) / lattice.n_sites,
            "magnetisation": lambda x, u, beta: u.mean(1)[:, 0],
            "abs_magnetisation": lambda x, u, beta: (u.mean(1) ** 2).sum(1).sqrt(),
            "m2": lambda x, u, beta: (u.mean(1) ** 2).sum(1),
            "m4": lambda x, u, beta: (u.mean(1) ** 2).sum(1) ** 2,
            "structure_factor": lambda x, u, beta: structure_factor(lattice, u),
            **self._own_parts(),
        }
        self.observables = {name: self._observable(part) for name, part in self._parts.items()}
        self.derived = {
            "heat_capacity": heat_capacity(lattice.n_sites),
            "susceptibility": susceptibility(lattice.n_sites),
            "binder": binder(),
            "correlation_length": correlation_length(lattice),
        }

    def _own_parts(self) -> dict[str, Callable]:
        return {}

    def _observable(self, part: Callable) -> Callable:
        return lambda x, beta=None: part(self.check_x(x), self.vectors(x), beta)

    def vectors(self, x):
        """The unit vectors `(batch, n_sites, dimensions)` of configurations `x`, in float64."""
        raise NotImplementedError

    def energy(self, x):
        """Total energy `(batch,)` of configurations `x`, in float64. Raises ValueError when `x` has another shape."""
        return -self.coupling * self._aligned(self.vectors(x)).sum(0)

    def _forward(self, field, step):
        """A field `(batch, n_sites[, components])` as seen from each site at the neighbour `step` away."""
        axes = range(1, 1 + len(step))
        grid = field.reshape(len(field), *self.lattice.shape, *field.shape[2:])
        return grid.roll([-s for s in step], tuple(axes)).reshape(field.shape)

    def _aligned(self, u):
        """Σ u · u' over the bonds of each direction, `(directions, batch)`."""
        import torch

        return torch.stack([(u * self._forward(u, step)).sum((1, 2)) for step in self.lattice.directions])

    def measure(self, state, names) -> dict[str, np.ndarray]:
        """The named observables of each chain of a `State`, `(chains,)` each."""
        import torch

        x = state.x
        u, beta = self.vectors(x), torch.as_tensor(state.beta, device=x.device)
        return {name: np.asarray(self._parts[name](x, u, beta).cpu()) for name in names}

    def ordered(self, batch: int, device: str = "cpu"):
        """Ground states of the ferromagnet, each configuration in its own direction."""
        raise NotImplementedError

    def start(self, batch: int, seed: int = 0):
        """Ordered spins for a ferromagnet, every chain with its own direction, random ones otherwise."""
        return self.ordered(batch) if self.coupling > 0 else self.random(batch, seed)

    @property
    def embeds(self) -> bool:
        """Whether there are Ising variables in the model: not if an antiferromagnet is frustrated."""
        return self.coupling >= 0 or self.lattice.bipartite

    @cached_property
    def _amplitudes(self) -> np.ndarray:
        """√|J| for each site, with the sign of its sublattice in an antiferromagnet."""
        if not self.embeds:
            raise ValueError(f"hamiltonian={self!r} is frustrated and has no embedding: allowed is a bipartite lattice")
        signs = 1 - 2 * (self.lattice.colours % 2) if self.coupling < 0 else np.ones(self.lattice.n_sites)
        return signs * np.sqrt(abs(self.coupling))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.lattice!r}, coupling={self.coupling})"


class XY(_Vectors):
    """The XY model, H = −J Σ_bonds cos(θ − θ'), with an angle θ in [−π, π) on each site.

    `coupling` J is a number, in units of energy; an antiferromagnet has J < 0. Configurations `x` are angles, float64
    `(batch, n_sites)`. `helicity_modulus` (not on triangular lattices) needs the inverse temperature: its observable takes
    (x, beta). `vortex_density` (square lattices) is the share of plaquettes with a winding. Raises ValueError for a coupling
    that is not finite. Source: Kosterlitz and Thouless 1973 (10.1088/0022-3719/6/7/010); helicity modulus: Teitel and
    Jayaprakash 1983 (10.1103/PhysRevB.27.598).

    >>> import mlphys as mp
    >>> xy = mp.XY(mp.square(4))
    >>> xy.energy(xy.ordered(1)).tolist()
    [-32.0]
    """

    continuous = True

    def _own_parts(self) -> dict[str, Callable]:
        parts: dict[str, Callable] = {}
        if self.lattice.name != "triangular":
            parts["helicity_modulus"] = self._helicity_modulus
        if self.lattice.name == "square":
            parts["vortex_density"] = lambda x, u, beta: self.vortices(x).abs().double().mean(1)
        return parts

    def vectors(self, x):
        import torch

        x = self.check_x(x).double()
        return torch.stack([x.cos(), x.sin()], -1)

    def _helicity_modulus(self, x, u, beta):
        if beta is None:
            raise ValueError("beta=None is not allowed: helicity_modulus takes (x, beta), beta in 1/J")
        currents = 0
        for step in self.lattice.directions:
            v = self._forward(u, step)
            currents = currents + (u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]).sum(1) ** 2
        stiffness = self.coupling * self._aligned(u).sum(0) - beta * self.coupling**2 * currents
        return stiffness / (len(self.lattice.directions) * self.lattice.n_sites)

    def vortices(self, x):
        """Windings +1, 0 or −1 of angles `x` around the plaquettes of a square lattice, int8 `(batch, n_sites)`.

        Each stands at the plaquette's corner of lowest row and column. Raises ValueError on other lattices.
        """
        import torch

        if self.lattice.name != "square":
            raise ValueError(f"lattice={self.lattice!r} has no square plaquettes: vortices are counted on square lattices")
        x = self.check_x(x).double()
        right, down = self.lattice.directions
        steps = [torch.remainder(self._forward(x, step) - x + torch.pi, 2 * torch.pi) - torch.pi for step in (right, down)]
        along, across = steps
        winding = along + self._forward(across, right) - self._forward(along, down) - across
        return (winding / (2 * torch.pi)).round().char()

    def force(self, x):
        """−∂energy/∂θ `(batch, n_sites)`: J Σ sin(θ' − θ) over the neighbours."""
        u = self.vectors(x)
        near = sum(self._forward(u, step) + self._forward(u, [-s for s in step]) for step in self.lattice.directions)
        return self.coupling * (u[..., 0] * near[..., 1] - u[..., 1] * near[..., 0])

    def random(self, batch: int, seed: int = 0, device: str = "cpu"):
        """Independent uniform angles, float64 `(batch, n_sites)`."""
        import torch

        shape = (whole("batch", batch, 1), self.lattice.n_sites)
        return torch.from_numpy(generator(seed, "start").uniform(-np.pi, np.pi, shape)).to(device)

    def ordered(self, batch: int, device: str = "cpu"):
        """Ground states of the ferromagnet, float64 `(batch, n_sites)`, in evenly spread directions."""
        import torch

        directions = 2 * torch.pi * torch.arange(whole("batch", batch, 1), dtype=torch.float64) / batch
        return _wrapped(directions)[:, None].repeat(1, self.lattice.n_sites).to(device)

    def check_start(self, x, chains: int):
        """`x` as angles in [−π, π); ValueError unless they are finite numbers of shape `(chains, n_sites)`."""
        x = self.check_x(x).double()
        if len(x) != chains or not x.isfinite().all():
            raise ValueError(f"start has shape {tuple(x.shape)}: allowed are finite angles for each of {chains} chains")
        return _wrapped(x)

    def kernel(self, rule: str, device: str = "cpu"):
        """The compiled update `rule` of one site after the other, and its tables."""
        from mlphys.kernels import vectors

        return getattr(vectors, f"{rule}_sweeps"), self._tables

    @cached_property
    def _tables(self) -> tuple:
        order = self.lattice.update_order
        places = np.argsort(order).astype(np.int32)
        starts = np.concatenate([[0], np.cumsum(np.bincount(self.lattice.colours))])
        return np.ascontiguousarray(places[self.lattice.neighbours[order]]), order, starts, False, self.coupling

    def embedding(self, x, rng):
        axis = rng.uniform(-np.pi, np.pi, (len(x), 1))

        def flipped(sites):
            return np.where(sites, (2 * axis - x) % (2 * np.pi) - np.pi, x)

        return self._amplitudes * np.cos(x - axis), flipped


def _wrapped(angles):
    import torch

    return torch.remainder(angles + torch.pi, 2 * torch.pi) - torch.pi
