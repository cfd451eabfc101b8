"""Lanczos in symmetry sectors against the whole matrix, where the ground state has every kind of momentum."""

import numpy as np
import pytest

from mlphys import XXZ, HeisenbergJ1J2, TransverseIsing, chain, cubic, square, triangular
from mlphys.exact.quantum import free_fermions, ground_state
from mlphys.exact.sectors import Sectors

MODELS = [
    *[XXZ(chain(n), anisotropy, marshall=False) for n in (5, 6, 9, 10) for anisotropy in (-1.5, 0.3)],
    *[HeisenbergJ1J2(lattice, j2, False) for lattice in (chain(11), square(3), square(2, 5)) for j2 in (0.5, 0.8, -0.4)],
    HeisenbergJ1J2(triangular(3), 0.3, marshall=False),
    HeisenbergJ1J2(cubic(2)),
    *[TransverseIsing(lattice, -1.0, field) for lattice in (chain(5), square(3)) for field in (0.7, -0.9, 0.0)],
]


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_the_lowest_state_of_all_sectors_is_that_of_the_matrix(model):
    n = model.lattice.n_sites
    for sector in (n % 2, n % 2 + 2) if model.conserves_magnetisation else (None,):
        matrix = model.to_sparse(sector).toarray()
        energy, vector = ground_state(model, sector)
        assert abs(energy - np.linalg.eigvalsh(matrix)[0]) < 1e-10
        assert abs(np.linalg.norm(vector) - 1) < 1e-12
        np.testing.assert_allclose(matrix @ vector, energy * vector, atol=1e-9)


def test_twenty_spins():
    energy, vector = ground_state(TransverseIsing(chain(20), field=1.2))
    assert abs(energy - free_fermions(20, field=1.2)) < 1e-9 and (vector > 0).all()
    sectors = Sectors(HeisenbergJ1J2(square(4, 5), j2=0.5, marshall=False), 0)
    assert len(sectors.codes) == 184756 and len(sectors.sizes) < 184756 / 39
    # Found without symmetries, on the matrix of 184756 rows.
    assert abs(sectors.ground_state()[0] + 10.440222527694) < 1e-9


def test_a_model_without_translations_has_only_the_flip():
    model = TransverseIsing(chain(6), field=0.7)
    model.weights = np.linspace(-1, 0.5, 6)
    energy, _ = ground_state(model)
    assert len(Sectors(model).translations) == 1
    assert abs(energy - np.linalg.eigvalsh(model.to_sparse().toarray())[0]) < 1e-10
