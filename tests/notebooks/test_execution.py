"""Every notebook runs from top to bottom at size ``ci``; `measured` in its cells makes this a test of the physics."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from course_files import DASHBOARDS, LECTURES, ROOT

SECONDS, MEGABYTES, SECONDS_A_CELL = 60, 700, 45


@pytest.mark.timeout(400)
@pytest.mark.parametrize("path", [*LECTURES, *DASHBOARDS], ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_runs_in_time_and_memory(path, record_property):
    for _ in range(2):  # the second only if a busy machine made the first too slow
        seconds, megabytes = run(path)
        print(f"{path.stem}: {seconds:.1f} s, {megabytes:.0f} MB")
        if seconds < SECONDS:
            break
    record_property("seconds", seconds)
    record_property("megabytes", megabytes)
    assert seconds < SECONDS
    assert 0 < megabytes < MEGABYTES


def run(path: Path, size: str = "ci", seconds: float = 3 * SECONDS, limit: int | None = None) -> tuple[float, float]:
    """Seconds that nbval takes for a notebook, and its kernel's peak memory in MB; no process gets more than `limit`."""
    line = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbval-lax", "--nbval-current-env"]
    line += [f"--nbval-cell-timeout={SECONDS_A_CELL}", str(path)]
    began = time.monotonic()
    environment, pipes = {**os.environ, "MLPHYS_SIZE": size}, {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    child = subprocess.Popen(line, cwd=ROOT, env=environment, text=True, **pipes)
    if limit:  # before it has begun a kernel, which inherits it
        psutil.Process(child.pid).rlimit(psutil.RLIMIT_DATA, (limit * 10**6, limit * 10**6))
    watch = KernelWatch(child.pid)
    try:
        output, _ = child.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        child.kill()
        pytest.fail(f"{path.name} still runs after {seconds} s")
    finally:
        peak = watch.stop()
    assert child.returncode == 0, output[-6000:]
    return time.monotonic() - began, peak


class KernelWatch(threading.Thread):
    """Follows the memory of the kernels below a process."""

    def __init__(self, pid: int):
        super().__init__(daemon=True)
        self.parent = psutil.Process(pid)
        self.peak = 0.0
        self.ended = threading.Event()
        self.start()

    def run(self) -> None:
        while not self.ended.wait(0.1):
            try:
                for process in self.parent.children(recursive=True):
                    self.peak = max(self.peak, resident(process))
            except psutil.Error:
                continue

    def stop(self) -> float:
        """The largest resident memory of any of them, MB."""
        self.ended.set()
        self.join()
        return self.peak


def resident(process: psutil.Process) -> float:
    """The peak where Linux keeps one, else what is used now; MB."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024
    except (OSError, IndexError):
        return process.memory_info().rss / 1e6
