"""Hybrid Monte Carlo and the Langevin equation against exact values; the bias of the latter; broken variants."""

import numpy as np
import pytest

import mlphys as mp
from mlphys.exact.vectors import u1_torus, xy_ring
from mlphys.random import torch_generator

SAMPLERS = {
    "leapfrog": mp.HMC,
    "minimum norm": lambda h: mp.HMC(h, steps=5, integrator="minimum_norm"),
    "adjusted Langevin": mp.Langevin,
}
FREE = mp.Phi4(mp.square(6), mass2=0.5, coupling=0.0)
RING = mp.Phi4(mp.chain(6), mass2=1.0, coupling=0.0)


def free_phi2(model: mp.Phi4) -> float:
    """⟨φ²⟩ for λ = 0: a mode whose action is s |φ|² has the variance 1/2s."""
    return (1 / (2 * model.spectrum)).mean()


def ring(n, temperature):
    return {name: (getattr(xy_ring(n, temperature), name), 0.0) for name in ("energy", "m2")}


def gauge(beta):
    return {name: (getattr(u1_torus(64, beta), name), 0.0) for name in ("plaquette", "charge2")}


# Model, temperature, sweeps between samples, and values with their errors: the first of each is reached to 1e-3.
CASES = {
    "free field": (FREE, 1.0, 2, {"phi2": (free_phi2(FREE), 0.0), "energy": (0.5, 0.0), "m2": (1 / (2 * 36 * 0.5), 0.0)}),
    "XY ring": (mp.XY(mp.chain(8)), 0.7, 2, ring(8, 0.7)),
    "U(1), beta = 1": (mp.U1Gauge(mp.square(8), 1.0), 1.0, 1, gauge(1.0)),
    "U(1), beta = 2": (mp.U1Gauge(mp.square(8), 2.0), 1.0, 1, gauge(2.0)),
    # Rows of the reference table.
    "phi4 with a mass": (
        mp.Phi4(mp.square(6), -4.0, 6.975),
        1.0,
        1,
        {"phi2": (0.1612, 2e-4), "abs_magnetisation": (0.1414, 5e-4)},
    ),
    "phi4 with kappa": (
        mp.Phi4.from_kappa(mp.square(8), 0.21, 0.022),
        1.0,
        1,
        {"phi2": (0.6232, 3e-4), "abs_magnetisation": (0.1607, 2e-4)},
    ),
}


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("case", CASES)
def test_agrees_with_exact_values(case, sampler):
    model, temperature, thin, values = CASES[case]
    thin *= 4 if sampler == "adjusted Langevin" else 1
    samples, chains = (1000, 256) if "U(1)" in case else (1100, 512)
    chain = mp.run(SAMPLERS[sampler](model), samples, temperature, chains, seed=21, thin=thin, observe=list(values))
    for name, (value, error) in values.items():
        estimate = chain.estimate(name)
        assert abs(estimate.mean - value) < 4 * np.hypot(estimate.error, error), (name, estimate, value)
    first = chain.estimate(next(iter(values)))
    assert first.error < 1e-3 * abs(first.mean)


def test_xy_at_the_transition():
    sampler = mp.HMC(mp.XY(mp.square(16)), steps=8, integrator="minimum_norm")
    chain = mp.run(sampler, 1200, 0.8929, 128, seed=5, thin=2, observe=("energy", "helicity_modulus"))
    for name, value, error in (("energy", -1.4501, 3e-4), ("helicity_modulus", 0.6482, 8e-4)):
        estimate = chain.estimate(name)
        assert abs(estimate.mean - value) < 4 * np.hypot(estimate.error, error) and estimate.error < error, (name, estimate)


class Student(mp.Phi4):
    """A subclass may have changed the action: no compiled kernel, but the model's own force."""


@pytest.mark.parametrize("make", [lambda h: mp.HMC(h, steps=4), mp.Langevin])
def test_torch_on_any_model_with_a_force(make):
    sampler = make(Student(mp.chain(6), mass2=1.0, coupling=0.0))
    assert sampler._compiled is None
    chain = mp.run(sampler, 150, chains=4000, seed=3, thin=4 if make is mp.Langevin else 2, observe=("phi2", "energy"))
    for name, exact in (("phi2", free_phi2(RING)), ("energy", 0.5)):
        assert abs(chain.estimate(name).deviation(exact)) < 4
    assert chain.estimate("energy").error < 2e-3 * 0.5


@pytest.mark.parametrize("integrator", ["leapfrog", "minimum_norm"])
@pytest.mark.parametrize("case", CASES)
def test_the_mean_of_exp_minus_delta_h_is_one(case, integrator):
    """Creutz 1988: what reversibility and volume together promise."""
    model, temperature, *_ = CASES[case]
    sampler = mp.HMC(model, integrator=integrator, steps=5, target_acceptance=0.8, jitter=0.0)
    state = mp.run(sampler, 1, temperature, 512, seed=6, burn_in=200, observe=("energy",)).state
    infos = [sampler.step(state) for _ in range(60)]
    weights = np.exp([info.log_target_change + info.log_proposal_ratio for info in infos])
    # Means over chains: one trajectory remembers the one before it.
    means = weights.mean(0)
    assert weights.std() > 0.1
    assert abs(means.mean() - 1) < 4 * means.std(ddof=1) / np.sqrt(means.size)


def test_bias_of_unadjusted_langevin_is_linear_and_extrapolates_away():
    """A mode of stiffness k has the variance 1/(k (1 − k dt/2)): ⟨φ²⟩ is off by dt/2 to first order, on any lattice."""
    times, stiffness = np.array([0.01, 0.02, 0.03, 0.04]), 2 * RING.spectrum
    exact = np.array([(1 / (stiffness * (1 - stiffness * dt / 2))).mean() for dt in times])
    estimates = []
    for dt in times:
        sampler = mp.Langevin(RING, dt, adjusted=False)
        thin = round(0.6 / dt)
        chain = mp.run(sampler, 600, chains=4096, seed=31, thin=thin, burn_in=20 * thin, observe=("phi2",))
        assert not chain.exact and chain.report().ess_per_second.isna().all()
        estimates.append(chain.estimate("phi2"))
    means, errors = (np.array([getattr(e, name) for e in estimates]) for name in ("mean", "error"))
    assert (np.abs(means - exact) < 4 * errors).all() and means[0] - free_phi2(RING) > 10 * errors[0]
    fit, covariance = np.polyfit(times, means, 2, w=1 / errors, cov="unscaled")
    fit_error = np.sqrt(np.diag(covariance))
    # The same parabola through the exact values bends a little away from their tangent, whose slope is 1/2.
    of_exact = np.polyfit(times, exact, 2, w=1 / errors)
    assert (np.abs(fit - of_exact) < 4 * fit_error).all()
    assert abs(fit[1] - 0.5) < 4 * fit_error[1] + 0.01 and fit_error[1] < 0.03, (fit[1], fit_error[1])
    assert abs(fit[2] - free_phi2(RING)) < 4 * fit_error[2] and fit_error[2] < 2e-3 * fit[2]


def test_a_fixed_length_never_samples_a_mode_that_fits_into_it():
    """Twenty leapfrog steps that turn the slowest mode by π/20 each bring it to minus itself: only jitter samples m²."""
    stiffness = 2 * FREE.spectrum.min()
    step_size, exact = 2 * np.sin(np.pi / 40) / np.sqrt(stiffness), 1 / (36 * stiffness)
    changes = {}
    for jitter in (0.0, 0.2):
        sampler = mp.HMC(FREE, step_size, 20, jitter=jitter)
        chain = mp.run(sampler, 800, chains=512, seed=8, burn_in=0, observe=("m2",))
        changes[jitter] = np.corrcoef(chain["m2"][100], chain["m2"][200])[0, 1]
    assert changes[0.0] > 0.99 and abs(changes[0.2]) < 4 / np.sqrt(512), changes
    assert abs(chain.estimate("m2").deviation(exact)) < 4


class Unrejecting(mp.HMC):
    """Takes every trajectory."""

    adjusted = False


class Weightless(mp.HMC):
    """Leaves the kinetic energy out of ΔH."""

    def _kinetic(self, momenta):
        return 0 * super()._kinetic(momenta)


class Stale(mp.HMC):
    """Draws its momenta once and for all."""

    def _momenta(self, x, rng):
        return super()._momenta(x, torch_generator(1, "momenta"))


@pytest.mark.parametrize("broken", [mp.HMC, Unrejecting, Weightless, Stale])
def test_broken_variants_are_rejected(broken):
    sampler = broken(RING, step_size=0.5, steps=3, jitter=0.2)
    sampler._compiled = None
    chain = mp.run(sampler, 200, chains=2000, seed=9, thin=2, observe=("phi2",))
    # Each chain's mean stands for itself, whatever its autocorrelation.
    means = chain["phi2"].mean(0)
    deviation = (means.mean() - free_phi2(RING)) / (means.std(ddof=1) / np.sqrt(means.size))
    assert abs(deviation) < 4 if broken is mp.HMC else abs(deviation) > 8, deviation
