"""`megabar explore CELLS`: short runs from small cells, and the frames of them worth a label."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from megabar.cli.options import Json, Out


def explore(
    cells: Annotated[Path, typer.Argument(help="Starting cells, such as 'megabar cells' makes.")],
    potential: Annotated[str, typer.Option("--potential", help="Name of a shipped potential, or a folder.")] = "Ca-H",
    known: Annotated[list[Path] | None, typer.Option("--known", help="Labelled frames already in the set.")] = None,
    temperatures: Annotated[str, typer.Option("--temperatures", help="Range, like '300:2500 K'.")] = "300:2500 K",
    time: Annotated[str, typer.Option("--time", help="Length of each run.")] = "0.5 ps",
    pick: Annotated[int, typer.Option("--pick", min=1, help="Frames to pick.")] = 60,
    out: Out = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of temperatures and velocities.")] = 1,
    json: Json = False,
) -> None:
    """Run every cell for a moment at its target pressure and a temperature drawn from the range; write the frames
    farthest from what is known as cells.extxyz, ready for 'megabar label', and a table of how long the runs lived."""
    import numpy as np
    from rich.progress import Progress

    from megabar.campaign.files import write_csv
    from megabar.cli.output import emit, stderr, table
    from megabar.crystals.files import read_frames, write_frames
    from megabar.dynamics.exploration import excursion
    from megabar.dynamics.exploration import pick as choose
    from megabar.errors import InputError
    from megabar.potential.library import load
    from megabar.units import parse_temperature_K, parse_time_ps

    parts = temperatures.strip().rsplit(" ", 1)
    ends = parts[0].split(":")
    if len(parts) != 2 or len(ends) != 2:
        raise InputError(f"temperatures {temperatures!r}: write a range with its unit, like '300:2500 K'")
    low, high = (parse_temperature_K(f"{end} {parts[1]}") for end in ends)
    time_ps = parse_time_ps(time)
    chosen, starts = load(potential), read_frames(cells)
    old = [frame for path in known or [] for frame in read_frames(path)]
    folder = out or Path("explore")
    runs = []
    with Progress(console=stderr, transient=True) as progress:
        bar = progress.add_task("explore", total=len(starts))
        for number, atoms in enumerate(starts):
            rng = np.random.default_rng([seed, number])
            pressure = float(atoms.info.get("target_pressure_GPa", 40.0))
            runs.append(excursion(atoms, chosen, pressure, float(rng.uniform(low, high)), time_ps,
                                  folder / "runs" / f"{number:04d}", seed + number))
            progress.advance(bar)
        frames = choose([f for run in runs for f in run.frames], old, chosen, pick)
    write_frames(folder / "cells.extxyz", frames)
    write_csv(folder / "runs.csv", {
        "kind": [r.kind for r in runs], "pressure_GPa": [r.pressure_GPa for r in runs],
        "temperature_K": [r.temperature_K for r in runs], "lived_ps": [r.lived_ps for r in runs],
        "ended_by": [r.ended_by for r in runs],
    })
    rows = []
    for kind in sorted({r.kind for r in runs}):
        mine = [r for r in runs if r.kind == kind]
        rows.append([kind, len(mine), sum(bool(r.ended_by) for r in mine), float(np.mean([r.lived_ps for r in mine])),
                     sum(f.info["kind"] == kind for f in frames)])
    result = {"runs": len(runs), "stopped": sum(bool(r.ended_by) for r in runs), "picked": len(frames),
              "out": str(folder)}
    emit(result, json, table(["kind", "runs", "stopped", "mean life (ps)", "picked"], rows)
         + f"\n{len(frames)} frames in {folder}/cells.extxyz; next: megabar label {folder}/cells.extxyz")


def register(app: typer.Typer) -> None:
    app.command("explore")(explore)
