"""Score matching: how a network learns the score of noisy data."""

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import torch
from torch import nn

from mlphys import checks, train
from mlphys.diffusion.model import DiffusionModel
from mlphys.diffusion.processes import Process
from mlphys.diffusion.solvers import divergence

MATCHINGS = ("denoising", "implicit", "energy")
# The largest configurations whose covariance is worth a diagonalisation.
MOST_AXES = 1024


class Preconditioned(nn.Module):
    """A score made of a network whose input and output have variance near 1 at all times.

    score = −x/n² − (a σ/n s) network(x/n, −(ln SNR)/8) with n² = a² σ² + s², where σ, `scale`, is the width of the data: a
    network that is zero gives the score of normal data of that width. With `span`, the range of a parameter on which the
    data depend, the score is told that one after the time, (x, t, condition), and the network in a second column of its
    level, from −1 to 1 over the span. Raises ValueError for bad arguments.
    Source: Karras et al. 2022 (arXiv:2206.00364).

    >>> import mlphys as mp
    >>> score = Preconditioned(mp.diffusion.VariancePreserving(), mp.nets.ScorePerceptron(2))
    >>> score(torch.ones(1, 2), torch.full((1, 1), 0.5)).tolist()
    [[-1.0, -1.0]]
    """

    def __init__(
        self, process: Process, network: nn.Module, scale: float = 1.0, span: tuple[float, float] | None = None
    ):
        super().__init__()
        if not scale > 0:
            raise ValueError(f"scale={scale!r} is not allowed: it must be positive")
        if span is not None and not span[0] < span[1]:
            raise ValueError(f"span={span!r} is not allowed: its first number must be below its second")
        self.process, self.network, self.scale, self.span = process, network, scale, span

    def _parts(self, x, t, condition):
        """What the network is given, and the factors of x and of what it says: `(batch, 1, …)`."""
        a, s = self.process.mean_factor(t) * self.scale, self.process.deviation(t)
        width = (a**2 + s**2).sqrt()
        level = [-self.process.log_snr(t) / 8]
        if (condition is None) != (self.span is None):
            raise ValueError(f"condition={condition!r} is not allowed with span={self.span!r}: give both or none")
        if self.span is not None:
            low, high = self.span
            level.append((2 * condition - low - high) / (high - low))
        return (x / width, torch.cat([part.reshape(-1, 1) for part in level], 1)), width, -a / (width * s)

    def forward(self, x: torch.Tensor, t: torch.Tensor, condition: torch.Tensor | None = None) -> torch.Tensor:
        given, width, factor = self._parts(x, t, condition)
        return -given[0] / width + factor * self.network(*given)

    # There where the network has them: hasattr tells.
    @property
    def jacobian(self) -> Callable:
        """(x, t[, condition]) -> the score like x, and its derivatives `(batch, n, n)`."""
        return partial(self._with, self.network.jacobian)

    @property
    def divergence(self) -> Callable:
        """(x, t[, condition]) -> the score like x, and its divergence `(batch,)`."""
        return partial(self._with, self.network.divergence)

    def _with(self, known, x, t, condition=None):
        (scaled, level), width, factor = self._parts(x, t, condition)
        value, change = known(scaled, level)
        n, each = math.prod(x.shape[1:]), [-1] + [1] * (change.ndim - 1)
        own = torch.eye(n, dtype=x.dtype, device=x.device) if change.ndim > 1 else n
        return -scaled / width + factor * value, (factor / width).reshape(each) * change - own / width.reshape(each) ** 2


def fit(
    model: DiffusionModel, data: torch.Tensor | Mapping[float, torch.Tensor], steps: int, seed: int = 0, batch: int = 128,
    rate: checks.Schedule = 1e-3, matching: str = "denoising", hamiltonian=None,
) -> Iterator[train.Step]:  # fmt: skip
    """Learn the score of `data` `(samples, *shape)`; yields a `train.Step` after each update.

    The loss is the mean of |s score + z|² over the numbers in a configuration, the noise z among them, with the logarithm of
    the signal-to-noise ratio uniform: up to constants the bound on the mean −log q of the reverse stochastic equation.
    `matching` names what stands for the unknown score in it: "denoising" the noise alone; "implicit" nothing, by an
    integration by parts (its loss has another constant); "energy" the known force of a `hamiltonian` with the distribution
    exp(−S) of the data beside the noise, in shares of least variance: none is left where data are normal. A model that is
    told a parameter takes data for each value, {condition: (samples, *shape)}, and a function from it to the `hamiltonian`.
    Raises ValueError for bad arguments, and what `mlphys.train.fit` raises. Sources: Vincent 2011 (10.1162/NECO_a_00142);
    Hyvärinen 2005 (jmlr.org/papers/v6/hyvarinen05a.html); De Bortoli et al. 2024 (arXiv:2402.08667); Kingma et al. 2021
    (arXiv:2107.00630).

    >>> import mlphys as mp
    >>> process, data = mp.diffusion.VariancePreserving(), torch.randn(1000, 1, generator=torch.Generator().manual_seed(1))
    >>> network = mp.diffusion.Preconditioned(process, mp.nets.ScorePerceptron(1, hidden=(16,)))
    >>> for step in fit(mp.diffusion.DiffusionModel(process, network, shape=1), data, steps=50):
    ...     pass
    >>> step.loss < 1
    True
    """
    checks.one_of("matching", matching, MATCHINGS)
    if (matching == "energy") != (hamiltonian is not None):
        raise ValueError(f"matching={matching!r} with hamiltonian={hamiltonian!r}: 'energy' alone needs one")
    process, origin = model.process, model.origin
    together, which, conditions, hamiltonians = _groups(model, data, hamiltonian)
    target = _target(process, together, which, hamiltonians)
    rows = train.minibatches(together, which, size=batch)
    first, last = process.log_snr(torch.tensor([process.start, max(model.end, 1e-6)], dtype=torch.float64)).tolist()

    def batches(generator):
        x, which = rows(generator)
        # One level in each of `batch` equal intervals: less noise in the loss.
        place = (torch.arange(batch) + torch.rand(batch, generator=generator, dtype=torch.float64)) / batch
        t = process.time(first + (last - first) * place).to(origin).reshape(-1, *[1] * len(model.shape))
        z, signs = (torch.randn(x.shape, generator=generator, dtype=origin.dtype).to(origin.device) for _ in range(2))
        return x, t, z, signs.sign(), which

    def loss(model, drawn):
        x, t, z, signs, which = drawn
        noisy, s = process.perturb(x, t, z), process.deviation(t)
        told = None if conditions is None else conditions[which].reshape(t.shape)
        if matching == "implicit":
            flat = signs.flatten(1)[None]
            value, change = divergence(
                lambda y: model.score_at(y.unflatten(1, model.shape), t, told).flatten(1), noisy.flatten(1), flat, True
            )
            return (s.flatten(1) ** 2 * (value**2 + 2 * change[:, None] / value.shape[1])).mean()
        return (s * (model.score_at(noisy, t, told) - target(x, t, z, which))).square().mean()

    return train.fit(model, loss, batches, steps, seed, rate)


def _groups(model, data, hamiltonian):
    """Data of all conditions one after the other, the number of the condition of each, and by it conditions and models."""
    groups = data if isinstance(data, Mapping) else {None: data}
    for x in groups.values():
        if x.shape[1:] != model.shape or len(x) == 0:
            raise ValueError(f"data has shape {tuple(x.shape)}: allowed is (samples, {', '.join(map(str, model.shape))})")
    hamiltonians = [hamiltonian if hamiltonian is None or at is None else hamiltonian(at) for at in groups]
    for one in hamiltonians:
        if one is not None and one.temperature != 1:
            raise ValueError(f"hamiltonian={one!r} is not allowed: its β must be absorbed in the action")
    origin = model.origin
    which = torch.repeat_interleave(torch.arange(len(groups)), torch.tensor([len(x) for x in groups.values()]))
    conditions = torch.tensor(list(groups)).to(origin) if isinstance(data, Mapping) else None
    return torch.cat([x.to(origin) for x in groups.values()]), which.to(origin.device), conditions, hamiltonians


def _target(process, data, which, hamiltonians):
    """What the score is compared with: its mean given the noisy data is the score."""
    if hamiltonians[0] is None:
        return lambda x, t, z, which: -z / process.deviation(t)
    groups = enumerate(hamiltonians)
    sizes, axes = zip(*(_principal(one.force(data[which == k]), one.lattice) for k, one in groups), strict=True)

    def target(x, t, z, which):
        found = torch.empty_like(x)
        for k, hamiltonian in enumerate(hamiltonians):
            rows = which == k
            a, s = (factor(t[rows]).flatten(1) for factor in (process.mean_factor, process.deviation))
            force, noise = (part.flatten(1) @ axes[k] for part in (hamiltonian.force(x[rows]).to(x), z[rows]))
            share = a**2 / (a**2 + sizes[k] * s**2)  # force / a varies by its size / a², noise / s by 1 / s²
            found[rows] = ((share * force / a - (1 - share) * noise / s) @ axes[k].T).reshape(force.shape[:1] + x.shape[1:])
        return found

    return target


def _principal(force, lattice):
    """Variances of forces along their principal axes, and these as columns; along the sites' own where there are too many.

    Of the covariance averaged over translations: noise in that of few data is in the data too, and would bias the target.
    """
    flat = force.flatten(1).double()
    n = flat.shape[1]
    if n > MOST_AXES or n != lattice.n_sites:
        return flat.var().to(force), torch.eye(n).to(force)
    covariance, pairs = torch.cov(flat.T).reshape(n, n), (torch.arange(n)[:, None], torch.from_numpy(lattice.translations.T))
    covariance[pairs] = covariance[pairs].mean(0).expand(n, n)
    variances, axes = torch.linalg.eigh(covariance)
    return variances.clamp_min(0).to(force), axes.to(force)
