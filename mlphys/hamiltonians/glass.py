"""Spin glasses: Ising spins whose couplings are frozen disorder."""

from mlphys import checks
from mlphys.hamiltonians.base import check_lattice
from mlphys.hamiltonians.spins import Ising
from mlphys.lattices import Lattice
from mlphys.random import generator


class SpinGlass(Ising):
    """The Edwards–Anderson model, H = −Σ_bonds J s s' with s = ±1 and a random J on every bond.

    `couplings` names their distribution: "pm1", J = ±1 with equal probability, or "gaussian", of mean 0 and variance 1.
    `seed` draws the sample: the same seed on the same lattice is the same glass. Raises ValueError for other arguments.
    Source: Edwards and Anderson 1975 (10.1088/0305-4608/5/5/017).

    >>> from mlphys.lattices import square
    >>> SpinGlass(square(8), seed=1).coupling[:4].tolist()
    [1.0, -1.0, 1.0, -1.0]
    """

    def __init__(self, lattice: Lattice, couplings: str = "pm1", seed: int = 0):
        checks.one_of("couplings", couplings, ("pm1", "gaussian"))
        rng, bonds = generator(seed, "couplings", couplings), check_lattice(lattice).n_bonds
        super().__init__(lattice, rng.choice([-1.0, 1.0], bonds) if couplings == "pm1" else rng.standard_normal(bonds))
        self.couplings, self.seed = couplings, seed

    def overlap(self, first, second):
        """Σ s s' / n_sites of two replicas `(..., n_sites)`: the order parameter q, whose distribution shows the glass."""
        return (first * second).double().mean(-1)

    def __repr__(self) -> str:
        return f"SpinGlass({self.lattice!r}, couplings={self.couplings!r}, seed={self.seed})"
