"""Ground states: a generator of steps, each with an energy and its error bar."""

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from mlphys import checks, stats
from mlphys.checks import Schedule
from mlphys.core import State
from mlphys.hamiltonians.born import Born
from mlphys.hamiltonians.quantum import QuantumSpins
from mlphys.nets.wavefunctions import Tangent, WaveFunction
from mlphys.samplers.metropolis import Metropolis
from mlphys.stats import Estimate
from mlphys.threads import one_blas_thread
from mlphys.vmc import checkpoints
from mlphys.vmc.observables import BATCH, rows_of
from mlphys.vmc.reconfiguration import NOWHERE, Diverged, natural_gradient
from mlphys.vmc.sampling import draw


@dataclass(frozen=True)
class Step:
    """One step of an optimisation: the energy before it changed the parameters, in all, not per site.

    `variance` is that of the local energies, 0 in an eigenstate; `v_score` = n_sites · variance / energy² compares models
    of any kind (Wu et al. 2024, 10.1126/science.adg9774; for Hamiltonians without trace). `rhat` of the energies over the
    chains is near 1 when they agree; `acceptance` is that of the Markov chains.
    """

    step: int
    energy: Estimate
    variance: float
    v_score: float
    rhat: float
    acceptance: float

    @property
    def note(self) -> str:
        """What makes the error bar doubtful, in a sentence; empty where nothing does."""
        if self.rhat > 1.5:
            return f"the chains disagree, R-hat {self.rhat:.2f}: make more sweeps between samples, or more burn-in"
        return ""


def ground_state(
    hamiltonian: QuantumSpins, psi: WaveFunction, steps: int, samples: int = 1008, chains: int = 16, seed: int = 0,
    *, method: str = "sr", rate: Schedule = 0.05, shift: Schedule = 1e-3, momentum: float = 0.9, sweeps: int = 1,
    burn_in: int = 20, clip: float | None = None, space: str = "auto", checkpoint=None, every: int = 50,
) -> Iterator[Step]:
    """Minimise ⟨ψ|H|ψ⟩ in place, by stochastic reconfiguration or Adam; yields a `Step` for each change of the parameters.

    samples: states a step, `samples // chains` from each of `chains` Markov chains, `sweeps` sweeps apart, after `burn_in`
    sweeps at the very start; rate: learning rate, a number or a function of the step, 1, 2, …; method: "sr" or "adam".
    For "sr", shift: added to the diagonal of the metric, a number or a function of the step; momentum: how much of the last
    change is kept where the samples say nothing against it, 0 for none; space: "parameters" or "samples", in which
    the linear system is solved with the same result, or "auto", the smaller one. clip: local energies further than so many
    mean distances from their median are moved there before they change the parameters; near a node of ψ a single one can
    drown all others. What is yielded is not clipped.

    checkpoint: a file, written after every `every` steps and when the run ends or is stopped; where it exists the run goes
    on from there up to `steps`, bit for bit as if it had never stopped. Closing the generator, or Ctrl-C, ends it and leaves
    ψ usable. Raises ValueError for bad arguments and for a checkpoint of another run (only `steps`, `rate` and `shift` may
    change), and Diverged, with the last good parameters restored, when an energy is not finite or all chains are frozen.
    Sources: Sorella 1998 (10.1103/PhysRevLett.80.4558); in the space of samples Chen and Heyl 2024
    (10.1038/s41567-024-02566-1); momentum: Goldshlager, Abrahamsen, Lin 2024 (10.1016/j.jcp.2024.113351); Adam: Kingma and
    Ba 2015 (arXiv:1412.6980); clipping: Pfau et al. 2020 (10.1103/PhysRevResearch.2.033429).

    >>> import mlphys as mp
    >>> model, psi = mp.TransverseIsing(mp.lattices.chain(8)), mp.nets.RBM(8, alpha=1)
    >>> for step in ground_state(model, psi, steps=100, samples=512, rate=lambda step: 0.05 / (1 + step / 100)):
    ...     pass
    >>> abs(step.energy.mean / mp.exact.ground_energy(model) - 1) < 0.01
    True
    """
    checks.whole("steps", steps, 1), checks.whole("every", every, 1)
    rows = rows_of(samples, chains)
    checks.one_of("space", space, ("auto", "parameters", "samples"))
    checks.one_of("method", method, ("sr", "adam"))
    rates, shifts = checks.schedule("rate", rate), checks.schedule("shift", shift)
    if clip is not None and not clip > 0:
        raise ValueError(f"clip={clip!r} is not allowed: it must be positive, or None")

    def advance(tangent: Tangent, local, memory, number: int):
        local = local if clip is None else _clipped(local, clip)
        if method == "adam":
            return _adam(tangent, local, memory, number)
        change = natural_gradient(tangent, local, shifts(number), space, momentum * memory)
        return change, change

    sampler = Metropolis(Born(psi, hamiltonian))
    run = _Run(psi, sampler.init(chains, seed=checks.seed(seed)))
    options = {"samples": samples, "chains": chains, "seed": seed, "method": method, "sweeps": sweeps, "clip": clip}
    options |= {"momentum": momentum, "space": space} if method == "sr" else {}
    about = {"hamiltonian": repr(hamiltonian), "wave function": _describe(psi)}
    about |= {name: repr(value) for name, value in options.items()}
    if checkpoint is not None and os.path.exists(checkpoint):
        run.restore(checkpoints.read(checkpoint, about))
        burn_in = 0
    save = (lambda: None) if checkpoint is None else (lambda: checkpoints.write(checkpoint, about, run.snapshot()))
    return _descent(hamiltonian, sampler, run, steps, rows, sweeps, burn_in, rates, advance, save, every)


def expectation(
    hamiltonian: QuantumSpins, psi: WaveFunction, samples: int = 16128, chains: int = 16, seed: int = 0,
    *, sweeps: int = 1, burn_in: int = 100,
) -> Step:
    """The energy at fixed parameters, with everything else that a `Step` (number 0) holds; arguments as in `ground_state`.

    >>> import mlphys as mp
    >>> model, psi = mp.TransverseIsing(mp.lattices.chain(8), field=5.0), mp.nets.RBM(8, alpha=1)
    >>> abs(expectation(model, psi, samples=800).energy.deviation(-8 * 5.0)) < 20   # nearly the uniform state
    True
    """
    rows = rows_of(samples, chains)
    sampler = Metropolis(Born(psi, hamiltonian))
    state = sampler.init(chains, seed=checks.seed(seed))
    local, accepted, block = [], 0.0, max(1, BATCH // chains)
    with one_blas_thread(psi.compiled):
        sampler.step(state, burn_in)
        for begin in range(0, rows, block):
            part = min(block, rows - begin)
            x, acceptance = draw(sampler, state, part, sweeps)
            local.append(np.asarray(psi.local_energies(hamiltonian, x).cpu()).reshape(part, chains))
            accepted += acceptance * part
    return _judge(0, np.concatenate(local), hamiltonian.lattice.n_sites, accepted / rows)


@dataclass
class _Run:
    """Everything that changes in the course of a run, and goes into its checkpoint."""

    psi: WaveFunction
    state: State
    memory: Any = field(default_factory=lambda: NOWHERE)
    step: int = 0
    energy: float = math.nan

    def snapshot(self) -> dict[str, Any]:
        parameters = {name: value.detach().clone() for name, value in self.psi.state_dict().items()}
        memory = torch.as_tensor(self.memory).clone()
        chains = {"x": self.state.x.clone(), "sweep": self.state.sweep}
        return {"step": self.step, "energy": self.energy, "parameters": parameters, "memory": memory, **chains}

    def restore(self, snapshot: dict[str, Any]) -> None:
        self.step, self.energy = snapshot["step"], snapshot["energy"]
        self.psi.load_state_dict(snapshot["parameters"])
        self.memory = snapshot["memory"].numpy()
        self.state.x.copy_(snapshot["x"])
        self.state.sweep = snapshot["sweep"]


def _descent(hamiltonian, sampler, run: _Run, steps, rows, sweeps, burn_in, rates, advance, save, every) -> Iterator[Step]:
    psi, state = run.psi, run.state
    good = before = run.snapshot()
    try:
        sampler.step(state, burn_in)
        for number in range(run.step + 1, steps + 1):
            before = run.snapshot()
            with one_blas_thread(psi.compiled):
                x, acceptance = draw(sampler, state, rows, sweeps)
                local = psi.local_energies(hamiltonian, x).cpu().numpy()
                step = _judge(number, local.reshape(rows, state.chains), hamiltonian.lattice.n_sites, acceptance)
                if not math.isfinite(step.energy.mean) or not acceptance > 0:
                    reason = "no chain moves any more" if acceptance == 0 else f"the energy is {step.energy.mean}"
                    raise Diverged(f"{reason} at step {number}: lower the rate, or raise the shift")
                good = before
                change, run.memory = advance(psi.tangent(x), local, run.memory, number)
                _add(psi, -rates(number) * torch.as_tensor(change))
            run.step, run.energy = number, step.energy.mean
            if number % every == 0:
                save()
            yield step
    except Diverged:
        run.restore(good)
        raise
    except KeyboardInterrupt:
        # The step it fell into is done again by whoever goes on.
        run.restore(before)
    finally:
        save()


def _clipped(local: np.ndarray, clip: float) -> np.ndarray:
    # The median does not feel what lies far away; of complex numbers, part by part.
    centre = np.median(local.real) + (1j * np.median(local.imag) if np.iscomplexobj(local) else 0)
    distance = np.abs(local - centre)
    return centre + (local - centre) * np.minimum(1, clip * distance.mean() / np.maximum(distance, 1e-300))


def _adam(tangent: Tangent, local, memory, number: int):
    gradient = np.asarray(2 * tangent.pull_back((local - local.mean()) / len(local)))
    mean, square = memory if memory.ndim else (0.0, 0.0)
    mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * np.abs(gradient) ** 2
    change = mean / (1 - 0.9**number) / (np.sqrt(square / (1 - 0.999**number)) + 1e-8)
    return change, np.stack([mean, square])


def _judge(number: int, local: np.ndarray, n_sites: int, acceptance: float) -> Step:
    real = local.real
    if not np.isfinite(local).all():
        return Step(number, Estimate(math.nan, math.nan), math.nan, math.nan, math.nan, acceptance)
    energy = stats.estimate(real, minimum=0)
    variance = float((np.abs(local - local.mean()) ** 2).mean())
    rhat = stats.split_rhat(real) if len(real) > 3 else math.nan
    return Step(number, energy, variance, n_sites * variance / energy.mean**2, rhat, acceptance)


def _add(psi: WaveFunction, change: torch.Tensor) -> None:
    with torch.no_grad():
        values = torch.nn.utils.parameters_to_vector(psi.parameters())
        torch.nn.utils.vector_to_parameters(values + change.to(values), psi.parameters())


def _describe(psi: WaveFunction) -> str:
    shapes = ", ".join(f"{name} {tuple(value.shape)}" for name, value in psi.named_parameters())
    return f"{type(psi).__name__} with {shapes} of {next(psi.parameters()).dtype}"
