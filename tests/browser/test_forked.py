"""Kernels are forked from one process that has imported the library: what they share, and what happens when it dies."""

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from servers import Server
from wire import Visitor

NOTEBOOK = "01_ising.ipynb"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux alone")


@pytest.fixture
def server(dashboards, tmp_path):
    # Where temporary files have longer names than a socket may.
    server = Server("dashboards", dashboards, tmp_path / f"server{'-' * 80}")
    yield server
    server.close()


def elsewhere(coroutine):
    """Its result; a browser's loop may run in this thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


async def visited(server) -> None:
    """Somebody opens a page, looks at the moving lattice and leaves it open."""
    visitor = Visitor(server.base, NOTEBOOK)
    await visitor.open()
    await visitor.run()
    for _ in range(20):  # its kernel loads compiled code before the first of them
        await visitor.watch(1)
        if visitor.frames > 3:
            break
    assert visitor.frames > 3 and not visitor.complaints
    await visitor.leave(politely=False)


def test_kernels_have_one_parent_share_its_memory_and_yield_to_the_server(server):
    for _ in range(2):
        elsewhere(visited(server))
    kernels = list(server.kernel_processes().values())
    (parent,) = {kernel.parent() for kernel in kernels}
    assert len(kernels) == 2 and parent.parent().pid == server.process.pid
    for kernel in kernels:
        memory = kernel.memory_full_info()
        assert memory.uss < 0.5 * memory.rss, "most of a kernel's memory ought to be its parent's"
        assert kernel.nice() > parent.nice()


def test_after_the_death_of_that_process_its_kernels_end_and_the_next_visitor_gets_one(server):
    elsewhere(visited(server))
    kernels = list(server.kernel_processes().values())
    kernels[0].parent().kill()
    assert kernels and psutil.wait_procs(kernels, timeout=10)[1] == []
    elsewhere(visited(server))
