"""Superconductivity from a structure alone: relaxed, phonons, electron-phonon coupling, alpha2F, Tc.

Quantum ESPRESSO computes (`qe_tasks`); what it leaves is interpolated and turned into alpha2F for any isotopes here.
Meshes that finish on a workstation are coarse for this property, so every number comes with its spread: over electronic
broadenings, and between the q-mesh alone and its interpolation.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_masses, atomic_numbers

from megabar.campaign.tasks import Outcome, Store, Task, run_tasks
from megabar.errors import InputError, RunError
from megabar.firstprinciples.levels import RYDBERG_EV
from megabar.superconductivity.eliashberg import eliashberg_tc_K
from megabar.superconductivity.formulas import Moments, allen_dynes_tc_K, check_mu_star
from megabar.superconductivity.qe_coupling import lowest_omega_K, mesh_spectrum, star_modes
from megabar.superconductivity.qe_input import LAUNCHER, check_available, check_elements, standard_primitive
from megabar.superconductivity.qe_interpolation import FineModes, Interpolation
from megabar.superconductivity.qe_read import alat_A, cpu_seconds, read_coupling, read_dynamical
from megabar.superconductivity.qe_result import ElectronPhonon, Row
from megabar.superconductivity.qe_settings import ElectronPhononSettings
from megabar.superconductivity.qe_tasks import cell_inputs, cell_of, task
from megabar.superconductivity.spectrum import KELVIN_PER, Spectrum, checked
from megabar.superconductivity.tc import tc_from_spectrum

HEAVY = {"H": 2.01410177812}
"""Mass in u of the isotope put in for a heavy run, deuterium (AME2020, doi:10.1088/1674-1137/abddaf)."""
IMAGINARY_K = 45.0
"""Imaginary modes at the q-points themselves below this (31 1/cm) are noise of the sums; above it the crystal moves."""
CITATIONS = (
    "Giannozzi et al., J. Phys.: Condens. Matter 29, 465901 (2017), doi:10.1088/1361-648X/aa8f79",
    "Hamann, Phys. Rev. B 88, 085117 (2013), doi:10.1103/PhysRevB.88.085117",
    "Baroni et al., Rev. Mod. Phys. 73, 515 (2001), doi:10.1103/RevModPhys.73.515",
    "Wierzbowska, de Gironcoli and Giannozzi, arXiv:cond-mat/0504077",
)


def prepared(atoms: Atoms, settings: ElectronPhononSettings) -> Atoms:
    """The primitive cell that will be computed, after every check that costs nothing. InputError or ExtraMissing."""
    settings.check_meshes()
    check_mu_star(settings.mu_star)
    check_available()
    if not atoms.pbc.all() or abs(atoms.cell.volume) < 1.0:
        raise InputError(f"{atoms.get_chemical_formula()}: not a crystal (periodic in three directions); give a cell")
    check_elements(atoms, settings.functional)
    return standard_primitive(atoms)


def phonon_work(atoms: Atoms, q_mesh: Sequence[int], k_mesh: Sequence[int]) -> tuple[int, float]:
    """Irreducible q-points, and the work of ph.x: k-points times modes, summed over them.

    The little group of q, with the reversal that takes it to -q, tells how many k-points are left of the mesh.
    """
    import spglib

    cell = (atoms.cell[:], atoms.get_scaled_positions(), atoms.numbers)
    found = spglib.get_symmetry(cell, symprec=1e-5)
    rotations = np.array([np.eye(3)]) if found is None else np.unique(found["rotations"], axis=0)
    mapping, grid = spglib.get_ir_reciprocal_mesh(list(q_mesh), cell, is_shift=[0, 0, 0], symprec=1e-5)
    unique = np.unique(mapping)
    work = 0.0
    for q in grid[unique] / np.asarray(q_mesh):
        moved = np.einsum("nji,j->ni", rotations, q)  # fractional reciprocal coordinates turn with the transpose
        same = np.abs(moved - q - np.rint(moved - q)).max(axis=1) < 1e-6
        reversed_ = np.abs(moved + q - np.rint(moved + q)).max(axis=1) < 1e-6
        order = int(same.sum()) + int((reversed_ & ~same).sum())
        work += max(1.0, float(np.prod(k_mesh)) / order) * 3 * len(atoms)
    return len(unique), work


def estimated_s(atoms: Atoms, settings: ElectronPhononSettings) -> float:
    """Rough time of all phonon tasks on one core in seconds, within a factor of three: plane waves times bands times
    `phonon_work`, by the Al and H3S runs of the examples (a core of an AMD EPYC of 2023)."""
    from megabar.superconductivity.qe_read import BOHR_A

    plane_waves = atoms.get_volume() / BOHR_A**3 * settings.cutoff_Ry**1.5 / (6.0 * np.pi**2)
    _, work = phonon_work(atoms, settings.q_mesh, settings.k_mesh)
    return 3.5e-5 * plane_waves * (2.0 * len(atoms) + 4.0) * work


def compute(atoms: Atoms, pressure_GPa: float | None, settings: ElectronPhononSettings, store: Store, jobs: int = 1,
            report: Callable[[str], None] = lambda line: None) -> ElectronPhonon:
    """Everything, through tasks; the same call goes on where it stopped.

    `pressure_GPa` None takes the cell as it is. Raises InputError and ExtraMissing before anything runs, RunError or
    NotConverged naming the task that failed, and RunError when the crystal is dynamically unstable.
    """
    small = prepared(atoms, settings)
    basis = {"cutoff_Ry": settings.cutoff_Ry, "smearing_Ry": settings.smearing_Ry, "functional": settings.functional,
             "k_mesh": list(settings.k_mesh)}
    os.environ[LAUNCHER] = settings.launcher
    seconds = 0.0
    if pressure_GPa is not None:
        relaxed = _one(task("relax", cell_inputs(small) | basis | {"pressure_GPa": float(pressure_GPa)}), store)
        small = cell_of(relaxed.result or {})
        report(f"relaxed: {small.get_volume():.3f} A3, {(relaxed.result or {})['pressure_GPa']:.2f} GPa")
    crystal = cell_inputs(small) | basis | {"dense_mesh": [settings.dense_factor * k for k in settings.k_mesh]}
    ground = task("ground_state", crystal | {"q_mesh": list(settings.q_mesh)})
    base = _one(ground, store).result or {}
    count = len(base["q_points"])
    report(f"ground state: {base['pressure_GPa']:.2f} GPa, {base['k_points']} k-points; {count} q-points to do")
    electrons = _one(task("electrons", crystal | {"ground_state": ground.hash, "path_points": settings.path_points}),
                     store).result or {}
    report(f"N(E_F) = {electrons['dos_at_fermi_per_eV']:.3f} states/eV and cell")
    tasks = [task("phonon", {"ground_state": ground.hash, "number": n + 1, "q_mesh": list(settings.q_mesh),
                             "broadening_step_Ry": settings.broadening_step_Ry, "broadenings": settings.broadenings})
             for n in range(count)]
    for outcome in run_tasks(tasks, store, jobs, retry_failed=True):
        if outcome.result is None:
            raise RunError(f"q-point {outcome.task.inputs['number']}: {outcome.reason}; the same command tries again")
        seconds += cpu_seconds(store.folder(outcome.task) / "ph.out")
        report(f"q-point {outcome.task.inputs['number']} of {count}: {outcome.status}, {outcome.wall_time_s:.0f} s")
    folders = [store.folder(one) for one in tasks]
    return analyse(small, folders, settings, base, electrons, seconds)


def _one(one: Task, store: Store) -> Outcome:
    outcome = next(iter(run_tasks([one], store, retry_failed=True)))
    if outcome.result is None:
        what = one.function.split(":")[1].replace("_", " ")
        raise RunError(f"{what}: {outcome.reason}; the same command tries again")
    return outcome


def analyse(atoms: Atoms, folders: Sequence[Path], settings: ElectronPhononSettings, base: dict[str, Any],
            electrons: dict[str, Any], seconds: float = 0.0) -> ElectronPhonon:
    """From the folders of the phonon tasks (in the order of their numbers) to alpha2F and Tc."""
    stars = [read_dynamical(folder / f"dyn{n}") for n, folder in enumerate(folders, 1)]
    couplings = [[read_coupling(folder / "elph_dir" / f"a2Fq2r.{51 + i}.{n}", len(atoms), alat_A(folder / f"dyn{n}"))
                  for i in range(settings.broadenings)] for n, folder in enumerate(folders, 1)]
    light = np.array([atomic_masses[atomic_numbers[s]] for s in atoms.get_chemical_symbols()])
    heavy = np.array([HEAVY.get(s, m) for s, m in zip(atoms.get_chemical_symbols(), light, strict=True)])
    points = int(np.prod(settings.q_mesh))
    on_mesh = [star_modes(star, coupling, light, points) for star, coupling in zip(stars, couplings, strict=True)]
    lowest, where = lowest_omega_K(on_mesh)
    if lowest < -IMAGINARY_K:
        q = np.round(atoms.cell[:] @ where, 4).tolist()
        raise RunError(f"dynamically unstable: {lowest / KELVIN_PER['cm-1']:.0f} 1/cm (imaginary) at q = {q}; its "
                       "alpha2F means nothing: go to another pressure, relax with that mode frozen in, or include "
                       "anharmonicity")
    field = Interpolation.build(atoms, settings.q_mesh, stars, couplings)
    fine = field.fine(settings.fine_mesh, light)
    rows = []
    for i, one in enumerate(couplings[0]):
        inter, mesh = fine.spectrum(i), mesh_spectrum(on_mesh, i)
        rows.append(Row(one.broadening_Ry, 2.0 * one.dos_per_spin_Ry / RYDBERG_EV, inter.coupling,
                        inter.omega_log_K, inter.omega_2_K, _allen_dynes(inter, settings.mu_star), mesh.coupling,
                        mesh.omega_log_K, _allen_dynes(mesh, settings.mu_star)))
    chosen = chosen_broadening([r.coupling for r in rows], [r.broadening_Ry for r in rows], settings.broadening_Ry)
    tc = tc_from_spectrum(_curve(fine, chosen, "interpolated", atoms), settings.mu_star)
    heavy_result = None
    if not np.allclose(heavy, light):
        curve = _curve(field.fine(settings.fine_mesh, heavy), chosen, "interpolated, heavy isotopes", atoms)
        spectrum = curve.spectrum()
        # Electrons repel each other as before, so mu* stays at the frequency where the light crystal defines it.
        same = replace(spectrum, omega_max_K=tc.curve.omega_max_K if tc.curve else spectrum.omega_max_K)
        exchanged = sorted(set(atoms.get_chemical_symbols()) & set(HEAVY))
        ratio = {s: float(HEAVY[s] / atomic_masses[atomic_numbers[s]]) for s in exchanged}
        heavy_result = (curve, eliashberg_tc_K(same, settings.mu_star), ratio)
    path = atoms.cell.bandpath(npoints=settings.path_points)
    dispersion, _ = field.modes(path.kpts, light)
    notes = _notes(fine, rows, chosen, electrons, lowest)
    return ElectronPhonon(
        atoms=atoms, pressure_GPa=base.get("pressure_GPa"), settings=settings.model_dump(), rows=tuple(rows),
        chosen=chosen, tc=tc, heavy=heavy_result, electrons=electrons, lowest_omega_K=lowest,
        mesh_modes=tuple(on_mesh), dispersion_K=dispersion, imaginary_share=fine.imaginary_share,
        phonon_seconds=seconds, notes=tuple(notes), finer=_finer(atoms, settings, seconds))


def chosen_broadening(couplings: Sequence[float], widths: Sequence[float], asked: float | None = None) -> int:
    """Index of the broadening to report: the nearest to `asked`, else where lambda changes least per step of ln width.

    Too narrow a Fermi surface sees single k-points, too wide a one sees other bands: the flat part lies between.
    """
    if asked is not None:
        return int(np.argmin(np.abs(np.asarray(widths) - asked)))
    slope = np.abs(np.gradient(np.log(np.maximum(couplings, 1e-12)), np.log(widths)))
    return int(np.argmin(slope[1:-1])) + 1


def _allen_dynes(spectrum: Spectrum, mu_star: float) -> float:
    return allen_dynes_tc_K(Moments(spectrum.coupling, spectrum.omega_log_K, spectrum.omega_2_K), mu_star, "standard")


def _curve(fine: FineModes, broadening: int, how: str, atoms: Atoms) -> Any:
    omega, values = fine.curve(broadening)
    return checked(omega, values, "K", f"{atoms.get_chemical_formula(empirical=True)} ({how})", "megabar elph", 2)


def _notes(fine: FineModes, rows: Sequence[Row], chosen: int, electrons: dict[str, Any], lowest: float) -> list[str]:
    row = rows[chosen]
    notes = [f"lambda {min(r.coupling for r in rows):.2f}-{max(r.coupling for r in rows):.2f} over broadenings "
             f"{rows[0].broadening_Ry:g}-{rows[-1].broadening_Ry:g} Ry; {row.broadening_Ry:g} Ry reported",
             f"q-mesh alone: lambda {row.mesh_coupling:.2f}, omega_log {row.mesh_omega_log_K:.0f} K"]
    off = row.dos_per_eV / electrons["dos_at_fermi_per_eV"] - 1.0
    notes.append(f"N(E_F) at that broadening is {100 * off:+.0f} % off the tetrahedron value "
                 f"{electrons['dos_at_fermi_per_eV']:.3f}/eV")
    energy, density = np.asarray(electrons["dos_energy_eV"]), np.asarray(electrons["dos_per_eV"])
    inside = density[np.abs(energy) <= row.broadening_Ry * RYDBERG_EV] / electrons["dos_at_fermi_per_eV"] - 1.0
    if len(inside) and np.abs(inside).max() > 0.15:
        notes.append(f"N(E) varies by {100 * inside.min():+.0f} to {100 * inside.max():+.0f} % within the broadening: "
                     "so wide a Fermi surface averages it away; go to denser k-meshes and a narrower broadening")
    if lowest < 0.0:
        notes.append(f"a mode at {lowest:.0f} K on the q-mesh: noise, or the edge of an instability")
    if fine.imaginary_share > 0.0:
        notes.append(f"{100 * fine.imaginary_share:.2g} % of the interpolated modes are imaginary and left out; a "
                     "finer q-mesh tells whether they are real")
    return notes


def _finer(atoms: Atoms, settings: ElectronPhononSettings, seconds: float) -> list[dict[str, Any]]:
    """What finer meshes would cost, scaled from the measured time by `phonon_work`."""
    here = phonon_work(atoms, settings.q_mesh, settings.k_mesh)[1]
    result: list[dict[str, Any]] = []
    for factor_q, factor_k in ((1, 1), (1, 2), (2, 1), (2, 2), (3, 2)):
        q, k = [factor_q * n for n in settings.q_mesh], [factor_k * n for n in settings.k_mesh]
        k = [int(np.ceil(n / m) * m) for n, m in zip(k, q, strict=True)]
        count, work = phonon_work(atoms, q, k)
        result.append({"q_mesh": q, "k_mesh": k, "q_points": count, "core_hours": seconds * work / here / 3600.0})
    return result


__all__ = ["CITATIONS", "ElectronPhonon", "ElectronPhononSettings", "analyse", "compute", "estimated_s",
           "phonon_work", "prepared"]
