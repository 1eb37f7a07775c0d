"""How much hydrogen the hydride has taken up: H in the hydride region per metal atom, in all and through each face."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from megabar.campaign.files import write_csv

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Uptake:
    """Hydrogen in the hydride region against time.

    Attributes:
        time_ps: (t,).
        h_per_metal: (t,) H in the region per metal of the cell.
        h_per_metal_lower, h_per_metal_upper: (t,) the same for the halves on either side of the slab's centre.
        absorbed_h2_per_metal, hydridic_per_metal: (t,) H2 units (molecules) and hydridic H inside, per metal.
        lower_face_A, upper_face_A: (t,) faces, from the slab's centre. thickness_A: (t,).
        cell_h_per_metal: H per metal of the whole cell, the most that can be taken up.
    """

    time_ps: np.ndarray
    h_per_metal: np.ndarray
    h_per_metal_lower: np.ndarray
    h_per_metal_upper: np.ndarray
    absorbed_h2_per_metal: np.ndarray
    hydridic_per_metal: np.ndarray
    lower_face_A: np.ndarray
    upper_face_A: np.ndarray
    cell_h_per_metal: float

    @property
    def thickness_A(self) -> np.ndarray:
        return self.upper_face_A - self.lower_face_A

    def save(self, out: Path) -> list[Path]:
        """uptake.csv in the folder `out`."""
        names = ("time_ps", "h_per_metal", "h_per_metal_lower", "h_per_metal_upper", "absorbed_h2_per_metal",
                 "hydridic_per_metal", "lower_face_A", "upper_face_A", "thickness_A")
        write_csv(out / "uptake.csv", {name: getattr(self, name) for name in names})
        return [out / "uptake.csv"]

    def plot(self, ax: Axes) -> None:
        from megabar.reaction.figures import plot_uptake

        plot_uptake(ax, self)


@dataclass(frozen=True)
class Profiles:
    """Number densities along the normal against time, from the slab's centre.

    Attributes:
        time_ps: (t,). z_A: (z,) middles of the bins. metal_per_A3, hydrogen_per_A3: (t, z).
        lower_face_A, upper_face_A: (t,).
    """

    time_ps: np.ndarray
    z_A: np.ndarray
    metal_per_A3: np.ndarray
    hydrogen_per_A3: np.ndarray
    lower_face_A: np.ndarray
    upper_face_A: np.ndarray

    def parts(self, count: int = 4) -> list[tuple[float, float, np.ndarray, np.ndarray]]:
        """The run in `count` parts (fewer when it has fewer rows): from and to in ps, mean metal and H profiles."""
        found = []
        for rows in np.array_split(np.arange(len(self.time_ps)), min(count, len(self.time_ps))):
            found.append((float(self.time_ps[rows[0]]), float(self.time_ps[rows[-1]]),
                          self.metal_per_A3[rows].mean(axis=0), self.hydrogen_per_A3[rows].mean(axis=0)))
        return found

    def save(self, out: Path) -> list[Path]:
        """profiles.csv in the folder `out`: mean profiles over parts of the run, as in the figure."""
        columns: dict[str, Any] = {"z_A": self.z_A}
        for start, stop, metal, hydrogen in self.parts():
            columns[f"metal_per_A3_{start:.3f}_to_{stop:.3f}_ps"] = metal
            columns[f"hydrogen_per_A3_{start:.3f}_to_{stop:.3f}_ps"] = hydrogen
        write_csv(out / "profiles.csv", columns)
        return [out / "profiles.csv"]

    def plot(self, ax: Axes) -> None:
        from megabar.reaction.figures import plot_profiles

        plot_profiles(ax, self)
