"""The benchmark of diffusion models speaks with its contenders, measures what they make, and our speed is still there."""

import sys
import time

import numpy as np
import pytest
import torch
from bench_diffusion import FEW, SMALL, Process, line, rows_of
from diffusion_steps import COUPLING
from torch.nn.functional import pad

import mlphys as mp
from mlphys.nets.scores import PeriodicConvolution
from mlphys.random import torch_generator


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_a_contender_learns_and_makes_configurations(tmp_path):
    """Without hopping and coupling to speak of, data are normal: the network need not learn anything."""
    x = torch.randn(500, 64, generator=torch_generator(1)) / (2 * (1 - 2 * COUPLING)) ** 0.5
    torch.save({"kappa": 0.0, "x": x}, tmp_path / "data.pt")
    contender = Process(SMALL[0], sys.executable, tmp_path / "data.pt", steps=30)
    contender.train(20)
    for _ in range(4):
        contender.sample(FEW)
    contender.close()
    assert len(contender.losses) == len(contender.training) == 20
    truth = np.array([[(2 / np.pi * 0.523 / 64) ** 0.5, 0], [0.523, 0], [0.523, 0], [0.511, 0]])
    (row,) = rows_of([contender], truth)
    # Twenty steps leave φ² where the network began, near the width of the data.
    assert row["steps"] == 20 and 0 < row["errors"][2] < 0.01
    assert np.allclose(row["means"][2:], truth[2:, 0], rtol=0.1)
    assert 64 * row["means"][0] ** 2 < row["means"][1] < 64 * 4 * row["means"][0] ** 2
    slower = row | {"speeds": [speed / 2 for speed in row["speeds"]]}
    assert "| 2.00× |" in line(row, slower) and "†" in line(row | {"deviations": [6.0, 0.0, 0.0, 0.0]})


def plain(self, x):
    """A periodic convolution as one writes it."""
    before = (self.kernel - 1) // 2
    reach = (before, self.kernel - 1 - before) * (x.ndim - 2)
    return self.inner(pad(x, reach, mode="circular"))


def test_periodic_convolutions_are_the_plain_ones_but_faster(monkeypatch):
    network = mp.nets.UNet(mp.square(32), channels=16, levels=4)
    x, level = torch.randn(16, 1024, generator=torch_generator(1)), torch.zeros(16, 1)
    with torch.no_grad():
        for parameter in network.last.parameters():
            parameter += 0.1
    ways, seconds, outputs = {"ours": PeriodicConvolution.forward, "plain": plain}, {"ours": [], "plain": []}, {}
    for _ in range(6):
        for name, forward in ways.items():
            monkeypatch.setattr(PeriodicConvolution, "forward", forward)
            network.zero_grad()
            began = time.thread_time()
            value = network(x, level)
            value.square().mean().backward()
            seconds[name].append(time.thread_time() - began)
            outputs[name] = torch.cat([value.flatten(), network.first.inner.weight.grad.flatten()]).detach()
    torch.testing.assert_close(outputs["ours"], outputs["plain"], rtol=1e-3, atol=1e-4)
    assert min(seconds["plain"]) > 1.1 * min(seconds["ours"])
