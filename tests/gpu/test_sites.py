"""Updates of single sites on the simulated GPU: spins bit for bit those of the CPU, real numbers up to rounding."""

import numpy as np
import pytest

import mlphys as mp

SPINS = [mp.Ising(mp.square(3, 4), field=0.2), mp.Ising(mp.triangular(4), coupling=-1.0), mp.Ising(mp.chain(3))]
REALS = [
    mp.XY(mp.square(4)),
    mp.XY(mp.triangular(3), coupling=-1.0),
    mp.Phi4(mp.square(4), mass2=-4.0, coupling=6.0),
    mp.Phi4(mp.chain(5), mass2=1.0, coupling=0.0),
    mp.Phi4.from_kappa(mp.square(4), kappa=0.1, coupling=0.8),
    mp.Phi4(mp.square(4), mass2=-12.0, coupling=0.5),  # two wells
]


def advanced(sampler, chains, sweeps, device):
    temperature = None if sampler.hamiltonian.temperature else np.linspace(0.5, 3, chains)
    state = sampler.init(chains, temperature, seed=3, start="random", device=device)
    changed = [sampler.step(state, part).flipped for part in sweeps]
    return state, changed


@pytest.mark.parametrize("model", SPINS, ids=repr)
@pytest.mark.parametrize("kind", [mp.Metropolis, mp.HeatBath])
def test_spins_are_those_of_the_cpu(kind, model):
    (here, changed), (there, changed_there) = (advanced(kind(model), 3, (1, 17), device) for device in ("cpu", "cuda"))
    assert there.device == "cuda" and (here.x == there.x.cpu()).all()
    assert np.array_equal(changed, changed_there)
    names = list(model.observables)
    expected = model.measure(here, names)
    for name, values in model.measure(there, names).items():
        assert np.allclose(values, expected[name], rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("model", REALS, ids=repr)
@pytest.mark.parametrize("kind", [mp.Metropolis, mp.HeatBath, mp.Overrelaxation])
def test_real_numbers_are_those_of_the_cpu(kind, model):
    (here, changed), (there, changed_there) = (advanced(kind(model), 2, (1, 2), device) for device in ("cpu", "cuda"))
    assert there.device == "cuda" and np.array_equal(changed, changed_there)
    np.testing.assert_allclose(there.x.cpu().numpy(), here.x.numpy(), rtol=0, atol=1e-12)
    names = list(model.observables)
    expected = model.measure(here, names)
    for name, values in model.measure(there, names).items():
        assert np.allclose(values, expected[name], atol=1e-11)


@pytest.mark.parametrize("sampler", [mp.Metropolis(mp.XY(mp.square(4))), mp.Overrelaxation(REALS[2])], ids=repr)
def test_a_state_resumes_on_the_other_device(sampler, tmp_path):
    temperature = sampler.hamiltonian.temperature or 1.0
    state = sampler.init(2, temperature, seed=5)
    sampler.step(state, 3)
    moving = sampler.init(2, temperature, seed=5, device="cuda")
    for device in ("cpu", "cuda", "cpu"):
        sampler.step(moving, 1)
        moving.save(tmp_path / "state")
        moving = mp.State.load(tmp_path / "state", device=device)
    np.testing.assert_allclose(moving.x.cpu().numpy(), state.x.numpy(), rtol=0, atol=1e-12)


def test_hmc_runs_on_the_gpu_and_keeps_its_state_there():
    model = REALS[2]
    state = mp.HMC(model, steps=3, step_size=0.1).init(2, seed=1, device="cuda")
    start = state.x.clone()
    info = mp.HMC(model, steps=3, step_size=0.1).step(state, 2)
    assert state.device == "cuda" and not (state.x == start).all() and (info.acceptance > 0).all()


def test_proposal_widths_are_tuned_on_the_gpu():
    chain = mp.run(mp.Metropolis(mp.XY(mp.square(2))), 2, 1.0, burn_in=40, seed=2, device="cuda", observe=["energy"])
    assert chain.state.cache["proposal_width"] != mp.XY(mp.square(2)).proposal_width
