"""Synthetic trajectories with known answers, to hold an analysis of reactions against.

All makers yield `Frame`s one at a time. Crystals are the prototypes at 40 GPa; nothing here obeys a potential.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import make_supercell

from megabar.crystals import prototypes
from megabar.crystals.interfaces import FACES, fluid_hydrogen_layer, slab
from megabar.crystals.packing import separate
from megabar.dynamics.trajectory import Frame

Move = Callable[[float, np.ndarray], np.ndarray]
"""Given the time in ps and positions (n, 3), the positions at that time."""
_MOLECULE_A3 = 9.0
"""Volume of an H2 of the synthetic fluid: somewhat above the 7 A^3 at 40 GPa, so that shaken molecules do not touch."""
_GAP_A = 1.2
"""Between the slab's end and the nearest atom of a molecule."""


def hydride_slab(layers: int = 8, wide: int = 4, molecules: int = 60, phase: str = "MH2-P6_3/mmc", face: str = "001",
                 seed: int = 0, shift_A: float = 0.0, stretch: float = 1.0) -> Atoms:
    """A slab of `layers` metal planes in the middle of `molecules` H2 on both sides, its normal along c.

    The slab stands at the origin's height plus `shift_A`; atoms of the slab come first, the H2 in pairs after them.
    The crystal is wider by `stretch`: with 1.1 it has room for an H2 per metal.
    `layers` must be a multiple of the planes in the surface cell (2 for MH2-P6_3/mmc 001).
    """
    unit = slab(phase, face, "Ca", 40.0, (1, 1, 1))
    planes = len(np.unique(np.round(unit.get_scaled_positions()[unit.numbers != 1, 2], 3)))
    if layers % planes:
        raise ValueError(f"{layers} layers are not a multiple of the {planes} planes of {phase} {face}")
    block = slab(phase, face, "Ca", 40.0, (wide, wide, layers // planes))
    block.set_cell(block.cell * stretch, scale_atoms=True)
    joined = _between_hydrogen(block, molecules, np.random.default_rng(seed))
    joined.positions[:, 2] += shift_A
    return joined


def _between_hydrogen(block: Atoms, molecules: int, rng: np.random.Generator) -> Atoms:
    """`block` with H2 above it and, through the periodic boundary, below it."""
    height = float(block.cell[2, 2])
    area = abs(float(np.linalg.det(block.cell[:2, :2])))
    fluid_A = molecules * _MOLECULE_A3 / area
    fluid = fluid_hydrogen_layer(block.cell[:2], molecules, fluid_A, rng)
    limit = np.full((2 * molecules, 2 * molecules), 1.5)
    for k in range(0, 2 * molecules, 2):
        limit[k, k + 1] = limit[k + 1, k] = 0.0
    separate(fluid, limit, steps=100)
    pairs = fluid.positions.reshape(-1, 2, 3)
    bond = pairs[:, 1] - pairs[:, 0]
    pairs[:, 1] = pairs[:, 0] + 0.74 * bond / np.linalg.norm(bond, axis=1)[:, None]
    pairs[:, :, 2] -= np.floor(pairs[:, :1, 2] / fluid_A) * fluid_A
    fluid.positions = pairs.reshape(-1, 3) + [0.0, 0.0, height + _GAP_A]
    joined = block + fluid
    cell = block.cell[:].copy()
    cell[2, 2] = height + fluid_A + 2.0 * _GAP_A
    joined.set_cell(cell)
    return joined


def product_crystal(phase: str, at_least_A: float = 12.0, pressure_GPa: float = 40.0) -> Atoms:
    """A block of a prototype, at least that wide in every direction."""
    unit = prototypes.build(phase, "Ca", pressure_GPa)
    heights = 1.0 / np.linalg.norm(np.linalg.inv(unit.cell[:]), axis=0)
    return unit.repeat(tuple(np.ceil(at_least_A / heights).astype(int)))


def product_slab(phase: str, molecules: int = 60, wide: int = 4, deep: int = 4, seed: int = 0) -> Atoms:
    """A slab of any prototype between H2, `deep` conventional cells thick along its c axis."""
    if phase in FACES:
        unit = slab(phase, "001", "Ca", 40.0, (1, 1, 1))
    else:
        unit = prototypes.build(phase, "Ca", 40.0)
        if abs(unit.cell[2, :2]).max() > 1e-6 or abs(unit.cell[:2, 2]).max() > 1e-6:
            unit = make_supercell(unit, np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]))  # bcc primitive to cubic
    block = unit.repeat((wide, wide, deep))
    return _between_hydrogen(block, molecules, np.random.default_rng(seed))


def thermal(atoms: Atoms, frames: int, interval_ps: float = 0.02, amplitude_A: float = 0.15, memory_ps: float = 0.0,
            drift_A_per_ps: tuple[float, float, float] = (0.0, 0.0, 0.0), seed: int = 0,
            move: Move | None = None) -> Iterator[Frame]:
    """`atoms` shaken: metals by `amplitude_A` (root mean square in three dimensions), H2 bonds kept.

    Displacements are Gaussian, independent from frame to frame or with a memory of `memory_ps`. H atoms closer than
    0.95 A at the start move together, so that bonds last. The whole drifts. `move` gets the time and the positions
    (n, 3) before shaking and returns new ones: what is known of the answer is put in there.
    """
    rng = np.random.default_rng(seed)
    cell, numbers = atoms.cell[:].copy(), atoms.numbers.copy()
    group = _molecules(atoms)
    keep = np.exp(-interval_ps / memory_ps) if memory_ps > 0 else 0.0
    shake = rng.normal(size=(group.max() + 1, 3))
    for k in range(frames):
        if k:
            shake = keep * shake + np.sqrt(1.0 - keep**2) * rng.normal(size=shake.shape)
        time = k * interval_ps
        places = atoms.positions.copy() if move is None else move(time, atoms.positions.copy())
        places += shake[group] * amplitude_A / np.sqrt(3.0) + np.array(drift_A_per_ps) * time
        fractions = places @ np.linalg.inv(cell)
        yield Frame(time, cell, numbers, (fractions - np.floor(fractions)) @ cell)


def episodes(*parts: tuple[Atoms, int], interval_ps: float = 0.05, amplitude_A: float = 0.2,
             seed: int = 0) -> Iterator[Frame]:
    """States of the same atoms one after another, each shaken for so many frames; the change between them is abrupt.

    Atoms are put into one order: metals, then hydrogen. Raises ValueError when the parts have different atoms.
    """
    time = 0.0
    numbers = None
    for k, (atoms, frames) in enumerate(parts):
        ordered = atoms[np.argsort(atoms.numbers == 1, kind="stable")]
        if numbers is not None and not np.array_equal(ordered.numbers, numbers):
            raise ValueError(f"part {k} has {ordered.symbols}, the first one has other atoms")
        numbers = ordered.numbers
        for frame in thermal(ordered, frames, interval_ps, amplitude_A, memory_ps=interval_ps, seed=seed + k):
            yield replace(frame, time_ps=time + frame.time_ps)
        time += frames * interval_ps


def walking(chosen: np.ndarray, diffusion_A2_per_ps: float, interval_ps: float, in_plane: bool = True,
            seed: int = 0) -> Move:
    """A `move` in which the atoms `chosen` (indices) walk at random with a known diffusion coefficient."""
    rng = np.random.default_rng(seed)
    walk = np.zeros((len(chosen), 3))
    previous = 0.0

    def move(time: float, places: np.ndarray) -> np.ndarray:
        nonlocal walk, previous
        if time > previous:
            step = rng.normal(size=walk.shape) * np.sqrt(2.0 * diffusion_A2_per_ps * (time - previous))
            if in_plane:
                step[:, 2] = 0.0
            walk = walk + step
            previous = time
        places[chosen] += walk
        return places

    return move


def melt(atoms: Atoms, chosen: np.ndarray, seed: int = 0) -> Atoms:
    """`atoms` with the metals `chosen` (indices) scattered at random over the space they took, as in a dense melt."""
    rng = np.random.default_rng(seed)
    result = atoms.copy()
    metals = np.flatnonzero(atoms.numbers != 1)
    depth = atoms.positions[chosen, 2]
    low, high = depth.min() - 0.6, depth.max() + 0.6
    places = rng.random((len(chosen), 3)) @ atoms.cell[:]
    places[:, 2] = rng.uniform(low, high, len(chosen))
    result.positions[chosen] = places
    lattice = result[metals]
    # Random close packing of spheres whose diameter is 0.9 of the mean distance.
    diameter = 0.92 * (abs(float(np.linalg.det(atoms.cell[:2, :2]))) * (high - low) / len(chosen)) ** (1.0 / 3.0)
    free = np.isin(metals, chosen)
    for _ in range(60):
        before = lattice.positions.copy()
        done = separate(lattice, np.full((len(metals), len(metals)), diameter), steps=1)
        lattice.positions[~free] = before[~free]
        lattice.positions[free, 2] = np.clip(lattice.positions[free, 2], low, high)
        if done:
            break
    result.positions[metals] = lattice.positions
    return result


def write_frames(path: str | Path, frames: Iterable[Frame]) -> Path:
    """The frames as an extxyz file with time_ps, as any other program might have written them."""
    from ase.data import chemical_symbols

    path = Path(path)
    with path.open("w", encoding="utf-8") as handle:
        for frame in frames:
            lattice = " ".join(f"{x:.8f}" for x in frame.cell_A.ravel())
            handle.write(f'{len(frame.numbers)}\nLattice="{lattice}" Properties=species:S:1:pos:R:3 pbc="T T T" '
                         f"time_ps={frame.time_ps:.6f}\n")
            for number, (x, y, z) in zip(frame.numbers, frame.positions_A, strict=True):
                handle.write(f"{chemical_symbols[number]:<2s} {x:14.6f} {y:14.6f} {z:14.6f}\n")
    return path


def voids(atoms: Atoms, heights_A: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(m, 3) one place at each height, the widest of 400 tried between the atoms and the places taken before."""
    inverse = np.linalg.inv(atoms.cell[:])
    taken = atoms.positions.copy()
    for height in heights_A:
        tried = rng.random((400, 3)) @ atoms.cell[:]
        tried[:, 2] = height
        near = taken[np.abs(taken[:, 2] - height) < 3.0]
        gap = (tried[:, None] - near[None]) @ inverse
        gap = (gap - np.rint(gap)) @ atoms.cell[:]
        free = np.einsum("ijk,ijk->ij", gap, gap).min(axis=1)
        taken = np.vstack([taken, tried[np.argmax(free)]])
    return taken[len(atoms):]


def _molecules(atoms: Atoms) -> np.ndarray:
    """(n,) group of each atom: an H2 bond makes one group, every other atom its own."""
    from megabar.reaction.speciation import bonds

    group = np.arange(len(atoms))
    hydrogen = np.flatnonzero(atoms.numbers == 1)
    if len(hydrogen) > 1:
        partner = bonds(atoms.positions[hydrogen], atoms.cell[:]).partner
        paired = np.flatnonzero(partner >= 0)
        group[hydrogen[paired]] = np.minimum(hydrogen[paired], hydrogen[partner[paired]])
    return np.unique(group, return_inverse=True)[1]


def entering(molecules: np.ndarray, targets_A: np.ndarray, when_ps: np.ndarray) -> Move:
    """A `move` in which the molecules (m, 2 indices) jump, centre to targets_A (m, 3), at the times when_ps (m,)."""

    def move(time: float, places: np.ndarray) -> np.ndarray:
        gone = time >= when_ps
        pairs = places[molecules[gone]]
        places[molecules[gone]] = pairs - pairs.mean(axis=1, keepdims=True) + targets_A[gone][:, None]
        return places

    return move


def front(atoms: Atoms, speed_A_per_ps: float, start_ps: float = 0.0, seed: int = 0) -> tuple[Move, float]:
    """A `move` that fills the slab with one H2 per metal behind a front which runs inwards from the lower face.

    Also returns the lower face's place in A (half a layer below the lowest metal). Needs as many molecules as metals.
    """
    metals = np.flatnonzero(atoms.numbers != 1)
    group = _molecules(atoms)
    hydrogen = np.flatnonzero(atoms.numbers == 1)
    counts = np.bincount(group, minlength=group.max() + 1)
    paired = hydrogen[counts[group[hydrogen]] == 2]
    molecules = paired[np.argsort(group[paired], kind="stable")].reshape(-1, 2)
    if len(molecules) < len(metals):
        raise ValueError(f"{len(molecules)} molecules cannot fill a slab of {len(metals)} metals")
    rng = np.random.default_rng(seed)
    planes = np.unique(np.round(atoms.positions[metals, 2], 2))
    lower = float(planes[0] - 0.5 * (planes[1] - planes[0]))
    upper = float(planes[-1] + 0.5 * (planes[1] - planes[0]))
    depth = (np.arange(len(metals)) + 0.5) / len(metals) * (upper - lower)
    targets = voids(atoms, lower + depth, rng)
    when = start_ps + depth / speed_A_per_ps
    return entering(molecules[: len(metals)], targets, when), lower
