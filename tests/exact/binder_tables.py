"""Independent tables of the Ising Binder ratio on square lattices, to judge finite-size scaling by how often it is right.

`python tests/exact/binder_tables.py` writes tests/data/binder.csv, which takes about ten minutes of one core.
Nothing of the method was chosen on these seeds.
"""

from pathlib import Path

import numpy as np
import pandas as pd

import mlphys as mp
from mlphys import phases

PATH = Path(__file__).parents[1] / "data" / "binder.csv"
SEEDS = range(2001, 2021)
TEMPERATURES, CHAINS, SAMPLES = np.linspace(2.20, 2.34, 10), 8, 6000


def table(seed: int) -> pd.DataFrame:
    """The Binder ratio at L = 16, 32, 64, from 48,000 samples a point."""
    temperature, runs = np.repeat(TEMPERATURES, CHAINS), {}
    for side in (16, 32, 64):
        wolff = mp.Wolff(mp.Ising(mp.square(side)))
        own = 100 * seed + side
        runs[side] = mp.run(wolff, SAMPLES, temperature, len(temperature), own, observe=("m2", "m4"))
    return phases.binder_table(runs).assign(seed=seed)


if __name__ == "__main__":
    pd.concat([table(seed) for seed in SEEDS]).to_csv(PATH, index=False, float_format="%.8g")
