"""Figures of reaction enthalpies: against pressure, phase by phase, and the road through the liquid."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from megabar.campaign.files import atomic_path

if TYPE_CHECKING:
    from megabar.thermodynamics.enthalpy import ReactionEnthalpy

COLOURS = ("black", "#cb181d", "#2171b5", "#238b45", "#6a51a3", "#d94801")
_STATE = {"solid": ("o", "-"), "liquid": ("s", "--"), "fluid": ("^", ":")}


def plot_curve(ax: Any, result: ReactionEnthalpy) -> None:
    """Delta H against pressure: static with the band of the potential's error, with zero point, and hot states."""
    p = result.pressure_GPa
    ax.axhline(0.0, color="0.5", lw=0.8)
    ax.plot(p, result.static_eV, "-", color="black", label="static")
    if result.error_eV is not None:
        ax.fill_between(p, result.static_eV - result.error_eV, result.static_eV + result.error_eV, color="black",
                        alpha=0.12, lw=0.0, label="potential's held-out error")
    if result.with_zero_point_eV is not None:
        ax.plot(p, result.with_zero_point_eV, "--", color="#6a51a3", label="with zero point")
    rows = result.hot_table()
    for name, (mark, line) in _STATE.items():
        for t in sorted({row["temperature_K"] for row in rows}):
            mine = [row for row in rows if row["temperature_K"] == t and row.get(f"{name}_eV") is not None]
            if mine:
                ax.errorbar([r["pressure_GPa"] for r in mine], [r[f"{name}_eV"] for r in mine],
                            [r[f"{name}_error_eV"] for r in mine], fmt=mark + line, ms=5, capsize=2, lw=1.0,
                            color="#cb181d" if name == "solid" else "#d94801",
                            label=f"{name} {result.reaction.products[0].formula.text}, {t:g} K")
    ax.set_xlabel("pressure (GPa)")
    ax.set_ylabel("enthalpy of reaction (eV)")
    ax.set_title(f"{result.reaction}   ({result.source})", fontsize=10)
    ax.legend(frameon=False, fontsize=8)


def plot_phases(axes: Any, result: ReactionEnthalpy) -> None:
    """One axis for each formula: its phases relative to the best one."""
    for ax, (name, group) in zip(np.atleast_1d(axes), result.curves.items(), strict=True):
        table = np.array([c.enthalpy_eV for c in group])
        with np.errstate(invalid="ignore"):
            lowest = np.where(np.isfinite(table).any(axis=0), np.nanmin(np.where(np.isfinite(table), table, np.inf),
                                                                        axis=0), np.nan)
        for k, curve in enumerate(group):
            ax.plot(curve.pressure_GPa, 1e3 * (curve.enthalpy_eV - lowest), ".-", color=COLOURS[k % len(COLOURS)],
                    label=curve.name)
        ax.set_ylim(-10.0, 300.0)
        ax.set_xlabel("pressure (GPa)")
        ax.set_ylabel("above the best (meV/atom)")
        ax.set_title(name, fontsize=10)
        ax.legend(frameon=False, fontsize=7)


def plot_road(ax: Any, result: ReactionEnthalpy) -> None:
    """Levels of the reactants, the liquid and the solid product at each pressure, the reactants at zero."""
    reaction = result.reaction
    product = reaction.products[0].formula.text
    stations = [" + ".join(str(t).split("(")[0] for t in reaction.reactants), f"liquid {product}", f"solid {product}"]
    ax.axhline(0.0, color="0.8", lw=0.8, zorder=0)
    for k, row in enumerate(result.hot_table()):
        colour = COLOURS[k % len(COLOURS)]
        levels = [(0.0, 0.0), (row.get("liquid_eV"), row.get("liquid_error_eV")),
                  (row.get("solid_eV"), row.get("solid_error_eV"))]
        there = [(x, y, e) for x, (y, e) in enumerate(levels) if y is not None]
        if len(there) == 1:
            continue
        for x, y, e in there:
            ax.plot([x - 0.25, x + 0.25], [y, y], color=colour, lw=2.0,
                    label=f"{row['pressure_GPa']:g} GPa" if x == there[0][0] else None)
            if e:
                ax.errorbar([x + 0.03 * (k - 1)], [y], [e], color=colour, capsize=3, lw=1.0)
        for (x0, y0, _), (x1, y1, _) in zip(there, there[1:], strict=False):
            ax.plot([x0 + 0.25, x1 - 0.25], [y0, y1], ":", color=colour, lw=1.0)
    ax.set_xticks(range(3), stations)
    ax.set_xlim(-0.4, 2.4)
    ax.set_ylabel("enthalpy relative to the reactants (eV)")
    ax.set_title("during the reaction", fontsize=10)
    ax.legend(frameon=False, fontsize=8)


def plot_end(ax: Any, result: ReactionEnthalpy) -> None:
    """Liquid above solid once the reaction has ended, against pressure."""
    product = result.reaction.products[0].formula.text
    ax.axhline(0.0, color="#cb181d", lw=1.5, label=f"solid {product}")
    for k, row in enumerate(result.hot_table()):
        if row["liquid_above_solid_eV"] is not None:
            ax.errorbar([row["pressure_GPa"]], [row["liquid_above_solid_eV"]], [row["liquid_above_solid_error_eV"]],
                        fmt="s", color=COLOURS[k % len(COLOURS)], capsize=3, ms=6)
    ax.plot([], [], "ks", label=f"liquid {product}")
    if all(row["liquid_above_solid_eV"] is None for row in result.hot_table()):
        ax.text(0.5, 0.6, "no liquid lasted", transform=ax.transAxes, ha="center")
        ax.set_xticks([])
    ax.set_xlabel("pressure (GPa)")
    ax.set_ylabel("enthalpy relative to the solid (eV)")
    ax.set_title("after the reaction", fontsize=10)
    ax.margins(x=0.15, y=0.2)
    ax.legend(frameon=False, fontsize=8)


def draw(result: ReactionEnthalpy, target: Path) -> list[str]:
    """Write the figures into `target`; returns their names."""
    from matplotlib.figure import Figure

    figures = []

    def save(name: str, figure: Figure) -> None:
        with atomic_path(target / name) as path:
            figure.savefig(path, dpi=150)
        figures.append(name)

    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    plot_curve(figure.add_subplot(), result)
    save("enthalpy.png", figure)
    figure = Figure(figsize=(4.2 * len(result.curves), 3.8), layout="constrained")
    plot_phases(figure.subplots(1, len(result.curves)), result)
    save("phases.png", figure)
    if result.hot:
        figure = Figure(figsize=(10.0, 4.2), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        plot_road(left, result)
        plot_end(right, result)
        t = ", ".join(f"{x:g} K" for x in sorted({s.temperature_K for s in result.hot}))
        figure.suptitle(f"{result.reaction} at {t}   ({result.source}; classical nuclei)", fontsize=10)
        save("hydrogenation.png", figure)
    return figures
