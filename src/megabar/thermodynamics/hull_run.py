"""Where the compounds of a hull come from: phases relaxed with a potential or engine, or a published table."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import atomic_numbers

from megabar.campaign.tasks import Store
from megabar.errors import InputError
from megabar.thermodynamics.curves import PhaseCurve, lowest
from megabar.thermodynamics.engines import EnergySource, choose
from megabar.thermodynamics.enthalpy import kind_of
from megabar.thermodynamics.hull import Compound, Hull, build_hull
from megabar.thermodynamics.inputs import temperature_K
from megabar.thermodynamics.library import Phase, Progress, check_phases, compositions_of, group_curves, phases_of
from megabar.thermodynamics.reactions import Formula, parse_formula
from megabar.thermodynamics.settings import HullSettings
from megabar.units import parse_pressures_GPa


def check_elements(elements: Sequence[str]) -> tuple[str, ...]:
    """Distinct element symbols, hydrogen last; InputError for others or fewer than two."""
    for element in elements:
        if element not in atomic_numbers or element == "X":
            raise InputError(f"hull: {element!r} is no element; write symbols, like 'hull Ca H'")
    found = sorted(set(elements), key=lambda e: (e == "H", list(elements).index(e)))
    if len(found) < 2:
        raise InputError("hull: fewer than two elements; write them like 'hull Ca H'")
    return tuple(found)


def plan_phases(settings: HullSettings) -> tuple[tuple[str, ...], EnergySource, list[float], list[tuple[Phase, ...]],
                                                 float | None]:
    """Elements, source, pressures, phases by composition and temperature (K, None: none); everything is checked."""
    elements = check_elements(settings.elements)
    pressures = parse_pressures_GPa(settings.pressure)
    kelvin = None if settings.temperature is None else temperature_K(settings.temperature)
    source = choose(settings.potential, settings.engine, settings.level, elements)
    groups = [phases_of(f, settings.phase, settings.library)
              for f in compositions_of(elements, settings.phase, settings.library)]
    pure = {g[0].formula.elements[0] for g in groups if len(g[0].formula.elements) == 1}
    for element in elements:
        if element not in pure:
            raise InputError(f"hull: no phase of {element} is known: give a cell of it with --phase FILE")
    check_phases(groups, source, pressures)
    return elements, source, pressures, groups, kelvin


def run_hull(settings: HullSettings, store: Store, progress: Progress | None = None,
             ) -> tuple[Hull, tuple[PhaseCurve, ...], EnergySource]:
    """Relax (or read) all phases, add vibrations when asked, and build the hull."""
    elements, source, pressures, groups, kelvin = plan_phases(settings)
    vibrations = settings.zero_point or kelvin is not None
    found = group_curves(groups, source, pressures, settings, store, (kelvin or 0.0) if vibrations else None, progress)
    compounds = [_compound(group, source, settings.error_meV, vibrations) for group in found]
    every = tuple(curve for group in found for curve in group)
    notes = [note for curve in every for note in curve.remarks]
    condition = f"harmonic G at {kelvin:g} K" if kelvin else "with zero point" if vibrations else "static"
    hull = build_hull(elements, compounds, np.array(sorted(set(pressures))), source.label, samples=settings.samples,
                      seed=settings.seed, condition=condition, notes=notes)
    return hull, every, source


def _compound(group: Sequence[PhaseCurve], source: EnergySource, error_meV: float | None, vibrations: bool) -> Compound:
    at = lowest(group, vibrational=vibrations)
    tables = [c.enthalpy_eV + (c.vibrational_eV if vibrations else 0.0) for c in group]
    values = np.array([np.nan if k < 0 else tables[k][i] for i, k in enumerate(at)])
    formula = group[0].formula
    error = (source.energy_error_eV_per_atom(kind_of(formula)) or 0.0) if error_meV is None else 1e-3 * error_meV
    return Compound(formula, values, tuple("" if k < 0 else group[k].labels[i] for i, k in enumerate(at)), error)


_ENERGY = {"formation_eV_per_atom": False, "enthalpy_eV_per_atom": False, "enthalpy_eV_per_formula": True}


TableRow = tuple[str, Formula, np.ndarray, float]
"""Phase, reduced formula, enthalpy per atom (n,), error in eV per atom."""


def read_table(path: str | Path, zero_point: bool = False) -> tuple[np.ndarray, list[TableRow]]:
    """Pressures (n,) and rows of a CSV table.

    Columns: formula; pressure_GPa; one of formation_eV_per_atom, enthalpy_eV_per_atom, enthalpy_eV_per_formula; and
    optionally phase, zero_point_eV_per_atom, error_meV_per_atom. InputError names the line that cannot be read.
    """
    source = Path(path)
    try:
        with source.open(newline="", encoding="utf-8") as handle:
            rows = list(csv.DictReader(line for line in handle if not line.lstrip().startswith("#")))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{source}: cannot be read ({error}); give a CSV table") from None
    header = list(rows[0]) if rows else []
    column = next((c for c in _ENERGY if c in header), None)
    if column is None or not {"formula", "pressure_GPa"} <= set(header):
        raise InputError(f"{source}: needs the columns formula, pressure_GPa and one of {', '.join(_ENERGY)}")
    points: dict[tuple[str, str], dict[float, float]] = {}
    formulas: dict[tuple[str, str], Formula] = {}
    errors: dict[tuple[str, str], float] = {}
    for number, row in enumerate(rows, 2):
        formula = parse_formula(str(row["formula"]))
        key = (formula.reduced.text, str(row.get("phase") or formula.reduced.text))
        value = _number(source, number, row, column) / (float(formula.atoms) if _ENERGY[column] else 1.0)
        if zero_point:
            value += _number(source, number, row, "zero_point_eV_per_atom")
        points.setdefault(key, {})[_number(source, number, row, "pressure_GPa")] = value
        formulas[key] = formula.reduced
        has_error = bool(row.get("error_meV_per_atom"))
        errors[key] = 1e-3 * _number(source, number, row, "error_meV_per_atom") if has_error else 0.0
    pressures = np.array(sorted({p for line in points.values() for p in line}))
    if column == "formation_eV_per_atom" and not zero_point:
        for element in sorted({e for f in formulas.values() for e in f.elements}):
            name = "H2" if element == "H" else element
            if not any(f.elements == (element,) for f in formulas.values()):
                points[name, name] = dict.fromkeys(pressures.tolist(), 0.0)
                formulas[name, name], errors[name, name] = parse_formula(name), 0.0
    return pressures, [(key[1], formulas[key], np.array([line.get(float(p), np.nan) for p in pressures]), errors[key])
                       for key, line in points.items()]


def _number(source: Path, line: int, row: Mapping[str, Any], column: str) -> float:
    try:
        value = float(row[column])
    except (KeyError, TypeError, ValueError):
        value = float("nan")
    if not np.isfinite(value):
        raise InputError(f"{source}: line {line}: {column} is {row.get(column)!r}; write a number")
    return value


def table_hull(settings: HullSettings) -> Hull:
    """The hull of a published table; `elements` may be left out (all of the table then)."""
    assert settings.table is not None
    pressures, rows = read_table(settings.table, settings.zero_point)
    found = sorted({e for _, f, _, _ in rows for e in f.elements})
    elements = check_elements(settings.elements or found)
    rows = [r for r in rows if set(r[1].elements) <= set(elements)]
    compounds = []
    for text in dict.fromkeys(r[1].text for r in rows):
        mine = [r for r in rows if r[1].text == text]
        table = np.array([np.where(np.isfinite(r[2]), r[2], np.inf) for r in mine])
        best = table.argmin(axis=0)
        values = table.min(axis=0)
        error = mine[0][3] if settings.error_meV is None else 1e-3 * settings.error_meV
        names = tuple(mine[k][0] if np.isfinite(values[i]) else "" for i, k in enumerate(best))
        compounds.append(Compound(mine[0][1], np.where(np.isfinite(values), values, np.nan), names, error))
    return build_hull(elements, compounds, pressures, Path(settings.table).name, samples=settings.samples,
                      seed=settings.seed, condition="with zero point" if settings.zero_point else "as published")
