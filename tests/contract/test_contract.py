"""Every sampler keeps the contract; every broken one is caught, for the reason it is broken."""

import numpy as np
import pytest

import mlphys as mp
from mlphys.contract import judge

from .samplers import BROKEN, PlainMetropolis

# The kernels behind one sampler: packed, uniform, and with a coupling for each bond.
PER_BOND = np.random.default_rng(1).choice([1.0, 0.5, -0.5], 2 * 16)
MODELS = {
    "ferromagnet": mp.Ising(mp.square(4)),
    "antiferromagnet": mp.Ising(mp.square(4), coupling=-1.0),
    "narrow": mp.Ising(mp.square(2, 6)),
    "field": mp.Ising(mp.square(4, 3), field=0.2),
    "per bond": mp.Ising(mp.square(4), coupling=PER_BOND),
    "triangular": mp.Ising(mp.triangular(3), coupling=0.7),
    "ring": mp.Ising(mp.chain(9)),
    "cube": mp.Ising(mp.cubic(2), coupling=0.5, field=-0.1),
}


@pytest.mark.parametrize("sampler", [mp.Metropolis, mp.HeatBath, mp.Wolff, mp.SwendsenWang], ids=lambda s: s.__name__)
@pytest.mark.parametrize("model", MODELS)
def test_sampler_passes(sampler, model):
    if sampler is mp.Wolff and not MODELS[model].without_field:
        with pytest.raises(ValueError, match="field"):
            sampler(MODELS[model])
        return
    failed = [str(verdict) for verdict in judge(sampler, MODELS[model]) if not verdict.passed]
    assert not failed


def test_plain_sampler_passes():
    failed = [str(verdict) for verdict in judge(PlainMetropolis, samples=200) if not verdict.passed]
    assert not failed


CAUGHT_BY = {"SharedRandomNumbers": "independent chains"}


@pytest.mark.parametrize("sampler", BROKEN, ids=lambda s: s.__name__)
def test_broken_sampler_is_rejected(sampler):
    failed = {verdict.check for verdict in judge(sampler, samples=200) if not verdict.passed}
    assert CAUGHT_BY.get(sampler.__name__, "Boltzmann distribution") in failed


def test_sampler_that_does_nothing_is_rejected():
    class Idle(mp.Sampler):
        def step(self, state, sweeps=1):
            return mp.Info()

    assert not judge(Idle)[0].passed


def test_one_and_two_threads_give_the_same_lattice(monkeypatch):
    from mlphys import threads

    for model in (mp.Ising(mp.square(128)), mp.Ising(mp.square(16)), mp.Ising(mp.triangular(30))):
        for sampler in (mp.Metropolis, mp.HeatBath, mp.Wolff, mp.SwendsenWang):
            results = []
            for count in (1, 2):
                monkeypatch.setattr(threads, "thread_count", lambda count=count: count)
                state = sampler(model).init(chains=130, temperature=2.5, seed=3)
                sampler(model).step(state, 60)
                results.append(state.x)
            assert (results[0] == results[1]).all()
