"""φ⁴: the action and its force, the two forms, errors, and the densities that its heat bath draws from."""

import numpy as np
import pytest
import torch
from numba import njit

import mlphys as mp
from mlphys.hamiltonians.base import Hamiltonian
from mlphys.kernels import fields
from mlphys.kernels.generators import philox, unit

LATTICES = [mp.chain(2), mp.chain(5), mp.square(4, 6), mp.square(2, 3), mp.triangular(3), mp.cubic(2)]


@pytest.mark.parametrize("lattice", LATTICES, ids=repr)
def test_action_is_the_sum_over_sites_and_bonds(lattice):
    x = mp.Phi4(lattice, -1.0, 0.7).random(3, seed=1)
    first, second = (torch.from_numpy(column.astype(np.int64)) for column in lattice.bonds.T)
    mass = mp.Phi4(lattice, -1.0, 0.7)
    expected = ((x[:, first] - x[:, second]) ** 2).sum(1) + (-(x**2) + 0.7 * x**4).sum(1)
    assert torch.allclose(mass.action(x), expected, rtol=1e-13)
    kappa = mp.Phi4.from_kappa(lattice, 0.3, 0.02)
    expected = -0.6 * (x[:, first] * x[:, second]).sum(1) + (0.96 * x**2 + 0.02 * x**4).sum(1)
    assert torch.allclose(kappa.energy(x), expected, rtol=1e-13)
    assert torch.allclose(mass.force(x), Hamiltonian.force(mass, x), rtol=1e-12)


@pytest.mark.parametrize("mass2, coupling", [(-4.0, 6.975), (-9.0, 0.5), (1.0, 0.1), (0.3, 0.0), (-4.0, 1e-6)])
def test_forms_are_one_model(mass2, coupling):
    model = mp.Phi4(mp.square(4), mass2, coupling)
    other = model.to_kappa()
    x = model.random(5, seed=2)
    assert torch.allclose(other.action(model.rescale(x, other)), model.action(x), rtol=1e-11, atol=1e-11)
    assert torch.allclose(other.rescale(model.rescale(x, other), model), x)
    back = other.to_mass()
    assert np.allclose([back.mass2, back.coupling], [mass2, coupling], rtol=1e-9, atol=1e-12)
    assert other.to_kappa() is other and model.to_mass() is model
    assert np.isclose(other.quadratic, 1 - 2 * other.coupling)


def test_the_form_with_kappa_of_a_negative_kappa_has_no_mass():
    with pytest.raises(ValueError, match=r"kappa=-0\.2"):
        mp.Phi4.from_kappa(mp.square(4), -0.2, 0.1).to_mass()


def test_bad_arguments_are_named():
    lattice = mp.square(4)
    for arguments, message in [
        ((lattice, 1.0, -0.1), "coupling=-0.1"),
        ((lattice, float("nan"), 0.1), "mass2=nan"),
        ((lattice, 0.0, 0.0), "mass2=0.0.*coupling=0"),
        ((lattice, "heavy", 0.1), "mass2='heavy'"),
        ((4, 1.0, 0.1), "lattice=4"),
    ]:
        with pytest.raises(ValueError, match=message):
            mp.Phi4(*arguments)
    with pytest.raises(ValueError, match=r"kappa=0\.5.*bounded"):
        mp.Phi4.from_kappa(lattice, 0.5, 0.0)
    with pytest.raises(ValueError, match=r"kappa=-0\.5.*bounded"):
        mp.Phi4.from_kappa(lattice, -0.5, 0.0)
    model = mp.Phi4(lattice, 1.0, 0.1)
    with pytest.raises(ValueError, match="x has shape"):
        model.energy(torch.zeros(2, 15))
    with pytest.raises(ValueError, match="start has 2"):
        mp.HeatBath(model).init(3, start=torch.zeros(2, 16))
    with pytest.raises(ValueError, match="finite"):
        mp.HeatBath(model).init(1, start=torch.full((1, 16), torch.inf))
    with pytest.raises(ValueError, match="in another form"):
        model.rescale(model.random(1), mp.Phi4(lattice, 2.0, 0.1))
    with pytest.raises(ValueError, match="Wolff"):
        mp.Wolff(mp.Phi4.from_kappa(mp.square(3), -0.2, 0.1))


def test_chains_start_where_order_lowers_the_action():
    broken, symmetric = mp.Phi4.from_kappa(mp.square(4), 0.5, 0.022), mp.Phi4.from_kappa(mp.square(4), 0.1, 0.022)
    start = broken.start(3, seed=1)
    assert torch.allclose(start[:, 0], np.sqrt((2 - 0.956) / 0.044) * torch.tensor([1.0, -1.0, 1.0], dtype=torch.float64))
    assert torch.allclose(broken.force(start), torch.zeros(3, 16, dtype=torch.float64), atol=1e-12)
    assert symmetric.start(3, seed=1).std() > 0.5 and not symmetric.ordered(2).any()


@njit
def _draws(count, quadratic, quartic, pull, two_wells):
    """Values that the heat bath draws, and the accepted share of its tries."""
    values, tries = np.empty(count), 0
    lone, lift = fields.lone_site(quadratic, quartic)
    alpha = fields.precision(quadratic, quartic, pull, lone, lift)
    for k in range(count):
        values[k] = np.nan
        while np.isnan(values[k]):
            tries += 1
            word, other = philox(np.uint64(7), k, 0, tries)
            normal = np.sqrt(-2.0 * np.log(1.0 - unit(word))) * np.cos(2.0 * np.pi * unit(other))
            number = unit(philox(np.uint64(7), k, 1, tries)[0])
            if two_wells:
                values[k] = fields._two_wells_try(normal, number, quadratic, quartic, pull, alpha)
            else:
                values[k] = fields._one_well_try(normal, number, quadratic, quartic, pull, alpha)
    return values, count / tries


@pytest.mark.parametrize("pull", [0.0, 1e-9, 0.3, -4.0, 500.0])
@pytest.mark.parametrize(
    "quadratic, two_wells", [(10.0, False), (0.0, False), (-0.5, False), (-0.5, True), (-3.0, True), (-50.0, True)]
)
def test_heat_bath_draws_from_the_density_of_a_site(quadratic, two_wells, pull):
    count, quartic = 20_000, 1.3
    values, accepted = _draws(count, quadratic * np.sqrt(quartic), quartic, pull, two_wells)
    assert accepted > 0.49
    edge = abs(values).max() + 1
    grid = np.linspace(-edge, edge, 400_001)
    exponent = -((quartic * grid**2 + quadratic * np.sqrt(quartic)) * grid**2) + pull * grid
    share = np.cumsum(np.exp(exponent - exponent.max()))
    ranks = np.sort(np.interp(values, grid, share / share[-1]))
    # Kolmogorov and Smirnov: beyond 2.2 one time in 8000.
    assert abs(ranks - np.arange(count) / count).max() * np.sqrt(count) < 2.2


@pytest.mark.parametrize("quadratic, pull", [(1.0, 0.7), (-2.0, -3.0), (-60.0, 0.01)])
def test_a_reflection_undoes_itself(quadratic, pull):
    alpha = fields.precision(quadratic, 0.8, pull, *fields.lone_site(quadratic, 0.8))
    for value in np.linspace(-2, 2, 9):
        other = fields.reflected(value, 0.0, quadratic, 0.8, pull, alpha)
        assert np.isclose(fields.reflected(other, 0.0, quadratic, 0.8, pull, alpha), value, atol=1e-12)


@pytest.mark.parametrize("sampler", [mp.Metropolis, mp.HeatBath, mp.Overrelaxation, mp.Wolff, mp.SwendsenWang])
def test_result_depends_on_the_seed_alone(sampler, monkeypatch):
    from mlphys import threads

    made = sampler(mp.Phi4(mp.triangular(12), -5.0, 0.5))
    results = []
    for count, cuts in ((1, (7,)), (2, (3, 4))):
        monkeypatch.setattr(threads, "thread_count", lambda count=count: count)
        state = made.init(chains=50, seed=3)
        for sweeps in cuts:
            made.step(state, sweeps)
            state = state.copy()
        results.append(state.x)
    assert (results[0] == results[1]).all()
    other = made.init(chains=50, seed=4)
    made.step(other, 7)
    assert (other.x != results[0]).any()
    assert len(torch.unique(results[0], dim=0)) == 50


def test_metropolis_is_tuned_during_burn_in_only():
    sampler = mp.Metropolis(mp.Phi4(mp.square(8), -4.0, 6.0))
    state = mp.run(sampler, 10, chains=2, seed=1, burn_in=400).state
    width = state.cache["proposal_width"].copy()
    assert 0.4 < sampler.step(state, 200).acceptance.mean() < 0.6
    assert (state.cache["proposal_width"] == width).all()


@pytest.mark.parametrize("sampler", [mp.Wolff, mp.SwendsenWang])
def test_models_without_clusters_say_so(sampler):
    for model in (
        mp.U1Gauge(mp.square(4), 1.0),
        mp.XY(mp.square(3), coupling=-1.0),
        mp.Potts(mp.chain(3), 3, coupling=-1.0),
    ):
        with pytest.raises(ValueError, match=f"{type(model).__name__}.*{sampler.__name__}"):
            sampler(model)
