"""Diffusion models with known scores: every kernel, step, density and time against its exact value, without a network."""

import itertools
import math

import numpy as np
import pytest
import torch

import mlphys as mp
from mlphys.diffusion import (
    CurieWeiss,
    DiffusionModel,
    Gaussian,
    GaussianMixture,
    Interpolant,
    SubVP,
    VarianceExploding,
    VariancePreserving,
    divergence,
)
from mlphys.diffusion.solvers import jacobian
from mlphys.random import torch_generator

PROCESSES = [VariancePreserving(), VariancePreserving(10, 10), SubVP(), VarianceExploding(0.01, 20.0), Interpolant()]
MEAN, COVARIANCE = [0.5, -0.3], [[1.5, 0.6], [0.6, 0.4]]


def wells(process):
    """Two wells in the plane, of unequal weight and shape."""
    covariances = [[[0.2, 0.1], [0.1, 0.3]], [[0.5, 0.0], [0.0, 0.1]]]
    return GaussianMixture(process, [0.3, 0.7], [[-1.0, 0.0], [1.0, 0.5]], covariances)


# Kernels


def mismatch(process):
    """How far a and s are from the moment equations of drift and noise, and `time` from inverting the log-SNR."""
    t = torch.linspace(0.01, process.start, 30, dtype=torch.float64).requires_grad_()
    a, s = process.mean_factor(t), process.deviation(t)
    f, g = process.drift(t), process.diffusion(t)
    change, growth = (torch.autograd.grad((part + 0 * t).sum(), t, retain_graph=True)[0] for part in (a.log(), s**2))
    size = 1 + (g**2).max()
    found = [(change - f) / (1 + f.abs()), (growth - 2 * f * s**2 - g**2) / size, process.time(process.log_snr(t)) - t]
    return max(part.detach().abs().max().item() for part in found)


@pytest.mark.parametrize("process", PROCESSES, ids=repr)
def test_kernels_solve_their_equation(process):
    assert mismatch(process) < 1e-11
    t = torch.linspace(0.1, process.start, 10, dtype=torch.float64)
    np.testing.assert_allclose(process.age(t), 0.5 * torch.log1p((-process.log_snr(t)).exp()), rtol=1e-10)


def test_a_broken_kernel_is_noticed():
    class Broken(SubVP):
        diffusion = VariancePreserving.diffusion

    assert mismatch(Broken()) > 1e-3


# Scores


@pytest.mark.parametrize("process", PROCESSES, ids=repr)
def test_scores_are_gradients_of_densities(process):
    x = 2 * torch.randn(20, 2, dtype=torch.float64, generator=torch_generator(1))
    for score in (wells(process), Gaussian(process, MEAN, COVARIANCE), CurieWeiss(process, 2, 0.7, field=0.2)):
        for t in (0.2, torch.linspace(0.05, 0.9, 20, dtype=torch.float64)[:, None]):
            if isinstance(score, CurieWeiss) and torch.is_tensor(t):
                continue
            y = x.clone().requires_grad_()
            (wanted,) = torch.autograd.grad(score.log_prob(y, t).sum(), y)
            np.testing.assert_allclose(score(x, t), wanted, rtol=1e-8, atol=1e-8)


def test_curie_weiss_is_the_sum_over_its_states():
    process, n, temperature, field = VariancePreserving(), 6, 0.8, 0.1
    states = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=torch.float64)] * n)
    total = states.sum(1)
    weights = torch.exp((total**2 / (2 * n) + field * total) / temperature)
    exact = GaussianMixture(process, weights, states, torch.zeros(len(states)))
    magnet = CurieWeiss(process, n, temperature, field)
    x = torch.randn(50, n, dtype=torch.float64, generator=torch_generator(1))
    for t in (1e-3, 0.1, 0.5, 1.0):
        np.testing.assert_allclose(magnet(x, t), exact(x, t), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(magnet.log_prob(x, t), exact.log_prob(x, t), rtol=1e-9)
    assert magnet.covariance_eigenvalue == pytest.approx((exact.weights @ total**2).item() / n, rel=1e-10)
    sampled = magnet.sample(20000, seed=1).sum(1) ** 2 / n
    assert abs(sampled.mean() - magnet.covariance_eigenvalue) < 4 * sampled.std() / len(sampled) ** 0.5


# Orders


def flow_errors(process, method, steps, model=DiffusionModel):
    """Largest errors of samples and of their log q against the exact probability flow of normal data, along its axes."""
    score = Gaussian(process, MEAN, COVARIANCE)
    built = model(process, score, 2, end=1e-3)
    x, log_q = built.sample(200, seed=1, method=method, steps=steps)
    z = torch.randn(200, 2, dtype=torch.float64, generator=torch_generator(1, "sample"))
    (a, s), (a_end, s_end) = (
        (process.mean_factor(t), process.deviation(t)) for t in torch.tensor([process.start, 1e-3], dtype=torch.float64)
    )
    axes, mean, variances = score.axes[0], score.means[0], score.variances[0]
    stretch = ((a_end**2 * variances + s_end**2) / (a**2 * variances + s**2)).sqrt()
    wanted = a_end * mean + ((s * z - a * mean) @ axes * stretch) @ axes.T
    log_prior = -(z**2).sum(1) / 2 - 2 * math.log(s * math.sqrt(2 * math.pi))
    density = 0.0 if log_q is None else (log_q - log_prior + stretch.log().sum()).abs().max().item()
    return (x - wanted).abs().max().item(), density


def slope(steps, errors):
    return -np.polyfit(np.log(steps), np.log(errors), 1)[0]


ORDERS = [(process, method, order) for process in (VariancePreserving(), SubVP(), Interpolant())
          for method, order in (("euler", 1), ("heun", 2), ("multistep", 4))]  # fmt: skip


@pytest.mark.parametrize(("process", "method", "order"), ORDERS, ids=repr)
def test_orders_of_samples_and_densities(process, method, order):
    # With a high order, the leading error shows later.
    steps = [240, 480, 960] if method == "multistep" else [60, 120, 240]
    errors = np.array([flow_errors(process, method, number) for number in steps])
    assert errors[-1].max() < (0.1 if order == 1 else 0.003)
    assert slope(steps, errors[:, 0]) == pytest.approx(order, abs=0.15)
    if method != "multistep":
        assert slope(steps, errors[:, 1]) == pytest.approx(order, abs=0.15)


def test_multistep_that_forgets_loses_its_order(monkeypatch):
    def constant(nodes, start, end):
        return [-math.expm1(start - end)] + [0.0] * (len(nodes) - 1)

    monkeypatch.setattr(mp.diffusion.solvers, "_weights", constant)
    steps = [60, 120, 240]
    assert slope(steps, [flow_errors(VariancePreserving(), "multistep", number)[0] for number in steps]) < 1.5


def test_twenty_evaluations_are_as_good_as_a_thousand_noisy_steps():
    """Of normal data of many widths, through the exact score: the variances that both leave, in closed form."""
    process, variances = VariancePreserving(), torch.logspace(-1.5, 1.5, 13, dtype=torch.float64)
    model = DiffusionModel(process, Gaussian(process, np.zeros(13), np.diag(variances)), 13)
    # Linear in the noise, so that noise 1 in every number shows the factor of each.
    multistep = model._generate(torch.ones(1, 13, dtype=torch.float64), "multistep", 20, 0.0, 0, None)[0][0] ** 2
    noisy = torch.ones(13, dtype=torch.float64)
    for t, until in itertools.pairwise(process.grid(1000, model.end)):
        f, g, a, s = process.drift(t), process.diffusion(t), process.mean_factor(t), process.deviation(t)
        noisy = noisy * (1 - (t - until) * (f + g**2 / (a**2 * variances + s**2))) ** 2 + g**2 * (t - until)
    worst = [(found / variances - 1).abs().max().item() for found in (multistep, noisy)]
    assert worst[0] < worst[1] < 0.01


def test_order_of_runge_kutta():
    steps = [20, 40, 80]
    errors = np.array([flow_errors(VariancePreserving(), "runge_kutta", number) for number in steps])
    assert [slope(steps, errors[:, k]) for k in range(2)] == pytest.approx([4, 4], abs=0.2)


def test_a_broken_step_loses_its_order(monkeypatch):
    def half(field, x, t, until):
        slope = field(x, t)
        return x + (until - t) / 2 * (slope + field(x + (until - t) * slope, t))

    monkeypatch.setitem(mp.diffusion.solvers.STEPS, "heun", half)
    steps = [60, 120, 240]
    errors = np.array([flow_errors(VariancePreserving(), "heun", number) for number in steps])
    assert (slope(steps, errors[:, 0]) < 1.5) and (slope(steps, errors[:, 1]) < 1.5)


@pytest.mark.parametrize("process", [VariancePreserving(), VarianceExploding(0.01, 20.0)], ids=repr)
def test_adaptive_steps_keep_their_tolerance(process):
    errors = [max(flow_errors(process, "adaptive", 1, lambda *a, tol=tol, **k: DiffusionModel(*a, tolerance=tol, **k)))
              for tol in (1e-4, 1e-8)]  # fmt: skip
    assert errors[0] < 0.03 and errors[1] < 3e-6


def test_weak_order_of_euler_maruyama():
    """The error of the variance: independent numbers in parallel, with the error of the slope from that of the variances."""
    process, variance = VariancePreserving(4, 4), 0.25
    model = DiffusionModel(process, Gaussian(process, [0.0], [[variance]]), 1, end=0.0)
    steps, errors, noises = np.array([8, 16, 32, 64]), [], []
    for number in steps:
        x, _ = model.sample(100_000, seed=int(number), method="euler_maruyama", steps=int(number))
        errors.append((x**2).mean().item() - variance)
        noises.append((x**2).std().item() / len(x) ** 0.5)
    errors, noises = np.abs(errors), np.array(noises)
    weights = errors / noises
    fit, covariance = np.polyfit(np.log(steps), np.log(errors), 1, w=weights, cov="unscaled")
    assert covariance[0, 0] ** 0.5 < 0.1
    assert abs(-fit[0] - 1) < 0.1 + 3 * covariance[0, 0] ** 0.5


# Noise heals a wrong score


def healed(epsilon, noise):
    """Final variance for N(0, 1) data, B = 10 and the score −(1 + ε) x: h/k + (1 − h/k) exp(−kB)."""
    k = noise + epsilon * (1 + noise)
    return noise / k + (1 - noise / k) * math.exp(-10 * k)


@pytest.mark.parametrize(("epsilon", "noise"), [(0.1, 0.0), (0.1, 1.0), (-0.1, 0.0), (-0.1, 1.0), (0.1, 0.3), (0.1, 1.7)])
def test_noise_heals_a_wrong_score(epsilon, noise):
    known = {(0.1, 0.0): 0.36788, (0.1, 1.0): 0.83333, (-0.1, 0.0): 2.71828, (-0.1, 1.0): 1.24992}
    exact = healed(epsilon, noise)
    assert exact == pytest.approx(known.get((epsilon, noise), exact), abs=1e-5)
    model = DiffusionModel(VariancePreserving(10, 10), lambda x, t: -(1 + epsilon) * x, 1, end=0.0)
    x, _ = model.sample(60_000, seed=3, method="euler_maruyama", steps=300, noise=noise)
    assert (x**2).mean().item() == pytest.approx(exact, rel=0.02)


def test_noise_without_its_drift_does_not_heal():
    class Broken(DiffusionModel):
        def reverse_drift(self, x, t, noise=0.0):
            return super().reverse_drift(x, t)

    model = Broken(VariancePreserving(10, 10), lambda x, t: -1.1 * x, 1, end=0.0)
    x, _ = model.sample(10_000, seed=3, method="euler_maruyama", steps=100)
    assert (x**2).mean().item() != pytest.approx(healed(0.1, 1.0), rel=0.1)


# Moments


def deviations(model, score, **options):
    """Moments of samples of `wells`, in standard errors away from the exact ones."""
    x, _ = model.sample(6000, seed=5, probes=0, **options)
    mean = score.weights @ score.means
    second = score.covariance + torch.outer(mean, mean)
    values = torch.stack([x[:, 0], x[:, 1], x[:, 0] ** 2, x[:, 0] * x[:, 1], x[:, 1] ** 2, (x[:, 0] > 0).double()], 1)
    share = (score.weights * (0.5 + 0.5 * torch.erf(score.means[:, 0] / (2 * torch.tensor([0.2, 0.5])).sqrt()))).sum()
    exact = torch.stack([*mean, second[0, 0], second[0, 1], second[1, 1], share])
    return ((values.mean(0) - exact) / values.std(0) * len(x) ** 0.5).abs().max().item()


WAYS = [("heun", 30, 1.0), ("multistep", 40, 1.0), ("predictor_corrector", 150, 1.0), ("euler_maruyama", 250, 0.5),
        ("euler_maruyama", 250, 1.0)]  # fmt: skip


@pytest.mark.parametrize(("method", "steps", "noise"), WAYS)
def test_every_way_back_has_the_same_moments(method, steps, noise):
    process = VariancePreserving()
    score = wells(process)
    options = {"method": method, "steps": steps, "noise": noise}
    assert deviations(DiffusionModel(process, score, 2), score, **options) < 4
    assert deviations(DiffusionModel(process, lambda x, t: 1.2 * score(x, t), 2), score, **options) > 5


@pytest.mark.parametrize("process", [SubVP(), VarianceExploding(0.01, 100.0), Interpolant()], ids=repr)
def test_every_process_has_the_same_moments(process):
    score = wells(process)
    assert deviations(DiffusionModel(process, score, 2), score, method="multistep", steps=50) < 4


# Densities


@pytest.mark.parametrize("method", ["euler", "heun"])
@pytest.mark.parametrize("process", [VariancePreserving(), Interpolant()], ids=repr)
def test_density_is_that_of_what_is_drawn_for_any_number_of_steps(process, method):
    """It is normalised, agrees with that of the samples, and tells their mean; the divergence alone gives neither."""
    score = GaussianMixture(process, [0.4, 0.6], [[-1.0], [1.0]], [0.3, 0.2])
    model = DiffusionModel(process, score, 1, method=method, steps=12, end=1e-3)
    grid = torch.linspace(-6, 6, 1001, dtype=torch.float64)[:, None]
    density = model.log_prob(grid).exp()
    assert torch.trapezoid(density, grid[:, 0]).item() == pytest.approx(1, abs=1e-8)
    x, log_q = model.sample(4000, seed=1)
    np.testing.assert_allclose(model.log_prob(x), log_q, atol=1e-9)
    square = torch.trapezoid(density * grid[:, 0] ** 2, grid[:, 0]).item()
    assert abs((x**2).mean() - square) < 4 * (x**2).std() / 4000**0.5
    # In one dimension Hutchinson's estimate is the divergence itself, with the error of the steps.
    assert abs(torch.trapezoid(model.log_prob(grid, probes=1).exp(), grid[:, 0]).item() - 1) > 1e-4
    assert (model.log_prob(x, probes=1) - log_q).abs().max() > 1e-3


def test_densities_of_the_data():
    process = VariancePreserving()
    score = wells(process)
    model = DiffusionModel(process, score, 2, steps=60)
    x = score.sample(200, seed=2)
    np.testing.assert_allclose(model.log_prob(x), score.log_prob(x), atol=0.02)
    np.testing.assert_allclose(model.log_prob(x, method="adaptive"), score.log_prob(x), atol=0.02)
    wrong = DiffusionModel(process, lambda x, t: 1.2 * score(x, t), 2, steps=60)
    assert (wrong.log_prob(x) - score.log_prob(x)).abs().max() > 0.2


def hutchinson_deviation(probes):
    """Of the mean estimate from the exact divergence, in standard errors, on a field that is no gradient."""
    matrix = torch.randn(6, 6, dtype=torch.float64, generator=torch_generator(2))
    x = torch.randn(1, 6, dtype=torch.float64, generator=torch_generator(3)).expand(len(probes), 6)
    exact = divergence(lambda x: torch.sin(x @ matrix), x[:1])[1].item()
    found = divergence(lambda x: torch.sin(x @ matrix), x, probes[None])[1]
    return abs(found.mean().item() - exact) / (found.std().item() / len(found) ** 0.5)


def test_hutchinson_is_unbiased():
    signs = torch.randint(0, 2, (20000, 6), generator=torch_generator(4)).double() * 2 - 1
    assert hutchinson_deviation(signs) < 4
    assert hutchinson_deviation(signs * 0.95) > 5
    # Along the whole flow: the estimates of many seeds beside the exact divergence, at steps too fine to matter.
    process = VariancePreserving()
    model = DiffusionModel(process, wells(process), 2, steps=60)
    x = torch.tensor([[0.5, 0.2]], dtype=torch.float64)
    exact, found = model.log_prob(x).item(), model.log_prob(x.expand(2000, 2), seed=1, probes=1)
    assert found.std() > 0.01
    assert abs(found.mean().item() - exact) < 4 * found.std().item() / 2000**0.5 + 2e-3
    assert torch.equal(found[:10], model.log_prob(x.expand(2000, 2), seed=1, probes=1)[:10])


# Exact samplers


def proposing(model=DiffusionModel, steps=8):
    """Two normal wells for a φ⁴ ring, through so few steps that the model is far from what its score says."""
    field = mp.Phi4(mp.chain(4), mass2=-1.0, coupling=0.6)
    process, centre = VariancePreserving(), field.ordered(2)
    hessian = -jacobian(field.force, centre[:1])[1][0]
    covariance = 2 * torch.linalg.inv(hessian) + 0.1
    score = GaussianMixture(process, [0.5, 0.5], centre, torch.stack([covariance, covariance]))
    return model(process, score, 4, steps=steps), field


def off_target(model, field):
    chain = mp.run(mp.IndependenceMH(model, field), 500, temperature=1.0, chains=16, seed=7)
    exact = mp.exact.thermal(field, 1.0)
    pairs = [("energy", exact.energy), ("phi2", exact.phi2), ("m2", exact.m2)]
    return max(abs(chain.estimate(name).deviation(value)) for name, value in pairs), chain.acceptance.mean()


def test_independence_metropolis_makes_a_diffusion_model_exact():
    class Uncorrected(DiffusionModel):
        """Forgets how the flow stretches space."""

        def sample(self, n, seed=0):
            x, _ = super().sample(n, seed)
            return x, self.log_prob(x)

        def log_prob(self, x):
            return -(x**2).sum(1) / 2

    model, field = proposing()
    worst, acceptance = off_target(model, field)
    assert worst < 4 and acceptance > 0.3
    assert off_target(*proposing(Uncorrected))[0] > 5


def test_importance_weights():
    model, field = proposing()
    weighed = mp.flows.importance(model, field, 10000, seed=3)
    exact = mp.exact.thermal(field, 1.0)
    assert abs(weighed.log_partition.deviation(exact.log_partition)) < 4
    assert abs(weighed.mean(lambda x: (x**2).mean(1)).deviation(exact.phi2)) < 4
    raw = (weighed.x**2).mean(1)
    assert abs(raw.mean() - exact.phi2) > 5 * raw.std() / len(raw) ** 0.5


def test_kish_ess_of_a_width_off_by_a_tenth():
    """q = N(0, 1.1 σ²) against N(0, σ²) in d dimensions: (√(2·1.1 − 1)/1.1)^d."""
    process, d = VariancePreserving(), 8
    free = mp.Phi4.from_kappa(mp.chain(d), kappa=0.0, coupling=0.0)
    model = DiffusionModel(process, Gaussian(process, np.zeros(d), 0.55 * np.eye(d)), d, steps=20)
    kish = mp.flows.importance(model, free, 4000, seed=1).kish
    assert kish == pytest.approx((math.sqrt(1.2) / 1.1) ** d, abs=0.005)


# Times at which the way back decides


def age_of_change(function, low=0.02, high=4.0):
    """The age at which a function that is positive above changes its sign."""
    for _ in range(25):
        middle = (low + high) / 2
        low, high = (low, middle) if function(middle) > 0 else (middle, high)
    return low


def at_age(process, age):
    return process.time(-torch.tensor(math.expm1(2 * age), dtype=torch.float64).log())


@pytest.mark.parametrize("process", [VariancePreserving(), Interpolant()], ids=repr)
def test_speciation_time(process):
    """Where the density of the noisy data at the point between the classes turns from a maximum into a saddle."""
    n = 64
    along = torch.ones(1, n, dtype=torch.float64)
    pair, magnet = GaussianMixture(process, [0.5, 0.5], torch.cat([along, -along]), [0.2, 0.2]), CurieWeiss(process, n, 0.8)
    largest = torch.linalg.eigvalsh(pair.covariance)[-1].item()
    for score, eigenvalue in ((pair, largest), (magnet, magnet.covariance_eigenvalue)):

        def curvature(age, score=score):
            x = torch.zeros(1, n, dtype=torch.float64, requires_grad=True)
            return -(torch.autograd.grad((score(x, at_age(process, age)) * along).sum(), x)[0] * along).sum().item()

        measured = age_of_change(curvature, low=0.5)
        assert measured == pytest.approx(mp.diffusion.speciation_time(eigenvalue), rel=0.05)
        assert measured != pytest.approx(mp.diffusion.speciation_time(eigenvalue / 2), rel=0.05)
        # It is along the magnetisation that it turns first.
        t = at_age(process, measured)
        everywhere = jacobian(lambda x, score=score, t=t: score(x, t), 0 * along)[1]
        assert torch.linalg.eigvalsh(everywhere)[0, -1].abs() < 1e-5


def test_collapse_time():
    """Where noisy data tell which of n they were: their information about that, measured, reaches ln n."""
    process, samples, d = VariancePreserving(), 1000, 8
    cloud = Gaussian(process, np.zeros(d), np.eye(d))
    data = cloud.sample(4000, seed=1)
    noise = torch.randn(data.shape, dtype=torch.float64, generator=torch_generator(2))

    def missing(age):
        t = at_age(process, age)
        x = process.perturb(data, t, noise)
        known = -(noise**2).sum(1) / 2 - d * (process.deviation(t).log() + math.log(2 * math.pi) / 2)
        return math.log(samples) - (known - cloud.log_prob(x, t)).mean().item()

    collapse = mp.diffusion.collapse_time(samples, d)
    assert collapse == pytest.approx(0.097903, abs=1e-6)
    assert age_of_change(missing) == pytest.approx(collapse, rel=0.05)
    # What that means: below, one datum takes all the weight; well above, many share it; and the way back returns the data.
    memory = GaussianMixture(process, np.ones(samples), data[:samples], np.zeros(samples))
    for factor, certain in ((0.3, True), (3.0, False)):
        t = at_age(process, factor * collapse)
        share = memory.membership(process.perturb(data[:200], t, noise[:200]), t).amax(1).mean()
        assert share > 0.9 if certain else share < 0.5
    x, _ = DiffusionModel(process, memory, d, steps=60, end=1e-4).sample(20, seed=1, probes=0)
    nearest = torch.cdist(x, data[:samples]).amin(1)
    assert nearest.max() < 6 * d**0.5 * process.deviation(torch.tensor(1e-4))


# Learning


class Scaled(torch.nn.Module):
    """A known score times a parameter."""

    def __init__(self, score):
        super().__init__()
        self.score, self.factor = score, torch.nn.Parameter(torch.ones((), dtype=torch.float64))

    def forward(self, x, t):
        return self.factor * self.score(x, t)


@pytest.mark.parametrize("matching", ["denoising", "implicit", "energy"])
def test_score_matching_finds_the_known_score(matching):
    """From 0.6 times the score of normal data, the factor returns to 1; the known energy leaves no noise in it."""
    process, free = VariancePreserving(), mp.Phi4.from_kappa(mp.chain(4), kappa=0.0, coupling=0.0)
    score = Gaussian(process, np.zeros(4), 0.5 * np.eye(4))
    data = score.sample(50000, seed=1)
    hamiltonian = free if matching == "energy" else None
    model = DiffusionModel(process, Scaled(score), 4)
    with torch.no_grad():
        model.score.factor.fill_(0.6)
    steps = mp.diffusion.fit(
        model, data, 200, batch=256, rate=lambda step: 1 / (step + 10), matching=matching, hamiltonian=hamiltonian
    )
    found = [(model.score.factor.item(), step.loss) for step in steps]
    assert np.mean(found[100:], axis=0)[0] == pytest.approx(1, abs=0.03)
    if matching == "energy":
        assert found[-1][1] < 1e-4


def test_few_data_do_not_bias_energy_matching(monkeypatch):
    """100 data of 64 numbers: their own covariance, not averaged over translations, is noise that the data share."""
    process, free = VariancePreserving(), mp.Phi4.from_kappa(mp.square(8), kappa=0.0, coupling=0.0)
    score = Gaussian(process, np.zeros(64), 0.5 * np.eye(64))
    data = score.sample(100, seed=1)

    def learnt():
        model = DiffusionModel(process, Scaled(score), 64)
        steps = mp.diffusion.fit(
            model, data, 60, batch=256, rate=lambda step: 0.1 / (step + 10), matching="energy", hamiltonian=free
        )
        return np.mean([model.score.factor.item() for _ in steps][20:])

    # The data's own width is off by 1/√(2 · 100 · 64) = 0.9 %.
    assert learnt() == pytest.approx(1, abs=0.01)
    monkeypatch.setattr(mp.diffusion.training, "_principal", lambda data, lattice: torch.linalg.eigh(torch.cov(data.T)))
    assert abs(learnt() - 1) > 0.02


@pytest.mark.parametrize(
    ("options", "named"),
    [({"matching": "magic"}, "matching"), ({"matching": "energy"}, "hamiltonian"), ({"data": torch.zeros(5, 3)}, "data")],
)
def test_refusals_of_fit(options, named):
    process = VariancePreserving()
    model = DiffusionModel(process, Scaled(Gaussian(process, MEAN, COVARIANCE)), 2)
    with pytest.raises(ValueError, match=named):
        mp.diffusion.fit(model, **{"data": torch.zeros(5, 2), "steps": 1, **options})


def test_refusals():
    process = VariancePreserving()
    model = DiffusionModel(process, lambda x, t: -x, 2)
    for named, wrong in [("method", "leap"), ("noise", -0.5), ("steps", 0), ("n", 0)]:
        with pytest.raises(ValueError, match=named):
            model.sample(**{"n": 3, named: wrong})
    with pytest.raises(ValueError, match="x has shape"):
        model.log_prob(torch.zeros(3, 4))
    with pytest.raises(ValueError, match="score"):
        DiffusionModel(process, lambda x, t: x[:, 0], 2).sample(3)
    with pytest.raises(ValueError, match="beta_min"):
        VariancePreserving(3.0, 1.0)


def test_steps_that_are_too_long():
    """One step of β = 20 makes 11 x + 10 score of x: some points are reached from nowhere, or space is folded."""
    process = VariancePreserving(20, 20)
    bounded = DiffusionModel(process, lambda x, t: -1.1 * x + 0.1 * torch.tanh(x), 1, method="euler", steps=1, end=0.0)
    assert bounded.log_prob(torch.tensor([[0.5]])).isfinite().all()
    with pytest.raises(FloatingPointError, match="more steps"):
        bounded.log_prob(torch.tensor([[0.5], [1.5]]))
    folded = DiffusionModel(process, lambda x, t: -x - 0.2 * torch.sin(x), 1, method="euler", steps=1, end=0.0)
    x, log_q = folded.sample(100, seed=1)
    z = torch.randn(100, 1, dtype=torch.float64, generator=torch_generator(1, "sample"))
    np.testing.assert_allclose(x, z - 2 * torch.sin(z), atol=1e-6)
    assert torch.equal(torch.isposinf(log_q), torch.cos(z[:, 0]) > 0.5)
