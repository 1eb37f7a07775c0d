"""Relaxation of cell and ions at a pressure, with the symmetry kept, left free, or broken on purpose."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixSymmetry
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS

from megabar.campaign.files import atomic_path, write_csv, write_json
from megabar.crystals.files import write_frames
from megabar.errors import InputError, NotConverged, RunError
from megabar.units import EV_PER_A3_IN_GPA, pressure_GPa, stress_matrix

Symmetry = Literal["keep", "free", "break"]
FORCE_EV_PER_A = 1e-3
STRESS_GPA = 0.01
SYMMETRY_A = 1e-3
"""Tolerance in A within which a cell has its symmetry before it is relaxed."""
FOUND_A = 1e-2
"""Tolerance in A for the symmetry of what came out: converged ions still sit a few 1e-3 A off in soft directions."""
BREAK_A, BREAK_STRAIN = 0.03, 0.01
"""Random displacement and strain that break a symmetry: well above the tolerances, well below a bond."""
GRADE_NOTED, GRADE_REFUSED = 1.05, 10.0
"""Extrapolation grades of the relaxed crystal from which a note is made, and from which there is no result: descending
into a hole of the potential ends there (bcc Ca at 140 GPa: 2.6 A^3 per atom, grade 40)."""
_MAXIMUM_STEP = 0.15


@dataclass(frozen=True)
class Relaxed:
    """A crystal at a pressure. Energies are of the cell in `atoms`; `pressure_GPa` is the pressure really reached.

    `enthalpy_eV` = energy + pressure reached x volume, the enthalpy at `pressure_GPa`; `enthalpy_at_target_eV` =
    energy + target x volume is the one to compare phases with: it errs from the enthalpy at the target only in second
    order of what the pressure is off. `history` has one row a step: enthalpy at the target (eV),
    pressure (GPa), largest force (eV/A), largest error of the stress (GPa).
    """

    atoms: Atoms
    target_pressure_GPa: float
    pressure_GPa: float
    energy_eV: float
    enthalpy_eV: float
    volume_A3: float
    largest_force_eV_per_A: float
    largest_stress_error_GPa: float
    space_group_before: str
    space_group: str
    history: np.ndarray
    notes: tuple[str, ...] = ()

    @property
    def symmetry_changed(self) -> bool:
        return self.space_group != self.space_group_before

    @property
    def formula_units(self) -> int:
        return self.atoms.symbols.formula.reduce()[1]

    @property
    def formula(self) -> str:
        """The formula unit, metals first."""
        return self.atoms.symbols.formula.reduce()[0].format("metal")

    @property
    def enthalpy_at_target_eV(self) -> float:
        return self.energy_eV + self.target_pressure_GPa / EV_PER_A3_IN_GPA * self.volume_A3

    @property
    def enthalpy_eV_per_atom(self) -> float:
        return self.enthalpy_eV / len(self.atoms)

    @property
    def enthalpy_eV_per_formula(self) -> float:
        return self.enthalpy_eV / self.formula_units

    def to_dict(self) -> dict[str, Any]:
        n, z = len(self.atoms), self.formula_units
        return {
            "formula": self.formula, "atoms": n, "formula_units": z,
            "target_pressure_GPa": self.target_pressure_GPa, "pressure_GPa": self.pressure_GPa,
            "energy_eV": self.energy_eV, "enthalpy_eV": self.enthalpy_eV, "volume_A3": self.volume_A3,
            "enthalpy_at_target_eV": self.enthalpy_at_target_eV,
            "energy_eV_per_formula": self.energy_eV / z, "enthalpy_eV_per_formula": self.enthalpy_eV / z,
            "enthalpy_eV_per_atom": self.enthalpy_eV / n, "volume_A3_per_formula": self.volume_A3 / z,
            "largest_force_eV_per_A": self.largest_force_eV_per_A,
            "largest_stress_error_GPa": self.largest_stress_error_GPa,
            "space_group_before": self.space_group_before, "space_group": self.space_group,
            "symmetry_changed": self.symmetry_changed, "steps": len(self.history) - 1, "notes": list(self.notes),
        }

    def save(self, directory: str | Path, name: str = "relaxed") -> None:
        """`NAME.extxyz`, `NAME.cif`, `NAME.json`, and the way there as `NAME.png` with `NAME.csv`."""
        from matplotlib.figure import Figure

        target = Path(directory)
        write_frames(target / f"{name}.extxyz", [self.atoms])
        with atomic_path(target / f"{name}.cif") as path:
            Atoms(self.atoms.numbers, cell=self.atoms.cell, positions=self.atoms.positions, pbc=True).write(path)
        write_json(target / f"{name}.json", self.to_dict())
        keys = ("enthalpy_at_target_eV", "pressure_GPa", "largest_force_eV_per_A", "largest_stress_error_GPa")
        write_csv(target / f"{name}.csv", {"step": range(len(self.history))} | dict(zip(keys, self.history.T,
                                                                                       strict=True)))
        figure = Figure(figsize=(6.0, 3.6), layout="constrained")
        self.plot(figure.add_subplot())
        with atomic_path(target / f"{name}.png") as path:
            figure.savefig(path, dpi=150)

    def plot(self, ax: Any) -> None:
        """Largest force and stress error at each step, with the limits."""
        steps = np.arange(len(self.history))
        ax.semilogy(steps, np.maximum(self.history[:, 2], 1e-6), "-", color="#2171b5", label="largest force (eV/A)")
        ax.semilogy(steps, np.maximum(self.history[:, 3], 1e-6), "-", color="#cb181d", label="stress error (GPa)")
        ax.axhline(FORCE_EV_PER_A, color="#2171b5", lw=0.8, ls=":")
        ax.axhline(STRESS_GPA, color="#cb181d", lw=0.8, ls=":")
        ax.set_xlabel("step")
        ax.set_ylabel("distance from convergence")
        ax.set_title(f"{self.formula} {self.space_group}, {self.pressure_GPa:.3f} GPa", fontsize=10)
        ax.legend(frameon=False, fontsize=8)


def space_group(atoms: Atoms, tolerance_A: float = FOUND_A) -> str:
    """Space group such as "I4/mmm (139)"."""
    import spglib

    found = spglib.get_spacegroup((atoms.cell[:], atoms.get_scaled_positions(), atoms.numbers), tolerance_A)
    return found or "unknown"


def relax(atoms: Atoms, calculator: Calculator, pressure_GPa: float = 0.0, *, symmetry: Symmetry = "keep",
          seed: int = 0, steps: int = 500, force_eV_per_A: float = FORCE_EV_PER_A, stress_GPa: float = STRESS_GPA,
          ) -> Relaxed:
    """Cell and ions of `atoms` relaxed at `pressure_GPa` with any ASE calculator that has a stress.

    `symmetry`: "keep" holds the space group; "free" holds nothing (a start on a saddle stays there); "break" moves ions
    and cell at random first (`seed`), so that a crystal that wants to leave its symmetry does. Converged when every
    force is below `force_eV_per_A` and every component of the stress within `stress_GPa` of the pressure.
    Raises NotConverged after `steps`, RunError for a crystal that collapsed into what its potential does not know,
    InputError for a cell that is no crystal.
    """
    if not atoms.pbc.all() or abs(atoms.cell.volume) < 1e-3:
        raise InputError(f"{atoms.get_chemical_formula()}: not periodic in three directions; give a full cell")
    if symmetry not in ("keep", "free", "break"):
        raise InputError(f"symmetry {symmetry!r} is unknown: use keep, free or break")
    frame = Atoms(atoms.numbers, cell=atoms.cell, scaled_positions=atoms.get_scaled_positions(), pbc=True,
                  info={"metallic": bool(atoms.info.get("metallic", False))})
    before = space_group(frame, SYMMETRY_A)
    if symmetry == "break":
        rng = np.random.default_rng(seed)
        strain = rng.normal(scale=BREAK_STRAIN, size=(3, 3))
        frame.set_cell(frame.cell[:] @ (np.eye(3) + 0.5 * (strain + strain.T)), scale_atoms=True)
        frame.positions += rng.normal(scale=BREAK_A, size=frame.positions.shape)
    frame.calc = calculator
    rows: list[list[float]] = []
    last_error = ""
    for attempt in range(5):
        # Strains are measured from the cell at the start of an attempt; FixSymmetry refuses those above 0.25, and
        # what has moved that far starts again from where it is.
        frame.set_constraint(FixSymmetry(frame, symprec=SYMMETRY_A if attempt == 0 else FOUND_A)
                             if symmetry == "keep" else None)
        try:
            if _descend(frame, pressure_GPa, rows, steps - len(rows), force_eV_per_A, stress_GPa):
                break
        except RuntimeError as error:
            if "FixSymmetry" not in str(error):
                raise
            last_error = f" ({error})"
        if len(rows) > steps:
            break
    state = _state(frame, pressure_GPa)
    if state[2] > force_eV_per_A or state[3] > stress_GPa:
        raise NotConverged(
            f"{frame.get_chemical_formula()} not relaxed at {pressure_GPa:g} GPa in {len(rows) - 1} steps: largest "
            f"force {state[2]:.4f} eV/A, stress off by {state[3]:.3f} GPa{last_error}; "
            "start from a cell nearer to that pressure, or try --symmetry free")
    return _result(frame, pressure_GPa, before, np.array(rows), symmetry)


def _descend(frame: Atoms, target_GPa: float, rows: list[list[float]], steps: int, force_limit: float,
             stress_limit: float) -> bool:
    target = FrechetCellFilter(frame, scalar_pressure=target_GPa / EV_PER_A3_IN_GPA)
    with BFGS(target, logfile=None, maxstep=_MAXIMUM_STEP) as optimizer:  # type: ignore[arg-type]
        for _ in optimizer.irun(fmax=0.0, steps=steps):
            state = _state(frame, target_GPa)
            rows.append(state)
            if state[2] <= force_limit and state[3] <= stress_limit:
                return True
    return False


def _state(frame: Atoms, target_GPa: float) -> list[float]:
    stress = stress_matrix(frame.get_stress(voigt=False)) * EV_PER_A3_IN_GPA
    enthalpy = frame.get_potential_energy(force_consistent=True) + target_GPa / EV_PER_A3_IN_GPA * frame.get_volume()
    force = float(np.linalg.norm(frame.get_forces(), axis=1).max())
    return [float(enthalpy), float(-np.trace(stress) / 3.0), force,
            float(np.abs(stress + target_GPa * np.eye(3)).max())]


def _result(frame: Atoms, target_GPa: float, before: str, history: np.ndarray, symmetry: str) -> Relaxed:
    energy = float(frame.get_potential_energy(force_consistent=True))
    forces, stress = frame.get_forces(), frame.get_stress(voigt=True)
    reached = pressure_GPa(stress)
    notes = []
    grade = float(np.max(getattr(frame.calc, "results", {}).get("grade", 0.0)))
    if grade > GRADE_REFUSED:
        each = frame.get_volume() / len(frame)
        raise RunError(f"{frame.get_chemical_formula()} at {target_GPa:g} GPa went to {each:.2f} A^3 per atom, "
                       f"extrapolation grade {grade:.0f}: the potential was not trained on anything like it; "
                       "stay at pressures where the grade is near 1, or label this crystal and train again")
    if grade > GRADE_NOTED:
        notes.append(f"extrapolation grade {grade:.2f}: the potential was not trained on this (limit 1)")
    final = Atoms(frame.numbers, cell=frame.cell, positions=frame.positions, pbc=True, info=dict(frame.info))
    after = space_group(final)
    if after != before:
        how = {"keep": "to a higher symmetry", "free": "on its own", "break": "once its symmetry was broken"}[symmetry]
        notes.append(f"the space group changed {how}: {before} became {after}")
    final.calc = SinglePointCalculator(final, energy=energy, free_energy=energy, forces=forces, stress=stress)
    volume = float(final.get_volume())
    last = history[-1]
    return Relaxed(final, target_GPa, reached, energy, energy + reached / EV_PER_A3_IN_GPA * volume, volume,
                   float(last[2]), float(last[3]), before, after, history, tuple(notes))


