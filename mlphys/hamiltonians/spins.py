"""Classical spin models."""

from functools import cached_property

import numpy as np

from mlphys.checks import whole
from mlphys.configurations import Replicas, Sites, Strips
from mlphys.hamiltonians.base import Hamiltonian, binder, check_lattice, heat_capacity, susceptibility
from mlphys.lattices import Lattice
from mlphys.random import generator


class Ising(Hamiltonian):
    """The Ising model, H = −Σ_bonds J s s' − Σ_sites h s with s = ±1.

    `coupling` J is a number, or one for each of `lattice.bonds`, `(n_bonds,)`; `field` h is a number, or one for each
    site, `(n_sites,)`; both in units of energy. Raises ValueError for other shapes and for values that are not finite.
    Source: Ising 1925 (10.1007/BF02980577).

    >>> from mlphys.lattices import square
    >>> ising = Ising(square(4))
    >>> ising.energy(ising.ordered(1)).tolist()
    [-32.0]
    """

    rules = ("metropolis", "heat_bath")

    def __init__(self, lattice: Lattice, coupling=1.0, field=0.0):
        self.lattice = check_lattice(lattice)
        self.coupling = _number_or_array("coupling", coupling, lattice.n_bonds, "bond")
        self.field = _number_or_array("field", field, lattice.n_sites, "site")
        self.observables = {
            "energy": lambda x: self.energy(x) / lattice.n_sites,
            "magnetisation": self.magnetisation,
            "abs_magnetisation": lambda x: self.magnetisation(x).abs(),
            "m2": lambda x: self.magnetisation(x) ** 2,
            "m4": lambda x: self.magnetisation(x) ** 4,
        }
        self.derived = {
            "heat_capacity": heat_capacity(lattice.n_sites),
            "susceptibility": susceptibility(lattice.n_sites),
            "binder": binder(),
        }

    @property
    def uniform(self) -> bool:
        """Whether all bonds share one coupling."""
        return isinstance(self.coupling, float)

    @property
    def uniform_field(self) -> bool:
        return isinstance(self.field, float)

    @property
    def gpu_rules(self) -> tuple[str, ...]:  # type: ignore[override]
        return self.rules if self.uniform and self.uniform_field else ()

    @property
    def without_field(self) -> bool:
        return not np.any(self.field)

    @cached_property
    def coupling_table(self) -> np.ndarray:
        """Coupling behind each entry of `lattice.neighbours`, `(n_sites, coordination)`."""
        couplings = np.broadcast_to(np.asarray(self.coupling, np.float64), (self.lattice.n_bonds,))
        return couplings[self.lattice.bond_of]

    @cached_property
    def site_fields(self) -> np.ndarray:
        """Field on each site, `(n_sites,)`."""
        return np.broadcast_to(np.asarray(self.field, np.float64), (self.lattice.n_sites,)).copy()

    def energy(self, x):
        """Total energy `(batch,)` of spins `(batch, n_sites)`, in float64.

        Raises ValueError when `x` has another shape.
        """
        import torch

        x = self.check_x(x)
        first, second = (torch.from_numpy(column).to(x.device) for column in self.lattice.bonds.T.copy())
        products = x[:, first] * x[:, second]
        if self.uniform:
            energy = -self.coupling * products.sum(1, dtype=torch.float64)
        else:
            energy = -(products.double() @ torch.from_numpy(self.coupling).to(x.device))
        if not self.without_field:
            energy = energy - x.double() @ torch.from_numpy(self.site_fields).to(x.device)
        return energy

    def magnetisation(self, x):
        """Mean spin `(batch,)` of spins `(batch, n_sites)`, in float64."""
        import torch

        return self.check_x(x).mean(1, dtype=torch.float64)

    def random(self, batch: int, seed: int = 0, device: str = "cpu"):
        """Independent random spins, int8 `(batch, n_sites)`."""
        import torch

        return torch.from_numpy(self._random(batch, seed)).to(device)

    def _random(self, batch: int, seed: int) -> np.ndarray:
        shape = (whole("batch", batch, 1), self.lattice.n_sites)
        return 2 * generator(seed, "start").integers(0, 2, shape, np.int8) - 1

    def ordered(self, batch: int, device: str = "cpu"):
        """Ground states of the ferromagnet, int8 `(batch, n_sites)`: up and down in turn."""
        import torch

        return torch.from_numpy(self._ordered(batch)).to(device)

    def _ordered(self, batch: int) -> np.ndarray:
        signs = np.where(np.arange(whole("batch", batch, 1)) % 2, -1, 1).astype(np.int8)
        return np.repeat(signs[:, None], self.lattice.n_sites, axis=1)

    def start(self, batch: int, seed: int = 0) -> np.ndarray:
        """Ordered spins for a ferromagnet, random ones otherwise, int8 `(batch, n_sites)`.

        A ferromagnet quenched from random spins can stay caught between two stripes for some L³ sweeps.
        """
        ferromagnet = self.uniform and self.coupling > 0
        return self._ordered(batch) if ferromagnet else self._random(batch, seed)

    def check_start(self, x, chains: int):
        """`x` as int8 spins; ValueError unless its shape is `(chains, n_sites)` and every entry is ±1."""
        x = self.check_x(x)
        if len(x) != chains:
            raise ValueError(f"start has {len(x)} configurations: allowed is one for each of {chains} chains")
        if not (x.abs() == 1).all():
            raise ValueError("start has entries other than +1 and -1, the only values of an Ising spin")
        return x.char()

    def kernel(self, rule: str):
        """The compiled update `rule` of one site after the other, and its tables."""
        from mlphys.kernels import spins

        one = self.uniform and self.uniform_field
        parameters = (self.coupling, self.field) if one else (self.coupling_table, self.site_fields)
        tables = (self.lattice.neighbours, *parameters, self.lattice.update_order)
        return getattr(spins, f"{rule}_sweeps{'_uniform' if one else ''}"), tables

    def measure(self, state, names) -> dict[str, np.ndarray]:
        """The named observables of each chain of a `State`, counted by compiled kernels."""
        if not set(names) <= set(self.observables) or (state.device != "cpu" and isinstance(state.configuration, Sites)):
            return super().measure(state, names)
        energy, m = self._energy_and_magnetisation(state.configuration)
        values = {"energy": energy, "magnetisation": m, "abs_magnetisation": np.abs(m), "m2": m**2, "m4": m**4}
        return {name: values[name] for name in names}

    def _energy_and_magnetisation(self, configuration) -> tuple[np.ndarray, np.ndarray]:
        """Energy and magnetisation per site of each chain, `(chains,)` each."""
        n_sites, n_bonds = self.lattice.n_sites, self.lattice.n_bonds
        # Packed words are only ever made of a model with one coupling.
        if isinstance(configuration, Strips | Replicas) and isinstance(self.coupling, float):
            unsatisfied, total = configuration.sums()
            return -abs(self.coupling) * (n_bonds - 2 * unsatisfied) / n_sites, total / n_sites
        from mlphys.kernels import spins

        x = configuration.array
        if self.uniform and self.uniform_field:
            if self.lattice.name == "square":
                energy = spins.energies_square(x, *self.lattice.shape, self.coupling, self.field)
            else:
                energy = spins.energies_uniform(x, self.lattice.neighbours, self.coupling, self.field)
        else:
            energy = spins.energies(x, self.lattice.neighbours, self.coupling_table, self.site_fields)
        return energy / n_sites, spins.magnetisations(x) / n_sites

    def __repr__(self) -> str:
        coupling = self.coupling if self.uniform else "per bond"
        field = self.field if self.uniform_field else "per site"
        return f"Ising({self.lattice!r}, coupling={coupling}, field={field})"


def _number_or_array(name: str, value, size: int, each: str) -> float | np.ndarray:
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name}={value!r} is not a number: give one, or one for each {each}") from None
    if array.ndim and array.shape != (size,):
        raise ValueError(f"{name} has shape {array.shape}: allowed are a number or one for each {each}, shape ({size},)")
    if not np.isfinite(array).all():
        raise ValueError(f"{name}={value!r} is not allowed: it must be finite")
    return array if array.ndim else float(array)
