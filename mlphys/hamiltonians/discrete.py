"""Models of spins with q values: Potts and clock."""

import numpy as np

from mlphys import checks
from mlphys.hamiltonians.vectors import XY, Spins
from mlphys.lattices import Lattice
from mlphys.random import generator

MOST_VALUES = 64


class _Discrete(Spins):
    """Values 0 … q − 1 on the sites, an energy for each pair of neighbouring values and a vector for each value.

    `pair_energy` is `(q, q)`; `table` `(q, components)` holds unit vectors that add up to zero, and their mean over the
    sites is the order parameter.
    """

    rules = ("metropolis", "heat_bath")  # type: ignore[assignment]
    proposal_width = None  # type: ignore[assignment]
    continuous = False
    pair_energy: np.ndarray
    table: np.ndarray

    def __init__(self, lattice: Lattice, q: int, coupling: float = 1.0):
        super().__init__(lattice, coupling)
        self.q = checks.whole("q", q, 2)
        if self.q > MOST_VALUES:
            raise ValueError(f"q={q!r} is not allowed: it must be from 2 to {MOST_VALUES}")
        self.values = range(self.q)
        self._parts["energy"] = lambda x, u, beta: self.energy(x) / lattice.n_sites

    def vectors(self, x):
        """The vector on every site `(batch, n_sites, components)`, in float64."""
        import torch

        return torch.from_numpy(self.table).to(self.check_x(x).device)[self.check_x(x).long()]

    def energy(self, x):
        """Total energy `(batch,)` of values `(batch, n_sites)`, in float64; ValueError when `x` has another shape."""
        import torch

        x = self.check_x(x).long()
        first, second = (torch.from_numpy(column).to(x.device) for column in self.lattice.bonds.T.copy())
        return torch.from_numpy(self.pair_energy).to(x.device)[x[:, first], x[:, second]].sum(1)

    def measure(self, state, names) -> dict[str, np.ndarray]:
        """The named observables of each chain of a `State`, counted by a compiled kernel where that is possible."""
        counted = self._counted(state.configuration.spins()) if state.device == "cpu" else {}
        rest = [name for name in names if name not in counted]
        found = counted | (super().measure(state, rest) if rest else {})
        return {name: found[name] for name in names}

    def _counted(self, x: np.ndarray) -> dict[str, np.ndarray]:
        from mlphys.kernels import discrete

        energy, counts = discrete.energies_and_counts(x, self.lattice.neighbours, self.pair_energy)
        order = counts @ self.table / self.lattice.n_sites
        m2 = (order**2).sum(1)
        moments = {"magnetisation": order[:, 0], "abs_magnetisation": np.sqrt(m2), "m2": m2, "m4": m2**2}
        return {"energy": energy / self.lattice.n_sites, **moments}

    def random(self, batch: int, seed: int = 0, device: str = "cpu"):
        """Independent random values, int8 `(batch, n_sites)`."""
        import torch

        shape = (checks.whole("batch", batch, 1), self.lattice.n_sites)
        return torch.from_numpy(generator(seed, "start").integers(0, self.q, shape, np.int8)).to(device)

    def ordered(self, batch: int, device: str = "cpu"):
        """Ground states of the ferromagnet, int8 `(batch, n_sites)`: each value in turn."""
        import torch

        values = torch.arange(checks.whole("batch", batch, 1), device=device) % self.q
        return values.char()[:, None].repeat(1, self.lattice.n_sites)

    def check_start(self, x, chains: int):
        """`x` as int8 values; ValueError unless its shape is `(chains, n_sites)` and all are whole, from 0 to q − 1."""
        x = self.check_x(x)
        if len(x) != chains:
            raise ValueError(f"start has {len(x)} configurations: allowed is one for each of {chains} chains")
        if not ((x >= 0) & (x < self.q) & (x == x.long())).all():
            raise ValueError(f"start has entries other than the whole numbers from 0 to q - 1 = {self.q - 1}")
        return x.char()

    def kernel(self, rule: str):
        """The compiled update `rule` of one site after the other, and its tables."""
        from mlphys.kernels import discrete

        return getattr(discrete, f"{rule}_sweeps"), (self.lattice.neighbours, self.pair_energy, self.lattice.update_order)

    def _embedded(self, x: np.ndarray, projections: np.ndarray) -> np.ndarray:
        """Ising variables `(chains, n_sites)` from the number of each value, `projections` `(chains, q)`."""
        return self._amplitudes * np.take_along_axis(projections, x.astype(np.int64), axis=1)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.lattice!r}, q={self.q}, coupling={self.coupling})"


class Potts(_Discrete):
    """The Potts model, H = −J Σ_bonds δ(s, s') with s = 0 … q − 1.

    `q` is at most 64; `coupling` J, in units of energy, is positive for a ferromagnet. The order parameter is the mean of
    vectors to the corners of a simplex: with ρ_s the share of sites at s, magnetisation = (q ρ_0 − 1)/(q − 1) and
    m2 = (q Σ ρ² − 1)/(q − 1). Raises ValueError for bad arguments.
    Source: Potts 1952 (10.1017/S0305004100027419); Wu 1982 (10.1103/RevModPhys.54.235).

    >>> from mlphys.lattices import square
    >>> potts = Potts(square(4), q=3)
    >>> potts.energy(potts.ordered(1)).tolist()
    [-32.0]
    """

    def __init__(self, lattice: Lattice, q: int, coupling: float = 1.0):
        super().__init__(lattice, q, coupling)
        self.pair_energy = -self.coupling * np.eye(q)
        # Corners of a simplex, from their scalar products 1 and −1/(q − 1): the first along the first axis.
        corners = np.linalg.cholesky((q * np.eye(q - 1) - 1) / (q - 1))
        self.table = np.vstack([corners, -corners.sum(0)])

    def embedding(self, x: np.ndarray, rng: np.random.Generator):
        """Two values drawn for each chain are exchanged: a = ±√(J/2) on their sites, 0 elsewhere."""
        chains = np.arange(len(x))
        pair = np.argsort(rng.random((len(x), self.q)), axis=1)[:, :2].T
        projections = np.zeros((len(x), self.q))
        projections[chains, pair] = np.array([[1.0], [-1.0]]) / np.sqrt(2)
        exchanged = np.tile(np.arange(self.q, dtype=np.int8), (len(x), 1))
        exchanged[chains, pair] = pair[::-1]

        def flip(sites: np.ndarray) -> np.ndarray:
            return np.where(sites, np.take_along_axis(exchanged, x.astype(np.int64), axis=1), x)

        return self._embedded(x, projections), flip


class Clock(_Discrete):
    """The clock model, H = −J Σ_bonds cos(2π(s − s')/q) with s = 0 … q − 1.

    `q` is at most 64; `coupling` J, in units of energy, is positive for a ferromagnet. The order parameter is the mean of
    the vectors (cos 2πs/q, sin 2πs/q); `helicity_modulus`, of (x, beta), and `vortex_density` are those of the XY model.
    Raises ValueError for bad arguments.
    Source: José, Kadanoff, Kirkpatrick, Nelson 1977 (10.1103/PhysRevB.16.1217).

    >>> from mlphys.lattices import square
    >>> clock = Clock(square(4), q=6)
    >>> clock.energy(clock.ordered(1)).tolist()
    [-32.0]
    """

    def __init__(self, lattice: Lattice, q: int, coupling: float = 1.0):
        super().__init__(lattice, q, coupling)
        angles = 2 * np.pi * np.arange(q) / q
        self.pair_energy = -self.coupling * np.cos(angles[:, None] - angles)
        self.table = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        for name, part in XY(lattice, coupling)._parts.items():
            if name not in self._parts:  # helicity modulus and vortices
                self._parts[name] = lambda x, u, beta, part=part: part(2 * np.pi / q * x, u, beta)

    def embedding(self, x: np.ndarray, rng: np.random.Generator):
        """A reflection s → m − s drawn for each chain: a = √J sin(2πs/q − πm/q)."""
        mirror = rng.integers(0, self.q, len(x))[:, None]
        projections = np.sin(np.pi * (2 * np.arange(self.q) - mirror) / self.q)
        # Sites on the mirror have a = 0, and rounding may not say otherwise.
        projections[np.abs(projections) < 1e-12] = 0.0

        def flip(sites: np.ndarray) -> np.ndarray:
            return np.where(sites, (mirror - x) % self.q, x).astype(np.int8)

        return self._embedded(x, projections), flip
