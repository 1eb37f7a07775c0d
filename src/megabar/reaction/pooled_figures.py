"""Figures of a series, with error bands over seeds; each has its CSV beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from megabar.campaign.files import write_csv
from megabar.reaction.figures import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    WIDTH_IN,
    _formula,
    figure,
    plot_arrhenius,
    save,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from megabar.reaction.pooled import Condition, Pooled

_COLOURS = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, BLACK, GREY)
_DASHES = ("-", "--", ":", "-.")
_PANEL_IN = 2.5


def save_figures(pooled: Pooled, out: Path) -> list[Path]:
    """Uptake and molten thickness against time in a panel per block, the end of every condition, and rates."""
    written: list[Path] = []
    blocks: dict[str, list[Condition]] = {}
    for condition in pooled.conditions:
        if condition.reached:
            blocks.setdefault(condition.block, []).append(condition)
    if blocks:
        written += _against_time(blocks, "h_per_metal", out / "uptake.png", "H per metal atom")
        written += _against_time(blocks, "molten_A", out / "molten.png", "molten a face (Å)")
    if any(condition.done for condition in pooled.conditions):
        written += _ends(pooled, out)
    for number, (label, fit) in enumerate(pooled.arrhenius):
        path = out / f"arrhenius{'' if number == 0 else number}.png"
        columns: dict[str, Any] = {
            "temperature_K": fit.temperature_K, "rate_per_ps": fit.rate, "rate_error_per_ps": fit.rate_error,
            "fit": fit.predict(fit.temperature_K)}
        write_csv(path.with_suffix(".csv"), columns)
        with figure(height_in=3.2) as fig:
            ax = fig.add_subplot()
            plot_arrhenius(ax, fit)
            ax.set_title(_formula(label))
            written += [save(fig, path), path.with_suffix(".csv")]
    return written


def short_labels(conditions: Sequence[Condition]) -> tuple[str, list[str]]:
    """What all labels share, and what is left of each."""
    words = [condition.label.split(", ") for condition in conditions]
    common = [word for word in words[0] if all(word in other for other in words)]
    return ", ".join(common), [", ".join(w for w in own if w not in common) for own in words]


def _against_time(blocks: dict[str, list[Condition]], name: str, path: Path, unit: str) -> list[Path]:
    columns: dict[str, list[Any]] = {key: [] for key in ("block", "condition", "seeds", "time_ps")}
    series = [name] if name == "h_per_metal" else ["molten_by_order_A", "molten_by_mobility_A"]
    for one in series:
        columns[one], columns[f"{one}_error"] = [], []
    with figure(WIDTH_IN, 0.5 + _PANEL_IN * len(blocks)) as fig:
        axes = np.atleast_1d(fig.subplots(len(blocks), 1, sharex=True, sharey=True))
        for ax, (block, conditions) in zip(axes, blocks.items(), strict=True):
            common, short = short_labels(conditions)
            for k, (condition, label) in enumerate(zip(conditions, short, strict=True)):
                colour, dash = _COLOURS[k % len(_COLOURS)], _DASHES[k // len(_COLOURS) % len(_DASHES)]
                time, mean, error, alive = condition.against_time(name)
                mean, error = mean.reshape(len(time), -1), error.reshape(len(time), -1)
                seeds, stopped = len(condition.done), len(condition.stopped)
                text = ", ".join(filter(None, [label, f"{seeds} seed{'' if seeds == 1 else 's'}",
                                               f"{stopped} stopped" if stopped else ""]))
                if mean.shape[1] == 1:
                    _band(ax, time, mean[:, 0], error[:, 0], colour, dash, _formula(text), 1.6)
                else:
                    _band(ax, time, mean[:, 0], error[:, 0], colour, "-", _formula(text), 1.6)
                    _band(ax, time, mean[:, 1], error[:, 1], colour, ":", None, 1.3)
                columns["block"] += [block] * len(time)
                columns["condition"] += [condition.label] * len(time)
                columns["seeds"] += alive.tolist()
                columns["time_ps"] += time.tolist()
                for j, one in enumerate(series):
                    columns[one] += mean[:, j].tolist()
                    columns[f"{one}_error"] += error[:, j].tolist()
            ax.set_title(_formula(f"{block}: {common}"), loc="left")
            ax.set_ylabel(unit)
            ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
        bottom, top = axes[0].get_ylim()
        if name == "molten_A":
            axes[0].set_ylim(-0.04 * max(top, 5.0), max(top, 5.0))
            axes[0].annotate("solid: by order, dotted: by mobility", (0.01, 0.95), xycoords="axes fraction", va="top",
                             fontsize=8)
        else:
            axes[0].set_ylim(0, None)
            for ax in axes:
                for level in (2, 4, 6):
                    if level < ax.get_ylim()[1]:
                        ax.axhline(level, color=GREY, lw=0.6, ls=":", zorder=0)
        axes[-1].set_xlabel("time (ps)")
        axes[-1].set_xlim(0, None)
        save(fig, path)
    write_csv(path.with_suffix(".csv"), columns)
    return [path, path.with_suffix(".csv")]


def _band(ax: Axes, time: np.ndarray, mean: np.ndarray, error: np.ndarray, colour: str, dash: str,
          label: str | None, width: float) -> None:
    ax.plot(time, mean, color=colour, ls=dash, lw=width, label=label)
    if np.isfinite(error).any():
        ax.fill_between(time, mean - error, mean + error, color=colour, alpha=0.25, lw=0)


def _ends(pooled: Pooled, out: Path) -> list[Path]:
    """H per metal at the end with its error, each seed as a point, and the products in words."""
    conditions = [c for c in pooled.conditions if c.done]
    rows = [c.row() for c in conditions]
    names = ("block", "condition", "seeds", "h_per_metal_last", "h_per_metal_last_error", "product")
    write_csv(out / "final.csv", {name: [row[name] for row in rows] for name in names})
    with figure(WIDTH_IN + 1.5, 0.9 + 0.32 * len(rows)) as fig:
        ax = fig.add_subplot()
        place = np.arange(len(rows))[::-1]
        for y, condition, row in zip(place, conditions, rows, strict=True):
            error = row["h_per_metal_last_error"]
            ax.errorbar(row["h_per_metal_last"], y, xerr=None if np.isnan(error) else error, fmt="s", ms=5, color=BLUE,
                        capsize=3, zorder=3)
            ax.plot([run.h_per_metal_last for run in condition.done], [y - 0.25] * len(condition.done), "o", ms=2.5,
                    color=GREY)
            ax.annotate(_formula(row["product"]).replace(" x", " ×"), (1.0, y), xycoords=("axes fraction", "data"),
                        xytext=(5, 0), textcoords="offset points", va="center", fontsize=8)
        ax.set_yticks(place, [_formula(row["condition"]) for row in rows])
        ax.set(xlabel="H per metal atom at the end", ylim=(-0.6, len(rows) - 0.4))
        ax.set_xlim(0, None)
        for level in (2, 4, 6):
            if level < ax.get_xlim()[1]:
                ax.axvline(level, color=GREY, lw=0.6, ls=":", zorder=0)
        save(fig, out / "final.png")
    return [out / "final.png", out / "final.csv"]
