"""What every kernel of a dashboard would import; the process that imports this module is the one they are forked from.

Nothing here may start a thread: a forked process would not have it.
"""
# ruff: noqa: F401

import contextlib
import gc

import ipykernel.kernelapp
import ipykernel.zmqshell

import mlphys as mp
import mlphys.exact
import mlphys.lab

for name in mlphys.lab.__all__:
    getattr(mlphys.lab, name)
# numba and torch import half of themselves at the first use.
mp.run(mp.Metropolis(mp.Ising(mp.square(4))), 2, 2.0, 1, seed=1)
with contextlib.suppress(ImportError):
    import torch._dynamo

    import mlphys.diffusion
    import mlphys.flows
    import mlphys.train

# The collector would write to every object, and so copy the pages that kernels share.
gc.collect()
gc.freeze()
