"""Quantum spins: matrix elements of every kind agree, and exact energies with one another and with published ones."""

import numpy as np
import pytest
import torch

from mlphys import XXZ, HeisenbergJ1J2, TransverseIsing, chain, cubic, exact, square, triangular
from mlphys.exact.quantum import bethe_ansatz, evolution, free_fermions, ground_state, renyi2

MODELS = [
    TransverseIsing(chain(7), coupling=0.8, field=1.3),
    TransverseIsing(triangular(3), field=-0.4),
    TransverseIsing(cubic(2), coupling=-1.0),
    HeisenbergJ1J2(chain(8), j2=0.4),
    HeisenbergJ1J2(square(2, 4), marshall=False),
    HeisenbergJ1J2(triangular(3), marshall=False),
    XXZ(chain(9), anisotropy=0.3, marshall=False),
    XXZ(square(2, 4), anisotropy=-1.5),
]


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_connected_states_are_the_rows_of_the_matrix(model):
    codes = model.basis()
    x = model.spins(codes)
    states, elements = model.connected(x)
    assert torch.equal(states[:, 0], torch.from_numpy(x)) and states.dtype == torch.int8
    powers = 1 << np.arange(model.lattice.n_sites)
    columns = ((1 - states.numpy().astype(int)) // 2 @ powers).reshape(len(x), -1)
    dense = np.zeros((len(codes), len(codes)))
    np.add.at(dense, (np.arange(len(codes))[:, None], columns), elements.numpy())
    sparse = model.to_sparse().toarray()
    np.testing.assert_allclose(dense, sparse, atol=1e-13)
    np.testing.assert_allclose(sparse, sparse.T, atol=1e-13)


@pytest.mark.parametrize("model", [model for model in MODELS if model.conserves_magnetisation], ids=repr)
def test_sectors_are_blocks_of_the_matrix(model):
    n, whole = model.lattice.n_sites, model.to_sparse().toarray()
    magnetisation = model.spins(model.basis()).sum(1)
    seen = 0
    for sector in range(-n, n + 1, 2):
        members = np.flatnonzero(magnetisation == sector)
        assert (model.basis(sector) == members).all()
        np.testing.assert_allclose(model.to_sparse(sector).toarray(), whole[np.ix_(members, members)], atol=1e-13)
        assert not whole[np.ix_(members, np.flatnonzero(magnetisation != sector))].any()
        seen += len(members)
    assert seen == 2**n


def pauli(n, site, matrix):
    return np.kron(np.kron(np.eye(2 ** (n - 1 - site)), matrix), np.eye(2**site))


def test_matrices_are_those_of_the_spin_operators():
    """Built from Kronecker products of Pauli matrices; site i is bit i, and the bit is set where the spin is down."""
    x, y, z = np.array([[0, 1], [1, 0]]), np.array([[0, -1j], [1j, 0]]), np.diag([1, -1])
    n = 5
    ring = [(i, (i + 1) % n) for i in range(n)]
    ising = sum(-0.7 * pauli(n, i, z) @ pauli(n, j, z) for i, j in ring) - 1.1 * sum(pauli(n, i, x) for i in range(n))
    np.testing.assert_allclose(TransverseIsing(chain(n), 0.7, 1.1).to_sparse().toarray(), ising, atol=1e-13)

    def exchange(pairs, anisotropy=1.0):
        parts = ((x, 1), (y, 1), (z, anisotropy))
        return sum(c / 4 * pauli(n, i, m) @ pauli(n, j, m) for i, j in pairs for m, c in parts)

    far = [(i, (i + 2) % n) for i in range(n)]
    model = HeisenbergJ1J2(chain(n), j2=0.3, marshall=False)
    np.testing.assert_allclose(model.to_sparse().toarray(), exchange(ring) + 0.3 * exchange(far), atol=1e-13)
    model = XXZ(chain(n), anisotropy=0.4, marshall=False)
    np.testing.assert_allclose(model.to_sparse().toarray(), exchange(ring, 0.4), atol=1e-13)


@pytest.mark.parametrize("j2", [0.0, 0.5])
def test_marshall_turns_the_basis_and_keeps_the_spectrum(j2):
    plain, turned = (HeisenbergJ1J2(square(2, 4), j2, marshall).to_sparse(0).toarray() for marshall in (False, True))
    np.testing.assert_allclose(np.linalg.eigvalsh(plain), np.linalg.eigvalsh(turned), atol=1e-12)
    off_diagonal = turned - np.diag(turned.diagonal())
    assert (off_diagonal <= 0).all() == (j2 == 0)
    assert (ground_state(HeisenbergJ1J2(square(4)))[1] > 0).all()


@pytest.mark.parametrize(
    "model, energy",
    [
        (TransverseIsing(chain(16)), -1.275287154672),
        (TransverseIsing(chain(40)), -1.273566852856),
        (HeisenbergJ1J2(chain(16)), -0.446393522539),
        (HeisenbergJ1J2(chain(40)), -0.443663069708),
        (XXZ(chain(40)), -0.443663069708),
        (HeisenbergJ1J2(square(4)), -0.701780200527),
        (HeisenbergJ1J2(square(4), j2=0.5), -0.528620209462),
        (HeisenbergJ1J2(square(6), j2=0.5), -0.503809654),
    ],
    ids=repr,
)
def test_reference_energies(model, energy):
    assert abs(exact.ground_energy(model) / model.lattice.n_sites - energy) < 1e-11


def test_closed_forms_agree_with_lanczos():
    for n, coupling, field in ((3, 1.0, 0.3), (10, 0.6, 1.4), (12, -1.0, 0.8), (9, 1.0, -2.0)):
        energy, _ = ground_state(TransverseIsing(chain(n), coupling, field))
        assert abs(energy - free_fermions(n, abs(coupling), field)) < 1e-10
    for n in (4, 10, 14):
        assert abs(ground_state(HeisenbergJ1J2(chain(n)))[0] - bethe_ansatz(n)) < 1e-10
    ferromagnet = XXZ(chain(8), anisotropy=-1.5)
    assert abs(exact.ground_energy(ferromagnet) - np.linalg.eigvalsh(ferromagnet.to_sparse().toarray())[0]) < 1e-10


def test_entropy_and_quench():
    model = TransverseIsing(chain(8))
    _, vector = ground_state(model)
    assert abs(renyi2(vector, model.basis(), 8, range(4)) - 0.4817502690) < 1e-9
    model = HeisenbergJ1J2(square(4))
    _, vector = ground_state(model)
    assert abs(renyi2(vector, model.basis(0), 16, range(8)) - 1.12774677) < 1e-8
    model = TransverseIsing(chain(16))
    flipped = model.basis()[:, None] ^ (1 << np.arange(16))
    for state, sigma_x in zip(evolution(model, np.full(2**16, 2**-8), [0.25, 1]), (0.7883624039, 0.5293295434), strict=True):
        assert abs((state.conj()[:, None] * state[flipped]).sum(0).real.mean() - sigma_x) < 1e-9


def test_refusals():
    with pytest.raises(ValueError, match="marshall=True"):
        HeisenbergJ1J2(triangular(3))
    with pytest.raises(ValueError, match="field='strong'"):
        TransverseIsing(chain(4), field="strong")
    with pytest.raises(ValueError, match="does not conserve"):
        TransverseIsing(chain(4)).to_sparse(sector=0)
    with pytest.raises(ValueError, match="sector=1"):
        HeisenbergJ1J2(chain(4)).to_sparse(sector=1)
    with pytest.raises(ValueError, match="too many states"):
        HeisenbergJ1J2(square(6)).to_sparse()
    with pytest.raises(ValueError, match="x has shape"):
        TransverseIsing(chain(4)).connected(np.ones((2, 5)))
