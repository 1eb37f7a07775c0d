"""`megabar map "CaH2 + H2 -> CaH4"`: where in pressure and temperature a hydride can be made, and by which road."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from megabar.cli.options import Config, DryRun, Json, Out, Potential, Pressure, Seed
from megabar.thermodynamics.map_run import MapSettings

SETTINGS = MapSettings


def map_(
    reaction: Annotated[str | None, typer.Argument(help='One product: "CaH2 + H2 -> CaH4".')] = None,
    pressure: Pressure = None,
    temperature: Annotated[str | None, typer.Option("--temperature", help="Range in K, 300:3000:25.")] = None,
    potential: Potential = None,
    enthalpy: Annotated[Path | None, typer.Option("--enthalpy", help="Folder of 'megabar enthalpy'.")] = None,
    melt: Annotated[Path | None, typer.Option("--melt", help="Folder of 'megabar melt'.")] = None,
    melt_pressure: Annotated[str | None, typer.Option("--melt-pressure", help="Of a melting line that is missing.")]
    = None,
    runs: Annotated[list[Path] | None, typer.Option("--runs", help="Folder of reaction runs; runs without it.")] = None,
    planet: Annotated[list[str] | None, typer.Option("--planet", help="Profile to draw, like earth.")] = None,
    entropy: Annotated[Literal["estimate", "none"] | None, typer.Option("--entropy", help="Of hydrogen.")] = None,
    skip_melt: Annotated[bool | None, typer.Option("--skip-melt", help="Without a melting line when none is cached.")]
    = None,
    out: Out = None,
    config: Config = None,
    seed: Seed = None,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Synthesis map from cached parts: favoured or not, the melting line, where a surface melts before the bulk, with
    experiments and our own runs on it. What is missing is computed; --dry-run says what and at which cost."""
    from megabar.campaign.record import RunRecord
    from megabar.campaign.settings import load_settings
    from megabar.cli.output import emit, stderr, table
    from megabar.thermodynamics.map_run import MapPlan, run_map

    settings = load_settings(
        SETTINGS, config, reaction=reaction, pressure=pressure, temperature=temperature, potential=potential,
        enthalpy=None if enthalpy is None else str(enthalpy), melt=None if melt is None else str(melt),
        melt_pressure=melt_pressure, runs=None if runs is None else [str(r) for r in runs], planets=planet,
        entropy=entropy, skip_melt=skip_melt, seed=seed)
    name = "".join(c if c.isalnum() or c in ".-" else "_" for c in
                   settings.reaction.replace(" ", "").replace("->", "-to-").replace("+", "-"))
    folder = out or Path(f"map-{name}")
    plan = MapPlan.make(settings, folder)
    if dry_run:
        summary = plan.summary()
        rows = [[m["part"], m["core_hours"], m["command"]] for m in summary["missing"]]
        text = f"found: {', '.join(summary['found']) or 'nothing'}; {summary['runs']} runs to place\n"
        text += table(["missing", "core hours", "made by"], rows) if rows else "nothing is missing"
        emit({**summary, "would_write": str(folder)}, json, text + "\nnothing written (dry run)")
        return
    with RunRecord(folder, "map", settings.model_dump(), settings.seed) as record:
        found = run_map(plan, stderr.print)
        found.save(folder)
        record.results = {"regions": found.summary()["regions"]}
        record.citations = sorted({p.source for p in found.points if p.kind != "run"})
    summary = found.summary()
    rows = [[r["temperature_K"], r["favoured_from_GPa"], *r["band_GPa"]] for r in summary["boundary"]]
    text = table(["T (K)", "favoured from (GPa)", "at best", "at worst"], rows, str(plan.reaction))
    points = [[p["what"], p["kind"], p["pressure_GPa"], p["temperature_K"],
               *((None, None, "") if p["map"] is None else
                 (p["map"]["driving_eV"], p["map"]["barrier_eV"], p["map"]["region"].replace("favoured, ", "")))]
              for p in summary["points"]]
    text += "\n\n" + table(["what", "kind", "P (GPa)", "T (K)", "driving (eV)", "barrier (eV)", "map says"], points)
    text += f"\nbarrier from {found.barrier_how}" + "".join(f"\nnote: {note}" for note in found.notes)
    emit({**summary, "out": str(folder)}, json, text + f"\nfigure and tables in {folder}/")


def register(app: typer.Typer) -> None:
    app.command("map")(map_)
