"""Versions of a shipped potential: the newest under its name, every older one as NAME@N, kept for ever.

A library folder holds `NAME/` with nep.txt, card.yaml and active_set.txt of the newest version, and the same files of
version N in `NAME/versions/N/`. A result that names the version can thus be repeated after a better one has come.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from megabar.campaign.files import read_yaml, write_yaml
from megabar.errors import InputError, PotentialUnknown

FOLDER = "versions"
FILES = ("nep.txt", "card.yaml", "active_set.txt")


def split_name(text: str) -> tuple[str, int | None]:
    """"Ca-H@1" as ("Ca-H", 1); None for the version where there is none. PotentialUnknown for anything else."""
    name, at, number = text.partition("@")
    if not at:
        return text, None
    if not re.fullmatch(r"[1-9]\d*", number):
        raise PotentialUnknown(f"potential {text!r}: {number!r} is no version; write {name}@1, or {name} for the "
                               "newest")
    return name, int(number)


def version_of(folder: Path) -> int:
    """The version on the card in `folder`; 1 where it says none. PotentialUnknown for something that is no number."""
    path = folder / "card.yaml"
    card = read_yaml(path) if path.is_file() else {}
    found = card.get("version", 1) if isinstance(card, dict) else 1
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise PotentialUnknown(f"{path}: version {found!r} is not a whole number from 1; mend the card")
    return found


def versions(home: Path) -> dict[int, Path]:
    """Folder of every version of the potential that lives in `home`, oldest first."""
    found = {int(path.parent.name): path.parent for path in (home / FOLDER).glob("*/nep.txt")
             if path.parent.name.isdigit()}
    if (home / "nep.txt").is_file():
        found[version_of(home)] = home
    return dict(sorted(found.items()))


def folder_of(home: Path, version: int | None) -> Path:
    """The folder of that version (the newest without one); PotentialUnknown lists those there are."""
    if version is None:
        return home
    known = versions(home)
    if version not in known:
        raise PotentialUnknown(f"potential {home.name}@{version}: no such version; there are "
                               f"{', '.join(f'{home.name}@{n}' for n in known)}")
    return known[version]


def publish(trained: Path, library: Path, name: str) -> int:
    """Make the potential in the folder `trained` the newest version of `name` in `library`; returns its number.

    The one that was newest moves to `versions/`. Publishing the same nep.txt again changes nothing. Raises InputError
    when a file is missing or the active set is another potential's, before anything has moved.
    """
    from megabar.potential.library import load

    for file in FILES:
        if not (trained / file).is_file():
            raise InputError(f"{trained}: has no {file}; publish a folder that 'megabar train' has finished")
    load(trained).calculator()  # refuses a damaged file and a foreign active set
    home = library / name
    number = 1
    if (home / "nep.txt").is_file():
        current = version_of(home)
        if (home / "nep.txt").read_bytes() == (trained / "nep.txt").read_bytes():
            return current
        number = max(versions(home)) + 1
        shelf = home / FOLDER / str(current)
        _copy(home, shelf)
    card: dict[str, Any] = {**read_yaml(trained / "card.yaml"), "name": name, "version": number}
    staging = library / f".{name}.new"
    shutil.rmtree(staging, ignore_errors=True)
    _copy(trained, staging)
    write_yaml(staging / "card.yaml", card)
    home.mkdir(parents=True, exist_ok=True)
    # The active set knows its nep.txt, so a kill between these renames is refused when loaded, never run.
    for file in FILES:
        (staging / file).replace(home / file)
    shutil.rmtree(staging, ignore_errors=True)
    return number


def _copy(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for file in FILES:
        if (source / file).is_file():
            shutil.copyfile(source / file, target / file)
