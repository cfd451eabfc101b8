"""Normalising flows: simple noise, carried to the field's distribution by maps whose change of volume is known."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mlphys import checks, stats, train
from mlphys.hamiltonians.base import Hamiltonian
from mlphys.random import torch_generator


class Layer(nn.Module):
    """An invertible map: `layer(x) -> (y, log |det ∂y/∂x|)` and `layer.inverse(y) -> (x, log |det ∂x/∂y|)`.

    Configurations are `(batch, n_sites[, components])`, the logarithms `(batch,)`.
    """

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        raise NotImplementedError

    def inverse(self, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        raise NotImplementedError


class Prior(nn.Module):
    """A distribution drawn from at once: `sample(n, generator) -> z` and `log_prob(z) -> (n,)`, without parameters to learn.

    `sample` draws on the device of the generator, the CPU, and moves to that of its buffer `origin`, whose type z has.
    """

    origin: torch.Tensor

    def sample(self, n: int, generator: torch.Generator) -> torch.Tensor:
        raise NotImplementedError

    def log_prob(self, z: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError


class Flow(Layer):
    """Layers one after the other, behind a prior: x = layer_n(… layer_1(z)), log q(x) = log prior(z) − Σ log |det|.

    It proposes for `IndependenceMH`, is trained by `fit` and weighed by `importance`, and runs on the device and in the
    floating-point type that `.to` gives it. Source: Rezende and Mohamed 2015 (arXiv:1505.05770); for lattice fields
    Albergo, Kanwar, Shanahan 2019 (10.1103/PhysRevD.100.034515).

    >>> import mlphys as mp
    >>> flow = mp.flows.FieldFlow(mp.Phi4(mp.square(4), mass2=1.0, coupling=0.5), layers=2)
    >>> x, log_q = flow.sample(3, seed=1)
    >>> x.shape, bool((flow.log_prob(x) - log_q).abs().max() < 1e-4)
    (torch.Size([3, 16]), True)
    """

    # Samples at once: what lies between the layers then stays in the cache, and the same seed gives the same samples.
    BATCH = 1024
    prior: Prior
    layers: Any

    def __init__(self, prior: Prior, layers: Sequence[nn.Module]):
        super().__init__()
        self.prior, self.layers = prior, nn.ModuleList(layers)

    def forward(self, x):
        log_det = x.new_zeros(len(x))
        for layer in self.layers:
            x, change = layer(x)
            log_det = log_det + change
        return x, log_det

    def inverse(self, y):
        log_det = y.new_zeros(len(y))
        for layer in reversed(self.layers):
            y, change = layer.inverse(y)
            log_det = log_det + change
        return y, log_det

    def log_prob(self, x: torch.Tensor) -> torch.Tensor:
        """log q `(batch,)` of configurations `(batch, n_sites[, components])`, normalised."""
        z, log_det = self.inverse(x.to(self.prior.origin))
        return self.prior.log_prob(z) + log_det

    @torch.no_grad()
    def sample(self, n: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
        """n independent configurations `(n, n_sites[, components])` and their log q `(n,)`."""
        generator, parts = torch_generator(seed, "sample"), []
        for first in range(0, checks.whole("n", n, 1), self.BATCH):
            z = self.prior.sample(min(self.BATCH, n - first), generator)
            x, log_det = self(z)
            parts.append((x, self.prior.log_prob(z) - log_det))
        x, log_q = map(torch.cat, zip(*parts, strict=True))
        return x, log_q


@dataclass(frozen=True)
class Step(train.Step):
    """A step of `fit`: `loss` is the variational free energy ⟨log q + S⟩ ≥ −log Z, `kish` the Kish ESS over the batch."""

    kish: float


def fit(
    flow: Flow, hamiltonian: Hamiltonian, steps: int, batch: int = 256, rate: checks.Schedule = 0.05, seed: int = 0,
    path: bool = True,
) -> Iterator[Step]:
    """Minimise the Kullback–Leibler divergence of exp(−S)/Z from the flow, on its own samples; yields a `Step` after each.

    `rate` is the highest learning rate of Adam, reached in a twentieth of the steps, from where it falls to zero; or a
    function of the step. With `path`, the gradient is the path gradient: it leaves out a term of zero mean, so that it
    vanishes sample by sample once the flow is exact, for one inversion more a step. `kish` is blind to what the flow never
    proposes. Raises ValueError for bad arguments and for models whose β is not
    absorbed in the action, and what `mlphys.train.fit` raises. Sources: Roeder, Wu, Duvenaud 2017 (arXiv:1703.09194); Vaitl,
    Nicoli, Nakajima, Kessel 2022 (arXiv:2207.08219).

    >>> import mlphys as mp
    >>> field = mp.Phi4(mp.square(4), mass2=1.0, coupling=0.5)
    >>> flow = mp.flows.FieldFlow(field, layers=2)
    >>> for step in fit(flow, field, steps=40, batch=64):
    ...     pass
    >>> step.kish > 0.9
    True
    """
    steps, rates = checks.whole("steps", steps, 1), checks.schedule("rate", rate)
    if not callable(rate):
        rates = _annealed(rate, steps)
    checks.whole("batch", batch, 2)
    if hamiltonian.temperature != 1:
        raise ValueError(f"hamiltonian={hamiltonian!r} is not allowed: a flow learns an action, which has β absorbed")
    log_weights = torch.zeros(batch)

    def loss(flow, z):
        nonlocal log_weights
        x, log_det = flow(z)
        log_q, action = flow.prior.log_prob(z) - log_det, hamiltonian.action(x)
        log_weights = -(action + log_q).detach()
        if not path:
            return (action + log_q).mean()
        # The force on x of log q + S at fixed parameters, then how the parameters move x along it.
        with torch.enable_grad():
            fixed = x.detach().requires_grad_()
            (force,) = torch.autograd.grad((flow.log_prob(fixed) + hamiltonian.action(fixed)).sum(), fixed)
        along = (force * x).sum() / batch
        return along - along.detach() - log_weights.mean()

    training = train.fit(flow, loss, lambda generator: flow.prior.sample(batch, generator), steps, seed, rates)
    return _weighed(training, lambda: stats.kish_ess(log_weights.cpu()) / batch)


def _annealed(rate: float, steps: int):
    return lambda step: rate * min(1.0, 20 * step / steps) * math.cos(math.pi / 2 * (step - 1) / steps) ** 2


def _weighed(training, kish) -> Iterator[Step]:
    for step in training:
        yield Step(step.step, step.loss, kish())


@dataclass(frozen=True)
class Importance:
    """Samples of a flow `x` and their `log_weights` −S − log q `(n,)`: what they say of the exact distribution.

    Errors know nothing of what the flow never proposes.
    """

    x: torch.Tensor
    log_weights: torch.Tensor

    @property
    def kish(self) -> float:
        """Kish ESS over the number of samples, 1 for an exact flow: no autocorrelation ESS."""
        return stats.kish_ess(self.log_weights.cpu()) / len(self.log_weights)

    @property
    def log_partition(self) -> stats.Estimate:
        """ln Z, the free energy −F."""
        top = self.log_weights.max()
        shifted = stats.jackknife(lambda weight: torch.tensor(weight).log().item(), (self.log_weights - top).exp().cpu())
        return stats.Estimate(shifted.mean + top.item(), shifted.error)

    def mean(self, observable) -> stats.Reweighted:
        """The exact mean of a function of x with values `(n,)`, by self-normalised weights."""
        weight = (self.log_weights - self.log_weights.max()).exp().cpu().double()
        weight, values = weight / weight.mean(), observable(self.x).cpu()
        ratio = stats.jackknife(lambda weighted, total: weighted / total, weight * values, weight)
        return stats.Reweighted(ratio.mean, ratio.error, kish_ess=self.kish * len(weight))


def importance(flow, hamiltonian: Hamiltonian, n: int, seed: int = 0) -> Importance:
    """n samples of a flow (anything with `sample(n, seed) -> (x, log_q)`), weighed by the exact distribution exp(−S)/Z.

    Source: Nicoli et al. 2021 (10.1103/PhysRevLett.126.032001).

    >>> import mlphys as mp
    >>> free = mp.Phi4(mp.chain(8), mass2=1.0, coupling=0.0)
    >>> weighed = importance(mp.flows.Flow(mp.flows.FreeField(free, torch.float64), []), free, n=1000, seed=1)
    >>> abs(weighed.log_partition.mean - mp.exact.free_field(free).log_partition) < 1e-9
    True
    """
    x, log_q = flow.sample(n, seed)
    x = x.double()
    return Importance(x, -(hamiltonian.action(x).double() + log_q.double()))
