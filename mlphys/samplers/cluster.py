"""Cluster updates: Wolff and Swendsen–Wang."""

import numpy as np

from mlphys import checks
from mlphys.configurations import Sites
from mlphys.core import Info, Sampler, State
from mlphys.hamiltonians.spins import Ising
from mlphys.random import spawn
from mlphys.threads import over_chains


class _Cluster(Sampler):
    """Grows clusters of satisfied bonds, each kept with probability 1 − exp(−2β|J|)."""

    hamiltonian: Ising

    def __init__(self, hamiltonian: Ising):
        super().__init__(hamiltonian)
        if not isinstance(hamiltonian, Ising):
            raise ValueError(f"hamiltonian={hamiltonian!r} is not supported by {type(self).__name__}: allowed is Ising")

    @property
    def plain_square(self) -> bool:
        """Whether the kernels for the square lattice with one coupling and no field apply."""
        return self.hamiltonian.lattice.name == "square" and self.hamiltonian.uniform and self.hamiltonian.without_field

    def adopt(self, state: State) -> None:
        if not isinstance(state.configuration, Sites):
            state.configuration = Sites(state.configuration.spins())
        if "cluster_streams" not in state.cache:
            from mlphys.kernels import generators

            seed = np.uint64(spawn(state.seed, "cluster"))
            state.cache["cluster_streams"] = generators.seed_streams(seed, state.chains, 1)


class Wolff(_Cluster):
    """The Wolff algorithm: grow one cluster from a random site and flip it.

    A sweep flips a fixed number of clusters, `clusters` (a whole number), or, by default, as many as visit about every
    site once: tuned for each chain during the burn-in of `run` and frozen then (one until then). Stopping "after n_sites
    flipped sites" instead would favour some configurations and bias every average. Takes any couplings but no field:
    ValueError otherwise. Source: Wolff 1989 (10.1103/PhysRevLett.62.361).

    >>> import mlphys as mp
    >>> sampler = mp.Wolff(mp.Ising(mp.square(16)), clusters=5)
    >>> state = sampler.init(chains=3, temperature=2.3, seed=1)
    >>> bool((sampler.step(state).flipped > 0).all())
    True
    """

    def __init__(self, hamiltonian: Ising, clusters: int | None = None):
        super().__init__(hamiltonian)
        if not hamiltonian.without_field:
            raise ValueError(f"field={hamiltonian.field!r} is not supported by Wolff: allowed is 0; use SwendsenWang")
        self.clusters = None if clusters is None else checks.whole("clusters", clusters, 1)

    def adopt(self, state: State) -> None:
        super().adopt(state)
        if "wolff_clusters" not in state.cache:
            state.cache["wolff_clusters"] = np.full(state.chains, self.clusters or 1, np.int64)
            state.cache["wolff_tally"] = np.zeros((2, state.chains), np.int64)

    def step(self, state: State, sweeps: int = 1) -> Info:
        from mlphys.kernels import cluster

        self.adopt(state)
        x, lattice = state.configuration.spins(), self.hamiltonian.lattice
        clusters = state.cache["wolff_clusters"] * sweeps
        if self.plain_square:
            kernel, model = cluster.wolff_clusters_square, (*lattice.shape, self.hamiltonian.coupling)
        else:
            kernel, model = cluster.wolff_clusters, (lattice.neighbours, self.hamiltonian.coupling_table)

        def grow_slice(x, betas, clusters, streams):
            return kernel(x, *model, betas, clusters, streams)

        by_chain = (x, state.beta, clusters, state.cache["cluster_streams"])
        flipped = over_chains(grow_slice, by_chain, seconds=x.size * sweeps * 1e-8)
        state.cache["wolff_tally"] += np.stack([flipped, clusters])
        state.sweep += sweeps
        return Info(flipped=flipped)

    def adapt(self, state: State) -> None:
        flipped, clusters = state.cache["wolff_tally"]
        if self.clusters is None and clusters.all():
            n_sites = self.hamiltonian.lattice.n_sites
            state.cache["wolff_clusters"][:] = np.clip(np.rint(n_sites * clusters / flipped), 1, n_sites)
        state.cache["wolff_tally"][:] = 0


class SwendsenWang(_Cluster):
    """The Swendsen–Wang algorithm: cut the lattice into clusters of kept bonds and turn each one up or down at random.

    Takes any couplings and fields (a cluster then turns with the heat-bath probability of its summed field).
    Source: Swendsen and Wang 1987 (10.1103/PhysRevLett.58.86).

    >>> import mlphys as mp
    >>> sampler = mp.SwendsenWang(mp.Ising(mp.square(16)))
    >>> state = sampler.init(chains=3, temperature=[2.0, 2.3, 2.6], seed=1)
    >>> sampler.step(state, sweeps=2).acceptance is None
    True
    """

    def step(self, state: State, sweeps: int = 1) -> Info:
        from mlphys.kernels import cluster

        self.adopt(state)
        x, model, lattice = state.configuration.spins(), self.hamiltonian, self.hamiltonian.lattice
        if self.plain_square:
            kernel, parameters = cluster.swendsen_wang_sweeps_square, (*lattice.shape, model.coupling)
        else:
            kernel = cluster.swendsen_wang_sweeps
            parameters = (lattice.neighbours, model.coupling_table, model.site_fields)

        def sweep_slice(x, betas, streams):
            return kernel(x, *parameters, betas, sweeps, streams)

        by_chain = (x, state.beta, state.cache["cluster_streams"])
        over_chains(sweep_slice, by_chain, seconds=x.size * sweeps * 1.5e-8)
        state.sweep += sweeps
        return Info()
