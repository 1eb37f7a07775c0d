"""Reference enthalpies: a small committed table of crystals relaxed at the reference level."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from megabar.campaign.files import write_csv
from megabar.errors import InputError
from megabar.potential.library import LIBRARY

FILE = "reference_enthalpy.csv"


@dataclass(frozen=True)
class ReferencePoint:
    """Enthalpy (eV) and volume (A^3) per formula unit of a crystal relaxed at `pressure_GPa` and `level`."""

    formula: str
    phase: str
    pressure_GPa: float
    enthalpy_eV_per_formula: float
    volume_A3_per_formula: float
    level: str


def find(folder: Path, name: str) -> Path | None:
    """The table beside a potential in `folder`, or the one all versions of a shipped potential share; else None."""
    shared = LIBRARY / name.split("@")[0]
    return next((path for path in (folder / FILE, shared / FILE) if path.is_file()), None)


def read(path: Path) -> list[ReferencePoint]:
    """The points of a table; InputError names the line that is wrong, and two levels in one table."""
    points = []
    try:
        with path.open(encoding="utf-8", newline="") as handle:
            for number, row in enumerate(csv.DictReader(handle), start=2):
                try:
                    points.append(ReferencePoint(
                        row["formula"], row["phase"], float(row["pressure_GPa"]), float(row["enthalpy_eV_per_formula"]),
                        float(row["volume_A3_per_formula"]), row["level"]))
                except (KeyError, TypeError, ValueError) as error:
                    raise InputError(f"{path} line {number}: {type(error).__name__} {error}; write the columns "
                                     f"{', '.join(ReferencePoint.__dataclass_fields__)}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); give a table of reference enthalpies") from None
    levels = sorted({p.level for p in points})
    if len(levels) > 1:
        raise InputError(f"{path}: holds two levels ({', '.join(levels)}), which cannot be compared; keep one")
    return points


def write(path: Path, points: Sequence[ReferencePoint]) -> None:
    """Write a table, sorted by formula, phase and pressure; a point given twice stands as given last."""
    unique = {(p.formula, p.phase, round(p.pressure_GPa, 3)): p for p in points}
    rows = [unique[key] for key in sorted(unique)]
    write_csv(path, {name: [getattr(p, name) for p in rows] for name in ReferencePoint.__dataclass_fields__})
