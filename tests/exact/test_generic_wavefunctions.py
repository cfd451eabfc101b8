"""The paths that work for every network: real parameters with complex amplitudes, batches, slices, devices."""

import elsewhere
import numpy as np
import pytest
import torch
from torch import nn

import mlphys as mp
from mlphys import chain, square
from mlphys.hamiltonians.born import Born
from mlphys.nets.wavefunctions import WaveFunction
from mlphys.vmc import draw, natural_gradient

MODELS = [mp.TransverseIsing(chain(8), field=0.7), mp.HeisenbergJ1J2(square(2, 4), j2=0.5)]


class Phased(WaveFunction):
    """Real parameters, amplitude and phase each from a small network."""

    def __init__(self, n_sites, dtype=torch.float64, seed=1):
        super().__init__()
        self.n_sites, generator = n_sites, torch.Generator().manual_seed(seed)
        self.first = nn.Parameter(torch.randn(n_sites, 6, dtype=dtype, generator=generator))
        self.second = nn.Parameter(torch.randn(6, 2, dtype=dtype, generator=generator))

    def log_psi(self, x):
        return torch.view_as_complex((torch.tanh(x.to(self.first.dtype) @ self.first) @ self.second).contiguous())


def states(n, n_sites, seed=1):
    return torch.from_numpy(np.sign(np.random.default_rng(seed).normal(size=(n, n_sites))).astype(np.int8))


def test_a_step_of_real_parameters_fits_complex_local_energies():
    psi, x, rng = Phased(8), states(40, 8), np.random.default_rng(2)
    local = rng.normal(size=40) + 1j * rng.normal(size=40)
    near = rng.normal(size=60)
    tangent = psi.tangent(x)
    derivatives = psi.log_derivatives(x).numpy()
    derivatives = derivatives - derivatives.mean(0)
    error = local - local.mean()
    for start in (np.zeros(()), near):
        first, second = (natural_gradient(tangent, local, 1e-3, space, start) for space in ("samples", "parameters"))
        assert first.dtype == np.float64 and np.abs(first).max() > 1e-2
        np.testing.assert_allclose(first, second, atol=1e-8)
        # What is minimised, |O change − error|² / batch + shift |change − start|², as one real problem of least squares.
        rows = np.concatenate([derivatives.real, derivatives.imag, np.sqrt(1e-3 * 40) * np.eye(60)])
        wanted = np.concatenate([error.real, error.imag, np.sqrt(1e-3 * 40) * (start + np.zeros(60))])
        np.testing.assert_allclose(first, np.linalg.lstsq(rows, wanted, rcond=None)[0], atol=1e-8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_derivatives_of_real_parameters_agree_with_differences(dtype):
    psi, x = Phased(6, dtype), states(5, 6)
    found = psi.log_derivatives(x)
    assert found.dtype == torch.complex128
    double = Phased(6)
    for parameter, source in zip(double.parameters(), psi.parameters(), strict=True):
        parameter.data = source.detach().double()
    flat = nn.utils.parameters_to_vector(double.parameters()).detach()
    for index in range(0, len(flat), 7):
        values = []
        for sign in (1, -1):
            moved = flat.clone()
            moved[index] += sign * 1e-6
            nn.utils.vector_to_parameters(moved, double.parameters())
            values.append(double.log_psi(x).detach())
        tolerance = 1e-8 if dtype == torch.float64 else 1e-5
        assert (found[:, index] - (values[0] - values[1]) / 2e-6).abs().max() < tolerance


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_batches_change_nothing(model):
    psi, x = Phased(8), Born(Phased(8), model).random(50, seed=1)
    whole = psi.local_energies(model, x), psi.log_derivatives(x)
    psi.batch = 16
    parts = psi.local_energies(model, x), psi.log_derivatives(x)
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
    states, elements = model.connected(x)
    ratios = (psi.log_psi(states.flatten(0, 1)).reshape(elements.shape) - psi.log_psi(x)[:, None]).exp()
    torch.testing.assert_close(whole[0], (elements * ratios).sum(1).detach(), rtol=1e-10, atol=1e-10)


class Counted(Phased):
    """Remembers how many states each pass had."""

    def log_psi(self, x):
        self.passes.append(len(x))
        return super().log_psi(x)


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_no_pass_is_larger_than_a_batch_and_none_is_idle(model):
    psi = Counted(8)
    psi.batch, psi.passes = 64, []
    x = Born(psi, model).random(50, seed=1)
    psi.local_energies(model, x)
    acting = int(model.acts(x).sum())
    assert max(psi.passes) <= 64 and sum(psi.passes) == len(x) + acting
    assert len(psi.passes) == 1 + -(-acting // 64)


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_slices_of_the_chains_and_of_time_change_nothing(model):
    psi = Counted(8)
    psi.passes = []
    sweeps = Born(psi, model).kernel("metropolis")[0]
    x = Born(psi, model).random(12, seed=1).numpy()
    whole, cut = x.copy(), x.copy()
    accepted = sweeps(whole, np.ones(12), np.arange(12), 5, 3, 4)
    # One pass at the start, one for each proposal.
    assert len(psi.passes) == 1 + 4 * 8 and 0 < accepted.mean() < 4 * 8
    for part in (slice(0, 5), slice(5, 12)):
        for first, number in ((3, 1), (4, 3)):
            sweeps(cut[part], np.ones(12)[part], np.arange(12)[part], 5, first, number)
    assert (whole == cut).all() and (whole != x).any()


LATTICE = square(2, 4)
NETWORKS = {
    "any": lambda: Phased(8),
    "projected": lambda: mp.nets.Symmetric(Phased(8), LATTICE.translations, flip=1),
    "autoregressive": lambda: mp.nets.MaskedConvolution(LATTICE, channels=4, phase=True),
    "transformer": lambda: mp.nets.ViT(LATTICE, dimension=4, heads=2, layers=1),
    "machine": lambda: mp.nets.RBM(8),
}


CASES = [(network, {"space": "samples"}) for network in NETWORKS]
CASES += [("any", {"space": "parameters"}), ("any", {"method": "adam"})]


@pytest.mark.parametrize("network, options", CASES, ids=str)
def test_a_network_on_another_device_does_the_same_there(network, options, monkeypatch):
    """And nothing but states, vectors and numbers travels."""
    model = MODELS[1]

    def energies(psi):
        steps = mp.vmc.ground_state(model, psi, 2, samples=48, chains=24, seed=1, burn_in=2, **options)
        return [step.energy.mean for step in steps] + [mp.vmc.expectation(model, psi, 48, 24, burn_in=2).energy.mean]

    here = energies(NETWORKS[network]())
    monkeypatch.setattr(nn.utils, "vector_to_parameters", elsewhere.vector_to_parameters)
    with elsewhere.Elsewhere():
        there = energies(elsewhere.sent(NETWORKS[network]()))
    np.testing.assert_allclose(here, there, rtol=1e-9)


def test_exact_samples_are_independent_and_take_the_place_of_chains():
    model = mp.TransverseIsing(chain(6), field=0.7)
    psi = mp.nets.MaskedConvolution(model.lattice, channels=8, seed=3)
    with torch.no_grad():
        psi.output *= 30
    sampler = mp.Metropolis(Born(psi, model))
    state = sampler.init(8, seed=1)
    first, second = (draw(sampler, state, 500)[0] for _ in range(2))
    again = draw(sampler, sampler.init(8, seed=1), 500)[0]
    assert (first == again).all() and (first != second).any()
    chains = mp.run(sampler, 500, chains=8, seed=1, keep=True, burn_in=0).x
    basis = torch.from_numpy(model.spins(model.basis()))
    probabilities = psi.log_prob(basis).exp().detach().numpy()
    assert probabilities.max() > 4 * probabilities.mean()
    for x in (first, chains.flatten(0, 1)):
        counts = np.bincount(((1 - x.long()) // 2 @ (1 << torch.arange(6))).numpy(), minlength=64)
        expected = 4000 * probabilities
        rare = expected < 5
        found, wanted = (np.append(part[~rare], part[rare].sum()) for part in (counts, expected))
        assert abs(((found - wanted) ** 2 / wanted).sum() - len(found)) < 4 * np.sqrt(2 * len(found))


@pytest.mark.parametrize("characters, flip", [(None, 1), ("signs", None), ("phases", -1)])
@pytest.mark.parametrize("name", ["real", "complex", "phased"])
def test_derivatives_of_a_projection_are_means_over_the_images(name, characters, flip):
    psi = Phased(8) if name == "phased" else mp.nets.RBM(8, dtype=torch.complex128 if name == "complex" else torch.float64)
    with torch.no_grad():
        for parameter in psi.parameters():
            parameter *= 1 if name == "phased" else 20
    numbers = {None: None, "signs": (0, 2), "phases": (1, 1)}[characters]
    characters = None if numbers is None else mp.nets.momentum(LATTICE, numbers)
    projected, x = mp.nets.Symmetric(psi, LATTICE.translations, characters, flip), states(40, 8)
    # Not where the projection is zero, by symmetry.
    x = x[projected.log_psi(x).real > -20]
    assert len(x) > 10
    automatic = WaveFunction._jacobian(projected, x)
    torch.testing.assert_close(projected._jacobian(x), automatic, rtol=1e-8, atol=1e-8)
