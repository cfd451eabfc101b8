"""Exercises of lecture 04: each with a stub, a check that knows the usual mistakes, three hints and a solution."""

import numpy as np

from mlphys.lab import Exercise
from mlphys.random import generator


def _turn(angle):
    """An angle brought into [−π, π)."""
    return (angle + np.pi) % (2 * np.pi) - np.pi


def vortex_map_stub(angles):
    """Winding −1, 0 or 1 of every plaquette of angles (samples, rows, columns) on a torus: an array of the same shape.

    The plaquette's corners are (r, c), (r, c + 1), (r + 1, c + 1), (r + 1, c), walked around in this order.
    """
    raise NotImplementedError


def vortex_map_solution(angles):
    """The shortest turns along the four edges, each plaquette's own two and those of its neighbours."""
    along, down = (_turn(np.roll(angles, -1, axis) - angles) for axis in (2, 1))
    return np.rint((along + np.roll(down, -1, 2) - np.roll(along, -1, 1) - down) / (2 * np.pi)).astype(int)


def check_vortex_map(answer):
    angles = generator(1, "exercise").uniform(-np.pi, np.pi, (3, 6, 8))
    exact = vortex_map_solution(angles)
    value = np.asarray(answer(angles.copy()), float)
    if value.shape == (3, 5, 7):
        return "The last row and column are missing: on a torus they have plaquettes too, np.roll reaches around."
    if value.shape != exact.shape:
        return f"The map has shape {value.shape}; every site has one plaquette, so it must be {exact.shape}."
    if np.allclose(value, exact):
        return None
    if np.allclose(value, 0, atol=1e-9):
        return "No vortex anywhere: bring each difference into [−π, π) before you add them up."
    if np.allclose(value, 2 * np.pi * exact):
        return "These are total angles; divide by 2π to count windings."
    if np.allclose(value, -exact):
        return "Vortices and antivortices are exchanged: walk (r, c) → (r, c + 1) → (r + 1, c + 1) → (r + 1, c)."
    if np.allclose(value, np.abs(exact)):
        return "The sign is lost: a network needs to know which vortices could be partners."
    if np.allclose(value[:, :-1, :-1], exact[:, :-1, :-1]):
        return "Right inside, wrong in the last row and column: the lattice closes on itself."
    if not np.allclose(value.sum(axis=(1, 2)), 0):
        return "The windings of a torus must add up to 0; yours do not: are all four edges in, each walked the right way?"
    where = np.unravel_index(np.argmax(np.abs(value - exact)), exact.shape)
    return f"The plaquette at {tuple(map(int, where))} winds {exact[where]} times, not {value[where]:.3g}."


def features_stub(angles):
    """Angles (samples, rows, columns) as a network should see them: numbers (samples, channels, rows, columns).

    Local, and the same for a lattice whose spins are all turned by one angle, or all reflected, θ → −θ.
    """
    raise NotImplementedError


def features_solution(angles):
    """The cosine of the turn along both bonds of each site."""
    return np.stack([np.cos(np.roll(angles, -1, axis) - angles) for axis in (2, 1)], axis=1)


def check_features(answer):
    random = generator(2, "exercise")
    angles = random.uniform(-np.pi, np.pi, (4, 6, 6))

    def see(x):
        return np.asarray(answer(x.copy()), float)

    seen = see(angles)
    if seen.ndim != 4 or seen.shape[0] != 4 or seen.shape[2:] != (6, 6):
        return f"The features have shape {seen.shape}; it must be (samples, channels, rows, columns), here (4, ?, 6, 6)."
    if np.ptp(seen) < 1e-9:
        return "The features are the same everywhere: nothing is left to see."
    if not np.allclose(see(angles + 1.0), seen):
        return "Turn all spins by one angle and your features change: only differences of angles mean anything."
    jumped = angles + 2 * np.pi * random.integers(-1, 2, angles.shape)
    if not np.allclose(see(jumped), seen):
        return "An angle and the same angle plus 2π are one spin, but your features differ: use a periodic function."
    if not np.allclose(see(-angles), seen):
        return "Reflect all spins, θ → −θ, and your features change: sin does that, cos does not."
    moved = np.roll(angles, (1, 2), (1, 2))
    if not np.allclose(see(moved), np.roll(seen, (1, 2), (2, 3))):
        return "Move the spins along the torus and the features must move with them: is a boundary open?"
    other = angles.copy()
    other[:, 3, 3] += 1.0
    changed = np.abs(see(other) - seen).max(axis=(0, 1)) > 1e-9
    if changed.sum() > 9:
        return "One spin changes features far away: keep them local, the network does the averaging."
    ordered, twist = np.zeros((1, 6, 6)), np.arange(6) * np.pi / 3
    for along, axis in ((ordered + twist, "rows"), (ordered + twist[:, None], "columns")):
        if np.allclose(see(along), see(ordered)):
            return f"Spins that turn along the {axis} look like spins all parallel: look at both bonds of a site."
    return None


def fool_stub(angles):
    """Angles (rows, columns) changed so that |m| < 0.05 while no vortex comes or goes and hardly any energy is paid."""
    raise NotImplementedError


def fool_solution(angles):
    """One full turn across the lattice, spread over all columns."""
    columns = angles.shape[1]
    return angles + 2 * np.pi * np.arange(columns) / columns


def check_fool(answer):
    random = generator(3, "exercise")
    angles = 0.15 * random.normal(size=(24, 24)) + 0.7

    def energy(x):
        return -sum(np.cos(np.roll(x, -1, axis) - x).mean() for axis in (0, 1))

    value = np.asarray(answer(angles.copy()), float)
    if value.shape != angles.shape:
        return f"The lattice has shape {value.shape}; it must stay {angles.shape}."
    if not np.isfinite(value).all():
        return "Some angles are not finite."
    magnetisation = abs(np.exp(1j * value).mean())
    if magnetisation > 0.05:
        if np.allclose(np.exp(1j * (value - angles)), np.exp(1j * (value - angles)).mean(), atol=1e-9):
            return "You turned all spins alike: |m| does not care about the direction."
        return f"|m| is still {magnetisation:.2f}; it must fall below 0.05."
    vortices = np.abs(vortex_map_solution(value[None]) - vortex_map_solution(angles[None])).sum()
    if vortices:
        return f"{vortices} plaquettes changed their winding: no two neighbours may be turned far apart, not even at a seam."
    cost = energy(value) - energy(angles)
    if cost > 0.06:
        return f"That costs {cost:.2f} J a site: turn more slowly from neighbour to neighbour, one full turn is enough."
    return None


def crossing_stub(temperatures, outputs, random):
    """Temperature at which the mean output falls through 1/2, and its error by bootstrap over chains: (T, error).

    temperatures (n,) rising; outputs (n, chains) of a network for independent chains at each temperature; `random` is a
    numpy Generator. Interpolate linearly; 500 replicas.
    """
    raise NotImplementedError


def _crosses(temperatures, mean):
    after = int(np.argmax(mean < 0.5))
    t, y = temperatures[after - 1 : after + 1], mean[after - 1 : after + 1]
    return t[0] + (y[0] - 0.5) / (y[0] - y[1]) * (t[1] - t[0])


def crossing_solution(temperatures, outputs, random):
    """The crossing of the mean; its scatter when chains are drawn anew, with replacement, at every temperature."""
    n, chains = outputs.shape
    drawn = []
    for _ in range(500):
        chosen = random.integers(chains, size=(n, chains))
        drawn.append(_crosses(temperatures, np.take_along_axis(outputs, chosen, 1).mean(1)))
    return _crosses(temperatures, outputs.mean(1)), np.std(drawn)


def check_crossing(answer):
    random = generator(4, "exercise")
    temperatures = np.linspace(0.7, 1.2, 11)
    curve = 1 / (1 + np.exp((temperatures - 0.93) / 0.05))
    outputs = np.clip(curve[:, None] + 0.06 * random.normal(size=(11, 12)), 0, 1)
    found = np.asarray(answer(temperatures.copy(), outputs.copy(), generator(5, "exercise")), float)
    if found.shape != (2,):
        return "Return two numbers: the temperature and its error."
    (value, error), exact = found, _crosses(temperatures, outputs.mean(1))
    if np.isclose(value, temperatures[np.argmin(np.abs(outputs.mean(1) - 0.5))]) and not np.isclose(value, exact):
        return "That is the nearest temperature of the grid; interpolate between the two on either side of 1/2."
    if not np.isclose(value, exact, atol=1e-4):
        return f"The mean output crosses 1/2 at {exact:.4f} J, not {value:.4f}."
    expected = np.mean([crossing_solution(temperatures, outputs, generator(k, "judge"))[1] for k in range(5)])
    ratio = error / expected
    if 0.8 < ratio < 1.25:
        return None
    if np.isclose(ratio, 1 / np.sqrt(500), rtol=0.3):
        return "The spread of the replicas is the error already: more replicas do not make it smaller."
    if ratio == 0:
        return "The error is 0: draw chains with replacement, so that each replica differs."
    if np.isclose(ratio, np.sqrt(12), rtol=0.25):
        return "That is the scatter of single chains; a replica has as many chains as the data."
    return f"The error is {expected:.4f} J, yours {error:.4f}: is each replica drawn with replacement, from all chains?"


def extrapolation_stub(sides, temperatures, errors):
    """T in the infinite system from T(L) = T + a / ln²L, by a least-squares line weighted with the errors (n,): one number.

    sides, temperatures and errors have shape (n,).
    """
    raise NotImplementedError


def extrapolation_solution(sides, temperatures, errors):
    """The intercept of a weighted line in 1/ln²L."""
    return np.polyfit(1 / np.log(sides) ** 2, temperatures, 1, w=1 / errors)[1]


def check_extrapolation(answer):
    sides, errors = np.array([8, 16, 32, 64]), np.array([0.002, 0.001, 0.003, 0.008])
    temperatures = 0.8929 + 0.9 / np.log(sides) ** 2 + 1.5 * errors * np.array([1, -1, 0.7, -1.2])

    def at(x, weight):
        return np.polyfit(x, temperatures, 1, w=weight)

    logarithm = np.log(sides)
    value, exact = float(answer(sides.copy(), temperatures.copy(), errors.copy())), at(1 / logarithm**2, 1 / errors)[1]
    known = [
        (at(1 / logarithm**2, 1 / errors)[0], "That is the slope a; asked is where the line ends, at 1/ln²L = 0."),
        (
            at(1 / sides, 1 / errors)[1],
            "A line in 1/L: the correlation length of this transition grows much faster than a power.",
        ),
        (at(1 / logarithm, 1 / errors)[1], "A line in 1/ln L: the logarithm enters squared."),
        (
            at(1 / logarithm**2, None)[1],
            "All sizes weigh the same: an error of 0.008 is not as good as one of 0.001.",
        ),
        (at(1 / logarithm**2, 1 / errors**2)[1], "np.polyfit squares its weights: they are 1/σ there, not 1/σ²."),
        (at(1 / logarithm**2, errors)[1], "The largest errors got the largest weights."),
        (temperatures[-1], "That is the largest lattice; nothing is extrapolated."),
        (np.average(temperatures, weights=errors**-2), "That is the mean of all sizes; they differ systematically."),
    ]
    if np.isclose(value, exact, rtol=1e-6):
        return None
    for wrong, diagnosis in known:
        if np.isclose(value, wrong, rtol=1e-6):
            return diagnosis
    return f"The weighted line in 1/ln²L ends at {exact:.5f} J, not {value:.5f}."


exercises = {
    exercise.name: exercise
    for exercise in (
        Exercise(
            "vortex_map",
            "Turn angles into a map of vortices, for many lattices at once and without a loop.",
            vortex_map_stub,
            check_vortex_map,
            (
                "Each bond has a turn, brought into [−π, π); a plaquette has four bonds, two of which belong to neighbours.",
                "np.roll(angles, -1, axis) is the next spin along an axis, around the torus: axis 2 goes along a row.",
                "along, down = (turn(np.roll(angles, -1, axis) - angles) for axis in (2, 1)); the far edges are "
                "np.roll(down, -1, 2) and, walked backwards, np.roll(along, -1, 1).",
            ),
            vortex_map_solution,
            "The whole engineering of this lecture is these two lines, and they know more topology than the network.",
        ),
        Exercise(
            "features",
            "Write features that know nothing of the common direction of the spins.",
            features_stub,
            check_features,
            (
                "What of two neighbouring spins stays the same when both are turned by one angle?",
                "Their difference; but it jumps by 2π, and a reflection changes its sign. Which function cures both?",
                "np.stack([np.cos(np.roll(angles, -1, axis) - angles) for axis in (2, 1)], axis=1)",
            ),
            features_solution,
            "A symmetry that is built in need not be learnt, and cannot be learnt wrongly.",
        ),
        Exercise(
            "fool",
            "Fool a network that looks at the magnetisation, without touching a vortex.",
            fool_stub,
            check_fool,
            (
                "Which change of the spins costs least energy for its size? Think of a wave as long as the lattice.",
                "Turn each column a little more than the last, so that no pair notices; the last must meet the first.",
                "angles + 2 * np.pi * np.arange(columns) / columns",
            ),
            fool_solution,
            "No order in two dimensions, done by hand: the stiffness decides what such a twist costs, and no vortex moved.",
        ),
        Exercise(
            "crossing",
            "Where does an output fall through 1/2, and how well do you know it?",
            crossing_stub,
            check_crossing,
            (
                "Two temperatures enclose 1/2; a straight line between them says where.",
                "Draw as many chains as there are, with replacement, anew at each temperature; find the crossing; repeat.",
                "chosen = random.integers(chains, size=outputs.shape); np.take_along_axis(outputs, chosen, 1).mean(1); "
                "the error is the standard deviation of 500 crossings.",
            ),
            crossing_solution,
            "This error knows the noise of the data, but not the choice of the training window: that one is larger.",
        ),
        Exercise(
            "extrapolation",
            "Extrapolate transition temperatures of finite lattices the way this transition demands.",
            extrapolation_stub,
            check_extrapolation,
            (
                "ξ grows like exp(c/√(T − T_BKT)). At which T is ξ as large as the lattice?",
                "ln L = c/√(T − T_BKT), so T − T_BKT is proportional to 1/ln²L: a line in that, each point with its weight.",
                "np.polyfit(1 / np.log(sides) ** 2, temperatures, 1, w=...)[1]; w multiplies residuals before the square.",
            ),
            extrapolation_solution,
            "From L = 64 to ∞ the abscissa is still 0.06: with a logarithm, nobody is close to the limit.",
        ),
    )
}
