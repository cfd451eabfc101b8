"""Classical spins coupled to itinerant electrons: their weight is the partition function of free fermions."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from mlphys.exact.values import finite, positive
from mlphys.hamiltonians.base import check_lattice
from mlphys.hamiltonians.vectors import Sphere
from mlphys.lattices import Lattice


class DoubleExchange(Sphere):
    """Double exchange: electrons hop among classical spins S, H = −t Σ_bonds (c†c' + h.c.) + J Σ_i S_i · s_i.

    S_i are unit vectors and s_i = σ_i/2 the electrons' spin on site i. The electrons are summed over exactly, by
    diagonalisation: `energy` is their grand potential Ω(S) = −T Σ_n ln(1 + exp(−(ε_n − μ)/T)), and the weight of the spins
    exp(−Ω/T). Ω depends on T: `temperature` belongs to the model, and a chain at another one raises ValueError. `hopping` t,
    `coupling` J, `chemical_potential` μ and `temperature` are energies; at μ = 0 a bipartite lattice is half filled.
    Configurations `x` are float64 `(batch, n_sites, 3)`, on any device. `staggered_m2` exists on bipartite lattices.
    Source: Yunoki et al. 1998 (10.1103/PhysRevLett.80.845); Liu, Shen, Qi, Meng, Fu 2017 (10.1103/PhysRevB.95.241104).

    >>> import mlphys as mp
    >>> model = mp.DoubleExchange(mp.square(4), temperature=0.05)
    >>> round(model.energy(model.ordered(1)).item(), 6)
    -27.554707
    """

    rules = ("metropolis",)
    fixed_temperature = True

    def __init__(
        self,
        lattice: Lattice,
        hopping: float = 1.0,
        coupling: float = 1.0,
        chemical_potential: float = 0.0,
        temperature: float = 0.05,
    ):
        self.lattice = check_lattice(lattice)
        self.hopping, self.coupling = finite("hopping", hopping), finite("coupling", coupling)
        self.chemical_potential = finite("chemical_potential", chemical_potential)
        self.temperature = float(positive(finite("temperature", temperature)))
        self._parts: dict[str, Callable[[Any], Any]] = {
            "energy": lambda electrons: electrons.grand_potential / lattice.n_sites,
            "abs_magnetisation": lambda electrons: electrons.x.mean(1).norm(dim=1),
            "m2": lambda electrons: (electrons.x.mean(1) ** 2).sum(1),
            "density": lambda electrons: electrons.occupations.sum(1) / lattice.n_sites,
            "kinetic_energy": lambda electrons: electrons.kinetic_energy / lattice.n_sites,
        }
        if lattice.bipartite:
            self._parts["staggered_m2"] = lambda electrons: (self.staggered(electrons.x).mean(1) ** 2).sum(1)

    @property
    def observables(self) -> Mapping[str, Callable]:  # type: ignore[override]
        def of_x(part):
            return lambda x: part(_Electrons(self, self.vectors(x)))

        return {name: of_x(part) for name, part in self._parts.items()}

    def measure(self, state, names) -> dict[str, np.ndarray]:
        """The named observables of each chain of a `State`, `(chains,)` each, from one diagonalisation."""
        self._check_temperature(state.beta)
        electrons = _Electrons(self, self.vectors(state.x))
        if "kinetic_energy" in names:
            _ = electrons.states  # with them come the levels that all else needs
        return {name: np.asarray(self._parts[name](electrons).cpu()) for name in names}

    @cached_property
    def _hops(self) -> np.ndarray:
        """−t for each bond that joins two sites, `(n_sites, n_sites)`."""
        hops, (first, second) = np.zeros((self.lattice.n_sites,) * 2), self.lattice.bonds.T
        np.add.at(hops, (first, second), -self.hopping)
        return hops + hops.T

    def matrix(self, x):
        """The Hamiltonian of one electron, complex128 `(batch, 2 n_sites, 2 n_sites)`: spin up on all sites, then down."""
        import torch

        u = self.coupling / 2 * self.vectors(x)
        hops = torch.from_numpy(self._hops).to(u).to(torch.complex128).expand(len(u), -1, -1)
        up, across = u[..., 2].diag_embed(), torch.complex(u[..., 0], -u[..., 1]).diag_embed()
        return torch.cat([torch.cat([hops + up, across], 2), torch.cat([across.mH, hops - up], 2)], 1)

    def energy(self, x):
        """The grand potential Ω `(batch,)` of spins `(batch, n_sites, 3)`; ValueError when `x` has another shape."""
        import torch

        # A few lattices at a time: their matrices take far more memory than their spins.
        return torch.cat([_Electrons(self, part).grand_potential for part in self.vectors(x).split(128)])

    def force(self, x):
        """−∂Ω/∂S `(batch, n_sites, 3)`: −J times the electrons' spin on each site (Hellmann and Feynman)."""
        return -self.coupling / 2 * _Electrons(self, self.vectors(x)).spins

    def staggered(self, x):
        """Spins `(batch, n_sites, 3)` with one sublattice reversed."""
        import torch

        return x * torch.from_numpy(1.0 - 2 * (self.lattice.colours % 2)).to(x)[:, None]

    def structure_factor(self, x):
        """|Σ_i S_i exp(i q r_i)|² / n_sites `(batch, *shape)` of the spins, for every wave vector q of the lattice."""
        import torch

        u = self.vectors(x)
        axes = list(range(1, 1 + len(self.lattice.shape)))
        waves = torch.fft.fftn(u.reshape(len(u), *self.lattice.shape, 3), dim=axes)
        return (waves.abs() ** 2).sum(-1) / self.lattice.n_sites

    def ordered(self, batch: int, device: str = "cpu"):
        """Spins of least energy at half filling, antiparallel on neighbours of a bipartite lattice: one direction each."""
        one = self._directions(batch, 1, np.random.Generator(np.random.Philox(0)), device)
        spins = one.repeat_interleave(self.lattice.n_sites, 1)
        return self.staggered(spins) if self.lattice.bipartite else spins

    def _check_temperature(self, betas: np.ndarray) -> None:
        wrong = betas[np.abs(betas * self.temperature - 1) > 1e-9]
        if len(wrong):
            raise ValueError(
                f"temperature={1 / wrong[0]:g} is not allowed: the grand potential of this model is that of "
                f"temperature={self.temperature:g}"
            )

    def kernel(self, rule: str):
        return self._sweeps, ()

    def _sweeps(self, x, widths, betas, chains, seed, first_sweep, sweeps):
        """Metropolis: a step of normal length `widths` for one spin after the other, of all chains at once."""
        import torch

        self._check_temperature(betas)
        spins, width = torch.from_numpy(x), torch.from_numpy(widths)[:, None]
        accepted, energy = np.zeros(len(x), np.int64), self.energy(spins)
        for sweep in range(first_sweep, first_sweep + sweeps):
            rng = np.random.Generator(np.random.Philox(key=np.array([seed, sweep], np.uint64)))
            # One chain after the other, so that the first of them draw the same whatever their number.
            drawn = torch.from_numpy(rng.normal(size=(chains.max() + 1, self.lattice.n_sites, 3))[chains])
            lots = torch.from_numpy(np.log1p(-rng.random((chains.max() + 1, self.lattice.n_sites))[chains]))
            for site in range(self.lattice.n_sites):
                before = spins[:, site].clone()
                spins[:, site] = self.configurations(before + width * drawn[:, site])
                new = self.energy(spins)
                accept = lots[:, site] < (energy - new) / self.temperature
                spins[:, site] = torch.where(accept[:, None], spins[:, site], before)
                energy = torch.where(accept, new, energy)
                accepted += accept.numpy()
        return accepted

    def __repr__(self) -> str:
        energies = f"hopping={self.hopping}, coupling={self.coupling}, chemical_potential={self.chemical_potential}"
        return f"DoubleExchange({self.lattice!r}, {energies}, temperature={self.temperature})"


class _Electrons:
    """What the electrons do among spins `x` `(batch, n_sites, 3)`: each part is found when first asked for."""

    def __init__(self, model: Any, x):
        self.model, self.x = model, x

    @cached_property
    def levels(self):
        """Energies of one electron, `(batch, 2 n_sites)`, less the chemical potential."""
        import torch

        if "states" in self.__dict__:
            return self.states[0]
        return torch.linalg.eigvalsh(self.model.matrix(self.x)) - self.model.chemical_potential

    @cached_property
    def states(self):
        """The levels, and the amplitudes `(batch, n_sites, 2 n_sites)` of each state for spin up and for spin down."""
        import torch

        levels, vectors = torch.linalg.eigh(self.model.matrix(self.x))
        return levels - self.model.chemical_potential, *vectors.chunk(2, dim=1)

    @property
    def occupations(self):
        import torch

        return torch.sigmoid(-self.levels / self.model.temperature)

    @property
    def grand_potential(self):
        import torch

        temperature = self.model.temperature
        return -temperature * torch.nn.functional.softplus(-self.levels / temperature).sum(1)

    @property
    def spins(self):
        """⟨σ⟩ on each site, `(batch, n_sites, 3)`."""
        import torch

        _, up, down = self.states
        occupied = self.occupations[:, None]
        flip = 2 * (occupied * up.conj() * down).sum(2)
        return torch.stack([flip.real, flip.imag, (occupied * (up.abs() ** 2 - down.abs() ** 2)).sum(2)], -1)

    @property
    def kinetic_energy(self):
        import torch

        _, up, down = self.states
        hops = torch.from_numpy(self.model._hops).to(up)
        return (self.occupations * sum((part.conj() * (hops @ part)).sum(1).real for part in (up, down))).sum(1)
