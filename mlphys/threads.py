"""One kernel call spread over threads, along its chains.

Kernels are serial loops over chains that release the interpreter's lock, and each chain carries its own random numbers:
slicing the chain axis over threads changes nothing but the time. A pool of our own rather than numba's parallel loops,
whose default thread layer aborts the process when two Python threads (two running apps, say) enter it at once.
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

# Handing a slice to the pool costs some tens of microseconds: below this much work a second thread only loses.
_WORTHWHILE_SECONDS = 2e-4
_pool: ThreadPoolExecutor | None = None


def _forget_pool() -> None:
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)


def thread_count() -> int:
    """Threads to use: numba's count (`NUMBA_NUM_THREADS`, `numba.set_num_threads`), at most the processors we may use."""
    import numba
    from numba.np.ufunc import parallel

    # Asking numba for its count starts its threads; do so only if somebody already has.
    started = getattr(parallel, "_is_initialized", False)
    count = numba.get_num_threads() if started else numba.config.NUMBA_NUM_THREADS
    return max(1, min(count, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else count))


def over_chains(kernel, by_chain: tuple, shared: tuple = (), seconds: float = 1.0):
    """Call `kernel(*by_chain, *shared)` with the arrays `by_chain` sliced along their first axis over threads.

    `seconds` is a rough estimate of the work on one thread. Returns the kernel's arrays joined along the chains, or None.
    """
    global _pool
    n = len(by_chain[0])
    parts = min(thread_count(), n) if seconds > _WORTHWHILE_SECONDS else 1
    if parts <= 1:
        return kernel(*by_chain, *shared)
    if _pool is None:
        _pool = ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="mlphys")
    edges = np.linspace(0, n, parts + 1).astype(int)
    slices = [slice(a, b) for a, b in pairwise(edges)]
    futures = [_pool.submit(kernel, *(array[s] for array in by_chain), *shared) for s in slices]
    try:
        results = [future.result() for future in futures]
    except KeyboardInterrupt:
        # The other slices still write into the state: let them finish, so that it stays whole.
        for future in futures:
            future.exception()
        raise
    return None if results[0] is None else np.concatenate(results)


@contextmanager
def one_torch_thread():
    """Give torch one thread for a while, if it is loaded: on small tensors more threads mostly wait for one another."""
    torch: Any = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else 1
    if before > 1:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if before > 1:
            torch.set_num_threads(before)


@contextmanager
def one_blas_thread(wanted: bool = True):
    """Give numpy's, scipy's and torch's linear algebra one thread for a while; two are often slower on small matrices."""
    if not wanted:
        yield
        return
    with _linear_algebra().limit(limits=1, user_api="blas"), one_torch_thread():
        yield


@cache
def _linear_algebra():
    import scipy.linalg  # noqa: F401  (its library has to be loaded to be found)
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
