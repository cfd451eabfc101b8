"""Symmetries of wave functions to rounding: every kind of projection around every network."""

import numpy as np
import pytest
import torch

import mlphys as mp
from mlphys.exact.sectors import Sectors
from mlphys.nets import RBM, Jastrow, MaskedConvolution, Recurrent, Symmetric, ViT, momentum
from mlphys.random import generator


def strong(psi, factor):
    """A network far from the uniform state, and with it all of its symmetries."""
    with torch.no_grad():
        for parameter in psi.parameters():
            parameter *= factor
    return psi


NETWORKS = {
    "positive RBM": lambda lattice: strong(RBM(lattice.n_sites, alpha=2, seed=1), 30),
    "complex RBM": lambda lattice: strong(RBM(lattice.n_sites, alpha=2, dtype=torch.complex128, seed=1), 20),
    "Jastrow": lambda lattice: strong(Jastrow(lattice.n_sites, dtype=torch.complex128, seed=1), 20),
    "convolution": lambda lattice: strong(MaskedConvolution(lattice, channels=4, phase=True, seed=1), 2),
    "recurrent": lambda lattice: strong(Recurrent(lattice, hidden=4, seed=1), 4),
}
LATTICES = [mp.chain(6), mp.square(4), mp.square(3, 6), mp.triangular(3)]


def states(lattice, batch=4):
    return torch.from_numpy(generator(1, "states").choice(np.array([-1, 1], np.int8), (batch, lattice.n_sites)))


def representations(lattice):
    """Permutations, characters and the sign under a flip: momenta, the point group's signs, a flip alone."""
    yield lattice.translations, None, None
    yield lattice.translations, momentum(lattice, (1,) * len(lattice.shape)), 1
    yield lattice.point_group, None, -1
    yield lattice.point_group, np.linalg.det(lattice.rotations).round(), None
    yield np.arange(lattice.n_sites)[None], None, -1
    if lattice.name == "square" and len(lattice.rotations) == 8:
        swapped = np.where(lattice.rotations[:, 0, 0] == 0, -1, 1)
        yield lattice.point_group, swapped, None


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("lattice", LATTICES, ids=repr)
def test_projections_transform_as_their_characters_say(lattice, name):
    psi, x = NETWORKS[name](lattice), states(lattice, 32)
    before = psi.log_psi(x).real
    assert (psi.log_psi(x.flip(1)).real - before).abs().max() > 0.1
    for permutations, characters, flip in representations(lattice):
        projected = Symmetric(psi, permutations, characters, flip)
        # Amplitudes, since some are zero by symmetry, in units of the largest; those of an even network all are.
        scale = float(projected.log_psi(x).real.detach().max())
        if name == "Jastrow" and flip == -1:
            assert scale < -30
            continue
        assert scale > float(before.detach().max()) - 10

        def amplitudes(x, of=projected, scale=scale):
            return (of.log_psi(x).to(torch.complex128) - scale).exp()

        expected = np.ones(len(permutations)) if characters is None else characters
        for permutation, character in zip(permutations, expected, strict=True):
            assert (amplitudes(x[:, permutation]) - complex(character) * amplitudes(x)).abs().max() < 1e-10
        if flip is not None:
            assert (amplitudes(-x) - flip * amplitudes(x)).abs().max() < 1e-10


@pytest.mark.parametrize("name", NETWORKS)
def test_twice_projected_is_invariant_under_the_whole_space_group(name):
    lattice = mp.square(4)
    psi, x = NETWORKS[name](lattice), states(lattice)
    projected = Symmetric(Symmetric(psi, lattice.translations), lattice.point_group, flip=1)
    value = projected.log_psi(x)
    assert value.is_complex() == psi.log_psi(x).is_complex() and value.real.std() > 0.03
    for permutation in (*lattice.translations, *lattice.point_group):
        for sign in (1, -1):
            assert (projected.log_psi(sign * x[:, permutation]) - value).abs().max() < 1e-10


def test_a_transformer_with_patches_gains_the_translations_within_them():
    lattice = mp.square(4)
    psi, x = ViT(lattice, patch=2, dimension=8, heads=2, layers=1, seed=1), states(lattice)
    within = np.array([lattice.shifted(step) for step in np.ndindex(2, 2)])
    assert (psi.log_psi(x[:, within[1]]) - psi.log_psi(x)).abs().max() > 1e-3
    with pytest.raises(ValueError, match="not a group"):
        Symmetric(psi, within)
    projected = Symmetric(psi, lattice.translations)
    value = projected.log_psi(x)
    for permutation in lattice.translations:
        assert (projected.log_psi(x[:, permutation]) - value).abs().max() < 1e-10


@pytest.mark.parametrize("numbers, flip", [((0,), 1), ((3,), -1), ((1,), None)])
def test_local_energies_and_derivatives_of_a_projection(numbers, flip):
    model = mp.HeisenbergJ1J2(mp.chain(6), j2=0.3)
    lattice, x = model.lattice, torch.from_numpy(model.spins(model.basis(0)))
    psi = Symmetric(strong(RBM(6, alpha=1, seed=2), 20), lattice.translations, momentum(lattice, numbers), flip)
    amplitudes = psi.log_psi(x).exp().detach().numpy()
    seen = np.abs(amplitudes) > 1e-10
    exact = (model.to_sparse(0) @ amplitudes / np.where(seen, amplitudes, 1))[seen]
    np.testing.assert_allclose(psi.local_energies(model, x[seen]).numpy(), exact, atol=1e-9)
    derivatives = psi.log_derivatives(x[seen]).numpy()
    flat = torch.nn.utils.parameters_to_vector(psi.parameters()).detach()
    for k in range(0, len(flat), 7):
        values = []
        for sign in (1, -1):
            changed = flat.clone()
            changed[k] += sign * 1e-6
            torch.nn.utils.vector_to_parameters(changed, psi.parameters())
            values.append(psi.log_psi(x[seen]).detach().to(torch.complex128))
        # Of the amplitudes rather than their logarithms, whose phase may jump by 2π.
        slope = ((values[0] - values[1]).exp().numpy() - 1) / 2e-6
        np.testing.assert_allclose(slope, derivatives[:, k], atol=1e-4)
        torch.nn.utils.vector_to_parameters(flat, psi.parameters())


def test_a_projection_finds_the_lowest_state_of_its_sector():
    """An excitation that moves: odd under a flip, with the smallest momentum."""
    model = mp.TransverseIsing(mp.chain(6), field=0.8)
    lattice, characters = model.lattice, momentum(model.lattice, (1,))
    lowest, _ = Sectors(model).lowest(np.outer(characters, [1, -1]).ravel())
    assert lowest > 0.9 * mp.exact.ground_energy(model)
    psi = Symmetric(RBM(6, alpha=2, seed=1), lattice.translations, characters, flip=-1)
    *_, step = mp.vmc.ground_state(model, psi, 40, samples=128, seed=1)
    assert abs(step.energy.mean / lowest - 1) < 1e-3


@pytest.mark.parametrize(
    "lattice, order",
    [(mp.chain(6), 2), (mp.square(4), 8), (mp.square(3, 6), 4), (mp.triangular(4), 12), (mp.cubic(3), 48)],
    ids=repr,
)
def test_point_groups_keep_the_bonds(lattice, order):
    group = lattice.point_group
    assert len({row.tobytes() for row in group}) == order and (group[0] == np.arange(lattice.n_sites)).all()

    def as_set(bonds):
        return set(map(tuple, np.sort(bonds, axis=1).tolist()))

    for permutation in group:
        assert permutation[0] == 0 and as_set(permutation[lattice.bonds]) == as_set(lattice.bonds)


def test_refusals():
    lattice, psi = mp.chain(6), RBM(6)
    with pytest.raises(ValueError, match="flip=2"):
        Symmetric(psi, lattice.translations, flip=2)
    with pytest.raises(ValueError, match="permutations of shape"):
        Symmetric(psi, np.zeros((1, 6), int))
    with pytest.raises(ValueError, match="one an element"):
        Symmetric(psi, lattice.translations, np.ones(5))
    with pytest.raises(ValueError, match="do not represent"):
        Symmetric(psi, lattice.translations, np.array([1, 1, -1, 1, 1, 1]))
    with pytest.raises(ValueError, match="numbers="):
        momentum(lattice, (0.5,))
