"""Off the principal Hugoniot: release isentropes, second shocks, and matching a sample to a measured standard."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.interpolate import CubicSpline

from megabar.anvil.figures import save_figure
from megabar.anvil.shock.hugoniot import ShockMaterial, solve, state
from megabar.anvil.shock.impact import range_warnings
from megabar.campaign.files import write_csv
from megabar.errors import InputError


class MieGrueneisen:
    """P(V, E) = P_H(V) + (gamma0/V0)(E - E_H(V)): Mie-Grueneisen with the Hugoniot as reference, gamma/V constant.

    V in cm^3/g, E in kJ/g, P in GPa. Beyond V0 the Hugoniot is continued as rho0 c0^2 eta, eta = 1 - V/V0.
    """

    def __init__(self, material: ShockMaterial) -> None:
        if material.gamma0 is None:
            raise InputError(f"{material.name} has no Grueneisen parameter in its table: release and reshock need one; "
                             "use a standard that has (Al-1100, Al-2024, Cu, quartz, LiF, ...)")
        self.V0 = 1.0 / material.rho0_g_cm3
        self.slope = material.gamma0 / self.V0
        top = min(material.fastest_km_s(), 60.0)
        up = np.linspace(0.0, top, 4001)
        us = material.shock_velocity_km_s(up)
        eta = up / us
        rising = np.concatenate([[True], np.diff(eta) > 0.0])
        last = len(eta) if rising.all() else int(np.argmin(rising))
        self._up = CubicSpline(eta[:last], up[:last])
        self._eta_max = float(eta[last - 1])
        self._material = material

    def reference(self, V: Any) -> tuple[Any, Any]:
        """(P_H, E_H) in GPa and kJ/g at specific volume V in cm^3/g."""
        eta = np.minimum(1.0 - V / self.V0, self._eta_max)
        up = self._up(np.maximum(eta, 0.0))
        m = self._material
        P = np.where(eta > 0.0, m.rho0_g_cm3 * m.shock_velocity_km_s(up) * up, m.rho0_g_cm3 * m.c0_km_s**2 * eta)
        E = np.where(eta > 0.0, 0.5 * up**2, 0.5 * P * (self.V0 - V))
        return P, E

    def pressure_GPa(self, V: Any, E: Any) -> Any:
        P, E_ref = self.reference(V)
        return P + self.slope * (E - E_ref)


@dataclass(frozen=True)
class ReleasePath:
    """Arrays along a release isentrope, from the shocked state to zero pressure."""

    material: str
    pressure_GPa: np.ndarray
    particle_velocity_km_s: np.ndarray
    density_g_cm3: np.ndarray
    energy_kJ_g: np.ndarray

    def velocity_at(self, pressure_GPa: float) -> float:
        """Particle velocity (km/s) where the path has come down to `pressure_GPa`."""
        return float(np.interp(pressure_GPa, self.pressure_GPa[::-1], self.particle_velocity_km_s[::-1]))

    def save(self, folder: str | Path) -> None:
        """Write release.csv and release.png into `folder`."""
        folder = Path(folder)
        write_csv(folder / "release.csv", {k: v.tolist() for k, v in vars(self).items() if isinstance(v, np.ndarray)})
        save_figure(folder / "release.png", self.plot)

    def plot(self, ax: Any) -> None:
        """Pressure against particle velocity along the release."""
        ax.plot(self.particle_velocity_km_s, self.pressure_GPa)
        ax.set_xlabel("particle velocity (km/s)")
        ax.set_ylabel("pressure (GPa)")
        ax.set_title(f"release of {self.material}")


def release_path(material: ShockMaterial, up_km_s: float, steps: int = 600) -> ReleasePath:
    """Isentropic release of a shocked state (particle velocity up in km/s) into vacuum.

    dE = -P dV along the isentrope and du = sqrt(-dP dV) (Riemann), integrated with the fourth-order Runge-Kutta scheme
    in V until the pressure is zero.
    """
    eos = MieGrueneisen(material)
    start = state(material, up_km_s)
    V, E, u = 1.0 / start.density_g_cm3, start.energy_kJ_g, up_km_s
    h = (1.35 * eos.V0 - V) / steps

    def slope(volume: float, energy: float) -> float:
        return -float(eos.pressure_GPa(volume, energy))

    rows = [(start.pressure_GPa, u, start.density_g_cm3, E)]
    P = start.pressure_GPa
    while P > 0.0:
        k1 = slope(V, E)
        k2 = slope(V + h / 2, E + h * k1 / 2)
        k3 = slope(V + h / 2, E + h * k2 / 2)
        k4 = slope(V + h, E + h * k3)
        V_next, E_next = V + h, E + h * (k1 + 2 * k2 + 2 * k3 + k4) / 6
        P_next = float(eos.pressure_GPa(V_next, E_next))
        if P_next >= P or V_next > 3.0 * eos.V0:
            raise InputError(f"{material.name}: no release from {start.pressure_GPa:.0f} GPa in this model: the solid "
                             "would vaporise; use a multiphase equation of state")
        u += math.sqrt((P - P_next) * h)
        fraction = 1.0 if P_next >= 0.0 else P / (P - P_next)
        if fraction < 1.0:  # the last step ends at zero pressure
            u -= math.sqrt((P - P_next) * h) * (1.0 - fraction)
            V_next, E_next, P_next = V + fraction * h, E + fraction * (E_next - E), 0.0
        V, E, P = V_next, E_next, P_next
        rows.append((max(P, 0.0), u, 1.0 / V, E))
    pressure, velocity, density, energy = (np.array(column) for column in zip(*rows, strict=True))
    return ReleasePath(material.name, pressure, velocity, density, energy)


def reshock_velocity(material: ShockMaterial, up_km_s: float, pressure_GPa: float) -> float:
    """Particle velocity (km/s) after a second shock, travelling backwards, from the state at up to `pressure_GPa`."""
    eos = MieGrueneisen(material)
    first = state(material, up_km_s)
    V1, E1, P1 = 1.0 / first.density_g_cm3, first.energy_kJ_g, first.pressure_GPa
    low, high = V1 * 0.3, V1

    def excess(V: float) -> float:
        # Rankine-Hugoniot from state 1: E2 = E1 + (P2 + P1)(V1 - V)/2, with P2 asked for.
        return float(eos.pressure_GPa(V, E1 + 0.5 * (pressure_GPa + P1) * (V1 - V))) - pressure_GPa

    for _ in range(80):
        V = 0.5 * (low + high)
        low, high = (V, high) if excess(V) > 0.0 else (low, V)
    return up_km_s - math.sqrt(max((pressure_GPa - P1) * (V1 - 0.5 * (low + high)), 0.0))


def mirror_match(standard: ShockMaterial, up_km_s: Any, impedance: Any, scale: Any = 1.0) -> Any:
    """up (km/s) where P = impedance * u meets the standard's Hugoniot mirrored at its own up, for numbers or arrays.

    The mirrored Hugoniot, P_H(2 up - u), is the usual first approximation to release and reshock alike.
    """
    return solve(lambda u: impedance * u - standard.pressure_GPa(2.0 * up_km_s - u, scale), 0.0, 2.0 * up_km_s,
                 np.shape(up_km_s), f"{standard.name}: no match on the mirrored Hugoniot")


@dataclass(frozen=True)
class Match:
    """State of a sample behind a standard, from the two measured shock velocities.

    `path` is "release" when the sample is the softer of the two, else "reshock"; `mirror_pressure_GPa` is what the
    mirrored Hugoniot would have said, whose distance tells the size of the model error. Errors are Monte Carlo standard
    deviations over both shock velocities, the sample's density and the curve of the standard.
    """

    standard: str
    path: str
    standard_shock_velocity_km_s: float
    standard_pressure_GPa: float
    shock_velocity_km_s: float
    particle_velocity_km_s: float
    particle_velocity_error_km_s: float
    pressure_GPa: float
    pressure_error_GPa: float
    density_g_cm3: float
    density_error_g_cm3: float
    density_ratio: float
    mirror_pressure_GPa: float
    doi: str
    draws: int
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        return {**vars(self), "warnings": list(self.warnings)}


def _sample_velocity(standard: ShockMaterial, up: float, impedance: float) -> float:
    """up of the sample: where its Rayleigh line P = impedance * u meets the standard's release or reshock."""
    P1 = standard.pressure_GPa(up)
    if impedance * up < P1:
        path = release_path(standard, up)

        def other(P: float) -> float:
            return path.velocity_at(P)
    else:
        def other(P: float) -> float:
            return reshock_velocity(standard, up, P)
    low, high = (0.0, P1) if impedance * up < P1 else (P1, 4.0 * P1)
    for _ in range(60):
        P = 0.5 * (low + high)
        low, high = (P, high) if P / impedance < other(P) else (low, P)
    return float(0.5 * (low + high) / impedance)


def match_standard(
    standard: ShockMaterial, standard_us_km_s: float, sample_us_km_s: float, sample_density_g_cm3: float, *,
    sigma_standard_km_s: float = 0.0, sigma_sample_km_s: float = 0.0, sigma_density_g_cm3: float = 0.0,
    draws: int = 4000, seed: int = 0,
) -> Match:
    """Impedance matching at the interface of a standard and a sample whose shock velocities were both measured."""
    for value, what in ((standard_us_km_s, "standard's shock velocity"), (sample_us_km_s, "sample's shock velocity"),
                        (sample_density_g_cm3, "sample's density")):
        if not math.isfinite(value) or value <= 0.0:
            raise InputError(f"the {what} is {value!r}: give a positive number (km/s, g/cm^3)")
    if min(sigma_standard_km_s, sigma_sample_km_s, sigma_density_g_cm3) < 0.0:
        raise InputError("an error bar is negative: give standard deviations, 0 or more")
    up1 = float(standard.particle_velocity_from_shock_velocity(standard_us_km_s))
    P1 = float(standard.pressure_GPa(up1))
    impedance = sample_density_g_cm3 * sample_us_km_s
    mirror = float(mirror_match(standard, up1, impedance))
    has_gamma = standard.gamma0 is not None
    up = _sample_velocity(standard, up1, impedance) if has_gamma else mirror
    if up >= sample_us_km_s:
        raise InputError(f"the sample's particle velocity ({up:.2f} km/s) would exceed its shock velocity: check the "
                         "density and the two shock velocities")
    rng = np.random.default_rng(seed)
    us1 = standard_us_km_s + sigma_standard_km_s * rng.standard_normal(draws)
    us2 = sample_us_km_s + sigma_sample_km_s * rng.standard_normal(draws)
    rho = sample_density_g_cm3 + sigma_density_g_cm3 * rng.standard_normal(draws)
    scale = 1.0 + standard.sigma_us_fraction * rng.standard_normal(draws)
    # Thousands of isentropes would take minutes: the mirror path carries the errors, scaled to the full solution.
    slowest = float(standard.shock_velocity_km_s(standard.slowest_km_s()))
    first = np.asarray(standard.particle_velocity_from_shock_velocity(np.maximum(us1, slowest * scale), scale))
    seconds = mirror_match(standard, first, rho * us2, scale) * (up / mirror)
    pressure, ratio = impedance * up, sample_us_km_s / (sample_us_km_s - up)
    densities = rho * us2 / (us2 - seconds)
    warnings = range_warnings(standard, P1)
    if not has_gamma:
        warnings.append(f"{standard.name} has no Grueneisen parameter: the mirrored Hugoniot was used")
    return Match(
        standard.name, "release" if pressure < P1 else "reshock", standard_us_km_s, P1, sample_us_km_s, up,
        float(np.std(seconds)), pressure, float(np.std(rho * us2 * seconds)), sample_density_g_cm3 * ratio,
        float(np.std(densities)), ratio, impedance * mirror, standard.source.doi, draws, tuple(warnings))
