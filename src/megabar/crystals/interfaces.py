"""A slab of a hydride beside hydrogen: small cells to label, large ones to run."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.build import make_supercell

from megabar.crystals.packing import pair_minimum_A, relative_size, separate
from megabar.crystals.prototypes import build
from megabar.crystals.volumes import HYDROGEN_MOLECULE
from megabar.errors import InputError

# Surface cells (rows: new axes in the old ones), the third axis along the normal.
_HEXAGONAL_RECTANGLE = np.array([[1, 0, 0], [1, 2, 0], [0, 0, 1]])
FACES = {
    "MH2-P6_3/mmc": {"001": np.eye(3, dtype=int), "001r": _HEXAGONAL_RECTANGLE,
                     "100": np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]]),
                     "110": np.array([[0, 0, 1], [1, 2, 0], [1, 0, 0]])},
    "MH2-Pnma": {"001": np.eye(3, dtype=int), "100": np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]]),
                 "010": np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]])},
    "MH4-I4/mmm": {"001": np.array([[1, 0, 1], [0, 1, 1], [1, 1, 0]]),
                   "100": np.array([[0, 1, 1], [1, 1, 0], [1, 0, 1]])},
}
"""Faces by phase: integer matrices that turn the primitive cell into one with the normal along its third axis."""


def slab(phase: str, face: str, metal: str, pressure_GPa: float, repeat: tuple[int, int, int],
         bulk: Atoms | None = None) -> Atoms:
    """Periodic block of `phase` with the face's normal along z: in-plane axes in the xy plane, third axis along z.

    `bulk` replaces the built crystal by a relaxed one in the same setting. Raises InputError for an unknown face.
    """
    faces = FACES.get(phase, {})
    if face not in faces:
        raise InputError(f"face {face!r} of {phase} is unknown: known faces: {', '.join(faces) or 'none'}")
    crystal = bulk.copy() if bulk is not None else build(phase, metal, pressure_GPa)
    block = make_supercell(crystal, faces[face]).repeat(repeat)
    return _along_z(block)


def _along_z(atoms: Atoms) -> Atoms:
    """Rotate so that a is along x and b in the xy plane, then make the third axis normal where the lattice allows."""
    atoms = atoms.copy()
    cellpar = atoms.cell.cellpar()
    # Unwrapped: rounding at the top would shift an atom by the sheared axis, onto another one once that is straight.
    fractions = atoms.get_scaled_positions(wrap=False)
    fresh = Atoms(atoms.numbers, cell=cellpar, scaled_positions=fractions, pbc=True)
    cell = fresh.cell[:].copy()
    if np.abs(cell[2, :2]).max() > 1e-6:
        # A sheared third axis is straightened: the block is finite along z, so only its edges feel it.
        cell[2, :2] = 0.0
        positions = fresh.positions
        fresh.set_cell(cell)
        fresh.positions = positions
    fresh.wrap()
    return fresh


def fluid_hydrogen_layer(cell_xy: np.ndarray, n_molecules: int, thickness_A: float,
                         rng: np.random.Generator) -> Atoms:
    """`n_molecules` H2 in a slab of `thickness_A` over the in-plane cell (2, 3), from z = 0; overlaps removed."""
    cell = np.array([cell_xy[0], cell_xy[1], [0.0, 0.0, thickness_A]])
    sites = Atoms("H" * n_molecules, cell=cell, scaled_positions=rng.random((n_molecules, 3)), pbc=True)
    spacing = 0.9 * (abs(np.linalg.det(cell)) / n_molecules) ** (1.0 / 3.0)
    separate(sites, np.full((n_molecules, n_molecules), spacing), steps=500)
    directions = rng.normal(size=(n_molecules, 3))
    half = 0.37 * directions / np.linalg.norm(directions, axis=1)[:, None]
    positions = np.stack([sites.positions - half, sites.positions + half], axis=1).reshape(-1, 3)
    molecules = Atoms("H" * (2 * n_molecules), positions=positions, cell=cell, pbc=True)
    limit = pair_minimum_A(molecules.numbers, {"H-H": 1.2})
    for m in range(n_molecules):
        limit[2 * m, 2 * m + 1] = limit[2 * m + 1, 2 * m] = 0.0
    separate(molecules, limit, steps=100)
    return molecules


def interface(block: Atoms, n_molecules: int, pressure_GPa: float, rng: np.random.Generator, gap_A: float = 1.6,
              fluid_scale: float = 1.1) -> Atoms:
    """`block` from z = 0, a gap, `n_molecules` of H2 at `fluid_scale` times the solid's volume at P, and a gap.

    Returns a periodic cell with two faces; `arrays["region"]` is 0 for the block and 1 for the hydrogen.
    """
    area = float(np.linalg.norm(np.cross(block.cell[0], block.cell[1])))
    thickness = n_molecules * HYDROGEN_MOLECULE.volume_A3(pressure_GPa) * fluid_scale / area
    fluid = fluid_hydrogen_layer(block.cell[:2], n_molecules, thickness, rng)
    height = float(block.cell[2, 2])
    # The block's own period already holds half a layer spacing on each face, so the gap is counted from there.
    fluid.positions[:, 2] = fluid.positions[:, 2] % thickness + height + gap_A - 0.8
    joined = block + fluid
    joined.set_cell(np.array([block.cell[0], block.cell[1], [0.0, 0.0, height + thickness + 2.0 * (gap_A - 0.8)]]))
    joined.set_array("region", np.array([0] * len(block) + [1] * len(fluid)))
    joined.pbc = True
    metal = int(block.numbers[block.numbers != 1][0])
    limit = pair_minimum_A(joined.numbers, {"H-H": 0.70, "H-M": 1.7 * relative_size(metal, True)})
    separate(joined, limit, steps=100)
    return joined
