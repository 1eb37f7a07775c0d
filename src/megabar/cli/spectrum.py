"""`megabar spectrum ruby|diamond-edge FILE`: find the line or edge in a spectrum, and read the pressure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from megabar.cli.options import Json, Out, Temperature

if TYPE_CHECKING:
    from megabar.anvil.spectra import SpectrumFit

File = Annotated[Path, typer.Argument(help="Two columns: nm or cm-1, intensity.")]
Scale = Annotated[str | None, typer.Option("--scale", help="Pressure scale, as in `megabar gauge`.")]


def _finish(found: SpectrumFit, scale: str | None, reference: float | None, temperature: str | None, out: Path | None,
            as_json: bool) -> None:
    from megabar.anvil.gauge import read_optical
    from megabar.cli.output import emit, stderr
    from megabar.units import parse_temperature_K

    kelvin = None if temperature is None else parse_temperature_K(temperature)
    reading = read_optical(found.kind, found.position, scale=scale, reference=reference, sigma=found.error,
                           temperature_K=kelvin)
    for warning in (*found.warnings, *reading.warnings):
        stderr.print(f"note: {warning}", soft_wrap=True)
    if out is not None:
        found.save(out)
        reading.save(out)
    unit = "nm" if found.kind == "ruby" else "cm-1"
    emit(found.as_dict() | {"reading": reading.as_dict(), "pressure_GPa": reading.pressure_GPa,
                            "uncertainty_GPa": reading.uncertainty_GPa, "scale": reading.scale}, as_json,
         f"{found.kind} at {found.position:.3f} +- {found.error:.3f} {unit}: {reading.pressure_GPa:.2f} +- "
         f"{reading.uncertainty_GPa:.2f} GPa ({reading.scale})")


def ruby(
    file: File, scale: Scale = None,
    reference_nm: Annotated[float | None, typer.Option("--reference-nm", help="R1 at ambient pressure.")] = None,
    temperature: Temperature = None, out: Out = None, as_json: Json = False,
) -> None:
    """Fit the ruby doublet and read the pressure from R1."""
    from megabar.anvil.columns import read_two_columns
    from megabar.anvil.spectra import ruby_doublet

    _finish(ruby_doublet(read_two_columns(file, "spectrum", least=20)), scale, reference_nm, temperature, out, as_json)


def diamond_edge(
    file: File, scale: Scale = None,
    reference_cm1: Annotated[float | None, typer.Option("--reference-cm1", help="Ambient line of this anvil.")] = None,
    laser_nm: Annotated[float | None, typer.Option("--laser-nm", help="Exciting laser, for a file in nm.")] = None,
    out: Out = None, as_json: Json = False,
) -> None:
    """Find the high-frequency Raman edge of the anvil and read the pressure."""
    from megabar.anvil.columns import read_two_columns
    from megabar.anvil.spectra import diamond_edge as find

    _finish(find(read_two_columns(file, "spectrum", least=30), laser_nm), scale, reference_cm1, None, out, as_json)


def register(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="Find the ruby doublet or the diamond edge in a measured spectrum.")
    group.command("ruby")(ruby)
    group.command("diamond-edge")(diamond_edge)
    app.add_typer(group, name="spectrum")
