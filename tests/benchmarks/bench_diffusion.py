"""Diffusion models of φ⁴ on 32 × 32 sites: few evaluations beside 1000 noisy steps, and our networks beside diffusers.

    MLPHYS_DIFFUSERS=/path/to/python python tests/benchmarks/bench_diffusion.py [--quick] [--kappa 0.21]

MLPHYS_DIFFUSERS is the interpreter of an environment with `pip install diffusers`; without it diffusers is left out. All
networks learn from the same batches of one hybrid Monte Carlo run, with the known energy, in turns; then they make 64
configurations at a time, in turns, with as many evaluations each, in CPU seconds of one thread. Every mean has its error and
its distance from the same run of hybrid Monte Carlo. The first loss has to agree everywhere, or the comparison is refused;
whoever is more than 5σ off in some observable is marked: such speeds say what a network costs, not what an answer does.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from bench_ising import ROOT, one_core
from diffusion_steps import CONTENDERS, COUPLING

SIDE, SMALL, PEER = 32, ("mlphys ScoreConvolution", "mlphys ScorePotential"), "diffusers UNet2D"
OBSERVABLES = {"⟨|M|⟩": "abs_magnetisation", "χ": "m2", "⟨φ²⟩": "phi2", "S/V": "energy"}
FEW, NOISY = ("multistep", 20), ("euler_maruyama", 1000)


class Process:
    """A contender of `diffusion_steps.py` in its own process: what it was asked for, and answered, so far."""

    def __init__(self, name, python, data, steps):
        script = Path(__file__).with_name("diffusion_steps.py")
        self.process = subprocess.Popen(
            [python, str(script), name, str(data), str(steps)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.name, self.losses, self.training, self.made = name, [], [], {}
        self.parameters = self._answer()["parameters"]

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended with status {self.process.wait()}")
        return json.loads(line)

    def _ask(self, *words):
        print(*words, file=self.process.stdin, flush=True)
        return self._answer()

    def train(self, count):
        """Take `count` steps."""
        answer = self._ask("train", count)
        self.losses += answer["losses"]
        self.training += answer["cpu"]

    def sample(self, way):
        """Make 64 configurations more in this `way`, a method and its number of steps."""
        cpu, values = self.made.setdefault(way, ([], []))
        answer = self._ask("sample", *way, len(cpu) + 1)
        cpu += answer["cpu"]
        values += answer["values"]

    def close(self):
        """End the process."""
        self.process.stdin.close()
        self.process.wait()


def reference(kappa, samples):
    """Configurations `(64 · samples, sites)` of hybrid Monte Carlo, and its means with their errors, `(observables, 2)`."""
    import mlphys as mp

    field = mp.Phi4.from_kappa(mp.square(SIDE), kappa, COUPLING)
    sampler, names = mp.HMC(field, steps=10, integrator="minimum_norm"), list(OBSERVABLES.values())
    chain = mp.run(sampler, samples, temperature=1.0, chains=64, seed=1, thin=8, burn_in=300, observe=names, keep=True)
    means = [chain.estimate(name) for name in names]
    scale = np.array([SIDE**2 if name == "m2" else 1 for name in names])[:, None]
    return chain.x.reshape(-1, SIDE**2), scale * [[mean.mean, mean.error] for mean in means]


def interpreters(names):
    """The interpreter that runs each of these contenders; those without one are left out."""
    peer = os.environ.get("MLPHYS_DIFFUSERS")
    if PEER in names and not peer:
        print("diffusers is left out: set MLPHYS_DIFFUSERS to the python of an environment that has it", file=sys.stderr)
    return {name: peer if name == PEER else sys.executable for name in names if name != PEER or peer}


def compare(kappa, names, steps, turns, noisy, samples):
    """Trained contenders with all they made, and the reference; `steps` and `turns` are pairs, for small and large."""
    import torch

    x, truth = reference(kappa, samples)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data.pt"
        torch.save({"kappa": kappa, "x": torch.as_tensor(x).float()}, data)
        field = [Process(name, python, data, steps[name not in SMALL]) for name, python in interpreters(names).items()]
    tenth = [max(1, steps[contender.name not in SMALL] // 10) for contender in field]
    for _ in range(10):
        for contender, count in zip(field, tenth, strict=True):
            contender.train(count)
    first = [contender.losses[0] for contender in field]
    if max(first) - min(first) > 1e-4 * max(first):
        raise ValueError(f"the losses of the first batch are {first}: these are not the same training")
    for turn in range(max(turns)):
        for contender in field:
            if turn < turns[contender.name not in SMALL]:
                contender.sample(FEW)
    for contender in (contender for contender in field if contender.name in SMALL):
        for _ in range(noisy):
            contender.sample(NOISY)
    for contender in field:
        contender.close()
    return field, truth


def rows_of(field, truth):
    """A row of results for everything that was made."""
    rows = []
    for contender in field:
        for (method, steps), (cpu, values) in contender.made.items():
            values = np.array(values)
            means, errors = values.mean(0), values.std(0, ddof=1) / len(values) ** 0.5
            rows.append(
                {
                    "contender": contender.name,
                    "parameters": contender.parameters,
                    "method": method,
                    "steps": steps,
                    "speeds": (64 / np.array(cpu)).tolist(),
                    "training": contender.training,
                    "losses": contender.losses,
                    "means": means.tolist(),
                    "errors": errors.tolist(),
                    "deviations": ((means - truth[:, 0]) / np.hypot(errors, truth[:, 1])).tolist(),
                }
            )
    return rows


HEADER = (
    "| network | parameters | training, CPU s; steps/s | method, evaluations | configurations/s | faster than diffusers | "
    + " | ".join(OBSERVABLES) + " |\n|---|---|---|---|---|---|---|---|---|---|"
)  # fmt: skip


def line(row, peer=None):
    """The row in Markdown; with the row of a `peer`, by which factor it is faster."""
    from mlphys.stats import Estimate

    low, middle, high = np.quantile(row["speeds"], [0.25, 0.5, 0.75])
    ratio = f"{middle / np.median(peer['speeds']):.2f}×" if peer else "–"
    off = " †" if max(map(abs, row["deviations"])) > 5 else ""
    means = (
        f"{Estimate(mean, error)} {deviation:+.1f}σ"
        for mean, error, deviation in zip(row["means"], row["errors"], row["deviations"], strict=True)
    )
    return (
        f"| {row['contender']} | {row['parameters']} | {sum(row['training']):.0f}; {1 / np.median(row['training']):.2f} "
        f"| {row['method']}, {row['steps']} | {middle:.3g} ({low:.3g}–{high:.3g}){off} | {ratio} | {' | '.join(means)} |"
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="short runs: a look, no evidence")
    both = "of the small networks, and of the U-Nets"
    parser.add_argument("--steps", type=int, nargs=2, help=f"of training, {both} (default 800 200)")
    parser.add_argument("--turns", type=int, nargs=2, help=f"64 configurations each, {both} (default 48 12)")
    parser.add_argument("--noisy", type=int, help="turns of Euler and Maruyama, of the small networks (default 16)")
    parser.add_argument("--kappa", type=float, action="append", help="may be repeated (default 0.21)")
    parser.add_argument("--contender", action="append", choices=list(CONTENDERS), help="may be repeated (default all)")
    parser.add_argument(
        "--output", type=Path, default=ROOT / "artifacts" / "bench_diffusion.json", help="JSON of every repeat"
    )
    options = parser.parse_args(arguments)
    one_core()
    from table import lines_of, machine

    from mlphys.stats import Estimate

    facts, found = machine(), {}
    print(lines_of(facts), "\n")
    steps, turns, noisy, samples = ((20, 10), (2, 2), 0, 60) if options.quick else ((800, 200), (48, 12), 16, 160)
    sizes = options.steps or steps, options.turns or turns, noisy if options.noisy is None else options.noisy, samples
    for kappa in options.kappa or [0.21]:
        field, truth = compare(kappa, options.contender or list(CONTENDERS), *sizes)
        found[kappa] = rows_of(field, truth)
        exact = ", ".join(f"{name} = {Estimate(*values)}" for name, values in zip(OBSERVABLES, truth, strict=True))
        print(f"κ = {kappa}, λ = {COUPLING}, {SIDE} × {SIDE} sites, 64 at a time; hybrid Monte Carlo: {exact}\n\n{HEADER}")
        peers = [row for row in found[kappa] if row["contender"] == PEER]
        for row in found[kappa]:
            print(line(row, *peers), flush=True)
        print("\n† more than 5σ off\n")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps({"rows": found, "machine": facts}, indent=1, ensure_ascii=False) + "\n")
    return 0 if all(math.isfinite(value) for rows in found.values() for row in rows for value in row["means"]) else 1


if __name__ == "__main__":
    sys.exit(main())
