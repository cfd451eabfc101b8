"""When the kernel of a page that nobody looks at any more ends."""

from jupyter_server._tz import utcnow
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager


class PatientKernelManager(AsyncMappingKernelManager):
    """Ends a kernel when its page has been gone for ``cull_idle_timeout`` seconds.

    Without this the clock starts when the kernel last had something to do. A warm kernel that has waited for its visitor
    could then end while his page is still loading, and that of someone who only watches when his connection drops for a
    moment; the page would stay empty or stand still without a word.
    """

    def __init__(self, **options):
        super().__init__(**options)
        self._known: set[str] = set()

    async def cull_kernel_if_idle(self, kernel_id: str) -> None:
        """End this kernel if its time has come; Voila asks for kernels outside its reserve only."""
        if kernel_id not in self._known or self._kernel_connections.get(kernel_id, 0) > 0:
            self._known.add(kernel_id)
            self._kernels[kernel_id].last_activity = utcnow()
        await super().cull_kernel_if_idle(kernel_id)
