"""The rule by which kernels of abandoned pages end, without a browser."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from types import SimpleNamespace

import pytest

IDLE = 60


@pytest.fixture
def manager():
    """A manager of one kernel, "k", that only notes which kernels it would end."""
    from mlphys.lab.voila.kernels import PatientKernelManager

    ended: list[str] = []

    class Recorder(PatientKernelManager):
        async def shutdown_kernel(self, kernel_id, *args, **kwargs):
            ended.append(kernel_id)

    manager = Recorder(cull_idle_timeout=IDLE)
    manager.ended = ended
    spec = SimpleNamespace(metadata={})
    manager._kernels["k"] = SimpleNamespace(kernel_spec=spec, kernel_name="python3", execution_state="idle")
    return manager


def look(manager, seconds_idle: float, connections: int) -> list[str]:
    from jupyter_server._tz import utcnow

    manager._kernels["k"].last_activity = utcnow() - timedelta(seconds=seconds_idle)
    manager._kernel_connections["k"] = connections
    asked(manager)
    return manager.ended


def asked(manager) -> None:
    """Ask once about the kernel; in a thread, because the browser's driver has an event loop running in this one."""
    with ThreadPoolExecutor() as pool:
        pool.submit(asyncio.run, manager.cull_kernel_if_idle("k")).result()


def test_warm_kernel_that_has_waited_long_survives_until_its_page_connects(manager):
    assert look(manager, seconds_idle=3600, connections=0) == []


def test_kernel_of_a_visitor_who_only_watches_survives_a_dropped_connection(manager):
    assert look(manager, seconds_idle=3600, connections=1) == []
    asked(manager)
    manager._kernel_connections["k"] = 0
    asked(manager)
    assert manager.ended == []


def test_kernel_without_a_page_ends_when_its_time_is_over(manager):
    look(manager, seconds_idle=0, connections=0)
    assert look(manager, seconds_idle=IDLE - 1, connections=0) == []
    assert look(manager, seconds_idle=IDLE + 1, connections=0) == ["k"]
