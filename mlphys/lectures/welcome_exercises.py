"""Exercises of lecture 00: a distance in sigmas, the yardstick, and a first run of one's own."""

import math

import numpy as np

from mlphys.lab import Exercise
from mlphys.lectures.welcome_live import exact_energy
from mlphys.stats import Estimate


def distance_stub(value, error, exact):
    """Distance of a measured value from the exact one, in units of the error, with its sign."""
    raise NotImplementedError


def distance_solution(value, error, exact):
    """Too high is positive."""
    return (value - exact) / error


def check_distance(answer):
    cases = np.array([(-1.4157, 0.0006, -math.sqrt(2)), (0.52, 0.004, 0.5)])
    found, wanted = np.array([float(answer(*case)) for case in cases]), distance_solution(*cases.T)
    if np.allclose(found, wanted):
        return None
    if np.allclose(found, -wanted):
        return "The sign is reversed: a value that is too high lies at a positive distance."
    if np.allclose(found, abs(wanted)):
        return "The sign is lost: one wants to know whether a value is too high or too low."
    if np.allclose(found, wanted * cases[:, 1]):
        return "That is the distance itself; divide it by the error, or nobody can say whether it is large."
    if np.allclose(found, wanted / cases[:, 1]):
        return "You divided by the variance: the error is a standard deviation already."
    value, error, exact = cases[0]
    return f"{value}({error}) lies {wanted[0]:+.2f} σ from {exact:.5f}; you found {found[0]:+.2f}."


def rate_stub(samples, tau, seconds):
    """Effective samples per second of a chain of `samples` measurements, `tau` of them long, that took `seconds`."""
    raise NotImplementedError


def rate_solution(samples, tau, seconds):
    """n / 2τ independent samples in t seconds."""
    return samples / (2 * tau) / seconds


def check_rate(answer):
    for samples, tau, seconds in ((10_000, 50.0, 4.0), (600, 0.5, 0.25)):
        found, wanted = float(answer(samples, tau, seconds)), samples / (2 * tau) / seconds
        if np.isclose(found, wanted):
            continue
        if np.isclose(found, samples / seconds):
            return "That counts every measurement; one that resembles the last is worth only 1/2τ of a new one."
        if np.isclose(found, samples / tau / seconds):
            return "Twice as many: independent measurements have τ = 1/2, and each of them counts as one."
        if np.isclose(found, samples / (2 * tau)):
            return "That is the number of effective samples; the yardstick is how many of them a second brings."
        return f"{samples} measurements with τ = {tau} in {seconds} s make {wanted:g} a second; you found {found:g}."
    return None


def first_run_stub(temperature):
    """Energy per site of the 16 × 16 Ising magnet at `temperature`, in J: an estimate of your own run."""
    raise NotImplementedError


def first_run_solution(temperature):
    """Six lines of the library."""
    import mlphys as mp

    ising = mp.Ising(mp.square(16))
    chain = mp.run(mp.Wolff(ising), samples=1000, temperature=temperature, chains=8, seed=1)
    return chain.estimate("energy")


def check_first_run(answer):
    for temperature in (2.0, 3.0):
        found = answer(temperature)
        if not isinstance(found, Estimate):
            return f"{type(found).__name__} is no estimate: return chain.estimate('energy'), which brings its error along."
        wanted = exact_energy(16, temperature)
        off = found.deviation(wanted)
        if abs(off) > 5:
            if abs(found.deviation(exact_energy(16, 1 / temperature))) < 5:
                return "That is the energy at 1/T in the place of T."
            if abs(found.deviation(exact_energy(8, temperature))) < 5:
                return "That is the energy of a magnet of side 8."
            return f"At T = {temperature} the exact energy is {wanted:.4f} J; your {found} J is {off:+.0f} σ off."
        if found.error > 0.01:
            return f"Right, but only to {found.error:.2g} J: measure more often, or on more chains."
    return None


exercises = {
    exercise.name: exercise
    for exercise in (
        Exercise(
            "distance",
            "Write the distance of a measured value from the exact one, in units of its error.",
            distance_stub,
            check_distance,
            (
                "How far is far? Compare the distance with what chance would do.",
                "Value minus exact value, divided by the error.",
                "return (value - ...) / error",
            ),
            distance_solution,
            "Two of three honest measurements lie within ±1 of these, 95 of 100 within ±2.",
        ),
        Exercise(
            "rate",
            "Write the number of effective samples per second.",
            rate_stub,
            check_rate,
            (
                "How many measurements in a row tell you what one new one would?",
                "n measurements with autocorrelation time τ are worth n / 2τ.",
                "return samples / (2 * tau) / ...",
            ),
            rate_solution,
            "The number by which every sampler of this course is judged.",
        ),
        Exercise(
            "first run",
            "Measure the energy per site of a 16 × 16 Ising magnet, to 0.01 J or better, by any sampler you like.",
            first_run_stub,
            check_first_run,
            (
                "Everything you need stands in the six lines of this lecture.",
                "mp.run(sampler, samples=..., temperature=temperature, chains=...) is a chain; ask it for its estimate.",
                'ising = mp.Ising(mp.square(16)); chain = mp.run(mp.Wolff(ising), ...); return chain.estimate("energy")',
            ),
            first_run_solution,
            "Your first run, and it agrees with Kaufman's exact solution of 1949.",
        ),
    )
}
