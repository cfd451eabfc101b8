"""Exact twins of quantum spins: Lanczos, free fermions, Bethe's ansatz, and what follows from a state vector."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mlphys.hamiltonians.quantum import QuantumSpins

# Exact diagonalisation of larger lattices: energies per site by (shape, j2), read in the varbench collection.
PUBLISHED: dict[tuple, float] = {((6, 6), 0.0): -0.678872150, ((6, 6), 0.5): -0.503809654}


def ground_energy(hamiltonian: "QuantumSpins") -> float:
    """The exact ground-state energy in units of the coupling: of the whole lattice, not per site.

    In closed form for a transverse-field chain of any size, by Bethe's ansatz for a Heisenberg chain of even length, from
    published diagonalisations for the 6 × 6 J1–J2 model, else by Lanczos. Raises ValueError where none of them reaches.

    >>> import mlphys as mp
    >>> print(f"{mp.exact.ground_energy(mp.TransverseIsing(mp.lattices.chain(16))) / 16:.9f}")
    -1.275287155
    """
    from mlphys.hamiltonians.quantum import XXZ, HeisenbergJ1J2, TransverseIsing

    lattice = hamiltonian.lattice
    if lattice.name == "chain" and lattice.n_sites > 2:
        unfrustrated = lattice.n_sites % 2 == 0
        if isinstance(hamiltonian, TransverseIsing) and (unfrustrated or hamiltonian.coupling >= 0):
            return free_fermions(lattice.n_sites, abs(hamiltonian.coupling), hamiltonian.field)
        isotropic = (isinstance(hamiltonian, HeisenbergJ1J2) and hamiltonian.j2 == 0) or (
            isinstance(hamiltonian, XXZ) and hamiltonian.anisotropy == 1
        )
        if isotropic and unfrustrated:
            return bethe_ansatz(lattice.n_sites)
    if isinstance(hamiltonian, HeisenbergJ1J2) and (lattice.shape, hamiltonian.j2) in PUBLISHED:
        return PUBLISHED[lattice.shape, hamiltonian.j2] * lattice.n_sites
    energy, _ = ground_state(hamiltonian)
    # A ferromagnet's is the polarised state.
    return min(energy, float(hamiltonian.zz.sum())) if hamiltonian.conserves_magnetisation else energy


def free_fermions(n_sites: int, coupling: float = 1.0, field: float = 1.0) -> float:
    """Ground-state energy of the periodic chain −J Σσᶻσᶻ − h Σσˣ, from its free fermions.

    Source: Pfeuty 1970 (10.1016/0003-4916(70)90270-8).

    >>> round(free_fermions(40) / 40, 12)
    -1.273566852856
    """
    k = np.pi * (2 * np.arange(n_sites) + 1) / n_sites
    return -float(np.sqrt(coupling**2 + field**2 - 2 * coupling * abs(field) * np.cos(k)).sum())


def bethe_ansatz(n_sites: int) -> float:
    """Ground-state energy of the Heisenberg ring Σ S·S of even length, by Newton's method on Bethe's equations.

    Source: Bethe 1931 (10.1007/BF01341708).

    >>> round(bethe_ansatz(40) / 40, 12)
    -0.443663069708
    """
    half = n_sites // 2
    numbers = np.arange(half) - (half - 1) / 2
    # The solution of the infinite ring is a good start.
    rapidities = np.arcsinh(np.tan(np.pi * numbers / n_sites)) / np.pi
    for _ in range(50):
        apart = rapidities[:, None] - rapidities
        residual = n_sites * np.arctan(2 * rapidities) - np.pi * numbers - np.arctan(apart).sum(1)
        kernel = 1 / (1 + apart**2)
        jacobian = kernel + np.diag(2 * n_sites / (1 + 4 * rapidities**2) - kernel.sum(1))
        change = np.linalg.solve(jacobian, residual)
        rapidities -= change
        if np.abs(change).max() < 1e-14:
            break
    return n_sites / 4 - float((2 / (1 + 4 * rapidities**2)).sum())


def ground_state(hamiltonian: "QuantumSpins", sector: int | None = None) -> tuple[float, np.ndarray]:
    """Energy and state vector of the ground state over `hamiltonian.basis(sector)`, by Lanczos in sectors of symmetry.

    Without a sector, that of Σσᶻ nearest to 0 where it is conserved, which holds the ground state of every
    antiferromagnet. The vector has norm 1 and its largest component is positive. Raises ValueError above 2²² states.
    """
    from mlphys.exact.sectors import Sectors

    if sector is None and hamiltonian.conserves_magnetisation:
        sector = hamiltonian.lattice.n_sites % 2
    energy, vector = Sectors(hamiltonian, sector).ground_state()
    return energy, vector * np.sign(vector[np.abs(vector).argmax()])


def evolution(hamiltonian: "QuantumSpins", start: np.ndarray, times: Sequence[float]) -> np.ndarray:
    """exp(−iHt) |start⟩ at each time, complex `(times, n_states)`; start is a vector over the whole basis."""
    from scipy.sparse.linalg import expm_multiply

    matrix = -1j * hamiltonian.to_sparse()
    states, now, vector = [], 0.0, np.asarray(start, complex)
    for time in times:
        vector = expm_multiply((time - now) * matrix, vector) if time != now else vector
        states.append(vector)
        now = time
    return np.array(states)


def renyi2(vector: np.ndarray, codes: np.ndarray, n_sites: int, sites: Sequence[int]) -> float:
    """Rényi-2 entropy −log tr ρ² of `sites` in a state vector over the basis states `codes`.

    >>> singlet = np.array([1, -1]) / np.sqrt(2)
    >>> round(renyi2(singlet, np.array([1, 2]), 2, [0]), 9) == round(float(np.log(2)), 9)
    True
    """
    inside = sum((codes >> site & 1) << k for k, site in enumerate(sites))
    others = [site for site in range(n_sites) if site not in set(sites)]
    outside = sum((codes >> site & 1) << k for k, site in enumerate(others))
    amplitudes = np.zeros((2 ** len(sites), 2 ** len(others)), vector.dtype)
    amplitudes[inside, outside] = vector
    return -float(np.log((np.linalg.svd(amplitudes, compute_uv=False) ** 4).sum()))
