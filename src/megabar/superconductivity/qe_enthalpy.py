"""Static enthalpies of phases and of a reaction between them by Quantum ESPRESSO, cheap enough for many pressures.

Cells are relaxed by variable-cell runs on a coarse k-mesh; then one run at that geometry with the settings that count
gives E + P V at the target pressure. What the geometry is off enters in second order, as for `megabar enthalpy`, which
relaxes at the fine settings throughout and begins every step from scratch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from megabar.campaign.files import atomic_path, write_csv, write_json
from megabar.campaign.tasks import Store, Task, run_tasks
from megabar.errors import RunError
from megabar.superconductivity import qe_tasks
from megabar.superconductivity.qe_input import PREFIX, pw_input, run_program, standard_primitive
from megabar.superconductivity.qe_read import read_state
from megabar.units import EV_PER_A3_IN_GPA

CODE_VERSION = "1"
COARSE_CUTOFF_RY, FINE_CUTOFF_RY = 60.0, 80.0
COARSE_SPACING_PER_A, FINE_SPACING_PER_A = 0.60, 0.40
SMEARING_RY = 0.02
STIFFNESS = 4.0
"""K over P of strongly compressed matter, for the volume that a relaxation at the next pressure starts from: K0 + K' P
with K' near 4. Steps of 50 GPa from the old volume have sent variable-cell runs off."""
LEAST_PRESSURE_GPa = 10.0
"""Below, K0 is what counts, and the old cell is start enough."""


def mesh(atoms: Atoms, spacing_per_A: float) -> list[int]:
    """Gamma-centred counts for a spacing (2 pi included), equal on axes of equal length."""
    lengths = 2.0 * np.pi * np.linalg.norm(atoms.cell.reciprocal()[:], axis=1)
    counts = np.ceil(lengths / spacing_per_A - 1e-6).astype(int)
    return [int(max(counts[j] for j in range(3) if abs(lengths[j] / lengths[i] - 1.0) < 1e-3)) for i in range(3)]


def phase_task(atoms: Atoms, pressure_GPa: float) -> Task:
    inputs = qe_tasks.cell_inputs(standard_primitive(atoms)) | {
        "pressure_GPa": float(pressure_GPa), "functional": "PBE", "smearing_Ry": SMEARING_RY,
        "cutoffs_Ry": [COARSE_CUTOFF_RY, FINE_CUTOFF_RY], "spacings_per_A": [COARSE_SPACING_PER_A, FINE_SPACING_PER_A]}
    return Task("megabar.superconductivity.qe_enthalpy:phase", CODE_VERSION, inputs)


def phase(inputs: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The body of a task: relaxed on the coarse mesh, one run on the fine one. Enthalpies in eV at the target."""
    import spglib

    atoms, target = qe_tasks.cell_of(inputs), inputs["pressure_GPa"]
    coarse = inputs | {"cutoff_Ry": inputs["cutoffs_Ry"][0], "k_mesh": mesh(atoms, inputs["spacings_per_A"][0]),
                       "tolerance_GPa": 2.0}
    relaxed = qe_tasks.cell_of(qe_tasks.relax(coarse, folder))
    text = pw_input(relaxed, calculation="scf", cutoff_Ry=inputs["cutoffs_Ry"][1], smearing_Ry=inputs["smearing_Ry"],
                    functional=inputs["functional"], k_mesh=mesh(relaxed, inputs["spacings_per_A"][1]))
    run_program("pw.x", text, folder, "fine")
    state = read_state(folder / "out" / f"{PREFIX}.save" / "data-file-schema.xml")
    assert state.energy_eV is not None
    volume = float(relaxed.get_volume())
    group = spglib.get_spacegroup((relaxed.cell[:], relaxed.get_scaled_positions(), relaxed.numbers), 1e-2)
    units = relaxed.symbols.formula.reduce()[1]
    return qe_tasks.cell_inputs(relaxed) | {
        "enthalpy_eV_per_formula": (state.energy_eV + target / EV_PER_A3_IN_GPA * volume) / units,
        "energy_eV_per_formula": state.energy_eV / units, "volume_A3_per_formula": volume / units,
        "pressure_GPa": state.pressure_GPa, "space_group": group, "formula": relaxed.symbols.formula.reduce()[0]
        .format("metal"), "k_mesh": mesh(relaxed, inputs["spacings_per_A"][1])}


@dataclass(frozen=True)
class Enthalpies:
    """`phases[name]` enthalpies in eV per formula unit at each pressure; `reaction_eV` of the best phases, negative
    where the products win; `best[formula]` names them at each pressure."""

    reaction: str
    pressures_GPa: tuple[float, ...]
    phases: Mapping[str, tuple[float, ...]]
    volumes_A3: Mapping[str, tuple[float, ...]]
    groups: Mapping[str, tuple[str, ...]]
    best: Mapping[str, tuple[str, ...]]
    reaction_eV: tuple[float, ...]

    def save(self, directory: str | Path) -> None:
        """`enthalpies.json`, `enthalpies.png` and `.csv`."""
        from matplotlib.figure import Figure

        target = Path(directory)
        # JSON knows no NaN.
        known = {key: {name: [v if np.isfinite(v) else None for v in values] for name, values in table.items()}
                 for key, table in (("phases", self.phases), ("volumes_A3", self.volumes_A3))}
        write_json(target / "enthalpies.json", self.__dict__ | known)
        write_csv(target / "enthalpies.csv", {"pressure_GPa": self.pressures_GPa, "reaction_eV": self.reaction_eV}
                  | {f"{name}_eV": values for name, values in self.phases.items()}
                  | {f"{name}_A3": values for name, values in self.volumes_A3.items()})
        figure = Figure(figsize=(6.0, 3.8), layout="constrained")
        self.plot(figure.add_subplot())
        with atomic_path(target / "enthalpies.png") as path:
            figure.savefig(path, dpi=150)

    def plot(self, ax: Any) -> None:
        ax.axhline(0.0, color="0.5", lw=0.8)
        ax.plot(self.pressures_GPa, 1e3 * np.array(self.reaction_eV), "o-", color="#2171b5")
        ax.set_xlabel("pressure (GPa)")
        ax.set_ylabel("reaction enthalpy (meV)")
        ax.set_title(f"{self.reaction}, static PBE", fontsize=10)


def reaction_enthalpies(reaction: str, counts: Mapping[str, int], phases: Mapping[str, tuple[str, Atoms]],
                        pressures_GPa: Sequence[float], store: Store, report: Any = print) -> Enthalpies:
    """`counts[formula]` negative for what is used up; `phases[name]` = (formula, cell). RunError names what failed.

    Pressures are done in the order given, each phase from where it was at the one before, swollen by what the change
    of pressure suggests; the result is sorted. A phase that fails where another of its formula does not is said to
    `report`, has nan there, and starts from its last cell at the next pressure."""
    at: dict[tuple[str, float], dict[str, Any]] = {}
    cells = {name: atoms for name, (_, atoms) in phases.items()}
    before: dict[str, float] = {}
    for pressure in pressures_GPa:
        for name in phases:
            start = cells[name].copy()
            if name in before:
                ratio = max(before[name], LEAST_PRESSURE_GPa) / max(pressure, LEAST_PRESSURE_GPa)
                start.set_cell(start.cell[:] * ratio ** (1.0 / (3.0 * STIFFNESS)), scale_atoms=True)
            outcome = next(iter(run_tasks([phase_task(start, pressure)], store, retry_failed=True)))
            if outcome.result is None:
                report(f"{name} {pressure:g} GPa: failed, left out: {outcome.reason}")
                at[name, pressure] = {"enthalpy_eV_per_formula": np.nan, "volume_A3_per_formula": np.nan,
                                      "space_group": "failed"}
                continue
            at[name, pressure] = outcome.result
            cells[name], before[name] = qe_tasks.cell_of(outcome.result), pressure
            report(f"{name} {pressure:g} GPa: {outcome.result['enthalpy_eV_per_formula']:.4f} eV, "
                   f"{outcome.result['volume_A3_per_formula']:.3f} A3, {outcome.result['space_group']}")
    values = {name: [at[name, pressure] for pressure in sorted(pressures_GPa)] for name in phases}
    table = {name: tuple(float(v["enthalpy_eV_per_formula"]) for v in rows) for name, rows in values.items()}

    def lowest(formula: str, i: int) -> str:
        found = [(table[name][i], name) for name, (of, _) in phases.items()
                 if of == formula and np.isfinite(table[name][i])]
        if not found:
            raise RunError(f"no phase of {formula} could be relaxed at {sorted(pressures_GPa)[i]:g} GPa: start from "
                           "another cell, or in smaller steps of pressure")
        return min(found)[1]

    best = {formula: tuple(lowest(formula, i) for i in range(len(pressures_GPa))) for formula in counts}
    total = tuple(sum(count * table[best[formula][i]][i] for formula, count in counts.items())
                  for i in range(len(pressures_GPa)))
    return Enthalpies(reaction, tuple(sorted(pressures_GPa)), table,
                      {n: tuple(float(v["volume_A3_per_formula"]) for v in rows) for n, rows in values.items()},
                      {n: tuple(str(v["space_group"]) for v in rows) for n, rows in values.items()}, best, total)
