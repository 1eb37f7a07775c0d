"""`megabar elph CELL --pressure "200 GPa"`: electron-phonon coupling and Tc from first principles."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from megabar.cli.options import Config, DryRun, Json, Out, Pressure
from megabar.superconductivity.qe_settings import ElectronPhononSettings

SETTINGS = ElectronPhononSettings


def elph(
    cell: Annotated[Path, typer.Argument(help="Crystal: CIF, POSCAR, extxyz or .res.")],
    pressure: Pressure = None,
    k_mesh: Annotated[str | None, typer.Option("--k-mesh", help="8 or 8x8x8: electrons of the phonons.")] = None,
    q_mesh: Annotated[str | None, typer.Option("--q-mesh", help="2 or 2x2x2: phonons; divides the k-mesh.")] = None,
    cutoff: Annotated[float | None, typer.Option("--cutoff", help="Plane-wave cutoff in Ry.")] = None,
    broadening: Annotated[float | None, typer.Option("--broadening", help="Of the Fermi surface in Ry.")] = None,
    mu_star: Annotated[float | None, typer.Option("--mu-star", help="Defined at the highest phonon.")] = None,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="q-points at a time.")] = 1,
    store: Annotated[Path | None, typer.Option("--store", help="Folder of the tasks; OUT/tasks without it.")] = None,
    out: Out = None,
    config: Config = None,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Relaxes, then bands, phonons, electron-phonon coupling, alpha2F and Tc, also with deuterium (Quantum ESPRESSO).

    One task a q-point; the same command goes on where it stopped. Without --pressure the cell is taken as it is.
    """
    from megabar.campaign.files import file_hash
    from megabar.campaign.record import RunRecord
    from megabar.campaign.settings import load_settings
    from megabar.campaign.tasks import Store
    from megabar.cli.output import emit, stderr, table
    from megabar.crystals.files import read_frames
    from megabar.superconductivity import electron_phonon as run
    from megabar.units import parse_pressure_GPa

    settings = load_settings(ElectronPhononSettings, config, k_mesh=_mesh(k_mesh, "--k-mesh"),
                             q_mesh=_mesh(q_mesh, "--q-mesh"), cutoff_Ry=cutoff, broadening_Ry=broadening,
                             mu_star=mu_star)
    target_GPa = None if pressure is None else parse_pressure_GPa(pressure)
    atoms = read_frames(cell)[-1]
    small = run.prepared(atoms, settings)
    target = out or Path(f"elph-{cell.stem}")
    if dry_run:
        count, _ = run.phonon_work(small, settings.q_mesh, settings.k_mesh)
        cost = run.estimated_s(small, settings)
        emit({"would_write": str(target), "tasks": count + 3, "q_points": count, "cost_s": cost}, json,
             f"elph: {count} q-points of {len(small)} atoms, about {cost / 60:.0f} min on one core (within a factor of "
             f"three); would write {target}/")
        return
    place = Store(store or target / "tasks")
    lock = place.lock()
    try:
        with RunRecord(target, "elph", settings.model_dump() | {"cell": cell, "pressure": pressure}) as record:
            result = run.compute(atoms, target_GPa, settings, place, jobs, stderr.print)
            result.save(target)
            values = result.to_dict()
            record.results = {k: values[k] for k in ("lambda", "omega_log_K", "tc_K", "broadening_Ry")}
            record.citations, record.hashes = list(run.CITATIONS), {str(cell): file_hash(cell)}
            record.speed = {"phonon_core_s": result.phonon_seconds}
    finally:
        lock.close()
    for note in values["notes"]:
        stderr.print(f"note: {note}")
    row = result.rows[result.chosen]
    rows: list[list[Any]] = [["lambda", row.coupling, row.mesh_coupling],
                             ["omega_log (K)", row.omega_log_K, row.mesh_omega_log_K],
                             ["Tc, Allen-Dynes (K)", row.tc_allen_dynes_K, row.mesh_tc_allen_dynes_K],
                             ["Tc, Eliashberg (K)", result.tc.tc_K["eliashberg"], None]]
    if "heavy" in values:
        rows += [["Tc, heavy isotope (K)", values["heavy"]["tc_eliashberg_K"], None],
                 ["isotope exponent", values["heavy"]["isotope_exponent"], None]]
    emit(values, json, table([f"mu* = {settings.mu_star:g}", "interpolated", "q-mesh alone"], rows)
         + f"\nfigures and tables in {target}/")


def _mesh(text: str | None, option: str) -> list[int] | None:
    """ "8" or "8x8x8" as three counts; None when not given."""
    from megabar.errors import InputError

    if text is None:
        return None
    parts = text.lower().replace(",", "x").split("x")
    if len(parts) not in (1, 3) or not all(p.strip().isdigit() for p in parts):
        raise InputError(f"elph: {option} {text!r} is no mesh; write 8 or 8x8x8")
    return [int(p) for p in parts] * (3 if len(parts) == 1 else 1)


def register(app: typer.Typer) -> None:
    app.command("elph")(elph)
