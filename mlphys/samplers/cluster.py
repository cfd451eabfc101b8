"""Cluster updates: Wolff and Swendsen–Wang."""

from typing import Any

import numpy as np

from mlphys import checks
from mlphys.configurations import Sites
from mlphys.core import Info, Sampler, State
from mlphys.hamiltonians.base import Hamiltonian
from mlphys.hamiltonians.spins import Ising
from mlphys.random import generator, spawn
from mlphys.samplers.metropolis import HeatBath
from mlphys.threads import over_chains


class _Cluster(Sampler):
    """Grows clusters of satisfied bonds: of Ising spins, or of the Ising spins embedded in another model."""

    hamiltonian: Any

    def __init__(self, hamiltonian: Hamiltonian):
        super().__init__(hamiltonian)
        if not (isinstance(hamiltonian, Ising) or hamiltonian.embeds):
            name = type(self).__name__
            raise ValueError(f"hamiltonian={hamiltonian!r} is not supported by {name}: its spins form no clusters")
        # Clusters of φ⁴ turn signs alone.
        self.local = None if hamiltonian.embedding_is_ergodic else HeatBath(hamiltonian)
        self.reversible = self.local is None

    @property
    def plain_square(self) -> bool:
        """Whether the kernels for the square lattice with one coupling and no field apply."""
        return self.hamiltonian.lattice.name == "square" and self.hamiltonian.uniform and self.hamiltonian.without_field

    def adopt(self, state: State) -> None:
        self.check_device(state.device)
        if not isinstance(state.configuration, Sites):
            state.configuration = Sites(state.configuration.spins())
        if "cluster_streams" not in state.cache:
            from mlphys.kernels import generators

            seed = np.uint64(spawn(state.seed, "cluster"))
            state.cache["cluster_streams"] = generators.seed_streams(seed, state.chains, 1)

    def _embedded_step(self, state: State, sweeps: int, kernel, *by_chain) -> Info:
        """Each sweep: draw a reflection for each chain, turn its clusters, and update locally where that is needed."""
        x, neighbours = state.configuration.spins(), self.hamiltonian.lattice.neighbours
        by_chain = (state.beta, *by_chain, state.cache["cluster_streams"])
        flipped = np.zeros(state.chains, np.int64)

        def turn_slice(a, turned, *by_chain):
            return kernel(a, turned, neighbours, *by_chain)

        for _ in range(sweeps):
            a, reflect = self.hamiltonian.embedding(x, generator(state.seed, "embedding", state.sweep))
            turned = np.zeros(a.shape, np.bool_)
            flipped += over_chains(turn_slice, (a, turned, *by_chain), seconds=a.size * 5e-8)
            x[:] = reflect(turned)
            if self.local is None:
                state.sweep += 1
            else:
                self.local.step(state)
        return Info(flipped=flipped)


class Wolff(_Cluster):
    """The Wolff algorithm: grow one cluster from a random site and flip it.

    A sweep flips a fixed number of clusters, `clusters` (a whole number), or, by default, as many as visit about every
    site once: tuned for each chain during the burn-in of `run` and frozen then (one until then). Stopping "after n_sites
    flipped sites" instead would favour some configurations and bias every average. Takes Ising models of any couplings but
    no field, and models with an embedding, Potts, Clock, XY, Heisenberg and Phi4: ValueError otherwise. There each sweep
    draws one reflection for each chain, and reflects the sites of its clusters. In Phi4 that turns signs alone, which is not
    ergodic: a sweep ends with one of the heat bath. Source: Wolff 1989 (10.1103/PhysRevLett.62.361); φ⁴: Brower and
    Tamayo 1989 (10.1103/PhysRevLett.62.1087).

    >>> import mlphys as mp
    >>> sampler = mp.Wolff(mp.Ising(mp.square(16)), clusters=5)
    >>> state = sampler.init(chains=3, temperature=2.3, seed=1)
    >>> bool((sampler.step(state).flipped > 0).all())
    True
    """

    def __init__(self, hamiltonian: Hamiltonian, clusters: int | None = None):
        super().__init__(hamiltonian)
        if isinstance(hamiltonian, Ising) and not hamiltonian.without_field:
            raise ValueError(f"field={hamiltonian.field!r} is not supported by Wolff: allowed is 0; use SwendsenWang")
        self.clusters = None if clusters is None else checks.whole("clusters", clusters, 1)

    def adopt(self, state: State) -> None:
        super().adopt(state)
        if "wolff_clusters" not in state.cache:
            state.cache["wolff_clusters"] = np.full(state.chains, self.clusters or 1, np.int64)
            state.cache["wolff_tally"] = np.zeros((2, state.chains), np.int64)

    def step(self, state: State, sweeps: int = 1) -> Info:
        from mlphys.kernels import cluster, embedded

        self.adopt(state)
        x, lattice = state.configuration.spins(), self.hamiltonian.lattice
        clusters = state.cache["wolff_clusters"] * sweeps
        if not isinstance(self.hamiltonian, Ising):
            info = self._embedded_step(state, sweeps, embedded.wolff_clusters, state.cache["wolff_clusters"])
            state.cache["wolff_tally"] += np.stack([np.asarray(info.flipped), clusters])
            return info
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
            n_sites, before = self.hamiltonian.lattice.n_sites, state.cache["wolff_clusters"]
            # At most doubled: while spins still order, clusters may grow a thousandfold from one sweep to the next.
            before[:] = np.clip(np.rint(n_sites * clusters / flipped), 1, np.minimum(2 * before, n_sites))
        state.cache["wolff_tally"][:] = 0


class SwendsenWang(_Cluster):
    """The Swendsen–Wang algorithm: cut the lattice into clusters of kept bonds and turn each one up or down at random.

    Takes Ising models of any couplings and fields (a cluster then turns with the heat-bath probability of its summed field),
    and models with an embedding, as `Wolff` does: ValueError otherwise.
    Source: Swendsen and Wang 1987 (10.1103/PhysRevLett.58.86).

    >>> import mlphys as mp
    >>> sampler = mp.SwendsenWang(mp.Ising(mp.square(16)))
    >>> state = sampler.init(chains=3, temperature=[2.0, 2.3, 2.6], seed=1)
    >>> sampler.step(state, sweeps=2).acceptance is None
    True
    """

    def step(self, state: State, sweeps: int = 1) -> Info:
        from mlphys.kernels import cluster, embedded

        self.adopt(state)
        if not isinstance(self.hamiltonian, Ising):
            return self._embedded_step(state, sweeps, embedded.swendsen_wang_sweep)
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
