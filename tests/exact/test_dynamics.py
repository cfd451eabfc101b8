"""Real time: rates against Schrödinger's equation on all states, a quench against its exact evolution."""

import numpy as np
import pytest
import torch

import mlphys as mp
from mlphys import chain
from mlphys.exact.quantum import evolution
from mlphys.hamiltonians.born import Born
from mlphys.nets import RBM, ProjectedRBM, TranslationRBM
from mlphys.nets.wavefunctions import WaveFunction
from mlphys.vmc import evolve, observables, polarise
from mlphys.vmc.dynamics import SCHEMES, _load, _rate, _values

MODELS = [mp.TransverseIsing(chain(6), field=0.7), mp.HeisenbergJ1J2(mp.square(2, 4), j2=0.3)]


class Plain(WaveFunction):
    """The same amplitudes by the paths that work for every network."""

    def __init__(self, psi):
        super().__init__()
        self.n_sites, self.psi = psi.n_sites, psi

    def log_psi(self, x):
        return self.psi.log_psi(x)


class Turned(WaveFunction):
    """Real parameters, complex amplitudes: pairs with strengths and phases."""

    def __init__(self, n_sites):
        super().__init__()
        self.n_sites = n_sites
        self.strengths = torch.nn.Parameter(torch.linspace(-0.1, 0.1, n_sites * n_sites, dtype=torch.float64).view(2, -1))

    def log_psi(self, x):
        pairs = torch.stack([(x * x.roll(k, 1)).double().sum(1) for k in range(1, 1 + self.strengths.shape[1])], dim=1)
        return torch.complex(pairs @ self.strengths[0], pairs @ self.strengths[1])


def states(model):
    return torch.from_numpy(model.spins(model.basis(0 if model.conserves_magnetisation else None)))


def vector(psi, model):
    log = psi.log_psi(states(model)).detach()
    amplitudes = (log - log.real.max()).exp().numpy()
    return amplitudes / np.linalg.norm(amplitudes)


def shaken(lattice, hidden=3, dtype=torch.complex128):
    psi = ProjectedRBM(lattice, hidden, dtype, seed=1)
    with torch.no_grad():
        for parameter in psi.parameters():
            parameter *= 40
    return psi


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128], ids=str)
@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_a_projected_machine_by_both_paths(model, dtype):
    psi, x = shaken(model.lattice, dtype=dtype), states(model)
    amplitudes = vector(psi, model)
    for permutation in model.lattice.translations:
        assert (psi.log_psi(x[:, permutation]) - psi.log_psi(x)).abs().max() < 1e-10
    exact = model.to_sparse(0 if model.conserves_magnetisation else None) @ amplitudes / amplitudes
    np.testing.assert_allclose(psi.local_energies(model, x).numpy(), exact, rtol=1e-9, atol=1e-9)
    generic = Plain(psi).tangent(x).centred.numpy()
    np.testing.assert_allclose(psi.tangent(x).centred.numpy(), generic, atol=1e-10)
    run = mp.run(mp.Metropolis(Born(psi, model)), 400, chains=64, thin=5, seed=3, keep=True)
    powers = 1 << np.arange(psi.n_sites)
    numbers, codes = ((1 - part.reshape(-1, psi.n_sites).numpy().astype(int)) // 2 @ powers for part in (x, run.x))
    expected = np.abs(amplitudes) ** 2 * len(codes)
    counts = np.array([(codes == number).sum() for number in numbers])
    often = expected > 10
    found, wanted = (np.append(part[often], part[~often].sum() + 1e-9) for part in (counts, expected))
    freedom = len(found) - 1 - often.all()
    assert abs(((found - wanted) ** 2 / wanted).sum() - freedom) < 4 * np.sqrt(2 * freedom)


@pytest.mark.parametrize("network, size", [(RBM, 1), (TranslationRBM, 2), (ProjectedRBM, 3)])
def test_a_polarised_state_is_uniform_and_moves_as_it_should(network, size):
    """All states are equally likely: their plain means are exact, and so is the rate."""
    model = mp.TransverseIsing(chain(6), field=0.8)
    psi = polarise(network(6 if network is RBM else model.lattice, size, torch.complex128), seed=3)
    start, x = vector(psi, model), states(model)
    np.testing.assert_allclose(start / start[0], 1, atol=1e-12)
    rate = _rate(model, psi, x, 0.5, cutoff=1e-8, noise=0.0)
    assert rate.residual < 1e-8
    values, dt = _values(psi), 1e-3
    _load(psi, values + dt * torch.from_numpy(rate.change))
    (exact,) = evolution(model, start, [dt])
    # The first order is right: what is left grows with the square of dt.
    moved = np.linalg.norm(exact - np.vdot(start, exact) * start)
    assert np.sqrt(1 - abs(np.vdot(vector(psi, model), exact)) ** 2) < 0.02 * moved


def test_real_parameters_follow_as_well_as_they_can():
    """McLachlan: no other real change brings O θ' nearer to −i(H − E)ψ."""
    model, psi = mp.TransverseIsing(chain(6)), Turned(6)
    x = states(model)[::3]
    rate = _rate(model, psi, x, 0.5, cutoff=1e-14, noise=0.0)
    derivatives, local = psi.tangent(x).centred.numpy(), psi.local_energies(model, x).numpy()
    goal = -1j * (local - local.mean())
    rows, right = (np.concatenate([part.real, part.imag]) for part in (derivatives, goal))
    best, *_ = np.linalg.lstsq(rows, right, rcond=1e-7)
    assert rate.change.dtype == np.float64
    np.testing.assert_allclose(derivatives @ rate.change, derivatives @ best, atol=1e-8)
    left = np.linalg.norm(goal - derivatives @ best) ** 2 / np.linalg.norm(goal) ** 2
    assert abs(rate.residual - left) < 1e-8


def test_noisy_directions_are_left_out():
    model, psi = mp.TransverseIsing(chain(6)), shaken(chain(6))
    x = observables.sample(model, psi, 960, seed=1).flatten(0, 1)
    plain, careful, deaf = (_rate(model, psi, x, 0.5, 1e-8, noise) for noise in (0.0, 2.0, 1e6))
    assert plain.residual < careful.residual < deaf.residual
    assert abs(deaf.residual - 1) < 1e-6 and np.abs(deaf.change).max() < 1e-6


@pytest.mark.parametrize("scheme", SCHEMES)
def test_schemes_satisfy_their_order_conditions(scheme):
    rows, weights, lower, order = SCHEMES[scheme]
    stages = len(weights)
    matrix = np.zeros((stages, stages))
    for k, row in enumerate(rows, start=1):
        matrix[k, : len(row)] = row
    nodes = matrix.sum(1)
    conditions = [(np.ones(stages), 1, 1), (nodes, 1 / 2, 2), (nodes**2, 1 / 3, 3), (matrix @ nodes, 1 / 6, 3)]
    for terms, value, needed in conditions:
        for part, reaches in ((weights, order), (lower, order - 1)):
            if needed <= reaches:
                assert abs(part @ terms - value) < 1e-14
    assert abs(np.subtract(weights, lower) @ conditions[order - 1][0]) > 0.05


def test_a_quench_follows_the_exact_evolution():
    model = mp.TransverseIsing(chain(8))
    psi = polarise(ProjectedRBM(model.lattice, 6, torch.complex128), seed=1)
    moments = list(evolve(model, psi, until=0.6, dt=0.05, seed=1, samples=2016))
    times = [moment.time for moment in moments]
    np.testing.assert_allclose(times, np.arange(13) * 0.05, atol=1e-12)
    flipped = model.basis()[:, None] ^ (1 << np.arange(8))
    exact = [(s.conj()[:, None] * s[flipped]).sum(0).real.mean() for s in evolution(model, np.full(256, 1 / 16), times)]
    for moment, value in zip(moments, exact, strict=True):
        sigma_x = moment.observables["sigma_x"]
        assert abs(sigma_x.mean - value) < 0.01 + 4 * sigma_x.error
        assert abs(moment.energy.mean + 8) < 0.15 + 4 * moment.energy.error
    assert moments[-1].residual < 0.05 and len(moments[-1].observables["correlation"]) == 8
    # The state itself, without the noise of a measurement.
    last = vector(psi, model)
    assert abs((last.conj()[:, None] * last[flipped]).sum(0).real.mean() - exact[-1]) < 0.01


def test_steps_adapt_end_in_time_and_repeat():
    model = mp.TransverseIsing(chain(6))

    def steps():
        psi = polarise(ProjectedRBM(model.lattice, 4, torch.complex128))
        options = {"tolerance": 0.03, "samples": 480, "scheme": "heun", "observe": {"sigma_x": observables.sigma_x}}
        return [(moment.dt, moment.energy.mean) for moment in evolve(model, psi, 0.3, 0.2, seed=5, **options)]

    found = steps()
    taken = np.array([dt for dt, _ in found[1:]])
    assert abs(taken.sum() - 0.3) < 1e-12 and taken[0] < 0.2 and len(set(taken.round(6))) > 2
    assert found == steps()


def test_refusals():
    model = mp.TransverseIsing(chain(6))
    psi = polarise(ProjectedRBM(model.lattice, 2, torch.complex128))
    for options in ({"until": -1}, {"dt": 0}, {"tolerance": 0}, {"scheme": "euler"}, {"samples": 100}):
        with pytest.raises(ValueError, match=next(iter(options))):
            evolve(model, psi, **{"until": 1.0, **options})
    with pytest.raises(ValueError, match="RBM is real"):
        evolve(model, RBM(6), 1.0)
