"""Error bars, judged by how often they are right, on series whose autocorrelation is known."""

import pickle

import numpy as np
import pytest

from mlphys import exact, stats
from mlphys.hamiltonians.spins import Ising
from mlphys.lattices import square
from mlphys.stats import Estimate

SERIES = 400


def autoregressive(a: float, samples: int, series: int, seed: int) -> np.ndarray:
    """Stationary AR(1) series `(samples, series)` of unit variance: ρ(t) = a^t and τ = (1 + a) / (1 - a) / 2."""
    noise = np.random.default_rng(seed).normal(size=(samples, series))
    x = np.empty_like(noise)
    x[0] = noise[0]
    for t in range(1, samples):
        x[t] = a * x[t - 1] + np.sqrt(1 - a * a) * noise[t]
    return x


def known_tau(a: float) -> float:
    return 0.5 * (1 + a) / (1 - a)


def coverage(deviations) -> tuple[float, float]:
    within = np.abs(deviations)
    return float(np.mean(within < 1)), float(np.mean(within < 2))


@pytest.mark.parametrize("a", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("chains", [1, 4])
def test_error_bars_cover(a, chains):
    x = autoregressive(a, int(600 * known_tau(a)), SERIES * chains, seed=1)
    groups = np.split(x, SERIES, axis=1)
    one, two = coverage([stats.estimate(group).deviation(0.0) for group in groups])
    # 68 % and 95 %, with four binomial standard errors on the first.
    assert abs(one - 0.683) < 4 * np.sqrt(0.683 * 0.317 / SERIES)
    assert two > 0.90
    if a == 0.9:
        naive = [group.mean() / (group.std() / np.sqrt(group.size)) for group in groups]
        assert coverage(naive)[0] < 0.3, "an error that ignores autocorrelation must not pass this test"


@pytest.mark.parametrize("a", [-0.5, 0.0, 0.5, 0.9, 0.98])
def test_autocorrelation_time(a):
    x = autoregressive(a, int(1000 * max(known_tau(a), 2)), 100, seed=2)
    tau, error = np.array([stats.autocorrelation_time(column) for column in x.T]).T
    deviations = (tau - known_tau(a)) / error
    # A window of 5 τ leaves out about 1 % of an exponential: a small part of the error of one series.
    assert abs(deviations.mean()) < 0.5
    assert 0.7 < deviations.std() < 1.4
    assert coverage(deviations)[1] > 0.88


def test_autocorrelation_function():
    x = autoregressive(0.8, 20_000, 8, seed=3)
    rho = stats.autocorrelation_function(x)
    assert rho.shape == (20_000,) and rho[0] == 1
    # Bartlett: the error of ρ(t) is below √(2τ/n).
    np.testing.assert_allclose(rho[:20], 0.8 ** np.arange(20), rtol=0, atol=4 * np.sqrt(2 * known_tau(0.8) / x.size))
    direct = [(x[: 20_000 - t] - x.mean()).ravel() @ (x[t:] - x.mean()).ravel() / (8 * (20_000 - t)) for t in (0, 1, 7)]
    np.testing.assert_allclose(rho[[0, 1, 7]], np.array(direct) / direct[0], rtol=1e-10)


def test_chains_apart_are_seen_as_slow():
    # Each chain alone is white noise; about the common mean they never come back.
    apart = autoregressive(0.0, 2000, 2, seed=4) + np.array([0, 3])
    with pytest.raises(stats.ChainTooShort):
        stats.estimate(apart)
    assert stats.autocorrelation_time(apart)[0] > 100 * stats.autocorrelation_time(apart[:, 0])[0]


def test_constant_series():
    for x in (np.full(100, 0.1), np.full((100, 3), -2)):
        result = stats.estimate(x)
        assert (result.error, result.tau, result.tau_error, result.ess) == (0.0, 0.5, 0.0, x.size)
        assert result.deviation(x.flat[0]) == 0
    assert stats.estimate(np.full(100, -2)).deviation(-1.9) == -np.inf


def test_alternating_series_is_not_believed_without_bound():
    alternating = np.tile([1.0, -1.0], 500)
    assert 0 < stats.estimate(alternating).error < 1 / np.sqrt(1000)


def test_short_chains_are_refused_with_their_estimate():
    tau = known_tau(0.99)
    with pytest.raises(stats.ChainTooShort, match="holds 2000 samples, and needs at least") as refused:
        stats.estimate(autoregressive(0.99, 2000, 16, seed=5))
    assert refused.value.estimate.tau == pytest.approx(tau, rel=0.3)
    assert abs(refused.value.estimate.deviation(0.0)) < 4
    # Sixteen times as many samples in all is no cure, sixteen times the length is.
    assert stats.estimate(autoregressive(0.99, 16 * 2000, 1, seed=5)).tau == pytest.approx(tau, rel=0.3)
    assert isinstance(stats.estimate(autoregressive(0.99, 2000, 16, seed=5), minimum=5), Estimate)
    again = pickle.loads(pickle.dumps(refused.value))
    assert (str(again), again.estimate) == (str(refused.value), refused.value.estimate)


def test_a_walk_longer_than_the_chain_is_refused():
    walk = np.cumsum(np.random.default_rng(6).normal(size=(5000, 4)), axis=0)
    with pytest.raises(stats.ChainTooShort):
        stats.estimate(walk)


def test_one_sample_is_too_short():
    with pytest.raises(stats.ChainTooShort):
        stats.estimate([1.0])


def test_effective_sample_size():
    x = autoregressive(0.8, 50_000, 1, seed=7)
    assert stats.effective_sample_size(x) == pytest.approx(50_000 / 9, rel=0.1)
    assert stats.estimate(x).ess == stats.effective_sample_size(x)


def test_split_rhat():
    mixed = autoregressive(0.5, 2000, 4, seed=8)
    assert stats.split_rhat(mixed) < 1.01
    assert stats.split_rhat(mixed + np.array([0, 0, 0, 0.5])) > 1.02
    # A common drift moves all chains together: only their halves tell.
    assert stats.split_rhat(mixed + np.linspace(0, 1, 2000)[:, None]) > 1.02
    # By hand, for two chains of four.
    x = np.array([[0.0, 1, 4, 3], [2, 2, 5, 9]]).T
    halves = np.array([[0, 1], [4, 3], [2, 2], [5, 9]])
    within, between = halves.var(axis=1, ddof=1).mean(), halves.mean(axis=1).var(ddof=1)
    assert stats.split_rhat(x) == pytest.approx(np.sqrt((within / 2 + between) / within))
    assert stats.split_rhat(np.zeros((10, 2))) == 1
    assert stats.split_rhat(np.tile([0.0, 1.0], (10, 1))) == np.inf
    assert np.isnan(stats.split_rhat([1.0, 2.0, 3.0]))


def test_blocking_reaches_the_plateau():
    x = autoregressive(0.9, 2**16, 4, seed=9)
    lengths, errors, uncertainty = stats.blocking(x)
    naive, expected = 1 / np.sqrt(x.size), np.sqrt(2 * known_tau(0.9) / x.size)
    assert errors[0] == pytest.approx(naive, rel=0.02) and naive < 0.3 * expected
    plateau = (lengths > 50 * known_tau(0.9)) & (uncertainty < 0.1 * errors)
    assert plateau.any()
    assert np.all(np.abs(errors - expected)[plateau] < 4 * uncertainty[plateau])


@pytest.mark.parametrize("method", [stats.jackknife, stats.gamma_method])
@pytest.mark.parametrize("a", [0.0, 0.9])
def test_errors_of_a_variance_cover(method, a):
    x = autoregressive(a, int(1000 * known_tau(a)), SERIES, seed=10) + 3
    one, two = coverage([method(lambda m, m2: m2 - m * m, c, c * c).deviation(1.0) for c in x.T])
    assert abs(one - 0.683) < 4 * np.sqrt(0.683 * 0.317 / SERIES)
    assert two > 0.90
    if a == 0.9 and method is stats.jackknife:
        samples = len(x)
        naive = [method(lambda m, m2: m2 - m * m, c, c * c, blocks=samples // 2).deviation(1.0) for c in x[:, :60].T]
        assert coverage(naive)[0] < 0.5, "blocks shorter than τ must not pass this test"


def test_jackknife_blocks_outlast_the_autocorrelation():
    tau = known_tau(0.9)
    x = autoregressive(0.9, int(300 * tau), SERIES, seed=19)

    def variance_found(blocks):
        errors = [stats.jackknife(lambda m: m, column, blocks=blocks, minimum=0).error for column in x.T]
        return np.mean(np.square(errors)) / (2 * tau / len(x))

    # Blocks of length b miss a part τ/b of the variance of an exponential: at most a tenth by default, most of it at b = τ.
    assert 0.85 < variance_found(None) < 1.05
    assert variance_found(300) < 0.5


def test_jackknife_removes_the_bias():
    # ⟨x⟩² is estimated too large by the variance of the mean: 1 here. One series hides it, 2000 do not.
    x = np.random.default_rng(11).normal(1.0, 10.0, size=(100, 2000))
    square_of_mean = [stats.jackknife(lambda m: m * m, column, blocks=100, minimum=0).mean for column in x.T]
    error = np.std(square_of_mean) / np.sqrt(2000)
    assert abs(np.mean(square_of_mean) - 1) < 4 * error
    assert np.mean(x.mean(axis=0) ** 2) - 1 > 8 * error


def test_jackknife_and_gamma_method_agree():
    x = autoregressive(0.8, 20_000, 4, seed=12)
    by_blocks, by_gradient = (
        method(lambda m2, m4: 1 - m4 / (3 * m2**2), x**2, x**4) for method in (stats.jackknife, stats.gamma_method)
    )
    assert by_blocks.error == pytest.approx(by_gradient.error, rel=0.2)
    assert abs(by_blocks.mean - by_gradient.mean) < 0.1 * by_blocks.error
    assert abs(by_blocks.deviation(0.0)) < 4


def test_derived_quantities_refuse_short_chains():
    x = autoregressive(0.99, 1000, 8, seed=13)
    for method in (stats.jackknife, stats.gamma_method):
        with pytest.raises(stats.ChainTooShort) as refused:
            method(lambda m: m, x)
        assert abs(refused.value.estimate.mean - x.mean()) < 1e-9


@pytest.fixture(scope="module")
def sampled():
    """Independent states of the 4 × 4 Ising model at T = 2.6: energies and magnetisations per site, `(20_000, 4)`."""
    ising = Ising(square(4))
    codes = np.random.default_rng(14).choice(2**16, size=(20_000, 4), p=exact.distribution(ising, 2.6))
    states = np.concatenate(list(exact.enumerate_states(16)))
    grid = states.reshape(-1, 4, 4).astype(int)
    energies = -(grid * (np.roll(grid, 1, 1) + np.roll(grid, 1, 2))).sum(axis=(1, 2)) / 16
    return ising, energies[codes], states.mean(axis=1)[codes]


@pytest.mark.parametrize("temperature", [2.1, 2.4, 2.6, 3.2])
def test_reweighting_against_enumeration(sampled, temperature):
    ising, energy, m = sampled
    twin = exact.enumeration(ising, temperature)
    for observable, value in ((energy, twin.energy), (np.abs(m), twin.abs_magnetisation), (m**2, twin.m2)):
        moved = stats.reweight(energy, observable, 1 / 2.6, 1 / temperature, n_sites=16)
        assert abs(moved.deviation(value)) < 4
        assert moved.error < 0.02
        if temperature != 2.6:
            # Not moved at all, or moved by the energy per site in place of the total, it would be far off.
            assert abs(stats.estimate(observable).deviation(value)) > 20
            unscaled = stats.reweight(energy, observable, 1 / 2.6, 1 / temperature, n_sites=1)
            assert abs(unscaled.deviation(value)) > 10
        else:
            assert moved.kish_ess == pytest.approx(energy.size)


def test_reweighting_errors_cover():
    # Gaussian energy of unit variance, moved by 0.3: the mean becomes -0.3, whatever the autocorrelation.
    x = autoregressive(0.7, 3000, SERIES, seed=15)
    one, two = coverage([stats.reweight(c, c, 1.0, 1.3, n_sites=1).deviation(-0.3) for c in x.T])
    assert abs(one - 0.683) < 4 * np.sqrt(0.683 * 0.317 / SERIES)
    assert two > 0.90


def test_reweighting_refuses_where_nothing_was_sampled():
    energy = np.random.default_rng(16).normal(size=(5000, 4))
    with pytest.raises(stats.OverlapLost, match=r"new_beta=8 is too far from the sampled beta=1") as refused:
        stats.reweight(energy, energy, 1.0, 8.0, n_sites=1)
    # The answer is -7; the lowest energy ever seen is near -4, and the error bar knows nothing of it.
    assert refused.value.estimate.mean > -5
    assert refused.value.estimate.kish_ess < 50


def test_kish_ess():
    assert stats.kish_ess(np.full(10, 1e4)) == pytest.approx(10)
    assert stats.kish_ess([0.0, np.log(3)]) == pytest.approx(16 / 10)
    # q = N(0, 1.1) against N(0, 1): the fraction is √(2 s² - 1) / s².
    x = np.random.default_rng(17).normal(0, np.sqrt(1.1), 200_000)
    assert stats.kish_ess(-(x**2) / 2 + x**2 / 2.2) / x.size == pytest.approx(np.sqrt(1.2) / 1.1, abs=1e-3)
    for bad in ([], [np.nan], [-np.inf], [np.inf, 0.0]):
        with pytest.raises(ValueError, match="log_weights"):
            stats.kish_ess(bad)


@pytest.mark.parametrize(
    ("mean", "error", "text"),
    [
        (-1.42396, 0.00034, "-1.4240(3)"),
        (-1.42393, 0.00012, "-1.42393(12)"),
        (0.42, 0.0996, "0.42(10)"),
        (0.1, 0.01996, "0.10(2)"),
        (12.345, 1.23, "12.3(1.2)"),
        (12.345, 5.6, "12(6)"),
        (12.3, 0.97, "12.3(1.0)"),
        (1234.5, 120.0, "1230(120)"),
        (123456.0, 19.7, "123460(20)"),
        (1e-8, 2e-10, "0.0000000100(2)"),
        (-2.0, 0.0, "-2(0)"),
        (1.0, np.nan, "1(nan)"),
    ],
)
def test_estimates_are_printed_as_the_field_writes_them(mean, error, text):
    assert str(Estimate(mean, error)) == f"{Estimate(mean, error)}" == text


def test_estimate_takes_a_format():
    assert f"{Estimate(1.0, 0.25):.2f}" == "1.00 ± 0.25"


def test_deviation_has_a_sign():
    assert Estimate(1.2, 0.1).deviation(1.0) == pytest.approx(2)
    assert Estimate(0.8, 0.1).deviation(1.0) == pytest.approx(-2)


@pytest.mark.parametrize(
    "function", [stats.estimate, stats.autocorrelation_time, stats.split_rhat, stats.blocking, stats.effective_sample_size]
)
@pytest.mark.parametrize("bad", [[1.0, np.nan, 2.0], [1.0, np.inf], [], np.zeros((3, 2, 2)), 1.0])
def test_bad_series(function, bad):
    with pytest.raises(ValueError, match="series"):
        function(bad)


def test_bad_arguments():
    x = np.random.default_rng(18).normal(size=(100, 2))
    with pytest.raises(ValueError, match=r"shapes \(100, 2\), \(99, 2\)"):
        stats.jackknife(lambda a, b: a / b, x, x[1:])
    with pytest.raises(ValueError, match="shapes none"):
        stats.gamma_method(lambda: 0.0)
    for blocks in (0, 101):
        with pytest.raises(ValueError, match="blocks="):
            stats.jackknife(lambda a: a, x, blocks=blocks)
    with pytest.raises(ValueError, match="window=0"):
        stats.autocorrelation_time(x, window=0)
    with pytest.raises(ValueError, match="n_sites=0"):
        stats.reweight(x, x, 1.0, 1.1, n_sites=0)


def test_slow_moves_below_the_noise_are_seen_in_the_scatter_of_the_chains():
    # White noise on top of a faint level that flips every 2000 samples: invisible in ρ(t), and all of the error.
    rng = np.random.default_rng(5)
    levels = np.repeat(rng.choice([-0.1, 0.1], (10, 64)), 2000, axis=0)
    series = rng.normal(size=levels.shape) + levels
    true_error = np.sqrt(1 / series.size + 0.01 / levels[::2000].size)
    assert 0.7 < stats.estimate(series, minimum=0).error / true_error < 1.4
    # Without such moves nothing changes: the scatter of independent chains is believed only when it is significant.
    noise = rng.normal(size=(400, 500, 8))
    taus = np.array([stats.autocorrelation_time(part)[0] for part in noise])
    assert (taus > 1.5).mean() < 0.01
