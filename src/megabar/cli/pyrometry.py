"""`megabar pyrometry SPECTRUM`: temperature from thermal radiation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from megabar.cli.options import Json, Out


def pyrometry(
    spectrum: Annotated[Path, typer.Argument(help="Two columns: wavelength in nm, radiance per wavelength.")],
    range_nm: Annotated[str | None, typer.Option("--range-nm", help="Part to use, like 600,800.")] = None,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Planck and Wien grey-body temperatures, two-colour windows, and what the emissivity may hide."""
    from megabar.anvil.columns import number, read_two_columns
    from megabar.anvil.pyrometry import read_temperature
    from megabar.cli.output import emit, stderr
    from megabar.errors import InputError

    window = None
    if range_nm is not None:
        ends = [number(part, "--range-nm") for part in range_nm.split(",")]
        if len(ends) != 2:
            raise InputError(f"--range-nm {range_nm!r}: two wavelengths in nm, like 600,800")
        window = (ends[0], ends[1])
    result = read_temperature(read_two_columns(spectrum, "spectrum", least=12), window)
    for warning in result.warnings:
        stderr.print(f"note: {warning}", soft_wrap=True)
    if out is not None:
        result.save(out)
    emit(result.as_dict(), as_json,
         f"Planck {result.temperature_K:.0f} +- {result.uncertainty_K:.0f} K (statistical {result.statistical_K:.0f}, "
         f"emissivity {result.emissivity_K:.0f}); Wien {result.wien_temperature_K:.0f} +- {result.wien_error_K:.0f} K; "
         f"free emissivity slope {result.free_temperature_K:.0f} +- {result.free_error_K:.0f} K; two-colour spread "
         f"{result.two_colour_spread_K:.0f} K")


def register(app: typer.Typer) -> None:
    app.command("pyrometry")(pyrometry)
