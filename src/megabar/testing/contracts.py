"""What an energy, a force and a stress must satisfy among themselves, whoever computed them.

Every check raises AssertionError with the two numbers that disagree. Stress is ASE's: tension positive, eV/A^3.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator

from megabar.units import EV_PER_A3_IN_GPA, stress_matrix


def _energy(atoms: Atoms, calculator: Calculator) -> float:
    copy = atoms.copy()
    copy.calc = calculator
    return float(copy.get_potential_energy(force_consistent=True))


def _strained(atoms: Atoms, strain: np.ndarray) -> Atoms:
    copy = atoms.copy()
    copy.set_cell(atoms.cell[:] @ (np.eye(3) + strain), scale_atoms=True)
    return copy


def check_pressure_is_volume_derivative(calculator: Calculator, atoms: Atoms, tolerance_GPa: float = 1e-3,
                                        step: float = 1e-3) -> None:
    """P = -trace(stress)/3 equals -dE/dV by central difference over +-`step` of the volume."""
    copy = atoms.copy()
    copy.calc = calculator
    pressure = -np.trace(stress_matrix(copy.get_stress(voigt=False))) / 3.0 * EV_PER_A3_IN_GPA
    energies, volumes = [], []
    for sign in (-1.0, 1.0):
        scaled = _strained(atoms, np.eye(3) * ((1.0 + sign * step) ** (1.0 / 3.0) - 1.0))
        energies.append(_energy(scaled, calculator))
        volumes.append(scaled.get_volume())
    numerical = -(energies[1] - energies[0]) / (volumes[1] - volumes[0]) * EV_PER_A3_IN_GPA
    assert abs(pressure - numerical) <= tolerance_GPa, (
        f"pressure from the stress is {pressure:.5f} GPa, from -dE/dV {numerical:.5f} GPa (wrong sign, unit or term?)"
    )


def check_stress_is_strain_derivative(calculator: Calculator, atoms: Atoms, tolerance_GPa: float = 1e-3,
                                      step: float = 1e-4) -> None:
    """Every component of the stress equals dE/d(strain) / V by central difference."""
    copy = atoms.copy()
    copy.calc = calculator
    stress = stress_matrix(copy.get_stress(voigt=False)) * EV_PER_A3_IN_GPA
    for i in range(3):
        for j in range(i, 3):
            energies = []
            for sign in (-1.0, 1.0):
                strain = np.zeros((3, 3))
                strain[i, j] += 0.5 * sign * step
                strain[j, i] += 0.5 * sign * step
                energies.append(_energy(_strained(atoms, strain), calculator))
            numerical = (energies[1] - energies[0]) / (2.0 * step) / atoms.get_volume() * EV_PER_A3_IN_GPA
            assert abs(stress[i, j] - numerical) <= tolerance_GPa, (
                f"stress[{i},{j}] is {stress[i, j]:.5f} GPa, dE/d(strain)/V {numerical:.5f} GPa"
            )


def check_forces_are_derivatives(calculator: Calculator, atoms: Atoms, tolerance_eV_per_A: float = 1e-4,
                                 step_A: float = 1e-3, count: int = 6, seed: int = 0) -> None:
    """`count` randomly chosen force components equal -dE/dx by central difference, and forces sum to zero."""
    copy = atoms.copy()
    copy.calc = calculator
    forces = copy.get_forces()
    total = np.abs(forces.sum(axis=0)).max()
    assert total <= tolerance_eV_per_A * len(atoms), f"forces sum to {total:.2e} eV/A, not to zero"
    rng = np.random.default_rng(seed)
    for _ in range(count):
        i, axis = int(rng.integers(len(atoms))), int(rng.integers(3))
        energies = []
        for sign in (-1.0, 1.0):
            moved = atoms.copy()
            moved.positions[i, axis] += sign * step_A
            energies.append(_energy(moved, calculator))
        numerical = -(energies[1] - energies[0]) / (2.0 * step_A)
        assert abs(forces[i, axis] - numerical) <= tolerance_eV_per_A, (
            f"force on atom {i} along {'xyz'[axis]} is {forces[i, axis]:.6f}, -dE/dx {numerical:.6f} eV/A"
        )


def check_supercell(calculator: Calculator, atoms: Atoms, tolerance_eV_per_atom: float = 1e-5,
                    tolerance_GPa: float = 1e-3, repeat: tuple[int, int, int] = (2, 1, 1)) -> None:
    """Energy per atom and stress do not depend on how often the cell is repeated."""
    values = []
    for cell in (atoms, atoms.repeat(repeat)):
        cell = Atoms(cell.numbers, positions=cell.positions, cell=cell.cell, pbc=True)
        cell.calc = calculator
        energy = cell.get_potential_energy(force_consistent=True) / len(cell)
        values.append((energy, stress_matrix(cell.get_stress(voigt=False)) * EV_PER_A3_IN_GPA))
    assert abs(values[0][0] - values[1][0]) <= tolerance_eV_per_atom, (
        f"energy per atom {values[0][0]:.6f} eV in the cell, {values[1][0]:.6f} eV in its {repeat} supercell"
    )
    worst = np.abs(values[0][1] - values[1][1]).max()
    assert worst <= tolerance_GPa, f"stress differs by {worst:.5f} GPa between the cell and its {repeat} supercell"


def check_backend(calculator: Calculator, cells: Sequence[Atoms], tolerance_GPa: float = 1e-3,
                  tolerance_eV_per_A: float = 1e-4, tolerance_eV_per_atom: float = 1e-5) -> None:
    """All contracts on every cell; give cells near 0 and near 200 GPa, at least one without symmetry."""
    for atoms in cells:
        check_pressure_is_volume_derivative(calculator, atoms, tolerance_GPa)
        check_stress_is_strain_derivative(calculator, atoms, tolerance_GPa)
        check_forces_are_derivatives(calculator, atoms, tolerance_eV_per_A)
        check_supercell(calculator, atoms, tolerance_eV_per_atom, tolerance_GPa)
