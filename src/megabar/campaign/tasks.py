"""Content-addressed tasks: a function, its inputs, a folder; finished once, never rerun; failed ones set aside.

A task's identity is the hash of (function, code version, inputs). Its folder `<store>/<hh>/<hash>/` holds
`input.json`, the log of the engine, and `result.json` or `failed.json`. The folders are the truth; the SQLite index
`index.sqlite` only lists them and is rebuilt from them at will. Work is spread through `concurrent.futures.Executor`.
"""

from __future__ import annotations

import ctypes
import fcntl
import importlib
import json
import multiprocessing
import os
import signal
import sqlite3
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from megabar.campaign.files import atomic_path, content_hash, plain, write_json
from megabar.errors import InputError


@dataclass(frozen=True)
class Task:
    """`function` is "module:name" of a callable (inputs, folder) -> mapping; `version` changes when its code does."""

    function: str
    version: str
    inputs: dict[str, Any]

    @property
    def hash(self) -> str:
        return content_hash([self.function, self.version, self.inputs])


@dataclass(frozen=True)
class Outcome:
    """What became of a task: `status` is "done", "failed" or "cached"; `reason` says why it failed."""

    task: Task
    status: str
    result: dict[str, Any] | None
    reason: str
    wall_time_s: float


class Store:
    """A folder of tasks. One writer at a time: `locked()` holds it, and says so to a second."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def folder(self, task: Task) -> Path:
        return self.root / task.hash[:2] / task.hash

    def result(self, task: Task) -> dict[str, Any] | None:
        """The stored result, or None when the task has not finished (a damaged file counts as not finished)."""
        return _read_json(self.folder(task) / "result.json")

    def failure(self, task: Task) -> dict[str, Any] | None:
        return _read_json(self.folder(task) / "failed.json")

    def rebuild_index(self) -> int:
        """Write `index.sqlite` anew from the folders; returns how many tasks it lists."""
        rows = []
        for file in sorted(self.root.glob("??/*/input.json")):
            entry = _read_json(file) or {}
            done = _read_json(file.with_name("result.json"))
            failed = None if done is not None else _read_json(file.with_name("failed.json"))
            status = "done" if done is not None else "failed" if failed is not None else "unfinished"
            rows.append((file.parent.name, entry.get("function"), entry.get("version"), status,
                         (done or failed or {}).get("wall_time_s"), (failed or {}).get("reason")))
        with atomic_path(self.root / "index.sqlite") as temporary:
            connection = sqlite3.connect(temporary)
            with connection:
                connection.execute("create table task (hash text primary key, function text, version text, "
                                   "status text, wall_time_s real, reason text)")
                connection.executemany("insert into task values (?, ?, ?, ?, ?, ?)", rows)
            connection.close()
        return len(rows)

    def lock(self) -> Any:
        """An open, locked file; InputError when another process is working in this store."""
        self.root.mkdir(parents=True, exist_ok=True)
        handle = (self.root / ".lock").open("w")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            handle.close()
            raise InputError(f"{self.root}: another process is working in this store; wait for it or give --store") \
                from None
        return handle


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def run_tasks(tasks: Sequence[Task], store: Store, jobs: int = 1, retry_failed: bool = False,
              executor: Executor | None = None) -> Iterator[Outcome]:
    """Outcomes of `tasks` as they come: stored ones first, then those run now by `jobs` processes.

    Without `executor`, local processes are started (spawned, one thread each) and die with this one. A task that
    raises, or whose process dies, is quarantined with the last lines of its trouble and the rest go on.
    """
    unique = {task.hash: task for task in tasks}
    pending: list[Task] = []
    for task in unique.values():
        stored = store.result(task)
        failure = store.failure(task)
        if stored is not None:
            yield Outcome(task, "cached", stored, "", stored.get("wall_time_s", 0.0))
        elif failure is not None and not retry_failed:
            yield Outcome(task, "failed", None, failure.get("reason", "?"), failure.get("wall_time_s", 0.0))
        else:
            pending.append(task)
    if not pending:
        return
    own = executor is None
    pool = executor or _local_pool(jobs)
    try:
        queue = list(reversed(pending))
        running: dict[Future[Any], Task] = {}
        while queue or running:
            while queue and len(running) < jobs:
                task = queue.pop()
                folder = store.folder(task)
                folder.mkdir(parents=True, exist_ok=True)
                write_json(folder / "input.json", {"function": task.function, "version": task.version,
                                                   "inputs": task.inputs})
                running[pool.submit(_run_one, task, str(folder))] = task
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            broken: list[Task] = []
            for future in finished:
                task = running.pop(future)
                try:
                    status, value, reason, wall = future.result()
                except BrokenProcessPool:
                    broken.append(task)
                    continue
                yield Outcome(task, status, value, reason, wall)
            if broken:
                # The pool does not tell which process died: each task that was running is tried alone once.
                broken += running.values()
                running.clear()
                pool.shutdown(wait=False, cancel_futures=True)
                for task in broken:
                    yield _alone(task, store)
                pool = _local_pool(jobs)
    finally:
        if own:
            pool.shutdown(wait=False, cancel_futures=True)


def _alone(task: Task, store: Store) -> Outcome:
    with _local_pool(1) as pool:
        try:
            status, value, reason, wall = pool.submit(_run_one, task, str(store.folder(task))).result()
        except BrokenProcessPool:
            reason = "the process died (out of memory, or killed); fewer --jobs may help"
            write_json(store.folder(task) / "failed.json", {"reason": reason, "wall_time_s": 0.0})
            return Outcome(task, "failed", None, reason, 0.0)
    return Outcome(task, status, value, reason, wall)


def _local_pool(jobs: int) -> ProcessPoolExecutor:
    # Spawned children inherit the environment before they import NumPy, so one thread each is certain.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    return ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"), initializer=_die_with_parent,
                               initargs=(os.getpid(),))


def _die_with_parent(parent: int) -> None:
    """A worker whose parent was killed must not go on: the same command typed again would race with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os._exit(1)


def _run_one(task: Task, folder: str) -> tuple[str, dict[str, Any] | None, str, float]:
    module, name = task.function.split(":")
    function: Callable[[dict[str, Any], Path], dict[str, Any]] = getattr(importlib.import_module(module), name)
    path, start = Path(folder), time.perf_counter()
    try:
        value = plain(function(task.inputs, path))
    except Exception as error:
        wall = time.perf_counter() - start
        reason = " ".join(str(error).split())[:500] or type(error).__name__
        tail = "".join(traceback.format_exception(error))[-2000:]
        write_json(path / "failed.json", {"reason": reason, "error": type(error).__name__, "traceback": tail,
                                          "wall_time_s": round(wall, 3)})
        return "failed", None, reason, wall
    wall = time.perf_counter() - start
    value["wall_time_s"] = round(wall, 3)
    write_json(path / "result.json", value)
    (path / "failed.json").unlink(missing_ok=True)
    return "done", value, "", wall
