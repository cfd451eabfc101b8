"""A plain Metropolis sampler that is right, and the broken ones: each differs from a right one by one mistake."""

import numpy as np

import mlphys as mp
from mlphys.core import Info
from mlphys.random import generator


class PlainMetropolis(mp.Sampler):
    """Metropolis in numpy, one sublattice after the other, all chains at once: right, and easy to break."""

    def numbers(self, state):
        """Uniform numbers of one sweep, for proposals and acceptances, `(2, chains, n_sites)`."""
        return generator(state.seed, "plain", state.sweep).random((2, state.chains, self.hamiltonian.lattice.n_sites))

    def field(self, x, before, sites):
        """Sum of the neighbouring spins, `(chains, sites)`; `before` is the configuration when the sweep began."""
        return x[:, self.hamiltonian.lattice.neighbours[sites]].sum(2)

    def acceptance(self, beta, change):
        """Probability to accept a flip that changes the energy by `change`, `(chains, sites)`."""
        return np.exp(-beta[:, None] * np.maximum(change, 0))

    def proposal(self, spins):
        """Probability to propose a flip, `(chains, sites)`: below 1, or flips that cost nothing could go round for ever."""
        return np.full(spins.shape, 0.9)

    def step(self, state, sweeps=1):
        x, colours = state.configuration.spins(), self.hamiltonian.lattice.colours
        for _ in range(sweeps):
            proposing, accepting = self.numbers(state)
            before = x.copy()
            for colour in range(colours.max() + 1):
                sites = np.flatnonzero(colours == colour)
                change = 2 * x[:, sites] * self.field(x, before, sites)
                flips = proposing[:, sites] < self.proposal(x[:, sites])
                flips &= accepting[:, sites] < self.acceptance(state.beta, change)
                x[:, sites] *= np.where(flips, -1, 1).astype(x.dtype)
            state.sweep += 1
        return Info()


class SharedRandomNumbers(PlainMetropolis):
    """All chains use the same numbers: each alone is right, together they are copies of one another."""

    def numbers(self, state):
        numbers = super().numbers(state)
        numbers[:] = numbers[:, :1]
        return numbers


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

    def proposal(self, spins):
        return np.where(spins > 0, 0.7, 0.9)


class HalfUpdatedNeighbours(PlainMetropolis):
    """Half of the neighbours are read as they were before the sweep, as unsynchronised threads would."""

    def field(self, x, before, sites):
        near = self.hamiltonian.lattice.neighbours[sites]
        return x[:, near[:, :2]].sum(2) + before[:, near[:, 2:]].sum(2)


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


class PlainPairMetropolis(mp.Sampler):
    """Metropolis in numpy for Potts and clock models, one colour after the other: right, and easy to break."""

    def shares(self, x):
        """Probability of each value to be proposed instead of `x`, `(chains, sites, q)`; what is missing keeps `x`."""
        q = self.hamiltonian.q
        return np.full((*x.shape, q), 1 / q)

    def step(self, state, sweeps=1):
        model, x = self.hamiltonian, state.configuration.spins()
        colours = model.lattice.colours
        for _ in range(sweeps):
            numbers = generator(state.seed, "plain", state.sweep).random((2, *x.shape))
            for colour in range(colours.max() + 1):
                sites = np.flatnonzero(colours == colour)
                old, near = x[:, sites], x[:, model.lattice.neighbours[sites]]
                below = numbers[0][:, sites, None] >= self.shares(old).cumsum(2)[..., :-1]
                new = below.sum(2).astype(np.int8)
                change = (model.pair_energy[new[..., None], near] - model.pair_energy[old[..., None], near]).sum(2)
                accepted = numbers[1][:, sites] < np.exp(-state.beta[:, None] * np.maximum(change, 0))
                x[:, sites] = np.where(accepted, new, old)
            state.sweep += 1
        return Info()


class SkewedProposals(PlainPairMetropolis):
    """Proposes the value 0 more often than the others, and nothing corrects for it."""

    def shares(self, x):
        shares = super().shares(x)
        shares[..., 0] *= 1.5
        return shares / shares.sum(-1, keepdims=True)


class ColdHeatBath(mp.HeatBath):
    """A heat bath whose β is five per cent too large."""

    def step(self, state, sweeps=1):
        state.beta *= 1.05
        info = super().step(state, sweeps)
        state.beta /= 1.05
        return info
