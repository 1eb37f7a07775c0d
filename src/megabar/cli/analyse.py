"""`megabar analyse TRAJECTORY`: what happened in a reaction run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from megabar.cli.options import Config, DryRun, Json, Out, Pressure, Seed
from megabar.reaction.analysis_settings import AnalysisSettings

SETTINGS = AnalysisSettings


def analyse(
    trajectory: Annotated[str | None, typer.Argument(help="LAMMPS dump or extxyz file, plain or .gz.")] = None,
    normal: Annotated[str | None, typer.Option("--normal", help="Axis across the slab: a, b or c (found without it).")
                      ] = None,
    pressure: Pressure = None,
    timestep: Annotated[str | None, typer.Option("--timestep", help='For files without times, like "0.5 fs".')] = None,
    lag: Annotated[str | None, typer.Option("--lag", help='Time of displacements, "2 ps" without it.')] = None,
    out: Out = None,
    config: Config = None,
    seed: Seed = None,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Hydrogen species, uptake, densities, layers, surface melting, front, product and kinetics of a reaction run."""
    from megabar.campaign.record import RunRecord
    from megabar.campaign.settings import load_settings
    from megabar.cli.output import emit, stderr, table
    from megabar.errors import InputError
    from megabar.reaction.analysis import CITATIONS
    from megabar.reaction.analysis import analyse as run

    settings = load_settings(SETTINGS, config, trajectory=trajectory, normal=normal, pressure=pressure,
                             timestep=timestep, lag=lag, seed=seed)
    source = Path(settings.trajectory)
    pressure_GPa, timestep_fs, lag_ps = settings.pressure_GPa, settings.timestep_fs, settings.lag_ps
    if not source.is_file():
        raise InputError(f"{source}: no such trajectory; give the path of a LAMMPS dump or extxyz file")
    target = out or source.with_name(f"{source.name.split('.')[0]}-analysis")
    if target.exists() and not target.is_dir():
        raise InputError(f"--out {target}: is a file; give a folder")
    if dry_run:
        size = source.stat().st_size
        emit({"trajectory": str(source), "bytes": size, "out": str(target)}, json,
             f"would analyse {source} ({size / 1e6:.1f} MB) into {target}; nothing written (dry run)")
        return
    result = run(source, normal=settings.normal, lag_ps=lag_ps, pressure_GPa=pressure_GPa, timestep_fs=timestep_fs,
                 seed=settings.seed)
    with RunRecord(target, "analyse", settings.model_dump(), seed=settings.seed) as record:
        files = result.save(target)
        record.results = summary = {**result.summary(), "out": str(target), "files": [p.name for p in files]}
        record.citations = list(CITATIONS)
    for note in result.notes:
        stderr.print(f"note: {note}", style="yellow", markup=False, soft_wrap=True)
    emit(summary, json, f"{table(['quantity', 'start', 'end'], result.table())}\ntables and figures in {target}")


def register(app: typer.Typer) -> None:
    app.command("analyse")(analyse)
