"""The tasks of an electron-phonon run: relaxation, ground state, one phonon task per q, bands and density of states.

Each is content-addressed (`megabar.campaign`): the hash of the one before is among the inputs of the next, and its
folder is found beside its own. A phonon task that was killed goes on where ph.x left off.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.io import iread

from megabar.campaign.tasks import Task
from megabar.errors import MegabarError, NotConverged, RunError
from megabar.superconductivity.qe_input import PREFIX, dos_input, ph_input, pw_input, run_program, standard_primitive
from megabar.superconductivity.qe_read import State, read_electron_dos, read_q_list, read_state

CODE_VERSION = "1"
MODULE = "megabar.superconductivity.qe_tasks"
PRESSURE_TOLERANCE_GPA = 0.5
"""After a variable-cell run the basis is that of the first cell; a last fixed-basis check must agree to this."""
EMPTY_BANDS = 6


def cell_inputs(atoms: Atoms) -> dict[str, Any]:
    """Numbers, cell and fractional positions, rounded to 1e-9 so that a file round trip changes no hash."""
    return {"numbers": atoms.numbers.tolist(), "cell": np.round(atoms.cell[:], 9).tolist(),
            "scaled_positions": np.round(atoms.get_scaled_positions(), 9).tolist()}


def cell_of(inputs: dict[str, Any]) -> Atoms:
    return Atoms(inputs["numbers"], cell=inputs["cell"], scaled_positions=inputs["scaled_positions"], pbc=True)


def task(function: str, inputs: dict[str, Any]) -> Task:
    return Task(f"{MODULE}:{function}", CODE_VERSION, inputs)


def beside(folder: Path, other: str) -> Path:
    """Folder of the task with hash `other` in the store of the task in `folder`."""
    return folder.parents[1] / other[:2] / other


def _state(folder: Path) -> State:
    return read_state(folder / "out" / f"{PREFIX}.save" / "data-file-schema.xml")


def _pw(inputs: dict[str, Any], atoms: Atoms, **more: Any) -> str:
    return pw_input(atoms, cutoff_Ry=inputs["cutoff_Ry"], smearing_Ry=inputs["smearing_Ry"],
                    functional=inputs["functional"], **more)


def relax(inputs: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Cell and ions at `pressure_GPa`, symmetry kept; restarted until the pressure holds in the basis of the cell.

    The basis of a variable-cell run belongs to its first cell, so each round starts from the last; NotConverged after
    five rounds.
    """
    atoms, target = standard_primitive(cell_of(inputs)), inputs["pressure_GPa"]
    for attempt in range(5):
        text = _pw(inputs, atoms, calculation="vc-relax", k_mesh=inputs["k_mesh"], pressure_GPa=target)
        try:
            run_program("pw.x", text, folder, f"relax{attempt}")
            atoms = standard_primitive(_state(folder).atoms)
        except (NotConverged, RunError) as error:
            # Steps so small that extrapolated states are better than the eigensolver can do end a run at its goal.
            last = _last_geometry(folder / f"relax{attempt}.out") if "bands are not converged" in str(error) else None
            if last is None:
                raise
            shutil.rmtree(folder / "out", ignore_errors=True)
            atoms = standard_primitive(last)
        run_program("pw.x", _pw(inputs, atoms, calculation="scf", k_mesh=inputs["k_mesh"]), folder, "check")
        state = _state(folder)
        if state.pressure_GPa is not None and abs(state.pressure_GPa - target) < inputs.get(
                "tolerance_GPa", PRESSURE_TOLERANCE_GPA):
            shutil.rmtree(folder / "out")
            return cell_inputs(atoms) | {
                "pressure_GPa": state.pressure_GPa, "energy_eV": state.energy_eV, "volume_A3": atoms.get_volume()}
    raise NotConverged(f"not relaxed at {target:g} GPa: {state.pressure_GPa:.2f} GPa after five rounds; raise the "
                       f"cutoff, or start from a cell nearer to that pressure (see {folder})")


def _last_geometry(output: Path) -> Atoms | None:
    """The last geometry of a variable-cell run that pw.x finished computing; None when that is where it started."""
    images = list(iread(output, index=":", format="espresso-out"))
    return images[-1] if len(images) > 1 else None


def ground_state(inputs: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Dense-mesh eigenvalues for the Fermi-surface sums, then the charge density and states on the phonon's k-mesh."""
    atoms = cell_of(inputs)
    shutil.rmtree(folder / "out", ignore_errors=True)
    run_program("pw.x", _pw(inputs, atoms, calculation="scf", k_mesh=inputs["dense_mesh"], dense=True), folder, "dense")
    dense = len(_state(folder).weights)
    run_program("pw.x", _pw(inputs, atoms, calculation="scf", k_mesh=inputs["k_mesh"]), folder, "scf")
    state = _state(folder)
    # A dry run of ph.x lists the irreducible q-points in the order in which it will number them.
    listing = folder / "listing"
    shutil.rmtree(listing, ignore_errors=True)
    listing.mkdir()
    shutil.copytree(folder / "out", listing / "out")
    run_program("ph.x", ph_input(inputs["q_mesh"], broadening_step_Ry=0.01, broadenings=1), listing, "list",
                sign="uniform grid of q-points")  # the listing alone ends without a word
    points = read_q_list(listing / "dyn0")
    shutil.rmtree(listing)
    return {"pressure_GPa": state.pressure_GPa, "energy_eV": state.energy_eV, "fermi_eV": state.fermi_eV,
            "electrons": state.electrons, "k_points": len(state.weights), "dense_k_points": dense,
            "q_points": points, "volume_A3": atoms.get_volume()}


def phonon(inputs: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Dynamical and electron-phonon matrices at irreducible q-point `number`; left in `folder/dynN` and `elph_dir`.

    Goes on from what a killed run left. What ph.x cannot take up again is begun anew, once.
    """
    out, number = folder / "out", inputs["number"]

    def start(recover: bool) -> None:
        if not recover:
            shutil.rmtree(out, ignore_errors=True)
            shutil.copytree(beside(folder, inputs["ground_state"]) / "out", out)
        text = ph_input(inputs["q_mesh"], broadening_step_Ry=inputs["broadening_step_Ry"],
                        broadenings=inputs["broadenings"], number=number, recover=recover)
        run_program("ph.x", text, folder, "ph")

    try:
        start((out / "_ph0").is_dir() and (folder / "ph.out").is_file())
    except MegabarError:
        if not (folder / "ph.in").is_file() or "recover = .true." not in (folder / "ph.in").read_text():
            raise
        start(False)
    produced = [folder / f"dyn{number}", *(folder / "elph_dir" / f"a2Fq2r.{51 + i}.{number}"
                                           for i in range(inputs["broadenings"]))]
    lacking = [p.name for p in produced if not p.is_file()]
    if lacking:
        raise RunError(f"ph.x left no {lacking[0]} at q-point {number}; see {folder / 'ph.out'}")
    shutil.rmtree(out)
    return {"number": number, "files": [str(p.relative_to(folder)) for p in produced]}


def electrons(inputs: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Eigenvalues along a path, and the tetrahedron density of states on the dense mesh, with the density kept."""
    atoms = cell_of(inputs)
    out = folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(beside(folder, inputs["ground_state"]) / "out", out, ignore=shutil.ignore_patterns("wfc*", "_ph0"))
    valence = _state(folder)
    count = int(np.ceil(valence.electrons / 2)) + EMPTY_BANDS
    path = atoms.cell.bandpath(npoints=inputs["path_points"])
    run_program("pw.x", _pw(inputs, atoms, calculation="bands", k_points=path.kpts, bands=count), folder, "bands")
    bands = _state(folder).eigenvalues_eV
    run_program("pw.x", _pw(inputs, atoms, calculation="nscf", k_mesh=inputs["dense_mesh"], bands=count,
                            tetrahedra=True), folder, "nscf")
    fermi = _state(folder).fermi_eV
    if fermi is None:
        raise RunError(f"no Fermi level in {folder}: not a metal at these settings, so there is no coupling to compute")
    run_program("dos.x", dos_input(fermi - 30.0, fermi + 8.0), folder, "dos")
    energy, density = read_electron_dos(folder / "electrons.dos")
    shutil.rmtree(out)
    x, ticks, labels = path.get_linear_kpoint_axis()
    return {"distance": x, "ticks": ticks, "labels": labels, "bands_eV": bands - fermi, "fermi_eV": fermi,
            "dos_energy_eV": energy - fermi, "dos_per_eV": density,
            "dos_at_fermi_per_eV": float(np.interp(fermi, energy, density))}
