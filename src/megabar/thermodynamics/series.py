"""One crystal relaxed over many pressures, each a resumable task that starts from the one before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from megabar.campaign.tasks import Store, Task, run_tasks
from megabar.errors import NotConverged, RunError
from megabar.thermodynamics.engines import EnergySource, from_identity
from megabar.thermodynamics.relax import Relaxed, Symmetry, relax
from megabar.units import EV_PER_A3_IN_GPA

CODE_VERSION = "1"


def relax_task(atoms: Atoms, source: EnergySource, pressure_GPa: float, symmetry: Symmetry = "keep",
               seed: int = 0) -> Task:
    """The task that relaxes `atoms` at a pressure; `relaxed_from` reads its result."""
    return Task("megabar.thermodynamics.series:compute_relaxed", CODE_VERSION,
                crystal_inputs(atoms, source, pressure_GPa) | {"symmetry": symmetry, "seed": seed})


def crystal_inputs(atoms: Atoms, source: EnergySource, pressure_GPa: float) -> dict[str, Any]:
    """Inputs of a task about a crystal at a pressure, rounded so that a file round trip changes no hash."""
    return {"source": source.identity, "numbers": atoms.numbers.tolist(), "cell": np.round(atoms.cell[:], 8).tolist(),
            "scaled_positions": np.round(atoms.get_scaled_positions(wrap=False), 8).tolist(),
            "metallic": bool(atoms.info.get("metallic", False)), "pressure_GPa": float(pressure_GPa)}


def crystal_of(inputs: dict[str, Any]) -> Atoms:
    return Atoms(inputs["numbers"], cell=inputs["cell"], scaled_positions=inputs["scaled_positions"], pbc=True,
                 info={"metallic": inputs["metallic"]})


def compute_relaxed(inputs: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The body of a relaxation task."""
    result = relax(crystal_of(inputs), from_identity(inputs["source"]).calculator(folder), inputs["pressure_GPa"],
                   symmetry=inputs["symmetry"], seed=inputs["seed"])
    return {
        "cell": result.atoms.cell[:], "scaled_positions": result.atoms.get_scaled_positions(wrap=False),
        "energy_eV": result.energy_eV, "pressure_GPa": result.pressure_GPa,
        "forces_eV_per_A": result.atoms.get_forces(), "stress_eV_per_A3": result.atoms.get_stress(),
        "largest_force_eV_per_A": result.largest_force_eV_per_A,
        "largest_stress_error_GPa": result.largest_stress_error_GPa, "space_group_before": result.space_group_before,
        "space_group": result.space_group, "history": result.history, "notes": list(result.notes)}


def relaxed_from(task: Task, values: dict[str, Any]) -> Relaxed:
    """The `Relaxed` of a finished task."""
    inputs = task.inputs
    atoms = crystal_of({**inputs, "cell": values["cell"], "scaled_positions": values["scaled_positions"]})
    atoms.calc = SinglePointCalculator(atoms, energy=values["energy_eV"], free_energy=values["energy_eV"],
                                       forces=np.array(values["forces_eV_per_A"]),
                                       stress=np.array(values["stress_eV_per_A3"]))
    volume = float(atoms.get_volume())
    return Relaxed(atoms, inputs["pressure_GPa"], values["pressure_GPa"], values["energy_eV"],
                   values["energy_eV"] + values["pressure_GPa"] * volume / EV_PER_A3_IN_GPA, volume,
                   values["largest_force_eV_per_A"], values["largest_stress_error_GPa"],
                   values["space_group_before"], values["space_group"], np.array(values["history"]),
                   tuple(values["notes"]))


class HereExecutor(Executor):
    """Runs what is submitted at once, in this process."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def executor_for(source: EnergySource) -> Executor | None:
    """A potential takes less time than a process of its own would take to start; an engine gets one (None)."""
    return HereExecutor() if source.kind == "potential" else None


def run_relaxation(task: Task, source: EnergySource, store: Store) -> Relaxed:
    """The stored result of a relaxation task, or a new one. RunError names where it failed."""
    outcome = next(iter(run_tasks([task], store, retry_failed=True, executor=executor_for(source))))
    if outcome.result is None:
        failure = store.failure(task) or {}
        kind = NotConverged if failure.get("error") == "NotConverged" else RunError
        raise kind(f"{outcome.reason} (in {store.folder(task)})")
    return relaxed_from(task, outcome.result)


def relaxed_series(atoms: Atoms, source: EnergySource, pressures_GPa: Sequence[float], store: Store,
                   symmetry: Symmetry = "keep", seed: int = 0, report: Callable[[Relaxed], None] | None = None,
                   ) -> list[Relaxed]:
    """`atoms` relaxed at each pressure in rising order, each from the crystal of the one before; `report` is called as
    they come. The crystal stays in its valley; where it leaves it, the space group and the notes say so."""
    found: list[Relaxed] = []
    start = atoms
    for pressure in sorted(set(map(float, pressures_GPa))):
        result = run_relaxation(relax_task(start, source, pressure, symmetry, seed), source, store)
        found.append(result)
        start = result.atoms
        if report is not None:
            report(result)
    return found


def same_phase(series: Sequence[Relaxed]) -> tuple[list[Relaxed], tuple[str, ...]]:
    """The members that still have the space group of the crystal they began as (where none has, that of the most of
    them), and a note on the others: what they became, and where."""
    groups = [r.space_group for r in series]
    own = series[0].space_group_before if series[0].space_group_before in groups else max(groups, key=groups.count)
    notes = [f"{series[0].space_group_before} became {own} when relaxed: this is that phase"] \
        if own != series[0].space_group_before else []
    for other in sorted(set(groups) - {own}):
        where = ", ".join(f"{r.target_pressure_GPa:g}" for r in series if r.space_group == other)
        notes.append(f"{own} became {other} at {where} GPa: left out there")
    return [r for r in series if r.space_group == own], tuple(notes)
