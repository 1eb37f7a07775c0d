"""Shift of a luminescence line with temperature at ambient pressure, to be taken off before a scale is used."""

from __future__ import annotations

from megabar.errors import InputError

REFERENCE_K = 296.0
"""Zero of the shifts of Datchi et al. (2007)."""
_RANGE_K = {"ruby": (50.0, 900.0), "sm": (296.0, 900.0)}


def shift_nm(gauge: str, temperature_K: float) -> float:
    """Line shift in nm from 296 K to `temperature_K` at ambient pressure.

    Datchi et al., High Press. Res. 27, 447 (2007), 10.1080/08957950701659593, eq. 2 (ruby R1; a separate cubic from 50
    to 296 K) and eq. 9 (Sm:SrB4O7, 0-0 line). Assumes, as that paper does, that pressure and temperature shifts add.
    Raises InputError outside the measured range.
    """
    low, high = _RANGE_K[gauge]
    if not low <= temperature_K <= high:
        raise InputError(f"{gauge} line at {temperature_K:g} K: the shift is known from {low:g} to {high:g} K only "
                         "(Datchi et al. 2007); give --reference-nm measured at that temperature instead")
    t = temperature_K - REFERENCE_K
    if gauge == "sm":
        return -8.7e-5 * t + 4.62e-6 * t**2 - 2.38e-9 * t**3
    if t >= 0.0:
        return 0.00746 * t - 3.01e-6 * t**2 + 8.76e-9 * t**3
    return 0.00664 * t + 6.76e-6 * t**2 - 2.33e-8 * t**3
