"""Labels through tasks: cells in, frames with REF_energy, REF_forces and REF_stress out."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from megabar.campaign.tasks import Outcome, Store, Task, run_tasks
from megabar.crystals.plan import shortest_HH_A
from megabar.errors import InputError, NotConverged
from megabar.firstprinciples.engine import engine
from megabar.firstprinciples.levels import Level, level, metal_rich

CODE_VERSION = "1"
"""Raise it when what a label means changes; labels of another version are then computed anew."""
METAL_CODE_VERSION = "2"
"""The same for cells with fewer than two hydrogen to a metal, which had too few bands in version 1."""

_PATIENCE = 30.0
"""A label that has taken so many times the processor time estimated for it is given up: one that hangs would hold a
core for the rest of the night."""

_PROVENANCE = ("kind", "origin", "parent", "target_pressure_GPa", "metallic")


def label_task(atoms: Atoms, level_id: str) -> Task:
    """The task that labels `atoms`. Positions and cell are rounded to 1e-8 A, so a file round trip changes nothing."""
    inputs = {
        "level": level_id,
        "numbers": atoms.numbers.tolist(),
        "cell": np.round(atoms.cell[:], 8).tolist(),
        "positions": np.round(atoms.positions, 8).tolist(),
        "metallic": bool(atoms.info.get("metallic", False)),
    }
    version = METAL_CODE_VERSION if metal_rich(atoms) else CODE_VERSION
    return Task("megabar.firstprinciples.label:compute_label", version, inputs)


def compute_label(inputs: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The body of a label task. Raises NotConverged for cells at which the level is not to be trusted."""
    atoms = _cell(inputs)
    chosen = level(inputs["level"])
    shortest = shortest_HH_A(atoms)
    if chosen.engine == "gpaw" and shortest < chosen.shortest_HH_A:
        raise NotConverged(f"H-H of {shortest:.3f} A is below {chosen.shortest_HH_A} A: PAW spheres overlap")
    with _at_most(_PATIENCE * (30.0 + estimated_cpu_s(atoms, chosen))):
        label = engine(chosen.engine).compute(atoms, chosen, folder)
    values = (np.array(label.energy_eV), label.forces_eV_per_A, label.stress_eV_per_A3)
    if not all(np.isfinite(v).all() for v in values):
        raise NotConverged("the engine returned a number that is not finite")
    return {
        "energy_eV": label.energy_eV,
        "forces_eV_per_A": label.forces_eV_per_A,
        "stress_eV_per_A3": label.stress_eV_per_A3,
        "iterations": label.iterations,
        "k_mesh": chosen.k_mesh(atoms),
    }


@contextmanager
def _at_most(cpu_s: float) -> Iterator[None]:
    """Raise NotConverged when the block takes more processor time of this process. What a child takes does not count,
    nor the time of a process that is stopped. Signals reach the main thread only, so elsewhere there is no limit."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def give_up(*_: object) -> None:
        raise NotConverged(f"given up after {cpu_s:.0f} s of processor time, {_PATIENCE:.0f} times what such a cell "
                           "should take; the engine's log says where it hangs")

    before = signal.signal(signal.SIGPROF, give_up)
    signal.setitimer(signal.ITIMER_PROF, cpu_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)


def _cell(inputs: dict[str, Any]) -> Atoms:
    return Atoms(inputs["numbers"], cell=inputs["cell"], positions=inputs["positions"], pbc=True,
                 info={"metallic": inputs["metallic"]})


def labelled_frame(atoms: Atoms, task: Task, result: dict[str, Any]) -> Atoms:
    """`atoms` as labelled: REF_energy (eV), REF_forces (n, 3), REF_stress (nine numbers, eV/A^3), level, task and
    provenance."""
    frame = _cell(task.inputs)
    frame.info = {key: atoms.info[key] for key in _PROVENANCE if key in atoms.info}
    frame.info.update(REF_energy=float(result["energy_eV"]), REF_stress=np.array(result["stress_eV_per_A3"]).ravel(),
                      level=task.inputs["level"], task=task.hash)
    frame.set_array("REF_forces", np.array(result["forces_eV_per_A"]))
    return frame


def estimated_cpu_s(atoms: Atoms, chosen: Level) -> float:
    """Rough cost of a GPAW label on one core in seconds, within a factor of two for 2 to 20 atoms of Ca and H.

    Power law in the number of bands, the volume (plane waves) and the irreducible k-points, fitted to 149 labels of
    the Ca-H set on a core of an AMD EPYC of 2023; iterations vary from 7 to 100 and are the rest.
    """
    import spglib

    mesh = chosen.k_mesh(atoms)
    cell = (atoms.cell[:], atoms.get_scaled_positions(), atoms.numbers)
    found = spglib.get_ir_reciprocal_mesh(mesh, cell, is_shift=[0, 0, 0], symprec=1e-5)
    k_points = len(np.unique(found[0])) if found is not None else int(np.prod(mesh)) / 2
    bands = float(np.sum(np.where(atoms.numbers == 1, 0.5, 5.0))) + 4.0
    waves = atoms.get_volume() * (chosen.cutoff(atoms) / 700.0) ** 1.5
    return 2.0 + 0.019 * bands**0.37 * waves**0.68 * k_points**0.85


def check_cells(cells: Sequence[Atoms], chosen: Level) -> None:
    """Raise InputError before anything runs when a cell cannot be labelled at all."""
    for number, atoms in enumerate(cells):
        if not atoms.pbc.all() or abs(atoms.cell.volume) < 1e-3:
            raise InputError(f"cell {number}: the reference level is periodic in three directions; give it a full cell")
        if chosen.pulay_GPa_A3:
            chosen.add_pulay(np.zeros((3, 3)), atoms)
    reason = engine(chosen.engine).available()
    if reason is not None:
        raise InputError(reason)


def label_cells(cells: Sequence[Atoms], level_id: str, store: Store, jobs: int = 1,
                retry_failed: bool = False) -> Iterator[tuple[Atoms, Outcome]]:
    """(cell, outcome) as labels come, cheapest first: when a night is cut short, most of the set is there."""
    by_hash: dict[str, Atoms] = {}
    ordered: list[Task] = []
    for atoms in cells:
        task = label_task(atoms, level_id)
        if task.hash not in by_hash:
            by_hash[task.hash] = atoms
            ordered.append(task)
    chosen = level(level_id)
    ordered.sort(key=lambda task: estimated_cpu_s(by_hash[task.hash], chosen))
    for outcome in run_tasks(ordered, store, jobs, retry_failed):
        yield by_hash[outcome.task.hash], outcome
