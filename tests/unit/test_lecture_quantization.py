"""Lecture 10: usual mistakes in its exercises; fields that come out of noise."""

import numpy as np
import torch

import mlphys as mp
from mlphys.lectures import quantization as lecture
from mlphys.lectures import quantization_experiments as experiments
from mlphys.lectures import quantization_live as live
from mlphys.lectures.quantization_contest import NAMES, contest
from mlphys.random import generator


def drift(steps=(1, -1), factor=2, sign=1, quartic=4):
    def answer(phi, kappa, coupling):
        near = sum(np.roll(phi, step, axis) for step in steps for axis in (1, 2))
        return sign * (factor * kappa * near - 2 * (1 - 2 * coupling) * phi - quartic * coupling * phi**3)

    return answer


def score(variance, sign=-1, waves=True):
    def answer(x, stiffness, a, s):
        if not waves:
            return sign * x / variance(stiffness, a, s)
        return np.fft.ifft2(sign * np.fft.fft2(x) / variance(stiffness, a, s)).real

    return answer


def noisy(stiffness, a, s):
    return a**2 / (2 * stiffness) + s**2


def reweigh(weights, normalised=True):
    def answer(m, log_weights):
        w = weights(log_weights)
        norm = w.sum() if normalised else len(w)
        return 1 - (w * m**4).sum() / norm / (3 * ((w * m**2).sum() / norm) ** 2)

    return answer


def diagnose(drifting=True, signs=True, naive=False):
    def answer(m):
        first, second = np.split(np.abs(m), [len(m) // 2])
        change, mean = (second - first, m) if naive else (second.mean(0) - first.mean(0), m.mean(0))
        if drifting and abs(change.mean()) > 4 * change.std() / change.size**0.5:
            return "drifts"
        return "one sign" if signs and abs(mean.mean()) > 4 * mean.std() / mean.size**0.5 else "thermalised"

    return answer


MISTAKES = {
    "drift": [
        (drift(steps=(-1,)), "Two neighbours only"),
        (drift(sign=-1), "it climbs"),
        (drift(factor=4), "counted once"),
        (drift(quartic=1), "4φ³"),
    ],
    "step bias": [
        (lambda s, dt: 1 / (2 * s), "the limit dt → 0"),
        (lambda s, dt: (1 + s * dt) / (2 * s), "First order"),
        (lambda s, dt: dt / (1 - (1 - 2 * s * dt) ** 2), "variance 2 dt"),
        (lambda s, dt: 2 * dt / (1 - (1 - s * dt) ** 2), "2 s φ"),
    ],
    "noisy score": [
        (score(lambda k, a, s: 1 / (2 * k)), "without noise"),
        (score(lambda k, a, s: 1 / (2 * k) + s**2), "shrink"),
        (score(noisy, waves=False), "belongs to a wave"),
        (score(noisy, sign=1), "The sign"),
    ],
    "reweigh": [
        (reweigh(np.ones_like), "as it is"),
        (reweigh(np.exp, normalised=False), "divide by Σ w"),
        (reweigh(lambda log_weights: np.exp(-log_weights)), "draws too little"),
        (reweigh(np.exp), "must not matter"),
    ],
    "diagnose": [
        (diagnose(drifting=False), "half by half"),
        (diagnose(signs=False), "other half of the fields"),
        (diagnose(naive=True), "not a wrong one"),
        (lambda m: "thermalised", "of all five"),
    ],
}


def test_fields_that_arrive_are_those_of_hmc_where_the_way_is_exact():
    """HMC from noise agrees with the chains beside it; Langevin's long steps and an untrained score do not."""
    deviations = {}
    for way, steps in (("HMC", 40), ("Langevin, dt = 0.1", 100), ("diffusion, with noise", 10)):
        studio = live.Studio(0.21, 8, way, steps, live.Masters(8), seed=1)
        for _ in range(12 * (steps + 1)):
            studio.advance()
        assert len(studio.arrived("m")) == 12 * studio.batch
        assert abs(studio.measured("m", False)[0]) < 4 * studio.measured("m", False)[1]
        mean, error, known = studio.measured("phi2", False)
        deviations[way] = (mean - known) / error
    assert abs(deviations.pop("HMC")) < 4 and min(abs(value) for value in deviations.values()) > 5, deviations


def test_time_runs_back_and_what_was_computed_stays():
    studio = live.Studio(0.24, 8, "HMC", 10, live.Masters(8), seed=3)
    studio.seek(0.3)
    seen = studio.x.copy()
    studio.seek(0.8)
    studio.seek(0.3)
    assert np.array_equal(studio.x, seen) and abs(studio.time - 0.3) < 1e-9 and not studio.counted
    studio.seek(0.0)
    studio.seek(1.0)
    studio.seek(0.0)
    assert len(studio.arrived("m")) == studio.batch
    assert np.allclose(live.look(seen)["m"], studio.field.magnetisation(seen))


def test_app_learns_on_every_way():
    app = lecture.app("ci")
    for way in lecture.WAYS:
        app.knobs.way = way
        app.knobs.lesson = live.LESSONS[-1]
        app.player.step_once()
        app.training.step_once()
        app.training.plot.flush()
        assert not app.player.message and not app.training.message, (app.player.message, app.training.message)
    app.knobs.kappa = 0.26
    app.knobs.side = "16"
    app.player.step_once()
    assert not app.player.message and app.player.simulation.side == 16
    app.close()


def test_averages_by_weights_are_those_of_the_target():
    """Normal fields of variance 1, weighed for the variance 0.9: exact values by weights, and not without."""
    sites, count, variance = 16, 20_000, 0.9
    x = torch.from_numpy(generator(4, "test").normal(size=(count, sites)))
    series = experiments.series_of(mp.Phi4(mp.square(4), 1.0, 0.5), x)
    log_weights = -0.5 * (x**2).sum(1).numpy() * (1 / variance - 1)
    found = experiments.averages(series, experiments.MEANS, log_weights)
    exact = {"⟨M⟩": 0.0, "⟨|M|⟩": np.sqrt(2 * variance / np.pi / sites), "V⟨M²⟩": variance, "⟨φ²⟩": variance, "U": 0.0}
    for name, value in exact.items():
        assert abs(found[name].deviation(value)) < 4, name
    plain = experiments.averages(series, ["V⟨M²⟩", "⟨φ²⟩"])
    assert min(abs(plain[name].deviation(variance)) for name in plain) > 4


def test_the_trap_is_one_and_the_exercise_finds_it():
    """Fields of a hot start obey the local identity and have too small |M|; fields after burn-in pass."""
    field = experiments.phi4(16, 0.27)
    early = experiments.early(field, samples=24, chains=64, skipped=10, seed=2).double()
    late = mp.run(mp.HMC(field), 256, chains=64, thin=2, seed=2, burn_in=400, observe=["magnetisation"])["magnetisation"]
    m = early.mean(2).numpy()
    identity = -(early * field.force(early.flatten(0, 1)).reshape(early.shape)).mean(2).numpy()
    means = [mp.stats.Estimate(y.mean(), y.mean(0).std(ddof=1) / 8) for y in (identity, abs(m), abs(late))]
    assert abs(means[0].deviation(1.0)) < 4 and abs(means[2].deviation(0.767)) < 4
    assert means[1].deviation(0.767) < -4
    verdict = lecture.exercises["diagnose"].solution
    assert verdict(m) == "drifts" and verdict(late) == "thermalised"


def test_a_network_that_is_not_odd_has_the_density_it_draws():
    odd = experiments.network(experiments.phi4(4, 0.24))
    model = experiments.one_sided(odd)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))
    x, log_q = model.sample(16, seed=1, steps=20)
    assert (model.log_prob(x, steps=20) - log_q).abs().max() < 0.01
    for network, sided in ((odd, False), (model, True)):
        assert (network.score_at(x, 0.5).add(network.score_at(-x, 0.5)).abs().max() > 1e-3) == sided


def test_contest_measures_all_and_counts_training_apart():
    *_, (words, runs) = contest(experiments.phi4(8, 0.24), steps=8, samples=150, proposals=10)
    assert words == "" and tuple(runs) == NAMES
    assert [seconds > 0 for _, _, seconds in runs.values()] == [False, False, True, True]
    for name in NAMES[:2]:
        assert abs(runs[name][0].estimate("φ²").deviation(0.7305)) < 4, name
    table = experiments.yardstick(runs).set_index("sampler")
    assert table["ess_per_second"].min() > 0 and table["training"].tolist() == [run[2] for run in runs.values()]


def test_the_slider_follows_and_leads():
    """Whatever the number of steps: played, time moves by one step a frame; a hand may stand between two steps."""
    app = lecture.app("ci")
    app.knobs.way = "HMC"
    (timeline,) = (part for box in app.children for group in box.children for part in getattr(group, "children", ())
                   if "time" in getattr(part, "names", ()))  # fmt: skip
    for steps in (7, 200):
        app.knobs.steps = steps
        for position in (1, 2, 3):
            app.player.step_once()
            assert app.player.simulation.position == position
            assert abs(timeline.time - app.player.simulation.time) < 1e-3
        timeline.time = 0.501
        assert app.player.simulation.position == round(0.499 * steps) and timeline.time == 0.501
    app.close()
