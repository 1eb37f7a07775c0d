"""The cell that is timed or exported when the user gives none: a dense tetrahydride of the potential's metal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import spglib
from ase import Atoms

from megabar.crystals.files import read_frames
from megabar.crystals.prototypes import build
from megabar.crystals.volumes import metals
from megabar.errors import InputError
from megabar.potential.library import Potential

PRESSURE_GPA = 50.0
"""Pressure at which the default cell is built: about 0.19 atoms/A^3 for CaH4, 120-200 neighbours within 5.5-6 A."""


def cell(potential: Potential, structure: Path | None, n_atoms: int | None) -> Atoms:
    """The cell in `structure` as it is, or repeated to about `n_atoms`; without one MH4 (I4/mmm) of the potential's
    metal, 1080 atoms unless told, displaced by 0.05 A.

    Raises InputError when the potential has no hydride that this program knows and no structure is given, or when the
    structure is not periodic, and PotentialUnknown when it holds an element that the potential lacks.
    """
    if structure is not None:
        atoms = read_frames(structure)[-1]
        if not (atoms.pbc.all() and atoms.cell.rank == 3):
            raise InputError(f"{structure}: is not periodic in three directions; give a cell that is")
        potential.require_elements(atoms.get_chemical_symbols())
        return atoms if n_atoms is None else repeated(atoms, n_atoms)
    known = [element for element in potential.elements if element in metals()]
    if "H" not in potential.elements or not known:
        raise InputError(f"potential {potential.name} ({' '.join(potential.elements)}): no hydride to run is known; "
                         "give a structure file")
    primitive = build("MH4-I4/mmm", known[0], PRESSURE_GPA)
    # The conventional cell has right angles, which is what most runs have.
    standard = spglib.standardize_cell(
        (primitive.cell[:], primitive.get_scaled_positions(), primitive.numbers), symprec=1e-3)
    assert standard is not None
    lattice, scaled, numbers = standard
    atoms = repeated(Atoms(numbers, cell=lattice, scaled_positions=scaled, pbc=True), n_atoms or 1080)
    atoms.rattle(0.05, seed=1)
    return atoms


def repeated(atoms: Atoms, n_atoms: int) -> Atoms:
    """`atoms` repeated towards a cube of about `n_atoms` atoms."""
    if n_atoms < 1:
        raise InputError(f"--atoms {n_atoms}: give a number of atoms of 1 or more")
    edge = (n_atoms / len(atoms) * atoms.get_volume()) ** (1 / 3)
    ideal = edge / atoms.cell.lengths()
    choices = np.array(np.meshgrid(*[sorted({max(1, int(x)), max(1, int(x) + 1)}) for x in ideal])).reshape(3, -1).T
    best = choices[np.abs(np.log(choices.prod(axis=1) * len(atoms) / n_atoms)).argmin()]
    return atoms.repeat(best.tolist())
