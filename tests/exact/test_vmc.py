"""Variational Monte Carlo against what can be enumerated: energies, gradients, the two spaces, the chains."""

import numpy as np
import pytest
import torch

import mlphys as mp
from mlphys import chain, square, triangular
from mlphys.hamiltonians.born import Born
from mlphys.nets import RBM, TranslationRBM
from mlphys.nets.wavefunctions import WaveFunction
from mlphys.vmc import Diverged, natural_gradient

MODELS = [mp.TransverseIsing(chain(8), field=0.7), mp.HeisenbergJ1J2(chain(8), j2=0.3), mp.XXZ(square(2, 4), marshall=False)]
DTYPES = [torch.float64, torch.complex128]


def machine(n_sites, dtype, seed=1, scale=20.0):
    """An RBM far from the uniform state."""
    psi = RBM(n_sites, alpha=2, dtype=dtype, seed=seed)
    with torch.no_grad():
        for parameter in psi.parameters():
            parameter *= scale
    return psi


def symmetric_machine(lattice, dtype):
    psi = TranslationRBM(lattice, alpha=2, dtype=dtype, seed=1)
    with torch.no_grad():
        for parameter in psi.parameters():
            parameter *= 20
    return psi


class Plain(WaveFunction):
    """The same amplitudes by the paths that work for every network."""

    def __init__(self, psi):
        super().__init__()
        self.n_sites, self.psi = psi.n_sites, psi

    def log_psi(self, x):
        return self.psi.log_psi(x)


def everything(model):
    """All states of the sector, their amplitudes' matrix and the Hamiltonian's."""
    sector = 0 if model.conserves_magnetisation else None
    return torch.from_numpy(model.spins(model.basis(sector))), model.to_sparse(sector)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_local_energies_on_all_states_give_the_exact_mean(model, dtype):
    x, matrix = everything(model)
    psi, symmetric = machine(8, dtype), symmetric_machine(model.lattice, dtype)
    for network in (psi, Plain(psi), symmetric):
        amplitudes = network.log_psi(x).exp().detach().numpy()
        exact = matrix @ amplitudes / amplitudes
        np.testing.assert_allclose(network.local_energies(model, x).numpy(), exact, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("lattice", [chain(7), square(2, 4), triangular(3)], ids=repr)
def test_translations_leave_a_symmetric_machine_alone(lattice, dtype):
    psi = symmetric_machine(lattice, dtype)
    x = torch.from_numpy(np.sign(np.random.default_rng(1).normal(size=(5, lattice.n_sites))))
    value = psi.log_psi(x)
    assert value.real.std() > 0.1
    for permutation in lattice.translations:
        assert (psi.log_psi(x[:, permutation]) - value).abs().max() < 1e-10
    compiled, generic = psi.tangent(x), Plain(psi).tangent(x)
    np.testing.assert_allclose(compiled.centred.numpy(), generic.centred.numpy(), atol=1e-10)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_derivatives_of_both_paths_agree_with_differences(dtype):
    psi, x = machine(6, dtype), torch.from_numpy(np.sign(np.random.default_rng(1).normal(size=(5, 6))))
    exact = psi.tangent(x).centred
    np.testing.assert_allclose(Plain(psi).tangent(x).centred.numpy(), exact.numpy(), atol=1e-10)
    flat = torch.cat([parameter.detach().ravel() for parameter in psi.parameters()])
    steps = 1e-6 * torch.eye(len(flat), dtype=flat.dtype)[:: len(flat) // 7]
    for step in steps:
        values = []
        for sign in (1, -1):
            torch.nn.utils.vector_to_parameters(flat + sign * step, psi.parameters())
            values.append(psi.log_psi(x).detach())
        torch.nn.utils.vector_to_parameters(flat, psi.parameters())
        slope = (values[0] - values[1]) / 2e-6
        np.testing.assert_allclose((slope - slope.mean()).numpy(), exact[:, step != 0][:, 0].numpy(), atol=1e-7)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_both_spaces_give_the_same_step(dtype):
    psi, rng = machine(8, dtype, scale=5), np.random.default_rng(2)
    x = torch.from_numpy(np.sign(rng.normal(size=(60, 8))))
    local = rng.normal(size=60) + (1j * rng.normal(size=60) if dtype.is_complex else 0)
    near = rng.normal(size=psi.tangent(x).n_parameters)
    for tangent in (psi.tangent(x), Plain(psi).tangent(x)):
        for start in (np.zeros(()), near):
            first, second = (natural_gradient(tangent, local, 1e-3, space, start) for space in ("samples", "parameters"))
            assert np.abs(first).max() > 1e-2
            np.testing.assert_allclose(first, second, atol=1e-8)
        # The result is where the gradient of what is minimised vanishes.
        residual = tangent.push_forward(first) - (local - local.mean())
        assert np.abs(tangent.pull_back(residual) / 60 + 1e-3 * (first - near)).max() < 1e-10


def test_the_force_is_the_gradient_of_the_energy():
    model = mp.TransverseIsing(chain(6), field=0.7)
    psi, (x, matrix) = machine(6, torch.float64), everything(model)

    def energy():
        amplitudes = psi.log_psi(x).exp()
        dense = torch.from_numpy(matrix.toarray())
        return amplitudes @ dense @ amplitudes / (amplitudes @ amplitudes)

    energy().backward()
    gradient = torch.cat([parameter.grad.ravel() for parameter in psi.parameters()]).numpy()
    weights = (2 * psi.log_psi(x)).exp().detach().numpy()
    weights /= weights.sum()
    derivatives, local = psi.log_derivatives(x).numpy(), psi.local_energies(model, x).numpy()
    force = 2 * (weights * (local - weights @ local)) @ derivatives
    np.testing.assert_allclose(force, gradient, atol=1e-10)


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "any network"])
@pytest.mark.parametrize("model", [MODELS[0], MODELS[1]], ids=repr)
def test_chains_follow_born(model, compiled):
    """χ² of thinned samples against |ψ|² of all states."""
    psi = machine(8, torch.complex128, scale=15)
    born = Born(psi if compiled else Plain(psi), model)
    x, _ = everything(model)
    weights = (2 * psi.log_psi(x).real).exp().detach().numpy()
    probabilities = weights / weights.sum()
    samples, thin = (400, 10) if compiled else (40, 10)
    run = mp.run(mp.Metropolis(born), samples, chains=64, thin=thin, seed=3, keep=True)
    codes = ((1 - run.x.reshape(-1, 8).numpy().astype(int)) // 2) @ (1 << np.arange(8))
    sector = model.basis(0 if model.conserves_magnetisation else None)
    counts = np.bincount(np.searchsorted(sector, codes), minlength=len(sector))
    expected = probabilities * len(codes)
    rare = expected < 10
    found, wanted = (np.append(part[~rare], part[rare].sum() + 1e-9) for part in (counts, expected))
    freedom = len(found) - 1 - (not rare.any())
    chi2 = ((found - wanted) ** 2 / wanted).sum()
    assert abs(chi2 - freedom) < 4 * np.sqrt(2 * freedom)


def test_ground_state_of_a_chain_and_the_same_again():
    model = mp.TransverseIsing(chain(12))
    exact = mp.exact.ground_energy(model)

    def energies(steps):
        psi = RBM(12, alpha=1, seed=1)
        return [step.energy for step in mp.vmc.ground_state(model, psi, steps, samples=512, seed=1)]

    found = energies(150)
    last = found[-30:]
    mean, error = np.mean([e.mean for e in last]), np.sqrt(np.mean([e.error**2 for e in last]) / len(last))
    assert exact - 2 * error < mean < exact * (1 - 2e-3)
    assert [e.mean for e in energies(5)] == [e.mean for e in found[:5]]


def test_heisenberg_chain_conserves_its_sector_and_reaches_the_energy():
    model, psi = mp.HeisenbergJ1J2(chain(12)), RBM(12, alpha=2, seed=1)
    *_, last = mp.vmc.ground_state(model, psi, 200, samples=512, seed=1)
    assert abs(last.energy.mean / mp.exact.ground_energy(model) - 1) < 2e-3
    assert last.rhat < 1.1 and 0 < last.v_score < 5e-3


def test_a_run_that_breaks_down_restores_the_last_good_state():
    model, psi = mp.TransverseIsing(chain(8)), RBM(8)
    with pytest.raises(Diverged, match="lower the rate"), np.errstate(all="ignore"):
        for _ in mp.vmc.ground_state(model, psi, 100, samples=64, rate=1e6):
            pass
    assert all(bool(parameter.isfinite().all()) for parameter in psi.parameters())


def test_refusals():
    model, psi = mp.TransverseIsing(chain(8)), RBM(8)
    for options in ({"samples": 1000}, {"rate": 0}, {"space": "x"}):
        with pytest.raises(ValueError, match=next(iter(options))):
            mp.vmc.ground_state(model, psi, 5, **options)
    with pytest.raises(ValueError, match="dtype"):
        RBM(8, dtype=torch.float32)


@pytest.mark.parametrize("make", [RBM, mp.nets.Jastrow, lambda n: Plain(RBM(n))], ids=["RBM", "Jastrow", "any network"])
def test_chains_of_the_uniform_state_keep_no_parity(make):
    """With every proposal accepted a sweep would always turn an even number of spins."""
    psi = make(8)
    with torch.no_grad():
        for parameter in psi.parameters():
            parameter.zero_()
    run = mp.run(mp.Metropolis(Born(psi, MODELS[0])), samples=100, chains=8, thin=5, seed=1, keep=True)
    changes = (run.x.long().prod(-1).diff(dim=0) != 0).double()
    assert 0.05 < changes.mean() < 0.5
