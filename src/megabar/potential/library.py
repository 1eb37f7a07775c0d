"""Finding potentials: the shipped ones by name, users' own by folder."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from megabar.campaign.files import read_yaml
from megabar.errors import InputError, PotentialUnknown
from megabar.potential.calculator import NEP, Precision
from megabar.potential.domain import Domain
from megabar.potential.nep import NEPModel
from megabar.potential.uncertainty import FILE as ACTIVE_SET
from megabar.potential.uncertainty import ActiveSet
from megabar.potential.versions import folder_of, split_name

LIBRARY = Path(__file__).resolve().parent / "library"
"""Folder of the shipped potentials, one folder each."""


@dataclass(frozen=True, eq=False)
class Potential:
    """A potential as it lies in its folder: `nep.txt`, and `card.yaml` where it has one."""

    name: str
    path: Path
    model: NEPModel
    card: Mapping[str, Any]

    @property
    def elements(self) -> tuple[str, ...]:
        return self.model.elements

    @property
    def nep_path(self) -> Path:
        """The file that LAMMPS reads."""
        return self.path / "nep.txt"

    @property
    def domain(self) -> Domain:
        """Pressures, temperatures and compositions it was trained on, as its card states them."""
        return Domain.from_card(self.card)

    @property
    def has_grade(self) -> bool:
        """Whether an active set lies beside the nep.txt."""
        return (self.path / ACTIVE_SET).is_file()

    def calculator(self, *, precision: Precision = "double", backend: str = "kernel") -> NEP:
        """An ASE calculator, with the extrapolation grade where the folder has an active set."""
        return NEP(self.model, precision=precision, backend=backend,
                   active_set=ActiveSet.load(self.path, self.model))

    def require_elements(self, symbols: Sequence[str]) -> None:
        """Raise PotentialUnknown, naming the potentials that would do, when an element is missing."""
        missing = [symbol for symbol in dict.fromkeys(symbols) if symbol not in self.elements]
        if not missing:
            return
        wanted = set(symbols)
        # A damaged neighbour in the library must not hide what is wrong here.
        others = [name for name in available() if name != self.name and wanted <= set(_elements_of(LIBRARY / name))]
        remedy = f"use {' or '.join(others)}" if others else "no shipped potential has them all, so train one"
        held = " ".join(self.elements)
        raise PotentialUnknown(f"potential {self.name} ({held}) lacks {', '.join(missing)}: {remedy}")


def available() -> list[str]:
    """Names of the shipped potentials, sorted."""
    return sorted(folder.parent.name for folder in LIBRARY.glob("*/nep.txt"))


def load(name_or_folder: str | Path) -> Potential:
    """The shipped potential of that name, or the one in that folder (or whose `nep.txt` is named directly).

    "NAME" is the newest version, "NAME@1" an old one; the same holds for a folder with a `versions` folder in it.
    Raises PotentialUnknown when there is none, or its files are damaged; the message suggests near names.
    """
    text = str(name_or_folder)
    names = available()
    folder = Path(text).expanduser()
    version = None
    if not folder.exists():  # a folder may have an @ in its name
        text, version = split_name(text)
        folder = Path(text).expanduser()
    if text in names:
        return _open(folder_of(LIBRARY / text, version), text, version)
    if folder.is_file() and folder.name == "nep.txt":
        folder = folder.parent
    if folder.is_dir():
        if not (folder / "nep.txt").is_file():
            raise PotentialUnknown(f"potential folder {text}: holds no nep.txt; give a folder that does")
        return _open(folder_of(folder.resolve(), version), folder.resolve().name, version)
    near = difflib.get_close_matches(text.lower(), [name.lower() for name in names], n=1, cutoff=0.5)
    hint = f"shipped are {', '.join(names)}; or give a folder" if names else "give a folder that holds a nep.txt"
    if near:
        hint = "did you mean " + next(name for name in names if name.lower() == near[0]) + "?"
    raise PotentialUnknown(f"potential {text!r} is neither shipped nor a folder: {hint}")


def _open(folder: Path, name: str, version: int | None) -> Potential:
    model = NEPModel.read(folder / "nep.txt")
    path = folder / "card.yaml"
    card: Any = {}
    if path.exists():
        try:
            card = read_yaml(path)
        except InputError as error:
            raise PotentialUnknown(str(error)) from None
    if not isinstance(card, dict):
        raise PotentialUnknown(f"{path}: is not a mapping; write 'key: value' lines or remove it")
    return Potential(name if version is None else f"{name}@{version}", folder, model, MappingProxyType(card))


def _elements_of(folder: Path) -> tuple[str, ...]:
    with (folder / "nep.txt").open(encoding="utf-8", errors="replace") as handle:
        return tuple(handle.readline().split()[2:])
