"""A plan of training cells: blocks of a YAML file, each with its generator, and the cells that follow from a seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

import numpy as np
from ase import Atoms
from pydantic import Field, field_validator

from megabar.campaign.settings import Settings
from megabar.crystals import dimers, interfaces, packing, prototypes, symmetry, volumes
from megabar.errors import InputError

Range = Annotated[tuple[float, float], Field(description="lowest and highest value")]


class Block(Settings):
    """What every block has; `kind` is the group in which errors are reported."""

    kind: str = Field(description="Name of the region, such as CaH4 or liquid; errors are grouped by it.")
    count: int = Field(gt=0, le=100_000, description="Number of cells.")
    pressure_GPa: Range = Field((0.0, 200.0), description="Range of pressures that places the volumes.")

    @field_validator("pressure_GPa")
    @classmethod
    def _rising(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not 0.0 <= value[0] <= value[1] <= 1000.0:
            raise ValueError("must rise, from 0 or more to 1000 GPa at most")
        return value


class PrototypeBlock(Block):
    """Known crystals, strained and displaced."""

    generator: Literal["prototype"]
    names: list[str] = Field(description="Prototypes, taken in turn: see `megabar cells --list`.")
    strain: float = Field(0.0, ge=0.0, le=0.3, description="Standard deviation of each strain component.")
    displacement_A: Range = Field((0.0, 0.0), description="Range of the standard deviation of atomic displacements, A.")
    repeat: tuple[int, int, int] = Field((1, 1, 1), description="Supercell of the primitive cell.")
    symmetric: bool = Field(False, description="Keep the space group: strain and displace along symmetric modes only "
                                               "(few k-points, cheap labels).")

    @field_validator("names")
    @classmethod
    def _known(cls, value: list[str]) -> list[str]:
        for name in value:
            prototypes.prototype(name)
        return value


class RandomBlock(Block):
    """Random positions with minimum distances."""

    generator: Literal["random"]
    n_metal: tuple[int, int] = Field((1, 4), description="Range of metal atoms.")
    h_per_metal: Range = Field((0.0, 12.0), description="Range of H/M (ignored where n_metal is 0).")
    n_hydrogen: tuple[int, int] = Field((2, 12), description="Range of H atoms where n_metal is 0, taken even.")
    max_atoms: int = Field(20, ge=1, description="Largest cell; compositions above it are drawn again.")
    h2_share: Range = Field((0.0, 0.0), description="Range of the share of hydrogen that comes as molecules.")
    volume_scale: Range = Field((0.95, 1.2), description="Range of volume against the starting volume at P.")
    min_distance_A: dict[str, float] = Field(default_factory=dict, description="Minimum distances by H-H, H-M, M-M.")
    cubic: bool = Field(False, description="Cubic cells (melts and fluids) instead of random ones.")
    space_groups: list[str] = Field(default_factory=list, description="Cells with these space groups, taken in turn "
                                    "(P2_1, P2_12_12_1, P222, ...): labels at a half to a fifth of the cost, and "
                                    "exploration keeps the symmetry.")

    @field_validator("min_distance_A")
    @classmethod
    def _pairs(cls, value: dict[str, float]) -> dict[str, float]:
        for pair, distance in value.items():
            if pair not in packing.MIN_DISTANCES_A:
                raise ValueError(f"pair {pair!r} is unknown: use {', '.join(packing.MIN_DISTANCES_A)}")
            if not 0.0 < distance < 10.0:
                raise ValueError(f"{pair} of {distance} A is outside 0-10 A")
        return value

    @field_validator("space_groups")
    @classmethod
    def _groups(cls, value: list[str]) -> list[str]:
        for name in value:
            symmetry.space_group(name)
        return value


class InterfaceBlock(Block):
    """Thin slabs of a hydride beside fluid hydrogen."""

    generator: Literal["interface"]
    phase: str = Field(description="Prototype of the slab.")
    faces: list[str] = Field(description="Faces, taken in turn.")
    repeat: tuple[int, int, int] = Field((1, 1, 1), description="Repeats of the surface cell; third along the normal.")
    n_molecules: tuple[int, int] = Field((4, 8), description="Range of H2 molecules.")
    displacement_A: Range = Field((0.02, 0.3), description="Range of the standard deviation of displacements, A.")
    gap_A: Range = Field((1.3, 2.0), description="Range of the gap between slab and hydrogen.")


class DimerBlock(Block):
    """Pairs in a box."""

    generator: Literal["dimer"]
    pairs: list[str] = Field(description="Pairs such as H-H, H-M, M-M; `count` cells are shared among them.")
    box_A: float = Field(6.0, ge=5.0, le=20.0, description="Edge of the cubic box.")
    distance_A: Range | None = Field(None, description="Range of distances; default: from contact to beyond bonding.")


class SqueezedBlock(Block):
    """Crystals and random cells compressed far beyond their pressure: the wall in the bulk."""

    generator: Literal["squeezed"]
    names: list[str] = Field(description="Prototypes, taken in turn.")
    volume_scale: Range = Field((0.45, 0.8), description="Range of volume against that at the drawn pressure.")
    displacement_A: Range = Field((0.0, 0.15), description="Range of the standard deviation of displacements, A.")


AnyBlock = Annotated[
    PrototypeBlock | RandomBlock | InterfaceBlock | DimerBlock | SqueezedBlock, Field(discriminator="generator")
]


class Plan(Settings):
    """A metal, a seed and blocks of cells."""

    metal: str = Field(description="The metal M of every prototype.")
    seed: int = Field(0, ge=0, description="Seed of every random choice.")
    shortest_HH_A: float = Field(0.5, ge=0.5, description="Cells with a shorter H-H are drawn again.")
    blocks: list[AnyBlock] = Field(min_length=1, description="What to make.")

    @field_validator("metal")
    @classmethod
    def _metal(cls, value: str) -> str:
        if value not in volumes.metals():
            raise ValueError(f"no starting volumes for it; known metals: {', '.join(volumes.metals())}")
        return value


def generate(plan: Plan) -> Iterator[Atoms]:
    """The cells of `plan`, in order. Each block has its own random stream, so blocks can be added without effect.

    `info` of each: kind, origin (generator, parent, pressure, seed), parent (what a split must keep together),
    metallic, target_pressure_GPa. Raises InputError naming the block when its constraints cannot be met.
    """
    for number, block in enumerate(plan.blocks):
        make = _GENERATORS[block.generator]
        for index in range(block.count):
            rng = np.random.default_rng([plan.seed, number, index])
            try:
                atoms, pressure = _acceptable(make, block, plan, index, rng)
            except InputError as error:
                raise InputError(f"block {number} ({block.kind}, {block.generator}), cell {index}: {error}") from None
            parent = atoms.info.pop("parent", f"{block.kind}-{number}-{index}")
            metallic = bool(atoms.info.get("metallic", False))
            kept = {key: atoms.info[key] for key in ("space_group",) if key in atoms.info}
            atoms.info = {
                "kind": block.kind, "parent": parent, "metallic": metallic,
                "target_pressure_GPa": float(round(pressure, 3)),
                "origin": f"cells {block.generator} {atoms.info.get('made', '')} seed={plan.seed}/{number}/{index}",
                **kept,
            }
            for name in set(atoms.arrays) - {"numbers", "positions"}:
                del atoms.arrays[name]
            atoms.wrap()
            yield atoms


def _acceptable(make: Callable[..., Atoms], block: Any, plan: Plan, index: int,
                rng: np.random.Generator) -> tuple[Atoms, float]:
    """A cell and its pressure; draws again when a draw cannot be packed or brings two H too close."""
    failures = 0
    reason = f"every draw had an H-H below {plan.shortest_HH_A} A: lower the displacement or the pressure"
    for _ in range(25):
        pressure = float(rng.uniform(*block.pressure_GPa))
        try:
            atoms = make(block, plan.metal, index, pressure, rng)
        except InputError as error:
            failures, reason = failures + 1, str(error)
            if failures == 8:
                break
            continue
        if shortest_HH_A(atoms, plan.shortest_HH_A) >= plan.shortest_HH_A:
            return atoms, pressure
    raise InputError(reason)


def shortest_HH_A(atoms: Atoms, within_A: float = 2.0) -> float:
    """Shortest H-H distance in A, periodic images included; `within_A` when none is closer."""
    from ase.neighborlist import neighbor_list

    distances = neighbor_list("d", atoms, {("H", "H"): within_A})
    return float(distances.min()) if len(distances) else within_A


def rattle(atoms: Atoms, displacement_A: tuple[float, float], rng: np.random.Generator) -> None:
    """Displace every atom by a normal deviate whose width is drawn from the range; metals move 0.6 times as far."""
    width = rng.uniform(*displacement_A)
    scale = np.where(atoms.numbers == 1, 1.0, 0.6)[:, None]
    atoms.positions += rng.normal(scale=width, size=atoms.positions.shape) * scale


def _prototype(block: PrototypeBlock, metal: str, index: int, pressure: float, rng: np.random.Generator) -> Atoms:
    name = block.names[index % len(block.names)]
    atoms = prototypes.build(name, metal, pressure)
    metallic = atoms.info["metallic"]
    atoms = atoms.repeat(block.repeat)
    strain = rng.normal(scale=block.strain, size=(3, 3)) if block.strain else np.zeros((3, 3))
    strain = (strain + strain.T) / 2.0
    if block.symmetric:
        _symmetric_part(atoms, strain, block, rng)
    else:
        atoms.set_cell(atoms.cell[:] @ (np.eye(3) + strain), scale_atoms=True)
        rattle(atoms, block.displacement_A, rng)
    atoms.info = {"made": name, "metallic": metallic}
    return atoms


def _symmetric_part(atoms: Atoms, strain: np.ndarray, block: PrototypeBlock, rng: np.random.Generator) -> None:
    """Strain and displace `atoms` in place by what its space group leaves of a random strain and displacement."""
    from ase.spacegroup.symmetrize import prep_symmetry, symmetrize_rank1, symmetrize_rank2

    rotations, translations, mapping = prep_symmetry(atoms, symprec=1e-4)
    cell, inverse = atoms.cell[:].copy(), atoms.cell.reciprocal()[:].T
    moved = atoms.copy()
    # The average over the group shrinks a random vector, so wider deviates are drawn for the same width.
    rattle(moved, (2.0 * block.displacement_A[0], 2.0 * block.displacement_A[1]), rng)
    kept = symmetrize_rank1(cell, inverse, moved.positions - atoms.positions, rotations, translations, mapping)
    atoms.positions += kept
    atoms.set_cell(cell @ (np.eye(3) + symmetrize_rank2(cell, inverse, strain, rotations)), scale_atoms=True)


def _random(block: RandomBlock, metal: str, index: int, pressure: float, rng: np.random.Generator) -> Atoms:
    names = block.space_groups
    group = symmetry.space_group(names[index % len(names)]) if names else None
    for _ in range(200):
        n_metal = int(rng.integers(block.n_metal[0], block.n_metal[1] + 1))
        n_hydrogen = (int(round(n_metal * rng.uniform(*block.h_per_metal))) if n_metal
                      else 2 * int(rng.integers(block.n_hydrogen[0] // 2, block.n_hydrogen[1] // 2 + 1)))
        if 0 < n_metal + n_hydrogen <= block.max_atoms and (group is None
                                                            or symmetry.fits(n_metal, n_hydrogen, group, rng)):
            break
    else:
        of = f"of whole orbits of {group.name} " if group is not None else ""
        raise InputError(f"no composition {of}with at most max_atoms {block.max_atoms}: raise it or lower h_per_metal")
    share = float(rng.uniform(*block.h2_share))
    scale = float(rng.uniform(*block.volume_scale))
    made = {}
    if group is not None:
        atoms = symmetry.random_symmetric(metal, n_metal, n_hydrogen, pressure, group, rng, block.min_distance_A,
                                          scale, share)
        made = {"space_group": group.name}
    else:
        atoms = packing.random_hydride(metal, n_metal, n_hydrogen, pressure, rng, block.min_distance_A, scale,
                                       block.cubic, share)
    atoms.info = {"made": " ".join([atoms.get_chemical_formula(), *made.values()]), **made,
                  "metallic": volumes.short_of_hydrogen(metal, n_metal, n_hydrogen)}
    return atoms


def _interface(block: InterfaceBlock, metal: str, index: int, pressure: float, rng: np.random.Generator) -> Atoms:
    face = block.faces[index % len(block.faces)]
    body = interfaces.slab(block.phase, face, metal, pressure, block.repeat)
    rattle(body, block.displacement_A, rng)
    molecules = int(rng.integers(block.n_molecules[0], block.n_molecules[1] + 1))
    atoms = interfaces.interface(body, molecules, pressure, rng, float(rng.uniform(*block.gap_A)))
    atoms.info = {"made": f"{block.phase}({face})|H2"}
    return atoms


def _dimer(block: DimerBlock, metal: str, index: int, pressure: float, rng: np.random.Generator) -> Atoms:
    pair = block.pairs[index % len(block.pairs)]
    a, b = ((metal if s == "M" else s) for s in pair.split("-"))
    each = -(-block.count // len(block.pairs))
    wanted = block.distance_A
    distances = dimers.wall_distances_A(a, b, each) if wanted is None else np.linspace(*wanted, each)
    distance = float(distances[index // len(block.pairs)])
    atoms = dimers.dimer(a, b, distance, block.box_A)
    atoms.info = {"made": f"{a}-{b} {distance:.3f} A", "parent": f"dimer-{pair}-{index}"}
    return atoms


def _squeezed(block: SqueezedBlock, metal: str, index: int, pressure: float, rng: np.random.Generator) -> Atoms:
    name = block.names[index % len(block.names)]
    atoms = prototypes.build(name, metal, pressure)
    metallic = atoms.info["metallic"]
    scale = float(rng.uniform(*block.volume_scale))
    atoms.set_cell(atoms.cell[:] * scale ** (1.0 / 3.0), scale_atoms=True)
    rattle(atoms, block.displacement_A, rng)
    atoms.info = {"made": f"{name} V x {scale:.3f}", "metallic": metallic}
    return atoms


_GENERATORS: dict[str, Callable[..., Atoms]] = {
    "prototype": _prototype, "random": _random, "interface": _interface, "dimer": _dimer, "squeezed": _squeezed,
}
