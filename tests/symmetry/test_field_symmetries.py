"""Symmetries of flows of real fields, in float64: φ → −φ, and the translations that keep the colours of the sites."""

import numpy as np
import pytest
import torch

import mlphys as mp
from mlphys.flows import FieldFlow, Waves
from mlphys.flows.fields import MAPS


def random_flow(lattice, kind="sinh"):
    flow = FieldFlow(mp.Phi4(lattice, mass2=-2.0, coupling=3.0), layers=4, kind=kind, dtype=torch.float64)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(0.5 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))
    return flow, flow.prior.sample(5, generator)


def broken_by(flow, z, act):
    """The largest violations of f(g z) = g f(z) and of log |det| being the same for both, relative to the field."""
    (x, log_det), (moved, change) = flow(z), flow(act(z))
    return max(((moved - act(x)).abs().max() / x.abs().max()).item(), (change - log_det).abs().max().item())


def permuted(sites):
    return lambda x: x[:, torch.from_numpy(sites.astype(np.int64))]


@pytest.mark.parametrize("kind", MAPS)
def test_signs(kind):
    flow, z = random_flow(mp.square(4, 6), kind)
    assert broken_by(flow, z, torch.neg) < 1e-10
    torch.testing.assert_close(flow.log_prob(-z), flow.log_prob(z), rtol=0, atol=1e-9)
    # Even numbers that take part of the odd ones break the symmetry.
    moved = flow.layers[1].map
    flow.layers[1].map = lambda x, odd, even, inverse: moved(x, odd, even + odd[..., :1], inverse)
    assert broken_by(flow, z, torch.neg) > 1e-3


@pytest.mark.parametrize("lattice", [mp.chain(6), mp.square(4, 6), mp.triangular(6), mp.cubic(4)], ids=str)
@pytest.mark.parametrize("kind", MAPS)
def test_translations(lattice, kind):
    flow, z = random_flow(lattice, kind)
    kept = [sites for sites in lattice.translations if (lattice.colours[sites] == lattice.colours).all()]
    assert len(kept) >= lattice.n_sites // (lattice.colours.max() + 1)
    assert max(broken_by(flow, z, permuted(sites)) for sites in kept[1:]) < 1e-10
    other = next(sites for sites in lattice.translations if (lattice.colours[sites] != lattice.colours).any())
    assert broken_by(flow, z, permuted(other)) > 1e-3


@pytest.mark.parametrize("lattice", [mp.square(4), mp.square(4, 6), mp.triangular(6)], ids=str)
def test_waves_keep_every_symmetry_of_the_lattice(lattice):
    flow, z = random_flow(lattice)
    waves = flow.layers[0]
    assert isinstance(waves, Waves)
    for sites in (*lattice.translations, *lattice.point_group):
        assert broken_by(waves, z, permuted(sites)) < 1e-10
        torch.testing.assert_close(flow.prior.log_prob(permuted(sites)(z)), flow.prior.log_prob(z), rtol=0, atol=1e-9)
    with torch.no_grad():
        waves.orbit = waves.orbit[torch.randperm(lattice.n_sites, generator=torch.Generator().manual_seed(2))]
    assert max(broken_by(waves, z, permuted(sites)) for sites in lattice.point_group) > 1e-3
