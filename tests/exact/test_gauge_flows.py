"""Flows of U(1) links: inverses, Jacobians, exact values through accept/reject; HMC that follows a guide."""

import numpy as np
import pytest
import torch

import mlphys as mp
from mlphys.flows import FluxCoupling, GaugeFlow
from mlphys.flows.circular import odd_map
from mlphys.hamiltonians.vectors import wrapped
from mlphys.nets import GaugeCovariant
from mlphys.random import torch_generator


def randomised(model, scale, seed=1):
    generator = torch_generator(seed, "parameters")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += scale * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
    return model


@pytest.mark.parametrize("strength", [0.0, 1.0, 14.0])
def test_the_circle_map_makes_the_density_it_is_given(strength):
    n = 20000
    log_density = (strength * torch.linspace(0, np.pi, 33, dtype=torch.float64).cos()).expand(n, 33)
    x = (2 * (torch.arange(n, dtype=torch.float64) + 0.5) / n - 1) * np.pi
    y, log_slope = odd_map(x, log_density)
    nodes = torch.linspace(0, np.pi, 2001, dtype=torch.float64)
    weights = (strength * (nodes.cos() - 1)).exp()
    for wave in (1, 2, 3):
        exact = (weights * (wave * nodes).cos()).sum() / weights.sum()
        assert abs((wave * y).cos().mean() - exact) < 3e-3
    assert (y.diff() > 0).all() and (y + y.flip(0)).abs().max() < 1e-12
    assert (log_slope[1:-1] - ((y[2:] - y[:-2]) / (x[2:] - x[:-2])).log())[500:-500].abs().max() < 1e-3
    back, change = odd_map(y, log_density, inverse=True)
    assert (back - x).abs().max() < 1e-9 and (change + log_slope).abs().max() < 1e-9


@pytest.mark.parametrize("layers, beta", [(None, 2.0), (None, 5.0), (8, 2.0)])
@torch.no_grad()
def test_invertible(layers, beta):
    flow = randomised(GaugeFlow(mp.U1Gauge(mp.square(8), beta), layers=layers), 0.05)
    z = flow.prior.sample(300, torch_generator(1))
    x, log_det = flow(z)
    assert wrapped(x - z).abs().max() > 0.3
    back, change = flow.inverse(x)
    assert wrapped(back - z).abs().max() < 1e-10 and (log_det + change).abs().max() < 1e-10
    # Links kept in float32 are rounded by 1e-7, and the inverse is steep where flux gathers.
    back, change = flow.inverse(x.float().double())
    assert wrapped(back - z).square().mean().sqrt() < 1e-6
    assert wrapped(back - z).abs().max() < 1e-5 and (log_det + change).abs().max() < 1e-4


def jacobian(layer, x):
    """log |det ∂y/∂x| of one configuration, by differentiating every link."""
    size = x.numel()
    matrix = torch.autograd.functional.jacobian(lambda x: layer(x[None])[0][0], x).reshape(size, size)
    return matrix.slogdet()[1]


@pytest.mark.parametrize("layers", [None, 4])
def test_log_determinants_are_those_of_the_jacobian(layers):
    flow = randomised(GaugeFlow(mp.U1Gauge(mp.square(4), 2.0), layers=layers, seed=1), 0.5)
    for z in flow.prior.sample(3, torch_generator(1)):
        x, log_det = flow(z[None])
        assert abs(log_det) > 0.1
        assert abs(jacobian(flow, z) - log_det) < 1e-8
        assert abs(jacobian(flow.inverse, x[0].detach()) + log_det) < 1e-8


class SeesItself(FluxCoupling):
    """Broken: the network looks at flux that the layer moves."""

    def _moved(self, x, inverse):
        self.active = mp.U1Gauge(self.lattice, 1.0).plaquettes(x).reshape(-1, *self.lattice.shape)[:, :, ::2]
        return super()._moved(x, inverse)

    def log_density(self, flux):
        return super().log_density(flux + self.active)


def test_a_layer_that_sees_what_it_moves_is_caught():
    layer = randomised(SeesItself(mp.square(4), (1, 2), 1, generator=torch_generator(1)), 0.5)
    x = mp.U1Gauge(layer.lattice, 1.0).random(4, seed=1)
    y, log_det = layer(x)
    assert max(abs(jacobian(layer, z) - change).item() for z, change in zip(x, log_det, strict=True)) > 1e-2
    assert wrapped(layer.inverse(y)[0] - x).abs().max() > 1e-2


def trained(model, steps, **options):
    flow = GaugeFlow(model, seed=1, **options)
    *_, last = mp.flows.fit(flow, model, steps, batch=64, rate=0.02, seed=1)
    return flow, last


@pytest.mark.parametrize("beta", [2.0, 5.0])
def test_exact_values_through_a_small_flow(beta):
    model = mp.U1Gauge(mp.square(4), beta)
    exact = mp.exact.u1_torus(16, beta)
    flow, last = trained(model, 40)
    assert last.kish > 0.9
    chain = mp.run(mp.IndependenceMH(flow, model), 400, chains=64, seed=2, observe=["plaquette", "charge2", "charge"])
    assert chain.acceptance.mean() > 0.8
    for name, value in (("plaquette", exact.plaquette), ("charge2", exact.charge2), ("charge", 0.0)):
        estimate = chain.estimate(name)
        assert abs(estimate.mean - value) < 4 * estimate.error, (name, estimate)
    assert chain.estimate("charge").tau < 1
    # The loss is bounded by the free energy, which the weights know.
    weighed = mp.flows.importance(flow, model, 4096, seed=3)
    log_partition = exact_log_partition(16, beta)
    assert abs(weighed.log_partition.mean - log_partition) < 4 * weighed.log_partition.error
    assert weighed.log_weights.mean() < log_partition


def exact_log_partition(n, beta):
    """ln of ∫ dθ exp(−S): of the 2n links, n + 1 are gauges and closed lines, or make the plaquettes' sum right."""
    nodes = np.arange(400) * np.pi / 200
    characters = np.cos(np.arange(60)[:, None] * nodes) @ np.exp(beta * np.cos(nodes)) / 400
    return 2 * n * np.log(2 * np.pi) + np.log((np.where(np.arange(60), 2, 1) * characters**n).sum())


def test_a_wrong_density_is_caught():
    """Without the change of volume, the chain leaves the exact distribution."""
    model = mp.U1Gauge(mp.square(4), 2.0)
    flow = GaugeFlow(model, seed=1)

    class Careless:
        def sample(self, n, seed=0):
            x, _ = flow.sample(n, seed)
            return x, self.log_prob(x)

        def log_prob(self, x):
            return flow.prior.log_prob(x)

    chain = mp.run(mp.IndependenceMH(Careless(), model), 2000, chains=64, seed=2, observe=["plaquette"])
    estimate = chain.estimate("plaquette")
    assert abs(estimate.mean - mp.exact.u1_torus(16, 2.0).plaquette) > 6 * estimate.error


def test_a_flow_moves_to_a_larger_lattice():
    small, large = (mp.U1Gauge(mp.square(side), 2.0) for side in (4, 8))
    flow, _ = trained(small, 40)
    grown = GaugeFlow(large, seed=2)
    before = mp.flows.importance(grown, large, 2048, seed=3).kish
    grown.adopt(flow)
    assert mp.flows.importance(grown, large, 2048, seed=3).kish > before + 0.05


MODEL = mp.U1Gauge(mp.square(4), 1.0)


def guided(guide, seed=4):
    """A chain of HMC that follows the force of `guide`, at a fixed step."""
    sampler = mp.HMC(MODEL, step_size=0.25, steps=5, guide=guide)
    return mp.run(sampler, 1000, chains=64, seed=seed, observe=["plaquette", "charge2"])


def test_a_guide_leaves_the_chain_exact():
    exact = mp.exact.u1_torus(16, 1.0)
    acceptance = []
    for guide in (MODEL, mp.U1Gauge(MODEL.lattice, 0.8), mp.U1Gauge(MODEL.lattice, 0.4)):
        chain = guided(guide)
        acceptance.append(chain.acceptance.mean())
        for name in ("plaquette", "charge2"):
            estimate = chain.estimate(name)
            assert abs(estimate.mean - getattr(exact, name)) < 4 * estimate.error, (guide, name, estimate)
    assert acceptance[0] > acceptance[1] + 0.01 and acceptance[1] > acceptance[2] + 0.05


def test_a_guide_that_decides_as_well_is_caught():
    """Accepting by the guide's own energy samples the guide's distribution."""
    chain = mp.run(mp.HMC(mp.U1Gauge(MODEL.lattice, 0.8), step_size=0.25, steps=5), 1000, chains=64, seed=4)
    estimate = chain.estimate("plaquette")
    assert abs(estimate.mean - mp.exact.u1_torus(16, 1.0).plaquette) > 6 * estimate.error


def test_a_learnt_action_guides():
    """A network that saw energies alone supplies a force that is accepted about as often as the exact one."""
    x = torch.cat([MODEL.random(400, seed=1), mp.run(mp.HMC(MODEL), 10, chains=80, seed=5, keep=True).x.flatten(0, 1)])
    energy, net = MODEL.energy(x), GaugeCovariant(MODEL.lattice, channels=2, layers=1, seed=1)

    def loss(net, batch):
        return (net.energy(batch[0]) - batch[1]).square().mean()

    for _ in mp.train.fit(net, loss, mp.train.minibatches(x, energy, size=64), steps=300, rate=0.02, seed=1):
        pass
    sampler = mp.HMC(MODEL, step_size=0.25, steps=5, guide=net)
    learnt, exact = (mp.run(s, 60, chains=64, seed=4, burn_in=20) for s in (sampler, mp.HMC(MODEL, 0.25, 5, guide=MODEL)))
    assert learnt.acceptance.mean() > exact.acceptance.mean() - 0.03
