"""Upper critical field from transitions in several fields, coherence length, isotope exponent of two samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import brentq, curve_fit
from scipy.special import digamma

from megabar.campaign.files import atomic_path, write_csv
from megabar.errors import InputError
from megabar.superconductivity.spectrum import MASS_RATIO_D_TO_H

FLUX_QUANTUM_WB = 2.067833848e-15
"""h / 2e (CODATA 2018, exact)."""


def coherence_length_A(field_T: float) -> float:
    """Ginzburg-Landau coherence length xi = [Phi_0 / (2 pi Hc2(0))]^(1/2), in A."""
    return float(np.sqrt(FLUX_QUANTUM_WB / (2.0 * np.pi * field_T)) * 1e10)


def ginzburg_landau_T(temperature_K: np.ndarray, field_zero_T: float, tc_K: float) -> np.ndarray:
    """Hc2(T) = Hc2(0) [1 - (T/Tc)^2]."""
    return field_zero_T * (1.0 - (temperature_K / tc_K) ** 2)


def whh_reduced_field(t: float) -> float:
    """h*(t) = Hc2 / (-Tc dHc2/dT at Tc) of Werthamer, Helfand and Hohenberg, dirty limit without spin effects.

    ln(1/t) = psi(1/2 + h/2t) - psi(1/2), h = (4/pi^2) h* (Phys. Rev. 147, 295 (1966), doi:10.1103/PhysRev.147.295).
    """
    if t >= 1.0:
        return 0.0
    if t < 1e-3:
        # psi(1/2 + x) -> ln x: h = 2 exp[psi(1/2)], whence h*(0) = 0.693.
        return float(np.pi**2 / 4.0 * 2.0 * np.exp(digamma(0.5)))
    root = brentq(lambda h: np.log(t) + digamma(0.5 + h / (2.0 * t)) - digamma(0.5), 0.0, 2.0)
    return float(np.pi**2 / 4.0 * root)


_REDUCED_T = np.linspace(0.0, 1.0, 401)
_REDUCED_H = np.array([whh_reduced_field(t) for t in _REDUCED_T])


def whh_T(temperature_K: np.ndarray, slope_T_per_K: float, tc_K: float) -> np.ndarray:
    """Hc2(T) of WHH from -dHc2/dT at Tc; straight on above Tc, so that a fit has a gradient there."""
    t = np.asarray(temperature_K) / tc_K
    inside = np.interp(t, _REDUCED_T, _REDUCED_H)
    return slope_T_per_K * tc_K * np.where(t < 1.0, inside, 1.0 - t)


@dataclass(frozen=True)
class UpperField:
    """Hc2(0) by the two laws with standard errors, and the coherence lengths they give."""

    fields_T: np.ndarray
    tc_K: np.ndarray
    error_K: np.ndarray
    gl_field_T: float
    gl_field_error_T: float
    gl_tc_K: float
    whh_field_T: float
    whh_field_error_T: float
    whh_tc_K: float
    slope_T_per_K: float
    slope_error_T_per_K: float
    lowest_reduced_temperature: float

    def to_dict(self) -> dict[str, Any]:
        return {
            "fields_T": self.fields_T, "tc_K": self.tc_K, "tc_error_K": self.error_K,
            "ginzburg_landau": {"hc2_T": self.gl_field_T, "hc2_error_T": self.gl_field_error_T, "tc_K": self.gl_tc_K,
                                "coherence_length_A": coherence_length_A(self.gl_field_T)},
            "whh": {"hc2_T": self.whh_field_T, "hc2_error_T": self.whh_field_error_T, "tc_K": self.whh_tc_K,
                    "slope_T_per_K": self.slope_T_per_K, "slope_error_T_per_K": self.slope_error_T_per_K,
                    "coherence_length_A": coherence_length_A(self.whh_field_T)},
            "lowest_reduced_temperature": self.lowest_reduced_temperature,
            "note": f"extrapolated from T/Tc >= {self.lowest_reduced_temperature:.2f}; compare the two laws"}

    def save(self, directory: str | Path) -> None:
        from matplotlib.figure import Figure

        target = Path(directory)
        columns: dict[str, Any] = {"field_T": self.fields_T, "tc_K": self.tc_K, "tc_error_K": self.error_K}
        write_csv(target / "upper_field.csv", columns)
        figure = Figure(figsize=(6.4, 4.0), layout="constrained")
        self.plot(figure.add_subplot())
        with atomic_path(target / "upper_field.png") as path:
            figure.savefig(path, dpi=150)

    def plot(self, ax: Any) -> None:
        t = np.linspace(0.0, float(self.tc_K.max()), 200)
        ax.plot(t, ginzburg_landau_T(t, self.gl_field_T, self.gl_tc_K), label=f"GL, {self.gl_field_T:.1f} T")
        ax.plot(t, whh_T(t, self.slope_T_per_K, self.whh_tc_K), label=f"WHH, {self.whh_field_T:.1f} T")
        ax.errorbar(self.tc_K, self.fields_T, xerr=self.error_K, fmt="ko", ms=4)
        ax.set_xlabel("temperature (K)")
        ax.set_ylabel(r"$\mu_0 H_{c2}$ (T)")
        ax.set_ylim(0.0, None)
        ax.legend(frameon=False)


def upper_field(fields_T: Sequence[float], tc_K: Sequence[float], error_K: Sequence[float]) -> UpperField:
    """Fit both laws to Tc(H), errors in Tc carried over by the local slope; InputError below three fields."""
    field, tc, error = (np.asarray(x, dtype=float) for x in (fields_T, tc_K, error_K))
    if len(field) < 3 or len(np.unique(field)) < 3:
        raise InputError(f"the upper critical field has two unknowns; give 3 fields or more, not {len(field)}")
    order = np.argsort(field)
    field, tc, error = field[order], tc[order], error[order]
    slope = float(np.polyfit(tc, field, 1)[0])
    if slope >= 0.0:
        raise InputError("Tc does not fall with the field; check that fields and files stand in the same order")
    sigma = np.maximum(error, 1e-6) * abs(slope)
    guess_tc = float(tc.max() * 1.001)
    try:
        gl, gl_cov = curve_fit(ginzburg_landau_T, tc, field, p0=[-0.5 * slope * guess_tc, guess_tc], sigma=sigma,
                               absolute_sigma=True)
        whh, whh_cov = curve_fit(whh_T, tc, field, p0=[-slope, guess_tc], sigma=sigma, absolute_sigma=True)
    except RuntimeError:
        raise InputError("no critical-field curve fits these points; check fields and files") from None
    factor = whh_reduced_field(0.0)
    gradient = factor * np.array([whh[1], whh[0]])
    return UpperField(field, tc, error, float(gl[0]), float(np.sqrt(gl_cov[0, 0])), float(gl[1]),
                      float(factor * whh[0] * whh[1]), float(np.sqrt(gradient @ whh_cov @ gradient)), float(whh[1]),
                      float(whh[0]), float(np.sqrt(whh_cov[0, 0])), float(tc.min() / gl[1]))


def isotope_exponent(light_K: float, light_error_K: float, heavy_K: float, heavy_error_K: float,
                     mass_ratio: float = MASS_RATIO_D_TO_H) -> tuple[float, float]:
    """alpha = -ln(Tc_heavy / Tc_light) / ln(mass ratio) and its standard error."""
    exponent = -np.log(heavy_K / light_K) / np.log(mass_ratio)
    error = np.hypot(light_error_K / light_K, heavy_error_K / heavy_K) / np.log(mass_ratio)
    return float(exponent), float(error)
