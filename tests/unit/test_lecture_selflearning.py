"""Lecture 07: usual mistakes in its exercises; the app; the tables."""

import math

import numpy as np
import pytest
import torch

import mlphys as mp
from mlphys import selflearning
from mlphys.lab import power_law
from mlphys.lectures import selflearning as lecture
from mlphys.lectures import selflearning_live as live
from mlphys.lectures import selflearning_networks as networks
from mlphys.lectures import selflearning_tables as tables
from mlphys.stats import estimate


def metropolis(energy, effective, new_energy, new_effective, temperature):
    return np.minimum(1, np.exp((energy - new_energy) / temperature))


def added(energy, effective, new_energy, new_effective, temperature):
    return np.minimum(1, np.exp((energy + effective - new_energy - new_effective) / temperature))


def unbounded(energy, effective, new_energy, new_effective, temperature):
    return np.exp((energy - effective - new_energy + new_effective) / temperature)


def attention(finish):
    """Something else made of the sums over the shells."""

    def answer(x, adjacency, queries, keys):
        return finish(*(np.einsum("k,kij,bjc->bic", weights, adjacency, x) for weights in (queries, keys)))

    return answer


def relu_of_components(q, k):
    return np.maximum(0, q) @ np.maximum(0, k).transpose(0, 2, 1) / math.sqrt(3)


def prediction(finish):
    """Something else made of the errors of the action."""
    return lambda exact, effective, temperature: finish((effective - exact) / temperature)


# For each exercise usual mistakes and a word of the diagnosis that each must get (see test_lectures.py).
MISTAKES = {
    "acceptance": [(metropolis, "divided out"), (added, "cancelling"), (unbounded, "ends at 1")],
    "attention": [
        (attention(lambda q, k: np.maximum(0, q @ k.transpose(0, 2, 1))), "√3"),
        (attention(lambda q, k: q @ k.transpose(0, 2, 1) / math.sqrt(3)), "ReLU is missing"),
        (attention(relu_of_components), "numbers change"),
    ],
    "equivariance": [
        (lambda features, x, rotation: np.abs(features(x @ rotation.T) - features(x)).max(), "vectors that stay"),
        (lambda features, x, rotation: np.abs(features(x @ rotation) - features(x) @ rotation.T).max(), "opposite"),
        (lambda features, x, rotation: abs((features(x @ rotation.T) - features(x) @ rotation.T).mean()), "cancel"),
        (lambda features, x, rotation: 0.0, "Zero"),
    ],
    "prediction": [
        (prediction(lambda error: math.erfc(error.std())), "Half"),
        (prediction(lambda error: math.erfc(np.sqrt((error**2).mean()) / 2)), "constant"),
        (lambda exact, effective, temperature: math.erfc((effective - exact).std() / 2), "temperature"),
    ],
    "price": [
        (lambda series, each: estimate(series).tau * each, "Half"),
        (lambda series, each: 2 * estimate(series).tau * each * series.shape[1], "drops out"),
        (lambda series, each: 2 * estimate(series).tau, "counts samples"),
    ],
}


def test_app_follows_its_controls():
    app = lecture.app("ci")
    knobs = app.knobs
    for name, value in (
        ("trajectories", 3), ("angle", 90), ("picture", "field"), ("network", "perceptron, not equivariant"),
        ("plot", "acceptance against error"), ("angle", 360), ("network", "linear, all 9 shells"),
    ):  # fmt: skip
        setattr(knobs, name, value)
        for _ in range(3):
            app.player.step_once()
            assert not app.player.message
    walk = app.player.simulation
    assert walk.student.name == knobs.network and walk.sampler.proposal_sweeps == 3 and len(walk.proposals) <= 3
    app.close()


def small_data(samples=120):
    """Random spins, with energies that a linear model of one shell and something more has made."""
    model = live.model()
    x = model.random(samples, seed=3)
    pairs = mp.Heisenberg(model.lattice, coupling=-0.1).energy(x)
    return selflearning.Data(x, pairs + 0.01 * (pairs / 2) ** 2, live.TEMPERATURE)


def test_a_student_learns_beside_the_network_that_proposes(monkeypatch):
    monkeypatch.setattr(live, "data", lambda samples: small_data(samples))
    monkeypatch.setattr(live.Student, "HELD_OUT", 40)
    student = live.Student("linear, 1 shell")
    walk = live.Walk(student, 1, live.start(1), seed=1)
    walk.advance()
    proposing, before = student.network, student.sigma
    for _ in student.learn(80, 5):
        assert student.network is proposing  # never changed while it proposes
    student.show()
    walk.forget()
    assert student.network is not proposing and student.sigma.mean != before.mean and not walk.samples
    assert walk.state.cache["log_q"][0] == pytest.approx(-student.energy(walk.state.x).item() / live.TEMPERATURE, rel=1e-6)


def test_only_proposals_that_move_are_judged():
    """Where the network's own chain stays, "accepted" would mean nothing."""
    student = live.Student("linear, all 9 shells")
    walk = live.Walk(student, 1, live.start(2), seed=2)
    walk.sampler.sampler.step_size = 20.0  # its trajectories end nowhere
    for _ in range(5):
        walk.advance()
    assert len(walk.proposals) == 0 == len(walk.series.get("acceptance", ())) and walk.samples == 5


def test_energies_of_proposals_are_those_of_the_electrons():
    walk = live.Walk(live.Student("transformer, 1 layer"), 2, live.start(3), seed=3)
    for _ in range(4):
        walk.advance()
    exact = walk.model.energy(walk.state.x).item()
    assert walk.series["energy"][-1] * 36 == pytest.approx(exact)
    accepted = [energy for energy, _, moved in walk.proposals if moved]
    assert accepted and accepted[-1] == pytest.approx(exact)


def test_shipped_networks_are_as_good_as_they_say(tmp_path):
    network, sigma = networks.shipped("linear, all 9 shells")
    data = live.few()
    found = selflearning.sigma(network, data)
    # The first configurations are hotter than those it was judged by.
    assert sigma.mean < 0.7 and found.mean < 1.5
    with pytest.raises(ValueError, match="no trained networks"):
        (tmp_path / "other").write_text("nothing")
        networks.shipped("linear, 1 shell", tmp_path / "other")


def test_a_tiny_training_is_written_and_read(monkeypatch, tmp_path):
    monkeypatch.setattr(networks, "data", small_data)
    monkeypatch.setattr(networks, "HELD_OUT", 40)
    monkeypatch.setattr(networks, "NETWORKS", {"linear, 1 shell": live.NETWORKS["linear, 1 shell"]})
    networks.train(tmp_path / "networks.pt", samples=80, steps=3)
    network, sigma = networks.shipped("linear, 1 shell", tmp_path / "networks.pt")
    assert sigma.mean == pytest.approx(selflearning.sigma(network, small_data(120)[80:]).mean)


def test_symmetries_that_are_not_built_in_are_missed():
    lattice = mp.square(6)
    linear = mp.nets.LinearEffective(lattice, shells=2)
    with torch.no_grad():
        linear.couplings[:] = torch.tensor([0.3, -0.2])
    found = tables.broken({"linear": linear, "perceptron": networks.Perceptron(lattice)}, live.model().random(5, seed=1))
    assert (found.loc["linear"] < 1e-10).all() and (found.loc["perceptron"] > 1e-3).all()


def test_one_way_through_the_sites_may_not_propose():
    target, effective = tables.three_spins((0.9, 0.1, -0.6)), tables.three_spins((0, 0, 0))
    a, b, c = (tables.heat_bath(effective, spin) for spin in range(3))
    for proposal, is_exact in ((a @ b @ c, False), (a @ b @ c @ b @ a, True)):
        assert np.allclose(effective @ proposal, effective)
        assert np.allclose(target @ tables.corrected(proposal, effective, target), target, atol=1e-9) == is_exact


def test_a_power_law_is_found_with_its_error():
    x, noise = np.geomspace(2, 200, 8), np.random.default_rng(1).normal(size=8)
    found, factor = power_law(x, 3 * x**-0.7 * (1 + 0.05 * noise), 3 * x**-0.7 * 0.05)
    assert abs(found.deviation(-0.7)) < 3 and 0 < found.error < 0.05 and abs(factor / 3 - 1) < 0.2
    bent = power_law(x, 3 * x**-0.7 * np.exp(0.5 * np.cos(x)), 3 * x**-0.7 * 0.001)[0]
    assert bent.error > 10 * 0.001
