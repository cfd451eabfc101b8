"""Observables of wave functions against sums over all states: values, and error bars that hold."""

import numpy as np
import pytest
import torch

import mlphys as mp
from mlphys import chain, square
from mlphys.exact.quantum import ground_state
from mlphys.exact.quantum import renyi2 as exact_renyi2
from mlphys.nets import RBM
from mlphys.recipes.entries import falling
from mlphys.vmc import observables

MODELS = [mp.TransverseIsing(chain(8), field=0.7), mp.HeisenbergJ1J2(square(2, 4)), mp.XXZ(chain(8), 0.5, marshall=False)]


def everything(model, dtype=torch.complex128, scale=15.0):
    """A wave function far from the uniform state, all its states, and its normalised vector over them."""
    psi = RBM(8, alpha=2, dtype=dtype, seed=1)
    with torch.no_grad():
        for parameter in psi.parameters():
            parameter *= scale
    sector = 0 if model.conserves_magnetisation else None
    codes = model.basis(sector)
    vector = psi.log_psi(torch.from_numpy(model.spins(codes))).exp().detach().numpy()
    return psi, codes, model.spins(codes).astype(float), vector / np.linalg.norm(vector)


@pytest.fixture(scope="module", params=MODELS, ids=repr)
def state(request):
    model = request.param
    psi, codes, spins, vector = everything(model)
    x = observables.sample(model, psi, 64 * 300, chains=64, seed=3, sweeps=2)
    return model, psi, codes, spins, vector, x


def agree(estimates, exact, largest=0.05):
    """Within 4σ, and with an error bar that says something."""
    for estimate, value in zip(estimates, exact, strict=True):
        assert estimate.error < largest
        assert abs(estimate.mean - value) < max(4 * estimate.error, 1e-12)


def test_spins_along_z_and_x(state):
    model, psi, codes, spins, vector, x = state
    probability, lattice = np.abs(vector) ** 2, model.lattice
    pairs = [np.mean([probability @ (spins[:, i] * spins[:, j]) for i, j in enumerate(t)]) for t in lattice.translations]
    agree(observables.correlation(model, psi, x), pairs)
    # Each momentum by its own sum.
    momenta = 2 * np.pi * lattice.coordinates / lattice.shape
    waves = spins @ np.exp(1j * momenta @ lattice.coordinates.T).T
    agree(observables.structure_factor(model, psi, x), probability @ np.abs(waves) ** 2 / 8, largest=0.3)
    if not model.conserves_magnetisation:
        flips = [vector[codes ^ (1 << i)] for i in range(8)]
        agree([observables.sigma_x(model, psi, x)], [np.mean([np.vdot(vector, flip).real for flip in flips])])


def test_energy_and_v_score(state):
    model, psi, *_, vector, x = state
    matrix = model.to_sparse(0 if model.conserves_magnetisation else None)
    energy = np.vdot(vector, matrix @ vector).real
    score = 8 * (np.linalg.norm(matrix @ vector) ** 2 - energy**2) / energy**2
    agree([observables.mean(model, psi, x), observables.v_score(model, psi, x)], [energy, score], largest=0.1 * score)


def test_spin_products_along_any_axis(state):
    model, psi, codes, spins, vector, x = state
    lattice = model.lattice
    step = (0, 1) if len(lattice.shape) == 2 else 1
    there = lattice.shifted(step)
    along_z = np.mean([np.abs(vector) ** 2 @ (spins[:, i] * spins[:, j]) for i, j in enumerate(there)]) * 3 / 4
    full = along_z / 3
    position = {int(code): k for k, code in enumerate(codes)}
    sign = -1 if getattr(model, "marshall", False) else 1
    for i, j in enumerate(there):
        acts = np.flatnonzero(spins[:, i] != spins[:, j])
        turned = np.array([position[int(codes[k]) ^ (1 << i) ^ (1 << int(j))] for k in acts])
        full += sign * np.vdot(vector[acts], vector[turned]).real / 2 / 8
    agree(observables.spin_correlation(model, psi, x, step), [full, along_z])


def test_entropy_by_swap(state):
    model, psi, codes, _, vector, x = state
    for sites in ([0, 1, 2, 3], [0, 5]):
        agree([observables.renyi2(model, psi, x, sites)], [exact_renyi2(vector, codes, 8, sites)])


def test_error_bars_of_the_entropy_hold():
    """The scatter of independent runs is their mean error, within 3σ of that scatter, and their mean is exact."""
    model = MODELS[0]
    psi, codes, _, vector = everything(model)
    exact, runs = exact_renyi2(vector, codes, 8, range(4)), 60
    samples = (observables.sample(model, psi, 16 * 150, seed=seed, sweeps=2) for seed in range(runs))
    found = [observables.renyi2(model, psi, x, range(4)) for x in samples]
    scatter = np.std([entropy.mean for entropy in found], ddof=1)
    assert abs(scatter / np.mean([entropy.error for entropy in found]) - 1) < 3 / np.sqrt(2 * runs)
    assert abs(np.mean([entropy.mean for entropy in found]) - exact) < 3 * scatter / np.sqrt(runs)


def test_fidelity():
    for model in MODELS:
        psi, _, _, vector = everything(model)
        assert abs(observables.fidelity(model, psi, vector) - 1) < 1e-12
        _, ground = ground_state(model)
        assert abs(observables.fidelity(model, psi, 3 * ground) - abs(np.vdot(vector, ground)) ** 2) < 1e-12


def test_entropy_of_half_a_critical_chain():
    """Rényi-2 of N = 16 at h = 1 is 0.5733840775: within 2 %, and within its own 2σ."""
    model, psi = mp.TransverseIsing(chain(16)), RBM(16, alpha=2, seed=1)
    fine = {"samples": 2016, "rate": falling(0.05, 0.01, 150)}
    for seed, steps, options in ((1, 150, {}), (2, 150, fine)):
        for _ in mp.vmc.ground_state(model, psi, steps, seed=seed, **options):
            pass
    x = observables.sample(model, psi, 64_000, chains=32, seed=1, sweeps=2)
    entropy = observables.renyi2(model, psi, x, range(8), partners=16)
    assert abs(entropy.mean / 0.5733840775 - 1) < 0.02
    assert abs(entropy.deviation(0.5733840775)) < 2 and entropy.error < 0.007


def test_refusals():
    model, psi = MODELS[0], RBM(8)
    x = observables.sample(model, psi, 64, chains=2)
    with pytest.raises(ValueError, match="sites"):
        observables.renyi2(model, psi, x, [8], partners=1)
    with pytest.raises(ValueError, match="partners=4"):
        observables.renyi2(model, psi, x, [0])
    with pytest.raises(ValueError, match="step=8"):
        observables.spin_correlation(model, psi, x, 8)
    with pytest.raises(ValueError, match="vector has shape"):
        observables.fidelity(model, psi, np.ones(3))
    with pytest.raises(ValueError, match="samples=65"):
        observables.sample(model, psi, 65, chains=2)
