"""Configurations to learn from: balanced over temperatures, independent, and split so that nothing leaks."""

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product

import numpy as np
import torch

from mlphys import checks, core, stats
from mlphys.hamiltonians.base import Hamiltonian
from mlphys.lattices import Lattice
from mlphys.random import generator, spawn
from mlphys.samplers.cluster import SwendsenWang


@dataclass(frozen=True)
class Dataset:
    """Configurations `x` of one lattice, with the temperature (J) and the chain of each `(samples,)`.

    `x` is `(samples, n_sites)`, or `(samples, channels, n_sites)` where `map` has made several numbers of each site. Chains
    have numbers of their own, different for different seeds and lattices. `thin` is the number of sweeps between neighbours
    in a chain, `tau` the largest autocorrelation time that was measured, in sweeps. Raises ValueError unless x, temperature
    and chain have the same length.
    """

    x: torch.Tensor
    temperature: np.ndarray
    chain: np.ndarray
    lattice: Lattice
    thin: int = 1
    tau: float = math.nan

    def __post_init__(self):
        lengths = {len(self.x), len(self.temperature), len(self.chain)}
        if len(lengths) > 1:
            raise ValueError(f"x, temperature and chain have {sorted(lengths)} entries: allowed is one for every sample")

    @property
    def size(self) -> int:
        """Linear size of the lattice."""
        return max(self.lattice.shape)

    def __len__(self) -> int:
        return len(self.x)

    def where(self, mask: np.ndarray) -> "Dataset":
        """The samples that `mask` `(samples,)` keeps."""
        kept = np.flatnonzero(mask)
        return replace(self, x=self.x[torch.from_numpy(kept)], temperature=self.temperature[kept], chain=self.chain[kept])

    def map(self, function: Callable[[torch.Tensor], torch.Tensor]) -> "Dataset":
        """The dataset with `function(x)` in place of x: what a network is shown, such as one of `phases.features`.

        Raises ValueError unless each sample stays one, with the sites along the last axis.
        """
        x = function(self.x)
        if len(x) != len(self) or x.ndim < 2 or x.shape[-1] != self.lattice.n_sites:
            allowed = f"({len(self)}, [channels,] {self.lattice.n_sites})"
            raise ValueError(f"function={function!r} gives x of shape {tuple(x.shape)}: allowed is {allowed}")
        return replace(self, x=x)


def sample(
    sampler: core.Sampler | Hamiltonian, temperatures: Sequence[float], samples: int, chains=8, seed=0,
    *, correlation=0.01, pilot=1000, observables: Sequence[str] | None = None,
) -> Dataset:
    """Configurations of a sampler, or of a model by Swendsen–Wang: `samples` from each of `chains` at each temperature.

    A pilot run of `pilot` sweeps measures the autocorrelation time τ of every observable (or those named) at every
    temperature (J); configurations are then τ_max ln(1 / `correlation`) sweeps apart, where an exponential has decayed to
    `correlation`. All temperatures share this spacing. Ctrl-C hands back the configurations drawn so far. Raises
    ChainTooShort for a pilot below 50 τ, ValueError for bad arguments, KeyboardInterrupt when the pilot is stopped.

    >>> import mlphys as mp
    >>> data = sample(mp.Ising(mp.square(4)), [2.0, 3.0], samples=5, chains=2, pilot=500)
    >>> data.x.shape, data.thin > data.tau
    (torch.Size([20, 16]), True)
    """
    samples, chains = checks.whole("samples", samples, 1), checks.whole("chains", chains, 1)
    if not 0 < correlation < 1:
        raise ValueError(f"correlation={correlation!r} is not allowed: it must lie between 0 and 1")
    sampler = sampler if isinstance(sampler, core.Sampler) else SwendsenWang(sampler)
    each = np.repeat(np.asarray(temperatures, np.float64).ravel(), chains)
    trial = core.run(sampler, pilot, each, len(each), seed, observe=observables)
    if trial.interrupted:
        raise KeyboardInterrupt
    tau = max(_memory(trial, name, members) for name in trial.samples for members in _members(each))
    thin = max(1, math.ceil(tau * math.log(1 / correlation)))
    run = core.run(sampler, samples, thin=thin, state=trial.state, observe=observables, keep=True)
    lattice = sampler.hamiltonian.lattice
    numbers = np.array([spawn(seed, repr(lattice), "chain", k) >> 1 for k in range(len(each))])
    temperature, chain = (np.tile(column, len(run)) for column in (each, numbers))
    return Dataset(run.x.flatten(0, 1), temperature, chain, lattice, thin, tau)


def _members(temperature: np.ndarray):
    return (temperature == value for value in np.unique(temperature))


def _memory(trial: core.Chain, name: str, members: np.ndarray) -> float:
    """Autocorrelation time of an observable in sweeps; a memory that alternates in sign counts as well."""
    series = trial[name][:, members] - trial[name][:, members].mean()
    staggered = series * (-1.0) ** np.arange(len(series))[:, None]
    try:
        return max(stats.estimate(part).tau for part in (series, staggered))
    except stats.ChainTooShort as short:
        temperature = 1 / trial.state.beta[members][0]
        reason = f"{name} at temperature {temperature:g}: {short}; raise pilot={len(series)}, or take a faster sampler"
        raise stats.ChainTooShort(reason, short.estimate) from None


def split(dataset: Dataset, fractions: Sequence[float] = (0.6, 0.2, 0.2), seed: int = 0) -> tuple[Dataset, ...]:
    """Parts of a dataset that share no chain, each with the given fraction of the chains of every temperature.

    Raises ValueError unless the fractions are positive and sum to 1, and when a temperature has too few chains.
    """
    if min(fractions) <= 0 or not math.isclose(sum(fractions), 1):
        raise ValueError(f"fractions={fractions!r} are not allowed: they must be positive and sum to 1")
    rng, parts = generator(seed, "split"), [np.zeros(len(dataset), bool) for _ in fractions]
    for members in _members(dataset.temperature):
        chains = rng.permutation(np.unique(dataset.chain[members]))
        cuts = np.rint(np.cumsum(fractions)[:-1] * len(chains)).astype(int)
        for part, own in zip(parts, np.split(chains, cuts), strict=True):
            if not len(own):
                raise ValueError(f"fractions={fractions!r} leave a part empty: there are {len(chains)} chains a temperature")
            part |= np.isin(dataset.chain, own)
    return tuple(dataset.where(part) for part in parts)


def split_sizes(
    datasets: Iterable[Dataset], unseen: Collection[int], fractions: Sequence[float] = (0.6, 0.2, 0.2), seed: int = 0
) -> tuple[list[Dataset], ...]:
    """Parts of datasets of several sizes: the sizes `unseen` belong to the last part alone, all others are `split`.

    What is learnt on the first part is thus judged both on chains and on sizes that it has not seen. Raises ValueError
    unless some sizes, but not all, are unseen.
    """
    datasets = list(datasets)
    known = [split(dataset, fractions, seed) for dataset in datasets if dataset.size not in unseen]
    new = [dataset for dataset in datasets if dataset.size in unseen]
    if not known or not new:
        sizes = sorted(dataset.size for dataset in datasets)
        raise ValueError(f"unseen={unseen!r} is not allowed: it must hold some of the sizes {sizes}, but not all")
    *seen, last = (list(part) for part in zip(*known, strict=True))
    return *seen, last + new


def leakage(train: Dataset, test: Dataset) -> float:
    """Share of the test samples that have a neighbour in the training set, of their own chain; it has to be 0."""
    return float(np.isin(test.chain, train.chain).mean())


@lru_cache
def point_group(lattice: Lattice) -> np.ndarray:
    """Integer matrices `(order, dimensions, dimensions)` that map the lattice and its torus onto themselves: 8 for a square.

    >>> from mlphys.lattices import square, triangular
    >>> [len(point_group(lattice)) for lattice in (square(4), square(4, 6), triangular(6))]
    [8, 4, 12]
    """
    steps, dimensions, sides = np.array(lattice.directions), len(lattice.shape), np.array(lattice.shape)
    known = {tuple(step) for step in np.concatenate([steps, -steps])}
    matrices = np.array(list(product((-1, 0, 1), repeat=dimensions**2))).reshape(-1, dimensions, dimensions)
    onto = [{tuple(step) for step in image} | {tuple(-step) for step in image} == known for image in steps @ matrices.mT]
    return matrices[np.array(onto) & (matrices * sides % sides[:, None] == 0).all((1, 2))]


@lru_cache
def _images(lattice: Lattice) -> torch.Tensor:
    """Coordinates of the sites under each element of the point group, `(dimensions, order, n_sites)`."""
    return torch.from_numpy(np.einsum("gij,nj->ign", point_group(lattice), lattice.coordinates).astype(np.int32))


def augment(x: torch.Tensor, lattice: Lattice, generator: torch.Generator, flip: bool = False) -> torch.Tensor:
    """Each configuration `(batch, [channels,] n_sites)` under a random translation and a random element of the point group.

    With `flip` its sign is drawn too, for models without a field. Only the sites move: right for numbers that stand on the
    sites, such as spins, angles and `features.one_hot`, and for `features.vortices`, which turn sign in a mirror, with
    `flip`; wrong for `features.turns`, which have a direction. Raises ValueError for other shapes.

    >>> import mlphys as mp
    >>> ising = mp.Ising(mp.square(8))
    >>> x = ising.random(5)
    >>> bool((ising.energy(augment(x, ising.lattice, torch.Generator(), flip=True)) == ising.energy(x)).all())
    True
    """
    if x.ndim not in (2, 3) or x.shape[-1] != lattice.n_sites:
        raise ValueError(f"x has shape {tuple(x.shape)}: allowed is (batch, [channels,] {lattice.n_sites})")
    images = _images(lattice)
    element, sites = torch.randint(images.shape[1], (len(x),), generator=generator), torch.zeros(1, dtype=torch.int32)
    for image, side in zip(images, lattice.shape, strict=True):
        shift = torch.randint(side, (len(x), 1), generator=generator, dtype=torch.int32)
        sites = sites * side + (image.index_select(0, element) + shift) % side
    each = (len(x), *[1] * (x.ndim - 2), -1)
    turned = x.gather(-1, sites.long().to(x.device).view(each).expand(x.shape))
    if not flip:
        return turned
    sign = 2 * torch.randint(2, (len(x),), generator=generator) - 1
    return turned * sign.view(each).to(turned)
