"""What a verb prints: JSON for machines, tables for people; standard error for everything else."""

from __future__ import annotations

import json as json_module
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from megabar.campaign.files import plain

stderr = Console(stderr=True, highlight=False)
"""Progress, warnings and live lines go here, so that standard output stays clean for --json."""


def emit(result: Mapping[str, Any], as_json: bool, text: str = "") -> None:
    """Print `result` as JSON, or `text` for people (JSON when there is no text). NaN becomes null: JSON has none."""
    if as_json or not text:
        print(json_module.dumps(_without_nan(plain(result)), indent=1, allow_nan=False))
    else:
        print(text)


def _cell(value: Any) -> str:
    return "-" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_nan(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_without_nan(v) for v in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str | None = None) -> str:
    """A table as text; numbers to the right, at most the width of the terminal."""
    grid = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
    for i, name in enumerate(columns):
        numeric = all(isinstance(row[i], (int, float)) or row[i] is None for row in rows)
        grid.add_column(name, justify="right" if numeric else "left")
    for row in rows:
        grid.add_row(*(_cell(value) for value in row))
    console = Console(highlight=False)
    with console.capture() as capture:
        console.print(grid)
    return capture.get().rstrip()
