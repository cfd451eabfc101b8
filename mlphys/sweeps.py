"""Parameter sweeps: one function over many points, on the processes of this machine or on a cluster, stored as it goes.

A point is a dict of parameters. Its key, a hash of them, is its identity: it names the file of the point's rows and makes
its seed. Whoever computes is an executor with `submit`; everything else, the store above all, happens in the process that
called `sweep`, so that workers need neither its disk nor one another.
"""

import functools
import hashlib
import inspect
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import traceback
import uuid
import warnings
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import product
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from mlphys import checks
from mlphys.random import spawn
from mlphys.stats import Estimate


def sweep(function: Callable, grid, store=None, client=None, progress: bool | Callable = True, seed=0, workers=None):
    """Call `function` at every point of `grid`; a DataFrame of parameters and results, in the order of the grid.

    grid: a dict of lists, every combination of which is a point, or the points themselves: a list of dicts or a DataFrame.
    Parameters are numbers, strings, booleans or None. function: takes them by name, and `seed` if it has that argument: a
    seed that depends on the point and the sweep's `seed` alone. It returns a dict, a list of dicts, a DataFrame, a Chain
    (its report), a number or an Estimate; an Estimate in a dict fills two columns, `name` and `name_error`.
    store: a folder that gains a Parquet file with each finished point and reads as one table, `pandas.read_parquet(store)`.
    Points found in it are not computed again. client: a `dask.distributed.Client` or another executor whose `submit` gives
    futures; by default `workers` processes, one for each processor, of one thread each. progress: a bar, or a function of
    (done, total) that stops the sweep by returning False. Ctrl-C stops it too; the table then holds what was finished.
    A point that raises, or whose process dies, does not stop the others: a warning tells of it, its row gives the reason in
    the column `failure`, and the next sweep into the store tries it again. Raises ValueError for bad arguments, for a store
    of another function or seed, and if the first results to arrive cannot be made into rows.

    >>> import mlphys as mp
    >>> mp.sweep(lambda size: size**2, {"size": [2, 3]}, progress=False, workers=1)["value"].tolist()
    [4, 9]
    """
    import cloudpickle
    from tqdm.auto import tqdm

    points, name, seed = _points(grid), getattr(function, "__qualname__", type(function).__name__), checks.seed(seed)
    seeds = _seeds(function, name, points, seed)
    tables = _Tables(store, {"function": name, "seed": seed if seeds else None}, points)
    missing = [key for key in points if key not in tables.finished]
    executor = _Processes(workers, len(missing)) if client is None else client
    if not hasattr(executor, "submit") or getattr(executor, "asynchronous", False):
        raise ValueError(f"client={client!r} is not allowed: give a dask.distributed.Client, or an executor with submit")
    payload = cloudpickle.dumps(function)
    failures: dict[str, str] = {}
    suspects: list[str] = []
    suspected: set[str] = set()
    pending: dict[str, Any] = {}
    arrived: SimpleQueue[str] = SimpleQueue()

    def submit(key: str) -> None:
        # A cluster answers equal calls from its memory: the last argument makes each another one.
        pending[key] = executor.submit(_evaluate, payload, points[key], seeds.get(key, {}), uuid.uuid4().hex)
        pending[key].add_done_callback(lambda _: arrived.put(key))

    def settle(key: str) -> None:
        try:
            answer = pending[key].result(timeout=1)
            if isinstance(answer, str):
                failures[key] = answer
            else:
                tables.write(key, answer)
        except TimeoutError:  # lost with its worker before it was fetched, and being computed again
            return arrived.put(key)
        except Exception as error:
            if isinstance(error, ValueError) and not tables.finished:
                raise
            # Dask blames the deaths of a worker on all points that waited there: each gets another chance, alone.
            if hasattr(error, "last_worker") and key not in suspected:
                suspects.append(key)
                suspected.add(key)
            else:
                failures[key] = f"{type(error).__name__}: {error}"
        del pending[key]

    bar = tqdm(total=len(points), initial=len(tables.finished), unit="point", disable=progress is not True)
    try:
        with suppress(KeyboardInterrupt):
            for key in missing:
                submit(key)
            while pending or suspects:
                if not pending:
                    submit(suspects.pop())
                with suppress(Empty):
                    settle(arrived.get(timeout=0.2))
                done = len(tables.finished) + len(failures)
                bar.update(done - bar.n)
                if callable(progress) and progress(done, len(points)) is False:
                    break
        end = time.monotonic() + 0.25
        for key in [key for key, future in pending.items() if future.done()]:
            if time.monotonic() < end:
                settle(key)
    finally:
        bar.close()
        cancel = getattr(executor, "cancel", lambda futures: [future.cancel() for future in futures])
        cancel(list(pending.values()))
    if failures:
        reasons = "; ".join(f"{points[key]}: {text.splitlines()[0]}" for key, text in list(failures.items())[:10])
        warnings.warn(f"{len(failures)} of {len(points)} points failed: {reasons}", stacklevel=2)
    return tables.joined(failures)


def _points(grid) -> dict[str, dict]:
    """The points by their keys, in order; one given twice is one point."""
    import pandas as pd  # before the work, since the end of a stopped sweep could not wait for it

    if isinstance(grid, Mapping):
        for name, values in grid.items():
            if isinstance(values, str) or not isinstance(values, Iterable):
                raise ValueError(f"grid[{name!r}]={values!r} is not allowed: give a list of values")
        points = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
    else:
        points = grid.to_dict("records") if isinstance(grid, pd.DataFrame) else grid
    if not isinstance(points, list) or not points or not all(isinstance(point, Mapping) and point for point in points):
        raise ValueError(f"grid={grid!r} is not allowed: give a dict of lists, a list of dicts or a DataFrame, not empty")
    points = [{name: _plain(f"grid: {name}", value) for name, value in point.items()} for point in points]
    return {_key(point): point for point in points}


def _key(point: dict) -> str:
    """A hash that is the same in every process: of the sorted parameters, 2 and 2.0 being one value."""
    values = {n: int(v) if isinstance(v, float) and v.is_integer() else v for n, v in point.items()}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:32]


def _plain(name, value):
    """A parameter or a result as one of Python's own scalars."""
    if getattr(value, "shape", None) == ():
        value = value.item()
    if value is None or isinstance(value, bool | str | float) or (isinstance(value, int) and abs(value) < 2**63):
        return value
    raise ValueError(f"{name}={value!r} cannot be stored: allowed are numbers, strings, booleans and None")


def _seeds(function, name: str, points: dict[str, dict], seed: int) -> dict[str, dict]:
    """The argument `seed` by point, if the function takes one; ValueError if it does not take the parameters."""
    if not callable(function):
        raise ValueError(f"function={function!r} is not a function")
    signature, seeds = inspect.signature(function), {}
    if "seed" in signature.parameters:
        seeds = {key: {"seed": spawn(seed, int(key, 16)) >> 1} for key in points if "seed" not in points[key]}
    for key, point in points.items():
        try:
            signature.bind(**point, **seeds.get(key, {}))
        except TypeError as error:
            raise ValueError(f"function={name} cannot be called with the parameters {point}: {error}") from None
    return seeds


def _evaluate(payload: bytes, point: dict, seed: dict, once: str) -> list[dict] | str:
    """The point's rows, or why the function failed in words, since not every error can travel; this runs on a worker."""
    try:
        result = _loaded(payload)(**point, **seed)
    except (Exception, SystemExit) as error:
        return f"{type(error).__name__}: {error}\n{traceback.format_exc()}"
    return _rows(result, point)


# Unpickled once in a process, so that what the function compiles on its first call serves all of them.
_loaded = functools.lru_cache(maxsize=4)(pickle.loads)


def _rows(result, point: dict) -> list[dict]:
    rows = result.report() if hasattr(result, "report") else result
    if hasattr(rows, "reset_index"):
        rows = rows.reset_index(drop=rows.index.names == [None]).to_dict("records")
    elif isinstance(rows, Estimate):
        rows = {"value": rows.mean, "error": rows.error}
    elif isinstance(rows, int | float) or getattr(rows, "shape", None) == ():
        rows = {"value": rows}
    rows = [rows] if isinstance(rows, Mapping) else rows
    if not isinstance(rows, list) or not rows or not all(isinstance(row, Mapping) for row in rows):
        raise ValueError(f"function returned {result!r}: allowed are dicts, a DataFrame, a Chain, an Estimate or a number")
    table = []
    for row in rows:
        parts = [{n: v.mean, f"{n}_error": v.error} if isinstance(v, Estimate) else {n: v} for n, v in row.items()]
        plain = {str(n): _plain(n, v) for part in parts for n, v in part.items()}
        if taken := [n for n in plain if n == "failure" or (n in point and plain[n] != point[n])]:
            raise ValueError(f"function returned {taken[0]}={plain[taken[0]]!r}: a column of that name exists")
        table.append({**point, **plain})
    return table


class _Tables:
    """The rows of finished points, in memory and in the files of a folder, each of which appears whole or not at all.

    Readers of a folder take the columns from its first file: `columns.parquet`, which has no rows, comes before the
    `point-*.parquet` and knows the columns of all.
    """

    def __init__(self, store, owner: dict, points: dict[str, dict]):
        self.points, self.schema = points, pa.schema([])
        self.finished: dict[str, pa.Table] = {}
        self.folder = None if store is None else Path(store)
        if self.folder is None:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(f"store={str(store)!r} cannot be made a folder: {error}") from None
        if not (self.folder / "_sweep.json").exists():
            self._place("_sweep.json", lambda part: part.write_text(json.dumps(owner)))
        if (found := json.loads((self.folder / "_sweep.json").read_text())) != owner:
            raise ValueError(f"store={str(store)!r} holds the sweep {found}, and this one is {owner}: give another folder")
        for key in points:
            if (table := self._read(f"point-{key}.parquet")) is not None:
                self.finished[key] = table

    def write(self, key: str, rows: list[dict]) -> None:
        table = pa.table({name: [row.get(name) for row in rows] for name in dict.fromkeys(n for row in rows for n in row)})
        self._learn(table.schema)
        self._place(f"point-{key}.parquet", lambda part: parquet.write_table(table, part))
        self.finished[key] = table

    def _learn(self, *schemas: pa.Schema) -> None:
        """Keep the columns up to date, with those of other sweeps into the folder."""
        stored = self._read("columns.parquet")
        known = [pa.schema([]) if stored is None else stored.schema, self.schema, *schemas]
        self.schema = pa.unify_schemas(known, promote_options="permissive")
        if self.schema != known[0]:
            self._place("columns.parquet", lambda part: parquet.write_table(self.schema.empty_table(), part))

    def _read(self, name: str) -> pa.Table | None:
        # A file that a power cut has torn counts for nothing, so that a flush, dearer than all the rest, is not needed.
        with suppress(FileNotFoundError, pa.ArrowInvalid):
            return parquet.ParquetFile(self.folder / name).read() if self.folder else None
        return None

    def _place(self, name: str, write: Callable[[Path], object]) -> None:
        if self.folder:
            part = self.folder / f".{name}-{uuid.uuid4().hex}"
            write(part)
            part.replace(self.folder / name)

    def joined(self, failures: dict[str, str]):
        """The DataFrame of what there is."""
        # Once more, since another sweep may have written the columns that it knew of at the same moment.
        self._learn(*(table.schema for table in self.finished.values()))
        tables = [pa.table({name: [] for point in self.points.values() for name in point})]
        for key, point in self.points.items():
            if key in failures:
                tables.append(pa.table({name: [value] for name, value in {**point, "failure": failures[key]}.items()}))
            elif key in self.finished:
                tables.append(self.finished[key])
        frame = pa.concat_tables(tables, promote_options="permissive").to_pandas()
        return frame[[name for name in frame if name != "failure"] + ["failure"] * bool(failures)]


class _Processes:
    """Worker processes, each handed one task at a time by a thread of its own; one that dies takes only that task along.

    They start from a bare interpreter, so that neither a script without `if __name__ == "__main__"` nor a notebook matters.
    """

    def __init__(self, workers: int | None, tasks: int):
        if workers is None:
            workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self.threads = ThreadPoolExecutor(min(checks.whole("workers", workers, 1), tasks) or 1)
        self.started: list[subprocess.Popen] = []
        self.idle: list[tuple[subprocess.Popen, Connection]] = []
        self.cancelled = False

    def submit(self, *task):
        return self.threads.submit(self._run, task)

    def cancel(self, futures) -> None:
        self.cancelled = True
        self.threads.shutdown(wait=False, cancel_futures=True)
        for process in self.started:
            process.kill()
        for process in self.started:
            process.wait()

    def _run(self, task):
        process, line = self.idle.pop() if self.idle else self._start()
        try:
            line.send(task)
            answer = line.recv()
        except (OSError, EOFError):
            status = process.wait()
            return f"WorkerDied: {signal.strsignal(-status) if status < 0 else f'exit status {status}'}"
        self.idle.append((process, line))
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _start(self) -> tuple[subprocess.Popen, Connection]:
        ours, theirs = Pipe()
        code = f"import sys; sys.path[:] = {sys.path!r}; from mlphys import sweeps; sweeps._work({theirs.fileno()})"
        one_thread = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
        # In a session of its own, since Ctrl-C is for the sweep.
        process = subprocess.Popen(
            [sys.executable, "-c", code], pass_fds=[theirs.fileno()], env=os.environ | one_thread, start_new_session=True
        )
        theirs.close()
        self.started.append(process)
        if self.cancelled:
            process.kill()
        return process, ours


def _work(descriptor: int) -> None:
    """Answer tasks until the line breaks, as it does when the sweep's process is gone, however it went."""
    line, tasks = Connection(descriptor), SimpleQueue[tuple]()

    def listen() -> None:
        with suppress(EOFError, OSError):
            while True:
                tasks.put(line.recv())
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    while True:
        function, *arguments = tasks.get()
        try:
            line.send(function(*arguments))
        except ValueError as error:
            line.send(error)
