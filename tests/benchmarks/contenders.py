"""Who is compared, and how each one's conventions turn into ours: energy per site of H = −Σ s s', each bond once, in J.

A contender is one simulation of a periodic square lattice with one algorithm at one temperature. `timed(sweeps)` advances
it and returns CPU seconds and work done; `energies(samples, thin)` measures it. Work is spin updates (Metropolis), flipped
sites (Wolff) or sites (Swendsen–Wang). A sweep is what the contender calls one; for Wolff it is one cluster everywhere.
"""

import time

import numpy as np
import plain_loops

import mlphys as mp

METROPOLIS, WOLFF, SWENDSEN_WANG = "Metropolis", "Wolff", "Swendsen–Wang"
# CPU seconds of the whole process: the turns of other programs on a busy machine do not count.
clock = time.process_time


class Contender:
    """A simulation of `side` × `side` spins, all up to begin with, at `temperature` in J."""

    name: str
    chains = 1

    def __init__(self, algorithm: str, side: int, temperature: float, seed: int):
        self.algorithm, self.side, self.temperature, self.seed = algorithm, side, temperature, seed
        self.n_sites = side * side

    def start(self, spins: np.ndarray) -> None:
        """Go on from these int8 spins `(side, side)`."""

    def advance(self, sweeps: int) -> float:
        """Do `sweeps` sweeps and return the work."""
        raise NotImplementedError

    def timed(self, sweeps: int) -> tuple[float, float]:
        """CPU seconds and work of `sweeps` sweeps, with nothing measured meanwhile."""
        began = clock()
        work = self.advance(sweeps)
        return clock() - began, work

    def energies(self, samples: int, thin: int) -> np.ndarray:
        """Energy per site `(samples, chains)`, `thin` sweeps apart."""
        raise NotImplementedError


class Library(Contender):
    """This library: one bit-packed lattice where the side allows, else 64 replicas to a word; clusters on one lattice."""

    name = "mlphys"

    def __init__(self, algorithm: str, side: int, temperature: float, seed: int):
        super().__init__(algorithm, side, temperature, seed)
        ising = mp.Ising(mp.square(side))
        if algorithm == METROPOLIS:
            self.sampler = mp.Metropolis(ising)
            self.chains = 1 if side % 128 == 0 else 64
        else:
            self.sampler = mp.Wolff(ising, clusters=1) if algorithm == WOLFF else mp.SwendsenWang(ising)
        self.start(np.ones((side, side), np.int8))

    def start(self, spins):
        spins = np.tile(spins.ravel(), (self.chains, 1))
        self.state = self.sampler.init(self.chains, self.temperature, self.seed, start=spins)

    def advance(self, sweeps):
        info = self.sampler.step(self.state, sweeps)
        return float(info.flipped.sum()) if self.algorithm == WOLFF else sweeps * self.chains * self.n_sites

    def energies(self, samples, thin):
        return mp.run(self.sampler, samples, thin=thin, state=self.state, observe=["energy"])["energy"]


class Plain(Contender):
    """The loops of `plain_loops`: sequential Metropolis, and Wolff on a stack."""

    name = "plain numba"

    def __init__(self, algorithm: str, side: int, temperature: float, seed: int):
        super().__init__(algorithm, side, temperature, seed)
        self.spins = np.ones((side, side), np.int8)
        self.acceptance = plain_loops.acceptance_table(1 / temperature)
        self.bond_probability = -np.expm1(-2 / temperature)
        self.generator = np.random.default_rng(seed)

    def start(self, spins):
        self.spins = spins.copy()

    def advance(self, sweeps):
        if self.algorithm == WOLFF:
            return float(plain_loops.wolff(self.spins, self.bond_probability, sweeps, self.generator))
        plain_loops.metropolis(self.spins, self.acceptance, sweeps, self.generator)
        return sweeps * self.n_sites

    def energies(self, samples, thin):
        series = np.empty((samples, 1))
        for sample in series:
            self.advance(thin)
            sample[0] = plain_loops.energy_per_site(self.spins)
        return series


class Mcising(Contender):
    """mcising: H = −J1 Σ s s', each bond once, periodic, k_B = 1, energy per site: as ours.

    Metropolis scans the sites in order. Its compiled class is driven directly: a block of sweeps is one call, and nothing is
    recorded while the clock runs. `sweep` returns (accepted, attempted, clusters); for Wolff accepted means flipped sites.
    Its parallel modes serve several temperatures on several cores and have no use here.
    """

    name = "mcising"

    def __init__(self, algorithm: str, side: int, temperature: float, seed: int):
        from mcising._core import IsingSimulation

        super().__init__(algorithm, side, temperature, seed)
        label = {METROPOLIS: "metropolis", WOLFF: "wolff", SWENDSEN_WANG: "swendsen_wang"}[algorithm]
        self.simulation = IsingSimulation(side, 1.0, 0.0, 0.0, 0.0, seed, label, "square")
        self.start(np.ones((side, side), np.int8))

    def start(self, spins):
        self.simulation.set_spins(spins)

    def advance(self, sweeps):
        accepted, attempted, _ = self.simulation.sweep(sweeps, temperature=self.temperature)
        return float(accepted if self.algorithm == WOLFF else attempted)

    def energies(self, samples, thin):
        block = self.simulation.production_sweeps(samples, thin, temperature=self.temperature, store_configs=False)
        return np.asarray(block["energies"])[:, None]


class Peapods(Contender):
    """peapods: energy per site is +Σ s s' / n_sites, each bond once, so its sign is turned; temperatures are float32.

    Metropolis scans the sites in order. A call that is all warm-up records nothing, its fastest way (13 instead of 16 ns a
    site); replicas and its thread pool only cost on one thread (`sequential=True`). Every sweep with a cluster move does a
    Metropolis sweep first, which is timed alone and subtracted; the size of Wolff's clusters is n_sites ⟨m²⟩, an identity in
    equilibrium, so there both runs record. It starts from random spins only: its own Swendsen–Wang moves thermalise it.
    A sample of its energy is the mean over a block of sweeps.
    """

    name = "peapods"

    def __init__(self, algorithm: str, side: int, temperature: float, seed: int):
        from peapods import Ising

        super().__init__(algorithm, side, temperature, seed)
        mode = {METROPOLIS: None, WOLFF: "wolff", SWENDSEN_WANG: "sw"}[algorithm]
        self.moves = {"cluster_update_interval": 1, "cluster_mode": mode} if mode else {}
        self.model = Ising((side, side), temperatures=np.array([temperature]))
        # The random start's seed is not an argument of the public class.
        self.model._sim.reset(seed=seed)
        self._sample(40, recorded=False, cluster_update_interval=1, cluster_mode="sw")

    def _sample(self, sweeps: int, recorded: bool, **moves) -> dict:
        # Unrecorded runs divide by no samples.
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.model.sample(sweeps, warmup_ratio=0.0 if recorded else 1.0, sequential=True, **moves)

    def advance(self, sweeps):
        recorded = self.algorithm == WOLFF
        result = self._sample(sweeps, recorded, **self.moves)
        return sweeps * self.n_sites * (float(result["mags2"][0]) if recorded else 1.0)

    def timed(self, sweeps):
        began = clock()
        if self.moves:
            self._sample(sweeps, recorded=self.algorithm == WOLFF)
        local = clock() - began
        seconds, work = super().timed(sweeps)
        return (seconds - local if self.moves else seconds), work

    def energies(self, samples, thin):
        return -np.array([self._sample(thin, recorded=True, **self.moves)["energies"] for _ in range(samples)])


FIELD: dict[str, tuple[type[Contender], ...]] = {
    METROPOLIS: (Library, Plain, Mcising, Peapods),
    WOLFF: (Library, Plain, Mcising, Peapods),
    SWENDSEN_WANG: (Library, Mcising, Peapods),
}
