"""φ⁴ by diffusion: trained scores, raw and made exact, beside the transfer matrix and a long chain; couplings never seen."""

import math

import numpy as np
import pytest
import torch

import mlphys as mp
from mlphys.diffusion import DiffusionModel, Gaussian, Preconditioned, VarianceExploding, VariancePreserving, drift_error
from mlphys.diffusion.solvers import STEPS, jacobian, with_jacobian
from mlphys.nets import ScorePotential

PROCESS, RING = VariancePreserving(), mp.chain(8)


def configurations(field, samples=64, seed=11):
    """Independent, thermalised fields `(64 · samples, n_sites)`."""
    chain = mp.run(mp.HMC(field), samples, chains=64, thin=5, burn_in=300, seed=seed, observe=["phi2"], keep=True)
    return chain.x.flatten(0, 1)


def trained(lattice, data, steps, kind=DiffusionModel, span=None, **options):
    network = ScorePotential(lattice, channels=4, conditions=0 if span is None else 1)
    width = torch.cat([*data.values()] if isinstance(data, dict) else [data]).std().item()
    score = Preconditioned(PROCESS, network, width, span)
    model = kind(PROCESS, score, lattice.n_sites, method="runge_kutta", steps=5)
    rate = lambda step: 0.01 * min(1, 20 * step / steps) * math.cos(math.pi / 2 * (step - 1) / steps) ** 2  # noqa: E731
    for _ in mp.diffusion.fit(model, data, steps, seed=1, rate=rate, matching="energy", **options):
        pass
    return model


@pytest.fixture(scope="module")
def ring():
    """A model of few steps, and its field, far from Gaussian; the exact answers are those of a transfer matrix."""
    field = mp.Phi4.from_kappa(RING, kappa=0.4, coupling=0.3)
    return trained(RING, configurations(field), 200, hamiltonian=field), field


class Forgetful(DiffusionModel):
    """Forgets a tenth of how the flow stretches space."""

    def sample(self, n, seed=0, **options):
        x, log_q = super().sample(n, seed, **options)
        return x, log_q + 0.1 * (log_q - log_q.mean())


def deviations(model, field):
    exact = mp.exact.thermal(field, 1.0)
    weighed = mp.flows.importance(model, field, 4096, seed=5)
    chain = mp.run(mp.IndependenceMH(model, field), 200, temperature=1.0, chains=64, seed=3)
    pairs = {"phi2": exact.phi2, "m2": exact.m2, "energy": exact.energy, "magnetisation": 0.0}
    by_weights = [weighed.mean(field.observables[name]).deviation(value) for name, value in pairs.items()]
    by_weights.append(weighed.log_partition.deviation(exact.log_partition))
    by_chain = [chain.estimate(name).deviation(value) for name, value in pairs.items()]
    return np.abs(by_weights).max(), np.abs(by_chain).max(), weighed.kish


@pytest.mark.parametrize(("method", "steps"), [("runge_kutta", 5), ("heun", 8)])
def test_a_trained_ring_is_exact_once_corrected(ring, method, steps):
    model, field = ring
    model.method, model.steps = method, steps
    by_weights, by_chain, kish = deviations(model, field)
    assert by_weights < 4 and by_chain < 4 and kish > 0.9
    if method == "runge_kutta":
        by_weights, by_chain, _ = deviations(Forgetful(PROCESS, model.score, RING.n_sites, model.method, model.steps), field)
        assert by_weights > 5 and by_chain > 5


def test_the_raw_model_is_off_by_no_more_than_its_weights_allow(ring):
    """The Kish ESS bounds every mean: |⟨f⟩_p − ⟨f⟩_q| ≤ σ_q(f) √(n/ESS − 1), by Cauchy and Schwarz; none is left for ⟨M⟩."""
    model, field = ring
    exact, weighed = mp.exact.thermal(field, 1.0), mp.flows.importance(model, field, 8192, seed=2)
    for name, value in {"magnetisation": 0.0, "phi2": exact.phi2, "m2": exact.m2, "energy": exact.energy}.items():
        found = field.observables[name](weighed.x)
        allowed = 0 if name == "magnetisation" else (1 / weighed.kish - 1) ** 0.5
        assert abs(found.mean().item() - value) < found.std().item() * (allowed + 4 / len(found) ** 0.5)
    assert weighed.kish > 0.9


def test_weighed_fields_agree_with_a_long_chain_near_the_transition():
    """8 × 8, κ = 0.24, λ = 0.022, after a training of seconds."""
    field = mp.Phi4.from_kappa(mp.square(8), kappa=0.24, coupling=0.022)
    model = trained(field.lattice, configurations(field), 300, hamiltonian=field)
    weighed = mp.flows.importance(model, field, 4096, seed=5)
    assert weighed.kish > 0.9
    # Own HMC: ⟨|M|⟩, V⟨M²⟩, ⟨φ²⟩.
    known = {"abs_magnetisation": (0.2438, 0.0025), "m2": (5.87 / 64, 0.12 / 64), "phi2": (0.7305, 0.0026)}
    for name, (value, error) in {"magnetisation": (0.0, 0.0), **known}.items():
        found = weighed.mean(field.observables[name])
        assert abs(found.mean - value) < 4 * math.hypot(found.error, error)


# A model that is told the coupling


def test_fields_at_couplings_never_seen():
    def action(kappa):
        return mp.Phi4.from_kappa(RING, kappa, coupling=0.3)

    data = {kappa: configurations(action(kappa), 32) for kappa in (0.2, 0.4, 0.6)}
    model = trained(RING, data, 300, span=(0.2, 0.6), hamiltonian=action)
    for kappa in (0.3, 0.5):
        by_weights, by_chain, kish = deviations(model.at(kappa), action(kappa))
        assert by_weights < 4 and by_chain < 4 and kish > 0.9
    # Told another coupling, the model proposes other fields.
    assert mp.flows.importance(model.at(0.3), action(0.5), 4096, seed=5).kish < 0.8
    with pytest.raises(ValueError, match="condition=None"):
        model.sample(3)
    with pytest.raises(ValueError, match="span"):
        Preconditioned(PROCESS, model.score.network, span=(0.6, 0.2))


# Scores beside forces


FREE = mp.Phi4.from_kappa(mp.square(4), kappa=0.2, coupling=0.0)
COVARIANCE = np.linalg.inv(-jacobian(FREE.force, FREE.random(1))[1][0].numpy())


@pytest.mark.parametrize("process", [PROCESS, VarianceExploding()], ids=repr)
def test_the_drift_of_a_free_field_is_off_by_what_is_known(process):
    exact = Gaussian(process, np.zeros(16), COVARIANCE)
    data, times = exact.sample(5000, seed=1), [1e-3, 0.1, 0.5]
    for factor in (1.0, 1.02):
        model = DiffusionModel(process, lambda x, t, factor=factor: factor * exact(x, t), 16)
        for time, found in zip(times, drift_error(model, FREE, data, times), strict=True):
            a, s = (part(torch.tensor(time)).item() for part in (process.mean_factor, process.deviation))
            now, inverse = a**2 * COVARIANCE + s**2 * np.eye(16), np.linalg.inv(COVARIANCE)
            off = inverse - np.linalg.inv(now)
            known = (np.trace(off @ off @ now) / np.trace(inverse @ inverse @ now)) ** 0.5
            assert abs(found.deviation(known)) < 4 if factor == 1 else abs(found.deviation(known)) > 5


def test_energies_leave_no_noise_in_the_loss_of_a_free_field():
    exact = Gaussian(PROCESS, np.zeros(16), COVARIANCE)
    network = torch.nn.ParameterList([torch.ones((), dtype=torch.float64)])
    model = DiffusionModel(PROCESS, lambda x, t: network[0] * exact(x, t), 16)
    model.network = network
    data = exact.sample(20_000, seed=1)
    options = {"steps": 1, "hamiltonian": FREE, "matching": "energy"}
    (step,) = mp.diffusion.fit(model, data, **options)
    assert step.loss < 1e-3
    (step,) = mp.diffusion.fit(model, data, **options | {"hamiltonian": mp.Phi4.from_kappa(mp.square(4), 0.0, 0.0)})
    assert step.loss > 1e-2


def test_the_jacobian_of_a_step_is_the_step_of_its_derivatives():
    x = FREE.random(3, seed=1)

    def field(x, t):
        return torch.sin(x @ torch.from_numpy(COVARIANCE)) * t

    for step in STEPS.values():
        value, found = with_jacobian(step, lambda x, t: jacobian(lambda x: field(x, t), x), x, 0.9, 0.4)
        wanted = jacobian(lambda x, step=step: step(field, x, 0.9, 0.4), x)
        np.testing.assert_allclose(value, wanted[0], rtol=1e-12)
        np.testing.assert_allclose(found, wanted[1], atol=1e-12)
