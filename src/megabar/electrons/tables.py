"""Numeric tables of the laboratory: CSV or white space, an optional header, comments."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from megabar.errors import InputError


def read_columns(path: str | Path, minimum: int, what: str) -> tuple[np.ndarray, str]:
    """Rows of numbers, shape (n, columns) with `minimum` columns or more, and the text before and between them.

    Raises InputError naming the file, and the line when one is to blame; `what` says what was expected.
    """
    source = Path(path)
    try:
        text = source.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise InputError(f"{source}: cannot be read as text; give a table with {what}") from None
    header: list[str] = []
    rows: list[list[float]] = []
    for number, line in enumerate(text.splitlines(), 1):
        body = line.strip()
        if not body or body[0] in "#!%":
            header.append(body)
            continue
        try:
            values = [float(cell) for cell in re.split(r"[\s,;]+", body) if cell]
        except ValueError:
            if rows:
                raise InputError(f"{source}: line {number} is not numbers ({body[:40]!r}); mend it") from None
            header.append(body)
            continue
        if len(values) < minimum or (rows and len(values) != len(rows[0])) or not np.all(np.isfinite(values)):
            raise InputError(f"{source}: line {number} does not hold {what} as finite numbers; mend it")
        rows.append(values)
    if not rows:
        raise InputError(f"{source}: holds no rows of numbers; give a table with {what}")
    return np.array(rows), "\n".join(header)
