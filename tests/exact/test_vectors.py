"""XY, Heisenberg and U(1) gauge models: exact twins against printed values and other formulas, samplers against them."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate, special, stats

import mlphys as mp
from mlphys.exact import discrete_torus, heisenberg_ring, thermal, u1_torus, xy_ring, xy_torus

LOCAL = [mp.Metropolis, mp.HeatBath, mp.Overrelaxation]
# β, ⟨cos P⟩, ⟨Q²⟩/V of an 8 × 8 torus.
GAUGE = [(1, 0.446389965897, 0.040636236105), (2, 0.697774658011, 0.019364045480), (5, 0.893421249755, 0.005636210630)]


@pytest.mark.parametrize("beta, plaquette, susceptibility", GAUGE)
def test_gauge_torus_agrees_with_printed_values(beta, plaquette, susceptibility):
    exact = u1_torus(64, beta)
    assert exact.plaquette == pytest.approx(plaquette, abs=6e-13)
    assert exact.charge2 / 64 == pytest.approx(susceptibility, abs=6e-13)
    assert exact.energy == pytest.approx(-beta * plaquette, abs=6e-12)


def test_charge_agrees_with_convolution():
    """Plaquettes are independent but for their sum, a multiple of 2π: its distribution by convolution, on a grid."""
    n, beta, points = 9, 1.5, 4001
    angles = np.linspace(-np.pi, np.pi, points)
    density = np.exp(beta * np.cos(angles))
    density[[0, -1]] /= 2
    density /= density.sum()
    total = np.ones(1)
    for _ in range(n):
        total = np.convolve(total, density)
    charges = np.arange(-(n // 2), n // 2 + 1)
    weights = total[n * (points // 2) + charges * (points - 1)]
    assert u1_torus(n, beta).charge2 == pytest.approx(charges**2 @ weights / weights.sum(), rel=1e-5)


@pytest.mark.parametrize("ring", [xy_ring, heisenberg_ring])
@pytest.mark.parametrize("coupling", [1.0, -0.7])
def test_rings_agree_with_other_formulas(ring, coupling):
    temperatures = np.array([0.02 if coupling > 0 else 0.1, 0.3, 1.0, 20.0])
    # Derivatives of log Z by β.
    for temperature in temperatures:
        beta, step = 1 / temperature, 1e-3 / temperature
        logs = ring(7, 1 / (beta + step * np.arange(-2, 3)), coupling).log_partition
        found = ring(7, temperature, coupling)
        assert found.energy == pytest.approx(-logs @ [1, -8, 0, 8, -1] / (12 * step) / 7, rel=1e-8)
        curvature = logs @ [-1, 16, -30, 16, -1] / (12 * step**2)
        assert found.heat_capacity == pytest.approx(curvature * beta**2 / 7, rel=1e-5)
    # Two sites share two bonds; long rings have independent ones.
    strength = 2 * coupling / temperatures
    one = (lambda k: special.ive(1, k) / special.ive(0, k)) if ring is xy_ring else lambda k: 1 / np.tanh(k) - 1 / k
    np.testing.assert_allclose(ring(2, temperatures, coupling).m2, (1 + one(strength)) / 2, rtol=1e-12)
    np.testing.assert_allclose(ring(2, temperatures, coupling).energy, -coupling * one(strength), rtol=1e-12)
    np.testing.assert_allclose(ring(200, temperatures[1:], coupling).energy, -coupling * one(strength[1:] / 2), rtol=1e-9)


def test_a_frustrated_ring_says_where_its_sums_cancel():
    with pytest.raises(ValueError, match="sums cancel"):
        xy_ring(7, 0.02, -1.0)


def test_ring_of_three_heisenberg_spins():
    def weight(power):
        # The third spin integrates to sinh(K |a + b|)/(K |a + b|), by z = a · b.
        def integrand(z):
            total = 1.3 * np.sqrt(2 + 2 * z)
            return z**power * np.exp(1.3 * z) * np.sinh(total) / total

        return integrate.quad(integrand, -1, 1, epsabs=1e-13)[0]

    mean = weight(1) / weight(0)
    found = heisenberg_ring(3, 1 / 1.3)
    assert found.energy == pytest.approx(-mean, abs=1e-12)
    assert found.m2 == pytest.approx((1 + 2 * mean) / 3, abs=1e-12)


def test_torus_does_not_depend_on_the_grid_of_angles():
    exact, lattice = xy_torus(mp.square(2, 5), 0.6, -1.0), mp.square(2, 5)
    finer = discrete_torus(mp.Clock(lattice, 40, -1.0), 0.6)
    assert exact.energy == pytest.approx(finer.energy, abs=1e-10)
    assert exact.log_partition == pytest.approx(finer.log_partition - 10 * np.log(40), abs=1e-9)
    with pytest.raises(ValueError, match="narrow"):
        xy_torus(mp.square(3, 8), 0.1)


def deviations(chain, exact, **scale):
    """Distances from exact values in σ, once the errors are small enough to tell: 1e-3, or the stated share."""
    result = {}
    for name, value in exact.items():
        estimate = chain.estimate(name)
        assert estimate.error < scale.get(name, 1e-3) * abs(value), f"{name}: {estimate}, exact {value}"
        result[name] = estimate.deviation(value)
    return result


def agrees(chain, exact, **scale) -> bool:
    return max(map(abs, deviations(chain, exact, **scale).values())) < 4


@pytest.mark.parametrize("sampler", LOCAL, ids=lambda s: s.__name__)
@pytest.mark.parametrize("model, temperature", [(mp.XY(mp.square(2, 8)), 0.9), (mp.XY(mp.square(2, 4), -1.0), 0.8)], ids=str)
def test_xy_agrees_with_the_torus(sampler, model, temperature):
    chain = mp.run(sampler(model), 2000, temperature, 200, seed=21, observe=("energy",))
    exact = thermal(model, temperature)
    assert agrees(chain, {"energy": exact.energy, "heat_capacity": exact.heat_capacity}, heat_capacity=2e-2)


@pytest.mark.parametrize("sampler", LOCAL, ids=lambda s: s.__name__)
@pytest.mark.parametrize("model", [mp.Heisenberg(mp.chain(6)), mp.Heisenberg(mp.chain(7), -1.4)], ids=str)
def test_heisenberg_agrees_with_the_ring(sampler, model):
    chain = mp.run(sampler(model), 1200, 0.4, 600, seed=22, observe=("energy", "m2"))
    exact = thermal(model, 0.4)
    assert agrees(chain, {"energy": exact.energy, "m2": exact.m2}, m2=5e-3)


@pytest.mark.parametrize("sampler", LOCAL, ids=lambda s: s.__name__)
@pytest.mark.parametrize("beta", [1.0, 2.0])
def test_gauge_agrees_with_the_torus(sampler, beta):
    gauge = mp.U1Gauge(mp.square(8), beta)
    chain = mp.run(sampler(gauge), 700, chains=80, seed=23, observe=("plaquette", "charge", "charge2"))
    exact = thermal(gauge, 1.0)
    assert agrees(chain, {"plaquette": exact.plaquette, "charge2": exact.charge2}, charge2=2e-2)
    assert abs(chain.estimate("charge").deviation(0)) < 4
    assert abs(chain.estimate("charge_susceptibility").deviation(exact.charge2 / 64)) < 4


def test_gauge_freezes():
    """The charge slows down as β grows; at β = 8 the library refuses an error, and two starts do not meet."""
    times = []
    for beta, samples in ((2.0, 1500), (5.0, 6000)):
        gauge = mp.U1Gauge(mp.square(8), beta)
        chain = mp.run(mp.HeatBath(gauge), samples, chains=30, seed=24, observe=("plaquette", "charge2"))
        exact = thermal(gauge, 1.0)
        assert agrees(chain, {"plaquette": exact.plaquette, "charge2": exact.charge2}, charge2=0.1)
        times.append(chain.estimate("charge2").tau)
    assert times[1] > 5 * times[0]
    cold = mp.HeatBath(mp.U1Gauge(mp.square(8), 8.0))
    with pytest.raises(mp.ChainTooShort):
        mp.run(cold, 500, chains=50, seed=25, observe=("charge2",)).estimate("charge2")
    ordered = mp.run(cold, 100, seed=25, state=cold.init(50, seed=25, start="ordered"), observe=("charge2",))
    hot = mp.run(cold, 100, seed=25, state=cold.init(50, seed=25, start="random"), observe=("charge2",))
    assert ordered["charge2"].mean() < thermal(cold.hamiltonian, 1.0).charge2 < hot["charge2"].mean()


# Size, samples, helicity modulus and energy at T = 0.8929, each with its error.
ROWS = [(8, 1800, (0.6711, 0.0005), (-1.4611, 0.0004)), (16, 1150, (0.6482, 0.0008), (-1.4501, 0.0003))]


@pytest.mark.parametrize("size, samples, stiffness, energy", ROWS)
def test_xy_at_the_transition(size, samples, stiffness, energy):
    model = mp.XY(mp.square(size))
    chain = mp.run(mp.Overrelaxation(model), samples, 0.8929, 100, seed=26, observe=("energy", "helicity_modulus"))
    for name, (value, error) in {"helicity_modulus": stiffness, "energy": energy}.items():
        found = chain.estimate(name)
        assert found.error <= error
        assert abs(found.mean - value) < 4 * np.hypot(found.error, error), f"{name}: {found}"


LATTICES = [mp.cubic(3), mp.triangular(4)]


@pytest.mark.parametrize("sampler", LOCAL, ids=lambda s: s.__name__)
@pytest.mark.parametrize("model", [mp.XY, mp.Heisenberg])
@pytest.mark.parametrize("lattice", LATTICES, ids=str)
def test_schwinger_dyson_on_any_lattice(sampler, model, lattice):
    """β⟨|torque|²⟩ = (d − 1) ⟨u · h⟩ = −2 (d − 1) ⟨energy⟩ per site, by partial integration, frustrated models included."""
    made, beta = model(lattice, -1.0), 1.4

    def balance(x):
        u = made.vectors(x)
        near = u[:, np.ascontiguousarray(lattice.neighbours)].sum(2) * made.coupling
        along = (u * near).sum(-1)
        across = (near**2).sum(-1) - along**2
        return (beta * across - (made.dimensions - 1) * along).mean(1)

    chain = mp.run(sampler(made), 600, 1 / beta, 60, seed=27, observe={"balance": balance})
    balance = chain.estimate("balance")
    assert abs(balance.deviation(0)) < 4
    assert balance.error < 2.5e-2


class WrongField(mp.XY):
    """Reflects about the field of the neighbours less the last, which does not keep the energy."""

    def kernel(self, rule):
        kernel, (near, order, starts, *rest) = super().kernel(rule)

        def wrong(x, near, order, starts, staples, coupling, reflections, *others):
            for places in (order[a:b] for a, b in pairwise(starts)):
                field = np.exp(1j * x[:, self.lattice.neighbours[places, :-1]]).sum(-1)
                x[:, places] = np.angle(field**2 * np.exp(-1j * x[:, places]))
            return kernel(x, near, order, starts, staples, coupling, 0, *others)

        return wrong, (near, order, starts, *rest)


class WrongConcentration(mp.XY):
    """Draws with κ 5 % too large."""

    def kernel(self, rule):
        kernel, (near, order, starts, staples, coupling, *rest) = super().kernel(rule)
        return kernel, (near, order, starts, staples, 1.05 * coupling, *rest)


@pytest.mark.parametrize("model, sampler", [(WrongField, mp.Overrelaxation), (WrongConcentration, mp.HeatBath)])
def test_wrong_updates_are_rejected(model, sampler):
    exact = {"energy": xy_torus(mp.square(2, 8), 0.9).energy}
    chain = mp.run(sampler(model(mp.square(2, 8))), 500, 0.9, 160, seed=28, observe=("energy",))
    assert not agrees(chain, exact)


@pytest.mark.parametrize("kappa", [0.0, 1e-9, 0.3, 2.0, 30.0, 1e3, 1e6])
def test_conditional_distributions(kappa):
    """One spin beside one that is held fast, by the kernels: von Mises on the circle, Fisher on the sphere."""
    from mlphys.kernels import vectors

    chains = 20_000
    betas, numbers, order = np.full(chains, kappa), np.arange(chains), np.array([1], np.int32)
    x = np.zeros((chains, 2))
    # Two places, of which only the second belongs to a colour: the first keeps its angle.
    near, places, starts = np.array([[1], [0]], np.int32), np.array([0, 1], np.int32), np.array([1, 2])
    vectors.overrelaxation_sweeps(x, near, places, starts, False, 1.0, 0, betas, numbers, np.uint64(1), 0, 1)
    assert (x[:, 0] == 0).all() and (np.abs(x[:, 1]) <= np.pi).all()
    normal = stats.norm.cdf(x[:, 1] * np.sqrt(kappa)) if kappa > 1e5 else stats.vonmises.cdf(x[:, 1], max(kappa, 1e-12))
    assert stats.kstest(normal, "uniform").pvalue > 1e-4
    spins = np.zeros((chains, 2, 3))
    spins[..., 2] = 1
    vectors.sphere_overrelaxation_sweeps(spins, near, order, 1.0, 0, betas, numbers, np.uint64(1), 0, 1)
    np.testing.assert_allclose(np.linalg.norm(spins, axis=2), 1, rtol=1e-12)
    # 1 − z from the plane, which tells it near the pole.
    z, plane = spins[:, 1, 2], (spins[:, 1, :2] ** 2).sum(1)
    lift = np.where(z > 0, plane / (1 + z), 1 - z)
    uniform = -np.expm1(-kappa * lift) / -np.expm1(-2 * kappa) if kappa > 0 else lift / 2
    assert stats.kstest(uniform, "uniform").pvalue > 1e-4
    assert stats.kstest(np.arctan2(spins[:, 1, 1], spins[:, 1, 0]) / (2 * np.pi) + 0.5, "uniform").pvalue > 1e-4


@pytest.mark.parametrize(("n_sites", "beta"), [(4, 1.0), (64, 2.0), (64, 5.0)])
def test_partition_function_of_the_gauge_field_is_a_sum_of_bessel_functions(n_sites, beta):
    bessel = special.iv(np.abs(np.arange(-60, 61)), beta)
    assert u1_torus(n_sites, beta).log_partition == pytest.approx(np.log((bessel**n_sites).sum()), rel=1e-12)
