"""Where the hydride is: density along the interface normal, its two faces, and the region between them.

The hydride region is where the smoothed metal density exceeds half its bulk value. For a step smeared out
symmetrically, that place is the Gibbs (equimolar) surface of the metal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SMOOTHING_A = 1.5
"""Standard deviation of the Gaussian that smooths densities: it flattens the lattice planes of a hydride (2.4-3.2 A
apart) to below 2 % and leaves the faces where they are."""
BIN_A = 0.2
AXES = ("a", "b", "c")


def heights_A(cell_A: np.ndarray) -> np.ndarray:
    """(3,) distances between opposite faces of the cell."""
    return 1.0 / np.linalg.norm(np.linalg.inv(cell_A), axis=0)


def slab_centre(fractions: np.ndarray) -> float:
    """Centre of the metal along one axis, from fractions (n,) in any period: the phase of the first harmonic."""
    return float(np.angle(np.exp(2j * np.pi * fractions).mean()) / (2.0 * np.pi))


def smooth(density: np.ndarray, height_A: float, sigma_A: float = SMOOTHING_A) -> np.ndarray:
    """Periodic Gaussian smoothing of profiles (..., bins) over a cell of height_A."""
    bins = density.shape[-1]
    wave = 2.0 * np.pi * np.fft.rfftfreq(bins, height_A / bins)
    return np.fft.irfft(np.fft.rfft(density) * np.exp(-0.5 * (wave * sigma_A) ** 2), bins)


@dataclass(frozen=True)
class Region:
    """The hydride along the normal, as fractions of the height counted from the slab's centre (-0.5 to 0.5).

    Attributes:
        lower, upper: the faces; -0.5 and 0.5 for a bulk cell.
        height_A: height of the cell along the normal; area_A2: its cross-section.
        metal_per_A3: number density of the metal in the bulk of the slab.
        pieces: stretches above half the bulk density; more than one when the slab has come apart.
    """

    lower: float
    upper: float
    height_A: float
    area_A2: float
    metal_per_A3: float
    pieces: int

    @property
    def thickness_A(self) -> float:
        return (self.upper - self.lower) * self.height_A

    @property
    def lower_A(self) -> float:
        return self.lower * self.height_A

    @property
    def upper_A(self) -> float:
        return self.upper * self.height_A

    def inside(self, from_centre: np.ndarray, margin_A: float = 0.0) -> np.ndarray:
        """Whether fractions from the slab's centre (in -0.5 to 0.5) lie in the region, or within `margin_A` of it."""
        margin = margin_A / self.height_A
        return (from_centre >= self.lower - margin) & (from_centre <= self.upper + margin)


def find_region(metal_profile: np.ndarray, height_A: float, area_A2: float) -> Region:
    """Region of a slab from its metal_profile (bins,), atoms per bin, with the slab's centre in the middle.

    The bulk value is the mean over the middle half of the slab, found together with the faces by iteration.
    """
    bins = len(metal_profile)
    density = smooth(metal_profile * (bins / (height_A * area_A2)), height_A)
    bulk = float(density.max())
    lower, upper = 0.0, float(bins)
    for _ in range(6):
        above = density > 0.5 * bulk
        lower, upper = _stretch(density, above, 0.5 * bulk)
        quarter = 0.25 * (upper - lower)
        middle = density[int(lower + quarter):max(int(upper - quarter), int(lower + quarter) + 1)]
        bulk = float(middle.mean()) if len(middle) else bulk
    pieces = int(np.sum(above & ~np.roll(above, 1))) if not above.all() else 1
    return Region(lower / bins - 0.5, upper / bins - 0.5, height_A, area_A2, bulk, pieces)


def _stretch(density: np.ndarray, above: np.ndarray, level: float) -> tuple[float, float]:
    """Ends, in bins, of the stretch above `level` around the middle (or around the maximum when that is empty).

    They lie between the centres (k + 0.5) of neighbouring bins, by linear interpolation.
    """
    bins = len(density)
    seed = bins // 2 if above[bins // 2] else int(np.argmax(density))
    below = np.flatnonzero(~above)
    left, right = below[below < seed], below[below > seed]
    if len(below) == 0:
        return 0.0, float(bins)
    lower = 0.0
    if len(left):
        k = int(left[-1])
        lower = k + 0.5 + (level - density[k]) / (density[k + 1] - density[k])
    upper = float(bins)
    if len(right):
        k = int(right[0])
        upper = k + 0.5 - (level - density[k]) / (density[k - 1] - density[k])
    return lower, upper


def whole_cell(n_metal: int, height_A: float, area_A2: float) -> Region:
    """The region of a bulk cell: all of it."""
    return Region(-0.5, 0.5, height_A, area_A2, n_metal / (height_A * area_A2), 1)


def profile_bins(height_A: float) -> int:
    """Number of bins of BIN_A along a normal."""
    return max(8, int(round(height_A / BIN_A)))


def slab_normal(metal_fractions: np.ndarray, cell_A: np.ndarray) -> int | None:
    """Axis 0, 1 or 2 across which the metal, at fractions (n, 3) of the cell, forms a slab; None for a bulk cell.

    It is the axis with the largest first harmonic of the metal density, if the density falls below half its bulk value.
    """
    axis = int(np.argmax(np.abs(np.exp(2j * np.pi * metal_fractions).mean(axis=0))))
    height = float(heights_A(cell_A)[axis])
    bins = profile_bins(height)
    z = metal_fractions[:, axis] - slab_centre(metal_fractions[:, axis])
    profile = np.histogram(z - np.rint(z), bins=bins, range=(-0.5, 0.5))[0]
    region = find_region(profile, height, abs(float(np.linalg.det(cell_A))) / height)
    return axis if region.lower > -0.5 and region.upper < 0.5 else None
