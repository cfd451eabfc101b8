"""Parallel tempering and simulated annealing: any sampler, with the temperature as the way out of its traps."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mlphys import checks
from mlphys.core import Info, Sampler, State
from mlphys.random import spawn


class Tempering(Sampler):
    """Replica exchange: a ladder of temperatures, each advanced by `sampler`, whose neighbours trade configurations.

    `temperatures` (rungs,) are in J. `chains` of `init` and `run` counts independent ladders: chain `ladder * rungs + rung`
    stays at the temperature of its rung, lowest first, so that `chain.estimate(name, temperature)` works as ever. After
    every sweep the configurations at β and β' are exchanged with probability min(1, exp((β − β')(E − E'))), for even and
    odd pairs of rungs in turn. With `tune`, the burn-in of `run` moves the inner temperatures until all exchange rates are
    equal; then they are frozen. Raises ValueError for fewer than two temperatures, or equal
    ones, and for a model whose energy depends on the temperature.
    Source: Hukushima and Nemoto 1996 (10.1143/JPSJ.65.1604); the ladder: Syed et al. 2022 (10.1111/rssb.12464).

    >>> import mlphys as mp
    >>> glass = mp.SpinGlass(mp.square(8), seed=1)
    >>> sampler = mp.Tempering(mp.Metropolis(glass), [0.3, 0.6, 0.9, 1.2, 1.6])
    >>> chain = mp.run(sampler, samples=200, chains=2, seed=1, observe=("energy",))
    >>> chain["energy"].shape, sampler.exchange_rates(chain.state).shape
    ((200, 10), (4,))
    """

    def __init__(self, sampler: Sampler, temperatures: ArrayLike, tune: bool = False):
        if not isinstance(sampler, Sampler) or isinstance(sampler, Tempering):
            raise ValueError(f"sampler={sampler!r} is not a sampler to temper, such as Metropolis(SpinGlass(square(8)))")
        super().__init__(sampler.hamiltonian)
        if self.hamiltonian.fixed_temperature:
            raise ValueError(
                f"hamiltonian={self.hamiltonian!r} is not supported by Tempering: its energy depends on the temperature"
            )
        ladder = np.sort(checks.temperatures(temperatures, np.size(temperatures)))
        if len(ladder) < 2 or (np.diff(ladder) == 0).any():
            raise ValueError(f"temperatures={temperatures!r} is not allowed: it must be at least two different temperatures")
        self.sampler, self.temperatures, self.tune, self.exact = sampler, ladder, tune, sampler.exact

    def init(self, chains: int = 1, temperature=None, seed: int = 0, device: str = "cpu", start=None) -> State:
        """A state of `chains` ladders; `start`, if configurations, holds one for each rung of each ladder.

        Raises ValueError for bad arguments, and for a `temperature`: the ladder has its own.
        """
        if temperature is not None:
            raise ValueError(f"temperature={temperature!r} is not taken by Tempering: its ladder has its own")
        chains = checks.whole("chains", chains, 1)
        every = np.tile(self.temperatures, chains)
        state = self.sampler.init(len(every), every, seed, device, start)
        self.adopt(state)
        return state

    def runs_on(self, device: str) -> bool:
        return self.sampler.runs_on(device)

    def adopt(self, state: State) -> None:
        self.check_device(state.device)
        rungs, cache = len(self.temperatures), state.cache
        if state.chains % rungs:
            raise ValueError(f"state has {state.chains} chains: allowed are multiples of the {rungs} temperatures")
        self.sampler.adopt(state)
        # Where the inner temperatures move, a ladder is told by its ends.
        fixed, ladder = slice(None, None, rungs - 1 if self.tune else 1), cache.get("ladder", ())
        known = len(ladder) == rungs and np.array_equal(ladder[fixed], 1 / self.temperatures[fixed])
        if not known:
            cache |= {"ladder": 1 / self.temperatures, "tunings": np.zeros(1, np.int64), "replica": np.arange(state.chains)}
            cache |= {name: np.zeros(state.chains, np.int64) for name in ("heading", "round_trips")}
            cache["exchange_tally"] = np.zeros((2, rungs - 1))
        ladders = np.tile(cache["ladder"], state.chains // rungs)
        changed = known and not np.array_equal(state.beta, ladders)
        state.beta[:] = ladders
        if changed:
            raise ValueError("temperature of this state was changed: Tempering takes none but those of its ladder")

    def step(self, state: State, sweeps: int = 1) -> Info:
        """Advance by `sweeps` sweeps, each followed by exchanges; the Info is that of the last sweep."""
        self.adopt(state)
        seed = np.uint64(spawn(state.seed, "exchange"))
        info = Info()
        for _ in range(sweeps):
            info = self.sampler.step(state, 1)
            self._exchange(state, seed)
        return info

    def _exchange(self, state: State, seed: np.uint64) -> None:
        from mlphys.kernels.generators import philox_words

        rungs, cache = len(self.temperatures), state.cache
        lower = np.arange(state.sweep % 2, rungs - 1, 2)
        energy = self.hamiltonian.measure(state, ("energy",))["energy"] * self.hamiltonian.lattice.n_sites
        probability = self.acceptance(cache["ladder"], energy.reshape(-1, rungs), lower)
        words = philox_words(seed, len(probability), len(lower), state.sweep)[..., 0]
        ladder, pair = np.nonzero((words >> np.uint64(11)) * 2.0**-53 < probability)
        first = ladder * rungs + lower[pair]
        device = state.device
        if device != "cpu":  # configurations are exchanged there
            state.to("cpu")
        state.configuration.exchange(first, first + 1)
        if device != "cpu":
            state.to(device)
        replica = cache["replica"]
        replica[first], replica[first + 1] = replica[first + 1], replica[first]
        cache["exchange_tally"][0, lower] += probability.sum(0)
        cache["exchange_tally"][1, lower] += len(probability)
        # A round trip ends at the lowest temperature, once the highest was seen since the last time.
        heading, lowest, highest = cache["heading"], replica[::rungs], replica[rungs - 1 :: rungs]
        cache["round_trips"][lowest] += heading[lowest] < 0
        heading[lowest] = 1
        heading[highest] = -np.abs(heading[highest])

    def acceptance(self, beta: np.ndarray, energy: np.ndarray, lower: np.ndarray) -> np.ndarray:
        """Probability to exchange rungs `lower` (pairs,) with the next, `(ladders, pairs)`; `energy` is (ladders, rungs)."""
        gain = (beta[lower] - beta[lower + 1]) * (energy[:, lower] - energy[:, lower + 1])
        return np.exp(np.minimum(gain, 0))

    def adapt(self, state: State) -> None:
        """Tune the sampler; with `tune`, spread the rejections of exchanges evenly, at ever longer intervals."""
        self.sampler.adapt(state)
        state.cache["tunings"] += 1
        if self.tune and state.cache["tunings"][0] in (1, 2, 3, 4, 6, 8, 12, 16):
            ladder = state.cache["ladder"]
            barrier = np.append(0, np.cumsum(np.maximum(1 - self.exchange_rates(state), 1e-3)))
            ladder[1:-1] = np.interp(np.linspace(0, barrier[-1], len(ladder))[1:-1], barrier, ladder)
            state.beta[:] = np.tile(ladder, state.chains // len(ladder))
            state.cache["exchange_tally"][:] = 0

    def exchange_rates(self, state: State) -> np.ndarray:
        """Mean probability of an exchange between each two neighbouring rungs, `(rungs - 1,)`, since the last tuning."""
        accepted, tried = state.cache["exchange_tally"]
        return accepted / np.maximum(tried, 1)

    def round_trips(self, state: State) -> np.ndarray:
        """How often each configuration went from the lowest temperature to the highest and back, `(chains,)`."""
        return state.cache["round_trips"]

    def __repr__(self) -> str:
        return f"Tempering({self.sampler!r}, temperatures={self.temperatures.tolist()}, tune={self.tune})"


@dataclass(frozen=True)
class Annealed:
    """One temperature of an annealing: energies per site `(chains,)`, now and the lowest yet, and where that was.

    `best_x` is a tensor `(chains, n_sites[, components])`.
    """

    temperature: float
    energy: np.ndarray
    best_energy: np.ndarray
    best_x: object


def anneal(sampler: Sampler, temperatures: ArrayLike, chains: int = 1, sweeps: int = 1, seed: int = 0) -> Iterator[Annealed]:
    """Simulated annealing: lower the temperature through `temperatures` (J), `sweeps` sweeps at each, of all `chains`.

    A generator: it yields after each temperature, and Ctrl-C ends it. Raises ValueError for bad arguments.
    Source: Kirkpatrick, Gelatt, Vecchi 1983 (10.1126/science.220.4598.671).

    >>> import mlphys as mp
    >>> glass = mp.SpinGlass(mp.square(6), seed=1)
    >>> for step in mp.anneal(mp.Metropolis(glass), [2.0, 1.5, 1.0, 0.7, 0.4, 0.2], chains=20, sweeps=20, seed=1):
    ...     pass
    >>> print(f"{step.best_energy.min() - mp.exact.spin_glass_ground_energy(glass):.4f}")
    0.0000
    """
    schedule = checks.temperatures(temperatures, np.size(temperatures))
    if not len(schedule):
        raise ValueError(f"temperatures={temperatures!r} is not allowed: it must be at least one temperature")
    sweeps = checks.whole("sweeps", sweeps, 1)
    return _annealing(sampler, schedule, sampler.init(chains, schedule[0], seed), sweeps)


def _annealing(sampler: Sampler, schedule: np.ndarray, state: State, sweeps: int) -> Iterator[Annealed]:
    best_x = state.x.clone()
    best = np.full(state.chains, np.inf)
    try:
        for temperature in schedule:
            state.temperature = temperature
            for _ in range(sweeps):
                sampler.step(state)
                energy = sampler.hamiltonian.measure(state, ("energy",))["energy"]
                better = energy < best
                best[better] = energy[better]
                best_x[better] = state.x[better]
            yield Annealed(float(temperature), energy, best.copy(), best_x.clone())
    except KeyboardInterrupt:
        return
