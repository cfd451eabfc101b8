"""Exercises of lecture 05: each with a stub, a check that knows the usual mistakes, three hints and a solution."""

import numpy as np

from mlphys.lab import Exercise
from mlphys.random import generator


def _states(batch: int, n_sites: int, seed: int) -> np.ndarray:
    return 2 * generator(seed, "exercise").integers(0, 2, (batch, n_sites)) - 1


def _machine(n_sites: int, hidden: int, seed: int, scale: float = 0.5) -> tuple[np.ndarray, ...]:
    random = generator(seed, "machine")
    return tuple(scale * random.normal(size=shape) for shape in ((n_sites,), (hidden,), (n_sites, hidden)))


def amplitude_stub(x, visible, bias, weights):
    """log ψ (batch,) of x = ±1 (batch, n_sites); visible (n_sites,), bias (hidden,), weights (n_sites, hidden)."""
    raise NotImplementedError


def amplitude_solution(x, visible, bias, weights):
    """log cosh θ = |θ| + log(1 + e^(−2|θ|)) − log 2, which never overflows."""
    theta = np.abs(x @ weights + bias)
    return x @ visible + (theta + np.log1p(np.exp(-2 * theta)) - np.log(2)).sum(1)


def check_amplitude(answer):
    for n_sites, hidden, seed in ((4, 4, 1), (6, 12, 2)):
        x, machine = _states(40, n_sites, seed), _machine(n_sites, hidden, seed)
        value, exact = np.asarray(answer(x.copy(), *machine), float), amplitude_solution(x, *machine)
        if value.shape != exact.shape:
            return f"{len(x)} states have {len(x)} amplitudes: the shape is {exact.shape}, not {value.shape}."
        visible, bias, weights = machine
        theta = x @ weights + bias

        def same(other, value=value):
            # The norm of ψ is free.
            return np.ptp(value - other) < 1e-8 * max(1.0, np.ptp(other))

        if same(exact):
            continue
        if same(np.exp(exact)) or np.allclose(value, np.exp(exact)):
            return "That is ψ itself. Its logarithm is wanted: on forty sites ψ leaves the range of numbers."
        if same(exact - x @ visible):
            return "The fields of the visible spins are missing: Σ a σ stands outside the cosh."
        if same(amplitude_solution(x, visible, 0 * bias, weights)):
            return "The bias of the hidden units is missing: θ = b + Σ W σ."
        if same(x @ visible + np.log(np.cosh(theta).sum(1))):
            return "ψ is a product over the hidden units: its logarithm is a sum of log cosh, not the log of a sum."
        if same(x @ visible + theta.sum(1)):
            return "Without the cosh there is no sum over hidden spins, and log ψ is linear in σ: a product state."
        return f"For the state {x[0].tolist()} log ψ − log ψ(next state) is {exact[0] - exact[1]:.4f}."
    x, machine = _states(10, 4, 3), _machine(4, 4, 3, scale=2000.0)
    with np.errstate(over="ignore", invalid="ignore"):
        value = np.asarray(answer(x.copy(), *machine), float)
    if not np.isfinite(value).all():
        return "Right, but cosh θ overflows beyond θ = 710: use |θ| + log(1 + exp(−2|θ|)) − log 2."
    return None


def local_energy_stub(log_psi, x, field):
    """E_loc (batch,) of states x = ±1 (batch, n_sites) of the ring −Σ σᶻσᶻ − h Σ σˣ; log_psi(x) gives (batch,)."""
    raise NotImplementedError


def local_energy_solution(log_psi, x, field):
    """The diagonal, and for each site the amplitude of the state with that spin turned, over the amplitude here."""
    energy, here = -(x * np.roll(x, 1, axis=1)).sum(1).astype(float), log_psi(x)
    for site in range(x.shape[1]):
        turned = x.copy()
        turned[:, site] *= -1
        energy -= field * np.exp(log_psi(turned) - here)
    return energy


def check_local_energy(answer):
    for n_sites, field, seed in ((5, 1.0, 4), (8, 0.7, 5)):
        x, machine = _states(30, n_sites, seed), _machine(n_sites, n_sites, seed, 0.3)

        def log_psi(x, machine=machine):
            return amplitude_solution(np.asarray(x), *machine)

        def with_power(power, field=field, x=x, log_psi=log_psi):
            return local_energy_solution(lambda x: power * log_psi(x), x, field)

        value, exact = np.asarray(answer(log_psi, x.copy(), field), float), local_energy_solution(log_psi, x, field)
        if value.shape != exact.shape:
            return f"{len(x)} states have {len(x)} local energies: the shape is {exact.shape}, not {value.shape}."
        if np.allclose(value, exact):
            continue
        diagonal = -(x * np.roll(x, 1, axis=1)).sum(1)
        known = [
            (with_power(-1), "The ratio is upside down: ψ(x') / ψ(x), with the state that you are in below."),
            (with_power(2), "That ratio is squared: H acts on ψ, not on |ψ|²."),
            (with_power(0), "The field is there, the amplitudes are not: each turned spin counts ψ(x')/ψ(x)."),
            (local_energy_solution(log_psi, x, -field), "The sign of the field's term is reversed: H = … − h Σ σˣ."),
            (exact + (exact - diagonal) * (1 / field - 1), "The strength h of the field is missing."),
            (exact - 2 * diagonal, "The sign of the bonds is reversed: equal neighbours lower the energy."),
            (exact + x[:, 0] * x[:, -1], "One bond is missing: on a ring the last spin is a neighbour of the first."),
            (exact + diagonal, "Every bond counts twice: you met it from both of its ends."),
            (exact - diagonal, "The bonds are missing: that is the field's part alone."),
        ]
        for wrong, diagnosis in known:
            if np.allclose(value, wrong):
                return diagnosis
        return f"For x = {x[0].tolist()} and h = {field} the local energy is {exact[0]:.4f}, not {value[0]:.4f}."
    return None


def gradient_stub(derivatives, local):
    """∂⟨H⟩/∂parameters (n_parameters,): derivatives of log ψ (samples, n_parameters), local energies (samples,)."""
    raise NotImplementedError


def gradient_solution(derivatives, local):
    """Twice the covariance of derivatives and local energies."""
    return 2 * (derivatives - derivatives.mean(0)).T @ (local - local.mean()) / len(local)


def check_gradient(answer):
    random = generator(6, "exercise")
    for samples, parameters in ((200, 5), (500, 12)):
        derivatives, local = 0.5 + random.normal(size=(samples, parameters)), -10 + random.normal(size=samples)
        value, exact = np.asarray(answer(derivatives.copy(), local.copy()), float), gradient_solution(derivatives, local)
        if value.shape != exact.shape:
            return f"One slope for each of {parameters} parameters is wanted: {exact.shape}, not {value.shape}."
        if np.allclose(value, exact) or np.allclose(value, exact * samples / (samples - 1)):
            continue
        plain = (derivatives * local[:, None]).mean(0)
        known = [
            (2 * plain, "Without ⟨O⟩⟨E⟩ the norm of ψ is forgotten: add 100 to all energies, and your slopes change."),
            (plain, "Without ⟨O⟩⟨E⟩ the norm of ψ is forgotten, and a factor 2: ψ stands in ⟨ψ|H|ψ⟩ twice."),
            (exact / 2, "Half of it: ψ stands in ⟨ψ|H|ψ⟩ twice, and both sides vary."),
            (-exact, "The sign is reversed: that is the direction downhill, the gradient points uphill."),
            (exact * samples, "That is the sum over the samples; the gradient is a mean."),
            (
                2 * derivatives.mean(0) * local.mean(),
                "A product of means: the covariance is wanted, how the two go together.",
            ),
        ]
        for wrong, diagnosis in known:
            if np.allclose(value, wrong):
                return diagnosis
        return f"The first slope is {exact[0]:.5f}, not {value[0]:.5f}."
    return None


def natural_stub(derivatives, local, shift):
    """The change δ (n_parameters,) of (S + shift) δ = F; S covariance of the derivatives, F = ⟨O E⟩ − ⟨O⟩⟨E⟩."""
    raise NotImplementedError


def natural_solution(derivatives, local, shift):
    """Solve in the space of the parameters."""
    centred = derivatives - derivatives.mean(0)
    metric = centred.T @ centred / len(local) + shift * np.eye(derivatives.shape[1])
    return np.linalg.solve(metric, centred.T @ (local - local.mean()) / len(local))


def check_natural(answer):
    random = generator(7, "exercise")
    for samples, parameters, shift in ((60, 8, 0.01), (20, 40, 0.1)):
        mixing = random.normal(size=(parameters, parameters))
        derivatives, local = 0.7 + random.normal(size=(samples, parameters)) @ mixing, -10 + random.normal(size=samples)
        value = np.asarray(answer(derivatives.copy(), local.copy(), shift), float)
        exact = natural_solution(derivatives, local, shift)
        if value.shape != exact.shape:
            return f"One change for each of {parameters} parameters is wanted: {exact.shape}, not {value.shape}."
        if np.allclose(value, exact, rtol=1e-6, atol=1e-9):
            continue
        centred, error = derivatives - derivatives.mean(0), local - local.mean()
        force, metric = centred.T @ error / samples, centred.T @ centred / samples
        crooked = derivatives.T @ derivatives / samples + shift * np.eye(parameters)
        whole = centred.T @ centred + shift * np.eye(parameters)
        known = [
            (force, "That is F alone, plain gradient descent: the metric S is not used."),
            (2 * exact, "Twice too large: F is the covariance itself, half of the gradient of the energy."),
            (-exact, "The sign is reversed: δ is taken off the parameters."),
            (np.linalg.solve(crooked, force), "S is a covariance: subtract the means of the derivatives first."),
            (force / (np.diag(metric) + shift), "Only the diagonal of S was used: parameters that do the same move twice."),
            (
                np.linalg.solve(whole, samples * force),
                "The shift was added to a sum: divide S by the number of samples first.",
            ),
            (np.linalg.pinv(metric) @ force, "The shift is missing: where samples say nothing, S⁻¹ amplifies noise."),
        ]
        for wrong, diagnosis in known:
            if np.allclose(value, wrong, rtol=1e-5, atol=1e-8):
                return diagnosis
        return f"With {samples} samples and {parameters} parameters δ₁ is {exact[0]:.5f}, not {value[0]:.5f}."
    return None


def swap_stub(log_psi, x, y, sites):
    """Rényi-2 entropy of `sites`, from two independent sets x, y (samples, n_sites) of |ψ|²; log_psi(x) gives (samples,)."""
    raise NotImplementedError


def _swapped(x, y, sites):
    first, second = x.copy(), y.copy()
    first[:, sites], second[:, sites] = y[:, sites], x[:, sites]
    return first, second


def swap_solution(log_psi, x, y, sites):
    """−log of the mean of ψ(y_A x_B) ψ(x_A y_B) / ψ(x) ψ(y)."""
    first, second = _swapped(x, y, sites)
    return -np.log(np.exp(log_psi(first) + log_psi(second) - log_psi(x) - log_psi(y)).mean())


def check_swap(answer):
    for n_sites, sites, seed in ((6, [0, 1, 2], 8), (8, [1, 2], 9)):
        x, y, machine = _states(400, n_sites, seed), _states(400, n_sites, seed + 10), _machine(n_sites, n_sites, seed, 0.4)

        def log_psi(x, machine=machine):
            return amplitude_solution(np.asarray(x), *machine)

        value, exact = float(answer(log_psi, x.copy(), y.copy(), list(sites))), swap_solution(log_psi, x, y, sites)
        if np.isclose(value, exact):
            continue
        first, second = _swapped(x, y, sites)
        logs = log_psi(first) + log_psi(second) - log_psi(x) - log_psi(y)
        known = [
            (-logs.mean(), "The mean of the logarithms: the purity is the mean of the ratios, and the log comes last."),
            (np.exp(-exact), "That is the purity tr ρ²; the entropy is −log of it."),
            (-exact, "The sign is reversed: a purity is below 1, the entropy −log tr ρ² above 0."),
            (0.0, "Zero: nothing was exchanged, or everything. Exchange the region alone, on copies."),
            (-np.log(np.exp(2 * logs).mean()), "The ratio is squared: x and y are already drawn from |ψ|²."),
            (
                -np.log(np.exp(log_psi(first) - log_psi(x)).mean()),
                "Half of the swap: y changes as well, and its ratio counts.",
            ),
        ]
        for wrong, diagnosis in known:
            if np.isclose(value, wrong):
                return diagnosis
        return f"For these {len(x)} pairs on {n_sites} sites the entropy of {sites} is {exact:.4f}, not {value:.4f}."
    return None


exercises = {
    exercise.name: exercise
    for exercise in (
        Exercise(
            "amplitude",
            "Write the logarithm of a restricted Boltzmann machine's amplitude, so that it never overflows.",
            amplitude_stub,
            check_amplitude,
            (
                "Sum over the hidden spins ±1 of exp(h θ): which function of θ is that?",
                "log ψ = Σ a σ + Σ_j log cosh θ_j with θ = x @ weights + bias; what is log cosh θ for θ = 1000?",
                "t = np.abs(x @ weights + bias); return x @ visible + (t + np.log1p(np.exp(-2 * t)) - np.log(2)).sum(1)",
            ),
            amplitude_solution,
            "N + M + N M numbers instead of 2ᴺ: this is the whole wave function.",
        ),
        Exercise(
            "local energy",
            "Write the local energy of the chain in a transverse field, for any log ψ.",
            local_energy_stub,
            check_local_energy,
            (
                "Which states x' does H join to x? How many are they, and what is ⟨x|H|x'⟩ for each?",
                "The bonds give x its own −Σ σσ. Each term of the field turns one spin and gives −h ψ(x')/ψ(x), "
                "which is −h exp(log ψ(x') − log ψ(x)).",
                "for i in range(n): t = x.copy(); t[:, i] *= -1; e -= field * np.exp(log_psi(t) - log_psi(x)); "
                "bonds: x * np.roll(x, 1, axis=1).",
            ),
            local_energy_solution,
            "N + 1 amplitudes for each sample, and no vector of 2ᴺ numbers anywhere.",
        ),
        Exercise(
            "gradient",
            "Write the gradient of the energy by the parameters, from samples of |ψ|² alone.",
            gradient_stub,
            check_gradient,
            (
                "What happens to your gradient if all local energies grow by 100? What should happen?",
                "The derivative of Σ |ψ|² E_loc / Σ |ψ|² is a covariance; real ψ stands in it twice.",
                "return 2 * (derivatives - derivatives.mean(0)).T @ (local - local.mean()) / len(local)",
            ),
            gradient_solution,
            "In an eigenstate all local energies are equal: then it vanishes for every sample, not only on average.",
        ),
        Exercise(
            "natural gradient",
            "Write a step of stochastic reconfiguration.",
            natural_stub,
            check_natural,
            (
                "How far apart are ψ with parameters p and with p + δ, as states? To second order that is δᵀ S δ.",
                "S = Oᵀ O / samples with centred O, F = Oᵀ (E − mean) / samples; add shift to the diagonal of S.",
                "O = derivatives - derivatives.mean(0); "
                "np.linalg.solve(O.T @ O / n + shift * np.eye(p), O.T @ (local - local.mean()) / n)",
            ),
            natural_solution,
            "Equal steps in the space of states, whatever the parameters are called. With fewer samples than parameters, "
            "solve in the space of samples instead: Oᵀ (O Oᵀ / n + shift)⁻¹ (E − mean) / n is the same.",
        ),
        Exercise(
            "swap",
            "Write the Rényi-2 entropy of a region, from two sets of samples.",
            swap_stub,
            check_swap,
            (
                "Write tr ρ_A² as a sum over two copies of the system: what do the copies exchange?",
                "Exchange the spins in `sites` between x and y; the ratio of the four amplitudes has the mean tr ρ_A².",
                "u, v = x.copy(), y.copy(); u[:, sites], v[:, sites] = y[:, sites], x[:, sites]; "
                "return -np.log(np.exp(log_psi(u) + log_psi(v) - log_psi(x) - log_psi(y)).mean())",
            ),
            swap_solution,
            "A quantity without a classical counterpart, from the same samples as the energy.",
        ),
    )
}
