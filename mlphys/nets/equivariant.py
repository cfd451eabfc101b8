"""Energies of unit spins that keep the symmetries by construction: turn all spins, or move the lattice, and none changes."""

import math

import numpy as np
import torch
from torch import nn
from torch.nn.functional import normalize

from mlphys import checks
from mlphys.lattices import Lattice
from mlphys.random import torch_generator


class EquivariantEnergy(nn.Module):
    """An energy of unit spins `(batch, n_sites, 3)` that global O(3), translations and the point group leave as it is.

    Weights belong to shells, all pairs of sites at one distance, and spins enter through weighted sums of spins, which turn
    along with them, and through scalar products, which do not turn. `shells` is the number of shells, all of the lattice's
    unless given. Subclasses define `vectors`, and perhaps `correction`; the energy is E0 − Σ_k J_k Σ_pairs S · S' of their
    last vectors S, the pairs those of shell k, plus the correction. dtype: torch.float32 or torch.float64 inside; energies
    come out in float64. Raises ValueError for bad arguments.
    """

    adjacency: torch.Tensor
    unit: torch.Tensor

    def __init__(self, lattice: Lattice, shells: int | None = None, dtype: torch.dtype = torch.float32):
        super().__init__()
        if dtype not in (torch.float32, torch.float64):
            raise ValueError(f"dtype={dtype!r} is not allowed: it must be torch.float32 or torch.float64")
        self.lattice, self.shells = lattice, lattice.n_shells if shells is None else checks.whole("shells", shells, 1)
        # Which sites are at which distance: (shell, site, site), shell 0 the site itself.
        adjacency = np.zeros((self.shells + 1, lattice.n_sites, lattice.n_sites))
        adjacency[0] = np.eye(lattice.n_sites)
        for k in range(1, self.shells + 1):
            first, second = lattice.shell(k).T
            adjacency[k, first, second] = adjacency[k, second, first] = 1
        self.register_buffer("adjacency", torch.from_numpy(adjacency).to(dtype), persistent=False)
        # What the weights of order one are multiplied by, found by `start_from`.
        self.register_buffer("unit", torch.ones(1, dtype=dtype))
        self.couplings = nn.Parameter(torch.zeros(self.shells, dtype=dtype))
        self.offset = nn.Parameter(torch.zeros(1, dtype=dtype))

    @property
    def n_parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    def fitted(self) -> bool:
        """Whether `start_from` has been called."""
        return float(self.unit) != 1.0

    @property
    def exchange(self) -> torch.Tensor:
        """J_k `(shells,)`, in the units of the energy."""
        return (self.unit * self.couplings).detach()

    def vectors(self, s: torch.Tensor) -> list[torch.Tensor]:
        """What the spins `(batch, n_sites, 3)` are turned into, layer by layer, the spins themselves first."""
        return [s]

    def correction(self, s: torch.Tensor) -> torch.Tensor | float:
        """What is added to the energy of the last vectors, `(batch,)`."""
        return 0.0

    def features(self, x) -> list[torch.Tensor]:
        """Vectors `(batch, n_sites, 3)` of each layer, the spins first: they turn and move along with the spins."""
        return self.vectors(torch.as_tensor(x).to(self.adjacency))

    def energy(self, x) -> torch.Tensor:
        """The energy `(batch,)` of spins `(batch, n_sites, 3)`, in the units of the Hamiltonian it was fitted to."""
        s = torch.as_tensor(x).to(self.adjacency)
        last = self.vectors(s)[-1]
        aligned = (last * (self.kernels(self.couplings[None], 1)[0] @ last)).sum((1, 2))  # every pair twice
        return self.offset.double() + (self.unit * (self.correction(s) - aligned / 2)).double()

    def correlations(self, x) -> torch.Tensor:
        """Σ_pairs S · S' of the last vectors, by shell, `(batch, shells)`: the energy is linear in them."""
        last = self.vectors(torch.as_tensor(x).to(self.adjacency))[-1]
        # Shell by shell: all pairs of all configurations at once would be gigabytes on a large lattice.
        return torch.stack([(last * (neighbours @ last)).sum((1, 2)) / 2 for neighbours in self.adjacency[1:]], 1)

    def kernels(self, weights: torch.Tensor, first: int = 0) -> torch.Tensor:
        """Matrices `(rows, n_sites, n_sites)` of one row of weights each, one weight for each shell from `first` on."""
        return (weights @ self.adjacency[first:].flatten(1)).unflatten(1, self.adjacency.shape[1:])

    @torch.no_grad()
    def start_from(self, x, energy) -> None:
        """Fit J_k, E0 and the scale of what is learnt beside them to energies `(batch,)` of spins `x`, by least squares."""
        target = torch.as_tensor(energy).double()[:, None]
        known = torch.cat([torch.ones_like(target), -self.correlations(x).double()], 1)
        found = torch.linalg.lstsq(known, target, driver="gelsd").solution
        # What is left over, as if each site had its part in it.
        self.unit.fill_((target - known @ found).std().clamp(min=1e-12) / math.sqrt(self.lattice.n_sites))
        self.offset.copy_(found[0])
        self.couplings.copy_(found[1:, 0] / self.unit)


class LinearEffective(EquivariantEnergy):
    """The effective Heisenberg model E = E0 − Σ_k J_k Σ_pairs S · S', one coupling for each of the nearest `shells` shells.

    Linear in its parameters, which `start_from` therefore fits exactly. Raises ValueError for more shells than there are.
    Source: Liu, Shen, Qi, Meng, Fu 2017 (10.1103/PhysRevB.95.241104).

    >>> import mlphys as mp
    >>> model, heisenberg = LinearEffective(mp.square(6), shells=2), mp.Heisenberg(mp.square(6), coupling=0.5)
    >>> x = heisenberg.random(50, seed=1)
    >>> model.start_from(x, heisenberg.energy(x))
    >>> print(f"{model.exchange[0]:.3f}")
    0.500
    """


class EquivariantTransformer(EquivariantEnergy):
    """A transformer of unit spins: each layer turns every spin by what attention has to say, and leaves it a unit vector.

    Queries, keys and values are shell-wise weighted sums of spins; attention ReLU(q · k/√3) between all pairs of sites is a
    scalar; S + attention · V is brought back to length 1. The energy is the effective Heisenberg model of the last spins.
    A layer has 3 (shells + 1) parameters. Values start at zero or nearly so, the whole as `LinearEffective`.
    Source: Nagai and Tomiya 2024 (10.7566/JPSJ.93.114007, arXiv:2306.11527).

    >>> import mlphys as mp
    >>> [EquivariantTransformer(mp.square(6), layers=layers).n_parameters for layers in (1, 3)]
    [40, 100]
    """

    def __init__(
        self, lattice: Lattice, layers: int = 1, shells: int | None = None, dtype: torch.dtype = torch.float32, seed: int = 0
    ):
        super().__init__(lattice, shells, dtype)
        shape, generator = (checks.whole("layers", layers, 1), 3, self.shells + 1), torch_generator(seed, "weights")
        # Sums of as many spins as a shell has are of about unit length then.
        sizes = self.adjacency.sum((1, 2)).double().cpu() / lattice.n_sites
        widths = torch.tensor([1.0, 1.0, 0.1])[:, None] / (sizes * len(sizes)).sqrt()
        self.weights = nn.Parameter((torch.randn(shape, generator=generator, dtype=torch.float64) * widths).to(dtype))

    def vectors(self, s):
        found = [s]
        for weights in self.weights:
            queries, keys, values = (kernel @ s for kernel in self.kernels(weights))
            attention = (queries @ keys.mT / math.sqrt(3)).relu()  # (batch, site, site)
            s = normalize(torch.baddbmm(s, attention, values, alpha=1 / self.lattice.n_sites), dim=2)
            found.append(s)
        return found
