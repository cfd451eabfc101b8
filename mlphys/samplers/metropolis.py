"""Updates of one site after the other: Metropolis, heat bath, overrelaxation; on packed spins where the model allows."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from mlphys import checks, devices
from mlphys.configurations import Replicas, Sites, Strips
from mlphys.core import Info, Sampler, State
from mlphys.hamiltonians.base import Hamiltonian
from mlphys.hamiltonians.spins import Ising
from mlphys.random import spawn
from mlphys.threads import over_chains


class _SingleSite(Sampler):
    """Visits every site once a sweep, one colour after the other, with one of the `rules` of the model."""

    rule: str
    hamiltonian: Any

    def __init__(self, hamiltonian: Hamiltonian):
        super().__init__(hamiltonian)
        if self.rule not in hamiltonian.rules:
            name = type(self).__name__
            raise ValueError(f"hamiltonian={hamiltonian!r} is not supported by {name}: this model has no {self.rule} update")
        self.kind: Any = Sites
        if isinstance(hamiltonian, Ising) and hamiltonian.uniform and hamiltonian.without_field and hamiltonian.coupling:
            # One lattice over the words beats 64 replicas to a word wherever it fits.
            if hamiltonian.lattice.name == "square":
                self.kind = next((kind for kind in (Strips, Replicas) if kind.fits(hamiltonian.lattice.shape)), Sites)

    def runs_on(self, device: str) -> bool:
        return device == "cpu" or self.rule in self.hamiltonian.gpu_rules

    def adopt(self, state: State) -> None:
        device = state.device
        if device != "cpu":
            self.check_device(device)
        if not isinstance(state.configuration, self.kind):
            spins = devices.to(state.configuration.spins(), "cpu")
            if self.kind is Sites:
                state.configuration = Sites(spins)
            else:
                state.configuration = self.kind.pack(spins, self.hamiltonian.lattice.shape, self.hamiltonian.coupling < 0)
            state.to(device)
        if self.kind is not Sites:
            from mlphys.kernels import generators, multispin

            if "metropolis_streams" not in state.cache:
                words = state.configuration.words  # type: ignore[union-attr]
                seed = np.uint64(spawn(state.seed, "metropolis"))
                lanes = multispin.stream_count(*words.shape[2:])
                state.cache["metropolis_streams"] = generators.seed_streams(seed, len(words), lanes)
            state.cache["metropolis_streams"] = devices.to(state.cache["metropolis_streams"], device)

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
        rule = multispin.METROPOLIS if self.rule == "metropolis" else multispin.HEAT_BATH
        probabilities = multispin.probabilities(betas, rule)
        if state.device == "cuda":
            from mlphys.kernels import cuda

            seam = int(self.kind is Strips)
            cuda.packed_sweeps(words, state.cache["metropolis_streams"], probabilities, sweeps, rule, seam)
            return Info()
        kernel = multispin.strips_sweep if self.kind is Strips else multispin.replicas_sweep
        # A packed kernel makes some eight spin updates a nanosecond.
        seconds = words.size * 64 * sweeps / 8e9
        over_chains(kernel, (words, state.cache["metropolis_streams"], probabilities), (sweeps, rule), seconds)
        return Info()

    def _sites_step(self, state: State, sweeps: int) -> Info:
        x = state.configuration.spins()
        by_chain = (*self._widths(state), state.beta, np.arange(state.chains))
        counters = (np.uint64(spawn(state.seed, self.rule)), np.int64(state.sweep), sweeps)
        if state.device == "cuda":
            return Info(flipped=self._gpu_kernel(x, *by_chain, *counters))
        kernel, tables = self.hamiltonian.kernel(self.rule)

        def sweep_slice(x, *by_chain):
            return kernel(x, *tables, *self.options, *by_chain, *counters)

        seconds = 0 if getattr(kernel, "whole", False) else x.size * sweeps * 1e-8
        changed = over_chains(sweep_slice, (x, *by_chain), seconds=seconds)
        return Info(flipped=changed)

    @cached_property
    def _gpu_kernel(self) -> Callable:
        """The update on the GPU, with its tables there."""
        from mlphys.kernels.cuda_sites import TWINS

        kernel, tables = self.hamiltonian.kernel(self.rule)
        starts = np.cumsum([0, *np.bincount(self.hamiltonian.lattice.colours)])
        return TWINS[kernel](starts, *tables, *self.options)

    # What the rule takes beside the model's tables: one for all chains, and one for each.
    options: tuple = ()

    def _widths(self, state: State) -> tuple[np.ndarray, ...]:
        return ()


class Metropolis(_SingleSite):
    """The Metropolis algorithm: propose a change of one site, accept it with probability min(1, exp(−β ΔE)).

    Ising spins are flipped; on a square lattice with even sides, one coupling and no field they are packed 64 to a word,
    with no rounding of the acceptance probability. One such proposal in 256 is left out (elsewhere half of them in every
    sixteenth sweep): accepting every ΔE = 0 in a fixed order is not ergodic on small lattices. Potts and clock spins are
    proposed any other value; continuous ones a change up to `proposal_width`, tuned for each chain towards an acceptance
    of one half during the burn-in of `run` and frozen then. Raises ValueError for other models.
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

    def adopt(self, state: State) -> None:
        super().adopt(state)
        width = self.hamiltonian.proposal_width
        if width is not None and "proposal_width" not in state.cache:
            state.cache["proposal_width"] = np.full(state.chains, float(width))
            state.cache["proposal_tally"] = np.zeros((2, state.chains))

    def _widths(self, state: State) -> tuple[np.ndarray, ...]:
        return () if self.hamiltonian.proposal_width is None else (state.cache["proposal_width"],)

    def _sites_step(self, state: State, sweeps: int) -> Info:
        changed = np.asarray(super()._sites_step(state, sweeps).flipped)
        proposed = self.hamiltonian.n_updates * sweeps
        if "proposal_tally" in state.cache:
            state.cache["proposal_tally"] += np.stack([changed, np.full(state.chains, proposed)])
        return Info(acceptance=changed / max(proposed, 1), flipped=changed)

    def adapt(self, state: State) -> None:
        if "proposal_tally" in state.cache:
            accepted, proposed = state.cache["proposal_tally"]
            state.cache["proposal_width"] *= np.clip(2 * accepted / np.maximum(proposed, 1), 0.5, 1.5)
            state.cache["proposal_tally"][:] = 0


class HeatBath(_SingleSite):
    """The heat bath (Glauber dynamics): draw each site afresh from its distribution given its neighbours.

    Packed like `Metropolis` where the model allows. Raises ValueError for models without such an update.
    Source: Glauber 1963 (10.1063/1.1703954).

    >>> import mlphys as mp
    >>> sampler = mp.HeatBath(mp.Ising(mp.triangular(6), field=0.1))
    >>> state = sampler.init(chains=2, temperature=4.0, seed=1)
    >>> sampler.step(state, sweeps=3).flipped.shape
    (2,)
    """

    rule = "heat_bath"


class Overrelaxation(_SingleSite):
    """Overrelaxation: `reflections` sweeps that reflect each site about the field of its neighbours, then a heat bath.

    A reflection keeps the energy and decorrelates fast, but alone it never leaves its energy: one heat-bath sweep for every
    `reflections` makes the chain ergodic, and all of them together count as one sweep. Raises ValueError for models of
    discrete spins, and for `reflections` that is not a whole number of at least 1.
    Source: Creutz 1987 (10.1103/PhysRevD.36.515); Brown and Woch 1987 (10.1103/PhysRevLett.58.2394).

    >>> import mlphys as mp
    >>> sampler = mp.Overrelaxation(mp.XY(mp.square(8)), reflections=3)
    >>> state = sampler.init(chains=2, temperature=0.9, seed=1)
    >>> sampler.step(state, sweeps=5).flipped.shape
    (2,)
    """

    rule = "overrelaxation"

    def __init__(self, hamiltonian: Hamiltonian, reflections: int = 4):
        super().__init__(hamiltonian)
        self.options = (checks.whole("reflections", reflections, 1),)
