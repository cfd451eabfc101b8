"""Learnt proposals and double exchange on the simulated GPU: torch does the work, and the same seed accepts the same."""

import numpy as np
import pytest
import torch

import mlphys as mp
from mlphys import devices
from mlphys.nets import LinearEffective

MODEL = mp.DoubleExchange(mp.square(4), temperature=0.2)


class Gaussian:
    """Independent normal numbers of variance 1/10, drawn on the CPU and moved to where the chain is."""

    def __init__(self, n_sites, device):
        self.n_sites, self.device = n_sites, device

    def sample(self, n, seed=0):
        x = torch.randn(n, self.n_sites, generator=torch.Generator().manual_seed(seed >> 1), dtype=torch.float64) / 10**0.5
        x = x.to(self.device)
        return x, self.log_prob(x)

    def log_prob(self, x):
        return -5 * (x**2).sum(1) - self.n_sites * np.log(np.pi / 5) / 2


def where(device):
    return "cpu" if devices.simulated() else device


def independence(device):
    return mp.IndependenceMH(Gaussian(16, where(device)), mp.Phi4(mp.square(4), mass2=1.0, coupling=0.3))


def self_learning(device):
    network = LinearEffective(MODEL.lattice, 2, dtype=torch.float64)
    x = MODEL.random(20, seed=1)
    network.start_from(x, MODEL.energy(x))
    return mp.SelfLearning(network.to(where(device)), MODEL, proposal_sweeps=2)


@pytest.mark.parametrize("make", [independence, self_learning])
def test_chains_run_on_both_devices(make):
    chains = [mp.run(make(device), 20, chains=4, seed=2, device=device, burn_in=20) for device in ("cpu", "cuda")]
    assert chains[1].state.device == "cuda"
    for chain in chains:
        assert (chain.acceptance > 0).all()
    if devices.simulated():  # one stream of random numbers: momenta on a GPU would be drawn there
        np.testing.assert_allclose(chains[1].state.x.cpu().numpy(), chains[0].state.x.numpy(), rtol=0, atol=1e-10)


def test_double_exchange_follows_its_force():
    state = mp.HMC(MODEL, steps=3, step_size=0.05).init(2, seed=1, device="cuda")
    assert (mp.HMC(MODEL, steps=3, step_size=0.05).step(state, 2).acceptance > 0).all()
    assert MODEL.measure(state, ("energy", "kinetic_energy"))["energy"].shape == (2,)
