"""Lattice gauge fields."""

from functools import cached_property

import numpy as np

from mlphys.exact.values import finite
from mlphys.hamiltonians.base import Derived, check_lattice, heat_capacity
from mlphys.hamiltonians.vectors import Directed, coloured, plaquettes, seen_along, wrapped
from mlphys.lattices import Lattice, chain


class U1Gauge(Directed):
    """Compact U(1) gauge theory in two dimensions, S = −β Σ_P cos P, with an angle in [−π, π) on each link.

    `lattice` is square; `beta` > 0 is the coupling, absorbed in the action (the temperature is 1). Configurations `x` are
    link angles, float64 `(batch, n_sites, 2)`, component μ for the link along `lattice.directions[μ]`. `energy` is the
    action per site, `plaquette` the mean of cos P, `charge` the topological charge Q = Σ_P P / 2π with every P taken in
    [−π, π), a whole number. Local updates and HMC change Q ever more rarely as β grows (it freezes: the errors of Q² can
    then only be believed over many independent chains); no update here moves between sectors at once. Raises ValueError for
    other lattices and for a beta that is not positive. Source: Wilson 1974 (10.1103/PhysRevD.10.2445).

    >>> import mlphys as mp
    >>> gauge = mp.U1Gauge(mp.square(8), beta=2.0)
    >>> gauge.action(gauge.ordered(1)).item(), gauge.charge(gauge.ordered(1)).item()
    (-128.0, 0.0)
    """

    temperature = 1.0
    links = components = (2,)

    def __init__(self, lattice: Lattice, beta: float):
        self.lattice = check_lattice(lattice)
        if lattice.name != "square":
            raise ValueError(
                f"lattice={lattice!r} is not supported by U1Gauge: allowed is a square lattice, in two dimensions"
            )
        self.beta = finite("beta", beta)
        if self.beta <= 0:
            raise ValueError(f"beta={beta!r} is not allowed: it must be positive")
        self.observables = {
            "energy": lambda x: self.energy(x) / lattice.n_sites,
            "plaquette": lambda x: self.plaquettes(x).cos().mean(1),
            "charge": self.charge,
            "charge2": lambda x: self.charge(x) ** 2,
        }
        self.derived = {
            "charge_susceptibility": Derived(lambda beta, q2: q2 / lattice.n_sites, ("charge2", 1)),
            "heat_capacity": heat_capacity(lattice.n_sites),
        }

    @property
    def n_updates(self) -> int:
        return 2 * self.lattice.n_sites

    def plaquettes(self, x):
        """Sums of the angles around the plaquettes `(batch, n_sites)`, each at its corner of lowest row and column."""
        return plaquettes(self.lattice, self.check_x(x).double())

    def energy(self, x):
        """The action S `(batch,)` of links `(batch, n_sites, 2)`; ValueError when `x` has another shape."""
        return -self.beta * self.plaquettes(x).cos().sum(1)

    def charge(self, x):
        """The topological charge `(batch,)`."""
        return (wrapped(self.plaquettes(x)).sum(1) / (2 * np.pi)).round()

    def force(self, x):
        """−∂S/∂θ, `(batch, n_sites, 2)`."""
        import torch

        curl, (right, down) = self.plaquettes(x).sin(), -np.array(self.lattice.directions)
        beside = [seen_along(self.lattice, curl, down) - curl, curl - seen_along(self.lattice, curl, right)]
        return self.beta * torch.stack(beside, -1)

    def ordered(self, batch: int, device: str = "cpu"):
        """Links of the least action: all angles 0."""
        return 0.0 * self.random(batch, 0, device)

    @cached_property
    def _tables(self) -> tuple:
        """The two staples of every link, three links each: the opposite one, one beside, and one run through backwards."""
        here, steps = np.arange(self.lattice.n_sites), np.array(self.lattice.directions)
        staples = np.empty((self.lattice.n_sites, 2, 6), np.int64)
        for along in (0, 1):
            across, step, away = 1 - along, steps[along], steps[1 - along]
            ahead, beyond, back = (self.lattice.shifted(s) for s in (step, away, -away))
            links = [(beyond, along), (here, across), (ahead, across)]
            links += [(back, along), (self.lattice.shifted(step - away), across), (back, across)]
            staples[:, along] = np.stack([2 * site + direction for site, direction in links], 1)
        # Links side by side share a plaquette; those in a row do not.
        rows, columns = (chain(side).colours for side in self.lattice.shape)
        row, column = self.lattice.coordinates.T
        colours = np.stack([rows[row], rows.max() + 1 + columns[column]], 1)
        return (*coloured(staples.reshape(-1, 6), colours.ravel()), True, self.beta)

    def __repr__(self) -> str:
        return f"U1Gauge({self.lattice!r}, beta={self.beta})"
