"""What lecture 02 measures: live lattices, the transition, step sizes, Langevin's bias, tempering, the yardstick."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

import mlphys as mp
from mlphys.core import Sampler
from mlphys.stats import ChainTooShort, Estimate, jackknife

SPIN_SAMPLERS: Mapping[str, Callable[..., Sampler]] = {
    "Metropolis": lambda model: mp.Metropolis(model),
    "heat bath": lambda model: mp.HeatBath(model),
    "overrelaxation": lambda model: mp.Overrelaxation(model),
    # Not Wolff: tuned on random spins it would grow thousands of clusters a sweep when these order, and nothing would move.
    "Swendsen–Wang": lambda model: mp.SwendsenWang(model),
}
FIELD_SAMPLERS: Mapping[str, Callable[..., Sampler]] = {**SPIN_SAMPLERS, "HMC": lambda model: mp.HMC(model)}
RANKED: Mapping[str, Callable[..., Sampler]] = {
    **SPIN_SAMPLERS,
    "Wolff": lambda model: mp.Wolff(model),
    "HMC, leapfrog": lambda model: mp.HMC(model),
    "HMC, minimum norm": lambda model: mp.HMC(model, integrator="minimum_norm", steps=5),
    "Langevin, adjusted": lambda model: mp.Langevin(model),
    "Langevin, biased": lambda model: mp.Langevin(model, step_size=0.02, adjusted=False),
}
if TYPE_CHECKING:
    from pandas import DataFrame

_SLOW = ("Metropolis", "heat bath", "Langevin, adjusted", "Langevin, biased")


def look_at_spins(angles: np.ndarray, beta: float) -> tuple[dict[str, float], np.ndarray]:
    """What one lattice of angles (rows, columns) shows, per site, and the windings of its plaquettes.

    In numpy: at 256² that takes 5 ms where the general observables take tens, and a live picture has no more.
    `squared_force` is the mean of (∂H/∂θ)², which equals −2 T ⟨e⟩ (Rugh 1997, 10.1103/PhysRevLett.78.772).
    """
    ahead = [np.roll(angles, -1, axis) - angles for axis in (1, 0)]
    bends, currents = [np.cos(step) for step in ahead], [np.sin(step) for step in ahead]
    force = sum(current - np.roll(current, 1, axis) for current, axis in zip(currents, (1, 0), strict=True))
    along, across = (step - 2 * np.pi * np.round(step / (2 * np.pi)) for step in ahead)
    winding = np.rint((along + np.roll(across, -1, 1) - np.roll(along, -1, 0) - across) / (2 * np.pi)).astype(np.int8)
    stiffness = sum(bend.sum() - beta * current.sum() ** 2 for bend, current in zip(bends, currents, strict=True))
    values = {
        "energy": -sum(bend.mean() for bend in bends),
        "helicity_modulus": stiffness / (2 * angles.size),
        "vortex_density": np.mean(winding != 0),
        "squared_force": np.mean(force**2),
    }
    return {name: float(value) for name, value in values.items()}, winding


def look_at_field(model: mp.Phi4) -> Callable:
    """A function of one field (rows, columns) that gives its numbers, per site, and the field itself.

    `identity` is φ ∂S/∂φ, whose mean is 1 for every action and every lattice: partial integration.
    """

    def look(x: np.ndarray, _beta: float) -> tuple[dict[str, float], np.ndarray]:
        near = sum(np.roll(x, shift, axis) for shift in (1, -1) for axis in (0, 1))
        bonds, square, fourth = float(np.mean(x * near)) / 2, float(np.mean(x**2)), float(np.mean(x**4))
        a, b, coupling = model.quadratic, model.hopping, model.coupling
        values = {
            "magnetisation": float(x.mean()),
            "abs_magnetisation": abs(float(x.mean())),
            "phi2": square,
            "action": a * square + coupling * fourth - b * bonds,
            "identity": 2 * a * square + 4 * coupling * fourth - 2 * b * bonds,
        }
        return values, x

    return look


def helicity_scan(
    sides: Iterable[int], temperatures, samples: int, chains: int = 8, seed: int = 1, progress=None
) -> "DataFrame":
    """Helicity modulus, energy and vortex density of the XY model: one row for each side L and temperature (J).

    Overrelaxation, `samples` on each of `chains` chains at every temperature. `progress(done, total)` is called after each
    side. Raises ChainTooShort.
    """
    rows: list[dict[str, object]] = []
    sides, temperatures = list(sides), list(temperatures)
    observe = ("energy", "helicity_modulus", "vortex_density")
    for side in sides:
        sampler = mp.Overrelaxation(mp.XY(mp.square(side)))
        each = np.repeat(temperatures, chains)
        chain = mp.run(sampler, samples, each, len(each), seed + side, thin=4, observe=observe)
        for temperature in temperatures:
            row: dict[str, object] = {"L": side, "temperature": temperature}
            for name in observe:
                estimate = chain.estimate(name, temperature)
                row |= {name: estimate.mean, f"{name}_error": estimate.error}
            rows.append(row)
        if progress is not None:
            progress(sides.index(side) + 1, len(sides))
    return _table(rows)


def transition(table: "DataFrame", side: int, larger: int) -> Estimate:
    """The temperature at which Υ of two sides approaches 2T/π as it does at the Kosterlitz–Thouless transition, in J.

    There πΥ/2T = 1 + 1/(2 ln L + c): the inverse of the excess grows by 2 ln(L'/L) between two sides. A weighted line
    through what it grows by, against temperature, says where. Source: Weber and Minnhagen 1988
    (10.1103/PhysRevB.37.5986); pairs of sides: Hsieh, Kao, Sandvik 2013 (arXiv:1302.2900).
    """
    inverse, error = [], []
    for which in (side, larger):
        rows = table[table["L"] == which].sort_values("temperature")
        t = rows["temperature"].to_numpy()
        excess = np.pi * rows["helicity_modulus"].to_numpy() / (2 * t) - 1
        inverse.append(1 / excess)
        error.append(np.pi * rows["helicity_modulus_error"].to_numpy() / (2 * t) / excess**2)
    growth = inverse[1] - inverse[0] - 2 * np.log(larger / side)
    weight = 1 / (error[0] ** 2 + error[1] ** 2)
    middle = np.average(t, weights=weight)
    slope = np.sum(weight * (t - middle) * growth) / np.sum(weight * (t - middle) ** 2)
    level = np.average(growth, weights=weight)
    shift = -level / slope
    variance = 1 / weight.sum() + shift**2 / np.sum(weight * (t - middle) ** 2)
    return Estimate(float(middle + shift), float(np.sqrt(variance) / abs(slope)))


def force_temperature(model: mp.XY, temperature: float, samples: int, chains: int = 16, seed: int = 3) -> Estimate:
    """The temperature that a simulation's own forces and energies tell, ⟨(∂H/∂θ)²⟩ / ⟨−2e⟩: exact on every lattice.

    Raises ChainTooShort. Source: Rugh 1997 (10.1103/PhysRevLett.78.772).
    """
    observe = {"energy": lambda x: model.energy(x) / x.shape[1], "squared_force": lambda x: (model.force(x) ** 2).mean(1)}
    chain = mp.run(mp.Overrelaxation(model), samples, temperature, chains, seed, observe=observe)
    return jackknife(lambda e, f2: -f2 / (2 * e), chain["energy"], chain["squared_force"])


def step_sizes(
    model, sizes: Iterable[float], samples: int, chains: int = 32, seed: int = 4, length: float = 2.0
) -> "DataFrame":
    """What HMC makes of its step size, for both integrators: acceptance, and effective samples of the slowest observable.

    Those are counted per second and per 1000 forces, which a busy machine does not blur. Leapfrog takes `sizes`, minimum
    norm 2.3 times as much; trajectories have the same `length`, so that a smaller step means more of them. Raises
    ChainTooShort.
    """
    rows = []
    for integrator, scale, forces in (("leapfrog", 1.0, 1), ("minimum_norm", 2.3, 2)):
        for size in scale * np.asarray(sizes):
            steps = max(1, round(length / size))
            sampler = mp.HMC(model, size, steps, integrator)
            chain = mp.run(sampler, samples, chains=chains, seed=seed, observe=("energy", "m2", "phi2"))
            acceptance = float(np.mean(np.asarray(sampler.step(chain.state, 100).acceptance)))
            report = chain.report()
            worst = report.loc[report["tau"].idxmax()]
            per_force = 1000 / (2 * worst["tau"] * (forces * steps + 1))
            row = {"integrator": integrator.replace("_", " "), "step": size, "acceptance": acceptance, "slowest": worst.name}
            row |= {"ess_per_second": worst["ess_per_second"], "ess_per_1000_forces": per_force}
            rows.append(row | {"error": per_force * worst["tau_error"] / worst["tau"]})
    return _table(rows)


def efficiency(acceptance, order: int = 2) -> np.ndarray:
    """What theory expects for the effective samples of HMC against its acceptance, up to a factor.

    The acceptance erfc(z) gives the step, z ∝ ε^order; and if a trajectory that is accepted forgets everything, n of
    them are worth n P/(2 − P) samples. Source of the acceptance: Gupta et al. 1990 (Phys. Lett. B 242, 437).

    >>> grid = np.linspace(0.3, 0.99, 70)
    >>> [float(grid[efficiency(grid, order).argmax()].round(2)) for order in (2, 4)]
    [0.76, 0.88]
    """
    from statistics import NormalDist

    p = np.asarray(acceptance, float)
    z = np.array([-NormalDist().inv_cdf(value / 2) / 2**0.5 for value in p])
    return z ** (1 / order) * p / (2 - p)


def langevin_bias(
    model: mp.Phi4, steps: Iterable[float], time: float, chains: int = 64, seed: int = 5, adjusted: bool = False
) -> "DataFrame":
    """⟨φ²⟩ of the Langevin equation against its time step dt: one row each, after the same Langevin `time` for each chain.

    Samples are half a unit of time apart. Raises ChainTooShort.
    """
    rows = []
    for dt in steps:
        thin = max(1, round(0.5 / dt))
        sampler = mp.Langevin(model, step_size=dt, adjusted=adjusted)
        chain = mp.run(sampler, round(time / (thin * dt)), chains=chains, seed=seed, thin=thin, observe=("phi2",))
        estimate = chain.estimate("phi2")
        rows.append({"dt": dt, "phi2": estimate.mean, "error": estimate.error})
    return _table(rows)


def extrapolate(table: "DataFrame") -> tuple[Estimate, Estimate]:
    """Value and slope at dt = 0 of a parabola through the rows of `langevin_bias`, weighted by their errors."""
    dt, mean, error = (table[name].to_numpy() for name in ("dt", "phi2", "error"))
    design = np.stack([np.ones_like(dt), dt, dt**2], 1) / error[:, None]
    covariance = np.linalg.inv(design.T @ design)
    value, slope, _ = covariance @ design.T @ (mean / error)
    errors = np.sqrt(np.diag(covariance))
    return Estimate(float(value), float(errors[0])), Estimate(float(slope), float(errors[1]))


def tempering(glass: mp.SpinGlass, temperatures, samples: int, chains: int = 8, seed: int = 6) -> dict[str, mp.Chain]:
    """Energies of a spin glass by parallel tempering and by Metropolis alone, with the same sweeps at the same temperatures.

    The Metropolis chains start from random spins at every temperature, as a quench does.
    """
    ladder = np.sort(np.asarray(temperatures, float))
    alone = np.tile(ladder, chains)
    options: dict = {"seed": seed, "observe": ("energy",), "thin": 5}
    start = glass.random(len(alone), seed)
    plain = mp.Metropolis(glass)
    return {
        "tempering": mp.run(mp.Tempering(plain, ladder), samples, chains=chains, **options),
        "Metropolis": mp.run(
            plain, samples, chains=len(alone), state=plain.init(len(alone), alone, seed, start=start), **options
        ),
    }


def yardstick(
    model, temperature: float, observe: Iterable[str], samples: int, chains: int = 8, seed: int = 7, progress=None
) -> "DataFrame":
    """Effective samples per second of the slowest of `observe`, for each sampler: a table sorted by it.

    The biased sampler has no rate and no rank, only the energy that it believes in.
    """
    rows = []
    for name, make in RANKED.items():
        sampler, thin = make(model), 10 if name in _SLOW else 1
        chain = mp.run(sampler, samples, temperature, chains, seed, thin, observe=tuple(observe))
        report = chain.report()
        slowest = report["tau"].idxmax()
        row = report.loc[slowest]
        rate, error = row["ess_per_second"], row["ess_per_second"] * row["tau_error"] / row["tau"]
        rows.append({"sampler": name, "slowest": slowest, "ess_per_second": rate, "error": error})
        rows[-1] |= {"tau": row["tau"] * thin, "energy": _told(chain, "energy")}
        if progress is not None:
            progress(len(rows), len(RANKED))
    return _table(rows).sort_values("ess_per_second", ascending=False, na_position="last").reset_index(drop=True)


def _told(chain: mp.Chain, name: str) -> str:
    try:
        return str(chain.estimate(name))
    except ChainTooShort:
        return "too short"


def _table(rows: list[dict[str, Any]]) -> "DataFrame":
    # Imported here: an app that opens has no use for pandas.
    import pandas as pd

    return pd.DataFrame(rows)
