"""The judge of samplers: does a Markov chain keep its promises on a model small enough to enumerate?

One suite for all of them, the library's own and a student's: the distribution over all states, independence of the
chains, reproducibility, resumption, and one temperature for each chain.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mlphys.core import Sampler, State, run
from mlphys.exact.enumeration import distribution, enumerate_states, values_of
from mlphys.hamiltonians.base import Hamiltonian
from mlphys.hamiltonians.spins import Ising
from mlphys.lattices import square
from mlphys.stats import autocorrelation_time


@dataclass(frozen=True)
class Verdict:
    """The outcome of one check: its name, whether the sampler passed, and what was seen."""

    check: str
    passed: bool
    detail: str

    def __str__(self) -> str:
        return f"{'pass' if self.passed else 'FAIL'}  {self.check}: {self.detail}"


# A right sampler fails a statistical check by bad luck once in this many.
_BAD_LUCK = 1e-5


def judge(
    sampler: Callable[..., Sampler],
    hamiltonian: Hamiltonian | None = None,
    temperature: float = 2.4,
    chains: int = 64,
    samples: int = 2000,
    seed: int = 1,
) -> list[Verdict]:
    """Verdicts on the sampler that `sampler(hamiltonian)` makes, one for each check.

    The default `hamiltonian` is the 4 × 4 Ising model, whose 65536 states are enumerated; any model of discrete values
    with some 10⁵ states will do (ValueError above 2²⁰). `temperature` is in J. The distribution is compared over classes
    of equal energy and magnetisation by χ², on `samples` configurations of each of `chains` chains, thinned by the
    measured autocorrelation time until they count as independent.

    >>> import mlphys as mp
    >>> verdicts = judge(mp.SwendsenWang, samples=500)
    >>> all(verdict.passed for verdict in verdicts)
    True
    """
    hamiltonian = Ising(square(4)) if hamiltonian is None else hamiltonian
    made = sampler(hamiltonian)
    thin, moving = _thinning(made, temperature, chains, seed)
    if not moving:
        return [Verdict("moves", False, "the configurations never changed: step must advance the state in place")]
    chain = run(made, samples, temperature, chains, seed + 1, thin, observe=("energy", "magnetisation"))
    scan = np.where(np.arange(chains) % 2, temperature, 1.3 * temperature)
    scanned = run(made, samples, scan, chains, seed + 2, thin, observe=("energy", "magnetisation"))
    return [
        _distribution(hamiltonian, temperature, chain["energy"], chain["magnetisation"]),
        _independence(chain["energy"], chain["magnetisation"]),
        _temperatures(hamiltonian, scan, scanned["energy"], scanned["magnetisation"]),
        _reproducible(made, temperature, chains, seed),
        _resumes(made, temperature, chains, seed),
    ]


def _thinning(sampler: Sampler, temperature: float, chains: int, seed: int) -> tuple[int, bool]:
    """Sweeps between samples that count as independent, four autocorrelation times of the slowest observable.

    At most a hundred: a chain that is still stuck after those is told by the distribution it stays in.
    """
    pilot = run(sampler, 1000, temperature, chains, seed, observe=("energy", "magnetisation", "m2"))
    moving = any(np.ptp(pilot[name]) > 0 for name in pilot.samples)
    tau = max(autocorrelation_time(pilot[name])[0] for name in pilot.samples)
    return min(int(np.ceil(4 * tau)), 100), moving


def _distribution(hamiltonian: Hamiltonian, temperature: float, energy: np.ndarray, m: np.ndarray) -> Verdict:
    p_value, deviation = _chi_squared(hamiltonian, temperature, energy, m)
    detail = f"χ² over classes of energy and magnetisation, p = {p_value:.2g}; mean energy {deviation:+.1f} σ from exact"
    return Verdict("Boltzmann distribution", p_value > _BAD_LUCK, detail)


def _temperatures(hamiltonian: Hamiltonian, scan: np.ndarray, energy: np.ndarray, m: np.ndarray) -> Verdict:
    worst = 1.0
    for temperature in np.unique(scan):
        members = scan == temperature
        worst = min(worst, _chi_squared(hamiltonian, temperature, energy[:, members], m[:, members])[0])
    detail = f"every chain follows its own temperature, smallest p = {worst:.2g}"
    return Verdict("a temperature for each chain", worst > _BAD_LUCK, detail)


def _chi_squared(hamiltonian: Hamiltonian, temperature: float, energy: np.ndarray, m: np.ndarray) -> tuple[float, float]:
    """p value over classes of equal (energy, magnetisation), and the deviation of the mean energy in σ."""
    import torch

    probabilities = distribution(hamiltonian, temperature)
    chunks = enumerate_states(hamiltonian.lattice.n_sites, values=values_of(hamiltonian))
    states = torch.from_numpy(np.concatenate(list(chunks)))
    exact_energy, exact_m = (hamiltonian.observables[name](states).numpy() for name in ("energy", "magnetisation"))

    def classes(energies, magnetisations):
        return np.rint(1e6 * (energies + 1j * magnetisations)).ravel()

    labels, inverse = np.unique(classes(exact_energy, exact_m), return_inverse=True)
    expected = np.bincount(inverse, probabilities) * energy.size
    found, counts = np.unique(classes(energy, m), return_counts=True)
    places = np.searchsorted(labels, found).clip(max=len(labels) - 1)
    if (labels[places] != found).any():
        return 0.0, np.inf
    observed = np.zeros(len(labels))
    observed[places] = counts
    # Classes too rare for χ² are counted together.
    rare = expected < 10
    observed = np.append(observed[~rare], observed[rare].sum())
    expected = np.append(expected[~rare], expected[rare].sum())
    kept = expected > 0
    chi_squared = ((observed - expected)[kept] ** 2 / expected[kept]).sum()
    half = torch.tensor([(kept.sum() - 1) / 2, chi_squared / 2], dtype=torch.float64)
    mean = probabilities @ exact_energy
    sigma = np.sqrt(probabilities @ (exact_energy - mean) ** 2 / energy.size)
    return float(torch.special.gammaincc(half[0], half[1])), float((energy.mean() - mean) / sigma)


def _independence(energy: np.ndarray, m: np.ndarray) -> Verdict:
    """Chains must not know of one another: the products of their deviations average to zero."""
    worst = 0.0
    for values in (energy - energy.mean(), m - m.mean()):
        together = values.sum(1) ** 2 - (values**2).sum(1)
        error = together.std(ddof=1) / np.sqrt(len(together))
        worst = max(worst, abs(together.mean()) / error if error > 0 else np.inf, key=abs)
    return Verdict("independent chains", worst < 4.9, f"correlation between chains {worst:.1f} σ from none")


def _advance(sampler: Sampler, state: State, steps: int) -> np.ndarray:
    for _ in range(steps):
        sampler.step(state, 1)
    return state.configuration.spins().copy()


def _reproducible(sampler: Sampler, temperature: float, chains: int, seed: int) -> Verdict:
    first, again, other = (
        _advance(sampler, sampler.init(chains, temperature, s, start="random"), 5) for s in (seed, seed, seed + 1)
    )
    same, different = np.array_equal(first, again), not np.array_equal(first, other)
    words = {True: "the same", False: "another"}
    detail = f"same seed, {words[same]} result; other seed, {words[not different]} result"
    return Verdict("reproducible", same and different, detail)


def _resumes(sampler: Sampler, temperature: float, chains: int, seed: int) -> Verdict:
    state = sampler.init(chains, temperature, seed)
    _advance(sampler, state, 3)
    copy = state.copy()
    same = np.array_equal(_advance(sampler, state, 4), _advance(sampler, copy, 4)) and state.sweep == copy.sweep == 7
    detail = "a copied state has the same future" if same else "a copied state goes elsewhere, or state.sweep is not counted"
    return Verdict("resumes", bool(same), detail)
