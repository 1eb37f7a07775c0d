"""Fit of a measured pattern by several phases: cells with errors, intensities, profile, background, and what is left.

Positions, widths and the profile are non-linear and go through least squares; line intensities and the background are
linear and are solved for inside each step (variable projection, Golub & Pereyra, SIAM J. Numer. Anal. 10, 413 (1973)).
Line intensities are free, as texture in an anvil cell demands, but lean towards the calculated ones within `leaning`
(a relative standard deviation), which settles lines that overlap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks

from megabar.anvil.diffraction.measured import Measured
from megabar.anvil.diffraction.phase import Phase
from megabar.anvil.diffraction.powder import Reflections, fwhm_deg, reflections
from megabar.anvil.diffraction.search import best_combinations, candidates, line_places
from megabar.anvil.figures import save_figure
from megabar.anvil.gauge import Reading, marker_scale, read_marker
from megabar.anvil.materials import MATERIALS
from megabar.anvil.peaks import Fit, fit, pseudo_voigt
from megabar.campaign.files import write_csv, write_json
from megabar.errors import InputError, NotConverged


@dataclass(frozen=True, eq=False)
class RefinedPhase:
    """A phase after the fit. `errors` are standard deviations of the free cell parameters; `lines` its reflections with
    fitted and calculated areas (counts degree) and the error of the fitted one."""

    phase: Phase
    free_cell: np.ndarray
    errors: np.ndarray
    volume_A3: float
    volume_error_A3: float
    scale: float
    microstrain: float
    lines: list[dict[str, Any]]
    detected: bool

    def as_dict(self) -> dict[str, Any]:
        cell: dict[str, float] = {}
        for name, value, error in zip(self.phase.free_names, self.free_cell, self.errors, strict=True):
            stem, unit = name.rsplit("_", 1)
            cell |= {name: float(value), f"{stem}_error_{unit}": float(error)}
        return {"name": self.phase.name, "spacegroup": self.phase.symbol, **cell, "volume_A3": self.volume_A3,
                "volume_error_A3": self.volume_error_A3, "scale": self.scale, "microstrain": self.microstrain,
                "detected": self.detected, "lines": self.lines}


@dataclass(frozen=True, eq=False)
class Refinement:
    """The whole fit. `readings` hold the pressure of every marker among the phases; the first is that of `marker`."""

    wavelength_A: float
    phases: tuple[RefinedPhase, ...]
    marker: str | None
    readings: tuple[Reading, ...]
    missing: list[dict[str, Any]]
    unexplained: list[dict[str, float]]
    instrument_fwhm_deg: float
    lorentz_fraction: float
    r_weighted: float
    reduced_chi2: float
    two_theta_deg: np.ndarray
    observed: np.ndarray
    calculated: np.ndarray
    background: np.ndarray
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        result: dict[str, Any] = {"wavelength_A": self.wavelength_A, "phases": [p.as_dict() for p in self.phases],
                                  "marker": self.marker}
        if self.readings:
            result |= {"pressure_GPa": self.readings[0].pressure_GPa,
                       "uncertainty_GPa": self.readings[0].uncertainty_GPa, "scale": self.readings[0].scale,
                       "readings": [r.as_dict() for r in self.readings]}
        return result | {"missing": self.missing, "unexplained": self.unexplained, "r_weighted": self.r_weighted,
                         "reduced_chi2": self.reduced_chi2, "instrument_fwhm_deg": self.instrument_fwhm_deg,
                         "lorentz_fraction": self.lorentz_fraction, "warnings": list(self.warnings)}

    def save(self, folder: str | Path) -> None:
        """Write fit.json, fit.csv and fit.png into `folder`."""
        folder = Path(folder)
        write_json(folder / "fit.json", self.as_dict())
        write_csv(folder / "fit.csv", {"two_theta_deg": self.two_theta_deg.tolist(), "observed": self.observed.tolist(),
                                       "calculated": self.calculated.tolist(), "background": self.background.tolist()})
        save_figure(folder / "fit.png", self.plot, (9.0, 5.5))

    def plot(self, ax: Any) -> None:
        """Data, fit, background, difference below, and each phase's ticks."""
        ax.plot(self.two_theta_deg, self.observed, ".", ms=2, color="tab:gray", label="measured")
        ax.plot(self.two_theta_deg, self.calculated, color="black", lw=0.9, label="fit")
        ax.plot(self.two_theta_deg, self.background, color="tab:olive", lw=0.8, label="background")
        span = float(np.ptp(self.observed))
        floor = float(self.observed.min())
        difference = self.observed - self.calculated
        ax.plot(self.two_theta_deg, floor - 0.15 * span + difference, color="tab:green", lw=0.7, label="difference")
        for row, p in enumerate(self.phases):
            places = [line["two_theta_deg"] for line in p.lines]
            low = floor - (0.27 + 0.05 * row) * span
            ax.vlines(places, low, low + 0.035 * span, color=f"C{row}", label=p.phase.name)
        for u in self.unexplained:
            ax.annotate("?", (u["two_theta_deg"], u["height"] + floor), color="tab:red", ha="center")
        ax.set_xlabel(f"2θ (deg), λ = {self.wavelength_A:g} Å")
        ax.set_ylabel("intensity")
        ax.legend(fontsize=8)


class _Model:
    """The pattern as a function of the non-linear parameters; everything linear is solved for."""

    def __init__(self, data: Measured, phases: Sequence[Phase], lines: Sequence[Reflections], wavelength_A: float,
                 degree: int, leaning: float | None) -> None:
        self.data, self.phases, self.lines, self.wavelength_A, self.leaning = data, phases, lines, wavelength_A, leaning
        x = data.two_theta_deg
        t = 2.0 * (x - x[0]) / (x[-1] - x[0]) - 1.0
        self.background = np.polynomial.chebyshev.chebvander(t, degree) / data.sigma[:, None]
        # The smooth background of the data is the first guess; the polynomial only mends it.
        self.target = (data.intensity - data.background) / data.sigma
        self.cells = [slice(0, 0)] * len(phases)
        position = 2
        for i, p in enumerate(phases):
            self.cells[i] = slice(position, position + len(p.free_names))
            position += len(p.free_names)
        self.strain = slice(position, position + len(phases))
        self.size = position + len(phases)
        self.scales = np.ones(len(phases))

    def columns(self, p: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Unit-area lines over sigma (n, lines), their phase, their calculated share, and their places."""
        x, parts, owner, share, places = self.data.two_theta_deg, [], [], [], []
        for i, (phase, r) in enumerate(zip(self.phases, self.lines, strict=True)):
            place = line_places(phase, r, p[self.cells[i]], self.wavelength_A)
            width = fwhm_deg(place, p[0], p[self.strain][i])
            for j in np.flatnonzero(np.isfinite(place)):
                column = np.zeros_like(x)
                lo, hi = np.searchsorted(x, [place[j] - 30.0 * width[j], place[j] + 30.0 * width[j]])
                column[lo:hi] = pseudo_voigt(x[lo:hi], place[j], width[j], p[1])
                parts.append(column / self.data.sigma)
                owner.append(i)
                share.append(r.intensity[j] / r.intensity.max())
                places.append((i, j))
        return np.stack(parts, axis=1), np.array(owner), np.array(share), np.array(places)

    def solve(self, p: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(residual over sigma, prior rows included; linear coefficients; their covariance for unit sigma)."""
        lines, owner, share, _ = self.columns(p)
        if self.leaning is None:
            lines = np.stack([lines[:, owner == i] @ share[owner == i] for i in range(len(self.phases))], axis=1)
            matrix, target = np.hstack([lines, self.background]), self.target
        else:
            expected = self.scales[owner] * share
            spread = self.leaning * expected + 0.01 * self.scales[owner] + 1e-30
            prior = np.hstack([np.diag(1.0 / spread), np.zeros((len(share), self.background.shape[1]))])
            matrix = np.vstack([np.hstack([lines, self.background]), prior])
            target = np.concatenate([self.target, expected / spread])
        # Normal equations of scaled columns: the lines are nearly orthogonal and the prior lifts what overlaps, so that
        # the squared condition number does no harm and a step costs a twentieth of a singular value decomposition.
        norm = np.linalg.norm(matrix, axis=0) + 1e-30
        matrix = matrix / norm
        gram = matrix.T @ matrix
        gram[np.diag_indices_from(gram)] += 1e-10
        inverse = np.linalg.inv(gram)
        solution = inverse @ (matrix.T @ target)
        return matrix @ solution - target, solution / norm, inverse / np.outer(norm, norm)

    def residual(self, p: np.ndarray) -> np.ndarray:
        return self.solve(p)[0]


def _search_scales(phase: Phase, pressure_GPa: float | None, search_percent: float) -> np.ndarray:
    """Factors on the cell lengths to look among: a few per cent, or all that a marker may have at any pressure."""
    if phase.material is not None and pressure_GPa is None:
        eos = marker_scale(phase.material)
        top = min(eos.refused_above_GPa, 400.0)
        ratios = [(eos.volume_A3(P) / phase.volume_A3) ** (1.0 / 3.0) for P in np.linspace(0.0, top, 9)]
        low, high = min(ratios) - 0.003, max(ratios) + 0.003
    else:
        low, high = 1.0 - search_percent / 100.0, 1.0 + search_percent / 100.0
    return np.arange(low, high, 0.0008)


def refine(
    data: Measured, phases: Sequence[Phase], wavelength_A: float, *, marker: str | None = None,
    scale: str | None = None, temperature_K: float | None = None, pressure_GPa: float | None = None,
    search_percent: float = 5.0, leaning: float = 0.5, background_degree: int = 5, fwhm_guess_deg: float | None = None,
) -> Refinement:
    """Fit the phases to a measured pattern.

    `pressure_GPa` is a guess that narrows the search for markers; `search_percent` how far cell lengths may be off.
    `marker` names the phase that tells the pressure (default: the first that is a marker). Raises InputError when no
    phase has lines in the range, or the named marker is none.
    """
    x = data.two_theta_deg
    names = [p.name for p in phases]
    if len(set(names)) < len(names) or not names:
        raise InputError("give at least one phase, each under its own name")
    markers = [p.name for p in phases if p.material is not None]
    if marker is not None and marker not in markers:
        raise InputError(f"--marker {marker!r}: not a marker among the phases ({', '.join(markers) or 'none is'})")
    # Lines just outside the range may move in during the fit: take a margin.
    lines = []
    for p in phases:
        r = reflections(p, wavelength_A, min(float(x[-1]) * 1.05, 175.0), max(0.9 * float(x[0]), 0.3))
        seen = r.intensity > 0.003 * r.intensity.max()
        lines.append(Reflections(*(getattr(r, f)[seen] for f in ("hkl", "d_A", "two_theta_deg", "multiplicity", "F2",
                                                                 "intensity"))))
    width = fwhm_guess_deg if fwhm_guess_deg is not None else _typical_width(data)
    keep = 8 if len(phases) < 4 else 5
    options = [candidates(p, r, data, wavelength_A, _search_scales(p, pressure_GPa, search_percent), width, keep)
               for p, r in zip(phases, lines, strict=True)]
    for p, choice in zip(phases, options, strict=True):
        if not choice:
            raise InputError(f"{p.name}: none of its lines can lie between {x[0]:.1f} and {x[-1]:.1f} degrees; check "
                             "its cell and the wavelength")
    trials: list[tuple[Fit, _Model, list[str]]] = []
    visited: list[np.ndarray] = []
    for starts in best_combinations(list(phases), lines, options, data, wavelength_A, width, leaning):
        try:
            trial = _minimise(data, phases, lines, wavelength_A, starts, width, background_degree, leaning, visited)
        except NotConverged:
            continue
        if trial is not None:
            trials.append(trial)
    if not trials:
        raise InputError("none of the phases is in this pattern: check the wavelength, the cells and --search-percent")
    trials.sort(key=lambda t: float(np.sum(t[0].residual**2)))
    result, model, warnings = trials[0]
    return _report(result, model, marker or (markers[0] if markers else None), scale, temperature_K,
                   [*data.warnings, *warnings, *_rivals(trials)])


def _rivals(trials: Sequence[tuple[Fit, _Model, list[str]]]) -> list[str]:
    """Says so where another assignment of the peaks fits nearly as well as the best."""
    best, model, _ = trials[0]
    cost = float(np.sum(best.residual**2))
    chi2 = max(cost / len(model.target), 1.0)
    for other, rival, _ in trials[1:]:
        if (float(np.sum(other.residual**2)) - cost) / chi2 > 30.0:
            break
        moved = []
        for i, phase in enumerate(model.phases):
            cell = model.cells[i]
            present = all(m.scales[i] > 0.02 * m.scales.max() for m in (model, rival))
            if present and np.max(np.abs(other.parameters[cell] / best.parameters[cell] - 1.0)) > 0.005:
                moved.append(f"{phase.name} {phase.free_names[0].split('_')[0]} = {other.parameters[cell][0]:.4f} A")
        if moved:
            return [f"another assignment of the peaks fits nearly as well ({', '.join(moved)}): give --pressure or "
                    "--search-percent to settle it"]
    return []


def _typical_width(data: Measured) -> float:
    """Median width at half height of the strongest peaks, in degrees."""
    y = data.intensity - data.background
    step = float(np.median(np.diff(data.two_theta_deg)))
    smooth = gaussian_filter1d(y, 1.0)
    tops, properties = find_peaks(smooth, height=6.0 * float(np.median(data.sigma)), width=2, rel_height=0.5)
    if not len(tops):
        raise InputError("no peaks stand out of the noise of this pattern: nothing to fit")
    strongest = np.argsort(-properties["peak_heights"])[:8]
    return float(np.clip(np.median(properties["widths"][strongest]) * step, 2.0 * step, 0.6))


def _minimise(
    data: Measured, phases: Sequence[Phase], lines: Sequence[Reflections], wavelength_A: float,
    starts: Sequence[np.ndarray], width: float, degree: int, leaning: float, visited: list[np.ndarray],
) -> tuple[Fit, _Model, list[str]] | None:
    """First with calculated intensities and one scale a phase, then with free intensities leaning on them.

    None when the first step ends in cells that are in `visited`, where it adds those it finds.
    """
    step = float(np.median(np.diff(data.two_theta_deg)))
    rigid = _Model(data, phases, lines, wavelength_A, degree, None)
    start = np.concatenate([[width, 0.4], *starts, np.full(len(phases), 1e-3)])
    lengths = np.concatenate([[False, False], *[[n.endswith("_A") for n in p.free_names] for p in phases],
                              [False] * len(phases)])
    lower, upper = start.copy(), start.copy()
    lower[:2], upper[:2] = (0.8 * step, 0.0), (min(2.5 * width, 1.0), 1.0)
    lower[rigid.strain], upper[rigid.strain] = 0.0, 0.02
    cells = np.concatenate([np.arange(c.start, c.stop) for c in rigid.cells])
    away = np.where(lengths, 0.012 * start, 1.0)[cells]  # the search has been nearer than that
    lower[cells], upper[cells] = start[cells] - away, start[cells] + away
    first = fit(rigid.residual, start, lower, upper)
    if any(np.allclose(first.parameters[cells], other, rtol=5e-4) for other in visited):
        return None
    visited.append(first.parameters[cells])
    lower[cells], upper[cells] = first.parameters[cells] - away, first.parameters[cells] + away
    _, linear, _ = rigid.solve(first.parameters)
    scales = linear[:len(phases)]
    free = _Model(data, phases, lines, wavelength_A, degree, leaning)
    strongest = float(np.max(np.clip(scales, 0.0, None)))
    if strongest <= 0.0:
        raise NotConverged("no phase has a positive scale")
    free.scales = np.clip(scales, 1e-4 * strongest, None)
    second = fit(free.residual, first.parameters, lower, upper)
    room = np.minimum(second.parameters - lower, upper - second.parameters) / (upper - lower)
    return second, free, [f"{p.name}: its cell ran to the end of its bounds; start nearer, or leave it out"
                          for p, cell in zip(phases, rigid.cells, strict=True) if np.any(room[cell] < 1e-3)]


def _report(result: Fit, model: _Model, marker: str | None, scale: str | None, temperature_K: float | None,
            warnings: list[str]) -> Refinement:
    data, p = model.data, result.parameters
    columns, owner, share, places = model.columns(p)
    _, linear, covariance = model.solve(p)
    areas = linear[:len(owner)]
    chi2 = float(np.mean(((columns @ areas + model.background @ linear[len(owner):]) - model.target) ** 2))
    errors = np.sqrt(np.clip(np.diag(covariance)[:len(owner)], 0.0, None) * max(chi2, 1.0))
    calculated = (columns @ areas + model.background @ linear[len(owner):]) * data.sigma + data.background
    background = (model.background @ linear[len(owner):]) * data.sigma + data.background
    refined, missing = [], []
    for i, phase in enumerate(model.phases):
        cell = model.cells[i]
        free, block = p[cell], result.covariance[cell, cell]
        volume = float(phase.cell_of(free).volume)
        steps = 1e-5 * np.abs(free)
        gradient = np.array([(phase.cell_of(free + s * e).volume - phase.cell_of(free - s * e).volume) / (2.0 * s)
                             for s, e in zip(steps, np.eye(len(free)), strict=True)])
        mine = np.flatnonzero(owner == i)
        inside = []
        angle = line_places(phase, model.lines[i], free, model.wavelength_A)
        for m in mine:
            j = int(places[m][1])
            if not data.two_theta_deg[0] <= angle[j] <= data.two_theta_deg[-1]:
                continue
            expected = float(model.scales[i] * share[m])
            line: dict[str, Any] = {"hkl": [int(v) for v in model.lines[i].hkl[j]], "two_theta_deg": float(angle[j]),
                    "d_A": float(model.wavelength_A / (2.0 * np.sin(np.radians(angle[j]) / 2.0))),
                    "area": float(areas[m]), "area_error": float(errors[m]), "calculated_area": expected}
            inside.append(line)
            # The prior pulls an absent line up by about its own spread: judge against the data's share alone.
            if expected > 6.0 * errors[m] and areas[m] < 0.15 * expected:
                missing.append({"phase": phase.name, **line})
        significant = sum(float(areas[m]) > 4.0 * float(errors[m]) for m in mine)
        detected = significant >= min(2, len(inside)) and len(inside) > 0
        if not detected:
            warnings = [*warnings, f"{phase.name}: fewer than two of its lines stand out; it may not be in the pattern"]
        told = [float(np.log(line["area"] / line["calculated_area"])) for line in inside
                if line["area"] > 4.0 * line["area_error"] and line["calculated_area"] > 0.05 * model.scales[i]]
        if len(told) >= 4 and float(np.std(told)) > 0.6:
            warnings = [*warnings, f"{phase.name}: line intensities stray from the calculated ones by a factor of "
                        f"{np.exp(np.std(told)):.1f}: strong texture, or the wrong peaks"]
        if p[model.strain][i] > 0.015:
            warnings = [*warnings, f"{phase.name}: its lines came out several times wider than the others'; it may be "
                        "fitted to the wrong peaks"]
        if phase.material is not None and phase.system == "hexagonal":
            ratio = float(free[1] / free[0]) / MATERIALS[phase.material].c_over_a - 1.0
            if abs(ratio) > 0.01:
                warnings = [*warnings, f"{phase.name}: c/a is {100.0 * ratio:+.1f} % off its ambient value: strain, or "
                            "the wrong peaks"]
        refined.append(RefinedPhase(
            replace(phase.with_cell(free), pressure_GPa=None), free, np.sqrt(np.clip(np.diag(block), 0.0, None)),
            volume,
            float(np.sqrt(max(gradient @ block @ gradient, 0.0))), float(model.scales[i]), float(p[model.strain][i]),
            inside, detected))
    readings = []
    for r in sorted((r for r in refined if r.phase.material is not None), key=lambda r: r.phase.name != marker):
        try:
            readings.append(read_marker(
                str(r.phase.material), volume_A3=r.volume_A3, sigma_volume_A3=r.volume_error_A3,
                scale=scale if r.phase.name == marker else None, temperature_K=temperature_K))
        except InputError as error:
            if r.phase.name == marker:
                raise
            warnings = [*warnings, f"{r.phase.name}: {error}"]
    left = (data.intensity - calculated) / data.sigma
    weighted = float(np.sqrt(np.sum(((data.intensity - calculated) / data.sigma) ** 2)
                             / np.sum(((data.intensity - data.background) / data.sigma) ** 2)))
    return Refinement(
        model.wavelength_A, tuple(refined), marker, tuple(readings), missing,
        _unexplained(data, left * data.sigma, [line for r in refined for line in r.lines], float(p[0]),
                     model.wavelength_A, chi2),
        float(p[0]), float(p[1]), weighted, chi2, data.two_theta_deg, data.intensity, calculated, background,
        tuple(dict.fromkeys(warnings)))


def _unexplained(data: Measured, left: np.ndarray, lines: Sequence[dict[str, Any]], width: float, wavelength_A: float,
                 chi2: float) -> list[dict[str, float]]:
    """Peaks in what the fit leaves: six standard deviations of a line's width of points, away from all fitted lines."""
    x = data.two_theta_deg
    step = float(np.median(np.diff(x)))
    sigma = max(0.8, width / 2.355 / step)
    smooth = gaussian_filter1d(left / data.sigma, sigma)
    level = 6.0 / np.sqrt(2.0 * np.sqrt(np.pi) * sigma) * max(1.0, np.sqrt(chi2) / 2.0)
    height = gaussian_filter1d(left, sigma)
    tops, _ = find_peaks(smooth, height=level)
    places = np.array([line["two_theta_deg"] for line in lines])
    found = []
    for top in tops:
        if places.size and np.min(np.abs(places - x[top])) < 1.5 * width:
            continue
        d = wavelength_A / (2.0 * np.sin(np.radians(x[top]) / 2.0))
        found.append({"two_theta_deg": float(x[top]), "d_A": float(d), "height": float(height[top]),
                      "significance": float(6.0 * smooth[top] / level)})
    return found
