"""Sequential Monte Carlo and annealed importance sampling on densities whose integrals are known."""

import pytest
import torch

import mlphys as mp
from mlphys.diffusion import GaussianMixture, VariancePreserving, annealed, populations


def wells(x):
    """Log density of double wells in pairs of numbers: the many-well benchmark."""
    return -mp.ManyWell(x.shape[1]).action(x)


def off(found):
    model = mp.ManyWell(found.x.shape[1])
    exact, measured = mp.exact.thermal(model, 1.0), found.mean(lambda x: model.modes(x).mean(1))
    return max(abs(found.log_partition.deviation(exact.log_partition)), abs(measured.deviation(exact.modes[0])))


@pytest.mark.parametrize("resample", [True, False], ids=["sequential", "importance"])
def test_many_wells(resample, monkeypatch):
    options = {"n": 200, "populations": 8, "seed": 3, "width": 2.0, "leapfrog": 5, "resample": resample}
    found = annealed(wells, 4, **options)
    assert found.log_partition.error < 0.1
    assert off(found) < 4
    assert torch.equal(found.x, annealed(wells, 4, **options).x)
    # Moves that already follow the last density are not those that the weights assume.
    honest = populations._move
    monkeypatch.setattr(populations, "_move", lambda density, *rest: honest(wells, *rest))
    assert off(annealed(wells, 4, **options)) > 5


def test_the_partition_function_in_32_dimensions():
    found = annealed(wells, 32, n=200, populations=6, seed=4, width=2.0, leapfrog=5)
    assert found.log_partition.error < 0.5
    assert off(found) < 4


def test_a_mixture_and_a_field():
    mixture = GaussianMixture(VariancePreserving(), [0.1, 0.4, 0.5], [[-8.0, 0.0], [8.0, 4.0], [0.0, -6.0]], [1.0, 0.5, 2.0])
    found = annealed(mixture.log_prob, 2, n=300, populations=10, seed=5, width=8.0, overlap=0.8, leapfrog=5)
    assert abs(found.log_partition.deviation(0.0)) < 4
    shares = [found.mean(lambda x, k=k: mixture.membership(x, 0.0)[:, k]) for k in range(3)]
    assert max(abs(share.deviation(weight)) for share, weight in zip(shares, [0.1, 0.4, 0.5], strict=True)) < 4
    field = mp.Phi4(mp.chain(4), mass2=-1.0, coupling=0.6)
    wanted = mp.exact.thermal(field, 1.0)
    found = annealed(lambda x: -field.action(x), 4, n=300, populations=10, seed=6, overlap=0.8, leapfrog=5)
    assert abs(found.log_partition.deviation(wanted.log_partition)) < 4
    assert abs(found.mean(lambda x: (x**2).mean(1)).deviation(wanted.phi2)) < 4


def test_refusals():
    for named, wrong in [("n", 1), ("populations", 1), ("width", 0.0), ("overlap", 1.0), ("leapfrog", 0)]:
        with pytest.raises(ValueError, match=named):
            annealed(wells, 2, **{named: wrong})
