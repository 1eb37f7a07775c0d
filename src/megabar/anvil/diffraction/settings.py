"""Settings of `megabar xrd`; light to import, since the command line reads it at every start."""

from __future__ import annotations

from pydantic import Field

from megabar.campaign.settings import Settings


class XrdSettings(Settings):
    """Settings of `megabar xrd`."""

    phases: list[str] = Field(description="Structure files, trajectories or marker names (W, Re, Au, Pt, ...).")
    wavelength_A: float = Field(description="X-ray wavelength in A, like 0.3344.")
    pressure_GPa: float | None = Field(None, description="Pressure in GPa: places markers, guides a fit.")
    temperature_K: float | None = Field(None, description="Temperature in K, for markers with a thermal pressure.")
    fractions: list[float] | None = Field(None, description="Volume fractions, one a phase (default: equal).")
    microstrain: list[float] | None = Field(None, description="Spread of d-spacings, one a phase (default: 0).")
    u_iso_A2: float = Field(0.0, description="Isotropic U in A^2 of atoms without thermal factors of their own.")
    two_theta_max_deg: float = Field(25.0, description="Largest angle computed, degrees.")
    fwhm_deg: float = Field(0.06, description="Width of a line from the instrument, degrees.")
    symprec: float | None = Field(None, description="Symmetry tolerance, A (0.001; MD averages: by their noise).")
    fit: str | None = Field(None, description="Measured pattern to fit: two columns, 2 theta, q or d and intensity.")
    unit: str | None = Field(None, description="Its first column: 2theta, q_A-1, q_nm-1 or d_A (default: its header).")
    range_deg: list[float] | None = Field(None, description="Part of the pattern to fit: two angles in degrees.")
    marker: str | None = Field(None, description="Phase that tells the pressure (default: the first marker).")
    scale: str | None = Field(None, description="Its pressure scale, author and year, like dewaele2004.")
    search_percent: float = Field(5.0, gt=0, le=15, description="How far cell lengths of other phases may be off, %.")
