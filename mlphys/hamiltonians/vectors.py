"""Classical spins that point anywhere on a circle or a sphere."""

from collections.abc import Callable, Mapping
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


class Directed(Hamiltonian):
    """Unit vectors on the sites or links of a lattice, given by angles on a circle unless a model says otherwise.

    `links` is the shape of what stands on a site, () or (directions,), and `components` that of its numbers.
    """

    rules: tuple[str, ...] = ("metropolis", "heat_bath", "overrelaxation")
    proposal_width = 2.0
    continuous = True
    dimensions, links, components = 2, (), ()  # type: tuple[int, tuple[int, ...], tuple[int, ...]]

    def check_x(self, x):
        """`x` as a torch tensor; ValueError unless its shape is `(batch, n_sites[, components])`."""
        return self._shaped(x, self.components)

    def vectors(self, x):
        """The unit vectors `(batch, n_sites[, links], dimensions)` of configurations `x`, in float64."""
        import torch

        x = self.check_x(x).double()
        return torch.stack([x.cos(), x.sin()], -1)

    def configurations(self, u):
        """The configurations `x` that vectors `(batch, n_sites[, links], dimensions)` point to."""
        return u[..., 1].atan2(u[..., 0])

    def _directions(self, batch: int, places: int, rng: np.random.Generator, device: str):
        import torch

        normal = rng.normal(size=(whole("batch", batch, 1), places, *self.links, self.dimensions))
        return self.configurations(torch.from_numpy(normal)).to(device)

    def random(self, batch: int, seed: int = 0, device: str = "cpu"):
        """Independent uniform directions, float64."""
        return self._directions(batch, self.lattice.n_sites, generator(seed, "start"), device)

    def check_start(self, x, chains: int):
        """`x` in float64; ValueError unless it holds directions for each of `chains` chains."""
        u = self.vectors(x)
        if len(u) != chains or not ((u.norm(dim=-1) - 1).abs() < 1e-6).all():
            raise ValueError(
                f"start has {len(u)} configurations: allowed is one of finite directions for each of {chains} chains"
            )
        return self.configurations(u)

    def kernel(self, rule: str):
        """The compiled update `rule` of one variable after the other, and its tables."""
        from mlphys.kernels import vectors

        return chosen(rule, vectors.metropolis_sweeps, vectors.overrelaxation_sweeps, self._tables)

    @cached_property
    def _tables(self) -> tuple:
        raise NotImplementedError


class Spins(Directed):
    """H = −J Σ_bonds u · u': what the spin models have in common."""

    def __init__(self, lattice: Lattice, coupling: float = 1.0):
        self.lattice = check_lattice(lattice)
        self.coupling = finite("coupling", coupling)
        # Functions of (x, its vectors u, beta): a measurement needs u once.
        self._parts: dict[str, Callable] = {
            "energy": lambda x, u, beta: -self.coupling * self._aligned(u) / lattice.n_sites,
            "magnetisation": lambda x, u, beta: u.mean(1)[:, 0],
            "abs_magnetisation": lambda x, u, beta: u.mean(1).norm(dim=1),
            "m2": lambda x, u, beta: (u.mean(1) ** 2).sum(1),
            "m4": lambda x, u, beta: (u.mean(1) ** 2).sum(1) ** 2,
            "structure_factor": lambda x, u, beta: structure_factor(lattice, u),
        }
        self.derived = {
            "heat_capacity": heat_capacity(lattice.n_sites),
            "susceptibility": susceptibility(lattice.n_sites),
            "binder": binder(),
            "correlation_length": correlation_length(lattice),
        }

    @property
    def observables(self) -> Mapping[str, Callable]:  # type: ignore[override]
        def of_x(part):
            return lambda x, beta=None: part(self.check_x(x), self.vectors(x), beta)

        return {name: of_x(part) for name, part in self._parts.items()}

    def energy(self, x):
        """Total energy `(batch,)` of configurations `x`, in float64. Raises ValueError when `x` has another shape."""
        return -self.coupling * self._aligned(self.vectors(x))

    def _aligned(self, u):
        return sum((u * seen_along(self.lattice, u, step)).sum((1, 2)) for step in self.lattice.directions)

    def measure(self, state, names) -> dict[str, np.ndarray]:
        """The named observables of each chain of a `State`, `(chains,)` each."""
        import torch

        x = state.x
        u, beta = self.vectors(x), torch.as_tensor(state.beta, device=x.device)
        return {name: np.asarray(self._parts[name](x, u, beta).cpu()) for name in names}

    def ordered(self, batch: int, device: str = "cpu"):
        """Ground states of the ferromagnet, float64: each configuration has its own direction, always the same ones."""
        one = self._directions(batch, 1, generator(0, "ordered"), device)
        return one.repeat_interleave(self.lattice.n_sites, 1)

    def start(self, batch: int, seed: int = 0):
        """Ordered spins for a ferromagnet, random ones otherwise."""
        return self.ordered(batch) if self.coupling > 0 else self.random(batch, seed)

    @property
    def embeds(self) -> bool:
        """Whether there are Ising variables in the model: not if an antiferromagnet is frustrated."""
        return self.coupling >= 0 or self.lattice.bipartite

    @cached_property
    def _amplitudes(self) -> np.ndarray:
        """√|J| for each site, with the sign of its sublattice in an antiferromagnet."""
        return np.sqrt(abs(self.coupling)) * np.sign(self.coupling) ** self.lattice.colours

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.lattice!r}, coupling={self.coupling})"


class XY(Spins):
    """The XY model, H = −J Σ_bonds cos(θ − θ'), with an angle θ in [−π, π) on each site.

    `coupling` J is a number, in units of energy; an antiferromagnet has J < 0. Configurations `x` are angles, float64
    `(batch, n_sites)`. `helicity_modulus` (not on triangular lattices) needs the inverse temperature: its observable takes
    (x, beta). `vortex_density` (square lattices) is the share of plaquettes with a winding. Raises ValueError for a coupling
    that is not finite. Source: Kosterlitz and Thouless 1973 (10.1088/0022-3719/6/7/010); helicity modulus: Teitel and
    Jayaprakash 1983 (10.1103/PhysRevB.27.598).

    >>> import mlphys as mp
    >>> xy = mp.XY(mp.square(4))
    >>> round(xy.energy(xy.ordered(1)).item(), 9)
    -32.0
    """

    gpu_rules = Spins.rules

    def __init__(self, lattice: Lattice, coupling: float = 1.0):
        super().__init__(lattice, coupling)
        if lattice.name != "triangular":
            self._parts["helicity_modulus"] = self._helicity_modulus
        if lattice.name == "square":
            self._parts["vortex_density"] = lambda x, u, beta: self.vortices(x).abs().double().mean(1)

    def _helicity_modulus(self, x, u, beta):
        if beta is None:
            raise ValueError("beta=None is not allowed: helicity_modulus takes (x, beta), beta in 1/J")
        lattice = self.lattice
        currents = sum(_cross(u, seen_along(lattice, u, step)).sum(1) ** 2 for step in lattice.directions)
        stiffness = self.coupling * self._aligned(u) - beta * self.coupling**2 * currents
        return stiffness / lattice.n_bonds

    def vortices(self, x):
        """Windings +1, 0 or −1 of angles `x` around the plaquettes of a square lattice, int8 `(batch, n_sites)`.

        Each stands at its plaquette's corner of lowest row and column. Raises ValueError on other lattices.
        """
        import torch

        if self.lattice.name != "square":
            raise ValueError(f"lattice={self.lattice!r} has no square plaquettes: vortices are counted on square lattices")
        x = self.check_x(x).double()
        links = torch.stack([seen_along(self.lattice, x, step) - x for step in self.lattice.directions], -1)
        # Half turns, which clocks make, count as −π whatever rounding says; the shift cancels around a plaquette.
        return (plaquettes(self.lattice, wrapped(links + 1e-6)) / (2 * torch.pi)).round().char()

    def force(self, x):
        """−∂energy/∂θ `(batch, n_sites)`: J Σ sin(θ' − θ) over the neighbours."""
        u, steps = self.vectors(x), np.array(self.lattice.directions)
        return self.coupling * _cross(u, sum(seen_along(self.lattice, u, step) for step in (*steps, *-steps)))

    @cached_property
    def _tables(self) -> tuple:
        return (*coloured(self.lattice.neighbours, self.lattice.colours), False, self.coupling)

    def embedding(self, x, rng):
        axis = rng.uniform(-np.pi, np.pi, (len(x), 1))
        return self._amplitudes * np.cos(x - axis), lambda sites: np.where(sites, (2 * axis - x) % (2 * np.pi) - np.pi, x)


class Sphere(Directed):
    """Unit vectors in space, given by their three components; they move along great circles.

    Source of such dynamics: Byrne and Girolami 2013 (10.1111/sjos.12036).
    """

    dimensions, components = 3, (3,)

    def vectors(self, x):
        return self.check_x(x).double()

    def configurations(self, u):
        return u / u.norm(dim=-1, keepdim=True)

    def tangent(self, x, vectors):
        return vectors - (vectors * x).sum(-1, keepdim=True) * x

    def drift(self, x, momenta, length):
        speed = momenta.norm(dim=-1, keepdim=True)
        ahead = momenta / speed.clamp(min=1e-300)
        sine, cosine = (length * speed).sin(), (length * speed).cos()
        return self.configurations(cosine * x + sine * ahead), speed * (cosine * ahead - sine * x)


class Heisenberg(Sphere, Spins):
    """The classical Heisenberg model, H = −J Σ_bonds S · S', with a unit vector S on each site.

    `coupling` J is a number, in units of energy; an antiferromagnet has J < 0. Configurations `x` are float64
    `(batch, n_sites, 3)`. Raises ValueError for a coupling that is not finite. Source: Joyce 1967 (10.1103/PhysRev.155.478);
    heat bath: Miyatake et al. 1986 (10.1088/0022-3719/19/14/020).

    >>> import mlphys as mp
    >>> model = mp.Heisenberg(mp.cubic(4))
    >>> round(model.energy(model.ordered(1)).item(), 9)
    -192.0
    """

    def force(self, x):
        """−∂energy/∂S `(batch, n_sites, 3)`: J Σ S' over the neighbours."""
        u, steps = self.vectors(x), np.array(self.lattice.directions)
        return self.coupling * sum(seen_along(self.lattice, u, step) for step in (*steps, *-steps))

    def kernel(self, rule: str):
        """The compiled update `rule` of one site after the other, and its tables."""
        from mlphys.kernels import vectors

        tables = (self.lattice.neighbours, self.lattice.update_order, self.coupling)
        return chosen(rule, vectors.sphere_metropolis_sweeps, vectors.sphere_overrelaxation_sweeps, tables)

    def embedding(self, x, rng):
        axis = rng.normal(size=(len(x), 1, 3))
        axis /= np.linalg.norm(axis, axis=2, keepdims=True)
        along = (x * axis).sum(2)
        return self._amplitudes * along, lambda sites: x - 2 * (sites * along)[..., None] * axis


def chosen(rule: str, metropolis: Callable, overrelaxation: Callable, tables: tuple) -> tuple[Callable, tuple]:
    """The kernel for `rule` and its tables: a heat bath is an overrelaxation without reflections."""
    if rule == "metropolis":
        return metropolis, tables
    return overrelaxation, (*tables, 0) if rule == "heat_bath" else tables


def coloured(neighbours: np.ndarray, colours: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Variables sorted by colour: places of the neighbours of each, the variable at each place, first places of colours."""
    order = np.argsort(colours, kind="stable").astype(np.int32)
    return np.argsort(order).astype(np.int32)[neighbours[order]], order, np.cumsum([0, *np.bincount(colours)])


def seen_along(lattice: Lattice, field, step):
    """A field `(batch, n_sites[, components])` as each site sees it at the site `step` away."""
    grid = field.reshape(len(field), *lattice.shape, *field.shape[2:])
    return grid.roll([-int(s) for s in step], list(range(1, 1 + len(step)))).reshape(field.shape)


def plaquettes(lattice: Lattice, links):
    """Sums of link angles `(batch, n_sites, 2)` around the plaquettes of a square lattice, `(batch, n_sites)`."""
    right, down = lattice.directions
    along, across = links[..., 0], links[..., 1]
    return along + seen_along(lattice, across, right) - seen_along(lattice, along, down) - across


def wrapped(angles):
    """Angles moved to [−π, π) by whole turns."""
    import torch

    return torch.remainder(angles + torch.pi, 2 * torch.pi) - torch.pi


def _cross(u, v):
    return u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]
