"""Known crystals by name, one file per family, each entry with its source."""

from __future__ import annotations

import difflib

from ase import Atoms

from megabar.crystals.prototypes import hydrogen, metal_hydrides, metals
from megabar.crystals.prototypes.prototype import Prototype
from megabar.errors import PhaseUnknown

_ALL: dict[str, Prototype] = {
    entry.name: entry for entry in (*metal_hydrides.PROTOTYPES, *metals.PROTOTYPES, *hydrogen.PROTOTYPES)
}


def names() -> list[str]:
    return sorted(_ALL)


def prototype(name: str) -> Prototype:
    """The prototype called `name`, like "MH4-I4/mmm"; PhaseUnknown lists near misses."""
    if name not in _ALL:
        near = difflib.get_close_matches(name, _ALL, n=3, cutoff=0.3)
        raise PhaseUnknown(f"phase {name!r} is unknown; did you mean {', '.join(near) or ', '.join(names())}?")
    return _ALL[name]


def build(name: str, metal: str = "Ca", pressure_GPa: float = 0.0) -> Atoms:
    """Crystal `name` of `metal` with cell and volume near `pressure_GPa`."""
    return prototype(name).build(metal, pressure_GPa)


__all__ = ["Prototype", "build", "names", "prototype"]
