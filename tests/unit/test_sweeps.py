"""Sweeps: each point once whoever is killed, tables and seeds that depend on the points alone, failures told and retried."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
from pandas.testing import assert_frame_equal
from sweep_of_energies import GRID, calls, energy_logged_in

import mlphys as mp

SCRIPT = Path(__file__).with_name("sweep_of_energies.py")
GUIDE = Path(__file__).parents[2] / "guides/sweeps.md"
N_POINTS = len(GRID["size"]) * len(GRID["temperature"])


def sweep(function, grid, **options):
    """Points on threads of this process: as quick as can be where processes are not the subject."""
    with ThreadPoolExecutor(1) as client:
        return mp.sweep(function, grid, **{"client": client, "progress": False} | options)


def stored(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in (folder / "store").glob("point-*.parquet")}


def started(folder: Path) -> Counter:
    return Counter((size, temperature) for size, temperature, _ in calls(folder))


def finished(folder: Path) -> set:
    return set(pd.read_parquet(folder / "store")[["size", "temperature"]].astype(float).itertuples(index=False, name=None))


def wait_until(condition, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The folder and the table of a sweep that nobody killed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    return folder, mp.sweep(energy_logged_in(folder), GRID, store=folder / "store", progress=False, workers=2)


def test_energies_agree_with_kaufman(undisturbed):
    folder, table = undisturbed
    assert list(started(folder).values()) == [1] * N_POINTS
    assert list(table.columns) == ["size", "temperature", "energy", "energy_error", "seed"]
    assert list(zip(table["size"], table["temperature"], strict=True)) == [(L, T) for L in GRID["size"] for T in GRID["temperature"]]
    exact = [mp.exact.kaufman(int(L), int(L), T).energy for L, T in zip(table["size"], table["temperature"], strict=True)]
    assert (abs(table["energy"] - exact) < 4 * table["energy_error"]).all()
    assert (table["energy_error"] < 0.01).all()


def test_killed_sweep_resumes_where_it_was(tmp_path, undisturbed):
    victim = subprocess.Popen([sys.executable, SCRIPT, tmp_path])
    assert wait_until(lambda: len(stored(tmp_path)) >= N_POINTS // 2, 60)
    victim.kill()
    victim.wait()
    before, done, begun = stored(tmp_path), finished(tmp_path), started(tmp_path)
    assert N_POINTS // 2 <= len(before) == len(done) < N_POINTS
    # Orphaned workers end, though each was in the middle of a point.
    workers = {process for _, _, process in calls(tmp_path)}
    assert len(workers) == 2 and wait_until(lambda: not any(map(psutil.pid_exists, workers)), 5)

    subprocess.run([sys.executable, SCRIPT, tmp_path], check=True)
    after = started(tmp_path)
    assert all(after[point] == 1 for point in done)
    assert {point for point, times in after.items() if times == 2} == set(begun) - done and max(after.values()) <= 2
    assert stored(tmp_path) | before == stored(tmp_path)
    folder, table = undisturbed
    assert_frame_equal(pd.read_pickle(tmp_path / "table"), table, check_exact=True)
    assert {n: data for n, (_, data) in stored(tmp_path).items()} == {n: data for n, (_, data) in stored(folder).items()}
    read = pd.read_parquet(tmp_path / "store").sort_values(["size", "temperature"], ignore_index=True)
    assert_frame_equal(read, table, check_exact=True)


def test_cluster_goes_on_when_a_worker_is_killed(tmp_path, undisturbed):
    distributed = pytest.importorskip("dask.distributed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        killed: dict = {}

        def kill_one(done, total):
            if not killed and done >= total // 2:
                process = calls(tmp_path)[-1][2]
                os.kill(process, signal.SIGKILL)
                killed.update(process=process, finished=finished(tmp_path))

        table = mp.sweep(energy_logged_in(tmp_path), GRID, tmp_path / "store", client, progress=kill_one)
    counts = started(tmp_path)
    assert len(killed["finished"]) >= N_POINTS // 2
    assert all(counts[point] == 1 for point in killed["finished"]) and len(counts) == N_POINTS
    first = {point[:2]: point[2] for point in reversed(calls(tmp_path))}
    assert {first[point] for point, times in counts.items() if times > 1} == {killed["process"]}
    assert_frame_equal(table, undisturbed[1], check_exact=True)
    assert len(pd.read_parquet(tmp_path / "store")) == N_POINTS


def test_failed_points_are_told_and_tried_again(tmp_path):
    def fragile(x, folder):
        mend = Path(folder, "mended").exists()
        if x == 1 and not mend:
            raise RuntimeError("the first half\nof a message")
        if x == 2 and not mend:
            os.kill(os.getpid(), signal.SIGKILL)
        if x == 3 and not mend:
            sys.exit("gone")
        Path(folder, f"{x}-{time.time_ns()}").touch()
        return {"y": x / 2}

    grid = {"x": [0, 1, 2, 3, 4, 5], "folder": [str(tmp_path)]}
    with pytest.warns(UserWarning, match=r"3 of 6 points failed: .*'x': .*RuntimeError: the first half"):
        table = mp.sweep(fragile, grid, tmp_path / "store", progress=False, workers=2)
    assert table["x"].tolist() == grid["x"] and table.columns[-1] == "failure"
    assert table["y"].isna().tolist() == table["failure"].notna().tolist() == [False, True, True, True, False, False]
    assert "in fragile" in table["failure"][1] and table["failure"][2] == "WorkerDied: Killed"
    assert table["failure"][3].startswith("SystemExit: gone")
    assert sorted(pd.read_parquet(tmp_path / "store")["x"]) == [0, 4, 5]

    (tmp_path / "mended").touch()
    table = sweep(fragile, grid, store=tmp_path / "store")
    assert table["y"].tolist() == [0, 0.5, 1, 1.5, 2, 2.5] and "failure" not in table
    assert len(list(tmp_path.glob("?-*"))) == 6


@pytest.mark.parametrize("how", ["Ctrl-C", "progress"])
def test_stopped_sweep_returns_what_is_there_at_once(tmp_path, how):
    def slow(seconds):
        Path(tmp_path, str(os.getpid())).touch()
        time.sleep(seconds)
        return {"slept": seconds}

    stop: list[float] = []

    def interrupt():
        wait_until(lambda: len(list((tmp_path / "store").glob("point-*.parquet"))) == 2, 30)
        time.sleep(0.05)
        stop.append(time.monotonic())
        if how == "Ctrl-C":
            os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    progress = (lambda done, total: not stop) if how == "progress" else False
    table = mp.sweep(slow, {"seconds": [60, 0.01, 61, 0.02]}, tmp_path / "store", workers=3, progress=progress)
    assert time.monotonic() - stop[0] < 0.5
    assert table["slept"].tolist() == [0.01, 0.02]
    workers = [int(path.name) for path in tmp_path.iterdir() if path.name.isdigit()]
    assert len(workers) == 3 and not any(map(psutil.pid_exists, workers))
