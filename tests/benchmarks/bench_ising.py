"""`make bench`: this library beside a plain numba loop and the peers mcising and peapods, in one run on one core.

    python tests/benchmarks/bench_ising.py [--quick] [--sizes 64 256 1024] [--output artifacts/bench.json]

Contenders take turns (A B C A B C …), so that whatever else the machine does hits all alike; medians and extremes are
over these repeats, in CPU seconds of one thread. All run at Tc. A contender whose energy is more than 5σ from Kaufman's
exact value is refused: it appears without a speed, and nothing is compared with it.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
PEERS = ("mcising", "peapods")


def one_core() -> set[int]:
    """Keep this process to one core and one thread; returns the cores it had. To be called before the contenders load."""
    os.environ |= {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")}
    # Numba may use two later: it fixes its largest number when it loads.
    os.environ["NUMBA_NUM_THREADS"] = str(os.cpu_count())
    if not hasattr(os, "sched_setaffinity"):
        return set(range(os.cpu_count() or 1))
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    return cores


def installed(kinds) -> tuple:
    """Those of these contenders that can be imported; a missing peer is named on stderr."""
    from importlib.util import find_spec

    missing = {name for name in PEERS if find_spec(name) is None}
    for name in sorted(missing):
        print(f"{name} is not installed and is left out: pip install -e '.[bench]'", file=sys.stderr)
    return tuple(kind for kind in kinds if kind.name not in missing)


def races(sizes: list[int], quick: bool) -> list:
    """Every algorithm at every size: entries, with their energies checked."""
    from contenders import FIELD, WOLFF
    from measure import compare

    entries = []
    for algorithm, kinds in FIELD.items():
        for side in sizes:
            began = time.perf_counter()
            large = side >= 1024
            # A sweep of a million sites takes the slowest contender 0.08 s, and Wolff's clusters there are huge or tiny.
            seconds = 0.15 if not large else 0.6 if algorithm == WOLFF else 0.3
            repeats, seconds, check = (3, seconds / 3, 0.5) if quick else (7, seconds, 5.0 if large else 1.5)
            entries += compare(installed(kinds), algorithm, side, repeats, seconds, check)
            print(f"{algorithm}, L = {side}: {time.perf_counter() - began:.0f} s", file=sys.stderr)
    return entries


def two_threads(repeats: int = 9) -> dict[str, dict]:
    """How many times faster two threads are than one, over chains of packed Metropolis: wall time, in turns.

    `cores` tells how many cores the two threads were given: less than two on a busy machine, which then shows nothing.
    """
    import numba

    import mlphys as mp

    cases = {}
    for side, chains in ((64, 128), (256, 8), (1024, 2)):
        sampler = mp.Metropolis(mp.Ising(mp.square(side)))
        state = sampler.init(chains, 2.27, seed=1, start="ordered")
        sweeps = max(1, int(1e9 / (chains * side**2)))
        wall, cpu = np.empty((2, repeats, 2))
        for repeat in range(-1, repeats):
            for threads in (1, 2):
                numba.set_num_threads(threads)
                began = time.perf_counter(), time.process_time()
                sampler.step(state, sweeps)
                wall[repeat, threads - 1] = time.perf_counter() - began[0]
                cpu[repeat, threads - 1] = time.process_time() - began[1]
        faster, cores = wall[:, 0] / wall[:, 1], cpu[:, 1] / wall[:, 1]
        cases[f"L = {side}, {chains} chains"] = {"faster": faster.tolist(), "cores": float(np.median(cores))}
    return cases


def yardstick(side: int, quick: bool):
    """Effective samples per CPU second at Tc of every sampler, one thread: a DataFrame, ranked by the slowest observable."""
    import pandas as pd

    import mlphys as mp
    from mlphys.exact.ising import SQUARE_CRITICAL_TEMPERATURE as critical

    ising = mp.Ising(mp.square(side))
    plans = {
        "Metropolis": (mp.Metropolis(ising), 64, 50),
        "HeatBath": (mp.HeatBath(ising), 64, 50),
        "Wolff": (mp.Wolff(ising), 16, 1),
        "SwendsenWang": (mp.SwendsenWang(ising), 16, 1),
    }
    rows = {}
    for name, (sampler, chains, thin) in plans.items():
        samples = 500 if quick else 6000
        began = time.perf_counter(), time.process_time()
        chain = mp.run(sampler, samples, critical, chains, seed=1, thin=thin, observe=["energy", "abs_magnetisation"])
        # The report counts wall time, of which other programs had a part.
        share = (time.process_time() - began[1]) / (time.perf_counter() - began[0])
        report = chain.report()
        rows[name] = {
            "chains": chains,
            "energy: ESS/s": report.ess_per_second["energy"] / share,
            "energy: tau": report.tau["energy"] * thin,
            "|m|: ESS/s": report.ess_per_second["abs_magnetisation"] / share,
            "|m|: tau": report.tau["abs_magnetisation"] * thin,
        }
    table = pd.DataFrame.from_dict(rows, orient="index")
    slowest = table[["energy: ESS/s", "|m|: ESS/s"]].min(axis=1)
    return table.loc[slowest.sort_values(ascending=False).index]


def import_seconds(repeats: int = 7) -> list[float]:
    """Wall times of `import mlphys` in fresh interpreters."""
    program = "from time import perf_counter as t; a = t(); import mlphys; print(t() - a)"
    runs = [
        subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT, capture_output=True, text=True).stdout
        for _ in range(repeats)
    ]
    return [float(seconds) for seconds in runs]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="mlphys bench", description="this library beside its peers, on one core")
    parser.add_argument("--quick", action="store_true", help="short runs: a look, no evidence")
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 256, 1024], help="sides of the lattices")
    parser.add_argument("--output", type=Path, default=ROOT / "artifacts" / "bench.json", help="JSON with all repeats")
    options = parser.parse_args(arguments)

    cores = one_core()
    sys.path.insert(0, str(Path(__file__).parent))
    import numba
    from table import legend, lines_of, machine, markdown, save

    numba.set_num_threads(1)
    facts = machine()
    began = time.perf_counter()
    entries = races(options.sizes, options.quick)
    effective = yardstick(64, options.quick)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
    speed_up = two_threads() if len(cores) > 1 else {}
    imported = import_seconds()
    facts["seconds"] = time.perf_counter() - began

    print(lines_of(facts), "", markdown(entries), "", legend(entries), "", sep="\n")
    print("Effective samples per CPU second at Tc, L = 64, one thread, ranked by the slower observable; tau in sweeps:\n")
    print(effective.to_string(float_format="{:.3g}".format), "\n")
    for case, result in speed_up.items():
        low, middle, high = np.quantile(result["faster"], [0, 0.5, 1])
        print(
            f"Two threads beside one, Metropolis, {case}: {middle:.2f}× faster ({low:.2f}–{high:.2f})"
            f" on {result['cores']:.2f} cores"
        )
    low, middle, high = np.quantile(imported, [0, 0.5, 1]) * 1e3
    print(f"import mlphys: {middle:.1f} ms ({low:.1f}–{high:.1f})")
    more = {"yardstick": effective.to_dict("index"), "two_threads": speed_up, "import_seconds": imported}
    save(options.output, entries, machine=facts, **more)
    print(f"\nAll repeats: {options.output}", file=sys.stderr)
    return 1 if any(entry.refused and entry.name == "mlphys" for entry in entries) else 0


if __name__ == "__main__":
    sys.exit(main())
