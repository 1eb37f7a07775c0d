"""Reading what instruments write: two columns of numbers, and small tables with a header."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from megabar.errors import InputError

_COMMENT = "#!%;'\"/"
_LARGEST_BYTES = 200_000_000


@dataclass(frozen=True)
class TwoColumns:
    """x and y of equal length with x rising; `header` holds the comment and title lines that stood above them."""

    x: np.ndarray
    y: np.ndarray
    header: tuple[str, ...]


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise InputError(f"{path}: larger than 200 MB; is it a two-column text file?")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text ({error}); give a plain text file") from None


def _numbers(line: str) -> list[float] | None:
    parts = [p for p in re.split(r"[,;\s]+", line.strip()) if p]
    try:
        return [float(p) for p in parts]
    except ValueError:
        return None


def read_two_columns(path: str | Path, what: str, least: int = 8) -> TwoColumns:
    """Two columns (comma, semicolon, tab or blanks between), comment lines and one title line allowed above them.

    x has to rise or fall throughout; falling columns are turned round. Further columns are ignored. Raises InputError
    naming the line for NaN, infinities, text among the numbers, repeated or unsorted x, and too few points.
    """
    source = Path(path)
    header: list[str] = []
    rows: list[tuple[float, float]] = []
    lines: list[int] = []
    for number, line in enumerate(_text(source).splitlines(), start=1):
        stripped = line.strip()
        if not stripped:
            continue
        if stripped[0] in _COMMENT:
            if not rows:
                header.append(stripped)
            continue
        values = _numbers(stripped)
        if values is None or len(values) < 2:
            if not rows and len(header) < 50:
                header.append(stripped)
                continue
            raise InputError(f"{source}: line {number} ({stripped[:40]!r}) is not two numbers; mend or remove it")
        if not np.all(np.isfinite(values[:2])):
            raise InputError(f"{source}: line {number} holds NaN or an infinity; remove that point of the {what}")
        rows.append((values[0], values[1]))
        lines.append(number)
    if len(rows) < least:
        raise InputError(f"{source}: {len(rows)} points; a {what} needs two columns of at least {least} rows")
    data = np.array(rows)
    x, y = data[:, 0], data[:, 1]
    steps = np.diff(x)
    if np.all(steps < 0.0):
        x, y = x[::-1].copy(), y[::-1].copy()
    elif not np.all(steps > 0.0):
        wrong = int(np.argmax(steps <= 0.0 if np.sum(steps > 0.0) >= np.sum(steps < 0.0) else steps >= 0.0)) + 1
        raise InputError(f"{source}: the first column is not sorted at line {lines[wrong]} ({x[wrong]:g} after "
                         f"{x[wrong - 1]:g}); sort the {what} by it, without repeats")
    return TwoColumns(x, y, tuple(header))


def read_table(path: str | Path, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> list[dict[str, str]]:
    """Rows of a CSV file with a header; raises InputError for a missing or unknown column, or no rows."""
    source = Path(path)
    text = "\n".join(line for line in _text(source).splitlines() if line.strip() and not line.startswith("#"))
    reader = csv.DictReader(text.splitlines())
    names = [name.strip() for name in reader.fieldnames or []]
    missing = [name for name in required if name not in names]
    if missing:
        raise InputError(f"{source}: no header with {', '.join(missing)}; the first line has to name the columns: "
                         f"{', '.join(required + optional)}")
    unknown = [name for name in names if name not in required + optional]
    if unknown:
        raise InputError(f"{source}: unknown column {unknown[0]!r}; columns: {', '.join(required + optional)}")
    reader.fieldnames = names
    rows = [{k: (v or "").strip() for k, v in row.items() if k is not None} for row in reader]
    if not rows:
        raise InputError(f"{source}: a header but no rows")
    return rows


def number(text: str, what: str) -> float:
    """A finite float from a table cell, or InputError."""
    try:
        value = float(text)
    except ValueError:
        raise InputError(f"{what}: {text!r} is not a number") from None
    if not np.isfinite(value):
        raise InputError(f"{what}: {text!r} is not finite")
    return value
