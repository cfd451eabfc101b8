"""Ising spins with products of four beside those of two: clusters of the plain model do not know the four."""

import numpy as np

from mlphys.exact.values import finite
from mlphys.hamiltonians.base import Hamiltonian
from mlphys.hamiltonians.spins import Ising
from mlphys.hamiltonians.vectors import seen_along
from mlphys.lattices import Lattice


class PlaquetteIsing(Hamiltonian):
    """The Ising model with a plaquette term, H = −J Σ_bonds s s' − K Σ_plaquettes s s' s'' s''', on a square lattice.

    `coupling` J and `plaquette` K are energies, spins ±1. At K = 0.2 J it orders below T = 2.493 J. Local updates know the
    whole model; clusters grow in the Ising model that imitates it, as proposals for `SelfLearning`. Raises ValueError for
    other lattices and energies that are not finite.
    Source: Liu, Qi, Meng, Fu 2017 (10.1103/PhysRevB.95.041101, arXiv:1610.03137).

    >>> import mlphys as mp
    >>> model = mp.PlaquetteIsing(mp.square(4))
    >>> round(model.energy(model.ordered(1)).item(), 9)
    -35.2
    """

    rules = ("metropolis",)

    def __init__(self, lattice: Lattice, coupling: float = 1.0, plaquette: float = 0.2):
        self.pairs = Ising(lattice, finite("coupling", coupling))
        self.lattice, self.coupling, self.plaquette = lattice, self.pairs.coupling, finite("plaquette", plaquette)
        if lattice.name != "square":
            raise ValueError(f"lattice={lattice!r} has no square plaquettes: allowed are square lattices")
        self.observables = {**self.pairs.observables, "energy": lambda x: self.energy(x) / lattice.n_sites}
        self.derived = self.pairs.derived
        for name in ("check_x", "random", "ordered", "start", "check_start"):
            setattr(self, name, getattr(self.pairs, name))

    def energy(self, x):
        """Total energy `(batch,)` of spins `(batch, n_sites)`, in float64; ValueError when `x` has another shape."""
        import torch

        right, down = self.lattice.directions
        pairs = self.check_x(x) * seen_along(self.lattice, self.check_x(x), right)
        fours = pairs * seen_along(self.lattice, pairs, down)
        return self.pairs.energy(x) - self.plaquette * fours.sum(1, dtype=torch.float64)

    def kernel(self, rule: str):
        """The compiled update of one site after the other, and its tables."""
        from mlphys.kernels import spins

        along, across = np.array(self.lattice.directions)
        around = [(a, a + b, b) for a in (along, -along) for b in (across, -across)]
        corners = np.stack([np.stack([self.lattice.shifted(step) for step in steps], 1) for steps in around], 1)
        tables = (self.lattice.neighbours, corners, self.coupling, self.plaquette, self.lattice.update_order)
        return spins.plaquette_sweeps, tables

    def __repr__(self) -> str:
        return f"PlaquetteIsing({self.lattice!r}, coupling={self.coupling}, plaquette={self.plaquette})"
