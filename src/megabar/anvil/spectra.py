"""Finding the ruby doublet and the diamond Raman edge in a measured spectrum."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.signal import find_peaks, medfilt
from scipy.special import erfc

from megabar.anvil.columns import TwoColumns
from megabar.anvil.figures import save_figure
from megabar.anvil.peaks import fit, pseudo_voigt
from megabar.campaign.files import write_csv, write_json
from megabar.errors import InputError

_SPLITTING_NM = 1.40
"""R1 - R2 at ambient conditions: 29.7 cm^-1 (Syassen, High Press. Res. 28, 75 (2008), 10.1080/08957950802235640)."""


@dataclass(frozen=True)
class SpectrumFit:
    """A line or edge found in a spectrum: its place with a standard error, and what else the fit says.

    `kind` is "ruby" (place in nm) or "diamond-edge" (cm^-1); `x`, `y` are the points used, `model` the fit there.
    """

    kind: str
    position: float
    error: float
    width: float
    details: dict[str, float]
    x: np.ndarray
    y: np.ndarray
    model: np.ndarray
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        unit = "nm" if self.kind == "ruby" else "cm1"
        return {"kind": self.kind, f"position_{unit}": self.position, f"error_{unit}": self.error,
                f"width_{unit}": self.width, **self.details, "warnings": list(self.warnings)}

    def save(self, folder: str | Path) -> None:
        """Write spectrum.json, spectrum.csv (data and model) and spectrum.png into `folder`."""
        folder = Path(folder)
        write_json(folder / "spectrum.json", self.as_dict())
        write_csv(folder / "spectrum.csv", {"x": self.x.tolist(), "data": self.y.tolist(), "fit": self.model.tolist()})
        save_figure(folder / "spectrum.png", self.plot)

    def plot(self, ax: Any) -> None:
        """Data, fit and the place found."""
        ax.plot(self.x, self.y, ".", ms=3, color="tab:gray", label="data")
        ax.plot(self.x, self.model, color="tab:red", label="fit")
        unit = "nm" if self.kind == "ruby" else "cm$^{-1}$"
        ax.axvline(self.position, color="black", lw=0.8, label=f"{self.position:.3f} ± {self.error:.3f} {unit}")
        ax.set_xlabel("wavelength (nm)" if self.kind == "ruby" else "Raman shift (cm$^{-1}$)")
        ax.set_ylabel("intensity")
        ax.legend()


def _noise(y: np.ndarray) -> float:
    """Standard deviation of the noise from second differences, which a smooth signal leaves alone."""
    second = y[2:] - 2.0 * y[1:-1] + y[:-2]
    return float(1.4826 * np.median(np.abs(second - np.median(second))) / math.sqrt(6.0))


def _doublet(p: np.ndarray, x: np.ndarray) -> np.ndarray:
    centre, split, fwhm, ratio, eta, height1, height2, offset, slope = p
    lines = height1 * pseudo_voigt(x, centre, fwhm, eta) + height2 * pseudo_voigt(x, centre - split, fwhm * ratio, eta)
    return lines + offset + slope * (x - centre)


def ruby_doublet(spectrum: TwoColumns) -> SpectrumFit:
    """R1 and R2 as two pseudo-Voigt lines of common shape on a sloping background, x in nm.

    R1 is the line of longer wavelength. Raises InputError when x is not in nm or nothing stands out of the noise.
    """
    x, y = spectrum.x, spectrum.y
    if not (500.0 < x[0] and x[-1] < 1000.0):
        raise InputError(f"spectrum from {x[0]:g} to {x[-1]:g}: not wavelengths of ruby in nm (650 to 900); convert "
                         "the first column to nm")
    smooth = medfilt(y, 5) if len(y) > 50 else y  # cosmic rays are one or two pixels wide
    noise = max(_noise(y), 1e-12 * float(np.ptp(y)))
    floor = float(np.percentile(smooth, 20))
    top = int(np.argmax(smooth))
    height = float(smooth[top]) - floor
    if height < 6.0 * noise or height <= 0.0:
        raise InputError("no ruby line stands out of the noise of this spectrum (6 standard deviations needed); "
                         "measure longer or check the range")
    above = np.flatnonzero(smooth - floor > 0.5 * height)
    width = min(max(float(x[above[-1]] - x[above[0]]), 3.0 * float(np.median(np.diff(x)))), 4.0)
    near = np.abs(x - x[top]) < max(6.0, 5.0 * width)
    if near.sum() < 15:
        raise InputError(f"{int(near.sum())} points around the ruby lines: too few for two lines; use a finer grating")
    xs, ys = x[near], y[near]
    cosmic = np.abs(ys - medfilt(ys, 5)) > 8.0 * noise + 0.3 * np.abs(ys - floor)
    xs, ys = xs[~cosmic], ys[~cosmic]
    area = height * width * 1.2
    best = None
    # The strongest line is R1 in most spectra, but at low temperature or by resonance it may be R2.
    for shift, relative in ((0.0, 0.6), (_SPLITTING_NM, 0.6), (0.35 * width, 1.0)):
        start = np.array([x[top] + shift, _SPLITTING_NM, max(0.5 * width, 0.1), 1.0, 0.5, area, relative * area, floor,
                          0.0])
        lower = np.array([xs[0], 0.6, 0.02, 0.6, 0.0, 0.0, 0.0, -np.inf, -np.inf])
        upper = np.array([xs[-1], 3.5, 6.0, 1.7, 1.0, np.inf, np.inf, np.inf, np.inf])
        lower[7:], upper[7:] = -10.0 * abs(float(np.max(ys))) - 1.0, 10.0 * abs(float(np.max(ys))) + 1.0
        lower[5:7], upper[5:7] = 0.0, 100.0 * area
        trial = fit(lambda p: (_doublet(p, xs) - ys) / noise, start, lower, upper)
        if best is None or trial.reduced_chi2 < best.reduced_chi2:
            best = trial
    assert best is not None
    p, e = best.parameters, best.errors
    warnings = []
    if not xs[0] + 0.3 < p[0] < xs[-1] - 0.3:
        raise InputError("the ruby lines lie at the end of the spectrum: record a wider range")
    if p[6] < 0.02 * p[5] or p[6] > 20.0 * p[5]:
        warnings.append("only one of the two ruby lines was found; the position is that of the one found")
    if p[2] > 0.8 * p[1]:
        warnings.append(f"the lines are broad ({p[2]:.2f} nm) against their distance ({p[1]:.2f} nm): stress is not "
                        "hydrostatic, or the sample is hot; R1 then depends on the shape assumed")
    if abs(p[1] - _SPLITTING_NM) > 0.25:
        warnings.append(f"R1-R2 is {p[1]:.2f} nm instead of {_SPLITTING_NM:.2f}: deviatoric stress")
    return SpectrumFit(
        "ruby", float(p[0]), float(e[0]), float(p[2]),
        {"r2_nm": float(p[0] - p[1]), "splitting_nm": float(p[1]), "splitting_error_nm": float(e[1]),
         "lorentz_fraction": float(p[4]), "reduced_chi2": best.reduced_chi2},
        xs, ys, _doublet(p, xs), tuple(warnings))


def _edge_model(p: np.ndarray, x: np.ndarray) -> np.ndarray:
    """A band that ends at p[1] with width p[2] (standard deviation), on straight lines on either side."""
    step = 0.5 * erfc((x - p[1]) / (math.sqrt(2.0) * p[2]))
    return p[3] + p[4] * (x - p[1]) + (p[0] + p[5] * (x - p[1])) * step


def _falls(grid: np.ndarray, y: np.ndarray, sigma_cm1: float, noise: float) -> np.ndarray:
    """Signal-to-noise ratio of a falling step at every point: matched filter with the derivative of a Gaussian."""
    step = float(grid[1] - grid[0])
    reach = np.arange(-4.0 * sigma_cm1, 4.0 * sigma_cm1 + step, step)
    kernel = -reach * np.exp(-0.5 * (reach / sigma_cm1) ** 2)
    padded = np.pad(y, len(kernel) // 2, mode="edge")
    return np.correlate(padded, kernel, mode="valid")[: len(y)] / (noise * float(np.linalg.norm(kernel)))


def diamond_edge(spectrum: TwoColumns, laser_nm: float | None = None) -> SpectrumFit:
    """High-frequency edge of the anvil's Raman band: the steepest fall, fitted as an error function on straight lines.

    x in cm^-1, or in nm with the exciting `laser_nm`. The falling edge of highest frequency counts that reaches a third
    of the strongest above 1340 cm^-1: the band of a stressed anvil stretches from 1332 cm^-1 to the edge. The centre of
    the error function is the minimum of dI/dnu that the calibrations use, to about 3 % of the width of the edge, which
    joins the error of the fit. Raises InputError when there is no such fall.
    """
    x, y = spectrum.x, spectrum.y
    if laser_nm is not None:
        if not 200.0 < laser_nm < 1100.0 or x[0] < laser_nm:
            raise InputError(f"laser at {laser_nm:g} nm with a spectrum from {x[0]:g} nm: Stokes lines lie above the "
                             "laser; check --laser-nm and that the file is in nm")
        x = 1e7 / laser_nm - 1e7 / x
    if not (x[0] > 500.0 and 1300.0 < x[-1] < 4500.0):
        raise InputError(f"spectrum from {x[0]:g} to {x[-1]:g}: not a Raman shift of diamond in cm-1; give --laser-nm "
                         "for a file in nm")
    step = float(np.median(np.diff(x)))
    grid = np.arange(x[0], x[-1], step)
    if len(grid) < 40 or x[-1] - x[0] < 60.0:
        raise InputError(f"{len(grid)} points over {x[-1] - x[0]:.0f} cm-1: too few for an edge; record a wider range")
    clean = np.interp(grid, x, medfilt(y, 5))
    noise = max(_noise(y), 1e-9 * float(np.ptp(y)) + 1e-30)
    wide = grid > 1340.0 if grid[-1] > 1400.0 else grid > 0.0
    responses = {width: np.where(wide, _falls(grid, clean, width, noise), 0.0) for width in (6.0, 12.0, 24.0)}
    sigma, response = max(responses.items(), key=lambda item: float(item[1].max()))
    strongest = float(response.max())
    found, _ = find_peaks(response, height=max(8.0, strongest / 3.0), distance=max(1, int(3.0 * sigma / step)),
                          prominence=strongest / 4.0)
    if not found.size:
        raise InputError("no falling edge stands out of the noise of this spectrum; measure longer or check the range")
    edge = float(grid[found[-1]])
    near = np.abs(x - edge) < max(3.5 * sigma, 12.0 * step)
    xs, ys = x[near], y[near]
    calm = np.abs(ys - medfilt(ys, 5)) < 8.0 * noise + 0.3 * float(np.ptp(clean[np.abs(grid - edge) < 5.0 * sigma]))
    xs, ys = xs[calm], ys[calm]
    if len(xs) < 12:
        raise InputError(f"{len(xs)} points around the edge at {edge:.0f} cm-1: too few; record a finer spectrum")
    span = float(np.ptp(ys)) + 1e-30
    low, high = float(np.percentile(ys, 5)), float(np.percentile(ys, 95))
    result = fit(lambda p: (_edge_model(p, xs) - ys) / noise,
                 np.array([high - low, edge, 0.7 * sigma, low, 0.0, 0.0]),
                 np.array([0.0, xs[0], 0.3 * step, low - 3.0 * span, -span, -span]),
                 np.array([5.0 * span, xs[-1], 100.0, high + 3.0 * span, span, span]))
    p, e = result.parameters, result.errors
    warnings = []
    if len(found) > 1:
        others = ", ".join(f"{grid[i]:.0f}" for i in found[:-1])
        warnings.append(f"{len(found)} falling edges of similar strength (also at {others} cm-1): the one of highest "
                        "frequency was taken; look at the figure")
    if p[2] * 2.355 > 60.0:
        warnings.append(f"the edge is {2.355 * p[2]:.0f} cm-1 wide: the stress varies over the spot, and so does the "
                        "pressure")
    return SpectrumFit("diamond-edge", float(p[1]), math.hypot(float(e[1]), 0.03 * 2.355 * p[2]), float(2.355 * p[2]),
                       {"step_height": float(p[0]), "reduced_chi2": result.reduced_chi2}, xs, ys, _edge_model(p, xs),
                       tuple(warnings))
