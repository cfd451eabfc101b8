"""`mlphys train` and the recipes behind it: listed, run, stopped, continued, kept and loaded."""

import csv
import math
import signal
import subprocess
import sys

import pytest
import torch

import mlphys as mp
from mlphys import recipes
from mlphys.cli import main
from mlphys.recipes import RECIPES, Recipe, Stage

MODEL = mp.TransverseIsing(mp.chain(8), field=0.7)


def project(lattice, psi):
    return mp.nets.Symmetric(psi, lattice.translations, flip=1)


def ring(*stages):
    options = {"samples": 640, "burn_in": 10}
    return Recipe("a ring", "RBM", lambda: MODEL, lambda lattice, seed: mp.nets.RBM(8, seed=seed), stages, options)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Two stages, and a last one that only projects."""
    stages = Stage(4, {"samples": 64}), Stage(3, {"samples": 128, "rate": lambda step: 0.05 / step}), Stage(0, wrap=project)
    monkeypatch.setitem(RECIPES, "small", ring(*stages))


def test_recipes_are_listed_without_loading_torch():
    script = "import sys; from mlphys.cli import main; main(['train']); print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    *lines, loaded = result.stdout.splitlines()
    assert [line.split()[0] for line in lines] == [name for name in RECIPES if name != "small"] and loaded == "False"


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_can_be_started(name):
    training = recipes.start(name, seed=1)
    lattice = training.hamiltonian.lattice
    psi, x = training.psi, torch.ones(2, lattice.n_sites)
    for stage in training.recipe.stages:
        psi = stage.wrap(lattice, psi) if stage.wrap else psi
        for option in ("rate", "shift"):
            schedule = stage.options.get(option, 1.0)
            assert not callable(schedule) or all(schedule(step) > 0 for step in (1, stage.steps))
    assert psi.log_psi(x).isfinite().all() and training.n_parameters > 0
    assert not math.isnan(training.reference[0])
    other = recipes.start(name, seed=2).psi
    assert any((a != b).any() for a, b in zip(training.psi.parameters(), other.parameters(), strict=True))


def test_a_run_ends_in_a_row_and_a_file(tmp_path, capsys):
    table, kept = tmp_path / "table.csv", tmp_path / "psi"
    for seed in (1, 2):
        assert main(["train", "small", "--seed", str(seed), "--table", str(table), "--save", str(kept)]) == 0
    shown = capsys.readouterr().out
    assert "step 7/7" in shown and "relative error" in shown
    first, second = csv.DictReader(table.open())
    assert (first["seed"], second["seed"], second["steps"], second["source"]) == ("1", "2", "7", "exact")
    assert float(second["reference"]) == pytest.approx(mp.exact.ground_energy(MODEL) / 8)
    assert float(second["relative_error"]) == pytest.approx(1 - float(second["energy"]) / float(second["reference"]))
    psi, recipe, about = recipes.load(kept)
    assert recipe is RECIPES["small"] and about["seed"] == 2 and about["step"] == 7
    assert isinstance(psi, mp.nets.Symmetric)
    # What was measured is what was kept.
    again = mp.vmc.expectation(MODEL, psi, seed=mp.random.spawn(2, "measurement"), **recipe.measurement)
    assert again.energy.mean / 8 == pytest.approx(float(second["energy"]), rel=1e-12) == pytest.approx(about["energy"])
    assert about["command"] == second["command"] == "mlphys train small --seed 2"


@pytest.mark.parametrize("stop", [2, 4, 6])
def test_a_stopped_run_goes_on_bit_for_bit(stop, tmp_path):
    file = tmp_path / "checkpoint"
    whole = [(step.step, step.energy.mean) for step in recipes.start("small").run()]
    for step in (run := recipes.start("small").run(checkpoint=file)):
        if step.step == stop:
            run.close()
    training = recipes.start("small")
    assert [(step.step, step.energy.mean) for step in training.run(checkpoint=file)] == whole[stop:]
    assert training.step == 7 and isinstance(training.psi, mp.nets.Symmetric)
    longer = [step.step for step in recipes.start("small").run(steps=9, checkpoint=file)]
    assert longer == [8, 9]


def test_steps_cut_or_stretch_the_last_stage(monkeypatch):
    monkeypatch.setitem(RECIPES, "small", ring(Stage(2, {"samples": 64}), Stage(1, {"samples": 64})))
    for steps in (1, 2, 3, 5):
        assert [step.step for step in recipes.start("small").run(steps=steps)] == list(range(1, steps + 1))


def test_an_interrupt_says_how_to_go_on(monkeypatch, tmp_path, capsys):
    def rate(step):
        if step == 3:
            signal.raise_signal(signal.SIGINT)
        return 0.05

    monkeypatch.setitem(RECIPES, "small", ring(Stage(5, {"samples": 64, "rate": rate})))
    file = tmp_path / "checkpoint"
    assert main(["train", "small", "--seed", "3"]) == 130
    assert "only a run with --checkpoint goes on" in capsys.readouterr().out
    assert main(["train", "small", "--seed", "3", "--checkpoint", str(file)]) == 130
    assert f"mlphys train small --seed 3 --checkpoint {file}" in capsys.readouterr().out and file.exists()


@pytest.mark.parametrize(
    "arguments, words",
    [(["nothing"], "recipe='nothing' is unknown: allowed are"), (["small", "--seed", "-1"], "seed=-1"),
     (["small", "--steps", "0"], "steps=0"), (["small", "--device", "tpu"], "device='tpu'"),
     (["small", "--save", "nowhere/psi"], "no such directory")],
)  # fmt: skip
def test_refusals(arguments, words, capsys):
    assert main(["train", *arguments]) == 1
    assert words in capsys.readouterr().err


def test_an_interrupt_while_measuring_keeps_the_training(monkeypatch, tmp_path, capsys):
    file = tmp_path / "checkpoint"
    with monkeypatch.context() as patch:
        patch.setattr(mp.vmc, "expectation", lambda *_, **__: signal.raise_signal(signal.SIGINT))
        assert main(["train", "small", "--checkpoint", str(file)]) == 130
    assert main(["train", "small", "--checkpoint", str(file)]) == 0
    assert "relative error" in capsys.readouterr().out


def test_a_breakdown_is_told(monkeypatch, capsys):
    monkeypatch.setitem(RECIPES, "small", ring(Stage(50, {"samples": 64, "rate": 1e6})))
    assert main(["train", "small"]) == 1
    assert "lower the rate" in capsys.readouterr().err


def test_other_files_are_no_wave_functions(tmp_path):
    for content in (b"", b"abc"):
        (tmp_path / "file").write_bytes(content)
        with pytest.raises(ValueError, match="not a wave function"):
            recipes.load(tmp_path / "file")
    torch.save({"format": "another"}, tmp_path / "file")
    with pytest.raises(ValueError, match="not a wave function"):
        recipes.load(tmp_path / "file")
    with pytest.raises(FileNotFoundError):
        recipes.load(tmp_path / "none")
