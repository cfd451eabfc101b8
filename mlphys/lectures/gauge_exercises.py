"""Exercises of lecture 08: each with a stub, a check that knows the usual mistakes, three hints and a solution."""

import numpy as np

from mlphys.lab import Exercise
from mlphys.random import generator
from mlphys.stats import autocorrelation_time


def _links(count=6, shape=(4, 5), seed=1):
    """Random link angles (count, rows, columns, 2)."""
    return generator(seed, "exercise").uniform(-np.pi, np.pi, (count, *shape, 2))


def _around(links):
    """Sums of angles around the plaquettes (count, rows, columns)."""
    along, across = links[..., 0], links[..., 1]
    return along + np.roll(across, -1, 2) - np.roll(along, -1, 1) - across


def charge_stub(links):
    """Topological charge (samples,) of link angles (samples, rows, columns, 2) on a torus.

    links[..., 0] lead from a site to the next column, links[..., 1] to the next row.
    """
    raise NotImplementedError


def charge_solution(links):
    """Angles around every plaquette, each brought into [−π, π), added up and divided by 2π."""
    around = _around(links)
    return np.rint((around - 2 * np.pi * np.floor(around / (2 * np.pi) + 0.5)).sum((1, 2)) / (2 * np.pi))


def check_charge(answer):
    links = _links()
    exact = charge_solution(links)
    value = np.asarray(answer(links.copy()), float)
    if value.shape != exact.shape:
        return f"The charges have shape {value.shape}; there is one for each sample, so it must be {exact.shape}."
    if np.allclose(value, exact):
        return None
    if np.allclose(value, 0, atol=1e-9):
        return "Every link is in two plaquettes, once forwards and once backwards: without wrapping all cancels, always."
    if np.allclose(value, 2 * np.pi * exact):
        return "A charge counts whole turns: divide by 2π."
    if np.allclose(value, -exact):
        return "The sign is the other one: start along the columns (0), then down the rows (1), then back."
    if not np.allclose(value, np.rint(value), atol=1e-6):
        return "These are not whole numbers: which two of the four links of a plaquette run backwards, and where?"
    return f"The first sample has the charge {exact[0]:.0f}, you found {value[0]:.0f}."


def transform_stub(links, alpha):
    """Gauge-transform link angles (samples, rows, columns, 2) by the angles alpha (rows, columns) of the sites."""
    raise NotImplementedError


def transform_solution(links, alpha):
    """Every link gains the angle of the site where it begins and loses that of the site where it ends."""
    ends = np.stack([np.roll(alpha, -1, 1), np.roll(alpha, -1, 0)], -1)
    return alpha[..., None] + links - ends


def check_transform(answer):
    links = _links(seed=2)
    alpha = generator(3, "exercise").uniform(-np.pi, np.pi, links.shape[1:3])
    value = np.asarray(answer(links.copy(), alpha.copy()), float)
    if value.shape != links.shape:
        return f"The new links have shape {value.shape}; it must be that of the old ones, {links.shape}."

    def same(x, y):
        return np.allclose(np.exp(1j * x), np.exp(1j * y))

    if same(value, links):
        return "No link has changed: the angles of a link's two ends differ, and their difference stays."
    if same(_around(value), _around(links)):
        if same(value, transform_solution(links, alpha)) or same(value, transform_solution(links, -alpha)):
            return None
        return "Plaquettes are what they were, but this is not the transformation by alpha: use it at both ends of a link."
    change = value - links
    if same(change, np.broadcast_to(alpha[..., None], links.shape)):
        return "You turn the beginning of each link alone; a link joins two sites, and both have a say."
    if same(change[..., 0], alpha + np.roll(alpha, -1, 1)):
        return "One end turns the link forwards, the other one backwards: the angles are subtracted, not added."
    backwards = np.stack([alpha - np.roll(alpha, 1, 1), alpha - np.roll(alpha, 1, 0)], -1)
    swapped = np.stack([alpha - np.roll(alpha, -1, 0), alpha - np.roll(alpha, -1, 1)], -1)
    if same(change, backwards) or same(change, -backwards):
        return "np.roll with −1 brings the next site here; yours looks at the one before."
    if same(change, swapped) or same(change, -swapped):
        return "Links 0 end in the next column, links 1 in the next row: the two are swapped."
    return "Plaquettes must not change, and yours do."


def circle_map_stub(x, s):
    """The map y = 2 arctan(eˢ tan(x/2)) of angles x (samples, angles) in (−π, π), for one number s.

    Returns (y, log_det): y (samples, angles), and log |det ∂y/∂x| of the whole map, (samples,).
    """
    raise NotImplementedError


def circle_map_solution(x, s):
    """dy/dx = 1/(e⁻ˢ cos²(x/2) + eˢ sin²(x/2)); the logarithms of all angles add up."""
    y = 2 * np.arctan(np.exp(s) * np.tan(x / 2))
    return y, -np.log(np.exp(-s) * np.cos(x / 2) ** 2 + np.exp(s) * np.sin(x / 2) ** 2).sum(1)


def check_circle_map(answer):
    x = generator(4, "exercise").uniform(-3, 3, (5, 7))
    for s in (0.7, -1.2):
        y, exact = circle_map_solution(x, s)
        value = answer(x.copy(), s)
        if not isinstance(value, tuple) or len(value) != 2:
            return "Return two arrays, y and log_det."
        mapped, log_det = (np.asarray(part, float) for part in value)
        if mapped.shape != x.shape or not np.allclose(mapped, y):
            return "y itself is not 2 arctan(eˢ tan(x/2)): half the angle goes in, twice the arc comes out."
        if log_det.shape == x.shape and np.allclose(log_det.sum(1), exact):
            return "One number for each sample: the determinant of a diagonal matrix is the product of all slopes."
        if log_det.shape != exact.shape:
            return f"log_det has shape {log_det.shape}; it is one number for each sample, {exact.shape}."
        if np.allclose(log_det, exact):
            continue
        if np.allclose(log_det, -exact):
            return "That is the logarithm for the way back; where the map stretches, s > 0 and x = 0, it must be positive."
        if np.allclose(log_det, np.exp(exact)) or np.allclose(np.exp(log_det), -exact):
            return "That is the determinant; a flow adds logarithms, since a product of hundreds of slopes overflows."
        if np.allclose(log_det, s * x.shape[1]):
            return "The slope is eˢ at x = 0 only; derive the whole map, tan and arctan included."
        if np.allclose(log_det, exact / x.shape[1]):
            return "That is the mean over the angles; slopes multiply, so logarithms are added."
        return f"The first sample has log |det| = {exact[0]:.4f}, you found {log_det[0]:.4f}."
    return None


def worth_stub(log_weights):
    """What a flow is worth, from log w = −S − log q (n,) of its samples, up to a common constant.

    Returns (kish, acceptance): the Kish effective sample size over n, and the acceptance of independence Metropolis in
    equilibrium, where the chain stands at x with a probability in proportion to w(x) and a flow proposes any x' alike.
    """
    raise NotImplementedError


def worth_solution(log_weights):
    """(Σw)²/(n Σw²), and the mean of min(w, w') over all pairs in units of the mean weight."""
    w = np.exp(log_weights - log_weights.max())
    return w.sum() ** 2 / (len(w) * (w**2).sum()), np.minimum(w[:, None], w).mean() / w.mean()


def check_worth(answer):
    log_weights = 0.9 * generator(5, "exercise").normal(size=400)
    exact = np.array(worth_solution(log_weights))
    value = np.asarray(answer(log_weights.copy()), float)
    if value.shape != (2,):
        return "Return two numbers, kish and acceptance."
    w = np.exp(log_weights)
    if np.allclose(value, exact):
        with np.errstate(all="ignore"):
            moved = np.asarray(answer(log_weights - 2000.0), float)
        return None if np.allclose(moved, exact) else "Right, but a common constant in log w, −2000 say, must not matter."
    if np.isclose(value[0], exact[0] * 400):
        return "kish is the effective number of samples; divide it by n."
    if not np.isclose(value[0], exact[0]):
        return f"kish should be {exact[0]:.4f}, not {value[0]:.4f}: the square of the sum over the sum of the squares."
    ratio = np.minimum(1, w[None] / w[:, None])
    if np.isclose(value[1], ratio.mean()):
        return "You let the chain stand anywhere alike; it stands where w is large, and leaves from there: weigh x by w(x)."
    neighbours = np.minimum(1, w[1:] / w[:-1])
    if np.isclose(value[1], neighbours.mean()):
        return "These pairs come from the flow alone; a chain stands at x with weight w(x). All pairs tell more, too."
    if np.isclose(value[1], np.minimum(w[:, None], w).mean()):
        return "The weights of x have to be normalised: divide by the mean of w."
    return f"The acceptance should be {exact[1]:.4f}, not {value[1]:.4f}."


def trusted_stub(runs):
    """Names of the runs whose ⟨Q²⟩ may be believed.

    runs: by name {"plaquette": (samples, chains), "charge": (samples, chains)}. A run is believed if the charge moves in
    every chain, and if each chain is at least 50 autocorrelation times of the charge long.
    """
    raise NotImplementedError


def trusted_solution(runs):
    """The slowest quantity decides, and a quantity that never moves has no autocorrelation time."""
    found = set()
    for name, run in runs.items():
        charge = run["charge"]
        if (charge.std(0) > 0).all() and len(charge) >= 50 * autocorrelation_time(charge)[0]:
            found.add(name)
    return found


def _jumps(rate, samples, chains, random, start):
    """A charge that moves by ±1 with a probability `rate` a step, drawn back to 0."""
    charge, series = start.copy(), np.empty((samples, chains))
    for row in series:
        step = np.where(random.random(chains) < 0.5 + 0.25 * np.clip(charge, -2, 2), -1, 1)
        charge = charge + step * (random.random(chains) < rate)
        row[:] = charge
    return series


def _runs():
    random = generator(6, "exercise")
    chains = 8
    shape = (2000, chains)
    spread, frozen = random.integers(-1, 2, chains), np.zeros(chains)
    charges = {
        "flow": np.clip(np.rint(0.6 * random.normal(size=shape)), -2, 2),
        "HMC, β = 2": _jumps(0.5, *shape, random, spread),
        "HMC, β = 5": _jumps(0.005, *shape, random, spread),
        "HMC, β = 9, cold": np.zeros(shape) + frozen,
        "HMC, β = 9, hot": np.zeros(shape) + spread,
    }
    noise = {name: random.normal(size=shape) for name in charges}
    return {name: {"plaquette": 0.9 + 0.01 * noise[name], "charge": charge} for name, charge in charges.items()}


def check_trusted(answer):
    runs = _runs()
    exact = trusted_solution(runs)
    value = answer({name: {key: series.copy() for key, series in run.items()} for name, run in runs.items()})
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        return "Return the names, as a set or a list."
    value = set(value)
    if value == exact:
        return None
    if value - set(runs):
        return f"{sorted(map(str, value - set(runs)))[0]!r} is not the name of a run."
    if value == set(runs):
        return "You trust everybody. The plaquette forgets in a few steps; the question was about Q."
    if value >= exact | {"HMC, β = 9, cold"}:
        return "A charge that never moves has no error and no τ, and looks perfect: look whether it moves."
    if "HMC, β = 5" in value:
        return "HMC at β = 5 jumps now and then: compare its τ with the length of *one* chain, not of all together."
    missing = sorted(exact - value)
    if not missing:
        return "Too many are trusted."
    return f"{missing[0]} is fine: its charge moves, and a chain is far longer than 50 τ."


exercises = {
    exercise.name: exercise
    for exercise in (
        Exercise(
            "charge",
            "Find the topological charge in the angles of the links.",
            charge_stub,
            check_charge,
            (
                "What is the sum of all plaquettes on a torus, if nothing is wrapped? Where does the charge come from?",
                "P = θ₀(x) + θ₁(next column) − θ₀(next row) − θ₁(x); bring each P into [−π, π); add up, divide by 2π.",
                "a, b = links[..., 0], links[..., 1]; P = a + np.roll(b, -1, 2) - np.roll(a, -1, 1) - b; "
                "((P + π) % (2π) − π).sum((1, 2)) / 2π",
            ),
            charge_solution,
            "A whole number made of angles that may take any value: no small change of the links can change it.",
        ),
        Exercise(
            "transform",
            "Write a gauge transformation, and see that plaquettes do not notice.",
            transform_stub,
            check_transform,
            (
                "A link compares the phases of two sites. What happens to it if each site turns its own dial?",
                "θ(x → y) becomes α(x) + θ(x → y) − α(y); y is the next column for links 0 and the next row for links 1.",
                "ends = np.stack([np.roll(alpha, -1, 1), np.roll(alpha, -1, 0)], -1); alpha[..., None] + links - ends",
            ),
            transform_solution,
            "One angle for every site, chosen at will: L² symmetries, which no amount of data augmentation would cover.",
        ),
        Exercise(
            "circle map",
            "Map angles to angles, and say how the map stretches them.",
            circle_map_stub,
            check_circle_map,
            (
                "Every angle is mapped on its own. What is the determinant of a diagonal matrix, and its logarithm?",
                "With t = tan(x/2): dy/dx = eˢ (1 + t²) / (1 + e²ˢ t²), which is 1/(e⁻ˢ cos²(x/2) + eˢ sin²(x/2)).",
                "-np.log(np.exp(-s) * np.cos(x / 2)**2 + np.exp(s) * np.sin(x / 2)**2).sum(1)",
            ),
            circle_map_solution,
            "Smooth at ±π as well: slope e⁻ˢ from both sides. Mixtures and shifts of such maps make any density.",
        ),
        Exercise(
            "worth",
            "Say what a flow is worth, from its weights alone: for averages, and for a chain.",
            worth_stub,
            check_worth,
            (
                "The chain stands at x with probability ∝ w(x); a proposal x' is accepted with min(1, w(x')/w(x)).",
                "w(x) min(1, w(x')/w(x)) = min(w(x), w(x')): average over all pairs, divide by the mean of w.",
                "w = np.exp(log_weights - log_weights.max()); np.minimum(w[:, None], w).mean() / w.mean()",
            ),
            worth_solution,
            "Both are blind to a mode that the flow never proposes: neither is a proof.",
        ),
        Exercise(
            "trusted",
            "Whose ⟨Q²⟩ do you believe?",
            trusted_stub,
            check_trusted,
            (
                "Which observable is the slowest? What is the autocorrelation time of a series that never changes?",
                "Two conditions: charge.std(0) > 0 in every chain, and len(charge) ≥ 50 τ of the charge.",
                "mp.stats.autocorrelation_time(charge)[0] is τ; (charge.std(0) > 0).all() and len(charge) >= 50 * tau",
            ),
            trusted_solution,
            "In all five runs the plaquette looks well behaved. About Q that is no evidence.",
        ),
    )
}
