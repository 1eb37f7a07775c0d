"""Side views of the slab at several times: metals coloured by order, H-H bonds drawn, absorbed H2 picked out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from megabar.reaction import speciation as spec
from megabar.reaction.figures import GREEN, GREY, PURPLE, SKY
from megabar.reaction.neighbours import close_pairs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from megabar.reaction.results import Snapshot

DRAWN_BOND_A = 1.0
"""H-H pairs closer than this are joined by a line."""
_METAL_RADIUS_A, _HYDROGEN_RADIUS_A = 0.85, 0.24
_DEPTHS = 8
ORDER_RANGE = (0.1, 0.56)
"""Order parameters from the darkest to the lightest metal: a melt, and the best crystal."""
_METAL_MAP, _ABSORBED_MAP = "viridis", "YlOrRd"


def draw_snapshots(fig: Figure, snapshots: tuple[Snapshot, ...]) -> None:
    """One panel a snapshot, time on top, the normal upwards, all on one scale, and the two colour bars."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.lines import Line2D

    count = len(snapshots)
    grid = fig.add_gridspec(2, count + 1, width_ratios=[1.0] * count + [0.07])
    first = fig.add_subplot(grid[:, 0])
    axes = [first] + [fig.add_subplot(grid[:, k], sharey=first) for k in range(1, count)]
    known = [shot.absorbed_for_ps[np.isfinite(shot.absorbed_for_ps)] for shot in snapshots]
    longest = max([float(values.max()) for values in known if len(values)], default=0.0)
    ages = Normalize(-0.35 * max(longest, 0.1), max(longest, 0.1))  # even a fresh one is clearly coloured
    for ax, shot in zip(axes, snapshots, strict=True):
        draw_snapshot(ax, shot, ages)
    spans = np.array([width_and_height(shot) for shot in snapshots]).max(axis=0)
    for ax in axes:
        ax.set(xlim=(0.0, spans[0]), ylim=(-0.5 * spans[1], 0.5 * spans[1]))
    for ax in axes[1:]:
        ax.tick_params(left=False, labelleft=False)
    axes[0].set_ylabel("from the slab's centre (Å)")
    bar = fig.colorbar(ScalarMappable(Normalize(*ORDER_RANGE), _METAL_MAP), cax=fig.add_subplot(grid[0, count]))
    bar.set_label(r"order $\overline{q}_6$")
    if longest > 0:
        bar = fig.colorbar(ScalarMappable(ages, _ABSORBED_MAP), cax=fig.add_subplot(grid[1, count]))
        bar.ax.set_ylim(0.0, longest)
        bar.set_label("H$_2$ in for (ps)")
    names = ((SKY, "free H$_2$"), (GREEN, "hydridic H"), (PURPLE, "H$_3$-like"), (GREY, "other H"))
    handles = [Line2D([], [], ls="", marker="o", ms=5, mec="black", mew=0.3, mfc=colour, label=label)
               for colour, label in names]
    fig.legend(handles=handles, loc="outside lower center", ncols=4, handletextpad=0.1)


def draw_snapshot(ax: Axes, shot: Snapshot, ages: object) -> None:
    """The slab from the side: across the first in-plane axis, periodic images folded into one period."""
    import matplotlib
    from matplotlib.collections import EllipseCollection, LineCollection

    across, deep, up = _view(shot)
    width, height = width_and_height(shot)
    # A shift by the first in-plane vector moves an atom along `across` only, so folding by it is exact.
    x = np.mod(shot.positions_A @ across, width)
    y, depth = shot.positions_A @ up - 0.5 * height, shot.positions_A @ deep
    metal, hydrogen = np.flatnonzero(shot.numbers != 1), np.flatnonzero(shot.numbers == 1)
    colours = np.empty((len(shot.numbers), 4))
    to_rgba = matplotlib.colors.to_rgba
    low, high = ORDER_RANGE
    colours[metal] = matplotlib.colormaps[_METAL_MAP](np.clip((shot.order - low) / (high - low), 0, 1))
    table = np.array([to_rgba(c) for c in (SKY, SKY, GREEN, PURPLE, GREY)])
    colours[hydrogen] = table[shot.species]
    taken = np.isfinite(shot.absorbed_for_ps) & (shot.species == spec.ABSORBED)
    colours[hydrogen[taken]] = matplotlib.colormaps[_ABSORBED_MAP](ages(shot.absorbed_for_ps[taken]))  # type: ignore[operator]
    radius = np.where(shot.numbers == 1, _HYDROGEN_RADIUS_A, _METAL_RADIUS_A)

    pairs = close_pairs(shot.positions_A[hydrogen], shot.cell_A, DRAWN_BOND_A)
    i, j = hydrogen[pairs.i], hydrogen[pairs.j]
    span = np.stack([pairs.vector_A @ across, pairs.vector_A @ up], axis=1)
    starts = np.stack([x[i], y[i]], axis=1)
    ends = np.stack([x[j], y[j]], axis=1)
    # From both ends, so that a bond through the border is seen on either side of it.
    lines = np.concatenate([np.stack([starts, starts + span], axis=1), np.stack([ends, ends - span], axis=1)])
    line_depth, line_colour = np.tile(depth[i], 2), np.tile(colours[i], (2, 1))

    # Images beside the border complete the circles that it cuts.
    copies = np.concatenate([np.arange(len(x)), np.flatnonzero(x < radius), np.flatnonzero(x > width - radius)])
    shown_x = np.concatenate([x, x[x < radius] + width, x[x > width - radius] - width])
    order = np.digitize(depth, np.linspace(depth.min(), depth.max() + 1e-9, _DEPTHS + 1))
    line_order = np.digitize(line_depth, np.linspace(depth.min(), depth.max() + 1e-9, _DEPTHS + 1))
    for level in range(_DEPTHS, 0, -1):  # far ones first
        z = 2.0 + 0.1 * (_DEPTHS - level)
        chosen = line_order == level
        ax.add_collection(LineCollection(list(lines[chosen]), colors=line_colour[chosen], linewidths=1.6,
                                         zorder=z + 0.02, capstyle="round"))
        for kind, extra in ((shot.numbers != 1, 0.0), (shot.numbers == 1, 0.04)):
            part = (order[copies] == level) & kind[copies]
            atoms = copies[part]
            size = 2.0 * radius[atoms]
            ax.add_collection(EllipseCollection(
                size, size, np.zeros(len(atoms)), units="xy", offsets=np.stack([shown_x[part], y[atoms]], axis=1),
                transOffset=ax.transData, facecolors=colours[atoms], edgecolors="black", linewidths=0.25,
                zorder=z + extra))
    for face in (shot.lower_face_A, shot.upper_face_A):
        ax.axhline(face - 0.5 * height, color="black", lw=0.9, ls=(0, (4, 3)), zorder=5)
    ax.set(xlim=(0, width), ylim=(-0.5 * height, 0.5 * height), aspect="equal", xticks=[],
           title=f"{shot.time_ps:.2f} ps")
    for side in ("left", "bottom", "top", "right"):
        ax.spines[side].set_visible(True)


def width_and_height(shot: Snapshot) -> tuple[float, float]:
    """Period across and along the normal, in A."""
    return (float(np.linalg.norm(shot.cell_A[(shot.axis + 1) % 3])),
            float(1.0 / np.linalg.norm(np.linalg.inv(shot.cell_A)[:, shot.axis])))


def _view(shot: Snapshot) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit vectors across, into the depth and up; up is normal to the faces."""
    first, second = shot.cell_A[(shot.axis + 1) % 3], shot.cell_A[(shot.axis + 2) % 3]
    up = np.cross(first, second)
    up /= np.linalg.norm(up)
    across = first / np.linalg.norm(first)
    return across, np.cross(up, across), up
