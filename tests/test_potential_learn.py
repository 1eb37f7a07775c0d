"""The closed loop end to end on a stand-in for first principles: rounds, kills, failed labels, bad plans."""

from __future__ import annotations

import copy
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from megabar.campaign.files import read_yaml, write_yaml
from megabar.campaign.settings import load_settings
from megabar.cli.main import main
from megabar.crystals.files import read_frames
from megabar.dynamics.exploration import Excursion
from megabar.dynamics.learning import Learning, Loop, Round
from megabar.dynamics.learning_plan import LearnPlan, Picking
from megabar.dynamics.selection import CLASSES, Judge, grades, select
from megabar.dynamics.starts import check, starts
from megabar.potential.library import load

PLAN = {
    "metal": "Ca", "seed": 3, "level": "standin_engine:LEVEL",
    "seed_cells": [
        {"generator": "prototype", "kind": "CaH4", "names": ["MH4-I4/mmm"], "count": 8, "pressure_GPa": [20, 80],
         "strain": 0.03, "displacement_A": [0.0, 0.1]},
        {"generator": "random", "kind": "H2 fluid", "n_metal": [0, 0], "n_hydrogen": [8, 8], "count": 6,
         "pressure_GPa": [20, 60], "h2_share": [1, 1], "cubic": True},
    ],
    "explore": [
        {"start": {"generator": "prototype", "kind": "CaH4", "names": ["MH4-I4/mmm"], "count": 1},
         "pressures_GPa": [30, 60], "temperatures_K": [600, 1500], "time_ps": 0.04, "frames": 5},
        {"start": {"generator": "interface", "kind": "interface", "phase": "MH2-P6_3/mmc", "faces": ["001"],
                   "repeat": [2, 2, 1], "n_molecules": [10, 10], "count": 1}, "pressures_GPa": [40],
         "temperatures_K": [1000], "time_ps": 0.04, "frames": 5},
        {"start": {"generator": "vacuum", "kind": "vacuum", "phase": "MH2-P6_3/mmc", "faces": ["001"], "count": 1},
         "pressures_GPa": [10], "temperatures_K": [600], "time_ps": 0.03, "frames": 4, "protocol": "fixed"},
        {"start": {"generator": "prototype", "kind": "CaH2", "names": ["MH2-P6_3/mmc"], "count": 1},
         "pressures_GPa": [10], "temperatures_K": [600], "time_ps": 0.04, "frames": 4, "protocol": "compress",
         "to_pressure_GPa": 60},
    ],
    "pick": {"labels": 6, "grade_failed": 200.0, "failed_share": 1.0, "max_atoms": 16, "carve_atoms": 16},
    "train": {"epochs": 3, "neurons": 6, "n_max": [3, 2], "basis_size": [4, 4], "l_max": [2, 0, 0],
              "cutoff_radial_A": 4.0, "cutoff_angular_A": 3.0, "validation_share": 0.2},
    "stop": {"rounds": 2},
}


@pytest.fixture(autouse=True)
def standin_importable(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(Path(__file__).parent),
                                                                  os.environ.get("PYTHONPATH", "")])))


def plan_file(folder: Path, **changes) -> Path:
    plan = copy.deepcopy(PLAN)
    for key, value in changes.items():
        plan[key] = value
    write_yaml(folder / "plan.yaml", plan)
    return folder / "plan.yaml"


def kill_when(path: Path, command: list[str], tmp_path: Path) -> None:
    """Start `command` and kill -9 it as soon as `path` (a glob) exists."""
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 600.0
    while not list(path.parent.glob(path.name)) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert process.poll() is None, f"ended before it could be killed: {process.stderr.read()[-500:]}"
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.train
@pytest.mark.lammps
def test_killed_three_times_the_loop_still_ends_and_no_label_is_made_twice(tmp_path):
    plan_file(tmp_path)
    out = tmp_path / "L"
    command = [sys.executable, "-m", "megabar.cli.main", "learn", "plan.yaml", "--out", "L", "--json"]
    made: dict[Path, int] = {}
    for marker in (out / "tasks" / "??" / "*" / "result.json", out / "round-01" / "runs" / "0001",
                   out / "round-01" / "picked.extxyz"):
        # A glob over the tasks needs their folders to be there first.
        marker = marker if "??" not in str(marker) else out / "round-00" / "picked.extxyz"
        kill_when(marker, command, tmp_path)
        for path in out.glob("tasks/*/*/result.json"):
            made.setdefault(path, path.stat().st_mtime_ns)
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(done.stdout)
    assert [r["number"] for r in result["rounds"]] == [1, 2]
    assert made and all(path.stat().st_mtime_ns == when for path, when in made.items())
    for r in result["rounds"]:
        assert r["accurate"] + r["candidate"] + r["failed"] == pytest.approx(1.0)
        assert r["frames"] == sum(sum(kind.values()) for kind in r["by_kind"].values())
        assert r["labelled"] + r["failed_labels"] == r["picked"] <= 6
    totals = [r["labels_total"] for r in result["rounds"]]
    assert totals[1] == totals[0] + result["rounds"][1]["labelled"]
    # Labels are what the truth says of the cells, and each is in the set that the last potential was trained on.
    truth = load("Ca-H").calculator()
    for number in (0, 1):
        for frame in read_frames(out / f"round-{number:02d}" / "labelled.extxyz"):
            bare = Atoms(frame.numbers, positions=frame.positions, cell=frame.cell, pbc=True, calculator=truth)
            assert frame.info["REF_energy"] == pytest.approx(bare.get_potential_energy(), abs=1e-5)
            assert frame.info["level"] == "standin_engine:LEVEL"
    assert read_yaml(out / "round-02" / "potential" / "card.yaml")["dataset"]["frames"] == totals[1]
    newest = load(out / "potential")
    assert newest.has_grade and newest.nep_path.read_bytes() == (out / "round-02/potential/nep.txt").read_bytes()
    rows = (out / "convergence.csv").read_text().splitlines()
    assert len(rows) == 3 and (out / "convergence.png").stat().st_size > 10_000
    # Every run began (a seed that LAMMPS refuses would look like one that blew up); labels have a label's size.
    for number in (1, 2):
        assert "ERROR" not in (out / f"round-{number:02d}" / "runs.csv").read_text()
    picked = [a for n in (1, 2) if (p := out / f"round-{n:02d}" / "picked.extxyz").is_file() for a in read_frames(p)]
    assert picked and max(map(len, picked)) <= 24
    assert all(float(a.info["grade"]) > 0 for a in picked)
    # Typed again it answers at once, also with fewer jobs; another plan is refused and harms nothing.
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert json.loads(again.stdout)["rounds"] == result["rounds"]
    other = subprocess.run([*command, "--seed", "4"], cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert other.returncode == 2 and "holds a loop with other seed" in other.stderr and other.stderr.count("\n") == 1


def test_dry_run_counts_and_writes_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    path = plan_file(tmp_path)
    assert main(["learn", str(path), "--out", str(tmp_path / "L"), "--dry-run", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["runs_per_round"] == 5 and said["seed_cells"] == 14 and said["labels_per_round"] == 6
    assert said["runs_by_kind"] == {"CaH4": 2, "interface": 1, "vacuum": 1, "CaH2": 1}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["plan.yaml"]


def impossible(**start):
    base = {"generator": "random", "kind": "liquid", "n_metal": [2, 2], "h_per_metal": [4, 4], "count": 40,
            "pressure_GPa": [100, 100]}
    return [{"start": {**base, **start}, "temperatures_K": [300]}]


def test_seeds_are_those_that_lammps_takes():
    from megabar.dynamics.protocols import _seed

    seeds = [_seed(s, salt) for s in (0, 1, 57, 1000, 16_000_000, 2**28) for salt in (1, 2)]
    assert len(set(seeds)) == len(seeds) and all(0 < s <= 900_000_000 for s in seeds)


@pytest.mark.parametrize("changes, words", [
    ({"explore": impossible(min_distance_A={"H-H": 2.4})}, ["explore 0 (liquid, random)", "min_distance_A H-H"]),
    ({"explore": impossible(min_distance_A={"M-M": 6.0})}, ["min_distance_A M-M"]),
    ({"explore": impossible(min_distance_A={"H-M": 3.2})}, ["H-M", "3.2"]),
    ({"explore": impossible(max_atoms=3)}, ["max_atoms 3"]),
    ({"explore": impossible(min_distance_A={"H-O": 1.0})}, ["H-O", "unknown"]),
    ({"explore": [{**PLAN["explore"][0], "protocol": "compress"}]}, ["to_pressure_GPa"]),
    ({"explore": [{**PLAN["explore"][2], "protocol": "npt"}]}, ["vacuum", "fixed"]),
    ({"explore": [{**PLAN["explore"][0], "temperatures_K": [-5]}]}, ["-5 K"]),
    ({"explore": [{**PLAN["explore"][0], "presures_GPa": [5]}]}, ["did you mean 'pressures_GPa'"]),
    ({"explore": [{**PLAN["explore"][1], "start": {**PLAN["explore"][1]["start"], "faces": ["713"]}}]},
     ["known faces"]),
    ({"explore": [{**PLAN["explore"][2], "start": {**PLAN["explore"][2]["start"], "faces": ["713"]}}]},
     ["known faces"]),
    ({"seed_cells": []}, ["nothing to begin with"]),
    ({"seed_cells": [{"generator": "squeezed", "kind": "squeezed", "names": ["MH4-I4/mmm"], "count": 30,
                      "volume_scale": [0.06, 0.06], "displacement_A": [0, 0]}]}, ["squeezed", "H-H below 0.5 A"]),
    ({"metal": "Xx"}, ["known metals"]),
    ({"level": "pbe-gpaw-9"}, ["did you mean"]),
    ({"level": "nowhere:LEVEL"}, ["nowhere"]),
    ({"data": ["no.extxyz"]}, ["no such file"]),
    ({"pick": {"grade_accurate": 5, "grade_failed": 3}}, ["grade_failed must exceed"]),
])
def test_impossible_plans_are_named_within_a_second(tmp_path, capsys, monkeypatch, changes, words):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    path = plan_file(tmp_path, **changes)
    begin = time.process_time()
    status = main(["learn", str(path), "--out", str(tmp_path / "L")])
    took = time.process_time() - begin
    error = capsys.readouterr().err
    assert status == 2 and error.count("\n") == 1 and "Traceback" not in error
    for word in words:
        assert word in error
    assert not (tmp_path / "L").exists()
    # Processor time, since the core may be busy; the imports of the first case are in it.
    assert took < 3.0


def test_starts_cover_the_grid_and_differ_between_rounds(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    plan = LearnPlan.model_validate(PLAN)
    check(plan)
    first, second = list(starts(plan, 1)), list(starts(plan, 2))
    assert [s.pressure_GPa for s in first] == [30, 60, 40, 10, 10]
    assert {s.temperature_K for s in (*first[:2], *second[:2])} == {600, 1500}
    assert {s.temperature_K for s in first[:1]} != {s.temperature_K for s in second[:1]}
    again = list(starts(plan, 1))
    assert all(np.array_equal(a.atoms.positions, b.atoms.positions) for a, b in zip(first, again, strict=True))
    interface = [s.atoms for s in first if s.atoms.info["kind"] == "interface"], [
        s.atoms for s in second if s.atoms.info["kind"] == "interface"]
    assert not np.array_equal(interface[0][0].positions, interface[1][0].positions)
    slab = first[3].atoms
    z = np.sort(slab.get_scaled_positions()[:, 2]) * slab.cell[2, 2]
    assert max(np.diff([*z, z[0] + slab.cell[2, 2]])) > 6.0  # the vacuum asked for


def test_coexistence_is_half_a_crystal():
    plan = LearnPlan.model_validate({**PLAN, "level": "pbe-gpaw-1", "explore": [{
        "start": {"generator": "coexistence", "kind": "coexistence", "names": ["MH4-I4/mmm"], "repeat": [2, 2, 4],
                  "count": 1}, "pressures_GPa": [50], "temperatures_K": [1500]}]})
    atoms = next(iter(starts(plan, 1))).atoms
    calcium = atoms[atoms.numbers == 20]
    z = calcium.get_scaled_positions(wrap=True)
    lattice = z * np.array([2, 2, 4])
    off = np.linalg.norm(((lattice - np.round(lattice)) / np.array([2, 2, 4])) @ atoms.cell[:], axis=1)
    low = z[:, 2] < 0.45
    assert np.median(off[low & (z[:, 2] > 0.05)]) < 0.15 < 0.4 < np.median(off[~low])


def walk(kind="CaH4", steps=6, size=1, scale=0.3, seed=0, broken=0):
    """Frames of ever larger displacement from a crystal, as a run that heats up would give."""
    from megabar.crystals.prototypes import build

    rng = np.random.default_rng(seed)
    crystal = build("MH4-I4/mmm", "Ca", 40.0).repeat((size, size, size))
    frames = []
    for k in range(steps):
        atoms = crystal.copy()
        atoms.positions += rng.normal(scale=scale * k / steps, size=(len(atoms), 3))
        atoms.info = {"kind": kind, "parent": f"{kind}-{seed}", "metallic": False, "origin": f"walk {k}"}
        frames.append(atoms)
    return Excursion(kind, 40.0, 1000.0, 1.0, "", tuple(frames), broken)


def test_every_frame_is_counted_and_classes_follow_the_grade():
    potential = load("Ca-H")
    runs = [walk(seed=1, scale=1.5), walk(seed=2, scale=1.5, broken=3)]
    # Limits between the grades that there are, whatever the potential: all three classes must occur.
    tops = [float(grades(f, potential).max()) for r in runs for f in r.frames]
    low, high = np.quantile(tops, [0.4, 0.8])
    settings = Picking(labels=4, grade_accurate=low, grade_failed=high)
    chosen = select(runs, [], potential, settings)
    assert sum(chosen.counts.values()) == 12 + 3 and sum(chosen.share(c) for c in CLASSES) == pytest.approx(1.0)
    expected = ["accurate" if g < low else "candidate" if g < high else "failed" for g in tops]
    assert set(expected) == set(CLASSES)
    assert chosen.counts == {c: expected.count(c) + (3 if c == "failed" else 0) for c in CLASSES}
    assert len(chosen.cells) <= 4
    assert all(a.info["class"] in ("candidate", "failed") for a in chosen.cells)
    assert sum(a.info["class"] == "failed" for a in chosen.cells) <= 1  # a quarter of four


def test_a_committee_judges_beside_the_grade():
    """Members that agree change nothing; members that differ by a known force make every frame strange by it."""
    from dataclasses import replace

    from megabar.potential.committee import Committee

    potential = load("Ca-H")
    atoms = walk(scale=0.5).frames[3]
    alone, _ = Judge(potential, Picking()).strangeness(atoms)
    same, _ = Judge(potential, Picking(), Committee((potential.model,) * 3)).strangeness(atoms)
    np.testing.assert_allclose(same, alone)
    # Twice the output weights are twice the forces (the wall aside): the spread of F and 2F is F / sqrt(2).
    doubled = replace(potential.model, w1=2.0 * potential.model.w1)
    judge = Judge(potential, Picking(spread_accurate_eV_per_A=1e-3), Committee((potential.model, doubled)))
    calculator = potential.calculator()
    forces = calculator.evaluate(atoms).forces_eV_per_A
    wall = 2 * forces - type(calculator)(doubled).evaluate(atoms).forces_eV_per_A
    score, name = judge.strangeness(atoms)
    np.testing.assert_allclose(score, np.linalg.norm(forces - wall, axis=1) / np.sqrt(2.0) / 1e-3, rtol=1e-6)
    assert name == "failed" and len(wall) == len(atoms)


def test_what_the_potential_knows_is_not_labelled():
    potential = load("Ca-H")
    settings = Picking(labels=10, grade_accurate=1e6, grade_failed=1e7)
    assert select([walk()], [], potential, settings).cells == ()


def test_large_cells_are_carved_around_the_worst_atom():
    potential = load("Ca-H")
    run = walk(size=3, steps=2, scale=0.2)
    frame = run.frames[1]
    centre = 40
    distances = np.where(frame.numbers == 20, frame.get_distances(centre, range(len(frame)), mic=True), np.inf)
    distances[centre] = np.inf
    frame.set_distance(centre, int(distances.argmin()), 1.5, fix=0, mic=True)  # Ca-Ca: far inside the ion
    settings = Picking(labels=1, grade_accurate=1.0, grade_failed=1e6, failed_share=1.0, max_atoms=20, carve_atoms=24)
    grade = grades(frame, potential)
    chosen = select([Excursion("CaH4", 40, 1000, 1, "", (frame,))], [], potential, settings)
    assert chosen.carved == 1 and len(chosen.cells[0]) <= 36
    cell = chosen.cells[0]
    worst = int(grade.argmax())
    assert cell.info["carved_from"] == len(frame) and f"atom {worst + 1} of" in cell.info["origin"]
    # What surrounds the worst atom is what surrounded it: distances out to where nothing was moved or cut off.
    kept = cell.info["kept_within_A"]
    assert kept >= 1.5

    def shell(atoms, i):
        from ase.neighborlist import neighbor_list

        a, d = neighbor_list("id", atoms, kept - 1e-6)
        return np.sort(d[a == i])

    np.testing.assert_allclose(shell(cell, 0), shell(frame, worst), atol=1e-6)
    assert cell.get_volume() / len(cell) == pytest.approx(frame.get_volume() / len(frame), rel=0.3)
    # No two atoms that the new boundaries brought together are closer than matter is.
    distances = cell.get_all_distances(mic=True)[np.triu_indices(len(cell), 1)]
    assert distances.min() > 0.6


@pytest.mark.lammps
def test_grade_guard_names_the_atom_and_leaves_the_cell(tmp_path):
    """Atoms that are driven together pass the limit of the grade before they pass that of the distance."""
    from megabar.crystals.prototypes import build
    from megabar.dynamics import protocols
    from megabar.dynamics.guards import Guards
    from megabar.dynamics.lammps import PairStyle
    from megabar.dynamics.stage import Stage, run_stage
    from megabar.errors import GuardFired

    potential = load("Ca-H")
    atoms = build("MH4-I4/mmm", "Ca", 50.0).repeat((2, 2, 1))
    start = float(grades(atoms, potential).max())
    pair = PairStyle.nep(potential.nep_path, potential.elements)
    assert pair.has_grade and not PairStyle(("H",), ()).has_grade
    stage = Stage(atoms=atoms, pair=pair, ensemble=protocols.microcanonical(), steps=400, timestep_fs=0.25,
                  prepare=protocols.velocities(6000.0, 3), dump_every=20,
                  guards=Guards(1e6, grade_max=1.02 * start, shortest_A={("H", "H"): 0.1}))
    with pytest.raises(GuardFired, match=r"the grade guard .* atom \d+ \((H|Ca)\) has extrapolation grade"):
        run_stage(stage, tmp_path / "s")
    said = json.loads((tmp_path / "s" / "guard.json").read_text())
    last = read_frames(tmp_path / "s" / "guard_frames.extxyz")[-1]
    grade = grades(last, potential)
    assert said["atoms"] == [int(grade.argmax()) + 1] and grade.max() > 1.02 * start
    # LAMMPS's number, in single precision, is the one that the calculator gives.
    assert float(said["reason"].split("grade ")[1].split(",")[0]) == pytest.approx(grade.max(), abs=0.06)


def a_round(number, inaccurate, error, picked=10):
    return Round(number, 1, 0, 10, 1 - inaccurate, inaccurate, 0.0, picked, 0, picked, 0, {}, 100, error, 1.0, 0.2, {})


@pytest.mark.parametrize("rounds, ends", [
    ([(0.01, 0.1), (0.01, 0.1)], True), ([(0.5, 0.1), (0.01, 0.1)], False), ([(0.01, 0.1), (0.01, 0.9)], False),
    ([(0.01, 0.1)], False), ([(0.9, 0.9), (0.0, 0.1), (0.0, 0.1)], True),
])
def test_stop_rule(tmp_path, monkeypatch, rounds, ends):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    plan = LearnPlan.model_validate({**PLAN, "stop": {"rounds": 9, "inaccurate_share": 0.05, "patience": 2,
                                                      "force_rmse_eV_per_A": 0.2}})
    loop = Loop(plan, tmp_path / "L", tmp_path, print)
    done = [a_round(k + 1, share, error) for k, (share, error) in enumerate(rounds)]
    assert (loop._stops(done) is not None) == ends
    # Nothing asked for is quiet; labels that were asked for and all failed are not.
    assert loop._stops([a_round(1, 0.0, None, 0), a_round(2, 0.0, None, 0)]) is not None
    assert loop._stops([a_round(1, 0.0, None, 5), a_round(2, 0.0, None, 5)]) is None


def test_convergence_figure_has_its_table(tmp_path):
    learning = Learning((a_round(1, 0.4, 0.5), a_round(2, 0.1, None, 0)), "", tmp_path)
    learning.save(tmp_path)
    assert (tmp_path / "convergence.png").is_file()
    assert len((tmp_path / "convergence.csv").read_text().splitlines()) == 3
    assert "40% candidate" in learning.rounds[0].line and "force error on the new ones before training 0.500" in \
        learning.rounds[0].line


def test_data_of_another_level_is_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    from megabar.crystals.files import write_frames

    atoms = Atoms("H2", positions=[[0, 0, 0], [0.75, 0, 0]], cell=[4] * 3, pbc=True)
    atoms.info.update(REF_energy=-6.7, REF_stress=np.zeros(9), level="pbe-qe-1", kind="H2")
    atoms.set_array("REF_forces", np.zeros((2, 3)))
    write_frames(tmp_path / "d.extxyz", [atoms])
    path = plan_file(tmp_path, data=["d.extxyz"])
    assert main(["learn", str(path), "--out", str(tmp_path / "L")]) == 2
    error = capsys.readouterr().err
    assert "pbe-qe-1" in error and "never mix" in error and not (tmp_path / "L").exists()


def test_template_and_settings_agree(tmp_path, capsys):
    assert main(["init", "learn"]) == 0
    text = capsys.readouterr().out
    assert "explore:  # required" in text
    assert load_settings(LearnPlan, plan_file(tmp_path, level="pbe-gpaw-1")).stop.rounds == 2
