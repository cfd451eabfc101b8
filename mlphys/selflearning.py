"""Self-learning Monte Carlo: gather configurations, fit an effective model, propose with it, and count what that costs."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mlphys import checks
from mlphys.core import Chain, Sampler, State, run
from mlphys.hamiltonians.base import Hamiltonian
from mlphys.hamiltonians.spins import Ising
from mlphys.nets.equivariant import EquivariantEnergy, LinearEffective
from mlphys.random import spawn
from mlphys.samplers.learned import SelfLearning
from mlphys.samplers.molecular import HMC
from mlphys.stats import ChainTooShort, Estimate
from mlphys.train import Step, minibatches
from mlphys.train import fit as updates


@dataclass(frozen=True)
class Data:
    """Configurations `(samples, n_sites[, components])`, their exact energies `(samples,)`, and their temperature."""

    x: torch.Tensor
    energy: torch.Tensor
    temperature: float

    def __len__(self) -> int:
        return len(self.x)

    def __add__(self, other: "Data") -> "Data":
        return Data(torch.cat([self.x, other.x]), torch.cat([self.energy, other.energy]), self.temperature)

    def __getitem__(self, part: slice) -> "Data":
        return Data(self.x[part], self.energy[part], self.temperature)


def gather(sampler: Sampler, samples: int, chains: int = 32, seed: int = 0, temperature=None, **options: Any) -> Data:
    """At least `samples` configurations of a run of `sampler`, those of all `chains` in turn; `options` are those of `run`.

    >>> import mlphys as mp
    >>> data = gather(mp.Metropolis(mp.PlaquetteIsing(mp.square(4))), 100, temperature=2.5)
    >>> data.x.shape, data[:50].energy.shape
    (torch.Size([128, 16]), torch.Size([50]))
    """
    state = sampler.init(checks.whole("chains", chains, 1), temperature, seed)
    burn_in = options.pop("burn_in", 100)
    return _gathered(sampler, checks.whole("samples", samples, 1), state, burn_in=burn_in, **options)[0]


def _gathered(sampler: Sampler, samples: int, state: State, **options: Any) -> tuple[Data, Chain]:
    def energy(x):
        """A sampler that weighs with it has it at hand."""
        if "weighed" in state.cache and np.array_equal(state.cache["weighed"], x.cpu().numpy()):
            return state.cache["target_energy"]
        return sampler.hamiltonian.energy(x)

    chain = run(sampler, -(-samples // state.chains), state=state, keep=True, observe={"energy": energy}, **options)
    return Data(chain.x.flatten(0, 1), torch.from_numpy(chain["energy"]).flatten(), 1 / float(state.beta[0])), chain


def fit(
    network: EquivariantEnergy, data: Data, steps: int, seed: int = 0, batch: int = 64, rate: float = 5e-3
) -> Iterator[Step]:
    """Fit the energy of `network` to exact ones, in place; yields a `Step` after each update.

    The loss is the variance of (E_network − E)/T over a batch of `batch` samples: a constant changes no acceptance, and E0
    is set at the end. A network that was never fitted begins with couplings by least squares. The learning rate of Adam
    falls from `rate` to nothing along a cosine. Raises ValueError for bad arguments.

    >>> import mlphys as mp
    >>> model = mp.DoubleExchange(mp.square(4), temperature=0.5)
    >>> x = model.random(64, seed=1)
    >>> data, network = Data(x, model.energy(x), 0.5), mp.nets.EquivariantTransformer(model.lattice)
    >>> [step.step for step in fit(network, data, steps=2)]
    [1, 2]
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
            network.offset.add_((data.energy - energies(network, x)).mean())


@torch.no_grad()
def energies(network: EquivariantEnergy, x: torch.Tensor) -> torch.Tensor:
    """Energies `(samples,)` by a network, a few configurations at a time."""
    return torch.cat([network.energy(part) for part in x.split(256)])


def ising(data: Data, lattice) -> Ising:
    """The Ising model on `lattice` whose energies come closest to those of spins ±1, by least squares.

    >>> import mlphys as mp
    >>> data = gather(mp.Metropolis(mp.PlaquetteIsing(mp.square(4), plaquette=0)), 100, temperature=2.5)
    >>> print(f"{ising(data, mp.square(4)).coupling:.3f}")
    1.000
    """
    network = LinearEffective(lattice, shells=1, dtype=torch.float64)
    network.start_from(data.x[..., None], data.energy)
    return Ising(lattice, network.exchange[0].item())


def sigma(network: EquivariantEnergy, data: Data) -> Estimate:
    """The standard deviation of (E_network − E)/T over independent `data`, with its error."""
    error = (energies(network, data.x) - data.energy) / data.temperature
    squares = (error - error.mean()) ** 2
    deviation, samples = float(error.std()), len(data)
    return Estimate(deviation, float(squares.std()) / math.sqrt(samples) / (2 * deviation), 0.5, samples)


def predicted_acceptance(sigma: float) -> float:
    """erfc(σ/2): the acceptance of independent proposals whose (E_effective − E)/T is Gaussian with deviation σ.

    >>> round(predicted_acceptance(0.2), 3)
    0.888
    """
    return math.erfc(sigma / 2)


@dataclass(frozen=True)
class Round:
    """A fit and the chain after it: σ of (E_network − E)/T on what the fit has not seen, and the acceptance.

    `data` is all that is known now, and `seconds` the time of this round.
    """

    round: int
    sigma: Estimate
    acceptance: float
    data: Data
    state: State
    seconds: float


def rounds(
    network: EquivariantEnergy, hamiltonian: Hamiltonian, data: Data, rounds: int = 3, samples: int = 1000, steps: int = 300,
    chains: int = 32, proposal_sweeps: int = 5, seed: int = 0, **options: Any,
) -> Iterator[Round]:  # fmt: skip
    """Fit `network` to `data`, let it propose `samples` more, fit again: yields each `Round`.

    Every round ends with a chain of a network that no longer changes, so that what it gathers is distributed as it should
    be, and a run from the `state` of the last one measures. `options` are those of `fit`. Raises ValueError for bad
    arguments.
    """
    state = None
    for number in range(1, checks.whole("rounds", rounds, 1) + 1):
        began = time.perf_counter()
        for _ in fit(network, data, steps, spawn(seed, "fit", number), **options):
            pass
        sampler = SelfLearning(network, hamiltonian, proposal_sweeps=proposal_sweeps)
        if state is None:
            state = sampler.init(chains, data.temperature, seed, start=data.x[-chains:])
        fresh, chain = _gathered(sampler, samples, state, burn_in=20)
        data = data + fresh
        assert chain.acceptance is not None
        spent = time.perf_counter() - began
        yield Round(number, sigma(network, fresh), float(chain.acceptance.mean()), data, state, spent)


def exact_energies(sampler: Sampler) -> int:
    """How many exact energies (or forces, for HMC) a sweep of `sampler` takes for each chain.

    >>> import mlphys as mp
    >>> model = mp.DoubleExchange(mp.square(6))
    >>> [exact_energies(sampler) for sampler in (mp.Metropolis(model), mp.HMC(model), mp.SelfLearning(model, model))]
    [36, 13, 1]
    """
    if isinstance(sampler, SelfLearning):
        return 1
    return len(sampler.kicks) + 2 if isinstance(sampler, HMC) else sampler.hamiltonian.n_updates


def per_independent_sample(chain: Chain, sampler: Sampler, observable: str, thin: int = 1) -> tuple[Estimate, Estimate]:
    """Exact energies, and seconds, for each independent sample of an observable: 2τ sweeps of a chain run with `thin`."""
    try:
        found = chain.estimate(observable)
    except ChainTooShort as short:
        found = short.estimate
    sweeps, seconds = 2 * thin * exact_energies(sampler), 2 * chain.seconds / chain[observable].size
    return tuple(Estimate(each * found.tau, each * found.tau_error) for each in (sweeps, seconds))  # type: ignore[return-value]


def break_even(training_seconds: float, learnt: float, other: float) -> float:
    """After how many independent samples training has paid for itself; infinite where a learnt sample costs more.

    `learnt` and `other` are seconds for each independent sample, with training and without.

    >>> break_even(60, 0.1, 0.7)
    100.0
    """
    return round(training_seconds / (other - learnt), 9) if other > learnt else math.inf
