"""Sampling without data: wells of known weight, and paths whose weights are exact whatever led them."""

import numpy as np
import pytest
import torch
from scipy.integrate import quad

import mlphys as mp
from mlphys.diffusion import (
    Gaussian,
    GaussianMixture,
    Guided,
    Interpolant,
    PathSampler,
    SubVP,
    VarianceExploding,
    VariancePreserving,
    fit_paths,
)


def test_many_wells_have_their_published_values():
    exact = mp.exact.thermal(mp.ManyWell(32), 1.0)
    assert exact.log_partition == pytest.approx(164.695675, abs=5e-7)
    assert exact.modes == pytest.approx(np.full(16, 0.844307), abs=5e-7)


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_moments_of_wells(temperature):
    """The exact twins beside integrals of the actions themselves."""
    wells = mp.ManyWell(2)

    def integral(function, start=-5.0):
        def density(a):
            action = wells.action(torch.tensor([[a, 0.0]], dtype=torch.float64)).item()
            return function(action) * np.exp(-action / temperature - 9)

        return quad(density, start, 0, epsabs=1e-12)[0] + quad(density, 0, 5, epsabs=1e-12)[0]

    z, exact = integral(lambda action: 1.0), mp.exact.thermal(wells, temperature)
    first, second = (integral(lambda action, k=k: action**k) / z for k in (1, 2))
    assert exact.log_partition == pytest.approx(np.log(z) + 9 + np.log(2 * np.pi * temperature) / 2, abs=1e-9)
    assert exact.modes[0] == pytest.approx(integral(lambda action: 1.0, start=0) / z, abs=1e-7)
    assert 2 * exact.energy == pytest.approx(first + temperature / 2, abs=1e-8)
    assert 2 * exact.heat_capacity == pytest.approx((second - first**2) / temperature**2 + 0.5, abs=1e-7)


def test_modes_in_the_plane():
    modes = mp.ManyModes(40, seed=3)
    exact = mp.exact.thermal(modes, 1.0)
    assert abs(exact.log_partition) < 1e-10 and exact.modes == pytest.approx(np.full(40, 1 / 40))
    assert modes.means.abs().max() < 40 and not torch.equal(modes.means, mp.ManyModes(40, seed=4).means)
    # The entropy of one normal distribution is known.
    one = mp.exact.thermal(mp.ManyModes(1, reach=3.0, width=0.7), 2.0)
    assert one.energy * 2 == pytest.approx(2.0 + np.log(2 * np.pi * 0.49), abs=1e-9)
    assert one.heat_capacity == pytest.approx(0.5, abs=1e-9)


@pytest.mark.parametrize("model", [mp.ManyWell(6), mp.ManyModes(5, reach=3.0)], ids=repr)
def test_forces(model):
    x = 2 * model.random(20, seed=1)
    np.testing.assert_allclose(model.force(x), super(type(model), model).force(x), rtol=1e-9, atol=1e-9)


def test_a_chain_among_modes():
    model = mp.ManyModes(3, reach=2.0)
    chain = mp.run(mp.HMC(model), 300, temperature=1.0, chains=16, seed=1)
    assert abs(chain.estimate("energy").deviation(mp.exact.thermal(model, 1.0).energy)) < 4


def wrong(process):
    """A score that belongs to nothing, and spreads that vary from place to place."""

    def score(x, t):
        a, s = process.mean_factor(t), process.deviation(t)
        return (0.4 * a * torch.sin(2 * x.roll(1, 1)) - x) / (a**2 + s**2), 0.3 * t * torch.cos(3 * x)

    return score


def off(sampler, n=20_000, seed=1):
    """Deviations of log Z and of the weight of the deeper well, of `ManyWell(2)`."""
    wells = mp.ManyWell(2)
    exact, found = mp.exact.thermal(wells, 1.0), mp.flows.importance(sampler, wells, n, seed)
    share = found.mean(lambda x: wells.modes(x)[:, 0])
    return max(abs(found.log_partition.deviation(exact.log_partition)), abs(share.deviation(exact.modes[0])))


PROCESSES = [VariancePreserving(), SubVP(), VarianceExploding(0.01, 20.0), Interpolant()]


@pytest.mark.parametrize("steps", [1, 8])
@pytest.mark.parametrize("process", PROCESSES, ids=repr)
def test_weights_are_exact_whatever_leads_the_paths(process, steps):
    assert off(PathSampler(process, wrong(process), 2, scale=1.5, steps=steps)) < 4


class Alone(PathSampler):
    """Forgets the noise that would have led back."""

    def _log_noising(self, added, noise):
        return torch.zeros_like(added[:, 0])


class Stretched(PathSampler):
    """Stretches that noise by a tenth: its density is then no longer normalised."""

    def _log_noising(self, added, noise):
        return super()._log_noising(added / 1.1, noise)


@pytest.mark.parametrize("broken", [Alone, Stretched])
def test_wrong_weights_are_noticed(broken):
    process = VariancePreserving()
    assert off(broken(process, wrong(process), 2, scale=1.5, steps=8)) > 5


def test_an_untrained_network():
    process, wells = VariancePreserving(), mp.ManyWell(2)
    for sitewise in (False, True):
        sampler = PathSampler(process, Guided(process, wells, 1.7, (8,), sitewise), 2, scale=1.7, steps=10)
        assert off(sampler) < 4
        x, log_q = sampler.sample(100, seed=3)
        again = sampler.sample(100, seed=3)
        assert torch.equal(x, again[0]) and torch.equal(log_q, again[1])


@pytest.mark.parametrize("process", PROCESSES, ids=repr)
def test_normal_data_have_equal_weights(process):
    """With their own score, in any number of steps."""
    free = mp.Phi4.from_kappa(mp.chain(3), kappa=0.0, coupling=0.0)
    score = Gaussian(process, np.zeros(3), np.eye(3))
    found = mp.flows.importance(PathSampler(process, score, 3, scale=0.5**0.5, steps=3), free, 100)
    np.testing.assert_allclose(found.log_weights, mp.exact.thermal(free, 1.0).log_partition, atol=1e-8)


def test_known_scores_need_steps_alone():
    """The divergence from the reversed noise falls as the inverse of their number."""
    process = VariancePreserving()
    mixture = GaussianMixture(process, [0.3, 0.7], [[-1.0, 0.0], [1.0, 0.5]], [0.3, 0.3])
    gaps = []
    for steps in (20, 40, 80):
        x, log_q = PathSampler(process, mixture, 2, steps=steps).sample(8000, seed=1)
        gaps.append((log_q - mixture.log_prob(x)).mean().item())
    assert gaps[0] < 0.2 and gaps[1] / gaps[0] < 0.7 and gaps[2] / gaps[1] < 0.7


class Scaled(torch.nn.Module):
    """The score of normal data of unit width, times a parameter."""

    def __init__(self):
        super().__init__()
        self.factor = torch.nn.Parameter(torch.full((), 0.6, dtype=torch.float64))

    def forward(self, x, t):
        return -self.factor * x


@pytest.mark.parametrize("loss", ["log_variance", "kl"])
def test_both_losses_find_the_known_score(loss):
    free = mp.Phi4.from_kappa(mp.chain(3), kappa=0.0, coupling=0.0)
    sampler = PathSampler(VariancePreserving(), Scaled(), 3, scale=0.5**0.5, steps=10)
    kish = [step.kish for step in fit_paths(sampler, free, 150, loss=loss, rate=0.03, seed=1)]
    assert sampler.score.factor.item() == pytest.approx(1, abs=0.03)
    assert kish[-1] > 0.95 > 0.5 > kish[0]


@pytest.mark.parametrize("loss", ["log_variance", "kl"])
def test_learning_two_wells(loss):
    process, wells = VariancePreserving(), mp.ManyWell(2)

    def gap(steps, seed=1):
        """ln Z less its bound, after so many steps."""
        sampler = PathSampler(process, Guided(process, wells, 1.7, (16,), sitewise=True), 2, scale=1.7, steps=12)
        for _ in fit_paths(sampler, wells, steps, loss, batch=64, rate=1e-2, seed=seed):
            pass
        assert off(sampler, 10_000) < 4
        return 10.29348 - mp.flows.importance(sampler, wells, 2000).log_weights.mean().item()

    assert gap(60) < gap(1) / 2
    assert gap(2) == gap(2) != gap(2, seed=2)


def test_refusals():
    process, wells = VariancePreserving(), mp.ManyWell(2)
    for named, value in [("scale", 0.0), ("steps", 0), ("n_sites", 0)]:
        with pytest.raises(ValueError, match=named):
            PathSampler(**{"process": process, "score": wrong(process), "n_sites": 2, named: value})
    sampler = PathSampler(process, Guided(process, wells, sitewise=True), 2)
    bad = [("loss", "x"), ("steps", 0), ("batch", 1), ("rate", 0.0), ("anneal", 2.0), ("hamiltonian", mp.ManyWell(4))]
    for named, value in bad:
        with pytest.raises(ValueError, match=named):
            fit_paths(**{"sampler": sampler, "hamiltonian": wells, "steps": 5, named: value})
    with pytest.raises(ValueError, match="n_sites"):
        mp.ManyWell(3)
