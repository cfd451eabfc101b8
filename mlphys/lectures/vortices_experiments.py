"""What lecture 04 measures with networks that look at XY and clock spins, and what stiffness says of the same transitions.

Everywhere a clock's states are turned into angles as soon as they are drawn. Tables of stiffness have the columns L,
temperature, helicity_modulus and helicity_modulus_error, which `transition` of lecture 02 reads.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

import mlphys as mp
from mlphys.random import generator
from mlphys.stats import Estimate

if TYPE_CHECKING:
    import torch

    from mlphys.nets import Classifier
    from mlphys.phases import Dataset

BLOCKS = 8
# What is left out of the training on vortex maps, in J: the middle is a guess, and the answer follows it.
WINDOWS = ((0.6, 1.0), (0.7, 1.1), (0.8, 1.2))
TEMPERATURES = tuple(np.linspace(0.5, 1.5, 21).round(2))

# phases, nets and train import torch, which takes two seconds: an app that opens does not wait for it.


def spins(
    model: mp.XY | mp.Clock, temperatures: Sequence[float], samples: int, chains: int = 16, seed: int = 1
) -> "Dataset":
    """Angles `(samples, n_sites)` of the XY or a clock model, `samples` from each of `chains` chains at every temperature.

    By the fastest sampler: near T_BKT and up to L = 32 overrelaxation forgets vortices and direction within a few sweeps.
    Neighbours of a chain may be somewhat alike, since errors are those of chains.
    """
    from mlphys import phases

    q = getattr(model, "q", None)
    sampler = mp.Overrelaxation(model) if q is None else mp.SwendsenWang(model)
    seen = ("m2", "vortex_density")
    data = phases.sample(sampler, temperatures, samples, chains, seed, correlation=0.1, pilot=600, observables=seen)
    return data.map(lambda x: x.float() * (1 if q is None else 2 * np.pi / q))


def in_blocks(dataset: "Dataset", blocks: int = BLOCKS) -> "Dataset":
    """Directions of the mean spins of `blocks` × `blocks` square blocks: lattices of all sides seen at the same distance."""
    from dataclasses import replace

    import torch

    width, rest = divmod(dataset.size, blocks)
    if rest:
        raise ValueError(f"blocks={blocks} is not allowed: it must divide the side {dataset.size}")

    def direction(x: "torch.Tensor") -> "torch.Tensor":
        arrows = torch.polar(torch.ones_like(x), x).view(-1, blocks, width, blocks, width)
        return arrows.mean((2, 4)).angle().flatten(1)

    x = torch.cat([direction(part) for part in dataset.x.split(2048)])
    return replace(dataset, x=x, lattice=mp.square(blocks))


def vortex_map(dataset: "Dataset") -> "Dataset":
    """What the vortex-map network is shown: the winding of every plaquette."""
    import torch

    from mlphys.phases import features

    maps = torch.cat([features.vortices(part, dataset.lattice) for part in dataset.x.split(2048)])
    return dataset.map(lambda x: maps)


def raw_angles(dataset: "Dataset") -> "Dataset":
    """What the raw-angle network is shown: cosine and sine of every spin."""
    from mlphys.phases import features

    return dataset.map(features.angles)


def trained(dataset: "Dataset", window: tuple[float, float], steps: int, seed: int = 0, rate: float = 5e-3) -> "Classifier":
    """A network that tells the temperatures below `window` (J) from those above; even on vortex maps, not on channels."""
    from mlphys import nets, phases

    inputs = 1 if dataset.x.ndim == 2 else dataset.x.shape[1]
    network = nets.ConvolutionalNetwork(dataset.lattice, even=inputs == 1, inputs=inputs, seed=seed)
    for _ in phases.supervised(dataset, network, window, steps, batch=64, rate=rate, seed=seed):
        pass
    return network


def half(network: "Classifier", dataset: "Dataset") -> Estimate:
    """The temperature where the mean output falls through 1/2 (J), by bootstrap over chains; nan if it never does.

    What another training would give is not in the error.
    """
    from mlphys import phases

    def locate(temperature: np.ndarray, means: np.ndarray) -> float:
        mean = means[:, 0]
        after = int(np.argmax(mean < 0.5))
        if after == 0:
            return np.nan
        return float(np.interp(0.5, mean[[after, after - 1]], temperature[[after, after - 1]]))

    return phases.bootstrap(locate, np.asarray(network.probability(dataset.x), np.float64), dataset)


def windows(
    model: mp.XY | mp.Clock,
    samples: int,
    steps: int,
    chosen: Iterable[tuple[float, float]] = WINDOWS,
    trainings: int = 2,
    chains: int = 16,
    seed: int = 1,
) -> pd.DataFrame:
    """The transition that vortex-map networks see, for each window left out of their training: one row a window.

    Columns: size, low and high (J), temperature where the mean output of `trainings` networks is 1/2, its statistical error
    from independent chains and from trainings together. What the rows differ by is the systematic error of the guess.
    Source of the method: Beach, Golubeva, Melko 2018 (10.1103/PhysRevB.97.045207).
    """
    from mlphys import phases

    data = vortex_map(spins(model, TEMPERATURES, samples, chains, seed))
    train, test = phases.split(data, (0.5, 0.5), seed)
    rows = []
    for low, high in chosen:
        found = [half(trained(train, (low, high), steps, seed + k), test) for k in range(trainings)]
        means = np.array([each.mean for each in found])
        error = np.hypot(np.mean([each.error for each in found]), means.std(ddof=1) / trainings**0.5 if trainings > 1 else 0)
        rows.append((data.size, low, high, means.mean(), error))
    return pd.DataFrame(rows, columns=["size", "low", "high", "temperature", "error"])


def spin_waves(side: int, stiffness: Iterable[float], samples: int, seed: int = 0) -> "Dataset":
    """Independent configurations of spin waves without vortices, exp(−K/2 Σ (θ − θ')²): exact, no Markov chain.

    stiffness: the values of K. Angles `(samples · len(stiffness), n_sites)`; the temperature is 1/K.
    """
    import torch

    from mlphys import phases

    wave = 2 - 2 * np.cos(2 * np.pi * np.arange(side) / side)
    cost = wave[:, None] + wave
    cost[0, 0] = np.inf
    # Real and imaginary part of a sum of waves with complex amplitudes are independent fields.
    values = np.asarray(list(stiffness), float)
    noise = generator(seed, "spin waves", side).normal(size=(-(-samples // 2), len(values), side, side, 2))
    fields = np.fft.ifft2(noise.view(np.complex128)[..., 0] * side / np.sqrt(cost))
    angles = np.concatenate([fields.real, fields.imag])[:samples] / np.sqrt(values)[:, None, None]
    values = np.tile(values, samples)
    x = torch.from_numpy(angles.reshape(len(values), -1)).float()
    return phases.Dataset(x, 1 / values, np.arange(len(values)), mp.square(side))


def bonds(dataset: "Dataset", blocks: int = BLOCKS) -> "Dataset":
    """What the stiffness network is shown: cos of the turns between neighbouring blocks, the same however all are turned."""
    from mlphys.phases import features

    coarse = in_blocks(dataset, blocks)
    return coarse.map(lambda x: features.turns(x, coarse.lattice))


class StiffnessNetwork:
    """A network that has only ever seen spin waves, and reads the stiffness K = Υ/T of spins seen in blocks.

    Large scales are spin waves on the cold side of a Kosterlitz–Thouless transition, down to the universal K = 2/π (Nelson
    and Kosterlitz 1977, 10.1103/PhysRevLett.39.1201): no transition temperature has to be guessed, and no window left out.
    `samples` of each of twelve stiffnesses, on lattices of `side`; `read` compares the mean answer with that to spin waves
    on the same lattice. Seen at several sides through the same blocks, K flows as the renormalisation group has it.
    """

    STIFFNESS = np.geomspace(0.4, 3.2, 12)

    def __init__(self, samples: int, steps: int, side: int = 32, blocks: int = BLOCKS, seed: int = 0):
        from mlphys import nets, phases

        self.blocks, self.samples, self.seed = blocks, samples, seed
        data = bonds(spin_waves(side, self.STIFFNESS, samples, seed), blocks)
        self.network = nets.ConvolutionalNetwork(data.lattice, inputs=2, seed=seed)
        for _ in phases.prediction(data, self.network, steps, rate=5e-3, seed=seed):
            pass

    def read(self, datasets: Iterable["Dataset"]) -> pd.DataFrame:
        """The table of stiffness: L, temperature, helicity_modulus = K T and its error; no row where K is out of reach.

        datasets: angles of `spins`, one for each side.
        """
        rows = []
        for data in datasets:
            log_1k, height, error = self._answers(spin_waves(data.size, self.STIFFNESS, self.samples, self.seed + 1))
            # Smooth and monotone: a curve through what noise would bend.
            fit = np.polynomial.Polynomial.fit(log_1k, height, 5, w=1 / error)
            grid = np.linspace(log_1k.min(), log_1k.max(), 400)
            rising = np.maximum.accumulate(fit(grid))
            for log_t, value, error in zip(*self._answers(data), strict=True):
                if rising[0] < value < rising[-1]:
                    at = float(np.interp(value, rising, grid))
                    modulus = np.exp(log_t - at)
                    rows.append((data.size, np.exp(log_t), modulus, modulus * error / abs(fit.deriv()(at))))
        return pd.DataFrame(rows, columns=["L", "temperature", "helicity_modulus", "helicity_modulus_error"])

    def _answers(self, dataset: "Dataset") -> tuple[np.ndarray, ...]:
        """Mean answers with their errors against the logarithm of temperature."""
        from mlphys import phases

        table = phases.curve(self.network.evaluate, bonds(dataset, self.blocks))
        return np.log(table["temperature"].to_numpy()), table["value"].to_numpy(), table["error"].to_numpy()


def dual(table: pd.DataFrame, q: int) -> pd.DataFrame:
    """Stiffness of the dual spins of a q-state clock: K' = (q/2π)²/K, in the columns of a table of stiffness.

    At the lower transition T1 the hours of the clock begin to matter: vortices of the dual spins unbind, and K' = 2/π.
    The table has 1/T in place of T, since the dual of hot is cold. Source: José, Kadanoff, Kirkpatrick, Nelson 1977
    (10.1103/PhysRevB.16.1217).
    """
    stiffness = (q / (2 * np.pi)) ** 2 * table["temperature"] / table["helicity_modulus"]
    relative = table["helicity_modulus_error"] / table["helicity_modulus"]
    inverse = 1 / table["temperature"]
    columns = {"temperature": inverse, "helicity_modulus": stiffness * inverse}
    return table.assign(**columns, helicity_modulus_error=stiffness * inverse * relative)
