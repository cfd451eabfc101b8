"""What lecture 05 measures: the transition, zero variance, two optimisers, several ansätze, entanglement, a quench."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

import mlphys as mp
from mlphys.exact import quantum
from mlphys.hamiltonians.born import Born
from mlphys.stats import Estimate

# nets and vmc import torch, which takes two seconds: an app that opens does not wait for it.
if TYPE_CHECKING:
    from mlphys.nets import ProjectedRBM, TranslationRBM, WaveFunction
    from mlphys.vmc import Step

# N Var H / ⟨H⟩² of other states, from the collection of Wu et al. 2024 (10.1126/science.adg9774).
PUBLISHED_V_SCORES = [
    ("transverse chain, N = 32, h = 1", "RBM, published", 3.8e-4),
    ("10 × 10 Heisenberg, J2 = 0.5", "RBM, published", 0.20),
    ("10 × 10 Heisenberg, J2 = 0.5", "RBM with pair product, published", 2.0e-3),
]


def chain(n_sites: int, field: float) -> mp.TransverseIsing:
    """The periodic chain −Σ σᶻσᶻ − h Σ σˣ."""
    return mp.TransverseIsing(mp.chain(n_sites), field=field)


def exact_sigma_x(n_sites: int, field: float) -> float:
    """⟨σˣ⟩ of the ground state, the slope −∂E/∂h of the free fermions (Pfeuty 1970, 10.1016/0003-4916(70)90270-8)."""
    k = np.pi * (2 * np.arange(n_sites) + 1) / n_sites
    return float(np.mean((field - np.cos(k)) / np.sqrt(1 + field**2 - 2 * field * np.cos(k))))


def history(steps: "Iterable[Step]", n_sites: int) -> pd.DataFrame:
    """Runs an optimisation: step, energy, error and variance per site, V-score, and CPU seconds since it began."""
    began, rows = time.process_time(), []
    for step in steps:
        energies = (step.energy.mean / n_sites, step.energy.error / n_sites, step.variance / n_sites)
        rows.append((step.step, *energies, step.v_score, time.process_time() - began))
    return pd.DataFrame(rows, columns=["step", "energy", "error", "variance", "v_score", "seconds"])


def verdict(model: mp.TransverseIsing, psi: "WaveFunction", samples: int = 16128, seed: int = 2) -> dict[str, Any]:
    """Energy per site at fixed parameters, beside the exact one, with relative error and V-score."""
    from mlphys import vmc

    n, exact = model.lattice.n_sites, mp.exact.ground_energy(model)
    found = vmc.expectation(model, psi, samples, seed=seed)
    energy = {"energy": found.energy.mean / n, "energy_error": found.energy.error / n, "exact": exact / n}
    relative = {"relative": (found.energy.mean - exact) / -exact, "relative_error": found.energy.error / -exact}
    return energy | relative | {"v_score": found.v_score}


def transition(n_sites: int, fields: Sequence[float], steps: int, alpha: int = 1, seed: int = 1) -> pd.DataFrame:
    """One RBM led through the fields: `steps` of optimisation at each, from the weights of the one before.

    One row for each field, as `verdict` gives it, with ⟨σˣ⟩ and its exact value.
    """
    from mlphys import nets, vmc

    psi, rows = nets.RBM(n_sites, alpha, seed=seed), []
    for k, field in enumerate(fields):
        model = chain(n_sites, field)
        history(vmc.ground_state(model, psi, 3 * steps if k == 0 else steps, seed=seed + k), n_sites)
        x = vmc.sample(model, psi, 4032, seed=seed + k)
        sigma_x = vmc.observables.sigma_x(model, psi, x)
        row = {"field": field} | verdict(model, psi, seed=100 + k)
        row |= {"sigma_x": sigma_x.mean, "sigma_x_error": sigma_x.error, "exact_sigma_x": exact_sigma_x(n_sites, field)}
        rows.append(row)
    return pd.DataFrame(rows)


def blocks(table: pd.DataFrame, length: int = 10) -> pd.DataFrame:
    """Means over blocks of successive steps of a `history`, with the error of the energy."""
    table = table.iloc[len(table) % length :]
    grouped = table.groupby(np.arange(len(table)) // length)
    means = grouped.mean()
    means["error"] = np.sqrt(grouped["error"].apply(lambda error: (error**2).sum())) / length
    return means


def at_zero_variance(table: pd.DataFrame) -> Estimate:
    """Energy per site where a straight line of energy against variance, through a table of both, reaches variance 0."""
    x, weight = table["variance"], 1 / table["error"] ** 2
    middle = np.average(x, weights=weight)
    spread = (weight * (x - middle) ** 2).sum()
    slope = (weight * (x - middle) * table["energy"]).sum() / spread
    height = np.average(table["energy"], weights=weight) - slope * middle
    residual = table["energy"] - height - slope * x
    scatter = max(1.0, (weight * residual**2).sum() / max(len(table) - 2, 1))
    return Estimate(float(height), float(np.sqrt(scatter * (1 / weight.sum() + middle**2 / spread))))


def race(n_sites: int, steps: int, field: float = 1.0, rates=(0.05, 0.03), seed: int = 1) -> pd.DataFrame:
    """Stochastic reconfiguration against Adam from the same weights, Adam for as many steps as the same CPU time allows.

    The `history` of each, with the columns method and relative, the relative error of the energy.
    """
    from mlphys import nets, vmc

    model = chain(n_sites, field)
    natural = vmc.ground_state(model, nets.RBM(n_sites, seed=seed), steps, seed=seed, rate=rates[0])
    first = history(natural, n_sites)
    plain = vmc.ground_state(model, nets.RBM(n_sites, seed=seed), 100 * steps, seed=seed, rate=rates[1], method="adam")
    second = history(_until(plain, first["seconds"].max()), n_sites)
    tables = {"stochastic reconfiguration": first, "Adam": second}
    table = pd.concat(tables, names=["method"]).reset_index(level=0).reset_index(drop=True)
    exact = mp.exact.ground_energy(model) / n_sites
    return table.assign(relative=(table["energy"] - exact) / -exact)


def _until(steps: "Iterable[Step]", seconds: float) -> "Iterable[Step]":
    began = time.process_time()
    for step in steps:
        yield step
        if time.process_time() - began > seconds:
            break


def entropies(model: mp.TransverseIsing, psi: "WaveFunction", samples: int, seed: int = 1) -> pd.DataFrame:
    """Rényi-2 entropy of the first 1, 2, …, N/2 sites: by swap from samples of ψ, and of the exact ground state."""
    from mlphys import vmc

    n = model.lattice.n_sites
    x = vmc.sample(model, psi, samples, chains=16, seed=seed)
    _, vector = quantum.ground_state(model)
    rows = []
    for length in range(1, n // 2 + 1):
        sites = list(range(length))
        entropy = vmc.observables.renyi2(model, psi, x, sites)
        rows.append((length, entropy.mean, entropy.error, quantum.renyi2(vector, model.basis(), n, sites)))
    return pd.DataFrame(rows, columns=["sites", "entropy", "error", "exact"])


def quench(
    psi: "TranslationRBM | ProjectedRBM", samples: int, dt: float, until: float = 1.0, field: float = 1.0, seed: int = 1
) -> pd.DataFrame:
    """⟨σˣ⟩ after a sudden change from an infinite field to `field`, by ψ with complex weights and by all 2ᴺ amplitudes.

    One row for each time step; residual is the share of the motion that the network could not follow.
    """
    from mlphys import vmc

    model, rows = mp.TransverseIsing(psi.lattice, field=field), []
    for moment in vmc.evolve(model, vmc.polarise(psi), until, dt, seed=seed, samples=samples):
        sigma_x: Any = moment.observables["sigma_x"]
        rows.append((moment.time, sigma_x.mean, sigma_x.error, moment.residual))
    table = pd.DataFrame(rows, columns=["time", "sigma_x", "error", "residual"])
    start = np.full(2**psi.n_sites, 2.0 ** (-psi.n_sites / 2))
    mean_sigma_x = mp.TransverseIsing(psi.lattice, coupling=0.0, field=-1 / psi.n_sites).to_sparse()
    evolved = quantum.evolution(model, start, table["time"].tolist())
    return table.assign(exact=[np.vdot(vector, mean_sigma_x @ vector).real for vector in evolved])


def comparison(
    model: mp.TransverseIsing,
    networks: "Mapping[str, WaveFunction]",
    steps: int,
    samples: int = 256,
    seed: int = 1,
    progress: Callable | None = None,
) -> pd.DataFrame:
    """Every network optimised for `steps`, then judged: one row for each, as `verdict` gives it, with costs.

    seconds: CPU time of the optimisation; rate: effective samples of |ψ|² per CPU second. `progress()` follows each row.
    """
    from mlphys import vmc

    rows = []
    for name, psi in networks.items():
        # Careful first steps: where few parameters move many amplitudes, the metric begins nearly singular.
        descent = vmc.ground_state(model, psi, steps, samples, seed=seed, shift=lambda step: max(1e-3, 0.1 * 0.8**step))
        table = history(descent, model.lattice.n_sites)
        rate = sampling_rate(model, psi)
        row = {"ansatz": name, "parameters": sum(part.numel() for part in psi.parameters())} | verdict(model, psi, 8064)
        rows.append(row | {"seconds": table["seconds"].max(), "rate": rate.mean, "rate_error": rate.error})
        if progress is not None:
            progress()
    return pd.DataFrame(rows)


def sampling_rate(model: mp.TransverseIsing, psi: "WaveFunction", samples: int = 600, seed: int = 1) -> Estimate:
    """Effective samples of |ψ|² per CPU second, burn-in included, of the slower of log ψ and |magnetisation|."""
    draw: Any = getattr(psi, "sample", None)
    if draw is not None:  # They are independent.
        began = time.process_time()
        draw(16 * samples, seed)
        return Estimate(16 * samples / (time.process_time() - began), 0.0)
    born = Born(psi, model)
    observe = {"log_psi": born.energy, "magnetisation": lambda x: born.magnetisation(x).abs()}
    began = time.process_time()
    run = mp.run(mp.Metropolis(born), samples, chains=16, seed=seed, observe=observe)
    seconds = time.process_time() - began
    slowest = max((run.estimate(name) for name in observe), key=lambda estimate: estimate.tau)
    return Estimate(slowest.ess / seconds, slowest.ess / seconds * slowest.tau_error / slowest.tau)
