"""What lecture 05 measures: the transition, zero variance, two optimisers, several ansätze, entanglement, a quench."""

import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

import mlphys as mp
from mlphys.exact import quantum
from mlphys.hamiltonians.born import Born
from mlphys.stats import Estimate

# nets and vmc import torch, which takes two seconds: an app that opens does not wait for it.
if TYPE_CHECKING:
    from mlphys.nets import WaveFunction
    from mlphys.vmc import Step


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


def race(n_sites: int, steps: int, field: float = 1.0, rates=(0.05, 0.01), seed: int = 1) -> pd.DataFrame:
    """Stochastic reconfiguration against Adam, from the same weights, Adam for as long as it takes the same CPU time.

    A `history` of each, with column `method` and the relative error of each step.
    """
    from mlphys import nets, vmc

    model, tables = chain(n_sites, field), {}
    for method, rate in zip(("stochastic reconfiguration", "Adam"), rates, strict=True):
        psi, name = nets.RBM(n_sites, seed=seed), "sr" if not tables else "adam"
        limit = tables["stochastic reconfiguration"]["seconds"].max() if tables else np.inf
        descent = vmc.ground_state(model, psi, steps if not tables else 100 * steps, seed=seed, rate=rate, method=name)
        tables[method] = history(_until(descent, limit), n_sites).assign(method=method)
    table = pd.concat(tables.values(), ignore_index=True)
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


def sampling_rate(model: mp.TransverseIsing, psi: "WaveFunction", samples: int = 500, seed: int = 1) -> Estimate:
    """Effective samples per CPU second of |ψ|², of the slower of action and |magnetisation|."""
    if hasattr(psi, "sample"):  # independent ones
        began = time.process_time()
        psi.sample(16 * samples, seed)
        return Estimate(16 * samples / (time.process_time() - began), 0.0)
    born = Born(psi, model)
    run = mp.run(mp.Metropolis(born), samples, chains=16, seed=seed)
    report = run.report()
    slowest = report.loc[report["ess_per_second"].idxmin()]
    return Estimate(slowest["ess_per_second"], slowest["ess_per_second"] * slowest["tau_error"] / slowest["tau"])
