"""Score networks on lattices: odd and equivariant to rounding, and with them the densities of the model."""

import pytest
import torch

import mlphys as mp
from mlphys.diffusion import DiffusionModel, Preconditioned, VariancePreserving, divergence
from mlphys.diffusion.solvers import jacobian
from mlphys.nets import ScoreConvolution, ScorePotential, UNet
from mlphys.random import torch_generator


def strong(network):
    """Weights far from where they start, none of them zero."""
    generator = torch_generator(7)
    with torch.no_grad():
        for parameter in network.double().parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    return network


def inputs(lattice, batch=5):
    generator = torch_generator(1)
    x = torch.randn(batch, lattice.n_sites, generator=generator, dtype=torch.float64)
    return x, torch.rand(batch, 1, generator=generator, dtype=torch.float64)


def largest(difference):
    return difference.abs().max().item()


LATTICES = [mp.chain(8), mp.square(4), mp.square(4, 6), mp.cubic(4)]


@pytest.mark.parametrize("kernel", [3, 4])
@pytest.mark.parametrize("lattice", LATTICES, ids=repr)
def test_convolutions_are_odd_and_equivariant_under_all_translations(lattice, kernel):
    network, (x, level) = strong(ScoreConvolution(lattice, channels=4, kernel=kernel)), inputs(lattice)
    with torch.no_grad():
        here = network(x, level)
        assert here.std() > 0.01 and largest(here - network(x, level + 1)) > 1e-3
        assert largest(network(-x, level) + here) < 1e-10
        for move in lattice.translations:
            assert largest(network(x[:, move], level) - here[:, move]) < 1e-10
        swap = torch.arange(lattice.n_sites)
        swap[[0, 1]] = swap[[1, 0]]
        assert largest(network(x[:, swap], level) - here[:, swap]) > 1e-6


@pytest.mark.parametrize("lattice", [*LATTICES, mp.square(3, 5), mp.triangular(4)], ids=repr)
def test_potentials_have_all_symmetries_and_know_their_derivatives(lattice):
    network, (x, noise) = strong(ScorePotential(lattice, channels=3, conditions=1)), inputs(lattice)
    level = torch.cat([noise, -noise], 1)
    with torch.no_grad():
        here = network(x, level)
        assert here.std() > 0.01 and largest(here - network(x, level + torch.tensor([0.0, 1.0]))) > 1e-3
        assert largest(network(-x, level) + here) < 1e-10
        for move in [*lattice.translations, *lattice.point_group]:
            assert largest(network(x[:, move], level) - here[:, move]) < 1e-10
        swap = torch.arange(lattice.n_sites)
        swap[[0, 1]] = swap[[1, 0]]
        assert largest(network(x[:, swap], level) - here[:, swap]) > 1e-6
    # One level for all goes through matrices, many through Fourier transforms.
    for told in (level, level[:1].expand(len(x), 2)):
        value, by_x = jacobian(lambda x, told=told: network(x, told), x)
        trace = by_x.diagonal(dim1=1, dim2=2).sum(1)
        for found, wanted in ((network.jacobian(x, told), by_x), (network.divergence(x, told), trace)):
            assert largest(found[0] - value) < 1e-10 and largest(found[1] - wanted) < 1e-10
        assert largest(by_x - by_x.mT) < 1e-10  # a gradient


@pytest.mark.parametrize("levels", [1, 2])
@pytest.mark.parametrize("lattice", LATTICES[:2] + LATTICES[3:], ids=repr)
def test_the_unet_is_odd_and_equivariant_under_moves_of_its_blocks(lattice, levels):
    network, (x, level) = strong(UNet(lattice, channels=4, levels=levels, odd=True)), inputs(lattice)
    with torch.no_grad():
        here = network(x, level)
        assert largest(network(-x, level) + here) < 1e-10
        whole = (lattice.coordinates % 2 ** (levels - 1) == 0).all(1)
        for move in lattice.translations[whole]:
            assert largest(network(x[:, move], level) - here[:, move]) < 1e-10
        if levels > 1:
            move = lattice.translations[1]
            assert largest(network(x[:, move], level) - here[:, move]) > 1e-6
        network.odd = False
        assert largest(network(-x, level) + network(x, level)) > 1e-6


def test_densities_inherit_the_symmetries():
    lattice, process = mp.square(4), VariancePreserving()
    network = ScoreConvolution(lattice, channels=4, layers=1).double()
    with torch.no_grad():
        network.last.inner.weight += 0.2 * torch.randn(network.last.inner.weight.shape, generator=torch_generator(3))
    model = DiffusionModel(process, Preconditioned(process, network), lattice.n_sites, steps=3)
    x, log_q = model.sample(4, seed=1)
    with torch.no_grad():
        score, move = model.score_at(x, 0.4), lattice.translations[6]
        assert largest(model.score_at(-x, 0.4) + score) < 1e-10
        assert largest(model.score_at(x[:, move], 0.4) - score[:, move]) < 1e-10
    assert largest(model.log_prob(x) - log_q) < 1e-8
    for image in (-x, x[:, lattice.translations[6]]):
        assert largest(model.log_prob(image) - log_q) < 1e-8
    flipped = torch.cat([-x[:, :1], x[:, 1:]], 1)
    assert largest(model.log_prob(flipped) - log_q) > 1e-3


def test_hutchinson_finds_the_divergence_of_a_network():
    lattice = mp.square(4)
    network, (x, level) = strong(ScoreConvolution(lattice, channels=4)), inputs(lattice, batch=1)
    exact = divergence(lambda x: network(x, level), x)[1].item()
    signs = torch.randint(0, 2, (1, 4000, 16), generator=torch_generator(4)).double() * 2 - 1
    for probes, right in ((signs, True), (0.95 * signs, False)):
        found = divergence(lambda x: network(x, level.expand(len(x), 1)), x.expand(4000, 16), probes)[1]
        sigmas = abs(found.mean().item() - exact) / (found.std().item() / 4000**0.5)
        assert sigmas < 4 if right else sigmas > 5


@pytest.mark.parametrize(("build", "named"), [
    (lambda: ScoreConvolution(mp.square(4), kernel=5), "kernel"),
    (lambda: UNet(mp.square(6), levels=3), "levels"),
    (lambda: Preconditioned(VariancePreserving(), torch.nn.Identity(), scale=0.0), "scale"),
])  # fmt: skip
def test_refusals(build, named):
    with pytest.raises(ValueError, match=named):
        build()
