"""alpha^2F files of Quantum ESPRESSO, EPW, ABINIT and Elk, and plain columns.

| program | file | frequencies | columns |
|---|---|---|---|
| QE matdyn.x | a2F.dosN | Ry ("frequencies in Rydberg") | omega, total, one per mode; footer "lambda = " |
| QE lambda.x | alpha2F.dat | THz ("# E(THz) ...") | omega, one per electronic broadening |
| EPW | prefix.a2f | meV ("w[meV] a2f and integrated ...") | omega, alpha2F and cumulative lambda per smearing |
| ABINIT | *_A2F | Ha ("ABINIT package : a2f file") | omega, alpha2F |
| any other | | as its header says, or as the caller says | omega, alpha2F, ... |
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from megabar.errors import InputError, UnitMissing
from megabar.superconductivity.spectrum import KELVIN_PER, Alpha2F, checked

MAXIMUM_BYTES = 50_000_000
_UNIT_WORDS = re.compile(
    r"(?P<meV>mev)|(?P<THz>thz)|(?P<cm>cm\^?\*{0,2}[-⁻]?\s?[1¹]|1/cm|cm⁻¹)|(?P<Ry>rydberg|\bry\b)"
    r"|(?P<Ha>hartree|\ba\.u\.|\bha\b)|(?P<K>\bkelvin\b|[(\[_]k[)\],\s])", re.IGNORECASE)
_SPLIT = re.compile(r"[\s,;]+")


@dataclass(frozen=True)
class _Table:
    header: str
    rows: np.ndarray
    footer: str


def parse_unit(text: str) -> str:
    """The key of `KELVIN_PER` that `text` spells in any case; InputError otherwise."""
    known = {u.lower(): u for u in KELVIN_PER} | {"cm^-1": "cm-1", "1/cm": "cm-1", "rydberg": "Ry", "hartree": "Ha"}
    unit = known.get(text.strip().lower())
    if unit is None:
        raise InputError(f"unit {text!r} is not one of {', '.join(KELVIN_PER)}: give the one of the frequency column")
    return unit


def _numbers(line: str) -> list[float] | None:
    """The numbers of a line; None when it holds anything else. Fortran's D exponents are read too."""
    parts = [p for p in _SPLIT.split(line.strip()) if p]
    try:
        return [float(re.sub(r"(?<=[\d.])[dD](?=[-+\d])", "e", p)) for p in parts] if parts else None
    except ValueError:
        return None


def _read_table(path: Path) -> _Table:
    if not path.is_file():
        raise InputError(f"{path}: no such file; give the path of an alpha2F table")
    if path.stat().st_size > MAXIMUM_BYTES:
        raise InputError(f"{path}: over {MAXIMUM_BYTES // 1_000_000} MB, which no alpha2F table is; check the path")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise InputError(f"{path}: cannot be read as text; give an alpha2F table with two or more columns") from None
    header: list[str] = []
    footer: list[str] = []
    rows: list[list[float]] = []
    first = 0
    for number, line in enumerate(lines, 1):
        body = line.strip()
        if not body:
            continue
        values = None if body[0] in "#!%@" else _numbers(body)
        if values is None:
            (footer if rows else header).append(body)
        elif footer and not all(f[0] in "#!%@" for f in footer):
            raise InputError(f"{path}: line {number} holds numbers again after {footer[0][:40]!r}; mend that line")
        elif rows and len(values) != len(rows[0]):
            raise InputError(f"{path}: line {number} has {len(values)} columns, line {first} {len(rows[0])}; mend it")
        else:
            first = first or number
            rows.append(values)
    if not rows:
        raise InputError(f"{path}: holds no rows of numbers; give an alpha2F table with two or more columns")
    if len(rows[0]) < 2:
        raise InputError(f"{path}: has one column; an alpha2F table has frequency and alpha2F in two or more")
    return _Table("\n".join(header), np.array(rows), "\n".join(footer))


def _layout(table: _Table) -> str:
    header = table.header.lower()
    if "a2f and integrated" in header:
        return "EPW"
    if "abinit" in header:
        return "ABINIT"
    if "eliashberg function a2f" in header:
        return "QE matdyn"
    if re.search(r"e\s*\(thz\)", header):
        return "QE lambda"
    return "columns"


def _unit(table: _Table, given: str | None, path: Path) -> str:
    """The unit given by the caller, checked against those that the file states; without it the first of them."""
    stated = [{"cm": "cm-1"}.get(str(m.lastgroup), str(m.lastgroup)) for m in _UNIT_WORDS.finditer(table.header)]
    if given is None:
        if not stated:
            raise UnitMissing(f"{path}: states no unit of frequency; add --unit {'|'.join(KELVIN_PER)}")
        return stated[0]
    unit = parse_unit(given)
    if stated and unit not in stated:
        raise InputError(f"{path}: its header states {stated[0]}, not {unit}; use --unit {stated[0]} or mend it")
    return unit


def _stated_lambda(footer: str, column: int) -> float | None:
    """lambda as QE's matdyn.x ("lambda = ") and EPW ("Integrated el-ph coupling", next line) write it."""
    match = re.search(r"lambda\s*=\s*([-+.\deEdD]+)", footer)
    if match is not None:
        values = _numbers(match.group(1))
        return values[0] if values and column == 2 else None
    match = re.search(r"Integrated el-ph coupling\s*\n\s*#\s*(.+)", footer)
    values = _numbers(match.group(1)) if match is not None else None
    return values[column - 2] if values and len(values) > column - 2 else None


def read_alpha2f(path: str | Path, unit: str | None = None, column: int = 2) -> Alpha2F:
    """alpha^2F from a file of any of the layouts above; the file is only read.

    `unit` is that of the frequency column (`KELVIN_PER`); without it the header must state one, and when both speak
    they must agree. `column` counts from 1. Raises InputError or UnitMissing, each naming the file and the remedy.
    """
    source = Path(path)
    table = _read_table(source)
    count = table.rows.shape[1]
    if not 2 <= column <= count:
        raise InputError(f"{source}: has {count} columns; --column must lie between 2 and {count}")
    layout = _layout(table)
    curve = checked(table.rows[:, 0], table.rows[:, column - 1], _unit(table, unit, source), str(source), layout,
                    column, _stated_lambda(table.footer, column))
    alternatives = count - 1 if layout == "QE lambda" else (count - 1) // 2 if layout == "EPW" else 1
    if alternatives < 2:
        return curve
    omega = np.maximum(table.rows[:, 0], 1e-12)
    spread = [float(2.0 * np.trapezoid(table.rows[:, c] / omega, omega)) for c in range(1, alternatives + 1)]
    note = (f"{alternatives} smearings in the file, lambda {min(spread):.3g}-{max(spread):.3g}; column {column} used, "
            "choose the converged one with --column")
    return replace(curve, warnings=(*curve.warnings, note))
