"""Self-checks of a run with crystal and melt side by side: what was reached, and in words what is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from megabar.dynamics.trajectory import Frame
from megabar.thermodynamics.averages import block_error
from megabar.thermodynamics.runs import enthalpy_eV, pressure_missed, temperature_missed
from megabar.thermodynamics.solidity import Growth, Lattice, diffusion, framework, mobile


def sites_of(frame: Frame) -> np.ndarray:
    """(m, 3) framework sites of a frame."""
    return framework(frame.numbers, frame.positions_A, frame.cell_A)


def solid_share(frame: Frame, lattice: Lattice, edges: np.ndarray, threshold: float,
                from_ends: float = 0.5) -> float:
    """Share of the framework whose order in the crystal of `edges` (3,) is above `threshold`, among the sites within
    `from_ends` of the height of the cell from its boundary along z (0.5: all)."""
    sites = sites_of(frame)
    height = sites[:, 2] / frame.cell_A[2, 2]
    asked = np.abs(height - np.round(height)) <= from_ends
    return float((lattice.order(sites, frame.cell_A, edges) > threshold)[asked].mean()) if asked.any() else 0.0


def believable(frames: Sequence[Frame], thermos: Sequence[Mapping[str, np.ndarray]], lattice: Lattice,
                edges: np.ndarray, inputs: Mapping[str, Any], verdict: Growth) -> dict[str, Any]:
    """Self-checks: what was reached, and in words what is wrong."""
    pressure = np.concatenate([t["pressure_zz_GPa"] for t in thermos])
    temperature = np.concatenate([t["temperature_K"] for t in thermos])
    half = slice(len(pressure) // 2, None)
    target, wanted = float(inputs["temperature_K"]), float(inputs["pressure_GPa"])
    reached, error = block_error(temperature[half])
    warnings = []
    if not 0.2 < verdict.start < 0.8:
        warnings.append(f"both phases were not there at the start (solid share {verdict.start:.2f})")
    if inputs["thermostat"] and temperature_missed(reached, target):
        warnings.append(f"{reached:.0f} K was held, not {target:.0f} K")
    if pressure_missed(pressure[half], wanted):
        warnings.append(f"{pressure[half].mean():.2f} GPa was reached, not {wanted:g} GPa")
    last = frames[3 * len(frames) // 4:]
    found = diffusion(last)
    composition = _composition(last, lattice, edges, float(inputs["threshold"]))
    if composition is not None and abs(composition[1] - composition[0]) > 0.25 * composition[2]:
        warnings.append(f"H per metal is {composition[0]:.2f} around the crystal and {composition[1]:.2f} in the melt: "
                        "it does not melt as one compound")
    if not inputs["thermostat"]:
        if not 0.12 < verdict.end < 0.88:
            warnings.append(f"one phase was used up (solid share {verdict.end:.2f} at the end)")
        ends = [float(part.mean()) for part in np.array_split(temperature[half], 2)]
        if abs(ends[1] - ends[0]) > 4.0 * max(error, 0.002 * reached):
            warnings.append(f"its temperature still moves ({ends[0]:.0f} to {ends[1]:.0f} K)")
    energy = np.concatenate([enthalpy_eV(t, wanted) for t in thermos])
    return {"mean_temperature_K": reached, "mean_temperature_error_K": error,
            "mean_pressure_GPa": float(pressure[half].mean()), "composition": composition, "warnings": warnings,
            "enthalpy_drift_eV_per_atom": float(energy[-len(energy) // 8:].mean() - energy[:len(energy) // 8].mean())
            / len(frames[0].numbers),
            "framework_A2_per_ps": found.framework_A2_per_ps, "hydrogen_A2_per_ps": found.hydrogen_A2_per_ps}


def _composition(frames: Sequence[Frame], lattice: Lattice, edges: np.ndarray,
                 threshold: float) -> tuple[float, float, float] | None:
    """Hydrogen per metal nearest to crystalline and to molten metal atoms, and over all; None outside hydrides or when
    one phase has less than a tenth of the metal."""
    hydrogen = mobile(frames[0].numbers)
    if hydrogen is None:
        return None
    count = np.zeros((2, 2))
    for frame in frames[:: max(1, len(frames) // 10)]:
        box = np.diag(frame.cell_A)
        inside = np.mod(frame.positions_A, box)
        inside = np.where(inside >= box, 0.0, inside)
        solid = lattice.order(inside[~hydrogen], frame.cell_A, edges) > threshold
        _, owner = cKDTree(inside[~hydrogen], boxsize=box).query(inside[hydrogen])
        count += [[solid[owner].sum(), (~solid[owner]).sum()], [solid.sum(), (~solid).sum()]]
    if count[1].min() < 0.1 * count[1].sum():
        return None
    ratio = count[0] / count[1]
    return float(ratio[0]), float(ratio[1]), float(count[0].sum() / count[1].sum())
