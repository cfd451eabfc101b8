"""Networks of lecture 07 that the library has not: one without symmetry, and those that were trained beforehand."""

from pathlib import Path

import torch
from torch import nn

from mlphys import selflearning
from mlphys.lattices import Lattice
from mlphys.lectures.selflearning_live import NETWORKS, data
from mlphys.nets import EquivariantEnergy
from mlphys.random import torch_generator
from mlphys.stats import Estimate
from mlphys.vmc import checkpoints

HELD_OUT = 600
FORMAT = "mlphys effective energies 1"
SHIPPED = Path(__file__).parent / "data" / "double_exchange.pt"
"""Trained networks for 6 × 6 sites: `python -m mlphys.lectures.selflearning_networks` writes it."""


class Perceptron(EquivariantEnergy):
    """A perceptron of the 3 n components of all spins, numbers like any others, beside a coupling of nearest neighbours.

    >>> import mlphys as mp
    >>> net, x = Perceptron(mp.square(2), hidden=8), mp.DoubleExchange(mp.square(2)).random(1, seed=1)
    >>> bool((net.energy(x) - net.energy(-x)).abs() > 1e-3)
    True
    """

    def __init__(self, lattice: Lattice, hidden: int = 64, seed: int = 0):
        super().__init__(lattice, shells=1)
        generator, n = torch_generator(seed, "weights"), 3 * lattice.n_sites
        self.enter = nn.Parameter(torch.randn(n, hidden, generator=generator) / n**0.5)
        self.leave = nn.Parameter(torch.randn(hidden, generator=generator) / hidden**0.5)

    def correction(self, s: torch.Tensor) -> torch.Tensor:
        return torch.tanh(s.flatten(1) @ self.enter) @ self.leave


def train(path: Path = SHIPPED, samples: int = 3000, steps: int = 3000) -> None:
    """Train all of NETWORKS and write them to `path`, each with σ on configurations that it has not seen."""
    everything = data(samples + HELD_OUT)
    known, held_out = everything[:samples], everything[samples:]
    found, sigmas = {}, {}
    for name, make in NETWORKS.items():
        network = make()
        for _ in selflearning.fit(network, known, steps, seed=1):
            pass
        error = selflearning.sigma(network, held_out)
        found[name], sigmas[name] = network.state_dict(), (error.mean, error.error)
        print(f"{name}: {network.n_parameters} parameters, σ = {error}")
    checkpoints.save(path, {"format": FORMAT, "networks": found, "sigmas": sigmas})


def shipped(name: str, path: Path = SHIPPED) -> tuple[EquivariantEnergy, Estimate]:
    """One of NETWORKS as it was trained beforehand, with its σ; ValueError if `path` is not what `train` writes."""
    content = checkpoints.load(path, FORMAT)
    if content is None:
        raise ValueError(f"path={str(path)!r} holds no trained networks of this lecture")
    network = NETWORKS[name]()
    network.load_state_dict(content["networks"][name])
    return network, Estimate(*content["sigmas"][name])


if __name__ == "__main__":
    train()
