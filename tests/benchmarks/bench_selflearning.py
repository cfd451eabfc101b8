"""Double exchange by self-learning beside local Monte Carlo: σ of each network, acceptance, the price of a sample.

    python tests/benchmarks/bench_selflearning.py [--quick] [--seconds 15] [--output artifacts/bench_selflearning.json]

6 × 6 sites: networks of every kind learn from the same 1500 exact configurations, for equally long; the largest then from
36,000 that a first network has gathered. 8 × 8: a network learns while it gathers. Everything in CPU time of one thread; the
price of an independent staggered m² in exact energies and in seconds, training apart, with the number of samples after which
it has paid for itself.
"""

import argparse
import json
import sys
import time
from pathlib import Path

from bench_ising import ROOT, one_core

SHELLS, LAYERS, CHANNELS = (1, 2, 6, 9), (1, 2, 3, 4, 5, 6), ((2, 4), (4, 8), (8, 16), (16, 32))


def contenders(lattice):
    """Name and maker of every network."""
    from mlphys import nets

    for shells in SHELLS:
        yield f"linear, {shells} shells", lambda shells=shells: nets.LinearEffective(lattice, shells)
    for layers in LAYERS:
        yield f"transformer, {layers} layers", lambda layers=layers: nets.EquivariantTransformer(lattice, layers)
    for channels, hidden in CHANNELS:
        yield f"messages, {channels} channels", lambda pair=(channels, hidden): nets.MessagePassing(lattice, *pair)


def trained(make, known, seconds, rate):
    """A network after so many seconds of updates, and how many these were."""
    from mlphys import nets, selflearning

    probe = make()
    if type(probe) is nets.LinearEffective:  # least squares are all there is to do
        probe.start_from(known.x, known.energy)
        return probe, 0
    for step in selflearning.fit(probe, known, 40):
        if step.step == 10:
            began = time.process_time()
    steps = max(100, round(seconds * 30 / (time.process_time() - began)))
    network = make()
    for _ in selflearning.fit(network, known, steps, rate=rate):
        pass
    return network, steps


def table(lattice, known, held_out, seconds):
    """A row for each network: parameters, steps, seconds, σ on what it has not seen, the acceptance that this predicts."""
    from mlphys import selflearning

    for name, make in contenders(lattice):
        began = time.process_time()
        network, steps = trained(make, known, seconds, 0.01)
        spent, sigma = time.process_time() - began, selflearning.sigma(network, held_out)
        row = {"network": name, "parameters": network.n_parameters, "steps": steps, "seconds": spent}
        yield row | {"sigma": [sigma.mean, sigma.error], "predicted": selflearning.predicted_acceptance(sigma.mean)}


def price(name, sampler, start, samples, thin=1):
    """Acceptance, ⟨m_s²⟩, Ω/N, and what an independent m_s² costs, of chains from typical spins."""
    import mlphys as mp
    from mlphys.lectures.selflearning_tables import of_chains
    from mlphys.selflearning import per_independent_sample

    state = sampler.init(len(start), seed=5, start=start)
    mp.run(sampler, 1, state=state, burn_in=20, observe=["energy"])
    chain = mp.run(sampler, samples, state=state, thin=thin, observe=["staggered_m2", "energy"])
    exact, seconds = per_independent_sample(chain, sampler, "staggered_m2", thin)
    row = {"sampler": name, "sites": sampler.hamiltonian.lattice.n_sites, "exact_energies": [exact.mean, exact.error]}
    row |= {"seconds": [seconds.mean, seconds.error], "acceptance": [float(chain.acceptance.mean())]}
    row["acceptance"].append(float(chain.acceptance.std(ddof=1) / len(start) ** 0.5))
    for observable in ("staggered_m2", "energy"):
        found = of_chains(chain[observable])
        row[observable] = [found.mean, found.error, found.tau]
    row["too_short"] = 50 * row["staggered_m2"][2] > samples
    return row


def six(seconds, scale):
    """All of it on 6 × 6 sites."""
    import mlphys as mp
    from mlphys import selflearning

    model = mp.DoubleExchange(mp.square(6))
    small = selflearning.gather(mp.HMC(model), 1800, chains=64, seed=11, thin=3)
    test = selflearning.gather(mp.HMC(model), 2400 // scale, chains=64, seed=12, thin=3)
    rows = list(table(model.lattice, small[:1500], test, seconds))
    began = time.process_time()
    first = mp.nets.MessagePassing(model.lattice, 8, 16, seed=3)
    for _ in selflearning.fit(first, small[:1500], 1500 // scale):
        pass
    learnt = mp.SelfLearning(first, model, proposal_sweeps=3)
    known = selflearning.gather(learnt, 36_000 // scale, chains=128, seed=13, burn_in=20)
    gathered, began = time.process_time() - began, time.process_time()
    network = mp.nets.MessagePassing(model.lattice, 16, 32, seed=1)
    for _ in selflearning.fit(network, known, 6000 // scale, rate=6e-3):
        pass
    fitted, sigma = time.process_time() - began, selflearning.sigma(network, test)
    best = {"network": "the last of these, 36,000 configurations", "parameters": network.n_parameters}
    best |= {"steps": 6000 // scale, "seconds": fitted, "gathering": gathered, "sigma": [sigma.mean, sigma.error]}
    rows.append(best | {"predicted": selflearning.predicted_acceptance(sigma.mean)})
    start = small.x[-16:]
    sampler = mp.SelfLearning(network, model, proposal_sweeps=4)
    prices = [
        price("self-learning", sampler, start, 300 // scale) | {"training": gathered + fitted},
        price("local Metropolis", mp.Metropolis(model), start[:8], 300 // scale),
    ]
    return rows, prices


def eight(scale):
    """8 × 8 sites."""
    import mlphys as mp
    from mlphys import selflearning

    model = mp.DoubleExchange(mp.square(8))
    began = time.process_time()
    known = selflearning.gather(mp.HMC(model), 512, chains=64, seed=21, thin=3, burn_in=40)
    network = mp.nets.MessagePassing(model.lattice, 16, 32, seed=1)
    for samples, steps in ((1500, 300), (3000, 500), (6000, 1000)):
        options = {"samples": samples // scale, "steps": steps // scale, "chains": 64, "proposal_sweeps": 2}
        for last in selflearning.rounds(network, model, known, 1, seed=samples, **options):
            known = last.data
    training, start = time.process_time() - began, known.x[-16:]
    sampler = mp.SelfLearning(network, model, proposal_sweeps=4)
    return [
        price("self-learning", sampler, start, 150 // scale) | {"training": training, "sigma": [last.sigma.mean]},
        price("local Metropolis", mp.Metropolis(model), start[:4], 320 // scale),
    ]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="short trainings and chains: a look, no evidence")
    parser.add_argument("--seconds", type=float, default=15.0, help="of training of each network (default 15)")
    parser.add_argument("--output", type=Path, default=ROOT / "artifacts" / "bench_selflearning.json")
    options = parser.parse_args(arguments)
    one_core()
    import torch
    from table import lines_of, machine

    import mlphys as mp

    torch.set_num_threads(1)
    facts, scale = machine(), 20 if options.quick else 1
    print(lines_of(facts), "\n")
    print("| network | parameters | updates | s | σ | erfc(σ/2) |\n|---|---|---|---|---|---|")
    rows, prices = six(0.3 if options.quick else options.seconds, scale)
    for row in rows:
        sigma = mp.Estimate(*row["sigma"])
        print(
            f"| {row['network']} | {row['parameters']} | {row['steps']} | {row['seconds']:.0f} | {sigma} "
            f"| {row['predicted']:.3f} |"
        )
    print("\n| sites | sampler | acceptance | ⟨m_s²⟩ | Ω/N | exact energies | s | training, s | break-even |")
    print("|---|---|---|---|---|---|---|---|---|")
    prices += eight(scale)
    for learnt, other in zip(prices[::2], prices[1::2], strict=True):
        learnt["break_even"] = mp.selflearning.break_even(learnt["training"], learnt["seconds"][0], other["seconds"][0])
        for row in (learnt, other):
            columns = ("acceptance", "staggered_m2", "energy", "exact_energies", "seconds")
            cells = [mp.Estimate(*row[key][:2]) for key in columns]
            short = " (too short)" if row["too_short"] else ""
            print(
                f"| {row['sites']} | {row['sampler']}{short} | {' | '.join(map(str, cells))} "
                f"| {row.get('training', 0):.0f} | {row.get('break_even', 0):.0f} |"
            )
    options.output.parent.mkdir(parents=True, exist_ok=True)
    found = {"networks": rows, "prices": prices, "machine": facts}
    options.output.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
