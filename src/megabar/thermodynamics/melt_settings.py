"""Settings of `megabar melt`, and the crystal it starts from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from pydantic import Field, field_validator

from megabar.campaign.files import file_hash, read_yaml
from megabar.campaign.settings import Settings
from megabar.errors import InputError
from megabar.thermodynamics.reactions import formula_of, parse_formula
from megabar.thermodynamics.runs import rectangular_unit


class MeltSettings(Settings):
    """Settings of `megabar melt`."""

    formula: str = Field(description="What melts, like CaH4, CaH2 or H2.")
    pressure: str = Field(description="Pressure with its unit, or several: 40 GPa, or 20,40,60 GPa, or 20:100:20.")
    potential: str | None = Field(None, description="Name of a shipped potential, or a folder; default: METAL-H.")
    phase: str | None = Field(None, description="Prototype of the crystal; default: the one known at this pressure.")
    file: str | None = Field(None, description="The crystal as a CIF, POSCAR or extxyz file instead of a prototype.")
    forces_file: str | None = Field(None, description="YAML file with elements and lines of any LAMMPS pair style, "
                                                      "instead of a potential.")
    atoms: tuple[int, ...] = Field((600,), description="Atoms of the two-phase cell; several for the size dependence.")
    time: str = Field("8 ps", description="Length of each two-phase run; an undecided one goes on.")
    extensions: int = Field(1, ge=0, le=10, description="How often an undecided run goes on for as long again.")
    segment: str = Field("1 ps", description="Length of each heating segment, over which T rises by 15 per cent.")
    melt_time: str = Field("1 ps", description="Length of melting one half, and of settling after it.")
    start: str = Field("300 K", description="Temperature at which heating starts.")
    limit: str = Field("8000 K", description="Heating ends here with an error when nothing has melted.")
    tolerance: str = Field("50 K", description="Half the width of the bracket that ends the search.")
    constant_enthalpy: bool = Field(True, description="Check with a run at constant enthalpy.")
    timestep_fs: float = Field(0.5, ge=0.05, le=20.0, description="Time step; the H2 vibration takes 7.6 fs.")
    seed: int = Field(0, ge=0, le=1_000_000, description="Seed of velocities and friction.")
    retry_failed: bool = Field(False, description="Try again what has failed before.")

    @field_validator("atoms")
    @classmethod
    def _large_enough(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not value or min(value) < 100 or list(value) != sorted(set(value)):
            raise ValueError("rising numbers of 100 or more, like 600 or 600,1200")
        return value

    def forces(self) -> tuple[dict[str, Any], str, tuple[float, float]]:
        """Task inputs of the forces, their name, and the pressures (GPa) on which they may be trusted."""
        from megabar.potential.library import load

        if self.forces_file is not None:
            if self.potential is not None:
                raise InputError("melt: give a potential or --forces, not both")
            pair = read_yaml(self.forces_file)
            if not isinstance(pair, dict) or set(pair) != {"elements", "lines"}:
                raise InputError(f"{self.forces_file}: write 'elements:' and 'lines:' of a LAMMPS pair style")
            return ({"elements": list(pair["elements"]), "lines": [str(line) for line in pair["lines"]]},
                    Path(self.forces_file).stem, (0.0, float("inf")))
        elements = parse_formula(self.formula).elements
        metals = [s for s in elements if s != "H"]
        potential = load(self.potential or (f"{metals[0]}-H" if metals else "Ca-H"))
        potential.require_elements(elements)
        low, high = potential.card.get("domain", {}).get("pressure_GPa", (0.0, float("inf")))
        pair = {"potential": self.potential or potential.name, "hash": file_hash(potential.nep_path)}
        return pair, potential.name, (float(low), float(high))


@dataclass(frozen=True)
class Crystal:
    """A crystal in a rectangular cell: its name, the cell, atoms per formula unit, and the class of each axis that
    symmetry makes alike, such as (0, 0, 1) in a tetragonal one."""

    name: str
    unit: Atoms
    atoms_per_fu: float
    alike: tuple[int, int, int]


_PHASES: dict[float | None, tuple[tuple[float, str], ...]] = {
    # (pressure in GPa from which, prototype): CaH2 turns at about 15 GPa, Tse et al., 10.1103/PhysRevB.75.134108.
    2.0: ((0.0, "MH2-Pnma"), (15.0, "MH2-P6_3/mmc")),
    4.0: ((0.0, "MH4-I4/mmm"),), 6.0: ((0.0, "MH6-Im-3m"),), 5.75: ((0.0, "MH5.75-Pm-3n"),),
    None: ((0.0, "H2-P6_3/mmc"),),
}


def starting_crystal(settings: MeltSettings, pressure_GPa: float) -> Crystal:
    """The crystal of `settings` near `pressure_GPa` in a rectangular cell.

    Raises InputError for an unknown formula or phase, or a crystal whose cell is neither rectangular nor hexagonal.
    """
    from megabar.crystals import prototypes
    from megabar.crystals.files import read_frames

    formula = parse_formula(settings.formula)
    counts = dict(formula.amounts)
    if settings.file is not None:
        atoms, name = read_frames(settings.file)[0], Path(settings.file).name
        if formula_of(atoms).units_in(formula) is None:
            raise InputError(f"{settings.file}: holds {atoms.get_chemical_formula()}, not {settings.formula}")
    else:
        metals = [s for s in counts if s != "H"]
        if len(metals) > 1 or (not metals and counts != {"H": 2}):
            raise InputError(f"melt {settings.formula}: no prototype is known; give the crystal with --file")
        ratio = float(counts.get("H", 0) / counts[metals[0]]) if metals else None
        if settings.phase is None and ratio not in _PHASES:
            raise InputError(f"melt {settings.formula}: no crystal is known for it; name one with --phase or --file")
        name = settings.phase or [p for low, p in _PHASES[ratio] if low <= pressure_GPa][-1]
        if prototypes.prototype(name).h_per_metal != ratio:
            raise InputError(f"phase {name!r} is no {settings.formula}; see 'megabar cells --list'")
        atoms = prototypes.build(name, metals[0] if metals else "Ca", pressure_GPa)
    unit, alike = rectangular(atoms)
    return Crystal(name, unit, float(formula.atoms), alike)


def rectangular(atoms: Atoms) -> tuple[Atoms, tuple[int, int, int]]:
    """The rectangular cell of `atoms` (as `rectangular_unit`), and which of its axes symmetry makes alike."""
    import spglib

    unit = rectangular_unit(atoms, 1e-3)
    data = spglib.get_symmetry_dataset((atoms.cell[:], atoms.get_scaled_positions(), atoms.numbers), symprec=1e-3)
    number = 0 if data is None else int(data.number)
    return unit, (0, 0, 0) if number >= 195 else (0, 0, 1) if number >= 75 else (0, 1, 2)


def bulk_cell(unit: Atoms, n_atoms: int, tall: float = 1.0) -> Atoms:
    """Repeats of the rectangular `unit` with about `n_atoms` atoms, as near as they come to equal edges x and y and an
    edge z of `tall` times those."""
    edges = np.diag(unit.cell[:]) / [1.0, 1.0, tall]
    best: tuple[float, tuple[int, ...]] = (np.inf, (1, 1, 1))
    ideal = (n_atoms / len(unit) * edges.prod()) ** (1.0 / 3.0)
    for shift in np.ndindex(3, 3, 3):
        repeat = np.maximum(1, np.floor(ideal / edges).astype(int) + np.array(shift))
        size = repeat * edges
        cost = 2.0 * abs(np.log(repeat.prod() * len(unit) / n_atoms)) + float(np.ptp(np.log(size)))
        if cost < best[0]:
            best = cost, tuple(int(n) for n in repeat)
    cell = unit.repeat(best[1])  # type: ignore[arg-type]
    cell.info = {}
    return cell
