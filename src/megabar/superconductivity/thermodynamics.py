"""What the gap solutions say below Tc: Delta(T), gap ratio, specific-heat jump, thermodynamic field, isotope effect."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from megabar.campaign.files import write_csv
from megabar.superconductivity.eliashberg import GapSolution, eliashberg_tc_K, gap_edge_K, solve_gap
from megabar.superconductivity.spectrum import KELVIN_PER, MASS_RATIO_D_TO_H, Spectrum

REDUCED_TEMPERATURES = (0.15, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.94, 0.97)


@dataclass(frozen=True)
class BelowTc:
    """Gap and thermodynamics below Tc; arrays over temperature, shape (n,).

    `gap_meV` is Delta at the first Matsubara frequency; `gap_edge_meV` its continuation to the real axis at the lowest
    temperature, from which `gap_ratio` = 2 Delta_0 / k Tc. `field_over_sqrt_dos_K` is Hc(T) / sqrt(N(0)) with
    Hc^2 / 8 pi = F_n - F_s (Gaussian); `field_ratio` = gamma Tc^2 / Hc(0)^2, 0.168 in the BCS limit;
    `specific_heat_jump_ratio` = Delta C / (gamma Tc), 1.43 in the BCS limit.
    """

    tc_K: float
    temperature_K: np.ndarray
    gap_meV: np.ndarray
    z_first: np.ndarray
    free_energy_K2: np.ndarray
    gap_edge_meV: float
    gap_ratio: float
    specific_heat_jump_ratio: float
    field_ratio: float
    free_energy_zero_K2: float

    @property
    def field_over_sqrt_dos_K(self) -> np.ndarray:
        return np.sqrt(-8.0 * np.pi * self.free_energy_K2)

    def critical_field_T(self, dos_per_eV: float, volume_A3: float) -> float:
        """mu0 Hc(0) in tesla, from the density of states of both spins (1/eV per cell) and the volume of that cell."""
        energy_eV = KELVIN_PER["meV"] * 1e3
        density = 0.5 * dos_per_eV / volume_A3 * -self.free_energy_zero_K2 / energy_eV**2  # eV/A^3
        # B^2 / (2 mu0) = F_n - F_s; 1 eV/A^3 = 1.602176634e11 J/m^3; mu0 = 1.25663706212e-6 (CODATA 2018).
        return float(np.sqrt(2.0 * 1.25663706212e-6 * density * 1.602176634e11))

    def save(self, directory: str | Path) -> None:
        columns: dict[str, Any] = {
            "temperature_K": self.temperature_K, "gap_meV": self.gap_meV, "z_first_frequency": self.z_first,
            "free_energy_over_dos_K2": self.free_energy_K2}
        write_csv(Path(directory) / "gap.csv", columns)

    def plot(self, ax: Any) -> None:
        ax.plot(np.append(self.temperature_K, self.tc_K), np.append(self.gap_meV, 0.0), "o-", ms=3, color="#2171b5")
        ax.set_xlabel("temperature (K)")
        ax.set_ylabel(r"$\Delta(i\pi T)$ (meV)")
        ax.set_xlim(0.0, None)
        ax.set_ylim(0.0, None)


def below_tc(spectrum: Spectrum, mu_star: float, tc_K: float) -> BelowTc:
    """Gap solutions from 0.15 Tc to 0.97 Tc, and the ratios they give."""
    solutions: list[GapSolution] = []
    start: np.ndarray | float = 1.8 * tc_K
    for reduced in REDUCED_TEMPERATURES:
        solutions.append(solve_gap(spectrum, mu_star, reduced * tc_K, start))
        start = solutions[-1].delta_K
    temperature = np.array([s.temperature_K for s in solutions])
    free = np.array([s.free_energy_K2 for s in solutions])
    gamma = 2.0 * np.pi**2 / 3.0 * (1.0 + spectrum.coupling)
    # F_s is flat at low T, F_n = -gamma T^2 / 2: what separates 0.15 Tc from zero is known.
    free_zero = free[0] - 0.5 * gamma * temperature[0] ** 2
    # -dF = a (1-t)^2 + ... near Tc, and the jump is 2 a / Tc; a is extrapolated to t = 1 from the last four.
    distance = 1.0 - temperature[-4:] / tc_K
    quadratic = np.polynomial.Polynomial.fit(distance, -free[-4:] / distance**2, 2)(0.0)
    edge = gap_edge_K(solutions[0], spectrum)
    return BelowTc(
        tc_K=tc_K, temperature_K=temperature, gap_meV=np.array([s.delta_K[0] for s in solutions]) / KELVIN_PER["meV"],
        z_first=np.array([s.z[0] for s in solutions]), free_energy_K2=free, gap_edge_meV=edge / KELVIN_PER["meV"],
        gap_ratio=2.0 * edge / tc_K, specific_heat_jump_ratio=float(2.0 * quadratic / (gamma * tc_K**2)),
        field_ratio=float(gamma * tc_K**2 / (-8.0 * np.pi * free_zero)), free_energy_zero_K2=float(free_zero))


@dataclass(frozen=True)
class Isotope:
    """Isotope exponents alpha = -dlnTc/dlnM. `split_K` divides the host's modes (below) from hydrogen's (above)."""

    split_K: float | None
    exponent_all: float
    exponent_below: float | None
    exponent_above: float | None
    tc_H_K: float
    tc_D_K: float
    exponent_H_to_D: float

    def to_dict(self) -> dict[str, float | None]:
        return {"exponent_all": self.exponent_all, "exponent_host": self.exponent_below,
                "exponent_hydrogen": self.exponent_above, "split_K": self.split_K, "tc_H_K": self.tc_H_K,
                "tc_D_K": self.tc_D_K, "exponent_H_to_D": self.exponent_H_to_D}


def isotope(spectrum: Spectrum, mu_star: float, tc_K: float, split_K: float | None = None) -> Isotope:
    """Isotope exponents by harmonic frequency scaling, mu* fixed at an energy of the electrons.

    Without `split_K` all modes are taken to be hydrogen's, an upper bound for H -> D. Differential exponents from
    masses changed by +-2 %; H -> D from the full change of mass.
    """
    small = 1.02

    def exponent(spectra: tuple[Spectrum, Spectrum]) -> float:
        heavy, light = (eliashberg_tc_K(s, mu_star) for s in spectra)
        return float(-np.log(heavy / light) / (2.0 * np.log(small)))

    everything = exponent((spectrum.with_mass(small), spectrum.with_mass(1.0 / small)))
    above = below = None
    if split_K is not None:
        above = exponent((spectrum.with_mass(small, split_K), spectrum.with_mass(1.0 / small, split_K)))
        below = everything - above
    heavy = eliashberg_tc_K(spectrum.with_mass(MASS_RATIO_D_TO_H, split_K or 0.0), mu_star)
    return Isotope(split_K, everything, below, above, tc_K, heavy,
                   float(-np.log(heavy / tc_K) / np.log(MASS_RATIO_D_TO_H)))
