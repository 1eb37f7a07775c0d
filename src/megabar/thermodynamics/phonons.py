"""Phonons by finite displacements (phonopy) of a crystal relaxed at pressure, and whether it is stable."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from megabar.campaign.files import atomic_path, write_csv, write_json
from megabar.campaign.tasks import Store
from megabar.crystals.files import write_frames
from megabar.errors import InputError, RunError
from megabar.firstprinciples import label as labels
from megabar.firstprinciples.levels import level
from megabar.thermodynamics.engines import EnergySource
from megabar.thermodynamics.harmonic import Harmonic, harmonic
from megabar.thermodynamics.relax import FORCE_EV_PER_A, Relaxed
from megabar.thermodynamics.stability import Verdict, judge

POTENTIAL_DISPLACEMENT_A, ENGINE_DISPLACEMENT_A = 0.01, 0.03
"""A potential is smooth; self-consistent forces carry 1e-3 eV/A of noise, which the larger step puts below 1 %."""
POTENTIAL_LENGTH_A, ENGINE_LENGTH_A = 12.0, 7.0
"""Least height of the supercell: a potential reaches 5.5 A, twice that sees no atom twice."""
MESH_LENGTH_A = 60.0
LO_TO = ("LO-TO splitting is not included: optical modes at Gamma of a polar insulator are those without the "
         "long-range field (its share in the free energy is small)")


@dataclass(frozen=True)
class Phonons:
    """Phonons of a relaxed crystal. Frequencies in THz, imaginary ones negative.

    `frequencies_THz` (q, modes) on the mesh `q_points` (q, 3) with `weights` (q,); on the path `path_axis` (n,) and
    `path_THz` (n, modes) with `path_labels` (position, name); `dos_axis_THz` and `dos_per_THz` (states per THz and
    cell, 3 per atom in all). `force_constants` (atoms of the cell, atoms of the supercell, 3, 3) in eV/A^2.
    """

    relaxed: Relaxed
    supercell: tuple[int, int, int]
    displacement_A: float
    calculations: int
    q_points: np.ndarray
    weights: np.ndarray
    frequencies_THz: np.ndarray
    path_axis: np.ndarray
    path_THz: np.ndarray
    path_labels: tuple[tuple[float, str], ...]
    dos_axis_THz: np.ndarray
    dos_per_THz: np.ndarray
    force_constants: np.ndarray
    verdict: Verdict
    notes: tuple[str, ...]

    def thermal(self, temperatures_K: Any) -> Harmonic:
        """Harmonic functions per cell; imaginary modes are left out, and `left_out` says how many."""
        return harmonic(self.frequencies_THz, self.weights, temperatures_K)

    @property
    def zero_point_eV_per_atom(self) -> float:
        return self.thermal(0.0).zero_point_eV / len(self.relaxed.atoms)

    def to_dict(self) -> dict[str, Any]:
        return {
            "formula": self.relaxed.formula, "pressure_GPa": self.relaxed.pressure_GPa,
            "space_group": self.relaxed.space_group, "volume_A3": self.relaxed.volume_A3,
            "atoms": len(self.relaxed.atoms), "supercell": list(self.supercell),
            "displacement_A": self.displacement_A, "calculations": self.calculations,
            "zero_point_eV_per_atom": self.zero_point_eV_per_atom if self.verdict.free_energy else None,
            "zero_point_eV_per_formula": self.thermal(0.0).zero_point_eV / self.relaxed.formula_units
            if self.verdict.free_energy else None,
            "highest_THz": float(self.frequencies_THz.max()), "stability": self.verdict.to_dict(),
            "notes": list(self.notes)}

    def save(self, directory: str | Path, name: str = "phonons") -> None:
        """`NAME.json`, `NAME.png` with `NAME_bands.csv` and `NAME_dos.csv`, the crystal, force constants (.npz)."""
        from matplotlib.figure import Figure

        target = Path(directory)
        write_json(target / f"{name}.json", self.to_dict())
        write_frames(target / f"{name}.extxyz", [self.relaxed.atoms])
        with atomic_path(target / f"{name}.npz") as path:
            np.savez(path, force_constants_eV_per_A2=self.force_constants, supercell=np.array(self.supercell))
        modes = {f"mode_{i + 1}_THz": list(v) for i, v in enumerate(self.path_THz.T)}
        write_csv(target / f"{name}_bands.csv", {"path": list(self.path_axis)} | modes)
        write_csv(target / f"{name}_dos.csv", {"frequency_THz": list(self.dos_axis_THz),
                                               "dos_per_THz": list(self.dos_per_THz)})
        figure = Figure(figsize=(7.2, 4.0), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1))
        self.plot(left)
        right.plot(self.dos_per_THz, self.dos_axis_THz, color="#2171b5", lw=1.0)
        right.axhline(0.0, color="0.7", lw=0.8)
        right.set_xlabel("DOS (1/THz cell)")
        right.set_xlim(0.0, None)
        with atomic_path(target / f"{name}.png") as path:
            figure.savefig(path, dpi=150)

    def plot(self, ax: Any) -> None:
        """Bands; imaginary frequencies below zero, in red."""
        jumps = np.flatnonzero(np.diff(self.path_axis) < 1e-9) + 1  # the path goes on elsewhere: no line across
        axis = np.insert(self.path_axis, jumps, np.nan)
        for branch in self.path_THz.T:
            broken = np.insert(branch, jumps, np.nan)
            ax.plot(axis, broken, color="#2171b5", lw=0.9)
            ax.plot(axis, np.where(broken < -0.05, broken, np.nan), color="#cb181d", lw=1.2)
        for position, _ in self.path_labels:
            ax.axvline(position, color="0.85", lw=0.6)
        ax.axhline(0.0, color="0.7", lw=0.8)
        ax.set_xticks([p for p, _ in self.path_labels],
                      [n.replace("G", r"$\Gamma$") for _, n in self.path_labels])
        ax.set_xlim(self.path_axis[0], self.path_axis[-1])
        ax.set_ylabel("frequency (THz), imaginary below zero")
        ax.set_title(f"{self.relaxed.formula} {self.relaxed.space_group}, {self.relaxed.pressure_GPa:.1f} GPa: "
                     f"{self.verdict.kind}", fontsize=10)


def default_length_A(source: EnergySource) -> float:
    return POTENTIAL_LENGTH_A if source.kind == "potential" else ENGINE_LENGTH_A


def default_displacement_A(source: EnergySource) -> float:
    return POTENTIAL_DISPLACEMENT_A if source.kind == "potential" else ENGINE_DISPLACEMENT_A


def standard_primitive(atoms: Atoms) -> Atoms:
    """The same crystal in the standard vectors of its lattice (to 1e-2 A), whose repeats keep its symmetry; as it is
    when those would hold another number of atoms. Ions are not moved onto their symmetry: energies stay."""
    import spglib

    found = spglib.standardize_cell((atoms.cell[:], atoms.get_scaled_positions(), atoms.numbers), to_primitive=True,
                                    no_idealize=True, symprec=1e-2)
    if found is None or len(found[2]) != len(atoms):
        return atoms
    cell, positions, numbers = found
    return Atoms(numbers, cell=cell, scaled_positions=positions, pbc=True, info=dict(atoms.info))


def supercell_for(atoms: Atoms, length_A: float) -> tuple[int, int, int]:
    """Repeats that make every height of the cell `length_A` or more and keep its point group.

    Unequal repeats of centred lattices can break it; equal ones along all three vectors never do.
    """
    import spglib

    heights = 1.0 / np.linalg.norm(np.linalg.inv(atoms.cell[:]), axis=0)
    counts = [max(1, int(np.ceil(length_A / h - 1e-3))) for h in heights]
    found = spglib.get_symmetry((atoms.cell[:], atoms.get_scaled_positions(), atoms.numbers), symprec=1e-2)
    if found is not None:
        repeats = np.array(counts, dtype=float)
        turned = found["rotations"] * repeats[None, None, :] / repeats[None, :, None]
        if np.abs(turned - np.rint(turned)).max() > 1e-6:
            counts = [max(counts)] * 3
    return counts[0], counts[1], counts[2]


def held_by_symmetry(atoms: Atoms) -> bool:
    """Whether the space group forbids a force on every atom (each a fixed point of its site's rotations)."""
    import spglib

    scaled = atoms.get_scaled_positions()
    found = spglib.get_symmetry((atoms.cell[:], scaled, atoms.numbers), symprec=1e-4)
    if found is None:
        return False
    for position in scaled:
        moved = found["rotations"] @ position + found["translations"] - position
        here = np.abs(moved - np.rint(moved)).max(axis=1) < 1e-4
        if np.abs(found["rotations"][here].mean(axis=0)).max() > 1e-9:  # the part of a vector that all of them keep
            return False
    return True


def displaced_cells(atoms: Atoms, supercell: tuple[int, int, int], displacement_A: float) -> tuple[Any, list[Atoms]]:
    """phonopy's object, and the supercells to compute: the displaced ones, and last the perfect one, unless symmetry
    says that its forces vanish."""
    from phonopy import Phonopy
    from phonopy.structure.atoms import PhonopyAtoms

    unit = PhonopyAtoms(symbols=atoms.get_chemical_symbols(), cell=atoms.cell[:],
                        scaled_positions=atoms.get_scaled_positions())
    # Relaxed ions lie on their symmetry to about 1e-6 A when it was kept, to 1e-3 A when not.
    phonopy = Phonopy(unit, np.diag(supercell), primitive_matrix=np.eye(3), symprec=1e-4)
    phonopy.generate_displacements(distance=displacement_A)
    info = {"metallic": bool(atoms.info.get("metallic", False))}

    def frame(cell: Any) -> Atoms:
        return Atoms(cell.symbols, cell=cell.cell, scaled_positions=cell.scaled_positions, pbc=True, info=dict(info))

    cells = [frame(c) for c in phonopy.supercells_with_displacements or []]
    return phonopy, cells if held_by_symmetry(atoms) else [*cells, frame(phonopy.supercell)]


def forces_of(cells: list[Atoms], source: EnergySource, store: Store, jobs: int = 1) -> list[np.ndarray]:
    """Forces (n, 3) eV/A of each cell: a potential in this process, an engine as label tasks in `store` (resumable).

    RunError names the first that failed, after the others are done.
    """
    if source.kind == "potential":
        calculator, found = source.calculator(), []
        for cell in cells:
            cell.calc = calculator
            found.append(cell.get_forces())
        return found
    results: dict[str, np.ndarray] = {}
    failed = ""
    for _, outcome in labels.label_cells(cells, source.name, store, jobs, retry_failed=True):
        if outcome.result is None:
            failed = f"{outcome.reason} (in {store.folder(outcome.task)})"
        else:
            results[outcome.task.hash] = np.array(outcome.result["forces_eV_per_A"])
    if failed:
        raise RunError(f"a displaced cell failed: {failed}")
    return [results[labels.label_task(cell, source.name).hash] for cell in cells]


def estimated_cpu_s(atoms: Atoms, source: EnergySource, supercell: tuple[int, int, int], displacement_A: float,
                    ) -> tuple[int, float]:
    """How many supercells, and their rough cost on one core in seconds (an engine's within a factor of two)."""
    _, cells = displaced_cells(atoms, supercell, displacement_A)
    if source.kind == "potential":
        return len(cells), 5e-5 * sum(map(len, cells)) + 1.0
    return len(cells), sum(labels.estimated_cpu_s(c, level(source.name)) for c in cells)


def phonons(relaxed: Relaxed, source: EnergySource, store: Store, *, supercell: tuple[int, int, int] | None = None,
            displacement_A: float | None = None, jobs: int = 1) -> Phonons:
    """Phonons of a relaxed crystal, in a supercell of at least 12 A (potential) or 7 A (engine) unless one is given.

    The forces of the perfect supercell are subtracted where symmetry allows any, the force constants made to obey
    translation and permutation.
    Raises InputError for ions that are not relaxed, RunError for a calculation that failed.
    """
    if relaxed.largest_force_eV_per_A > 2.0 * FORCE_EV_PER_A:
        raise InputError(f"forces of {relaxed.largest_force_eV_per_A:.3f} eV/A are left: relax the ions first")
    relaxed = replace(relaxed, atoms=standard_primitive(relaxed.atoms))
    atoms = relaxed.atoms
    counts = supercell or supercell_for(atoms, default_length_A(source))
    step = displacement_A or default_displacement_A(source)
    phonopy, cells = displaced_cells(atoms, counts, step)
    forces = forces_of(cells, source, store, jobs)
    moved = len(phonopy.supercells_with_displacements)
    perfect = forces[-1] if len(cells) > moved else np.zeros((len(cells[0]), 3))
    with contextlib.redirect_stdout(io.StringIO()):
        phonopy.forces = np.array([f - perfect for f in forces[:moved]])
        phonopy.produce_force_constants(calculate_full_force_constants=False, show_drift=False)
        phonopy.symmetrize_force_constants(show_drift=False)
    notes = [LO_TO]
    if atoms.info.get("metallic"):
        notes = []
    if source.kind != "potential" and min(counts) == 1:
        notes.append("the supercell is one cell thick in a direction: modes between its q-points are interpolated")
    return _collect(phonopy, relaxed, counts, step, len(cells), notes)


def _collect(phonopy: Any, relaxed: Relaxed, counts: tuple[int, int, int], step: float, calculations: int,
             notes: list[str]) -> Phonons:
    atoms = relaxed.atoms
    with warnings.catch_warnings():
        # Where a regular mesh would break the symmetry phonopy takes a generalised one, and warns of nothing else.
        warnings.filterwarnings("ignore", message="Mesh .* rebuilt as a generalized regular grid")
        phonopy.run_mesh(MESH_LENGTH_A, is_gamma_center=True)
    mesh = phonopy.mesh
    frequencies, q_points, weights = (np.array(a) for a in (mesh.frequencies, mesh.qpoints, mesh.weights))
    with contextlib.redirect_stdout(io.StringIO()):
        highest = float(frequencies.max())
        phonopy.run_total_dos(freq_min=min(0.0, float(frequencies.min())) - 0.5, freq_max=highest * 1.03,
                              freq_pitch=highest / 500.0)
    path = atoms.cell.bandpath(npoints=200, pbc=atoms.pbc, eps=1e-3)
    axis, ticks, names = path.get_linear_kpoint_axis()
    bands = _at(phonopy, path.kpts)
    joined: dict[float, str] = {}
    for position, label in zip(ticks, names, strict=True):
        key = round(float(position), 6)
        joined[key] = label if key not in joined or joined[key] == label else f"{joined[key]}|{label}"
    commensurate = _commensurate(counts)
    verdict = judge(atoms, commensurate, _at(phonopy, commensurate), np.vstack([q_points, path.kpts]),
                    np.vstack([frequencies, bands]))
    return Phonons(relaxed, counts, step, calculations, q_points, weights, frequencies, np.asarray(axis), bands,
                   tuple(joined.items()), np.array(phonopy.total_dos.frequency_points), np.array(phonopy.total_dos.dos),
                   np.array(phonopy.force_constants), verdict, tuple(notes))


def _at(phonopy: Any, q_points: np.ndarray) -> np.ndarray:
    phonopy.run_qpoints(q_points)
    return np.array(phonopy.qpoints.frequencies)


def _commensurate(counts: tuple[int, int, int]) -> np.ndarray:
    """q-points (fractional) at which the supercell gives frequencies without interpolation."""
    axes = [np.arange(n) / n for n in counts]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)


def phonon_series(series: Sequence[Relaxed], source: EnergySource, store: Store, *,
                  supercell: tuple[int, int, int] | None = None, displacement_A: float | None = None, jobs: int = 1,
                  report: Callable[[Phonons], None] | None = None) -> list[Phonons]:
    """Phonons at every pressure of a relaxed series, in one supercell (that of the smallest cell) for all."""
    if not series:
        return []
    densest = standard_primitive(series[-1].atoms)
    counts = supercell or supercell_for(densest, default_length_A(source))
    found = []
    for relaxed in series:
        result = phonons(relaxed, source, store, supercell=counts, displacement_A=displacement_A, jobs=jobs)
        found.append(result)
        if report is not None:
            report(result)
    return found
