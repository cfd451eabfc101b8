"""A recipe at work: training, measuring, keeping what came out."""

import csv
import math
import os
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mlphys as mp
from mlphys import checks, devices
from mlphys.random import spawn
from mlphys.recipes.entries import RECIPES
from mlphys.recipes.recipe import Recipe


@dataclass
class Training:
    """A recipe at work: `run` trains ψ, `measure` tells what it has become, `save` keeps it for `load`."""

    name: str
    recipe: Recipe
    seed: int
    hamiltonian: Any
    psi: Any
    stage: int = 0
    step: int = 0
    seconds: float = 0.0

    @property
    def n_parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.psi.parameters())

    @property
    def reference(self) -> tuple[float, str]:
        """Energy per site to compare with, and where it is from."""
        n_sites = self.hamiltonian.lattice.n_sites
        return self.recipe.reference or (mp.exact.ground_energy(self.hamiltonian) / n_sites, "exact")

    def run(self, steps: int | None = None, checkpoint=None) -> Iterator:
        """Train up to `steps` steps in all, yielding each as `vmc.ground_state` does; the last stage that has any grows.

        With `checkpoint` every stage keeps a file of its own (`checkpoint`, then `checkpoint.2`, …), from which the same
        call goes on bit for bit after a stop; `seconds` are unknown then.
        """
        left = self.recipe.steps if steps is None else checks.whole("steps", steps, 1)
        before, last = 0, max(number for number, stage in enumerate(self.recipe.stages) if stage.steps)
        for number, stage in enumerate(self.recipe.stages):
            if stage.wrap is not None:
                self.psi = stage.wrap(self.hamiltonian.lattice, self.psi).to(self.psi.device)
            self.stage = number + 1
            todo = left if number == last else min(stage.steps, left)
            if not todo:
                continue
            file = None if checkpoint is None else f"{checkpoint}.{number + 1}" if number else str(checkpoint)
            if file is not None and os.path.exists(file):
                self.step, self.seconds = before + mp.vmc.checkpoints.read(file)["step"], math.nan
            began = time.perf_counter()
            options = {"seed": spawn(self.seed, "stage", number), **stage.options, "checkpoint": file}
            for step in mp.vmc.ground_state(self.hamiltonian, self.psi, todo, **options):
                self.step, self.seconds = before + step.step, self.seconds + time.perf_counter() - began
                yield replace(step, step=self.step)
                began = time.perf_counter()
            before, left = before + todo, left - todo
            if self.step < before:  # stopped
                return

    def measure(self, **options):
        """Energy, variance and V-score of ψ as it is, as a `vmc.Step`."""
        fresh = {"seed": spawn(self.seed, "measurement")}
        return mp.vmc.expectation(self.hamiltonian, self.psi, **fresh | dict(self.recipe.measurement) | options)

    def row(self, measured, command: str = "") -> dict[str, Any]:
        """One line of a table of ground states; energies are per site."""
        n_sites = self.hamiltonian.lattice.n_sites
        energy, (reference, source) = measured.energy.mean / n_sites, self.reference
        return {
            "system": self.recipe.system, "network": self.recipe.network, "parameters": self.n_parameters, "seed": self.seed,
            "energy": energy, "error": measured.energy.error / n_sites, "reference": reference, "source": source,
            "relative_error": (energy - reference) / abs(reference), "v_score": measured.v_score,
            "steps": self.step, "seconds": round(self.seconds, 1), "command": command,
        }  # fmt: skip

    def save(self, path, **about: float | str) -> None:
        """Write ψ and its recipe, with anything else to know `about` it, for `load`."""
        known = {"recipe": self.name, "seed": self.seed, "stage": self.stage, "step": self.step, "seconds": self.seconds}
        mp.vmc.checkpoints.save(path, {"format": FORMAT, **known, **about, "parameters": self.psi.state_dict()})


FORMAT = "mlphys wave function 1"


def start(name: str, seed: int = 1, device: str = "cpu") -> Training:
    """The recipe `name` with everything random drawn from `seed`, ready to `run` on `device`.

    Raises ValueError for an unknown recipe, a bad seed, or a device that is not there.

    >>> training = start("ising_chain_1", seed=1)
    >>> [step.step for step in training.run(steps=2)], training.n_parameters
    ([1, 2], 1680)
    """
    checks.one_of("recipe", name, tuple(RECIPES))
    chosen, device = RECIPES[name], devices.check(device, kernels=False)
    hamiltonian = chosen.hamiltonian()
    psi = chosen.psi(hamiltonian.lattice, checks.seed(seed)).to(device)
    return Training(name, chosen, seed, hamiltonian, psi)


def load(path, device: str = "cpu") -> tuple[Any, Recipe, dict[str, Any]]:
    """The wave function that `Training.save` wrote, its recipe, and what else the file says about it.

    Raises ValueError for any other file.
    """
    content = mp.vmc.checkpoints.load(path, FORMAT)
    if content is None:
        raise ValueError(f"path={str(path)!r} is not a wave function of mlphys, or is damaged")
    training, parameters = start(content["recipe"], content["seed"], device), content.pop("parameters")
    for stage in training.recipe.stages[: content["stage"]]:
        if stage.wrap is not None:
            training.psi = stage.wrap(training.hamiltonian.lattice, training.psi).to(device)
    training.psi.load_state_dict(parameters)
    return training.psi, training.recipe, content


def append(path, row: Mapping[str, Any]) -> None:
    """Add one row to a table of comma-separated values, with a header if the file is new."""
    with open(path, "a", newline="") as file:
        writer = csv.DictWriter(file, row)
        if not file.tell():
            writer.writeheader()
        writer.writerow(row)


def train(name: str, seed: int = 1, steps=None, checkpoint=None, device: str = "cpu", table=None, save=None) -> int:
    """What `mlphys train` does: run a recipe, telling how it goes, and print what came out; returns an exit status."""
    command = f"mlphys train {name} --seed {seed}" + (f" --steps {steps}" if steps else "")
    if device != "cpu":
        command += f" --device {device}"
    for option, path in {"checkpoint": checkpoint, "table": table, "save": save}.items():
        if path is not None and not Path(path).parent.is_dir():
            raise ValueError(f"{option}={str(path)!r} is not allowed: there is no such directory")
    training = start(name, seed, device)
    n_sites, planned = training.hamiltonian.lattice.n_sites, training.recipe.steps if steps is None else steps
    print(f"{training.recipe.network} ({training.n_parameters} parameters) · {training.recipe.system} · seed {seed}")
    began, spoken, measured = time.monotonic(), -math.inf, None
    try:
        for step in training.run(steps, checkpoint):
            now = time.monotonic()
            if now - spoken > 2 or step.step == planned:
                spoken = now
                energy = f"{step.energy.mean / n_sites:.6f} ± {step.energy.error / n_sites:.6f} per site"
                quality = f"V-score {step.v_score:.1e}, R-hat {step.rhat:.2f}, acceptance {step.acceptance:.2f}"
                print(f"step {step.step}/{planned}: {energy}, {quality}, {now - began:.0f} s", flush=True)
        if training.step >= planned:
            measured = training.measure()
    except KeyboardInterrupt:
        pass
    except mp.vmc.Diverged as error:
        print(f"mlphys: {error}", file=sys.stderr)
        return 1
    if measured is None:
        where = f"--checkpoint {checkpoint}"
        print(f"stopped; go on with: {command} {where}" if checkpoint else "stopped; only a run with --checkpoint goes on")
        return 130
    row = training.row(measured, command)
    print(
        "energy per site {energy:.7f} ± {error:.7f} · {source} {reference:.7f} · relative error {relative_error:.1e} · "
        "V-score {v_score:.1e}".format(**row)
    )
    if table is not None:
        append(table, row)
    if save is not None:
        training.save(save, energy=row["energy"], error=row["error"], v_score=row["v_score"], command=command)
    return 0
