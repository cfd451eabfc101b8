"""Ground states: a generator of steps, each with an energy and its error bar."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from mlphys import checks, stats
from mlphys.hamiltonians.born import Born
from mlphys.hamiltonians.quantum import QuantumSpins
from mlphys.nets.wavefunctions import WaveFunction
from mlphys.samplers.metropolis import Metropolis
from mlphys.stats import Estimate
from mlphys.threads import one_blas_thread
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


def ground_state(
    hamiltonian: QuantumSpins, psi: WaveFunction, steps: int, samples: int = 1008, chains: int = 16, seed: int = 0,
    *, rate: float = 0.05, shift: float = 1e-3, momentum: float = 0.9, sweeps: int = 1, burn_in: int = 20, space="auto",
) -> Iterator[Step]:
    """Minimise ⟨ψ|H|ψ⟩ by stochastic reconfiguration, in place; yields a `Step` for each change of the parameters.

    samples: states a step, `samples // chains` from each of `chains` Markov chains, `sweeps` sweeps apart, after `burn_in`
    sweeps at the very start; rate: learning rate; shift: added to the diagonal of the metric; momentum: how much of the
    last change is kept where the samples say nothing against it, 0 for none; space: "parameters" or "samples", in which
    the linear system is solved with the same result, or "auto", the smaller one. Closing the generator,
    or Ctrl-C, ends it and leaves ψ usable. Raises ValueError for bad arguments, and Diverged, with the parameters of
    the last good step restored, when an energy is not finite or all chains are frozen.
    Sources: Sorella 1998 (10.1103/PhysRevLett.80.4558); in the space of samples Chen and Heyl 2024
    (10.1038/s41567-024-02566-1); momentum: Goldshlager, Abrahamsen, Lin 2024 (10.1016/j.jcp.2024.113351).

    >>> import mlphys as mp
    >>> model, psi = mp.TransverseIsing(mp.lattices.chain(8)), mp.nets.RBM(8, alpha=1)
    >>> for step in ground_state(model, psi, steps=100, samples=512):
    ...     pass
    >>> abs(step.energy.mean / mp.exact.ground_energy(model) - 1) < 0.01
    True
    """
    checks.whole("steps", steps, 1), checks.seed(seed)
    chains = checks.whole("chains", chains, 1)
    if checks.whole("samples", samples, 1) % chains:
        raise ValueError(f"samples={samples!r} is not allowed: it must be a multiple of chains={chains}")
    checks.one_of("space", space, ("auto", "parameters", "samples"))
    for name, value in (("rate", rate), ("shift", shift)):
        if not value > 0:
            raise ValueError(f"{name}={value!r} is not allowed: it must be positive")
    sampler = Metropolis(Born(psi, hamiltonian))
    state = sampler.init(chains, seed=seed)
    rows = samples // chains
    return _descent(hamiltonian, psi, sampler, state, steps, rows, rate, shift, momentum, sweeps, burn_in, space)


def _descent(hamiltonian, psi, sampler, state, steps, rows, rate, shift, momentum, sweeps, burn_in, space) -> Iterator[Step]:
    good, change = _values(psi), NOWHERE
    try:
        sampler.step(state, burn_in)
        for number in range(1, steps + 1):
            with one_blas_thread():
                x, acceptance = draw(sampler, state, rows, sweeps)
                local = psi.local_energies(hamiltonian, x).cpu().numpy()
                step = _judge(number, local.reshape(rows, state.chains), hamiltonian.lattice.n_sites, acceptance)
                if not math.isfinite(step.energy.mean) or not acceptance > 0:
                    _load(psi, good)
                    reason = "no chain moves any more" if acceptance == 0 else f"the energy is {step.energy.mean}"
                    raise Diverged(f"{reason} at step {number}: lower the rate, or raise the shift")
                good = _values(psi)
                change = natural_gradient(psi.tangent(x), local, shift, space, momentum * change)
                _load(psi, good - rate * torch.from_numpy(change).to(good))
            yield step
    except KeyboardInterrupt:
        return


def _judge(number: int, local: np.ndarray, n_sites: int, acceptance: float) -> Step:
    real = local.real
    if not np.isfinite(local).all():
        return Step(number, Estimate(math.nan, math.nan), math.nan, math.nan, math.nan, acceptance)
    try:
        energy = stats.estimate(real)
    except stats.ChainTooShort as short:
        energy = short.estimate
    variance = float((np.abs(local - local.mean()) ** 2).mean())
    rhat = stats.split_rhat(real) if len(real) > 3 else math.nan
    return Step(number, energy, variance, n_sites * variance / energy.mean**2, rhat, acceptance)


def _values(psi: WaveFunction) -> torch.Tensor:
    return torch.nn.utils.parameters_to_vector(psi.parameters()).detach().clone()


def _load(psi: WaveFunction, values: torch.Tensor) -> None:
    with torch.no_grad():
        torch.nn.utils.vector_to_parameters(values, psi.parameters())
