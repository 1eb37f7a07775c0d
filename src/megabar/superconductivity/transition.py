"""Transition temperatures from measured R(T) and M(T), by criteria that are said, with errors.

The normal state is a straight line fitted above the transition; the curve is divided by it (for M(T) after the low-
temperature plateau is taken off), made monotone by isotonic regression (pool adjacent violators), and read where it
crosses stated fractions. Errors are bootstrap standard deviations over residuals; where fewer than two points lie on
the step, the spacing of the points over sqrt(12) is the least error.

| number | criterion |
|---|---|
| onset | tangent at the half-way point meets the normal-state line |
| 90 %, midpoint, 10 % | fraction of the normal-state line |
| zero | the larger of 1 % and three times the noise |
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import curve_fit

from megabar.campaign.files import atomic_path, write_csv, write_json
from megabar.electrons.tables import read_columns
from megabar.errors import InputError

MINIMUM_POINTS = 12
RESAMPLES = 200
_BEST_METAL = 1e-4
"""Residual over room-temperature resistance of very pure annealed copper: a drop that stops above it proves nothing."""


@dataclass(frozen=True)
class Measured:
    """One curve: `temperature_K` and `signal`, shape (n,), sorted by temperature; `second` is the FC curve of M(T)."""

    source: str
    kind: str
    temperature_K: np.ndarray
    signal: np.ndarray
    second: np.ndarray | None = None


@dataclass(frozen=True)
class Step:
    """A transition read off one curve. Temperatures and their standard errors in K; fractions of the normal state."""

    source: str
    kind: str
    onset_K: float
    onset_error_K: float
    upper_K: float
    midpoint_K: float
    midpoint_error_K: float
    lower_K: float
    zero_K: float | None
    zero_error_K: float | None
    zero_fraction: float
    noise_fraction: float
    residual_fraction: float | None
    residual_error_fraction: float | None
    irreversibility_K: float | None
    meissner_fraction: float | None
    verdict: str
    temperature_K: np.ndarray
    signal: np.ndarray
    normal: np.ndarray
    monotone: np.ndarray

    def to_dict(self) -> dict[str, Any]:
        skip = ("temperature_K", "signal", "normal", "monotone")
        values = {k: v for k, v in self.__dict__.items() if k not in skip}
        return values | {"width_K": self.upper_K - self.lower_K}

    def save(self, directory: str | Path) -> None:
        from matplotlib.figure import Figure

        target = Path(directory)
        write_json(target / "transition.json", self.to_dict())
        columns: dict[str, Any] = {"temperature_K": self.temperature_K, "signal": self.signal,
                                   "normal_state": self.normal, "fraction_monotone": self.monotone}
        write_csv(target / "transition.csv", columns)
        figure = Figure(figsize=(6.4, 4.0), layout="constrained")
        self.plot(figure.add_subplot())
        with atomic_path(target / "transition.png") as path:
            figure.savefig(path, dpi=150)

    def plot(self, ax: Any) -> None:
        """The points, the normal-state line, and the three temperatures with their errors."""
        ax.plot(self.temperature_K, self.signal, ".", color="0.35", ms=4, label="measured")
        ax.plot(self.temperature_K, self.normal, "--", color="#2171b5", lw=1.0, label="normal state")
        marks = [("onset", self.onset_K, self.onset_error_K, "#cb181d"),
                 ("midpoint", self.midpoint_K, self.midpoint_error_K, "#6a51a3"),
                 ("zero" if self.kind == "R" else "plateau", self.zero_K, self.zero_error_K, "#238b45")]
        for name, value, error, colour in marks:
            if value is not None and error is not None:
                ax.axvspan(value - error, value + error, color=colour, alpha=0.2, lw=0)
                ax.axvline(value, color=colour, lw=1.0, label=f"{name} {value:.2f}({error:.2f}) K")
        ax.set_xlabel("temperature (K)")
        ax.set_ylabel("resistance" if self.kind == "R" else "moment")
        ax.legend(frameon=False, fontsize=8)


def read_measured(path: str | Path, kind: str | None = None) -> Measured:
    """Columns T, signal (and for M(T) the field-cooled signal as a third) from CSV or white space, header optional.

    `kind` is "R" or "M"; without it the header decides (moment, magnetisation, emu, chi: M), else R. Raises InputError
    naming the file and line.
    """
    table, header = read_columns(path, 2, "temperature and signal")
    if len(table) < MINIMUM_POINTS:
        raise InputError(f"{path}: {len(table)} points; a transition needs {MINIMUM_POINTS} or more")
    if np.any(table[:, 0] <= 0.0) or np.any(table[:, 0] > 5000.0):
        raise InputError(f"{path}: temperatures must be positive numbers in K; mend those rows")
    found = kind or ("M" if re.search(r"moment|magneti|emu|\bchi\b|susceptib|zfc", header, re.IGNORECASE) else "R")
    table = table[np.argsort(table[:, 0], kind="stable")]
    second = table[:, 2] if found == "M" and table.shape[1] > 2 else None
    return Measured(str(path), found, table[:, 0], table[:, 1], second)


def isotonic(values: np.ndarray) -> np.ndarray:
    """Least-squares non-decreasing sequence through `values`, shape (n,), by pooling adjacent violators."""
    means: list[float] = []
    sizes: list[int] = []
    for value in values:
        means.append(float(value))
        sizes.append(1)
        while len(means) > 1 and means[-2] > means[-1]:
            total = sizes[-2] + sizes[-1]
            means[-2:] = [(means[-2] * sizes[-2] + means[-1] * sizes[-1]) / total]
            sizes[-2:] = [total]
    return np.repeat(means, sizes)


def _crossing(temperature: np.ndarray, monotone: np.ndarray, level: float) -> float:
    """Where the monotone curve crosses `level`; the middle of the gap when it jumps over it on a plateau."""
    above = int(np.searchsorted(monotone, level, side="left"))
    if above == 0:
        return float(temperature[0])
    if above == len(monotone):
        return float(temperature[-1])
    low, high = monotone[above - 1], monotone[above]
    share = (level - low) / (high - low)
    return float(temperature[above - 1] + share * (temperature[above] - temperature[above - 1]))


def _onset(temperature: np.ndarray, fraction: np.ndarray, monotone: np.ndarray) -> float:
    """Tangent through the steep part (35-65 %, or what brackets the middle) carried up to 1."""
    steep = (monotone > 0.35) & (monotone < 0.65)
    middle = _crossing(temperature, monotone, 0.5)
    if steep.sum() >= 4:
        slope = float(np.polyfit(temperature[steep], fraction[steep], 1)[0])
    else:
        slope = 0.3 / max(_crossing(temperature, monotone, 0.65) - _crossing(temperature, monotone, 0.35), 1e-9)
    return middle + 0.5 / max(slope, 1e-9)


def _logistic(temperature: np.ndarray, low: float, centre: float, width: float, a: float, b: float) -> np.ndarray:
    step = 1.0 / (1.0 + np.exp(-np.clip((temperature - centre) / width, -60.0, 60.0)))
    return low + (a + b * (temperature - centre) - low) * step


def _normal_state(data: Measured) -> tuple[np.ndarray, float, float]:
    """Normal-state line at every point, plateau below, and the noise (standard deviation of one point)."""
    t, y = data.temperature_K, data.signal
    span = float(t[-1] - t[0])
    tenth = max(3, len(t) // 10)
    top, bottom = float(np.median(y[-tenth:])), float(np.median(y[:tenth]))
    if span <= 0.0 or top <= bottom:
        raise InputError(f"{data.source}: the signal does not fall on cooling; no transition to read")
    smooth = np.array([np.median(y[max(0, i - 2): i + 3]) for i in range(len(y))])
    centre = float(t[int(np.argmin(np.abs(smooth - 0.5 * (top + bottom))))])
    low_guess = 0.0 if data.kind == "R" else bottom
    try:
        best, _ = curve_fit(_logistic, t, y, p0=[low_guess, centre, 0.02 * span, top, 0.0],
                            bounds=([-np.inf, t[0], 1e-4 * span, -np.inf, -np.inf],
                                    [np.inf, t[-1], span, np.inf, np.inf]), maxfev=20000)
    except (RuntimeError, ValueError):
        raise InputError(f"{data.source}: no step could be fitted; give data on both sides of the transition") from None
    centre, width = float(best[1]), float(best[2])
    above = t > centre + 6.0 * width
    if above.sum() < 4:
        raise InputError(f"{data.source}: {int(above.sum())} points above the transition ({centre:.4g} K, width "
                         f"{width:.3g} K); measure further up so that the normal state is seen")
    line = np.polynomial.Polynomial.fit(t[above], y[above], 1)
    noise = float(np.sqrt(np.sum((y[above] - line(t[above])) ** 2) / max(1, above.sum() - 2)))
    below = t < centre - 6.0 * width
    plateau = 0.0 if data.kind == "R" else float(np.mean(y[below])) if below.sum() >= 3 else bottom
    normal = line(t)
    if line(centre) - plateau < 5.0 * noise or line(centre) - np.mean(y[t < centre]) < 0.2 * (line(centre) - plateau):
        raise InputError(f"{data.source}: the signal falls by less than five times its noise; no transition to read")
    return normal, plateau, noise


def _verdict(kind: str, zero: bool, residual: float | None, error: float | None) -> str:
    if kind == "M":
        return ("a diamagnetic step; only its size against that of the sample's volume, the field-cooled expulsion and "
                "the shift in field tell screening by a superconductor from a magnet or the cell")
    if residual is None or error is None:
        return "too few points below the transition to say whether the resistance is zero"
    if not zero:
        return (f"not zero: {residual:.2g}({error:.1g}) of the normal resistance stays, so part of the path is not "
                "superconducting, or the drop is something else")
    bound = max(residual, 0.0) + 2.0 * error
    if residual < -4.0 * error:
        return f"the residue is negative by {-residual / error:.0f} standard errors: an offset of the measurement"
    if residual > 4.0 * error:
        return f"a residue of {residual:.2g} of the normal resistance stays: not zero within its error"
    text = f"zero within noise: below {bound:.1e} of the normal resistance (95 %)"
    if bound > _BEST_METAL:
        return text + (f"; a pure metal can fall to {_BEST_METAL:.0e}, so the drop alone does not prove "
                       "superconductivity: show the shift in field and the diamagnetic signal")
    return text + "; no normal metal falls as far; the shift in field is still needed to exclude a short"


def read_transition(data: Measured, seed: int = 0) -> Step:
    """Onset, midpoint and zero of one curve by the criteria above; InputError when the data cannot give them."""
    t = data.temperature_K
    normal, plateau, noise = _normal_state(data)
    depth = normal - plateau
    if np.any(depth <= 0.0):
        depth = np.maximum(depth, 1e-6 * depth.max())
    fraction = (data.signal - plateau) / depth
    monotone = isotonic(fraction)
    middle = _crossing(t, monotone, 0.5)
    height = float(np.interp(middle, t, depth))
    noise_fraction = noise / height
    threshold = max(0.01, 3.0 * noise_fraction)
    rng = np.random.default_rng(seed)
    residuals = fraction - monotone
    samples = []
    for _ in range(RESAMPLES):
        trial = monotone + residuals[rng.integers(0, len(t), len(t))]
        curve = isotonic(trial)
        samples.append((_onset(t, trial, curve), _crossing(t, curve, 0.5), _crossing(t, curve, threshold)))
    at = np.array([_onset(t, fraction, monotone), middle, _crossing(t, monotone, threshold)])
    spacing = np.array([np.diff(t)[np.clip(np.searchsorted(t, x) - 1, 0, len(t) - 2)] for x in at])
    upper, lower = _crossing(t, monotone, 0.9), _crossing(t, monotone, 0.1)
    unresolved = np.clip(2.0 * spacing / max(upper - lower, 1e-9), 0.0, 1.0)
    errors = np.maximum(np.std(samples, axis=0), unresolved * spacing / np.sqrt(12.0))
    reached = bool(np.sum(t < at[2]) >= 3 and monotone[0] < threshold)
    residual = residual_error = None
    cold = t < (at[2] if reached else lower) - (middle - lower)
    if data.kind == "R" and cold.sum() >= 3:
        values = fraction[cold]
        residual = float(np.mean(values))
        residual_error = float(max(np.std(values, ddof=1), noise_fraction) / np.sqrt(len(values)))
    irreversibility = meissner = None
    if data.second is not None:
        gap = data.second - data.signal
        smooth = np.array([np.median(gap[max(0, i - 2): i + 3]) for i in range(len(t))])
        apart = smooth > max(3.0 * noise, 0.01 * height)
        together = int(np.argmin(apart)) if not apart.all() else len(t)
        irreversibility = float(t[together - 1]) if together else None
        coldest = slice(0, max(3, len(t) // 10))
        meissner = float(np.mean((normal - data.second)[coldest]) / np.mean((normal - data.signal)[coldest]))
    return Step(
        data.source, data.kind, float(at[0]), float(errors[0]), upper, middle, float(errors[1]), lower,
        float(at[2]) if reached else None, float(errors[2]) if reached else None, threshold, noise_fraction, residual,
        residual_error, irreversibility, meissner, _verdict(data.kind, reached, residual, residual_error), t,
        data.signal, normal, monotone)
