"""Training speed of classifiers beside an equivalent plain PyTorch loop, in samples per second of one thread.

    python tests/benchmarks/bench_phases.py [--quick] [--output artifacts/bench_phases.json]

Both loops start from the same weights and draw batches of 128 from the same configurations. The loss of their first batch
has to agree to rounding, or the comparison is refused; then they take turns, update by update. Medians, and the middle half.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
from bench_ising import ROOT, one_core

BATCH = 128


def plain_perceptron(network):
    """What one writes without the library, even under x → −x, with the weights of `network`."""
    from torch import nn

    first, second = network.layers[0], network.layers[2]
    model = nn.Sequential(nn.Linear(first.in_features, first.out_features), nn.ReLU(), nn.Linear(second.in_features, 1))
    for mine, its in zip(model.parameters(), network.parameters(), strict=True):
        mine.data = its.detach().clone()
    return nn.ModuleList([model]), lambda x: (model(x) + model(-x)) / 2


def plain_convolutions(network):
    """The same of torch's own convolutions."""
    from torch import nn

    side, first = network.lattice.shape[0], network.layers[0]
    model = nn.Sequential(
        nn.Conv2d(network.inputs, first.out_features, 3, padding=1, padding_mode="circular"),
        nn.ReLU(),
        nn.Conv2d(first.out_features, network.layers[2].out_features, 1),
        nn.ReLU(),
    )
    last = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1))
    both = nn.ModuleList([model, last])
    for mine, its in zip(both.parameters(), network.parameters(), strict=True):
        mine.data = its.detach().clone().view(mine.shape)

    def log_odds(x):
        return last(model(x.view(len(x), -1, side, side)).flatten(2).mean(2))

    return both, (lambda x: (log_odds(x) + log_odds(-x)) / 2) if network.even else log_odds


def races(sides, samples=200):
    """Name, dataset, network and its plain twin, of every race."""
    import mlphys as mp
    from mlphys import nets, phases

    for side in sides:
        lattice = mp.square(side)
        spins = phases.sample(mp.Ising(lattice), [2.0, 2.6], samples, 4)
        angles = phases.sample(mp.XY(lattice), [0.6, 1.2], samples, 4)
        angles = angles.map(lambda x: phases.features.angles(x.float()))
        perceptron = nets.MultilayerPerceptron(lattice, even=True)
        yield f"Ising {side}², perceptron", spins, perceptron, plain_perceptron(perceptron)
        convolutions = nets.ConvolutionalNetwork(lattice, even=True)
        yield f"Ising {side}², convolutions", spins, convolutions, plain_convolutions(convolutions)
        convolutions = nets.ConvolutionalNetwork(lattice, inputs=2)
        yield f"XY angles {side}², convolutions", angles, convolutions, plain_convolutions(convolutions)


def loops(dataset, network, plain):
    """Generators that train for ever and yield the loss: the library's, and the plain one."""
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits

    from mlphys import phases
    from mlphys.random import torch_generator

    middle = dataset.temperature.mean()

    def ours():
        for step in phases.supervised(dataset, network, (middle, middle), 10**9, batch=BATCH, rate=1e-3):
            yield step.loss

    def theirs():
        model, forward = plain
        generator = torch_generator(0, "batches")  # the same batches
        labels = torch.from_numpy(dataset.temperature < middle).float()[:, None]
        optimiser = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
        while True:
            index = torch.randint(len(labels), (BATCH,), generator=generator)
            x, y = dataset.x[index].float(), labels[index]
            optimiser.zero_grad()
            loss = binary_cross_entropy_with_logits(forward(x), y)
            loss.backward()
            optimiser.step()
            yield loss.item()

    return ours(), theirs()


def race(dataset, network, plain, updates):
    """Seconds of single updates in turn `(updates, 2)`, of the library and the plain loop; ValueError if they differ."""
    contenders = loops(dataset, network, plain)
    first = [next(contender) for contender in contenders]
    if abs(first[0] - first[1]) > 1e-5:
        raise ValueError(f"the losses of the first batch are {first}: these are not the same training")
    seconds = np.empty((updates, 2))
    for row in seconds:
        for i, contender in enumerate(contenders):
            began = time.perf_counter()
            next(contender)
            row[i] = time.perf_counter() - began
    return seconds


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="short runs: a look, no evidence")
    parser.add_argument("--output", type=Path, default=ROOT / "artifacts" / "bench_phases.json", help="JSON of all repeats")
    options = parser.parse_args(arguments)
    one_core()
    import torch
    from table import lines_of, machine

    torch.set_num_threads(1)
    facts, rows = machine(), []
    print(lines_of(facts), "\n")
    print("| training | mlphys, samples/s | plain PyTorch, samples/s | ratio |\n|---|---|---|---|")
    for name, dataset, network, plain in races([16] if options.quick else [16, 32]):
        seconds = race(dataset, network, plain, 200 if options.quick else 2000)
        speeds = BATCH / np.quantile(seconds, [0.75, 0.5, 0.25], axis=0)
        ratio = float(speeds[1, 0] / speeds[1, 1])
        ours, theirs = (f"{middle:.0f} ({low:.0f}–{high:.0f})" for low, middle, high in speeds.T)
        print(f"| {name} | {ours} | {theirs} | {ratio:.2f} |", flush=True)
        rows.append({"training": name, "mlphys": speeds[:, 0].tolist(), "plain": speeds[:, 1].tolist(), "ratio": ratio})
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps({"rows": rows, "machine": facts}, indent=1, ensure_ascii=False) + "\n")
    return 1 if any(row["ratio"] < 0.95 for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
