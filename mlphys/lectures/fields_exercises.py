"""Exercises of lecture 02: each with a stub, a check that knows the usual mistakes, three hints and a solution."""

import numpy as np

from mlphys.lab import Exercise
from mlphys.random import generator


def _turn(angle):
    """An angle brought into [−π, π)."""
    return (angle + np.pi) % (2 * np.pi) - np.pi


def winding_stub(angles):
    """Winding number of the spins at four corners of a plaquette, angles (4,) in the order around it: −1, 0 or 1."""
    raise NotImplementedError


def winding_solution(angles):
    """The shortest turns from corner to corner, added up, in full circles."""
    turns = np.roll(angles, -1) - angles
    return round(float(np.sum((turns + np.pi) % (2 * np.pi) - np.pi) / (2 * np.pi)))


def check_winding(answer):
    circle = np.arange(4) * np.pi / 2
    random = generator(1, "exercise")
    cases = [(circle + 0.3, 1), (0.1 - circle, -1), (np.array([0.1, 0.4, 0.3, -0.2]), 0), (circle + 3.0, 1)]
    cases += [(angles, winding_solution(angles)) for angles in random.uniform(-np.pi, np.pi, (50, 4))]
    values = np.array([float(answer(angles.copy())) for angles, _ in cases])
    exact = np.array([winding for _, winding in cases], float)
    if np.allclose(values, exact):
        return None
    if np.allclose(values, 0, atol=1e-9):
        return "Always 0: differences around a closed path add up to nothing unless each is first brought into [−π, π)."
    if np.allclose(values, 2 * np.pi * exact):
        return "That is the total angle; the winding number counts full circles of 2π."
    if np.allclose(values, -exact):
        return "The sign is reversed: a spin that turns the way you walk around the plaquette is a vortex, +1."
    open_path = [float(np.sum(_turn(np.diff(angles))) / (2 * np.pi)) for angles, _ in cases]
    if np.allclose(values, open_path) or np.allclose(values, np.rint(open_path)):
        return "Three of the four edges: the path must return to the corner where it began."
    worst = int(np.argmax(np.abs(values - exact)))
    return f"Angles {np.round(cases[worst][0], 2).tolist()} wind {exact[worst]:.0f} times, not {values[worst]:.3g}."


def helicity_stub(angles, temperature):
    """Helicity modulus Υ in J, along the rows, of angles (samples, rows, columns) at `temperature` (J)."""
    raise NotImplementedError


def helicity_solution(angles, temperature):
    """What a twist costs: the mean bond less the fluctuation of the current."""
    turns = np.roll(angles, -1, axis=2) - angles
    current = np.sin(turns).sum(axis=(1, 2))
    return (np.cos(turns).sum(axis=(1, 2)).mean() - (current**2).mean() / temperature) / angles[0].size


def check_helicity(answer):
    random = generator(2, "exercise")
    angles, temperature = 0.6 * random.normal(size=(40, 6, 8)), 0.7
    value, exact = float(answer(angles.copy(), temperature)), float(helicity_solution(angles, temperature))
    turns = np.roll(angles, -1, axis=2) - angles
    bonds, current, sites = np.cos(turns).mean(), np.sin(turns).sum(axis=(1, 2)), 48
    known = [
        (bonds, "Only the bonds: the current Σ sin fluctuates too, and what it does at first order softens the spins."),
        (
            bonds - temperature * (current**2).mean() / sites,
            "You multiplied by T: the current's fluctuation comes with β = 1/T.",
        ),
        (exact * sites, "That is Υ of the whole lattice; divide by the number of sites."),
        (bonds + (current**2).mean() / temperature / sites, "The fluctuation of the current lowers Υ: its sign is minus."),
        (
            bonds - (np.sin(turns) ** 2).mean() / temperature,
            "Square the total current of each sample: the square of a sum, not the sum of squares.",
        ),
        (
            bonds - current.mean() ** 2 / temperature / sites,
            "⟨current⟩² is 0 by symmetry: average the square of the current, do not square its average.",
        ),
    ]
    if np.isclose(value, exact):
        return None
    for wrong, diagnosis in known:
        if np.isclose(value, wrong):
            return diagnosis
    return f"These angles at T = {temperature} have Υ = {exact:.4f} J, not {value:.4f}."


def leapfrog_stub(x, momentum, force, step_size, steps):
    """Follow dx/dt = momentum, d(momentum)/dt = force(x) for `steps` steps; return (x, momentum)."""
    raise NotImplementedError


def leapfrog_solution(x, momentum, force, step_size, steps):
    """Half a kick, then drifts and kicks in turn, half a kick at the end."""
    momentum = momentum + step_size / 2 * force(x)
    for k in range(steps):
        x = x + step_size * momentum
        momentum = momentum + step_size * (1.0 if k < steps - 1 else 0.5) * force(x)
    return x, momentum


def check_leapfrog(answer):
    random = generator(3, "exercise")
    start, momentum = random.normal(size=(2, 20))

    def force(x):
        return -x - x / (1 + x**2)

    def go(function, steps, x=start, p=momentum):
        return tuple(np.asarray(part, float) for part in function(x.copy(), p.copy(), force, 1.0 / steps, steps))

    def energy(x, p):
        return np.sum(p**2 + x**2 + np.log(1 + x**2)) / 2

    if np.allclose(go(answer, 20), go(leapfrog_solution, 20), atol=1e-10):
        return None
    x, p = go(answer, 20)
    if np.allclose(x, start) and np.allclose(p, momentum):
        return "Nothing moved: return the new x and the new momentum."
    coarse, fine = (abs(energy(*go(answer, steps)) - energy(start, momentum)) for steps in (20, 40))
    if fine > 0.5 * np.abs(energy(start, momentum)):
        return "The energy runs away: is the sign of the force right, and does every kick use the newest x?"
    back = go(answer, 20, x, -p)
    if not np.allclose(back[0], start, atol=1e-8):
        return (
            "Run it back with −momentum and you do not return: kick and drift must alternate, with half a kick at each end."
        )
    if coarse < 3 * fine:
        return (
            f"Half the step size makes the energy error only {coarse / fine:.1f} times smaller; leapfrog makes it 4 times."
        )
    return "Reversible and of second order, but not this leapfrog: begin and end with half a kick of the momentum."


def langevin_stub(x, force, dt, noise):
    """One Langevin step: x (n,) goes on by the time `dt` under `force(x)`; `noise` (n,) are standard normal numbers."""
    raise NotImplementedError


def langevin_solution(x, force, dt, noise):
    """Downhill with the force, and shaken by √(2 dt)."""
    return x + dt * force(x) + np.sqrt(2 * dt) * noise


def check_langevin(answer):
    random = generator(4, "exercise")
    x, noise, dt = random.normal(size=100), random.normal(size=100), 0.05

    def force(x):
        return -2 * x

    value = np.asarray(answer(x.copy(), force, dt, noise.copy()), float)
    if np.allclose(value, langevin_solution(x, force, dt, noise)):
        return None
    known = [
        (x + dt * force(x) + np.sqrt(dt) * noise, "√dt samples half the temperature: the noise needs √(2 dt) to balance."),
        (x + dt * force(x) + 2 * dt * noise, "Noise must grow like √dt: steps of a random walk add in squares."),
        (x + dt * force(x) + dt * noise, "Noise must grow like √dt: steps of a random walk add in squares."),
        (x - dt * force(x) + np.sqrt(2 * dt) * noise, "Uphill: the force is −∂S/∂x already, it is added."),
        (x + dt * force(x), "No noise: that descends to the minimum and stays there."),
        (x + np.sqrt(2 * dt) * noise, "No force: that is free diffusion, which knows no action."),
        (dt * force(x) + np.sqrt(2 * dt) * noise, "That is the change of x; return the new x."),
    ]
    for wrong, diagnosis in known:
        if np.allclose(value, wrong):
            return diagnosis
    return (
        f"From x = {x[0]:.3f} with noise {noise[0]:.3f}, the step goes to {langevin_solution(x, force, dt, noise)[0]:.4f}."
    )


def exchange_stub(beta, energy, other_beta, other_energy):
    """Probability to exchange the configurations of two chains at inverse temperatures β and β', with energies E and E'."""
    raise NotImplementedError


def exchange_solution(beta, energy, other_beta, other_energy):
    """The ratio of the weights after and before, at most 1."""
    return min(1.0, np.exp((beta - other_beta) * (energy - other_energy)))


def check_exchange(answer):
    cases = [(1.0, -20.0, 0.5, -12.0), (1.0, -12.0, 0.5, -20.0), (0.4, -7.0, 0.5, -9.0), (2.0, -30.0, 1.9, -29.0)]
    values = np.array([float(answer(*case)) for case in cases])
    exact = np.array([exchange_solution(*case) for case in cases])
    beta, energy, other_beta, other_energy = np.array(cases).T
    if np.allclose(values, exact):
        return None
    if (values > 1 + 1e-9).any():
        return "Some of your probabilities are larger than 1: take the smaller of 1 and the ratio of weights."
    if np.allclose(values, np.minimum(1, np.exp(-(beta - other_beta) * (energy - other_energy)))):
        return "The sign is reversed: the cold chain must be glad to take the lower energy."
    if np.allclose(values, np.minimum(1, np.exp(-beta * (other_energy - energy)))):
        return "That is one chain alone: what one gains the other loses, at its own temperature; β − β' decides."
    if np.allclose(values, np.minimum(1, np.exp((1 / beta - 1 / other_beta) * (energy - other_energy)))):
        return "The arguments are inverse temperatures already."
    worst = int(np.argmax(np.abs(values - exact)))
    return f"For β, E, β', E' = {cases[worst]} the probability is {exact[worst]:.4f}, not {values[worst]:.4f}."


exercises = {
    exercise.name: exercise
    for exercise in (
        Exercise(
            "winding",
            "Write the winding number of the four spins around a plaquette.",
            winding_stub,
            check_winding,
            (
                "Walk around the plaquette and add the angles by which the spin turns from corner to corner.",
                "A spin turns the short way: bring each difference into [−π, π), e.g. with (d + π) % 2π − π.",
                "turns = np.roll(angles, -1) - angles; bring them into [−π, π); return round(sum / 2π)",
            ),
            winding_solution,
            "A whole number that no smooth change of the spins can alter: that is what makes it a particle.",
        ),
        Exercise(
            "helicity",
            "Write the helicity modulus from samples of the angles: what does it cost to twist the spins?",
            helicity_stub,
            check_helicity,
            (
                "Twist every horizontal bond by a small angle a: H(a) = −Σ cos(θ' − θ + a). Υ is the second derivative of "
                "the free energy per site.",
                "Differentiate F = −T ln ⟨exp(−(H(a) − H)/T)⟩ twice: ⟨H''⟩ − β ⟨H'²⟩, with H'' = Σ cos and H' = Σ sin.",
                "turns = np.roll(angles, -1, axis=2) - angles; current = np.sin(turns).sum(axis=(1, 2)); "
                "return (np.cos(turns).sum(axis=(1, 2)).mean() - ...) / angles[0].size",
            ),
            helicity_solution,
            "Stiff below the transition, soft above, and universal at it: Υ = 2T/π.",
        ),
        Exercise(
            "leapfrog",
            "Write the leapfrog integrator of HMC.",
            leapfrog_stub,
            check_leapfrog,
            (
                "Which integrators return to where they came from when the momentum is reversed?",
                "Momentum and position leap over each other: half a kick, drift, kick, drift, …, drift, half a kick.",
                "momentum = momentum + step_size/2 * force(x); then, in each step, x = x + step_size * momentum and a full "
                "kick of the momentum; the last kick is half.",
            ),
            leapfrog_solution,
            "Reversible, volume preserving, second order: all that detailed balance needs.",
        ),
        Exercise(
            "langevin",
            "Write one step of the Langevin equation dx/dt = force + noise.",
            langevin_stub,
            check_langevin,
            (
                "Without noise it rolls into the minimum. How strong must the noise be so that exp(−S) is stationary?",
                "The Fokker–Planck equation ∂p/∂t = ∂(p ∂S + ∂p) has exp(−S) as its rest; its diffusion has ⟨Δx²⟩ = 2 dt.",
                "return x + dt * force(x) + np.sqrt(...) * noise",
            ),
            langevin_solution,
            "Two terms, and any action can be sampled; the diffusion models of part II run this equation backwards.",
        ),
        Exercise(
            "exchange",
            "Write the probability with which parallel tempering exchanges two configurations.",
            exchange_stub,
            check_exchange,
            (
                "The weight of both chains together is exp(−βE − β'E'). What is it after the exchange?",
                "Divide the weight after by the weight before: exp((β − β')(E − E')).",
                "return min(1, np.exp(...))",
            ),
            exchange_solution,
            "Metropolis for the pair: the cold chain gets fresh configurations, and none of the two is biased.",
        ),
    )
}
