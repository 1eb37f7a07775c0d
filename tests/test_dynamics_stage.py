"""Stages: guards that stop in time and say which atom, kills at any moment, resumption without a seam."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import read
from hypothesis import given, settings
from hypothesis import strategies as st

from megabar.dynamics import protocols
from megabar.dynamics.guards import Guards, closest_pair, neighbourhood
from megabar.dynamics.lammps import PairStyle, run_lammps, write_data
from megabar.dynamics.stage import Stage, cut_trajectory, run_stage
from megabar.dynamics.trajectory import read_trajectory
from megabar.errors import GuardFired, InputError

LJ = PairStyle(("Ar",), ("pair_style lj/cut 6.0", "pair_coeff 1 1 0.0103 3.4", "pair_modify shift yes"))


def argon() -> Atoms:
    return bulk("Ar", "fcc", a=5.0, cubic=True) * (3, 3, 3)


def stage(atoms: Atoms, **changes) -> Stage:
    options = {"pair": LJ, "ensemble": ["fix move all nve"], "steps": 2000, "timestep_fs": 2.0,
               "guards": Guards(1000.0), "dump_every": 50}
    return Stage(atoms=atoms, **{**options, **changes})


@pytest.mark.lammps
def test_distance_guard_names_the_pair_and_leaves_cells_to_label(tmp_path):
    """Two atoms shot at each other: the guard must catch them, not what they do afterwards."""
    atoms = argon()
    i = 50
    j = int(np.argsort(atoms.get_distances(i, range(len(atoms)), mic=True))[1])
    line = atoms.get_distance(i, j, mic=True, vector=True)
    velocities = np.zeros((len(atoms), 3))
    velocities[i], velocities[j] = 0.6 * line / np.linalg.norm(line), -0.6 * line / np.linalg.norm(line)
    atoms.set_velocities(velocities)
    guards = Guards(1e6, shortest_A={("Ar", "Ar"): 2.4}, every=5)
    with pytest.raises(GuardFired, match="distance guard") as caught:
        run_stage(stage(atoms, guards=guards, timestep_fs=1.0, dump_every=10), tmp_path / "s")
    message = str(caught.value)
    assert f"atoms {min(i, j) + 1} (Ar) and {max(i, j) + 1} (Ar)" in message or f"{max(i, j) + 1} (Ar) and" in message
    record = json.loads((tmp_path / "s" / "guard.json").read_text())
    assert set(record["atoms"]) == {i + 1, j + 1} and record["step"] > 0
    whole = read(tmp_path / "s" / "guard_frames.extxyz", ":")
    assert len(whole) > 1 and all(len(a) == len(atoms) for a in whole)
    last = closest_pair(whole[-1], guards)
    assert {last[0], last[1]} == {i, j} and last[2] < 2.4
    assert closest_pair(whole[0], guards)[2] > 2.4
    small = read(tmp_path / "s" / "guard_to_label.extxyz", ":")
    assert small and all(20 < len(a) < 60 for a in small)
    # Asked again, the same answer at once and no second run.
    before = (tmp_path / "s" / "lammps.out").stat().st_mtime_ns
    with pytest.raises(GuardFired, match="distance guard"):
        run_stage(stage(atoms, guards=guards), tmp_path / "s")
    assert (tmp_path / "s" / "lammps.out").stat().st_mtime_ns == before


@pytest.mark.lammps
@pytest.mark.parametrize("guards, ensemble, word", [
    (Guards(40.0), ["fix move all nve"], "temperature"),
    (Guards(1e6, 0.05), ["fix move all nve", "fix grow all deform 10 x scale 2 y scale 2 z scale 2 remap x"], "volume"),
])
def test_other_guards_fire(tmp_path, guards, ensemble, word):
    with pytest.raises(GuardFired, match=f"{word} guard stopped the run at .* ps"):
        run_stage(stage(argon(), guards=guards, ensemble=ensemble, prepare=protocols.velocities(60.0, 1)), tmp_path)
    assert (tmp_path / "guard_to_label.extxyz").is_file() and not (tmp_path / "done.json").exists()


@pytest.mark.lammps
def test_a_run_that_explodes_is_a_guard_too(tmp_path):
    """A step far too long loses atoms at once; LAMMPS dies, Python does not, and the first frame is kept."""
    with pytest.raises(GuardFired, match="explosion"):
        run_stage(stage(argon(), timestep_fs=1e4, prepare=protocols.velocities(3000.0, 1),
                        guards=Guards(1e30, 1e30, every=1000)), tmp_path)
    assert len(read(tmp_path / "guard_frames.extxyz", ":")) >= 1


@pytest.mark.lammps
def test_a_quiet_run_fires_nothing_and_answers_at_once_when_asked_again(tmp_path):
    points = []
    first = run_stage(stage(argon(), prepare=protocols.velocities(60.0, 1)), tmp_path, progress=points.append)
    assert points[-1]["step"] == 2000 and [p["step"] for p in points] == sorted(p["step"] for p in points)
    start = time.monotonic()
    again = run_stage(stage(argon()), tmp_path)
    assert time.monotonic() - start < 1.0
    np.testing.assert_array_equal(first.atoms.positions, again.atoms.positions)
    assert not list(tmp_path.glob("checkpoint*"))
    # NVE: the energy stays, and the total momentum is zero.
    energy = first.thermo["total_energy_eV"]
    assert np.ptp(energy) < 1e-4 * np.ptp(first.thermo["potential_energy_eV"]) + 2e-4 * len(argon())


@pytest.mark.lammps
@pytest.mark.parametrize("steps", [1000, 1234])
def test_killed_between_the_last_step_and_the_note_that_it_ended(tmp_path, steps):
    """The checkpoint is then that of the last step: nothing is left to run, and nothing may be lost or doubled."""
    asked = stage(argon(), steps=steps, checkpoint_every=500, prepare=protocols.velocities(60.0, 1))
    whole = run_stage(asked, tmp_path / "whole")
    folder = tmp_path / "killed"
    folder.mkdir()
    write_data(folder / "data.lmp", asked.atoms, LJ)
    (folder / "in.lmp").write_text((tmp_path / "whole" / "in.lmp").read_text())
    run_lammps(folder, "in.lmp")
    assert (folder / f"checkpoint.{steps}.restart").is_file()
    result = run_stage(asked, folder)
    assert result.thermo["step"].tolist() == whole.thermo["step"].tolist()
    times = [f.time_ps for f in read_trajectory(folder / "trajectory.dump")]
    assert times == [f.time_ps for f in read_trajectory(tmp_path / "whole" / "trajectory.dump")]
    np.testing.assert_allclose(result.atoms.positions, whole.atoms.positions, atol=1e-9)
    assert not list(folder.glob("checkpoint*"))


SCRIPT = """
import sys
from test_dynamics_stage import argon, stage
from megabar.dynamics import protocols
from megabar.dynamics.stage import run_stage
run_stage(stage(argon(), steps=12000, dump_every=100, checkpoint_every=500, ensemble=protocols.production(80.0, 0.5),
                prepare=protocols.velocities(80.0, 3)), sys.argv[1], ranks=int(sys.argv[2]))
"""


def _alive(folder: Path) -> list[int]:
    """Processes that work in `folder`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(entry / "cwd") == str(folder):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


@pytest.mark.lammps
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("ranks, kills", [(1, 4), (2, 2)])
def test_killed_at_random_it_goes_on_without_a_seam(tmp_path, ranks, kills):
    """kill -9 of Python: LAMMPS goes with it, and the trajectory ends up with every frame once, in order, unbroken."""
    folder = tmp_path / "s"
    rng = np.random.default_rng(5)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    for _ in range(kills):
        before = set(folder.glob("checkpoint.*.restart"))
        process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(folder), str(ranks)], env=environment)
        while set(folder.glob("checkpoint.*.restart")) <= before and process.poll() is None:
            time.sleep(0.01)
        time.sleep(float(rng.uniform(0.0, 0.05)))
        assert process.poll() is None, "ended before it could be killed"
        process.send_signal(signal.SIGKILL)
        process.wait()
        deadline = time.monotonic() + 10.0
        while _alive(folder) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not _alive(folder), "LAMMPS outlived its Python"
    subprocess.run([sys.executable, "-c", SCRIPT, str(folder), str(ranks)], env=environment, check=True, timeout=120)
    assert (folder / "in.resume.lmp").is_file()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frames = list(read_trajectory(folder / "trajectory.dump"))
    np.testing.assert_allclose([f.time_ps for f in frames], 0.2 * np.arange(121), atol=1e-9)
    # Between frames 200 fs apart argon at 80 K moves far less than an A; a lost stretch would show as a jump.
    jumps = [np.abs(b.unwrapped_A - a.unwrapped_A).max() for a, b in zip(frames[:-1], frames[1:], strict=True)]
    assert max(jumps) < 1.5
    late = [f.velocities_A_per_fs for f in frames[40:]]
    temperature = 39.948 * (np.array(late) ** 2).mean() * 1e4 * 1.0364269e-2 / 8.617333e-5 * 108 / 107
    assert temperature == pytest.approx(80.0, rel=0.1)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 6), st.integers(0, 60), st.integers(0, 400))
def test_cutting_back_leaves_whole_frames_before_the_step(tmp_path_factory, frames, step, torn):
    """Whatever was torn off the end, only whole frames before the step remain, byte for byte."""
    path = tmp_path_factory.mktemp("cut") / "t"
    pieces = []
    for k in range(frames):
        units = "ITEM: UNITS\nmetal\n" if k in (0, 3) else ""
        pieces.append(f"{units}ITEM: TIME\n{k}\nITEM: TIMESTEP\n{10 * k}\nITEM: NUMBER OF ATOMS\n1\n"
                      f"ITEM: BOX BOUNDS pp pp pp\n0 5\n0 5\n0 5\nITEM: ATOMS id element x y z\n1 H 0 0 {k}\n")
    keep = sum(1 for k in range(frames) if 10 * k < step)
    text = "".join(pieces)
    torn = min(torn, len("".join(pieces[keep:])))
    path.write_text(text[:len(text) - torn])
    cut_trajectory(path, step)
    assert path.read_text() == "".join(pieces[:keep])


def test_neighbourhood_keeps_the_surroundings():
    rng = np.random.default_rng(0)
    atoms = bulk("Ar", "fcc", a=4.0, cubic=True) * (4, 4, 4)
    atoms.rattle(0.15, rng=rng)
    atoms.positions += 7.0
    for centre in (0, 100, 255):
        small = neighbourhood(atoms, centre, n_atoms=40)
        assert 30 <= len(small) <= 50
        kept = small.info["kept_within_A"]
        wanted = np.sort(atoms.get_distances(centre, range(len(atoms)), mic=True))
        found = np.sort(small.get_distances(0, range(len(small)), mic=True))
        shell = wanted < kept
        assert shell.sum() >= 8
        np.testing.assert_allclose(found[: shell.sum()], wanted[shell], atol=1e-6)


def test_neighbourhood_of_a_cell_thinner_than_the_cube():
    atoms = bulk("Ar", "fcc", a=5.0, cubic=True)
    small = neighbourhood(atoms, 2, n_atoms=36)
    assert len(small) > 20 and closest_pair(small, Guards(1.0))[2] > 2.0


def test_shortest_distances_follow_elements():
    guards = Guards(1.0)
    assert guards.limit_A("H", "H") == 0.45
    assert 1.0 < guards.limit_A("H", "Ca") == guards.limit_A("Ca", "H") < 1.5 < guards.limit_A("Ca", "Ca") < 2.0


def test_trajectory_of_nothing(tmp_path):
    cut_trajectory(tmp_path / "absent", 10)
    (tmp_path / "empty").write_text("")
    cut_trajectory(tmp_path / "empty", 10)
    with pytest.raises(InputError):
        list(read_trajectory(tmp_path / "empty"))
