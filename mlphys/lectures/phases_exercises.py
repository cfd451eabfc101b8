"""Exercises of lecture 03: each with a stub, a check that knows the usual mistakes, three hints and a solution."""

import numpy as np

from mlphys.lab import Exercise
from mlphys.random import generator


def optimum_stub(cold, hot):
    """Probability of the cold phase at each energy level, from counts (levels,) in cold and in hot samples.

    Both phases are equally likely beforehand, however many samples there are of each; a level without samples gives 1/2.
    """
    raise NotImplementedError


def optimum_solution(cold, hot):
    """Bayes: each histogram becomes a likelihood before they are compared."""
    cold, hot = cold / cold.sum(), hot / hot.sum()
    total = cold + hot
    return np.divide(cold, total, out=np.full(len(total), 0.5), where=total > 0)


def check_optimum(answer):
    cold, hot = np.array([40.0, 30, 20, 8, 2, 0, 0]), np.array([0.0, 2, 10, 48, 140, 200, 0])
    with np.errstate(all="ignore"):
        value = np.asarray(answer(cold.copy(), hot.copy()), float)
    exact = optimum_solution(cold, hot)
    if value.shape != exact.shape:
        return f"Seven levels went in, an answer of shape {value.shape} came out: one probability a level is wanted."
    if np.allclose(value, exact):
        return None
    if not np.isfinite(value).all():
        return "0/0: where neither phase was ever seen, nothing is known, and the best answer is 1/2."
    seen = cold + hot > 0
    known = [
        (
            cold / np.maximum(cold + hot, 1),
            "There are four hot samples for each cold one here: first divide each histogram by its sum.",
        ),
        (1 - exact, "That is the probability of the hot phase."),
        (cold / cold.sum(), "That is p(energy | cold); Bayes' theorem asks for p(cold | energy)."),
        ((exact > 0.5).astype(float), "That is the verdict; the probability behind it says how sure it is."),
    ]
    for wrong, diagnosis in known:
        if np.allclose(value[seen], wrong[seen]):
            return diagnosis
    if (value < -1e-9).any() or (value > 1 + 1e-9).any():
        return "Some of your probabilities lie outside [0, 1]: compare with the sum of both, do not divide one by the other."
    if np.allclose(value[seen], exact[seen]):
        return f"The last level is empty: it says nothing, so 1/2, not {value[-1]:.3g}."
    worst = int(np.argmax(np.abs(value - exact)))
    counts = f"{cold[worst]:.0f} of 100 cold and {hot[worst]:.0f} of 400 hot samples"
    return f"A level with {counts} has probability {exact[worst]:.4f}, not {value[worst]:.4f}."


def confused_stub(guess, transition, low, high):
    """Accuracy of learning by confusion at a guess of the boundary, for data uniform in [low, high]."""
    raise NotImplementedError


def confused_solution(guess, transition, low, high):
    """Each phase gets the label that most of its samples carry."""
    below = max(min(guess, transition) - low, transition - min(guess, transition))
    above = max(high - max(guess, transition), max(guess, transition) - transition)
    return (below + above) / (high - low)


def check_confused(answer):
    cases = [(2.2, 2.2, 1.0, 3.0), (1.0, 2.2, 1.0, 3.0), (3.0, 2.2, 1.0, 3.0), (1.4, 2.2, 1.0, 3.0), (1.9, 2.2, 1.0, 3.0)]
    cases += [(2.7, 2.2, 1.0, 3.0), (2.4, 2.2, 1.0, 3.0), (0.5, 0.8, 0.0, 1.0)]
    values = np.array([float(answer(*case)) for case in cases])
    exact = np.array([confused_solution(*case) for case in cases])
    guess, transition, low, high = np.array(cases).T
    if np.allclose(values, exact):
        return None
    if (values > 1 + 1e-9).any() or (values < -1e-9).any():
        return "An accuracy lies between 0 and 1: divide the length that is labelled right by high − low."
    distance = np.abs(guess - transition) / (high - low)
    known = [
        (1 - distance, "At the ends of the range all labels are the same: a network that has no choice is right."),
        (exact.max() - exact + exact.min(), "Upside down: at the right guess, labels and phases agree."),
        (
            np.maximum(guess - low, high - guess) / (high - low),
            "That is a network that sees nothing; this one sees the phase.",
        ),
        (distance, "That is the share of confused samples, if it always trusts the phase."),
    ]
    for wrong, diagnosis in known:
        if np.allclose(values, wrong):
            return diagnosis
    worst = int(np.argmax(np.abs(values - exact)))
    case = cases[worst]
    return (
        f"Guess {case[0]:g}, transition {case[1]:g}, data from {case[2]:g} to {case[3]:g}: "
        f"the accuracy is {exact[worst]:.3f}, not {values[worst]:.3f}."
    )


def blocks_stub(spins, factor):
    """Majority of each block of `factor` × `factor` spins ±1 (an odd factor): (rows, columns) become (rows / factor, …)."""
    raise NotImplementedError


def blocks_solution(spins, factor):
    """The two axes are cut in two each; the sign of the sum over the inner ones."""
    rows, columns = spins.shape
    return np.sign(spins.reshape(rows // factor, factor, columns // factor, factor).sum(axis=(1, 3)))


def check_blocks(answer):
    random = generator(3, "exercise")
    for rows, columns, factor in ((6, 9, 3), (9, 9, 3), (10, 15, 5)):
        spins = 2 * random.integers(0, 2, (rows, columns)) - 1
        exact = blocks_solution(spins, factor)
        value = np.asarray(answer(spins.copy(), factor), float)
        if value.shape != exact.shape:
            return f"{rows} × {columns} spins in blocks of {factor} × {factor} give {exact.shape} blocks, not {value.shape}."
        if np.array_equal(value, exact):
            continue
        cut = spins.reshape(rows // factor, factor, columns // factor, factor)
        known = [
            (cut.sum(axis=(1, 3)), "That is the sum of each block; a block spin is ±1 like the spins it stands for."),
            (cut.mean(axis=(1, 3)), "That is the mean of each block; a block spin is ±1 like the spins it stands for."),
            (cut[:, 0, :, 0], "One spin of each block: that is decimation. The majority asks all of them."),
            (
                cut[:, factor // 2, :, factor // 2],
                "The middle of each block: decimation, too. The majority asks all of them.",
            ),
            (
                np.sign(spins.reshape(rows // factor, columns // factor, factor, factor).sum(axis=(2, 3))),
                "The spins of your blocks lie in a row: after reshape(rows/f, f, columns/f, f), sum axes 1 and 3.",
            ),
            (-exact, "The signs are reversed."),
            ((exact + 1) / 2, "0 and 1 instead of −1 and 1: a block spin must look like a spin."),
        ]
        for wrong, diagnosis in known:
            if np.allclose(value, wrong):
                return diagnosis
        i, j = np.argwhere(value != exact)[0]
        return f"Block ({i}, {j}) of a {rows} × {columns} lattice has majority {exact[i, j]:+.0f}, not {value[i, j]:+g}."
    return None


def held_out_stub(chain, share, random):
    """A mask (samples,) that is True for a test set of `share` of the data; chain (samples,) is the chain of each sample.

    random: a numpy Generator.
    """
    raise NotImplementedError


def held_out_solution(chain, share, random):
    """Whole chains, drawn by lot."""
    chains = random.permutation(np.unique(chain))
    return np.isin(chain, chains[: round(share * len(chains))])


def check_held_out(answer):
    chain = np.tile(np.arange(20) + 100, 30)
    masks = [np.asarray(answer(chain.copy(), 0.2, generator(seed, "exercise"))) for seed in (4, 5)]
    if masks[0].shape != chain.shape or masks[0].dtype != bool:
        return f"A mask of {len(chain)} times True or False is wanted, not {masks[0].dtype} of shape {masks[0].shape}."
    test = masks[0]
    leaked = np.isin(chain[test], chain[~test]).mean() if test.any() else 0.0
    share = test.mean()
    if leaked > 0:
        late = np.arange(len(chain)) >= (1 - 0.2) * len(chain)
        if np.array_equal(test, late):
            return "The last samples of every chain: their elder neighbours are in the training set. Hold out whole chains."
        return f"{100 * leaked:.0f} % of your test samples have a neighbour of their own chain in the training set: a leak."
    if abs(share - 0.8) < 0.01:
        return "That is the training set: True marks the samples that are held out."
    if abs(share - 0.2) > 0.01:
        return f"A fifth of the data was asked for; your test set has {100 * share:.0f} %."
    if np.array_equal(masks[0], masks[1]):
        return "The same chains for every random generator: draw them by lot."
    return None


def accuracy_stub(right, chain):
    """Accuracy and its standard error: right (samples,), 1 where the verdict is right; chain (samples,), which chain."""
    raise NotImplementedError


def accuracy_solution(right, chain):
    """Chains are independent of each other, samples of one chain are not: the error is the scatter of chain means."""
    means = np.array([right[chain == one].mean() for one in np.unique(chain)])
    return means.mean(), means.std(ddof=1) / np.sqrt(len(means))


def check_accuracy(answer):
    random = generator(6, "exercise")
    chain = np.repeat(np.arange(10), 200)
    right = (random.random(2000) < np.repeat(random.uniform(0.75, 0.99, 10), 200)).astype(float)
    result = answer(right.copy(), chain.copy())
    if np.shape(result) != (2,):
        return "Return two numbers: the accuracy and its standard error."
    (mean, error), (exact, exact_error) = map(float, result), accuracy_solution(right, chain)
    means = right.reshape(10, 200).mean(1)
    if not np.isclose(mean, exact):
        return f"The accuracy of these samples is {exact:.4f}, not {mean:.4f}."
    if np.isclose(error, exact_error):
        return None
    naive = np.sqrt(exact * (1 - exact) / len(right))
    if abs(error / naive - 1) < 0.02:
        return f"That counts 2000 independent samples; the ten chains scatter {exact_error / naive:.0f} times as much."
    if np.isclose(error, means.std(ddof=1)) or np.isclose(error, means.std()):
        return "That is the spread of the chains; the error of their mean is √10 times smaller."
    if np.isclose(error, means.std() / np.sqrt(10)):
        return "Slightly small: the mean was fitted to the same ten numbers, so divide by 10 − 1 (ddof=1)."
    return f"Ten chain means with a spread of {means.std(ddof=1):.4f} have the error {exact_error:.4f}, not {error:.4f}."


exercises = {
    exercise.name: exercise
    for exercise in (
        Exercise(
            "optimum",
            "Write the best classifier there is, from two histograms of the energy.",
            optimum_stub,
            check_optimum,
            (
                "If a level was seen 20 times in 100 cold samples and 10 times in 400 hot ones, how would you bet?",
                "Bayes with equal odds: p(cold | E) = p(E | cold) / (p(E | cold) + p(E | hot)).",
                "cold, hot = cold / cold.sum(), hot / hot.sum(); then cold / (cold + hot), and 1/2 where that is 0/0.",
            ),
            optimum_solution,
            "No network, however deep, can beat this one: temperature speaks through the energy alone.",
        ),
        Exercise(
            "confused",
            "Write the W of learning by confusion, for a network that sees the phase of a sample and nothing else.",
            confused_stub,
            check_confused,
            (
                "The network can give one answer to all samples of one phase. Which answer is right more often?",
                "Let the guess lie below the transition: of the cold phase, guess − low is labelled cold, the rest hot; "
                "the hot phase is labelled hot throughout.",
                "For guess <= transition: (max(guess - low, transition - guess) + high - transition) / (high - low); "
                "mirror it for guess > transition.",
            ),
            confused_solution,
            "Its middle peak is the transition; the outer two only say that one label is easy to learn.",
        ),
        Exercise(
            "blocks",
            "Write the block spins of Kadanoff: the majority of each block.",
            blocks_stub,
            check_blocks,
            (
                "How do you cut an array of 9 rows into 3 bundles of 3 without a loop? What does reshape do to columns?",
                "reshape(rows // f, f, columns // f, f): axis 0 and 2 number the blocks, 1 and 3 the spins inside them.",
                "np.sign(spins.reshape(rows // f, f, columns // f, f).sum(axis=(1, 3)))",
            ),
            blocks_solution,
            "One network can now look at lattices of all sizes, as at the same picture from further and further away.",
        ),
        Exercise(
            "held out",
            "Hold out a test set from which the network cannot know anything.",
            held_out_stub,
            check_held_out,
            (
                "Neighbours in a Markov chain look nearly the same. What if one is trained on, the other tested?",
                "Draw chains, not samples: np.unique(chain) names them, random.permutation shuffles them.",
                "chains = random.permutation(np.unique(chain)); return np.isin(chain, chains[: round(share * len(chains))])",
            ),
            held_out_solution,
            "No test sample has a sister in the training set: what the network knows now, it has understood.",
        ),
        Exercise(
            "accuracy",
            "Write the accuracy of a classifier with an error bar that can be believed.",
            accuracy_stub,
            check_accuracy,
            (
                "Are 200 samples of one chain 200 independent trials? What is independent here?",
                "Compute one accuracy for each chain: ten independent numbers, whose scatter is known.",
                "means = [right[chain == c].mean() for c in np.unique(chain)]; np.std(means, ddof=1) / np.sqrt(len(means))",
            ),
            accuracy_solution,
            "Two classifiers that differ by less than this are not ranked.",
        ),
    )
}
