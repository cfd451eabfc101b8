"""One contender of `bench_wavefunctions.py`, in a process of its own and perhaps another interpreter: mlphys or NetKet.

    python tests/benchmarks/wavefunction_steps.py mlphys|netket CASE SEED

Builds the case, takes its first step and says so in a line of JSON, then takes as many steps as each line of input asks for.
A line holds CPU and wall seconds of every step, energies (of the lattice) with their errors, and the largest memory in MB.
"""

import json
import resource
import sys
import time

# Chain or square of so many sites, J2 or None for the transverse chain at its critical field, alpha.
CASES = {
    "TFIM chain, N = 40, α = 1": ((40,), None, 1),
    "Heisenberg 6 × 6, α = 2": ((6, 6), 0.0, 2),
    "J1–J2 10 × 10, α = 2": ((10, 10), 0.5, 2),
    "small": ((8,), None, 1),
    "small square": ((4, 4), 0.5, 2),
}
SAMPLES, CHAINS, RATE, SHIFT = 1008, 16, 0.02, 1e-3


def mlphys(shape, j2, alpha, seed):
    """Steps of this library, each its energy and error."""
    import mlphys as mp
    from mlphys.lattices import chain, square

    lattice = chain(*shape) if len(shape) == 1 else square(*shape)
    model = mp.TransverseIsing(lattice) if j2 is None else mp.HeisenbergJ1J2(lattice, j2=j2)
    psi = mp.nets.RBM(lattice.n_sites, alpha, seed=seed)
    # NetKet follows the gradient by real parameters, twice the force of imaginary time.
    for step in mp.vmc.ground_state(model, psi, 10**9, SAMPLES, CHAINS, seed, rate=2 * RATE, shift=SHIFT, momentum=0):
        yield step.energy.mean, step.energy.error


def netket(shape, j2, alpha, seed):
    """Steps of NetKet the way that is quickest in each case: kernel formulation, Cholesky, operators on jax."""
    import jax
    import netket as nk
    import optax

    graph = nk.graph.Grid(shape, pbc=True, max_neighbor_order=2 if j2 else 1)
    n = graph.n_nodes
    options = {"n_chains": CHAINS, "sweep_size": n}
    if j2 is None:
        hilbert = nk.hilbert.Spin(0.5, n)
        model = nk.operator.IsingJax(hilbert, graph, h=1.0, J=-1.0)
        sampler = nk.sampler.MetropolisLocal(hilbert, **options)
    else:
        hilbert = nk.hilbert.Spin(0.5, n, total_sz=0)
        # In Pauli matrices, with Marshall's sign on the nearest neighbours.
        strengths = [0.25, 0.25 * j2] if j2 else 0.25
        signs = [True, False] if j2 else True
        model = nk.operator.Heisenberg(hilbert, graph, J=strengths, sign_rule=signs).to_jax_operator()
        sampler = nk.sampler.MetropolisExchange(hilbert, graph=graph, d_max=2 if j2 else 1, **options)
    psi = nk.vqs.MCState(
        sampler, nk.models.RBM(alpha=alpha, param_dtype=float), n_samples=SAMPLES, n_discard_per_chain=20, seed=seed
    )
    psi.sample()
    psi.n_discard_per_chain = 0
    driver = nk.driver.VMC_SR(
        model,
        optax.sgd(RATE),
        diag_shift=SHIFT,
        variational_state=psi,
        mode="real",
        use_ntk=True,
        on_the_fly=n >= 100,
        linear_solver=nk.optimizer.solver.cholesky,
    )
    found = {}

    def keep(step, data, driver):
        found.update(data)
        return True

    while True:
        driver.run(1, out=None, show_progress=False, callback=keep)
        jax.block_until_ready(psi.parameters)
        yield float(found["Energy"].mean.real), float(found["Energy"].error_of_mean)


def report(steps, count, answers):
    """Take `count` steps and say what they cost and gave, and the CPU seconds since the process began."""
    cpu, wall, energies = [], [], []
    for _ in range(count):
        began = time.process_time(), time.perf_counter()
        energies.append(next(steps))
        cpu.append(time.process_time() - began[0])
        wall.append(time.perf_counter() - began[1])
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 ** (2 if sys.platform == "darwin" else 1)
    found = {"cpu": cpu, "wall": wall, "born": time.process_time(), "energies": energies, "memory": largest}
    print(json.dumps(found), file=answers, flush=True)


if __name__ == "__main__":
    # What a library prints must not come between the answers.
    answers, sys.stdout = sys.stdout, sys.stderr
    contender, case, seed = sys.argv[1:]
    steps = {"mlphys": mlphys, "netket": netket}[contender](*CASES[case], int(seed))
    report(steps, 1, answers)
    for line in sys.stdin:
        report(steps, int(line), answers)
