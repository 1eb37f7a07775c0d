"""`megabar gauge`: pressure from ruby, Sm:SrB4O7, the diamond edge, a vibron, a marker or the load; chains of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from megabar.cli.options import Json, Out, Pressure, Temperature
from megabar.cli.output import emit, stderr, table

if TYPE_CHECKING:
    from megabar.anvil.gauge import Reading

Scale = Annotated[str | None, typer.Option("--scale", help="Author and year in lower case, like dewaele2008.")]
WavelengthNm = Annotated[float, typer.Option("--wavelength-nm", help="Measured line, nm.")]
ReferenceNm = Annotated[float | None, typer.Option("--reference-nm", help="The same line at ambient pressure, nm.")]
SigmaNm = Annotated[float, typer.Option("--sigma-nm", help="Standard error of the measured line, nm.")]
ReferenceTemperature = Annotated[
    str, typer.Option("--reference-temperature", help="Temperature at which the reference was measured.")]
SigmaK = Annotated[float, typer.Option("--sigma-K", help="Standard error of the temperature, K.")]
Material = Annotated[str, typer.Option("--material", help="W, Re, Au, Pt, Cu, MgO, NaCl-B1, NaCl-B2, Ne or diamond.")]


def _kelvin(text: str | None) -> float | None:
    from megabar.units import parse_temperature_K

    return None if text is None else parse_temperature_K(text)


def _two(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _finish(reading: Reading, out: Path | None, as_json: bool) -> None:
    for warning in reading.warnings:
        stderr.print(f"note: {warning}", soft_wrap=True)
    if out is not None:
        reading.save(out)
    rows = [[a.scale, _two(a.pressure_GPa), _two(a.uncertainty_GPa), "{:g}-{:g}".format(*a.validity_range_GPa),
             a.status, a.doi] for a in reading.all_answers()]
    head = (f"{reading.pressure_GPa:.2f} +- {reading.uncertainty_GPa:.2f} GPa  ({reading.scale}: {reading.citation})\n"
            f"of which measurement {reading.measurement_GPa:.2f}, coefficients {reading.coefficients_GPa:.2f}, "
            f"between scales {reading.between_scales_GPa:.2f} GPa\n")
    emit(reading.as_dict(), as_json, head + table(["scale", "P / GPa", "+-", "range", "status", "DOI"], rows))


def _optical(gauge: str, value: float, scale: str | None, reference: float | None, sigma: float,
             temperature: str | None, reference_temperature: str, sigma_K: float, out: Path | None,
             as_json: bool) -> None:
    from megabar.anvil.gauge import read_optical

    reading = read_optical(
        gauge, value, scale=scale, reference=reference, sigma=sigma, temperature_K=_kelvin(temperature),
        reference_K=_kelvin(reference_temperature) or 296.0, sigma_K=sigma_K)
    _finish(reading, out, as_json)


def ruby(
    wavelength_nm: WavelengthNm, scale: Scale = None, reference_nm: ReferenceNm = None, sigma_nm: SigmaNm = 0.0,
    temperature: Temperature = None, reference_temperature: ReferenceTemperature = "296 K", sigma_K: SigmaK = 0.0,
    out: Out = None, as_json: Json = False,
) -> None:
    """Pressure from the ruby R1 line."""
    _optical("ruby", wavelength_nm, scale, reference_nm, sigma_nm, temperature, reference_temperature, sigma_K, out,
             as_json)


def sm(
    wavelength_nm: WavelengthNm, scale: Scale = None, reference_nm: ReferenceNm = None, sigma_nm: SigmaNm = 0.0,
    temperature: Temperature = None, reference_temperature: ReferenceTemperature = "296 K", sigma_K: SigmaK = 0.0,
    out: Out = None, as_json: Json = False,
) -> None:
    """Pressure from the 0-0 line of Sm:SrB4O7."""
    _optical("sm", wavelength_nm, scale, reference_nm, sigma_nm, temperature, reference_temperature, sigma_K, out,
             as_json)


def diamond_edge(
    shift_cm1: Annotated[float, typer.Option("--shift-cm1", help="Raman shift of the edge itself (1334 at ambient).")],
    scale: Scale = None,
    reference_cm1: Annotated[float | None, typer.Option("--reference-cm1", help="Ambient line of this anvil.")] = None,
    sigma_cm1: Annotated[float, typer.Option("--sigma-cm1", help="Standard error of the edge.")] = 0.0,
    out: Out = None, as_json: Json = False,
) -> None:
    """Pressure from the high-frequency Raman edge of the stressed anvil."""
    from megabar.anvil.gauge import read_optical

    reading = read_optical("diamond-edge", shift_cm1, scale=scale, reference=reference_cm1, sigma=sigma_cm1)
    _finish(reading, out, as_json)


def vibron(
    shift_cm1: Annotated[float, typer.Option("--shift-cm1", help="Frequency of the H2 vibron.")],
    calibration: Annotated[
        Path | None, typer.Option("--calibration", help="Cited points: columns shift_cm1, pressure_GPa.")] = None,
    sigma_cm1: Annotated[float, typer.Option("--sigma-cm1", help="Standard error of the vibron.")] = 0.0,
    as_json: Json = False,
) -> None:
    """Pressure from the H2 vibron, interpolated between cited points that you give."""
    from megabar.anvil.calibration import read_vibron
    from megabar.errors import InputError

    if calibration is None:
        raise InputError("vibron: no closed pressure scale of the H2 vibron is built in, for want of one with a "
                         "citation; give a paper's points with --calibration FILE (shift_cm1, pressure_GPa)")
    _calibrated(read_vibron(shift_cm1, calibration, sigma_cm1), as_json)


def load(
    value: Annotated[float, typer.Option("--load", help="Load, in the unit of the calibration.")],
    calibration: Annotated[Path, typer.Option("--calibration", help="Known points: columns load, pressure_GPa.")],
    as_json: Json = False,
) -> None:
    """Pressure from the load of the cell on a straight line through known points."""
    from megabar.anvil.calibration import read_load

    _calibrated(read_load(value, calibration), as_json)


def _calibrated(reading: Any, as_json: bool) -> None:
    for warning in reading.warnings:
        stderr.print(f"note: {warning}", soft_wrap=True)
    emit(reading.as_dict(), as_json, f"{reading.pressure_GPa:.2f} +- {reading.uncertainty_GPa:.2f} GPa")


def _marker_volume(
    material: str, volume_A3: float | None, lattice_A: str | None, d_A: float | None, hkl: str | None,
    c_over_a: float | None, warnings: list[str],
) -> float | None:
    from megabar.anvil.lattice import parse_hkl, parse_lattice_A
    from megabar.anvil.materials import material as find
    from megabar.errors import InputError

    crystal = find(material)
    if lattice_A is not None:
        return crystal.volume_A3(*parse_lattice_A(lattice_A))
    if d_A is not None:
        if hkl is None:
            raise InputError("--d-A needs the indices of the line: --hkl 110")
        if crystal.hexagonal and c_over_a is None:
            warnings.append(f"c/a of {crystal.name} kept at its ambient {crystal.c_over_a:.4f}; give --c-over-a")
        return crystal.volume_from_d_A3(d_A, parse_hkl(hkl), c_over_a)
    return volume_A3


def marker(
    material: Material, scale: Scale = None,
    volume_ratio: Annotated[float | None, typer.Option("--volume-ratio", help="V/V0 of the marker.")] = None,
    volume_A3: Annotated[float | None, typer.Option("--volume-A3", help="Conventional cell volume, A^3.")] = None,
    lattice_A: Annotated[str | None, typer.Option("--lattice-A", help="a, or a,c of a hexagonal cell, A.")] = None,
    d_A: Annotated[float | None, typer.Option("--d-A", help="One d-spacing, A; with --hkl.")] = None,
    hkl: Annotated[str | None, typer.Option("--hkl", help="Its indices, like 110 or 1,0,-1.")] = None,
    c_over_a: Annotated[float | None, typer.Option("--c-over-a", help="Axial ratio to use with one d-spacing.")] = None,
    v0_A3: Annotated[float | None, typer.Option("--v0-A3", help="Ambient volume measured on this sample.")] = None,
    temperature: Temperature = None,
    sigma_A3: Annotated[float, typer.Option("--sigma-A3", help="Standard error of the volume, A^3.")] = 0.0,
    sigma_K: SigmaK = 0.0, pressure: Pressure = None, out: Out = None, as_json: Json = False,
) -> None:
    """Pressure from the volume of a marker; with --pressure the other way round, to its cell."""
    from megabar.anvil.gauge import read_marker

    kelvin = _kelvin(temperature)
    if pressure is not None:
        _inverse(material, scale, pressure, kelvin, as_json)
        return
    said: list[str] = []
    volume = _marker_volume(material, volume_A3, lattice_A, d_A, hkl, c_over_a, said)
    for line in said:
        stderr.print(f"note: {line}", soft_wrap=True)
    _finish(read_marker(material, volume_A3=volume, volume_ratio=volume_ratio, scale=scale, temperature_K=kelvin,
                        V0_A3=v0_A3, sigma_volume_A3=sigma_A3, sigma_K=sigma_K), out, as_json)


def _inverse(material: str, scale: str | None, pressure: str, kelvin: float | None, as_json: bool) -> None:
    from megabar.anvil.gauge import cell_at_pressure
    from megabar.units import parse_pressure_GPa

    cells = cell_at_pressure(material, parse_pressure_GPa(pressure), scale=scale, temperature_K=kelvin)
    rows = [[c.scale, c.volume_ratio, c.volume_A3, ", ".join(f"{a:.4f}" for a in c.lattice_A), c.status]
            for c in cells.cells]
    emit(cells.as_dict(), as_json, table(["scale", "V/V0", "V / A^3", "a, c / A", "status"], rows))


def convert(
    gauge: Annotated[str, typer.Argument(help="ruby, sm, diamond-edge or marker.")],
    pressure: Annotated[str, typer.Option("--pressure", help='The published pressure, like "150 GPa".')],
    from_scale: Annotated[str, typer.Option("--from", help="Scale on which it was published.")],
    to_scale: Annotated[str, typer.Option("--to", help="Scale on which it is wanted.")],
    material: Annotated[str | None, typer.Option("--material", help="The marker, for gauge marker.")] = None,
    temperature: Temperature = None, as_json: Json = False,
) -> None:
    """A literature pressure moved from one scale to another."""
    from dataclasses import asdict

    from megabar.anvil.gauge import convert as run
    from megabar.anvil.optical import UNITS
    from megabar.errors import InputError
    from megabar.units import parse_pressure_GPa

    if gauge not in (*UNITS, "marker"):
        raise InputError(f"gauge {gauge!r} is unknown; use {', '.join(UNITS)} or marker")
    result = run(gauge, parse_pressure_GPa(pressure), from_scale, to_scale, material=material,
                 temperature_K=_kelvin(temperature))
    for warning in result.warnings:
        stderr.print(f"note: {warning}", soft_wrap=True)
    emit(asdict(result), as_json, f"{result.from_pressure_GPa:g} GPa ({result.from_scale}) = "
                                  f"{result.pressure_GPa:.2f} GPa ({result.to_scale})")


def chain(
    file: Annotated[Path, typer.Argument(help="CSV of the loading run: load, gauge, value, ...")],
    out: Out = None, as_json: Json = False,
) -> None:
    """A loading run read with every combination of scales: what the last pressure owes to the choices."""
    from megabar.anvil.chain import read_chain

    result = read_chain(file)
    for warning in result.warnings:
        stderr.print(f"note: {warning}", soft_wrap=True)
    if out is not None:
        result.save(out)
    rows = sorted(result.final_GPa.items(), key=lambda item: item[1])
    emit(result.as_dict(), as_json,
         f"last row: {result.lowest_GPa:.0f} to {result.highest_GPa:.0f} GPa, median {result.pressure_GPa:.0f} GPa\n"
         + table(["way", "P / GPa"], rows))


def scales(as_json: Json = False) -> None:
    """Every scale known, with its range and DOI."""
    from megabar.anvil.gauge import catalogue

    rows = catalogue()
    emit({"scales": rows}, as_json, table(
        ["gauge", "scale", "range / GPa", "DOI"],
        [[r["gauge"], r["scale"], f"{r['validity_range_GPa'][0]:g}-{r['validity_range_GPa'][1]:g}", r["doi"]]
         for r in rows]))


def register(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="Pressure from a gauge or marker, with every other scale beside it.")
    for name, command in (("ruby", ruby), ("sm", sm), ("diamond-edge", diamond_edge), ("vibron", vibron),
                          ("marker", marker), ("load", load), ("convert", convert), ("chain", chain),
                          ("scales", scales)):
        group.command(name)(command)
    app.add_typer(group, name="gauge")
