"""The interface of a hydride and hydrogen: which crystal, which face, how many of each, and how the two are joined."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
from ase import Atoms
from ase.formula import Formula
from ase.neighborlist import neighbor_list

from megabar.crystals import prototypes
from megabar.crystals.interfaces import FACES, slab
from megabar.crystals.packing import relative_size
from megabar.crystals.volumes import HYDROGEN_MOLECULE
from megabar.errors import InputError, PhaseUnknown

# Phases by metal and hydrogen content: (from this pressure in GPa, prototype).
_PHASES = {
    # Pnma to P6_3/mmc near 15 GPa: Tse et al., Phys. Rev. B 75, 134108 (2007), 10.1103/PhysRevB.75.134108.
    ("Ca", 2.0): ((0.0, "MH2-Pnma"), (15.0, "MH2-P6_3/mmc")),
}
_FLUID_SCALE = 1.1
"""Volume of the hot fluid against the solid's at the same pressure, to start with; the barostat finds the rest."""
_ENDS_A = 0.7
"""Ends of two molecules of the fluid start no nearer than this; molecules that do are turned."""
_LAYER_A = 0.3
"""Atoms closer than this along the normal belong to one layer of the perfect crystal."""
_SEAM_A = {"H-M": 1.9, "H-H": 1.35, "H2-H2": 1.15}
"""Distances that the seam starts with at least: fluid H to metal, fluid H to slab H, and H of different molecules;
about those of first contact at 40 GPa. H-M is calcium's, and scales with the metal's size."""

BULK = "bulk"
"""The face of a layout that has none."""


@dataclass(frozen=True)
class Layout:
    """What is built: `repeat` surface cells of `phase` cut at `face`, and `n_molecules` of H2 beside them; or `repeat`
    conventional cells without a face (BULK)."""

    metal: str
    phase: str
    face: str
    repeat: tuple[int, int, int]
    n_metal: int
    n_slab: int
    n_molecules: int

    @property
    def n_atoms(self) -> int:
        return self.n_slab + 2 * self.n_molecules


def hydride(formula: str) -> tuple[str, float]:
    """Metal and H per metal of a formula like "CaH2"; raises InputError for anything else."""
    try:
        count = Formula(formula, strict=True).count()
        Atoms(formula)
    except (ValueError, KeyError):
        raise InputError(f"formula {formula!r} is not one: write a metal and hydrogen, like CaH2") from None
    metals = [element for element in count if element != "H"]
    if len(metals) != 1 or "H" not in count:
        raise InputError(f"formula {formula!r} is not a metal and hydrogen: write one metal and H, like CaH2")
    return metals[0], count["H"] / count[metals[0]]


def choose_phase(metal: str, h_per_metal: float, pressure_GPa: float, phase: str | None = None,
                 bulk: bool = False) -> str:
    """Prototype of the hydride at P: `phase` when given, else the known one (one that slabs can be cut from, unless
    `bulk`). PhaseUnknown says what to name."""
    if phase is not None:
        found = prototypes.prototype(phase)
        if found.h_per_metal != h_per_metal:
            raise PhaseUnknown(f"phase {phase} has {found.h_per_metal} H per metal, the formula {h_per_metal:g}: "
                               "name a phase of the formula")
        return phase
    known = _PHASES.get((metal, h_per_metal))
    if known is not None:
        return [name for start, name in known if pressure_GPa >= start][-1]
    fits = [name for name in prototypes.names()
            if prototypes.prototype(name).h_per_metal == h_per_metal and (bulk or name in FACES)]
    if len(fits) == 1:
        return fits[0]
    raise PhaseUnknown(f"phase of {metal}H{h_per_metal:g} at {pressure_GPa:g} GPa is not known here: "
                       + (f"name one with --phase: {', '.join(fits)}" if fits else
                          f"slabs can be cut from {', '.join(sorted(FACES))}"))


@lru_cache(maxsize=256)  # a series asks the same for every seed
def choose_layout(metal: str, phase: str, face: str | None, pressure_GPa: float, n_atoms: int,
                  h2_per_metal: float, slab_cells: int | None = None) -> Layout:
    """The slab and H2 that come nearest to `h2_per_metal` and to a square, thick slab, with `n_atoms` or one more.

    `slab_cells` is the number of surface cells across the slab, chosen with the rest when None.
    """
    faces = FACES.get(phase, {})
    if not faces:
        raise InputError(f"phase {phase}: no face of it is known; slabs can be cut from {', '.join(sorted(FACES))}")
    chosen = face or ("001r" if "001r" in faces else "001")
    unit = slab(phase, chosen, metal, pressure_GPa, (1, 1, 1))
    n_unit, n_metal_unit = len(unit), int(np.sum(unit.numbers != 1))
    a, b, c = (float(x) for x in (unit.cell[0, 0], np.linalg.norm(unit.cell[1]), unit.cell[2, 2]))
    n_slab = n_atoms / (1.0 + 2.0 * h2_per_metal * n_metal_unit / n_unit)
    volume = n_slab / n_unit * abs(np.linalg.det(unit.cell[:]))
    edge = volume ** (1.0 / 3.0) if slab_cells is None else math.sqrt(volume / (slab_cells * c))
    shear = _shear(phase, chosen, metal, pressure_GPa)
    best: tuple[float, Layout] | None = None
    for i in _around(edge / a):
        for j in _around(edge / b):
            for k in (_around(n_slab / (n_unit * i * j)) if slab_cells is None else [slab_cells]):
                if np.abs(k * shear - np.round(k * shear)).max() > 1e-6:
                    continue  # the straightened third axis would not be a lattice vector
                atoms_slab, atoms_metal = n_unit * i * j * k, n_metal_unit * i * j * k
                molecules = math.ceil((n_atoms - atoms_slab) / 2)
                if molecules < 1:
                    continue
                cost = (4.0 * math.log(molecules / atoms_metal / h2_per_metal) ** 2
                        + math.log(i * a / (j * b)) ** 2)
                if slab_cells is None:
                    cost += 0.5 * math.log(k * c / math.sqrt(i * a * j * b)) ** 2
                if best is None or cost < best[0]:
                    best = cost, Layout(metal, phase, chosen, (i, j, k), atoms_metal, atoms_slab, molecules)
    if best is None or best[1].n_molecules < 8:
        need = 12 * n_unit * (slab_cells or 1)
        raise InputError(f"atoms {n_atoms}: too few for a slab of {phase} and hydrogen"
                         + (f" that is {slab_cells} cells thick, or the face {chosen} does not repeat after so many"
                            if slab_cells else "") + f"; give about {need}")
    return best[1]


def choose_bulk(metal: str, phase: str, pressure_GPa: float, n_atoms: int) -> Layout:
    """A periodic block of conventional cells of `phase`, near a cube and near `n_atoms`."""
    unit = conventional(phase, metal, pressure_GPa)
    lengths = unit.cell.lengths()
    edge = (n_atoms / len(unit) * unit.get_volume()) ** (1.0 / 3.0)
    a, b, c = (_around(edge / length) for length in lengths)
    repeat = min(product(a, b, c), key=lambda n: (3.0 * abs(math.log(math.prod(n) * len(unit) / n_atoms))
                                                  + float(np.ptp(np.log(np.array(n) * lengths)))))
    cells = math.prod(repeat)
    return Layout(metal, phase, BULK, repeat, cells * int(np.sum(unit.numbers != 1)), cells * len(unit), 0)


def conventional(phase: str, metal: str, pressure_GPa: float) -> Atoms:
    """Conventional cell of a prototype, a along x."""
    import spglib

    atoms = prototypes.build(phase, metal, pressure_GPa)
    found = spglib.standardize_cell((atoms.cell[:], atoms.get_scaled_positions(), atoms.numbers), symprec=1e-3)
    if found is None:
        raise PhaseUnknown(f"phase {phase}: no conventional cell of it could be found; name another with --phase")
    cell, positions, numbers = found
    return Atoms(numbers, cell=Atoms(cell=cell).cell.cellpar(), scaled_positions=positions, pbc=True)


def _around(value: float) -> range:
    return range(max(1, math.floor(0.6 * value)), max(1, math.ceil(1.6 * value)) + 1)


def _shear(phase: str, face: str, metal: str, pressure_GPa: float) -> np.ndarray:
    """(2,) in-plane part of the surface cell's third axis, in fractions of the first two."""
    cell = FACES[phase][face] @ prototypes.build(phase, metal, pressure_GPa).cell[:]
    normal = np.cross(cell[0], cell[1])
    normal /= np.linalg.norm(normal)
    return np.linalg.lstsq(cell[:2].T, cell[2] - (cell[2] @ normal) * normal, rcond=None)[0]


def build_crystal(layout: Layout, pressure_GPa: float) -> Atoms:
    """The slab's atoms as a periodic crystal, normal along z; the bulk crystal of a layout without faces."""
    if layout.face == BULK:
        return conventional(layout.phase, layout.metal, pressure_GPa).repeat(layout.repeat)
    return slab(layout.phase, layout.face, layout.metal, pressure_GPa, layout.repeat)


def open_to_vacuum(block: Atoms, gap_A: float) -> Atoms:
    """`block` (from `open_slab`) in the middle of a periodic cell that is higher by `gap_A`, velocities kept."""
    apart = block.copy()
    apart.set_velocities(block.get_velocities())
    apart.set_cell(block.cell[:] + np.diag([0.0, 0.0, gap_A]))
    apart.positions[:, 2] += 0.5 * gap_A
    apart.pbc = True
    return apart


def build_fluid(layout: Layout, cell_xy_A: np.ndarray, pressure_GPa: float, rng: np.random.Generator) -> Atoms:
    """`n_molecules` of H2 over the in-plane vectors `cell_xy_A` (2, 3), periodic, near the density at P.

    Molecules stand on a grid with random orientations, some sites empty: no overlap, at any size, and the fluid forgets
    the grid within a picosecond.
    """
    area = float(np.linalg.norm(np.cross(cell_xy_A[0], cell_xy_A[1])))
    volume = layout.n_molecules * HYDROGEN_MOLECULE.volume_A3(pressure_GPa) * _FLUID_SCALE
    spacing = (volume / layout.n_molecules) ** (1.0 / 3.0)
    lx, ly = (float(np.linalg.norm(axis)) for axis in cell_xy_A)
    # The grid that is widest where it is narrowest.
    _, nx, ny, nz = max((min(lx / i, ly / j, volume / area / k), i, j, k)
                        for i in _around(lx / spacing) for j in _around(ly / spacing)
                        for k in [math.ceil(layout.n_molecules / (i * j))])
    cell = np.array([*cell_xy_A, [0.0, 0.0, volume / area]])
    sites = np.stack(np.meshgrid(np.arange(nx) / nx, np.arange(ny) / ny, np.arange(nz) / nz, indexing="ij"), axis=-1)
    centres = sites.reshape(-1, 3)[np.sort(rng.permutation(nx * ny * nz)[: layout.n_molecules])] @ cell
    directions = rng.normal(size=(layout.n_molecules, 3))
    for _ in range(100):
        half = 0.37 * directions / np.linalg.norm(directions, axis=1)[:, None]
        fluid = Atoms("H" * (2 * layout.n_molecules), cell=cell, pbc=True,
                      positions=np.stack([centres - half, centres + half], axis=1).reshape(-1, 3))
        # Whole numbers of sites can leave 1.39 A between some at 100 GPa, where two that point at each other touch.
        i, j = neighbor_list("ij", fluid, _ENDS_A)
        touching = np.unique(i[i // 2 != j // 2] // 2)
        if not len(touching):
            break
        directions[touching] = rng.normal(size=(len(touching), 3))
    return fluid


def open_slab(perfect: Atoms, hot: Atoms) -> Atoms:
    """Cut the thermalised periodic crystal `hot` open along z where the surfaces carry no dipole.

    `perfect` is the crystal it came from, atom by atom, and `hot` has unwrapped positions. Of all planes between and
    through layers the one with the smallest dipole of formal charges (H -1) is taken; a layer that is cut in two gives
    each face half of its atoms, those that vibrate towards it (Tasker, J. Phys. C 12, 4977 (1979),
    10.1088/0022-3719/12/22/036: a type III face is stable with half of its outermost layer). The slab then spans about
    0 to the cell's height; returned with that cell.
    """
    height = float(hot.cell[2, 2])
    ideal = perfect.get_scaled_positions()[:, 2] * height
    metal = perfect.numbers != 1
    drift = (hot.positions[metal, 2] - ideal[metal]).mean()
    moved = hot.positions[:, 2] - ideal - drift
    moved -= height * np.round(moved / height)
    plane, split = _cut_plane(ideal, np.where(metal, np.sum(~metal) / np.sum(metal), -1.0), height)
    from_plane = (ideal - plane) % height
    if split:
        layer = np.flatnonzero(np.minimum(from_plane, height - from_plane) < _LAYER_A)
        order = layer[np.argsort(moved[layer], kind="stable")]
        from_plane[order] = (from_plane[order] + 0.5 * height) % height - 0.5 * height  # about 0, either side
        from_plane[order[: len(order) // 2]] += height
    z = from_plane + moved
    outside = (z < -1.0) | (z > height + 1.0)
    z[outside] %= height  # hydrogen that diffused through the cell's boundary
    opened = hot.copy()
    opened.wrap()
    opened.positions[:, 2] = z
    return opened


def _cut_plane(z: np.ndarray, charge: np.ndarray, height: float) -> tuple[float, bool]:
    """(position, whether it goes through a layer) of the least polar plane; between equals the widest gap decides."""
    order = np.argsort(z, kind="stable")
    breaks = np.flatnonzero(np.diff(z[order]) > _LAYER_A) + 1
    layers = [group for group in np.split(order, breaks)]
    if len(layers) > 1 and z[layers[0]].min() + height - z[layers[-1]].max() < _LAYER_A:
        layers[0] = np.concatenate([layers.pop(), layers[0]])
    levels = []
    for layer in layers:
        unwrapped = z[layer] - height * np.round((z[layer] - z[layer[0]]) / height)
        levels.append(float(unwrapped.mean() % height))
    order_levels = np.argsort(levels)
    levels = [levels[k] for k in order_levels]
    charges = [float(charge[layers[k]].sum()) for k in order_levels]
    pure = [len(set(np.sign(charge[layers[k]]))) == 1 and charge[layers[k][0]] < 0 for k in order_levels]
    scale = float(np.abs(charge).sum()) * height
    best = None
    for k, level in enumerate(levels):
        gap = (levels[(k + 1) % len(levels)] - level) % height or height
        options = [(level + 0.5 * gap, False, gap)]
        if pure[k]:
            before = (level - levels[k - 1]) % height or height
            options.append((level, True, min(gap, before)))
        for plane, split, room in options:
            above = [(other - plane) % height for other in levels]
            if split:
                above[k] = 0.5 * height  # half at either end: its mean is the middle
            dipole = abs(sum(q * (x - 0.5 * height) for q, x in zip(charges, above, strict=True))) / scale
            rank = (round(dipole, 4), split, -room)
            if best is None or rank < best[0]:
                best = rank, plane % height, split
    assert best is not None
    return best[1], best[2]


def join(block: Atoms, fluid: Atoms, gap_A: float = 0.4) -> Atoms:
    """`block` (from `open_slab`) in the middle of a periodic cell, `fluid` in the rest, a gap at each of the two seams.

    Both periods already end half a spacing from their last layer, so the gap is extra. Molecules stay whole, those
    that touch the slab are pushed off it. Velocities are kept; `arrays["region"]` is 0 for the slab and 1 for the
    hydrogen. Atoms of the slab come first.
    """
    low, high = float(block.cell[2, 2]), float(fluid.cell[2, 2])
    height = low + high + 2.0 * gap_A
    molecules, mate = _whole_molecules(fluid)
    molecules.positions[:, 2] += low + gap_A
    joined = block + molecules
    joined.set_cell(np.array([block.cell[0], block.cell[1], [0.0, 0.0, height]]))
    joined.pbc = True
    joined.set_array("region", np.array([0] * len(block) + [1] * len(molecules)))
    joined.positions[:, 2] += 0.5 * (height - low)
    _clear_seam(joined, np.concatenate([np.full(len(block), -1), mate + len(block)]))
    return joined


def _whole_molecules(fluid: Atoms) -> tuple[Atoms, np.ndarray]:
    """The fluid with bonded atoms side by side and their middle inside the cell, and each atom's mate (n,).

    Bonded are mutual nearest neighbours; an atom without a mate is its own.
    """
    i, j, distance, vector = neighbor_list("ijdD", fluid, 1.3)
    order = np.lexsort((distance, i))
    first = order[np.unique(i[order], return_index=True)[1]]
    n = np.arange(len(fluid))
    mate, bond = n.copy(), np.zeros((len(fluid), 3))
    mate[i[first]], bond[i[first]] = j[first], vector[first]
    single = mate[mate] != n
    mate[single], bond[single] = n[single], 0.0
    middles = Atoms(fluid.numbers, positions=fluid.positions + 0.5 * bond, cell=fluid.cell, pbc=True)
    middles.wrap()
    # One middle for both, lest rounding puts two halves on either side of the cell.
    middles.positions[mate > n] = middles.positions[mate[mate > n]]
    whole = fluid.copy()
    whole.positions = middles.positions - 0.5 * bond
    return whole, mate


def _clear_seam(joined: Atoms, mate: np.ndarray, rounds: int = 200) -> None:
    """Push molecules, whole, off the slab (mate -1) and off each other until no seam distance is too short."""
    fluid, metal = mate >= 0, joined.numbers != 1
    partner = np.where(fluid, mate, np.arange(len(joined)))
    to_metal = _SEAM_A["H-M"] * max((relative_size(int(z), True) for z in set(joined.numbers[metal])), default=1.0)
    for _ in range(rounds):
        i, j, distance, vector = neighbor_list("ijdD", joined, max(to_metal, _SEAM_A["H-H"]))
        limit = np.where(metal[j], to_metal, np.where(fluid[j], _SEAM_A["H2-H2"], _SEAM_A["H-H"]))
        close = fluid[i] & (partner[i] != j) & (distance < 0.98 * limit)
        if not close.any():
            return
        push = np.zeros((len(joined), 3))
        np.add.at(push, i[close], -0.3 * ((limit - distance) / np.maximum(distance, 1e-3))[close, None] * vector[close])
        joined.positions += np.where((partner != np.arange(len(joined)))[:, None], push + push[partner], push)
