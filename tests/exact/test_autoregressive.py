"""Autoregressive and Jastrow wave functions against all states: norms, samples, local energies, derivatives."""

import numpy as np
import pytest
import torch

import mlphys as mp
from mlphys.hamiltonians.born import Born
from mlphys.nets import Jastrow, MaskedConvolution, Recurrent
from mlphys.nets.wavefunctions import WaveFunction

KINDS = [MaskedConvolution, Recurrent]
LATTICES = [mp.chain(9), mp.square(2, 5)]


def strong(psi, factor):
    """A network far from the uniform state."""
    with torch.no_grad():
        for parameter in psi.parameters():
            parameter *= factor
    return psi


def everything(lattice):
    model = mp.TransverseIsing(lattice)
    return torch.from_numpy(model.spins(model.basis()))


class Plain(WaveFunction):
    """The same amplitudes by the paths that work for every network."""

    def __init__(self, psi):
        super().__init__()
        self.n_sites, self.psi = psi.n_sites, psi

    def log_psi(self, x):
        return self.psi.log_psi(x)


def chi2(x, probabilities):
    """χ² of samples against the probabilities of all states, in standard deviations of what it should be."""
    counts = np.bincount(((1 - x.numpy().astype(int)) // 2) @ (1 << np.arange(x.shape[1])), minlength=len(probabilities))
    expected = probabilities * len(x)
    rare = expected < 10
    found, wanted = (np.append(part[~rare], part[rare].sum()) for part in (counts, expected))
    found, wanted = found[wanted > 0], wanted[wanted > 0]
    freedom = len(found) - 1
    return (((found - wanted) ** 2 / wanted).sum() - freedom) / np.sqrt(2 * freedom)


@pytest.mark.parametrize("phase", [False, True], ids=["positive", "complex"])
@pytest.mark.parametrize("lattice", LATTICES, ids=repr)
@pytest.mark.parametrize("kind", KINDS)
def test_probabilities_sum_to_one_and_samples_follow_them(kind, lattice, phase):
    x = everything(lattice)
    odd = lattice.n_sites % 2
    for magnetisation in (None, odd, odd - 4):
        psi = strong(kind(lattice, 4, magnetisation=magnetisation, phase=phase, seed=1), 3)
        log_prob, log_psi = psi.log_prob(x).detach(), psi.log_psi(x).detach()
        assert abs(log_prob.exp().sum() - 1) < 1e-10 and log_psi.is_complex() == phase
        assert torch.equal(log_prob, 2 * log_psi.real)
        if magnetisation is not None:
            assert torch.equal(log_prob.isfinite(), x.sum(1) == magnetisation)
        samples, log_q = psi.sample(20000, seed=2)
        assert samples.dtype == torch.int8 and (psi.log_prob(samples) - log_q).abs().max() < 1e-10
        assert abs(chi2(samples, log_prob.exp().numpy())) < 4


@pytest.mark.parametrize("lattice", LATTICES, ids=repr)
@pytest.mark.parametrize("kind", KINDS)
def test_every_step_looks_back_only_and_as_far_as_it_can(kind, lattice):
    psi = strong(kind(lattice, 4, phase=True, seed=1), 2)
    s = everything(lattice)[::37].double()
    memory, before = psi.start(s), psi.outputs(s)
    for t in range(lattice.n_sites):
        later = s.clone()
        later[:, t:] *= -1
        assert torch.equal(psi.outputs(later)[:, : t + 1], before[:, : t + 1])
        one_by_one = psi.advance(t, torch.where(torch.arange(lattice.n_sites) < t, s, np.nan), memory)
        assert (one_by_one - before[:, t]).abs().max() < 1e-12
        changed = s.clone()
        changed[:, t] *= -1
        assert t + 1 == lattice.n_sites or (psi.outputs(changed)[:, -1] - before[:, -1]).abs().max() > 1e-9


@pytest.mark.parametrize("magnetisation", [None, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_without_outputs_every_allowed_state_is_as_likely(kind, magnetisation):
    lattice = mp.chain(8)
    psi, x = kind(lattice, 4, magnetisation=magnetisation), everything(lattice)
    with torch.no_grad():
        psi.output *= 0
    allowed = slice(None) if magnetisation is None else x.sum(1) == magnetisation
    log_prob = psi.log_prob(x)[allowed]
    assert (log_prob + np.log(len(log_prob))).abs().max() < 1e-12


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_weights_and_samples(kind):
    first, second, other = (kind(mp.chain(6), 4, seed=seed) for seed in (1, 1, 2))
    x = everything(mp.chain(6))
    assert torch.equal(first.log_psi(x), second.log_psi(x)) and not torch.equal(first.log_psi(x), other.log_psi(x))
    assert torch.equal(first.sample(50, 3)[0], second.sample(50, 3)[0])
    assert not torch.equal(first.sample(50, 3)[0], first.sample(50, 4)[0])


@pytest.mark.parametrize(
    "kind, model", [(MaskedConvolution, mp.TransverseIsing(mp.chain(8))), (Recurrent, mp.HeisenbergJ1J2(mp.square(2, 4)))]
)
def test_training_reaches_the_ground_state(kind, model):
    psi = kind(model.lattice, 6, magnetisation=0 if model.conserves_magnetisation else None, seed=1)
    energies = [step.energy for step in mp.vmc.ground_state(model, psi, 60, samples=256, seed=1)][-10:]
    mean = np.mean([energy.mean for energy in energies])
    error = np.sqrt(np.mean([energy.error**2 for energy in energies]) / 10)
    exact = mp.exact.ground_energy(model)
    assert exact - 3 * error < mean < exact * (1 - 5e-3)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128], ids=str)
@pytest.mark.parametrize("model", [mp.TransverseIsing(mp.chain(8)), mp.HeisenbergJ1J2(mp.square(2, 4), j2=0.3)], ids=repr)
def test_jastrow_local_energies_and_derivatives(model, dtype):
    x = torch.from_numpy(model.spins(model.basis(0 if model.conserves_magnetisation else None)))
    for sites in (8, model.lattice):
        psi = strong(Jastrow(sites, dtype, seed=1), 20)
        amplitudes = psi.log_psi(x).exp().detach().numpy()
        exact = model.to_sparse(0 if model.conserves_magnetisation else None) @ amplitudes / amplitudes
        np.testing.assert_allclose(psi.local_energies(model, x).numpy(), exact, atol=1e-11)
        np.testing.assert_allclose(psi.tangent(x).centred, Plain(psi).tangent(x).centred, atol=1e-11)


@pytest.mark.parametrize("model", [mp.TransverseIsing(mp.chain(8)), mp.HeisenbergJ1J2(mp.square(2, 4), j2=0.3)], ids=repr)
def test_chains_of_a_jastrow_factor_follow_born(model):
    psi = strong(Jastrow(8, torch.complex128, seed=1), 25)
    weights = (2 * psi.log_psi(everything(model.lattice)).real).exp().detach().numpy()
    if model.conserves_magnetisation:
        weights[(everything(model.lattice).sum(1) != 0).numpy()] = 0
    run = mp.run(mp.Metropolis(Born(psi, model)), 400, chains=64, thin=10, seed=3, keep=True)
    assert abs(chi2(run.x.reshape(-1, 8), weights / weights.sum())) < 4


def test_a_jastrow_factor_of_a_lattice_has_its_symmetries():
    lattice = mp.square(4)
    psi = strong(Jastrow(lattice, seed=1), 20)
    x = everything(mp.square(4))[::3001]
    for permutation in (*lattice.translations, *lattice.point_group):
        assert (psi.log_psi(x[:, permutation]) - psi.log_psi(x)).abs().max() < 1e-12


def test_refusals():
    for magnetisation in (1, 10, 0.5):
        with pytest.raises(ValueError, match="magnetisation="):
            MaskedConvolution(mp.chain(8), magnetisation=magnetisation)
    with pytest.raises(ValueError, match="hidden=0"):
        Recurrent(mp.chain(8), hidden=0)
    with pytest.raises(ValueError, match="dtype"):
        Jastrow(8, torch.float32)
    with pytest.raises(ValueError, match="sites=1"):
        Jastrow(1)
