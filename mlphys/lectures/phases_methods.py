"""Lecture 03: every way to find the Ising transition, on the same configurations, beside the best there is."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

import mlphys as mp

if TYPE_CHECKING:
    from mlphys.phases import Dataset

# Temperatures (J) on both sides of the transition; methods that have to be told the phases learn them outside the window.
TEMPERATURES = np.linspace(1.8, 2.8, 21).round(6).tolist()
WINDOW = (2.0, 2.5)
GUESSES = [(low + high) / 2 for low, high in pairwise(TEMPERATURES)]
METHODS = 7

# phases and nets import torch, which takes two seconds: they are reached through mp, when a function needs them.


@dataclass(frozen=True)
class Reading:
    """What a method says of the test samples, what its rival says, and how a temperature is read off either.

    own, best: values `(samples, k)`, whose means at each temperature `locate` reads, as in `phases.bootstrap`.
    """

    method: str
    rival: str
    own: np.ndarray
    best: np.ndarray
    locate: Callable[[np.ndarray, np.ndarray], float]

    def row(self, test: "Dataset") -> dict[str, Any]:
        """Both temperatures, and their difference, in which the noise that they share drops out."""
        columns = self.own.shape[1]

        def apart(temperature: np.ndarray, means: np.ndarray) -> float:
            return self.locate(temperature, means[:, :columns]) - self.locate(temperature, means[:, columns:])

        found = mp.phases.bootstrap(self.locate, self.own, test), mp.phases.bootstrap(self.locate, self.best, test)
        gap = mp.phases.bootstrap(apart, np.hstack([self.own, self.best]), test)
        named = zip(("temperature", "rival_temperature", "difference"), (*found, gap), strict=True)
        numbers = {key: value for name, each in named for key, value in ((name, each.mean), (f"{name}_error", each.error))}
        return {"method": self.method, "rival": self.rival, **numbers}

    def curve(self, test: "Dataset") -> pd.DataFrame:
        """Means against temperature, or against the guess where there are several columns: value, error, rival's value."""
        methods = mp.phases.methods
        if self.own.shape[1] == 1:
            table, best = (methods.by_temperature(values[:, 0], test) for values in (self.own, self.best))
            table["rival"] = best.value
        else:
            own = [methods.pooled(column, test) for column in self.own.T]
            value, error = [each.mean for each in own], [each.error for each in own]
            table = pd.DataFrame({"temperature": GUESSES, "value": value, "error": error, "rival": self.best.mean(0)})
        return table.assign(method=self.method)[["method", "temperature", "value", "error", "rival"]]


def methods_table(
    side: int, samples: int, steps: int, chains: int = 32, seed: int = 1, progress=None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Where each method sees the transition of one Ising lattice (J), and the curves it reads this off: two tables.

    A row for each method: its temperature, that of the rival on the same samples, which are the energy histograms that no
    method beats or plain |m|, their difference, and errors by bootstrap over chains, not over trainings. Of `chains` at each
    of TEMPERATURES, with `samples` configurations each, half are learnt from, half are measured; networks train for `steps`
    steps. The curves: method, temperature (the guess, for confusion), value, error, rival. `progress(done, total)` is called
    after each method.
    """
    data = mp.phases.sample(mp.Ising(mp.square(side)), TEMPERATURES, samples, chains, seed)
    train, test = mp.phases.split(data, (0.5, 0.5), seed)
    rows, curves = [], []
    for reading in readings(train, test, steps, seed):
        rows.append(reading.row(test))
        curves.append(reading.curve(test))
        if progress is not None:
            progress(len(rows), METHODS)
    return pd.DataFrame(rows), pd.concat(curves, ignore_index=True)


def readings(train: "Dataset", test: "Dataset", steps: int, seed: int) -> Iterator[Reading]:
    """The methods one after the other."""
    phases, nets, outputs = mp.phases, mp.nets, mp.phases.methods.outputs
    model, middle, histograms = mp.Ising(train.lattice), sum(WINDOW) / 2, "energy histograms"
    outside = train.where((train.temperature < WINDOW[0]) | (train.temperature > WINDOW[1]))
    convolutions = partial(nets.ConvolutionalNetwork, train.lattice, even=True, seed=seed)

    def order(x):
        return model.magnetisation(x).abs()

    phase = partial(Reading, best=outputs(phases.optimal(outside, model.energy, [middle]), test), locate=half)
    yield phase("|m| threshold", histograms, outputs(phases.threshold(outside, order, [middle]), test))

    network = convolutions()
    _finish(phases.supervised(train, network, WINDOW, steps, seed=seed))
    yield phase("supervised", histograms, outputs(network.probability, test))

    shown, measured = _diagrams(outside, test)
    network = nets.LogisticRegression(mp.chain(shown.x.shape[1]), seed=seed)
    _finish(phases.supervised(shown, network, WINDOW, steps, rate=0.01, seed=seed))
    yield phase("persistent homology", histograms, outputs(network.probability, measured))

    network = convolutions(outputs=len(GUESSES))
    _finish(phases.confusion(train, network, GUESSES, steps, seed=seed))
    best = phases.optimal(train, model.energy, GUESSES)
    own, rival = (phases.methods.hits(each, test, GUESSES) for each in (network.probability, best))
    yield Reading("confusion", histograms, own, rival, least_confused)

    energy = model.energy(test.x)

    def change(indicator) -> np.ndarray:
        return phases.regression.fluctuation(indicator, test, energy)[:, None]

    network = convolutions()
    _finish(phases.prediction(train, network, steps, seed=seed))
    own, rival = change(phases.predicted(network, train)), change(phases.optimal_prediction(train, model.energy))
    yield Reading("prediction", histograms, own, rival, fastest)

    disorder = change(lambda x: 1 - order(x))
    components = phases.principal_components(train, k=1)
    scale = train.lattice.n_sites**-0.5
    yield Reading("principal component", "|m|", change(lambda x: 1 - scale * components.project(x).abs()), disorder, fastest)

    autoencoder = nets.VariationalAutoencoder(train.lattice, seed=seed)
    _finish(phases.autoencode(train, autoencoder, steps, seed=seed))
    # The latent number has no unit: it takes that of m.
    unit = order(train.x).mean() / autoencoder.encode(train.x).abs().mean()
    yield Reading("autoencoder", "|m|", change(lambda x: 1 - unit * autoencoder.encode(x).abs()), disorder, fastest)


def half(temperature: np.ndarray, means: np.ndarray) -> float:
    """Where a probability that falls with temperature last crosses 1/2, by linear interpolation."""
    above = int(np.flatnonzero(means[:-1, 0] >= 0.5).max(initial=0))
    return float(np.interp(-0.5, -means[above : above + 2, 0], temperature[above : above + 2]))


def fastest(temperature: np.ndarray, means: np.ndarray) -> float:
    """Where a slope peaks."""
    return mp.phases.summit(temperature, means[:, 0])


def least_confused(temperature: np.ndarray, means: np.ndarray) -> float:
    """The middle summit of the W that accuracy draws against the guess, between its two lowest points."""
    accuracy, middle = means.mean(0), len(GUESSES) // 2
    left, right = int(np.argmin(accuracy[:middle])), middle + int(np.argmin(accuracy[middle:]))
    inner = accuracy[left : right + 1]
    return mp.phases.summit(np.array(GUESSES[left : right + 1]), inner - max(inner[0], inner[-1]))


def _finish(training) -> None:
    for _ in training:
        pass


def _diagrams(train: "Dataset", test: "Dataset") -> "tuple[Dataset, Dataset]":
    """Persistence diagrams of the domains, a number for each bin that is ever filled, in units of its scatter in `train`."""
    import torch

    counts = []
    for part in (train, test):
        depth = mp.phases.depth(part.x, part.lattice)
        counts.append(mp.phases.persistence(depth, part.lattice, np.arange(-3, 4)).reshape(len(part), -1))
    filled = counts[0].std(0) > 0
    mean, scatter = counts[0][:, filled].mean(0), counts[0][:, filled].std(0)
    scaled = (torch.from_numpy((each[:, filled] - mean) / scatter).float() for each in counts)
    first, second = (replace(part, x=x) for part, x in zip((train, test), scaled, strict=True))
    return first, second
