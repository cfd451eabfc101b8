"""Double exchange: electrons against Fock space, forces and densities against differences, motion on a sphere."""

import numpy as np
import pytest
import torch

import mlphys as mp
from mlphys.hamiltonians.base import Hamiltonian

MODELS = [
    mp.DoubleExchange(mp.chain(3), 1.3, 0.9, 0.4, 0.3),
    mp.DoubleExchange(mp.square(2), 1.0, -1.7, 0.0, 0.2),
    mp.DoubleExchange(mp.triangular(3), 0.7, 2.0, -0.5, 0.25),
    mp.DoubleExchange(mp.square(4), temperature=0.1),
]


def fock_space(model, spins):
    """−T ln Tr exp(−(H − μN)/T) over all states of all electrons, by Jordan and Wigner; spins `(n_sites, 3)`."""
    modes = 2 * model.lattice.n_sites
    destroy, parity = np.array([[0, 1], [0, 0]]), np.diag([1, -1])
    operators = []
    for mode in range(modes):
        operator = np.eye(1)
        for other in range(modes):
            operator = np.kron(operator, destroy if other == mode else parity if other < mode else np.eye(2))
        operators.append(operator)
    up, down = operators[: modes // 2], operators[modes // 2 :]
    total = -model.chemical_potential * sum(c.T @ c for c in operators) + 0j
    for first, second in model.lattice.bonds:
        for c in (up, down):
            total -= model.hopping * (c[first].T @ c[second] + c[second].T @ c[first])
    for site, (x, y, z) in enumerate(spins):
        a, b = up[site], down[site]
        flip = a.T @ b
        spin = [(flip + flip.T) / 2, (flip - flip.T) / 2j, (a.T @ a - b.T @ b) / 2]
        total += model.coupling * (x * spin[0] + y * spin[1] + z * spin[2])
    levels = np.linalg.eigvalsh(total)
    return -model.temperature * np.logaddexp.reduce(-levels / model.temperature)


@pytest.mark.parametrize("model", MODELS[:2], ids=repr)
def test_the_grand_potential_is_that_of_fock_space(model):
    x = model.random(2, seed=1)
    for energy, spins in zip(model.energy(x), x.numpy(), strict=True):
        assert abs(energy - fock_space(model, spins)) < 1e-10


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_the_force_is_minus_the_gradient(model):
    x = model.random(2, seed=2)
    torch.testing.assert_close(model.force(x), Hamiltonian.force(model, x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_density_and_kinetic_energy_are_derivatives(model):
    x, step = model.random(2, seed=3), 1e-4
    parameters = {name: getattr(model, name) for name in ("hopping", "coupling", "chemical_potential", "temperature")}

    def slope(name):
        ends = [mp.DoubleExchange(model.lattice, **parameters | {name: parameters[name] + s * step}) for s in (1, -1)]
        return (ends[0].energy(x) - ends[1].energy(x)) / (2 * step) / model.lattice.n_sites

    torch.testing.assert_close(model.observables["density"](x), -slope("chemical_potential"), rtol=0, atol=1e-6)
    expected = model.hopping * slope("hopping")
    torch.testing.assert_close(model.observables["kinetic_energy"](x), expected, rtol=0, atol=1e-6)


def test_half_filling_at_zero_chemical_potential():
    model = MODELS[3]
    assert (model.observables["density"](model.random(3, seed=4)) - 1).abs().max() < 1e-12


def test_measurements_are_those_of_the_observables():
    model = MODELS[3]
    state = mp.Metropolis(model).init(3, seed=5, start="random")
    for names in (tuple(model.observables), ("energy", "staggered_m2")):
        for name, value in model.measure(state, names).items():
            np.testing.assert_allclose(value, model.observables[name](state.x), rtol=1e-11, err_msg=name)


def test_structure_factor_holds_both_magnetisations():
    model = MODELS[3]
    x = model.random(3, seed=6)
    waves = model.structure_factor(x)
    torch.testing.assert_close(waves[:, 0, 0], 16 * model.observables["m2"](x))
    torch.testing.assert_close(waves[:, 2, 2], 16 * model.observables["staggered_m2"](x))
    torch.testing.assert_close(waves.sum((1, 2)), torch.full((3,), 16.0).double())
    assert "staggered_m2" not in MODELS[2].observables
    assert model.observables["staggered_m2"](model.ordered(2)).tolist() == pytest.approx([1, 1])


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_spins_may_be_turned_together_and_moved(model):
    x, rng = model.random(2, seed=7), np.random.default_rng(1)
    turn = torch.from_numpy(np.linalg.qr(rng.normal(size=(3, 3)))[0])
    lattice = model.lattice
    shift, rotation = (torch.from_numpy(moves[-1]).long() for moves in (lattice.translations, lattice.point_group))
    for moved in (x @ turn, -x @ turn, x[:, shift], x[:, rotation]):
        torch.testing.assert_close(model.energy(moved), model.energy(x), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("model", [MODELS[0], mp.Heisenberg(mp.square(4))], ids=repr)
def test_trajectories_on_the_sphere_are_reversible_and_of_second_order(model):
    from mlphys.samplers.molecular import integrate, scheme

    x = model.random(4, seed=8)
    p = model.tangent(x, torch.from_numpy(np.random.default_rng(2).normal(size=x.shape)))
    errors = []
    for steps in (20, 40):
        kicks, drifts = scheme("leapfrog", steps)
        y, q = integrate(model, x, p, torch.tensor(1 / steps), torch.tensor(2.0), kicks, drifts)
        assert (y.norm(dim=2) - 1).abs().max() < 1e-14 and (q * y).sum(2).abs().max() < 1e-12
        back, _ = integrate(model, y, -q, torch.tensor(1 / steps), torch.tensor(2.0), kicks, drifts)
        assert (back - x).abs().max() < 1e-11
        change = 2 * (model.energy(y) - model.energy(x)) + ((q**2).flatten(1).sum(1) - (p**2).flatten(1).sum(1)) / 2
        errors.append(change.abs().mean())
    assert 3.5 < errors[0] / errors[1] < 4.5


def test_trajectories_on_the_sphere_keep_the_volume():
    """The Jacobian of (x, p) → (y, q) in an orthonormal frame of the tangent spaces has determinant 1."""
    model = mp.DoubleExchange(mp.chain(2), temperature=0.3)
    from mlphys.samplers.molecular import integrate, scheme

    x = model.random(1, seed=9)
    p = model.tangent(x, torch.from_numpy(np.random.default_rng(3).normal(size=x.shape)))
    kicks, drifts = scheme("leapfrog", 3)

    def frame(x):
        """Two unit vectors orthogonal to each spin, `(n_sites, 2, 3)`."""
        other = torch.eye(3).double()[x[0].abs().argmin(1)]
        first = torch.linalg.cross(x[0], other)
        first = first / first.norm(dim=1, keepdim=True)
        return torch.stack([first, torch.linalg.cross(x[0], first)], 1)

    def moved(coordinates, here, there=None):
        """The end of a trajectory that begins beside (x, p): normal coordinates about x and parallel momenta."""
        aside = torch.einsum("sk,skc->sc", coordinates[0], here)[None]
        start, _ = model.drift(x, aside, 1.0)
        momenta = model.tangent(start, p + torch.einsum("sk,skc->sc", coordinates[1], here)[None])
        y, q = integrate(model, start, momenta, torch.tensor(0.3), torch.tensor(1.5), kicks, drifts)
        return y, q

    here, zero = frame(x), torch.zeros(2, 2, 2).double()
    y0, _ = moved(zero, here)
    there = frame(y0)

    def flat(coordinates):
        y, q = moved(coordinates, here)
        return torch.stack([torch.einsum("sc,skc->sk", part[0], there) for part in (y, q)])

    step, columns = 1e-5, []
    for index in np.ndindex(2, 2, 2):
        shift = zero.clone()
        shift[index] = step
        columns.append(((flat(shift) - flat(-shift)) / (2 * step)).flatten())
    assert abs(torch.stack(columns, 1).det().abs() - 1) < 1e-6


def test_exact_values_need_few_sites_and_the_right_temperature():
    with pytest.raises(ValueError, match=r"16 sites.*at most 3"):
        mp.exact.double_exchange(MODELS[3])
    with pytest.raises(ValueError, match="own temperature"):
        mp.exact.thermal(MODELS[0], 1.0)


def test_a_wrong_weight_is_caught():
    """A chain at a temperature five per cent too high misses the exact energy that the right one reaches."""
    model = mp.DoubleExchange(mp.chain(3), coupling=2.0, temperature=0.2)
    hot = mp.DoubleExchange(mp.chain(3), coupling=2.0, temperature=0.21)
    exact = mp.exact.thermal(model, 0.2).energy
    chains = (mp.run(mp.Metropolis(m), 400, chains=64, seed=3, observe=("energy",)) for m in (model, hot))
    right, wrong = (chain.estimate("energy") for chain in chains)
    assert abs(right.deviation(exact)) < 4 < abs(wrong.deviation(exact))


def test_bad_arguments_are_named():
    for arguments, name in (({"temperature": 0.0}, "temperature=0.0"), ({"hopping": None}, "hopping=None")):
        with pytest.raises(ValueError, match=name):
            mp.DoubleExchange(mp.square(4), **arguments)
    with pytest.raises(ValueError, match=r"temperature=0\.3 is not allowed"):
        mp.run(mp.Metropolis(MODELS[3]), 10, temperature=0.3)
    with pytest.raises(ValueError, match="Tempering"):
        mp.Tempering(mp.Metropolis(MODELS[3]), [0.1, 0.2])
