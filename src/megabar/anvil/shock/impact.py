"""Flyer on target: the state common to both, where pressure and particle velocity match across the interface."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from megabar.anvil.figures import save_figure
from megabar.anvil.shock.hugoniot import FASTEST_KM_S, ShockMaterial, ShockState, solve, state
from megabar.campaign.files import write_csv, write_json
from megabar.errors import InputError


@dataclass(frozen=True)
class Impact:
    """State in the target (and `flyer`, in the flyer at the same pressure) after a planar impact, with errors.

    The errors are standard deviations of `draws` Monte Carlo draws over the impact velocity and over the Us-up curves
    (each scaled as a whole by its `sigma_us_fraction`). `curves` holds particle velocities (km/s) and the pressures
    (GPa) of target and flyer there, whose crossing is the state.
    """

    velocity_km_s: float
    particle_velocity_km_s: float
    particle_velocity_error_km_s: float
    pressure_GPa: float
    pressure_error_GPa: float
    density_ratio: float
    density_ratio_error: float
    target: ShockState
    flyer: ShockState
    draws: int
    warnings: tuple[str, ...]
    curves: dict[str, np.ndarray]

    def as_dict(self) -> dict[str, Any]:
        shown = {k: v for k, v in vars(self).items() if k != "curves"}
        return {**shown, "target": vars(self.target), "flyer": vars(self.flyer), "warnings": list(self.warnings)}

    def save(self, folder: str | Path) -> None:
        """Write impact.json, impact.csv and impact.png into `folder`."""
        folder = Path(folder)
        write_json(folder / "impact.json", self.as_dict())
        write_csv(folder / "impact.csv", {k: v.tolist() for k, v in self.curves.items()})
        save_figure(folder / "impact.png", self.plot)

    def plot(self, ax: Any) -> None:
        """Pressure against particle velocity: the target's Hugoniot and the flyer's, reflected, and where they meet."""
        up = self.curves["particle_velocity_km_s"]
        ax.plot(up, self.curves["target_GPa"], label=f"target {self.target.material}")
        ax.plot(up, self.curves["flyer_GPa"], label=f"flyer {self.flyer.material} at {self.velocity_km_s:g} km/s")
        ax.errorbar([self.particle_velocity_km_s], [self.pressure_GPa], [self.pressure_error_GPa],
                    [self.particle_velocity_error_km_s], "o", color="black", capsize=3,
                    label=f"{self.pressure_GPa:.1f} ± {self.pressure_error_GPa:.1f} GPa")
        ax.set_xlabel("particle velocity (km/s)")
        ax.set_ylabel("pressure (GPa)")
        ax.set_ylim(0.0, 2.5 * self.pressure_GPa)
        ax.legend()


def range_warnings(material: ShockMaterial, pressure_GPa: float) -> list[str]:
    """What to say when a state lies outside the data behind a Us-up relation, or the relation has a caveat."""
    said = []
    if material.range_GPa is not None and not material.range_GPa[0] <= pressure_GPa <= material.range_GPa[1]:
        low, high = material.range_GPa
        if pressure_GPa > 1.5 * high:
            raise InputError(f"{material.name}: {pressure_GPa:.0f} GPa is beyond 1.5 times the {high:g} GPa of its "
                             "data; use another material or standard")
        said.append(f"{material.name}: {pressure_GPa:.1f} GPa is outside the {low:g}-{high:g} GPa of its data")
    if material.note:
        said.append(f"{material.name}: {material.note}")
    return said


def _common_up(flyer: ShockMaterial, target: ShockMaterial, velocity: Any, scale_f: Any, scale_t: Any,
               shape: tuple[int, ...]) -> Any:
    high = np.minimum(velocity, target.fastest_km_s())
    low = np.maximum(0.0, np.asarray(velocity) - flyer.fastest_km_s())
    return solve(lambda up: target.pressure_GPa(up, scale_t) - flyer.pressure_GPa(velocity - up, scale_f), low, high,
                 shape, f"{flyer.name} on {target.name}: no common state at this velocity; the fits end before it")


def impact(
    flyer: ShockMaterial, target: ShockMaterial, velocity_km_s: float, *, sigma_velocity_km_s: float = 0.0,
    draws: int = 4000, seed: int = 0,
) -> Impact:
    """Planar impact of `flyer` at `velocity_km_s` on `target` at rest, both at zero pressure before.

    Raises InputError for velocities that are not positive or beyond the relations.
    """
    if not math.isfinite(velocity_km_s) or not 0.0 < velocity_km_s <= FASTEST_KM_S:
        raise InputError(f"impact velocity {velocity_km_s:g} km/s: give it in km/s, above 0 and below {FASTEST_KM_S:g}")
    if not math.isfinite(sigma_velocity_km_s) or sigma_velocity_km_s < 0.0:
        raise InputError(f"error of the velocity {sigma_velocity_km_s:g}: give a standard deviation in km/s, 0 or more")
    up = _common_up(flyer, target, velocity_km_s, 1.0, 1.0, ())
    rng = np.random.default_rng(seed)
    velocity = np.abs(velocity_km_s + sigma_velocity_km_s * rng.standard_normal(draws))
    scale_f = 1.0 + flyer.sigma_us_fraction * rng.standard_normal(draws)
    # The same metal on itself: one curve, one draw, so that up stays exactly half the velocity.
    scale_t = scale_f if flyer.name == target.name else 1.0 + target.sigma_us_fraction * rng.standard_normal(draws)
    ups = _common_up(flyer, target, velocity, scale_f, scale_t, (draws,))
    there, back = state(target, up), state(flyer, velocity_km_s - up)
    axis = np.linspace(0.0, min(velocity_km_s, 1.6 * up), 80)
    curves = {"particle_velocity_km_s": axis, "target_GPa": np.asarray(target.pressure_GPa(axis)),
              "flyer_GPa": np.asarray(flyer.pressure_GPa(velocity_km_s - axis))}
    warnings = range_warnings(target, there.pressure_GPa)
    if flyer.name != target.name:
        warnings += range_warnings(flyer, back.pressure_GPa)
    return Impact(
        velocity_km_s, up, float(np.std(ups)), there.pressure_GPa,
        float(np.std(target.pressure_GPa(ups, scale_t))), there.density_ratio,
        float(np.std(target.density_ratio(ups, scale_t))), there, back, draws, tuple(warnings), curves)
