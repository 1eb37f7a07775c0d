"""Contracts that any backend must pass, for use in other projects' tests too.

>>> from megabar.testing import check_backend
>>> check_backend(calculator, [atoms_near_0_GPa, atoms_near_200_GPa])
"""

from megabar.testing.contracts import (
    check_backend,
    check_forces_are_derivatives,
    check_pressure_is_volume_derivative,
    check_stress_is_strain_derivative,
    check_supercell,
)

__all__ = [
    "check_backend", "check_forces_are_derivatives", "check_pressure_is_volume_derivative",
    "check_stress_is_strain_derivative", "check_supercell",
]
