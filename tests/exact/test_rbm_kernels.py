"""The compiled paths of restricted Boltzmann machines against the ones that work for every network, real and complex."""

import numpy as np
import pytest
import torch

import mlphys as mp
from mlphys import chain, square
from mlphys.hamiltonians.born import Born
from mlphys.nets import RBM
from mlphys.nets.rbm import LARGEST
from mlphys.nets.wavefunctions import Tangent, WaveFunction
from mlphys.vmc import Diverged, draw, natural_gradient

DTYPES = [torch.float64, torch.complex128]
# A number of hidden units, and of samples, that no block divides.
MODELS = [mp.TransverseIsing(chain(9), field=0.7), mp.HeisenbergJ1J2(square(4, 3), j2=0.5, marshall=False)]


def machine(n_sites, dtype, width=0.3):
    psi = RBM(n_sites, alpha=2, dtype=dtype, seed=1)
    with torch.no_grad():
        for parameter in psi.parameters():
            parameter *= width / 0.01
    return psi


def drawn(psi, model, chains=6, rows=25, seed=1, **options):
    sampler = mp.Metropolis(Born(psi, model))
    state = sampler.init(chains, seed=seed, **options)
    x, acceptance = draw(sampler, state, rows, sweeps=2)
    return x, acceptance, state


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_a_draw_is_what_single_steps_give_on_any_number_of_threads(model, dtype, monkeypatch):
    psi = machine(model.lattice.n_sites, dtype)
    x, acceptance, state = drawn(psi, model)
    sampler = mp.Metropolis(Born(psi, model))
    again, parts, accepted = sampler.init(6, seed=1), [], []
    for _ in range(25):
        accepted.append(np.mean(sampler.step(again, 2).acceptance))
        parts.append(again.x.clone())
    assert torch.equal(torch.cat(parts), x) and again.sweep == state.sweep == 50
    assert abs(np.mean(accepted) - acceptance) < 1e-12 and 0.01 < acceptance < 0.9
    assert torch.equal(again.x, state.x) and torch.equal(x[-6:], state.x)
    monkeypatch.setattr("mlphys.threads.thread_count", lambda: 3)
    monkeypatch.setattr("mlphys.threads._WORTHWHILE_SECONDS", 0.0)
    assert torch.equal(drawn(psi, model)[0], x)
    energies = psi.local_energies(model, x)
    monkeypatch.undo()
    assert torch.equal(psi.local_energies(model, x), energies)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_local_energies_and_overlaps_of_strong_weights(model, dtype):
    psi = machine(model.lattice.n_sites, dtype, width=1.5)
    x, _, _ = drawn(psi, model)
    generic = WaveFunction.local_energies(psi, model, x)
    np.testing.assert_allclose(psi.local_energies(model, x).numpy(), generic.numpy(), rtol=1e-9)
    compiled, tangent = psi.tangent(x), Tangent(psi._jacobian(x))
    exact = np.tril(np.asarray(tangent.overlaps()))
    assert np.abs(np.tril(compiled.overlaps()) - exact).max() < 1e-12 * np.abs(exact).max()
    values = np.random.default_rng(1).normal(size=(2, len(x)))
    values = values[0] + 1j * values[1] if dtype.is_complex else values[0]
    scale = np.abs(tangent.pull_back(values)).max()
    # Before the mean is taken away from the derivatives, or after from the values: the same change of the parameters.
    np.testing.assert_allclose(compiled.pull_back(values), tangent.pull_back(values), atol=1e-12 * scale)
    changes = [natural_gradient(part, values, 1e-3, "samples") for part in (compiled, tangent)]
    changes.append(natural_gradient(compiled, values, 1e-3, "parameters"))
    for change in changes[1:]:
        assert np.abs(change - changes[0]).max() < 1e-8 * max(1, np.abs(change).max())


def test_the_panels_of_the_overlaps_join():
    """More samples than a panel holds."""
    psi = machine(9, torch.complex128)
    x, _, _ = drawn(psi, MODELS[0], chains=10, rows=30)
    exact = np.asarray(Tangent(psi._jacobian(x)).overlaps())
    assert np.abs(np.tril(psi.tangent(x).overlaps() - exact)).max() < 1e-10


@pytest.mark.parametrize("beta", [0.5, 2.0])
def test_powers_of_the_distribution(beta):
    """⟨σᶻσᶻ⟩ under |ψ|^(2β) against the sum over all states."""
    model = mp.TransverseIsing(chain(8))
    psi = machine(8, torch.complex128, width=0.15)
    states = torch.from_numpy(model.spins(model.basis()))
    weights = (2 * beta * psi.log_psi(states).real).exp().detach().numpy()
    exact = (weights / weights.sum()) @ (states[:, 0] * states[:, 1]).numpy()
    x, _, _ = drawn(psi, model, chains=200, rows=100, temperature=1 / beta)
    series = (x[:, 0] * x[:, 1]).double().reshape(100, 200).numpy()[10:]
    error = series.mean(0).std(ddof=1) / 200**0.5
    assert abs(series.mean() - exact) < 4 * error < 0.1


def test_spins_that_a_large_field_pins_come_back():
    """Weights close to the largest: θ passes ±300, and amplitudes of e^600, without a trace of rounding."""
    psi = RBM(4, alpha=1)
    with torch.no_grad():
        for parameter in psi.parameters():
            parameter.zero_()
        psi.weights[:, 0] = torch.tensor([150.0, -150.0, 20.0, -20.0])
    model = mp.XXZ(chain(4), marshall=False)
    states = torch.from_numpy(model.spins(model.basis(0)))
    generic = WaveFunction.local_energies(psi, model, states)
    np.testing.assert_allclose(psi.local_energies(model, states).numpy(), generic.numpy(), rtol=1e-9)
    x, _, _ = drawn(psi, model, chains=4, rows=50)
    # The largest amplitudes, e^340 times all others.
    assert (x[40:].abs().sum(1) == 4).all() and ((x[40:, 0] == -x[40:, 1]) & (x[40:, 2] == -x[40:, 3])).all()


@pytest.mark.parametrize("name", ["weights", "bias", "visible"])
def test_weights_beyond_all_bounds_are_a_divergence(name):
    model, psi = mp.TransverseIsing(chain(8)), RBM(8)
    for value in (2 * LARGEST, float("nan")):
        with torch.no_grad():
            getattr(psi, name).view(-1)[3] = value
        with pytest.raises(Diverged, match="lower the rate"):
            next(mp.vmc.ground_state(model, psi, 1, samples=64))
        with pytest.raises(Diverged, match="add up"):
            psi.local_energies(model, torch.ones(1, 8))
