"""Lecture 08: usual mistakes in its exercises; charges; the app."""


import numpy as np
import pytest
import torch

import mlphys as mp
from mlphys import flows
from mlphys.lab import yardstick
from mlphys.lectures import gauge as lecture
from mlphys.lectures import gauge_experiments as experiments
from mlphys.lectures import gauge_live
from mlphys.stats import autocorrelation_time


def around(links, backwards=True):
    along, across = links[..., 0], links[..., 1]
    if not backwards:
        return along + np.roll(across, 1, 2) - np.roll(along, 1, 1) - across
    return along + np.roll(across, -1, 2) - np.roll(along, -1, 1) - across


def charge(wrap=True, unit=2 * np.pi, sign=1, mixed=False):
    def answer(links):
        angles = sign * (around(links) if not mixed else around(links) + 0.5 * np.roll(links[..., 0], 1, 1))
        if wrap:
            angles = (angles + np.pi) % (2 * np.pi) - np.pi
        return angles.sum((1, 2)) / unit

    return answer


def transform(begin=1, end=-1, shift=-1, axes=(1, 0)):
    def answer(links, alpha):
        ends = np.stack([np.roll(alpha, shift, axis) for axis in axes], -1)
        return links + begin * alpha[..., None] + end * ends

    return answer


def circle_map(log_det):
    return lambda x, s: (2 * np.arctan(np.exp(s) * np.tan(x / 2)), log_det(x, s))


def slopes(x, s):
    return 1 / (np.exp(-s) * np.cos(x / 2) ** 2 + np.exp(s) * np.sin(x / 2) ** 2)


def worth(acceptance, top=True, over=True):
    def answer(log_weights):
        w = np.exp(log_weights - (log_weights.max() if top else 0))
        kish = w.sum() ** 2 / (w**2).sum()
        return kish / len(w) if over else kish, acceptance(w)

    return answer


def paired(w):
    return np.minimum(w[:, None], w).mean() / w.mean()


def trusted(name, constant=False, chains=False):
    def answer(runs):
        found = []
        for run, series in runs.items():
            tau, samples = autocorrelation_time(series[name])[0], series[name].size if chains else len(series[name])
            if (constant or series[name].std(0).all()) and samples >= 50 * tau:
                found.append(run)
        return found

    return answer


# For each exercise usual mistakes and a word of the diagnosis that each must get (see test_lectures.py).
MISTAKES = {
    "charge": [
        (charge(wrap=False), "without wrapping"),
        (charge(unit=1), "divide by 2π"),
        (charge(sign=-1), "sign is the other one"),
        (charge(mixed=True), "not whole numbers"),
    ],
    "transform": [
        (transform(end=0), "beginning of each link alone"),
        (transform(end=1), "subtracted, not added"),
        (transform(shift=1), "the one before"),
        (transform(axes=(0, 1)), "swapped"),
        (lambda links, alpha: links, "No link has changed"),
    ],
    "circle map": [
        (circle_map(lambda x, s: np.log(slopes(x, s))), "One number for each sample"),
        (circle_map(lambda x, s: -np.log(slopes(x, s)).sum(1)), "for the way back"),
        (circle_map(lambda x, s: np.full(len(x), s * x.shape[1])), "x = 0 only"),
        (circle_map(lambda x, s: np.log(slopes(x, s)).mean(1)), "mean over the angles"),
        (lambda x, s: (np.arctan(np.exp(s) * np.tan(x)), np.log(slopes(x, s)).sum(1)), "half the angle"),
    ],
    "worth": [
        (worth(lambda w: np.minimum(1, w / w[:, None]).mean()), "weigh x by w(x)"),
        (worth(lambda w: np.minimum(1, w[1:] / w[:-1]).mean()), "come from the flow alone"),
        (worth(paired, over=False), "divide it by n"),
        (worth(paired, top=False), "must not matter"),
    ],
    "trusted": [
        (trusted("plaquette"), "trust everybody"),
        (trusted("charge", constant=True), "never moves"),
        (lambda runs: [name for name in runs if "9" not in name], "β = 5"),
        (lambda runs: ["flow"], "is fine"),
    ],
}


@pytest.mark.parametrize(("n_sites", "beta"), [(16, 0.5), (64, 5.0), (256, 7.0)])
def test_probabilities_of_charges_have_the_exact_variance(n_sites, beta):
    q, p = experiments.charges(n_sites, beta)
    assert p.min() > -1e-12 and p == pytest.approx(p[::-1]) and p.sum() == pytest.approx(1)
    assert q**2 @ p == pytest.approx(mp.exact.u1_torus(n_sites, beta).charge2, rel=1e-9)


def test_flux_through_blocks_is_that_of_a_chain():
    """Blocks of one chain of HMC, and the blocks' complement: what flows in flows out."""
    gauge = mp.U1Gauge(mp.square(4), beta=2.0)
    chain = mp.run(mp.HMC(gauge), 400, chains=16, seed=1, observe=["plaquette"], keep=True)
    angles = np.linspace(-np.pi, np.pi, 401)
    for rows, columns in ((4, 2), (2, 1), (1, 1)):
        density = experiments.flux_density(angles, rows * columns, 16, 2.0)
        exact = np.trapezoid(density * np.cos(angles), angles)
        flux = experiments.flux(chain.x.flatten(0, 1), gauge.lattice, rows, columns).reshape(400, 16, -1)
        found = mp.stats.estimate(np.cos(flux).mean(2))
        assert abs(found.deviation(exact)) < 4 and abs(found.deviation(exact**2)) > 4
        rest = experiments.flux_density(angles, 16 - rows * columns, 16, 2.0)
        assert rest == pytest.approx(density)


def test_a_gauge_transformation_changes_links_and_no_plaquette():
    random = np.random.default_rng(1)
    links, alpha = random.uniform(-np.pi, np.pi, (4, 6, 2)), random.uniform(-np.pi, np.pi, (4, 6))
    turned = gauge_live.transformed(links, alpha)
    assert np.abs(turned - links).max() > 1
    assert np.exp(1j * gauge_live.around(turned)) == pytest.approx(np.exp(1j * gauge_live.around(links)))
    model = mp.U1Gauge(mp.square(4, 6), 1.0)
    known = model.plaquettes(torch.from_numpy(links.reshape(1, -1, 2))).numpy().reshape(4, 6)
    assert np.exp(1j * gauge_live.around(links)) == pytest.approx(np.exp(1j * known))


def test_the_charge_freezes_and_the_plaquette_does_not():
    table = experiments.freezing((2, 6), 8, 200, chains=8)
    assert table["charge_trusted"].tolist() == [True, False] and table["plaquette_trusted"].iloc[0]
    assert table["charge"].iloc[1] > 20 * table["charge"].iloc[0]


def test_a_gaussian_finds_one_well_and_its_weights_do_not_tell():
    def action(x):
        return 10 * (x**2 - 1) ** 2

    mean, width = experiments.best_gaussian(action)
    weights = experiments.gaussian_weights(action, mean, width, 4000)
    x = np.linspace(-3, 3, 6001)
    exact = np.log(np.exp(-action(x)).sum() * (x[1] - x[0]))
    assert mean == pytest.approx(1, abs=0.1) and mp.stats.kish_ess(weights) > 0.9 * 4000
    assert exact - np.log(np.exp(weights).mean()) == pytest.approx(np.log(2), abs=0.03)


def test_yardstick_keeps_training_apart():
    gauge = mp.U1Gauge(mp.square(4), beta=2.0)
    flow = flows.GaugeFlow(gauge, seed=1)
    history, seconds = experiments.train(flow, gauge, 5, 32)
    assert len(history) == 5 and seconds > 0
    walk = mp.run(mp.HMC(gauge), 300, chains=8, seed=1, thin=2, observe=["charge2"])
    jump = mp.run(mp.IndependenceMH(flow, gauge), 3, chains=8, seed=1, observe=["charge2"])
    walk.seconds, jump.seconds = 1.0, 1e-3
    table = yardstick({"HMC": (walk, 2, 0.0), "flow": (jump, 1, 7.0)}).set_index("sampler")
    slow, fast = table["ess_per_second"]
    assert slow == pytest.approx(walk.estimate("charge2").ess) and table["tau"]["HMC"] == 2 * walk.estimate("charge2").tau
    assert np.isnan(table["tau_error"]["flow"]) and np.isnan(table["break_even"]["HMC"])
    samples = table["break_even"]["flow"]
    assert samples / slow == pytest.approx(7 + samples / fast) if fast > slow else samples == np.inf


def test_a_race_is_exact_before_and_after_learning():
    """The flow's chain has the exact plaquette with an untrained flow and with one that learns while it runs."""
    race = gauge_live.Race(1.0, 4, informed=False, seed=1)
    lesson = race.pupil.learn(20, 32)
    for frame in range(1500):
        race.advance(1)
        if frame % 50 == 49 and frame < 1000:
            next(lesson)
            race.pupil.show()
            race.runs["flow"].sampler.adopt(race.runs["flow"].state)
    for run in race.runs.values():
        assert abs(run.estimate("plaquette").deviation(race.exact.plaquette)) < 4
    assert race.runs["flow"].mean("acceptance") > 0.2
    links = race.runs["HMC"].x.copy()
    race.transform()
    assert np.abs(race.runs["HMC"].x - links).max() > 1
    race.advance(1)
    race.learnt()
    assert race.runs["flow"].samples == 0


def test_app_trains():
    app = lecture.app("ci")
    trainer = app.training
    moves = [("side", "4"), ("begins", "at weak coupling"), ("gauge", True), ("shown", "links and plaquettes")]
    for name, value in (*moves, ("beta", 7.0), ("beta", 1.0)):
        setattr(app.knobs, name, value)
        app.player.step_once()
        trainer.step_once()
        assert not app.player.message and not trainer.message, (app.player.message, trainer.message)
        assert len(trainer.losses) > 0
    assert app.player.simulation.beta == 1.0 and app.player.simulation.count == 1
    app.close()
