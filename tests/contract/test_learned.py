"""Learnt proposals: exact whatever proposes, if the correction is right; wrong corrections are caught."""

from itertools import product

import numpy as np
import pytest
import torch

import mlphys as mp
from mlphys.contract import judge
from mlphys.samplers.learned import IndependenceMH, SelfLearning


class Independent:
    """Spins up with a probability of their own each, whatever the others do: a poor model, but one with q > 0."""

    def __init__(self, n_sites):
        self.up = torch.linspace(0.3, 0.7, n_sites, dtype=torch.float64)

    def sample(self, n, seed=0):
        drawn = torch.rand(n, len(self.up), dtype=torch.float64, generator=torch.Generator().manual_seed(seed >> 1))
        x = torch.where(drawn < self.up, 1, -1).char()
        return x, self.log_prob(x)

    def log_prob(self, x):
        return torch.where(x > 0, self.up, 1 - self.up).log().sum(1)


def independence(model, kind=IndependenceMH):
    return kind(Independent(model.lattice.n_sites), model)


def self_learning(model, kind=SelfLearning, **options):
    """The effective model knows nothing of the field, and has another coupling."""
    return kind(mp.Ising(model.lattice, 0.8), model, **{"sampler": mp.SwendsenWang, "proposal_sweeps": 2} | options)


MODELS = {"ferromagnet": mp.Ising(mp.square(2, 3)), "field": mp.Ising(mp.chain(7), field=0.2)}


@pytest.mark.parametrize("make, model", [(independence, "field"), (self_learning, "field"), (self_learning, "ferromagnet")])
def test_learnt_proposals_pass(make, model):
    failed = [str(verdict) for verdict in judge(make, MODELS[model], temperature=3.0, samples=300) if not verdict.passed]
    assert not failed


class Uncorrected:
    """Takes for granted that what proposes is the target."""

    def _log_q(self, state, x):
        return -torch.from_numpy(state.beta) * self.hamiltonian.energy(x)

    def _propose(self, state):
        x, energy, _ = super()._propose(state)
        return x, energy, self._log_q(state, x)


class OneSided:
    """Forgets how likely the proposal was, as if all were equally likely."""

    def _log_q(self, state, x):
        return torch.zeros(len(x), dtype=torch.float64)

    def _propose(self, state):
        x, energy, log_q = super()._propose(state)
        return x, energy, 0 * log_q


@pytest.mark.parametrize("mistake", [Uncorrected, OneSided])
@pytest.mark.parametrize("make, base", [(independence, IndependenceMH), (self_learning, SelfLearning)])
def test_wrong_corrections_are_rejected(make, base, mistake):
    broken = type(mistake.__name__, (mistake, base), {})
    failed = {v.check for v in judge(lambda m: make(m, broken), MODELS["field"], samples=200) if not v.passed}
    assert "Boltzmann distribution" in failed


def test_proposals_must_come_from_a_reversible_chain():
    """Sites visited in a fixed order keep the distribution, but the ratio of weights does not correct what they propose."""
    with pytest.raises(ValueError, match=r"Metropolis.*detailed balance"):
        self_learning(MODELS["field"], sampler=mp.Metropolis)
    fields = [0.9, 0.1, -0.6]
    states = np.array(list(product((1, -1), repeat=3)))

    def weights(fields):
        w = np.exp(states @ fields + states[:, 0] * states[:, 1] + states[:, 1] * states[:, 2])
        return w / w.sum()

    effective, target = weights([0, 0, 0]), weights(fields)
    heat_bath = []  # of one spin each, as transition matrices
    for site in range(3):
        others = np.delete(states, site, 1)
        same = (others[:, None] == others[None]).all(2)
        heat_bath.append(same * effective / (same * effective).sum(1, keepdims=True))
    one_way = heat_bath[0] @ heat_bath[1] @ heat_bath[2]
    there_and_back = one_way @ heat_bath[1] @ heat_bath[0]
    ratio = target / effective
    for proposal, is_exact in ((one_way, False), (there_and_back, True)):
        assert np.allclose(effective @ proposal, effective)
        accepted = proposal * np.minimum(1, ratio[None] / ratio[:, None])
        chain = accepted + np.diag(1 - accepted.sum(1))
        assert np.allclose(target @ chain, target, atol=1e-9) == is_exact


def test_acceptance_is_measured():
    chain = mp.run(self_learning(MODELS["ferromagnet"]), 500, 2.4, chains=16, seed=1)
    assert chain.acceptance.shape == (16,) and (chain.report()["acceptance"] == chain.acceptance.mean()).all()
    # Of the model itself every proposal is accepted.
    own = mp.run(SelfLearning(mp.Ising(mp.square(4)), mp.Ising(mp.square(4)), mp.Wolff), 50, 2.4, chains=4, seed=1)
    assert (own.acceptance == 1).all()
    assert mp.run(mp.Metropolis(mp.Ising(mp.square(4))), 50, 2.4).acceptance is None


def test_a_saved_chain_goes_on_bit_for_bit(tmp_path):
    for make in (independence, self_learning):
        sampler = make(MODELS["field"])
        state = sampler.init(3, 2.0, seed=4)
        sampler.step(state, 5)
        state.save(tmp_path / "state")
        again = mp.State.load(tmp_path / "state")
        fresh = make(MODELS["field"])
        fresh.adopt(again)
        assert (fresh.step(again, 30).acceptance == sampler.step(state, 30).acceptance).all()
        assert (again.x == state.x).all() and (again.cache["log_q"] == state.cache["log_q"]).all()


def test_another_model_is_weighed_anew():
    """Training goes on between two runs from the same state: log q is that of the new model."""
    model = MODELS["field"]
    sampler = independence(model)
    state = sampler.init(4, 2.0, seed=1)
    sampler.step(state, 3)
    sampler.proposal.up = torch.full_like(sampler.proposal.up, 0.9)
    sampler.adopt(state)
    assert (state.cache["log_q"] == sampler.proposal.log_prob(state.x).numpy()).all()


def test_bad_arguments_are_named():
    model = MODELS["field"]
    with pytest.raises(ValueError, match=r"proposal=.*sample"):
        IndependenceMH(model, model)
    with pytest.raises(ValueError, match="network=3 has no energy"):
        SelfLearning(3, mp.XY(mp.chain(4)))
    with pytest.raises(ValueError, match="proposal_sweeps=0"):
        self_learning(model, proposal_sweeps=0)
    with pytest.raises(ValueError, match=r"Ising.*HMC.*force"):
        SelfLearning(mp.Ising(mp.chain(7)), model)
