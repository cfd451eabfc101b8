"""A network's energy as a model: every sampler with a force, and every tool of chains, works on it."""

from typing import Any

from mlphys.hamiltonians.base import Hamiltonian


class Effective(Hamiltonian):
    """The model whose `energy` is that of a network, on the configurations of another Hamiltonian, the one it imitates.

    `network.energy(x) -> (batch,)` is an energy in J, the same kind that `hamiltonian.energy` gives. The force is found by
    automatic differentiation. Raises ValueError for a network without `energy`.

    >>> import mlphys as mp
    >>> model = Effective(mp.XY(mp.chain(4)), mp.XY(mp.chain(4)))
    >>> model.force(model.random(2, seed=1)).shape
    torch.Size([2, 4])
    """

    def __init__(self, network: Any, hamiltonian: Hamiltonian):
        if not callable(getattr(network, "energy", None)):
            raise ValueError(f"network={network!r} has no energy(x)")
        self.network, self.hamiltonian = network, hamiltonian
        self.lattice, self.temperature = hamiltonian.lattice, hamiltonian.temperature
        self.observables = {"energy": lambda x: self.energy(x) / self.lattice.n_sites}
        self.continuous, self.derived = hamiltonian.continuous, {}
        for name in ("random", "start", "ordered", "check_start", "check_x", "tangent", "drift"):
            setattr(self, name, getattr(hamiltonian, name))

    @property
    def n_updates(self) -> int:
        return self.hamiltonian.n_updates

    def energy(self, x):
        import torch

        x = self.check_x(x)
        with torch.set_grad_enabled(x.requires_grad):  # never for the network's parameters
            return self.network.energy(x)

    def __repr__(self) -> str:
        return f"Effective({type(self.network).__name__}, {self.hamiltonian!r})"
