"""Exercises of lecture 07: each with a stub, a check that knows the usual mistakes, three hints and a solution."""

import math

import numpy as np

from mlphys.lab import Exercise
from mlphys.lattices import square
from mlphys.random import generator
from mlphys.stats import estimate


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _spins(batch: int, n_sites: int, seed: int) -> np.ndarray:
    return _unit(generator(seed, "exercise").normal(size=(batch, n_sites, 3)))


def _turn(seed: int, mirror: bool = False) -> np.ndarray:
    """A rotation (3, 3) drawn at random, with a reflection in it or not."""
    rotation, _ = np.linalg.qr(generator(seed, "turn").normal(size=(3, 3)))
    return rotation * np.linalg.det(rotation) * (-1 if mirror else 1)


def shells(side: int = 4, count: int = 3) -> np.ndarray:
    """Which sites of a square lattice are at which distance, (shell, site, site); shell 0 is the site itself."""
    lattice = square(side)
    adjacency = np.zeros((count, side**2, side**2))
    adjacency[0] = np.eye(side**2)
    for k in range(1, count):
        first, second = lattice.shell(k).T
        adjacency[k, first, second] = adjacency[k, second, first] = 1
    return adjacency


def acceptance_stub(energy, effective, new_energy, new_effective, temperature):
    """Probability (batch,) of accepting what a chain of the effective model proposes; all energies are (batch,)."""
    raise NotImplementedError


def acceptance_solution(energy, effective, new_energy, new_effective, temperature):
    """The ratio of the two weights, after over before."""
    return np.exp(np.minimum(0, -((new_energy - new_effective) - (energy - effective)) / temperature))


def check_acceptance(answer):
    random = generator(1, "exercise")
    for temperature in (0.05, 1.7):
        # Old and new energies of one system and its model: they differ by much, and their errors by little.
        old, new = (-60 + 4 * temperature * random.normal(size=200) for _ in range(2))
        model, new_model = (energy + 5 + temperature * random.normal(size=200) for energy in (old, new))
        given = (old, model, new, new_model, temperature)
        value, exact = np.asarray(answer(*given), float), acceptance_solution(*given)
        if value.shape != exact.shape:
            return f"{len(old)} proposals have {len(old)} probabilities: the shape is {exact.shape}, not {value.shape}."
        if np.allclose(value, exact, atol=1e-10):
            continue
        known = [
            (
                acceptance_solution(old, 0, new, 0, temperature),
                "That is Metropolis's rule for proposals that come and go alike. These come from a chain that favours "
                "low E: its weights have to be divided out.",
            ),
            (
                acceptance_solution(old, -model, new, -new_model, temperature),
                "The model's energies count twice instead of cancelling: divide by its weights.",
            ),
            (1 / np.exp((new - new_model - old + model) / temperature), "A probability ends at 1: take min(1, …)."),
            (acceptance_solution(*given[:-1], 1.0), "The temperature is missing: weights are exp(−Ω/T)."),
            (acceptance_solution(new, new_model, old, model, temperature), "Old and new are exchanged."),
            (
                acceptance_solution(0, model, 0, new_model, temperature),
                "The exact energies do not occur: that cannot be exact.",
            ),
        ]
        for wrong, diagnosis in known:
            if np.allclose(value, wrong, atol=1e-10):
                return diagnosis
        return f"From Ω = {old[0]:.2f}, E = {model[0]:.2f} to Ω' = {new[0]:.2f}, E' = {new_model[0]:.2f}: {exact[0]:.4f}."
    return None


def attention_stub(x, adjacency, queries, keys):
    """Invariants (batch, n_sites, n_sites) of spins x (batch, n_sites, 3): ReLU(q_i · k_j / √3) of weighted sums q, k.

    adjacency (shells, n_sites, n_sites), shell 0 the site itself; queries, keys: one weight for each shell, (shells,).
    """
    raise NotImplementedError


def _sums(x, adjacency, weights):
    return np.einsum("k,kij,bjc->bic", weights, adjacency, x)


def attention_solution(x, adjacency, queries, keys):
    """Vectors are added with weights, and meet each other in scalar products alone."""
    q, k = _sums(x, adjacency, queries), _sums(x, adjacency, keys)
    return np.maximum(0, q @ k.transpose(0, 2, 1) / math.sqrt(3))


def check_attention(answer):
    adjacency, random = shells(), generator(2, "exercise")
    for seed in (1, 2):
        x, queries, keys = _spins(5, 16, seed), random.normal(size=3), random.normal(size=3)
        value, exact = (np.asarray(f(x.copy(), adjacency, queries, keys), float) for f in (answer, attention_solution))
        if value.shape != exact.shape:
            return f"Every pair of sites has one number: the shape is {exact.shape}, not {value.shape}."
        if np.allclose(value, exact):
            continue
        scores = _sums(x, adjacency, queries) @ _sums(x, adjacency, keys).transpose(0, 2, 1) / math.sqrt(3)
        weights = np.exp(scores - scores.max(2, keepdims=True))
        of_spins = np.maximum(0, x @ x.transpose(0, 2, 1) / math.sqrt(3))
        known = [
            (exact * math.sqrt(3), "The √3 is missing: scores are divided by the root of the components."),
            (scores, "The ReLU is missing: attention below zero does not count."),
            (exact.transpose(0, 2, 1), "Rows and columns are exchanged: i asks, j answers."),
            (of_spins, "These are the spins themselves: sum over the shells first."),
            (weights / weights.sum(2, keepdims=True), "Softmax also gives invariants, but this network uses a ReLU."),
        ]
        for wrong, diagnosis in known:
            if np.allclose(value, wrong):
                return diagnosis
        turned = np.asarray(answer(x @ _turn(3).T, adjacency, queries, keys), float)
        if not np.allclose(turned, value):
            return "Turn all spins, and your numbers change: components may meet in scalar products alone, never one by one."
        return f"For sites 1 and 2 of the first configuration it is {exact[0, 0, 1]:.4f}, not {value[0, 0, 1]:.4f}."
    return None


def violation_stub(features, x, rotation):
    """How far vectors features(x) (batch, n_sites, 3) are from turning along with the spins x: the largest deviation."""
    raise NotImplementedError


def violation_solution(features, x, rotation):
    """Turn, then look; or look, then turn."""
    return np.abs(features(x @ rotation.T) - features(x) @ rotation.T).max()


def _network(*weights: float):
    """Sums of spins over the shells of a 4 × 4 lattice, one weight each."""
    return lambda x: _sums(x, shells(), np.array(weights))


EQUIVARIANT = {
    "sums over shells": _network(1.0, 0.5, -0.3),
    "unit vectors": lambda x: _unit(_network(1.0, 1.0, 1.0)(x)),
    "gated by lengths": lambda x: x * np.linalg.norm(_network(0.0, 1.0, 0.5)(x), axis=2, keepdims=True),
}
BROKEN = {
    "ReLU of components": lambda x: np.maximum(0, _network(1.0, 0.5, -0.3)(x)),
    "a favourite direction": lambda x: x + np.array([0, 0, 0.1]),
    "cross products": lambda x: np.cross(x, _network(0.0, 1.0, 0.0)(x)),
}
"""Functions of spins (batch, 16, 3) on a 4 × 4 lattice that turn along with them, and some that do not."""


def check_violation(answer):
    x = _spins(6, 16, 4)
    for name, features in (BROKEN | EQUIVARIANT).items():
        for mirror in (False, True):
            rotation = _turn(5, mirror)
            value, exact = (float(f(features, x.copy(), rotation)) for f in (answer, violation_solution))
            if abs(value - exact) < 1e-9:
                continue
            there, back = features(x @ rotation.T), features(x) @ rotation.T
            opposite = "Spins and features are turned in opposite directions: take x Rᵀ for both."
            cancel = "Signed deviations cancel: take their size first."
            known = [
                (np.abs(there - features(x)).max(), "That asks for vectors that stay. They shall turn with the spins."),
                (np.abs(features(x @ rotation) - back).max(), opposite),
                (np.abs(there - features(x) @ rotation).max(), opposite),
                (0.0, "Zero for a network that is broken: did you compare something with itself?"),
                (abs((there - back).mean()), cancel),
                (abs((there - back).sum()), cancel),
                ((there - back).max(), cancel),
                (np.abs(there - back).mean(), "The mean hides one wrong site among many: take the largest."),
            ]
            for wrong, diagnosis in known:
                if abs(value - wrong) < 1e-9:
                    return diagnosis
            return f"For “{name}” the largest deviation is {exact:.4f}, not {value:.4f}."
    return None


def predicted_stub(exact, effective, temperature):
    """Acceptance to be expected for independent proposals, from energies (samples,) of held-out configurations."""
    raise NotImplementedError


def predicted_solution(exact, effective, temperature):
    """erfc(σ/2), where σ is the standard deviation of the error of the action."""
    return math.erfc(np.std((effective - exact) / temperature) / 2)


def check_predicted(answer):
    for temperature, sigma, seed in ((0.05, 0.7, 7), (0.2, 2.0, 8)):
        random = generator(seed, "exercise")
        exact = -60 + random.normal(size=2000)
        effective = exact + 0.3 * temperature + sigma * temperature * random.normal(size=2000)
        error = (effective - exact) / temperature
        value, right = (float(f(exact.copy(), effective.copy(), temperature)) for f in (answer, predicted_solution))
        if math.isclose(value, right, abs_tol=2e-3):
            continue
        spread = error.std()
        known = [
            (math.erfc((effective - exact).std() / 2), "The temperature is missing: the action is Ω/T."),
            (math.erfc(np.sqrt((error**2).mean()) / 2), "A constant in E does nothing: take the deviation from the mean."),
            (math.erfc(spread), "Half of it: the acceptance is erfc(σ/2)."),
            (math.erfc(spread / math.sqrt(2)), "That is the chance of |error| > σ. Two errors meet here: erfc(σ/2)."),
            (math.exp(-spread), "The mean of exp(−error) is not it: accepted is min(1, …) of a difference of two errors."),
            (math.erfc(spread**2 / 2), "That is the variance; σ is its root."),
            (math.erf(spread / 2), "That is the share of rejections: erfc = 1 − erf."),
        ]
        for wrong, diagnosis in known:
            if math.isclose(value, wrong, abs_tol=2e-3):
                return diagnosis
        return f"For σ = {spread:.3f} the acceptance is {right:.3f}, not {value:.3f}."
    return None


def price_stub(series, each):
    """Diagonalisations for one independent sample; series (samples, chains), `each` of them from one sample to the next."""
    raise NotImplementedError


def price_solution(series, each):
    """2τ samples make an independent one."""
    return 2 * estimate(series).tau * each


def check_price(answer):
    for memory, each, chains, seed in ((0.8, 36, 4, 9), (0.3, 1, 16, 10)):
        random, series = generator(seed, "exercise"), np.zeros((4000, chains))
        for k in range(1, len(series)):
            series[k] = memory * series[k - 1] + random.normal(size=chains)
        value, exact = float(answer(series.copy(), each)), price_solution(series, each)
        if abs(value / exact - 1) < 0.05:
            continue
        known = [
            (exact / 2, "Half of it: τ = 1/2 for independent samples, and n samples are worth n/2τ."),
            (exact * chains, "Each chain pays for its own samples: the number of chains drops out."),
            (exact / chains, "Each chain pays for its own samples: the number of chains drops out."),
            (2 * estimate(series).tau, "That counts samples: how many diagonalisations does one cost?"),
            (each, "That is the price of a sample; neighbouring samples tell nearly the same."),
            (each * series.size, "That is the price of the whole run: divide by the effective number of samples."),
        ]
        for wrong, diagnosis in known:
            if abs(value / wrong - 1) < 0.02:
                return diagnosis
        return f"With τ = {estimate(series).tau:.2f} and {each} each, it is {exact:.1f}, not {value:.1f}."
    return None


exercises = {
    exercise.name: exercise
    for exercise in (
        Exercise(
            "acceptance",
            "Write the probability with which a proposal of the effective chain is accepted.",
            acceptance_stub,
            check_acceptance,
            (
                "A chain with weights exp(−E/T) and detailed balance comes from y to x, over x to y, as often as …?",
                "min(1, w(y) q(x) / w(x) q(y)) with w = exp(−Ω/T) and q = exp(−E/T).",
                "np.minimum(1, np.exp(-((new_energy - new_effective) - (energy - effective)) / temperature))",
            ),
            acceptance_solution,
            "A model with the right differences is accepted always, whatever its constant.",
        ),
        Exercise(
            "attention",
            "Write the attention of the equivariant transformer: numbers that do not turn with the spins.",
            attention_stub,
            check_attention,
            (
                "What may be done with vectors so that all turn along? What makes numbers of them?",
                "q_i = Σ_k queries_k Σ_j adjacency_kij S_j: np.einsum('k,kij,bjc->bic', …); then the scalar products.",
                "q = np.einsum('k,kij,bjc->bic', queries, adjacency, x), k alike; "
                "np.maximum(0, np.einsum('bic,bjc->bij', q, k) / 3**0.5)",
            ),
            attention_solution,
            "Three weights a shell make a layer; translations and the point group are in the shells already.",
        ),
        Exercise(
            "equivariance",
            "Write a test that finds networks whose features do not turn along with the spins.",
            violation_stub,
            check_violation,
            (
                "Two ways lead to turned features: which?",
                "Compare features(x Rᵀ) with features(x) Rᵀ; what is the strictest way to say how far apart they are?",
                "np.abs(features(x @ rotation.T) - features(x) @ rotation.T).max()",
            ),
            violation_solution,
            "Cross products pass for rotations and fail for reflections: try both kinds.",
        ),
        Exercise(
            "prediction",
            "Predict the acceptance from energies of configurations that the fit has not seen.",
            predicted_stub,
            check_predicted,
            (
                "Which error matters: that of E, of E/T, of differences? Does a constant matter?",
                "With Δ normal and ⟨exp(−Δ)⟩ = 1, ⟨min(1, exp(−Δ))⟩ = erfc(σ_Δ/√8); Δ is the difference of two errors of σ.",
                "math.erfc(np.std((effective - exact) / temperature) / 2)",
            ),
            predicted_solution,
            "One number, known before the first step of the chain.",
        ),
        Exercise(
            "price",
            "Count the exact diagonalisations that one independent sample costs.",
            price_stub,
            check_price,
            (
                "How many independent samples are n correlated ones worth?",
                "n/2τ; mp.stats.estimate(series).tau is τ, in samples.",
                "return 2 * mp.stats.estimate(series).tau * each",
            ),
            price_solution,
            "A sweep of local updates pays a diagonalisation for each site; a learnt proposal pays one.",
        ),
    )
}
