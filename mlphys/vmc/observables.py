"""What a wave function says about states drawn from it: every mean with the error bar of its chains.

States are x `(samples, chains, n_sites)`, as `sample` draws them; a function takes the Hamiltonian that was sampled with,
the wave function and x.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from mlphys import checks, stats
from mlphys.hamiltonians.born import Born
from mlphys.hamiltonians.quantum import QuantumSpins, TransverseIsing
from mlphys.nets.wavefunctions import WaveFunction
from mlphys.samplers.metropolis import Metropolis
from mlphys.stats import Estimate
from mlphys.threads import one_blas_thread
from mlphys.vmc.sampling import draw

# States whose amplitudes or local energies are computed at once.
BATCH = 8192

Observable = Callable[[QuantumSpins, WaveFunction, torch.Tensor], Estimate | list[Estimate]]


def sample(
    hamiltonian: QuantumSpins, psi: WaveFunction, samples: int = 16128, chains: int = 16, seed: int = 0,
    *, sweeps: int = 1, burn_in: int = 100,
) -> torch.Tensor:
    """States x `(samples // chains, chains, n_sites)` from |ψ|², `sweeps` sweeps apart; raises ValueError for bad arguments.

    >>> import mlphys as mp
    >>> sample(mp.TransverseIsing(mp.lattices.chain(8)), mp.nets.RBM(8), samples=64, chains=4).shape
    torch.Size([16, 4, 8])
    """
    rows = rows_of(samples, chains)
    sampler = Metropolis(Born(psi, hamiltonian))
    state = sampler.init(chains, seed=checks.seed(seed))
    with one_blas_thread(psi.compiled):
        sampler.step(state, burn_in)
        x, _ = draw(sampler, state, rows, sweeps)
    return x.view(rows, chains, -1)


def rows_of(samples: int, chains: int) -> int:
    """How many samples each chain gives; ValueError unless it is a whole number of at least 1."""
    if checks.whole("samples", samples, 1) % checks.whole("chains", chains, 1):
        raise ValueError(f"samples={samples!r} is not allowed: it must be a multiple of chains={chains}")
    return samples // chains


def local_values(operator: QuantumSpins, psi: WaveFunction, x: torch.Tensor) -> np.ndarray:
    """Σ_x' ⟨x|O|x'⟩ ψ(x')/ψ(x) of any operator that is written as a Hamiltonian, `(samples, chains)`."""
    with one_blas_thread(psi.compiled):
        parts = [psi.local_energies(operator, part).cpu().numpy() for part in x.flatten(0, 1).split(BATCH)]
    return np.concatenate(parts).reshape(x.shape[:2])


def mean(operator: QuantumSpins, psi: WaveFunction, x: torch.Tensor) -> Estimate:
    """⟨O⟩ of any operator that is written as a Hamiltonian; raises ValueError where ψ is not finite."""
    return stats.estimate(local_values(operator, psi, x).real, minimum=0)


def v_score(hamiltonian: QuantumSpins, psi: WaveFunction, x: torch.Tensor) -> Estimate:
    """n_sites Var H / ⟨H⟩², which is 0 in an eigenstate. Source: Wu et al. 2024 (10.1126/science.adg9774)."""
    local, n_sites = local_values(hamiltonian, psi, x), hamiltonian.lattice.n_sites
    # Counted from the mean, or the variance of a good state would drown in the square of its energy.
    origin = local.mean()

    def score(energy, square):
        return n_sites * (square - energy**2) / (origin.real + energy) ** 2

    return stats.gamma_method(score, (local - origin).real, np.abs(local - origin) ** 2, minimum=0)


def sigma_x(hamiltonian: QuantumSpins, psi: WaveFunction, x: torch.Tensor) -> Estimate:
    """⟨σˣ⟩ of a site, averaged over all."""
    lattice = hamiltonian.lattice
    return mean(TransverseIsing(lattice, coupling=0.0, field=-1 / lattice.n_sites), psi, x)


def correlation(hamiltonian: QuantumSpins, psi: WaveFunction, x: torch.Tensor) -> list[Estimate]:
    """⟨σᶻ(0) σᶻ(r)⟩ averaged over all origins, for the r of every site of the lattice, `(n_sites,)`."""
    _, products = _fluctuations(hamiltonian, x)
    return [stats.estimate(series, minimum=0) for series in products]


def structure_factor(hamiltonian: QuantumSpins, psi: WaveFunction, x: torch.Tensor) -> list[Estimate]:
    """S(q) = Σ_r ⟨σᶻ(0) σᶻ(r)⟩ cos qr, for q = 2π (coordinates of each site) / (sides of the lattice), `(n_sites,)`.

    On a triangular lattice q counts along the axes of the reciprocal lattice.
    """
    power, _ = _fluctuations(hamiltonian, x)
    return [stats.estimate(series, minimum=0) for series in power]


def _fluctuations(hamiltonian: QuantumSpins, x: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """|σᶻ(q)|² / n_sites and Σ_i σᶻ(i) σᶻ(i + r) / n_sites of each state, `(n_sites, samples, chains)`."""
    shape = hamiltonian.lattice.shape
    axes = tuple(range(2, 2 + len(shape)))
    spins = x.cpu().numpy().reshape(*x.shape[:2], *shape)
    power = np.abs(np.fft.fftn(spins, axes=axes)) ** 2 / hamiltonian.lattice.n_sites
    products = np.fft.ifftn(power, axes=axes).real
    first, second = (np.moveaxis(part.reshape(*x.shape[:2], -1), -1, 0) for part in (power, products))
    return first, second


def spin_correlation(
    hamiltonian: QuantumSpins, psi: WaveFunction, x: torch.Tensor, step: int | Sequence[int]
) -> tuple[Estimate, Estimate]:
    """⟨S(0)·S(r)⟩ and 3⟨Sᶻ(0)Sᶻ(r)⟩ at r = `step` (whole numbers along the axes): the same in a state without direction.

    Raises ValueError where r leads back to the origin.

    >>> import mlphys as mp
    >>> model, psi = mp.HeisenbergJ1J2(mp.lattices.chain(8)), mp.nets.RBM(8)
    >>> for _ in mp.vmc.ground_state(model, psi, 60, samples=512):
    ...     pass
    >>> both = spin_correlation(model, psi, sample(model, psi, samples=4096), step=1)
    >>> [abs(value.mean / (mp.exact.ground_energy(model) / 8) - 1) < 0.1 for value in both]
    [True, True]
    """
    lattice = hamiltonian.lattice
    sites, there = np.arange(lattice.n_sites, dtype=np.int32), lattice.shifted(step)
    if there[0] == 0:
        raise ValueError(f"step={step!r} is not allowed: it leads back to where it starts on {lattice!r}")
    product = QuantumSpins()
    product.lattice, product.pairs = lattice, np.stack([sites, there], axis=1)
    product.flips, product.zz = product.pairs, np.full(len(sites), 1 / (4 * len(sites)))
    # In Marshall's basis one sublattice is turned by π about z.
    turned = getattr(hamiltonian, "marshall", False) and lattice.colours[0] != lattice.colours[there[0]]
    product.weights = (-2 if turned else 2) * product.zz
    along_z = QuantumSpins()
    along_z.__dict__ |= {**vars(product), "zz": 3 * product.zz, "weights": 0 * product.weights}
    return mean(product, psi, x), mean(along_z, psi, x)


@torch.no_grad()
def renyi2(
    hamiltonian: QuantumSpins, psi: WaveFunction, x: torch.Tensor, sites: Sequence[int], partners: int = 4
) -> Estimate:
    """Rényi-2 entropy −log tr ρ² of `sites`, by swapping them between replicas: each chain and the next `partners` chains.

    Raises ValueError for sites that do not exist, for more partners than there are other chains, and for a mean swap that
    is not positive: then there are too few samples for so much entanglement. Source: Hastings et al. 2010
    (10.1103/PhysRevLett.104.157201).
    """
    n_sites, inside = hamiltonian.lattice.n_sites, sorted(set(map(int, sites)))
    if not inside or inside[0] < 0 or inside[-1] >= n_sites:
        raise ValueError(f"sites={sites!r} is not allowed: it must name sites from 0 to {n_sites - 1}")
    if not 1 <= partners < x.shape[1]:
        raise ValueError(f"partners={partners!r} is not allowed: x has {x.shape[1]} chains, it must be from 1 to one less")
    alone, purity = _log_psi(psi, x.flatten(0, 1)).view(x.shape[:2]), torch.zeros(1)
    for k in range(1, partners + 1):
        other, swapped = x.roll(k, 1), x.clone()
        swapped[..., inside] = other[..., inside]
        log = _log_psi(psi, swapped.flatten(0, 1)).view(x.shape[:2])
        swapped = other.clone()
        swapped[..., inside] = x[..., inside]
        log = log + _log_psi(psi, swapped.flatten(0, 1)).view(x.shape[:2])
        ratio = (log - alone - alone.roll(k, 1)).exp().real
        if hamiltonian.conserves_magnetisation:  # amplitudes outside the sector are zero, whatever the network says
            ratio *= x[..., inside].sum(-1) == other[..., inside].sum(-1)
        purity = purity.to(ratio) + ratio / partners
    # Pairs that share a chain are not independent: one series of the means over all pairs.
    series = purity.mean(1).cpu().numpy()
    if not series.mean() > 0:
        raise ValueError(f"x has too few states, {alone.numel()}: the mean swap is {series.mean():.2g}, not positive")
    return stats.gamma_method(lambda purity: -np.log(purity), series, minimum=0)


@torch.no_grad()
def fidelity(hamiltonian: QuantumSpins, psi: WaveFunction, vector: np.ndarray, sector: int | None = None) -> float:
    """|⟨ψ|φ⟩|² with a state vector φ over `hamiltonian.basis(sector)`, summed over all of it, as `exact.ground_state` does.

    Without a sector, that of Σσᶻ nearest to 0 where it is conserved. Raises ValueError for a vector of another length.

    >>> import mlphys as mp
    >>> model = mp.TransverseIsing(mp.lattices.chain(8), field=5.0)
    >>> _, vector = mp.exact.quantum.ground_state(model)
    >>> 0.5 < fidelity(model, mp.nets.RBM(8), vector) < 1   # nearly the uniform state
    True
    """
    if sector is None and hamiltonian.conserves_magnetisation:
        sector = hamiltonian.lattice.n_sites % 2
    states = torch.from_numpy(hamiltonian.spins(hamiltonian.basis(sector)))
    if np.shape(vector) != (len(states),):
        raise ValueError(f"vector has shape {np.shape(vector)}: allowed is ({len(states)},), the basis of sector={sector}")
    log = _log_psi(psi, states.to(next(psi.parameters()).device)).cpu()
    amplitudes = (log - log.real.max()).exp().numpy()
    overlap = abs(np.vdot(amplitudes, vector)) ** 2
    return float(overlap / np.vdot(amplitudes, amplitudes).real / np.vdot(vector, vector).real)


def _log_psi(psi: WaveFunction, states: torch.Tensor) -> torch.Tensor:
    return torch.cat([psi.log_psi(part) for part in states.split(BATCH)])
