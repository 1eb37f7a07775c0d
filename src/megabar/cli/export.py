"""`megabar export --to lammps|gpumd`: a ready input deck for a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from megabar.cli.options import DryRun, Json, Out


def export(
    structure: Annotated[Path | None, typer.Argument(help="Cell to run; without it a tetrahydride.")] = None,
    to: Annotated[str, typer.Option("--to", help="lammps or gpumd.")] = "lammps",
    potential: Annotated[str, typer.Option("--potential", help="Name of a shipped potential, or a folder.")] = "Ca-H",
    atoms: Annotated[int | None, typer.Option("--atoms", min=1, help="Repeat the cell to about so many atoms.")] = None,
    pressure: Annotated[str, typer.Option("--pressure", help='With its unit, like "40 GPa".')] = "40 GPa",
    temperature: Annotated[str, typer.Option("--temperature", help='With its unit, like "1200 C".')] = "1200 C",
    time: Annotated[str, typer.Option("--time", help='Length of the run, like "100 ps".')] = "100 ps",
    timestep_fs: Annotated[float, typer.Option("--timestep-fs", help="Time step in fs.")] = 0.5,
    ranks: Annotated[int, typer.Option("--ranks", min=1, help="MPI processes of the job.")] = 32,
    hours: Annotated[float, typer.Option("--hours", help="Time limit of a job on the queue.")] = 24.0,
    out: Out = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the velocities.")] = 0,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Write a folder to copy to a cluster: potential, cell, NPT input and a SLURM script that restarts itself."""
    from megabar.cli.output import emit
    from megabar.performance.cells import cell
    from megabar.performance.decks import Deck
    from megabar.potential.library import load
    from megabar.units import parse_pressure_GPa, parse_temperature_K, parse_time_ps

    chosen = load(potential)
    deck = Deck(potential=chosen, atoms=cell(chosen, structure, atoms), pressure_GPa=parse_pressure_GPa(pressure),
                temperature_K=parse_temperature_K(temperature), time_ps=parse_time_ps(time), timestep_fs=timestep_fs,
                ranks=ranks, hours=hours, seed=seed)
    folder = out or Path(f"deck-{to}")
    deck.check(to, folder)
    files = [] if dry_run else deck.write(to, folder)
    summary = {"to": to, "out": str(folder), "atoms": len(deck.atoms), "steps": deck.steps, "files": files}
    text = (f"{len(deck.atoms)} atoms, {deck.steps} steps; nothing written (dry run)" if dry_run else
            f"{folder}: {', '.join(files)}\n{len(deck.atoms)} atoms, {deck.steps} steps; copy the folder and type "
            "'sbatch job.sh' in it")
    emit(summary, json, text)


def register(app: typer.Typer) -> None:
    app.command("export")(export)
