"""Points for an equation of state: from a table of volumes, or from a crystal relaxed over pressures."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from ase.formula import Formula

from megabar.campaign.files import read_yaml
from megabar.campaign.tasks import Store
from megabar.errors import InputError, UnitMissing
from megabar.thermodynamics.engines import EnergySource
from megabar.thermodynamics.eos import EOSData, electrons_of
from megabar.thermodynamics.relax import Relaxed, Symmetry
from megabar.thermodynamics.series import relaxed_series

# CODATA 2018. Molar volumes are turned into A^3 per formula unit.
_COLUMNS: dict[str, tuple[str, float]] = {
    "volume_A3": ("volume", 1.0), "V_A3": ("volume", 1.0), "volume_cm3_per_mol": ("volume", 1.0 / 0.602214076),
    "volume_bohr3": ("volume", 0.529177210903**3),
    "energy_eV": ("energy", 1.0), "E_eV": ("energy", 1.0), "energy_Ry": ("energy", 13.605693122994),
    "energy_Ha": ("energy", 27.211386245988), "energy_kJ_per_mol": ("energy", 1.0 / 96.48533212331),
    "pressure_GPa": ("pressure", 1.0), "P_GPa": ("pressure", 1.0), "pressure_kbar": ("pressure", 0.1),
}
_BARE = {"v": "volume_A3", "volume": "volume_A3", "e": "energy_eV", "energy": "energy_eV", "p": "pressure_GPa",
         "pressure": "pressure_GPa"}


def read_points(path: str | Path, formula: str | None = None) -> EOSData:
    """Points from a .csv (or white space) table or a .yaml mapping whose names carry units.

    `volume_A3` with `energy_eV` or `pressure_GPa` or both (also V_A3, volume_cm3_per_mol, energy_Ry, energy_Ha,
    pressure_kbar). `formula` is what the volumes belong to. Raises InputError, UnitMissing for a name without a unit.
    """
    source = Path(path)
    if not source.is_file():
        raise InputError(f"{source}: no such file; give a table with volume_A3 and energy_eV or pressure_GPa")
    table = _yaml_columns(source) if source.suffix in (".yaml", ".yml") else _text_columns(source)
    found: dict[str, np.ndarray] = {}
    for name, values in table.items():
        if name.lower() in _BARE:
            raise UnitMissing(f"{source}: column {name!r} has no unit; write it like {_BARE[name.lower()]!r}")
        if name in _COLUMNS:
            kind, factor = _COLUMNS[name]
            found[kind] = values * factor
    if "volume" not in found or len(found) < 2:
        raise InputError(f"{source}: columns are {', '.join(table) or 'none'}; wanted are volume_A3 and energy_eV or "
                         "pressure_GPa")
    return EOSData(found["volume"], found.get("energy"), found.get("pressure"), formula or "unit",
                   None if formula is None else electrons_in(formula), source.name)


def electrons_in(formula: str) -> float:
    """All electrons of a formula unit such as "CaH4"; InputError when it is none."""
    try:
        counts = Formula(formula).count()
        return float(sum(atomic_numbers[s] * n for s, n in counts.items()))
    except (ValueError, KeyError):
        raise InputError(f"formula {formula!r} is not one; write it like CaH4") from None


def _text_columns(source: Path) -> dict[str, np.ndarray]:
    try:
        lines = [line for line in source.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError):
        raise InputError(f"{source}: cannot be read as text; give a .csv or .yaml table") from None
    comments = [line for line in lines if line.lstrip().startswith("#")]
    body = [line for line in lines if not line.lstrip().startswith("#")]
    if not body:
        raise InputError(f"{source}: holds no rows; give volumes and energies or pressures")
    if not _is_number(body[0].replace(",", " ").split()[0]):
        header, body = body[0], body[1:]
    elif comments:
        header = comments[-1].lstrip("# ")
    else:
        raise UnitMissing(f"{source}: no line of names; begin with one like 'volume_A3,energy_eV'")
    names = [n.strip() for n in next(csv.reader(io.StringIO(header)))] if "," in header else header.split()
    rows: list[list[float]] = []
    for number, line in enumerate(body, 2):
        cells = line.replace(",", " ").split()
        if len(cells) != len(names) or not all(map(_is_number, cells)):
            raise InputError(f"{source}: row {number} ({line.strip()[:40]!r}) does not hold {len(names)} numbers; "
                             "mend it")
        rows.append([float(c) for c in cells])
    if not rows:
        raise InputError(f"{source}: holds no rows; give volumes and energies or pressures")
    return dict(zip(names, np.array(rows).T, strict=True))


def _yaml_columns(source: Path) -> dict[str, np.ndarray]:
    loaded: Any = read_yaml(source)
    if not isinstance(loaded, dict):
        raise InputError(f"{source}: is not a mapping; write 'volume_A3: [...]' and 'energy_eV: [...]'")
    table = {}
    for name, values in loaded.items():
        try:
            array = np.array(values, dtype=float)
        except (TypeError, ValueError):
            continue
        if array.ndim == 1:
            table[str(name)] = array
        elif str(name) in _COLUMNS:
            raise InputError(f"{source}: {name} is not a list of numbers; write it like [20.1, 21.3]")
    return table


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def data_of(series: Sequence[Relaxed], source: str) -> EOSData:
    """Volumes, energies and pressures really reached of a relaxed series, per formula unit."""
    first = series[0]
    z = first.formula_units
    return EOSData(np.array([r.volume_A3 / z for r in series]), np.array([r.energy_eV / z for r in series]),
                   np.array([r.pressure_GPa for r in series]), first.formula, electrons_of(first.atoms) / z, source)


def compute_points(atoms: Atoms, source: EnergySource, pressures_GPa: Sequence[float], store: Store,
                   symmetry: Symmetry = "keep", report: Callable[[Relaxed], None] | None = None,
                   ) -> tuple[EOSData, list[Relaxed], tuple[str, ...]]:
    """Points of a crystal relaxed at each pressure, the crystals, and notes where it did not stay the same phase."""
    series = relaxed_series(atoms, source, pressures_GPa, store, symmetry, report=report)
    notes = []
    groups = [r.space_group for r in series]
    for before, after in zip(series, series[1:], strict=False):
        if before.space_group != after.space_group:
            notes.append(f"between {before.target_pressure_GPa:g} and {after.target_pressure_GPa:g} GPa the crystal "
                         f"changes from {before.space_group} to {after.space_group}: points on both sides are not one "
                         "phase, fit them apart")
    if len(set(groups)) == 1 and series[0].space_group_before != groups[0]:
        notes.append(f"the crystal given, {series[0].space_group_before}, became {groups[0]}: this is the curve of "
                     "that phase")
    grades = sorted({n for r in series for n in r.notes if n.startswith("extrapolation")})
    return data_of(series, source.label), series, tuple(notes + grades[-1:])
