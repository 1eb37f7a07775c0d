"""Layers along the interface normal: which are crystal, which are liquid, by order and by mobility.

Layers are counted in metal atoms: layer k holds the k-th set of n0 metals along the normal, n0 being the number per
lattice plane at the start. They follow the slab when it drifts and swell with it when it takes up hydrogen.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from megabar.campaign.files import write_csv
from megabar.reaction.geometry import Region, smooth

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ORDER_LIMIT = 0.33
"""Averaged q6 above which a metal counts as crystalline: midway between the melts of simple liquids (0.15, 99 % below
0.26) and hcp-, bct- and bcc-like lattices with thermal noise (above 0.38)."""
MOBILITY_LIMIT = 0.2
"""Root of the in-plane mean-square displacement over the lag, in nearest-neighbour distances, above which a layer is
mobile. A crystal at its melting point vibrates by 0.1 in all (Lindemann), which gives 0.115 here."""
LAG_PS = 2.0
"""Over this lag a melt with D = 0.1 A^2/ps (1e-5 cm^2/s) moves 0.9 A in the plane, a crystal stays below 0.4 A."""
_PLANE_SMOOTHING_A = 0.55


def nearest_distance_A(metal_per_A3: float) -> float:
    """Neighbour distance of a close-packed lattice of this density: 2^(1/6) n^(-1/3)."""
    return float(2.0 ** (1.0 / 6.0) * metal_per_A3 ** (-1.0 / 3.0))


def mobility_limit_A2(metal_per_A3: float) -> float:
    """In-plane mean-square displacement in A^2 above which a layer is mobile."""
    return (MOBILITY_LIMIT * nearest_distance_A(metal_per_A3)) ** 2


def count_layers(from_centre_A: np.ndarray, region: Region) -> int:
    """Number of lattice planes of a slab from the metals' places (n,) along the normal, averaged over vibrations.

    The spacing of the planes that can be seen divides the thickness, so that a surface already molten is counted as
    well; planes closer than 1.1 A (corrugated faces) are one. Where no regular planes can be seen (a melt), the spacing
    is that of layers of close-packed spheres.
    """
    bins = int(round(region.height_A / 0.05))
    profile = np.histogram(from_centre_A, bins=bins, range=(-0.5 * region.height_A, 0.5 * region.height_A))[0]
    density = smooth(profile.astype(float), region.height_A, _PLANE_SMOOTHING_A)
    peaks = np.flatnonzero((density > np.roll(density, 1)) & (density >= np.roll(density, -1)))
    peaks = peaks[density[peaks] > 0.5 * density.max()]
    gaps = np.diff(peaks) * region.height_A / bins
    troughs = np.array([density[i:j].min() for i, j in zip(peaks[:-1], peaks[1:], strict=True)])
    seen = gaps[troughs < 0.65 * np.minimum(density[peaks[:-1]], density[peaks[1:]])] if len(gaps) else gaps
    spacing = float(np.median(seen)) if len(seen) else 0.0
    regular = len(seen) >= 2 and float(np.median(np.abs(seen - spacing))) < 0.1 * spacing
    if not regular or not 1.4 <= spacing <= 4.5:
        spacing = 0.816 * nearest_distance_A(region.metal_per_A3)
    return max(1, int(round(region.thickness_A / spacing)))


def assign(from_centre: np.ndarray, layers: int) -> tuple[np.ndarray, np.ndarray]:
    """Layer number (n,) of each metal by its rank along the normal, and the (layers - 1,) places between layers."""
    order = np.argsort(from_centre, kind="stable")
    sizes = [len(part) for part in np.array_split(order, layers)]
    layer = np.empty(len(order), dtype=np.int64)
    layer[order] = np.repeat(np.arange(layers), sizes)
    cuts = np.cumsum(sizes)[:-1]
    ordered = from_centre[order]
    return layer, 0.5 * (ordered[cuts - 1] + ordered[cuts])


def liquid_layers(liquid: np.ndarray) -> tuple[int, int]:
    """Liquid layers counted from the lower and from the upper face inwards; a wholly liquid slab is shared."""
    if liquid.all():
        return (len(liquid) + 1) // 2, len(liquid) // 2
    return int(np.argmin(liquid)), int(np.argmin(liquid[::-1]))


@dataclass(frozen=True)
class Layers:
    """Layer by layer against time; layer 0 is at the lower face. NaN where not known: displacements belong to the
    middle of their lag, so that the first and the last half of a lag have none.

    Attributes:
        time_ps: (t,).
        order: (t, l) mean averaged q6 of the metals. crystalline: (t, l) share of metals in crystalline surroundings.
        msd_in_plane_A2: (t, l) in-plane displacement of the metals over lag_ps, drift taken off.
        msd_hydrogen_A2: (t, l) three-dimensional displacement of the hydrogens over lag_ps.
        h_per_metal: (t, l). thickness_A: (t, l).
        temperature_K: (t, l) of all atoms, from velocities. energy_eV_per_metal: (t, l) potential energy, from per-atom
            energies.
        msd_limit_A2: in-plane displacement above which a layer is mobile.
        liquid_by_order, liquid_by_mobility, liquid: (t, 2) layers from the lower and the upper face; `liquid` is both.
        liquid_by_order_A, liquid_by_mobility_A: (t, 2) the same as thickness.
    """

    time_ps: np.ndarray
    order: np.ndarray
    crystalline: np.ndarray
    msd_in_plane_A2: np.ndarray
    msd_hydrogen_A2: np.ndarray
    h_per_metal: np.ndarray
    thickness_A: np.ndarray
    temperature_K: np.ndarray
    energy_eV_per_metal: np.ndarray
    lag_ps: float
    msd_limit_A2: float
    liquid_by_order: np.ndarray
    liquid_by_mobility: np.ndarray
    liquid: np.ndarray
    liquid_by_order_A: np.ndarray
    liquid_by_mobility_A: np.ndarray

    def save(self, out: Path) -> list[Path]:
        """layers.csv (one row per time and layer) and surface_melting.csv in the folder `out`."""
        t, layers = self.order.shape
        flat: dict[str, Any] = {"time_ps": np.repeat(self.time_ps, layers), "layer": np.tile(np.arange(layers), t)}
        for name in ("order", "crystalline", "msd_in_plane_A2", "msd_hydrogen_A2", "h_per_metal", "thickness_A",
                     "temperature_K", "energy_eV_per_metal"):
            values = getattr(self, name)
            if np.isfinite(values).any():
                flat[name] = values.ravel()
        write_csv(out / "layers.csv", flat)
        depths: dict[str, Any] = {"time_ps": self.time_ps}
        for name in ("liquid_by_order", "liquid_by_mobility", "liquid", "liquid_by_order_A", "liquid_by_mobility_A"):
            for k, face in enumerate(("lower", "upper")):
                depths[f"{name}_{face}"] = getattr(self, name)[:, k]
        write_csv(out / "surface_melting.csv", depths)
        return [out / "layers.csv", out / "surface_melting.csv"]

    def plot(self, axes: tuple[Axes, Axes]) -> None:
        """Order and mobility maps on two axes."""
        from megabar.reaction.figures import plot_layers

        plot_layers(axes, self)


def layers_from_rows(rows: dict[str, np.ndarray], lag_ps: float, msd_limit_A2: float) -> Layers:
    """Layers from the columns of an analysis: decides which are liquid, by each measure and by both."""
    in_plane, hydrogen = (_centred(rows["time_ps"], rows[name], lag_ps)
                          for name in ("msd_in_plane_A2", "msd_hydrogen_A2"))
    disordered = rows["crystalline"] < 0.5
    mobile = in_plane > msd_limit_A2
    unknown = ~np.isfinite(in_plane).any(axis=1)
    t = len(disordered)
    by_order, by_mobility, both = (np.array([liquid_layers(row) for row in flags], dtype=float).reshape(t, 2)
                                   for flags in (disordered, mobile, disordered & mobile))
    by_mobility[unknown] = both[unknown] = np.nan
    return Layers(
        time_ps=rows["time_ps"], order=rows["order"], crystalline=rows["crystalline"],
        msd_in_plane_A2=in_plane, msd_hydrogen_A2=hydrogen,
        h_per_metal=rows["layer_h_per_metal"], thickness_A=rows["layer_thickness_A"],
        temperature_K=rows["layer_temperature_K"], energy_eV_per_metal=rows["layer_energy_eV_per_metal"],
        lag_ps=lag_ps, msd_limit_A2=msd_limit_A2, liquid_by_order=by_order, liquid_by_mobility=by_mobility,
        liquid=both, liquid_by_order_A=_depth_A(by_order, rows["layer_thickness_A"]),
        liquid_by_mobility_A=_depth_A(by_mobility, rows["layer_thickness_A"]))


def _centred(time_ps: np.ndarray, msd: np.ndarray, lag_ps: float) -> np.ndarray:
    """Displacements (t, l) moved from the end of their lag to its middle, the time they speak of; NaN at both ends."""
    middle = time_ps + 0.5 * lag_ps
    row = np.abs(time_ps[None] - middle[:, None]).argmin(axis=1)
    spacing = float(np.median(np.diff(time_ps))) if len(time_ps) > 1 else lag_ps
    found = np.abs(time_ps[row] - middle) <= 0.6 * spacing
    return np.where(found[:, None], msd[row], np.nan)


def _depth_A(counts: np.ndarray, thickness_A: np.ndarray) -> np.ndarray:
    """(t, 2) sum of the outermost layers' thicknesses, as many as counted on each side."""
    result = np.full_like(counts, np.nan)
    for row, (lower, upper) in enumerate(counts):
        if np.isfinite(lower):
            below, above = thickness_A[row, : int(lower)], thickness_A[row, ::-1][: int(upper)]
            result[row] = below.sum(), above.sum()
    return result
