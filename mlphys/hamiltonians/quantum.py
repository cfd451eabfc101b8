"""Quantum spins 1/2 in the basis of σᶻ: a diagonal of pairs, and terms that flip one spin or exchange two."""

import math
from types import SimpleNamespace

import numpy as np

from mlphys import checks
from mlphys.hamiltonians.base import check_lattice
from mlphys.lattices import Lattice


class QuantumSpins:
    """What the models of spins 1/2 share; a state of the basis is x = σᶻ = ±1, `(batch, n_sites)`.

    H = Σ zz σᶻσᶻ over `pairs` `(n_pairs, 2)`, and for each row of `flips` `(n_terms, k)` a term that turns those k spins,
    with matrix element `weights` `(n_terms,)`. With k = 2 only antiparallel spins are turned: Σσᶻ is conserved.
    """

    lattice: Lattice
    pairs: np.ndarray
    zz: np.ndarray
    flips: np.ndarray
    weights: np.ndarray

    @property
    def conserves_magnetisation(self) -> bool:
        return self.flips.shape[1] == 2

    def check_x(self, x):
        """`x` as a torch tensor; ValueError unless its shape is `(batch, n_sites)`."""
        import torch

        x, n = torch.as_tensor(x), self.lattice.n_sites
        if x.ndim != 2 or x.shape[1] != n:
            raise ValueError(f"x has shape {tuple(x.shape)}: allowed is (batch, n_sites) with n_sites = {n}")
        return x

    def tensors(self, device) -> SimpleNamespace:
        """`pairs`, `zz`, `flips`, their two `ends`, and `weights` as torch tensors, made once for a device."""
        import torch

        made = self.__dict__.setdefault("_tensors", {})
        if str(device) not in made:
            sites = {"pairs": self.pairs.T, "flips": self.flips, "ends": self.flips[:, [0, -1]]}
            parts = {name: torch.from_numpy(np.ascontiguousarray(part)).long() for name, part in sites.items()}
            parts |= {"zz": torch.from_numpy(self.zz), "weights": torch.from_numpy(self.weights)}
            made[str(device)] = SimpleNamespace(**{name: part.to(device) for name, part in parts.items()})
        return made[str(device)]

    def __getstate__(self) -> dict:
        return {name: value for name, value in self.__dict__.items() if name != "_tensors"}

    def diagonal(self, x):
        """⟨x|H|x⟩ `(batch,)` of states `(batch, n_sites)`."""
        x = self.check_x(x)
        tensors = self.tensors(x.device)
        first, second = tensors.pairs
        return (x[:, first] * x[:, second]).to(tensors.zz) @ tensors.zz

    def acts(self, x, terms=None):
        """Which terms act on states x, `(batch, n_terms)`; with `terms` `(batch,)`, whether that one does, `(batch,)`."""
        ends = self.tensors(x.device).ends
        spins = x[:, ends] if terms is None else x.gather(1, ends[terms])
        return (spins[..., 0] != spins[..., 1]) | (not self.conserves_magnetisation)

    def turned(self, x, terms):
        """The states x `(batch, n_sites)` after the spins of one term each, `(batch,)`, are turned."""
        sites = self.tensors(x.device).flips[terms]
        return x.scatter(1, sites, -x.gather(1, sites))

    def connected(self, x):
        """States x' `(batch, 1 + n_terms, n_sites)` that H joins to x `(batch, n_sites)`, and their ⟨x|H|x'⟩.

        The first is x itself. A term that cannot act on x has x' = x and element 0.
        """
        import torch

        x = self.check_x(x)
        acts, states = self.acts(x), x[:, None].repeat(1, 1 + len(self.flips), 1)
        row, term = acts.nonzero(as_tuple=True)
        states[row, 1 + term] = self.turned(x[row], term)
        return states, torch.cat([self.diagonal(x)[:, None], self.tensors(x.device).weights * acts], dim=1)

    def basis(self, sector: int | None = None) -> np.ndarray:
        """All states as whole numbers, `(n_states,)`, in rising order: bit i is set where σᶻ of site i is −1.

        sector: the value of Σσᶻ, None for every state. Raises ValueError for a sector that is not conserved or does not
        exist, and above 2²² states.
        """
        n = self.lattice.n_sites
        if sector is not None:
            if not self.conserves_magnetisation:
                raise ValueError(f"sector={sector!r} is not allowed: {self!r} does not conserve Σσᶻ")
            if not checks.is_whole(sector) or abs(sector) > n or (n - sector) % 2:
                raise ValueError(f"sector={sector!r} is not allowed: Σσᶻ of {n} spins is between ±{n}, in steps of 2")
        if n > 40 or (2**n if sector is None else math.comb(n, (n - sector) // 2)) > 2**22:
            raise ValueError(f"{self!r} has too many states: allowed are 2**22; name a sector, or take fewer sites")
        if sector is None:
            return np.arange(2**n, dtype=np.int64)
        down = (n - sector) // 2
        # Site by site, states are kept as long as the number of spins down can still be reached.
        codes, counts = np.zeros(1, np.int64), np.zeros(1, np.int64)
        for site in reversed(range(n)):
            codes = np.concatenate([codes, codes | (1 << site)])
            counts = np.concatenate([counts, counts + 1])
            kept = (counts <= down) & (counts + site >= down)
            codes, counts = codes[kept], counts[kept]
        return np.sort(codes)

    def spins(self, codes: np.ndarray) -> np.ndarray:
        """The states behind numbers of `basis`, int8 `(n_states, n_sites)`."""
        return (1 - 2 * (codes[:, None] >> np.arange(self.lattice.n_sites) & 1)).astype(np.int8)

    def to_sparse(self, sector: int | None = None):
        """H as a scipy sparse matrix over `basis(sector)`.

        Raises ValueError as `basis` does.

        >>> from mlphys.lattices import chain
        >>> HeisenbergJ1J2(chain(4)).to_sparse(sector=0).shape
        (6, 6)
        """
        from scipy.sparse import csr_array

        codes = self.basis(sector)
        row, turned, value = self.elements(codes)
        return csr_array((value, (row, np.searchsorted(codes, turned))), shape=(len(codes), len(codes)))

    def elements(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What H makes of the states `codes`: for each matrix element its row, the state reached and the value."""
        rows, turned, values = [np.arange(len(codes))], [codes], [self._diagonal(codes)]
        for sites, weight in zip(self.flips, self.weights, strict=True):
            row = np.arange(len(codes))
            if self.conserves_magnetisation:
                row = np.flatnonzero((codes >> sites[0] ^ codes >> sites[1]) & 1)
            rows.append(row)
            turned.append(codes[row] ^ sum(1 << int(site) for site in sites))
            values.append(np.full(len(row), weight))
        return np.concatenate(rows), np.concatenate(turned), np.concatenate(values)

    def _diagonal(self, codes: np.ndarray) -> np.ndarray:
        total = np.zeros(len(codes))
        for (i, j), zz in zip(self.pairs, self.zz, strict=True):
            total += zz * (1 - 2 * ((codes >> i ^ codes >> j) & 1))
        return total


def _number(name: str, value) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not math.isfinite(value):
        raise ValueError(f"{name}={value!r} is not allowed: it must be one finite number")
    return float(value)


class TransverseIsing(QuantumSpins):
    """The Ising model in a transverse field, H = −J Σ_bonds σᶻσᶻ − h Σ σˣ.

    `coupling` J and `field` h in units of energy. Raises ValueError for bad arguments. Source: Pfeuty 1970
    (10.1016/0003-4916(70)90270-8).

    >>> from mlphys.lattices import chain
    >>> states, elements = TransverseIsing(chain(3), field=0.5).connected(np.array([[1, 1, -1]]))
    >>> states.shape, elements.tolist()
    (torch.Size([1, 4, 3]), [[1.0, -0.5, -0.5, -0.5]])
    """

    def __init__(self, lattice: Lattice, coupling: float = 1.0, field: float = 1.0):
        self.lattice = check_lattice(lattice)
        self.coupling, self.field = _number("coupling", coupling), _number("field", field)
        self.pairs, self.zz = lattice.bonds, np.full(lattice.n_bonds, -self.coupling)
        self.flips = np.arange(lattice.n_sites, dtype=np.int32)[:, None]
        self.weights = np.full(lattice.n_sites, -self.field)

    def __repr__(self) -> str:
        return f"TransverseIsing({self.lattice!r}, coupling={self.coupling:g}, field={self.field:g})"


class _Exchange(QuantumSpins):
    """H = Σ_pairs strength (SᶻSᶻ anisotropy + SˣSˣ + SʸSʸ), optionally turned by π about z on one sublattice."""

    def _build(self, lattice: Lattice, pairs: np.ndarray, strength: np.ndarray, anisotropy: float, marshall: bool) -> None:
        if marshall and not lattice.bipartite:
            raise ValueError(f"marshall=True is not allowed: {lattice!r} has no two sublattices")
        self.lattice, self.pairs, self.flips, self.marshall = lattice, pairs, pairs, marshall
        self.zz = anisotropy * strength / 4
        sign = np.where(lattice.colours[pairs[:, 0]] != lattice.colours[pairs[:, 1]], -1, 1) if marshall else 1
        self.weights = sign * strength / 2


class HeisenbergJ1J2(_Exchange):
    """Heisenberg's antiferromagnet with next-nearest neighbours, H = Σ_nn S·S + J2 Σ_nnn S·S, S = σ/2.

    `j2` in units of the nearest-neighbour coupling. `marshall` turns one sublattice by π about z, which makes every matrix
    element of a bipartite lattice at j2 = 0 negative and the ground state positive (Marshall 1955, 10.1098/rspa.1955.0200);
    it needs a bipartite lattice. Raises ValueError for bad arguments.

    >>> from mlphys.lattices import square
    >>> HeisenbergJ1J2(square(4), j2=0.5)
    HeisenbergJ1J2(square(4, 4), j2=0.5, marshall=True)
    """

    def __init__(self, lattice: Lattice, j2: float = 0.0, marshall: bool = True):
        self.j2 = _number("j2", j2)
        near = check_lattice(lattice).bonds
        far = lattice.shell(2) if self.j2 else near[:0]
        strength = np.concatenate([np.ones(len(near)), np.full(len(far), self.j2)])
        self._build(lattice, np.concatenate([near, far]), strength, 1.0, marshall)

    def __repr__(self) -> str:
        return f"HeisenbergJ1J2({self.lattice!r}, j2={self.j2:g}, marshall={self.marshall})"


class XXZ(_Exchange):
    """The XXZ model, H = Σ_bonds (SˣSˣ + SʸSʸ + Δ SᶻSᶻ), S = σ/2.

    `anisotropy` Δ; `marshall` as in `HeisenbergJ1J2`. Raises ValueError for bad arguments.

    >>> from mlphys.lattices import chain
    >>> XXZ(chain(4), anisotropy=2.0).to_sparse(sector=0).shape
    (6, 6)
    """

    def __init__(self, lattice: Lattice, anisotropy: float = 1.0, marshall: bool = True):
        self.anisotropy = _number("anisotropy", anisotropy)
        bonds = check_lattice(lattice).bonds
        self._build(lattice, bonds, np.ones(len(bonds)), self.anisotropy, marshall)

    def __repr__(self) -> str:
        return f"XXZ({self.lattice!r}, anisotropy={self.anisotropy:g}, marshall={self.marshall})"
