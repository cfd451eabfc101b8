"""Gauge transformations, translations and conjugation of flows and networks of links, to rounding; broken variants."""

import numpy as np
import pytest
import torch

import mlphys as mp
from mlphys.flows import FluxCoupling, GaugeFlow
from mlphys.hamiltonians.vectors import seen_along, wrapped
from mlphys.nets import GaugeCovariant
from mlphys.random import torch_generator

LATTICE = mp.square(4, 8)


def randomised(model, scale=0.7, seed=1):
    """The model, far from where it starts, so that nothing is symmetric by accident."""
    generator = torch_generator(seed, "parameters")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += scale * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
    return model


def turned(x, lattice=LATTICE, seed=2):
    """Links after a random gauge transformation."""
    alpha = (6 * torch.rand(len(x), lattice.n_sites, generator=torch_generator(seed), dtype=x.dtype) - 3).expand(len(x), -1)
    ends = torch.stack([seen_along(lattice, alpha, step) for step in lattice.directions], -1)
    return wrapped(x + alpha[..., None] - ends)


def translated(x, step, lattice=LATTICE):
    return seen_along(lattice, x, step)


def differ(a, b):
    """The largest distance of two sets of angles, or numbers, on the circle."""
    return wrapped(a - b).abs().max().item()


def layers():
    """A layer of every kind: both axes, blocks of several sizes and places, with and without surroundings."""
    for shape, axis, reach, offset in [
        ((4, 8), 1, 0, (0, 0)), ((4, 4), 0, 0, (0, 0)), ((2, 4), 1, 1, (0, 0)),
        ((1, 2), 1, 1, (0, 1)), ((2, 1), 0, 1, (1, 0)), ((2, 2), 0, 2, (1, 1)),
    ]:  # fmt: skip
        generator = torch_generator(3, "weights")
        yield randomised(FluxCoupling(LATTICE, shape, axis, reach=reach, offset=offset, generator=generator))


def name(layer):
    return f"{layer.shape}, axis {layer.axis}, offset {layer.offset}"


@pytest.mark.parametrize("layer", list(layers()), ids=name)
def test_layers_commute_with_the_symmetries(layer):
    x = mp.U1Gauge(LATTICE, 1.0).random(8, seed=1)
    y, log_det = layer(x)
    assert differ(y, x) > 0.1 and log_det.std() > 0.1
    rows, columns = layer.shape
    for change in (turned, lambda x: -x, lambda x: translated(x, (rows, 0)), lambda x: translated(x, (0, columns))):
        again, same = layer(change(x))
        assert differ(again, change(y)) < 1e-10
        assert (same - log_det).abs().max() < 1e-10


def test_layers_know_where_their_blocks_are():
    """A translation by less than a block is no symmetry: the test above does not pass for want of an effect."""
    layer = next(iter(layers()))
    x = mp.U1Gauge(LATTICE, 1.0).random(8, seed=1)
    assert differ(layer(translated(x, (0, 1)))[0], translated(layer(x)[0], (0, 1))) > 1e-2


@pytest.mark.parametrize("layers", [None, 4])
def test_flows_have_densities_without_a_gauge(layers):
    flow = randomised(GaugeFlow(mp.U1Gauge(LATTICE, 2.0), layers=layers, seed=1), 0.3)
    x, log_q = flow.sample(8, seed=1)
    assert log_q.std() > 0.1
    for same in (turned(x), -x, x + 2 * np.pi):
        assert (flow.log_prob(same) - log_q).abs().max() < 1e-9


class SeesGauge(FluxCoupling):
    """Broken: it sees the angle of a link, which depends on the gauge."""

    def _moved(self, x, inverse):
        self.link = x[:, :1, :1]
        return super()._moved(x, inverse)

    def log_density(self, flux):
        return super().log_density(flux + self.link)


def test_a_layer_that_sees_the_gauge_is_caught():
    layer = randomised(SeesGauge(LATTICE, (2, 4), 1, generator=torch_generator(3, "weights")))
    x = mp.U1Gauge(LATTICE, 1.0).random(8, seed=1)
    assert differ(layer(turned(x))[0], turned(layer(x)[0])) > 1e-2


@pytest.mark.parametrize("odd", [False, True])
def test_networks_of_links(odd):
    net = randomised(GaugeCovariant(LATTICE, layers=2, reach=2, outputs=3, odd=odd, seed=1), 0.3)
    x = mp.U1Gauge(LATTICE, 1.0).random(8, seed=1)
    out = net(x)
    scale = out.std().item()
    assert scale > 0.1
    assert (net(turned(x)) - out).abs().max() < 1e-10 * max(scale, 1)
    assert (net(-x) - (-out if odd else out)).abs().max() < 1e-10 * max(scale, 1)
    for step in ((1, 0), (0, 1), (2, 3)):
        assert (net(translated(x, step)) - translated(out, step)).abs().max() < 1e-10 * max(scale, 1)


class Raw(GaugeCovariant):
    """Broken: features begin with a link instead of a loop."""

    def features(self, x):
        return super().features(torch.stack([x[..., 0], torch.zeros_like(x[..., 0])], -1))


def test_a_network_that_sees_the_gauge_is_caught():
    net = randomised(Raw(LATTICE, seed=1), 0.3)
    x = mp.U1Gauge(LATTICE, 1.0).random(8, seed=1)
    assert (net(turned(x)) - net(x)).abs().max() > 1e-2


def test_refusals():
    gauge = mp.U1Gauge(mp.square(6), 1.0)
    with pytest.raises(ValueError, match="powers of two"):
        GaugeFlow(gauge)
    with pytest.raises(ValueError, match="even"):
        GaugeFlow(mp.U1Gauge(mp.square(5), 1.0), layers=2)
    with pytest.raises(ValueError, match="U1Gauge"):
        GaugeFlow(mp.Ising(mp.square(4)))
    with pytest.raises(ValueError, match="square"):
        GaugeCovariant(mp.chain(4))
    with pytest.raises(ValueError, match="x has shape"):
        GaugeCovariant(mp.square(4))(torch.zeros(2, 16))
