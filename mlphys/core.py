"""The contract: a `Sampler` advances a `State`; `run` drives it and hands back a `Chain`."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from mlphys import checks, devices
from mlphys.configurations import Sites
from mlphys.hamiltonians.base import Derived, Hamiltonian
from mlphys.state import State
from mlphys.threads import one_torch_thread

__all__ = ["Chain", "Info", "Sampler", "State", "run"]


@dataclass(frozen=True)
class Info:
    """What a step did, `(chains,)` each; None where the sampler does not count it.

    `acceptance` is the accepted fraction of all proposals and `flipped` the number of sites changed. A sampler that
    proposes one global change at a time tells the change of the log target and the correction for an asymmetric
    proposal apart: `log_target_change` and `log_proposal_ratio`.
    """

    acceptance: np.ndarray | None = None
    flipped: np.ndarray | None = None
    log_target_change: np.ndarray | None = None
    log_proposal_ratio: np.ndarray | None = None


class Sampler:
    """A Markov chain for a Hamiltonian: subclasses define `step`, and may prepare a state in `adopt`.

    `exact` says whether the stationary distribution is the Boltzmann distribution itself; samplers with a bias are
    shown but never ranked. `reversible` says whether a step obeys detailed balance, as a sampler does whose proposals
    another one accepts; sites visited in a fixed order leave the distribution as it is without that.
    """

    exact = True
    reversible = False

    def __init__(self, hamiltonian: Hamiltonian):
        if not isinstance(hamiltonian, Hamiltonian):
            raise ValueError(f"hamiltonian={hamiltonian!r} is not a Hamiltonian, such as Ising(square(64))")
        self.hamiltonian = hamiltonian

    def init(self, chains: int, temperature=None, seed: int = 0, device: str = "cpu", start=None) -> State:
        """A state of `chains` chains at `temperature` (in J; one number, or one for each chain).

        `temperature` may be left out for an action, which has β absorbed. `start` is None for the model's own choice,
        "ordered", "random", or configurations `(chains, n_sites)`. Raises ValueError for bad arguments, and for a `device`
        that is not there or not supported.
        """
        chains, seed = checks.whole("chains", chains, 1), checks.seed(seed)
        if temperature is None:
            temperature = self.hamiltonian.temperature
        if temperature is None:
            raise ValueError("temperature=None is not allowed for this model: give a temperature in J")
        beta = 1 / checks.temperatures(temperature, chains)
        self.check_device(device)
        state = State(Sites(self._start(chains, seed, start)), beta, seed)
        self.adopt(state)
        return state.to(device)

    def _start(self, chains: int, seed: int, start) -> np.ndarray:
        if start is None:
            return np.asarray(self.hamiltonian.start(chains, seed))
        if isinstance(start, str):
            checks.one_of("start", start, ("ordered", "random"))
            return np.asarray(getattr(self.hamiltonian, start)(chains, **({"seed": seed} if start == "random" else {})))
        return self.hamiltonian.check_start(start, chains).cpu().numpy().copy()

    def runs_on(self, device: str) -> bool:
        """Whether this sampler can advance a state on `device`, "cpu" or "cuda"."""
        return device == "cpu"

    def check_device(self, device: str) -> None:
        """ValueError unless `device` is there and this sampler can advance a state on it."""
        checks.one_of("device", str(device), ("cpu", "cuda"))
        if not self.runs_on(str(device)):
            raise ValueError(f"device={str(device)!r} is not supported by {self!r}: it runs on the CPU only")
        devices.check(device)

    def adopt(self, state: State) -> None:
        """Bring a state, perhaps another sampler's, into the form this sampler works on."""

    def step(self, state: State, sweeps: int = 1) -> Info:
        """Advance `state` in place by `sweeps` sweeps."""
        raise NotImplementedError

    def adapt(self, state: State) -> None:
        """Tune the sampler's parameters, kept in `state.cache`; called twenty times during burn-in, never after it."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.hamiltonian!r})"


@dataclass
class Chain:
    """Measurements of a run: `chain[name]` is `(samples, chains)`; `acceptance` `(chains,)` if the sampler counts it."""

    samples: dict[str, np.ndarray]
    state: State
    seconds: float
    exact: bool = True
    interrupted: bool = False
    configurations: np.ndarray | None = None
    derived: Mapping[str, Derived] = field(default_factory=dict)
    acceptance: np.ndarray | None = None

    def __getitem__(self, name: str) -> np.ndarray:
        checks.one_of("observable", name, tuple(self.samples))
        return self.samples[name]

    @property
    def x(self):
        """Kept configurations as a torch tensor `(samples, chains, n_sites)`; ValueError unless run with `keep=True`."""
        import torch

        if self.configurations is None:
            raise ValueError("this chain kept no configurations: run it with keep=True")
        return torch.from_numpy(self.configurations)

    def __len__(self) -> int:
        return len(next(iter(self.samples.values())))

    def estimate(self, name: str, temperature: float | None = None):
        """Mean, error, autocorrelation time and effective sample size of one observable, over chains at one temperature.

        Quantities that the model derives from its observables, such as "heat_capacity" or "binder", are estimated by
        jackknife. Raises ChainTooShort, with the estimate attached, below 50 autocorrelation times a chain.
        """
        from mlphys import stats

        checks.one_of("observable", name, (*self.samples, *self.derived))
        betas = np.unique(self.state.beta)
        if temperature is not None:
            betas = betas[np.isclose(betas, 1 / temperature)]
        if len(betas) != 1:
            known = ", ".join(f"{1 / b:g}" for b in np.unique(self.state.beta)[::-1])
            raise ValueError(f"temperature={temperature!r} does not pick one temperature of this chain: allowed are {known}")
        members = self.state.beta == betas[0]
        if name in self.samples:
            return stats.estimate(self[name][:, members])
        derived = self.derived[name]
        series = [self[part][:, members] ** power for part, power in derived.of]
        return stats.jackknife(lambda *means: derived.value(float(betas[0]), *means), *series)

    def report(self):
        """A DataFrame with mean, error, tau, tau_error, ess, ess_per_second, rhat and acceptance; one row per observable.

        With several temperatures the index gains a level. `tau` is in samples. A chain too short for a trustworthy
        error (below 50 tau) gets no error, and `note` says so.
        """
        import pandas as pd

        from mlphys import stats

        rows = {}
        betas = np.unique(self.state.beta)[::-1]
        for beta in betas:
            members = self.state.beta == beta
            # Chains share the machine: those at this temperature used their part of the time.
            seconds = self.seconds * members.mean()
            for name, series in self.samples.items():
                row: dict[str, object] = {"note": "" if self.exact else "biased sampler"}
                try:
                    estimate = stats.estimate(series[:, members])
                except stats.ChainTooShort as short:
                    estimate, row["note"] = short.estimate, str(short)
                trusted = row["note"] == "" or not self.exact
                row |= {
                    "mean": estimate.mean,
                    "error": estimate.error if trusted else np.nan,
                    "tau": estimate.tau,
                    "tau_error": estimate.tau_error,
                    "ess": estimate.ess,
                    "ess_per_second": estimate.ess / seconds if self.exact and seconds > 0 else np.nan,
                    "rhat": stats.split_rhat(series[:, members]),
                    "acceptance": np.nan if self.acceptance is None else self.acceptance[members].mean(),
                }
                rows[(round(float(1 / beta), 12), name)] = row
        columns = ["mean", "error", "tau", "tau_error", "ess", "ess_per_second", "rhat", "acceptance", "note"]
        table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
        table.index = pd.MultiIndex.from_tuples(rows, names=["temperature", "observable"])
        return table.droplevel("temperature") if len(betas) == 1 else table


def run(
    sampler: Sampler,
    samples: int,
    temperature=None,
    chains: int = 1,
    seed: int = 0,
    thin: int = 1,
    burn_in: int | None = None,
    device: str = "cpu",
    observe: Iterable[str] | dict[str, Callable] | None = None,
    keep: bool = False,
    state: State | None = None,
    progress: bool | Callable[[int, int], object] = False,
) -> Chain:
    """Sample: `burn_in` sweeps, then `samples` measurements of every chain, `thin` sweeps apart.

    `temperature` is a number or one for each chain, in J. `observe` names observables of the Hamiltonian (all by
    default), or maps names to functions of `x` `(chains, n_sites)`. `burn_in` defaults to a fifth of the run, at least
    100 sweeps. With `state` the run goes on from there (in place), at its temperatures unless others are given, without
    burn-in unless asked. `progress` shows a bar, or is called with (done, total) and stops the run by returning False.
    Ctrl-C also ends it: the chain then holds what was measured, and `interrupted` is True.
    Raises ValueError for bad arguments.

    >>> import mlphys as mp
    >>> chain = mp.run(mp.Metropolis(mp.Ising(mp.square(8))), samples=400, temperature=2.5, chains=64, thin=5, seed=1)
    >>> chain["energy"].shape
    (400, 64)
    """
    samples, thin = checks.whole("samples", samples, 1), checks.whole("thin", thin, 1)
    if burn_in is None:
        burn_in = max(100, samples * thin // 5) if state is None else 0
    burn_in = checks.whole("burn_in", burn_in, 0)
    measure = _measurement(sampler.hamiltonian, observe)
    if state is None:
        state = sampler.init(chains, temperature, seed, device)
    else:
        if temperature is not None:
            state.temperature = temperature
        sampler.check_device(state.device)
        sampler.adopt(state)

    # A copy takes the first step, which compiles kernels or loads them: that is not the sampler's time.
    rehearsal = state.copy()
    sampler.step(rehearsal, 1)
    devices.synchronise(state.device)
    began = time.perf_counter()
    sampler.step(rehearsal, 1)
    first = measure(rehearsal)
    pace = _Pace(time.perf_counter() - began)

    series = {name: np.empty((samples, state.chains)) for name in first}
    kept = np.empty((samples, *state.x.shape), state.x.cpu().numpy().dtype) if keep else None
    report = _reporter(progress, samples)
    done, interrupted, seconds, acceptances = 0, False, 0.0, []
    try:
        with one_torch_thread():
            # The number of tunings may not depend on the machine's speed, or the result would.
            for block in range(_TUNINGS):
                pace.advance(sampler, state, burn_in * (block + 1) // _TUNINGS - burn_in * block // _TUNINGS)
                if burn_in >= _TUNINGS:
                    sampler.adapt(state)
            for done in range(samples):
                began = time.perf_counter()
                acceptances.append(pace.advance(sampler, state, thin))
                for name, value in measure(state).items():
                    series[name][done] = value
                seconds += time.perf_counter() - began
                if kept is not None:
                    kept[done] = state.x.cpu()
                if report(done + 1, samples) is False:
                    interrupted = True
                    break
            done += 1
    except KeyboardInterrupt:
        interrupted = True
    finally:
        report.close()
    series = {name: values[:done] for name, values in series.items()}
    kept = None if kept is None else kept[:done]
    counted = [acceptance for acceptance in acceptances if acceptance is not None]
    acceptance = np.mean(counted, axis=0) if counted else None
    return Chain(series, state, seconds, sampler.exact, interrupted, kept, sampler.hamiltonian.derived, acceptance)


_TUNINGS = 20


@dataclass
class _Pace:
    """Splits long steps into calls of at most a quarter of a second, so that a run can be interrupted."""

    seconds_per_sweep: float

    def advance(self, sampler: Sampler, state: State, sweeps: int) -> np.ndarray | None:
        """Go `sweeps` sweeps on; the fraction of accepted proposals of each chain, if the sampler counts it."""
        most, left, accepted = max(1, int(0.25 / max(self.seconds_per_sweep, 1e-9))), sweeps, np.zeros(state.chains)
        counted = sweeps > 0
        while left > 0:
            now = min(left, most)
            acceptance = sampler.step(state, now).acceptance
            devices.synchronise(state.device)  # or the GPU would queue far more than a quarter of a second
            counted = counted and acceptance is not None
            if counted:
                accepted += np.asarray(acceptance) * now / sweeps
            left -= now
        return accepted if counted else None


def _measurement(hamiltonian: Hamiltonian, observe) -> Callable[[State], dict[str, np.ndarray]]:
    if isinstance(observe, dict):
        for name, function in observe.items():
            if not callable(function):
                raise ValueError(f"observe[{name!r}]={function!r} is not a function of x")
        return lambda state: {name: _on_cpu(function(state.x)) for name, function in observe.items()}
    if isinstance(observe, str):
        observe = (observe,)
    names = tuple(hamiltonian.observables if observe is None else observe)
    for name in names:
        checks.one_of("observe", name, tuple(hamiltonian.observables))
    return lambda state: hamiltonian.measure(state, names)


def _on_cpu(values) -> np.ndarray:
    return np.asarray(values.cpu() if hasattr(values, "cpu") else values)


class _reporter:
    """Tells progress to a bar, to a function, or to nobody."""

    def __init__(self, progress, total: int):
        self.bar = None
        self.function = progress if callable(progress) else None
        if progress is True:
            from tqdm.auto import tqdm

            self.bar = tqdm(total=total, unit="sample")

    def __call__(self, done: int, total: int):
        if self.bar is not None:
            self.bar.update(1)
        return self.function(done, total) if self.function else None

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
