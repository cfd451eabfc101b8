"""Configurations seen from afar: lattices of several sizes, blocked down to the one that a network knows."""

from collections.abc import Iterable
from dataclasses import replace

import pandas as pd
import torch

from mlphys.checks import whole
from mlphys.hamiltonians.discrete import MOST_VALUES
from mlphys.lattices import Lattice
from mlphys.phases.data import Dataset
from mlphys.phases.methods import Indicator, curve
from mlphys.random import torch_generator


def coarsen(dataset: Dataset, factor: int, seed: int = 0) -> Dataset:
    """The majority in each block of `factor` sites along every axis, on the lattice of blocks; ties are decided by lot.

    For models of few values: Ising, Potts, clock. On a triangular lattice the blocks are rhombi. Raises ValueError unless
    `factor` divides every side and leaves a lattice, and for x that is not of whole numbers `(samples, n_sites)`.
    Source: majority rule, Niemeijer and van Leeuwen 1973 (10.1103/PhysRevLett.31.1411).

    >>> import mlphys as mp, numpy as np
    >>> x = torch.tensor([[1, 1, 0, 2, 1, 0, 2, 2, 0, 0, 2, 2, 0, 0, 2, 1]])
    >>> coarsen(Dataset(x, np.ones(1), np.zeros(1), mp.square(4)), 2).x
    tensor([[1, 2, 0, 2]])
    """
    lattice, x, factor = _blocks(dataset.lattice, factor), dataset.x, int(factor)
    if x.ndim != 2 or x.is_floating_point() or (x.max() - x.min()) >= MOST_VALUES:
        allowed = f"whole numbers (samples, n_sites) in a range of at most {MOST_VALUES}"
        raise ValueError(f"dataset has x of type {x.dtype} and shape {tuple(x.shape)}: allowed are {allowed}")
    generator, sites = torch_generator(seed, "ties"), x.reshape(-1, *dataset.lattice.shape)
    most = torch.zeros(len(x), *lattice.shape, device=x.device)
    winner = torch.zeros_like(most, dtype=x.dtype)
    for value in range(int(x.min()), int(x.max()) + 1):
        votes = sites == value
        if not votes.any():
            continue
        for axis, side in enumerate(lattice.shape, 1):
            votes = votes.unflatten(axis, (side, factor)).sum(axis + 1, dtype=torch.int32)
        # A lot below 1 parts equal votes and no others.
        lots = votes + torch.rand(votes.shape, generator=generator).to(x.device) / 2
        winner, most = torch.where(lots > most, value, winner), torch.maximum(lots, most)
    return replace(dataset, x=winner.flatten(1), lattice=lattice)


def _blocks(lattice: Lattice, factor: int) -> Lattice:
    factor, least = whole("factor", factor, 1), 3 if lattice.name == "triangular" else 2
    if any(side % factor or side // factor < least for side in lattice.shape):
        raise ValueError(f"factor={factor} is not allowed: it must divide {lattice!r} into {least} blocks a side at least")
    return replace(lattice, shape=tuple(side // factor for side in lattice.shape))


def coarse_curves(indicator: Indicator, datasets: Iterable[Dataset], blocks: int, seed: int = 0) -> pd.DataFrame:
    """The `curve` of each dataset as seen on `blocks` blocks a side: a table of size, temperature, value, error.

    One indicator, of coarse lattices, judges lattices of every size. Whatever it learnt, its mean is then a function of
    (T − Tc) L^(1/ν) alone up to corrections: curves of several sizes cross at Tc, as those of the Binder ratio do, and
    collapse in `scaling`. A network for each size has no such law, since each draws its line elsewhere. Raises ValueError
    for sides that `blocks` does not divide.
    """
    blocks = whole("blocks", blocks, 2)
    curves = []
    for dataset in datasets:
        if dataset.size % blocks:
            raise ValueError(f"blocks={blocks} is not allowed: it must divide the side {dataset.size}")
        curves.append(curve(indicator, coarsen(dataset, dataset.size // blocks, seed)).assign(size=dataset.size))
    return pd.concat(curves, ignore_index=True)
