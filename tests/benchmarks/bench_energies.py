"""Sampling an energy without data: paths led by a network beside sequential Monte Carlo, at equal cost.

    python tests/benchmarks/bench_energies.py [--quick] [--seeds 3] [--output artifacts/bench_energies.json]

The cost is the number of configurations whose action or force is asked for, training included and stated apart. The rivals
get as many as the paths took; sequential Monte Carlo also, in a second run, as many CPU seconds. Every seed stands for a
training and a run of its own. Means over seeds; of ln Z also the deviation of each seed in its own standard errors. Where
the Kish ESS is a handful of samples, these errors are too small.
"""

import argparse
import json
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
from bench_ising import ROOT, one_core


class Counted:
    """An action and its force, with the number of configurations they were asked for."""

    def __init__(self, model):
        self.model, self.lattice, self.temperature, self.evaluations = model, model.lattice, model.temperature, 0

    def action(self, x):
        self.evaluations += len(x)
        return self.model.action(x)

    def force(self, x):
        self.evaluations += len(x)
        return self.model.force(x)


def cases():
    """Name, model, width of the noise, and options of the paths: network, training, samples."""
    import mlphys as mp

    network = {"hidden": (32, 32), "sitewise": True}
    yield "many-well-32", mp.ManyWell(32), 1.7, 30, network, {"steps": 240, "batch": 64, "rate": 1e-2}, 8192
    network = {"hidden": (64, 64)}
    yield "40 modes", mp.ManyModes(), 25.0, 30, network, {"steps": 240, "batch": 256, "rate": 5e-3}, 8192


def paths(model, width, steps, network, training, samples, seed, loss):
    """Weighed samples of trained paths, the evaluations of their training, and those of all."""
    from mlphys import diffusion, flows

    process, counted = diffusion.VariancePreserving(), Counted(model)
    guided = diffusion.Guided(process, counted, width, seed=seed, **network)
    sampler = diffusion.PathSampler(process, guided, model.lattice.n_sites, width, steps)
    for _ in diffusion.fit_paths(sampler, counted, loss=loss, seed=seed, **training):
        pass
    trained = counted.evaluations
    return flows.importance(sampler, counted, samples, seed), trained, counted.evaluations


def populations(model, width, evaluations, seed, resample, number=10):
    """What sequential Monte Carlo, or annealed importance sampling, does with as many evaluations."""
    from mlphys.diffusion import annealed

    counted = Counted(model)
    options = {"populations": number, "seed": seed, "width": width, "resample": resample}
    pilot = annealed(lambda x: -counted.action(x), model.lattice.n_sites, n=50, **{**options, "populations": 2})
    n = max(2, round((evaluations - counted.evaluations) / (number * pilot.evaluations)))
    found = annealed(lambda x: -counted.action(x), model.lattice.n_sites, n=n, **options)
    return found, 0, counted.evaluations


def judged(found, model):
    """What the weighed samples say of log Z and of the modes.

    `variation` is the total variation distance of the weights of the modes from the exact ones: of all, where one excludes
    the others, else the mean of those of single wells.
    """
    import mlphys as mp

    exact, modes = mp.exact.thermal(model, 1.0), model.modes(found.x).double()
    # What was never seen has a weight that underflows, and an error that nobody can tell.
    seen = found.log_weights.double().softmax(0) @ modes > 1e-30
    shares = [found.mean(lambda _, k=k: modes[:, k]) if seen[k] else mp.Estimate(0.0, 0.0) for k in range(len(seen))]
    means, errors = (np.array([getattr(share, name) for share in shares]) for name in ("mean", "error"))
    off, log_z = np.abs(means - exact.modes), found.log_partition
    return {
        "log_z": [log_z.mean, log_z.error, log_z.deviation(exact.log_partition)],
        "shares": means.tolist(),
        "errors": errors.tolist(),
        "found": int((means > exact.modes / 10).sum()),
        "variation": float(off.sum() / 2 if np.isclose(exact.modes.sum(), 1) else off.mean()),
        "kish": found.kish,
        "samples": len(found.x),
    }


def compare(name, model, width, steps, network, training, samples, seeds):
    """A row of results for every seed and method."""
    for seed in range(1, seeds + 1):
        led = partial(paths, model, width, steps, network, training, samples, seed)
        rivals = {
            "paths, log variance": lambda _, led=led: led("log_variance"),
            "paths, reverse KL": lambda _, led=led: led("kl"),
            "annealed importance": lambda cost, seed=seed: populations(model, width, cost, seed, False),
            "sequential Monte Carlo": lambda cost, seed=seed: populations(model, width, cost, seed, True),
            "the same, equal CPU time": lambda cost, seed=seed: populations(model, width, cost, seed, True),
        }
        cost, budget = None, 0.0
        for method, run in rivals.items():
            began = time.process_time()
            found, trained, total = run(cost)
            seconds = time.process_time() - began
            # All get the evaluations of the first, but the last its CPU time, at the pace of the one before.
            cost, budget = cost or total, budget or seconds
            if method == "sequential Monte Carlo":
                cost *= budget / seconds
            row = {"case": name, "method": method, "seed": seed, "trained": trained, "evaluations": total}
            yield row | {"seconds": seconds} | judged(found, model)


HEADER = (
    "| target | method | evaluations (training) | CPU s | ln Z − exact | in σ, by seed | modes found | weight of a mode "
    "| total variation | Kish ESS/n |\n|---|---|---|---|---|---|---|---|---|---|"
)


def line(rows, exact):
    """Rows of one method, all seeds, as one of Markdown."""

    def mean(key):
        return np.mean([row[key] for row in rows])

    log_z = np.array([row["log_z"] for row in rows])
    off = ", ".join(f"{value:+.1f}" for value in log_z[:, 2])
    variations = [row["variation"] for row in rows]
    scatter = np.std(variations, ddof=1) / len(rows) ** 0.5 if len(rows) > 1 else np.nan
    shares, errors = (np.array([row[key] for row in rows]) for key in ("shares", "errors"))
    return (
        f"| {rows[0]['case']} | {rows[0]['method']} | {mean('evaluations'):.2g} ({mean('trained'):.2g}) "
        f"| {mean('seconds'):.0f} | {log_z[:, 0].mean() - exact:+.3f} ± {(log_z[:, 1] ** 2).sum() ** 0.5 / len(rows):.3f} "
        f"| {off} | {mean('found'):.1f} of {shares.shape[1]} "
        f"| {shares.mean():.4f} ± {(errors**2).sum() ** 0.5 / errors.size:.4f} | {np.mean(variations):.3f} ± {scatter:.3f} "
        f"| {mean('kish'):.2g} |"
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="short trainings: a look, no evidence")
    parser.add_argument("--case", help="a part of the name of one target (default both)")
    parser.add_argument("--seeds", type=int, default=3, help="default 3")
    parser.add_argument("--output", type=Path, default=ROOT / "artifacts" / "bench_energies.json", help="JSON of all seeds")
    options = parser.parse_args(arguments)
    one_core()
    import torch
    from table import lines_of, machine

    import mlphys as mp

    torch.set_num_threads(1)
    facts, rows = machine(), []
    print(lines_of(facts), "\n")
    print(HEADER)
    for name, model, width, steps, network, training, samples in cases():
        if (options.case or "") not in name:
            continue
        if options.quick:
            training, samples = {**training, "steps": 5}, 500
        mine = []
        for row in compare(name, model, width, steps, network, training, samples, options.seeds):
            print(row, file=sys.stderr, flush=True)
            mine.append(row)
        exact = mp.exact.thermal(model, 1.0).log_partition
        for method in dict.fromkeys(row["method"] for row in mine):
            print(line([row for row in mine if row["method"] == method], exact), flush=True)
        rows += mine
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps({"rows": rows, "machine": facts}, indent=1, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
