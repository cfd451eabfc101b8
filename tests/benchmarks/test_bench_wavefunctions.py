"""The benchmark of wave functions speaks with its contenders, and a step costs little more than its linear algebra."""

import time

import numpy as np
import pytest
from bench_wavefunctions import Contender, interpreters, line
from scipy.linalg.lapack import dpotrf
from wavefunction_steps import CASES, SAMPLES, mlphys

import mlphys as mp
from mlphys.threads import one_blas_thread


def test_a_contender_answers_step_by_step():
    contender = Contender("mlphys", interpreters()["mlphys"], "small", seed=1)
    contender.advance(15)
    contender.close()
    assert len(contender.energies) == 16 and len(contender.cpu) == 15
    exact = mp.exact.ground_energy(mp.TransverseIsing(mp.chain(8)))
    mean, error = contender.energy()
    assert exact < contender.energies[-1][0] < contender.energies[0][0] and 0 < error < abs(mean)
    row = {"case": "small", "contender": "mlphys", "cpu": contender.cpu, "wall": contender.wall, "energy": mean}
    row |= {"error": error, "first": [contender.first], "memory": contender.memory}
    assert "| 1.0× |" in line(row, row)


@pytest.mark.parametrize(("case", "most"), [("TFIM chain, N = 40, α = 1", 3.5), ("J1–J2 10 × 10, α = 2", 8)])
def test_a_step_costs_a_few_cholesky_factorisations(case, most):
    rng = np.random.default_rng(1)
    wide = rng.normal(size=(SAMPLES, 2 * SAMPLES))
    matrix = np.asfortranarray(wide @ wide.T)
    steps, spent = mlphys(*CASES[case], seed=1), []
    next(steps)
    with one_blas_thread():
        for _ in range(7):
            began = time.thread_time()
            dpotrf(matrix.copy(order="F"), lower=1, overwrite_a=1)
            middle = time.thread_time()
            next(steps)
            spent.append((middle - began, time.thread_time() - middle))
    cholesky, step = np.median(spent, axis=0)
    assert step < most * cholesky
