"""A step of variational Monte Carlo with a restricted Boltzmann machine, beside NetKet: 1008 samples, 16 chains, one core.

    MLPHYS_NETKET=/path/to/python python tests/benchmarks/bench_wavefunctions.py [--quick] [--steps 300] [--case NAME]

MLPHYS_NETKET is the interpreter of an environment with `pip install netket`; without it NetKet is left out. Both start from
weights of width 0.01, real, with visible fields, make as many proposals between samples as there are sites, and follow plain
stochastic reconfiguration, with the same change of parameters for the same samples. The first step is timed from the start
of a process, import and compilation included (our kernels are compiled at installation); of others the median is shown, in
turns of ten. Energies are means over the last sixth of the steps, their errors from ten parts;
runs from other seeds scatter by more, 5e-5 a site on the chain and 4e-4 on 6 × 6 sites.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from bench_ising import ROOT, one_core
from wavefunction_steps import CASES

TURN = 10
SINGLE = {
    **dict.fromkeys(("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
}


class Contender:
    """A process of `wavefunction_steps.py` that has taken its first step; `first` is the wall and CPU seconds that took."""

    def __init__(self, name, python, case, seed):
        script = Path(__file__).with_name("wavefunction_steps.py")
        began = time.perf_counter()
        self.process = subprocess.Popen(
            [python, str(script), name, case, str(seed)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **SINGLE},
        )
        self.name, self.cpu, self.wall, self.energies = name, [], [], []
        born = self._answer()
        self.first = (time.perf_counter() - began, born["born"])

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended with status {self.process.wait()}")
        answer = json.loads(line)
        self.energies += answer["energies"]
        self.memory = answer["memory"]
        return answer

    def advance(self, count):
        """Take `count` steps."""
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        answer = self._answer()
        self.cpu += answer["cpu"]
        self.wall += answer["wall"]

    def energy(self):
        """Mean and error of the energy over the last sixth of the steps."""
        last = np.array([energy for energy, _ in self.energies[-max(10, len(self.energies) // 6) :]])
        parts = np.array([part.mean() for part in np.array_split(last, 10)])
        return float(last.mean()), float(parts.std(ddof=1) / 10**0.5)

    def close(self):
        """End the process."""
        self.process.stdin.close()
        self.process.wait()


def interpreters():
    """Who takes part, by the interpreter that runs it."""
    contenders = {"mlphys": sys.executable}
    peer = os.environ.get("MLPHYS_NETKET")
    if peer:
        contenders["netket"] = peer
    else:
        print("NetKet is left out: set MLPHYS_NETKET to the python of an environment that has it", file=sys.stderr)
    return contenders


def compare(case, steps, starts, seed=1):
    """A row of results by contender; they take turns of ten steps, and `starts` processes of each show a first step."""
    contenders = interpreters()
    firsts: dict[str, list] = {name: [] for name in contenders}
    for _ in range(starts - 1):
        for name, python in contenders.items():
            contender = Contender(name, python, case, seed)
            firsts[name].append(contender.first)
            contender.close()
    field = [Contender(name, python, case, seed) for name, python in contenders.items()]
    for taken in range(1, steps, TURN):
        for contender in field:
            contender.advance(min(TURN, steps - taken))
    rows = []
    for contender in field:
        firsts[contender.name].append(contender.first)
        mean, error = contender.energy()
        rows.append(
            {
                "case": case,
                "contender": contender.name,
                "cpu": contender.cpu,
                "wall": contender.wall,
                "first": firsts[contender.name],
                "energies": contender.energies,
                "energy": mean,
                "error": error,
                "memory": contender.memory,
            }
        )
        contender.close()
    return rows


def line(row, reference):
    """The row in Markdown, with the factors by which the reference is faster."""
    n = int(np.prod(CASES[row["case"]][0]))
    step, wall = (1e3 * np.median(row[clock]) for clock in ("cpu", "wall"))
    low, high = 1e3 * np.quantile(row["cpu"], [0.25, 0.75])
    first, first_cpu = np.median(row["first"], axis=0)
    ratio = step / 1e3 / np.median(reference["cpu"])
    sooner = first_cpu / np.median(reference["first"], axis=0)[1]
    sigma = (row["energy"] - reference["energy"]) / max(np.hypot(row["error"], reference["error"]), 1e-300)
    return (
        f"| {row['case']} | {row['contender']} | {step:.1f} ({low:.1f}–{high:.1f}) | {wall:.1f} | {ratio:.1f}× "
        f"| {first_cpu:.1f}; {first:.1f} | {sooner:.1f}× | {row['energy'] / n:.6f} ± {row['error'] / n:.6f} | {sigma:+.1f} "
        f"| {row['memory']:.0f} |"
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a short run, one first step: a look, no evidence")
    parser.add_argument("--steps", type=int, help="of each contender (default 300, quick 21)")
    parser.add_argument(
        "--case", action="append", choices=list(CASES), help="one of the cases; may be repeated (default all)"
    )
    parser.add_argument(
        "--output", type=Path, default=ROOT / "artifacts" / "bench_wavefunctions.json", help="JSON of every step"
    )
    options = parser.parse_args(arguments)
    one_core()
    from table import lines_of, machine

    facts, rows = machine(), []
    print(lines_of(facts), "\n")
    print(
        "| case | contender | ms a step, CPU (middle half) | wall | mlphys is faster by | first step, s: CPU; wall "
        "| mlphys is sooner by, CPU | energy per site | above mlphys, σ | MB |\n|---|---|---|---|---|---|---|---|---|---|"
    )
    for case in options.case or list(CASES)[:3]:
        found = compare(case, options.steps or (21 if options.quick else 300), 1 if options.quick else 3)
        rows += found
        for row in found:
            print(line(row, found[0]), flush=True)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps({"rows": rows, "machine": facts}, indent=1, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
