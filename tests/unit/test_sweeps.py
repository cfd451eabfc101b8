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
from itertools import product
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


def half_way(folder: Path) -> bool:
    """Half of the points are stored, and two more are being computed."""
    return len(stored(folder)) == N_POINTS // 2 and len(calls(folder)) == N_POINTS // 2 + 2


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
    points = list(product(GRID["size"], GRID["temperature"]))
    assert list(zip(table["size"], table["temperature"], strict=True)) == points
    exact = [mp.exact.kaufman(size, size, temperature).energy for size, temperature in points]
    assert (abs(table["energy"] - exact) < 4 * table["energy_error"]).all()
    assert (table["energy_error"] < 0.01).all()


def test_killed_sweep_resumes_where_it_was(tmp_path, undisturbed):
    (tmp_path / "hold").touch()
    victim = subprocess.Popen([sys.executable, SCRIPT, tmp_path])
    assert wait_until(lambda: half_way(tmp_path), 60)
    victim.kill()
    victim.wait()
    before, done, begun = stored(tmp_path), finished(tmp_path), started(tmp_path)
    # Orphaned workers end, though each is in the middle of a point.
    workers = {process for _, _, process in calls(tmp_path)}
    assert wait_until(lambda: not any(map(psutil.pid_exists, workers)), 10)

    (tmp_path / "hold").unlink()
    subprocess.run([sys.executable, SCRIPT, tmp_path], check=True)
    after = started(tmp_path)
    assert all(after[point] == 1 for point in done)
    assert {point for point, times in after.items() if times != 1} == set(begun) - done and max(after.values()) == 2
    assert stored(tmp_path) | before == stored(tmp_path)
    folder, table = undisturbed
    assert_frame_equal(pd.read_pickle(tmp_path / "table"), table, check_exact=True)
    assert {n: data for n, (_, data) in stored(tmp_path).items()} == {n: data for n, (_, data) in stored(folder).items()}
    read = pd.read_parquet(tmp_path / "store").sort_values(["size", "temperature"], ignore_index=True)
    assert_frame_equal(read, table, check_exact=True)


@pytest.fixture(scope="module")
def client():
    dask = pytest.importorskip("dask")
    distributed = pytest.importorskip("dask.distributed")
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def test_cluster_goes_on_when_a_worker_is_killed(tmp_path, undisturbed, client):
    killed: dict = {}
    (tmp_path / "hold").touch()

    def kill_one(done, total):
        if not killed and half_way(tmp_path):
            killed.update(process=calls(tmp_path)[-1][2], finished=finished(tmp_path))
            os.kill(killed["process"], signal.SIGKILL)
            (tmp_path / "hold").unlink()

    table = mp.sweep(energy_logged_in(tmp_path), GRID, tmp_path / "store", client, progress=kill_one)
    counts = started(tmp_path)
    assert all(counts[point] == 1 for point in killed["finished"])
    first = {point[:2]: point[2] for point in reversed(calls(tmp_path))}
    assert [first[point] for point, times in counts.items() if times != 1] == [killed["process"]]
    assert_frame_equal(table, undisturbed[1], check_exact=True)
    assert len(pd.read_parquet(tmp_path / "store")) == N_POINTS


def test_cluster_does_not_blame_the_neighbours_of_a_deadly_point(client):
    def deadly(x):
        if x == 1:
            os._exit(1)
        time.sleep(0.05)
        return x

    with pytest.warns(UserWarning, match="1 of 6 points failed: {'x': 1}: KilledWorker"):
        table = mp.sweep(deadly, {"x": [0, 1, 2, 3, 4, 5]}, client=client, progress=False)
    assert table["failure"].notna().tolist() == [False, True, False, False, False, False]


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

    def pids():
        return [int(path.name) for path in tmp_path.iterdir() if path.name.isdigit()]

    def interrupt():
        wait_until(lambda: len(list((tmp_path / "store").glob("point-*.parquet"))) == 2 and len(pids()) == 3, 30)
        time.sleep(0.05)
        stop.append(time.monotonic())
        if how == "Ctrl-C":
            os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    progress = (lambda done, total: not stop) if how == "progress" else False
    table = mp.sweep(slow, {"seconds": [60, 0.01, 61, 0.02]}, tmp_path / "store", workers=3, progress=progress)
    assert time.monotonic() - stop[0] < 0.5
    assert table["slept"].tolist() == [0.01, 0.02]
    workers = pids()
    assert len(workers) == 3 and not any(map(psutil.pid_exists, workers))


def seed_of(x=0, y=0, seed=None):
    return {"got": seed}


def test_seeds_belong_to_points_alone():
    table = sweep(seed_of, {"x": [1, 2, 3], "y": [0.5, 1]})
    seeds = dict(zip(zip(table["x"], table["y"], strict=True), table["got"], strict=True))
    assert len(set(seeds.values())) == 6 and all(0 <= value < 2**63 for value in seeds.values())
    # Another order, other neighbours, another order of the names, another type of number: the same seeds.
    again = sweep(seed_of, [{"y": np.float32(0.5), "x": np.int8(3)}, {"x": 1.0, "y": 1}])["got"]
    assert again.tolist() == [seeds[3, 0.5], seeds[1, 1]]
    # The same in every version to come, or stored tables could not be continued.
    assert seeds[1, 1] == 5483031472762836315
    other = sweep(seed_of, {"x": [1, 2, 3], "y": [0.5, 1]}, seed=1)["got"]
    assert not set(other) & set(seeds.values())
    assert sweep(seed_of, {"x": [1], "seed": [7]})["got"].tolist() == [7]
    assert sweep(lambda x, **rest: {"rest": len(rest)}, {"x": [1]})["rest"].tolist() == [0]


def chain(size):
    return mp.run(mp.Wolff(mp.Ising(mp.square(size))), samples=100, temperature=3.0, chains=2, seed=1)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda size: size / 2, {"value": [1.0]}),
        (lambda size: np.float32(size / 2), {"value": [1.0]}),
        (lambda size: mp.Estimate(1.0, 0.1), {"value": [1.0], "error": [0.1]}),
        (lambda size: {"e": mp.Estimate(1.0, 0.1), "s": "up"}, {"e": [1.0], "e_error": [0.1], "s": ["up"]}),
        (lambda size: {"b": np.bool_(True), "n": np.nan}, {"b": [True], "n": [np.nan]}),
        (lambda size: {"size": size, "n": np.int8(3)}, {"n": [3]}),
        (lambda size: [{"k": k, "v": k / 2} for k in range(2)], {"k": [0, 1], "v": [0.0, 0.5]}),
        (lambda size: pd.DataFrame({"k": [0, 1], "v": [2, 0.5]}), {"k": [0, 1], "v": [2.0, 0.5]}),
        (lambda size: pd.DataFrame({"v": [2, 0.5]}, index=pd.Index([0, 1], name="k")), {"k": [0, 1], "v": [2.0, 0.5]}),
    ],
)
def test_results_become_rows(function, expected):
    table = sweep(function, {"size": [2]})
    n = len(next(iter(expected.values())))
    assert_frame_equal(table, pd.DataFrame({"size": [2] * n} | expected), check_exact=True)


def test_chain_gives_the_rows_of_its_report():
    table = sweep(chain, {"size": [4, 6]})
    report = chain(6).report().reset_index().drop(columns="ess_per_second")
    rows = table[table["size"] == 6].drop(columns=["size", "ess_per_second"]).reset_index(drop=True)
    assert len(report) > 3
    assert_frame_equal(rows, report, check_exact=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"function": 3}, "function=3 is not a function"),
        ({"function": lambda y: y}, r"cannot be called with the parameters \{'x': 1\}"),
        ({"grid": {}}, r"grid=\{\} is not allowed: .* not empty"),
        ({"grid": {"x": []}}, "not empty"),
        ({"grid": []}, "not empty"),
        ({"grid": [{}]}, "not empty"),
        ({"grid": [1, 2]}, "a list of dicts"),
        ({"grid": {"x": "abc"}}, r"grid\['x'\]='abc' is not allowed: give a list of values"),
        ({"grid": {"x": 3}}, r"grid\['x'\]=3 is not allowed"),
        ({"grid": {"x": [(1, 2)]}}, r"grid: x=\(1, 2\) cannot be stored"),
        ({"grid": {"x": [2**63]}}, "cannot be stored"),
        ({"grid": {"x": [1j]}}, "cannot be stored"),
        ({"grid": {1: [1]}}, "keywords must be strings"),
        ({"client": "dask"}, "client='dask' is not allowed"),
        ({"workers": 0, "client": None}, "workers=0 is not allowed"),
        ({"seed": -1}, "seed=-1 is not allowed"),
        ({"function": lambda x: threading.Lock(), "client": None}, "function returned <unlocked"),
        ({"function": lambda x: None}, "function returned None"),
        ({"function": lambda x: []}, r"function returned \[\]"),
        ({"function": lambda x: {"y": [1]}}, r"y=\[1\] cannot be stored"),
        ({"function": lambda x: {"x": 0}}, "function returned x=0: a column of that name exists"),
        ({"function": lambda x: {"failure": 0}}, "function returned failure=0"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        sweep(**{"function": lambda x: {"y": x}, "grid": {"x": [1]}} | options)


def test_one_unusable_result_is_a_failed_point():
    with pytest.warns(UserWarning, match="1 of 3 points failed"):
        table = sweep(lambda x: {"y": x} if x != 2 else None, {"x": [1, 2, 3]})
    assert table["failure"].notna().tolist() == [False, True, False]
    with pytest.warns(UserWarning, match="incompatible types"):
        table = sweep(lambda x: {"y": "word" if x == 2 else x}, {"x": [1, 2, 3]})
    assert table["failure"].notna().tolist() == [False, True, False]


def test_store_belongs_to_one_function_and_seed(tmp_path):
    store = tmp_path / "deep" / "store"
    sweep(seed_of, {"x": [1]}, store=store, seed=np.int64(0))
    with pytest.raises(ValueError, match=r"store=.*seed_of.*give another folder"):
        sweep(chain, {"size": [4]}, store=store)
    with pytest.raises(ValueError, match=r"'seed': 0.*'seed': 1"):
        sweep(seed_of, {"x": [1]}, store=store, seed=1)
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"store=.*cannot be made a folder"):
        sweep(seed_of, {"x": [1]}, store=tmp_path / "file")


def test_store_grows_with_the_grid(tmp_path):
    def function(x, log=str(tmp_path / "calls"), y=0):
        with open(log, "a") as file:
            file.write(f"{x} ")
        # Columns that come and go, whole numbers beside fractions, and a value that is missing at first.
        return {"half": x // 2 if x % 2 == 0 else x / 2, "late": None if x < 3 else "now"} | ({"odd": True} if x % 2 else {})

    store = tmp_path / "store"
    sweep(function, {"x": [2, 3]}, store=store)
    table = sweep(function, pd.DataFrame({"x": [4, 2, 1, 3, 2]}), store=store)
    assert (tmp_path / "calls").read_text().split() == ["2", "3", "4", "1"]
    assert table["x"].tolist() == [4, 2, 1, 3] and table["half"].tolist() == [2, 1, 0.5, 1.5]
    assert_frame_equal(table, sweep(function, {"x": [4, 2, 1, 3]}), check_exact=True)
    sweep(function, [{"y": 5, "x": 0}], store=store)
    read = pd.read_parquet(store).sort_values("x", ignore_index=True)
    assert read["half"].tolist() == [0, 0.5, 1, 1.5, 2] and read["y"].tolist()[0] == 5
    assert read["late"].isna().tolist() == [True, True, True, False, False] and read["odd"].notna().sum() == 2
    # Files torn by a power cut do not count.
    torn = min(store.glob("point-*.parquet"))
    torn.write_bytes(torn.read_bytes()[:50])
    (store / "columns.parquet").write_bytes(b"PAR1")
    sweep(function, [{"x": 1}, {"x": 2}, {"x": 3}, {"x": 4}, {"x": 0, "y": 5}], store=store)
    assert len((tmp_path / "calls").read_text().split()) == 10
    assert len(pd.read_parquet(store)) == 5


def test_half_written_point_is_not_in_the_store(tmp_path, monkeypatch):
    from mlphys import sweeps

    def full_disk(table, path):
        Path(path).write_bytes(b"PAR1")
        raise OSError("No space left on device")

    store = tmp_path / "store"
    sweep(seed_of, {"x": [1]}, store=store)
    with monkeypatch.context() as patch, pytest.warns(UserWarning, match="1 of 2 points failed: .*OSError: No space left"):
        patch.setattr(sweeps.parquet, "write_table", full_disk)
        sweep(seed_of, {"x": [1, 2]}, store=store)
    assert pd.read_parquet(store)["x"].tolist() == [1]
    assert sweep(seed_of, {"x": [1, 2]}, store=store)["x"].tolist() == [1, 2] and len(pd.read_parquet(store)) == 2


def test_two_sweeps_into_one_store(tmp_path):
    script = tmp_path / "script.py"
    # No `if __name__ == "__main__"`, and columns that the two do not share.
    script.write_text(
        "import sys, mlphys as mp\n"
        "def function(x):\n"
        "    return {f'column{x % 5}': x / 2}\n"
        "first = int(sys.argv[1])\n"
        "mp.sweep(function, {'x': list(range(first, first + 40))}, store='store', progress=False, workers=2)\n"
    )
    pair = [subprocess.Popen([sys.executable, script, str(first)], cwd=tmp_path) for first in (0, 20)]
    assert [process.wait() for process in pair] == [0, 0]
    table = pd.read_parquet(tmp_path / "store").sort_values("x", ignore_index=True)
    assert table["x"].tolist() == list(range(60))
    assert [table[f"column{x % 5}"][x] for x in range(60)] == [x / 2 for x in range(60)]
    assert not [path for path in (tmp_path / "store").iterdir() if path.name.startswith(".")]


def guide_blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)


def test_guide_runs_on_a_laptop(tmp_path):
    (tmp_path / "energies.py").write_text(guide_blocks()[0])
    result = subprocess.run([sys.executable, "energies.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
    table = pd.read_parquet(tmp_path / "energies")
    assert len(table) == 9 and "energy_error" in result.stdout and "9/9" in result.stderr
    assert (abs(table["energy"] - table["exact"]) < 4 * table["energy_error"]).all()


@pytest.mark.parametrize("module", ["dask.distributed", "dask_jobqueue", "dask_kubernetes.operator"])
def test_guide_names_what_clusters_offer(module):
    blocks = [block for block in guide_blocks()[1:] if f"from {module} import" in block]
    assert blocks
    offered = pytest.importorskip(module)
    for block in blocks:
        compile(block, "guide", "exec")
        for name in re.search(rf"from {re.escape(module)} import (.*)", block)[1].split(", "):
            assert hasattr(offered, name)
