"""Score matching: how a network learns the score of noisy data."""

from collections.abc import Iterator

import torch
from torch import nn

from mlphys import checks, train
from mlphys.diffusion.model import DiffusionModel
from mlphys.diffusion.processes import Process
from mlphys.diffusion.solvers import divergence

MATCHINGS = ("denoising", "implicit", "energy")


class Preconditioned(nn.Module):
    """A score made of a network whose input and output have variance near 1 at all times.

    score = −x/n² − (a σ/n s) network(x/n, −(ln SNR)/8) with n² = a² σ² + s², where σ, `scale`, is the width of the data: a
    network that is zero gives the score of normal data of that width. Source: Karras et al. 2022 (arXiv:2206.00364).

    >>> import mlphys as mp
    >>> score = Preconditioned(mp.diffusion.VariancePreserving(), mp.nets.ScorePerceptron(2))
    >>> score(torch.ones(1, 2), torch.full((1, 1), 0.5)).tolist()
    [[-1.0, -1.0]]
    """

    def __init__(self, process: Process, network: nn.Module, scale: float = 1.0):
        super().__init__()
        if not scale > 0:
            raise ValueError(f"scale={scale!r} is not allowed: it must be positive")
        self.process, self.network, self.scale = process, network, scale

    def forward(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        a, s = self.process.mean_factor(t) * self.scale, self.process.deviation(t)
        width = (a**2 + s**2).sqrt()
        return -x / width**2 - a / (width * s) * self.network(x / width, -self.process.log_snr(t) / 8)


def fit(
    model: DiffusionModel, data: torch.Tensor, steps: int, seed: int = 0, batch: int = 128, rate: checks.Schedule = 1e-3,
    matching: str = "denoising", hamiltonian=None,
) -> Iterator[train.Step]:  # fmt: skip
    """Learn the score of `data` `(samples, *shape)`; yields a `train.Step` after each update.

    The loss is the mean of |s score + z|² over the numbers in a configuration, the noise z among them, with the logarithm of
    the signal-to-noise ratio uniform: up to constants the bound on the mean −log q of the reverse stochastic equation.
    `matching` names what stands for the unknown score in it: "denoising" the noise alone; "implicit" nothing, by an
    integration by parts (its loss has another constant); "energy" the known force of a `hamiltonian` with the distribution
    exp(−S) of the data beside the noise, in shares that leave no variance where data are normal. Raises ValueError for bad
    arguments, and what `mlphys.train.fit` raises. Sources: Vincent 2011 (10.1162/NECO_a_00142); Hyvärinen 2005
    (jmlr.org/papers/v6/hyvarinen05a.html); De Bortoli et al. 2024 (arXiv:2402.08667); Kingma et al. 2021 (arXiv:2107.00630).

    >>> import mlphys as mp
    >>> process, data = mp.diffusion.VariancePreserving(), torch.randn(1000, 1, generator=torch.Generator().manual_seed(1))
    >>> network = mp.diffusion.Preconditioned(process, mp.nets.ScorePerceptron(1, hidden=(16,)))
    >>> for step in fit(mp.diffusion.DiffusionModel(process, network, shape=1), data, steps=50):
    ...     pass
    >>> step.loss < 1
    True
    """
    checks.one_of("matching", matching, MATCHINGS)
    if data.shape[1:] != model.shape or len(data) == 0:
        raise ValueError(f"data has shape {tuple(data.shape)}: allowed is (samples, {', '.join(map(str, model.shape))})")
    if (matching == "energy") != (hamiltonian is not None):
        raise ValueError(f"matching={matching!r} with hamiltonian={hamiltonian!r}: 'energy' alone needs one")
    if matching == "energy" and hamiltonian.temperature != 1:
        raise ValueError(f"hamiltonian={hamiltonian!r} is not allowed: its β must be absorbed in the action")
    process, origin, data = model.process, model.origin, data.to(model.origin)
    target = _target(process, data, hamiltonian)
    rows = train.minibatches(data, size=batch)
    first, last = process.log_snr(torch.tensor([process.start, max(model.end, 1e-6)], dtype=torch.float64)).tolist()

    def batches(generator):
        (x,) = rows(generator)
        # One level in each of `batch` equal intervals: less noise in the loss.
        place = (torch.arange(batch) + torch.rand(batch, generator=generator, dtype=torch.float64)) / batch
        t = process.time(first + (last - first) * place).to(origin).reshape(-1, *[1] * len(model.shape))
        z, signs = (torch.randn(x.shape, generator=generator, dtype=origin.dtype).to(origin.device) for _ in range(2))
        return x, t, z, signs.sign()

    def loss(model, drawn):
        x, t, z, signs = drawn
        noisy, s = process.perturb(x, t, z), process.deviation(t)
        if matching == "implicit":
            flat = signs.flatten(1)[None]
            value, change = divergence(
                lambda y: model.score_at(y.unflatten(1, model.shape), t).flatten(1), noisy.flatten(1), flat, True
            )
            return (s.flatten(1) ** 2 * (value**2 + 2 * change[:, None] / value.shape[1])).mean()
        return (s * (model.score_at(noisy, t) - target(x, t, z))).square().mean()

    return train.fit(model, loss, batches, steps, seed, rate)


def _target(process, data, hamiltonian):
    """What the score is compared with: its mean given the noisy data is the score."""
    if hamiltonian is None:
        return lambda x, t, z: -z / process.deviation(t)
    variance = data.double().var().to(data)

    def target(x, t, z):
        a, s = process.mean_factor(t), process.deviation(t)
        share = a**2 * variance / (a**2 * variance + s**2)
        return share * hamiltonian.force(x).to(x) / a - (1 - share) * z / s

    return target
