"""Wave functions on a real GPU give what they give on the CPU; elsewhere these tests are skipped.

That nothing mixes devices is tested everywhere, by tests/exact/test_generic_wavefunctions.py.
"""

import numpy as np
import pytest
import torch

import mlphys as mp
from mlphys.hamiltonians.born import Born
from mlphys.vmc import draw, natural_gradient

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no GPU")

LATTICE = mp.square(4)
MODEL = mp.HeisenbergJ1J2(LATTICE, j2=0.5)
NETWORKS = {
    "transformer": lambda: mp.nets.ViT(LATTICE, dimension=8, heads=2, layers=2),
    "projected": lambda: mp.nets.Symmetric(NETWORKS["transformer"](), LATTICE.point_group, flip=1),
    "autoregressive": lambda: mp.nets.MaskedConvolution(LATTICE, magnetisation=0, phase=True),
    "machine": lambda: mp.nets.RBM(16),
}


@pytest.mark.parametrize("network", NETWORKS)
def test_a_step_of_reconfiguration_is_that_of_the_cpu(network):
    changes = {}
    for device in ("cpu", "cuda"):
        psi = NETWORKS[network]().to(device)
        x = Born(psi, MODEL).random(200, seed=1)
        local = psi.local_energies(MODEL, x).cpu().numpy()
        changes[device] = [natural_gradient(psi.tangent(x), local, 1e-3, space) for space in ("samples", "parameters")]
    np.testing.assert_allclose(changes["cuda"], changes["cpu"], atol=1e-8)
    np.testing.assert_allclose(changes["cuda"][0], changes["cuda"][1], atol=1e-8)


@pytest.mark.parametrize("network", ["transformer", "autoregressive"])
def test_the_same_states_are_drawn(network):
    drawn = []
    for device in ("cpu", "cuda"):
        psi = NETWORKS[network]().to(device)
        sampler = mp.Metropolis(Born(psi, MODEL))
        drawn.append(draw(sampler, sampler.init(32, seed=1), 3)[0].cpu())
    # A random number may fall between two roundings of a probability, once in a long while.
    assert (drawn[0] == drawn[1]).all(1).float().mean() > 0.98


def test_a_run_goes_on_from_the_other_device(tmp_path):
    file, exact = tmp_path / "checkpoint", mp.exact.ground_energy(MODEL)
    for device, steps in (("cuda", 30), ("cpu", 60), ("cuda", 90)):
        psi = NETWORKS["transformer"]().to(device)
        *_, last = mp.vmc.ground_state(MODEL, psi, steps, samples=512, chains=256, seed=1, checkpoint=file)
    assert last.step == 90 and abs(last.energy.mean / exact - 1) < 0.05


def test_float32_and_memory_of_a_large_lattice():
    """10 × 10 with J2: 401 states for each sample are never held at once."""
    lattice = mp.square(10)
    model = mp.HeisenbergJ1J2(lattice, j2=0.5)
    psi = mp.nets.ViT(lattice, dimension=24, heads=4, layers=2, dtype=torch.float32).to("cuda")
    torch.cuda.reset_peak_memory_stats()
    *_, last = mp.vmc.ground_state(model, psi, 2, samples=2048, chains=2048, seed=1, burn_in=1)
    assert np.isfinite(last.energy.mean) and torch.cuda.max_memory_allocated() < 8e9
