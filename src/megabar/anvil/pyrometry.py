"""Temperature from thermal radiation: Planck and Wien grey-body fits, two-colour windows, and what emissivity may hide.

Planck: L = eps c1L lambda^-5/[exp(c2/(lambda T)) - 1]. Wien drops the 1 and becomes a straight line,
ln(L lambda^5/c1L) = ln eps - c2/(lambda T). Wavelengths in nm at the surface, radiance in W m^-2 sr^-1 per metre of
wavelength or in any unit proportional to it: only then is the emissivity one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from megabar.anvil.columns import TwoColumns
from megabar.anvil.figures import save_figure
from megabar.anvil.peaks import fit
from megabar.campaign.files import write_csv, write_json
from megabar.errors import InputError

C1L_W_M2_SR = 1.191042972397188e-16
"""First radiation constant for spectral radiance, 2 h c^2 (CODATA 2018, exact)."""
C2_M_K = 1.438776877e-2
"""Second radiation constant, h c/k (CODATA 2018, exact)."""
SLOPE_BOUND_PER_UM = 0.5
"""|d ln eps/d lambda| that a metal or oxide may well have over a visible window, in 1/um: tungsten has about -0.3
(de Vos, Physica 20, 690 (1954), 10.1016/S0031-8914(54)80181-0), others more."""


def planck_radiance(wavelength_nm: Any, temperature_K: Any) -> Any:
    """Spectral radiance of a black body in W m^-2 sr^-1 m^-1."""
    metre = np.asarray(wavelength_nm, dtype=float) * 1e-9
    return C1L_W_M2_SR / metre**5 / np.expm1(C2_M_K / (metre * np.asarray(temperature_K, dtype=float)))


@dataclass(frozen=True)
class Pyrometry:
    """Temperatures of one spectrum.

    `temperature_K` is the grey-body Planck fit; `uncertainty_K` joins `statistical_K` and `emissivity_K`, the shift
    that an emissivity falling or rising by `SLOPE_BOUND_PER_UM` would cause. `free_temperature_K` is of the fit in
    which ln eps is a straight line of slope `emissivity_slope_per_um`. `two_colour_nm`, `two_colour_K` are the sliding
    two-colour temperatures, `two_colour_trend_K_per_um` their slope. `emissivity` is in the unit of the data.
    """

    temperature_K: float
    uncertainty_K: float
    statistical_K: float
    emissivity_K: float
    emissivity: float
    wien_temperature_K: float
    wien_error_K: float
    free_temperature_K: float
    free_error_K: float
    emissivity_slope_per_um: float
    emissivity_slope_error_per_um: float
    two_colour_nm: np.ndarray
    two_colour_K: np.ndarray
    two_colour_spread_K: float
    two_colour_trend_K_per_um: float
    range_nm: tuple[float, float]
    points: int
    wavelength_nm: np.ndarray
    radiance: np.ndarray
    model: np.ndarray
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        skip = {"wavelength_nm", "radiance", "model"}
        return {k: (list(v) if isinstance(v, tuple) else v) for k, v in vars(self).items() if k not in skip}

    def save(self, folder: str | Path) -> None:
        """Write pyrometry.json, pyrometry.csv and pyrometry.png into `folder`."""
        folder = Path(folder)
        write_json(folder / "pyrometry.json", self.as_dict())
        write_csv(folder / "pyrometry.csv", {"wavelength_nm": self.wavelength_nm.tolist(),
                                             "radiance": self.radiance.tolist(), "planck_fit": self.model.tolist()})
        save_figure(folder / "pyrometry.png", self.plot)

    def plot(self, ax: Any) -> None:
        """Wien plot: ln(L lambda^5) against c2/lambda, on which a grey body is a straight line of slope -1/T."""
        metre = self.wavelength_nm * 1e-9
        for y, style in ((self.radiance, "."), (self.model, "-")):
            ok = y > 0.0
            ax.plot(C2_M_K / metre[ok] / 1e3, np.log(y[ok] * metre[ok] ** 5 / C1L_W_M2_SR), style,
                    label="data" if style == "." else f"Planck, {self.temperature_K:.0f} ± {self.uncertainty_K:.0f} K")
        ax.set_xlabel("c$_2$/λ (10$^3$ K)")
        ax.set_ylabel("ln(L λ$^5$/c$_{1L}$)")
        ax.legend()


def _wien_fit(metre: np.ndarray, radiance: np.ndarray) -> tuple[float, float]:
    """Temperature and its standard error from the straight line, weighted for noise of constant size in radiance."""
    J = np.log(radiance * metre**5 / C1L_W_M2_SR)
    x = C2_M_K / metre
    w = radiance**2 / np.mean(radiance**2)
    mx, mJ = np.average(x, weights=w), np.average(J, weights=w)
    spread = float(np.sum(w * (x - mx) ** 2))
    slope = float(np.sum(w * (x - mx) * (J - mJ))) / spread
    residual = J - mJ - slope * (x - mx)
    error = math.sqrt(float(np.sum(w * residual**2)) / max(1, len(x) - 2) / spread)
    return -1.0 / slope, error / slope**2


def _two_colour(metre: np.ndarray, radiance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two-colour Wien temperatures of pairs a third of the window apart: (middle in nm, K)."""
    order = np.arange(len(metre))
    shift = max(2, len(metre) // 3)
    first, second = order[:-shift], order[shift:]
    J = np.log(radiance * metre**5 / C1L_W_M2_SR)
    with np.errstate(divide="ignore", invalid="ignore"):
        T = C2_M_K * (1.0 / metre[first] - 1.0 / metre[second]) / (J[second] - J[first])
    return 0.5e9 * (metre[first] + metre[second]), T


def read_temperature(spectrum: TwoColumns, range_nm: tuple[float, float] | None = None) -> Pyrometry:
    """Temperature of a thermal spectrum (wavelength in nm, radiance per unit wavelength, already corrected for the
    response of the instrument).

    Raises InputError for wavelengths that are not in nm, spectra without a usable signal, and ranges that hold fewer
    than twelve points.
    """
    x, y = spectrum.x, spectrum.y
    if x[-1] < 50.0:
        raise InputError(f"wavelengths from {x[0]:g} to {x[-1]:g} look like micrometres; convert the column to nm")
    if x[0] < 150.0 or x[-1] > 30_000.0:
        raise InputError(f"wavelengths from {x[0]:g} to {x[-1]:g} are not in nm (150 to 30000 expected)")
    if range_nm is not None:
        if not range_nm[0] < range_nm[1]:
            raise InputError(f"range {range_nm[0]:g},{range_nm[1]:g} nm: give the shorter wavelength first")
        inside = (x >= range_nm[0]) & (x <= range_nm[1])
        x, y = x[inside], y[inside]
    if len(x) < 12:
        raise InputError(f"{len(x)} points in the range: a temperature needs at least 12")
    if np.max(y) <= 0.0:
        raise InputError("the spectrum is nowhere positive: subtract the right background")
    warnings = []
    used = y > 0.02 * np.max(y)
    if used.sum() < 12:
        raise InputError("fewer than 12 points rise above 2 % of the maximum: narrow the range to the thermal part")
    if used.sum() < len(y):
        warnings.append(f"{len(y) - int(used.sum())} points below 2 % of the maximum were left out")
    x, y = x[used], y[used]
    metre, middle = x * 1e-9, float(np.mean(x)) * 1e-3
    wien_K, wien_error = _wien_fit(metre, y)
    if not 300.0 < wien_K < 50_000.0:
        raise InputError(f"the spectrum falls or rises in a way no grey body does (Wien gives {wien_K:.0f} K): is it "
                         "corrected for the response, in nm, and radiance per wavelength?")
    scale = float(np.max(y))

    def model(p: np.ndarray) -> np.ndarray:
        shape = planck_radiance(x, 1.0 / p[0])
        return np.exp(p[1] + (p[2] if len(p) > 2 else 0.0) * (x * 1e-3 - middle)) * shape / planck_radiance(
            1e3 * middle, 1.0 / p[0])

    start = np.array([1.0 / wien_K, math.log(max(float(np.interp(1e3 * middle, x, y)) / scale, 1e-6))])
    low, high = np.array([1e-5, -30.0]), np.array([1.0 / 200.0, 30.0])
    grey = fit(lambda p: model(p) - y / scale, start, low, high)
    free = fit(lambda p: model(p) - y / scale, np.append(grey.parameters, 0.0), np.append(low, -30.0),
               np.append(high, 30.0))
    T, statistical = 1.0 / grey.parameters[0], grey.errors[0] / grey.parameters[0] ** 2
    free_T, free_error = 1.0 / free.parameters[0], free.errors[0] / free.parameters[0] ** 2

    def sloping_K(slope: float) -> float:
        return 1.0 / fit(lambda p: model(np.append(p, slope)) - y / scale, grey.parameters, low, high).parameters[0]

    systematic = 0.5 * abs(sloping_K(SLOPE_BOUND_PER_UM) - sloping_K(-SLOPE_BOUND_PER_UM))
    centres, temperatures = _two_colour(metre, y)
    good = np.isfinite(temperatures) & (temperatures > 0.0)
    trend = float(np.polyfit(centres[good] * 1e-3, temperatures[good], 1)[0]) if good.sum() > 3 else float("nan")
    spread = float(np.std(temperatures[good])) if good.any() else float("nan")
    if free_error > 0.10 * free_T:
        warnings.append(f"the window {x[0]:.0f}-{x[-1]:.0f} nm cannot tell temperature from emissivity: with a free "
                        f"emissivity slope the temperature is {free_T:.0f} +- {free_error:.0f} K; widen the window or "
                        "measure the emissivity")
    elif abs(free.parameters[2]) > 3.0 * free.errors[2] and abs(free_T - T) > 3.0 * statistical:
        warnings.append(f"the emissivity is not grey: ln(eps) changes by {free.parameters[2]:.2f} +- "
                        f"{free.errors[2]:.2f} per um; the free fit gives {free_T:.0f} +- {free_error:.0f} K. A "
                        "spot of several temperatures looks the same")
    emissivity = math.exp(grey.parameters[1]) * scale / float(planck_radiance(1e3 * middle, T))
    return Pyrometry(
        float(T), math.hypot(statistical, systematic), float(statistical), systematic, emissivity, wien_K, wien_error,
        float(free_T), float(free_error), float(free.parameters[2]), float(free.errors[2]), centres, temperatures,
        spread, trend, (float(x[0]), float(x[-1])), len(x), x, y, model(grey.parameters) * scale, tuple(warnings))
