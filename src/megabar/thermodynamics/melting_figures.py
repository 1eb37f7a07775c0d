"""Figures of melting: runs of one point, and the line over pressure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from megabar.campaign.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from megabar.thermodynamics.melt import MeltingPoint

COLOURS = {"grew": "tab:blue", "melted": "tab:red", "undecided": "tab:gray"}


def plot_runs(ax: Axes, point: MeltingPoint) -> None:
    """Share of the crystal against time; blue where it grew, red where it melted."""
    hottest = sorted({r["temperature_K"] for r in point.runs})
    for run in point.runs:
        ax.plot(run["time_ps"], run["solid_share"], color=COLOURS[run["verdict"]], lw=1.2,
                ls="-" if run["atoms"] == point.runs[-1]["atoms"] else "--")
        level = hottest.index(run["temperature_K"]) % 3
        ax.annotate(f"{run['temperature_K']:.0f} K", (run["time_ps"][-1], run["solid_share"][-1]), fontsize=7,
                    xytext=(2 - 26 * level, 3), textcoords="offset points", color=COLOURS[run["verdict"]])
    ax.set_xlabel("time (ps)")
    ax.set_ylabel("crystalline share")
    ax.set_ylim(-0.05, 1.1)
    ax.set_title(f"{point.formula} {point.phase}, {point.pressure_GPa:g} GPa", fontsize=9)


def plot_rates(ax: Axes, point: MeltingPoint) -> None:
    """Rate of growth against temperature, with the melting point and its bounds."""
    for run in point.runs:
        ax.errorbar(run["temperature_K"], run["rate_per_ps"], yerr=run["rate_error_per_ps"], fmt="o", ms=4, capsize=2,
                    color=COLOURS[run["verdict"]], mfc="none" if run["atoms"] != point.runs[-1]["atoms"] else None)
    ax.axhline(0.0, color="black", lw=0.6)
    t, error = point.temperature_K, point.error_K
    ax.axvspan(t - error, t + error, color="gold", alpha=0.4, lw=0)
    ax.axvline(t, color="goldenrod", label=f"{t:.0f} ± {error:.0f} K")
    for value, style, name in ((point.superheated_to_K, ":", "heated bulk melts"),
                               (point.supercooled_to_K, "--", "cooled melt freezes"),
                               (point.constant_enthalpy_K, "-.", "constant enthalpy")):
        if value is not None:
            ax.axvline(value, color="black", ls=style, lw=0.9, label=f"{name} {value:.0f} K")
    ax.set_xlabel("temperature (K)")
    ax.set_ylabel("growth of the crystalline share (1/ps)")
    ax.legend(fontsize=7)


def save_point(point: MeltingPoint, folder: Path) -> None:
    """`melt.png` in `folder`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    plot_runs(left, point)
    plot_rates(right, point)
    with atomic_path(folder / "melt.png") as temporary:
        figure.savefig(temporary, dpi=150)


def plot_line(ax: Axes, line: Any, pressures_GPa: np.ndarray | None = None, colour: str = "tab:blue") -> None:
    """A `MeltingLine` with its band of one standard error and the points it was fitted to."""
    p = line.pressures_GPa() if pressures_GPa is None else pressures_GPa
    value, error = line.temperature_K(p), line.error_K(p)
    ax.fill_between(p, value - error, value + error, color=colour, alpha=0.2, lw=0)
    ax.plot(p, value, color=colour, label=line.label)
    ax.errorbar(line.points[:, 0], line.points[:, 1], yerr=line.points[:, 2], fmt="o", ms=4, capsize=2, color=colour)
    ax.set_xlabel("pressure (GPa)")
    ax.set_ylabel("temperature (K)")
