"""What the runs of solids, of liquids and of both side by side have in common: their cells, and what is read from them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from ase import Atoms

from megabar.errors import InputError
from megabar.thermodynamics.averages import block_error
from megabar.units import EV_PER_A3_IN_GPA

NO_DRIFT = "fix drift all momentum 200 linear 1 1 1 rescale"
"""LAMMPS line that takes the rounding drift of the centre of mass out and leaves the temperature."""
LARGEST_SEED = 899_999_999
"""The Marsaglia generator behind fix langevin refuses larger ones."""


def rectangular_unit(crystal: Atoms, tolerance_A: float) -> Atoms:
    """The conventional cell of `crystal` to `tolerance_A`, a hexagonal one doubled to its orthohexagonal.

    Raises InputError for a lattice without three right angles (monoclinic, triclinic) and for overlapping atoms.
    """
    import spglib

    found = spglib.standardize_cell((crystal.cell[:], crystal.get_scaled_positions(), crystal.numbers),
                                    to_primitive=False, no_idealize=False, symprec=tolerance_A)
    formula = crystal.get_chemical_formula()
    if found is None:
        raise InputError(f"{formula}: its symmetry is not found; give a cell without overlapping atoms")
    lattice, scaled, numbers = found
    unit = Atoms(numbers, cell=lattice, scaled_positions=scaled, pbc=True)
    angles = unit.cell.angles()
    if np.allclose(angles, [90.0, 90.0, 120.0], atol=1e-3):
        from ase.build import make_supercell

        unit = make_supercell(unit, np.array([[1, 0, 0], [1, 2, 0], [0, 0, 1]]))
    elif not np.allclose(angles, 90.0, atol=1e-3):
        raise InputError(f"{formula}: its lattice has angles of {', '.join(f'{a:.1f}' for a in angles)} degrees, so no "
                         "rectangular cell can be made of it; give a supercell that has right angles")
    unit.set_cell(np.diag(unit.cell.lengths()), scale_atoms=True)
    unit.wrap()
    return unit


def enthalpy_eV(thermo: Mapping[str, np.ndarray], pressure_GPa: float,
                energy: str = "total_energy_eV") -> np.ndarray:
    """(t,) E + P V of the whole cell at the pressure asked for (the barostat's noise is left out of P V), with the
    column `energy` of `thermo` for E."""
    return thermo[energy] + pressure_GPa / EV_PER_A3_IN_GPA * thermo["volume_A3"]


def pressure_missed(pressure_GPa: np.ndarray, wanted_GPa: float) -> bool:
    """Whether the mean of `pressure_GPa` (t,) is off by 2 %, 0.3 GPa and three of its errors."""
    mean, error = block_error(pressure_GPa)
    return bool(abs(mean - wanted_GPa) > max(0.02 * abs(wanted_GPa), 0.3, 3.0 * error))


def temperature_missed(mean_K: float, wanted_K: float) -> bool:
    """Whether a mean temperature is off by 3 %."""
    return abs(mean_K - wanted_K) > 0.03 * wanted_K
