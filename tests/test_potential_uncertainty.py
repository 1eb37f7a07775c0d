"""The extrapolation grade: its defining properties, its file, the calculator, and the same numbers in LAMMPS."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.lammps import Prism
from ase.io.lammpsdata import write_lammps_data
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from megabar.errors import InputError, PotentialUnknown
from megabar.potential.calculator import NEP
from megabar.potential.nep import NEPModel
from megabar.potential.uncertainty import FILE, ActiveSet, _maxvol, fingerprint
from random_nep import random_cell, random_model

MODEL = random_model(1)
BIN = Path(sys.executable).parent


def frames(seed: int, count: int = 12, density: float = 0.17) -> list[Atoms]:
    return [random_cell(seed + i, atoms=8, density=density, shortest=0.9) for i in range(count)]


TRAINING = frames(100)
ACTIVE = ActiveSet.build(MODEL, TRAINING)


def grades(atoms: Atoms, active: ActiveSet = ACTIVE, precision="double") -> np.ndarray:
    calculator = NEP(MODEL, active_set=active, precision=precision)
    calculator.calculate(atoms)
    return calculator.results["grade"]


def test_maxvol_finds_the_largest_volume():
    # Few enough rows to try every pair: the best of C(12, 2) determinants.
    rng = np.random.default_rng(0)
    for _ in range(20):
        rows = rng.normal(size=(12, 2))
        start = 1e-6 * np.eye(2)
        owner = _maxvol(rows @ np.linalg.inv(start))
        assert (owner >= 0).all()
        found = abs(np.linalg.det(rows[owner]))
        best = max(abs(np.linalg.det(rows[[i, j]])) for i in range(12) for j in range(i))
        # A dominant submatrix is within d^(d/2) of the maximum (Goreinov et al. 2010); almost always it is the maximum.
        assert best / 2 <= found <= best * (1 + 1e-9)
        # Every row is a combination of the chosen ones with coefficients of at most 1.
        assert np.abs(rows @ np.linalg.inv(rows[owner])).max() <= 1.001 + 1e-9


def test_training_atoms_are_inside_and_the_active_ones_on_the_rim():
    found = np.concatenate([grades(atoms) for atoms in TRAINING])
    assert found.max() <= 1.001 + 1e-6
    # Each active atom is written as itself with coefficient 1. There are dim + 1 places for each element; those that no
    # atom took belong to directions in which the set varies by less than the floor.
    on_rim = np.isclose(found, 1, atol=2e-3).sum()
    assert 0.5 * (MODEL.dim + 1) < on_rim


def test_grade_rises_out_of_the_domain():
    inside = np.median([grades(atoms).max() for atoms in frames(500)])
    medians = [np.median([grades(atoms).max() for atoms in frames(700, density=density)])
               for density in (0.17, 0.25, 0.35)]
    assert inside == pytest.approx(medians[0], rel=0.5)
    assert medians[0] < medians[1] < medians[2]
    assert medians[2] > 3


def test_twice_the_row_has_twice_the_grade():
    # gamma = max |b A^-1| is linear in b; the constant in b stays 1, so go along a difference of two rows.
    q = NEP(MODEL).evaluate(TRAINING[0], descriptors=True).descriptors
    types = MODEL.types_of(TRAINING[0])[:1]
    far = [ACTIVE.grade(types, q[:1] * scale)[0] for scale in (1e3, 2e3)]
    assert far[1] / far[0] == pytest.approx(2, rel=1e-2)


def test_does_not_change_with_symmetry_of_the_cell():
    atoms = random_cell(9, atoms=6, shortest=0.9)
    turned = atoms.copy()
    turned.rotate(40, (1, 2, 3), rotate_cell=True)
    turned.positions += [0.3, 0.1, 2.0]
    assert grades(turned) == pytest.approx(grades(atoms), rel=1e-8)
    assert grades(atoms * (2, 1, 2)) == pytest.approx(np.tile(grades(atoms), 4), rel=1e-8)


def test_element_absent_from_training_is_outside():
    hydrogen = [Atoms("H2", [[0, 0, 0], [0, 0, 0.8 + 0.1 * i]], cell=[4, 4, 4], pbc=True) for i in range(5)]
    active = ActiveSet.build(MODEL, hydrogen)
    cell = random_cell(3, atoms=8, shortest=0.9)
    calcium = np.array(cell.get_chemical_symbols()) == "Ca"
    assert calcium.any() and grades(cell, active)[calcium].min() > 5


def test_single_precision_gives_the_same_grade():
    for atoms in frames(300, 3):
        assert grades(atoms, precision="single") == pytest.approx(grades(atoms), rel=1e-3, abs=1e-3)


def test_selection_takes_what_is_new_and_takes_it_once():
    new = frames(800, 2, density=0.3)
    candidates = [*TRAINING[:4], new[0], new[0].copy(), new[1]]
    chosen = ACTIVE.select(MODEL, candidates)
    assert set(chosen) & {4, 5, 6} and not set(chosen) & {0, 1, 2, 3}
    assert not {4, 5} <= set(chosen)
    grown = ActiveSet.build(MODEL, [*TRAINING, *new])
    assert grown.select(MODEL, candidates) == []
    assert ACTIVE.select(MODEL, []) == []


def test_file_round_trip_and_where_it_belongs(tmp_path):
    MODEL.write(tmp_path / "nep.txt")
    assert ActiveSet.load(tmp_path, MODEL) is None
    assert ACTIVE.save(tmp_path) == tmp_path / FILE
    model = NEPModel.read(tmp_path / "nep.txt")
    assert fingerprint(model) == fingerprint(MODEL)
    loaded = ActiveSet.load(tmp_path, model)
    atoms = random_cell(11, atoms=8)
    assert grades(atoms, loaded) == pytest.approx(grades(atoms), rel=1e-6, abs=1e-6)
    # One weight differs in the last digit: another potential.
    w0 = MODEL.w0.copy()
    w0[0, 0, 0] = np.nextafter(w0[0, 0, 0], 2)
    other = dataclasses.replace(MODEL, w0=w0)
    with pytest.raises(PotentialUnknown, match="belongs to potential"):
        ActiveSet.load(tmp_path, other)
    with pytest.raises(PotentialUnknown, match="belongs to potential"):
        NEP(other, active_set=ACTIVE)
    with pytest.raises(PotentialUnknown, match="belongs to potential"):
        ACTIVE.select(other, TRAINING)


@pytest.mark.parametrize("damage", [
    lambda text: "", lambda text: text.replace("active_set 1", "active_set 2"), lambda text: text[: len(text) // 2],
    lambda text: text.replace("size ", "size 1"), lambda text: text + "1 2 3\n",
    lambda text: text.replace("\n", "\nnan ", 5), lambda text: text.replace("potential", "Potential"),
])
def test_damaged_files_are_refused(tmp_path, damage):
    ACTIVE.save(tmp_path)
    text = (tmp_path / FILE).read_text()
    assert damage(text) != text
    (tmp_path / FILE).write_text(damage(text))
    with pytest.raises(PotentialUnknown, match=FILE):
        ActiveSet.load(tmp_path, MODEL)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(row=st.integers(0, 60), text=st.text(max_size=30))
def test_any_line_replaced_is_refused_or_read(tmp_path, row, text):
    ACTIVE.save(tmp_path)
    lines = (tmp_path / FILE).read_text().splitlines()
    lines[row] = text
    (tmp_path / FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")
    try:
        assert np.isfinite(ActiveSet.load(tmp_path, MODEL).matrices).all()
    except PotentialUnknown as error:
        assert FILE in str(error)


def test_bad_input():
    with pytest.raises(InputError, match="no frames"):
        ActiveSet.build(MODEL, [])
    with pytest.raises(InputError, match="floor"):
        ActiveSet.build(MODEL, TRAINING, floor=0)
    with pytest.raises(InputError, match="threshold"):
        ACTIVE.select(MODEL, TRAINING, threshold=1)
    with pytest.raises(PotentialUnknown, match="Fe"):
        ActiveSet.build(MODEL, [Atoms("Fe", cell=[3, 3, 3], pbc=True)])


# In LAMMPS.

SCRIPT = """units metal
atom_style atomic
read_data cell.data
pair_style nep/megabar {precision}
pair_coeff * * nep.txt H Ca
fix grade all pair 5 nep/megabar grade 1
compute worst all reduce max f_grade
variable worst equal c_worst
fix domain all halt 5 v_worst > {limit} error soft message yes
velocity all create 300 7
fix 1 all nve
timestep 0.0002
thermo 5
thermo_style custom step pe c_worst
thermo_modify format float %.12g
dump 1 all custom 5 out.dump id x y z f_grade
dump_modify 1 sort id format float %.15g
run 10
"""


def run_lammps(folder: Path, script: str, ranks: int = 1, model: NEPModel = MODEL) -> subprocess.CompletedProcess:
    atoms = (random_cell(21, atoms=10, shortest=1.0) * (2, 2, 1))
    prism = Prism(atoms.cell[:])
    write_lammps_data(folder / "cell.data", atoms, specorder=["H", "Ca"], masses=True, units="metal", prismobj=prism)
    model.write(folder / "nep.txt")
    (folder / "in.lmp").write_text(script)
    start = [str(BIN / "mpiexec"), "-n", str(ranks)] if ranks > 1 else []
    return subprocess.run([*start, str(BIN / "lmp"), "-in", "in.lmp", "-log", "log.lammps"], cwd=folder, text=True,
                          capture_output=True, timeout=120)


def last_frame(folder: Path) -> np.ndarray:
    lines = (folder / "out.dump").read_text().splitlines()
    start = max(i for i, line in enumerate(lines) if line.startswith("ITEM: ATOMS"))
    return np.array([line.split() for line in lines[start + 1:]], dtype=float)


@pytest.mark.lammps
@pytest.mark.parametrize("ranks", [1, 2])
def test_lammps_gives_the_same_grades_while_running(tmp_path, ranks):
    ACTIVE.save(tmp_path)
    done = run_lammps(tmp_path, SCRIPT.format(precision="double", limit=1e9), ranks)
    assert done.returncode == 0, done.stdout + done.stderr
    dump = last_frame(tmp_path)
    atoms = random_cell(21, atoms=10, shortest=1.0) * (2, 2, 1)
    prism = Prism(atoms.cell[:])
    before = grades(atoms)
    atoms.positions = prism.vector_to_ase(dump[:, 1:4])
    expected = grades(atoms)
    assert not np.allclose(expected, before, rtol=1e-4)  # the atoms have moved; these are grades of step 10
    assert dump[:, 4] == pytest.approx(expected, rel=1e-6, abs=1e-6)


@pytest.mark.lammps
def test_lammps_halts_outside_the_domain(tmp_path):
    ACTIVE.save(tmp_path)
    worst = grades(random_cell(21, atoms=10, shortest=1.0) * (2, 2, 1)).max()
    done = run_lammps(tmp_path, SCRIPT.format(precision="single", limit=0.5 * worst), ranks=2)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Fix halt condition for fix-id domain met on step" in done.stdout


@pytest.mark.lammps
def test_lammps_refuses_a_missing_or_foreign_active_set(tmp_path):
    script = SCRIPT.format(precision="double", limit=9)
    done = run_lammps(tmp_path, script)
    assert done.returncode != 0 and "active_set.txt: cannot be read" in done.stdout + done.stderr
    ACTIVE.save(tmp_path)
    done = run_lammps(tmp_path, script, model=random_model(2))
    assert done.returncode != 0
    assert f"belongs to potential {fingerprint(MODEL)}" in " ".join((done.stdout + done.stderr).split())
    text = (tmp_path / FILE).read_text()
    for damaged in ("", text[:-40], text.replace("size", "sise"), text + "1\n", text.replace("0.", "0.x", 1)):
        (tmp_path / FILE).write_text(damaged)
        done = run_lammps(tmp_path, script)
        assert done.returncode != 0 and "active_set.txt: line" in done.stdout + done.stderr
