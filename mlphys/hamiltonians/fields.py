"""Real fields on a lattice."""

from functools import cached_property
from numbers import Real

import numpy as np

from mlphys.checks import whole
from mlphys.hamiltonians.base import (
    Hamiltonian,
    binder,
    check_lattice,
    correlation_length,
    structure_factor,
    susceptibility,
)
from mlphys.lattices import Lattice
from mlphys.random import generator


class Phi4(Hamiltonian):
    """The φ⁴ field, S = Σ_sites [φ (−∇²) φ + m² φ² + λ φ⁴], with the lattice Laplacian and β absorbed.

    `mass2` m² and `coupling` λ ≥ 0 are numbers. The other usual form, S = Σ_sites [−2κ Σ_μ φ φ_μ + (1 − 2λ) φ² + λ φ⁴] with
    μ over the lattice directions, is `Phi4.from_kappa(lattice, kappa, coupling)`. Both are
    S = Σ_sites (a φ² + λ φ⁴) − b Σ_bonds φ φ', with a = `quadratic` = z + m² or 1 − 2λ and b = `hopping` = 2 or 2κ (z
    neighbours), and differ by a factor of the field: `to_kappa` and `to_mass` convert the model, `rescale` the field. Fields
    are float64 `(batch, n_sites)`. Raises ValueError for λ < 0, and for λ = 0 where the action is not bounded from below.
    Source of the forms: Montvay and Münster 1994, Quantum Fields on a Lattice (10.1017/CBO9780511470783).

    >>> import mlphys as mp
    >>> field = mp.Phi4(mp.square(4), mass2=-4.0, coupling=6.0)
    >>> round(field.energy(field.ordered(1)).item(), 6)
    -10.666667
    """

    rules = ("metropolis", "heat_bath", "overrelaxation")
    temperature = 1.0
    continuous = True
    embedding_is_ergodic = False  # it turns signs alone

    def __init__(self, lattice: Lattice, mass2: float | None, coupling: float, kappa: float | None = None):
        self.lattice = check_lattice(lattice)
        given = {"coupling": coupling} | ({"mass2": mass2} if kappa is None else {"kappa": kappa})
        for name, value in given.items():
            if not isinstance(value, Real) or not np.isfinite(value):
                raise ValueError(f"{name}={value!r} is not allowed: it must be one finite number")
        if coupling < 0:
            raise ValueError(f"coupling={coupling!r} is not allowed: below 0 the action has no lowest value")
        self.mass2, self.kappa, self.coupling = mass2, kappa, float(coupling)
        if kappa is None:
            self.quadratic, self.hopping = float(lattice.neighbours.shape[1] + given["mass2"]), 2.0
        else:
            self.quadratic, self.hopping = 1.0 - 2 * self.coupling, 2.0 * kappa
        if coupling == 0 and self.spectrum.min() <= 0:
            name = "mass2" if kappa is None else "kappa"
            raise ValueError(f"{name}={given[name]!r} is not allowed with coupling=0: the action must be bounded from below")
        n_sites = lattice.n_sites
        self.observables = {
            "energy": lambda x: self.energy(x) / n_sites,
            "magnetisation": self.magnetisation,
            "abs_magnetisation": lambda x: self.magnetisation(x).abs(),
            "m2": lambda x: self.magnetisation(x) ** 2,
            "m4": lambda x: self.magnetisation(x) ** 4,
            "phi2": lambda x: (self.check_x(x) ** 2).mean(1),
            "structure_factor": lambda x: structure_factor(lattice, self.check_x(x)),
        }
        self.derived = {
            "susceptibility": susceptibility(n_sites),
            "binder": binder(),
            "correlation_length": correlation_length(lattice),
        }

    @classmethod
    def from_kappa(cls, lattice: Lattice, kappa: float, coupling: float) -> "Phi4":
        """The field with the action Σ_sites [−2κ Σ_μ φ φ_μ + (1 − 2λ) φ² + λ φ⁴], λ = `coupling`; ValueError as above."""
        return cls(lattice, None, coupling, kappa)

    def to_kappa(self) -> "Phi4":
        """The same model in the form of `from_kappa`."""
        a, b, coupling = self.quadratic, self.hopping, self.coupling
        # φ' = φ / √s leaves b s = 2κ, and a s = 1 − 2 λ s² picks s.
        scale = 2 / (a + np.sqrt(a**2 + 8 * coupling)) if a > 0 else (np.sqrt(a**2 + 8 * coupling) - a) / (4 * coupling)
        return self if self.mass2 is None else Phi4.from_kappa(self.lattice, b * scale / 2, coupling * scale**2)

    def to_mass(self) -> "Phi4":
        """The same model with a mass; ValueError unless kappa > 0."""
        if self.kappa is None:
            return self
        if self.kappa <= 0:
            raise ValueError(f"kappa={self.kappa!r} has no form with a mass: it must be positive")
        mass2 = self.quadratic / self.kappa - self.lattice.neighbours.shape[1]
        return Phi4(self.lattice, mass2, self.coupling / self.kappa**2)

    def rescale(self, x, other: "Phi4"):
        """The fields `x` of this model in the units of `other`, the same model in either form; ValueError if it is not.

        >>> import mlphys as mp
        >>> field = mp.Phi4(mp.square(4), mass2=-4.0, coupling=6.0)
        >>> x = field.random(3, seed=1)
        >>> other = field.to_kappa()
        >>> bool((abs(other.action(field.rescale(x, other)) / field.action(x) - 1) < 1e-12).all())
        True
        """
        scale = np.sqrt(self.hopping / other.hopping) if self.hopping * other.hopping > 0 else 1.0
        mine = (self.hopping, self.quadratic, self.coupling)
        theirs = (other.hopping * scale**2, other.quadratic * scale**2, other.coupling * scale**4)
        if other.lattice != self.lattice or not np.allclose(mine, theirs, rtol=1e-9):
            raise ValueError(f"other={other!r} is not the model {self!r} in another form")
        return scale * x

    @cached_property
    def spectrum(self) -> np.ndarray:
        """Eigenvalues of the quadratic part of the action, a − b Σ_μ cos k_μ for every wave vector k, `(n_sites,)`."""
        k = 2 * np.pi * self.lattice.coordinates / np.asarray(self.lattice.shape)
        return self.quadratic - self.hopping * np.cos(k @ np.asarray(self.lattice.directions).T).sum(1)

    def _grid(self, x):
        return self.check_x(x).reshape(-1, *self.lattice.shape)

    def _shifted(self, grid, step, sign: int = 1):
        """The field on the neighbours that `sign` times `step` leads to."""
        return grid.roll([-sign * part for part in step], list(range(1, grid.ndim)))

    def energy(self, x):
        """The action S `(batch,)` of fields `(batch, n_sites)`; ValueError when `x` has another shape."""
        grid = self._grid(x)
        square = grid**2
        density = (self.coupling * square + self.quadratic) * square
        for step in self.lattice.directions:
            density = density - self.hopping * grid * self._shifted(grid, step)
        return density.flatten(1).sum(1)

    def force(self, x):
        """−∂S/∂φ, `(batch, n_sites)`."""
        grid = self._grid(x)
        force = -(4 * self.coupling * grid**2 + 2 * self.quadratic) * grid
        for step in self.lattice.directions:
            force = force + self.hopping * (self._shifted(grid, step) + self._shifted(grid, step, -1))
        return force.flatten(1)

    def magnetisation(self, x):
        """Mean field `(batch,)`."""
        return self.check_x(x).mean(1)

    def random(self, batch: int, seed: int = 0, device: str = "cpu"):
        """Independent normal numbers, float64 `(batch, n_sites)`."""
        import torch

        normal = generator(seed, "start").normal(size=(whole("batch", batch, 1), self.lattice.n_sites))
        return torch.from_numpy(normal).to(device)

    def ordered(self, batch: int, device: str = "cpu"):
        """Fields of least action among the uniform ones, float64 `(batch, n_sites)`: positive and negative in turn."""
        import torch

        uniform = self.quadratic - self.hopping * len(self.lattice.directions)
        value = np.sqrt(-uniform / (2 * self.coupling)) if uniform < 0 else 0.0
        signs = np.where(np.arange(whole("batch", batch, 1)) % 2, -value, value)
        return torch.from_numpy(np.repeat(signs[:, None], self.lattice.n_sites, axis=1)).to(device)

    def start(self, batch: int, seed: int = 0):
        """Ordered fields where order lowers the action, random ones otherwise: a quench would be caught between domains."""
        ordered = self.ordered(batch)
        return ordered if ordered.any() and self.hopping > 0 else self.random(batch, seed)

    def check_start(self, x, chains: int):
        """`x` as float64 fields; ValueError unless its shape is `(chains, n_sites)` and every entry is finite."""
        x = self.check_x(x).double()
        if len(x) != chains:
            raise ValueError(f"start has {len(x)} configurations: allowed is one for each of {chains} chains")
        if not x.isfinite().all():
            raise ValueError("start has entries that are not finite, which no field may be")
        return x

    @property
    def curvature(self) -> float:
        """Half the curvature of a site's weight where its neighbours leave it alone: α = a + λ/α."""
        return (self.quadratic + np.sqrt(self.quadratic**2 + 4 * self.coupling)) / 2

    @property
    def proposal_width(self) -> float:  # type: ignore[override]
        """A first width of Metropolis proposals: some two standard deviations of a lone site."""
        return 1.5 / np.sqrt(max(self.curvature, 1e-300))

    def kernel(self, rule: str, device: str = "cpu"):
        """The compiled update `rule` of one site after the other, and its tables."""
        from mlphys.kernels import fields

        return getattr(fields, f"{rule}_sweeps"), self._tables

    @cached_property
    def _tables(self) -> tuple:
        order, colours = self.lattice.update_order, self.lattice.colours
        near = np.argsort(order).astype(np.int32)[self.lattice.neighbours[order]]
        starts = np.concatenate([[0], np.cumsum(np.bincount(colours))])
        return near, order, starts, self.quadratic, self.coupling, self.hopping

    @property
    def embeds(self) -> bool:
        """Whether signs form clusters: with a negative hopping only where the lattice has two sublattices."""
        return self.hopping >= 0 or self.lattice.bipartite

    def embedding(self, x: np.ndarray, rng: np.random.Generator):
        """The field itself, a = √b φ, with the signs of one sublattice reversed where b < 0."""
        signs = np.sign(self.hopping) ** self.lattice.colours
        return np.sqrt(abs(self.hopping)) * signs * x, lambda sites: np.where(sites, -x, x)

    def __repr__(self) -> str:
        if self.kappa is None:
            return f"Phi4({self.lattice!r}, mass2={self.mass2}, coupling={self.coupling})"
        return f"Phi4.from_kappa({self.lattice!r}, kappa={self.kappa}, coupling={self.coupling})"
