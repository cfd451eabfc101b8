"""What every Hamiltonian shares: the names of its observables and how they are measured."""

from collections.abc import Callable, Mapping

import numpy as np

from mlphys.lattices import Lattice


class Hamiltonian:
    """A model on a lattice: `energy(x)`, `observables` and configurations to start from.

    Subclasses define `energy`, `observables`, `random` and, where a cheaper way than the functions of `observables`
    exists, override `measure`.
    """

    lattice: Lattice
    observables: Mapping[str, Callable]

    def energy(self, x):
        """Total energy `(batch,)` of configurations `(batch, n_sites[, components])`."""
        raise NotImplementedError

    def random(self, batch: int, seed: int = 0, device: str = "cpu"):
        """Configurations `(batch, n_sites[, components])` at infinite temperature."""
        raise NotImplementedError

    def start(self, batch: int, seed: int = 0):
        """Configurations a chain starts from unless told otherwise: those of infinite temperature."""
        return self.random(batch, seed)

    def check_start(self, x, chains: int):
        """`x` as a tensor to start `chains` chains from; ValueError when it cannot be one."""
        raise NotImplementedError

    def measure(self, state, names) -> dict[str, np.ndarray]:
        """The named observables of each chain of a `State`, `(chains,)` each."""
        x = state.x
        return {name: np.asarray(self.observables[name](x)) for name in names}

    def check_x(self, x):
        """`x` as a torch tensor; ValueError unless its shape is `(batch, n_sites)`."""
        import torch

        x = torch.as_tensor(x)
        if x.ndim != 2 or x.shape[1] != self.lattice.n_sites:
            raise ValueError(
                f"x has shape {tuple(x.shape)}: allowed is (batch, n_sites) with n_sites = {self.lattice.n_sites}"
            )
        return x
