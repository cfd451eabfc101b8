"""Kernels that are forked from a process which has imported the library: they start at once and share its memory."""

import asyncio
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from typing import Any

from jupyter_client.provisioning import KernelProvisionerFactory, LocalProvisioner

from mlphys.lab.voila.sessions import note

NAME = "mlphys-forked"
LAUNCHER = "ipykernel_launcher"
# Imported threads would not survive a fork, and only Linux's own libraries are known to bear one.
POSSIBLE = sys.platform == "linux"


def prepare() -> None:
    """Let this process fork its kernels, from one that it starts now and that imports while the server gets ready."""
    if not POSSIBLE:
        return
    usual = tempfile.gettempdir()
    # Room for a name in it: the path of a socket has at most 107 characters.
    tempfile.tempdir = usual if len(usual) < 70 else "/tmp"
    try:
        multiprocessing.get_context("forkserver").set_forkserver_preload(["mlphys.lab.voila.preloaded"])
        forkserver.ensure_running()
    except OSError as error:
        note("message", level="WARNING", source=__name__, message=f"kernels start one by one: {error}")
    else:
        KernelProvisionerFactory.instance(default_provisioner_name=NAME)
    finally:
        tempfile.tempdir = usual


@cache
def _wait_for_the_imports() -> None:
    first = ForkServerProcess(target=int, daemon=True)
    first.start()
    first.join()


class Kernel(ForkServerProcess):
    """A kernel as a process that answers like the `subprocess.Popen` which Jupyter expects."""

    stdin = stdout = stderr = None

    def __init__(self, arguments: list[str], environment: Mapping[str, str], directory: str | None):
        super().__init__(daemon=True)
        # Voila's names of variables are an enumeration, whose home would be imported with them.
        plain = {str.__str__(name): str.__str__(value) for name, value in environment.items()}
        self._beginning = arguments, plain, directory

    def run(self) -> None:
        """What the launcher does, in the forked process."""
        from ipykernel.kernelapp import launch_new_instance
        from setproctitle import setproctitle

        arguments, environment, directory = self._beginning
        # A group for signals, but no session: Linux shares its processors out among sessions first, whatever their niceness.
        os.setpgid(0, 0)
        setproctitle(" ".join([sys.executable, "-m", LAUNCHER, *arguments]))  # it needs the environment as it was
        os.environ.clear()
        os.environ.update(environment)
        if directory:
            os.chdir(directory)
        # A daemon of multiprocessing, which ends with its server, may have no children; a kernel may.
        multiprocessing.current_process()._config["daemon"] = False  # type: ignore[attr-defined]
        sys.argv = [LAUNCHER, *arguments]
        # ipywidgets was imported when there was no kernel to tell; as an extension it tells this one.
        options = {"parent_handle": os.getppid(), "extensions": "ipywidgets", "log_level": "ERROR"}
        launch_new_instance(argv=[*arguments, *(f"--IPKernelApp.{name}={value}" for name, value in options.items())])

    def poll(self) -> int | None:
        """The exit status, None while it lives."""
        return self.exitcode

    def wait(self) -> int | None:
        self.join()
        return self.exitcode

    def send_signal(self, number: int) -> None:
        if self.pid and self.exitcode is None:
            os.kill(self.pid, number)


class ForkProvisioner(LocalProvisioner):
    """Forks IPython kernels of this very Python; starts all others as Jupyter does."""

    async def pre_launch(self, **options: Any) -> dict[str, Any]:
        # This chooses ports, which others may take until the kernel does: not before it can be forked at once.
        await asyncio.to_thread(_wait_for_the_imports)
        return await super().pre_launch(**options)

    async def launch_kernel(self, cmd: list[str], **options: Any) -> Any:
        if cmd[0] != sys.executable or LAUNCHER not in cmd:
            return await super().launch_kernel(cmd, **options)
        arguments = cmd[cmd.index(LAUNCHER) + 1 :]
        kernel = Kernel(arguments, options.get("env") or os.environ, options.get("cwd"))
        await asyncio.to_thread(kernel.start)
        self.process = kernel  # type: ignore[assignment]
        self.pid = self.pgid = kernel.pid
        return self.connection_info
