"""Random cells with a space group: many atoms at the price of few, since the k-points of a label fall with the group.

Structure searches at pressure start from such cells (Pickard and Needs, J. Phys.: Condens. Matter 23, 053201 (2011),
10.1088/0953-8984/23/5/053201). In groups whose operations all shift the cell (P2_1, Pc, P2_12_12_1, Pca2_1, Pna2_1) no
point is special, so that an atom's surroundings are as general as those of a cell without symmetry; in the others
metals may sit on special points, which lets a small cell have few of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers

from megabar.crystals.packing import (
    check_packing,
    minimum_distances_A,
    pair_minimum_A,
    random_volume_A3,
    separate,
)
from megabar.errors import InputError

_GRID_A = 1e-6
"""Positions on this grid in cells of four times it: then images are exact, and GPAW, which wants translations that
close to 1e-10, finds every operation."""
_SAME_A = 0.1
"""An image this near to an atom of its kind is that atom (contacts are five times as far, and runs keep their symmetry
to 1e-2 A)."""


@dataclass(frozen=True, eq=False)
class SpaceGroup:
    """Operations x -> R x + t in fractional coordinates: rotations (n, 3, 3) integers, translations (n, 3)."""

    name: str
    rotations: np.ndarray
    translations: np.ndarray
    oblique: bool
    """Whether the angle beta is free (monoclinic) or all three are right."""

    @property
    def order(self) -> int:
        return len(self.rotations)

    def images(self, point: np.ndarray) -> np.ndarray:
        """(n, 3) images of the fractional `point` (3,), one an operation."""
        return np.asarray(self.rotations @ point + self.translations)


@lru_cache(maxsize=64)
def space_group(name: str) -> SpaceGroup:
    """The space group of the international short symbol `name`, such as P2_12_12_1, in its standard setting.

    InputError for an unknown symbol, a centred lattice, or a system above the orthorhombic.
    """
    import spglib

    for hall in range(1, 531):
        kind = spglib.get_spacegroup_type(hall)
        if kind is not None and kind.international_short == name:
            break
    else:
        raise InputError(f"space group {name!r}: no such symbol; write it like P2_12_12_1 or Pmm2")
    if not name.startswith("P") or not 3 <= kind.number <= 74:
        raise InputError(f"space group {name!r}: only primitive monoclinic and orthorhombic ones are built")
    found = spglib.get_symmetry_from_database(hall)
    assert found is not None
    return SpaceGroup(name, np.asarray(found["rotations"]), np.asarray(found["translations"]), kind.number <= 15)


def symmetrized(atoms: Atoms, group: SpaceGroup) -> Atoms:
    """`atoms`, whose cell is one of `group`'s and which obeys it to within 0.1 A, made to obey it exactly.

    InputError where an image has no atom near it.
    """
    lengths = np.round(atoms.cell[:] / (4.0 * _GRID_A)) * 4.0 * _GRID_A
    cell = np.where(np.abs(lengths) < 1e-3, 0.0, lengths)
    scaled = atoms.get_scaled_positions(wrap=False)
    mean = np.zeros_like(scaled)
    partner = _partners(atoms, scaled, cell, group)
    for k in range(group.order):
        image = scaled @ group.rotations[k].T + group.translations[k]
        mean[partner[k]] += image - np.round(image - scaled[partner[k]])
    scaled = mean / group.order
    positions = np.full((len(atoms), 3), np.nan)
    for i in range(len(atoms)):
        if np.isnan(positions[i, 0]):  # the first of its orbit; the others are its images
            first = np.linalg.solve(cell.T, np.round(scaled[i] @ cell / _GRID_A) * _GRID_A)
            for k in range(group.order):
                j = partner[k, i]
                image = group.rotations[k] @ first + group.translations[k]
                if np.isnan(positions[j, 0]):
                    positions[j] = (image - np.round(image - scaled[j])) @ cell
    result = atoms.copy()
    result.set_cell(cell)
    result.positions = positions
    return result


def symmetric_vectors(vectors: np.ndarray, atoms: Atoms, group: SpaceGroup) -> np.ndarray:
    """The part of `vectors` (n, 3), Cartesian, one an atom, that has the symmetry of `atoms`. InputError where an image
    has no atom near it."""
    cell, kept = atoms.cell[:], np.zeros_like(vectors)
    partner = _partners(atoms, atoms.get_scaled_positions(wrap=False), cell, group)
    fractional = vectors @ np.linalg.inv(cell)
    for k in range(group.order):
        kept[partner[k]] += fractional @ group.rotations[k].T
    return np.asarray(kept / group.order @ cell)


def _partners(atoms: Atoms, scaled: np.ndarray, cell: np.ndarray, group: SpaceGroup) -> np.ndarray:
    """(operations, n): the atom on which each operation puts each atom, that of its kind within 0.1 A. InputError where
    an image has none, or two share one."""
    partner = np.zeros((group.order, len(atoms)), dtype=int)
    for k in range(group.order):
        off = (scaled @ group.rotations[k].T + group.translations[k])[:, None] - scaled[None]
        distance = np.linalg.norm((off - np.round(off)) @ cell, axis=2)
        distance[atoms.numbers[:, None] != atoms.numbers[None]] = np.inf
        partner[k] = distance.argmin(axis=1)
        if distance.min(axis=1).max() > _SAME_A or len(set(partner[k])) != len(atoms):
            raise InputError(f"the cell does not have the symmetry {group.name} it is said to have")
    return partner


def fits(n_metal: int, n_hydrogen: int, group: SpaceGroup, rng: np.random.Generator) -> bool:
    """Whether orbits of `group` make up these numbers of atoms (some draws of them were tried)."""
    return all(any(_orbits(n, group, rng) is not None for _ in range(3)) for n in (n_metal, n_hydrogen))


def random_symmetric(metal: str, n_metal: int, n_hydrogen: int, pressure_GPa: float, group: SpaceGroup,
                     rng: np.random.Generator, minima: Mapping[str, float] | None = None, volume_scale: float = 1.0,
                     h2_share: float = 0.0) -> Atoms:
    """Random cell of n_metal M and n_hydrogen H with the symmetry of `group`, near `pressure_GPa`; at most `h2_share`
    of its hydrogen starts as molecules. InputError when the numbers do not fit the orbits of the group or the minimum
    distances cannot be packed.
    """
    minima = {"H-H": 1.0, **(minima or {})}
    volume = random_volume_A3(metal, n_metal, n_hydrogen, pressure_GPa) * volume_scale
    numbers = np.array([atomic_numbers[metal]] * n_metal + [1] * n_hydrogen)
    check_packing(numbers, volume, minima)
    for _ in range(20):
        cell = _cell(volume, group, rng)
        metals = _orbits(n_metal, group, rng)
        pairs = int(h2_share * n_hydrogen / (2 * group.order) + 1e-9)  # molecules in general positions, by orbits
        single = _orbits(n_hydrogen - 2 * pairs * group.order, group, rng)
        if metals is None or single is None:
            continue
        centres = [group.images(rng.random(3)) for _ in range(pairs)]
        molecules = [_molecule(c, cell, group, rng) for c in centres]
        scaled = np.concatenate([*metals, *single, *(m for pair in molecules for m in pair)])
        atoms = Atoms(numbers, cell=cell, scaled_positions=scaled, pbc=True)
        limits = pair_minimum_A(numbers, minima)
        start = n_metal + sum(map(len, single))
        for k in range(pairs):
            for g in range(group.order):
                a = start + 2 * k * group.order + g
                limits[a, a + group.order] = limits[a + group.order, a] = 0.0
        # Pushes of a symmetric cell are symmetric themselves, but for rounding, which many of them can let grow.
        if separate(atoms, limits, steps=200) and atoms.get_all_distances(mic=True)[np.triu_indices(len(atoms), 1)].min(
                initial=9.0) > 0.6:
            try:
                return symmetrized(atoms, group)
            except InputError:
                continue
    raise InputError(
        f"no packing of {n_metal} {metal} and {n_hydrogen} H with symmetry {group.name} found in {volume:.1f} A^3 with "
        f"minimum distances { {p: round(d, 2) for p, d in minimum_distances_A(numbers, minima).items()} }: lower them "
        "or the pressure, or take numbers that orbits of 1, 2 and 4 atoms can make up")


def _cell(volume_A3: float, group: SpaceGroup, rng: np.random.Generator) -> np.ndarray:
    a, b, c = rng.uniform(0.75, 1.25, 3)
    beta = np.radians(rng.uniform(75.0, 105.0)) if group.oblique else np.pi / 2.0
    cell = np.array([[a, 0.0, 0.0], [0.0, b, 0.0], [c * np.cos(beta), 0.0, c * np.sin(beta)]])
    cell *= (volume_A3 / np.linalg.det(cell)) ** (1.0 / 3.0)
    return np.asarray(np.where(np.abs(cell) < 1e-9, 0.0, np.round(cell / (4.0 * _GRID_A)) * 4.0 * _GRID_A))


def _orbits(count: int, group: SpaceGroup, rng: np.random.Generator) -> list[np.ndarray] | None:
    """Fractional positions of `count` atoms as whole orbits, general ones first; None when no such orbits are found.

    A random point is moved to the middle between itself and its image under operations drawn at random, which brings
    it to a special point where the group has one.
    """
    found: list[np.ndarray] = []
    for _ in range(60):
        left = count - sum(map(len, found))
        if left == 0:
            return found
        point = rng.random(3)
        if left < group.order:
            for k in rng.permutation(group.order)[: int(rng.integers(1, 3))]:
                image = group.rotations[k] @ point + group.translations[k]
                point = point + (image - point - np.round(image - point)) / 2.0
        images = group.images(point)
        off = images[:, None] - images[None]
        same = np.all(np.abs(off - np.round(off)) < 1e-6, axis=2)
        orbit = images[[k for k in range(group.order) if not same[k, :k].any()]]
        if len(orbit) <= left and not _taken(orbit, found):
            found.append(orbit)
    return None


def _taken(orbit: np.ndarray, found: list[np.ndarray]) -> bool:
    """Whether two orbits share a point: special points without freedom hold one atom."""
    apart = (orbit[:, None] - other[None] for other in found)
    return any(bool(np.any(np.all(np.abs(d - np.round(d)) < 1e-3, axis=2))) for d in apart)


def _molecule(centre: np.ndarray, cell: np.ndarray, group: SpaceGroup, rng: np.random.Generator
              ) -> tuple[np.ndarray, np.ndarray]:
    direction = rng.normal(size=3)
    half = np.linalg.solve(cell.T, rng.uniform(0.70, 0.85) / 2.0 * direction / np.linalg.norm(direction))
    return group.images(centre[0] - half), group.images(centre[0] + half)
