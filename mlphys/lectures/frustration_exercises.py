"""Exercises of lecture 06: each with a stub, a check that knows the usual mistakes, three hints and a solution."""

import numpy as np

import mlphys as mp
from mlphys.lab import Exercise
from mlphys.random import generator


def _states(count, shape=(4, 4), seed=1):
    """Spins without magnetisation, (count, rows, columns)."""
    half = np.where(np.arange(np.prod(shape)) % 2, 1, -1)
    return generator(seed, "exercise").permuted(np.tile(half, (count, 1)), axis=1).reshape(count, *shape)


def _board(shape):
    rows, columns = shape
    return (np.arange(rows)[:, None] + np.arange(columns)) % 2 == 0


def marshall_stub(spins):
    """Marshall's sign ±1 of each of the states `spins` (samples, rows, columns), up to one common sign: (samples,)."""
    raise NotImplementedError


def marshall_solution(spins):
    """Minus one to the number of up spins on one sublattice of the chequerboard."""
    up = ((spins == 1) & _board(spins.shape[1:])).sum(axis=(1, 2))
    return 1 - 2 * (up % 2)


def check_marshall(answer):
    for shape in ((4, 4), (6, 4)):
        spins = _states(40, shape)
        exact = marshall_solution(spins)
        value = np.asarray(answer(spins.copy()), float)
        if value.shape != (40,):
            return f"The signs have shape {value.shape}; there is one for each state, so it must be (40,)."
        if np.array_equal(value, exact) or np.array_equal(value, -exact):
            continue
        if np.ptp(value) == 0:
            return "All your signs are equal: up spins on *both* sublattices together are always half of all."
        if not np.isin(value, (-1, 1)).all():
            return "These are not signs: of the number of up spins on a sublattice only even or odd matters, (−1)ⁿ."
        for axis, name in ((1, "rows"), (2, "columns")):
            stripe = np.indices(shape)[axis - 1] % 2 == 0
            other = 1 - 2 * (((spins == 1) & stripe).sum(axis=(1, 2)) % 2)
            if abs(value @ other) == 40:
                return f"Your sublattice is every second of the {name}: that is the rule for stripes, for large J2."
        return "One exchange of antiparallel neighbours must change the sign, and yours does not always."
    return None


def local_energy_stub(x, bonds, strengths, psi):
    """Local energy Σ_x' ⟨x|H|x'⟩ ψ(x')/ψ(x) of one state x (n_sites,) of ±1; psi(x) is its amplitude.

    H = Σ strength S·S over bonds (n_bonds, 2) with strengths (n_bonds,), S = σ/2, no sublattice turned.
    """
    raise NotImplementedError


def local_energy_solution(x, bonds, strengths, psi):
    """A quarter of each product of σᶻ, and half an exchange where the spins differ."""
    total, here = 0.0, psi(x)
    for (i, j), strength in zip(bonds, strengths, strict=True):
        total += strength * x[i] * x[j] / 4
        if x[i] != x[j]:
            turned = x.copy()
            turned[[i, j]] = x[[j, i]]
            total += strength * psi(turned) / (2 * here)
    return total


def check_local_energy(answer):
    model = mp.HeisenbergJ1J2(mp.chain(8), j2=0.4, marshall=False)
    bonds, strengths = model.pairs, 4 * model.zz
    field = generator(2, "exercise").normal(size=(8, 8)) / 3

    def psi(x):
        x = np.asarray(x, float)
        return np.exp(x @ field @ x) * (1 - 2 * ((x[::2] == 1).sum() % 2))

    for x in _states(5, (8,), seed=3):
        value = float(answer(x.copy(), bonds, strengths, psi))
        exact = local_energy_solution(x, bonds, strengths, psi)
        if np.isclose(value, exact):
            continue
        diagonal = float(strengths @ (x[bonds[:, 0]] * x[bonds[:, 1]])) / 4
        exchange = exact - diagonal
        parallel = float(strengths @ (x[bonds[:, 0]] == x[bonds[:, 1]])) / 2
        if np.isclose(value, exact + parallel):
            return "Parallel spins are exchanged too: S⁺S⁻ gives nothing there, only antiparallel spins trade places."
        if np.isclose(value, diagonal):
            return "The exchange is missing: SˣSˣ + SʸSʸ turns an antiparallel pair around."
        if np.isclose(value, 4 * diagonal + exchange):
            return "SᶻSᶻ is σᶻσᶻ/4."
        if np.isclose(value, diagonal + 2 * exchange):
            return "The exchange comes with strength/2: (S⁺S⁻ + S⁻S⁺)/2, of which one term acts."
        if np.isclose(value, diagonal - exchange):
            return "The exchange has Marshall's sign: here no sublattice is turned, the element is +strength/2."
        return f"A state of 8 spins gave {value:.4f}; its local energy is {exact:.4f}."
    return None


def likeness_stub(exact, psi):
    """How a state psi (n,) compares with the exact, real one (n,), of norm 1: (overlap, amplitudes, signs), each in [0, 1].

    psi is complex, and neither its norm nor its phase is fixed. overlap: |⟨exact|psi⟩|; amplitudes: the overlap if all signs
    were right; signs: the overlap if all amplitudes were those of `exact`.
    """
    raise NotImplementedError


def likeness_solution(exact, psi):
    """Normalise, then compare what belongs together."""
    psi = psi / np.linalg.norm(psi)
    signs = exact * np.abs(exact) @ (psi / np.abs(psi))
    return abs(exact @ psi), np.abs(exact) @ np.abs(psi), abs(signs)


def check_likeness(answer):
    random = generator(4, "exercise")
    exact = random.normal(size=50) * np.linspace(0.2, 2, 50)
    exact /= np.linalg.norm(exact)
    size = np.abs(exact) * np.exp(0.6 * random.normal(size=50))
    sign = np.sign(exact) * np.where(random.random(50) < 0.2, -1, 1)
    psi = 7 * size * sign * np.exp(0.3j * random.normal(size=50) + 2.1j)
    value = np.asarray(answer(exact.copy(), psi.copy()))
    wanted = np.array(likeness_solution(exact, psi))
    if value.shape != (3,):
        return "Return three numbers: overlap, amplitudes, signs."
    if np.allclose(value, wanted):
        return None
    if (np.abs(value) > 1 + 1e-9).any():
        return "Something is larger than 1: the state has to be normalised first."
    if np.iscomplexobj(value) or (value < -1e-12).any() or np.allclose(value[0], (exact @ psi).real / np.linalg.norm(psi)):
        return "The phase of psi means nothing: take the modulus of the whole sum, at the end."
    phase = psi / np.abs(psi)
    if np.isclose(value[2], abs((np.sign(exact) * phase).mean())):
        return "You count every state alike; a state matters as much as its probability, exact²."
    if np.isclose(value[2], abs(exact @ phase) / len(exact) ** 0.5) or np.isclose(value[2], abs(exact @ phase)):
        return "For the signs alone, give psi the amplitudes of `exact`: then the sum has exact² in it."
    if np.allclose(value, wanted**2):
        return "These are the squares, fidelities; asked are overlaps."
    names = ("overlap", "amplitudes", "signs")
    worst = int(np.argmax(np.abs(value - wanted)))
    return f"{names[worst]} should be {wanted[worst]:.4f}, not {value[worst]:.4f}."


def symmetrise_stub(log_psi, permutations):
    """A function like log_psi, but of the state ψ'(x) = mean over the group of ψ(x[g]), for the rows g of permutations.

    log_psi(x) takes (batch, n_sites) and returns the logarithms (batch,), real, and possibly in the thousands.
    """
    raise NotImplementedError


def symmetrise_solution(log_psi, permutations):
    """Amplitudes are averaged, not their logarithms; the largest is taken out first."""

    def symmetric(x):
        logs = np.stack([log_psi(x[:, g]) for g in permutations])
        top = logs.max(0)
        return top + np.log(np.exp(logs - top).mean(0))

    return symmetric


def check_symmetrise(answer):
    group, x = mp.chain(6).translations, _states(12, (6,), seed=5)
    field = generator(6, "exercise").normal(size=6)

    def log_psi(x, offset=0.0):
        return np.tanh(x @ field) + 0.3 * x[:, 0] * x[:, 1] + offset

    symmetric = answer(log_psi, group)
    if not callable(symmetric):
        return "Return a function of x, which calls log_psi; not numbers."
    value, exact = np.asarray(symmetric(x), float), symmetrise_solution(log_psi, group)(x)
    if value.shape != (12,):
        return f"Your function returns shape {value.shape} for 12 states; it must be (12,)."
    if np.allclose(value, exact):
        with np.errstate(all="ignore"):
            large = np.asarray(answer(lambda x: log_psi(x, 3000.0), group)(x), float)
        if np.allclose(large, exact + 3000):
            return None
        return "Right, but exp overflows when the logarithms are large: take the largest of the group out first."
    logs = np.stack([log_psi(x[:, g]) for g in group])
    if np.allclose(value, logs.mean(0)):
        return "You averaged the logarithms, which multiplies amplitudes; a superposition is a sum of amplitudes."
    if np.allclose(value, exact + np.log(len(group))):
        return "That is the sum over the group; a mean was asked for. (The norm is free, but the check is not.)"
    if np.allclose(value, np.exp(exact)):
        return "These are amplitudes; return their logarithm."
    moved = np.asarray(symmetric(x[:, group[1]]), float)
    if not np.allclose(moved, value):
        return "Your function changes when all spins are moved by one site: is every element of the group in the sum?"
    return f"The first state gave {value[0]:.4f}; its logarithm is {exact[0]:.4f}."


def v_score_stub(local, n_sites):
    """V-score of complex local energies (samples,) of the whole lattice, in J; the trace of H is zero: one number."""
    raise NotImplementedError


def v_score_solution(local, n_sites):
    """Number of sites times variance over the square of the energy."""
    return n_sites * np.var(local) / np.mean(local).real ** 2


def check_v_score(answer):
    random = generator(7, "exercise")
    local = -20 + random.normal(size=500) + 0.8j * random.normal(size=500)
    value, exact = float(np.real(answer(local.copy(), 40))), float(v_score_solution(local, 40))
    if np.isclose(value, exact, rtol=0.01):
        return None
    if np.isclose(value, 40 * np.var(local.real) / local.mean().real ** 2, rtol=0.01):
        return "The imaginary parts of the local energies belong to the variance: an eigenstate has none."
    if np.isclose(value, exact / 40, rtol=0.01):
        return "The number of sites is missing: variance grows like N, energy squared like N², a score should not grow."
    if np.isclose(value, exact * 40**2, rtol=0.01) or np.isclose(value, exact * 40, rtol=0.01):
        return "The local energies are those of the whole lattice already; N enters once, as a factor of the variance."
    if np.isclose(value, exact / 500, rtol=0.01):
        return "That is the variance of the mean; the score wants that of the local energies, it does not fall with samples."
    if np.isclose(value, 40 * np.std(local) / abs(local.mean()), rtol=0.01):
        return "Variance over energy squared, not standard deviation over energy."
    return f"The score is {exact:.5f}, not {value:.5f}."


exercises = {
    exercise.name: exercise
    for exercise in (
        Exercise(
            "marshall",
            "Write down the signs that an antiferromagnet without frustration has.",
            marshall_stub,
            check_marshall,
            (
                "Exchange two antiparallel neighbours: the sign must change. Which number changes by one, always?",
                "Neighbours lie on different colours of a chequerboard. Count the up spins on one colour.",
                "board = (rows + columns) % 2 == 0; up = ((spins == 1) & board).sum(axis=(1, 2)); 1 - 2 * (up % 2)",
            ),
            marshall_solution,
            "Turning one sublattice by π about z does the same to the Hamiltonian: a choice of basis, free of charge.",
        ),
        Exercise(
            "local_energy",
            "Compute the local energy of one state, for any bonds and any wave function.",
            local_energy_stub,
            check_local_energy,
            (
                "S·S = SᶻSᶻ + (S⁺S⁻ + S⁻S⁺)/2. What does each part do to ↑↓, and what to ↑↑?",
                "Every bond gives strength · x_i x_j / 4; an antiparallel one also strength / 2 times ψ(x')/ψ(x).",
                "turned = x.copy(); turned[[i, j]] = x[[j, i]]; total += strength * psi(turned) / (2 * psi(x))",
            ),
            local_energy_solution,
            "The ratio carries the sign: a network that errs about it pays on every bond.",
        ),
        Exercise(
            "likeness",
            "Split the overlap with the exact state into what amplitudes and what signs have to say.",
            likeness_stub,
            check_likeness,
            (
                "Three scalar products: of the states, of their moduli, and of the exact one with its own moduli.",
                "For the last, replace |ψ| by |exact|: Σ exact · |exact| · ψ/|ψ|. Moduli last of all.",
                "psi = psi / np.linalg.norm(psi); signs = abs((exact * abs(exact)) @ (psi / abs(psi)))",
            ),
            likeness_solution,
            "A network may know nearly all amplitudes and be useless: the signs decide.",
        ),
        Exercise(
            "symmetrise",
            "Make any wave function symmetric, without training it again.",
            symmetrise_stub,
            check_symmetrise,
            (
                "A projection superposes the images of a state: which quantity is added, ψ or log ψ?",
                "Logarithms of all images as (group, batch); exponentiate, average, take the logarithm.",
                "top = logs.max(0); top + np.log(np.exp(logs - top).mean(0))",
            ),
            symmetrise_solution,
            "For a positive wave function this always goes to the symmetric ground state; with signs, choose the character.",
        ),
        Exercise(
            "v_score",
            "Say how good an energy is without knowing the exact one.",
            v_score_stub,
            check_v_score,
            (
                "The local energy of an eigenstate does not vary. Make its variance dimensionless.",
                "Var/E² falls like 1/N for states of equal quality: multiply by N.",
                "n_sites * np.var(local) / np.mean(local).real ** 2; np.var of complex numbers takes |…|².",
            ),
            v_score_solution,
            "Hundreds of published energies lie near one line against it, which is why it ranks methods.",
        ),
    )
}
