"""Flows of real fields against exact numbers: volumes, free fields, partition functions, the chains they propose."""

import numpy as np
import pytest
import torch

import mlphys as mp
from mlphys.flows import Coupling, FieldFlow, Flow, FreeField, Waves, fit, importance
from mlphys.flows.fields import MAPS, nearest_free

RING = mp.Phi4(mp.chain(8), mass2=-2.0, coupling=1.5)
LATTICES = [mp.chain(6), mp.square(4, 6), mp.triangular(3)]


def randomised(flow, size=0.5):
    """The flow with random parameters: none of its layers is the identity."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(size * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))
    return flow


def random_flow(lattice, kind, dtype=torch.float64):
    field = mp.Phi4(lattice, mass2=-2.0, coupling=3.0)
    return randomised(FieldFlow(field, layers=3, kind=kind, dtype=dtype, seed=2))


def volume_error(layer, x):
    """How far the layer's log-determinant is from that of its Jacobian by automatic differentiation."""
    jacobian = torch.func.vmap(torch.func.jacrev(lambda row: layer(row[None])[0][0]))(x)
    return (torch.linalg.slogdet(jacobian)[1] - layer(x)[1]).abs().max().item()


@pytest.mark.parametrize("kind", MAPS)
@pytest.mark.parametrize("lattice", LATTICES, ids=str)
def test_log_determinants_are_those_of_the_jacobian(lattice, kind):
    flow = random_flow(lattice, kind)
    x = flow.prior.sample(5, torch.Generator().manual_seed(3))
    for layer in flow.layers:
        y, log_det = layer(x)
        back, change = layer.inverse(y)
        assert volume_error(layer, x) < 1e-8
        torch.testing.assert_close(back, x, rtol=0, atol=1e-8)
        torch.testing.assert_close(change, -log_det, rtol=0, atol=1e-7)
        assert log_det.abs().min() > 1e-3
        x = y


class Halved(Coupling):
    """A coupling that counts half of its change of volume."""

    def _moved(self, x, inverse):
        y, log_det = super()._moved(x, inverse)
        return y, log_det / 2


def broken(flow):
    for layer in flow.layers:
        if isinstance(layer, Coupling):
            layer.__class__ = Halved
    return flow


def test_a_wrong_log_determinant_is_seen():
    flow = broken(random_flow(mp.chain(6), "affine"))
    x = flow.prior.sample(5, torch.Generator().manual_seed(3))
    assert volume_error(flow.layers[1], x) > 1e-3


@pytest.mark.parametrize("kind", MAPS)
def test_a_flow_is_invertible_in_single_precision(kind):
    flow = random_flow(mp.square(8), kind, torch.float32)
    z = flow.prior.sample(1000, torch.Generator().manual_seed(4))
    for layer in flow.layers:
        y, log_det = layer(z)
        back, change = layer.inverse(y)
        assert (back - z).abs().max() < 1e-6 * max(1.0, z.abs().max())
        assert (change + log_det).abs().max() < 1e-4
        z = y


def test_splines_end_in_the_identity_and_bins_must_be_even():
    spline, x = MAPS["spline"](bins=4), torch.tensor([-50.0, 50.0], dtype=torch.float64)
    odd, even = torch.randn(2, 2, spline.odd + spline.even, dtype=torch.float64).split([spline.odd, spline.even], -1)
    y, log_slope = spline(x, odd[0], even[0], inverse=False)
    torch.testing.assert_close(y, x * even[0, :, 0].exp() + odd[0, :, 0])
    torch.testing.assert_close(log_slope, even[0, :, 0])
    with pytest.raises(ValueError, match="bins=3"):
        MAPS["spline"](bins=3)


def test_the_free_field_is_drawn_exactly():
    free = mp.Phi4(mp.square(4, 6), mass2=0.3, coupling=0.0)
    exact = mp.exact.free_field(free)
    weighed = importance(Flow(FreeField(free, torch.float64), []), free, 20_000, seed=1)
    assert weighed.kish > 1 - 1e-12
    torch.testing.assert_close(weighed.log_weights, torch.full_like(weighed.log_weights, exact.log_partition))
    for name in ("m2", "phi2", "energy"):
        assert abs(weighed.mean(free.observables[name]).deviation(getattr(exact, name))) < 4


def learnt_by_hand(lattice, dtype=torch.float64):
    """One free field from another, with the factors of the waves that do so."""
    start, target = (mp.Phi4(lattice, mass2, 0.0) for mass2 in (1.0, 0.7))
    waves = Waves(lattice, dtype)
    with torch.no_grad():
        waves.log_factor[waves.orbit] = torch.from_numpy(np.log(start.spectrum / target.spectrum) / 2).to(dtype)
    return Flow(FreeField(start, dtype), [waves]), start, target


def test_weights_of_one_free_field_from_another():
    flow, start, target = learnt_by_hand(mp.square(4))
    r = target.spectrum / start.spectrum
    exact = mp.exact.free_field(target)
    plain = importance(Flow(flow.prior, []), target, 100_000, seed=2)
    # ⟨w⟩²/⟨w²⟩ of Gaussians, wave by wave.
    kish = np.prod(np.sqrt(2 * r - 1) / r)
    assert 0.5 < kish < 0.95
    assert plain.kish == pytest.approx(kish, rel=0.05)
    assert abs(plain.log_partition.deviation(exact.log_partition)) < 4
    assert plain.log_partition.error == pytest.approx(np.sqrt((1 / kish - 1) / 1e5), rel=0.1)
    assert abs(plain.mean(target.observables["phi2"]).deviation(exact.phi2)) < 4
    assert importance(flow, target, 1000, seed=2).kish > 1 - 1e-12


def gradients(flow, field, path, batch, seed):
    next(fit(flow, field, 1, batch, rate=1e-12, seed=seed, path=path))
    return torch.cat([parameter.grad.ravel() for parameter in flow.parameters()])


def test_the_path_gradient_has_the_same_mean_and_no_noise_where_the_flow_is_exact():
    exact, _, target = learnt_by_hand(mp.square(4))
    assert gradients(exact, target, True, 64, seed=3).abs().max() < 1e-10
    assert gradients(exact, target, False, 64, seed=3).abs().max() > 1e-2
    flow = randomised(FieldFlow(RING, layers=2, width=4, dtype=torch.float64), 0.2)
    means = []
    for path in (True, False):
        draws = torch.stack([gradients(flow, RING, path, 512, seed) for seed in range(40)])
        means.append((draws.mean(0), draws.var(0) / len(draws)))
    (a, va), (b, vb) = means
    deviations = (a - b) / (va + vb).sqrt().clamp(min=1e-12)
    assert deviations.square().mean() < 2
    assert (a / va.sqrt().clamp(min=1e-12)).square().mean() > 20  # the mean that both agree on is far from zero


def test_the_nearest_free_field_obeys_its_gap_equation():
    for field in (RING, mp.Phi4(mp.square(8), mass2=-4.0, coupling=6.008), mp.Phi4.from_kappa(mp.cubic(4), 0.18, 0.9)):
        spectrum = nearest_free(field)
        shift = 6 * field.coupling * np.mean(1 / (2 * spectrum))
        np.testing.assert_allclose(spectrum, field.spectrum + shift, rtol=1e-9)


@pytest.fixture(scope="module")
def trained():
    flow = FieldFlow(RING, layers=4, seed=1)
    steps = list(fit(flow, RING, 150, batch=128, seed=1))
    assert steps[-1].kish > 0.8
    assert steps[-1].loss > -mp.exact.field_ring(RING).log_partition - 0.05
    return flow


def deviations(flow, samples=20_000):
    """Of log Z and two means, from the exact values of the ring."""
    exact, weighed = mp.exact.field_ring(RING), importance(flow, RING, samples, seed=5)
    means = [weighed.mean(RING.observables[name]).deviation(getattr(exact, name)) for name in ("m2", "phi2")]
    return np.abs([weighed.log_partition.deviation(exact.log_partition), *means])


def test_importance_weights_give_the_partition_function_of_a_ring(trained):
    assert deviations(trained).max() < 4


def chain_deviations(flow):
    exact, names = mp.exact.field_ring(RING), ("m2", "phi2")
    chain = mp.run(mp.IndependenceMH(flow, RING), samples=1000, chains=24, seed=1, observe=names)
    return np.abs([chain.estimate(name).deviation(getattr(exact, name)) for name in names]), chain


def test_independence_chain_of_a_flow_is_exact(trained):
    off, chain = chain_deviations(trained)
    assert off.max() < 4
    assert chain.acceptance.mean() > 0.7


def test_a_wrong_log_determinant_fails_both(trained):
    import copy

    flow = broken(copy.deepcopy(trained))
    assert deviations(flow)[0] > 10
    assert chain_deviations(flow)[0].max() > 6


def test_training_and_samples_repeat_by_their_seed():
    def trained_once():
        flow = FieldFlow(RING, layers=2, seed=3)
        return [step.loss for step in fit(flow, RING, 3, batch=16, seed=4)], flow

    (first, flow), (second, other) = trained_once(), trained_once()
    assert first == second
    more, fewer = flow.sample(Flow.BATCH + 3, seed=1)[0], other.sample(Flow.BATCH, seed=1)[0]
    assert torch.equal(more[: Flow.BATCH], fewer)


def test_refusals():
    with pytest.raises(ValueError, match="must be a Phi4"):
        FieldFlow(mp.Ising(mp.chain(4)))
    with pytest.raises(ValueError, match="kind='cubic'"):
        FieldFlow(RING, kind="cubic")
    with pytest.raises(ValueError, match="layers=0"):
        FieldFlow(RING, layers=0)
    flow = FieldFlow(RING, layers=1)
    with pytest.raises(ValueError, match="batch=1"):
        fit(flow, RING, 10, batch=1)
    with pytest.raises(ValueError, match="rate=0"):
        fit(flow, RING, 10, rate=0)
    with pytest.raises(ValueError, match="learns an action"):
        fit(flow, mp.XY(mp.chain(8)), 10)
