"""Ways to find a phase boundary from labelled configurations, and the best that any of them can do.

An indicator is a function of configurations x `(samples, n_sites)` that gives the probability of the phase at low
temperature, `(samples, guesses)` for one or more guesses of the boundary: the `probability` of a trained network, a
`threshold`, the `optimal` one. They are compared by the same `accuracy` on the same test set.
"""

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from mlphys.nets.classifiers import Classifier
from mlphys.phases.data import Dataset, augment
from mlphys.stats import Estimate
from mlphys.train import Step, fit, minibatches

Indicator = Callable[[torch.Tensor], torch.Tensor | np.ndarray]


def supervised(dataset: Dataset, network: Classifier, exclude: tuple[float, float], steps: int, **options) -> Iterator[Step]:
    """Train a network to tell the temperatures below `exclude` from those above it; what lies between is left out.

    exclude: (low, high) in J; options: those of `learn`. Raises ValueError for bad arguments, also where one side is
    empty. Source: Carrasquilla and Melko 2017 (10.1038/nphys4035).

    >>> import mlphys as mp
    >>> from mlphys import nets, phases
    >>> ising = mp.Ising(mp.square(4))
    >>> data = phases.sample(ising, [1.5, 3.5], samples=20, chains=4, pilot=500)
    >>> network = nets.MultilayerPerceptron(ising.lattice, hidden=(8,), even=True)
    >>> for step in supervised(data, network, exclude=(2.0, 3.0), steps=200):
    ...     pass
    >>> curve(network.probability, data).value.round().tolist()
    [1.0, 0.0]
    """
    low, high = exclude
    if not low <= high:
        raise ValueError(f"exclude={exclude!r} is not allowed: give (low, high) with low <= high")
    outside = (dataset.temperature < low) | (dataset.temperature > high)
    return confusion(dataset.where(outside), network, [(low + high) / 2], steps, **options)


def confusion(dataset: Dataset, network: Classifier, guesses: Sequence[float], steps: int, **options) -> Iterator[Step]:
    """Train one output of the network for each guess of the boundary (J), all at once.

    The accuracy of each, read with `accuracy`, peaks where the guess is right, and at the ends, where one class is all there
    is. options: those of `learn`. Raises ValueError for bad arguments. Sources: van Nieuwenburg, Liu, Huber 2017
    (10.1038/nphys4037); one network for all guesses: Arnold, Schäfer, Lörch 2023 (arXiv:2311.09128).
    """
    labels = _labels(dataset, guesses)
    if labels.shape[1] != network.outputs:
        raise ValueError(f"guesses={guesses!r} are not allowed: the network has {network.outputs} outputs, one for each")
    return learn(dataset, network, labels, binary_cross_entropy_with_logits, steps, **options)


def learn(
    dataset: Dataset, network: torch.nn.Module, labels: np.ndarray, loss: Callable, steps: int,
    *, batch=128, rate=3e-3, symmetries=False, flip=False, seed=0, optimiser: torch.optim.Optimizer | None = None,
) -> Iterator[Step]:
    """Train a network on labels `(samples, outputs)`, by a loss of outputs and labels: what all methods with labels share.

    `symmetries` moves every configuration of a batch by the space group of the lattice, with `flip` also by its sign.
    """
    targets = torch.from_numpy(labels).to(next(network.parameters()))
    draw = minibatches(dataset.x.to(targets.device), targets, size=batch)

    def batches(generator):
        x, y = draw(generator)
        return (augment(x, dataset.lattice, generator, flip) if symmetries else x), y

    return fit(network, lambda model, xy: loss(model(xy[0]), xy[1]), batches, steps, seed, rate, optimiser)


def _labels(dataset: Dataset, guesses: Sequence[float]) -> np.ndarray:
    """Whether each sample lies below each guess, `(samples, guesses)`."""
    below = dataset.temperature[:, None] < np.asarray(guesses, np.float64)
    if below.size == 0 or (below.all(0) | ~below.any(0)).any():
        raise ValueError(f"guesses={guesses!r} are not allowed: each needs samples below it and above it")
    return below


def optimal(dataset: Dataset, statistic: Callable, guesses: Sequence[float]) -> Indicator:
    """The best indicator there is, from histograms of a sufficient statistic: P(T below the guess | statistic of x).

    statistic: the function of x `(samples,)` through which alone the temperature speaks, such as the energy of a thermal
    ensemble. There the probability is monotone in it, since p(E|T) ∝ exp(−E/T)/Z; neighbouring levels of the histogram are
    pooled wherever noise breaks this (Ayer et al. 1955, 10.1214/aoms/1177728423). Raises ValueError for bad guesses.
    Source: Arnold and Schäfer 2022 (arXiv:2109.03800).

    >>> from mlphys.lattices import chain
    >>> data = Dataset(torch.arange(8)[:, None], np.array([1, 1, 1, 2, 1, 2, 2, 2]), np.arange(8), chain(2))
    >>> optimal(data, lambda x: x[:, 0], [1.5])(data.x)[:, 0].tolist()
    [1.0, 1.0, 1.0, 0.5, 0.5, 0.0, 0.0, 0.0]
    """
    return conditional_mean(dataset, statistic, _labels(dataset, guesses))


def conditional_mean(dataset: Dataset, statistic: Callable, labels: np.ndarray) -> Indicator:
    """Mean of each label `(samples, k)` given a statistic of x, monotone in it: a function of x to `(samples, k)`."""
    values = _values(statistic, dataset.x)
    levels, level, counts = np.unique(values, return_inverse=True, return_counts=True)
    curves = []
    for column in labels.T:
        share = np.bincount(level, column) / counts
        sign = 1 if np.corrcoef(values, column)[0, 1] > 0 else -1
        curves.append(sign * _monotone(sign * share, counts))
    return lambda x: np.stack([np.interp(_values(statistic, x), levels, curve) for curve in curves], axis=1)


def _monotone(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The nearest non-decreasing sequence in weighted least squares, by pooling neighbours that are out of order."""
    pools: list[tuple[float, float, int]] = []
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        length = 1
        while pools and pools[-1][0] >= value:
            other, mass, count = pools.pop()
            value, weight = (value * weight + other * mass) / (weight + mass), weight + mass
            length += count
        pools.append((value, weight, length))
    return np.repeat([pool[0] for pool in pools], [pool[2] for pool in pools])


def threshold(dataset: Dataset, statistic: Callable, guesses: Sequence[float]) -> Indicator:
    """The baseline to beat: one cut through an order parameter, such as |m|, for each guess, the most accurate in `dataset`.

    statistic: a function of x `(samples,)` that is larger at low temperature. Raises ValueError for bad guesses.
    """
    below, values = _labels(dataset, guesses), _values(statistic, dataset.x)
    levels, level = np.unique(values, return_inverse=True)
    cuts = []
    for column in below.T:
        # A cut at the k-th level calls those below it high, all others low.
        gained = np.bincount(level, np.where(column, -1, 1))
        cuts.append(levels[np.argmax(np.concatenate([[0], np.cumsum(gained)[:-1]]))])
    return lambda x: (_values(statistic, x)[:, None] >= np.array(cuts)).astype(float)


def _values(statistic: Callable, x) -> np.ndarray:
    # Sums in another order may differ in the last bits: those are one level of a histogram, not two.
    return np.round(np.asarray(statistic(x), np.float64), 9)


def curve(indicator: Indicator, dataset: Dataset) -> pd.DataFrame:
    """The first output against temperature, a table of size, temperature, value and error; errors by scatter of chains."""
    return by_temperature(outputs(indicator, dataset)[:, 0], dataset)


def accuracy(indicator: Indicator, dataset: Dataset, guesses: Sequence[float]) -> list[Estimate]:
    """Share of samples that the indicator puts on the right side of each guess, with the error by the scatter of chains.

    Every temperature weighs the same. A probability of exactly 1/2 is half right. Raises ValueError for bad guesses.
    """
    return [pooled(column, dataset) for column in hits(indicator, dataset, guesses).T]


def advantage(indicator: Indicator, other: Indicator, dataset: Dataset, guess: float) -> Estimate:
    """Accuracy of an indicator less that of another on the same samples: what they share in noise drops out."""
    mine, others = (hits(each, dataset, [guess])[:, 0] for each in (indicator, other))
    return pooled(mine - others, dataset)


def cross_entropy(indicator: Indicator, dataset: Dataset, guess: float) -> Estimate:
    """Mean −log of the probability given to the right side of a guess: log 2 for ignorance, lowest for the true posterior.

    What a training lowers; on held-out data it says when to stop, and whether probabilities mean what they say.
    """
    below = _labels(dataset, [guess])[:, 0]
    cold = outputs(indicator, dataset)[:, 0]
    given = np.where(below, cold, 1 - cold)
    return pooled(-np.log(np.maximum(given, 1e-7)), dataset)


def hits(indicator: Indicator, dataset: Dataset, guesses: Sequence[float]) -> np.ndarray:
    """1 where the indicator is on the right side of a guess, 0 where it is not, `(samples, guesses)`."""
    return (1 + np.sign(outputs(indicator, dataset) - 0.5) * np.where(_labels(dataset, guesses), 1, -1)) / 2


def outputs(indicator: Indicator, dataset: Dataset) -> np.ndarray:
    """What an indicator says of every sample, `(samples, outputs)`."""
    return np.asarray(indicator(dataset.x), np.float64).reshape(len(dataset), -1)


def by_temperature(values: np.ndarray, dataset: Dataset) -> pd.DataFrame:
    """Means of values `(samples,)` at each temperature: size, temperature, value, error."""
    table = pd.DataFrame({"temperature": dataset.temperature, "chain": dataset.chain, "value": values})
    chains = table.groupby(["temperature", "chain"]).value.mean().groupby("temperature")
    summary = pd.DataFrame({"value": chains.mean(), "error": chains.sem()}).reset_index()
    summary.insert(0, "size", dataset.size)
    return summary


def pooled(values: np.ndarray, dataset: Dataset) -> Estimate:
    """Mean of values `(samples,)` over all temperatures, each with the same weight."""
    table = by_temperature(values, dataset)
    return Estimate(float(table.value.mean()), math.sqrt((table.error**2).sum()) / len(table))
