"""What an engine is: a module with `available()` and `compute(atoms, level, folder) -> Label`."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

import numpy as np
from ase import Atoms

from megabar.firstprinciples.levels import Level


@dataclass(frozen=True)
class Label:
    """Free energy in eV, forces (n, 3) in eV/A, tension-positive stress (3, 3) in eV/A^3 with the Pulay term."""

    energy_eV: float
    forces_eV_per_A: np.ndarray
    stress_eV_per_A3: np.ndarray
    iterations: int


class Engine(Protocol):
    def available(self) -> str | None: ...

    def compute(self, atoms: Atoms, level: Level, folder: Path) -> Label: ...


def engine(name: str) -> Engine:
    """The engine module `name` ("gpaw" or "qe"), or "module:" with the full name of a module elsewhere."""
    path = name.removeprefix("module:") if name.startswith("module:") else f"megabar.firstprinciples.{name}"
    return cast(Engine, importlib.import_module(path))
