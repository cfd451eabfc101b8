"""Lanes, integrators and the promises of the molecular-dynamics samplers that need no statistics of a model."""

import numpy as np
import pytest
import torch
from numba import njit

import mlphys as mp
from mlphys import threads
from mlphys.kernels import generators, lanes, molecular
from mlphys.samplers.molecular import integrate, scheme

INTEGRATORS = ("leapfrog", "minimum_norm")
MODELS = {
    "phi4": (mp.Phi4.from_kappa(mp.square(4, 6), kappa=0.27, coupling=0.022), 1.0),
    "phi4 triangular": (mp.Phi4(mp.triangular(3), mass2=-4.0, coupling=1.0), 1.0),
    "xy": (mp.XY(mp.square(4, 6)), 0.9),
    "xy ring": (mp.XY(mp.chain(7), coupling=-0.5), 0.7),
    "gauge": (mp.U1Gauge(mp.square(4, 6), beta=2.0), 1.0),
}


@njit
def logarithms(x, y):
    for i in range(len(x)):
        lanes.put(y, i, lanes.log(lanes.row(x, i)))


@njit
def waves(x, sines, cosines):
    for i in range(len(x)):
        sine, cosine = lanes.sine_cosine(lanes.row(x, i))
        lanes.put(sines, i, sine)
        lanes.put(cosines, i, cosine)


@njit
def fill(streams, words, numbers):
    for i in range(len(words)):
        lanes.put(words, i, lanes.draw(streams))
    for i in range(0, len(numbers), 2):
        one, other = lanes.normals(streams)
        lanes.put(numbers, i, one)
        lanes.put(numbers, i + 1, other)


def lane_streams(seed):
    return np.ascontiguousarray(generators.seed_streams(np.uint64(seed), lanes.WIDTH, 1)[:, :, 0].T)


def test_logarithm_and_waves_to_the_last_digits():
    rng = np.random.default_rng(1)
    edge = 1 - 2.0 ** -rng.uniform(0, 52, 8000)
    x = np.concatenate([rng.random(8000), 2.0 ** -rng.uniform(0, 52, 8000), edge, [1.0] * 8]).reshape(-1, 8)
    y = np.empty_like(x)
    logarithms(x, y)
    exact = np.log(x.astype(np.longdouble))
    assert np.all(np.abs(y - exact) <= 4e-16 * np.abs(exact))
    for most in (1.0, 10.0, 1e4):
        x = rng.uniform(-most, most, (2000, 8))
        sines, cosines = np.empty((2, *x.shape))
        waves(x, sines, cosines)
        assert np.abs(sines - np.sin(x.astype(np.longdouble))).max() < 2e-16
        assert np.abs(cosines - np.cos(x.astype(np.longdouble))).max() < 2e-16


def test_lanes_draw_the_words_of_their_streams():
    words = np.empty((50, 8), np.uint64)
    fill(lane_streams(1), words, np.empty((0, 8)))
    for lane in range(8):
        stream = lane_streams(1)[:, lane].copy()
        assert [generators.xoshiro(stream) for _ in range(50)] == words[:, lane].tolist()


def test_normal_numbers_are_normal_and_independent():
    from scipy import special, stats

    x = np.empty((250_000, 8))
    fill(lane_streams(2), np.empty((0, 8), np.uint64), x)
    for power in (1, 2, 3, 4, 6):
        mean = special.factorial2(power - 1) if power % 2 == 0 else 0.0
        error = np.sqrt((special.factorial2(2 * power - 1) - mean**2) / x.size)
        assert abs((x**power).mean() - mean) < 4 * error, power
    counts = np.histogram(special.ndtr(x), bins=np.linspace(0, 1, 1025))[0]
    assert stats.chisquare(counts).pvalue > 1e-4
    expected = x.size * special.ndtr(-4)
    assert max(abs((x < -4).sum() - expected), abs((x > 4).sum() - expected)) < 4 * np.sqrt(expected)
    # Partners of a pair, successive pairs, and lanes; of the numbers and of their squares.
    for y in (x, x**2 - 1):
        scale = np.sqrt((y**2).mean())
        for a, b in ((y[::2], y[1::2]), (y[:-2], y[2:]), (y[:, :-1], y[:, 1:])):
            assert abs((a * b).mean() / scale**2) < 4 / np.sqrt(a.size)


def trajectory(model, x, momenta, step_size, steps, integrator):
    """The compiled trajectory from x and momenta: new ones, and the change of H."""
    hamiltonian, temperature = MODELS[model]
    sampler, chains = mp.HMC(hamiltonian, step_size, steps, integrator, jitter=0), len(x)
    x, momenta = (part.reshape(chains, -1).copy() for part in (x, momenta))
    streams = generators.seed_streams(np.uint64(1), chains, 1)[:, :, 0].copy()
    scales = np.full(chains, 1 / temperature), np.full(chains, step_size)
    results = molecular.trajectories(
        x, momenta, streams, *scales, *sampler._compiled, sampler.kicks, sampler.drifts, 0.0, True, 1
    )
    return x, momenta, -results[:, 2:].sum(1)


def near_equilibrium(model, chains):
    hamiltonian, temperature = MODELS[model]
    state = mp.HMC(hamiltonian, 0.05).init(chains, temperature, seed=4)
    mp.HMC(hamiltonian, 0.05).step(state, 200)
    x = state.x.numpy().copy()
    return x, np.random.default_rng(5).normal(size=x.shape)


@pytest.mark.parametrize("integrator", INTEGRATORS)
@pytest.mark.parametrize("model", MODELS)
def test_trajectories_are_reversible_and_those_of_torch(model, integrator):
    hamiltonian, temperature = MODELS[model]
    x, p = near_equilibrium(model, 11)
    there, momenta, change = trajectory(model, x, p, 0.1, 20, integrator)
    back, reversed_, _ = trajectory(model, there, -momenta, 0.1, 20, integrator)
    period = 2 * np.pi if hamiltonian.temperature is None or "gauge" in model else np.inf
    distance = np.abs(back - x.reshape(11, -1))
    assert np.minimum(distance, np.abs(period - distance)).max() < 1e-10
    assert np.abs(reversed_ + p.reshape(11, -1)).max() < 1e-10

    start, kicked = torch.from_numpy(x), torch.from_numpy(p)
    y, q = integrate(hamiltonian, start, kicked, 0.1, 1 / temperature, *scheme(integrator, 20))
    assert np.abs(q.reshape(11, -1).numpy() - momenta).max() < 1e-10
    kinetic = ((q**2).flatten(1).sum(1) - (kicked**2).flatten(1).sum(1)) / 2
    expected = (hamiltonian.energy(y) - hamiltonian.energy(start)) / temperature + kinetic
    assert np.abs(change - expected.numpy()).max() < 1e-9
    y, q = integrate(hamiltonian, y, -q, 0.1, 1 / temperature, *scheme(integrator, 20))
    assert max((y - start).abs().max(), (q + kicked).abs().max()) < 1e-10


@pytest.mark.parametrize("model", ["phi4", "xy", "gauge"])
def test_both_integrators_are_of_second_order(model):
    x, p = near_equilibrium(model, 64)
    errors = {}
    for integrator in INTEGRATORS:
        steps = np.array([10, 14, 20, 28])
        errors[integrator] = [np.abs(trajectory(model, x, p, 1 / n, n, integrator)[2]).mean() for n in steps]
        slope = np.polyfit(np.log(1 / steps), np.log(errors[integrator]), 1)[0]
        assert abs(slope - 2) < 0.1, (integrator, slope)
    ratio = np.array(errors["leapfrog"]) / errors["minimum_norm"]
    assert ratio.min() > 8, ratio  # for twice the forces, which alone would be 4


SAMPLERS = {
    "leapfrog": lambda h: mp.HMC(h, 0.1),
    "minimum norm": lambda h: mp.HMC(h, 0.2, 3, "minimum_norm"),
    "adjusted": lambda h: mp.Langevin(h, 0.01),
    "unadjusted": lambda h: mp.Langevin(h, 0.01, adjusted=False),
    "tuned": lambda h: mp.HMC(h),
}


@pytest.mark.parametrize("kind", SAMPLERS)
@pytest.mark.parametrize("compiled", [True, False])
def test_a_run_in_pieces_is_the_same(kind, compiled, tmp_path):
    for hamiltonian, temperature in MODELS.values():
        sampler = SAMPLERS[kind](hamiltonian)
        if not compiled:
            sampler._compiled = None
        state = sampler.init(5, temperature, seed=3)
        sampler.step(state, 2)
        state.save(tmp_path / "state")
        other = mp.State.load(tmp_path / "state")
        sampler.step(state, 4)
        for _ in range(4):
            sampler.step(other)
        assert torch.equal(state.x, other.x) and state.sweep == other.sweep == 6
        assert not torch.equal(state.x, sampler.init(5, temperature, seed=3).x)


def test_chains_know_neither_threads_nor_each_other(monkeypatch):
    for hamiltonian, temperature in MODELS.values():
        results = []
        for count, chains in ((1, 21), (2, 21), (1, 3)):
            monkeypatch.setattr(threads, "thread_count", lambda count=count: count)
            sampler = mp.HMC(hamiltonian, 0.1)
            state = sampler.init(chains, temperature, seed=3, start="ordered")
            info = sampler.step(state, 50)
            results.append((state.x[:3], info.log_target_change[:3]))
        for x, change in results[1:]:
            assert torch.equal(x, results[0][0]) and np.array_equal(change, results[0][1])


@pytest.mark.parametrize("compiled", [True, False])
def test_info_keeps_target_and_proposal_apart(compiled):
    hamiltonian, temperature = MODELS["xy"]
    sampler = mp.HMC(hamiltonian, 0.3)
    if not compiled:
        sampler._compiled = None
    state = sampler.init(400, temperature, seed=1)
    sampler.step(state, 20)
    before = state.copy()
    info = sampler.step(state)
    accepted = info.acceptance == 1
    assert 0.2 < accepted.mean() < 0.99
    change = -(hamiltonian.energy(state.x) - hamiltonian.energy(before.x)).numpy() / temperature
    assert np.allclose(change[accepted], info.log_target_change[accepted], atol=1e-10) and not change[~accepted].any()
    # What fell below 1 was accepted as often as it should be.
    probability = np.exp(np.minimum(0, info.log_target_change + info.log_proposal_ratio))
    assert abs((accepted - probability).sum()) < 4 * np.sqrt((probability * (1 - probability)).sum())


@pytest.mark.parametrize("compiled", [True, False])
def test_what_runs_away_is_rejected(compiled):
    hamiltonian, _ = MODELS["phi4"]
    sampler = mp.HMC(hamiltonian, 50.0, 40)
    if not compiled:
        sampler._compiled = None
    state = sampler.init(9, seed=1)
    before = state.x.clone()
    assert not sampler.step(state, 2).acceptance.any() and torch.equal(state.x, before)


@pytest.mark.parametrize("make", [mp.HMC, lambda h: mp.HMC(h, integrator="minimum_norm", steps=4), mp.Langevin])
def test_step_sizes_are_tuned_in_burn_in_and_frozen_then(make):
    sampler = make(mp.XY(mp.square(6)))
    temperatures = np.repeat([0.4, 1.2], 12)
    state = mp.run(sampler, 1, temperatures, 24, seed=1, burn_in=400, observe=("energy",)).state
    sizes = sampler.step_sizes(state).copy()
    assert len(np.unique(sizes)) == 2 and sizes[0] < sizes[-1]
    acceptance = np.array([sampler.step(state, 200).acceptance[:12].mean() for _ in range(2)]).mean()
    assert abs(acceptance - sampler.target_acceptance) < 0.05
    assert np.array_equal(sizes, sampler.step_sizes(state))
    fixed = mp.HMC(mp.XY(mp.square(6)), 0.2)
    state = mp.run(fixed, 1, 1.0, 3, burn_in=100, observe=("energy",)).state
    assert fixed.step_sizes(state).tolist() == [0.2] * 3


def test_bad_arguments_are_named():
    phi4 = MODELS["phi4"][0]
    for make in (mp.HMC, mp.Langevin):
        for model in (mp.Ising(mp.square(4)), mp.Clock(mp.square(4), 4), mp.Potts(mp.square(4), 3)):
            with pytest.raises(ValueError, match=f"{type(model).__name__}.*{make.__name__}.*force"):
                make(model)
        for bad in (0, -0.1, np.inf, np.nan, "small"):
            with pytest.raises(ValueError, match="step_size"):
                make(phi4, step_size=bad)
        with pytest.raises(ValueError, match=r"target_acceptance=1\.5"):
            make(phi4, target_acceptance=1.5)
    for arguments, name in (({"steps": 0}, "steps"), ({"integrator": "euler"}, "euler"), ({"jitter": 1.0}, "jitter")):
        with pytest.raises(ValueError, match=name):
            mp.HMC(phi4, **arguments)
    with pytest.raises(ValueError, match="adjusted=False"):
        mp.Langevin(phi4, adjusted=False)
    assert mp.Langevin(phi4).exact and not mp.Langevin(phi4, 0.01, adjusted=False).exact
