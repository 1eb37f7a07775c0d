"""`megabar apparatus`: which methods reach a planned pressure and temperature."""

from __future__ import annotations

import typer

from megabar.cli.options import Json, Out, Pressure, Temperature


def apparatus(pressure: Pressure = None, temperature: Temperature = None, out: Out = None,
              as_json: Json = False) -> None:
    """Place a planned point on the chart of methods (clamp cell to laser shock) and name those that reach it."""
    from megabar.anvil.apparatus import plan
    from megabar.cli.output import emit, table
    from megabar.errors import InputError
    from megabar.units import parse_pressure_GPa, parse_temperature_K

    if pressure is None:
        raise InputError("no point to place: give --pressure, like '150 GPa', and --temperature (default 300 K)")
    result = plan(parse_pressure_GPa(pressure), 300.0 if temperature is None else parse_temperature_K(temperature))
    if out is not None:
        result.save(out)
    rows = [["yes" if v.suitable else "no", v.method.name, v.reason, v.method.duration, v.method.sample]
            for v in sorted(result.verdicts, key=lambda v: not v.suitable)]
    emit(result.as_dict(), as_json, table(["", "method", "why", "duration", "sample"], rows))


def register(app: typer.Typer) -> None:
    app.command("apparatus")(apparatus)
