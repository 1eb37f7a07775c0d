"""The crystal that a region has become: its lattice from time-averaged positions, its symmetry, its orientation.

A slab is periodic in two directions only and its cell is a supercell of unknown multiplicity, so the lattice is found
from the translations that map the averaged metal positions onto themselves; every site is then averaged over all cells.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from itertools import combinations
from math import gcd
from typing import Any

import numpy as np
from ase import Atoms

from megabar.reaction.neighbours import close_pairs

SYMMETRY_TOLERANCE_A = 0.25
"""Tolerance of the space-group search: averaged positions of a hot crystal scatter by 0.05-0.1 A."""
_MATCH = 0.16  # of the mean metal distance: an atom that close to where a translation takes another one is its image
_ACCEPTED = 0.85  # share of the atoms that a lattice translation must map onto another one
_PARALLEL_DEG = 6.0
_SAME_SITE_A = 0.5
_LOCALISED_A = 0.6
"""Scatter (root mean square per direction) above which a hydrogen has no site; an H2 unit that turns has 0.25."""


@dataclass(frozen=True)
class AveragedCrystal:
    """A primitive cell averaged over time and over all cells of a region.

    Attributes:
        atoms: primitive cell in the orientation of the run; hydrogens where they have sites.
        sites_rms_A: scatter of the averaged metal positions about their sites, root mean square in three dimensions.
        metal_space_group, space_group: international symbols of the metal alone and with the hydrogen sites
            (None without any).
        h_sites_per_metal: sites found; h_localised: share of the region's hydrogens that have one.
    """

    atoms: Atoms
    sites_rms_A: float
    metal_space_group: str
    space_group: str | None
    h_sites_per_metal: float
    h_localised: float


def find_crystal(metal_A: np.ndarray, hydrogen_A: np.ndarray, hydrogen_scatter_A: np.ndarray, cell_A: np.ndarray,
                 axis: int | None, metal_number: int = 20) -> AveragedCrystal | None:
    """Crystal of a region, or None when its metals do not repeat.

    metal_A (m, 3): time-averaged metals of the region. hydrogen_A (h, 3), hydrogen_scatter_A (h,): averaged hydrogens
    in the region and their scatter per direction. cell_A: cell of the run, in which the region is periodic except
    along `axis` (None: in all directions).
    """
    m = len(metal_A)
    if m < 8:
        return None
    placed = hydrogen_A[hydrogen_scatter_A < _LOCALISED_A]
    basis = None
    if 2 * len(placed) > len(hydrogen_A):
        basis = _lattice(metal_A, placed, cell_A, axis)
    if basis is None:  # hydrogen without order, as in a superionic crystal
        basis = _lattice(metal_A, placed[:0], cell_A, axis)
    if basis is None:
        return None
    density = _density(metal_A, cell_A, axis)
    folded = _fold(metal_A, basis, density)
    if folded is None:
        return None
    basis, sites, origin, rms = folded
    symbols = [metal_number] * len(sites)
    metal_cell = Atoms(symbols, cell=basis, scaled_positions=sites, pbc=True)
    cells = m / len(sites)
    h_sites = _hydrogen_sites((placed - origin) @ np.linalg.inv(basis), basis, cells)
    atoms = Atoms(symbols + [1] * len(h_sites), cell=basis, pbc=True,
                  scaled_positions=np.concatenate([sites, h_sites]) if len(h_sites) else sites)
    return AveragedCrystal(atoms, rms, space_group(metal_cell), space_group(atoms) if len(h_sites) else None,
                           len(h_sites) / len(sites), len(placed) / max(1, len(hydrogen_A)))


def space_group(atoms: Atoms, tolerance_A: float = SYMMETRY_TOLERANCE_A) -> str:
    """International symbol and number, like "I4/mmm (139)"; "unknown" when the search fails."""
    data = _symmetry(atoms, tolerance_A)
    return "unknown" if data is None else f"{data.international} ({data.number})"


def _symmetry(atoms: Atoms, tolerance_A: float) -> Any:
    """spglib's data set of a cell, or None when it finds no symmetry."""
    import spglib

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of its own error handling
        try:
            return spglib.get_symmetry_dataset((atoms.cell[:], atoms.get_scaled_positions(), atoms.numbers),
                                               symprec=tolerance_A)
        except Exception:  # its error types differ between versions
            return None


def _density(metal_A: np.ndarray, cell_A: np.ndarray, axis: int | None) -> float:
    """Metals per A^3 from the number of neighbours of the inner ones within a few distances."""
    if axis is None:
        return len(metal_A) / abs(float(np.linalg.det(cell_A)))
    normal = _normal(cell_A, axis)
    z = metal_A @ normal
    area = abs(float(np.linalg.det(cell_A))) / (1.0 / np.linalg.norm(np.linalg.inv(cell_A)[:, axis]))
    # Between the outermost atoms lies one layer less than there are: half of each end layer counts.
    span = float(z.max() - z.min())
    distance = (area * span / len(metal_A)) ** (1 / 3)
    ends = np.sum(z < z.min() + 0.3 * distance) + np.sum(z > z.max() - 0.3 * distance)
    return float((len(metal_A) - 0.5 * ends) / (area * span))


def _normal(cell_A: np.ndarray, axis: int) -> np.ndarray:
    normal = np.linalg.inv(cell_A)[:, axis]
    return normal / np.linalg.norm(normal)


def _lattice(metal_A: np.ndarray, hydrogen_A: np.ndarray, cell_A: np.ndarray, axis: int | None) -> np.ndarray | None:
    """(3, 3) primitive lattice vectors, or None. Hydrogens (h, 3), where given, must be mapped as well: the metal of
    CaH2 Pnma alone has, but for 0.05 A, a lattice twice as fine."""
    density = _density(metal_A, cell_A, axis)
    distance = density ** (-1.0 / 3.0)
    search = cell_A.copy()
    if axis is not None:  # push the images along the normal out of reach
        search[axis] = cell_A[axis] + _normal(cell_A, axis) * 3.0 * distance * 2.5
    pairs = close_pairs(metal_A, search, 2.4 * distance)
    i = np.concatenate([pairs.i, pairs.j])
    vector = np.concatenate([pairs.vector_A, -pairs.vector_A])
    normal = None if axis is None else _normal(cell_A, axis)
    height = np.zeros(len(metal_A)) if normal is None else metal_A @ normal
    low, high = height.min() - 0.3 * distance, height.max() + 0.3 * distance
    # From atoms in the middle and from some near one end, whose longer translations stay within a thin region.
    seeds = np.concatenate([np.argsort(np.abs(height - np.quantile(height, share)))[:4] for share in (0.5, 0.1)])
    accepted: list[np.ndarray] = []
    for guess in vector[np.isin(i, seeds)]:
        if any(np.linalg.norm(guess - t) < _MATCH * distance for t in accepted):
            continue
        translation = guess
        for _ in range(3):
            close = np.linalg.norm(vector - translation, axis=1) < _MATCH * distance
            if not close.any():
                break
            translation = vector[close].mean(axis=0)
        # Judged by the atoms whose image lies within the region.
        shifted = height + (0.0 if normal is None else float(translation @ normal))
        judged = (shifted > low) & (shifted < high)
        mapped = np.zeros(len(metal_A), dtype=bool)
        mapped[i[close]] = True
        if judged.sum() >= 4 and mapped[judged].mean() >= _ACCEPTED and _maps(
                hydrogen_A, translation, search, normal, low, high):
            accepted.append(translation)
    accepted.sort(key=lambda t: float(t @ t))
    short = accepted[:24]
    best, smallest = None, np.inf
    for triple in combinations(short, 3):
        volume = abs(float(np.linalg.det(np.array(triple))))
        # The smallest cell, and among equals the one with the shortest vectors (they are in order of length).
        if 0.5 / density < volume < smallest * 0.97:
            best, smallest = np.array(triple), volume
    return best


def _maps(hydrogen_A: np.ndarray, translation: np.ndarray, search: np.ndarray, normal: np.ndarray | None, low: float,
          high: float) -> bool:
    """Whether a translation takes most hydrogens, of those that stay in the region, to within 0.5 A of another one."""
    if len(hydrogen_A) == 0:
        return True
    moved = hydrogen_A + translation
    if normal is not None:
        height = moved @ normal
        moved = moved[(height > low) & (height < high)]
    if len(moved) < 4:
        return True
    pairs = close_pairs(np.concatenate([moved, hydrogen_A]), search, _SAME_SITE_A)
    mapped = np.zeros(len(moved), dtype=bool)
    for one, other in ((pairs.i, pairs.j), (pairs.j, pairs.i)):
        mapped[one[(one < len(moved)) & (other >= len(moved))]] = True
    return bool(mapped.mean() >= _ACCEPTED)


def _fold(metal_A: np.ndarray, basis: np.ndarray, density: float) -> tuple[
        np.ndarray, np.ndarray, np.ndarray, float] | None:
    """Refined basis, sites (k, 3) in fractions, origin and scatter: a least-squares fit of r = n basis + site.

    Sites that fewer than half as many atoms hold as the fullest one are defects; None when more than 15 % of the atoms
    stand on such, or when the sites do not make up the density.
    """
    origin = metal_A[np.argmin(np.linalg.norm(metal_A - metal_A.mean(axis=0), axis=1))]
    places = metal_A - origin
    for _ in range(3):
        fractions = places @ np.linalg.inv(basis)
        sites, label = _cluster(fractions, basis, 2.0 * _MATCH * density ** (-1.0 / 3.0))
        held = np.bincount(label, minlength=len(sites))
        good = np.flatnonzero(held >= 0.5 * held.max())
        regular = np.isin(label, good)
        many = len(good)
        if regular.mean() < _ACCEPTED or abs(many / (abs(np.linalg.det(basis)) * density) - 1.0) > 0.25:
            return None
        number = np.searchsorted(good, label[regular])
        whole = np.rint(fractions[regular] - sites[label[regular]])
        design = np.concatenate([whole, np.eye(many)[number]], axis=1)
        solution = np.linalg.lstsq(design, places[regular], rcond=None)[0]
        basis = solution[:3]
        rms = float(np.sqrt(np.mean(np.sum((places[regular] - design @ solution) ** 2, axis=1))))
    found = solution[3:] @ np.linalg.inv(basis)
    return basis, found - np.floor(found), origin, rms


def _cluster(fractions: np.ndarray, basis: np.ndarray, radius_A: float) -> tuple[np.ndarray, np.ndarray]:
    """Sites (k, 3), in fractions, and the site (n,) of each point, all modulo lattice vectors."""
    sites: list[np.ndarray] = []
    label = np.full(len(fractions), -1)
    for start in range(len(fractions)):
        if label[start] >= 0:
            continue
        centre = fractions[start]
        for _ in range(3):
            step = fractions - centre
            step -= np.rint(step)
            near = (np.linalg.norm(step @ basis, axis=1) < radius_A) & ((label < 0) | (label == len(sites)))
            centre = centre + step[near].mean(axis=0)
        label[near] = len(sites)
        label[start] = len(sites)
        sites.append(centre - np.floor(centre))
    return np.array(sites), label


def _hydrogen_sites(fractions: np.ndarray, basis: np.ndarray, cells: float) -> np.ndarray:
    """(k, 3) fractions of sites that at least 60 % of the cells have."""
    if len(fractions) == 0:
        return np.zeros((0, 3))
    sites, label = _cluster(fractions, basis, _SAME_SITE_A)
    held = np.bincount(label, minlength=len(sites)) / cells
    return sites[held >= 0.6]


# Orientation ---------------------------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Orientation:
    """How a product lies on its parent: "(hkl) || (hkl)" across the interface and "[uvw] || [uvw]" in it.

    angle_normal_deg, angle_in_plane_deg: what is left between the two. misfit: relative difference of the product's
    repeat along the in-plane direction from the parent's (of the nearest small multiples).
    """

    planes: str
    directions: str
    angle_normal_deg: float
    angle_in_plane_deg: float
    misfit: float
    multiples: str


def orientation(parent: AveragedCrystal, product: AveragedCrystal, normal: np.ndarray) -> Orientation | None:
    """Lowest-index planes and in-plane directions that are parallel within 6 degrees; None when there are none."""
    parent_axes, product_axes = _conventional(parent.atoms), _conventional(product.atoms)
    if parent_axes is None or product_axes is None:
        return None
    indices = [h for h in np.array(np.meshgrid(*[range(-3, 4)] * 3, indexing="ij")).reshape(3, -1).T
               if h.any() and gcd(gcd(abs(int(h[0])), abs(int(h[1]))), abs(int(h[2]))) == 1]
    table = np.array(sorted(indices, key=lambda h: (np.abs(h).sum(), [-x for x in h])))
    planes = [_nearest(table, table @ np.linalg.inv(axes).T, normal) for axes in (parent_axes, product_axes)]
    if any(plane is None for plane in planes):
        return None
    (hkl_parent, angle_parent), (hkl_product, angle_product) = planes  # type: ignore[misc]
    best: tuple[float, Orientation] | None = None
    for u in table[:60]:
        along = u @ parent_axes
        if abs(np.dot(along, normal)) > 0.1 * np.linalg.norm(along):
            continue
        found = _nearest(table, table @ product_axes, along / np.linalg.norm(along))
        if found is None:
            continue
        v, angle = found
        length, other = np.linalg.norm(along), np.linalg.norm(v @ product_axes)
        n, k = min(((n, k) for n in range(1, 5) for k in range(1, 5)),
                   key=lambda nk: abs(nk[1] * other / (nk[0] * length) - 1.0) + 0.03 * (nk[0] + nk[1]))
        misfit = float(k * other / (n * length) - 1.0)
        cost = float(np.abs(u).sum() + np.abs(v).sum() + 10.0 * abs(misfit) + 0.3 * angle)
        if best is None or cost < best[0]:
            best = cost, Orientation(f"{_index(hkl_product, '()')} || {_index(hkl_parent, '()')}",
                                     f"{_index(v, '[]')} || {_index(u, '[]')}", angle_parent + angle_product, angle,
                                     misfit, f"{k}:{n}")
    return None if best is None else best[1]


def _conventional(atoms: Atoms) -> np.ndarray | None:
    """(3, 3) conventional axes of the metal's lattice in the orientation of `atoms`."""
    metal = atoms[atoms.numbers != 1]
    data = _symmetry(metal, SYMMETRY_TOLERANCE_A)
    if data is None:
        return None
    # (a b c) = (a_s b_s c_s) P, columns being vectors.
    return np.linalg.inv(data.transformation_matrix).T @ metal.cell[:]


def _nearest(indices: np.ndarray, vectors: np.ndarray, direction: np.ndarray) -> tuple[np.ndarray, float] | None:
    """Lowest index whose vector lies within 6 degrees of the direction (either sense), with the angle."""
    cosine = np.abs(vectors @ direction) / np.linalg.norm(vectors, axis=1)
    angle = np.degrees(np.arccos(np.clip(cosine, 0.0, 1.0)))
    near = np.flatnonzero(angle < _PARALLEL_DEG)
    if len(near) == 0:
        return None
    size = np.abs(indices[near]).sum(axis=1)
    k = near[np.lexsort((angle[near], size))[0]]
    index = indices[k]
    return (index if index[np.flatnonzero(index)[0]] > 0 else -index), float(angle[k])


def _index(index: np.ndarray, brackets: str) -> str:
    return brackets[0] + " ".join(str(int(x)) for x in index) + brackets[1]
