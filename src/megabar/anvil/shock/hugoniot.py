"""The principal Hugoniot of a material from its Us-up relation.

Units: velocities km/s, densities g/cm^3, pressures GPa, specific energies kJ/g. They fit together without factors:
1 g/cm^3 (km/s)^2 = 1 GPa, and 1 GPa cm^3/g = 1 kJ/g = 1 (km/s)^2.
Jump conditions from rest at P0 = 0: P = rho0 Us up, rho/rho0 = Us/(Us - up), E - E0 = P (V0 - V)/2 = up^2/2.
Functions take numbers or arrays of equal shape, so that a Monte Carlo run is one call.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from megabar.anvil.eos import Source
from megabar.errors import InputError, PhaseUnknown

FASTEST_KM_S = 100.0
"""Beyond this particle velocity matter is a plasma and a Us-up fit means nothing."""


@dataclass(frozen=True)
class ShockMaterial:
    """Us(up) = c0 + s up + q up^2 + a up exp(b up), in km/s; unused terms are zero.

    The last term is that of quartz in Knudson & Desjarlais (2009), and the universal liquid form with b < 0.
    `sigma_us_fraction` is the standard error of Us as a fraction, taken as common to the whole curve; `gamma0` the
    Grueneisen parameter at rho0 (rho gamma constant), for release and reshock. `range_GPa` is that of the data.
    """

    name: str
    source: Source
    rho0_g_cm3: float
    c0_km_s: float
    s: float
    q_s_per_km: float = 0.0
    a: float = 0.0
    b_s_per_km: float = 0.0
    gamma0: float | None = None
    range_GPa: tuple[float, float] | None = None
    sigma_us_fraction: float = 0.01
    aliases: tuple[str, ...] = field(default=())
    note: str = ""

    def shock_velocity_km_s(self, up_km_s: Any, scale: Any = 1.0) -> Any:
        """Us at particle velocity up (km/s); `scale` multiplies the whole curve (Monte Carlo)."""
        curve = self.c0_km_s + self.s * up_km_s + self.q_s_per_km * up_km_s**2
        if self.a:
            curve = curve + self.a * up_km_s * np.exp(self.b_s_per_km * up_km_s)
        return scale * curve

    def pressure_GPa(self, up_km_s: Any, scale: Any = 1.0, rho0_g_cm3: Any = None) -> Any:
        rho0 = self.rho0_g_cm3 if rho0_g_cm3 is None else rho0_g_cm3
        return rho0 * self.shock_velocity_km_s(up_km_s, scale) * up_km_s

    def density_ratio(self, up_km_s: Any, scale: Any = 1.0) -> Any:
        """rho/rho0 on the Hugoniot."""
        us = self.shock_velocity_km_s(up_km_s, scale)
        return us / (us - up_km_s)

    def fastest_km_s(self) -> float:
        """Largest particle velocity (km/s) at which pressure still rises and Us exceeds up: beyond, the fit fails."""
        return _fastest_km_s(self)

    def slowest_km_s(self) -> float:
        """Particle velocity (km/s) from which Us rises: 0, but not for the exponential form, which dips first."""
        up = np.linspace(0.0, 10.0, 10001)
        return float(up[int(np.argmin(self.shock_velocity_km_s(up)))])

    def particle_velocity_from_pressure(self, pressure_GPa: Any, scale: Any = 1.0, rho0_g_cm3: Any = None) -> Any:
        """up (km/s) at a pressure in GPa."""
        return solve(lambda up: self.pressure_GPa(up, scale, rho0_g_cm3) - pressure_GPa, 0.0, self.fastest_km_s(),
                     np.shape(pressure_GPa) or np.shape(scale), f"{self.name}: no Hugoniot state of that pressure")

    def particle_velocity_from_shock_velocity(self, us_km_s: Any, scale: Any = 1.0) -> Any:
        """up (km/s) at a shock velocity in km/s; raises InputError below the slowest shock of the relation."""
        start = self.slowest_km_s()
        slowest = float(self.shock_velocity_km_s(start))
        if np.any(np.asarray(us_km_s) / np.asarray(scale) < slowest):
            raise InputError(f"{self.name}: a shock velocity of {float(np.min(us_km_s)):g} km/s is below {slowest:.2f} "
                             "km/s, the slowest shock of this relation: that is a sound wave or another phase")
        return solve(lambda up: self.shock_velocity_km_s(up, scale) - us_km_s, start, self.fastest_km_s(),
                     np.shape(us_km_s) or np.shape(scale), f"{self.name}: no Hugoniot state of that shock velocity")


@functools.cache
def _fastest_km_s(material: ShockMaterial) -> float:
    up = np.linspace(0.0, FASTEST_KM_S, 20001)
    us = material.shock_velocity_km_s(up)
    bad = np.flatnonzero((np.gradient(us * up) <= 0.0) | (us <= up))
    return float(up[bad[0] - 1]) if bad.size else FASTEST_KM_S


@dataclass(frozen=True)
class ShockState:
    """One state on a principal Hugoniot."""

    material: str
    particle_velocity_km_s: float
    shock_velocity_km_s: float
    pressure_GPa: float
    density_g_cm3: float
    density_ratio: float
    energy_kJ_g: float
    doi: str


def state(material: ShockMaterial, up_km_s: float, rho0_g_cm3: float | None = None) -> ShockState:
    """The Hugoniot state at a particle velocity in km/s; `rho0_g_cm3` replaces the initial density of the table."""
    if not np.isfinite(up_km_s) or not 0.0 <= up_km_s <= material.fastest_km_s():
        raise InputError(f"{material.name}: particle velocity {up_km_s:g} km/s is outside 0 to "
                         f"{material.fastest_km_s():.1f} km/s, where this Us-up relation has states")
    rho0 = material.rho0_g_cm3 if rho0_g_cm3 is None else rho0_g_cm3
    us = float(material.shock_velocity_km_s(up_km_s))
    ratio = us / (us - up_km_s)
    return ShockState(material.name, float(up_km_s), us, rho0 * us * up_km_s, rho0 * ratio, ratio, 0.5 * up_km_s**2,
                      material.source.doi)


def solve(function: Callable[[Any], Any], low: Any, high: Any, shape: tuple[int, ...], failure: str) -> Any:
    """Root of an increasing function between `low` and `high`, elementwise, by 60 bisections (exact to rounding)."""
    a = np.broadcast_to(np.asarray(low, dtype=float), shape).copy()
    b = np.broadcast_to(np.asarray(high, dtype=float), shape).copy()
    if np.any(function(a) > 0.0) or np.any(function(b) < 0.0):
        raise InputError(failure)
    for _ in range(60):
        middle = 0.5 * (a + b)
        below = function(middle) < 0.0
        a = np.where(below, middle, a)
        b = np.where(below, b, middle)
    root = 0.5 * (a + b)
    return float(root) if not shape else root


def find(name: str, materials: Mapping[str, ShockMaterial]) -> ShockMaterial:
    """The material of that name or alias, whatever its capitals; PhaseUnknown with the nearest name otherwise."""
    wanted = {key.lower(): m for m in materials.values() for key in (m.name, *m.aliases)}
    found = wanted.get(name.strip().lower())
    if found is None:
        near = difflib.get_close_matches(name.lower(), wanted, n=1)
        hint = f"did you mean {wanted[near[0]].name!r}?" if near else f"known: {', '.join(sorted(materials))}"
        raise PhaseUnknown(f"shock material {name!r} is unknown; {hint}")
    return found
