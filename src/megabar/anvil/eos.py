"""Equation of state of a pressure marker: P(V, T), its inverse, bulk modulus, and the covariance it passes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from scipy.optimize import brentq

from megabar.anvil.materials import MATERIALS, Material
from megabar.coldcurves import COLD_CURVES
from megabar.errors import InputError

CM3_PER_MOL_IN_A3 = 1e24 / 6.02214076e23
"""1 cm^3/mol in A^3 per formula unit (Avogadro constant exact, SI 2019)."""
EXTRAPOLATION_LIMIT = 1.5
"""A scale answers beyond its range with a warning, and refuses beyond this many times its highest tested pressure."""


class ThermalModel(Protocol):
    def pressure_GPa(self, x: Any, temperature_K: Any, volume_A3: Any, atoms: int) -> Any: ...


@dataclass(frozen=True)
class Source:
    """Where the constants of a scale come from."""

    citation: str
    doi: str
    table: str


@dataclass(frozen=True)
class Marker:
    """One published equation of state of one marker material.

    V0_A3 is the conventional cell at the reference temperature as the paper has it; `sigma` holds the published
    standard errors by parameter name (V0_A3, K0_GPa, K0_prime). `range_GPa` is the pressure range of the data behind
    the scale, `range_source` says so; `compared_GPa` is the highest pressure at which the curve has been compared
    with independent data, with its source: it sets where the scale refuses to answer.
    """

    material: str
    scale: str
    source: Source
    curve: str
    V0_A3: float
    K0_GPa: float
    K0_prime: float
    range_GPa: tuple[float, float]
    range_source: str
    K0_second_per_GPa: float = 0.0
    thermal: ThermalModel | None = None
    reference_K: float = 300.0
    temperature_K: tuple[float, float] = (290.0, 310.0)
    sigma: Mapping[str, float] = field(default_factory=dict)
    compared_GPa: float = 0.0
    compared_source: str = ""
    note: str = ""

    @property
    def crystal(self) -> Material:
        return MATERIALS[self.material]

    @property
    def refused_above_GPa(self) -> float:
        return EXTRAPOLATION_LIMIT * max(self.range_GPa[1], self.compared_GPa)

    def pressure_at_ratio_GPa(self, x: Any, temperature_K: Any = None) -> Any:
        """Pressure in GPa at x = V/V0 (scalar or array; complex allowed) and temperature in K."""
        cold = COLD_CURVES[self.curve](x, self.K0_GPa, self.K0_prime, self.K0_second_per_GPa)
        kelvin = self.reference_K if temperature_K is None else temperature_K
        if self.thermal is None:
            return cold
        return cold + self.thermal.pressure_GPa(x, kelvin, x * self.V0_A3, self.crystal.atoms_per_cell)

    def pressure_GPa(self, volume_A3: Any, temperature_K: Any = None) -> Any:
        """Pressure in GPa of a conventional cell of `volume_A3` (A^3) at `temperature_K` (default: reference)."""
        return self.pressure_at_ratio_GPa(np.asarray(volume_A3) / self.V0_A3, temperature_K)

    def bulk_modulus_GPa(self, volume_A3: float, temperature_K: float | None = None) -> float:
        """Isothermal bulk modulus -V dP/dV in GPa, by the complex step."""
        h = 1e-20
        slope = np.imag(self.pressure_at_ratio_GPa(volume_A3 / self.V0_A3 + 1j * h, temperature_K)) / h
        return float(-slope * volume_A3 / self.V0_A3)

    def volume_A3(self, pressure_GPa: float, temperature_K: float | None = None) -> float:
        """Conventional-cell volume in A^3 at a pressure in GPa; raises InputError where the curve has no such state."""
        def excess(x: float) -> float:
            return float(self.pressure_at_ratio_GPa(x, temperature_K)) - pressure_GPa

        low, high = 1.0, 1.0
        while excess(low) < 0.0:
            low *= 0.95
            if low < 0.05:
                raise InputError(f"{self.material} {self.scale}: {pressure_GPa:g} GPa is beyond this curve")
        while excess(high) > 0.0:
            high *= 1.01
            if high > 1.3:
                raise InputError(
                    f"{self.material} {self.scale}: no state of {pressure_GPa:g} GPa at {temperature_K or 300:g} K on "
                    "this curve (the cell would have expanded too far); give a higher pressure or a lower temperature")
        x = low if low == high else brentq(excess, low, high, xtol=1e-15, rtol=1e-15)
        return float(x * self.V0_A3)

    def with_V0(self, V0_A3: float) -> Marker:
        """The same curve on a measured ambient volume, for papers whose V0 is not that of the sample at hand."""
        return replace(self, V0_A3=V0_A3)

    def temperature_slope_GPa_per_K(self, volume_A3: float, temperature_K: float | None = None) -> float:
        """dP/dT at constant volume, by a central difference of 0.1 K."""
        kelvin = self.reference_K if temperature_K is None else temperature_K
        rise = self.pressure_GPa(volume_A3, kelvin + 0.05) - self.pressure_GPa(volume_A3, kelvin - 0.05)
        return float(rise / 0.1)

    def parameter_sigma_GPa(self, volume_A3: float, temperature_K: float | None = None, ratio: bool = False) -> float:
        """Standard error of P from the published errors of the parameters, taken as independent.

        K0 and K0' are anti-correlated in every fit and papers rarely print by how much: independence makes this an
        upper estimate. With `ratio`, V/V0 itself was measured and the error of V0 does not enter.
        """
        total = 0.0
        fixed = volume_A3 / self.V0_A3
        for name, sigma in self.sigma.items():
            shifted = replace(self, **{name: getattr(self, name) + sigma})
            if name == "V0_A3" and ratio:
                continue
            volume = fixed * self.V0_A3
            moved = shifted.pressure_GPa(volume, temperature_K) - self.pressure_GPa(volume, temperature_K)
            total += float(moved) ** 2
        return total**0.5

    def covariance(
        self, volume_A3: float, temperature_K: float | None, volume_temperature_covariance: np.ndarray,
    ) -> np.ndarray:
        """2x2 covariance of (P in GPa, T in K) from that of (V in A^3, T in K), with the parameters' errors added.

        First order: P = P(V, T), so dP = -(K/V) dV + (dP/dT) dT.
        """
        jacobian = np.array([
            [-self.bulk_modulus_GPa(volume_A3, temperature_K) / volume_A3,
             self.temperature_slope_GPa_per_K(volume_A3, temperature_K)],
            [0.0, 1.0],
        ])
        result = jacobian @ np.asarray(volume_temperature_covariance, dtype=float) @ jacobian.T
        result[0, 0] += self.parameter_sigma_GPa(volume_A3, temperature_K) ** 2
        return result

    def inverse_covariance(
        self, pressure_GPa: float, temperature_K: float | None, pressure_temperature_covariance: np.ndarray,
    ) -> np.ndarray:
        """2x2 covariance of (V in A^3, T in K) from that of (P in GPa, T in K), parameters' errors added."""
        volume = self.volume_A3(pressure_GPa, temperature_K)
        compliance = volume / self.bulk_modulus_GPa(volume, temperature_K)
        slope = self.temperature_slope_GPa_per_K(volume, temperature_K)
        jacobian = np.array([[-compliance, compliance * slope], [0.0, 1.0]])
        result = jacobian @ np.asarray(pressure_temperature_covariance, dtype=float) @ jacobian.T
        result[0, 0] += (compliance * self.parameter_sigma_GPa(volume, temperature_K)) ** 2
        return result
