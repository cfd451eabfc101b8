"""Exercises of lecture 10: each with a stub, a check that knows the usual mistakes, three hints and a solution."""

import numpy as np

from mlphys.lab import Exercise
from mlphys.random import generator


def _fields(count=4, shape=(4, 6), seed=1):
    """Random fields (count, rows, columns)."""
    return generator(seed, "exercise").normal(size=(count, *shape))


def drift_stub(phi, kappa, coupling):
    """The drift −∂S/∂φ of fields phi (samples, rows, columns) on a torus, for S = Σ [−2κ Σ_μ φφ_μ + (1 − 2λ) φ² + λ φ⁴].

    Σ_μ counts every bond once; λ is `coupling`. The drift has the shape of phi.
    """
    raise NotImplementedError


def drift_solution(phi, kappa, coupling):
    """A site is in four bonds: it has all four neighbours in its drift, though the action counts two for each site."""
    near = sum(np.roll(phi, step, axis) for step in (1, -1) for axis in (1, 2))
    return 2 * kappa * near - 2 * (1 - 2 * coupling) * phi - 4 * coupling * phi**3


def check_drift(answer):
    phi, kappa, coupling = _fields(), 0.24, 0.1
    value, exact = np.asarray(answer(phi.copy(), kappa, coupling), float), drift_solution(phi, kappa, coupling)
    if value.shape != phi.shape:
        return f"The drift has shape {value.shape}; every site has one, so it must be {phi.shape}."
    if np.allclose(value, exact):
        return None
    if np.allclose(value, -exact):
        return "That is +∂S/∂φ: it climbs. The drift leads to where S is small."
    ahead = sum(np.roll(phi, -1, axis) for axis in (1, 2))
    near = ahead + sum(np.roll(phi, 1, axis) for axis in (1, 2))
    local = -2 * (1 - 2 * coupling) * phi - 4 * coupling * phi**3
    known = [
        (2 * kappa * ahead + local, "Two neighbours only: φ(x) is in the bonds that end at x, too."),
        (4 * kappa * near + local, "Every bond is counted once, so each neighbour enters with 2κ, not 4κ."),
        (2 * kappa * near + local + 2 * coupling * phi**3, "d(φ⁴)/dφ is 4φ³."),
        (2 * kappa * near + local + 3 * coupling * phi**3, "d(φ⁴)/dφ is 4φ³."),
        (2 * kappa * near + local - local - (1 - 2 * coupling) * phi - 4 * coupling * phi**3, "d(φ²)/dφ is 2φ."),
        (2 * kappa * near + local - 4 * coupling * phi, "The mass term is 1 − 2λ, with a minus: look at the action again."),
    ]
    for wrong, diagnosis in known:
        if np.allclose(value, wrong):
            return diagnosis
    return f"At site (0, 0) of the first field the drift is {exact[0, 0, 0]:.4f}, you found {value[0, 0, 0]:.4f}."


def bias_stub(stiffness, dt):
    """⟨|φ_k|²⟩ (waves,) that Langevin steps φ_k ← φ_k − dt ∂S/∂φ_k + √(2 dt) z settle in, without accepting or rejecting.

    Free waves: S = Σ_k s_k φ_k², with s_k = stiffness[k] > 0, and z is normal with variance 1; s_k dt < 1.
    """
    raise NotImplementedError


def bias_solution(stiffness, dt):
    """v = (1 − 2 s dt)² v + 2 dt: 1/2s, and larger by 1/(1 − s dt)."""
    return 1 / (2 * stiffness * (1 - stiffness * dt))


def check_bias(answer):
    stiffness = np.array([0.05, 0.4, 1.0, 3.0])
    for dt in (0.3, 0.05):
        value, exact = np.asarray(answer(stiffness.copy(), dt), float), bias_solution(stiffness, dt)
        if value.shape != exact.shape:
            return f"One variance for each wave: shape {exact.shape}, not {value.shape}."
        if np.allclose(value, exact):
            continue
        s = stiffness
        known = [
            (1 / (2 * s), "That is what exp(−S) says, the limit dt → 0. What do steps of finite length settle in?"),
            ((1 + s * dt) / (2 * s), "First order in dt only: solve v = (1 − 2 s dt)² v + 2 dt for v."),
            (1 / (2 * s * (1 + s * dt)), "The wrong way round: steps that are too long shoot over, and the waves grow."),
            (dt / (1 - (1 - 2 * s * dt) ** 2), "The noise of a step has the variance 2 dt."),
            (2 * dt / (1 - (1 - s * dt) ** 2), "∂S/∂φ of s φ² is 2 s φ."),
            (2 * dt / (1 - (1 - 2 * s * dt)), "A step multiplies φ by 1 − 2 s dt, and the variance by the square of that."),
        ]
        for wrong, diagnosis in known:
            if np.allclose(value, wrong):
                return diagnosis
        return f"A wave of stiffness {s[2]:g} has the variance {exact[2]:.4f} at dt = {dt}, not {value[2]:.4f}."
    return None


def score_stub(x, stiffness, a, s):
    """Score of noisy free fields x = a φ + s z (samples, rows, columns): the gradient of ln p(x), the noise z white.

    S = Σ_k s_k |φ_k|² over all wave vectors k, with s_k = stiffness (rows, columns) and φ_k = np.fft.fft2(φ, norm="ortho").
    """
    raise NotImplementedError


def score_solution(x, stiffness, a, s):
    """A wave has the variance 1/2s_k, noisy a²/2s_k + s²: the score divides it by that."""
    waves = np.fft.fft2(x, norm="ortho") / (a**2 / (2 * stiffness) + s**2)
    return -np.fft.ifft2(waves, norm="ortho").real


def check_score(answer):
    x = _fields(3, (4, 6), 2)
    k = [2 * np.pi * np.arange(side) / side for side in (4, 6)]
    stiffness = 1 - 0.4 * (np.cos(k[0])[:, None] + np.cos(k[1]))
    a, s = 0.8, 0.6
    value, exact = np.asarray(answer(x.copy(), stiffness.copy(), a, s)), score_solution(x, stiffness, a, s)
    if value.shape != x.shape:
        return f"The score has shape {value.shape}; it must be that of x, {x.shape}."
    if np.iscomplexobj(value):
        if np.abs(value.imag).max() > 1e-9:
            return "A real field has a real score: the factors of k and −k must be the same."
        value = value.real

    def filtered(factors):
        return np.fft.ifft2(factors * np.fft.fft2(x, norm="ortho"), norm="ortho").real

    known = [
        (exact, None),
        (-exact, "The sign: the score leads to where the density is high."),
        (filtered(-2 * stiffness), "That is −∂S/∂φ of fields without noise, the limit a = 1, s = 0."),
        (filtered(-1 / (1 / (2 * stiffness) + s**2)), "Fields shrink before noise is added: a² belongs to them."),
        (filtered(-1 / (a / (2 * stiffness) + s**2)), "Variances are multiplied by a², not by a."),
        (filtered(-1 / (a**2 / stiffness + s**2)), "exp(−s_k φ_k²) has the variance 1/2s_k."),
        (filtered(-1 / (a**2 / (2 * stiffness) + s)), "Variances add up: s² is that of the noise."),
        (-x / (a**2 / (2 * stiffness) + s**2), "s_k belongs to a wave, not to a site: go there by fft2 and back by ifft2."),
        (filtered(-((a**2 / (2 * stiffness) + s**2) ** -0.5)), "Divide by the variance, not by its root."),
    ]
    for wrong, diagnosis in known:
        if np.allclose(value, wrong):
            return diagnosis
    return f"At site (0, 0) of the first field the score is {exact[0, 0, 0]:.4f}, you found {value[0, 0, 0]:.4f}."


def reweigh_stub(m, log_weights):
    """Binder ratio 1 − ⟨M⁴⟩/3⟨M²⟩² of exp(−S), from fields of a model with density q.

    m (n,): their mean fields M; log_weights (n,): −S − log q, up to a common constant.
    """
    raise NotImplementedError


def reweigh_solution(m, log_weights):
    """Each mean is Σ w M^p / Σ w; the largest weight is 1, so that nothing overflows."""
    w = np.exp(log_weights - log_weights.max())
    w /= w.sum()
    return 1 - (w @ m**4) / (3 * (w @ m**2) ** 2)


def check_reweigh(answer):
    random = generator(3, "exercise")
    m = 0.3 * random.normal(size=500) + 0.2 * random.choice([-1, 1], 500)
    log_weights = 2 * np.abs(m) + 0.4 * random.normal(size=500)
    exact = reweigh_solution(m, log_weights)
    value, w = float(answer(m.copy(), log_weights.copy())), np.exp(log_weights)
    known = [
        (1 - (m**4).mean() / (3 * (m**2).mean() ** 2), "These are the means of the model as it is: weigh the fields."),
        (1 - (w * m**4).mean() / (3 * (w * m**2).mean() ** 2), "Weights of a mean add up to 1: divide by Σ w, twice."),
        (1 - (w * m**4).sum() / (3 * (w * m**2).sum() ** 2), "Divide by Σ w, in both means, not once or not at all."),
        (reweigh_solution(m, -log_weights), "The sign: log w = −S − log q is large where the model draws too little."),
        ((w * m**4).sum() / w.sum() / (3 * ((w * m**2).sum() / w.sum()) ** 2), "The ratio is subtracted from 1."),
        (1 - (w * m**4).sum() / w.sum() / ((w * m**2).sum() / w.sum()) ** 2, "There is a 3 in it: a Gaussian M has U = 0."),
    ]
    if np.isclose(value, exact):
        with np.errstate(all="ignore"):
            moved = float(answer(m.copy(), log_weights + 2000.0))
        return None if np.isclose(moved, exact) else "Right, but a common constant in log w, 2000 say, must not matter."
    for wrong, diagnosis in known:
        if np.isclose(value, wrong):
            return diagnosis
    return f"U is {exact:.4f} here, you found {value:.4f}."


VERDICTS = ("thermalised", "drifts", "one sign")


def diagnose_stub(m):
    """Whether mean fields m (samples, chains), in the order in which they were drawn, may train a model.

    Returns "drifts" where |M| of the first half is not that of the second, else "one sign" where ⟨M⟩ is not 0, else
    "thermalised". Chains are independent of each other, samples of one chain are not.
    """
    raise NotImplementedError


def diagnose_solution(m):
    """Each chain gives one independent number: take the mean and the error of those."""

    def is_zero(numbers):
        return abs(numbers.mean()) < 4 * numbers.std(ddof=1) / len(numbers) ** 0.5

    first, second = np.split(np.abs(m), [len(m) // 2])
    if not is_zero(second.mean(0) - first.mean(0)):
        return "drifts"
    return "thermalised" if is_zero(m.mean(0)) else "one sign"


def _wander(samples, chains, memory, random):
    """Normal numbers (samples, chains) that forget in `memory` steps."""
    rho, series = np.exp(-1 / memory), np.empty((samples, chains))
    series[0] = random.normal(size=chains)
    for n in range(1, samples):
        series[n] = rho * series[n - 1] + np.sqrt(1 - rho**2) * random.normal(size=chains)
    return series


def _data():
    random = generator(8, "exercise")
    shape, chains = (400, 16), 16
    rise = 1 - np.exp(-np.arange(400) / 150)[:, None]
    signs = np.where(np.arange(chains) % 2, 1, -1)
    spread = 0.1 * _wander(*shape, 20, random)
    return {
        "quick": (0.5 * _wander(*shape, 2, random), "thermalised"),
        "slow": (0.5 * _wander(*shape, 40, random), "thermalised"),
        "from hot": (signs * rise * (0.7 + spread), "drifts"),
        "ordered": (0.8 + 0.1 * _wander(*shape, 5, random), "one sign"),
        "both signs": (signs * (0.8 + 0.1 * _wander(*shape, 5, random)), "thermalised"),
    }


def check_diagnose(answer):
    data = _data()
    found = {name: answer(m.copy()) for name, (m, _) in data.items()}
    wrong = {name for name, (_, exact) in data.items() if found[name] != exact}
    if not wrong:
        return None
    strange = sorted({str(verdict) for verdict in found.values()} - set(VERDICTS))
    if strange:
        return f"The answer is one of {', '.join(VERDICTS)}; yours was {strange[0]}."
    if len(set(found.values())) == 1:
        return f"You say '{found['quick']}' of all five."
    if found["from hot"] == "thermalised":
        return "M of a run from a hot start has both signs, and is 0 in the mean all along: look at |M|, half by half."
    if found["ordered"] == "thermalised":
        return "A run that never leaves M > 0 does not drift, and ⟨M⟩ is 0.8: the other half of the fields is missing."
    if found["slow"] != "thermalised":
        return "A slow run is not a wrong one. Samples of a chain are not independent: chains are, so use their scatter."
    return f"The run '{sorted(wrong)[0]}' is {data[sorted(wrong)[0]][1]}."


exercises = {
    exercise.name: exercise
    for exercise in (
        Exercise(
            "drift",
            "Derive the drift of stochastic quantization from the action.",
            drift_stub,
            check_drift,
            (
                "In how many bonds does one φ(x) occur? There are two directions, and a bond has two ends.",
                "−∂S/∂φ = 2κ Σ (four neighbours) − 2(1 − 2λ) φ − 4λ φ³.",
                "near = sum(np.roll(phi, step, axis) for step in (1, -1) for axis in (1, 2)); "
                "2*kappa*near - 2*(1 - 2*coupling)*phi - 4*coupling*phi**3",
            ),
            drift_solution,
            "This is what a perfect score must become when the noise has gone.",
        ),
        Exercise(
            "step bias",
            "Find what Langevin steps of finite length settle in.",
            bias_stub,
            check_bias,
            (
                "In equilibrium a step does not change the variance. What does a step do to it?",
                "∂S/∂φ = 2sφ: v = (1 − 2 s dt)² v + 2 dt. Solve for v.",
                "1 / (2 * stiffness * (1 - stiffness * dt))",
            ),
            bias_solution,
            "Linear in dt, and worst for the stiffest waves, the short ones. At s dt = 1 nothing settles at all.",
        ),
        Exercise(
            "noisy score",
            "Write the exact score of a free field with noise on it.",
            score_stub,
            check_score,
            (
                "Every wave is a normal number on its own. What is its variance, before and after the noise?",
                "x_k has the variance a²/2s_k + s²; the score of a normal number is −x over its variance.",
                "-np.fft.ifft2(np.fft.fft2(x, norm='ortho') / (a**2 / (2*stiffness) + s**2), norm='ortho').real",
            ),
            score_solution,
            "Stiff waves drown in noise first: the way back builds long waves before short ones.",
        ),
        Exercise(
            "reweigh",
            "Make a Binder ratio exact, whatever the model.",
            reweigh_stub,
            check_reweigh,
            (
                "An exact mean is a weighted mean. Which two means are there in U?",
                "⟨M^p⟩ = Σ w M^p / Σ w with log w = −S − log q; subtract the largest log w before exp.",
                "w = np.exp(log_weights - log_weights.max()); w /= w.sum(); 1 - (w @ m**4) / (3 * (w @ m**2)**2)",
            ),
            reweigh_solution,
            "The same fields give U at every coupling whose weights do not starve: put another S into log w.",
        ),
        Exercise(
            "diagnose",
            "Decide whether a set of fields may train a model.",
            diagnose_stub,
            check_diagnose,
            (
                "Both signs are alike: which quantity shows order that still grows, and which one a missing half?",
                "Differences of halves of |M|, one for each chain; means of M, one for each chain. 0 within 4 errors?",
                "a, b = np.split(np.abs(m), [len(m) // 2]); d = b.mean(0) - a.mean(0); error: d.std(ddof=1) / len(d)**.5",
            ),
            diagnose_solution,
            "A model learns what it is shown. No loss, and no network, would have told.",
        ),
    )
}
