"""What a network uses: gradients that add up, and correlations whose errors are right."""

import numpy as np
import pytest
import torch

from mlphys import Ising, nets, phases, square
from mlphys.random import torch_generator

pytestmark = pytest.mark.usefixtures("one_thread")


def test_saliency_adds_up_and_has_the_shape_of_the_input():
    x = torch.randn(5, 2, 16, generator=torch_generator(1))
    linear = nets.LogisticRegression(square(4), inputs=2)
    assert torch.allclose(phases.saliency(linear, x), x * linear.layer.weight.detach().reshape(2, 16))
    spins = Ising(square(6)).random(5)
    for network in (nets.MultilayerPerceptron(square(6)), nets.ConvolutionalNetwork(square(6), even=True)):
        seen = phases.saliency(network, spins)
        assert seen.shape == spins.shape and not seen.requires_grad
        assert all(parameter.grad is None for parameter in network.parameters())
        # A small change of one spin moves the log odds as its gradient says.
        shifted = spins.double()
        shifted[:, 7] *= 1 + 1e-5
        moved = (network.double().evaluate(shifted) - network.evaluate(spins.double()))[:, 0] / 1e-5
        assert torch.allclose(moved, phases.saliency(network, spins.double())[:, 7], rtol=1e-3, atol=1e-7)


def synthetic(seed, memory=0.5):
    """log odds m; a = m + noise; b = a + noise; c of its own; all with a memory in each chain, some with a trend in T."""
    rng, chains, samples = np.random.default_rng(seed), 24, 12
    chain, temperature = np.repeat(np.arange(chains), samples), np.repeat(np.repeat([1.0, 2.0, 3.0], chains // 3), samples)

    def noise():
        return memory * rng.normal(size=chains)[chain] + rng.normal(size=len(chain))

    m = noise()
    a = m + noise()
    quantities = {"a": a + 5 * temperature, "b": a + noise(), "c": noise() - 3 * temperature}
    data = phases.Dataset(torch.from_numpy(m + 7 * temperature)[:, None].repeat(1, 4) / 4, temperature, chain, square(2))
    network = nets.LogisticRegression(square(2)).double()
    network.load_state_dict({"layer.weight": torch.ones(1, 4), "layer.bias": torch.zeros(1)})
    return phases.attribution(network, data, quantities).set_index("quantity")


def test_correlations_at_fixed_temperature_with_errors():
    tables = [synthetic(seed) for seed in range(40)]
    # m explains half of the variance of a and a third of that of b, which knows of m through a alone.
    expected = {("a", "correlation"): 2**-0.5, ("b", "correlation"): 3**-0.5, ("b", "partial"): 0, ("c", "correlation"): 0}
    for (quantity, column), value in expected.items():
        error_name = "error" if column == "correlation" else "partial_error"
        found = np.array([table.loc[quantity, column] for table in tables])
        error = np.array([table.loc[quantity, error_name] for table in tables])
        assert abs(found.mean() - value) < 4 * found.std() / np.sqrt(40) + 0.01
        assert 0.7 < found.std() / error.mean() < 1.4


def test_perceptrons_follow_the_order_and_convolutions_the_energy():
    ising = Ising(square(10))
    data = phases.sample(ising, np.linspace(1.8, 2.8, 11), samples=30, chains=24, seed=4)
    train, test = phases.split(data, (0.6, 0.4))
    quantities = {"|m|": ising.magnetisation(test.x).abs(), "energy": ising.energy(test.x)}
    tables = []
    for kind in (nets.MultilayerPerceptron, nets.ConvolutionalNetwork):
        network = kind(ising.lattice, even=True)
        for _ in phases.supervised(train, network, (2.0, 2.5), 300, flip=True):
            pass
        tables.append(phases.attribution(network, test, quantities).set_index("quantity"))
    perceptron, convolutions = tables
    assert list(perceptron.columns) == ["correlation", "error", "partial", "partial_error"]
    for table, more, less in ((perceptron, "|m|", "energy"), (convolutions, "energy", "|m|")):
        assert abs(table.partial[more]) > abs(table.partial[less]) + 5 * np.hypot(*table.partial_error)
