"""`megabar metallize FILE --pressure 0:200:10`: gaps and the Fermi level of a crystal as it is compressed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from megabar.cli.options import DryRun, Json, Out, Pressure


def metallize(
    cell: Annotated[Path, typer.Argument(help="Crystal: CIF, POSCAR, extxyz or .res.")],
    pressure: Pressure = None,
    out: Out = None,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Band gap (fundamental, direct) and DOS at the Fermi level against pressure, relaxed at each; gap closure (GPAW).

    Resumes where it stopped. Give --pressure as a range: 0:200:10 (GPa).
    """
    from megabar.campaign.files import file_hash
    from megabar.campaign.record import RunRecord
    from megabar.campaign.tasks import Store
    from megabar.cli.output import emit, stderr, table
    from megabar.crystals.files import read_frames
    from megabar.electrons.gpaw import check_cell, primitive
    from megabar.electrons.metallize import Point, metallization
    from megabar.errors import InputError
    from megabar.units import parse_pressures_GPa

    if pressure is None:
        raise InputError("metallize: no pressures; write a range like --pressure 0:200:10")
    pressures = parse_pressures_GPa(pressure)
    if len(pressures) < 2:
        raise InputError(f"metallize: --pressure {pressure!r} is one pressure; write a range like 0:200:10")
    atoms = read_frames(cell)[-1]
    small = primitive(atoms)
    check_cell(small, str(cell))
    target = out or Path(f"metallize-{cell.stem}")
    if dry_run:
        # Ten self-consistent runs a pressure, each about 2 s an atom for small cells: measured on NaCl and H2.
        cost = 20.0 * len(small) * len(pressures)
        emit({"would_write": str(target), "tasks": len(pressures), "atoms": len(small), "cost_s": cost}, json,
             f"metallize: {len(pressures)} pressures, {len(small)} atoms, about {cost / 60:.0f} min on one core")
        return

    def report(point: Point) -> None:
        stderr.print(f"{point.pressure_GPa:g} GPa: gap {point.gap_eV:.3f} eV, direct {point.direct_gap_eV:.3f} eV")

    with RunRecord(target, "metallize", {"cell": cell, "pressure": pressure}) as record:
        result = metallization(atoms, pressures, Store(target / "tasks"), str(cell), report)
        result.save(target)
        values = result.to_dict()
        record.results = {k: values[k] for k in ("closure_pressure_GPa", "closure_bracket_GPa")}
        record.hashes = {str(cell): file_hash(cell)}
    for note in result.notes:
        stderr.print(f"note: {note}")
    rows = [[p.pressure_GPa, p.volume_A3_per_atom, p.gap_eV, p.direct_gap_eV, p.dos_at_fermi_per_eV, p.space_group]
            for p in result.points]
    text = table(["P (GPa)", "V (A3/atom)", "gap (eV)", "direct (eV)", "DOS(EF) (1/eV)", "symmetry"], rows)
    bracket = result.closure_bracket_GPa
    closed = f"gap closes at {result.closure_pressure_GPa:.1f} GPa, between {bracket[0]:g} and {bracket[1]:g}" \
        if bracket is not None else "no gap closes between these pressures"
    emit(values, json, f"{text}\n{closed}; figure in {target}/")


def register(app: typer.Typer) -> None:
    app.command("metallize")(metallize)
