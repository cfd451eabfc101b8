"""The inner loop of a Jastrow wave function, log ψ = ½ Σ σ_i v_ij σ_j: |ψ|² sampled from local fields kept up to date."""

import numpy as np
from numba import njit

from mlphys.kernels.generators import philox, unit
from mlphys.kernels.wavefunction import _acts, _lot


@njit(cache=True, nogil=True)
def metropolis_sweeps(x, flips, couplings, betas, chains, seed, first_sweep, sweeps):
    """Metropolis sweeps of |ψ|^(2β): a sweep proposes as many terms, drawn at random, as there are sites.

    `couplings` v, real `(n_sites, n_sites)`, symmetric with a diagonal of zeros. Returns the accepted `(chains,)`.
    """
    accepted = np.zeros(len(x), np.int64)
    for row in range(len(x)):
        spins = x[row]
        fields = np.zeros(len(spins))
        for site in range(len(spins)):
            fields += spins[site] * couplings[site]
        for sweep in range(first_sweep, first_sweep + sweeps):
            for k in range(len(spins)):
                first, second = philox(seed, k, chains[row], sweep)
                term = np.int64(unit(first) * len(flips))
                if not _acts(spins, flips, term):
                    continue
                change = 0.0
                for site in flips[term]:
                    change -= 2 * spins[site] * fields[site]
                if flips.shape[1] == 2:
                    change -= 4 * couplings[flips[term, 0], flips[term, 1]]
                if _lot(second) < np.exp(2 * betas[row] * change):
                    for site in flips[term]:
                        spins[site] = -spins[site]
                        fields += 2 * spins[site] * couplings[site]
                    accepted[row] += 1
    return accepted
