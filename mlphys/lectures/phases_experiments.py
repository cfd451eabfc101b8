"""What lecture 03 measures with trained networks: critical temperatures, transfer between lattices, order of transitions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

import mlphys as mp
from mlphys.core import Sampler
from mlphys.lattices import Lattice
from mlphys.random import spawn
from mlphys.stats import Estimate

# phases, nets and train import torch, which takes two seconds: an app that opens does not wait for it.
if TYPE_CHECKING:
    from torch import Tensor

    from mlphys.nets import Classifier
    from mlphys.phases import Dataset, Scaling

BLOCKS = 4


@dataclass(frozen=True)
class Subject:
    """A model on lattices of any size, temperatures (J) at which it is surely cold or hot, and the window in question.

    `q` is None for Ising spins. `omega` is the exponent of the leading correction to blocked curves. In the Ising model,
    without an irrelevant operator that counts, it is that of the part of a block's variance analytic in the lattice
    constant, b^−2 against b^(−1/4). None leaves corrections out: of three Potts states they should fall as b^(−4/5)
    (Nienhuis 1982, 10.1007/BF01010480), so slowly that the sizes at hand cannot tell them from the law; the collapse
    is good without, and the error then knows nothing of them.
    """

    model: Callable[[Lattice], Any]
    lattice: Callable[[int], Lattice]
    cold: tuple[float, ...]
    hot: tuple[float, ...]
    window: tuple[float, float]
    omega: float | None
    q: int | None = None
    sampler: Callable[..., Sampler] = mp.Wolff
    pilot: int = 200

    def shown(self, x: "Tensor") -> "Tensor":
        """What a network sees of coarse values: Ising spins themselves, Potts values one-hot."""
        from mlphys import phases

        return x if self.q is None else phases.features.one_hot(by_popularity(x, self.q), self.q)


def by_popularity(x: "Tensor", q: int) -> "Tensor":
    """Potts values `(samples, n_sites)` renamed so that 0 is the most frequent of each configuration, 1 the next: exactly
    blind to which value the symmetry chose."""
    counts = (x[:, None] == x.new_tensor(range(q))[:, None]).sum(2)
    rank = counts.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    return rank.gather(1, x.long()).to(x.dtype)


SQUARE = Subject(mp.Ising, mp.square, (1.5, 1.7, 1.9), (2.8, 3.0, 3.2), (2.22, 2.32), 7 / 4)
TRIANGULAR = Subject(mp.Ising, mp.triangular, (2.6, 2.9, 3.2), (4.2, 4.5, 4.8), (3.56, 3.72), 7 / 4)
POTTS = Subject(
    partial(mp.Potts, q=3), mp.square, (0.7, 0.78, 0.85), (1.15, 1.25, 1.35), (0.975, 1.015), None, q=3, pilot=1000
)
# Where two phases coexist, clusters leave them no more easily than single spins do, and cost more.
POTTS10 = Subject(
    partial(mp.Potts, q=10), mp.square, (0.5, 0.55, 0.6), (0.8, 0.85, 0.9), (0.695, 0.715), None, q=10, sampler=mp.HeatBath
)


def configurations(
    subject: Subject, side: int, temperatures: Sequence[float], samples: int, chains: int, seed: int
) -> "Dataset":
    """`samples` from each of `chains` chains a temperature: neighbours may be alike, since errors are those of chains."""
    from mlphys import phases

    sampler = subject.sampler(subject.model(subject.lattice(side)))
    options: dict[str, Any] = {"pilot": subject.pilot, "observables": ("abs_magnetisation",)}
    return phases.sample(sampler, temperatures, samples, chains, seed, correlation=0.2, **options)


def train_on_blocks(subject: Subject, factor: int = 5, samples: int = 100, steps: int = 1000, seed: int = 0) -> "Classifier":
    """A network that tells cold from hot on 4 × 4 blocks of `factor` sites a side; it sees nothing in between."""
    from mlphys import nets, phases

    data = configurations(subject, factor * BLOCKS, subject.cold + subject.hot, samples, 8, seed)
    blocks = phases.coarsen(data, factor, seed).map(subject.shown)
    network = nets.MultilayerPerceptron(blocks.lattice, (64,), even=subject.q is None, seed=seed, inputs=subject.q or 1)
    for _ in phases.supervised(blocks, network, (subject.cold[-1], subject.hot[0]), steps, symmetries=True, seed=seed):
        pass
    return network


def blocked_curves(
    network: "Classifier", subject: Subject, sides: Sequence[int] = (20, 36, 60), points: int = 10, samples: int = 150,
    chains: int = 24, seed: int = 0, progress=None,
) -> pd.DataFrame:
    """The mean output of a network of `train_on_blocks` in the window, for lattices of several sides: a table for `scaling`.

    Sides are odd multiples of 4, which leave no ties. `progress(done, total)` is called after each side.
    """
    from mlphys import phases

    curves, temperatures = [], np.linspace(*subject.window, points).tolist()
    for side in sides:
        data = configurations(subject, side, temperatures, samples, chains, spawn(seed, "side", side))
        curves.append(phases.coarse_curves(lambda x: network.probability(subject.shown(x)), [data], BLOCKS, seed))
        if progress is not None:
            progress(len(curves), len(sides))
    return pd.concat(curves, ignore_index=True)


def classified_critical_temperature(
    subject: Subject = SQUARE, sides: Sequence[int] = (20, 36, 60), samples: int = 600, steps: int = 1000, seed: int = 0,
    network: "Classifier | None" = None, **options,
) -> tuple["Scaling", pd.DataFrame]:
    """The collapse of blocked curves, with sizes in sites of a block, and their table.

    The network is trained on the subject unless one is given: that of SQUARE with the subject TRIANGULAR is a transfer.
    options: those of `blocked_curves`.
    """
    from mlphys import phases

    network = train_on_blocks(subject, steps=steps, seed=seed) if network is None else network
    table = blocked_curves(network, subject, sides, samples=samples, seed=seed, **options)
    # Corrections decay with the side of a block: measured in blocks, their amplitude is of order 1, as `scaling` assumes.
    return phases.scaling(table.assign(size=table["size"] / BLOCKS), omega=subject.omega, seed=seed), table


def networks_by_size(sides: Sequence[int], steps: int = 200, seed: int = 0) -> dict[int, "Classifier"]:
    """A network for each side of the square lattice, as in the literature, trained on whole configurations of that side."""
    from mlphys import nets, phases

    networks, exclude = {}, (SQUARE.cold[-1], SQUARE.hot[0])
    for side in sides:
        data = configurations(SQUARE, side, SQUARE.cold + SQUARE.hot, 50, 8, spawn(seed, "side", side))
        network: nets.Classifier = nets.MultilayerPerceptron(data.lattice, (16,), even=True, seed=seed)
        for _ in phases.supervised(data, network, exclude, steps, symmetries=True, seed=seed):
            pass
        networks[side] = network
    return networks


def half_temperatures(
    networks: Mapping[int, "Classifier"], subject: Subject, temperatures: Sequence[float], samples: int = 40,
    chains: int = 12, seed: int = 0,
) -> pd.DataFrame:
    """Where the mean output of each network is 1/2: columns size, temperature, error (J).

    By a weighted straight line through the part of the curve between 1/5 and 4/5; ValueError where that is less than two
    points. The lattice may be another than the networks were trained on.
    """
    from mlphys import phases

    rows = []
    for side, network in networks.items():
        data = configurations(subject, side, temperatures, samples, chains, spawn(seed, "half", side))
        curve = phases.curve(network.probability, data)
        steep = curve[curve["value"].between(0.2, 0.8)]
        if len(steep) < 2:
            raise ValueError(f"temperatures={temperatures!r} lie too far apart: two outputs at L = {side} must be near 1/2")
        middle = steep["temperature"].mean()
        (slope, offset), covariance = np.polyfit(
            steep["temperature"] - middle, steep["value"] - 0.5, 1, w=1 / steep["error"], cov="unscaled"
        )
        shift = -offset / slope
        gradient = np.array([shift, 1]) / slope
        rows.append((side, middle + shift, np.sqrt(gradient @ covariance @ gradient)))
    return pd.DataFrame(rows, columns=["size", "temperature", "error"])


def line_in_inverse_size(table: pd.DataFrame) -> Estimate:
    """A straight line in 1/L through temperatures, continued to 1/L = 0: the error is that of the line if it were one."""
    _, covariance = fit = np.polyfit(1 / table["size"], table["temperature"], 1, w=1 / table["error"], cov="unscaled")
    return Estimate(float(fit[0][1]), float(np.sqrt(covariance[1, 1])))


def coexistence(q: int, side: int) -> float:
    """Where a periodic lattice gives the q ordered phases together the weight of the disordered one (J): Tc for q ≤ 4.

    Source: Borgs, Kotecký, Miracle-Solé 1991 (10.1007/BF01020867), to leading order in 1/side².
    """
    transition = mp.exact.potts_transition(q)
    if not transition.latent_heat:
        return transition.temperature
    return transition.temperature * (1 + transition.temperature * np.log(q) / (side**2 * transition.latent_heat))


def potts_outputs(
    network: "Classifier", subject: Subject, side: int, samples: int = 800, thin: int = 20, chains: int = 16, seed: int = 0
) -> pd.DataFrame:
    """What a network of `train_on_blocks` says where phases coexist: size, temperature, log_odds, chain, energy, start.

    Heat bath, `samples` from each chain, `thin` sweeps apart. Half of the chains start ordered and half at random, so that
    a phase that nobody leaves shows: the halves would disagree.
    """
    import torch

    from mlphys import phases

    model, ordered = subject.model(subject.lattice(side)), chains - chains // 2
    start = torch.cat([model.ordered(ordered), model.random(chains - ordered, spawn(seed, "random"))])
    sampler, burn_in = mp.HeatBath(model), samples * thin // 5
    state = sampler.init(chains, coexistence(model.q, side), seed, start=start)
    run = mp.run(sampler, samples, state=state, thin=thin, burn_in=burn_in, observe=("energy",), keep=True)
    chain = np.tile(np.arange(chains), samples)
    data = phases.Dataset(run.x.flatten(0, 1), np.tile(state.temperature, samples), chain, model.lattice)
    log_odds = network.evaluate(subject.shown(phases.coarsen(data, side // BLOCKS, seed).x))[:, 0].double().numpy()
    columns = {"size": side, "temperature": data.temperature, "log_odds": log_odds, "chain": chain}
    columns |= {"energy": model.lattice.n_sites * run["energy"].ravel()}  # in J, of the whole lattice
    return pd.DataFrame(columns | {"start": np.where(chain < ordered, "ordered", "random")})


# Less sure than 9 : 1 is undecided.
_UNDECIDED = np.log(9)


def dip(outputs: pd.DataFrame, temperature: float | None = None) -> Estimate:
    """How often the network is undecided, over the lower of the two peaks of its log odds: far below 1 where phases coexist.

    Of the table of `potts_outputs`, reweighted to another `temperature` (J) if one is given. The density of the log odds is
    taken in bins as wide as the undecided one; the error is by jackknife over chains. At a second-order transition, what a
    network makes of blocks does not depend on the size, and neither does the dip; at one of first order it deepens
    exponentially with the interface (Lee and Kosterlitz 1990, 10.1103/PhysRevLett.65.137).
    """
    before = 1 / outputs["temperature"].iloc[0]
    exponent = (before - (before if temperature is None else 1 / temperature)) * outputs["energy"]
    weight = np.exp(exponent - exponent.max())
    bins = np.rint(outputs["log_odds"] / (2 * _UNDECIDED)).astype(int)
    table = weight.groupby([outputs["chain"], bins]).sum().unstack(fill_value=0.0)

    def ratio(counts: pd.Series) -> float:
        return counts.get(0, 0.0) / min(counts[counts.index < 0].max(), counts[counts.index > 0].max())

    left_out = np.array([ratio(table.drop(index=chain).sum()) for chain in table.index])
    return Estimate(ratio(table.sum()), float(np.sqrt((len(table) - 1) * left_out.var())))


def halves_apart(outputs: pd.DataFrame) -> Estimate:
    """Mean log odds of the chains that started ordered less that of those that started at random: 0 in equilibrium."""
    halves = outputs.groupby(["start", "chain"])["log_odds"].mean().groupby("start")
    means, errors = halves.mean(), halves.sem()
    return Estimate(float(means["ordered"] - means["random"]), float(np.hypot(*errors)))


def order_of_transition(
    subject: Subject, sides: Sequence[int] = (12, 20), samples: int = 800, seed: int = 0, progress=None, **options
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All outputs of a network trained on the subject's blocks, and a row for each side: size, dip, error, apart.

    `apart` is the distance of the two halves of the chains in their error. options: those of `potts_outputs`.
    """
    network = train_on_blocks(subject, seed=seed)
    tables, rows = [], []
    for side in sides:
        tables.append(potts_outputs(network, subject, side, samples, seed=spawn(seed, "side", side), **options))
        depth, apart = dip(tables[-1]), halves_apart(tables[-1])
        rows.append({"size": side, "dip": depth.mean, "error": depth.error, "apart": apart.mean / apart.error})
        if progress is not None:
            progress(len(rows), len(sides))
    return pd.concat(tables, ignore_index=True), pd.DataFrame(rows)
