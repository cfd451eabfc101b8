"""Real fields on a lattice."""

from functools import cached_property

import numpy as np

from mlphys.checks import whole
from mlphys.exact.values import finite
from mlphys.hamiltonians.base import (
    Hamiltonian,
    binder,
    check_lattice,
    correlation_length,
    structure_factor,
    susceptibility,
)
from mlphys.hamiltonians.vectors import chosen, coloured, seen_along
from mlphys.lattices import Lattice
from mlphys.random import generator


class RealField(Hamiltonian):
    """What actions of real numbers share: x is float64 `(batch, n_sites)`."""

    temperature = 1.0
    continuous = True

    def random(self, batch: int, seed: int = 0, device: str = "cpu"):
        """Independent normal numbers, float64 `(batch, n_sites)`."""
        import torch

        normal = generator(seed, "start").normal(size=(whole("batch", batch, 1), self.lattice.n_sites))
        return torch.from_numpy(normal).to(device)

    def check_start(self, x, chains: int):
        """`x` as float64 fields; ValueError unless its shape is `(chains, n_sites)` and every entry is finite."""
        x = self.check_x(x).double()
        if len(x) != chains:
            raise ValueError(f"start has {len(x)} configurations: allowed is one for each of {chains} chains")
        if not x.isfinite().all():
            raise ValueError("start has entries that are not finite, which no field may be")
        return x


class Phi4(RealField):
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

    rules = gpu_rules = ("metropolis", "heat_bath", "overrelaxation")
    embedding_is_ergodic = False  # it turns signs alone

    def __init__(self, lattice: Lattice, mass2: float | None, coupling: float, kappa: float | None = None):
        self.lattice = check_lattice(lattice)
        self.mass2 = None if mass2 is None else finite("mass2", mass2)
        self.kappa = None if kappa is None else finite("kappa", kappa)
        self.coupling = finite("coupling", coupling)
        if coupling < 0:
            raise ValueError(f"coupling={coupling!r} is not allowed: below 0 the action has no lowest value")
        if self.kappa is None:
            self.quadratic, self.hopping = lattice.neighbours.shape[1] + finite("mass2", mass2), 2.0
        else:
            self.quadratic, self.hopping = 1.0 - 2 * self.coupling, 2 * self.kappa
        if coupling == 0 and self.spectrum.min() <= 0:
            given = f"mass2={mass2!r}" if kappa is None else f"kappa={kappa!r}"
            raise ValueError(f"{given} is not allowed with coupling=0: the action must be bounded from below")
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

    def energy(self, x):
        """The action S `(batch,)` of fields `(batch, n_sites)`; ValueError when `x` has another shape."""
        x = self.check_x(x)
        square = x * x
        action = self.quadratic * square.sum(1) + self.coupling * (square * square).sum(1)
        for step in self.lattice.directions:
            action = action - self.hopping * (x * seen_along(self.lattice, x, step)).sum(1)
        return action

    def force(self, x):
        """−∂S/∂φ, `(batch, n_sites)`."""
        x = self.check_x(x)
        steps = [sign * np.asarray(step) for step in self.lattice.directions for sign in (1, -1)]
        near = sum(seen_along(self.lattice, x, step) for step in steps)
        return self.hopping * near - (4 * self.coupling * x * x + 2 * self.quadratic) * x

    def magnetisation(self, x):
        """Mean field `(batch,)`."""
        return self.check_x(x).mean(1)

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

    @property
    def proposal_width(self) -> float:  # type: ignore[override]
        """A first width of Metropolis proposals: two standard deviations of a lone site."""
        return 2 / np.sqrt(self.quadratic + np.sqrt(self.quadratic**2 + 4 * self.coupling))

    def kernel(self, rule: str):
        """The compiled update `rule` of one site after the other, and its tables."""
        from mlphys.kernels import fields

        return chosen(rule, fields.metropolis_sweeps, fields.overrelaxation_sweeps, self._tables)

    @cached_property
    def _tables(self) -> tuple:
        return *coloured(self.lattice.neighbours, self.lattice.colours), self.quadratic, self.coupling, self.hopping

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
