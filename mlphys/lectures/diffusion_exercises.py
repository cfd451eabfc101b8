"""Exercises of lecture 09: each with a stub, a check that knows the usual mistakes, three hints and a solution."""

import numpy as np

from mlphys.lab import Exercise
from mlphys.random import generator


def score_stub(x, weights, means, a, s):
    """The score (batch,) at x (batch,) of noisy data a m + s z: z is normal, m one of the numbers `means` (k,).

    `weights` (k,), which add up to 1, say how often each m occurs.
    """
    raise NotImplementedError


def _share(x, weights, means, a, s):
    """The probability of each m given x, (batch, k)."""
    log = np.log(weights) - (x[:, None] - a * means) ** 2 / (2 * s**2)
    share = np.exp(log - log.max(1, keepdims=True))
    return share / share.sum(1, keepdims=True)


def score_solution(x, weights, means, a, s):
    """The mean of (a m − x)/s² over what m may have been."""
    return (_share(x, weights, means, a, s) @ (a * means) - x) / s**2


def check_score(answer):
    x, weights, means = generator(1, "exercise").normal(size=12) * 2, np.array([0.2, 0.5, 0.3]), np.array([-2.0, 0.5, 3.0])
    for a, s in ((0.8, 0.6), (0.3, 0.95)):
        value, exact = (np.asarray(f(x.copy(), weights, means, a, s), float) for f in (answer, score_solution))
        if value.shape != exact.shape:
            return f"There is one score for each x: the shape is {exact.shape}, not {value.shape}."
        if np.allclose(value, exact):
            continue
        known = [
            (-exact, "The sign: a score points to where the density is larger."),
            (exact * s**2, "The width is missing: the derivative of −(x − a m)²/2s² has s² below."),
            (score_solution(x, weights, means, 1.0, s), "The data have shrunk: the curves sit at a m, not at m."),
            ((a * (weights @ means) - x) / s**2, "That averages over all m alike. Which of them may have become this x?"),
            (score_solution(x, np.ones(3) / 3, means, a, s), "The weights of the data are missing in the probabilities."),
        ]
        for wrong, diagnosis in known:
            if np.allclose(value, wrong):
                return diagnosis
        return f"At x = {x[0]:.3f}, with a = {a}, s = {s}, the score is {exact[0]:.4f}, not {value[0]:.4f}."
    far = np.asarray(answer(np.array([60.0]), weights, means, 0.8, 0.6), float)
    if not np.isfinite(far).all():
        return "At x = 60 all curves vanish in rounding, and you divide 0 by 0: subtract the largest exponent first."
    return None


def back_stub(x, score, dt, noise, normal):
    """x (batch, n) one step of length dt earlier, where data became noise by dx = −x dt + √2 dW.

    score(x) is the score now; `noise` is ħ: 0 for the probability flow, 1 for time reversal; `normal` (batch, n) are
    independent normal numbers.
    """
    raise NotImplementedError


def back_solution(x, score, dt, noise, normal):
    """Against the drift, along the score (1 + ħ) times, and as much noise as that pays for."""
    return x + dt * (x + (1 + noise) * score(x)) + np.sqrt(2 * noise * dt) * normal


def check_back(answer):
    random = generator(2, "exercise")
    x, normal, dt = random.normal(size=(5, 3)), random.normal(size=(5, 3)), 0.02
    made = [np.asarray(answer(x.copy(), _pull, dt, noise, normal.copy()), float) for noise in (0.0, 0.4, 1.0)]
    if made[0].shape != x.shape:
        return f"A step leads from x to another x: the shape is {x.shape}, not {made[0].shape}."
    known = [
        (lambda h: (1, 1 + h, np.sqrt(2 * h * dt)), None),
        (lambda h: (-1, 1 + h, np.sqrt(2 * h * dt)), "Time runs backwards: the drift −x has to be undone, not repeated."),
        (lambda h: (1, 2, np.sqrt(2 * h * dt)), "2 score belongs to ħ = 1 alone; without noise, half of it is enough."),
        (lambda h: (1, 1, np.sqrt(2 * h * dt)), "Noise spreads particles, and the score holds them together: 1 + ħ times."),
        (lambda h: (1, h, np.sqrt(2 * h * dt)), "At ħ = 0 you do not use the score at all: it is 1 + ħ times."),
        (lambda h: (1, 1 + h, np.sqrt(2 * dt)), "ħ is missing in the noise: at ħ = 0 nothing may be random."),
        (lambda h: (1, 1 + h, h * np.sqrt(2 * dt)), "ħ multiplies the variance of the noise, so its root the noise."),
        (lambda h: (1, 1 + h, np.sqrt(2 * h) * dt), "Variances of independent noises add up: noise grows as √dt."),
        (lambda h: (1, -(1 + h), np.sqrt(2 * h * dt)), "You walk away from the data: plus the score."),
    ]
    for parts, diagnosis in known:
        if all(np.allclose(value, _made(x, normal, dt, *parts(h))) for value, h in zip(made, (0.0, 0.4, 1.0), strict=True)):
            return diagnosis
    exact = back_solution(x, _pull, dt, 0.4, normal)
    return f"From x = {x[0, 0]:.3f} the step leads to {exact[0, 0]:.4f} at ħ = 0.4, you go to {made[1][0, 0]:.4f}."


def _pull(x):
    """A score that is no multiple of x."""
    return np.tanh(x) - 1.5 * x


def _made(x, normal, dt, drift, pull, amplitude):
    return x + dt * (drift * x + pull * _pull(x)) + amplitude * normal


def action_stub(path, drift, dt, noise):
    """−ln P (paths,) of paths (steps + 1, paths) of dx = drift(x) dt + √(2ħ) dW by Euler's steps dt, up to a constant.

    `noise` is ħ; terms that are the same for all paths are left out.
    """
    raise NotImplementedError


def action_solution(path, drift, dt, noise):
    """Every step is normal, with mean drift dt and variance 2ħ dt."""
    return ((path[1:] - path[:-1] - dt * drift(path[:-1])) ** 2).sum(0) / (4 * noise * dt)


def check_action(answer):
    dt, noise = 0.05, 0.3
    path = np.cumsum(np.sqrt(2 * noise * dt) * generator(3, "exercise").normal(size=(31, 6)), axis=0)
    value, exact = (np.asarray(f(path.copy(), _pull, dt, noise), float) for f in (answer, action_solution))
    if value.shape != exact.shape:
        return f"Every path has one action: the shape is {exact.shape}, not {value.shape}."
    if np.allclose(value - value.mean(), exact - exact.mean()):
        return None
    late, middle = (path[1:] - path[:-1] - dt * _pull(x) for x in (path[1:], (path[1:] + path[:-1]) / 2))
    known = [
        (2 * exact, "The variance of a step is 2ħ dt, and a normal density has twice the variance below."),
        (exact / 2, "A step's variance is 2ħ dt, not 4ħ dt: 4ħ dt is already twice that."),
        (exact * noise, "ħ is missing: it is to paths what temperature is to energies."),
        (exact * dt, "dt is missing below: in the limit this is the integral of (dx/dt − drift)²/4ħ."),
        (exact / (len(path) - 1), "That is the mean over the steps; probabilities of steps multiply, so actions add up."),
        (-exact, "That is ln P itself; the action is its negative."),
        ((late**2).sum(0) / (4 * noise * dt), "The drift is taken at the end of a step; Euler takes it at its beginning."),
        ((middle**2).sum(0) / (4 * noise * dt), "The drift is taken halfway; Euler takes it at the beginning of the step."),
        (((path[1:] - path[:-1]) ** 2).sum(0) / (4 * noise * dt), "The drift does not occur: that is free Brownian motion."),
    ]
    for wrong, diagnosis in known:
        if np.allclose(value - value.mean(), wrong - wrong.mean()):
            return diagnosis
    return f"The first two paths differ by {exact[1] - exact[0]:.3f} in their action, yours by {value[1] - value[0]:.3f}."


def loss_stub(score, x, a, s, z):
    """How far score(noisy x) is from what denoising asks: a number, from data x (batch, n) and normal z (batch, n).

    Noisy data are a x + s z, a and s numbers. Weighed so that all levels of noise count alike.
    """
    raise NotImplementedError


def loss_solution(score, x, a, s, z):
    """The mean of |s score + z|²: given noisy data, the mean of −z/s is the score."""
    return ((s * score(a * x + s * z) + z) ** 2).mean()


def check_loss(answer):
    random = generator(4, "exercise")
    x, z = 2 + random.normal(size=(40, 2)), random.normal(size=(40, 2))
    for a, s in ((0.9, 0.4), (0.2, 0.98)):
        value, exact = (np.asarray(f(_pull, x.copy(), a, s, z.copy()), float) for f in (answer, loss_solution))
        if value.shape != ():
            return f"A loss is one number, the mean over everything; yours has the shape {value.shape}."
        if np.isclose(value, exact):
            continue
        noisy = a * x + s * z
        known = [
            (((s * _pull(noisy) - z) ** 2).mean(), "The sign: the score points against the noise that was added, to −z/s."),
            (((_pull(noisy) + z / s) ** 2).mean(), "Without the weight s² the smallest noise outweighs all the rest."),
            (((_pull(noisy) + z) ** 2).mean(), "The score is −z/s on average, not −z: multiply it by s."),
            (((s * _pull(x) + z) ** 2).mean(), "The network has to see noisy data: they alone tell where the noise went."),
            (((s * _pull(x + s * z) + z) ** 2).mean(), "The data shrink on their way: a x + s z."),
            (2 * exact, "Sum over the components and mean over the rest is another scale: take the mean over everything."),
        ]
        for wrong, diagnosis in known:
            if np.isclose(value, wrong):
                return diagnosis
        return f"With a = {a}, s = {s} the loss is {exact:.4f}, not {value:.4f}."
    return None


def memorised_stub(made, data):
    """Which share of the samples `made` (m, n) are memories of `data` (k, n): a number from 0 to 1.

    A memory is a sample whose nearest datum is nearer than a third of the distance to the second nearest.
    """
    raise NotImplementedError


def _distances(made, data):
    return np.sort(np.linalg.norm(made[:, None] - data, axis=2), axis=1)


def _memories(near):
    return (near[:, 0] < near[:, 1] / 3).mean()


def memorised_solution(made, data):
    """The two smallest distances to the data decide, whatever the scale of the data is."""
    return _memories(_distances(made, data))


def check_memorised(answer):
    random = generator(5, "exercise")
    data = random.normal(size=(60, 3))
    copies = data[random.integers(60, size=150)] + 0.12 * random.normal(size=(150, 3))
    made = np.concatenate([copies, 1.5 * random.normal(size=(90, 3))])
    value, scaled = (np.asarray(answer(scale * made, scale * data), float) for scale in (1.0, 20.0))
    exact = memorised_solution(made, data)
    if value.shape != ():
        return f"The share is one number; yours has the shape {value.shape}."
    if not np.isclose(value, scaled):
        return "Whoever measures all data in other units must find the same share: compare distances with one another."
    if np.isclose(value, exact):
        return None
    near = _distances(made, data)
    known = [
        (_memories(near**2), "These are squares: a third of a distance is a ninth of its square."),
        (_memories(_distances(made, made)[:, 1:]), "You compare samples with one another; memories are near data."),
        ((near[:, 0] < near.mean(1) / 3).mean(), "Compare with the second nearest datum, not with the mean of all."),
        (exact * len(made), "That is their number; the share is divided by the number of samples."),
        (1 - exact, "That is the share of the others."),
        (_memories(_distances(data, made)), "You ask data for their nearest samples: it is the other way round."),
    ]
    return next((words for wrong, words in known if np.isclose(value, wrong)), f"The share is {exact:.3f}, not {value:.3f}.")


exercises = {
    exercise.name: exercise
    for exercise in (
        Exercise(
            "score",
            "Write the score of noisy data that were one of a few numbers.",
            score_stub,
            check_score,
            (
                "The density is a sum of normal curves at a m, of width s. What is the derivative of its logarithm?",
                "p'/p is a weighted mean of (a m − x)/s²: the weights are the probabilities of each m, given x.",
                "log = np.log(weights) - (x[:, None] - a * means)**2 / (2 * s**2); share is exp(log - log.max(1, "
                "keepdims=True)), divided by its sum over m; (share @ (a * means) - x) / s**2",
            ),
            score_solution,
            "The score asks where this noise may have come from: it is (mean of a x₀ given x, minus x)/s², for any data.",
        ),
        Exercise(
            "back",
            "Take one step back in time, with as much noise as you like.",
            back_stub,
            check_back,
            (
                "Forward: dx = −x dt + √2 dW. At ħ = 0 the same densities flow along the velocity −x − score.",
                "Backwards, dx = [x + (1 + ħ) score] dt + √(2ħ) dW: the noise and ħ times the score keep each density.",
                "x + dt * (x + (1 + noise) * score(x)) + np.sqrt(2 * noise * dt) * normal",
            ),
            back_solution,
            "Any ħ gives the same densities at every time, if the score is right. If it is not, they differ.",
        ),
        Exercise(
            "action",
            "Find the action of a path.",
            action_stub,
            check_action,
            (
                "Given where it begins, each step of Euler is normal. What are its mean and its variance?",
                "−ln of a normal density is (step − drift dt)²/(2 · 2ħ dt), up to a constant; steps are independent.",
                "((path[1:] - path[:-1] - dt * drift(path[:-1]))**2).sum(0) / (4 * noise * dt)",
            ),
            action_solution,
            "Onsager and Machlup's action: P ∝ exp(−A/ħ). As ħ → 0 a single path is left, the classical one.",
        ),
        Exercise(
            "loss",
            "Write the loss from which a network learns a score that nobody knows.",
            loss_stub,
            check_loss,
            (
                "Nobody knows the score; but who adds the noise knows z. What is the best guess of −z/s from noisy data?",
                "The mean of −z/s given a x + s z is the score: least squares finds it. Multiply by s: all levels count.",
                "((s * score(a * x + s * z) + z)**2).mean()",
            ),
            loss_solution,
            "The smallest loss is not zero: what z was cannot be known exactly. Only the distance to that minimum is error.",
        ),
        Exercise(
            "memorised",
            "Find out who returns his data.",
            memorised_stub,
            check_memorised,
            (
                "Near compared with what? In high dimensions nothing is near in itself.",
                "Sort the distances of each sample to all data: the smallest must be below a third of the second.",
                "d = np.sort(np.linalg.norm(made[:, None] - data, axis=2), axis=1); (d[:, 0] < d[:, 1] / 3).mean()",
            ),
            memorised_solution,
            "The exact score of a finite set of data memorises all of it. Networks generalise because they are wrong.",
        ),
    )
}
