"""Transitions by prediction: the temperature that is told from a configuration moves fastest where the state does."""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
from torch.nn.functional import mse_loss

from mlphys import checks
from mlphys.nets.classifiers import Classifier
from mlphys.phases.data import Dataset
from mlphys.phases.methods import Indicator, by_temperature, conditional_mean, learn, outputs, pooled
from mlphys.random import generator
from mlphys.stats import Estimate
from mlphys.train import Step


def prediction(dataset: Dataset, network: Classifier, steps: int, **options) -> Iterator[Step]:
    """Train a network to predict the temperature of each configuration, by the squared error; `predicted` reads it.

    The output is in standard deviations of temperature from its mean over the dataset, and so is the loss. options: those of
    `learn`. Raises ValueError for bad arguments. Source: Schäfer and Lörch 2019 (10.1103/PhysRevE.99.062107).

    >>> import mlphys as mp
    >>> from mlphys import nets, phases
    >>> ising = mp.Ising(mp.square(4))
    >>> data = phases.sample(ising, [1.5, 2.5, 3.5], samples=20, chains=4, pilot=500)
    >>> network = nets.MultilayerPerceptron(ising.lattice, hidden=(8,), even=True)
    >>> for step in prediction(data, network, steps=200):
    ...     pass
    >>> phases.curve(predicted(network, data), data).value.is_monotonic_increasing
    True
    """
    if network.outputs != 1:
        raise ValueError(f"network has {network.outputs} outputs: allowed is 1, the temperature")
    mean, width = _scale(dataset)
    return learn(dataset, network, (dataset.temperature[:, None] - mean) / width, mse_loss, steps, **options)


def predicted(network: Classifier, dataset: Dataset) -> Indicator:
    """The temperature (J) that a network trained by `prediction` on this dataset reads from x, `(samples, 1)`."""
    mean, width = _scale(dataset)
    return lambda x: mean + width * network.evaluate(x).numpy()


def _scale(dataset: Dataset) -> tuple[float, float]:
    if len(known := np.unique(dataset.temperature)) < 2:
        raise ValueError(f"dataset has only the temperatures {known.tolist()}: prediction needs two at least")
    return float(dataset.temperature.mean()), float(dataset.temperature.std())


def optimal_prediction(dataset: Dataset, statistic: Callable) -> Indicator:
    """The best prediction there is, the mean T (J) given the statistic of x, from histograms; statistic as in `optimal`.

    No function of x has a smaller mean squared error on the same mixture of temperatures. Source: Arnold and Schäfer 2022
    (arXiv:2109.03800).
    """
    return conditional_mean(dataset, statistic, dataset.temperature[:, None])


def squared_error(indicator: Indicator, dataset: Dataset, other: Indicator | None = None) -> Estimate:
    """Mean squared error (J²) of predicted temperatures, less that of `other` on the same samples where one is given."""

    def squares(each: Indicator) -> np.ndarray:
        return (outputs(each, dataset)[:, 0] - dataset.temperature) ** 2

    return pooled(squares(indicator) - (0 if other is None else squares(other)), dataset)


def slope(indicator: Indicator, dataset: Dataset, energy) -> pd.DataFrame:
    """How fast the mean of an indicator changes with temperature: size, temperature, value (1/J) and error.

    energy: total energies (J) of the samples `(samples,)`, of a thermal ensemble: there d⟨f⟩/dT = (⟨fE⟩ − ⟨f⟩⟨E⟩)/T² at
    each temperature alone, which is less noisy than differences. Predicted temperatures change fastest where they are told
    best.

    >>> from mlphys import exact, phases, Ising, square
    >>> ising = Ising(square(4))
    >>> data = phases.sample(ising, [2.0, 3.0], samples=400, chains=8, pilot=500)
    >>> measured = slope(ising.energy, data, ising.energy(data.x))
    >>> expected = 16 * exact.kaufman(4, 4, measured.temperature).heat_capacity
    >>> bool((abs(measured.value - expected) < 4 * measured.error).all())
    True
    """
    return by_temperature(fluctuation(indicator, dataset, energy), dataset)


def fluctuation(indicator: Indicator, dataset: Dataset, energy) -> np.ndarray:
    """Of each sample `(samples,)`, what averages to the `slope` at its temperature."""
    values, energy = (deviation(each, dataset) for each in (outputs(indicator, dataset)[:, 0], np.asarray(energy)))
    return values * energy / dataset.temperature**2


def deviation(values: np.ndarray, dataset: Dataset) -> np.ndarray:
    """Values `(samples, ...)` less their mean at the temperature of each sample."""
    table = pd.DataFrame(values)
    return (table - table.groupby(dataset.temperature).transform("mean")).to_numpy().reshape(values.shape)


def steepest(indicator: Indicator, dataset: Dataset, energy, seed: int = 0) -> Estimate:
    """The temperature (J) where an indicator changes fastest: the `summit` of its `slope`, by `bootstrap`."""
    values = fluctuation(indicator, dataset, energy)[:, None]
    return bootstrap(lambda temperature, means: summit(temperature, np.abs(means[:, 0])), values, dataset, seed=seed)


def summit(x: np.ndarray, y: np.ndarray) -> float:
    """Where y `(points,)` peaks: the vertex of a parabola through the points about the largest that exceed half of it.

    Each weighs as much as it exceeds half, so that none comes and goes by noise.

    >>> x = np.linspace(0, 5, 11)
    >>> round(summit(x, 1 / (1 + (x - 2.2) ** 2)), 1)
    2.2
    """
    top, low = int(np.argmax(y)), np.flatnonzero(y <= y.max() / 2)
    first, last = low[low < top].max(initial=-1) + 1, low[low > top].min(initial=len(y))
    near, height = x[first:last], y[first:last]
    if len(near) < 3:
        return float(x[top])
    bend, tilt, _ = np.polyfit(near - x[top], height, 2, w=np.sqrt(height - y[top] / 2))
    return float(np.clip(x[top] - tilt / (2 * bend), near[0], near[-1])) if bend < 0 else float(x[top])


def bootstrap(locate: Callable, values: np.ndarray, dataset: Dataset, replicas: int = 200, seed: int = 0) -> Estimate:
    """A number read off curves against temperature, with the error by drawing the chains of each temperature anew.

    locate: a function of the temperatures (J) `(temperatures,)` and of the means of values `(temperatures, k)`; values:
    `(samples, k)`. What another training would give is not in the error. B. Efron 1979 (10.1214/aos/1176344552).
    """
    rng, curves = generator(seed, "bootstrap"), {}
    chains = pd.DataFrame(values).groupby([dataset.temperature, dataset.chain]).mean()
    for temperature, table in chains.groupby(level=0):
        means = table.to_numpy()
        drawn = rng.integers(len(means), size=(checks.whole("replicas", replicas, 2), len(means)))
        curves[temperature] = np.concatenate([means.mean(0)[None], means[drawn].mean(1)])
    located = [locate(np.array(list(curves)), replica) for replica in np.stack(list(curves.values()), axis=1)]
    return Estimate(located[0], float(np.std(located[1:])))
