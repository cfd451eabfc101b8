"""The transformer: its symmetries, its derivatives, and that it learns."""

import numpy as np
import pytest
import torch

import mlphys as mp
from mlphys.lattices import chain, square, triangular
from mlphys.nets import Symmetric, ViT
from mlphys.nets.wavefunctions import WaveFunction

CASES = [(chain(12), 3), (chain(8), 1), (square(4), 2), (square(4, 6), 1), (square(4, 6), 2), (triangular(6), 3)]


def network(lattice, patch, **options):
    """Weights far from where they start, so that nothing is symmetric for being small."""
    psi = ViT(lattice, patch, dimension=8, heads=4, layers=2, seed=3, **options)
    with torch.no_grad():
        psi.output *= 10
    return psi


def states(n_sites, batch=7):
    rng = np.random.default_rng(1)
    return torch.from_numpy(np.sign(rng.normal(size=(batch, n_sites))).astype(np.int8))


@pytest.mark.parametrize("positive", [False, True], ids=["complex", "positive"])
@pytest.mark.parametrize(("lattice", "patch"), CASES, ids=repr)
def test_moves_by_whole_patches_and_spin_flip_change_nothing(lattice, patch, positive):
    psi, x = network(lattice, patch, positive=positive), states(lattice.n_sites)
    with torch.no_grad():
        here = psi.log_psi(x)
        assert here.is_complex() is not positive
        # Distinct states, patches and moves within one do differ.
        assert here.real.std() > 0.1
        whole = (lattice.coordinates % patch == 0).all(1)
        for move in lattice.translations[whole]:
            np.testing.assert_allclose(psi.log_psi(-x[:, move]).exp(), here.exp(), rtol=1e-10)
        if patch > 1:
            assert (psi.log_psi(x[:, lattice.translations[1]]) - here).abs().max() > 1e-3


def test_projected_onto_the_whole_space_group():
    lattice = square(4)
    psi, x = Symmetric(Symmetric(network(lattice, 2), lattice.translations), lattice.point_group, flip=1), states(16)
    with torch.no_grad():
        here = psi.log_psi(x).exp()
        for image in (x[:, lattice.translations[6]], x[:, lattice.point_group[5]], -x):
            np.testing.assert_allclose(psi.log_psi(image).exp(), here, rtol=1e-10)


@pytest.mark.parametrize("positive", [False, True], ids=["complex", "positive"])
@pytest.mark.parametrize(("lattice", "patch"), CASES[2:4], ids=repr)
def test_derivatives_are_those_of_automatic_differentiation(lattice, patch, positive):
    psi, x = network(lattice, patch, positive=positive), states(lattice.n_sites)
    psi.batch = 3
    wanted = WaveFunction._jacobian(psi, x)
    assert wanted.abs().amax((0, 1)).min() > 0
    np.testing.assert_allclose(psi._jacobian(x), wanted, atol=1e-10)


def test_single_precision_is_the_same_network():
    psi, other, x = network(square(6), 2), network(square(6), 2, dtype=torch.float32), states(36)
    with torch.no_grad():
        assert other.log_psi(x).dtype == torch.complex64
        np.testing.assert_allclose(other.log_psi(x).exp(), psi.log_psi(x).exp(), rtol=1e-4)


@pytest.mark.parametrize("positive", [False, True], ids=["complex", "positive"])
def test_no_overflow(positive):
    psi = network(chain(8), 2, positive=positive)
    with torch.no_grad():
        psi.output *= 1e4
        assert psi.log_psi(states(8)).abs().isfinite().all()


def test_learns():
    model = mp.HeisenbergJ1J2(chain(8))
    psi = ViT(chain(8), patch=2, dimension=4, heads=4, layers=1, seed=11)
    steps = mp.vmc.ground_state(model, psi, 40, samples=126, chains=126, seed=11, rate=0.1)
    energies = [step.energy.mean for step in steps][-10:]
    assert abs(np.mean(energies) / mp.exact.ground_energy(model) - 1) < 0.03


@pytest.mark.parametrize(
    ("name", "options"),
    [("patch", {"patch": 3}), ("heads", {"heads": 5}), ("dtype", {"dtype": torch.complex64}), ("layers", {"layers": 0})],
)
def test_refusals(name, options):
    with pytest.raises(ValueError, match=name):
        ViT(square(4), **options)
