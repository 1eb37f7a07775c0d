"""`megabar analyse TRAJECTORY`: what happened in a reaction run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from megabar.cli.options import DryRun, Json, Out, Pressure


def analyse(
    trajectory: Annotated[Path, typer.Argument(help="LAMMPS dump or extxyz file, plain or .gz.")],
    out: Out = None,
    normal: Annotated[str | None, typer.Option("--normal", help="Axis across the slab: a, b or c (found if not given).")
                      ] = None,
    timestep: Annotated[str | None, typer.Option("--timestep", help='For files without times, like "0.5 fs".')] = None,
    pressure: Pressure = None,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Hydrogen species, uptake, densities, layers, surface melting, front, product and kinetics of a reaction run."""
    from megabar.campaign.record import RunRecord
    from megabar.cli.output import emit, stderr, table
    from megabar.errors import InputError
    from megabar.reaction.analysis import analyse as run
    from megabar.units import parse_pressure_GPa, parse_time_ps

    target = out or trajectory.with_name(f"{trajectory.name.split('.')[0]}-analysis")
    timestep_fs = None if timestep is None else parse_time_ps(timestep) * 1e3
    pressure_GPa = None if pressure is None else parse_pressure_GPa(pressure)
    if not trajectory.is_file():
        raise InputError(f"{trajectory}: no such trajectory; give the path of a LAMMPS dump or extxyz file")
    if target.exists() and not target.is_dir():
        raise InputError(f"--out {target}: is a file; give a folder")
    if dry_run:
        size = trajectory.stat().st_size
        emit({"trajectory": str(trajectory), "bytes": size, "out": str(target)}, json,
             f"would analyse {trajectory} ({size / 1e6:.1f} MB) into {target}; nothing written (dry run)")
        return
    result = run(trajectory, normal=normal, pressure_GPa=pressure_GPa, timestep_fs=timestep_fs)
    settings = {"trajectory": str(trajectory), "normal": normal, "timestep_fs": timestep_fs,
                "pressure_GPa": pressure_GPa}
    with RunRecord(target, "analyse", settings) as record:
        files = result.save(target)
        record.results = summary = {**result.summary(), "out": str(target), "files": [p.name for p in files]}
    for note in result.notes:
        stderr.print(f"note: {note}", style="yellow", markup=False, soft_wrap=True)
    rows = result.table()
    emit(summary, json, f"{table(['quantity', 'start', 'end'], rows)}\ntables and figures in {target}")


def register(app: typer.Typer) -> None:
    app.command("analyse")(analyse)
