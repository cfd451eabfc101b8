"""A plain Metropolis sampler that is right, and the broken ones: each differs from a right one by one mistake."""

import numpy as np

import mlphys as mp
from mlphys.core import Info
from mlphys.random import generator


class PlainMetropolis(mp.Sampler):
    """Metropolis in numpy, site by site over all chains at once: right, slow, and easy to break."""

    def numbers(self, state):
        """Uniform numbers of one sweep, `(n_sites, chains)`."""
        return generator(state.seed, "plain", state.sweep).random((self.hamiltonian.lattice.n_sites, state.chains))

    def field(self, x, before, site):
        """Sum of the neighbouring spins, `(chains,)`; `before` is the configuration when the sweep began."""
        return x[:, self.hamiltonian.lattice.neighbours[site]].sum(1)

    def acceptance(self, beta, change):
        """Probability to accept a flip that changes the energy by `change`, `(chains,)`."""
        return np.exp(-beta * np.maximum(change, 0))

    def proposes(self, x, site, uniform):
        """Whether a flip is proposed at all, `(chains,)`."""
        return np.ones(len(x), bool)

    def step(self, state, sweeps=1):
        x = state.configuration.spins()
        for _ in range(sweeps):
            numbers, before = self.numbers(state), x.copy()
            for site in range(x.shape[1]):
                change = 2 * x[:, site] * self.field(x, before, site)
                accepted = numbers[site] < self.acceptance(state.beta, change)
                x[accepted & self.proposes(x, site, numbers[site - 1]), site] *= -1
            state.sweep += 1
        return Info()


class SharedRandomNumbers(PlainMetropolis):
    """All chains use the same numbers: each alone is right, together they are copies of one another."""

    def numbers(self, state):
        return super().numbers(state)[:, :1]


class TruncatedAcceptance(PlainMetropolis):
    """The acceptance probability is cut to four binary digits."""

    def acceptance(self, beta, change):
        return np.floor(super().acceptance(beta, change) * 16) / 16


class WrongDetailedBalance(PlainMetropolis):
    """β is five per cent too large in the acceptance."""

    def acceptance(self, beta, change):
        return super().acceptance(1.05 * beta, change)


class DoubleCounting(PlainMetropolis):
    """The energy change counts every bond twice."""

    def acceptance(self, beta, change):
        return super().acceptance(beta, 2 * change)


class MissingCorrection(PlainMetropolis):
    """Flips up are proposed more often than flips down, and nothing corrects for it."""

    def proposes(self, x, site, uniform):
        return uniform < np.where(x[:, site] > 0, 0.8, 1.0)


class HalfUpdatedNeighbours(PlainMetropolis):
    """Half of the neighbours are read as they were before the sweep, as unsynchronised threads would."""

    def field(self, x, before, site):
        near = self.hamiltonian.lattice.neighbours[site]
        return x[:, near[:2]].sum(1) + before[:, near[2:]].sum(1)


class StoppedAfterVolume(mp.Wolff):
    """Flips clusters until as many sites as the lattice has were flipped, rather than a fixed number of clusters."""

    def step(self, state, sweeps=1):
        from mlphys.kernels import cluster

        self.adopt(state)
        x, lattice = state.configuration.spins(), self.hamiltonian.lattice
        for _ in range(sweeps):
            flipped = np.zeros(state.chains, np.int64)
            while (unfinished := flipped < lattice.n_sites).any():
                flipped += cluster.wolff_clusters_square(
                    x, *lattice.shape, 1.0, state.beta, unfinished.astype(np.int64), state.cache["cluster_streams"]
                )
            state.sweep += 1
        return Info()


BROKEN = [
    SharedRandomNumbers,
    TruncatedAcceptance,
    WrongDetailedBalance,
    DoubleCounting,
    MissingCorrection,
    HalfUpdatedNeighbours,
    StoppedAfterVolume,
]
