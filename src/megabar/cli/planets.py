"""`megabar planets`: pressures and temperatures inside planets, alone or with a curve of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from megabar.cli.options import DryRun, Json, Out, Pressure


def planets(
    names: Annotated[list[str] | None, typer.Argument(help="earth, uranus, neptune, jupiter, super-earth.")] = None,
    pressure: Pressure = None,
    on: Annotated[Path | None, typer.Option("--on", help="CSV of pressure_GPa, temperature_K to draw too.")] = None,
    out: Out = None,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """List the profiles with their sources, or the temperature of each at a pressure; --out draws them."""
    import csv

    import numpy as np

    from megabar.campaign.record import RunRecord
    from megabar.cli.output import emit, table
    from megabar.errors import InputError
    from megabar.thermodynamics.planets import save, select
    from megabar.units import parse_pressure_GPa

    chosen = select(names or ())
    at = None if pressure is None else parse_pressure_GPa(pressure)
    curve = None
    if on is not None:
        try:
            with on.open(newline="", encoding="utf-8") as handle:
                rows = list(csv.DictReader(handle))
            curve = (np.array([float(r["pressure_GPa"]) for r in rows]),
                     np.array([float(r["temperature_K"]) for r in rows]), on.stem)
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"{on}: needs the columns pressure_GPa and temperature_K with numbers "
                             f"({type(error).__name__}: {error})") from None
    if out is not None and not dry_run:
        with RunRecord(out, "planets", {"names": names, "pressure": pressure, "on": on}) as record:
            save(out, names or (), curve)
            record.citations = sorted({s for p in chosen for s in p.sources})
    rows_out = []
    for p in chosen:
        value = None if at is None else (p.at_K(at) if p.reaches(at) else None)
        span = f"{p.pressure_GPa[0]:g} to {p.pressure_GPa[-1]:g}"
        rows_out.append([p.key, span, p.provenance, *([] if at is None else [value])])
    head = ["planet", "GPa", "numbers", *([] if at is None else [f"K at {at:g} GPa"])]
    values = {"profiles": [p.to_dict() for p in chosen], "pressure_GPa": at,
              "temperature_K": {p.key: p.at_K(at) if at is not None and p.reaches(at) else None for p in chosen}}
    text = table(head, rows_out) + "".join(f"\n{p.key}: {p.note} ({'; '.join(p.sources)})" for p in chosen)
    emit(values, json, text + (f"\nfigure and tables in {out}/" if out is not None and not dry_run else ""))


def register(app: typer.Typer) -> None:
    app.command("planets")(planets)
