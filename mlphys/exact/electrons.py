"""Exact values of double exchange on two or three sites, by quadrature over the directions of the spins."""

from typing import Any

import numpy as np

from mlphys.exact.values import Exact

NODES = 32


def double_exchange(hamiltonian: Any) -> Exact:
    """Grand potential Ω and ⟨m²⟩ of a `DoubleExchange` model of two or three sites, m the mean spin; energies per site.

    `energy` is ⟨Ω⟩ and `log_partition` ln ∫ exp(−Ω/T) over directions, from dΩ/4π each; both belong to the model's own
    temperature, and so there is no heat capacity. Rotations leave Ω alone: the first spin points along z, the second lies
    in the xz plane. Raises ValueError for larger lattices.

    >>> import mlphys as mp
    >>> print(f"{double_exchange(mp.DoubleExchange(mp.chain(3), temperature=0.2)).energy:.6f}")
    -1.379178
    """
    import torch

    n_sites = hamiltonian.lattice.n_sites
    if n_sites > 3:
        raise ValueError(f"hamiltonian={hamiltonian!r} has {n_sites} sites: allowed are at most 3")
    cosine, weight = np.polynomial.legendre.leggauss(NODES)
    # Rows of (weight, cosine of the second spin, cosine and azimuth of the third); the azimuth is symmetric about π.
    if n_sites == 2:
        weights, z2, z3, phi = weight / 2, cosine, 0 * cosine, 0 * cosine
    else:
        azimuths = np.pi * (np.arange(NODES) + 0.5) / NODES
        grids = np.meshgrid(cosine, cosine, azimuths, indexing="ij")
        z2, z3, phi = (grid.ravel() for grid in grids)
        weights = np.einsum("i,j,k->ijk", weight / 2, weight / 2, np.full(NODES, 1 / NODES)).ravel()
    spins = np.zeros((len(weights), 3, 3))
    spins[:, 0, 2] = 1
    spins[:, 1, 0], spins[:, 1, 2] = np.sqrt(1 - z2**2), z2
    spins[:, 2] = np.stack([np.sqrt(1 - z3**2) * np.cos(phi), np.sqrt(1 - z3**2) * np.sin(phi), z3], 1)
    spins = spins[:, :n_sites]
    energy = hamiltonian.energy(torch.from_numpy(spins)).numpy()
    log_weights = np.log(weights) - energy / hamiltonian.temperature
    log_partition = np.logaddexp.reduce(log_weights)
    probabilities = np.exp(log_weights - log_partition)
    mean_energy = probabilities @ energy / n_sites
    m2 = probabilities @ (spins.mean(1) ** 2).sum(1)
    return Exact(float(mean_energy), None, m2=float(m2), log_partition=float(log_partition))
