"""`megabar elf FILE`: electron localisation function, and the electride sites in it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from megabar.cli.options import DryRun, Json, Out


def elf(
    cell: Annotated[Path, typer.Argument(help="Crystal: CIF, POSCAR, extxyz or .res; taken as it is.")],
    threshold: Annotated[float, typer.Option("--threshold", help="Least ELF of a maximum.")] = 0.7,
    out: Out = None,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Off-nucleus maxima of ELF counted and placed, the charge in them, gap and pressure (GPAW)."""
    from megabar.campaign.files import file_hash
    from megabar.campaign.record import RunRecord
    from megabar.cli.output import emit, stderr, table
    from megabar.crystals.files import read_frames
    from megabar.electrons import elf as localisation
    from megabar.electrons.gpaw import check_cell, primitive
    from megabar.firstprinciples.levels import PBE_GPAW_1

    atoms = read_frames(cell)[-1]
    localisation.check_threshold(threshold)
    small = primitive(atoms)
    check_cell(small, str(cell))
    target = out or Path(f"elf-{cell.stem}")
    if dry_run:
        mesh = PBE_GPAW_1.k_mesh(small)
        emit({"would_write": str(target), "atoms": len(small), "k_mesh": list(mesh)}, json,
             f"elf: one GPAW run of {len(small)} atoms, k-mesh {mesh}; would write {target}/")
        return
    target.mkdir(parents=True, exist_ok=True)
    with RunRecord(target, "elf", {"cell": cell, "threshold": threshold}) as record:
        result = localisation.elf(atoms, target / "gpaw.txt", threshold, str(cell))
        result.save(target)
        values = result.to_dict()
        record.results = {k: values[k] for k in ("electride_sites", "gap_eV", "pressure_GPa")}
        record.hashes = {str(cell): file_hash(cell)}
        record.citations = ["Becke and Edgecombe, J. Chem. Phys. 92, 5397 (1990), doi:10.1063/1.458517"]
    for note in result.notes:
        stderr.print(f"note: {note}")
    rows = [["{:.3f} {:.3f} {:.3f}".format(*s.position_frac), "electride" if s.electride else s.kind, s.neighbours,
             round(s.distance_A, 3), round(s.elf, 3), round(s.charge_e, 2)] for s in result.sites]
    text = table(["position", "kind", "shared by", "at (A)", "ELF", "charge (e)"], rows)
    emit(values, json, f"{text}\n{values['electride_sites']} electride sites; gap {result.fundamental_gap_eV:.2f} eV "
         f"(direct {result.direct_gap_eV:.2f}) on the k-mesh; {result.pressure_GPa:.1f} GPa; figure in {target}/")


def register(app: typer.Typer) -> None:
    app.command("elf")(elf)
