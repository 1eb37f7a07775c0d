"""Measured patterns: two columns against 2 theta, q or d, their noise and their background."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import uniform_filter1d

from megabar.anvil.columns import read_two_columns
from megabar.anvil.diffraction.powder import check_wavelength
from megabar.errors import InputError

UNITS = ("2theta", "q_A-1", "q_nm-1", "d_A")
_HEADER = (
    (re.compile(r"q[_ ]*\(?(nm|1/nm)", re.I), "q_nm-1"), (re.compile(r"q[_ ]*\(?(a|å|1/a|1/å)", re.I), "q_A-1"),
    (re.compile(r"2[ _-]?th", re.I), "2theta"), (re.compile(r"two[ _-]?theta", re.I), "2theta"),
    (re.compile(r"\bd[_ -]*(spacing|\(?a|\(?å)", re.I), "d_A"),
)
_WAVELENGTH = re.compile(r"wavelength\D{0,12}([0-9.]+(?:e[-+]?\d+)?)\s*(m|a|å|nm)?\b", re.I)


@dataclass(frozen=True)
class Measured:
    """A pattern by rising 2 theta (degrees): intensity, its standard error, and a smooth background underneath."""

    two_theta_deg: np.ndarray
    intensity: np.ndarray
    sigma: np.ndarray
    background: np.ndarray
    warnings: tuple[str, ...] = ()


def snip_background(x: np.ndarray, y: np.ndarray, width_deg: float) -> np.ndarray:
    """Background by iterated clipping under the peaks (SNIP): Ryan et al., NIM B 34, 396 (1988).

    Clipping follows the lower edge of the noise; the median distance of the points free of peaks is put back.
    """
    step = float(np.median(np.diff(x)))
    reach = max(2, min(len(y) // 4, int(round(width_deg / step))))
    shift = float(y.min())
    v = np.log(np.log(np.sqrt(y - shift + 1.0) + 1.0) + 1.0)
    v = uniform_filter1d(v, max(1, reach // 8))
    for p in range(reach, 0, -1):
        v[p:-p] = np.minimum(v[p:-p], 0.5 * (v[2 * p:] + v[:-2 * p]))
    background = (np.exp(np.exp(v) - 1.0) - 1.0) ** 2 - 1.0 + shift
    above = np.asarray(y - background)
    for _ in range(20):
        middle = np.median(above)
        spread = np.median(np.abs(above - middle))
        kept = above[np.abs(above - middle) <= 3.7 * spread]  # 2.5 standard deviations
        if len(kept) == len(above):
            break
        above = kept
    return np.asarray(background + np.median(above))


def noise_of(y: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Standard error of each point: from differences between neighbours, growing with the root of the intensity.

    Where the background was subtracted before (median near zero) the noise is taken as constant.
    """
    third = y[3:] - 3.0 * y[2:-1] + 3.0 * y[1:-2] - y[:-3]
    # The lower half of the smoothed points is free of peaks; differences know nothing of a smoothed height.
    height = uniform_filter1d(y - background, 15)[3:]
    calm = height <= np.median(height)
    sigma = max(1.4826 * float(np.median(np.abs(third[calm]))) / np.sqrt(20.0), 1e-6 * float(np.ptp(y)) + 1e-12)
    level = float(np.median(y[3:][calm]))
    if level < 20.0 * sigma**2 / max(level, 1e-12) and level < 3.0 * sigma:
        return np.full_like(y, sigma)
    return sigma * np.sqrt(np.clip(y, 0.2 * level, None) / level)


def read_pattern(path: str | Path, wavelength_A: float, unit: str | None = None,
                 range_deg: tuple[float, float] | None = None) -> Measured:
    """A measured pattern as 2 theta in degrees. The unit of the first column is `unit`, or what the header says.

    Raises InputError for an unknown unit, a wavelength in the header that is not the one given, and angles that cannot
    be.
    """
    check_wavelength(wavelength_A)
    data = read_two_columns(path, "pattern", least=50)
    head, warnings = " ".join(data.header), []
    if unit is None:
        unit = next((kind for pattern, kind in _HEADER if pattern.search(head)), None)
        if unit is None:
            unit = "2theta"
            warnings.append(f"{path}: no header says what the first column is; taken as 2 theta in degrees")
    if unit not in UNITS:
        raise InputError(f"unit {unit!r} of the first column is unknown: use {', '.join(UNITS)}")
    said = _WAVELENGTH.search(head)
    if said:
        value = float(said.group(1)) * {"m": 1e10, "nm": 10.0}.get((said.group(2) or "a").lower(), 1.0)
        value = value * 1e10 if value < 1e-6 else value
        if abs(value / wavelength_A - 1.0) > 0.01:
            raise InputError(f"{path}: its header says wavelength {value:.5g} A, the command {wavelength_A:g} A; give "
                             "the one of the measurement")
    x, y = data.x, data.y
    if unit == "d_A":
        x, y = x[::-1], y[::-1]
        s = 1.0 / x
    elif unit.startswith("q"):
        s = x / (2.0 * np.pi) / (10.0 if unit == "q_nm-1" else 1.0)
    else:
        s = 2.0 * np.sin(np.radians(np.clip(x, 0.0, 180.0)) / 2.0) / wavelength_A
        if x[0] < 0.0 or x[-1] >= 180.0:
            raise InputError(f"{path}: 2 theta from {x[0]:g} to {x[-1]:g} degrees; is the first column q or d? "
                             "Say so with --unit")
    sine = 0.5 * wavelength_A * s
    if np.any(sine >= 1.0):
        raise InputError(f"{path}: values up to {x[-1]:g} in {unit} lie beyond backscattering at {wavelength_A:g} A; "
                         "check --unit and --wavelength-A")
    angle = 2.0 * np.degrees(np.arcsin(sine))
    if angle[-1] < 2.0:
        raise InputError(f"{path}: 2 theta ends at {angle[-1]:.3g} degrees; check --unit and --wavelength-A")
    if range_deg is not None:
        inside = (angle >= range_deg[0]) & (angle <= range_deg[1])
        if inside.sum() < 50:
            raise InputError(f"{path}: {int(inside.sum())} points between {range_deg[0]:g} and {range_deg[1]:g} "
                             "degrees: give a range inside the data")
        angle, y = angle[inside], y[inside]
    background = snip_background(angle, y, max(1.0, 0.05 * float(np.ptp(angle))))
    return Measured(angle, y, noise_of(y, background), background, tuple(warnings))
