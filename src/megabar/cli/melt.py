"""`megabar melt CaH4 --pressure "40 GPa"`: melting points by two-phase coexistence, and the line through them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from megabar.cli.options import Config, DryRun, Json, Out, Potential, Pressure, Seed
from megabar.thermodynamics.melt_settings import MeltSettings

SETTINGS = MeltSettings


def melt(
    formula: Annotated[str | None, typer.Argument(help="What melts, like CaH4, CaH2 or H2.")] = None,
    pressure: Pressure = None,
    potential: Potential = None,
    phase: Annotated[str | None, typer.Option("--phase", help="Prototype of the crystal; see cells --list.")] = None,
    file: Annotated[Path | None, typer.Option("--file", help="The crystal from a file.")] = None,
    forces: Annotated[Path | None, typer.Option("--forces", help="YAML with elements and lines of a LAMMPS pair "
                                                                 "style, instead of a potential.")] = None,
    atoms: Annotated[str | None, typer.Option("--atoms", help="Two-phase atoms, 600; or several, 600,1200.")] = None,
    time: Annotated[str | None, typer.Option("--time", help='Each two-phase run, "8 ps".')] = None,
    tolerance: Annotated[str | None, typer.Option("--tolerance", help='Half the final bracket, "50 K".')] = None,
    start: Annotated[str | None, typer.Option("--start", help='Heating starts here, "300 K".')] = None,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Pressures run at the same time.")] = 1,
    out: Out = None,
    config: Config = None,
    seed: Seed = None,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Melting point from crystal and melt side by side, bracketed automatically and checked from both sides. Every run
    is kept: type the command again and it goes on, or answers at once."""
    from megabar.campaign.record import RunRecord
    from megabar.campaign.settings import load_settings
    from megabar.cli.output import emit, stderr, table
    from megabar.errors import InputError
    from megabar.thermodynamics.melt import CITATIONS, MeltCampaign

    try:
        sizes = None if atoms is None else [int(part) for part in atoms.split(",")]
    except ValueError:
        raise InputError(f"--atoms {atoms!r}: write a number, or several like 600,1200") from None
    values = {"formula": formula, "pressure": pressure, "potential": potential, "phase": phase, "atoms": sizes,
              "file": None if file is None else str(file), "forces_file": None if forces is None else str(forces),
              "time": time, "tolerance": tolerance, "start": start, "seed": seed}
    settings = load_settings(SETTINGS, config, **values)
    folder = out or Path(f"melt-{settings.formula}")
    campaign = MeltCampaign(settings, folder / "tasks")
    if dry_run:
        plan = campaign.dry_run()
        rows = [[p["pressure_GPa"], p["phase"], p["bulk_atoms"], ",".join(map(str, p["two_phase_atoms"])),
                 p["estimated_hours"]] for p in plan["points"]]
        emit(plan, json, table(["P (GPa)", "phase", "bulk", "two-phase", "hours"], rows)
             + f"\n{plan['estimated_hours']:.2f} core hours; nothing written (dry run)"
             + "".join(f"\nnote: {n}" for n in plan["notes"]))
        return
    with RunRecord(folder, "melt", settings.model_dump(), settings.seed) as record:
        record.citations += CITATIONS
        record.hashes.update({str(k): str(v) for k, v in campaign.pair.items() if k == "hash"})
        points, failed = campaign.run(jobs, stderr.print)
        for point in points:
            point.save(folder if len(points) == 1 else folder / f"{point.pressure_GPa:g}GPa")
        result: dict[str, Any] = {"formula": settings.formula, "points": [p.summary() for p in points],
                                  "failed": {f"{p:g} GPa": text for p, text in failed.items()}}
        if (line := campaign.line(points)) is not None:
            line.save(folder)
            result["line"] = line.summary()
        record.results = {f"{p.pressure_GPa:g} GPa": [p.temperature_K, p.error_K] for p in points}
    result["out"] = str(folder)
    rows = [[p.pressure_GPa, p.temperature_K, p.error_K, p.superheated_to_K, p.supercooled_to_K, p.hysteresis_K,
             p.constant_enthalpy_K, p.fusion_enthalpy_eV_per_fu, p.fusion_volume_A3_per_fu] for p in points]
    text = table(["P (GPa)", "Tm (K)", "error", "heated to", "frozen at", "hysteresis", "NPH", "dH (eV/fu)",
                  "dV (A3/fu)"], rows, f"{settings.formula} with {campaign.potential}")
    emit(result, json, text + f"\nfigures in {folder}/" + "".join(
        f"\nnote: {p.pressure_GPa:g} GPa: {note}" for p in points for note in p.notes)
         + "".join(f"\nno melting point at {p:g} GPa: {text}" for p, text in failed.items()))


def register(app: typer.Typer) -> None:
    app.command("melt")(melt)
