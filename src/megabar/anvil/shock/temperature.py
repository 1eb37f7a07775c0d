"""Temperatures of a shocked metal and of the same metal compressed slowly: the hot and the cold way to a pressure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.integrate import solve_ivp

from megabar.anvil.shock.hugoniot import ShockMaterial
from megabar.errors import PhaseUnknown

GAS_CONSTANT_J_MOL_K = 8.31446


@dataclass(frozen=True, eq=False)
class ShockTemperatures:
    """Arrays of equal length by rising pressure: temperatures on the Hugoniot and on the isentrope from 300 K, where
    the isentrope is given at the pressure that it has itself."""

    pressure_GPa: np.ndarray
    hugoniot_K: np.ndarray
    isentrope_pressure_GPa: np.ndarray
    isentrope_K: np.ndarray


def shock_temperatures(material: ShockMaterial, molar_mass_g: float, highest_GPa: float,
                       points: int = 60) -> ShockTemperatures:
    """Walsh & Christian, Phys. Rev. 97, 1544 (1955): dT/dV = -T gamma/V + [(V0 - V) dP/dV + P]/(2 cv).

    gamma/V is constant and cv = 3R/M, the classical solid: melting and hot electrons, which make real metals cooler
    above a few hundred GPa, are left out. Raises PhaseUnknown for a material without gamma0.
    """
    if material.gamma0 is None:
        raise PhaseUnknown(f"{material.name}: no Grueneisen parameter, so no shock temperature")
    cv = 3.0 * GAS_CONSTANT_J_MOL_K / molar_mass_g * 1e-3  # kJ/(g K)
    V0 = 1.0 / material.rho0_g_cm3
    slope = material.gamma0 / V0
    top = 1.0
    while float(material.pressure_GPa(top)) < highest_GPa:
        top *= 1.1
    up = np.linspace(1e-3, top, points)
    P = np.asarray(material.pressure_GPa(up))
    V = V0 / np.asarray(material.density_ratio(up))
    dP_dV = np.gradient(P, V)

    def rate(v: float, T: np.ndarray) -> np.ndarray:
        pressure, gradient = np.interp(-v, -V, P), np.interp(-v, -V, dP_dV)
        return np.asarray(-T * slope + ((V0 - v) * gradient + pressure) / (2.0 * cv))

    T = solve_ivp(rate, (V[0], V[-1]), [300.0], t_eval=V, rtol=1e-6, max_step=float(V[0] - V[-1]) / points).y[0]
    cold = 300.0 * np.exp(slope * (V0 - V))
    return ShockTemperatures(P, T, P - slope * cv * (T - cold), cold)
