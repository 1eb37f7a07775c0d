"""What Quantum ESPRESSO writes, read: XML of pw.x, dynamical and electron-phonon matrices of ph.x, tables."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from ase import Atoms

from megabar.errors import NotConverged, RunError
from megabar.firstprinciples.levels import RYDBERG_EV
from megabar.units import EV_PER_A3_IN_GPA

BOHR_A = 0.529177210903
"""CODATA 2018."""
HARTREE_EV = 2.0 * RYDBERG_EV


@dataclass(frozen=True)
class State:
    """The end of a pw.x run. Eigenvalues (k, bands) in eV on `k_points` (k, 3, Cartesian, 1/A without 2 pi)."""

    atoms: Atoms
    energy_eV: float | None
    pressure_GPa: float | None
    fermi_eV: float | None
    electrons: float
    k_points: np.ndarray
    weights: np.ndarray
    eigenvalues_eV: np.ndarray


def read_state(schema: Path) -> State:
    """State from `data-file-schema.xml`; RunError when the file is damaged, NotConverged when it says so."""
    try:
        root = ElementTree.parse(schema).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise RunError(f"{schema}: not a result of pw.x ({error}); run it again") from None
    output = root.find("output")
    if output is None:
        raise RunError(f"{schema}: pw.x did not finish; run it again")
    # Runs at a fixed density count one step and call themselves unconverged.
    for name, steps in (("scf_conv", "n_scf_steps"), ("opt_conv", "n_opt_steps")):
        said = output.findtext(f"convergence_info/{name}/convergence_achieved", "true")
        counted = int(output.findtext(f"convergence_info/{name}/{steps}", "0"))
        if said.strip() == "false" and counted > 1:
            raise NotConverged(f"{schema}: pw.x says that its {name[:3]} loop did not converge in {counted} steps")
    structure = output.find("atomic_structure")
    assert structure is not None
    cell = np.array([_floats(structure.findtext(f"cell/a{i}", "")) for i in (1, 2, 3)]) * BOHR_A
    atoms = structure.findall("atomic_positions/atom")
    symbols = [re.sub(r"[^A-Za-z].*", "", str(a.get("name"))) for a in atoms]
    positions = np.array([_floats(str(a.text)) for a in atoms]) * BOHR_A
    energy, fermi = output.findtext("total_energy/etot"), output.findtext("band_structure/fermi_energy")
    stress = output.findtext("stress")
    pressure = None
    if stress:
        # The XML keeps the sign of the printed stress: compression is positive.
        pressure = float(np.trace(np.array(_floats(stress)).reshape(3, 3))) / 3.0
        pressure *= HARTREE_EV / BOHR_A**3 * EV_PER_A3_IN_GPA
    alat = float(structure.get("alat", "1")) * BOHR_A
    points = output.findall("band_structure/ks_energies")
    return State(
        Atoms(symbols, cell=cell, positions=positions, pbc=True),
        None if energy is None else float(energy) * HARTREE_EV, pressure,
        None if fermi is None else float(fermi) * HARTREE_EV, float(output.findtext("band_structure/nelec", "0")),
        np.array([_floats(p.findtext("k_point", "")) for p in points]) / alat,
        np.array([float(p.find("k_point").get("weight", "0")) for p in points]),  # type: ignore[union-attr]
        np.array([_floats(p.findtext("eigenvalues", "")) for p in points]) * HARTREE_EV)


def _floats(text: str) -> list[float]:
    return [float(x) for x in text.split()]


@dataclass(frozen=True)
class Matrices:
    """Matrices of a star of q. `q` (n, 3) in 1/A (Cartesian, without 2 pi); `matrix` (n, 3N, 3N) Hermitian.

    Dynamical matrices without masses are force constants in Ry/bohr^2; electron-phonon ones are Fermi-surface sums of
    squared potential derivatives, which know no mass either. Atoms in the order of the input.
    """

    q: np.ndarray
    matrix: np.ndarray


_Q = re.compile(r"q = \(\s*([-\d.Ee]+)\s+([-\d.Ee]+)\s+([-\d.Ee]+)\s*\)")


def _star(lines: list[str], atoms: int, alat_A: float) -> Matrices:
    """Blocks "q = (...)", then for each pair of atoms its two numbers and three rows of three complex ones."""
    points, matrices = [], []
    i = 0
    while i < len(lines):
        if "Diagonalizing" in lines[i]:
            break
        found = _Q.search(lines[i])
        i += 1
        if found is None:
            continue
        matrix = np.zeros((3 * atoms, 3 * atoms), dtype=complex)
        i += 1
        for _ in range(atoms * atoms):
            a, b = (int(x) - 1 for x in lines[i].split()[:2])
            rows = np.array([_floats(lines[i + r + 1]) for r in range(3)])
            matrix[3 * a:3 * a + 3, 3 * b:3 * b + 3] = rows[:, 0::2] + 1j * rows[:, 1::2]
            i += 4
        points.append([float(x) for x in found.groups()])
        matrices.append(0.5 * (matrix + matrix.conj().T))
    if not points:
        raise RunError("no matrices in a file of ph.x; run its task again")
    return Matrices(np.array(points) / alat_A, np.array(matrices))


def read_dynamical(path: Path) -> Matrices:
    """Dynamical matrices of ph.x (`dynN`), one for each q of the star (in QE's list, with -q where it differs)."""
    lines = path.read_text(encoding="utf-8").splitlines()
    head = lines[2].split()
    return _star(lines[3:], int(head[1]), float(head[3]) * BOHR_A)


@dataclass(frozen=True)
class Coupling:
    """Electron-phonon matrices of a star at one electronic broadening, with the Fermi level and density of states
    (per spin, Ry and cell) that belong to it."""

    broadening_Ry: float
    dos_per_spin_Ry: float
    fermi_Ry: float
    star: Matrices


def read_coupling(path: Path, atoms: int, alat_A: float) -> Coupling:
    """`elph_dir/a2Fq2r.5S.N` of ph.x with electron_phonon = 'interpolated'."""
    lines = path.read_text(encoding="utf-8").splitlines()
    broadening, fermi, dos = _floats(lines[0].replace("D", "E"))
    return Coupling(broadening, dos, fermi, _star(lines[2:], atoms, alat_A))


def alat_A(path: Path) -> float:
    """Lattice parameter in A by which ph.x measures q in the file `dynN`."""
    return float(path.read_text(encoding="utf-8").splitlines()[2].split()[3]) * BOHR_A


def read_q_list(path: Path) -> np.ndarray:
    """Irreducible q-points of `dyn0`, (n, 3), Cartesian in units of 2 pi / alat."""
    lines = path.read_text(encoding="utf-8").splitlines()
    count = int(lines[1].split()[0])
    return np.array([_floats(line) for line in lines[2:2 + count]])


def read_printed_coupling(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """omega^2 (modes,) in Ry^2 and lambda (broadenings, modes) as ph.x itself prints them, `elph.inp_lambda.N`."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    broadenings, modes = (int(x) for x in lines[0].split()[3:5])
    squares = _floats(" ".join(lines[1:2 + (modes - 1) // 6]))
    found = re.findall(r"lambda\(\s*\d+\)=\s*([-\d.]+)", text)
    return np.array(squares), np.array([float(x) for x in found]).reshape(broadenings, modes)


def read_electron_dos(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Energies in eV and the density of states of both spins (1/eV per cell) of dos.x."""
    rows = np.loadtxt(path, comments="#")
    return rows[:, 0], rows[:, 1]


def cpu_seconds(output: Path) -> float:
    """Processor time that a program of Quantum ESPRESSO states at the end of its output ("PHONON : 1m 2.30s CPU"); 0.0
    when it does not. The wall-clock time of a shared machine says nothing about cost."""
    found = re.findall(r"^\s+[A-Z]+\s+:\s+(?:(\d+)d)?\s*(?:(\d+)h)?\s*(?:(\d+)m)?\s*(?:([\d.]+)s)?\s+CPU",
                       output.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
    if not found:
        return 0.0
    days, hours, minutes, seconds = (float(x or 0.0) for x in found[-1])
    return 86400.0 * days + 3600.0 * hours + 60.0 * minutes + seconds
