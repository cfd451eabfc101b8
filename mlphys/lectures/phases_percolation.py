"""Percolation: networks beside a cut in the density, and what they say when the spanning cluster is severed."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

import mlphys as mp
from mlphys.stats import Estimate

if TYPE_CHECKING:
    from mlphys.phases import Dataset

SQUARE_THRESHOLD = 0.592746  # Newman and Ziff 2000, 10.1103/PhysRevLett.85.4104
# Most of them are so far from the threshold that the density alone says it all.
DENSITIES = np.linspace(0.1, 0.9, 41).tolist()
NEAR = 0.05


def percolation_table(sides: Sequence[int], samples: int, steps: int, seed: int = 0, progress=None) -> pd.DataFrame:
    """How often "does it span?" is answered right: by the best cut in the density, by two networks, by searching clusters.

    `samples` configurations at each of DENSITIES to learn from, as many to judge; a network learns for at most `steps`
    steps, and is taken where its loss on a third set, half as large, is lowest. One row a side and indicator: side,
    indicator; accuracy; over_density, the difference from the cut on the same samples; near, the accuracy within 0.05 of the
    threshold; fooled, of the configurations at the threshold that span and are said to, the share that is still said to
    after `severed` moved a few sites; each with its error. `progress(done, total)` is called after each side.
    """
    tables = []
    for side in sides:
        tables.append(_answers(side, samples, steps, mp.random.spawn(seed, "percolation table", side)))
        if progress is not None:
            progress(len(tables), len(sides))
    return pd.concat(tables, ignore_index=True)


def cut_clusters(side: int, samples: int, seed: int = 0) -> tuple["Dataset", "Dataset"]:
    """Configurations at the threshold that span, and the same ones severed at equal density.

    Of `samples` drawn about half span, and are returned.
    """
    from mlphys import phases

    drawn = phases.percolation(mp.square(side), [SQUARE_THRESHOLD], samples, seed)
    whole = drawn.where(_spans(drawn))
    return whole, whole.map(lambda x: phases.severed(x, drawn.lattice, seed))


def told_apart(side: int, samples: int, steps: int, seed: int = 0) -> dict[str, Estimate]:
    """Accuracy of networks that are shown nothing but configurations that span and severed ones; 1/2 is chance.

    Of `samples` drawn about a quarter of each kind is used to learn from, and as many others to judge.
    """
    from mlphys.phases.methods import learn, pooled

    draws = [cut_clusters(side, samples // 2, mp.random.spawn(seed, "told apart", part)) for part in range(4)]
    # Never a configuration and the same severed.
    train, test = (_together(whole, severed) for (whole, _), (_, severed) in (draws[:2], draws[2:]))
    found = {}
    # Edges are open, so that a translation may change the answer: nothing is augmented by symmetries here.
    for name, network in _networks(train.lattice, seed).items():
        for _ in learn(train, network, _spans(train)[:, None], _loss, steps, seed=seed):
            pass
        found[name] = pooled((_says(network)(test.x) == _spans(test)).astype(float), test)
    return found


def density(x) -> np.ndarray:
    """The share of occupied sites `(samples,)`."""
    return np.asarray(x > 0).mean(1)


def _answers(side: int, samples: int, steps: int, seed: int) -> pd.DataFrame:
    from mlphys import phases
    from mlphys.phases.methods import conditional_mean, learn, pooled
    from mlphys.train import keep_best

    lattice = mp.square(side)
    train, held_out, test = (
        phases.percolation(lattice, DENSITIES, count, mp.random.spawn(seed, "part", part))
        for part, count in enumerate((samples, max(samples // 2, 2), samples))
    )
    truth = _spans(held_out)[:, None]
    likely = conditional_mean(train, density, _spans(train)[:, None])
    answers: dict[str, Callable[[Any], np.ndarray]] = {"density": lambda x: np.asarray(likely(x))[:, 0] > 0.5}
    for name, network in _networks(lattice, seed).items():
        training = learn(train, network, _spans(train)[:, None], _loss, steps, seed=seed)
        for _ in keep_best(training, network, lambda net: float(_loss(net.evaluate(held_out.x), truth))):
            pass
        answers[name] = _says(network)
    answers["cluster search"] = lambda x: phases.strands(x, lattice) > 0

    whole, severed = cut_clusters(side, 10 * samples, mp.random.spawn(seed, "severed"))
    close = np.abs(test.temperature - SQUARE_THRESHOLD) < NEAR
    right = {name: (says(test.x) == _spans(test)).astype(float) for name, says in answers.items()}
    rows = []
    for name, says in answers.items():
        row: dict[str, Any] = {"side": side, "indicator": name}
        believed = severed.where(says(whole.x))
        for column, estimate in (
            ("accuracy", pooled(right[name], test)),
            ("over_density", pooled(right[name] - right["density"], test)),
            ("near", pooled(right[name][close], test.where(close))),
            ("fooled", pooled(says(believed.x).astype(float), believed)),
        ):
            row |= {column: estimate.mean, f"{column}_error": estimate.error}
        rows.append(row)
    return pd.DataFrame(rows)


def _networks(lattice: mp.lattices.Lattice, seed: int) -> dict:
    from mlphys import nets

    return {
        "convolutions": nets.ConvolutionalNetwork(lattice, seed=seed),
        "perceptron": nets.MultilayerPerceptron(lattice, seed=seed),
    }


def _spans(data: "Dataset") -> np.ndarray:
    from mlphys import phases

    return phases.strands(data.x, data.lattice) > 0


def _together(first: "Dataset", second: "Dataset") -> "Dataset":
    import torch

    temperature, chain = (np.append(getattr(first, name), getattr(second, name)) for name in ("temperature", "chain"))
    return replace(first, x=torch.cat([first.x, second.x]), temperature=temperature, chain=chain)


def _loss(outputs, labels):
    import torch

    return torch.nn.functional.binary_cross_entropy_with_logits(outputs, torch.as_tensor(labels).to(outputs))


def _says(network) -> Callable[[Any], np.ndarray]:
    return lambda x: network.evaluate(x)[:, 0].numpy() > 0
