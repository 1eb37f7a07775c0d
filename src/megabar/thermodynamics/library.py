"""The phases that are tried for a composition (known prototypes and given files), and their enthalpies at pressure.

Every phase at every pressure is a task of its own: kept in a store, never computed twice, shared by the verbs.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from ase import Atoms

from megabar.campaign.tasks import Outcome, Store, Task, run_tasks
from megabar.crystals import prototypes
from megabar.crystals.files import read_frames
from megabar.crystals.volumes import metals
from megabar.errors import InputError, PhaseUnknown, RunError
from megabar.thermodynamics.curves import PhaseCurve, contenders
from megabar.thermodynamics.engines import EnergySource
from megabar.thermodynamics.reactions import Formula, formula_of, parse_formula
from megabar.thermodynamics.relax import Symmetry
from megabar.thermodynamics.series import executor_for, relax_task, relaxed_from
from megabar.thermodynamics.settings import PhaseSettings
from megabar.thermodynamics.vibrations import with_vibrations

HYDROGEN = parse_formula("H2")
Progress = Callable[[str, Outcome], None]
"""Told the stage ("relax", "phonons", "md") and what became of a task."""


@dataclass(frozen=True)
class Phase:
    """A structure to try: a prototype filled with `metal`, or the cell of a file. `formula` is reduced."""

    name: str
    formula: Formula
    source: str
    prototype: str = ""
    metal: str = ""
    atoms: Atoms | None = None

    def cell(self, pressure_GPa: float) -> Atoms:
        """A cell near `pressure_GPa`; that of a file is taken as it is (relaxing it may take longer)."""
        if self.atoms is not None:
            return self.atoms.copy()
        try:
            return prototypes.build(self.prototype, self.metal, pressure_GPa)
        except ValueError:
            raise InputError(f"{self.name}: no starting volume is known at {pressure_GPa:g} GPa; give a cell near it "
                             "with --phase") from None


def from_file(path: str | Path) -> Phase:
    """The phase in the last frame of a file, named after it."""
    source = Path(path)
    atoms = read_frames(source)[-1]
    cell = Atoms(atoms.numbers, cell=atoms.cell, positions=atoms.positions, pbc=True)
    cell.info["metallic"] = bool(atoms.info.get("metallic", False))
    return Phase(f"{formula_of(cell).text} {source.stem}", formula_of(cell), str(source), atoms=cell)


def phases_of(formula: Formula, files: Sequence[str | Path] = (), library: bool = True) -> tuple[Phase, ...]:
    """Phases with the composition of `formula`: prototypes (if `library`) and those of `files` that have it.

    Raises PhaseUnknown when there is none, saying what to give.
    """
    found = list(_prototypes_of(formula)) if library else []
    found += [phase for phase in map(from_file, files) if phase.formula.text == formula.reduced.text]
    if not found:
        raise PhaseUnknown(f"no known phase of {formula.text}: give a cell of it with --phase FILE (prototypes exist "
                           f"for H2 and for {', '.join(metals())} with 0, 2, 4, 5.75 and 6 H)")
    return tuple(found)


def compositions_of(elements: Sequence[str], files: Sequence[str | Path] = (), library: bool = True,
                    ) -> tuple[Formula, ...]:
    """Reduced compositions within `elements` for which a phase is known or given, each once."""
    found: dict[str, Formula] = {}
    if library:
        for element in elements:
            text = "H2" if element == "H" else element
            if _prototypes_of(parse_formula(text)):
                found.setdefault(text, parse_formula(text))
            if element in metals() and "H" in elements:
                ratios = {p.h_per_metal for p in map(prototypes.prototype, prototypes.names()) if p.h_per_metal}
                for ratio in sorted(ratios):
                    reduced = parse_formula(f"{element}H{ratio:g}").reduced
                    found.setdefault(reduced.text, reduced)
    for phase in map(from_file, files):
        if set(phase.formula.elements) <= set(elements):
            found.setdefault(phase.formula.text, phase.formula)
    return tuple(found.values())


def _prototypes_of(formula: Formula) -> tuple[Phase, ...]:
    hydrogen = formula.amount("H")
    hosts = [(e, n) for e, n in formula.amounts if e != "H"]
    if len(hosts) > 1 or (hosts and hosts[0][0] not in metals()):
        return ()
    metal = hosts[0][0] if hosts else ""
    ratio = hydrogen / hosts[0][1] if hosts else None
    found = []
    for name in prototypes.names():
        entry = prototypes.prototype(name)
        own = None if entry.h_per_metal is None else Fraction(str(entry.h_per_metal))
        if own == ratio:
            label = f"{formula.reduced.text} {name.split('-', 1)[1]}"
            found.append(Phase(label, formula.reduced, entry.source, name, metal or "Ca"))
    return tuple(found)


def check_phases(groups: Sequence[Sequence[Phase]], source: EnergySource, pressures_GPa: Sequence[float]) -> None:
    """Raise, before anything runs, what `EnergySource.check` says of the pressures and of every phase."""
    source.check([], pressures_GPa)
    source.check([phase.cell(min(pressures_GPa)) for group in groups for phase in group])


def group_curves(groups: Sequence[Sequence[Phase]], source: EnergySource, pressures_GPa: Sequence[float],
                 settings: PhaseSettings, store: Store, vibrations_K: float | None = None,
                 progress: Progress | None = None) -> list[tuple[PhaseCurve, ...]]:
    """`enthalpy_curves` of each group (the phases of one composition), as `settings` say. With `vibrations_K` those
    that may be the best get their vibrational free energy at that temperature (the zero point at 0)."""
    flat = enthalpy_curves([phase for group in groups for phase in group], source, pressures_GPa, store,
                           symmetry=settings.symmetry, seed=settings.seed, jobs=settings.jobs,
                           progress=told(progress, "relax"))
    rest = iter(flat)
    found = [tuple(next(rest) for _ in group) for group in groups]
    if vibrations_K is None:
        return found
    return [with_vibrations(group, contenders(group), source, store, vibrations_K, told(progress, "phonons"))
            for group in found]


def told(progress: Progress | None, stage: str) -> Callable[[Outcome], None]:
    """`progress` for the tasks of one stage."""
    return lambda outcome: None if progress is None else progress(stage, outcome)


def enthalpy_curves(phases: Sequence[Phase], source: EnergySource, pressures_GPa: Sequence[float], store: Store, *,
                    symmetry: Symmetry = "keep", seed: int = 0, jobs: int = 1,
                    progress: Callable[[Outcome], None] | None = None) -> tuple[PhaseCurve, ...]:
    """Curves of all `phases` on `pressures_GPa` (rising), one task a point. A point that fails is NaN with its reason;
    a phase is never a reason to stop the others. Raises RunError when every point of a composition failed, and what
    `source.check` raises before anything runs."""
    pressures = sorted(set(map(float, pressures_GPa)))
    check_phases([phases], source, pressures)
    used = seed if symmetry == "break" else 0
    executor = executor_for(source)

    def run(tasks: Sequence[Task]) -> dict[str, Outcome]:
        found = {}
        with warnings.catch_warnings():
            # The cell filter takes matrix logarithms of strains near zero and warns of 1e-13 in them, once a step.
            warnings.filterwarnings("ignore", message="logm result may be inaccurate")
            for outcome in run_tasks(tasks, store, jobs, executor=executor):
                found[outcome.task.hash] = outcome
                if progress is not None:
                    progress(outcome)
        return found

    built = [[relax_task(phase.cell(p), source, p, symmetry, used) for p in pressures]
             for phase in phases if phase.atoms is None]
    done = run([task for row in built for task in row])
    rows = iter([[done[task.hash] for task in row] for row in built])
    curves = []
    for phase in phases:
        if phase.atoms is None:
            curves.append(_curve(phase, pressures, next(rows)))
            continue
        # A file's cell belongs to one pressure: each next pressure starts from the crystal of the one before.
        chain, start = [], phase.atoms
        for p in pressures:
            task = relax_task(start, source, p, symmetry, used)
            chain.append(run([task])[task.hash])
            if chain[-1].result is not None:
                start = relaxed_from(task, chain[-1].result).atoms
        curves.append(_curve(phase, pressures, chain))
    for text in {phase.formula.text for phase in phases}:
        mine = [c for c in curves if c.formula.text == text]
        if not any(np.isfinite(c.enthalpy_eV).any() for c in mine):
            raise RunError(f"{text}: no phase could be relaxed at any pressure; the first said: {mine[0].notes[0]}")
    return tuple(curves)


def _curve(phase: Phase, pressures_GPa: Sequence[float], row: Sequence[Outcome]) -> PhaseCurve:
    results = [None if o.result is None else relaxed_from(o.task, o.result) for o in row]
    missing = float("nan")
    return PhaseCurve(
        phase.name, phase.formula, phase.source, np.array(pressures_GPa, dtype=float),
        np.array([missing if r is None else r.enthalpy_at_target_eV / len(r.atoms) for r in results]),
        np.array([missing if r is None else r.volume_A3 / len(r.atoms) for r in results]),
        tuple("" if r is None else r.space_group for r in results),
        tuple(f"failed: {o.reason}" if r is None else "; ".join(r.notes) for o, r in zip(row, results, strict=True)),
        tuple(r is not None and r.symmetry_changed for r in results),
        tuple(results), np.full(len(row), missing))

