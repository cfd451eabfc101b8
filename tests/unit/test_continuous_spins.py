"""Continuous spins and gauge fields: definitions against slow formulas, symmetries, updates piece by piece, errors."""

import numpy as np
import pytest
import torch

import mlphys as mp
from mlphys.hamiltonians.base import Hamiltonian
from mlphys.kernels import vectors

LOCAL = [mp.Metropolis, mp.HeatBath, mp.Overrelaxation]
MODELS = {
    "XY": mp.XY(mp.square(6, 4)),
    "XY antiferromagnet": mp.XY(mp.square(4, 6), -0.7),
    "XY triangular": mp.XY(mp.triangular(4)),
    "Heisenberg": mp.Heisenberg(mp.cubic(4), 0.6),
    "Heisenberg antiferromagnet": mp.Heisenberg(mp.chain(8), -1.0),
    "gauge": mp.U1Gauge(mp.square(3, 5), 1.7),
}
SPINS = {name: model for name, model in MODELS.items() if name != "gauge"}


@pytest.mark.parametrize("name", SPINS)
def test_energy_is_a_sum_over_bonds(name):
    model = MODELS[name]
    x = model.random(3, seed=1)
    u = model.vectors(x)
    first, second = model.lattice.bonds.T.astype(np.int64)
    expected = -model.coupling * (u[:, first] * u[:, second]).sum((1, 2))
    torch.testing.assert_close(model.energy(x), expected, rtol=1e-13, atol=1e-13)
    ordered = model.ordered(2)
    torch.testing.assert_close(model.energy(ordered), torch.full((2,), -model.coupling * model.lattice.n_bonds).double())
    torch.testing.assert_close(model.observables["m4"](ordered), torch.ones(2).double())


def test_action_is_a_sum_over_plaquettes():
    model = MODELS["gauge"]
    x = model.random(2, seed=1).reshape(2, 3, 5, 2).numpy()
    total = np.zeros(2)
    for row in range(3):
        for column in range(5):
            right, down = (column + 1) % 5, (row + 1) % 3
            angle = x[:, row, column, 0] + x[:, row, right, 1] - x[:, down, column, 0] - x[:, row, column, 1]
            total -= 1.7 * np.cos(angle)
    np.testing.assert_allclose(model.action(torch.from_numpy(x.reshape(2, 15, 2))), total, rtol=1e-13)


@pytest.mark.parametrize("name", [name for name, model in MODELS.items() if model.continuous])
def test_force_is_the_gradient(name):
    x = MODELS[name].random(2, seed=2)
    torch.testing.assert_close(MODELS[name].force(x), Hamiltonian.force(MODELS[name], x), rtol=1e-12, atol=1e-12)


def test_helicity_modulus_is_the_response_to_a_twist():
    """Υ = Σ E'' − β E'² under a twist of every bond along a direction, for one configuration; mean over directions."""
    model, beta = MODELS["XY"], 0.8
    x = model.random(2, seed=3)
    expected = torch.zeros(2).double()
    for step in model.lattice.directions:
        near = x[:, model.lattice.shifted(step).astype(np.int64)]
        e = [-(near - x + twist).cos().sum(1) for twist in (-1e-3, 0.0, 1e-3)]
        expected += (e[2] - 2 * e[1] + e[0]) / 1e-6 - beta * ((e[2] - e[0]) / 2e-3) ** 2
    expected /= 2 * model.lattice.n_sites
    torch.testing.assert_close(model.observables["helicity_modulus"](x, beta), expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="beta=None"):
        model.observables["helicity_modulus"](x)
    state = mp.HeatBath(model).init(2, 1 / beta, seed=1, start=x)
    np.testing.assert_allclose(
        model.measure(state, ["helicity_modulus"])["helicity_modulus"], expected, rtol=1e-4, atol=1e-5
    )


def test_vortices_are_found_where_they_are():
    model = mp.XY(mp.square(8))
    rows, columns = np.indices((8, 8))
    # A vortex in the plaquette of corner (2, 2) and its opposite in that of (5, 5).
    x = sum(sign * np.arctan2(rows - at - 0.5, columns - at - 0.5) for sign, at in ((1, 2), (-1, 5))).reshape(1, -1)
    found = model.vortices(x).reshape(8, 8)
    assert found[2, 2] == 1 and found[5, 5] == -1
    # The angles do not match over the boundary; inside there is nothing else.
    assert found[:7, :7].abs().sum() == 2
    assert model.vortices(model.random(50, seed=1)).sum() == 0
    assert model.observables["vortex_density"](model.random(50, seed=1)).mean() == pytest.approx(1 / 3, abs=0.03)
    assert "vortex_density" not in SPINS["XY triangular"].observables
    with pytest.raises(ValueError, match="square"):
        SPINS["XY triangular"].vortices(SPINS["XY triangular"].random(1))


def test_gauge_transformations_change_nothing_that_is_measured():
    model = MODELS["gauge"]
    x = model.random(4, seed=4)
    gauge = torch.rand(4, 15, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 6
    ahead = [gauge[:, model.lattice.shifted(step).astype(np.int64)] for step in model.lattice.directions]
    turned = x + torch.stack([gauge - other for other in ahead], -1)
    for name, observable in model.observables.items():
        torch.testing.assert_close(observable(turned), observable(x), rtol=1e-12, atol=1e-12, msg=name)
    charge = model.observables["charge"](model.random(200, seed=5))
    assert (charge == charge.round()).all() and charge.unique().numel() > 3


@pytest.mark.parametrize("name", SPINS)
def test_embedding_flips_cost_what_they_say(name):
    model = MODELS[name]
    x = model.random(5, seed=6).numpy()
    amplitudes, flipped = model.embedding(x, np.random.default_rng(1))
    sites = np.random.default_rng(2).random(amplitudes.shape) < 0.5
    first, second = model.lattice.bonds.T.astype(np.int64)

    def ising(a):
        return -(a[:, first] * a[:, second]).sum(1)

    change = (model.energy(flipped(sites)) - model.energy(x)).numpy()
    np.testing.assert_allclose(change, ising(np.where(sites, -amplitudes, amplitudes)) - ising(amplitudes), atol=1e-12)
    np.testing.assert_allclose(flipped(~sites & False), x)
    assert not mp.XY(mp.triangular(3), -1.0).embeds
    with pytest.raises(ValueError, match="XY"):
        mp.Wolff(mp.XY(mp.triangular(3), -1.0))


@pytest.mark.parametrize("sampler", LOCAL, ids=lambda s: s.__name__)
@pytest.mark.parametrize("name", MODELS)
def test_runs_can_be_cut_anywhere(sampler, name, monkeypatch):
    """The same lattice in one call or many, on one thread or two; angles in [−π, π), vectors of length 1."""
    from mlphys import threads

    made = sampler(MODELS[name])
    results = []
    for count, cuts in ((1, (7,)), (2, (3, 1, 3))):
        monkeypatch.setattr(threads, "thread_count", lambda count=count: count)
        monkeypatch.setattr(threads, "_WORTHWHILE_SECONDS", 0.0)
        state = made.init(5, 0.8, seed=3, start="random")
        for sweeps in cuts:
            made.step(state, sweeps)
        results.append(state.x)
    assert (results[0] == results[1]).all()
    if MODELS[name].dimensions == 2:
        assert (results[0] >= -np.pi).all() and (results[0] < np.pi).all()
    else:
        np.testing.assert_allclose(results[0].norm(dim=-1), 1, rtol=1e-13)


def test_series_are_accurate():
    for angle in (*np.linspace(-np.pi, np.pi, 1001), 1e-12):
        c, s = vectors.cos_sin.py_func(angle)
        assert abs(c - np.cos(angle)) < 1.5e-15 and abs(s - np.sin(angle)) < 1.5e-15
        assert (
            abs(vectors.angle_of.py_func(np.cos(angle), np.sin(angle)) - np.arctan2(np.sin(angle), np.cos(angle)))
            % (2 * np.pi)
            < 1e-15
            or angle == np.pi
        )
    assert vectors.angle_of.py_func(-1.0, 0.0) == -np.pi
    for exponent in np.linspace(-1, 40, 101):
        assert vectors.decay.py_func(exponent) == pytest.approx(np.exp(-exponent), rel=1e-12)


def test_reflections_keep_the_energy_and_are_their_own_inverse():
    rng = np.random.default_rng(1)
    for angle, *field in rng.normal(size=(20, 3)):
        spin = np.cos(angle), np.sin(angle)
        there = vectors.reflected.py_func(*spin, *field)
        assert np.dot(there, field) == pytest.approx(np.dot(spin, field), abs=1e-14)
        np.testing.assert_allclose(vectors.reflected.py_func(*there, *field), spin, atol=1e-14)


@pytest.mark.parametrize(
    "build, message",
    [
        (lambda: mp.XY("square"), "lattice='square'"),
        (lambda: mp.XY(mp.square(4), float("nan")), "coupling=nan"),
        (lambda: mp.Heisenberg(mp.square(4), None), "coupling=None"),
        (lambda: mp.U1Gauge(mp.cubic(4), 1.0), "two dimensions"),
        (lambda: mp.U1Gauge(mp.square(4), 0.0), "beta=0.0"),
        (lambda: mp.XY(mp.square(4)).energy(torch.zeros(2, 15)), "x has shape"),
        (lambda: mp.U1Gauge(mp.square(4), 1.0).energy(torch.zeros(2, 16)), "x has shape"),
        (lambda: mp.HeatBath(mp.XY(mp.square(4))).init(2, 1.0, start=torch.full((2, 16), np.nan)), "finite"),
        (lambda: mp.HeatBath(mp.Heisenberg(mp.square(4))).init(2, 1.0, start=torch.ones(2, 16, 3)), "directions"),
        (lambda: mp.HeatBath(mp.U1Gauge(mp.square(4), 1.0)).init(2, start=torch.zeros(3, 16, 2)), "2 chains"),
        (lambda: mp.HeatBath(mp.XY(mp.square(4))).init(2), "temperature=None"),
        (lambda: mp.exact.xy_ring(1, 1.0), "n_sites=1"),
        (lambda: mp.exact.u1_torus(16, -1.0), "beta=-1.0"),
        (lambda: mp.exact.thermal(mp.XY(mp.square(8)), 1.0), "no known exact value"),
    ],
)
def test_bad_arguments_are_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()
