"""Lecture 09: usual mistakes in its exercises; what its experiments measure; the app."""

import math

import numpy as np
import pytest
import torch

import mlphys as mp
from mlphys.lectures import diffusion as lecture
from mlphys.lectures import diffusion_experiments as experiments
from mlphys.lectures import diffusion_live as live
from mlphys.lectures import diffusion_pictures as pictures


def score(sign=1, width=2, shrink=True, knows=True, top=True):
    def answer(x, weights, means, a, s):
        centre = (a if shrink else 1) * means
        log = (np.log(weights) if knows else 0) - (x[:, None] - centre) ** 2 / (2 * s**2)
        with np.errstate(invalid="ignore"):
            share = np.exp(log - (log.max(1, keepdims=True) if top else 0))
            share /= share.sum(1, keepdims=True)
        return sign * (share @ centre - x) / s**width

    return answer


def back(drift=1, pull=lambda h: 1 + h, amplitude=lambda h, dt: np.sqrt(2 * h * dt)):
    return lambda x, score, dt, noise, normal: (
        x + dt * (drift * x + pull(noise) * score(x)) + amplitude(noise, dt) * normal
    )


def action(of=lambda path: path[:-1], below=lambda h, dt: 4 * h * dt, add=np.sum):
    return lambda path, drift, dt, noise: add((np.diff(path, axis=0) - dt * drift(of(path))) ** 2, 0) / below(noise, dt)


def loss(of):
    return lambda score, x, a, s, z: (of(score, x, a, s, z) ** 2).mean()


def memorised(distances, third=3):
    def answer(made, data):
        near = np.sort(distances(made, data), 1)
        return (near[:, 0] < near[:, 1] / third).mean()

    return answer


def between(made, data):
    return np.linalg.norm(made[:, None] - data, axis=2)


# For each exercise usual mistakes and a word of the diagnosis that each must get.
MISTAKES = {
    "score": [
        (score(sign=-1), "sign"),
        (score(width=0), "width"),
        (score(shrink=False), "shrunk"),
        (score(knows=False), "weights of the data"),
        (score(top=False), "largest exponent"),
        (lambda x, weights, means, a, s: (a * (weights @ means) - x) / s**2, "Which of them"),
    ],
    "back": [
        (back(drift=-1), "undone"),
        (back(pull=lambda h: 2), "ħ = 1 alone"),
        (back(amplitude=lambda h, dt: np.sqrt(2 * dt)), "nothing may be random"),
        (back(amplitude=lambda h, dt: np.sqrt(2 * h) * dt), "√dt"),
    ],
    "action": [
        (action(below=lambda h, dt: 2 * h * dt), "twice the variance"),
        (action(below=lambda h, dt: 4 * dt), "ħ is missing"),
        (action(of=lambda path: path[1:]), "at the end"),
        (action(add=np.mean), "add up"),
    ],
    "loss": [
        (loss(lambda score, x, a, s, z: s * score(a * x + s * z) - z), "against the noise"),
        (loss(lambda score, x, a, s, z: score(a * x + s * z) + z / s), "outweighs"),
        (loss(lambda score, x, a, s, z: s * score(x) + z), "noisy data"),
    ],
    "memorised": [
        (memorised(lambda made, data: between(made, data) ** 2), "squares"),
        (memorised(lambda made, data: between(data, made)), "other way round"),
        (lambda made, data: (between(made, data).min(1) < 0.5).mean(), "other units"),
    ],
}


@pytest.mark.parametrize("name", live.WORLDS)
def test_what_is_drawn_is_what_the_score_knows(name):
    """Densities, moments and data of each world in numpy, against the library's mixture and magnet."""
    world = live.WORLDS[name]
    data, exact, n = world.draw(20000, np.random.default_rng(1)), world.score(), world.n
    q = world.coordinate(data)
    assert data.shape == (20000, n)
    assert abs((q**2).mean() - world.square(0.0)) < 4 * (q**2).std() / 20000**0.5
    assert abs((q > 0).mean() + (q == 0).mean() / 2 - world.right(1e-9)) < 4 * 0.5 / 20000**0.5
    grid, t = np.linspace(-12, 12, 8001) * world.unit**0.5, 0.05
    density = world.density(grid, t)
    assert np.trapezoid(density, grid) == pytest.approx(1)
    assert np.trapezoid(density * grid**2, grid) == pytest.approx(world.square(t), rel=1e-6)
    if name == "Curie–Weiss":
        assert world.eigenvalue == pytest.approx(exact.covariance_eigenvalue)
    if n == 1:
        x = np.linspace(-2, 2, 9)
        np.testing.assert_allclose(np.log(world.density(x, t)), exact.log_prob(torch.from_numpy(x)[:, None], t), rtol=1e-9)


def test_the_plane_is_the_density_of_the_ring():
    ring, side, t = live.WORLDS["ring of modes"], 9, 0.05
    axis = torch.linspace(-ring.reach, ring.reach, side, dtype=torch.float64)
    points = torch.stack(torch.meshgrid(axis.flip(0), axis, indexing="ij")[::-1], -1).reshape(-1, 2)
    ratio = ring.plane(side, t).ravel() / ring.score().log_prob(points, t).exp().numpy()
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-9)


@pytest.mark.parametrize("solver", live.SOLVERS)
def test_trajectories_are_those_of_the_model(solver):
    world = live.WORLDS["two wells"]
    model = mp.diffusion.DiffusionModel(live.process(), world.score(), 1, end=live.END)
    options = {"method": live.SOLVERS[solver], "steps": 7, "noise": 0.5}
    times, path = live.trajectories(model, 6, seed=3, **options)
    last, _ = model.sample(6, seed=3, probes=0, **options)
    assert path.shape == (8, 6, 1) and np.array_equal(path[-1], last) and np.abs(np.diff(path, axis=0)).min() > 0
    assert (np.diff(times) < 0).all() and (times[0], times[-1]) == pytest.approx((1, live.END), abs=1e-9)


def film(name="two wells", solver="Euler–Maruyama", noise=1.0, wrong=0.0):
    world = live.WORLDS[name]
    return live.Film(world, solver, 60, noise, wrong, world.score, seed=1)


def test_a_film_measures_what_is_exact_and_a_wrong_score_shows():
    right, wrong = film(), film(noise=0.0, wrong=0.3)
    for shown in (right, wrong):
        for _ in range(3):
            shown.seek(2.0)
            shown.advance()
            assert shown.time == 0.0
    for value, error, exact in right.measured().values():
        assert abs(value - exact) < 4 * error
    value, error, exact = wrong.measured()["square"]
    assert abs(value - exact) > 5 * error
    assert len(right.ends) == 3 and right.evaluations == 60
    right.seek(2.0)
    right.seek(2.0)
    assert len(right.ends) == 4  # the same film counts once
    right.forget()
    assert len(right.ends) == 1


def test_a_film_goes_there_and_back():
    shown = film("Curie–Weiss")
    frames = [shown.x]
    for _ in range(200):
        shown.advance()
        frames.append(shown.x)
    assert shown.time == 2.0 and shown.path().shape == (201, 100) and shown.path(5).shape == (201, 5)
    assert np.array_equal(shown.path()[150], frames[150].mean(1))
    # Noise in the middle: ⟨m²⟩ is 1/n there, and what it was at both ends.
    squares = [(frame.mean(1) ** 2).mean() for frame in (frames[0], frames[100], frames[200])]
    assert squares[1] < 2 / 32 < 0.25 < min(squares[0], squares[2])


def test_pictures_show_density_paths_and_arrows():
    flat, ring = film(), film("ring of modes")
    flat.seek(1.5)
    picture = pictures.sheet(flat)
    assert picture.shape == (pictures.ROWS, 401) and picture.max() < len(pictures.PALETTE)
    ahead, behind = picture[:, 310:], picture[:, :290]
    assert not (ahead == pictures.PATH).any() and (behind == pictures.PATH).any(0).all()
    ring.seek(0.3)
    plane = pictures.plane(ring)
    assert {pictures.PATH, pictures.MARK} <= set(np.unique(plane)) and plane.shape == (pictures.SIDE,) * 2
    # Brightest where the modes are.
    column, row = ((1 + s * ring.world.means[0, k] / ring.world.reach) / 2 * pictures.SIDE for k, s in ((0, 1), (1, -1)))
    density = pictures.shades(ring.world.plane(pictures.SIDE, 0.01))
    assert density[int(row), int(column)] > density[pictures.SIDE // 2, pictures.SIDE // 2]


def test_a_pupil_comes_nearer_to_the_exact_score():
    pupil = live.Pupil(live.WORLDS["two wells"])
    before = pupil.distance()
    for _ in pupil.learn(150):
        pass
    assert pupil.distance() == before  # what is shown has not changed yet
    pupil.show()
    assert pupil.distance()[0] < before[0] / 3


def test_healing_is_exact_and_known():
    for (epsilon, noise), known in experiments.HEALED.items():
        assert experiments.healed(epsilon, noise) == pytest.approx(known, abs=1e-5)
    table = experiments.healing(20000, 200)
    assert (abs(table["square"] / table["exact"] - 1) < 0.02 + 4 * table["square_error"] / table["exact"]).all()
    assert (abs(table["square"] - table["exact"]) < 5 * table["square_error"]).all()


@pytest.mark.parametrize("noise", [1.0, 0.2])
def test_paths_are_weighed_by_their_action(noise):
    """The divergence of exact paths from wrong ones is known, and weights make the wrong ones exact."""
    _, exact = experiments.divergences(0.1, noise)
    made = experiments.weighed_paths(0.0, 0.1, noise, 3000, 200)
    assert abs(experiments.mean(made["log_ratio"]).deviation(exact)) < 4
    assert abs(experiments.mean(made["log_ratio"]).deviation(exact / 2)) > 4
    other = experiments.weighed_paths(0.1, 0.0, noise, 3000, 200)
    weight = np.exp(-other["log_ratio"])
    for value in (weight, weight * other["x"] ** 2):
        assert abs(experiments.mean(value).deviation(1)) < 4
    assert abs(experiments.mean(other["x"] ** 2).deviation(1)) > 5


def test_orders_and_weak_order():
    table = experiments.orders((40, 80))
    found = {name: experiments.slope(table["steps"], table[name]) for name in ("euler", "heun", "heun_density")}
    assert found == pytest.approx({"euler": 1, "heun": 2, "heun_density": 2}, abs=0.1)
    weak = experiments.weak_errors((8, 16), 40000)
    assert experiments.slope(weak["steps"], weak["bias"]) == pytest.approx(1, abs=0.2)


def test_speciation_and_collapse_to_five_per_cent():
    table = experiments.speciation_times((64, 256))
    assert table["ratio"].to_numpy() == pytest.approx(np.ones(4), abs=0.05)
    found = experiments.collapse(1000, 8, 4000)
    assert found.mean == pytest.approx(0.097903, rel=0.05) and abs(found.deviation(0.097903)) < 4
    assert abs(experiments.collapse(2000, 8, 4000).deviation(0.097903)) > 4


def test_clones_agree_as_often_as_they_should():
    table = experiments.clones(16, (0.7, 1.4, 2.5), 400)
    assert (abs(table["same"] - table["exact"]) < 4 * np.maximum(table["same_error"], 1e-3)).all()
    assert table["exact"].is_monotonic_decreasing and 0.5 < table["exact"].iloc[-1] < 0.7
    assert experiments.Pair(1000).agreement(0.01) == pytest.approx(1)


def test_the_exact_score_of_data_returns_them():
    near, far = experiments.returned(100, 4, 20)
    assert near.mean < 0.02 < 0.2 < far.mean
    table = experiments.memory(200, 4, (0.01, 3.0), count=50)
    assert table["share"].iloc[0] > 0.9 > 0.1 > table["share"].iloc[1]


def test_a_known_density_is_a_model():
    data = live.Ring(0.09).score()
    ring = experiments.Known(data)
    x = data.sample(50, seed=1)
    assert torch.allclose(ring.force(x), mp.hamiltonians.base.Hamiltonian.force(ring, x))
    chain = mp.run(mp.HMC(ring), 200, chains=16, seed=1, observe=["square"])
    exact = (2**2 / 2) + 0.09
    assert abs(chain["square"].mean() - exact) < 5 * chain["square"].mean(0).std() / math.sqrt(16)


def test_app_follows_its_controls_and_its_time():
    app = lecture.app("ci")
    timeline = app.children[1].children[0].children[1]
    seen = set()
    for name, value in (
        ("data", "Curie–Weiss"), ("steps", 2), ("solver", "Heun, ħ = 0"), ("noise", 2.0), ("data", "ring of modes"),
        ("score", "learnt by the network"), ("wrong", -0.3), ("plot", "free energy"), ("data", "two wells"),
    ):  # fmt: skip
        setattr(app.knobs, name, value)
        timeline.time = 1.7
        assert app.player.simulation.time == 1.7 and not app.player.message
        app.player.step_once()
        app.training.step_once()
        assert timeline.time == app.player.simulation.time == 1.71
        assert not app.player.message and not app.training.message
        seen.add(app.player.simulation.world.n)
    assert seen == {1, 2, 32} and app.player.simulation.wrong == -0.3
    app.close()
