"""Self-learning Monte Carlo: gather configurations, fit an effective model, propose with it, and count what that costs."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from mlphys import checks
from mlphys.core import Sampler, run
from mlphys.nets.equivariant import EquivariantEnergy
from mlphys.stats import Estimate
from mlphys.train import Step, minibatches
from mlphys.train import fit as updates


@dataclass(frozen=True)
class Data:
    """Configurations `(samples, n_sites, 3)` with their exact energies `(samples,)`, and the temperature they are from."""

    x: torch.Tensor
    energy: torch.Tensor
    temperature: float

    def __len__(self) -> int:
        return len(self.x)

    def __add__(self, other: "Data") -> "Data":
        return Data(torch.cat([self.x, other.x]), torch.cat([self.energy, other.energy]), self.temperature)

    def split(self, first: int) -> tuple["Data", "Data"]:
        """The first so many samples, and the rest."""
        parts = (slice(first), slice(first, None))
        return tuple(Data(self.x[part], self.energy[part], self.temperature) for part in parts)  # type: ignore[return-value]


def gather(sampler: Sampler, samples: int, chains: int = 32, seed: int = 0, thin: int = 1, **options: Any) -> Data:
    """At least `samples` configurations of a chain of `sampler`, `chains` at a time; `options` are those of `run`."""
    rounds = -(-checks.whole("samples", samples, 1) // checks.whole("chains", chains, 1))
    chain = run(sampler, rounds, chains=chains, seed=seed, thin=thin, keep=True, observe=["energy"], **options)
    energy = torch.from_numpy(chain["energy"]).flatten() * sampler.hamiltonian.lattice.n_sites
    return Data(chain.x.flatten(0, 1), energy, 1 / float(chain.state.beta[0]))


def fit(
    network: EquivariantEnergy, data: Data, steps: int, seed: int = 0, batch: int = 64, rate: float = 1e-2
) -> Iterator[Step]:
    """Fit the energy of `network` to exact ones, in place; yields a `Step` after each update.

    The loss is the variance of (E_network − E)/T over a batch of `batch` samples: a constant changes no acceptance, and E0
    is set at the end. A network that was never fitted begins with couplings by least squares. The learning rate of Adam
    falls from `rate` to nothing along a cosine. Raises ValueError for bad arguments.
    """
    if not network.fitted:
        network.start_from(data.x, data.energy)
    x = data.x.to(network.adjacency)

    def loss(network, batch):
        return ((network.energy(batch[0]) - batch[1]) / data.temperature).var()

    def falling(step: int) -> float:
        return rate * (1 + math.cos(math.pi * (step - 1) / steps)) / 2

    try:
        yield from updates(network, loss, minibatches(x, data.energy, size=batch), steps, seed, falling)
    finally:
        with torch.no_grad():
            network.offset += (data.energy - energies(network, x)).mean()


@torch.no_grad()
def energies(network: EquivariantEnergy, x: torch.Tensor) -> torch.Tensor:
    """Energies `(samples,)` by a network, a few configurations at a time."""
    return torch.cat([network.energy(part) for part in x.split(256)])


def sigma(network: EquivariantEnergy, data: Data) -> Estimate:
    """The standard deviation of (E_network − E)/T over independent `data`, with its error."""
    error = (energies(network, data.x) - data.energy) / data.temperature
    squares = (error - error.mean()) ** 2
    deviation, samples = float(error.std()), len(data)
    return Estimate(deviation, float(squares.std()) / math.sqrt(samples) / (2 * deviation), 0.5, samples)


def predicted_acceptance(sigma: float) -> float:
    """erfc(σ/2): the acceptance of independent proposals whose (E_effective − E)/T is Gaussian with deviation σ.

    >>> round(predicted_acceptance(0.2), 3)
    0.887
    """
    return math.erfc(sigma / 2)
