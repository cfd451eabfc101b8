"""Networks that look at links in lecture 08: who sees a Wilson loop, and who can steer HMC."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

import mlphys as mp
from mlphys.hamiltonians.vectors import seen_along
from mlphys.random import generator
from mlphys.threads import one_torch_thread

# nets import torch, which takes two seconds: an app that opens does not wait for it.
if TYPE_CHECKING:
    import torch
    from pandas import DataFrame

    from mlphys.nets import GaugeCovariant


def wilson(lattice: mp.Lattice, x: "torch.Tensor") -> "torch.Tensor":
    """The 2 × 2 Wilson loop at every site `(batch, n_sites)`: the cosine of the flux through four plaquettes."""
    angles = mp.U1Gauge(lattice, 1.0).plaquettes(x)
    return sum(seen_along(lattice, angles, step) for step in ((0, 0), (0, 1), (1, 0), (1, 1))).cos()


def turned(lattice: mp.Lattice, x: "torch.Tensor", seed: int = 1) -> "torch.Tensor":
    """Links `(batch, n_sites, 2)` after random gauge transformations, another one for each configuration."""
    import torch

    alpha = torch.from_numpy(generator(seed, "gauge").uniform(-np.pi, np.pi, x.shape[:2]))
    ends = torch.stack([seen_along(lattice, alpha, step) for step in lattice.directions], -1)
    return x + alpha[..., None] - ends


def plain(lattice: mp.Lattice, seed: int = 1) -> "torch.nn.Module":
    """An ordinary convolutional network on cos θ and sin θ of all links, a number for every site; it sees 5 × 5 sites."""
    import torch
    from torch import nn

    class Plain(nn.Sequential):
        def forward(self, x):
            waves = torch.cat([x.cos(), x.sin()], -1).mT.unflatten(-1, lattice.shape)
            return super().forward(waves).flatten(1)[..., None]

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        first = nn.Conv2d(4, 32, 5, padding=2, padding_mode="circular")
        layers = (first, nn.GELU(), nn.Conv2d(32, 32, 1), nn.GELU(), nn.Conv2d(32, 1, 1))
        return Plain(*layers).double()


def who_sees_loops(beta: float, side: int, samples: int, steps: int, seed: int = 1) -> "DataFrame":
    """Three networks learn the 2 × 2 Wilson loop at every site, from links of HMC; judged on other chains.

    Columns: parameters; unexplained, the mean square error over the variance, on held-out links; turned, the same after
    random gauge transformations of these; change, how far those move the outputs, over their spread.
    """
    import pandas as pd
    import torch

    from mlphys import nets, train

    lattice = mp.square(side)
    chains = _links(mp.U1Gauge(lattice, beta), samples, seed)
    x, held_out = (chains[:, part].flatten(0, 1) for part in (slice(0, 12), slice(12, 16)))
    contenders = {
        "convolutions on angles": plain(lattice, seed),
        "gauge covariant, 1 layer": nets.GaugeCovariant(lattice, layers=1, seed=seed),
        "gauge covariant, 2 layers": nets.GaugeCovariant(lattice, layers=2, seed=seed),
    }
    rows, target = {}, wilson(lattice, held_out)
    for name, net in contenders.items():

        def loss(net, batch):
            return (net(batch[0])[..., 0] - batch[1]).square().mean()

        with one_torch_thread():
            for _ in train.fit(net, loss, train.minibatches(x, wilson(lattice, x), size=64), steps, seed, rate=0.01):
                pass
            with torch.no_grad():
                seen, moved = (net(links)[..., 0] for links in (held_out, turned(lattice, held_out)))
        errors = [((value - target).square().mean() / target.var()).item() for value in (seen, moved)]
        change = ((moved - seen).square().mean().sqrt() / seen.std()).item()
        parameters = sum(p.numel() for p in net.parameters())
        rows[name] = {"parameters": parameters, "unexplained": errors[0], "turned": errors[1], "change": change}
    return pd.DataFrame(rows).T.astype({"parameters": int})


def _links(model: mp.U1Gauge, samples: int, seed: int) -> "torch.Tensor":
    """Links of sixteen chains of HMC `(samples, 16, n_sites, 2)`."""
    return mp.run(mp.HMC(model), samples, chains=16, thin=5, seed=seed, observe=["plaquette"], keep=True).x


def learn_action(model: mp.U1Gauge, checkpoints: Iterable[int], seed: int = 1) -> "dict[int, GaugeCovariant]":
    """A gauge-covariant network learns the action of links drawn by HMC; copies of it after so many steps."""
    import copy

    from mlphys import nets, train

    lattice, checkpoints = model.lattice, sorted(checkpoints)
    x = _links(model, 64, seed).flatten(0, 1)
    net = nets.GaugeCovariant(lattice, channels=2, layers=1, seed=seed)

    def loss(net, batch):
        return (net.energy(batch[0]) - batch[1]).var() / lattice.n_sites  # a constant moves nobody

    found = {0: copy.deepcopy(net)}
    with one_torch_thread():
        draw = train.minibatches(x, model.energy(x), size=64)
        for step in train.fit(net, loss, draw, max(checkpoints), seed, rate=0.03):
            if step.step in checkpoints:
                found[step.step] = copy.deepcopy(net)
    return {count: found[count] for count in checkpoints}


def guided(model: mp.U1Gauge, guides: "dict[int, GaugeCovariant]", samples: int, seed: int = 1) -> "dict[int, mp.Chain]":
    """HMC along the force of each guide, at one step size; the action itself accepts or rejects."""
    options: dict = {"chains": 32, "seed": seed, "observe": ["plaquette"]}
    return {
        count: mp.run(mp.HMC(model, step_size=0.25, steps=5, guide=net), samples, **options) for count, net in guides.items()
    }
