"""`megabar bench` and `megabar export`: what they print, that decks run and restart, and bad input."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from ase.io import read

from megabar.cli.main import main
from megabar.dynamics.lammps import lammps_command
from megabar.kernel import plugin_directory
from megabar.performance.bench import GRADE_EVERY, evaluators, ns_per_day, parse_timing, steps_for
from megabar.performance.cells import cell, repeated
from megabar.potential.library import load
from megabar.potential.uncertainty import FILE, ActiveSet
from random_nep import random_cell, random_model

# A log with the numbers of an idle machine: 100 steps of 1000 atoms in half a second on 2 ranks.
LOG = """Per MPI rank memory allocation (min/avg/max) = 4.5 | 5 | 5.5 Mbytes
Loop time of 9 on 2 procs for 10 steps with 1000 atoms
50.0% CPU use with 2 MPI tasks x 1 OpenMP threads
Pair    | 9          | 9          | 9          |   0.0 | 99.99
Loop time of 0.5 on 2 procs for 100 steps with 1000 atoms

Performance: 8.640 ns/day, 2.778 hours/ns, 200.000 timesteps/s, 200.000 katom-step/s
98.0% CPU use with 2 MPI tasks x 1 OpenMP threads

Section |  min time  |  avg time  |  max time  |%varavg| %total
---------------------------------------------------------------
Pair    | 0.4        | 0.4        | 0.4        |   0.0 | 80.00
Neigh   | 0.05       | 0.05       | 0.05       |   0.0 | 10.00
Comm    | 0.02       | 0.02       | 0.02       |   0.0 |  4.00
Output  | 0.01       | 0.01       | 0.01       |   0.0 |  2.00
Modify  | 0.015      | 0.015      | 0.015      |   0.0 |  3.00
Other   |            | 0.005      |            |       |  1.00
""".splitlines()


@pytest.fixture(scope="module")
def potential(tmp_path_factory) -> Path:
    """A random potential with a wall, so that atoms stay apart, and with an active set."""
    folder = tmp_path_factory.mktemp("potential")
    model = random_model(1, zbl=(1.2, 2.4))
    model.write(folder / "nep.txt")
    ActiveSet.build(model, [random_cell(i, atoms=8) for i in range(4)]).save(folder)
    return folder


def test_timing_from_a_log():
    timing = parse_timing(LOG)
    assert timing.ranks == 2
    assert timing.wall_us == pytest.approx(5.0)
    assert timing.cpu_us == pytest.approx(2 * 0.98 * 5.0)
    assert timing.memory_kB_per_atom == pytest.approx(2 * 5 * 1024 / 1000)
    assert timing.shares == pytest.approx({"kernel": 0.8, "neighbour_lists": 0.1, "communication": 0.04,
                                           "output": 0.02, "integration": 0.03, "other": 0.01})
    # LAMMPS's own figure in the log, for the same half femtosecond.
    assert ns_per_day(timing.wall_us, 1000) == pytest.approx(8.640, rel=1e-3)


def test_steps_suit_the_size():
    assert [steps_for(n) for n in (40, 1080, 10**6)] == [500, 231, 20]


@pytest.mark.parametrize("n_atoms", [40, 1000, 4000, 30_000])
def test_default_cell(potential, n_atoms):
    atoms = cell(load(potential), None, n_atoms)
    assert len(atoms) == pytest.approx(n_atoms, rel=0.3)
    assert atoms.get_chemical_symbols().count("H") == 4 * atoms.get_chemical_symbols().count("Ca")
    assert atoms.cell.angles() == pytest.approx([90, 90, 90])
    # Cubic enough that domains of several ranks are compact.
    if n_atoms >= 1000:
        assert max(atoms.cell.lengths()) / min(atoms.cell.lengths()) < 1.6


def test_repeated_keeps_a_cell_that_is_large_enough():
    atoms = random_cell(1, atoms=12)
    assert len(repeated(atoms, 5)) == 12
    assert len(repeated(atoms, 12 * 27)) == pytest.approx(12 * 27, rel=0.3)


@pytest.mark.lammps
def test_bench_prints_json_and_nothing_else(potential, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["bench", "--potential", str(potential), "--atoms", "60", "--ranks", "1", "--ranks", "2", "--repeats",
                 "1", "--json", "--out", str(out)]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result == json.loads((out / "bench.json").read_text()) and (out / "run.yaml").is_file()
    assert 0 < result["us_per_atom_step"] <= result["wall_us_per_atom_step"] * 1.05
    assert sum(result["shares"].values()) == pytest.approx(1, abs=0.02)
    assert set(result["ranks"]) == {"1", "2"} and result["ranks"]["1"]["speedup"] == 1
    assert result["grade"]["every"] == GRADE_EVERY and result["grade"]["ratio"] > 0
    rate = {entry["atoms"]: entry["ns_per_day"] for entry in result["projection"]}
    assert rate[1_000] == pytest.approx(1000 * rate[1_000_000], rel=1e-6)
    assert set(result["against"]) == set(evaluators())
    for other in result["against"].values():
        # Paired: of one pair the ratio is that of the two times, ours over theirs.
        assert other["ratio"] == pytest.approx(result["us_per_atom_step"] / other["us_per_atom_step"], rel=1e-6)


def test_dry_runs_write_nothing(potential, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["bench", "--potential", str(potential), "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["atoms"] == 1080
    assert main(["export", "--potential", str(potential), "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["steps"] == 200_000
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("arguments", "words"), [
    (["bench", "--against", "gaussian"], "--against gaussian"), (["bench", "--atoms", "0"], "--atoms"),
    (["bench", "absent.cif"], "absent.cif"), (["bench", "slab.extxyz"], "not periodic"),
    (["bench", "iron.extxyz"], "lacks Fe"), (["export", "--to", "vasp"], "--to vasp"),
    (["export", "--pressure", "40"], "40"), (["export", "--time", "-3 ps"], "-3 ps"),
    (["export", "--timestep-fs", "0"], "--timestep-fs"), (["export", "--hours", "0.1"], "--hours"),
    (["export", "--out", "full"], "not empty"), (["export", "left.extxyz"], "left-handed"),
])
def test_bad_input(potential, tmp_path, capsys, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    Atoms("H", cell=[3, 3, 3], pbc=[True, True, False]).write("slab.extxyz")
    Atoms("Fe", cell=[3, 3, 3], pbc=True).write("iron.extxyz")
    Atoms("H", cell=[[0, 3, 0], [3, 0, 0], [0, 0, 3]], pbc=True).write("left.extxyz")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    before = sorted(tmp_path.rglob("*"))
    assert main([*arguments, "--potential", str(potential)]) == 2
    printed = capsys.readouterr()
    assert words in printed.err and printed.err.count("\n") == 1 and not printed.out
    assert sorted(tmp_path.rglob("*")) == before


def test_potential_without_a_known_hydride_needs_a_structure(tmp_path, capsys):
    random_model(2, elements=("Fe", "O")).write(tmp_path / "nep.txt")
    assert main(["bench", "--potential", str(tmp_path)]) == 2
    assert "give a structure file" in capsys.readouterr().err


def slurm(folder: Path) -> dict[str, str]:
    """An environment in which srun runs its arguments and sbatch only takes note."""
    tools = folder / "tools"
    tools.mkdir()
    for name, text in (("srun", 'exec "$@"'), ("sbatch", 'echo "$@" >> sbatch.calls')):
        (tools / name).write_text(f"#!/bin/sh\n{text}\n")
        (tools / name).chmod(0o755)
    # The wheel's launcher finds its MPI library by itself.
    return {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "SLURM_JOB_ID": "7",
            "LAMMPS": str(Path(sys.executable).parent / "lmp"), "LAMMPS_PLUGIN_PATH": plugin_directory()}


def job(deck: Path, environment: dict[str, str]) -> subprocess.CompletedProcess:
    return subprocess.run(["bash", "job.sh"], cwd=deck, env=environment, capture_output=True, text=True, timeout=120)


def quiet(potential: Path, folder: Path) -> Path:
    """The same potential with an active set whose grades are small everywhere, so that no guard fires."""
    folder.mkdir()
    shutil.copy(potential / "nep.txt", folder)
    found = ActiveSet.load(potential, load(potential).model)
    assert found is not None
    ActiveSet(found.elements, found.potential, 1e-3 * found.matrices).save(folder)
    return folder


@pytest.mark.lammps
def test_lammps_deck_runs_restarts_and_ends(potential, tmp_path):
    calm = quiet(potential, tmp_path / "calm")
    deck = tmp_path / "deck"
    assert main(["export", "--potential", str(calm), "--atoms", "40", "--time", "0.02 ps", "--timestep-fs", "0.1",
                 "--temperature", "50 K", "--out", str(deck)]) == 0
    assert sorted(path.name for path in deck.iterdir()) == sorted([FILE, "cell.data", "in.lmp", "job.sh", "nep.txt"])
    environment = slurm(tmp_path)
    done = job(deck, environment)
    assert done.returncode == 0, done.stderr + (deck / "lammps.out").read_text()[-2000:]
    assert (deck / "finished").exists() and (deck / "sbatch.calls").read_text().count("afterok:7") == 1
    assert [line.split()[0] for line in (deck / "grade.txt").read_text().splitlines()
            if line[0] != "#"] == ["0", "100", "200"]
    # Once more as the queue would: the run is complete, so nothing happens.
    before = (deck / "lammps.out").read_text()
    assert job(deck, environment).returncode == 0 and (deck / "lammps.out").read_text() == before
    # A longer run goes on from the checkpoint, not from the start.
    (deck / "finished").unlink()
    text = (deck / "in.lmp").read_text().replace("run 200 upto", "run 300 upto").replace(">= 200", ">= 300")
    (deck / "in.lmp").write_text(text)
    assert job(deck, environment).returncode == 0
    assert "Loop time of" in (log := (deck / "lammps.out").read_text()[len(before):]) and "for 100 steps" in log
    assert (deck / "finished").exists()


@pytest.mark.lammps
def test_lammps_deck_stops_outside_the_domain(potential, tmp_path):
    model = load(potential).model
    wild = tmp_path / "wild"
    wild.mkdir()
    shutil.copy(potential / "nep.txt", wild)
    found = ActiveSet.load(potential, model)
    assert found is not None
    ActiveSet(found.elements, found.potential, 1e3 * found.matrices).save(wild)
    deck = tmp_path / "deck"
    assert main(["export", "--potential", str(wild), "--atoms", "40", "--time", "0.05 ps", "--timestep-fs", "0.1",
                 "--temperature", "50 K", "--out", str(deck)]) == 0
    done = job(deck, slurm(tmp_path))
    # Status 1: the job that waits for this one with afterok does not start.
    assert done.returncode == 1
    assert "Fix halt condition" in (deck / "lammps.out").read_text()
    assert (deck / "outside.data").exists() and not (deck / "finished").exists()


def test_deck_for_gpumd_has_the_same_cell_and_velocities(potential, tmp_path):
    atoms = random_cell(3, atoms=12, shortest=1.0)
    rng = np.random.default_rng(0)
    atoms.set_velocities(rng.normal(0, 0.01, (12, 3)))
    atoms.write(tmp_path / "cell.extxyz")
    deck = tmp_path / "deck"
    assert main(["export", str(tmp_path / "cell.extxyz"), "--to", "gpumd", "--potential", str(potential), "--pressure",
                 "40 GPa", "--temperature", "1200 C", "--time", "30 ps", "--out", str(deck)]) == 0
    model = read(deck / "model.xyz")
    assert model.cell[:] == pytest.approx(atoms.cell[:]) and (model.numbers == atoms.numbers).all()
    assert np.abs(model.get_all_distances(mic=True) - atoms.get_all_distances(mic=True)).max() < 1e-6
    # A/fs: an ASE velocity times the ASE time of a femtosecond.
    assert model.arrays["vel"] == pytest.approx(atoms.get_velocities() * units.fs, abs=1e-8)
    lines = (deck / "run.in").read_text().splitlines()
    assert "ensemble npt_mttk temp 1473.15 1473.15 aniso 40 40 tperiod 200 pperiod 2000" in lines
    assert lines[0] == "potential nep.txt" and lines[-1] == "run 60000"
    assert (deck / "nep.txt").read_bytes() == (potential / "nep.txt").read_bytes()


def test_gpumd_job_goes_on_from_its_checkpoint(potential, tmp_path):
    deck = tmp_path / "deck"
    assert main(["export", "--to", "gpumd", "--potential", str(potential), "--atoms", "40", "--time", "30 ps", "--out",
                 str(deck)]) == 0
    # A GPUMD that is stopped by the clock after 23456 of 60000 steps, the first time.
    fake = tmp_path / "gpumd"
    fake.write_text("#!/bin/bash\nsteps=$(awk '/^run/ {print $2}' run.in); echo $steps >> asked\n"
                    "if [ $steps -eq 60000 ]; then for i in $(seq 234); do echo 1 >> thermo.out; done\n"
                    "cp model.xyz restart.xyz; exit 124; fi\n")
    fake.chmod(0o755)
    environment = {**slurm(tmp_path), "GPUMD": str(fake)}
    assert job(deck, environment).returncode == 0 and not (deck / "finished").exists()
    assert job(deck, environment).returncode == 0 and (deck / "finished").exists()
    # The last checkpoint is that of step 20000.
    assert (deck / "asked").read_text().split() == ["60000", "40000"]
    fake.write_text("#!/bin/sh\nexit 3\n")
    (deck / "finished").unlink()
    assert job(deck, environment).returncode != 0


@pytest.mark.lammps
def test_lammps_command_of_the_site_is_used(potential, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("MEGABAR_LAMMPS", str(tmp_path / "absent"))
    assert main(["bench", "--potential", str(potential), "--atoms", "20", "--repeats", "1"]) == 2
    assert "MEGABAR_LAMMPS" in capsys.readouterr().err
    with pytest.raises(Exception, match="MEGABAR_LAMMPS"):
        lammps_command()
