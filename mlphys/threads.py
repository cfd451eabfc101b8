"""Work spread over threads: kernel calls along their chains, networks along their batches.

Kernels are serial loops over chains that release the interpreter's lock, and each chain carries its own random numbers:
slicing the chain axis over threads changes nothing but the time. A pool of our own rather than numba's parallel loops,
whose default thread layer aborts the process when two Python threads (two running apps, say) enter it at once.
"""

import os
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

# Handing a slice to the pool costs some tens of microseconds: below this much work a second thread only loses.
_WORTHWHILE_SECONDS = 2e-4
_NAME = "mlphys"
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
    n = len(by_chain[0])
    parts = min(thread_count(), n) if seconds > _WORTHWHILE_SECONDS else 1
    if parts <= 1:
        return kernel(*by_chain, *shared)
    edges = np.linspace(0, n, parts + 1).astype(int)
    slices = [slice(a, b) for a, b in pairwise(edges)]
    results = _finished([_submit(kernel, *(array[s] for array in by_chain), *shared) for s in slices])
    return None if results[0] is None else np.concatenate(results)


def over_batches(function, *batches: Sequence) -> list:
    """[function(*batch) for batch in zip(*batches)] of work by torch on the processor, spread over threads.

    Each thread gives torch one of its own, and knows nothing of the caller's `torch.no_grad`.
    """
    import torch

    count = len(batches[0])
    # Work of the pool that waited for more work of the pool could wait for ever.
    if min(thread_count(), count) <= 1 or threading.current_thread().name.startswith(_NAME):
        return [function(*batch) for batch in zip(*batches, strict=True)]
    # The threads of this process share the work by taking turns, so that no batch waits for a thread that is busy.
    turns = iter(enumerate(zip(*batches, strict=True)))
    results: list = [None] * count

    def take_turns():
        if torch.get_num_threads() > 1:
            torch.set_num_threads(1)
        while (turn := next(turns, None)) is not None:
            results[turn[0]] = function(*turn[1])

    with one_torch_thread():
        _finished([_submit(take_turns) for _ in range(min(thread_count(), count))])
    return results


def _submit(function, *arguments):
    global _pool
    if _pool is None:
        _pool = ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix=_NAME)
    return _pool.submit(function, *arguments)


def _finished(futures: list) -> list:
    try:
        return [future.result() for future in futures]
    except KeyboardInterrupt:
        # The others still write into the state: let them finish, so that it stays whole.
        for future in futures:
            future.exception()
        raise


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
    """Give numpy's and scipy's linear algebra one thread for a while, if `wanted`: two are often slower on small matrices.

    Torch gets one in any case: networks spread batches over threads themselves.
    """
    with _linear_algebra().limit(limits=1, user_api="blas") if wanted else nullcontext(), one_torch_thread():
        yield


@cache
def _linear_algebra():
    import scipy.linalg  # noqa: F401  (its library has to be loaded to be found)
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
