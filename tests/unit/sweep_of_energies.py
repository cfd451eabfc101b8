"""A sweep to be killed: `python sweep_of_energies.py FOLDER`.

Ising energies, every call of which is logged; the second half of them wait while there is a file `hold`.
"""

import os
import sys
import time
from pathlib import Path

import mlphys as mp

GRID = {"size": [8, 16], "temperature": [2.0, 2.5, 3.0, 3.5, 4.0, 4.5]}


def energy_logged_in(folder: Path):
    def energy(size, temperature, seed):
        with (folder / "calls").open("a") as log:
            log.write(f"{size} {temperature} {os.getpid()}\n")
        while size == 16 and (folder / "hold").exists():
            time.sleep(0.02)
        ising = mp.Ising(mp.square(size))
        chain = mp.run(mp.Wolff(ising), samples=1000, temperature=temperature, chains=4, seed=seed)
        return {"energy": chain.estimate("energy"), "seed": seed}

    return energy


def calls(folder: Path) -> list[tuple[float, float, int]]:
    """Size, temperature and process of each call so far."""
    if not (folder / "calls").exists():
        return []
    lines = (line.split() for line in (folder / "calls").read_text().splitlines())
    return [(float(size), float(temperature), int(process)) for size, temperature, process in lines]


if __name__ == "__main__":
    here = Path(sys.argv[1])
    mp.sweep(energy_logged_in(here), GRID, store=here / "store", progress=False, workers=2).to_pickle(here / "table")
