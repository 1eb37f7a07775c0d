"""The reaction front: how deep the hydride is converted, from each face, and how fast that depth grows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from megabar.campaign.files import write_csv
from megabar.reaction.kinetics import RateFit, fit_rate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FULL_GAIN = 2.0
"""H per metal that a converted layer has gained when the run does not say otherwise: one H2, as in MH2 to MH4."""
FACES = ("lower", "upper")


@dataclass(frozen=True)
class Front:
    """Converted depth against time; NaN after the slab is wholly converted.

    Attributes:
        time_ps: (t,). depth_layers, depth_A: (t, 2) from the lower and the upper face.
        parent_h_per_metal: before conversion. full_gain: H per metal of a converted layer above that.
        velocity_A_per_ps: by face, a linear fit while the front moves; None where it did not.
    """

    time_ps: np.ndarray
    depth_layers: np.ndarray
    depth_A: np.ndarray
    parent_h_per_metal: float
    full_gain: float
    velocity_A_per_ps: dict[str, RateFit | None]

    def save(self, out: Path) -> list[Path]:
        """front.csv in the folder `out`."""
        columns: dict[str, Any] = {"time_ps": self.time_ps}
        for k, face in enumerate(FACES):
            columns |= {f"depth_layers_{face}": self.depth_layers[:, k], f"depth_A_{face}": self.depth_A[:, k]}
        write_csv(out / "front.csv", columns)
        return [out / "front.csv"]

    def plot(self, ax: Axes) -> None:
        from megabar.reaction.figures import plot_front

        plot_front(ax, self)

    def summary(self) -> dict[str, Any]:
        """Last depths and velocities for --json."""
        result: dict[str, Any] = {"parent_H_per_metal": self.parent_h_per_metal,
                                  "full_gain_H_per_metal": self.full_gain}
        for k, face in enumerate(FACES):
            fit = self.velocity_A_per_ps[face]
            known = self.depth_A[np.isfinite(self.depth_A[:, k]), k]
            result[face] = {"last_depth_A": float(known[-1]) if len(known) else None,
                            "velocity_A_per_ps": None if fit is None else fit.values["rate_per_ps"],
                            "velocity_error_A_per_ps": None if fit is None else fit.errors["rate_per_ps"]}
        return result


def find_front(time_ps: np.ndarray, layer_h_per_metal: np.ndarray, layer_thickness_A: np.ndarray,
               seed: int = 0) -> Front:
    """Front from the hydrogen and thickness of the layers (t, l).

    From each face inwards, layers count as converted up to the first that has less than half of the full gain; that
    one and the one before it count by their share, which places the front between planes.
    """
    rows, layers = layer_h_per_metal.shape
    # The inner layers of the first rows are the parent: the outer ones touch the fluid.
    inner = slice(layers // 4, layers - layers // 4)
    parent = float(np.median(layer_h_per_metal[: max(1, rows // 20), inner]))
    late = layer_h_per_metal[-max(1, rows // 10):].mean(axis=0) - parent
    grown = late[late > 0.5 * FULL_GAIN]
    gain = float(np.median(grown)) if len(grown) >= max(2, layers // 4) else FULL_GAIN
    share = np.clip((layer_h_per_metal - parent) / gain, 0.0, 1.0)
    depth_layers, depth_A = np.full((rows, 2), np.nan), np.full((rows, 2), np.nan)
    for t in range(rows):
        if (share[t] >= 0.5).all():
            break
        for k, order in enumerate((slice(None), slice(None, None, -1))):
            part, thickness = share[t, order], layer_thickness_A[t, order]
            edge = int(np.argmax(part < 0.5))
            part = np.concatenate([np.ones(max(0, edge - 1)), part[max(0, edge - 1): edge + 1]])
            depth_layers[t, k] = part.sum()
            depth_A[t, k] = part @ thickness[: len(part)]
    velocity = {face: _velocity(time_ps, depth_layers[:, k], depth_A[:, k], seed) for k, face in enumerate(FACES)}
    return Front(time_ps, depth_layers, depth_A, parent, gain, velocity)


def _velocity(time_ps: np.ndarray, depth_layers: np.ndarray, depth_A: np.ndarray, seed: int) -> RateFit | None:
    """Linear fit from the last time the front stood within half a layer of the face to its first arrival at 95 % of its
    way; None when it never went beyond one layer."""
    known = np.isfinite(depth_layers)
    if not known.any() or np.nanmax(depth_layers) < 1.0 or known.sum() < 8:
        return None
    time, layers, depth = time_ps[known], depth_layers[known], depth_A[known]
    arrival = int(np.argmax(layers >= 0.95 * layers.max()))
    near = np.flatnonzero(layers[: arrival + 1] < 0.5)
    start = int(near[-1]) if len(near) else 0
    if arrival - start + 1 < 8:
        return None
    return fit_rate(time[start: arrival + 1], depth[start: arrival + 1], "linear", seed=seed)
