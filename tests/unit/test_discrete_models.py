"""Potts and clock models: values by hand, measurement, embeddings, kernels, errors."""

import numpy as np
import pytest
import torch

import mlphys as mp
from mlphys.hamiltonians.discrete import MOST_VALUES

MODELS = [
    mp.Potts(mp.square(4), 3),
    mp.Potts(mp.triangular(4), 5, coupling=-1.0),
    mp.Clock(mp.square(4, 6), 6),
    mp.Clock(mp.chain(6), 5, coupling=0.7),
    mp.Clock(mp.cubic(2), 4, coupling=-1.0),
]


def test_values_by_hand():
    x = torch.tensor([[0, 0, 1, 2]], dtype=torch.int8)
    potts, clock = mp.Potts(mp.chain(4), 3), mp.Clock(mp.chain(4), 3)
    assert potts.energy(x).item() == -1
    assert clock.energy(x).item() == pytest.approx(-(1 - 1 / 2 - 1 / 2 - 1 / 2))
    for model in (potts, clock):  # three vectors at 120 degrees, in both models
        assert model.observables["magnetisation"](x).item() == pytest.approx(1 / 4)
        assert model.observables["m2"](x).item() == pytest.approx((3 * (4 + 1 + 1) / 16 - 1) / 2)


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_the_kernel_measures_what_the_functions_say(model):
    state = mp.HeatBath(model).init(8, 1.3, seed=1, start="random")
    measured = model.measure(state, tuple(model.observables))
    assert list(measured) == list(model.observables)
    for name, function in model.observables.items():
        expected = function(state.x, torch.from_numpy(state.beta)) if name == "helicity_modulus" else function(state.x)
        np.testing.assert_allclose(measured[name], expected, atol=1e-13, err_msg=name)


def test_vectors_are_unit_vectors_that_add_up_to_zero():
    for model in (mp.Potts(mp.chain(4), 7), mp.Clock(mp.chain(4), 7)):
        np.testing.assert_allclose(np.linalg.norm(model.table, axis=1), 1)
        np.testing.assert_allclose(model.table.sum(0), 0, atol=1e-14)
    products = mp.Potts(mp.chain(4), 7).table @ mp.Potts(mp.chain(4), 7).table.T
    np.testing.assert_allclose(products[~np.eye(7, dtype=bool)], -1 / 6)


@pytest.mark.parametrize("model", [model for model in MODELS if model.embeds], ids=repr)
def test_the_embedding_keeps_its_promise(model):
    rng = np.random.default_rng(1)
    first, second = model.lattice.bonds.T
    for x in (model.random(50, seed).numpy() for seed in range(4)):
        a, flip = model.embedding(x, rng)
        sites = rng.random(x.shape) < 0.5
        b = np.where(sites, -a, a)
        new = flip(sites)
        assert new.dtype == np.int8 and ((new >= 0) & (new < model.q)).all()
        change = (a[:, first] * a[:, second] - b[:, first] * b[:, second]).sum(1)
        np.testing.assert_allclose(model.energy(new) - model.energy(x), change, atol=1e-12)
        np.testing.assert_array_equal(np.where(sites, flip(sites), x), new)
        assert (a != 0).any(1).mean() > 0.5


def test_a_frustrated_antiferromagnet_has_no_embedding():
    potts = mp.Potts(mp.square(3), 3, coupling=-1.0)
    for sampler in (mp.Wolff, mp.SwendsenWang):
        with pytest.raises(ValueError, match=sampler.__name__):
            sampler(potts)


@pytest.mark.parametrize("sampler", [mp.Metropolis, mp.HeatBath], ids=lambda s: s.__name__)
def test_neither_slices_nor_cuts_change_the_lattice(sampler):
    model = mp.Clock(mp.triangular(5), 6)
    state = sampler(model).init(6, np.linspace(0.5, 2, 6), seed=5)
    again = state.copy()
    changed = sampler(model).step(state, 40).flipped
    assert changed.shape == (6,) and (changed > 0).all()
    for _ in range(4):
        sampler(model).step(again, 10)
    assert (state.x == again.x).all()
    kernel, tables = model.kernel(sampler.rule)
    whole, part = model.random(6, 1).numpy(), model.random(6, 1).numpy()[4:]
    kernel(whole, *tables, state.beta, np.arange(6), np.uint64(7), np.int64(3), 20)
    kernel(part, *tables, state.beta[4:], np.arange(4, 6), np.uint64(7), np.int64(3), 20)
    np.testing.assert_array_equal(whole[4:], part)


@pytest.mark.parametrize("sampler", [mp.Metropolis, mp.HeatBath], ids=lambda s: s.__name__)
@pytest.mark.parametrize("temperature", [1e-6, 0.004, 0.05])
def test_no_temperature_is_too_low(sampler, temperature):
    # A ring of ferromagnets orders, without overflow, and stays ordered.
    model = mp.Clock(mp.chain(4), 8)
    state = sampler(model).init(64, temperature, seed=1, start="random")
    before = model.energy(state.x)
    sampler(model).step(state, 400)
    after = model.energy(state.x)
    assert (after <= before + 1e-12).all() and (after < -3.99).double().mean() > 0.5


def test_warm_and_cold_kernels_agree():
    # Just below and just above the temperature where products of Boltzmann factors would leave the range of floats.
    model, limit = mp.Potts(mp.square(6), 3), 4 * (2 / 3) / 700
    x = [model.random(4, 1).numpy() for _ in range(2)]
    for rule in ("metropolis", "heat_bath"):
        kernel, tables = model.kernel(rule)
        for array, factor in zip(x, (0.999, 1.001), strict=True):
            kernel(array, *tables, np.full(4, 1 / (factor * limit)), np.arange(4), np.uint64(1), np.int64(0), 30)
        np.testing.assert_array_equal(*x)


def test_starts():
    potts = mp.Potts(mp.square(4), 3)
    assert potts.ordered(4)[:, 0].tolist() == [0, 1, 2, 0]
    assert (potts.start(2) == potts.ordered(2)).all()
    assert len(np.unique(mp.Potts(mp.square(4), 3, coupling=-1.0).start(8))) == 3
    assert potts.check_start(np.full((2, 16), 2.0), 2).dtype == torch.int8
    for bad in (np.full((2, 16), 3), np.full((2, 16), 0.5), np.full((2, 16), -1)):
        with pytest.raises(ValueError, match="whole numbers from 0 to q - 1 = 2"):
            potts.check_start(bad, 2)
    with pytest.raises(ValueError, match="start has 3"):
        potts.check_start(np.zeros((3, 16)), 2)


@pytest.mark.parametrize("model", [mp.Potts, mp.Clock])
def test_bad_arguments(model):
    for q in (1, 2.5, True, MOST_VALUES + 1):
        with pytest.raises(ValueError, match=f"q={q}"):
            model(mp.square(4), q)
    with pytest.raises(ValueError, match="coupling=nan"):
        model(mp.square(4), 3, float("nan"))
    with pytest.raises(ValueError, match="lattice=4"):
        model(4, 3)
    with pytest.raises(ValueError, match="x has shape"):
        model(mp.square(4), 3).energy(np.zeros((2, 15)))
    with pytest.raises(ValueError, match="Overrelaxation"):
        mp.Overrelaxation(model(mp.square(4), 3))
