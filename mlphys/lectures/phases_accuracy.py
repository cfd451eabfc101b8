"""How accurate classifiers of Ising configurations can be, how accurate networks are, and whether they beat a cut in |m|."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

import mlphys as mp

CRITICAL = 2 / np.log(1 + np.sqrt(2))
TEMPERATURES = np.linspace(1.8, 2.8, 20).tolist()


def accuracy_table(sides: Sequence[int], steps: int, samples: int = 50, chains: int = 20, seed: int = 0) -> pd.DataFrame:
    """Share of Ising configurations that are told right to be below or above T_c: a cut in |m|, two networks, the optimum.

    `chains` chains at each of TEMPERATURES give `samples` configurations each: half of the chains to learn from, a fifth
    to say when to stop, the rest to judge. One row a side and indicator: side, indicator, accuracy, error; over_threshold
    and over_optimum, with errors of their own, the differences from the cut and from the optimum on the same samples.
    """
    return pd.concat([_accuracies(side, steps, samples, chains, seed) for side in sides], ignore_index=True)


def _accuracies(side: int, steps: int, samples: int, chains: int, seed: int) -> pd.DataFrame:
    from mlphys import nets, phases
    from mlphys.train import keep_best

    ising = mp.Ising(mp.square(side))
    data = phases.sample(ising, TEMPERATURES, samples, chains, seed)
    train, validation, test = phases.split(data, (0.5, 0.2, 0.3))
    cut = phases.threshold(train, lambda x: ising.magnetisation(x).abs(), [CRITICAL])
    best = phases.optimal(train, ising.energy, [CRITICAL])
    networks = {
        "perceptron": nets.MultilayerPerceptron(ising.lattice, even=True, seed=seed),
        "convolutions": nets.ConvolutionalNetwork(ising.lattice, even=True, seed=seed),
    }
    for name, network in networks.items():
        # A convolution knows the symmetries that a perceptron has to be shown.
        shown = {"symmetries": name == "perceptron", "seed": seed}
        training = phases.supervised(train, network, (CRITICAL, CRITICAL), steps, **shown)
        for _ in keep_best(training, network, lambda net: phases.cross_entropy(net.probability, validation, CRITICAL).mean):
            pass
    indicators = {"|m| threshold": cut, **{name: net.probability for name, net in networks.items()}, "optimum": best}
    rows = []
    for name, indicator in indicators.items():
        (value,) = phases.accuracy(indicator, test, [CRITICAL])
        row = {"side": side, "indicator": name, "accuracy": value.mean, "error": value.error}
        for other, rival in (("threshold", cut), ("optimum", best)):
            gain = phases.advantage(indicator, rival, test, CRITICAL)
            row |= {f"over_{other}": gain.mean, f"over_{other}_error": gain.error}
        rows.append(row)
    return pd.DataFrame(rows)
