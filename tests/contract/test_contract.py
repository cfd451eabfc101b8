"""Every sampler keeps the contract; every broken one is caught, for the reason it is broken."""

import numpy as np
import pytest

import mlphys as mp
from mlphys.contract import judge

from .samplers import BROKEN, ColdHeatBath, PlainMetropolis, PlainPairMetropolis, SkewedProposals

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
    # Twice as many samples as the broken ones below need to be caught.
    failed = [str(verdict) for verdict in judge(sampler, MODELS[model], samples=400) if not verdict.passed]
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


# Models of q values, small enough to enumerate, at temperatures where they are neither frozen nor free.
DISCRETE = {
    "Potts 3": (mp.Potts(mp.square(3), q=3), 1.1),
    "Potts 3, ring": (mp.Potts(mp.chain(9), q=3), 0.7),
    "Potts 5, antiferromagnet": (mp.Potts(mp.square(2, 3), q=5, coupling=-1.0), 0.7),
    # Here every change is free in some states: accepted without fail, they would lead round for ever.
    "Potts 2": (mp.Potts(mp.square(2), q=2), 0.9),
    "clock 4": (mp.Clock(mp.square(2, 4), q=4), 1.3),
    "clock 4, triangular": (mp.Clock(mp.triangular(3), q=4, coupling=0.5), 1.6),
    "clock 5": (mp.Clock(mp.chain(6), q=5), 0.7),
    "clock 6": (mp.Clock(mp.square(2, 3), q=6), 1.1),
}


PAIRS = [(sampler, model) for sampler in (mp.Metropolis, mp.HeatBath) for model in DISCRETE]
PAIRS += [(sampler, model) for sampler in (mp.Wolff, mp.SwendsenWang) for model in ("Potts 3", "clock 6")]


@pytest.mark.parametrize("sampler, model", PAIRS, ids=lambda case: getattr(case, "__name__", case))
def test_sampler_of_discrete_models_passes(sampler, model):
    failed = [str(v) for v in judge(sampler, *DISCRETE[model], samples=300) if not v.passed]
    assert not failed


@pytest.mark.parametrize("sampler", [PlainPairMetropolis, SkewedProposals, ColdHeatBath], ids=lambda s: s.__name__)
def test_broken_sampler_of_discrete_models_is_rejected(sampler):
    failed = {v.check for v in judge(sampler, mp.Potts(mp.square(2, 3), q=3), 1.5, samples=200) if not v.passed}
    assert failed == set() if sampler is PlainPairMetropolis else "Boltzmann distribution" in failed
