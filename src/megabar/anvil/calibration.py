"""Gauges that are only as good as the points they were calibrated on: the H2 vibron and the load of the cell.

No closed formula of the H2 vibron as a pressure gauge was found with a citation, so none is built in: the points of a
paper are given as a table and interpolated, never extrapolated. A load is extrapolated, since that is what it is used
for, and the answer then carries the disagreement between a straight line and a power law.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.interpolate import PchipInterpolator

from megabar.anvil.columns import read_two_columns
from megabar.errors import InputError


@dataclass(frozen=True)
class CalibratedReading:
    """A pressure read off a table of calibration points."""

    gauge: str
    value: float
    pressure_GPa: float
    uncertainty_GPa: float
    validity_range_GPa: tuple[float, float]
    extrapolated: bool
    alternatives_GPa: dict[str, float]
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        return {**vars(self), "validity_range_GPa": list(self.validity_range_GPa), "warnings": list(self.warnings)}


def read_vibron(shift_cm1: float, calibration: str | Path, sigma_cm1: float = 0.0) -> CalibratedReading:
    """Pressure from an H2 vibron in cm^-1 by monotone interpolation of cited points (columns shift_cm1, pressure_GPa).

    Raises InputError outside the points, or where the points are not one monotone branch: the Raman vibron rises to
    about 38 GPa and falls beyond, so one frequency belongs to two pressures.
    """
    table = read_two_columns(calibration, "vibron calibration", least=4)
    pressures = table.y
    if not (np.all(np.diff(pressures) > 0.0) or np.all(np.diff(pressures) < 0.0)):
        raise InputError(f"{calibration}: pressure does not rise or fall throughout with the vibron; give one branch "
                         "(the Raman vibron turns over near 38 GPa)")
    if not np.isfinite(shift_cm1) or not table.x[0] <= shift_cm1 <= table.x[-1]:
        raise InputError(f"vibron {shift_cm1:g} cm-1 is outside the calibration, {table.x[0]:g} to {table.x[-1]:g} "
                         "cm-1; a vibron is not extrapolated")
    curve = PchipInterpolator(table.x, pressures)
    slope = abs(float(curve(shift_cm1, 1)))
    # Leave-one-out: how far the curve moves when the nearest point is taken away tells what interpolation is worth.
    nearest = int(np.argmin(np.abs(table.x - shift_cm1)))
    kept = np.arange(len(table.x)) != nearest
    error = 0.0
    if table.x[kept][0] <= shift_cm1 <= table.x[kept][-1] and kept.sum() >= 3:
        error = abs(float(PchipInterpolator(table.x[kept], pressures[kept])(shift_cm1)) - float(curve(shift_cm1)))
    return CalibratedReading(
        "vibron", shift_cm1, float(curve(shift_cm1)), float(np.hypot(error, slope * sigma_cm1)),
        (float(pressures.min()), float(pressures.max())), False, {}, ())


def load_line(load: np.ndarray, pressure_GPa: np.ndarray, wanted: float) -> tuple[float, float, float]:
    """Straight line through (load, pressure) at `wanted`: pressure, its prediction error, and a power law's answer."""
    x, y = np.asarray(load, dtype=float), np.asarray(pressure_GPa, dtype=float)
    n = len(x)
    slope, offset = np.polyfit(x, y, 1)
    residual = y - (slope * x + offset)
    scatter = float(np.sum(residual**2)) / max(n - 2, 1)
    spread = float(np.sum((x - x.mean()) ** 2))
    error = float(np.sqrt(scatter * (1.0 + 1.0 / n + (wanted - x.mean()) ** 2 / spread)))
    positive = (x > 0.0) & (y > 0.0)
    power = float("nan")
    if positive.sum() >= 3 and wanted > 0.0:
        exponent, prefactor = np.polyfit(np.log(x[positive]), np.log(y[positive]), 1)
        power = float(np.exp(prefactor) * wanted**exponent)
    return float(slope * wanted + offset), error, power


def read_load(load: float, calibration: str | Path) -> CalibratedReading:
    """Pressure from the load (force, turns of a screw, membrane bar: any unit) on a straight line through known points.

    The calibration has columns load and pressure_GPa. Beyond the points the uncertainty is the larger of the line's
    prediction error and its distance to a power law through the same points; beyond 1.5 times the highest load it
    refuses.
    """
    table = read_two_columns(calibration, "load calibration", least=3)
    low, high = float(table.x[0]), float(table.x[-1])
    if not np.isfinite(load) or load <= 0.0:
        raise InputError(f"load {load!r}: give a positive number in the unit of the calibration")
    if load > 1.5 * high:
        raise InputError(f"load {load:g} is beyond 1.5 times the highest calibrated load, {high:g}: a straight line "
                         "says nothing there; measure another point")
    pressure, error, power = load_line(table.x, table.y, load)
    outside = not low <= load <= high
    warnings: tuple[str, ...] = ()
    if outside:
        if np.isfinite(power):
            error = max(error, abs(power - pressure))
        warnings = (f"load {load:g} is outside the calibrated {low:g}-{high:g}: a straight line is assumed, and anvils "
                    "that cup or a gasket that thins need not follow it",)
    return CalibratedReading(
        "load", load, pressure, error, (float(table.y.min()), float(table.y.max())), outside,
        {"linear": pressure, "power_law": power}, warnings)
