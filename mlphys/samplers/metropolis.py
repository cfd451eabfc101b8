"""Single-spin updates: Metropolis and heat bath, on packed spins where the model allows."""

from typing import Any

import numpy as np

from mlphys.configurations import Replicas, Sites, Strips
from mlphys.core import Info, Sampler, State
from mlphys.hamiltonians.spins import Ising
from mlphys.random import spawn
from mlphys.threads import over_chains


class _SingleSpin(Sampler):
    """Visits every site once a sweep, one colour after the other."""

    rule: str
    hamiltonian: Ising

    def __init__(self, hamiltonian: Ising):
        super().__init__(hamiltonian)
        if not isinstance(hamiltonian, Ising):
            raise ValueError(f"hamiltonian={hamiltonian!r} is not supported by {type(self).__name__}: allowed is Ising")
        lattice = hamiltonian.lattice
        self.kind: Any = Sites
        if lattice.name == "square" and hamiltonian.uniform and hamiltonian.without_field and hamiltonian.coupling:
            # One lattice over the words beats 64 replicas to a word wherever it fits.
            self.kind = next((kind for kind in (Strips, Replicas) if kind.fits(lattice.shape)), Sites)

    def adopt(self, state: State) -> None:
        if not isinstance(state.configuration, self.kind):
            spins = state.configuration.spins()
            if self.kind is Sites:
                state.configuration = Sites(spins)
            else:
                state.configuration = self.kind.pack(spins, self.hamiltonian.lattice.shape, self.hamiltonian.coupling < 0)
        if self.kind is not Sites and "metropolis_streams" not in state.cache:
            from mlphys.kernels import generators, multispin

            words = state.configuration.words  # type: ignore[union-attr]
            seed = np.uint64(spawn(state.seed, "metropolis"))
            state.cache["metropolis_streams"] = generators.seed_streams(seed, len(words), multispin.LANES)

    def step(self, state: State, sweeps: int = 1) -> Info:
        self.adopt(state)
        info = self._sites_step(state, sweeps) if self.kind is Sites else self._packed_step(state, sweeps)
        state.sweep += sweeps
        return info

    def _packed_step(self, state: State, sweeps: int) -> Info:
        from mlphys.kernels import multispin

        configuration: Any = state.configuration
        words = configuration.words
        betas = state.beta * abs(self.hamiltonian.coupling)
        if self.kind is Replicas:
            betas = np.pad(betas, (0, 64 * len(words) - len(betas)), mode="edge").reshape(-1, 64)
        kernel = multispin.strips_sweep if self.kind is Strips else multispin.replicas_sweep
        rule = multispin.METROPOLIS if self.rule == "metropolis" else multispin.HEAT_BATH
        probabilities = multispin.probabilities(betas, rule)
        # A packed kernel makes some eight spin updates a nanosecond.
        seconds = words.size * 64 * sweeps / 8e9
        over_chains(kernel, (words, state.cache["metropolis_streams"], probabilities), (sweeps, rule), seconds)
        return Info()

    def _sites_step(self, state: State, sweeps: int) -> Info:
        from mlphys.kernels import spins

        model, lattice = self.hamiltonian, self.hamiltonian.lattice
        uniform = model.uniform and model.uniform_field
        kernel = getattr(spins, f"{self.rule}_sweeps{'_uniform' if uniform else ''}")
        parameters = (model.coupling, model.field) if uniform else (model.coupling_table, model.site_fields)
        x = state.configuration.spins()
        chains = np.arange(state.chains)
        shared = (lattice.neighbours, *parameters, lattice.update_order)
        counters = (np.uint64(spawn(state.seed, self.rule)), np.int64(state.sweep), sweeps)

        def sweep_slice(x, betas, chains):
            return kernel(x, *shared, betas, chains, *counters)

        changed = over_chains(sweep_slice, (x, state.beta, chains), seconds=x.size * sweeps * 1e-8)
        share = changed / (lattice.n_sites * sweeps)
        return Info(acceptance=share if self.rule == "metropolis" else None, flipped=changed)


class Metropolis(_SingleSpin):
    """The Metropolis algorithm: propose to flip a spin, accept with probability min(1, exp(−β ΔE)).

    On a square lattice with even sides, one coupling and no field the spins are packed 64 to a word, with no rounding of
    the acceptance probability; every other Ising model takes the generic kernel. One proposal in 256 is left out (on the
    generic kernel half of them in every sixteenth sweep): accepting every ΔE = 0 in a fixed order is not ergodic on small
    lattices. Raises ValueError for other models.
    Source: Metropolis et al. 1953 (10.1063/1.1699114); multi-spin coding: Block, Virnau, Preis 2010
    (10.1016/j.cpc.2010.05.005).

    >>> import mlphys as mp
    >>> sampler = mp.Metropolis(mp.Ising(mp.square(8)))
    >>> state = sampler.init(chains=64, temperature=2.5, seed=1)
    >>> info = sampler.step(state, sweeps=10)
    >>> state.sweep, state.x.shape
    (10, torch.Size([64, 64]))
    """

    rule = "metropolis"


class HeatBath(_SingleSpin):
    """The heat bath (Glauber dynamics): draw each spin afresh from its distribution given its neighbours.

    Packed like `Metropolis` where the model allows. Raises ValueError for models other than Ising.
    Source: Glauber 1963 (10.1063/1.1703954).

    >>> import mlphys as mp
    >>> sampler = mp.HeatBath(mp.Ising(mp.triangular(6), field=0.1))
    >>> state = sampler.init(chains=2, temperature=4.0, seed=1)
    >>> sampler.step(state, sweeps=3).flipped.shape
    (2,)
    """

    rule = "heat_bath"
