"""The figure of a synthesis map."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from megabar.campaign.files import atomic_path
from megabar.units import BOLTZMANN_EV_PER_K

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from megabar.thermodynamics.map import SynthesisMap

COLOURS = ("#f0f0f0", "#cfe0f1", "#f7d9a8", "#f2b8a8", "#dfe8df")
MARKS = {"experiment": ("*", 150, "black"), "simulation": ("D", 40, "tab:purple"), "run": ("o", 40, "tab:green")}


def plot_map(ax: Axes, found: SynthesisMap) -> None:
    """Regions, their lines, and everything that was made or run; open symbols did not get to the product."""
    from matplotlib.colors import ListedColormap
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    from megabar.thermodynamics.map import REGIONS

    p, t = found.pressure_GPa, found.temperature_K
    ax.pcolormesh(p, t, found.regions, cmap=ListedColormap(COLOURS), vmin=-0.5, vmax=4.5, shading="nearest",
                  rasterized=True)
    handles: list[Any] = [Patch(facecolor=COLOURS[k], edgecolor="gray", lw=0.5, label=REGIONS[k])
               for k in sorted(set(found.regions.ravel().tolist()))]
    for table, style, name in ((found.driving_eV, "-", "favoured to the right"),
                               (found.driving_high_eV, ":", "the same at the ends of its band"),
                               (found.driving_low_eV, ":", "")):
        if np.nanmin(table) < 0.0 < np.nanmax(table):
            ax.contour(p, t, table, levels=[0.0], colors="black", linestyles=style, linewidths=1.3)
            if name:
                handles.append(Line2D([], [], color="black", ls=style, label=name))
    if np.isfinite(found.barrier_eV).any():
        for times, style in ((1.0, "-"), (3.0, "--")):
            table = found.barrier_eV - times * BOLTZMANN_EV_PER_K * t[:, None]
            if np.nanmin(table) < 0.0 < np.nanmax(table):
                ax.contour(p, t, table, levels=[0.0], colors="tab:orange", linestyles=style, linewidths=1.4)
                handles.append(Line2D([], [], color="tab:orange", ls=style,
                                      label=f"barrier of the liquid road = {'' if times == 1 else f'{times:g} '}kT"))
    if np.isfinite(found.melting_K).any():
        ax.plot(p, found.melting_K, color="tab:red", lw=1.6)
        handles.append(Line2D([], [], color="tab:red", label=f"{found.product} melts"))
        if np.isfinite(found.melting_error_K).any():
            ax.fill_between(p, found.melting_K - found.melting_error_K, found.melting_K + found.melting_error_K,
                            color="tab:red", alpha=0.2, lw=0)
    if len(found.melting_points):
        x, y, error = found.melting_points.T
        ax.errorbar(x, y, yerr=error, fmt="s", ms=4, color="tab:red", capsize=2)
    ax.plot(p, found.hydrogen_melting_K, color="tab:blue", ls="-.", lw=1)
    handles.append(Line2D([], [], color="tab:blue", ls="-.", label="H2 melts (Datchi; beyond 15 GPa extrapolated)"))
    handles += _points(ax, found)
    ax.set_xlim(p[0], p[-1])
    ax.set_ylim(t[0], t[-1])
    if found.overlays:
        from megabar.thermodynamics.planets import overlay

        before = len(ax.lines)
        overlay(ax, found.overlays)
        if len(ax.lines) > before:
            handles.append(Line2D([], [], color=ax.lines[before].get_color(), label=", ".join(found.overlays)))
    ax.set_xlabel("pressure (GPa)")
    ax.set_ylabel("temperature (K)")
    ax.set_title(f"{found.reaction}" + ("" if found.entropy == "estimate" else " (enthalpy only)"), fontsize=10)
    ax.legend(handles=handles, fontsize=7, loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False)


def _points(ax: Axes, found: SynthesisMap) -> list[Any]:
    from matplotlib.lines import Line2D

    handles: list[Any] = []
    for kind, (mark, size, colour) in MARKS.items():
        mine = [x for x in found.points if x.kind == kind]
        for x in mine:
            if x.temperature_K is None:  # a synthesis whose temperature is not known to us: its pressure is
                ax.axvline(x.pressure_GPa, color=colour, ls=(0, (1, 3)), lw=1)
                ax.annotate(f"{x.what}, T not known", (x.pressure_GPa, found.temperature_K[-1]), rotation=90,
                            fontsize=6.5, va="top", ha="right", color=colour)
                continue
            ax.scatter(x.pressure_GPa, x.temperature_K, marker=mark, s=size, edgecolors=colour, zorder=5,
                       facecolors=colour if x.made else "none", linewidths=1.2)
            if kind != "run":  # runs share a few conditions, and their names would cover each other
                late = x.pressure_GPa > 0.9 * found.pressure_GPa[-1]
                ax.annotate(x.what, (x.pressure_GPa, x.temperature_K), fontsize=7, xytext=(-5 if late else 5, 5),
                            textcoords="offset points", color=colour, ha="right" if late else "left")
        if any(x.temperature_K is not None for x in mine):
            handles.append(Line2D([], [], color=colour, marker=mark, ls="", label={
                "experiment": "made in experiment", "simulation": "made in simulation (others)",
                "run": "our runs (open: not all of the H2 went in)"}[kind]))
    return handles


def save_map(found: SynthesisMap, folder: Path) -> None:
    """`map.png` in `folder`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 5.0), layout="constrained")
    plot_map(figure.subplots(), found)
    with atomic_path(folder / "map.png") as temporary:
        figure.savefig(temporary, dpi=150)
