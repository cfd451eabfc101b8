"""When a kernel ends: its page has gone, or it takes too much memory."""

import contextlib
from typing import Any

import psutil
from jupyter_server._tz import utcnow
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from tornado.ioloop import PeriodicCallback
from traitlets import Int

from mlphys.lab.voila.sessions import note

# Between two looks a kernel may grow beyond what it is allowed; beyond this factor the system itself refuses.
SLACK = 3
LOOK = 2000  # milliseconds
# A full house computes more than its processors can; the one server that carries everybody's messages must not wait for it.
NICENESS = 10


class PatientKernelManager(AsyncMappingKernelManager):
    """Ends a kernel when its page has been gone for ``cull_idle_timeout`` seconds, or when it outgrows `memory`.

    Jupyter's clock starts when the kernel last had something to do. A warm kernel that has waited for its visitor could then
    end while his page is still loading, and that of someone who only watches when his connection drops for a moment; the
    page would stay empty or stand still without a word. Here it starts when the page has gone.
    """

    memory = Int(0, help="MB that a kernel may take; 0 for any amount.").tag(config=True)

    def __init__(self, **options):
        super().__init__(**options)
        self._known: set[str] = set()
        if self.memory:
            self._watch = PeriodicCallback(self._end_the_greedy, LOOK)
            self._watch.start()

    async def start_kernel(self, **options: Any) -> str:  # type: ignore[override]
        kernel_id = await super().start_kernel(**options)
        if process := self._process(kernel_id):
            with contextlib.suppress(psutil.Error, OSError):
                process.nice(NICENESS if psutil.POSIX else psutil.BELOW_NORMAL_PRIORITY_CLASS)
            if self.memory and hasattr(process, "rlimit"):
                most = SLACK * self.memory * 10**6
                with contextlib.suppress(psutil.Error, OSError, ValueError):
                    process.rlimit(psutil.RLIMIT_DATA, (most, most))
        return kernel_id

    async def shutdown_kernel(self, kernel_id: str, *arguments: Any, **options: Any) -> None:  # type: ignore[override]
        await super().shutdown_kernel(kernel_id, *arguments, **options)
        note("end", kernel=kernel_id)

    async def cull_kernel_if_idle(self, kernel_id: str) -> None:
        """End this kernel if its time has come; Voila asks for kernels outside its reserve only."""
        if kernel_id not in self._known or self._kernel_connections.get(kernel_id, 0) > 0:
            self._known.add(kernel_id)
            self._kernels[kernel_id].last_activity = utcnow()
        await super().cull_kernel_if_idle(kernel_id)

    def _process(self, kernel_id: str) -> psutil.Process | None:
        provisioner = getattr(self._kernels.get(kernel_id), "provisioner", None)
        with contextlib.suppress(psutil.Error):
            return psutil.Process(provisioner.pid) if provisioner and provisioner.pid else None
        return None

    async def _end_the_greedy(self) -> None:
        for kernel_id in list(self._kernels):
            with contextlib.suppress(psutil.Error, KeyError):
                process = self._process(kernel_id)
                taken = process.memory_info().rss / 1e6 if process else 0
                if taken > self.memory:
                    note("memory", kernel=kernel_id, megabytes=round(taken), allowed=self.memory)
                    await self.shutdown_kernel(kernel_id, now=True)
