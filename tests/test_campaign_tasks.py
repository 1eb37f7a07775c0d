"""Tasks: finished once, failures set aside, killed and resumed, index rebuilt."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from megabar.campaign.files import atomic_path, content_hash, read_yaml, write_csv, write_yaml
from megabar.campaign.record import RunRecord
from megabar.campaign.tasks import Store, Task, run_tasks
from megabar.errors import InputError

TESTS = Path(__file__).parent


def tasks_of(function, numbers, **extra):
    return [Task(f"task_functions:{function}", "1", {"number": n, **extra}) for n in numbers]


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.syspath_prepend(str(TESTS))


def test_finished_tasks_are_never_rerun(tmp_path):
    store = Store(tmp_path)
    first = list(run_tasks(tasks_of("double", [1, 2, 2, 3]), store, jobs=2))
    assert sorted(o.result["value"] for o in first) == [2, 4, 6]
    second = list(run_tasks(tasks_of("double", [1, 2, 3]), store, jobs=2))
    assert {o.status for o in second} == {"cached"}
    assert all((store.folder(o.task) / "runs").read_text() == "x" for o in second)


def test_failed_tasks_are_set_aside_and_the_rest_go_on(tmp_path):
    store = Store(tmp_path)
    outcomes = {o.task.inputs["number"]: o for o in run_tasks(tasks_of("fail_on_odd", range(4)), store)}
    assert [outcomes[n].status for n in range(4)] == ["done", "failed", "done", "failed"]
    assert outcomes[3].reason == "3 is odd"
    assert "ValueError" in json.loads((store.folder(outcomes[3].task) / "failed.json").read_text())["traceback"]
    again = list(run_tasks(tasks_of("fail_on_odd", [1]), store))
    assert again[0].status == "failed" and again[0].reason == "1 is odd"


def test_a_dying_process_takes_only_its_own_task_down(tmp_path):
    store = Store(tmp_path)
    outcomes = {o.task.inputs["number"]: o for o in run_tasks(tasks_of("die_on_three", range(6)), store, jobs=2)}
    assert outcomes[3].status == "failed" and "died" in outcomes[3].reason
    assert all(outcomes[n].status == "done" for n in (0, 1, 2, 4, 5))


def test_identity_depends_on_function_version_and_inputs_only():
    base = Task("a:b", "1", {"x": 1, "y": [1.0, 2.0]})
    assert base.hash == Task("a:b", "1", {"y": [1.0, 2.0], "x": 1}).hash
    changed = {Task("a:c", "1", base.inputs).hash, Task("a:b", "2", base.inputs).hash, Task("a:b", "1", {"x": 2}).hash}
    assert len(changed | {base.hash}) == 4


def test_kill_and_resume(tmp_path):
    """kill -9 in the middle: nothing finished is lost, nothing is run twice, no worker survives."""
    script = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from megabar.campaign.tasks import *\n"
        "def go():\n"
        "    ts = [Task('task_functions:double', '1', {'number': n, 'sleep_s': 0.15}) for n in range(20)]\n"
        "    for o in run_tasks(ts, Store(sys.argv[1]), jobs=2): print(o.status, flush=True)\n"
        "if __name__ == '__main__': go()\n"
    )
    file = tmp_path / "go.py"
    file.write_text(script)
    command = [sys.executable, str(file), str(tmp_path / "store"), str(TESTS)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    for _ in range(4):
        assert process.stdout.readline().strip() == "done"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    time.sleep(0.5)
    finished = {f.parent.name: f.stat().st_mtime_ns for f in (tmp_path / "store").glob("??/*/result.json")}
    assert 4 <= len(finished) < 20
    time.sleep(0.5)  # orphans would go on finishing tasks
    assert len(list((tmp_path / "store").glob("??/*/result.json"))) == len(finished)
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert len(output) == 20 and output.count("cached") == len(finished)
    for name, when in finished.items():
        assert (tmp_path / "store" / name[:2] / name / "result.json").stat().st_mtime_ns == when


def test_index_is_rebuilt_from_the_folders(tmp_path):
    store = Store(tmp_path)
    list(run_tasks(tasks_of("fail_on_odd", range(3)), store))
    assert store.rebuild_index() == 3
    rows = sqlite3.connect(tmp_path / "index.sqlite").execute("select status from task").fetchall()
    assert sorted(r[0] for r in rows) == ["done", "done", "failed"]


def test_damaged_result_is_run_again(tmp_path):
    store = Store(tmp_path)
    [task] = tasks_of("double", [5])
    list(run_tasks([task], store))
    (store.folder(task) / "result.json").write_text('{"value": 1')
    [outcome] = list(run_tasks([task], store))
    assert outcome.status == "done" and outcome.result["value"] == 10


def test_one_writer_at_a_time(tmp_path):
    store = Store(tmp_path)
    with store.lock(), pytest.raises(InputError, match="another process"):
        store.lock()
    store.lock().close()


def test_nothing_half_written(tmp_path):
    target = tmp_path / "a.txt"
    with pytest.raises(RuntimeError), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_writer_left_goes_with_the_next(tmp_path):
    script = ("import os, signal, sys\nfrom megabar.campaign.files import atomic_path\n"
              "with atomic_path(sys.argv[1]) as half:\n"
              "    half.write_text('half')\n    os.kill(os.getpid(), signal.SIGKILL)\n")
    target = tmp_path / "a[1].dump.gz"
    assert subprocess.run([sys.executable, "-c", script, str(target)], check=False).returncode == -signal.SIGKILL
    half, = tmp_path.iterdir()
    others = [tmp_path / name for name in (f".a[1].{os.getppid()}.dump.gz", ".a[1].old.dump.gz", ".b.1.dump.gz")]
    for other in others:  # a writer that lives, names that no writer makes, another file
        other.touch()
    with atomic_path(target) as temporary:
        temporary.write_text("whole")
    assert not half.exists() and target.read_text() == "whole"
    assert {*tmp_path.iterdir()} == {target, *others}


def test_yaml_round_trip_is_safe(tmp_path):
    import numpy as np

    write_yaml(tmp_path / "a.yaml", {"x": np.float64(1.5), "y": np.arange(3), "p": Path("z"), "t": (1, 2)})
    assert read_yaml(tmp_path / "a.yaml") == {"x": 1.5, "y": [0, 1, 2], "p": "z", "t": [1, 2]}
    (tmp_path / "bad.yaml").write_text("!!python/object/apply:os.system ['true']")
    with pytest.raises(InputError):
        read_yaml(tmp_path / "bad.yaml")


def test_csv_columns_must_match(tmp_path):
    with pytest.raises(ValueError):
        write_csv(tmp_path / "a.csv", {"a": [1], "b": [1, 2]})


def test_hash_does_not_depend_on_number_types():
    import numpy as np

    assert content_hash({"a": np.array([1, 2])}) == content_hash({"a": [1, 2]})


def test_run_record_is_left_by_failed_runs_too(tmp_path):
    with pytest.raises(ValueError), RunRecord(tmp_path, "test", {"a": 1}, seed=3) as record:
        record.results["x"] = 2
        raise ValueError("broken")
    written = read_yaml(tmp_path / "run.yaml")
    assert written["status"] == "failed: broken" and written["seed"] == 3 and written["results"] == {"x": 2}
    assert {"numpy", "ase"} <= set(written["packages"])
