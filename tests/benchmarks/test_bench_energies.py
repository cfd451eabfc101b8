"""The benchmark of samplers without data counts every evaluation, and gives rivals no more of them."""

import numpy as np
import torch
from bench_energies import Counted, judged, paths, populations

import mlphys as mp


def test_rivals_cost_the_same():
    model = mp.ManyWell(4)
    options = {"hidden": (8,), "sitewise": True}, {"steps": 3, "batch": 10}
    found, trained, total = paths(model, 1.7, 5, *options, 200, 1, "log_variance")
    assert (trained, total) == (3 * 10 * 6, 3 * 10 * 6 + 200 * 6) and len(found.x) == 200
    rival, _, spent = populations(model, 1.7, 100_000, 1, resample=True, number=3)
    assert 0.7 < spent / 100_000 < 1.3
    seen = judged(rival, model)
    assert len(seen["shares"]) == seen["found"] == 2 and seen["variation"] < 0.2


def test_what_is_said_of_weighed_samples():
    model = mp.ManyModes(4, seed=1)
    x = model.means.repeat(250, 1)
    good = judged(mp.flows.Importance(x, torch.zeros(1000, dtype=torch.float64)), model)
    assert good["found"] == 4 and good["variation"] < 1e-6 and good["kish"] == 1
    weights = torch.where(model.modes(x)[:, 0] > 0.5, -10.0, 0.0).double()
    assert np.isclose(judged(mp.flows.Importance(x, weights), model)["variation"], 0.25, atol=1e-3)


def test_counting():
    counted = Counted(mp.ManyWell(4))
    counted.force(torch.zeros(3, 4)), counted.action(torch.zeros(2, 4))
    assert counted.evaluations == 5
