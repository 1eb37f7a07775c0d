"""Where energies come from: a potential by name or folder, or a first-principles engine at a level, as ASE calculators.

An `EnergySource` is plain data: it goes into the inputs of a task, and the task's process makes its calculator anew.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.formula import Formula

from megabar.campaign.files import file_hash
from megabar.crystals.files import write_frames
from megabar.errors import ExtraMissing, InputError
from megabar.firstprinciples.engine import Label, engine
from megabar.firstprinciples.label import label_task, labelled_frame
from megabar.firstprinciples.levels import LEVELS, Level, level
from megabar.potential import library
from megabar.units import EV_PER_A3_IN_GPA

DEFAULT_LEVEL = {"gpaw": "pbe-gpaw-1", "qe": "pbe-qe-1"}
_CITATIONS = {"gpaw": "GPAW: 10.1063/5.0182685", "qe": "Quantum ESPRESSO: 10.1088/1361-648X/aa8f79",
              "potential": "NEP: 10.1063/5.0106617"}
DOMAIN_MARGIN_GPA = 1.0
"""Pressures this far outside the domain on a potential's card are let through: fits reach a bit past their ends."""


@dataclass(frozen=True)
class EnergySource:
    """A potential (`kind` "potential", `name` as given by the user, `version` the hash of its nep.txt) or an engine
    (`kind` "gpaw" or "qe", `name` the id of its level, `version` empty)."""

    kind: str
    name: str
    version: str = ""

    @property
    def label(self) -> str:
        return f"potential {self.name}" if self.kind == "potential" else self.name

    @property
    def identity(self) -> dict[str, str]:
        """What goes into the hash of a task; `from_identity` turns it back."""
        return {"kind": self.kind, "name": self.name, "version": self.version}

    @property
    def citations(self) -> list[str]:
        return [_CITATIONS[self.kind]] if self.kind in _CITATIONS else []

    def calculator(self, folder: str | Path | None = None) -> Calculator:
        """A fresh ASE calculator: free energy as energy (eV), forces, stress tension-positive with the Pulay term.

        `folder` takes the log of a first-principles engine (a temporary one without).
        """
        if self.kind == "potential":
            return self._potential().calculator()
        return LevelCalculator(level(self.name), folder)

    def check(self, cells: Sequence[Atoms], pressures_GPa: Sequence[float] = ()) -> None:
        """Raise before anything runs: elements that are missing, cells that are no crystals, pressures outside the
        domain of the potential (InputError, PotentialUnknown, ExtraMissing)."""
        for atoms in cells:
            if not atoms.pbc.all() or abs(atoms.cell.volume) < 1e-3:
                raise InputError(f"{atoms.get_chemical_formula()}: not periodic in three directions; give a full cell")
        if self.kind == "potential":
            potential = self._potential()
            potential.require_elements(sorted({s for a in cells for s in a.get_chemical_symbols()}))
            domain = (potential.card.get("domain") or {}).get("pressure_GPa")
            if domain is None:
                return
            for pressure in pressures_GPa:
                if not domain[0] - DOMAIN_MARGIN_GPA <= pressure <= domain[1] + DOMAIN_MARGIN_GPA:
                    raise InputError(f"{pressure:g} GPa lies outside the domain of potential {self.name} "
                                     f"({domain[0]:g} to {domain[1]:g} GPa): stay inside, or use --engine gpaw")
            return
        reason = engine(self.kind).available()
        if reason is not None:
            raise ExtraMissing(reason)
        chosen = level(self.name)
        for atoms in cells:
            if chosen.pulay_GPa_A3:
                chosen.add_pulay(np.zeros((3, 3)), atoms)

    def energy_error_eV_per_atom(self, kind: str | None = None) -> float | None:
        """Held-out energy error (RMSE) of a potential from its card, for frames of `kind` (a formula such as "CaH4")
        where the card has it, else over all kinds; None for an engine, which is its own reference."""
        if self.kind != "potential":
            return None
        errors: Mapping[str, Any] = self._potential().card.get("errors_validation") or {}
        if not errors:
            return None
        chosen = [v for name, v in errors.items() if kind is not None and name.split()[0] == kind] or \
            list(errors.values())
        weights = np.array([float(v.get("frames", 1)) for v in chosen])
        squares = np.array([float(v["energy_rmse_meV_per_atom"]) ** 2 for v in chosen])
        return float(np.sqrt(weights @ squares / weights.sum())) * 1e-3

    def _potential(self) -> library.Potential:
        found = library.load(self.name)
        if self.version and file_hash(found.nep_path) != self.version:
            raise InputError(f"potential {self.name}: {found.nep_path} is not the one this run began with; "
                             "put that one back, or start in a new folder")
        return found


def choose(potential: str | Path | None = None, engine_name: str | None = None, level_id: str | None = None,
           elements: Sequence[str] = ()) -> EnergySource:
    """The source that --potential, --engine and --level ask for; without any of them the first shipped potential that
    has all `elements`, where these are given. InputError for none or two of them."""
    if potential is not None and (engine_name is not None or level_id is not None):
        raise InputError("both a potential and an engine are named: give --potential or --engine, not both")
    if potential is not None:
        text = str(potential)
        found = library.load(text)
        # A folder is kept whole, so that a task started elsewhere finds it.
        return EnergySource("potential", text if text in library.available() else str(found.path),
                            file_hash(found.nep_path))
    if engine_name is None and level_id is None and elements:
        for name in library.available():
            if set(elements) <= set(library.load(name).elements):
                return choose(name)
        raise InputError(f"no shipped potential has {', '.join(elements)}: give --potential FOLDER or --engine gpaw")
    if engine_name is None and level_id is None:
        raise InputError(f"no source of energies: give --potential (shipped: {', '.join(library.available())}; or a "
                         "folder) or --engine gpaw")
    if engine_name is not None and engine_name not in DEFAULT_LEVEL:
        raise InputError(f"engine {engine_name!r} is unknown: use {' or '.join(DEFAULT_LEVEL)}")
    chosen = level(level_id) if level_id is not None else LEVELS[DEFAULT_LEVEL[engine_name or "gpaw"]]
    if engine_name is not None and chosen.engine != engine_name:
        raise InputError(f"level {chosen.id} is one of {chosen.engine}, not of {engine_name}; leave --engine away")
    return EnergySource(chosen.engine, chosen.id)


def from_identity(identity: Mapping[str, str]) -> EnergySource:
    return EnergySource(identity["kind"], identity["name"], identity.get("version", ""))


@dataclass(frozen=True)
class _HeldMesh(Level):
    """A level whose k-mesh never falls below `least` on any axis."""

    least: tuple[int, int, int] = (1, 1, 1)

    def k_mesh(self, atoms: Atoms) -> tuple[int, int, int]:
        mesh = super().k_mesh(atoms)
        return max(mesh[0], self.least[0]), max(mesh[1], self.least[1]), max(mesh[2], self.least[2])


class LevelCalculator(Calculator):
    """A level of theory as an ASE calculator: free energy (eV), forces (n, 3) eV/A, stress (6,) eV/A^3 with Pulay term.

    Every geometry is a new calculation, so the plane waves always belong to its cell. The k-mesh may grow while a cell
    shrinks but never falls again: a mesh that flips between two sizes would keep a relaxation from converging.

    In a `folder` that stays, what was computed is kept as labelled frames, `labels.extxyz`: the points of a relaxation
    are labels like others, and `megabar collect` takes them.
    """

    implemented_properties = ["energy", "free_energy", "forces", "stress"]
    default_parameters: dict[str, Any] = {}
    nolabel = True

    def __init__(self, chosen: Level, folder: str | Path | None = None) -> None:
        super().__init__()
        self.level = chosen
        self.least = (1, 1, 1)
        self._temporary = tempfile.TemporaryDirectory(prefix="megabar-") if folder is None else None
        self.folder = Path(self._temporary.name) if self._temporary is not None else Path(str(folder))
        self.metallic: bool | None = None
        self._labels: list[Atoms] = []

    def calculate(self, atoms: Atoms | None = None, properties: list[str] | None = None,
                  system_changes: list[str] = all_changes) -> None:
        super().calculate(atoms, properties or ["energy"], system_changes)
        assert self.atoms is not None
        frame = Atoms(self.atoms.numbers, cell=self.atoms.cell, positions=self.atoms.positions, pbc=True)
        # ASE strips info from the copy it hands over in places; what the first cell said holds.
        if self.metallic is None:
            self.metallic = bool((atoms if atoms is not None else self.atoms).info.get("metallic", False))
        frame.info["metallic"] = self.metallic
        held = _HeldMesh(**{f.name: getattr(self.level, f.name) for f in fields(self.level)}, least=self.least)
        self.least = held.k_mesh(frame)
        self.folder.mkdir(parents=True, exist_ok=True)
        label = engine(self.level.engine).compute(frame, held, self.folder)
        if self._temporary is None:
            self._keep(frame, label)
        voigt = label.stress_eV_per_A3[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
        self.results = {"energy": label.energy_eV, "free_energy": label.energy_eV, "forces": label.forces_eV_per_A,
                        "stress": voigt}

    def _keep(self, frame: Atoms, label: Label) -> None:
        formula = frame.get_chemical_formula(empirical=True)
        pressure = float(-np.trace(label.stress_eV_per_A3)) / 3.0 * EV_PER_A3_IN_GPA
        frame.info |= {"kind": "H2 solid" if formula == "H" else Formula(formula).format("metal"),
                       "parent": self.folder.name, "origin": f"relaxation {self.folder.name}/{len(self._labels)}",
                       "target_pressure_GPa": round(pressure, 3)}
        self._labels.append(labelled_frame(frame, label_task(frame, self.level.id), {
            "energy_eV": label.energy_eV, "forces_eV_per_A": label.forces_eV_per_A,
            "stress_eV_per_A3": label.stress_eV_per_A3}))
        write_frames(self.folder / "labels.extxyz", self._labels)
