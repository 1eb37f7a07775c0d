"""Settings of a series of reactions; kept apart so that reading them loads nothing heavy.

A series is blocks of runs. Any setting of `react` may be a list; a block stands for all combinations of its lists.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from megabar.campaign.settings import Settings, load_settings, validate
from megabar.errors import InputError
from megabar.reaction.settings import ReactSettings

MOST_RUNS = 10_000


class SeriesSettings(Settings):
    """The file behind `megabar react --series`."""

    name: str = Field("series", description="Name of the series; its default folder is called after it.")
    defaults: dict[str, Any] = Field(default_factory=dict, description="Settings that all blocks share.")
    blocks: list[dict[str, Any]] = Field(default_factory=list,
                                         description="Runs: a name, and settings of react, also lists.")

    @field_validator("name")
    @classmethod
    def _plain(cls, value: str) -> str:
        if not value or any(c in value for c in "/\\\0") or value.startswith("."):
            raise ValueError("cannot name a folder: write letters, digits and hyphens")
        return value


def read_series(path: str | Path, **line: Any) -> tuple[str, list[tuple[str, ReactSettings]]]:
    """Name of the series in the YAML file `path`, and (block, settings) of every run in it, in order, none twice.

    `line` are values of the command line, which win over the file where they are not None. Raises InputError with the
    file and the block.
    """
    series = load_settings(SeriesSettings, path)
    if not series.blocks:
        raise InputError(f"{path}: blocks: no runs; write one or more, like '- {{name: reaction, seed: [0, 1, 2]}}'")
    given = {key: value for key, value in line.items() if value is not None}
    runs: dict[ReactSettings, str] = {}
    for number, block in enumerate(series.blocks):
        name = str(block.get("name", f"block {number}"))
        values: Mapping[str, Any] = {**series.defaults, **block, **given}
        lists = {key: [_word(key, v) for v in (value if isinstance(value, list) else [value])]
                 for key, value in values.items() if key != "name"}
        for key in lists:
            if key not in ReactSettings.model_fields:
                near = difflib.get_close_matches(key, ReactSettings.model_fields, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(ReactSettings.model_fields)}"
                raise InputError(f"{path}, {name}: unknown key {key!r}; {hint}")
        empty = [key for key, value in lists.items() if not value]
        if empty:
            raise InputError(f"{path}, {name}: {empty[0]} is an empty list; give one value or more")
        for combination in product(*lists.values()):
            chosen = dict(zip(lists, combination, strict=True))
            try:
                settings = validate(ReactSettings, chosen, f"{path}, {name}")
            except InputError as error:
                text = str(error)
                raise InputError(text if text.startswith(str(path)) else f"{path}, {name}: {text}") from None
            runs.setdefault(settings, name)
            if len(runs) > MOST_RUNS:
                raise InputError(f"{path}: more than {MOST_RUNS} runs; shorten its lists")
    return series.name, [(name, settings) for settings, name in runs.items()]


def _word(key: str, value: Any) -> Any:
    """A number that YAML made of what is text here, like the face 110, as text again."""
    field = ReactSettings.model_fields.get(key)
    wants_text = field is not None and field.annotation in (str, str | None)
    return str(value) if wants_text and isinstance(value, (int, float)) and not isinstance(value, bool) else value
