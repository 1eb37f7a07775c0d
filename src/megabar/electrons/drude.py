"""Reflectance of a metal behind a window to plasma energy, scattering time and carrier density.

Free electrons: eps(omega) = eps_inf - omega_p^2 / (omega^2 + i omega / tau), normal incidence from a window of index
n_w, R = |(n - n_w) / (n + n_w)|^2, n = sqrt(eps). Energies in eV, wavelengths in nm, times in fs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import brentq, least_squares, minimize_scalar

from megabar.campaign.files import atomic_path, write_csv, write_json
from megabar.electrons.tables import read_columns
from megabar.errors import InputError

HC_EV_NM = 1239.841984
"""h c in eV nm (SI 2019, exact)."""
HBAR_EV_FS = 0.6582119569
"""hbar in eV fs (SI 2019, exact)."""
DENSITY_PER_EV2 = 7.25246e20
"""eps_0 m_e / (e hbar)^2 x (1 eV)^2 in 1/cm^3: n_e = eps_0 m omega_p^2 / e^2 (CODATA 2018)."""
CONDUCTIVITY_S_PER_M = 8.8541878128e-12 * 1e15
"""eps_0 / (1 fs) in S/m: sigma_0 = eps_0 omega_p^2 tau with omega_p in 1/fs and tau in fs."""
PLASMA_RANGE_EV, RATE_RANGE_EV = (0.5, 200.0), (0.005, 60.0)


def diamond_index(wavelength_nm: np.ndarray | float) -> np.ndarray:
    """Refractive index of diamond at ambient pressure from 225 nm on (Peter, Z. Phys. 15, 358 (1923)).

    Under pressure the index falls by a few per cent up to 100 GPa; `--window NUMBER` takes any other value.
    """
    square = (np.asarray(wavelength_nm, dtype=float) / 1000.0) ** 2
    return np.sqrt(1.0 + 4.3356 * square / (square - 0.1060**2) + 0.3306 * square / (square - 0.1750**2))


def window_index(window: str, wavelength_nm: np.ndarray) -> np.ndarray:
    """Index at each wavelength of "diamond", "vacuum", or a number given as text; InputError for anything else."""
    name = window.strip().lower()
    if name == "diamond":
        if np.any(wavelength_nm < 225.0):
            raise InputError("window diamond: it absorbs below 225 nm; leave those wavelengths out")
        return diamond_index(wavelength_nm)
    try:
        value = 1.0 if name in ("vacuum", "air", "none") else float(name)
    except ValueError:
        raise InputError(f"window {window!r} is unknown; write diamond, vacuum, or its refractive index") from None
    if not 1.0 <= value <= 5.0:
        raise InputError(f"window index {value:g} is outside 1-5; diamond has 2.42")
    return np.full_like(wavelength_nm, value)


def permittivity(energy_eV: np.ndarray, plasma_eV: float, rate_eV: float, epsilon_infinity: float = 1.0) -> np.ndarray:
    """Complex eps at photon energies (shape (n,)) for hbar omega_p and hbar/tau in eV."""
    return epsilon_infinity - plasma_eV**2 / (energy_eV**2 + 1j * energy_eV * rate_eV)


def reflectance(wavelength_nm: np.ndarray, plasma_eV: float, scattering_time_fs: float, window: str = "vacuum",
                epsilon_infinity: float = 1.0) -> np.ndarray:
    """R at normal incidence from the window into the metal, shape (n,)."""
    wavelength = np.asarray(wavelength_nm, dtype=float)
    index = np.sqrt(permittivity(HC_EV_NM / wavelength, plasma_eV, HBAR_EV_FS / scattering_time_fs, epsilon_infinity))
    outside = window_index(window, wavelength)
    return np.abs((index - outside) / (index + outside)) ** 2


def carrier_density_per_cm3(plasma_eV: float) -> float:
    """n_e for free electrons of mass m_e: 7.66e23 for 32.5 eV."""
    return DENSITY_PER_EV2 * plasma_eV**2


def conductivity_S_per_m(plasma_eV: float, scattering_time_fs: float) -> float:
    return CONDUCTIVITY_S_PER_M * (plasma_eV / HBAR_EV_FS) ** 2 * scattering_time_fs


@dataclass(frozen=True)
class Reflectances:
    """Measured R, already corrected for absorption in the window; arrays of shape (n,). `error` None when not given."""

    source: str
    wavelength_nm: np.ndarray
    reflectance: np.ndarray
    error: np.ndarray | None = None


def read_reflectances(path: str | Path, absorption: str | Path | None = None) -> Reflectances:
    """Columns wavelength (nm), reflectance (0-1), and optionally its error; InputError names what is wrong.

    `absorption` is a table of wavelength (nm) and transmission (0-1) of the light's whole way through the window, there
    and back: measured values are divided by it, interpolated, and their errors likewise.
    """
    table, _ = read_columns(path, 2, "wavelength in nm and reflectance")
    wavelength, values = table[:, 0], table[:, 1]
    if np.any(wavelength < 100.0) or np.any(wavelength > 1e5):
        raise InputError(f"{path}: wavelengths outside 100-100000 nm; um or eV? write nm")
    if len(np.unique(wavelength)) < 2:
        raise InputError(f"{path}: one wavelength cannot give two unknowns; give two or more")
    if values.max() > 1.0:
        raise InputError(f"{path}: reflectance up to {values.max():g}; write it as a fraction of 1, not in per cent")
    if values.min() <= 0.0:
        raise InputError(f"{path}: reflectance must be above 0; leave those rows out")
    error = table[:, 2] if table.shape[1] > 2 else None
    if error is not None and np.any(error <= 0.0):
        raise InputError(f"{path}: errors must be positive; mend the third column")
    if absorption is not None:
        correction, _ = read_columns(absorption, 2, "wavelength in nm and transmission")
        correction = correction[np.argsort(correction[:, 0])]
        if np.any(correction[:, 1] <= 0.0) or np.any(correction[:, 1] > 1.0):
            raise InputError(f"{absorption}: transmissions must lie above 0 and up to 1; mend them")
        if wavelength.min() < correction[0, 0] or wavelength.max() > correction[-1, 0]:
            raise InputError(f"{absorption}: does not cover {wavelength.min():g}-{wavelength.max():g} nm; extend it")
        factor = np.interp(wavelength, correction[:, 0], correction[:, 1])
        values, error = values / factor, None if error is None else error / factor
        if values.max() > 1.0:
            raise InputError(f"{path}: corrected reflectance {values.max():.3g} exceeds 1; check the transmission, "
                             "which is for the way in and out together")
    order = np.argsort(wavelength, kind="stable")
    return Reflectances(str(path), wavelength[order], values[order], None if error is None else error[order])


@dataclass(frozen=True)
class DrudeFit:
    """Best fit, linear covariance, and the honest intervals from the profile of chi^2 (None: unbounded there)."""

    source: str
    window: str
    epsilon_infinity: float
    plasma_eV: float
    rate_eV: float
    covariance_eV2: np.ndarray
    plasma_interval_eV: tuple[float | None, float | None]
    time_interval_fs: tuple[float | None, float | None]
    chi_squared: float
    degrees_of_freedom: int
    error_source: str
    data: Reflectances
    sigma: np.ndarray
    grid_plasma_eV: np.ndarray = field(repr=False)
    grid_time_fs: np.ndarray = field(repr=False)
    grid_chi_squared: np.ndarray = field(repr=False)

    @property
    def scattering_time_fs(self) -> float:
        return HBAR_EV_FS / self.rate_eV

    @property
    def correlation(self) -> float:
        c = self.covariance_eV2
        return float(c[0, 1] / np.sqrt(c[0, 0] * c[1, 1]))

    def to_dict(self) -> dict[str, Any]:
        plasma_error, rate_error = np.sqrt(np.diag(self.covariance_eV2))
        low, high = self.plasma_interval_eV
        density = carrier_density_per_cm3(self.plasma_eV)
        bounded = None not in (*self.plasma_interval_eV, *self.time_interval_fs)
        return {
            "plasma_energy_eV": self.plasma_eV, "plasma_energy_error_eV": plasma_error,
            "plasma_energy_interval_eV": [low, high],
            "scattering_time_fs": self.scattering_time_fs,
            "scattering_time_error_fs": self.scattering_time_fs * rate_error / self.rate_eV,
            "scattering_time_interval_fs": list(self.time_interval_fs),
            "carrier_density_per_cm3": density,
            "carrier_density_error_per_cm3": 2.0 * density * plasma_error / self.plasma_eV,
            "carrier_density_interval_per_cm3": [v and carrier_density_per_cm3(v) for v in (low, high)],
            "conductivity_S_per_m": conductivity_S_per_m(self.plasma_eV, self.scattering_time_fs),
            "covariance_eV2": self.covariance_eV2, "correlation": self.correlation,
            "chi_squared": self.chi_squared, "degrees_of_freedom": self.degrees_of_freedom,
            "errors_from": self.error_source, "window": self.window, "epsilon_infinity": self.epsilon_infinity,
            "points": len(self.data.wavelength_nm), "determined": bounded,
            "verdict": "both numbers are bounded at 68 %" if bounded else
            "the data do not bound both numbers at 68 %: quote the interval, not the best fit",
        }

    def save(self, directory: str | Path) -> None:
        """`result.json`, `drude.png`, `drude.csv` (curve) and `drude_confidence.csv` (chi^2 map)."""
        from matplotlib.figure import Figure

        target = Path(directory)
        write_json(target / "result.json", self.to_dict())
        curve = self._curve()
        write_csv(target / "drude.csv", curve)
        plasma, time = np.meshgrid(self.grid_plasma_eV, self.grid_time_fs, indexing="ij")
        above = self.grid_chi_squared - self.chi_squared
        near = above < 25.0
        columns: dict[str, Any] = {"plasma_energy_eV": plasma[near].round(4), "scattering_time_fs": time[near].round(5),
                                   "delta_chi_squared": above[near].round(3)}
        write_csv(target / "drude_confidence.csv", columns)
        figure = Figure(figsize=(9.6, 4.0), layout="constrained")
        left, right = figure.subplots(1, 2)
        self.plot(left)
        self.plot_confidence(right)
        with atomic_path(target / "drude.png") as path:
            figure.savefig(path, dpi=150)

    def _curve(self) -> dict[str, Any]:
        wavelength = np.linspace(0.7 * self.data.wavelength_nm[0], 1.4 * self.data.wavelength_nm[-1], 200)
        if self.window.lower() == "diamond":
            wavelength = wavelength[wavelength >= 225.0]
        allowed = np.argwhere(self.grid_chi_squared - self.chi_squared < 1.0)
        step = max(1, len(allowed) // 400)
        models = [reflectance(wavelength, self.grid_plasma_eV[i], self.grid_time_fs[j], self.window,
                              self.epsilon_infinity) for i, j in allowed[::step]]
        best = reflectance(wavelength, self.plasma_eV, self.scattering_time_fs, self.window, self.epsilon_infinity)
        models.append(best)
        return {"wavelength_nm": wavelength, "reflectance": best, "lowest_allowed": np.min(models, axis=0),
                "highest_allowed": np.max(models, axis=0)}

    def plot(self, ax: Any) -> None:
        """Data, best fit, and the band of all models within one standard deviation."""
        curve = self._curve()
        ax.fill_between(curve["wavelength_nm"], curve["lowest_allowed"], curve["highest_allowed"], color="#c6dbef",
                        lw=0, label=r"all models with $\Delta\chi^2<1$")
        ax.plot(curve["wavelength_nm"], curve["reflectance"], color="#2171b5", label="best fit")
        ax.errorbar(self.data.wavelength_nm, self.data.reflectance, yerr=self.sigma, fmt="ko", ms=4, label="data")
        ax.set_xlabel("wavelength (nm)")
        ax.set_ylabel("reflectance")
        ax.legend(frameon=False, fontsize=8)

    def plot_confidence(self, ax: Any) -> None:
        """68 % and 95 % regions of plasma energy and scattering time."""
        ax.contourf(self.grid_plasma_eV, self.grid_time_fs, (self.grid_chi_squared - self.chi_squared).T,
                    levels=[0.0, 2.30, 6.18], colors=["#6baed6", "#c6dbef"])
        ax.plot([self.plasma_eV], [self.scattering_time_fs], "k+", ms=9)
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_xlabel(r"plasma energy $\hbar\omega_p$ (eV)")
        ax.set_ylabel(r"scattering time $\tau$ (fs)")
        ax.set_title("68 % and 95 % regions", fontsize=9)


def fit_drude(data: Reflectances, window: str = "diamond", epsilon_infinity: float = 1.0) -> DrudeFit:
    """Least squares in ln omega_p and ln(1/tau), started from the best point of a grid over all plausible values.

    Without errors in the data they are taken equal and estimated from the residuals, which needs three points or more.
    """
    count = len(data.wavelength_nm)
    if count < 2 or (data.error is None and count < 3):
        raise InputError(f"{data.source}: {count} points for two unknowns; give three or more, or two with errors")
    if not 0.5 <= epsilon_infinity <= 30.0:
        raise InputError(f"epsilon infinity {epsilon_infinity:g} is outside 0.5-30; 1 is the free electron gas")
    sigma = np.ones(count) if data.error is None else data.error
    energy, outside = HC_EV_NM / data.wavelength_nm, window_index(window, data.wavelength_nm)

    def pulls(log_plasma: np.ndarray | float, log_rate: np.ndarray | float) -> np.ndarray:
        """(model - data) / sigma; a last axis over wavelengths is added to broadcast arrays of parameters."""
        plasma_eV, rate_eV = np.exp(np.asarray(log_plasma))[..., None], np.exp(np.asarray(log_rate))[..., None]
        index = np.sqrt(epsilon_infinity - plasma_eV**2 / (energy**2 + 1j * energy * rate_eV))
        return (np.abs((index - outside) / (index + outside)) ** 2 - data.reflectance) / sigma

    axes = np.log(np.geomspace(*PLASMA_RANGE_EV, 161)), np.log(np.geomspace(*RATE_RANGE_EV, 161))
    chi = np.sum(pulls(axes[0][:, None], axes[1]) ** 2, axis=-1)
    i, j = np.unravel_index(int(np.argmin(chi)), chi.shape)
    limits = np.array([[x[0], x[-1]] for x in axes])
    start = np.clip([axes[0][i], axes[1][j]], limits[:, 0] + 1e-9, limits[:, 1] - 1e-9)
    best = least_squares(lambda x: pulls(x[0], x[1]), start, bounds=tuple(limits.T), xtol=1e-12, ftol=1e-12)
    # A fit through every point leaves no residue; but no reflectance is known to better than 0.001.
    scale = 1.0 if data.error is not None else max(2.0 * best.cost / (count - 2), 1e-6)
    log_covariance = np.linalg.pinv(best.jac.T @ best.jac) * scale
    chi_best = 2.0 * best.cost / scale

    def profile(axis: int, value: float) -> float:
        """chi^2 / scale above its least value with one parameter fixed, minimised over the other."""

        def along(other: np.ndarray | float) -> np.ndarray:
            return np.sum((pulls(value, other) if axis == 0 else pulls(other, value)) ** 2, axis=-1)

        other = axes[1 - axis]
        k = int(np.argmin(along(other)))
        inside = (other[max(0, k - 1)], other[min(len(other) - 1, k + 1)])
        least = minimize_scalar(along, bounds=inside, method="bounded", options={"xatol": 1e-9}).fun
        return float(least) / scale - chi_best

    def end(axis: int, side: int) -> float | None:
        """Where the profile reaches 1 on one side, in doubling steps; None when the edge of the range comes first."""
        edge, inner = limits[axis][(side + 1) // 2], float(best.x[axis])
        step = min(float(np.sqrt(log_covariance[axis, axis])), 0.5)
        while side * (edge - inner) > 0.0:
            outer = side * min(side * (inner + side * step), side * edge)
            if profile(axis, outer) > 1.0:
                return float(brentq(lambda x: profile(axis, x) - 1.0, inner, outer, rtol=1e-6))
            inner, step = outer, 2.0 * step
        return None

    (plasma_low, plasma_high), (rate_low, rate_high) = ((end(axis, -1), end(axis, 1)) for axis in (0, 1))
    plasma_eV, rate_eV = np.exp(best.x)
    return DrudeFit(
        data.source, window, epsilon_infinity, float(plasma_eV), float(rate_eV),
        log_covariance * np.outer(np.exp(best.x), np.exp(best.x)),
        (_exp(plasma_low), _exp(plasma_high)), (_exp(rate_high, HBAR_EV_FS), _exp(rate_low, HBAR_EV_FS)),
        chi_best, count - 2, "residuals" if data.error is None else "data", data, sigma * np.sqrt(scale),
        np.exp(axes[0]), HBAR_EV_FS / np.exp(axes[1][::-1]), chi[:, ::-1] / scale)


def _exp(value: float | None, numerator: float | None = None) -> float | None:
    """exp(value), or numerator / exp(value); None stays None."""
    if value is None:
        return None
    return float(np.exp(value)) if numerator is None else numerator / float(np.exp(value))


def plan(wavelength_nm: Sequence[float], plasma_eV: float, scattering_time_fs: float, error: float,
         window: str = "diamond", epsilon_infinity: float = 1.0) -> DrudeFit:
    """Forward model: the fit that a measurement at these wavelengths with this error would allow."""
    wavelength = np.array(sorted(wavelength_nm), dtype=float)
    if not 0.0 < plasma_eV < 1e3 or not 0.0 < scattering_time_fs < 1e4 or not 0.0 < error < 0.5:
        raise InputError("plan: give a positive plasma energy (eV), scattering time (fs), and an error of R below 0.5")
    values = reflectance(wavelength, plasma_eV, scattering_time_fs, window, epsilon_infinity)
    data = Reflectances("plan", wavelength, values, np.full_like(wavelength, error))
    return fit_drude(data, window, epsilon_infinity)
