"""Powder patterns: positions from the cell, structure factors from gemmi (IT92 form factors), Lorentz-polarisation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import spglib

from megabar.anvil.diffraction.phase import Phase
from megabar.anvil.figures import save_figure
from megabar.anvil.peaks import pseudo_voigt
from megabar.campaign.files import write_csv, write_json
from megabar.errors import InputError

_MOST_REFLECTIONS = 400_000


@dataclass(frozen=True)
class Reflections:
    """Families of equivalent reflections of one phase by rising angle.

    `hkl` (n, 3) holds one member of each family, `multiplicity` their number (Friedel mates counted), `d_A` and
    `two_theta_deg` the place, `intensity` sum |F|^2 Lp / V^2: per volume of the phase, so that volume fractions scale
    it. `F2` is the mean |F|^2 of the family in electrons squared.
    """

    hkl: np.ndarray
    d_A: np.ndarray
    two_theta_deg: np.ndarray
    multiplicity: np.ndarray
    F2: np.ndarray
    intensity: np.ndarray


def check_wavelength(wavelength_A: float) -> float:
    """The wavelength, if it can be one in A; energies in keV and nanometres are told apart."""
    if not np.isfinite(wavelength_A) or not 0.05 <= wavelength_A <= 3.0:
        raise InputError(f"wavelength {wavelength_A:g} A: X-ray work in anvil cells uses 0.05 to 3 A; for an energy in "
                         "keV give 12.3984/E, for nanometres multiply by 10")
    return wavelength_A


def lorentz_polarisation(two_theta_deg: Any) -> Any:
    """(1 + cos^2 2theta)/(sin^2 theta cos theta): powder Lorentz factor with unpolarised light."""
    theta = np.radians(two_theta_deg) / 2.0
    return (1.0 + np.cos(2.0 * theta) ** 2) / (np.sin(theta) ** 2 * np.cos(theta))


def d_spacings_A(hkl: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """d in A of reflections (n, 3) in a cell whose rows are the lattice vectors."""
    return 1.0 / np.linalg.norm(np.asarray(hkl) @ np.linalg.inv(cell).T, axis=1)


def two_theta_deg(d_A: Any, wavelength_A: float) -> Any:
    """Bragg angle 2 theta in degrees; d has to exceed half the wavelength."""
    return 2.0 * np.degrees(np.arcsin(wavelength_A / (2.0 * np.asarray(d_A))))


def _families(hkl: np.ndarray, rotations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index of each reflection's family, and the representative of each family (most indices not negative, largest)."""
    bound = int(np.abs(hkl).max()) * 3 + 2
    base = 2 * bound + 1
    best = np.full(len(hkl), -1, dtype=np.int64)
    for rotation in rotations:
        for sign in (1, -1):
            member = sign * (hkl @ rotation)
            shifted = member + bound
            key = (shifted[:, 0] * base + shifted[:, 1]) * base + shifted[:, 2]
            key = key + (member >= 0).sum(axis=1) * base**3
            best = np.maximum(best, key)
    keys, family = np.unique(best, return_inverse=True)
    plain = keys % base**3
    representative = np.stack([plain // base**2, plain // base % base, plain % base], axis=1) - bound
    return family, representative


def reflections(phase: Phase, wavelength_A: float, two_theta_max_deg: float = 25.0,
                two_theta_min_deg: float = 1.0) -> Reflections:
    """All reflections of a phase between two angles. |F|^2 includes the phase's Debye-Waller factors."""
    check_wavelength(wavelength_A)
    if not 0.0 < two_theta_min_deg < two_theta_max_deg < 180.0:
        raise InputError(f"angles {two_theta_min_deg:g} to {two_theta_max_deg:g} degrees: give 0 < min < max < 180")
    d_min = wavelength_A / (2.0 * np.sin(np.radians(two_theta_max_deg) / 2.0))
    cell = phase.atoms.cell[:]
    limits = np.floor(np.linalg.norm(cell, axis=1) / d_min).astype(int)
    if np.prod(2.0 * limits + 1.0) > _MOST_REFLECTIONS * 8:
        raise InputError(f"{phase.name}: too many reflections for a cell of {phase.volume_A3:.0f} A^3 up to "
                         f"{two_theta_max_deg:g} degrees; lower --two-theta-max")
    grids = np.meshgrid(*(np.arange(-n, n + 1) for n in limits), indexing="ij")
    hkl = np.stack([g.ravel() for g in grids], axis=1)
    hkl = hkl[np.any(hkl != 0, axis=1)]
    d = d_spacings_A(hkl, cell)
    d_max = wavelength_A / (2.0 * np.sin(np.radians(two_theta_min_deg) / 2.0))
    inside = (d >= d_min) & (d <= d_max)
    hkl, d = hkl[inside], d[inside]
    if not len(hkl):
        raise InputError(f"{phase.name}: no reflections below {two_theta_max_deg:g} degrees; raise --two-theta-max")
    structure = phase.small_structure()
    calculator = gemmi.StructureFactorCalculatorX(structure.cell)
    half = (hkl[:, 0] > 0) | ((hkl[:, 0] == 0) & ((hkl[:, 1] > 0) | ((hkl[:, 1] == 0) & (hkl[:, 2] > 0))))
    hkl, d = hkl[half], d[half]
    F2 = np.array([abs(calculator.calculate_sf_from_small_structure(structure, [int(i) for i in r])) ** 2 for r in hkl])
    numbers = (cell, phase.atoms.get_scaled_positions(), phase.atoms.get_atomic_numbers())
    symmetry = spglib.get_symmetry(numbers, symprec=1e-4)
    rotations = np.eye(3, dtype=int)[None] if symmetry is None else np.unique(symmetry["rotations"], axis=0)
    family, representative = _families(hkl, rotations)
    count = np.bincount(family)
    total = np.bincount(family, weights=F2)
    d_family = np.bincount(family, weights=d) / count
    angle = two_theta_deg(d_family, wavelength_A)
    intensity = 2.0 * total * lorentz_polarisation(angle) / phase.volume_A3**2
    order = np.argsort(angle, kind="stable")
    return Reflections(representative[order], d_family[order], angle[order], 2 * count[order], (total / count)[order],
                       intensity[order])


@dataclass(frozen=True)
class Peak:
    """One line of a pattern; `intensity` is relative to the strongest of the pattern, 100. `also` are families that
    fall on the same place, whose intensity is included."""

    phase: str
    hkl: tuple[int, int, int]
    d_A: float
    two_theta_deg: float
    intensity: float
    multiplicity: int
    also: tuple[tuple[int, int, int], ...] = ()


@dataclass(frozen=True)
class Pattern:
    """A computed pattern: its peaks by rising angle, and the profile on a grid of 2 theta (strongest point 100)."""

    wavelength_A: float
    peaks: tuple[Peak, ...]
    two_theta_deg: np.ndarray
    profile: np.ndarray
    by_phase: dict[str, np.ndarray]
    phases: tuple[Phase, ...]

    def as_dict(self) -> dict[str, Any]:
        return {
            "wavelength_A": self.wavelength_A, "peaks": [vars(p) for p in self.peaks],
            "phases": [{"name": p.name, "spacegroup": p.symbol, "spacegroup_number": p.spacegroup,
                        "volume_A3": p.volume_A3, "fraction": p.fraction, "pressure_GPa": p.pressure_GPa,
                        **dict(zip(p.free_names, (float(v) for v in p.free_cell), strict=True))} for p in self.phases]}

    def save(self, folder: str | Path) -> None:
        """Write peaks.json, pattern.csv and pattern.png into `folder`."""
        folder = Path(folder)
        write_json(folder / "peaks.json", self.as_dict())
        columns = {"two_theta_deg": self.two_theta_deg.tolist(), "total": self.profile.tolist()}
        write_csv(folder / "pattern.csv", columns | {name: y.tolist() for name, y in self.by_phase.items()})
        save_figure(folder / "pattern.png", self.plot, (9.0, 5.0))

    def plot(self, ax: Any) -> None:
        """The profile, each phase's share, and ticks under it."""
        ax.plot(self.two_theta_deg, self.profile, color="black", lw=1.0, label="sum")
        for row, (name, y) in enumerate(self.by_phase.items()):
            colour = f"C{row}"
            ax.plot(self.two_theta_deg, y, color=colour, lw=1.0, label=name)
            places = [p.two_theta_deg for p in self.peaks if p.phase == name]
            ax.vlines(places, -4.0 * row - 5.5, -4.0 * row - 2.5, color=colour, lw=1.0)
        ax.set_xlabel(f"2θ (deg), λ = {self.wavelength_A:g} Å")
        ax.set_ylabel("intensity")
        ax.legend()


def fwhm_deg(two_theta: Any, instrument_deg: float, microstrain: float) -> Any:
    """Width of a line: the instrument and the microstrain (4 epsilon tan theta), added in quadrature."""
    return np.hypot(instrument_deg, np.degrees(4.0 * microstrain * np.tan(np.radians(two_theta) / 2.0)))


def profile_of(grid: np.ndarray, places: np.ndarray, areas: np.ndarray, widths: np.ndarray, eta: float) -> np.ndarray:
    """Sum of pseudo-Voigt lines on `grid` (degrees)."""
    total = np.zeros_like(grid)
    for place, area, width in zip(places, areas, widths, strict=True):
        near = np.abs(grid - place) < 40.0 * width
        total[near] += area * pseudo_voigt(grid[near], place, width, eta)
    return total


def merged_peaks(phase: Phase, r: Reflections, weights: np.ndarray, least: float) -> list[Peak]:
    """Peaks of one phase above `least` (in the unit of `weights`), families at the same angle (1e-5 degrees) merged."""
    peaks: list[Peak] = []
    i = 0
    while i < len(r.d_A):
        j = i + 1
        while j < len(r.d_A) and r.two_theta_deg[j] - r.two_theta_deg[i] < 1e-5:
            j += 1
        area = float(weights[i:j].sum())
        if area > 0.0 and area >= least:
            order = i + np.argsort(-weights[i:j], kind="stable")
            labels = [(int(r.hkl[m][0]), int(r.hkl[m][1]), int(r.hkl[m][2])) for m in order if weights[m] > 1e-9 * area]
            peaks.append(Peak(phase.name, labels[0], float(r.d_A[i]), float(r.two_theta_deg[i]), area,
                              int(r.multiplicity[order[0]]), tuple(labels[1:])))
        i = j
    return peaks


def pattern(
    phases: Sequence[Phase], wavelength_A: float, *, two_theta_max_deg: float = 25.0, two_theta_min_deg: float = 1.0,
    instrument_fwhm_deg: float = 0.06, lorentz_fraction: float = 0.5, least_intensity: float = 0.01,
) -> Pattern:
    """The powder pattern of phases mixed by volume fraction.

    Intensities are scaled so that the strongest peak is 100 and lines below `least_intensity` are left out. Texture,
    absorption and anomalous scattering are not included.
    """
    if not phases:
        raise InputError("no phase to compute: give structure files or marker names")
    names = [p.name for p in phases]
    if len(set(names)) < len(names):
        raise InputError(f"two phases are called {max(names, key=names.count)!r}: rename one of the files")
    if min(p.fraction for p in phases) < 0.0 or sum(p.fraction for p in phases) <= 0.0:
        raise InputError("volume fractions have to be 0 or more, and not all 0")
    found = [reflections(p, wavelength_A, two_theta_max_deg, two_theta_min_deg) for p in phases]
    areas = [p.fraction * r.intensity for p, r in zip(phases, found, strict=True)]
    raw = [peak for p, r, a in zip(phases, found, areas, strict=True) for peak in merged_peaks(p, r, a, 0.0)]
    strongest = max((peak.intensity for peak in raw), default=0.0)
    if strongest <= 0.0:
        raise InputError("no phase scatters in this range of angles: raise --two-theta-max")
    peaks = [Peak(p.phase, p.hkl, p.d_A, p.two_theta_deg, 100.0 * p.intensity / strongest, p.multiplicity, p.also)
             for p in raw if 100.0 * p.intensity / strongest >= least_intensity]
    peaks.sort(key=lambda p: p.two_theta_deg)
    grid = np.arange(two_theta_min_deg, two_theta_max_deg, instrument_fwhm_deg / 6.0)
    by_phase = {}
    for p, r, a in zip(phases, found, areas, strict=True):
        widths = fwhm_deg(r.two_theta_deg, instrument_fwhm_deg, p.microstrain)
        by_phase[p.name] = profile_of(grid, r.two_theta_deg, a, widths, lorentz_fraction)
    total = np.sum(list(by_phase.values()), axis=0)
    scale = 100.0 / float(total.max())
    return Pattern(wavelength_A, tuple(peaks), grid, total * scale, {k: v * scale for k, v in by_phase.items()},
                   tuple(phases))
