"""Every model with every sampler: which pairs are valid, what each is measured against; prints the README's table.

`python tests/exact/pairs.py` prints the table; `test_pairs.py` measures every pair and holds the README to it.
"""

from dataclasses import dataclass

import mlphys as mp


@dataclass(frozen=True)
class Case:
    """A model at a temperature at which its exact energy is known, and the samplers that are valid for it."""

    model: mp.core.Hamiltonian
    temperature: float
    twin: str
    valid: tuple[str, ...]


LADDER = (0.9, 1.0, 1.15)


def tempering(model, temperature):
    """Replica exchange of a local sampler of the model; the middle rung is the one at `temperature`."""
    local = mp.HeatBath(model) if "heat_bath" in model.rules else mp.Metropolis(model)
    return mp.Tempering(local, [factor * temperature for factor in LADDER])


SAMPLERS = {
    "Metropolis": lambda model, temperature: mp.Metropolis(model),
    "HeatBath": lambda model, temperature: mp.HeatBath(model),
    "Overrelaxation": lambda model, temperature: mp.Overrelaxation(model),
    "Wolff": lambda model, temperature: mp.Wolff(model),
    "SwendsenWang": lambda model, temperature: mp.SwendsenWang(model),
    "HMC": lambda model, temperature: mp.HMC(model),
    "Langevin": lambda model, temperature: mp.Langevin(model),
    "Tempering": tempering,
}
LOCAL = ("Metropolis", "HeatBath", "Tempering")
CLUSTER = ("Wolff", "SwendsenWang")
MOLECULAR = ("HMC", "Langevin")

CASES = {
    "Ising": Case(mp.Ising(mp.square(8)), 2.5, "Kaufman's torus", (*LOCAL, *CLUSTER)),
    "Potts, q = 3": Case(mp.Potts(mp.square(4, 6), q=3), 1.1, "transfer matrix", (*LOCAL, *CLUSTER)),
    "Clock, q = 6": Case(mp.Clock(mp.square(4, 6), q=6), 0.9, "transfer matrix", (*LOCAL, *CLUSTER)),
    "SpinGlass, ±J": Case(mp.SpinGlass(mp.square(6), "pm1", seed=1), 1.2, "transfer matrix", (*LOCAL, *CLUSTER)),
    "SpinGlass, Gaussian": Case(mp.SpinGlass(mp.square(4), "gaussian", seed=1), 1.2, "enumeration", (*LOCAL, *CLUSTER)),
    "PlaquetteIsing": Case(mp.PlaquetteIsing(mp.square(4)), 2.493, "enumeration", ("Metropolis", "Tempering")),
    "XY": Case(mp.XY(mp.chain(16)), 0.7, "Bessel sums, ring", (*LOCAL, "Overrelaxation", *CLUSTER, *MOLECULAR)),
    "Heisenberg": Case(
        mp.Heisenberg(mp.chain(16)), 0.25, "Bessel sums, ring", (*LOCAL, "Overrelaxation", *CLUSTER, *MOLECULAR)
    ),
    "Phi4": Case(
        mp.Phi4(mp.chain(16), mass2=-1.0, coupling=1.0),
        1.0,
        "transfer operator, ring",
        (*LOCAL, "Overrelaxation", *CLUSTER, *MOLECULAR),
    ),
    "Phi4.from_kappa": Case(
        mp.Phi4.from_kappa(mp.chain(16), kappa=0.3, coupling=0.5),
        1.0,
        "transfer operator, ring",
        (*LOCAL, "Overrelaxation", *CLUSTER, *MOLECULAR),
    ),
    "DoubleExchange": Case(
        mp.DoubleExchange(mp.chain(3), coupling=2.0, temperature=0.2), 0.2, "quadrature", ("Metropolis", *MOLECULAR)
    ),
    "U1Gauge": Case(mp.U1Gauge(mp.square(8), beta=2.0), 1.0, "Bessel sums, torus", (*LOCAL, "Overrelaxation", *MOLECULAR)),
}


def table() -> str:
    """The README's table of pairs, in Markdown."""
    lines = [f"| model | {' | '.join(SAMPLERS)} | exact twin |", f"|---|{'---|' * len(SAMPLERS)}---|"]
    for name, case in CASES.items():
        marks = " | ".join("✓" if sampler in case.valid else "–" for sampler in SAMPLERS)
        lines.append(f"| {name} | {marks} | {case.twin} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
