"""The kernels compile for a real GPU, where CUDA's compiler is installed: the simulator runs Python, and takes anything."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import numba.cuda.dispatcher
from numba import cuda, types as t

try:
    from numba.cuda.cudadrv import nvvm
    cuda.compile(lambda: None, t.void(), cc=(9, 0), abi="numba")
except Exception as missing:
    print("no compiler:", type(missing).__name__)
    raise SystemExit

class H200:
    compute_capability = (9, 0)

# Functions that kernels call are compiled for the current device: there is none.
numba.cuda.dispatcher.get_current_device = lambda: H200

from mlphys.kernels import cuda as packed, cuda_sites as sites

i, u, f = t.int64, t.uint64, t.float64
near, order, chains, real, reals = t.int32[:, ::1], t.int32[::1], i[::1], f[::1], f[:, ::1]
signatures = {
    packed._update: (u[:, :, :, ::1], u[:, :, ::1], u[:, ::1], f[:, :, ::1], i, i, i, i),
    packed._count: (u[:, :, :, ::1], i[:, :, ::1], i, i),
    sites._ising_colour: (t.int8[:, ::1], near, u[:, ::1], t.boolean, order, i, i, chains, u, i, chains, i),
    sites._to_vectors: (reals, reals, reals, order, i),
    sites._to_angles: (reals, reals, reals, order, i),
    sites._reflect: (reals, reals, near, i, i, real, i),
    sites._von_mises: (reals, reals, near, order, i, i, real, chains, u, i, i),
    sites._turn: (reals, reals, near, order, i, i, real, real, chains, u, i, chains, i),
    sites._field_draw: (reals, near, order, i, i, reals, chains, u, i, chains, t.boolean, i),
    sites._field_step: (reals, near, order, i, i, reals, chains, u, i, chains, real, i),
}
for kernel, signature in signatures.items():
    cuda.compile(kernel.py_func, t.void(*signature), cc=(9, 0), abi="numba")
print("compiled", len(signatures))
"""


def test_kernels_compile_for_a_gpu():
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "0"}
    result = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=300)
    if result.stdout.startswith("no compiler"):
        pytest.skip("CUDA's compiler is not installed: pip install -e '.[gpu]'")
    assert result.stdout.strip() == "compiled 10", result.stderr[-3000:]
