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

# phases, nets and train import torch, which takes two seconds: an app that opens does not wait for it.


def spins(
    model: mp.XY | mp.Clock, temperatures: Iterable[float], samples: int, chains: int = 16, seed: int = 1
) -> "Dataset":
    """Angles `(samples, n_sites)` of the XY or a clock model, `samples` from each of `chains` chains at every temperature.

    By the fastest sampler: overrelaxation, which near T_BKT forgets vortices within a sweep, or Swendsen–Wang, since the
    single spins of a clock remember for a hundred. Neighbours of a chain may be somewhat alike: errors are those of chains.
    """
    from mlphys import phases

    q = getattr(model, "q", None)
    sampler = mp.Overrelaxation(model) if q is None else mp.SwendsenWang(model)
    options: dict = {"correlation": 0.2, "pilot": 150 + 10 * max(model.lattice.shape) if q is None else 200 * q}
    data = phases.sample(sampler, list(temperatures), samples, chains, seed, observables=("m2",), **options)
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


def block_curves(
    datasets: Sequence["Dataset"], window: tuple[float, float], steps: int, q: int | None = None, seed: int = 0
) -> pd.DataFrame:
    """What one network makes of the same blocks on lattices of several sides: columns size, temperature, value, error.

    datasets: angles of `spins`, one for each side; the network learns from half the chains of the first, which are left out
    of its curve, and `window` (J) is left out of the training. It is shown the vortices of `in_blocks` spins, and its value
    is what they take from the log odds; or, given q, how well blocks keep to the q hours of a clock, cos qφ, and its value
    is half of what the log odds change by when all turn by half an hour. Either vanishes where vortices, or hours, do not
    matter on large scales: the curves cross near the transition, whatever the window.
    """
    import torch

    from mlphys import nets, phases

    def see(dataset: "Dataset") -> "Dataset":
        blocks = in_blocks(dataset)
        return vortex_map(blocks) if q is None else blocks.map(lambda x: (q * x).cos())

    def value(x: "torch.Tensor") -> "torch.Tensor":
        if q is None:
            return network.evaluate(torch.zeros_like(x[:1])) - network.evaluate(x)
        return (network.evaluate(x) - network.evaluate(-x)) / 2

    first, *others = datasets
    train, test = phases.split(see(first), (0.5, 0.5), seed)
    network = nets.ConvolutionalNetwork(train.lattice, even=q is None, seed=seed)
    for _ in phases.supervised(train, network, window, steps, batch=64, rate=5e-3, seed=seed):
        pass
    curves = [phases.curve(value, each) for each in (test, *map(see, others))]
    return pd.concat([curve.assign(size=data.size) for curve, data in zip(curves, datasets, strict=True)], ignore_index=True)


def scaling_of_vortices(table: pd.DataFrame, power: int = 2) -> tuple[Estimate, float]:
    """The transition temperature (J) from `block_curves`, and χ² per degree of freedom of the scaling that it rests on.

    At a Kosterlitz–Thouless transition the fugacity of vortices falls as 1/ln(L/a), and about it value · ln(L/a)^power is
    one function of (T − Tc) ln(L/a)² for all sides: `power` is 2 for vortices, which come in pairs, and 1 for hours. Its
    logarithm is taken to be a cubic, the core a to lie between 1/4 and 4 sites; the Estimate is over all Tc and a, by their
    likelihood, with errors enlarged where χ² exceeds its degrees of freedom. Points within two errors of 0 are left out.
    Raises ValueError when fewer than five remain.
    Source: Kosterlitz 1974 (10.1088/0022-3719/7/6/005).
    """
    table = table[table["value"] > 2 * table["error"]]
    if len(table) < 5:
        raise ValueError(f"table has {len(table)} points above two errors: a cubic needs 5 at least")
    temperature, size = table["temperature"].to_numpy(), table["size"].to_numpy()
    relative = (table["error"] / table["value"]).to_numpy()
    critical, cores = np.linspace(temperature.min() - 0.1, temperature.max() + 0.1, 201), np.geomspace(0.25, 4, 17)
    chi2 = np.empty((len(cores), len(critical)))
    for row, core in zip(chi2, cores, strict=True):
        log_size = np.log(size / core)
        height = (np.log(table["value"].to_numpy()) + power * np.log(log_size)) / relative
        for k, guess in enumerate(critical):
            x = (temperature - guess) * log_size**2
            design = np.vander(x / np.abs(x).max(), 4) / relative[:, None]
            coefficients = np.linalg.lstsq(design, height)[0]
            row[k] = np.sum((height - design @ coefficients) ** 2)
    per_freedom = chi2.min() / max(1, len(table) - 6)
    weight = np.exp(-0.5 * (chi2 - chi2.min()) / max(1.0, per_freedom)).sum(0)
    mean = np.average(critical, weights=weight)
    return Estimate(float(mean), float(np.average((critical - mean) ** 2, weights=weight) ** 0.5)), float(per_freedom)


def spin_waves(side: int, stiffness: Iterable[float], samples: int, seed: int = 0) -> "Dataset":
    """Independent configurations of spin waves without vortices, exp(−K/2 Σ (θ − θ')²): exact, no Markov chain.

    stiffness: the values of K. Angles `(samples · len(stiffness), n_sites)`; the temperature is 1/K.

    >>> waves = spin_waves(16, [1.0], 400)
    >>> x = waves.x.view(-1, 16, 16)
    >>> turns = x - x.roll(1, 2)
    >>> bool(abs(turns.var() - 0.5 * 255 / 256) < 0.01)  # equipartition: half a degree of freedom to a bond
    True
    """
    import torch

    from mlphys import phases

    wave = 2 - 2 * np.cos(2 * np.pi * np.arange(side) / side)
    cost = wave[:, None] + wave
    cost[0, 0] = np.inf
    values, parts = np.asarray(list(stiffness), float), []
    for k, value in enumerate(values):
        # Real and imaginary part of a sum of waves with complex amplitudes are independent fields.
        noise = generator(seed, "spin waves", side, k).normal(size=(-(-samples // 2), side, side, 2))
        fields = np.fft.ifft2(noise.view(np.complex128)[..., 0] * side / np.sqrt(value * cost))
        parts.append(np.concatenate([fields.real, fields.imag])[:samples].reshape(samples, -1).astype(np.float32))
    x, values = torch.from_numpy(np.concatenate(parts)), np.repeat(values, samples)
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
