"""State, run and Chain: resuming, interrupting, reporting, and clear errors."""

import re

import numpy as np
import pytest

import mlphys as mp

SAMPLERS = [mp.Metropolis, mp.HeatBath, mp.Wolff, mp.SwendsenWang]
ISING = mp.Ising(mp.square(8))
MODELS = [ISING, mp.Ising(mp.square(128)), mp.Ising(mp.square(12, 8), coupling=-1.0), mp.Ising(mp.triangular(6))]


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda s: s.__name__)
@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_saved_state_resumes_bit_for_bit(sampler, model, tmp_path):
    made = sampler(model)
    state = made.init(chains=70, temperature=np.linspace(1.5, 4, 70), seed=5)
    made.step(state, 7)
    state.save(tmp_path / "state")
    resumed = mp.State.load(tmp_path / "state")
    made.step(state, 9)
    made.step(resumed, 4)
    made.step(resumed, 5)
    assert (state.x == resumed.x).all() and state.sweep == resumed.sweep == 16


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_measurement_agrees_with_the_functions_of_x(model):
    for sampler in SAMPLERS:
        state = sampler(model).init(chains=66, temperature=3.0, seed=2, start="random")
        sampler(model).step(state, 3)
        values = model.measure(state, list(model.observables))
        for name, function in model.observables.items():
            np.testing.assert_allclose(values[name], function(state.x), rtol=1e-12, atol=1e-15)


def test_packing_keeps_any_start():
    for model in MODELS:
        x = model.random(5, seed=3)
        assert (mp.Metropolis(model).init(5, 2.0, seed=1, start=x).x == x).all()


def test_a_state_changes_hands_between_samplers():
    state = mp.Metropolis(ISING).init(chains=4, temperature=2.0, seed=1)
    for sampler in [*SAMPLERS, mp.Metropolis]:
        sampler(ISING).step(state, 3)
    assert state.sweep == 15 and state.x.shape == (4, 64)


def test_step_splits_into_any_parts():
    for sampler in SAMPLERS:
        one, many = (sampler(ISING).init(chains=65, temperature=2.3, seed=4) for _ in range(2))
        sampler(ISING).step(one, 6)
        for _ in range(6):
            sampler(ISING).step(many, 1)
        assert (one.x == many.x).all()


def test_same_seed_same_chain_other_seed_another():
    def energies(seed):
        return mp.run(mp.Wolff(ISING), 50, temperature=2.3, chains=3, seed=seed)["energy"]

    assert (energies(1) == energies(1)).all() and not (energies(1) == energies(2)).all()


def test_run_goes_on_from_a_state():
    sampler = mp.Metropolis(ISING)
    whole = mp.run(sampler, 60, temperature=2.3, chains=4, seed=1, burn_in=20)
    first = mp.run(sampler, 25, temperature=2.3, chains=4, seed=1, burn_in=20)
    second = mp.run(sampler, 35, state=first.state)
    assert (np.concatenate([first["energy"], second["energy"]]) == whole["energy"]).all()


def test_live_temperature():
    sampler = mp.Metropolis(ISING)
    state = sampler.init(chains=64, temperature=10.0, seed=1)
    state.temperature = 0.5
    chain = mp.run(sampler, 200, state=state, burn_in=200)
    assert chain["energy"].mean() < -1.9


def test_observe_selects_names_and_takes_functions():
    chain = mp.run(mp.Metropolis(ISING), 10, temperature=2.0, observe=["m2"], keep=True)
    assert list(chain.samples) == ["m2"] and chain.x.shape == (10, 1, 64)
    first = mp.run(mp.Metropolis(ISING), 10, temperature=2.0, observe={"first": lambda x: x[:, 0]})
    assert set(np.unique(first["first"])) <= {-1, 1}


def test_report_has_one_row_per_observable():
    report = mp.run(mp.SwendsenWang(ISING), 2000, temperature=2.3, chains=4, seed=1).report()
    columns = ["mean", "error", "tau", "tau_error", "ess", "ess_per_second", "rhat"]
    assert list(report.index) == list(ISING.observables) and list(report.columns)[:7] == columns
    assert (report["ess_per_second"] > 0).all() and (report["rhat"] < 1.01).all()


def test_report_of_several_temperatures_has_a_row_for_each():
    report = mp.run(mp.SwendsenWang(ISING), 500, temperature=[2.0, 2.0, 3.0], chains=3, seed=1).report()
    assert report.loc[(2.0, "energy"), "mean"] < report.loc[(3.0, "energy"), "mean"]


def test_too_short_a_chain_gets_no_error():
    chain = mp.run(mp.Metropolis(mp.Ising(mp.square(64))), 60, temperature=2.269, chains=2, seed=1)
    with pytest.raises(mp.ChainTooShort) as short:
        chain.estimate("abs_magnetisation")
    assert 0 < short.value.estimate.mean < 1
    assert np.isnan(chain.report().loc["abs_magnetisation", "error"])


def test_stopping_keeps_what_was_measured():
    stopped = mp.run(mp.Metropolis(ISING), 1000, temperature=2.0, progress=lambda done, total: done < 10)
    assert stopped.interrupted and len(stopped) == 10

    def interrupt(done, total):
        if done == 7:
            raise KeyboardInterrupt

    broken = mp.run(mp.Metropolis(ISING), 1000, temperature=2.0, progress=interrupt)
    assert broken.interrupted and len(broken) in (6, 7)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: mp.square(0), "rows=0"),
        (lambda: mp.square(2.5), "rows=2.5"),
        (lambda: mp.chain(1), "n_sites=1"),
        (lambda: mp.Ising("square"), "lattice='square'"),
        (lambda: mp.Ising(mp.square(4), coupling=[1.0, 2.0]), r"coupling has shape \(2,\).*\(32,\)"),
        (lambda: mp.Ising(mp.square(4), field=np.nan), "field=nan"),
        (lambda: mp.Metropolis("ising"), "hamiltonian='ising'"),
        (lambda: mp.Metropolis(ISING).init(0, 2.0, 1), "chains=0"),
        (lambda: mp.Metropolis(ISING).init(1, 0.0, 1), "temperature=0.0"),
        (lambda: mp.Metropolis(ISING).init(1, -1.0, 1), "temperature=-1.0"),
        (lambda: mp.Metropolis(ISING).init(2, [1.0, 2.0, 3.0], 1), r"temperature has shape \(3,\)"),
        (lambda: mp.Metropolis(ISING).init(1, "hot", 1), "temperature='hot'"),
        (lambda: mp.Metropolis(ISING).init(1, 2.0, -1), "seed=-1"),
        (lambda: mp.Metropolis(ISING).init(1, 2.0, 1, start="cold"), "start='cold'.*ordered"),
        (lambda: mp.Metropolis(ISING).init(1, 2.0, 1, start=np.zeros((1, 64))), "start has entries"),
        (lambda: mp.Metropolis(ISING).init(1, 2.0, 1, start=np.ones((1, 63))), r"shape \(1, 63\).*n_sites = 64"),
        (lambda: mp.Metropolis(ISING).init(1, 2.0, 1, device="tpu"), "device='tpu'.*cpu"),
        (lambda: ISING.energy(np.ones((2, 63))), r"shape \(2, 63\).*n_sites = 64"),
        (lambda: mp.Wolff(mp.Ising(mp.square(4), field=0.1)), "field=0.1.*SwendsenWang"),
        (lambda: mp.Wolff(ISING, clusters=0), "clusters=0"),
        (lambda: mp.run(mp.Metropolis(ISING), 10), "temperature=None"),
        (lambda: mp.run(mp.Metropolis(ISING), 0, temperature=2.0), "samples=0"),
        (lambda: mp.run(mp.Metropolis(ISING), 10, temperature=2.0, thin=0), "thin=0"),
        (lambda: mp.run(mp.Metropolis(ISING), 10, temperature=2.0, observe=["enthalpy"]), "observe='enthalpy'.*energy"),
        (lambda: mp.run(mp.Metropolis(ISING), 10, temperature=2.0)["enthalpy"], "observable='enthalpy'.*energy"),
        (lambda: mp.run(mp.Metropolis(ISING), 10, temperature=2.0).x, "keep=True"),
        (lambda: mp.square(4).shell(9), "shell k=9"),
    ],
)
def test_bad_input_gets_one_clear_sentence(call, words):
    with pytest.raises(ValueError, match=words) as error:
        call()
    assert len(re.split(r"\.\s", str(error.value))) == 1


def test_missing_gpu_gets_one_clear_sentence(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="device='cuda' is not available"):
        mp.run(mp.Metropolis(ISING), 10, temperature=2.0, device="cuda")


def test_damaged_state_file_is_refused(tmp_path):
    path = tmp_path / "state"
    mp.Wolff(ISING).init(1, 2.0, 1).save(path)
    data = bytearray(path.read_bytes())
    for damaged in (data[:-10], data[:40], data[:200] + b"x" + data[201:]):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="damaged"):
            mp.State.load(path)
    path.write_bytes(b"something else")
    with pytest.raises(ValueError, match="not a state file"):
        mp.State.load(path)


def test_warm_compiles_every_kernel():
    from numba.core.dispatcher import Dispatcher

    from mlphys.kernels import bitplanes, cluster, generators, multispin, spins
    from mlphys.samplers import warm

    warm()
    entries = [
        kernel
        for module in (bitplanes, cluster, generators, multispin, spins)
        for kernel in vars(module).values()
        if isinstance(kernel, Dispatcher) and not kernel.__name__.startswith("_") and kernel.stats.cache_path
    ]
    cached = {kernel.__name__ for kernel in entries if type(kernel._cache).__name__ != "NullCache"}
    cold = {kernel.__name__ for kernel in entries if kernel.__name__ in cached and not kernel.signatures}
    assert cached and cold <= {"philox_words"}


def test_tuning_wolff_while_the_spins_order_does_not_stall():
    # From random spins the clusters are tiny, and then as large as the lattice: a number tuned to the first would take ages.
    sampler = mp.Wolff(mp.Ising(mp.square(128)))
    state = sampler.init(chains=1, temperature=1.5, seed=1, start="random")
    flipped = []
    for _ in range(60):
        flipped.append(int(sampler.step(state).flipped[0]))
        sampler.adapt(state)
    assert max(flipped) < 50 * 128**2
    assert np.mean(flipped[-20:]) == pytest.approx(128**2, rel=0.2)
