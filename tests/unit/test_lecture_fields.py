"""Lecture 02: usual mistakes in its exercises; apps; experiments."""

import time

import numpy as np
import pandas as pd
import pytest
import torch

import mlphys as mp
from mlphys.lectures import fields as lecture


def shortest(turns):
    return (turns + np.pi) % (2 * np.pi) - np.pi


def current(angles):
    return np.sin(np.roll(angles, -1, axis=2) - angles).sum(axis=(1, 2))


def bonds(angles):
    return np.cos(np.roll(angles, -1, axis=2) - angles).mean()


def full_kicks(x, momentum, force, step_size, steps):
    for _ in range(steps):
        momentum = momentum + step_size * force(x)
        x = x + step_size * momentum
    return x, momentum


def wrong_force(x, momentum, force, step_size, steps):
    return lecture.exercises["leapfrog"].solution(x, momentum, lambda x: -force(x), step_size, steps)


# For each exercise usual mistakes and a word of the diagnosis that each must get (see test_lectures.py).
MISTAKES = {
    "winding": [
        (lambda angles: np.sum(np.roll(angles, -1) - angles) / (2 * np.pi), "Always 0"),
        (lambda angles: np.sum(shortest(np.diff(angles))) / (2 * np.pi), "Three of the four"),
        (lambda angles: np.sum(shortest(np.roll(angles, -1) - angles)), "full circles"),
    ],
    "helicity": [
        (lambda angles, temperature: bonds(angles), "Only the bonds"),
        (lambda angles, temperature: bonds(angles) - temperature * (current(angles) ** 2).mean() / 48, "by T"),
        (lambda angles, temperature: bonds(angles) - current(angles).mean() ** 2 / temperature / 48, "square its average"),
    ],
    "leapfrog": [(full_kicks, "you do not return"), (wrong_force, "runs away")],
    "langevin": [
        (lambda x, force, dt, noise: x + dt * force(x) + np.sqrt(dt) * noise, "half the temperature"),
        (lambda x, force, dt, noise: x + dt * force(x), "No noise"),
        (lambda x, force, dt, noise: x - dt * force(x) + np.sqrt(2 * dt) * noise, "Uphill"),
    ],
    "exchange": [
        (lambda b, e, c, f: min(1, np.exp(-(b - c) * (e - f))), "sign"),
        (lambda b, e, c, f: min(1, np.exp(-b * (f - e))), "one chain alone"),
        (lambda b, e, c, f: np.exp((b - c) * (e - f)), "larger than 1"),
    ],
}


def test_live_numbers_are_those_of_the_models():
    random, lattice = np.random.default_rng(1), mp.square(8)
    xy, field = mp.XY(lattice), mp.Phi4.from_kappa(lattice, 0.25, 0.022)
    angles, phi = random.uniform(-9, 9, (8, 8)), random.normal(size=(8, 8))
    x, beta = torch.tensor(angles.reshape(1, -1)), torch.tensor([1.3], dtype=torch.float64)
    values, winding = lecture.look_at_spins(angles, 1.3)
    for name in ("energy", "vortex_density"):
        assert values[name] == pytest.approx(xy.observables[name](x).item(), rel=1e-12)
    assert values["helicity_modulus"] == pytest.approx(xy.observables["helicity_modulus"](x, beta).item(), rel=1e-12)
    assert values["squared_force"] == pytest.approx((xy.force(x) ** 2).mean().item(), rel=1e-12)
    assert winding.ravel().tolist() == xy.vortices(x)[0].tolist()
    y = torch.tensor(phi.reshape(1, -1))
    values, _ = lecture.look_at_field(field)(phi, 1.0)
    assert values["action"] == pytest.approx(field.energy(y).item() / 64, rel=1e-12)
    assert values["identity"] == pytest.approx(-(y * field.force(y)).mean().item(), rel=1e-12)
    assert values["phi2"] == pytest.approx(field.observables["phi2"](y).item(), rel=1e-12)


def test_transition_finds_the_temperature_at_which_the_law_holds():
    """Made-up data: the inverse excess grows by 2 ln 2 at T = 0.9, and by 60 per J more above it."""
    temperatures, noise = np.linspace(0.87, 0.93, 5), np.random.default_rng(2)
    rows = []
    for side, growth in ((16, 0 * temperatures), (32, 2 * np.log(2) + 60 * (temperatures - 0.9))):
        for t, more in zip(temperatures, growth, strict=True):
            value, error = 2 * t / np.pi * (1 + 1 / (7 + more)), 2e-4
            rows.append({"L": side, "temperature": t, "helicity_modulus": value + error * noise.normal()})
            rows[-1]["helicity_modulus_error"] = error
    found = lecture.transition(pd.DataFrame(rows), 16, 32)
    assert abs(found.deviation(0.9)) < 3 and found.error < 0.001
    assert abs(found.deviation(0.89)) > 5


def test_extrapolation_recovers_value_and_slope():
    dt = np.array([0.005, 0.01, 0.02, 0.03, 0.04])
    error = np.full(5, 1e-4)
    mean = 0.127 + 0.5 * dt + 2.5 * dt**2 + error * np.random.default_rng(3).normal(size=5)
    value, slope = lecture.extrapolate(pd.DataFrame({"dt": dt, "phi2": mean, "error": error}))
    assert abs(value.deviation(0.127)) < 3 and abs(slope.deviation(0.5)) < 3
    assert abs(value.deviation(mean[0])) > 5


def test_step_sizes_cost_forces_and_acceptance():
    table = lecture.step_sizes(mp.Phi4.from_kappa(mp.square(8), 0.21, 0.022), (0.2, 0.5), 200, chains=16)
    assert table["integrator"].tolist() == ["leapfrog"] * 2 + ["minimum norm"] * 2
    for _, rows in table.groupby("integrator"):
        assert rows["acceptance"].is_monotonic_decreasing
    assert (table["ess_per_1000_forces"] > 5 * table["error"]).all()


def test_tempering_leaves_the_valley_where_metropolis_stays():
    glass = mp.SpinGlass(mp.square(8), seed=1)
    ladder = np.geomspace(0.35, 2.0, 10)
    chains = lecture.tempering(glass, ladder, 150, chains=4)
    exact, warmer = mp.exact.thermal(glass, ladder[[0, 4]]).energy
    assert abs(chains["tempering"].estimate("energy", ladder[4]).deviation(warmer)) < 4
    cold = np.isclose(chains["Metropolis"].state.temperature, ladder[0])
    assert chains["Metropolis"]["energy"][:, cold].mean() - exact > 0.01


def test_yardstick_shows_the_biased_sampler_without_a_rank():
    table = lecture.yardstick(mp.XY(mp.square(4)), 1.0, ["energy", "m2"], 60, chains=2)
    assert len(table) == lecture.CONTENDERS
    assert table["sampler"].iloc[-1] == "Langevin, biased" and np.isnan(table["ess_per_second"].iloc[-1])
    assert table["ess_per_second"].iloc[:-1].is_monotonic_decreasing


@pytest.mark.parametrize("make", [lecture.app, lecture.field_app])
def test_no_sampler_of_the_apps_stalls(make):
    """A slider waits for the step under way: none may take long, from random spins at the largest work a step can have."""
    app = make("ci")
    knobs = app.knobs
    knobs.side, knobs.sweeps = "128", "16"
    for name in next(part["options"] for part in knobs.specification if part["name"] == "sampler"):
        knobs.sampler = name
        app.player.step_once()  # loads the kernel
        began = time.process_time()
        for _ in range(10):
            app.player.step_once()
        assert not app.player.message and time.process_time() - began < 5, name
    app.close()
