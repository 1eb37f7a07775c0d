"""A slab without anything beside it, held at its density by smooth walls: ensembles as LAMMPS lines."""

from __future__ import annotations

from megabar.dynamics import protocols


def settling(temperature_K: float, seed: int) -> list[str]:
    """Langevin friction at a fixed cell, for a slab that has just been cut open."""
    return [line for line in protocols.startup(temperature_K, 0.0, seed, "fixed")
            if not line.startswith("fix move ")] + ["fix move all nve"]


def production(temperature_K: float) -> list[str]:
    """Nose-Hoover NVT; the rounding drift of the centre of mass is removed."""
    t = f"{temperature_K:.10g}"
    return [f"fix move all nvt temp {t} {t} {protocols.THERMOSTAT_PS}",
            "fix drift all momentum 200 linear 1 1 1 rescale"]


def walls(group: str, lower_A: float, upper_A: float, stiffness_eV_per_A2: float = 10.0,
          depth_A: float = 2.0) -> list[str]:
    """Two smooth walls across z that push back, as stiffness x depth^2, what of `group` goes below `lower_A` or above
    `upper_A` (from the cell's corner); both `depth_A` or more from the cell's ends, so that the gap behind is empty."""
    low, high = lower_A - depth_A, upper_A + depth_A
    return [f"region between_{group} block INF INF INF INF {low:.10g} {high:.10g} units box",
            f"fix walls_{group} {group} wall/region between_{group} harmonic {stiffness_eV_per_A2:.6g} 0.0 "
            f"{depth_A:.6g}"]
