"""`megabar xrd FILE...`: patterns of predicted phases with markers, cards for Dioptas, fits of measured patterns."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from megabar.anvil.diffraction.settings import XrdSettings
from megabar.cli.options import Config, DryRun, Json, Out, Pressure, Temperature
from megabar.cli.output import emit, stderr, table

if TYPE_CHECKING:
    from megabar.anvil.diffraction.phase import Phase

SETTINGS = XrdSettings


def _numbers(text: str | None, what: str) -> list[float] | None:
    from megabar.anvil.columns import number

    return None if text is None else [number(part, what) for part in text.split(",")]


def xrd(
    phases: Annotated[list[str] | None, typer.Argument(help="Structure files, trajectories, or marker names.")] = None,
    wavelength_A: Annotated[float | None, typer.Option("--wavelength-A", help="X-ray wavelength, A.")] = None,
    pressure: Pressure = None,
    temperature: Temperature = None,
    fractions: Annotated[str | None, typer.Option("--fractions", help="Volume fractions, like 0.8,0.1,0.1.")] = None,
    microstrain: Annotated[str | None, typer.Option("--microstrain", help="Spread of d, one a phase.")] = None,
    u_iso: Annotated[float | None, typer.Option("--u-iso-A2", help="Isotropic U of atoms at rest, A^2.")] = None,
    two_theta_max: Annotated[float | None, typer.Option("--two-theta-max", help="Largest angle, degrees.")] = None,
    fwhm: Annotated[float | None, typer.Option("--fwhm-deg", help="Instrumental line width, degrees.")] = None,
    symprec: Annotated[float | None, typer.Option("--symprec", help="Tolerance for the symmetry, A.")] = None,
    fit: Annotated[Path | None, typer.Option("--fit", help="Measured pattern to fit.")] = None,
    unit: Annotated[str | None, typer.Option("--unit", help="Its first column: 2theta, q_A-1, q_nm-1, d_A.")] = None,
    range_deg: Annotated[str | None, typer.Option("--range-deg", help="Angles to fit, like 5,22.")] = None,
    marker: Annotated[str | None, typer.Option("--marker", help="Phase that tells the pressure.")] = None,
    scale: Annotated[str | None, typer.Option("--scale", help="Its pressure scale, like dewaele2004.")] = None,
    search: Annotated[float | None, typer.Option("--search-percent", help="How far cells may be off, %.")] = None,
    config: Config = None, dry_run: DryRun = False, out: Out = None, as_json: Json = False,
) -> None:
    """Powder pattern of phases and markers; with --fit, their cells and the pressure from a measured one."""
    from megabar.anvil.diffraction.load import load_phases
    from megabar.anvil.diffraction.powder import check_wavelength
    from megabar.campaign.settings import load_settings
    from megabar.units import parse_pressure_GPa, parse_temperature_K

    settings = load_settings(
        SETTINGS, config, phases=phases or None, wavelength_A=wavelength_A,
        pressure_GPa=None if pressure is None else parse_pressure_GPa(pressure),
        temperature_K=None if temperature is None else parse_temperature_K(temperature),
        fractions=_numbers(fractions, "--fractions"), microstrain=_numbers(microstrain, "--microstrain"),
        u_iso_A2=u_iso, two_theta_max_deg=two_theta_max, fwhm_deg=fwhm, symprec=symprec,
        fit=None if fit is None else str(fit), unit=unit, range_deg=_numbers(range_deg, "--range-deg"),
        marker=marker, scale=scale, search_percent=search)
    check_wavelength(settings.wavelength_A)
    loaded, warnings = load_phases(settings)
    for warning in warnings:
        stderr.print(f"note: {warning}", soft_wrap=True)
    if dry_run:
        atoms = sum(len(p.atoms) for p in loaded)
        emit({"phases": [p.name for p in loaded], "atoms": atoms}, as_json, f"{len(loaded)} phases, {atoms} atoms")
    elif settings.fit is None:
        _compute(loaded, settings, out, as_json)
    else:
        _fit(loaded, settings, out, as_json)


def _compute(phases: list[Phase], settings: XrdSettings, out: Path | None, as_json: bool) -> None:
    from megabar.anvil.diffraction.load import write_cards
    from megabar.anvil.diffraction.powder import pattern

    result = pattern(phases, settings.wavelength_A, two_theta_max_deg=settings.two_theta_max_deg,
                     instrument_fwhm_deg=settings.fwhm_deg)
    if out is not None:
        result.save(out)
        write_cards(out, phases, settings.wavelength_A, settings.scale)
    rows = [[p.phase, " ".join(map(str, p.hkl)), round(p.d_A, 4), round(p.two_theta_deg, 3), round(p.intensity, 2)]
            for p in result.peaks if p.intensity >= 0.5]
    emit(result.as_dict(), as_json, table(["phase", "hkl", "d / A", "2theta / deg", "I"], rows))


def _fit(phases: list[Phase], settings: XrdSettings, out: Path | None, as_json: bool) -> None:
    from megabar.anvil.diffraction.load import write_cards
    from megabar.anvil.diffraction.measured import read_pattern
    from megabar.anvil.diffraction.refine import refine
    from megabar.errors import InputError

    window = settings.range_deg
    if window is not None and len(window) != 2:
        raise InputError(f"--range-deg {window}: give two angles in degrees, like 5,22")
    data = read_pattern(str(settings.fit), settings.wavelength_A, settings.unit,
                        None if window is None else (window[0], window[1]))
    result = refine(data, phases, settings.wavelength_A, marker=settings.marker, scale=settings.scale,
                    temperature_K=settings.temperature_K, pressure_GPa=settings.pressure_GPa,
                    search_percent=settings.search_percent)
    for warning in result.warnings:
        stderr.print(f"note: {warning}", soft_wrap=True)
    if out is not None:
        result.save(out)
        write_cards(out, [p.phase for p in result.phases], settings.wavelength_A, settings.scale)
    rows = []
    for p in result.phases:
        named = zip(p.phase.free_names, p.free_cell, p.errors, strict=True)
        cell = ", ".join(f"{n.split('_')[0]} {v:.4f}({e:.4f})" for n, v, e in named)
        rows.append([p.phase.name, cell, round(p.volume_A3, 3), round(p.volume_error_A3, 3),
                     "yes" if p.detected else "no"])
    lines = [table(["phase", "cell / A, deg", "V / A^3", "+-", "seen"], rows)]
    lines += [f"{r.material}: {r.pressure_GPa:.2f} +- {r.uncertainty_GPa:.2f} GPa ({r.scale}; measurement "
              f"{r.measurement_GPa:.2f}, between scales {r.between_scales_GPa:.2f})" for r in result.readings]
    lines.append(f"missing lines: {len(result.missing)}; unexplained peaks: "
                 + (", ".join(f"{u['two_theta_deg']:.2f}" for u in result.unexplained) or "none")
                 + f"; Rw {100 * result.r_weighted:.1f} %, chi2 {result.reduced_chi2:.2f}")
    emit(result.as_dict(), as_json, "\n".join(lines))


def register(app: typer.Typer) -> None:
    app.command("xrd")(xrd)
