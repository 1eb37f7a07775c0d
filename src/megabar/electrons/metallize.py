"""Does a crystal become a metal under pressure: relaxed at each pressure, gaps, DOS at the Fermi level, closure.

Each pressure is a task (resumable, `megabar.campaign`), started from the crystal relaxed at the one before, so a
structure stays in its valley; whether another phase is more stable is not asked here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from megabar.campaign.files import atomic_path, write_csv, write_json
from megabar.campaign.tasks import Store, Task, run_tasks
from megabar.electrons.gpaw import bands_of, bands_on, check_cell, converge, primitive, pulay, symmetrized
from megabar.errors import InputError, NotConverged, RunError
from megabar.firstprinciples.gpaw import parameters
from megabar.firstprinciples.levels import PBE_GPAW_1
from megabar.units import EV_PER_A3_IN_GPA, pressure_GPa

CODE_VERSION = "1"
FMAX = 0.01
"""Largest force in eV/A, and largest virial per atom in eV (0.2 GPa at 8 A^3 per atom)."""
MAXIMUM_STEPS = 60
DOS_WIDTH_EV = 0.1
WARNING = ("PBE gaps are too small, so closure comes too early; for molecular hydrogen quantum Monte Carlo has it at "
           "380-530 GPa with nuclei at rest and 330-380 GPa with moving ones (doi:10.1103/PhysRevLett.124.116401)")


@dataclass(frozen=True)
class Point:
    """One pressure. Gaps in eV, negative where bands overlap; DOS of both spins per eV and primitive cell."""

    pressure_GPa: float
    computed_pressure_GPa: float
    volume_A3_per_atom: float
    gap_eV: float
    direct_gap_eV: float
    dos_at_fermi_per_eV: float
    space_group: str
    valence_maximum_k: tuple[float, ...]
    conduction_minimum_k: tuple[float, ...]

    @property
    def metallic(self) -> bool:
        return self.gap_eV <= 0.0


@dataclass(frozen=True)
class Metallization:
    """Points in rising pressure, and where the fundamental gap closes between two of them."""

    formula: str
    points: tuple[Point, ...]
    notes: tuple[str, ...]

    @property
    def closure_bracket_GPa(self) -> tuple[float, float] | None:
        """The first pair of neighbouring pressures with a gap at the lower and none at the upper."""
        for low, high in zip(self.points, self.points[1:], strict=False):
            if not low.metallic and high.metallic:
                return low.pressure_GPa, high.pressure_GPa
        return None

    @property
    def closure_pressure_GPa(self) -> float | None:
        """Zero of the gap, linear between the pressures of the bracket (the gap counts overlap as negative)."""
        bracket = self.closure_bracket_GPa
        if bracket is None:
            return None
        low, high = (next(p for p in self.points if p.pressure_GPa == x) for x in bracket)
        return low.pressure_GPa + (high.pressure_GPa - low.pressure_GPa) * low.gap_eV / (low.gap_eV - high.gap_eV)

    def to_dict(self) -> dict[str, Any]:
        return {
            "formula": self.formula, "closure_pressure_GPa": self.closure_pressure_GPa,
            "closure_bracket_GPa": self.closure_bracket_GPa,
            "points": [p.__dict__ | {"metallic": p.metallic} for p in self.points], "notes": list(self.notes)}

    def save(self, directory: str | Path) -> None:
        """`result.json`, `metallize.png` and `.csv`."""
        from matplotlib.figure import Figure

        target = Path(directory)
        write_json(target / "result.json", self.to_dict())
        keys = ("pressure_GPa", "volume_A3_per_atom", "gap_eV", "direct_gap_eV", "dos_at_fermi_per_eV", "space_group")
        write_csv(target / "metallize.csv", {k: [getattr(p, k) for p in self.points] for k in keys})
        figure = Figure(figsize=(6.4, 4.0), layout="constrained")
        self.plot(figure.add_subplot())
        with atomic_path(target / "metallize.png") as path:
            figure.savefig(path, dpi=150)

    def plot(self, ax: Any) -> None:
        """Gaps against pressure, the bracket of closure shaded, DOS at the Fermi level on the right."""
        pressure = [p.pressure_GPa for p in self.points]
        ax.plot(pressure, [p.gap_eV for p in self.points], "o-", ms=4, color="#2171b5", label="fundamental gap")
        ax.plot(pressure, [p.direct_gap_eV for p in self.points], "s--", ms=3, color="#6baed6", label="direct gap")
        ax.axhline(0.0, color="0.7", lw=0.8)
        if self.closure_bracket_GPa is not None:
            ax.axvspan(*self.closure_bracket_GPa, color="#fdae6b", alpha=0.4, lw=0)
        ax.set_xlabel("pressure (GPa)")
        ax.set_ylabel("gap (eV), overlap negative")
        right = ax.twinx()
        right.plot(pressure, [p.dos_at_fermi_per_eV for p in self.points], "^:", ms=3, color="#cb181d")
        right.set_ylabel("DOS at the Fermi level (1/eV cell)", color="#cb181d")
        right.set_ylim(0.0, None)
        ax.set_title(self.formula, fontsize=10)
        ax.legend(frameon=False, fontsize=8)


def _with_pulay() -> type:
    """A calculator that runs GPAW and adds the Pulay term to its stress; made here so that ASE is not needed above."""
    from ase.calculators.calculator import Calculator, all_changes
    from gpaw import GPAW, KohnShamConvergenceError

    class Reference(Calculator):
        implemented_properties = ["energy", "free_energy", "forces", "stress"]

        def __init__(self, log: Path) -> None:
            super().__init__()
            self.log, self.inner, self.volume = log, None, 0.0

        def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
            super().calculate(atoms, properties, system_changes)
            frame = Atoms(atoms.numbers, cell=atoms.cell, positions=atoms.positions, pbc=True, info={"metallic": True})
            frame.calc = GPAW(**parameters(frame, PBE_GPAW_1), txt=str(self.log))
            try:
                energy = frame.get_potential_energy(force_consistent=True)
                stress, _ = pulay(PBE_GPAW_1, frame, frame.get_stress(voigt=True))
            except KohnShamConvergenceError:
                raise NotConverged(f"self-consistency not reached; see {self.log}") from None
            voigt = stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
            self.results = {"energy": energy, "free_energy": energy, "forces": frame.get_forces(), "stress": voigt}

    return Reference


def relax(atoms: Atoms, pressure: float, folder: Path) -> Atoms:
    """Cell and positions of `atoms` relaxed at `pressure` (GPa), symmetry kept; NotConverged after 60 steps."""
    from ase.constraints import FixSymmetry
    from ase.filters import FrechetCellFilter
    from ase.optimize import BFGS

    frame = symmetrized(atoms)
    frame.set_constraint(FixSymmetry(frame, symprec=1e-3, verbose=False))
    frame.calc = _with_pulay()(folder / "gpaw.txt")
    target = FrechetCellFilter(frame, scalar_pressure=pressure / EV_PER_A3_IN_GPA)
    with BFGS(target, logfile=str(folder / "relax.log"), maxstep=0.15) as optimizer:  # type: ignore[arg-type]
        if not optimizer.run(fmax=FMAX, steps=MAXIMUM_STEPS):
            raise NotConverged(f"not relaxed at {pressure:g} GPa in {MAXIMUM_STEPS} steps; see {folder / 'relax.log'}")
    result = symmetrized(frame)
    result.info["pressure_GPa"] = pressure_GPa(frame.get_stress(voigt=False))
    return result


def pressure_point(inputs: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The body of a task: relax at `inputs["pressure_GPa"]`, then bands on a path and on a mesh twice as dense."""
    import spglib

    start = Atoms(inputs["numbers"], cell=inputs["cell"], scaled_positions=inputs["scaled_positions"], pbc=True)
    atoms = relax(start, inputs["pressure_GPa"], folder)
    calc = converge(atoms, folder / "gpaw.txt")
    mesh = bands_of(calc)
    path = bands_on(calc, atoms.cell.bandpath(npoints=50).kpts, log=folder / "path.txt")
    dense_size = [2 * n for n in PBE_GPAW_1.k_mesh(Atoms(atoms, info={"metallic": True}))]
    dense = bands_on(calc, {"size": dense_size, "gamma": True}, log=folder / "dense.txt")
    # One set of k-points for the gap: extrema lie on symmetry lines more often than not, but not always.
    together = replace(dense, k_points=np.vstack([dense.k_points, path.k_points]),
                       energies_eV=np.vstack([dense.energies_eV, path.energies_eV]))
    valence, conduction = together.edges()
    return {
        "computed_pressure_GPa": atoms.info["pressure_GPa"], "volume_A3_per_atom": atoms.get_volume() / len(atoms),
        "gap_eV": together.fundamental_gap_eV, "direct_gap_eV": together.direct_gap_eV,
        "dos_at_fermi_per_eV": float(dense.dos_per_eV(np.zeros(1), DOS_WIDTH_EV)[0]),
        "space_group": spglib.get_spacegroup((atoms.cell[:], atoms.get_scaled_positions(), atoms.numbers), 1e-2),
        "valence_maximum_k": np.round(valence, 4), "conduction_minimum_k": np.round(conduction, 4),
        "electrons": mesh.electrons, "cell": atoms.cell[:], "scaled_positions": atoms.get_scaled_positions()}


def metallization(atoms: Atoms, pressures_GPa: Sequence[float], store: Store, source: str = "cell",
                  report: Any = None) -> Metallization:
    """Gaps of a crystal at each pressure; `report(point)` is called as they come. RunError names what failed.

    Raises InputError for fewer than two pressures or an unsuitable cell, ExtraMissing without GPAW.
    """
    if len(pressures_GPa) < 2:
        raise InputError("metallize: one pressure gives no closure; write a range like 0:200:10")
    small = primitive(atoms)
    check_cell(small, source)
    missing = sorted(set(small.get_chemical_symbols()) - set(PBE_GPAW_1.pulay_GPa_A3))
    points: list[Point] = []
    cell, scaled = small.cell[:], small.get_scaled_positions()
    for pressure in sorted(pressures_GPa):
        inputs = {"numbers": small.numbers.tolist(), "cell": np.round(cell, 8).tolist(), "level": PBE_GPAW_1.id,
                  "scaled_positions": np.round(scaled, 8).tolist(), "pressure_GPa": float(pressure)}
        task = Task("megabar.electrons.metallize:pressure_point", CODE_VERSION, inputs)
        outcome = next(iter(run_tasks([task], store, retry_failed=True)))
        if outcome.result is None:
            raise RunError(f"metallize at {pressure:g} GPa: {outcome.reason} (in {store.folder(task)})")
        values = outcome.result
        cell, scaled = np.array(values["cell"]), np.array(values["scaled_positions"])
        fields = {k: values[k] for k in Point.__annotations__ if k in values}
        points.append(Point(pressure_GPa=float(pressure), **fields))
        if report is not None:
            report(points[-1])
    notes = [WARNING]
    if missing:
        notes.append(f"no Pulay constant for {', '.join(missing)}: pressures are those of the fixed plane-wave basis, "
                     "a few tenths of a GPa low at most")
    if len({p.space_group for p in points}) > 1:
        notes.append("the symmetry changed on the way; look at the points")
    return Metallization(small.get_chemical_formula(), tuple(points), tuple(notes))
