"""What a network is shown: inputs of several channels, and exactly the symmetries that each input promises."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from mlphys import XY, Clock, Heisenberg, Potts, nets, phases, square, triangular
from mlphys.lattices import chain
from mlphys.phases import features
from mlphys.random import torch_generator

pytestmark = pytest.mark.usefixtures("one_thread")


def test_turns_are_blind_to_the_direction_of_all_spins():
    model = XY(square(6, 4))
    x = model.random(5, seed=1)
    turns = features.turns(x, model.lattice)
    assert torch.allclose(turns.sum((1, 2)), -model.energy(x), atol=1e-10, rtol=0)
    for image in (x + 1.234, -x, 0.7 - x):
        image = torch.remainder(image + torch.pi, 2 * torch.pi) - torch.pi
        assert (features.turns(image, model.lattice) - turns).abs().max() < 1e-10
    assert features.turns(XY(triangular(4)).random(2), triangular(4)).shape == (2, 3, 16)


def test_even_networks_on_vortices_are_blind_to_rotations_and_mirrors():
    model = XY(square(8))
    x = model.random(5, seed=1)
    vortices = features.vortices(x, model.lattice)
    assert vortices.shape == (5, 64) and bool((vortices.sum(1) == 0).all()) and vortices.abs().sum() > 50
    network = nets.ConvolutionalNetwork(model.lattice, even=True, seed=1).double()
    value = network(vortices)
    assert value.std() > 1e-4
    for image in (x + 1.234, -x, 0.7 - x):
        image = features.vortices(torch.remainder(image + torch.pi, 2 * torch.pi) - torch.pi, model.lattice)
        assert (network(image) - value).abs().max() < 1e-10
    odd = nets.ConvolutionalNetwork(model.lattice, seed=1).double()
    assert (odd(-vortices) - odd(vortices)).abs().max() > 1e-4


def test_states_of_a_clock_are_angles():
    clock, lattice = Clock(square(4), 6), square(4)
    x = clock.random(7, seed=2)
    theta = 2 * torch.pi / 6 * x.double()
    assert torch.allclose(features.angles(x, 6), features.angles(theta).float(), atol=1e-6)
    assert torch.allclose(features.turns(x, lattice, 6).double().sum((1, 2)), -clock.energy(x), atol=1e-4)
    assert (features.angles(x, 6).movedim(1, 2) - clock.vectors(x)).abs().max() < 1e-6
    vortices = features.vortices(x, lattice, 6)
    assert all(torch.equal(features.vortices((x + turn) % 6, lattice, 6), vortices) for turn in range(6))
    density = clock.observables["vortex_density"](x)
    assert torch.equal(vortices.abs().double().mean(1), density) and density.min() > 0


def test_one_hot_holds_every_state():
    x = Potts(square(4), 5).random(3, seed=1)
    hot = features.one_hot(x, 5)
    assert hot.shape == (3, 5, 16) and bool((hot.sum(1) == 1).all()) and torch.equal(hot.argmax(1), x.long())


def test_refused_inputs():
    with pytest.raises(ValueError, match=r"x has entries of type torch\.int8"):
        features.angles(torch.zeros(1, 4, dtype=torch.int8))
    with pytest.raises(ValueError, match="q=1"):
        features.one_hot(torch.zeros(1, 4), 1)
    with pytest.raises(ValueError, match="no square plaquettes"):
        features.vortices(torch.zeros(1, 16), triangular(4))
    with pytest.raises(ValueError, match=r"x has shape \(3, 16\): allowed is \(batch, 2, 16\)"):
        nets.MultilayerPerceptron(square(4), inputs=2)(torch.zeros(3, 16))
    with pytest.raises(ValueError, match="inputs=0"):
        nets.LogisticRegression(square(4), inputs=0)
    with pytest.raises(ValueError, match="x has shape"):
        phases.augment(torch.zeros(3, 15), square(4), torch_generator(1))


@pytest.mark.parametrize("kind", [nets.LogisticRegression, nets.MultilayerPerceptron, nets.ConvolutionalNetwork])
def test_networks_take_channels(kind):
    network = kind(square(6), inputs=2, outputs=3, seed=1).double()
    x = torch.randn(4, 2, 36, dtype=torch.float64, generator=torch_generator(1))
    value = network(x)
    assert value.shape == (4, 3) and (network(x.flip(1)) - value).abs().min() > 1e-6
    if kind is nets.ConvolutionalNetwork:
        moved = x[:, :, torch.from_numpy(square(6).translations[8]).long()]
        assert (network(moved) - value).abs().max() < 1e-10


@pytest.mark.parametrize(
    "lattice, inputs, kernel",
    [(square(6, 4), 1, 3), (square(5), 2, 3), (square(6), 1, 5), (chain(7), 1, 5), (triangular(5), 3, 3)],
    ids=str,
)
def test_convolutions_are_those_of_torch(lattice, inputs, kernel):
    """Whether spins are ±1, where patterns are counted, or any other numbers."""
    network = nets.ConvolutionalNetwork(lattice, (4, 3), kernel, (5,), inputs=inputs, seed=1).double()
    for parameter in network.parameters():
        parameter.data += 0.1  # biases too
    first, second = network.layers[0], network.layers[2]
    convolution = functional.conv2d if len(lattice.shape) == 2 else functional.conv1d

    def expected(x):
        grid = x.view(len(x), inputs, *lattice.shape)
        padded = functional.pad(grid, [kernel // 2] * 2 * len(lattice.shape), mode="circular")
        weight = first.weight.view(4, inputs, *[kernel] * len(lattice.shape))
        local = convolution(padded, weight, first.bias).relu().flatten(2)
        return network.last((second.weight @ local + second.bias[:, None]).relu().mean(2))

    shape = (4, lattice.n_sites) if inputs == 1 else (4, inputs, lattice.n_sites)
    x = torch.randn(shape, dtype=torch.float64, generator=torch_generator(1))
    for case in (x, x.sign(), x.sign().requires_grad_()):
        assert (network(case) - expected(case)).abs().max() < 1e-12
    (gradient,) = torch.autograd.grad(network(x.sign().requires_grad_()).sum(), network.layers[0].weight)
    assert (gradient - torch.autograd.grad(network(x.sign()).sum(), network.layers[0].weight)[0]).abs().max() < 1e-10


def test_map_keeps_the_samples():
    data = phases.sample(XY(square(4)), [0.5, 1.5], samples=4, chains=2, pilot=500)
    shown = data.map(features.angles)
    assert shown.x.shape == (16, 2, 16) and shown.lattice == data.lattice and (shown.chain == data.chain).all()
    assert shown.where(shown.temperature < 1).x.shape == (8, 2, 16)
    with pytest.raises(ValueError, match=r"x of shape \(16,\)"):
        data.map(lambda x: x.mean(1))
    with pytest.raises(ValueError, match=r"\[15, 16\] entries"):
        phases.Dataset(data.x, data.temperature, data.chain[1:], data.lattice)
    vectors = phases.sample(Heisenberg(square(4)), [2.0], samples=4, chains=2, pilot=500)
    assert vectors.map(lambda x: x.movedim(-1, 1)).x.shape == (8, 3, 16)


def test_networks_learn_from_channels():
    """Above and below the Kosterlitz–Thouless transition, from turns: the energy is enough."""
    data = phases.sample(XY(square(6)), [0.4, 1.6], samples=50, chains=8, seed=1, pilot=500)
    train, test = phases.split(data.map(lambda x: features.turns(x.float(), data.lattice)), (0.5, 0.5))
    network = nets.ConvolutionalNetwork(data.lattice, inputs=2)
    for _ in phases.supervised(train, network, (0.8, 1.2), 200):
        pass
    assert phases.accuracy(network.probability, test, [1.0])[0].mean > 0.98


@pytest.mark.parametrize("element", range(8))
def test_augmented_angles_have_the_vortices_of_an_augmented_map(element):
    """The images of x under the space group have the images of its vortices, with the sign of a mirror."""
    lattice = square(4)
    x = XY(lattice).random(1, seed=3)
    matrix = phases.point_group(lattice)[element]
    sites = np.ravel_multi_index(tuple((lattice.coordinates @ matrix.T % 4).T), lattice.shape)
    image, turned = features.vortices(x[:, sites], lattice), features.vortices(x, lattice)[:, sites]
    sign = round(np.linalg.det(matrix))
    moved = [turned[:, permutation] * sign for permutation in torch.from_numpy(lattice.translations).long()]
    assert any(torch.equal(image, candidate) for candidate in moved)
