"""The φ⁴ benchmark compares like with like, and our speed is still there."""

import numpy as np
import pytest
from bench_fields import SIDE, STEPS, Blackjax, Library, Numpyro, Plain, PlainMetropolis, PlainOverrelaxation, race

import mlphys as mp

KAPPA, STEP_SIZE = 0.21, 0.24


@pytest.fixture(scope="module")
def library():
    model = mp.Phi4.from_kappa(mp.square(SIDE), KAPPA, 0.022)
    return Library("mlphys", mp.HMC(model, STEP_SIZE, STEPS, jitter=0.0), model)


def peer(kind, library):
    return kind(KAPPA, STEP_SIZE, library.state.x.numpy().reshape(-1, SIDE, SIDE))


@pytest.mark.parametrize("kind", [Plain, Blackjax, Numpyro])
def test_peers_take_the_same_trajectories(kind, library):
    if kind is not Plain:
        pytest.importorskip(kind.name)
    series, ours = peer(kind, library), library
    means = {name: values.mean() for name, values in series.series(60).items()}
    expected = {name: values.mean() for name, values in ours.series(60).items()}
    # 64 chains of 60 trajectories each, remembered for about ten of them.
    assert abs(series.acceptance - ours.acceptance) < 4 * np.sqrt(2 * 0.25 * 20 / 3840)
    assert abs(means["phi2"] - expected["phi2"]) < 0.01 and abs(means["energy"] - expected["energy"]) < 0.01


@pytest.mark.parametrize("kind", [PlainMetropolis, PlainOverrelaxation])
def test_plain_local_updates_sample_the_same_field(kind, library):
    plain, phi2 = peer(kind, library), library.series(60)["phi2"].mean()
    assert abs(plain.series(60)["phi2"].mean() - phi2) < 0.01
    assert 0.3 < plain.acceptance < 0.8


def test_faster_than_the_plain_loop(library):
    ours, plain = race([library, peer(Plain, library)], repeats=5, seconds=0.03)
    assert np.median(plain / ours) > 2.0
