"""Where explorations begin: the cells of a plan's blocks, on its grid of pressures and temperatures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms

from megabar.crystals import interfaces, plan, prototypes
from megabar.crystals.packing import pair_minimum_A, separate
from megabar.dynamics.learning_plan import CoexistenceBlock, Exploration, LearnPlan, VacuumBlock
from megabar.errors import InputError


@dataclass(frozen=True, eq=False)
class Start:
    """A cell, and the run to make of it."""

    atoms: Atoms
    exploration: Exploration
    pressure_GPa: float
    temperature_K: float


def starts(learn: LearnPlan, round_number: int) -> Iterator[Start]:
    """The runs of a round, in order; each round draws anew. InputError names the exploration that cannot be made."""
    for number, exploration in enumerate(learn.explore):
        grid = exploration.temperatures_K
        for k, atoms in enumerate(_cells(learn, exploration, number, round_number)):
            # A grid that is shorter than the runs is gone through from another point in each round.
            temperature = grid[(k + round_number) % len(grid)]
            yield Start(atoms, exploration, float(atoms.info["target_pressure_GPa"]), temperature)


def check(learn: LearnPlan) -> None:
    """Make the first cell of every block, so that an impossible one is known before anything runs."""
    for number, exploration in enumerate(learn.explore):
        short = exploration.model_copy(update={
            "start": exploration.start.model_copy(update={"count": 1}),
            "pressures_GPa": exploration.pressures_GPa and [max(exploration.pressures_GPa)]})
        list(_cells(learn, short, number, 0))
    if learn.seed_cells:
        blocks = [block.model_copy(update={"count": 1}) for block in learn.seed_cells]
        list(plan.generate(_plan(learn, learn.seed, blocks)))


def _cells(learn: LearnPlan, exploration: Exploration, number: int, round_number: int) -> Iterator[Atoms]:
    block = exploration.start
    for k, pressure in enumerate(exploration.pressures_GPa or [None]):
        placed = block if pressure is None else block.model_copy(update={"pressure_GPa": (pressure, pressure)})
        seed = [learn.seed, round_number, number, k]
        try:
            if isinstance(placed, VacuumBlock | CoexistenceBlock):
                yield from _own(learn.metal, placed, seed)
                continue
            one = int(np.random.default_rng(seed).integers(2**31))
            yield from plan.generate(_plan(learn, one, [placed]))
        except InputError as error:
            text = str(error).removeprefix(f"block 0 ({block.kind}, {block.generator}), ")
            raise InputError(f"explore {number} ({block.kind}, {block.generator}): {text}") from None


def _plan(learn: LearnPlan, seed: int, blocks: list[Any]) -> plan.Plan:
    return plan.Plan.model_validate({"metal": learn.metal, "seed": seed, "blocks": blocks})


def seed_cells(learn: LearnPlan) -> Iterator[Atoms]:
    """The cells that are labelled before the first round."""
    return plan.generate(_plan(learn, learn.seed, list(learn.seed_cells)))


def _own(metal: str, block: VacuumBlock | CoexistenceBlock, seed: list[int]) -> Iterator[Atoms]:
    for index in range(block.count):
        rng = np.random.default_rng([*seed, index])
        pressure = float(rng.uniform(*block.pressure_GPa))
        make = _vacuum if isinstance(block, VacuumBlock) else _coexistence
        atoms = make(metal, block, index, pressure, rng)  # type: ignore[arg-type]
        atoms.info = {"kind": block.kind, "metallic": bool(atoms.info.get("metallic", False)),
                      "target_pressure_GPa": round(pressure, 3), "origin": f"{block.generator} {atoms.info['made']}"}
        atoms.wrap()
        yield Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True, info=atoms.info)


def _vacuum(metal: str, block: VacuumBlock, index: int, pressure: float, rng: np.random.Generator) -> Atoms:
    face = block.faces[index % len(block.faces)]
    body = interfaces.slab(block.phase, face, metal, pressure, block.repeat)
    plan.rattle(body, block.displacement_A, rng)
    cell = body.cell[:].copy()
    cell[2, 2] += float(rng.uniform(*block.vacuum_A))
    body.set_cell(cell)
    body.info = {"made": f"{block.phase}({face})|vacuum"}
    return body


def _coexistence(metal: str, block: CoexistenceBlock, index: int, pressure: float, rng: np.random.Generator) -> Atoms:
    name = block.names[index % len(block.names)]
    crystal = prototypes.build(name, metal, pressure)
    metallic = crystal.info["metallic"]
    atoms = crystal.repeat(block.repeat)
    upper = atoms.get_scaled_positions()[:, 2] >= 0.5 - 1e-6
    if upper.all() or not upper.any():
        raise InputError("the supercell cannot be halved along its third axis: repeat it there")
    atoms.positions[upper] += rng.normal(scale=block.disorder_A, size=(int(upper.sum()), 3))
    limits = 0.9 * pair_minimum_A(atoms.numbers, {"H-H": 0.75})
    separate(atoms, limits, steps=300)
    atoms.info = {"made": f"{name} half disordered", "metallic": metallic}
    return atoms
