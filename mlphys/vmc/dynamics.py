"""Real time: the time-dependent variational principle, its samples drawn anew for every rate."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from mlphys import checks, stats
from mlphys.hamiltonians.born import Born
from mlphys.hamiltonians.quantum import QuantumSpins
from mlphys.nets.rbm import RBM, TranslationRBM
from mlphys.nets.wavefunctions import WaveFunction
from mlphys.random import torch_generator
from mlphys.samplers.metropolis import Metropolis
from mlphys.stats import Estimate
from mlphys.threads import one_blas_thread
from mlphys.vmc import observables
from mlphys.vmc.observables import Observable, rows_of
from mlphys.vmc.reconfiguration import Diverged
from mlphys.vmc.sampling import draw

# Runge–Kutta schemes: rows of the tableau, weights, and weights one order lower for the error; the order.
SCHEMES: dict[str, tuple] = {
    "heun": (((1.0,),), (1 / 2, 1 / 2), (1.0, 0.0), 2),
    "bogacki_shampine": (((1 / 2,), (0.0, 3 / 4)), (2 / 9, 1 / 3, 4 / 9), (0.0, 1.0, 0.0), 3),
}
# Width of the weights that make a spin's product with another one move.
WIDTH = 0.5
OBSERVE: dict[str, Observable] = {"sigma_x": observables.sigma_x, "correlation": observables.correlation}


@dataclass(frozen=True)
class Moment:
    """The state at one time: its energy, in all, and what was observed, from the samples that also gave its rate.

    `residual` is the share of the motion that the network cannot follow, |(rate of ψ) + i H ψ|² / Var H, between 0 and 1;
    `dt` is the step that led here; `rhat` and `acceptance` are as in a `Step` of a ground state.
    """

    time: float
    energy: Estimate
    observables: dict[str, Estimate | list[Estimate]]
    residual: float
    dt: float
    rhat: float
    acceptance: float


@dataclass
class _Rate:
    """How fast parameters change, and the metric that says what a change does to the state."""

    change: np.ndarray
    metric: np.ndarray
    x: torch.Tensor
    local: np.ndarray
    residual: float
    acceptance: float

    def distance(self, change: np.ndarray) -> float:
        return math.sqrt(max(np.vdot(change, self.metric @ change).real, 0.0))


def evolve(
    hamiltonian: QuantumSpins, psi: WaveFunction, until: float, dt: float = 0.02, seed: int = 0,
    *, samples: int = 4032, chains: int = 48, scheme: str = "bogacki_shampine", tolerance: float | None = None,
    cutoff: float = 1e-5, noise: float = 0.0, sweeps: int = 1, burn_in: int = 20,
    observe: dict[str, Observable] | None = None,
) -> Iterator[Moment]:
    """Follow exp(−iHt) |ψ⟩ in place from time 0 to `until`; yields a `Moment` at time 0 and after every step.

    dt: the step, or the first one where `tolerance` is given: then steps are chosen so that the error of each, a distance
    in the space of states estimated by the `scheme`, stays below it; noise adds to that estimate. scheme: Runge–Kutta's,
    "heun" of second order or "bogacki_shampine" of third. Each rate solves S θ' = −iF on `samples` fresh states, with real
    parameters its real part (McLachlan's principle). Directions in which the state moves less than `cutoff` of what it does
    in the first one, or whose force is less than `noise` times its error, are left out, softly. observe: name → function
    of (hamiltonian, psi, x), as in `vmc.observables`; σˣ and the correlations of σᶻ unless given. Closing the generator, or
    Ctrl-C, leaves ψ as it last was. Raises ValueError for bad arguments, and Diverged when a rate is not finite.
    Sources: Carleo and Troyer 2017 (10.1126/science.aag2302); Schmitt and Heyl 2020 (10.1103/PhysRevLett.125.100503).

    >>> import mlphys as mp
    >>> lattice = mp.lattices.chain(6)
    >>> psi = polarise(mp.nets.ProjectedRBM(lattice, hidden=4, dtype=torch.complex128))
    >>> *_, last = evolve(mp.TransverseIsing(lattice), psi, until=0.1, dt=0.05, samples=480)
    >>> abs(last.observables["sigma_x"].mean - 0.9610) < 0.02   # exp(−iHt) acting on all 64 amplitudes
    True
    """
    rows = rows_of(samples, chains)
    for name, value in (("until", until), ("dt", dt), ("cutoff", cutoff)):
        if not value > 0:
            raise ValueError(f"{name}={value!r} is not allowed: it must be positive")
    if tolerance is not None and not tolerance > 0:
        raise ValueError(f"tolerance={tolerance!r} is not allowed: it must be positive, or None for steps of equal length")
    checks.one_of("scheme", scheme, tuple(SCHEMES))
    with torch.no_grad():
        if not psi.log_psi(torch.ones(1, psi.n_sites, device=next(psi.parameters()).device)).is_complex():
            raise ValueError(f"psi={type(psi).__name__} is real and cannot move in time: take a complex wave function")
    sampler = Metropolis(Born(psi, hamiltonian))
    state = sampler.init(chains, seed=checks.seed(seed))

    def rate_at(values: torch.Tensor) -> _Rate:
        _load(psi, values)
        with one_blas_thread(psi.compiled):
            sampler.step(state, burn_in if state.sweep == 0 else 2 * sweeps)
            x, acceptance = draw(sampler, state, rows, sweeps)
            return _rate(hamiltonian, psi, x, acceptance, cutoff, noise)

    return _motion(hamiltonian, psi, rate_at, until, dt, SCHEMES[scheme], tolerance, chains, observe or OBSERVE)


def polarise(psi: RBM, seed: int = 0) -> RBM:
    """Make ψ the uniform state, all spins along x, in place and so that it can move away; returns ψ.

    With all weights zero the derivatives of log ψ vanish. Here each hidden unit sees one site and has no bias, which is as
    uniform, while the derivatives are products of two spins. Those weights are drawn from `seed`.

    >>> psi = polarise(RBM(4, alpha=2, dtype=torch.complex128))
    >>> bool((psi.log_psi(torch.tensor([[1, 1, 1, 1], [1, -1, -1, 1]])).diff().abs() < 1e-12).all())
    True
    """
    weights = psi.filters.T if isinstance(psi, TranslationRBM) else psi.weights
    units = torch.arange(weights.shape[1])
    drawn = WIDTH * torch.randn(len(units), dtype=weights.dtype, generator=torch_generator(seed, "polarise"))
    with torch.no_grad():
        for parameter in psi.parameters():
            parameter.zero_()
        weights[units % psi.n_sites, units] = drawn.to(weights.device)
    return psi


def _motion(hamiltonian, psi, rate_at, until, dt, scheme, tolerance, chains, observe) -> Iterator[Moment]:
    rows, weights, lower, order = scheme
    values, time, taken = _values(psi), 0.0, 0.0
    try:
        rate = rate_at(values)
        while True:
            _load(psi, values)
            yield _observe(hamiltonian, psi, rate, time, taken, chains, observe)
            if time >= until * (1 - 1e-9):
                return
            while True:
                taken = min(dt, until - time)
                if until - time - taken < 1e-6 * dt:
                    taken = until - time
                rates = [rate.change]
                for row in rows:
                    rates.append(rate_at(values + taken * _sum(row, rates).to(values)).change)
                if tolerance is None:
                    break
                wrong = taken * rate.distance(_sum(np.subtract(weights, lower), rates).numpy())
                dt = taken * min(2.0, max(0.2, 0.9 * (tolerance / max(wrong, 1e-300)) ** (1 / order)))
                if wrong <= tolerance:
                    break
            values = values + taken * _sum(weights, rates).to(values)
            time += taken
            rate = rate_at(values)
    except KeyboardInterrupt:
        _load(psi, values)
    except Diverged:
        _load(psi, values)
        raise


def _rate(hamiltonian, psi, x, acceptance: float, cutoff: float, noise: float) -> _Rate:
    local = psi.local_energies(hamiltonian, x).cpu().numpy()
    if not np.isfinite(local).all() or not acceptance > 0:
        raise Diverged("energies are not finite, or no chain moves any more: make steps shorter, or raise the cutoff")
    tangent, n = psi.tangent(x), len(local)
    motion = -1j * (local - local.mean())
    metric = np.tril(np.asarray(torch.as_tensor(tangent.covariance()).cpu())) / n
    metric += np.tril(metric, -1).conj().T
    scales, vectors = np.linalg.eigh(metric)
    scales = np.maximum(scales, max(1e-16 * scales[-1], 1e-300))
    force = vectors.conj().T @ tangent.pull_back(motion / n)
    kept = 1 / (1 + (cutoff * scales[-1] / scales) ** 6)
    if noise > 0:
        along = (tangent.centred.cpu().numpy() @ vectors).conj() * motion[:, None]
        along = along if np.iscomplexobj(vectors) else along.real
        error = np.sqrt((np.abs(along) ** 2).mean(0) / n)
        kept /= 1 + (noise * error / np.maximum(np.abs(force), 1e-300)) ** 6
    share = kept / scales
    # What is left of −iHψ after the rate of ψ is taken away.
    followed = (np.abs(force) ** 2 * share * (2 - share * scales)).sum()
    residual = 1 - followed / max((np.abs(motion) ** 2).mean(), 1e-300)
    return _Rate(vectors @ (share * force), metric, x, local, float(residual), acceptance)


def _observe(hamiltonian, psi, rate: _Rate, time, dt, chains, observe: dict[str, Callable]) -> Moment:
    x, local = rate.x.view(-1, chains, rate.x.shape[1]), rate.local.real.reshape(-1, chains)
    found = {name: function(hamiltonian, psi, x) for name, function in observe.items()}
    energy, rhat = stats.estimate(local, minimum=0), stats.split_rhat(local)
    return Moment(time, energy, found, rate.residual, dt, rhat, rate.acceptance)


def _sum(weights, rates: list[np.ndarray]) -> torch.Tensor:
    return torch.from_numpy(sum(weight * rate for weight, rate in zip(weights, rates, strict=False)))


def _values(psi: WaveFunction) -> torch.Tensor:
    return torch.nn.utils.parameters_to_vector(psi.parameters()).detach().clone()


def _load(psi: WaveFunction, values: torch.Tensor) -> None:
    with torch.no_grad():
        torch.nn.utils.vector_to_parameters(values, psi.parameters())
