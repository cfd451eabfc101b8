"""Clusters of embedded Ising variables: published values on real sizes, antiferromagnets, and clusters that are wrong."""

import math

import numpy as np
import pytest

import mlphys as mp
from mlphys.kernels import embedded

# Energies per site by others, values and errors; samples, chains, sweeps between samples.
ENERGIES = [
    (mp.Wolff, mp.XY(mp.square(16)), 0.8929, (200, 128, 2), (-1.4501, 3e-4)),
    (mp.SwendsenWang, mp.XY(mp.square(8)), 0.8929, (400, 128, 2), (-1.4611, 4e-4)),
    (mp.SwendsenWang, mp.Clock(mp.square(16), 6), 0.9, (200, 64, 2), (-1.4542, 9e-4)),
    (mp.Wolff, mp.Clock(mp.square(16), 6), 0.7, (200, 64, 2), (-1.6445, 9e-4)),
]


@pytest.mark.parametrize("sampler, model, temperature, effort, expected", ENERGIES, ids=str)
def test_energy_agrees_with_simulations_by_others(sampler, model, temperature, effort, expected):
    samples, chains, thin = effort
    chain = mp.run(sampler(model), samples, temperature, chains, seed=31, thin=thin, burn_in=200, observe=("energy",))
    estimate, (value, error) = chain.estimate("energy"), expected
    assert abs(estimate.mean - value) < 4 * math.hypot(estimate.error, error)
    assert estimate.error < 1e-3 * abs(value)


@pytest.mark.parametrize("sampler", [mp.Wolff, mp.SwendsenWang], ids=lambda s: s.__name__)
@pytest.mark.parametrize(
    "model, temperature",
    [
        (mp.Potts(mp.square(3), 3, coupling=1.0), 1.0),
        (mp.Clock(mp.chain(6), 6, coupling=-1.0), 0.6),
        (mp.XY(mp.chain(10), coupling=-1.0), 0.5),
        (mp.Heisenberg(mp.chain(10), coupling=-1.0), 0.5),
        (mp.Phi4.from_kappa(mp.chain(10), kappa=-0.4, coupling=0.3), 1.0),
    ],
    ids=str,
)
def test_energy_agrees_with_the_exact_twin(sampler, model, temperature):
    exact = mp.exact.thermal(model, temperature).energy
    energy = mp.run(sampler(model), 600, temperature, 256, seed=32, observe=("energy",)).estimate("energy")
    assert abs(energy.deviation(exact)) < 4
    assert energy.error < 3e-3 * abs(exact)


class HalfBeta(mp.SwendsenWang):
    """Links of probability 1 − exp(−β a a') rather than 1 − exp(−2 β a a')."""

    def _embedded_step(self, state, sweeps, kernel, *by_chain):
        state.beta /= 2
        info = super()._embedded_step(state, sweeps, kernel, *by_chain)
        state.beta *= 2
        return info


class StoppedAfterVolume(mp.Wolff):
    """Flips clusters until as many sites as the lattice has were visited, rather than a fixed number of clusters."""

    def step(self, state, sweeps=1):
        self.adopt(state)
        streams, lattice = state.cache["cluster_streams"], self.hamiltonian.lattice
        x = state.configuration.spins()
        for _ in range(sweeps):
            a, reflect = self.hamiltonian.embedding(x, np.random.default_rng([state.seed, state.sweep]))
            visited, turned = np.zeros(state.chains, np.int64), np.zeros(a.shape, np.bool_)
            while (unfinished := visited < lattice.n_sites).any():
                once, signs = np.zeros_like(turned), np.where(turned, -a, a)
                clusters = unfinished.astype(np.int64)
                visited += embedded.wolff_clusters(signs, once, lattice.neighbours, state.beta, clusters, streams)
                turned ^= once
            x[:] = reflect(turned)
            state.sweep += 1
        return mp.Info()


@pytest.mark.parametrize("sampler", [HalfBeta, StoppedAfterVolume], ids=lambda s: s.__name__)
def test_wrong_clusters_are_rejected(sampler):
    model, temperature = mp.XY(mp.chain(10)), 0.5
    energy = mp.run(sampler(model), 600, temperature, 256, seed=32, observe=("energy",)).estimate("energy")
    assert abs(energy.deviation(mp.exact.thermal(model, temperature).energy)) > 5
