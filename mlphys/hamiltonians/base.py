"""What every Hamiltonian shares: its observables, what is derived from their means, and the updates it offers."""

from collections.abc import Callable, Mapping

import numpy as np

from mlphys.lattices import Lattice


class Derived:
    """A function of means of observables, such as the heat capacity: `value(beta, *means)`.

    `of` names the observables, each with the power to average if that is not 1.

    >>> binder = Derived(lambda beta, m2, m4: 1 - m4 / (3 * m2**2), ("m2", 1), ("m4", 1))
    >>> binder.value(1.0, 0.5, 0.25).__round__(6)
    0.666667
    """

    def __init__(self, value: Callable[..., float], *of: tuple[str, int]):
        self.value, self.of = value, of


class Hamiltonian:
    """A model on a lattice: `energy(x)`, `observables` and configurations to start from.

    Subclasses define `energy`, `observables`, `random`, `check_start` and, where a cheaper way than the functions of
    `observables` exists, override `measure`. What a sampler can do with a model, the model says itself: `rules` and
    `kernel` for updates of single sites, `embedding` for clusters, `continuous` for molecular dynamics.

    `temperature` is None for a model whose temperature the user chooses, and 1 for an action, which has β absorbed; where
    the energy itself depends on it, `fixed_temperature` is True: chains at another temperature would mean nothing.
    `proposal_width` is the first width of a Metropolis proposal, None where there is nothing to choose.
    `gpu_rules` are those of its rules that run on a GPU as well. `continuous` says whether x moves on a smooth space, on
    which it has a `force`; `tangent` and `drift` say what that space is, where it is not all real numbers.
    """

    lattice: Lattice
    observables: Mapping[str, Callable]
    derived: Mapping[str, Derived] = {}
    temperature: float | None = None
    rules: tuple[str, ...] = ()
    gpu_rules: tuple[str, ...] = ()
    proposal_width: float | None = None
    continuous = fixed_temperature = False
    embedding_is_ergodic = True

    @property
    def n_updates(self) -> int:
        """Single updates in a sweep of a chain: its sites, unless the variables live on links."""
        return self.lattice.n_sites

    def energy(self, x):
        """Total energy `(batch,)` of configurations `(batch, n_sites[, components])`."""
        raise NotImplementedError

    def action(self, x):
        """The energy under the name it has where β is absorbed, `(batch,)`."""
        return self.energy(x)

    def force(self, x):
        """−∂energy/∂x, shaped like `x`, by automatic differentiation unless a model knows better."""
        import torch

        with torch.enable_grad():
            x = self.check_x(x).detach().requires_grad_()
            return -torch.autograd.grad(self.energy(x).sum(), x)[0]

    def tangent(self, x, vectors):
        """The part of `vectors`, shaped like `x`, along which configurations may move: all of it for real numbers."""
        return vectors

    def drift(self, x, momenta, length):
        """Configurations and momenta after moving along `momenta` for a time `length`, which spreads over x."""
        return x + length * momenta, momenta

    def random(self, batch: int, seed: int = 0, device: str = "cpu"):
        """Configurations `(batch, n_sites[, components])` at infinite temperature."""
        raise NotImplementedError

    def start(self, batch: int, seed: int = 0):
        """Configurations a chain starts from unless told otherwise: those of infinite temperature."""
        return self.random(batch, seed)

    def check_start(self, x, chains: int):
        """`x` as a tensor to start `chains` chains from; ValueError when it cannot be one."""
        raise NotImplementedError

    def kernel(self, rule: str) -> tuple[Callable, tuple]:
        """The compiled update called `rule`, one of `rules`, and its tables.

        It is called as `kernel(x, *tables, [reflections,] [widths,] betas, chains, seed, first_sweep, sweeps)`, advances `x`
        in place and returns the number of changed sites, int64 `(chains,)`. `reflections` are for the rule
        "overrelaxation", `widths` `(chains,)` for "metropolis" where `proposal_width` is a number.
        """
        raise NotImplementedError

    def embedding(self, x: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
        """Ising variables inside configurations `x`: numbers a `(chains, n_sites)` and a function that flips sites.

        Flipping any set of sites changes the energy as a → −a does in −Σ_bonds a a'. The function takes the sites to flip,
        bool `(chains, n_sites)`, and returns the new configurations. The reflection behind it is drawn from `rng`.
        """
        raise NotImplementedError

    @property
    def embeds(self) -> bool:
        """Whether the model has an `embedding`."""
        return type(self).embedding is not Hamiltonian.embedding

    def measure(self, state, names) -> dict[str, np.ndarray]:
        """The named observables of each chain of a `State`, `(chains,)` each."""
        x = state.x
        return {name: np.asarray(self.observables[name](x).cpu()) for name in names}

    def check_x(self, x):
        """`x` as a torch tensor; ValueError unless its shape is `(batch, n_sites)`."""
        return self._shaped(x, ())

    def _shaped(self, x, components: tuple[int, ...]):
        import torch

        x = torch.as_tensor(x)
        if x.shape[1:] != (self.lattice.n_sites, *components):
            expected = ", ".join(["batch", "n_sites", *map(str, components)])
            raise ValueError(f"x has shape {tuple(x.shape)}: allowed is ({expected}) with n_sites = {self.lattice.n_sites}")
        return x


def check_lattice(lattice) -> Lattice:
    """`lattice` itself; ValueError unless it is one."""
    if not isinstance(lattice, Lattice):
        raise ValueError(f"lattice={lattice!r} is not a lattice: build one with chain, square, triangular or cubic")
    return lattice


def heat_capacity(n_sites: int) -> Derived:
    """Heat capacity per site (k_B), from the energy per site."""
    return Derived(lambda beta, e, e2: n_sites * beta**2 * (e2 - e**2), ("energy", 1), ("energy", 2))


def susceptibility(n_sites: int, order: str = "abs_magnetisation") -> Derived:
    """β n_sites (⟨m²⟩ − ⟨m⟩²) of an order parameter per site."""
    return Derived(lambda beta, m, m2: beta * n_sites * (m2 - m**2), (order, 1), (order, 2))


def binder() -> Derived:
    """1 − ⟨m⁴⟩/(3⟨m²⟩²). Source: Binder 1981 (10.1007/BF01293604)."""
    return Derived(lambda beta, m2, m4: 1 - m4 / (3 * m2**2), ("m2", 1), ("m4", 1))


def correlation_length(lattice: Lattice) -> Derived:
    """Second-moment correlation length, from m2 and `structure_factor`, that of the smallest wave vectors, per site.

    Source: Cooper, Freedman, Preston 1982 (10.1016/0550-3213(82)90240-1).
    """
    side = max(lattice.shape)

    def length(beta: float, m2: float, structure_factor: float) -> float:
        return np.sqrt(max(m2 / structure_factor - 1, 0.0)) / (2 * np.sin(np.pi / side))

    return Derived(length, ("m2", 1), ("structure_factor", 1))


def structure_factor(lattice: Lattice, field):
    """|Σ_i φ_i exp(i k r_i)|² / n_sites² `(batch,)` of a field `(batch, n_sites[, components])`, summed over components.

    k is the smallest wave vector along the longest axis; the mean over all axes of that length is taken.
    """
    import torch

    grid = field.reshape(len(field), *lattice.shape, -1)
    longest = [axis for axis, side in enumerate(lattice.shape) if side == max(lattice.shape)]
    total = torch.zeros(len(field), dtype=field.dtype, device=field.device)
    for axis in longest:
        others = [1 + other for other in range(len(lattice.shape)) if other != axis]
        line = grid.sum(others) if others else grid
        phase = 2 * torch.pi * torch.arange(max(lattice.shape), device=field.device, dtype=field.dtype) / max(lattice.shape)
        parts = [torch.einsum("bsc,s->bc", line, wave) for wave in (phase.cos(), phase.sin())]
        total = total + sum((part**2).sum(1) for part in parts)
    return total / len(longest) / lattice.n_sites**2
