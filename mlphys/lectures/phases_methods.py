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

    own: values `(trainings, samples, k)`, best: `(samples, k)`, whose means at each temperature `locate` reads, as in
    `phases.bootstrap`. What a method says in the end is the mean over its trainings.
    """

    method: str
    rival: str
    own: np.ndarray
    best: np.ndarray
    locate: Callable[[np.ndarray, np.ndarray], float]

    def row(self, test: "Dataset") -> dict[str, Any]:
        """Both temperatures, and their difference, in which the noise that they share drops out."""
        bootstrap, said, columns = mp.phases.bootstrap, self.own.mean(0), self.best.shape[1]

        def apart(temperature: np.ndarray, means: np.ndarray) -> float:
            return self.locate(temperature, means[:, :columns]) - self.locate(temperature, means[:, columns:])

        own, best = bootstrap(self.locate, said, test), bootstrap(self.locate, self.best, test)
        gap = bootstrap(apart, np.hstack([said, self.best]), test)
        each = [bootstrap(self.locate, values, test, replicas=2).mean for values in self.own]
        training = np.std(each, ddof=1) / len(each) ** 0.5 if len(each) > 1 else 0.0
        return {
            "method": self.method, "temperature": own.mean, "error": np.hypot(own.error, training),
            "training_error": training, "rival": self.rival, "rival_temperature": best.mean, "rival_error": best.error,
            "difference": gap.mean, "difference_error": np.hypot(gap.error, training),
        }

    def curve(self, test: "Dataset") -> pd.DataFrame:
        """Means against temperature, or against the guess where there are several columns: value, error, rival's value."""
        methods, own = mp.phases.methods, self.own.mean(0)
        if own.shape[1] == 1:
            table, best = (methods.by_temperature(values[:, 0], test) for values in (own, self.best))
            table["rival"] = best.value
        else:
            means = [methods.pooled(column, test) for column in own.T]
            value, error = [each.mean for each in means], [each.error for each in means]
            table = pd.DataFrame({"temperature": GUESSES, "value": value, "error": error, "rival": self.best.mean(0)})
        return table.assign(method=self.method)[["method", "temperature", "value", "error", "rival"]]


def methods_table(
    side: int, samples: int, steps: int, chains: int = 32, trainings: int = 3, seed: int = 1, progress=None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Where each method sees the transition of one Ising lattice (J), and the curves it reads this off: two tables.

    A row for each method: its temperature, that of its rival on the same samples, which are the energy histograms that no
    method beats or plain |m|, and their difference. Errors are those of the chains that are measured, by bootstrap, and of
    `trainings` of each network for `steps` steps, by their scatter. Of `chains` at each of TEMPERATURES, with `samples`
    configurations each, half are learnt from, half are measured. The curves: method, temperature (for confusion, the guess),
    value, error, rival. `progress(done, total)` is called after each method.
    """
    data = mp.phases.sample(mp.Ising(mp.square(side)), TEMPERATURES, samples, chains, seed)
    train, test = mp.phases.split(data, (0.5, 0.5), seed)
    rows, curves = [], []
    for reading in readings(train, test, steps, trainings, seed):
        rows.append(reading.row(test))
        curves.append(reading.curve(test))
        if progress is not None:
            progress(len(rows), METHODS)
    return pd.DataFrame(rows), pd.concat(curves, ignore_index=True)


def readings(train: "Dataset", test: "Dataset", steps: int, trainings: int = 3, seed: int = 1) -> Iterator[Reading]:
    """The methods one after the other."""
    phases, nets, outputs = mp.phases, mp.nets, mp.phases.methods.outputs
    model, middle, histograms = mp.Ising(train.lattice), sum(WINDOW) / 2, "energy histograms"
    outside = train.where((train.temperature < WINDOW[0]) | (train.temperature > WINDOW[1]))

    def trained(make: Callable, method: Callable, read: Callable, **options) -> np.ndarray:
        """What networks say after a method has trained them, `(trainings, samples, k)`."""
        said = []
        for each in range(seed, seed + trainings):
            network = make(seed=each)
            for _ in method(network=network, steps=steps, seed=each, **options):
                pass
            said.append(read(network))
        return np.stack(said)

    def order(x):
        return model.magnetisation(x).abs()

    convolutions = partial(nets.ConvolutionalNetwork, train.lattice, even=True)
    best = outputs(phases.optimal(outside, model.energy, [middle]), test)
    phase = partial(Reading, rival=histograms, best=best, locate=half)
    yield phase("|m| threshold", own=outputs(phases.threshold(outside, order, [middle]), test)[None])

    method = partial(phases.supervised, train, exclude=WINDOW)
    yield phase("supervised", own=trained(convolutions, method, lambda network: outputs(network.probability, test)))

    shown, measured = _diagrams(outside, test)
    logistic = partial(nets.LogisticRegression, mp.chain(shown.x.shape[1]))
    method = partial(phases.supervised, shown, exclude=WINDOW, rate=0.01)
    yield phase("persistent homology", own=trained(logistic, method, lambda network: outputs(network.probability, measured)))

    def right(indicator) -> np.ndarray:
        return phases.methods.hits(indicator, test, GUESSES)

    make, method = partial(convolutions, outputs=len(GUESSES)), partial(phases.confusion, train, guesses=GUESSES)
    own = trained(make, method, lambda network: right(network.probability))
    best = right(phases.optimal(train, model.energy, GUESSES))
    yield Reading("confusion", histograms, own, best, least_confused)

    energy = model.energy(test.x)

    def change(indicator) -> np.ndarray:
        return phases.regression.fluctuation(indicator, test, energy)[:, None]

    best = change(phases.optimal_prediction(train, model.energy))
    own = trained(convolutions, partial(phases.prediction, train), lambda network: change(phases.predicted(network, train)))
    yield Reading("prediction", histograms, own, best, fastest)

    disorder = change(lambda x: 1 - order(x))
    components, unit = phases.principal_components(train, k=1), train.lattice.n_sites**-0.5
    own = change(lambda x: 1 - unit * components.project(x).abs())[None]
    yield Reading("principal component", "|m|", own, disorder, fastest)

    def latent(network) -> np.ndarray:
        # The latent number has no unit: it takes that of m.
        unit = order(train.x).mean() / network.encode(train.x).abs().mean()
        return change(lambda x: 1 - unit * network.encode(x).abs())

    make = partial(nets.VariationalAutoencoder, train.lattice)
    yield Reading("autoencoder", "|m|", trained(make, partial(phases.autoencode, train), latent), disorder, fastest)


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
