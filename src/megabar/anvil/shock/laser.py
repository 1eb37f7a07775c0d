"""Laser drive: shock velocity from breakout times across a step, then pressure and density."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from megabar.anvil.shock.hugoniot import ShockMaterial, state
from megabar.anvil.shock.impact import range_warnings
from megabar.errors import InputError


@dataclass(frozen=True)
class Breakout:
    """A shock velocity from a step of known thickness and its delay, and the Hugoniot state it belongs to.

    The shock is taken as steady across the step; errors are Monte Carlo standard deviations over thickness, delay and
    the Us-up curve.
    """

    material: str
    shock_velocity_km_s: float
    shock_velocity_error_km_s: float
    particle_velocity_km_s: float
    particle_velocity_error_km_s: float
    pressure_GPa: float
    pressure_error_GPa: float
    density_g_cm3: float
    density_error_g_cm3: float
    density_ratio: float
    doi: str
    draws: int
    warnings: tuple[str, ...]


def transit_velocity_km_s(thickness_um: float, delay_ns: float) -> float:
    """Shock velocity in km/s; 1 um/ns is 1 km/s."""
    for value, what, unit in ((thickness_um, "thickness", "um"), (delay_ns, "delay", "ns")):
        if not math.isfinite(value) or value <= 0.0:
            raise InputError(f"{what} of the step {value!r}: give a positive number in {unit}")
    return thickness_um / delay_ns


def breakout(
    material: ShockMaterial, thickness_um: float, delay_ns: float, *, sigma_um: float = 0.0, sigma_ns: float = 0.0,
    draws: int = 4000, seed: int = 0,
) -> Breakout:
    """State of a step whose Us-up relation is known, from its thickness and the delay between the two breakouts."""
    us = transit_velocity_km_s(thickness_um, delay_ns)
    if min(sigma_um, sigma_ns) < 0.0 or not math.isfinite(sigma_um + sigma_ns):
        raise InputError("an error bar is negative or not finite: give standard deviations, 0 or more")
    if us > 200.0:
        raise InputError(f"{us:.0f} km/s from {thickness_um:g} um in {delay_ns:g} ns: check the units (um, ns)")
    up = float(material.particle_velocity_from_shock_velocity(us))
    there = state(material, up)
    rng = np.random.default_rng(seed)
    thickness = thickness_um + sigma_um * rng.standard_normal(draws)
    delay = delay_ns + sigma_ns * rng.standard_normal(draws)
    scale = 1.0 + material.sigma_us_fraction * rng.standard_normal(draws)
    slowest = float(material.shock_velocity_km_s(material.slowest_km_s()))
    velocity = np.maximum(np.abs(thickness / delay), slowest * scale)
    ups = np.asarray(material.particle_velocity_from_shock_velocity(velocity, scale))
    return Breakout(
        material.name, us, float(np.std(thickness / delay)), up, float(np.std(ups)), there.pressure_GPa,
        float(np.std(material.rho0_g_cm3 * velocity * ups)), there.density_g_cm3,
        float(np.std(material.rho0_g_cm3 * velocity / (velocity - ups))), there.density_ratio, there.doi, draws,
        tuple(range_warnings(material, there.pressure_GPa)))
