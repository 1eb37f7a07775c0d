"""Writing files so that nothing half-written ever carries a final name, reading them back, and hashing them."""

from __future__ import annotations

import csv
import glob
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from megabar.errors import InputError


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; it is renamed to `path` when the block ends, and removed if it raises.

    What a killed process left half-written under such a name is removed too, by the next that writes the same file.
    """
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    # The suffix is kept, since matplotlib and ASE choose their format by it.
    suffix = "".join(final.suffixes[-2:])
    temporary = final.with_name(f".{final.stem}.{os.getpid()}{suffix}")
    for left in final.parent.glob(f".{glob.escape(final.stem)}.*{glob.escape(suffix)}"):
        pid = left.name.removeprefix(f".{final.stem}.").removesuffix(suffix)
        if pid.isdecimal() and not _runs(int(pid)):
            left.unlink(missing_ok=True)
    try:
        yield temporary
        os.replace(temporary, final)
    finally:
        temporary.unlink(missing_ok=True)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):  # somebody else's, or no number of ours
        pass
    return True


def write_text(path: str | Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def plain(value: Any) -> Any:
    """`value` with NumPy scalars and arrays, paths and tuples turned into what JSON and YAML know."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(v) for v in value]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Path):
        return str(value)
    return value


def write_json(path: str | Path, value: Any) -> None:
    write_text(path, json.dumps(plain(value), indent=1) + "\n")


def write_yaml(path: str | Path, value: Any) -> None:
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as handle:
        yaml.dump(plain(value), handle)


def read_yaml(path: str | Path) -> Any:
    """Content of a YAML file by the safe loader; InputError names the line when it cannot be read."""
    source = Path(path)
    try:
        text = source.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{source}: cannot be read as text ({error}); give the path of a YAML file") from None
    try:
        return YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError) as error:
        first = " ".join(str(error).split())[:200]
        raise InputError(f"{source}: not valid YAML ({first}); mend that line") from None


def write_csv(path: str | Path, columns: Mapping[str, Sequence[Any]]) -> None:
    """A table beside a figure: header row of names with units, one row per entry; columns of equal length."""
    lengths = {len(v) for v in columns.values()}
    if len(lengths) > 1:
        raise ValueError(f"columns of different lengths: { {k: len(v) for k, v in columns.items()} }")
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(columns.keys())
        writer.writerows(zip(*(plain(list(v)) for v in columns.values()), strict=True))


def read_csv(path: str | Path) -> dict[str, np.ndarray]:
    """Columns (t,) of numbers of a table that `write_csv` wrote; NaN where a field is empty."""
    with Path(path).open(encoding="utf-8", newline="") as handle:
        rows = list(csv.reader(handle))
    return {name: np.array([float(row[k]) if row[k] else np.nan for row in rows[1:]]) for k, name in enumerate(rows[0])}


def content_hash(value: Any, length: int = 16) -> str:
    """Hex SHA-256 of `value` as canonical JSON: the same content gives the same hash on every machine."""
    text = json.dumps(plain(value), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def file_hash(path: str | Path, length: int = 16) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:length]
