"""The two servers under test as processes, and a wire into their kernels."""

import contextlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import psutil
from jupyter_client import BlockingKernelClient

TOKEN = "test"


class Server:
    """``mlphys lab`` or ``mlphys dashboards`` on a directory; its kernels' connection files lie below `scratch`."""

    def __init__(self, command: str, directory: Path, scratch: Path, *options: str, size: str = "ci"):
        scratch.mkdir()
        self.command, self.scratch, self.port = command, scratch, free_port()
        prefix = options[options.index("--base-url") + 1] if "--base-url" in options else ""
        self.base = f"http://127.0.0.1:{self.port}{prefix}"
        self.log = scratch / "server.log"
        environment = {
            **os.environ,
            "TMPDIR": str(scratch),
            "JUPYTER_RUNTIME_DIR": str(scratch / "runtime"),
            "JUPYTER_CONFIG_DIR": str(scratch / "config"),
            "JUPYTERLAB_WORKSPACES_DIR": str(scratch / "workspaces"),
            "JUPYTERLAB_SETTINGS_DIR": str(scratch / "settings"),
            "MLPHYS_SIZE": size,
        }
        line = [sys.executable, "-m", "mlphys", command, str(directory), "--port", str(self.port), "--no-browser", *options]
        if command == "lab":
            line += ["--token", TOKEN]
        began = time.monotonic()
        with self.log.open("w") as log:
            self.process = subprocess.Popen(line, env=environment, stdout=log, stderr=log)
        self.wait_until_up(began + 60)
        self.seconds_to_start = time.monotonic() - began

    def wait_until_up(self, deadline: float) -> None:
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            with contextlib.suppress(OSError):
                fetch(f"{self.base}/lab?token={TOKEN}" if self.command == "lab" else f"{self.base}/")
                return
            time.sleep(0.05)
        raise RuntimeError(f"mlphys {self.command} does not answer:\n{self.log.read_text()[-3000:]}")

    def page(self, notebook: str, **query: str) -> str:
        """The address of a notebook."""
        place = "/lab/tree/" if self.command == "lab" else "/voila/render/"
        if self.command == "lab":
            query |= {"token": TOKEN, "reset": ""}  # no tabs of an earlier visit
        return f"{self.base}{place}{notebook}?{urllib.parse.urlencode(query)}"

    def kernels(self) -> dict[str, Path]:
        """The connection files of the kernels that live, by kernel id."""
        return {file.stem.removeprefix("kernel-"): file for file in self.kernel_processes()}

    def kernel_processes(self) -> dict[Path, psutil.Process]:
        """The kernels that live, by connection file."""
        found = {}
        for child in psutil.Process(self.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                for argument in " ".join(child.cmdline()).split():
                    if Path(argument).name.startswith("kernel-") and argument.endswith(".json"):
                        found[Path(argument)] = child
        return found

    def settle(self, warm: int, seconds: float = 120) -> None:
        """Wait until `warm` kernels stand in reserve and come to rest, and no other is about to."""
        deadline = time.monotonic() + seconds
        before: dict[Path, float] = {}
        while time.monotonic() < deadline:
            free = {file: process for file, process in self.kernel_processes().items() if not self.has_page(file)}
            used = {}
            for file, process in free.items():
                with contextlib.suppress(psutil.NoSuchProcess):
                    used[file] = process.cpu_times().user
            if len(used) >= warm and all(now - before.get(file, -1) < 0.05 for file, now in used.items()):
                return
            before = used
            time.sleep(0.7)
        raise TimeoutError(f"fewer than {warm} warm kernels after {seconds} s:\n{self.log.read_text()[-3000:]}")

    def has_page(self, file: Path) -> bool:
        status, _, body = fetch(f"{self.base}/api/kernels/{file.stem.removeprefix('kernel-')}")
        return status == 200 and json.loads(body)["connections"] > 0

    def close(self) -> None:
        processes = self.kernel_processes().values()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


class Probe:
    """Asks a kernel questions in Python, beside whatever its page does."""

    PREAMBLE = """
import json as _json
from ipywidgets.widgets.widget import _instances as _widgets
from mlphys.lab import LatticeView, Player, Plot
from mlphys.lab.control import Controls
def _all(kind): return [widget for widget in list(_widgets.values()) if isinstance(widget, kind)]
"""

    def __init__(self, connection_file: Path):
        self.client = BlockingKernelClient(connection_file=str(connection_file))
        self.client.load_connection_file()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=30)
        self.run(self.PREAMBLE)

    def run(self, code: str, timeout: float = 30) -> None:
        """Execute `code` in the kernel; RuntimeError with its traceback if it fails."""
        reply = self.client.execute(code, store_history=False, reply=True, timeout=timeout)
        if reply["content"]["status"] != "ok":
            raise RuntimeError("\n".join(reply["content"]["traceback"]))

    def ask(self, expression: str, timeout: float = 30):
        """The value of `expression` in the kernel, through JSON."""
        request = self.client.execute(
            "pass", store_history=False, user_expressions={"answer": f"_json.dumps({expression})"}, reply=False
        )
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            with contextlib.suppress(queue.Empty):
                reply = self.client.get_shell_msg(timeout=1)
                if reply["parent_header"].get("msg_id") == request:
                    answer = reply["content"]["user_expressions"]["answer"]
                    if answer["status"] != "ok":
                        raise RuntimeError(f"{expression}: {answer['ename']}: {answer['evalue']}")
                    return json.loads(eval(answer["data"]["text/plain"]))
        raise TimeoutError(f"the kernel did not answer {expression!r} within {timeout} s")

    def close(self) -> None:
        self.client.stop_channels()


def fetch(address: str, method: str = "GET", **headers: str):
    """The answer to a request: status, headers, body; a status above 399 is an answer, too."""
    try:
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers, method=method), timeout=30) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
