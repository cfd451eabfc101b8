"""Lecture 06: usual mistakes in its exercises; exact signs; the app."""


import numpy as np
import pytest

import mlphys as mp
from mlphys.lectures import frustration as lecture
from mlphys.lectures import frustration_experiments as experiments
from mlphys.lectures.frustration_exact import exact, positive_energy


def one_sublattice(sites):
    """Signs by the number of up spins on the sites chosen."""

    def answer(spins):
        chosen = sites(*np.indices(spins.shape[1:]))
        return 1 - 2 * (((spins == 1) & chosen).sum(axis=(1, 2)) % 2)

    return answer


def local_energy(parallel=False, exchange=0.5, diagonal=0.25):
    def answer(x, bonds, strengths, psi):
        total = 0.0
        for (i, j), strength in zip(bonds, strengths, strict=True):
            total += diagonal * strength * x[i] * x[j]
            if parallel or x[i] != x[j]:
                turned = x.copy()
                turned[[i, j]] = x[[j, i]]
                total += exchange * strength * psi(turned) / psi(x)
        return total

    return answer


def likeness(normalised=True, modulus=abs, weigh=None):
    def answer(exact, psi):
        psi = psi / np.linalg.norm(psi) if normalised else psi
        phase = psi / np.abs(psi)
        signs = (exact * np.abs(exact)) @ phase if weigh is None else weigh(exact, phase)
        return modulus(exact @ psi), np.abs(exact) @ np.abs(psi), abs(signs)

    return answer


def symmetrise(combine):
    return lambda log_psi, group: lambda x: combine(np.stack([log_psi(x[:, g]) for g in group]))


# For each exercise usual mistakes and a word of the diagnosis that each must get (see test_lectures.py).
MISTAKES = {
    "marshall": [
        (one_sublattice(lambda row, column: row >= 0), "All your signs are equal"),
        (one_sublattice(lambda row, column: row % 2 == 0), "rule for stripes"),
        (lambda spins: (spins[:, ::2, ::2] == 1).sum(axis=(1, 2)), "not signs"),
    ],
    "local_energy": [
        (local_energy(parallel=True), "Parallel spins"),
        (local_energy(exchange=1.0), "strength/2"),
        (local_energy(diagonal=1.0), "σᶻσᶻ/4"),
        (local_energy(exchange=-0.5), "no sublattice is turned"),
        (local_energy(exchange=0.0), "exchange is missing"),
    ],
    "likeness": [
        (likeness(normalised=False), "larger than 1"),
        (likeness(modulus=np.real), "phase of psi means nothing"),
        (likeness(weigh=lambda exact, phase: (np.sign(exact) * phase).mean()), "count every state alike"),
        (likeness(weigh=lambda exact, phase: exact @ phase / len(exact) ** 0.5), "exact² in it"),
    ],
    "symmetrise": [
        (symmetrise(lambda logs: logs.mean(0)), "averaged the logarithms"),
        (symmetrise(lambda logs: np.log(np.exp(logs).sum(0))), "sum over the group"),
        (symmetrise(lambda logs: np.log(np.exp(logs).mean(0))), "overflows"),
        (symmetrise(lambda logs: np.exp(logs).mean(0)), "return their logarithm"),
    ],
    "v_score": [
        (lambda local, n: n * np.var(local.real) / np.mean(local).real ** 2, "imaginary parts"),
        (lambda local, n: np.var(local) / np.mean(local).real ** 2, "number of sites is missing"),
        (lambda local, n: n * np.var(local) / len(local) / np.mean(local).real ** 2, "variance of the mean"),
        (lambda local, n: n * np.std(local) / abs(np.mean(local)), "not standard deviation"),
    ],
}


def test_signs_of_the_ground_state():
    """Without frustration all equal, in Marshall's basis; the number of wrong ones rises, and stripes end the rule."""
    states = [exact(j2) for j2 in (0.0, 0.5, 1.0)]
    assert states[0].energy == pytest.approx(-0.701780200527, abs=1e-11) and states[0].wrong() == (0, 0)
    assert states[1].energy == pytest.approx(-0.528620209462, abs=1e-11)
    signs = [state.mean_sign() for state in states]
    assert signs[0] == pytest.approx(1, abs=1e-12) and signs[0] > signs[1] > 0.9 > 0.2 > signs[2]
    for state in states:
        assert state.mean_sign() == pytest.approx(abs(1 - 2 * state.wrong()[1]), abs=1e-9)
        turned = mp.HeisenbergJ1J2(mp.square(4), state.j2, marshall=False).to_sparse(0)
        assert turned @ state.signed(False) == pytest.approx(16 * state.energy * state.signed(False), abs=1e-9)
    neel, stripe = (state.structure_factor() for state in states[::2])
    assert max(neel, key=neel.get) == "(π, π)" and max(stripe, key=stripe.get) == "(π, 0)"
    assert states[0].renyi2() == pytest.approx(1.12774677, abs=1e-8)


def test_positive_states_lie_between_the_exact_energy_and_a_single_configuration():
    assert positive_energy(0.0) == pytest.approx(exact(0.0).energy, abs=1e-10)
    for j2 in (0.5, 1.0):
        assert exact(j2).energy + 1e-3 < positive_energy(j2) < -max(0.5 - 0.5 * j2, 0.5 * j2)
    # Every exchange costs energy when nothing is turned and no sign is allowed: nothing beats Néel's state.
    assert positive_energy(0.0, marshall=False) == pytest.approx(-0.5, abs=1e-12)


def test_likeness_knows_amplitudes_from_signs():
    state = exact(0.5)
    right = state.likeness(1j * state.vector)
    assert (right.overlap, right.amplitudes, right.signs) == pytest.approx((1, 1, 1))
    positive = state.likeness(np.abs(state.vector))
    assert positive.amplitudes == pytest.approx(1) and positive.signs == pytest.approx(state.mean_sign())
    assert positive.overlap == pytest.approx(positive.signs)
    # The same state, described in the other basis.
    assert state.likeness(state.signed(False), marshall=False).overlap == pytest.approx(1)
    assert state.energy_of(state.signed(False), marshall=False) == pytest.approx(state.energy)


def test_projection_is_what_the_wrapper_does():
    import torch

    from mlphys import nets

    state, lattice = exact(0.5), mp.square(4)
    psi = nets.RBM(16, alpha=1, dtype=torch.complex128, seed=3)
    with torch.no_grad():
        psi.weights *= 20
    wrapped = nets.Symmetric(psi, lattice.point_group, flip=1).log_psi_of(torch.from_numpy(state.spins[:200])).exp().numpy()
    moved = state.projected(state.amplitudes(psi), lattice.point_group, flip=True)[:200]
    assert wrapped * np.vdot(wrapped, moved) / np.vdot(wrapped, wrapped) == pytest.approx(moved, abs=1e-10)
    table = experiments.symmetries(psi, 0.5)
    assert table["energy"].iloc[-1] >= state.energy - 1e-12
    exact_rows = state.projected(state.vector, lattice.translations, flip=True)
    assert abs(exact_rows @ state.vector) == pytest.approx(1)


def test_a_network_learns_the_unfrustrated_state_and_measurements_agree_with_sums():
    psi, steady = experiments.learn("RBM, positive", 0.0, True, 60)
    assert steady
    found = experiments.judge(psi, 0.0)
    assert 0 < found["relative"] < 0.05 and found["signs"] == pytest.approx(1) and found["overlap"] > 0.95
    state = exact(0.0)
    amplitudes = state.amplitudes(psi)
    measured = experiments.measure(psi, mp.HeisenbergJ1J2(mp.square(4)), 4096, seed=2)
    factor = state.structure_factor(np.abs(amplitudes) ** 2)
    summed = [state.energy_of(amplitudes), factor["(π, π)"], factor["(π, 0)"], state.renyi2(amplitudes=amplitudes)]
    for value, total in zip(measured.values(), summed, strict=True):
        assert abs(value.mean - total) < 4 * value.error


def test_a_positive_network_without_the_rule_ends_in_one_configuration():
    psi, _ = experiments.learn("RBM, positive", 0.0, False, 200)
    amplitudes = exact(0.0).amplitudes(psi)
    assert np.sort(np.abs(amplitudes) ** 2)[-2:].sum() > 0.5
    assert experiments.judge(psi, 0.0, marshall=False)["energy"] > -0.501


def test_app_runs_and_every_network_learns_in_it():
    app = lecture.app("ci")
    knobs = app.knobs
    for network in lecture.NETWORKS:
        knobs.network = network
        for _ in range(3):
            app.player.step_once()
            assert not app.player.message and not app.player.finished
        learner = app.player.simulation
        assert learner.count == 3 and learner.seen and learner.energy.error > 0
    for control, value in (("plot", "structure factor"), ("j2", 0.0), ("marshall", False), ("j2", 1.0)):
        setattr(knobs, control, value)
        app.player.step_once()
        assert not app.player.message, (control, app.player.message)
    app.close()


def test_same_seed_same_training():
    pair = [lecture.Learner("RBM, complex, translations", 0.5, True, seed=4) for _ in range(2)]
    for learner in pair:
        for _ in range(4):
            learner.advance()
    assert pair[0].energy == pair[1].energy
    assert np.array_equal(pair[0].picture()[0], pair[1].picture()[0])
