"""Energy on the way: potential energy and enthalpy of the cell against uptake, and the heat that uptake releases."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from megabar.campaign.files import write_csv
from megabar.units import EV_PER_A3_IN_GPA

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LEAST_GAIN = 0.2
"""H per metal that must have gone in before energy is set against uptake."""


@dataclass(frozen=True)
class Energetics:
    """Energies per metal of the whole cell, from their start.

    Attributes:
        time_ps, h_per_metal: (t,). energy_eV_per_metal: (t,) potential energy; enthalpy_eV_per_metal: (t,) with P V,
            NaN without a pressure. volume_A3_per_metal: (t,).
        slope_eV_per_h2: change of enthalpy (of potential energy without a pressure) per H2 taken up, negative when heat
            is released; None when too little was taken up. slope_error_eV_per_h2: its standard error, from blocks.
    """

    time_ps: np.ndarray
    h_per_metal: np.ndarray
    energy_eV_per_metal: np.ndarray
    enthalpy_eV_per_metal: np.ndarray
    volume_A3_per_metal: np.ndarray
    slope_eV_per_h2: float | None
    slope_error_eV_per_h2: float | None

    def save(self, out: Path) -> list[Path]:
        """energetics.csv in the folder `out`."""
        names = ("time_ps", "h_per_metal", "energy_eV_per_metal", "enthalpy_eV_per_metal", "volume_A3_per_metal")
        columns: dict[str, Any] = {name: getattr(self, name) for name in names}
        write_csv(out / "energetics.csv", columns)
        return [out / "energetics.csv"]

    def plot(self, ax: Axes) -> None:
        from megabar.reaction.figures import plot_energetics

        plot_energetics(ax, self)

    def summary(self) -> dict[str, Any]:
        return {"slope_eV_per_H2": self.slope_eV_per_h2, "slope_error_eV_per_H2": self.slope_error_eV_per_h2,
                "of": "enthalpy" if np.isfinite(self.enthalpy_eV_per_metal).any() else "potential energy"}


def energetics(time_ps: np.ndarray, h_per_metal: np.ndarray, potential_energy_eV: np.ndarray, volume_A3: np.ndarray,
               n_metal: int, pressure_GPa: float | None) -> Energetics | None:
    """Energetics of a run, or None when its frames have no energies."""
    if not np.isfinite(potential_energy_eV).all():
        return None
    energy = potential_energy_eV / n_metal
    volume = volume_A3 / n_metal
    enthalpy = np.full_like(energy, np.nan)
    if pressure_GPa is not None:
        enthalpy = energy + pressure_GPa / EV_PER_A3_IN_GPA * volume
    released = energy if pressure_GPa is None else enthalpy
    slope = error = None
    if np.ptp(h_per_metal) > _LEAST_GAIN and len(time_ps) >= 8:
        slope, error = _slope(0.5 * h_per_metal, released) or (None, None)
    return Energetics(time_ps, h_per_metal, energy - energy[0], enthalpy - enthalpy[0], volume, slope, error)


def _slope(x: np.ndarray, y: np.ndarray, blocks: int = 8) -> tuple[float, float] | None:
    """Slope of y against x and its error by leaving out one block of rows at a time (jackknife); None when all of the
    change lies in one block, so that it has neither."""
    whole = float(np.polyfit(x, y, 1)[0])
    parts = np.array_split(np.arange(len(x)), min(blocks, len(x) // 2))
    if min(np.ptp(np.delete(x, p)) for p in parts) < 0.1 * np.ptp(x):
        return None
    left = np.array([np.polyfit(np.delete(x, p), np.delete(y, p), 1)[0] for p in parts])
    return whole, float(np.sqrt((len(parts) - 1) * np.mean((left - left.mean()) ** 2)))
