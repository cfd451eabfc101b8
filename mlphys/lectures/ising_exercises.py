"""Exercises of lecture 01: each with a stub, a check that knows the usual mistakes, three hints and a solution."""

import numpy as np

import mlphys as mp
from mlphys.contract import judge
from mlphys.lab import Exercise
from mlphys.random import generator


def _grids() -> list[np.ndarray]:
    random = generator(1, "exercise")
    return [2 * random.integers(0, 2, shape) - 1 for shape in ((4, 4), (6, 8), (10, 10))]


def energy_stub(spins):
    """Energy per site of spins (rows, columns), with J = 1 and periodic boundaries."""
    raise NotImplementedError


def energy_solution(spins):
    """Each site meets its right and its lower neighbour: every bond once."""
    return -np.mean(spins * (np.roll(spins, -1, axis=0) + np.roll(spins, -1, axis=1)))


def check_energy(answer):
    for spins in _grids():
        value = float(answer(spins.copy()))
        exact = float(energy_solution(spins))
        open_ends = -(np.sum(spins[1:] * spins[:-1]) + np.sum(spins[:, 1:] * spins[:, :-1])) / spins.size
        if np.isclose(value, exact):
            continue
        if np.isclose(value, 2 * exact):
            return "Twice the energy: you met every bond from both of its ends."
        if np.isclose(value, exact * spins.size):
            return "That is the energy of the whole lattice; divide by the number of sites."
        if np.isclose(value, open_ends):
            return "The bonds across the boundary are missing: on a torus the last column is a neighbour of the first."
        if np.isclose(value, -exact):
            return "The sign is reversed: equal neighbours lower the energy when J = 1."
        return f"A {spins.shape[0]} × {spins.shape[1]} lattice gave {value:.4f}; its energy per site is {exact:.4f}."
    return None


def acceptance_stub(change, temperature):
    """Metropolis probability to accept a move that changes the energy by `change` (J), at `temperature` (J)."""
    raise NotImplementedError


def acceptance_solution(change, temperature):
    """Downhill always, uphill with the Boltzmann factor."""
    return min(1.0, np.exp(-change / temperature))


def check_acceptance(answer):
    cases = [(change, temperature) for change in (-8.0, -4.0, 0.0, 4.0, 8.0) for temperature in (1.0, 2.27, 5.0)]
    values = np.array([float(answer(*case)) for case in cases])
    change, temperature = np.array(cases).T
    exact = np.minimum(1, np.exp(-change / temperature))
    if np.allclose(values, exact):
        return None
    if (values > 1 + 1e-9).any():
        return "Some of your probabilities are larger than 1: moves downhill are accepted with probability 1."
    if np.allclose(values, 1 / (1 + np.exp(change / temperature))):
        return "That is the heat bath's probability: it obeys detailed balance too, but Metropolis accepts more."
    if np.allclose(values, np.minimum(1, np.exp(-change * temperature))):
        return "You multiplied by T: the Boltzmann factor is exp(−ΔE / T)."
    if np.allclose(values, change <= 0):
        return "Moves uphill are never accepted: that is a descent to T = 0, and it gets stuck."
    worst = int(np.argmax(np.abs(values - exact)))
    where = f"For ΔE = {change[worst]:g}, T = {temperature[worst]:g}"
    return f"{where} the probability is {exact[worst]:.4f}, not {values[worst]:.4f}."


def _correlated(memory: float, samples: int = 2**16) -> tuple[np.ndarray, float, float]:
    """A series with ρ(t) = memory^t and unit variance, its naive and its true error."""
    noise = generator(2, "series").normal(size=samples)
    series = np.empty(samples)
    series[0] = noise[0]
    for t in range(1, samples):
        series[t] = memory * series[t - 1] + np.sqrt(1 - memory**2) * noise[t]
    return series, 1 / np.sqrt(samples), np.sqrt((1 + memory) / (1 - memory) / samples)


def error_stub(series):
    """Standard error of the mean of a correlated series (samples,)."""
    raise NotImplementedError


def error_solution(series):
    """√(2τ σ²/n), with the measured autocorrelation time."""
    tau, _ = mp.stats.autocorrelation_time(series)
    return np.std(series) * np.sqrt(2 * tau / len(series))


def check_error(answer):
    for memory in (0.0, 0.9, 0.98):
        series, naive, true = _correlated(memory)
        value = float(answer(series.copy()))
        if abs(value / true - 1) < 0.25:
            continue
        if memory and abs(value / naive - 1) < 0.05:
            remembers = f"a series that remembers {1 / (1 - memory):.0f} steps"
            return f"This is σ/√n, {true / naive:.0f} times too small for {remembers}."
        if abs(value / true - 1 / np.sqrt(2)) < 0.1:
            return "Too small by √2: with τ = 1/2 + Σρ(t) a sample is worth 1/(2τ) of an independent one."
        if abs(value / np.std(series) - 1) < 0.05:
            return "This is the spread of single samples; the error of their mean falls as the chain grows."
        return f"For ρ(t) = {memory}^t the error of the mean is {true:.4f}; yours is {value:.4f}."
    return None


def heat_capacity_stub(energies, n_sites, temperature):
    """Heat capacity per site from samples (samples,) of the energy per site, k_B = 1."""
    raise NotImplementedError


def heat_capacity_solution(energies, n_sites, temperature):
    """Fluctuation–dissipation: N (⟨e²⟩ − ⟨e⟩²) / T²."""
    return n_sites * np.var(energies) / temperature**2


def check_heat_capacity(answer):
    random = generator(3, "exercise")
    for n_sites, temperature in ((16, 2.0), (64, 2.5)):
        energies = -1.5 + 0.1 * random.normal(size=500)
        value, exact = float(answer(energies.copy(), n_sites, temperature)), n_sites * np.var(energies) / temperature**2
        if np.isclose(value, exact, rtol=0.01):
            continue
        if np.isclose(value, exact / n_sites, rtol=0.01):
            return "Too small by N: Var(E) = N² Var(e), and the heat capacity per site divides it by N only once."
        if np.isclose(value, exact * n_sites, rtol=0.01):
            return "Too large by N: that would be the heat capacity of N lattices."
        if np.isclose(value, exact * temperature, rtol=0.01) or np.isclose(value, exact * temperature**2, rtol=0.01):
            return "The power of T is not right: c = −β² ∂⟨e⟩/∂β, and β = 1/T."
        return f"With N = {n_sites}, T = {temperature} the value is {exact:.4f}, not {value:.4f}."
    return None


class SamplerStub(mp.Sampler):
    """Advance `state` by `sweeps` sweeps, in place: every site once, drawn afresh given its neighbours."""

    def step(self, state, sweeps=1):
        raise NotImplementedError


class SamplerSolution(mp.Sampler):
    """A heat bath, site after site, all chains at once."""

    def step(self, state, sweeps=1):
        x = state.x.numpy()
        neighbours = self.hamiltonian.lattice.neighbours
        for _ in range(sweeps):
            uniform = generator(state.seed, state.sweep).random((x.shape[1], len(x)))
            for site in range(x.shape[1]):
                field = x[:, neighbours[site]].sum(axis=1)
                up = 1 / (1 + np.exp(-2 * state.beta * field))
                x[:, site] = np.where(uniform[site] < up, 1, -1)
            state.sweep += 1
        return mp.Info()


_REASONS = {
    "moves": "Nothing ever changes: write the new spins into state.x (it shares its memory), do not rebind it.",
    "Boltzmann distribution": "The chains go to the wrong distribution",
    "independent chains": "Your chains move together: draw separate random numbers for every chain",
    "a temperature for each chain": "All chains use one temperature: state.beta has one entry for each chain",
    "reproducible": "The same seed must give the same result, another seed another: use generator(state.seed, state.sweep)",
    "resumes": "A copied state goes elsewhere: keep nothing outside the state, and count state.sweep up once a sweep",
}


def check_sampler(answer):
    # A site-by-site sampler in numpy needs a few seconds at this size, and every usual mistake shows.
    failed = [verdict for verdict in judge(answer, samples=60) if not verdict.passed]
    if not failed:
        return None
    return f"{_REASONS[failed[0].check]} ({failed[0].detail})."


exercises = {
    exercise.name: exercise
    for exercise in (
        Exercise(
            "energy",
            "Write the energy per site of a lattice of spins, with J = 1 and periodic boundaries.",
            energy_stub,
            check_energy,
            (
                "How many bonds has a square lattice with N sites on a torus?",
                "np.roll shifts a lattice around the torus; let every site meet its right and its lower neighbour.",
                "return -np.mean(spins * (np.roll(spins, -1, axis=0) + ...))",
            ),
            energy_solution,
            "Every bond once, and none forgotten.",
        ),
        Exercise(
            "acceptance",
            "Write the probability with which Metropolis accepts a move that changes the energy by ΔE at temperature T.",
            acceptance_stub,
            check_acceptance,
            (
                "Detailed balance fixes only the ratio of the probabilities of a move and of its reverse.",
                "Metropolis chooses the largest probabilities that have this ratio: one of the two is 1.",
                "return min(1, np.exp(...))",
            ),
            acceptance_solution,
            "The largest acceptance that detailed balance allows.",
        ),
        Exercise(
            "error",
            "Write the standard error of the mean of a correlated series.",
            error_stub,
            check_error,
            (
                "How many independent samples are n correlated ones worth?",
                "mp.stats.autocorrelation_time(series) returns τ and its error; n samples are worth n / 2τ.",
                "return np.std(series) * np.sqrt(2 * tau / len(series))",
            ),
            error_solution,
            "An error bar that can be believed.",
        ),
        Exercise(
            "heat capacity",
            "Write the heat capacity per site from a series of energies per site.",
            heat_capacity_stub,
            check_heat_capacity,
            (
                "Differentiate ⟨E⟩ = Σ E exp(−βE) / Z with respect to β.",
                "The variance of the total energy E = N e gives C = Var(E) / T²; then divide by N.",
                "return n_sites * np.var(energies) / temperature**2",
            ),
            heat_capacity_solution,
            "Fluctuations tell the response: no derivative was needed.",
        ),
        Exercise(
            "sampler",
            "Write a sampler of your own; the contract suite that judges ours judges yours.",
            SamplerStub,
            check_sampler,
            (
                "Draw each spin afresh: up with probability 1/(1 + exp(−2βh)), where h is the sum of its neighbours.",
                "state.x.numpy() is (chains, n_sites) and writable; self.hamiltonian.lattice.neighbours[site] lists four "
                "sites; generator(state.seed, state.sweep).random((n_sites, chains)) are the random numbers of one sweep.",
                "for site in range(n_sites): h = x[:, neighbours[site]].sum(axis=1); "
                "x[:, site] = np.where(u[site] < ..., 1, -1). Count state.sweep up; return mp.Info() at the end.",
            ),
            SamplerSolution,
            "It passed every check that the library's own samplers pass.",
        ),
    )
}
