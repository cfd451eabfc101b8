"""Speed on a GPU, beside NVIDIA's ising-gpu where that was built.

    ISING_GPU=path/to/cuIsing python tests/benchmarks/bench_gpu.py [--quick]

cuIsing is `optimized/cuIsingModel` of https://github.com/NVIDIA/ising-gpu, built by its own Makefile; without it the
comparison is left out. The two take turns at Tc. Before that, our lattice has to have Onsager's energy at T = 2.
"""

import argparse
import os
import re
import subprocess
import sys
import time

import numpy as np

CRITICAL = 2 / np.log1p(np.sqrt(2))
TARGET = 500  # updates/ns at L = 32768 on an H200


def updates_per_ns(sampler, state, seconds: float) -> float:
    """Updates of single sites in a nanosecond, over about `seconds`."""
    from mlphys import devices

    sweeps, spent = 1, 0.0
    updates = state.chains * sampler.hamiltonian.n_updates * (1 + sum(getattr(sampler, "options", ())))
    sampler.step(state)
    while spent < seconds:
        sweeps = sweeps if spent == 0 else int(min(10, 1.2 * seconds / spent) * sweeps) + 1
        devices.synchronise("cuda")
        began = time.perf_counter()
        sampler.step(state, sweeps)
        devices.synchronise("cuda")
        spent = time.perf_counter() - began
    return sweeps * updates / spent * 1e-9


def peer(program: str, side: int, sweeps: int) -> float:
    """Updates in a nanosecond that cuIsing reports."""
    command = [program, "-x", str(side), "-y", str(side), "-n", str(sweeps), "-t", f"{CRITICAL:.9f}"]
    output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout
    found = re.search(r"([\d.]+) flips/ns", output)
    if found is None:
        raise RuntimeError(f"{program} printed no flips/ns:\n{output[-500:]}")
    return float(found[1])


def spread(speeds: list[float]) -> str:
    return f"{np.median(speeds):.4g} updates/ns ({min(speeds):.4g} to {max(speeds):.4g})"


def energy_deviation(sampler_of, side: int, samples: int) -> float:
    """By how many of its errors our energy at T = 2 differs from that of the infinite lattice."""
    import mlphys as mp

    sampler = sampler_of(mp.Ising(mp.square(side)))
    chain = mp.run(sampler, samples, 2.0, thin=20, burn_in=200, device="cuda", observe="energy")
    blocks = chain["energy"][:, 0].reshape(10, -1).mean(1)
    exact = mp.exact.kaufman(1024, 1024, 2.0).energy  # beyond, the size shows in no digit
    return (blocks.mean() - exact) / (blocks.std(ddof=1) / np.sqrt(10))


def main() -> int:
    parser = argparse.ArgumentParser(description="speed on a GPU")
    parser.add_argument("--quick", action="store_true", help="short runs: a look, no evidence")
    options = parser.parse_args()
    seconds, repeats = (0.2, 2) if options.quick else (2.0, 7)

    import mlphys as mp
    from mlphys import devices

    try:
        if devices.simulated():
            raise ValueError("numba simulates CUDA, whose speed means nothing")
        devices.check("cuda")
    except ValueError as missing:
        print(f"Nothing was measured: {missing}")
        return 0
    import torch

    print(torch.cuda.get_device_name(), f"torch {torch.__version__}", sep=", ")
    wrong = False
    for kind in (mp.Metropolis, mp.HeatBath):
        deviation = energy_deviation(kind, 4096, 100)
        wrong |= abs(deviation) > 5
        print(f"{kind.__name__}, L = 4096, T = 2: energy off by {deviation:+.1f} sigma")
    program = os.environ.get("ISING_GPU")
    for side in (2048, 8192, 32768):
        for kind in (mp.Metropolis, mp.HeatBath):
            sampler = kind(mp.Ising(mp.square(side)))
            state = sampler.init(1, CRITICAL, seed=1, device="cuda")
            ours, theirs = [], []
            for _ in range(repeats):
                ours.append(updates_per_ns(sampler, state, seconds))
                if program and kind is mp.Metropolis:
                    theirs.append(peer(program, side, int(seconds * 5e11 / side**2) + 1))
            line = f"Ising {kind.__name__}, L = {side}: {spread(ours)}"
            if side == 32768 and kind is mp.Metropolis:
                line += f", target {TARGET}"
            if theirs:
                line += f"; ising-gpu {np.median(theirs):.0f}, ratio {np.median(np.divide(ours, theirs)):.2f}"
            print(line, flush=True)
    if not program:
        print("ising-gpu was left out: build it and name its program in ISING_GPU")
    side, chains = 1024, 16
    for model in (mp.XY(mp.square(side)), mp.Phi4(mp.square(side), mass2=-4.0, coupling=5.0), mp.Ising(mp.cubic(128))):
        kinds = (mp.Metropolis, mp.HeatBath, mp.Overrelaxation) if len(model.rules) == 3 else (mp.Metropolis, mp.HeatBath)
        for kind in kinds:
            sampler = kind(model)
            state = sampler.init(chains, model.temperature or 1.0, seed=1, device="cuda")
            speeds = [updates_per_ns(sampler, state, seconds) for _ in range(repeats)]
            print(f"{sampler!r}, {chains} chains: {spread(speeds)}")
    sampler = mp.HMC(mp.Phi4(mp.square(64), mass2=-4.0, coupling=5.0), steps=10, step_size=0.1)
    state = sampler.init(1024, seed=1, device="cuda")
    speeds = [updates_per_ns(sampler, state, seconds) * sampler.steps for _ in range(repeats)]
    print(f"HMC, phi4, 1024 chains of 64 x 64, leapfrog steps of a site: {spread(speeds)}")
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
