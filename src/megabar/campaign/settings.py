"""Settings of a verb: a pydantic model read from YAML, with the command line on top, and its commented template."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from megabar.campaign.files import plain, read_yaml
from megabar.errors import InputError


class Settings(BaseModel):
    """Base of all settings: unknown keys are refused, values frozen; every field has a `Field(description=...)`."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


M = TypeVar("M", bound=BaseModel)


def load_settings(model: type[M], config: str | Path | None = None, **command_line: Any) -> M:
    """`model` from the YAML file `config`, overridden by every command-line value that is not None.

    Raises InputError in one line: file, key, reason, and for an unknown key the nearest known one.
    """
    values: dict[str, Any] = {}
    source = "the command line"
    if config is not None:
        source = str(config)
        loaded = read_yaml(config)
        if loaded is not None and not isinstance(loaded, dict):
            raise InputError(f"{source}: holds a {type(loaded).__name__}, not 'key: value' lines")
        values.update(loaded or {})
    values.update({k: v for k, v in command_line.items() if v is not None})
    return validate(model, values, source)


def validate(model: type[M], values: dict[str, Any], source: str) -> M:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            known = _known_keys(model)
            near = difflib.get_close_matches(str(first["loc"][-1]), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(sorted(known))}"
            raise InputError(f"{source}: unknown key {where!r}; {hint}") from None
        reason = first["msg"].removeprefix("Value error, ")
        raise InputError(f"{source}: {where + ': ' if where else ''}{reason} (got {first['input']!r:.80})") from None


def _known_keys(annotation: Any) -> set[str]:
    """Names of all fields in a model and in the models its fields hold (lists, unions and mappings looked into)."""
    fields = getattr(annotation, "model_fields", None)
    if fields is None:
        return set().union(*(_known_keys(part) for part in get_args(annotation)))
    return set(fields).union(*(_known_keys(field.annotation) for field in fields.values()))


def template(model: type[BaseModel], verb: str) -> str:
    """A commented YAML template of `model`: every field with its description, required ones first, the rest commented
    out with their defaults. Without the "#" before its name a line is valid YAML and means what it meant before."""
    lines = [f"# megabar {verb} --config FILE.yaml", "# values given on the command line win over this file", ""]
    for name, field in sorted(model.model_fields.items(), key=lambda item: not item[1].is_required()):
        if field.description:
            lines.append(f"# {field.description}")
        if field.is_required():
            lines.append(f"{name}:  # required")
        else:
            lines += [f"#{line}" for line in _yaml(name, field.get_default(call_default_factory=True))]
        lines.append("")
    return "\n".join(lines)


def _yaml(name: str, value: Any) -> list[str]:
    """YAML lines of a setting; settings inside it stand below, each under its description."""
    if not isinstance(value, BaseModel):
        # JSON is YAML, and it quotes what would be read as something else than text.
        return [f"{name}: {'' if value is None else json.dumps(plain(value), ensure_ascii=False)}".rstrip()]
    lines = [f"{name}:"]
    for key, field in type(value).model_fields.items():
        lines += [f"  # {field.description}"] if field.description else []
        lines += [f"  {line}" for line in _yaml(key, getattr(value, key))]
    return lines
