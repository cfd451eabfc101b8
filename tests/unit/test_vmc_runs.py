"""Runs of `ground_state`: schedules, methods, files to go on from, and how they end when something breaks."""

import itertools
import math

import numpy as np
import pytest
import torch

import mlphys as mp
from mlphys import chain
from mlphys.nets import RBM, MaskedConvolution
from mlphys.nets.wavefunctions import WaveFunction
from mlphys.vmc import Diverged, Step, checkpoints, ground_state
from mlphys.vmc.descent import _clipped

MODEL = mp.TransverseIsing(chain(8))
SMALL = {"samples": 128, "seed": 3}


def machine():
    return RBM(8, seed=1)


def values(psi):
    return torch.cat([parameter.detach().ravel() for parameter in psi.parameters()])


@pytest.mark.parametrize("network", [machine, lambda: MaskedConvolution(chain(8), seed=1)], ids=["chains", "exact samples"])
@pytest.mark.parametrize("method", ["sr", "adam"])
def test_a_stopped_run_goes_on_bit_for_bit(tmp_path, method, network):
    options = {**SMALL, "method": method, "rate": lambda step: 0.05 / step**0.5}
    whole = network()
    energies = [step.energy.mean for step in ground_state(MODEL, whole, 12, **options)]

    file, found = tmp_path / "run", []
    for begin, end in itertools.pairwise((0, 5, 6, 12)):
        psi = network()
        run = ground_state(MODEL, psi, 12, **options, checkpoint=file, every=4)
        found += [step.energy.mean for step in itertools.islice(run, end - begin)]
        run.close()
    assert found == energies
    assert torch.equal(values(psi), values(whole))
    # A run that is over has no more steps, and hands back what it found.
    psi = network()
    assert list(ground_state(MODEL, psi, 12, **options, checkpoint=file)) == []
    assert torch.equal(values(psi), values(whole))


def test_an_interrupt_in_the_middle_of_a_step_loses_only_that_step(tmp_path, monkeypatch):
    whole, psi, file = machine(), machine(), tmp_path / "run"
    energies = [step.energy.mean for step in ground_state(MODEL, whole, 6, **SMALL)]
    calls = itertools.count()

    def interrupted(self, hamiltonian, x):
        if next(calls) == 3:
            raise KeyboardInterrupt
        return RBM.local_energies(self, hamiltonian, x)

    with monkeypatch.context() as patch:
        patch.setattr(psi, "local_energies", interrupted.__get__(psi))
        found = [step.energy.mean for step in ground_state(MODEL, psi, 6, **SMALL, checkpoint=file)]
    assert found == energies[:3]
    found += [step.energy.mean for step in ground_state(MODEL, machine(), 6, **SMALL, checkpoint=file)]
    assert found == energies


def test_the_file_is_written_every_so_often_and_never_by_halves(tmp_path, monkeypatch):
    file = tmp_path / "run"
    run = ground_state(MODEL, machine(), 20, **SMALL, checkpoint=file, every=4)
    seen = [(step.step, checkpoints.read(file)["step"] if file.exists() else 0) for step in run]
    assert seen == [(step, step // 4 * 4) for step in range(1, 21)]
    content = checkpoints.read(file)
    assert content["step"] == 20 and math.isfinite(content["energy"]) and list(tmp_path.iterdir()) == [file]

    def half(content, path):
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(OSError, match="disk full"):
        checkpoints.write(file, {}, {})
    monkeypatch.undo()
    assert checkpoints.read(file)["step"] == 20


def test_a_file_of_another_run_is_refused(tmp_path):
    file = tmp_path / "run"
    list(ground_state(MODEL, machine(), 2, **SMALL, checkpoint=file))
    others = [
        ("hamiltonian", (mp.TransverseIsing(chain(8), field=0.9), machine()), SMALL),
        ("wave function", (MODEL, RBM(8, alpha=2)), SMALL),
        ("wave function", (MODEL, RBM(8, dtype=torch.complex128)), SMALL),
        ("seed", (MODEL, machine()), {**SMALL, "seed": 4}),
        ("method", (MODEL, machine()), {**SMALL, "method": "adam"}),
        ("momentum", (MODEL, machine()), {**SMALL, "momentum": 0.0}),
    ]
    for name, (model, psi), options in others:
        before = values(psi)
        with pytest.raises(ValueError, match=f"belongs to another run: its {name} is"):
            ground_state(model, psi, 5, **options, checkpoint=file)
        assert torch.equal(values(psi), before)
    # More steps, another rate: that is going on.
    assert len(list(ground_state(MODEL, machine(), 5, **SMALL, rate=0.01, checkpoint=file))) == 3
    for damaged in (b"", b"not a checkpoint", file.read_bytes()[:-100]):
        file.write_bytes(damaged)
        with pytest.raises(ValueError, match="is not a checkpoint"):
            ground_state(MODEL, machine(), 5, **SMALL, checkpoint=file)


def test_schedules_are_asked_for_every_step():
    asked = {"rate": [], "shift": []}

    def schedule(name, value):
        return lambda step: asked[name].append(step) or value

    plain, scheduled = machine(), machine()
    list(ground_state(MODEL, plain, 4, **SMALL, rate=0.02, shift=1e-2))
    list(ground_state(MODEL, scheduled, 4, **SMALL, rate=schedule("rate", 0.02), shift=schedule("shift", 1e-2)))
    assert asked == {"rate": [1, 2, 3, 4], "shift": [1, 2, 3, 4]}
    assert torch.equal(values(plain), values(scheduled))


def test_adam_goes_downhill_and_reconfiguration_faster():
    exact, errors = mp.exact.ground_energy(MODEL), {}
    for method, rate in (("sr", 0.05), ("adam", 0.01)):
        psi = machine()
        for _ in ground_state(MODEL, psi, 100, 256, seed=1, method=method, rate=rate):
            pass
        found = mp.vmc.expectation(MODEL, psi, 8000, seed=2)
        assert found.energy.mean > exact - 3 * found.energy.error
        errors[method] = found.energy.mean / exact - 1
    assert abs(errors["sr"]) < 5e-3 and abs(errors["sr"]) < abs(errors["adam"]) < 0.05


def test_adam_with_complex_parameters_follows_the_force():
    psi = RBM(8, dtype=torch.complex128, seed=1)
    energies = [step.energy.mean for step in ground_state(MODEL, psi, 60, 256, seed=1, method="adam", rate=0.01)]
    assert np.mean(energies[-5:]) < np.mean(energies[:5]) - 0.5


def test_energies_at_fixed_parameters():
    psi = machine()
    with torch.no_grad():
        for parameter in psi.parameters():
            parameter *= 20
    x = torch.from_numpy(MODEL.spins(MODEL.basis()))
    weights = (2 * psi.log_psi(x)).softmax(0).detach()
    local = psi.local_energies(MODEL, x)
    energy = float(weights @ local)
    found = mp.vmc.expectation(MODEL, psi, 32_000, chains=32, seed=1)
    assert found.step == 0 and abs(found.energy.deviation(energy)) < 4 and found.energy.error < 0.02
    variance = float(weights @ (local - energy) ** 2)
    assert abs(found.variance / variance - 1) < 0.1
    assert abs(found.v_score / (8 * variance / energy**2) - 1) < 0.1
    assert found.rhat < 1.05 and found.note == ""
    assert mp.vmc.expectation(MODEL, psi, 320, seed=1) == mp.vmc.expectation(MODEL, psi, 320, seed=1)


def test_a_run_that_breaks_down_leaves_a_file_to_go_on_from(tmp_path):
    file, psi = tmp_path / "run", machine()

    def rate(step):
        return 0.02 if step < 5 else 1e6

    with pytest.raises(Diverged, match="lower the rate"), np.errstate(all="ignore"):
        list(ground_state(MODEL, psi, 100, **SMALL, rate=rate, checkpoint=file))
    assert bool(values(psi).isfinite().all()) and values(psi).abs().max() < 10
    content = checkpoints.read(file)
    assert torch.equal(content["parameters"]["weights"], psi.weights.detach())
    again = machine()
    steps = list(ground_state(MODEL, again, content["step"] + 20, **SMALL, rate=0.02, checkpoint=file))
    assert len(steps) == 20 and all(math.isfinite(step.energy.mean) for step in steps)


class Frozen(WaveFunction):
    """One state has almost all the weight."""

    def __init__(self):
        super().__init__()
        self.n_sites, self.depth = 8, torch.nn.Parameter(torch.tensor(1e3, dtype=torch.float64))

    def log_psi(self, x):
        return self.depth * x.double().sum(1)


def test_frozen_chains_stop_the_run():
    psi = Frozen()
    with pytest.raises(Diverged, match="no chain moves any more at step 1"):
        list(ground_state(MODEL, psi, 5, **SMALL, burn_in=50))
    assert psi.depth.item() == 1e3


def test_chains_that_disagree_are_noted():
    energy = mp.stats.Estimate(-1.0, 0.1)
    assert Step(1, energy, 1.0, 1.0, 1.2, 0.5).note == "" and Step(1, energy, 1.0, 1.0, math.nan, 0.5).note == ""
    assert "R-hat 2.00" in Step(1, energy, 1.0, 1.0, 2.0, 0.5).note


def test_refusals():
    for options in ({"method": "newton"}, {"rate": -1}, {"shift": 0}, {"every": 0}, {"samples": 100}):
        with pytest.raises(ValueError, match=next(iter(options))):
            ground_state(MODEL, machine(), 5, **{**SMALL, **options})
    with pytest.raises(ValueError, match="samples=100"):
        mp.vmc.expectation(MODEL, machine(), 100)


def test_clipping_moves_only_what_lies_far_from_the_median():
    local = np.append(np.linspace(-1, 1, 99), 1000.0)
    clipped = _clipped(local + 2j, clip=5.0) - 2j
    np.testing.assert_allclose(clipped[:-1], local[:-1])
    distance = np.abs(local - np.median(local)).mean()
    assert abs(clipped[-1] - np.median(local) - 5 * distance) < 1e-9
