"""φ⁴ on 32 × 32 sites, 64 chains: hybrid Monte Carlo of this library beside a plain numba loop, blackjax and numpyro.

    python tests/benchmarks/bench_fields.py [--quick] [--kappa 0.21] [--output artifacts/bench_fields.json]

S = Σ [−2κ Σ φφ' + (1 − 2λ) φ² + λ φ⁴], λ = 0.022. Hybrid Monte Carlo takes trajectories of ten leapfrog steps at the same
acceptance everywhere; other samplers of this library are beside it. Contenders take turns on one core, in CPU seconds of one
thread. Whoever is more than 5σ from the reference value of ⟨φ²⟩ is refused. Effective samples are those of the slowest of
⟨S⟩, ⟨φ²⟩, ⟨M²⟩, from a run of their own; measuring is not timed.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
from bench_ising import ROOT, one_core

SIDE, CHAINS, STEPS, COUPLING = 32, 64, 10, 0.022
ACCEPTANCE = 0.65
# Of ⟨φ²⟩, with its error; None where the library's own minimum-norm run is the reference.
REFERENCE = {0.21: (0.6238, 0.0010)}


class Library:
    """A sampler of this library."""

    def __init__(self, name, sampler, model):
        import mlphys as mp

        self.name, self.sampler, self.model = name, sampler, model
        burn_in = 300 if isinstance(sampler, mp.HMC) else 1000
        self.state = mp.run(sampler, 1, chains=CHAINS, seed=1, burn_in=burn_in, observe=("phi2",)).state
        self.acceptance = np.nan

    def advance(self, count):
        self.sampler.step(self.state, count)

    def series(self, samples):
        """Measurements `(samples, chains)` by name."""
        import mlphys as mp

        observables, values = ("energy", "phi2", "m2"), []
        acceptance = 0.0
        for _ in range(samples):
            info = self.sampler.step(self.state)
            acceptance += np.mean(info.acceptance) if isinstance(self.sampler, mp.HMC) else np.nan
            values.append(self.model.measure(self.state, observables))
        self.acceptance = acceptance / samples
        return {name: np.array([value[name] for value in values]) for name in observables}


class Peer:
    """Somebody else's leapfrog at a given step size, from equilibrium fields `(chains, side, side)`."""

    def __init__(self, kappa, step_size, fields):
        self.kappa, self.step_size, self.fields = kappa, step_size, fields.copy()

    def series(self, samples):
        phi = np.empty((samples, CHAINS, SIDE, SIDE))
        accepted = 0.0
        for sample in phi:
            accepted += self.advance(1)
            sample[:] = np.asarray(self.fields).reshape(CHAINS, SIDE, SIDE)
        self.acceptance = accepted / samples
        near = np.roll(phi, 1, 2) + np.roll(phi, 1, 3)
        density = -2 * self.kappa * phi * near + (1 - 2 * COUPLING) * phi**2 + COUPLING * phi**4
        means = {"energy": density, "phi2": phi**2, "m2": phi}
        return {name: value.mean((2, 3)) ** (2 if name == "m2" else 1) for name, value in means.items()}


class Plain(Peer):
    name = "plain numba HMC"

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.generator = np.random.default_rng(1)

    def advance(self, count):
        import plain_fields

        accepted = plain_fields.trajectories(self.fields, self.kappa, COUPLING, self.step_size, STEPS, count, self.generator)
        return accepted / CHAINS / count


class PlainMetropolis(Plain):
    name, width, reflections = "plain numba Metropolis", 1.5, 0

    def advance(self, count):
        import plain_fields

        accepted = plain_fields.metropolis(
            self.fields, self.kappa, COUPLING, self.width, self.reflections, count, self.generator
        )
        return accepted / CHAINS / count / SIDE**2


class PlainOverrelaxation(PlainMetropolis):
    name, reflections = "plain numba overrelaxation", 4


class Jax(Peer):
    """Both peers on jax: all chains vectorised, all trajectories of a call in one compiled loop."""

    dtype = "float64"

    def __init__(self, *arguments):
        import jax

        jax.config.update("jax_enable_x64", True)
        super().__init__(*arguments)
        self.key = jax.random.key(1)
        self.fields = jax.numpy.asarray(self.fields.reshape(CHAINS, -1), dtype=self.dtype)
        self.prepare(jax)

    def potential(self, phi):
        import jax.numpy as jnp

        grid = phi.reshape(SIDE, SIDE)
        near = jnp.roll(grid, 1, 0) + jnp.roll(grid, 1, 1)
        return jnp.sum(-2 * self.kappa * grid * near + (1 - 2 * COUPLING) * grid**2 + COUPLING * grid**4)


class Blackjax(Jax):
    name = "blackjax"

    def prepare(self, jax):
        import blackjax

        masses = jax.numpy.ones(SIDE**2, self.dtype)
        hmc = blackjax.hmc(lambda phi: -self.potential(phi), self.step_size, masses, STEPS)
        self.state = jax.vmap(hmc.init)(self.fields)

        def one(state, key):
            state, info = jax.vmap(hmc.step)(jax.random.split(key, CHAINS), state)
            return state, info.is_accepted.mean()

        self.loop = jax.jit(lambda state, keys: jax.lax.scan(one, state, keys))

    def advance(self, count):
        import jax

        self.key, now = jax.random.split(self.key)
        self.state, accepted = jax.block_until_ready(self.loop(self.state, jax.random.split(now, count)))
        self.fields = self.state.position
        return float(accepted.mean())


class Blackjax32(Blackjax):
    name, dtype = "blackjax, float32", "float32"


class Numpyro(Jax):
    name = "numpyro"

    def prepare(self, jax):
        from numpyro.infer import HMC

        hmc = HMC(
            potential_fn=self.potential,
            step_size=self.step_size,
            num_steps=STEPS,
            trajectory_length=None,
            adapt_step_size=False,
            adapt_mass_matrix=False,
        )
        self.state = hmc.init(jax.random.split(self.key, CHAINS), 0, self.fields, (), {})

        def one(state, _):
            after = hmc.sample(state, (), {})  # over all chains: so initialised
            return after, (after.z != state.z).any(axis=1).mean()

        self.loop = jax.jit(lambda state, times: jax.lax.scan(one, state, times))

    def advance(self, count):
        import jax

        self.state, accepted = jax.block_until_ready(self.loop(self.state, np.arange(count)))
        self.fields = self.state.z
        return float(accepted.mean())


def contenders(kappa):
    """All of them, thermalised; the library's leapfrog first."""
    from importlib.util import find_spec

    import mlphys as mp

    model = mp.Phi4.from_kappa(mp.square(SIDE), kappa, COUPLING)
    tuned = {
        "mlphys HMC": mp.HMC(model, steps=STEPS, target_acceptance=ACCEPTANCE),
        "mlphys HMC, fixed length": mp.HMC(model, steps=STEPS, target_acceptance=ACCEPTANCE, jitter=0.0),
        "mlphys HMC, minimum norm": mp.HMC(model, steps=STEPS // 2, integrator="minimum_norm"),
        "mlphys Metropolis": mp.Metropolis(model),
        "mlphys Overrelaxation": mp.Overrelaxation(model),
    }
    ours = [Library(name, sampler, model) for name, sampler in tuned.items()]
    fixed = ours[1]
    step_size, fields = float(fixed.sampler.step_sizes(fixed.state)[0]), fixed.state.x.numpy().reshape(CHAINS, SIDE, SIDE)
    peers: list[type[Peer]] = [Plain, PlainMetropolis, PlainOverrelaxation]
    for name, kinds in (("blackjax", [Blackjax, Blackjax32]), ("numpyro", [Numpyro])):
        if find_spec(name):
            peers += kinds
        else:
            print(f"{name} is not installed and is left out: pip install -e '.[bench]'", file=sys.stderr)
    return [*ours, *(kind(kappa, step_size, fields) for kind in peers)]


def race(field, repeats, seconds):
    """CPU seconds of one trajectory (or sweep) of all chains, `(contenders, repeats)`; the contenders take turns."""
    counts = []
    for contender in field:
        count = 1
        while True:
            contender.advance(count)  # jax compiles for every new count
            began = time.process_time()
            contender.advance(count)
            spent = time.process_time() - began
            if spent > seconds / 3:
                break
            count *= 2
        counts.append(count)
    spent = np.empty((len(field), repeats))
    for repeat in range(repeats):
        for i, contender in enumerate(field):
            began = time.process_time()
            contender.advance(counts[i])
            spent[i, repeat] = (time.process_time() - began) / counts[i]
    return spent


def measured(contender, samples):
    """The largest autocorrelation time among the observables, its name, and the estimate of ⟨φ²⟩."""
    import mlphys as mp

    estimates = {}
    for name, series in contender.series(samples).items():
        try:
            estimates[name] = mp.stats.estimate(series)
        except mp.stats.ChainTooShort as short:
            estimates[name] = short.estimate
    slowest = max(estimates, key=lambda name: estimates[name].tau)
    return estimates[slowest].tau, slowest, estimates["phi2"]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="short runs: a look, no evidence")
    parser.add_argument("--kappa", type=float, default=0.21, help="hopping parameter (default 0.21)")
    parser.add_argument(
        "--output", type=Path, default=ROOT / "artifacts" / "bench_fields.json", help="JSON with all repeats"
    )
    options = parser.parse_args(arguments)
    one_core()
    os.environ["NUMBA_NUM_THREADS"] = "1"
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ["JAX_PLATFORMS"] = "cpu"
    from table import lines_of, machine

    facts, field = machine(), contenders(options.kappa)
    spent = race(field, 3 if options.quick else 9, 0.1 if options.quick else 0.3)
    rows = []
    for contender, seconds in zip(field, spent, strict=True):
        tau, slowest, phi2 = measured(contender, 400 if options.quick else 2000)
        value, error = REFERENCE.get(
            options.kappa, (rows[0]["phi2"], rows[0]["phi2_error"]) if rows else (phi2.mean, phi2.error)
        )
        rows.append(
            {
                "contender": contender.name,
                "milliseconds": (seconds * 1e3).tolist(),
                "acceptance": contender.acceptance,
                "tau": tau,
                "slowest": slowest,
                "ess_per_second": (CHAINS / (2 * tau) / seconds).tolist(),
                "phi2": phi2.mean,
                "phi2_error": phi2.error,
                "deviation": (phi2.mean - value) / np.hypot(phi2.error, error),
            }
        )
    print(lines_of(facts), "\n")
    print(f"φ⁴, κ = {options.kappa}, λ = {COUPLING}, {SIDE} × {SIDE} sites, {CHAINS} chains, one thread, CPU time\n")
    print(
        "| contender | acceptance | ms a trajectory of all chains | tau (slowest) | ESS/s | mlphys HMC is faster by | ⟨φ²⟩ |"
    )
    print("|---|---|---|---|---|---|---|")
    reference = np.array(rows[0]["ess_per_second"])
    for row in rows:
        ess = np.array(row["ess_per_second"])
        low, middle, high = np.quantile(reference / ess, [0, 0.5, 1])
        refused = abs(row["deviation"]) > 5
        speed = "refused | –" if refused else f"{np.median(ess):.0f} | {middle:.2f}× ({low:.2f}–{high:.2f})"
        print(
            f"| {row['contender']} | {row['acceptance']:.2f} | {np.median(row['milliseconds']):.3f} "
            f"| {row['tau']:.2f} ({row['slowest']}) | {speed} "
            f"| {row['phi2']:.4f}({row['phi2_error'] * 1e4:.0f}) {row['deviation']:+.1f}σ |"
        )
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(
        json.dumps({"rows": rows, "machine": facts}, indent=1, ensure_ascii=False, default=float) + "\n"
    )
    return 1 if abs(rows[0]["deviation"]) > 5 else 0


if __name__ == "__main__":
    sys.exit(main())
