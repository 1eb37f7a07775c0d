"""The one place where this room runs GPAW: a converged density at the reference level, and bands on it.

The set-up is that of the reference level (`megabar.firstprinciples`), with the k-mesh of metals whatever the crystal,
since whether it is one is the question here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from megabar.errors import ExtraMissing, InputError, NotConverged
from megabar.firstprinciples.gpaw import available, parameters
from megabar.firstprinciples.levels import PBE_GPAW_1, Level
from megabar.units import EV_PER_A3_IN_GPA, stress_matrix

SHORTEST_A = 0.5
MAXIMUM_ATOMS = 60


SYMMETRY_A = 1e-3


def symmetrized(atoms: Atoms) -> Atoms:
    """`atoms` moved onto the symmetry they have within 1e-3 A, orientation kept.

    GPAW wants the operations to close as a group to 1e-10, which 0.3333 in a CIF, or eight digits, do not. So cell and
    positions are refined, and the origin is moved (by less than 1e-4) to where all translations are whole 24ths.
    """
    import spglib
    from ase.spacegroup.symmetrize import refine_symmetry

    result = Atoms(atoms.numbers, cell=atoms.cell, scaled_positions=atoms.get_scaled_positions(), pbc=True)
    refine_symmetry(result, symprec=SYMMETRY_A)
    found = spglib.get_symmetry((result.cell[:], result.get_scaled_positions(), result.numbers), symprec=SYMMETRY_A)
    if found is not None:
        off = np.rint(24.0 * found["translations"]) / 24.0 - found["translations"]
        if np.max(np.abs(off)) < 1e-4:
            shift = np.linalg.lstsq((np.eye(3) - found["rotations"]).reshape(-1, 3), off.ravel(), rcond=1e-6)[0]
            result.set_scaled_positions(result.get_scaled_positions() + shift)
    return result


def primitive(atoms: Atoms) -> Atoms:
    """Primitive cell of `atoms` in their orientation and on their origin, moved onto its symmetry (both to 1e-3 A).

    What is not a crystal comes back as it is, for `check_cell` to refuse.
    """
    import spglib

    if abs(atoms.cell.volume) < 1.0:
        return atoms
    found = spglib.standardize_cell((atoms.cell[:], atoms.get_scaled_positions(), atoms.numbers), to_primitive=True,
                                    no_idealize=True, symprec=SYMMETRY_A)
    if found is not None and len(found[2]) < len(atoms):
        cell, positions, numbers = found
        return symmetrized(Atoms(numbers, cell=cell, scaled_positions=positions, pbc=True))
    return symmetrized(atoms)


def check_cell(atoms: Atoms, source: str) -> None:
    """InputError for a cell that GPAW cannot or should not be given; ExtraMissing without GPAW."""
    if not atoms.pbc.all() or abs(atoms.cell.volume) < 1.0:
        raise InputError(f"{source}: not a crystal (periodic in three directions, with a cell); give one")
    if len(atoms) > MAXIMUM_ATOMS:
        raise InputError(f"{source}: {len(atoms)} atoms in the primitive cell; give one of {MAXIMUM_ATOMS} or fewer")
    if len(atoms) > 1:
        distances = atoms.get_all_distances(mic=True)
        shortest = float(np.min(distances[np.triu_indices(len(atoms), 1)]))
        if shortest < SHORTEST_A:
            raise InputError(f"{source}: two atoms {shortest:.2f} A apart; below {SHORTEST_A} A PAW spheres mislead")
    reason = available()
    if reason is not None:
        raise ExtraMissing(reason)


def pulay(level: Level, atoms: Atoms, stress: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """3x3 stress with the Pulay term of the elements whose constant is known, and the elements left without."""
    matrix = stress_matrix(stress)
    missing = sorted(set(atoms.get_chemical_symbols()) - set(level.pulay_GPa_A3))
    if not missing:
        return level.add_pulay(matrix, atoms), ()
    known = sum(level.pulay_GPa_A3.get(s, 0.0) for s in atoms.get_chemical_symbols())
    return matrix - np.eye(3) * known / atoms.get_volume() / EV_PER_A3_IN_GPA, tuple(missing)


def converge(atoms: Atoms, log: str | Path, level: Level = PBE_GPAW_1) -> Any:
    """GPAW calculator with a converged density of `atoms`; NotConverged names the log."""
    from gpaw import GPAW, KohnShamConvergenceError

    frame = Atoms(atoms.numbers, cell=atoms.cell, positions=atoms.positions, pbc=True, info={"metallic": True})
    # Minus four: four empty bands, for an insulator gets none by default and then shows no gap.
    frame.calc = GPAW(**{**parameters(frame, level), "nbands": -4}, txt=str(log))
    try:
        frame.get_potential_energy()
    except KohnShamConvergenceError:
        raise NotConverged(f"self-consistency not reached; see {log}") from None
    return frame.calc


@dataclass(frozen=True)
class Bands:
    """Eigenvalues in eV, shape (k, bands), from the Fermi level (of an insulator: from the middle of its gap).

    With k-points (fractional, shape (k, 3)), their weights, and the number of electrons.
    """

    k_points: np.ndarray
    weights: np.ndarray
    energies_eV: np.ndarray
    electrons: int

    @property
    def fundamental_gap_eV(self) -> float:
        """Lowest empty minus highest filled level; negative where bands overlap. 0.0 for an odd count of electrons."""
        if self.electrons % 2:
            return 0.0
        filled = self.electrons // 2
        return float(self.energies_eV[:, filled].min() - self.energies_eV[:, filled - 1].max())

    @property
    def direct_gap_eV(self) -> float:
        """Least difference of those two bands at one k."""
        if self.electrons % 2:
            return 0.0
        filled = self.electrons // 2
        return float(np.min(self.energies_eV[:, filled] - self.energies_eV[:, filled - 1]))

    def edges(self) -> tuple[np.ndarray, np.ndarray]:
        """k-points (fractional) of the highest filled and lowest empty level."""
        filled = self.electrons // 2
        return (self.k_points[int(np.argmax(self.energies_eV[:, filled - 1]))],
                self.k_points[int(np.argmin(self.energies_eV[:, filled]))])

    def dos_per_eV(self, energy_eV: np.ndarray, width_eV: float) -> np.ndarray:
        """States of both spins per eV and cell at energies from the Fermi level, broadened by Gaussians."""
        x = (np.asarray(energy_eV)[:, None, None] - self.energies_eV) / width_eV
        gauss = np.exp(-0.5 * x**2) / (np.sqrt(2.0 * np.pi) * width_eV)
        return 2.0 * np.einsum("k,ekb->e", self.weights / self.weights.sum(), gauss)


def bands_of(calc: Any) -> Bands:
    """Bands on the k-mesh of the calculation itself (irreducible points with their weights)."""
    points, electrons = calc.get_ibz_k_points(), round(float(calc.get_number_of_electrons()))
    energies = np.array([calc.get_eigenvalues(kpt=k) for k in range(len(points))])
    return Bands(points, np.asarray(calc.get_k_point_weights()), energies - _zero(calc, energies, electrons), electrons)


def _zero(calc: Any, energies_eV: np.ndarray, electrons: int) -> float:
    """Fermi level; in a gap, where smearing leaves it anywhere, the middle of it."""
    if electrons % 2 == 0:
        top = float(energies_eV[:, electrons // 2 - 1].max())
        bottom = float(energies_eV[:, electrons // 2].min())
        if bottom > top:
            return 0.5 * (top + bottom)
    return float(calc.get_fermi_level())


def bands_on(calc: Any, k_points: np.ndarray | dict[str, Any], empty: int = 6, log: str | Path = "-") -> Bands:
    """Bands on other k-points, with the density and the zero of energy of `calc` kept."""
    own = np.array([calc.get_eigenvalues(kpt=k) for k in range(len(calc.get_ibz_k_points()))])
    electrons = round(float(calc.get_number_of_electrons()))
    count = electrons // 2 + empty
    fixed = calc.fixed_density(kpts=k_points, nbands=count + 4, convergence={"bands": count}, txt=str(log),
                               symmetry={"symmorphic": False} if isinstance(k_points, dict) else "off")
    points = fixed.get_ibz_k_points()
    energies = np.array([fixed.get_eigenvalues(kpt=k)[:count] for k in range(len(points))])
    return Bands(points, np.asarray(fixed.get_k_point_weights()), energies - _zero(calc, own, electrons), electrons)
