"""Pressure from a gauge: one scale's answer with its uncertainty, and every other scale's beside it."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from megabar.anvil.eos import EXTRAPOLATION_LIMIT, Marker
from megabar.anvil.markers import DEFAULT_SCALE as DEFAULT_MARKER_SCALE
from megabar.anvil.markers import MARKERS
from megabar.anvil.materials import material as find_material
from megabar.anvil.optical import UNITS, OpticalScale
from megabar.anvil.scales import DEFAULT_SCALE, SCALES
from megabar.anvil.temperature_shift import REFERENCE_K, shift_nm
from megabar.campaign.files import write_csv, write_json
from megabar.errors import InputError


@dataclass(frozen=True)
class ScaleAnswer:
    """What one scale says about one measurement; `pressure_GPa` is None where the scale refuses."""

    scale: str
    pressure_GPa: float | None
    uncertainty_GPa: float | None
    status: str
    validity_range_GPa: tuple[float, float]
    doi: str
    note: str = ""
    superseded: bool = False


@dataclass(frozen=True)
class Reading:
    """A pressure read from a gauge.

    `uncertainty_GPa` is the root of the squares of `measurement_GPa` (the error given for the line, volume and
    temperature), `coefficients_GPa` (the published errors of the scale) and `between_scales_GPa` (the root mean square
    distance of the other current scales to this one: what nobody's error bar holds, and often the largest of the
    three).
    """

    gauge: str
    material: str | None
    scale: str
    pressure_GPa: float
    uncertainty_GPa: float
    measurement_GPa: float
    coefficients_GPa: float
    between_scales_GPa: float
    citation: str
    doi: str
    table: str
    validity_range_GPa: tuple[float, float]
    range_source: str
    refused_above_GPa: float
    measured: dict[str, float]
    others: tuple[ScaleAnswer, ...]
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The reading with the keys of the command line's JSON."""
        result: dict[str, Any] = {"gauge": self.gauge}
        if self.material is not None:
            result["material"] = self.material
        result |= {
            "scale": self.scale, "pressure_GPa": self.pressure_GPa, "uncertainty_GPa": self.uncertainty_GPa,
            "uncertainty_parts_GPa": {
                "measurement": self.measurement_GPa, "coefficients": self.coefficients_GPa,
                "between_scales": self.between_scales_GPa,
            },
            "citation": self.citation, "doi": self.doi, "table": self.table,
            "validity_range_GPa": list(self.validity_range_GPa), "range_source": self.range_source,
            "refused_above_GPa": self.refused_above_GPa, "measured": self.measured,
            "other_scales": [vars(answer) for answer in self.others], "warnings": list(self.warnings),
        }
        return result

    def save(self, folder: str | Path) -> None:
        """Write reading.json, and scales.csv/.png with every scale's answer, into `folder`."""
        from megabar.anvil.figures import save_figure

        folder = Path(folder)
        write_json(folder / "reading.json", self.as_dict())
        everyone = self.all_answers()
        write_csv(folder / "scales.csv", {
            "scale": [a.scale for a in everyone],
            "pressure_GPa": ["" if a.pressure_GPa is None else a.pressure_GPa for a in everyone],
            "uncertainty_GPa": ["" if a.uncertainty_GPa is None else a.uncertainty_GPa for a in everyone],
            "status": [a.status for a in everyone], "doi": [a.doi for a in everyone],
        })
        save_figure(folder / "scales.png", self.plot)

    def all_answers(self) -> list[ScaleAnswer]:
        """This scale's answer and the others', by scale name."""
        own = ScaleAnswer(self.scale, self.pressure_GPa, math.hypot(self.measurement_GPa, self.coefficients_GPa),
                          "chosen", self.validity_range_GPa, self.doi)
        return sorted([own, *self.others], key=lambda a: a.scale)

    def plot(self, ax: Any) -> None:
        """Every scale's pressure with its error bar; extrapolated ones hollow, the chosen one filled black."""
        answers = [a for a in self.all_answers() if a.pressure_GPa is not None]
        for row, a in enumerate(answers):
            colour = "black" if a.status == "chosen" else "tab:blue"
            face = "white" if a.status == "extrapolated" else colour
            ax.errorbar(a.pressure_GPa, row, xerr=a.uncertainty_GPa, fmt="o", color=colour, mfc=face, capsize=3)
        ax.set_yticks(range(len(answers)), [a.scale for a in answers])
        ax.set_xlabel("pressure (GPa)")
        what = self.gauge if self.material is None else f"{self.material} volume"
        ax.set_title(f"{what}: {self.pressure_GPa:.1f} ± {self.uncertainty_GPa:.1f} GPa ({self.scale})")


def optical_scales(gauge: str) -> list[OpticalScale]:
    return [s for (kind, _), s in SCALES.items() if kind == gauge]


def marker_scales(material: str) -> list[Marker]:
    return [m for (name, _), m in MARKERS.items() if name == material]


def _choose(scales: Sequence[Any], wanted: str, what: str) -> Any:
    for scale in scales:
        if scale.scale == wanted.strip().lower():
            return scale
    names = sorted(s.scale for s in scales)
    near = difflib.get_close_matches(wanted.lower(), names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names)}"
    raise InputError(f"{what} has no scale {wanted!r}; {hint}")


def optical_scale(gauge: str, name: str | None = None) -> OpticalScale:
    """The scale of that name of an optical gauge (ruby, sm, diamond-edge), or its default."""
    return _choose(optical_scales(gauge), DEFAULT_SCALE[gauge] if name is None else name, f"gauge {gauge}")


def marker_scale(material: str, name: str | None = None) -> Marker:
    """The equation of state of that name of a marker material, or its default."""
    chosen = find_material(material).name
    return _choose(marker_scales(chosen), DEFAULT_MARKER_SCALE[chosen] if name is None else name, f"marker {chosen}")


def _status(pressure_GPa: float, scale: OpticalScale | Marker) -> str:
    low, high = scale.range_GPa
    if not math.isfinite(pressure_GPa) or pressure_GPa > scale.refused_above_GPa:
        return "refused"
    return "in range" if low - 1e-6 <= pressure_GPa <= high else "extrapolated"


def _range_warning(pressure_GPa: float, scale: OpticalScale | Marker) -> list[str]:
    low, high = scale.range_GPa
    if low - 1e-6 <= pressure_GPa <= high:
        return []
    return [f"{pressure_GPa:.1f} GPa is outside the range of {scale.scale}, {low:g}-{high:g} GPa "
            f"({scale.range_source}): extrapolated"]


def _refusal(what: str, pressure_GPa: float, scale: OpticalScale | Marker) -> InputError:
    top = max(scale.range_GPa[1], scale.compared_GPa)
    return InputError(f"{what}: {scale.scale} would give {pressure_GPa:.0f} GPa, beyond {EXTRAPOLATION_LIMIT:g} times "
                      f"the {top:g} GPa to which it has been tested; use one that reaches there, or check the input")


def _between(pressure_GPa: float, others: Sequence[ScaleAnswer]) -> float:
    """Root mean square distance of the other current scales that answer to the chosen one, in GPa (0 without any)."""
    gaps = [a.pressure_GPa - pressure_GPa for a in others if a.pressure_GPa is not None and not a.superseded]
    return math.sqrt(sum(g * g for g in gaps) / len(gaps)) if gaps else 0.0


def _checked(value: float, what: str, unit: str, low: float, high: float) -> float:
    if not math.isfinite(value):
        raise InputError(f"{what} {value!r} is not a finite number: give it in {unit}")
    if not low <= value <= high:
        raise InputError(f"{what} {value:g} is not a value in {unit} ({low:g} to {high:g} expected): give the position "
                         "of the line itself, not its displacement, and check the unit")
    return value


_PLAUSIBLE = {"ruby": (650.0, 900.0), "sm": (670.0, 800.0), "diamond-edge": (1200.0, 3000.0)}


def read_optical(
    gauge: str, value: float, *, scale: str | None = None, reference: float | None = None, sigma: float = 0.0,
    temperature_K: float | None = None, reference_K: float = REFERENCE_K, sigma_K: float = 0.0,
) -> Reading:
    """Pressure from a luminescence line (ruby, sm: nm) or the diamond Raman edge (diamond-edge: cm^-1).

    `reference` replaces the scale's ambient line; `temperature_K` is the sample's when the line was measured, and
    `reference_K` that of the reference, so the line is brought back to `reference_K` before the scale is used. `sigma`
    (nm or cm^-1) and `sigma_K` are the errors of the measurement. Raises InputError for a negative shift, a value in
    the wrong unit, and beyond 1.5 times the pressure to which the scale has been tested.
    """
    chosen = optical_scale(gauge, scale)
    unit = UNITS[gauge]
    _checked(value, f"{gauge} line", unit, *_PLAUSIBLE[gauge])
    if reference is not None:
        _checked(reference, f"{gauge} reference", unit, *_PLAUSIBLE[gauge])
    if sigma < 0.0 or not math.isfinite(sigma) or sigma_K < 0.0 or not math.isfinite(sigma_K):
        raise InputError("the error of a measurement is negative or not finite: give a standard deviation, 0 or more")
    warnings: list[str] = []
    corrected = value
    slope_per_K = 0.0
    if temperature_K is not None:
        if gauge == "diamond-edge":
            raise InputError("the diamond edge has no cited temperature correction here: leave --temperature out")
        correction = shift_nm(gauge, temperature_K) - shift_nm(gauge, reference_K)
        corrected = value - correction
        slope_per_K = (shift_nm(gauge, temperature_K) - shift_nm(gauge, max(temperature_K - 1.0, 50.0)))
        if abs(correction) > 0.0:
            warnings.append(f"line moved by {-correction:+.4f} nm from {temperature_K:g} K to {reference_K:g} K "
                            "(Datchi et al. 2007), taking pressure and temperature shifts as additive")
    ambient = chosen.reference if reference is None else reference
    tolerance = max(3.0 * sigma, 0.02 if unit == "nm" else 2.0)
    if corrected < ambient - tolerance:
        raise InputError(f"{gauge} line at {corrected:g} {unit} is below its ambient value {ambient:g} {unit}: a "
                         "negative pressure; check the reference, the calibration of the spectrometer or the sign")

    def answer(s: OpticalScale) -> ScaleAnswer:
        start = max(s.lowest_value, 0.0)
        pressure = float(s.pressure_GPa(corrected, reference))
        status = "refused" if corrected < start else _status(pressure, s)
        measured = abs(s.slope_GPa(corrected, reference)) * math.hypot(sigma, slope_per_K * sigma_K)
        error = math.hypot(measured, s.parameter_sigma_GPa(corrected, reference))
        gone = status == "refused"
        return ScaleAnswer(s.scale, None if gone else pressure, None if gone else error, status, s.range_GPa,
                           s.source.doi, s.note, s.superseded)

    own = answer(chosen)
    if own.pressure_GPa is None or own.uncertainty_GPa is None:
        if corrected < chosen.lowest_value:
            raise InputError(f"{gauge} line at {corrected:g} {unit} is below {chosen.lowest_value:g} {unit}, where "
                             f"{chosen.scale} begins; use akahama2006 or eremets2023 there")
        raise _refusal(f"{gauge} at {value:g} {unit}", float(chosen.pressure_GPa(corrected, reference)), chosen)
    others = [answer(s) for s in optical_scales(gauge) if s.scale != chosen.scale]
    between = _between(own.pressure_GPa, others)
    measured_GPa = abs(chosen.slope_GPa(corrected, reference)) * math.hypot(sigma, slope_per_K * sigma_K)
    coefficients = chosen.parameter_sigma_GPa(corrected, reference)
    warnings += _range_warning(own.pressure_GPa, chosen)
    if chosen.superseded:
        warnings.append(f"{chosen.scale}: {chosen.note}")
    key = "wavelength_nm" if unit == "nm" else "edge_cm1"
    measured = {key: value, f"reference_{'nm' if unit == 'nm' else 'cm1'}": ambient, f"corrected_{key}": corrected}
    if temperature_K is not None:
        measured |= {"temperature_K": temperature_K, "reference_K": reference_K}
    return Reading(
        gauge, None, chosen.scale, own.pressure_GPa, math.sqrt(measured_GPa**2 + coefficients**2 + between**2),
        measured_GPa, coefficients, between, chosen.source.citation, chosen.source.doi, chosen.source.table,
        chosen.range_GPa, chosen.range_source, chosen.refused_above_GPa, measured, tuple(others), tuple(warnings))


def read_marker(
    material: str, *, volume_A3: float | None = None, volume_ratio: float | None = None, scale: str | None = None,
    temperature_K: float | None = None, V0_A3: float | None = None, sigma_volume_A3: float = 0.0, sigma_K: float = 0.0,
) -> Reading:
    """Pressure from the volume of a marker: the conventional cell in A^3, or V/V0.

    A ratio is taken on each scale's own V0; a volume is divided by the V0 of each paper, or by `V0_A3`, the volume of
    the same sample measured at ambient conditions, where that was done. Raises InputError for impossible volumes and
    beyond 1.5 times the pressure to which the scale has been tested.
    """
    chosen = marker_scale(material, scale)
    name = chosen.material
    if (volume_A3 is None) == (volume_ratio is None):
        raise InputError("give the marker's volume once: --volume-ratio, --volume-A3, --lattice-A, or --d-A with --hkl")
    for value, what in ((volume_A3, "volume"), (volume_ratio, "volume ratio"), (V0_A3, "V0")):
        if value is not None and (not math.isfinite(value) or value <= 0.0):
            raise InputError(f"{what} {value!r} is not a positive number: check it")
    if temperature_K is not None and temperature_K <= 0.0:
        raise InputError(f"temperature {temperature_K:g} K is not above absolute zero")
    if sigma_volume_A3 < 0.0 or sigma_K < 0.0:
        raise InputError("the error of a measurement is negative: give a standard deviation, 0 or more")
    ratio_given = volume_ratio is not None
    warnings: list[str] = []

    def parts(m: Marker) -> tuple[float, float, float]:
        m = m if V0_A3 is None else m.with_V0(V0_A3)
        volume = m.V0_A3 * volume_ratio if volume_ratio is not None else float(volume_A3 or 0.0)
        if not 0.1 <= volume / m.V0_A3 <= 1.2:
            raise InputError(f"{name}: V/V0 = {volume / m.V0_A3:.3f} on {m.scale}: is the volume that of the "
                             f"conventional cell ({m.crystal.formulas_per_cell} {m.crystal.formula}, "
                             f"{m.V0_A3:.3f} A^3 at ambient)?")
        kelvin = m.reference_K if temperature_K is None else temperature_K
        pressure = float(m.pressure_GPa(volume, kelvin))
        error = 0.0
        if sigma_volume_A3 or sigma_K:
            bare = m.bulk_modulus_GPa(volume, kelvin) * sigma_volume_A3 / volume
            error = math.hypot(bare, m.temperature_slope_GPa_per_K(volume, kelvin) * sigma_K)
        return pressure, error, m.parameter_sigma_GPa(volume, kelvin, ratio=ratio_given or V0_A3 is not None)

    def answer(m: Marker) -> ScaleAnswer:
        pressure, measured, coefficients = parts(m)
        status = _status(pressure, m)
        note = m.note
        if temperature_K is not None and m.thermal is None and abs(temperature_K - m.reference_K) > 15.0:
            status, note = "refused", "no thermal pressure in this paper"
        gone = status == "refused"
        return ScaleAnswer(m.scale, None if gone else pressure, None if gone else math.hypot(measured, coefficients),
                           status, m.range_GPa, m.source.doi, note)

    if temperature_K is not None and chosen.thermal is None and abs(temperature_K - chosen.reference_K) > 15.0:
        hot = sorted(m.scale for m in marker_scales(name) if m.thermal is not None)
        raise InputError(f"{name} {chosen.scale} has no thermal pressure and is for {chosen.reference_K:g} K; at "
                         f"{temperature_K:g} K use {', '.join(hot) or 'another marker'}")
    pressure, measured_GPa, coefficients = parts(chosen)
    if pressure < -2.0:
        raise InputError(f"{name}: {chosen.scale} gives {pressure:.1f} GPa, a negative pressure; check the volume, the "
                         "temperature or V0")
    if _status(pressure, chosen) == "refused":
        raise _refusal(f"{name} volume", pressure, chosen)
    others = [answer(m) for m in marker_scales(name) if m.scale != chosen.scale]
    between = _between(pressure, others)
    warnings += _range_warning(pressure, chosen)
    kelvin = chosen.reference_K if temperature_K is None else temperature_K
    low, high = chosen.temperature_K
    if chosen.thermal is not None and not low - 5.0 <= kelvin <= high:
        warnings.append(f"{kelvin:g} K is outside the {low:g}-{high:g} K of {chosen.scale}: extrapolated")
    if chosen.note:
        warnings.append(f"{chosen.scale}: {chosen.note}")
    V0 = chosen.V0_A3 if V0_A3 is None else V0_A3
    ratio = volume_ratio if volume_ratio is not None else float(volume_A3 or 0.0) / V0
    measured = {"volume_ratio": ratio, "volume_A3": ratio * V0, "V0_A3": V0, "V0_paper_A3": chosen.V0_A3,
                "temperature_K": kelvin}
    return Reading(
        "marker", name, chosen.scale, pressure, math.sqrt(measured_GPa**2 + coefficients**2 + between**2), measured_GPa,
        coefficients, between, chosen.source.citation, chosen.source.doi, chosen.source.table, chosen.range_GPa,
        chosen.range_source, chosen.refused_above_GPa, measured, tuple(others), tuple(warnings))


@dataclass(frozen=True)
class Conversion:
    """A literature pressure moved from one scale of a gauge to another through what was measured."""

    gauge: str
    material: str | None
    from_scale: str
    to_scale: str
    from_pressure_GPa: float
    pressure_GPa: float
    uncertainty_GPa: float
    through: dict[str, float]
    doi: str
    warnings: tuple[str, ...]


def convert(
    gauge: str, pressure_GPa: float, from_scale: str, to_scale: str, *, material: str | None = None,
    temperature_K: float | None = None,
) -> Conversion:
    """Pressure on `to_scale` of a measurement published as `pressure_GPa` on `from_scale`.

    The old scale is inverted to the line or the volume, which the new one reads: for optical gauges the ratio to the
    ambient line is kept, for markers the cell volume in A^3. Both ends obey the ranges of their scales.
    """
    if not math.isfinite(pressure_GPa) or pressure_GPa < 0.0:
        raise InputError(f"pressure {pressure_GPa!r} GPa: give 0 GPa or more")
    if gauge == "marker":
        if material is None:
            raise InputError("converting a marker pressure needs --material, like --material Re")
        old = marker_scale(material, from_scale)
        if pressure_GPa > old.refused_above_GPa:
            raise _refusal(f"{old.material} {pressure_GPa:g} GPa", pressure_GPa, old)
        kelvin = old.reference_K if temperature_K is None else temperature_K
        volume = old.volume_A3(pressure_GPa, kelvin)
        new = read_marker(material, volume_A3=volume, scale=to_scale, temperature_K=temperature_K)
        warnings = [*_range_warning(pressure_GPa, old), *new.warnings]
        return Conversion(gauge, new.material, old.scale, new.scale, pressure_GPa, new.pressure_GPa,
                          math.hypot(new.measurement_GPa, new.coefficients_GPa), {"volume_A3": volume}, new.doi,
                          tuple(warnings))
    before = optical_scale(gauge, from_scale)
    if pressure_GPa > before.refused_above_GPa:
        raise _refusal(f"{gauge} {pressure_GPa:g} GPa", pressure_GPa, before)
    line = before.value(pressure_GPa)
    after = optical_scale(gauge, to_scale)
    # Scales in the ratio v/v0 share the measured ratio; a scale in the frequency itself needs the frequency.
    moved = line if "polynomial" in (before.form, after.form) else line * after.reference / before.reference
    reading = read_optical(gauge, moved, scale=to_scale)
    key = "wavelength_nm" if UNITS[gauge] == "nm" else "edge_cm1"
    return Conversion(gauge, None, before.scale, after.scale, pressure_GPa, reading.pressure_GPa,
                      math.hypot(reading.measurement_GPa, reading.coefficients_GPa),
                      {key: line, "ratio": line / before.reference}, reading.doi,
                      tuple([*_range_warning(pressure_GPa, before), *reading.warnings]))


@dataclass(frozen=True)
class CellAtPressure:
    """The conventional cell of a marker at a pressure, on one scale."""

    scale: str
    volume_ratio: float
    volume_A3: float
    lattice_A: tuple[float, ...]
    status: str
    doi: str


@dataclass(frozen=True)
class CellsAtPressure:
    """The cell of a marker at one pressure and temperature, on the chosen scale (first) and the others."""

    material: str
    pressure_GPa: float
    temperature_K: float
    cells: tuple[CellAtPressure, ...]

    def as_dict(self) -> dict[str, Any]:
        return {**vars(self.cells[0]), "material": self.material, "pressure_GPa": self.pressure_GPa,
                "temperature_K": self.temperature_K, "other_scales": [vars(c) for c in self.cells[1:]]}


def cell_at_pressure(
    material: str, pressure_GPa: float, *, scale: str | None = None, temperature_K: float | None = None,
) -> CellsAtPressure:
    """Volume and lattice parameters of a marker at a pressure in GPa, on the chosen scale and on the others.

    Scales that do not reach the pressure, or have no thermal pressure for the temperature, are left out; the chosen
    one raises InputError instead.
    """
    chosen = marker_scale(material, scale)
    kelvin = chosen.reference_K if temperature_K is None else temperature_K

    def solve(m: Marker) -> CellAtPressure:
        if m.thermal is None and abs(kelvin - m.reference_K) > 15.0:
            raise InputError(f"{m.material} {m.scale} has no thermal pressure and is for {m.reference_K:g} K")
        status = _status(pressure_GPa, m)
        if status == "refused":
            raise _refusal(f"{m.material} at {pressure_GPa:g} GPa", pressure_GPa, m)
        volume = m.volume_A3(pressure_GPa, kelvin)
        return CellAtPressure(m.scale, volume / m.V0_A3, volume, m.crystal.lattice_A(volume), status, m.source.doi)

    cells = [solve(chosen)]
    for m in marker_scales(chosen.material):
        if m.scale != chosen.scale:
            try:
                cells.append(solve(m))
            except InputError:
                continue
    return CellsAtPressure(chosen.material, pressure_GPa, kelvin, tuple(cells))


def catalogue() -> list[dict[str, Any]]:
    """Every scale of every gauge: gauge (or marker material), scale, ranges in GPa, citation and DOI."""
    entries: list[tuple[str, OpticalScale | Marker]] = [(kind, s) for (kind, _), s in SCALES.items()]
    entries += [(name, m) for (name, _), m in MARKERS.items()]
    return [{"gauge": kind, "scale": s.scale, "validity_range_GPa": list(s.range_GPa), "range_source": s.range_source,
             "refused_above_GPa": s.refused_above_GPa, "citation": s.source.citation, "doi": s.source.doi,
             "table": s.source.table} for kind, s in sorted(entries, key=lambda e: (e[0], e[1].scale))]
