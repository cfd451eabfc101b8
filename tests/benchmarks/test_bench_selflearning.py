"""The benchmark of self-learning trains every kind of network, and asks a price that can be compared."""

import pytest
import torch
from bench_selflearning import price, table, trained

import mlphys as mp
from mlphys import selflearning


@pytest.fixture(scope="module")
def model():
    return mp.DoubleExchange(mp.square(4))


@pytest.fixture(scope="module")
def known(model):
    return selflearning.gather(mp.HMC(model), 64, chains=8, seed=1, burn_in=10)


def test_every_network_is_in_the_table_and_learns(model, known, monkeypatch):
    monkeypatch.setattr("bench_selflearning.SHELLS", (1, 3))
    monkeypatch.setattr("bench_selflearning.LAYERS", (1,))
    monkeypatch.setattr("bench_selflearning.CHANNELS", ((2, 4),))
    rows = list(table(model.lattice, known, known, 0.1))
    assert [row["steps"] > 0 for row in rows] == [False, False, True, True]
    assert rows[1]["sigma"][0] < rows[0]["sigma"][0] and rows[3]["sigma"][0] < rows[1]["sigma"][0]


def test_a_price_has_an_error_and_counts_exact_energies(model, known):
    network, _ = trained(lambda: mp.nets.LinearEffective(model.lattice, 2), known, 0.1, 0.01)
    learnt = price("a", mp.SelfLearning(network, model, proposal_sweeps=2), known.x[-4:], 20)
    local = price("b", mp.Metropolis(model), known.x[-4:], 20)
    assert 0 < learnt["acceptance"][0] < 1 and all(row["seconds"][1] > 0 for row in (learnt, local))
    assert learnt["exact_energies"][0] == pytest.approx(2 * learnt["staggered_m2"][2])
    assert local["exact_energies"][0] == pytest.approx(2 * 16 * local["staggered_m2"][2])
    assert torch.isfinite(torch.tensor([learnt["energy"][0], local["energy"][0]])).all()
