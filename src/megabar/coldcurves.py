"""Isothermal compression curves: P and E as functions of x = V/V0, from K0 and K0'.

Every curve is a function of x that also takes complex x, so that bulk moduli come from the complex step
dP/dx = Im P(x + ih)/h, exact to rounding (Squire & Trapp, SIAM Rev. 40, 110 (1998), 10.1137/S003614459631241X).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from megabar.units import EV_PER_A3_IN_GPA

ColdCurve = Callable[[Any, float, float, float], Any]

FERMI_GAS_GPA_A5 = 0.2 * (3.0 * np.pi**2) ** (2.0 / 3.0) * 7.619964222 * EV_PER_A3_IN_GPA
"""P of a free-electron gas over (electrons/volume)^(5/3): (3 pi^2)^(2/3)/5 hbar^2/m, 2337 GPa A^5 (CODATA 2018)."""
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(40)


def birch_murnaghan_3(x: Any, K0: float, K0_prime: float, K0_second: float = 0.0) -> Any:
    """Third-order Birch-Murnaghan pressure; Birch, Phys. Rev. 71, 809 (1947), 10.1103/PhysRev.71.809."""
    f = x ** (-1.0 / 3.0)
    return 1.5 * K0 * (f**7 - f**5) * (1.0 + 0.75 * (K0_prime - 4.0) * (f**2 - 1.0))


def birch_murnaghan_3_energy(x: Any, K0: float, K0_prime: float) -> Any:
    """Energy per V0 above the minimum, in the unit of K0: -d/dx of it is `birch_murnaghan_3`."""
    g = x ** (-2.0 / 3.0) - 1.0
    return 9.0 / 16.0 * K0 * g**2 * (2.0 + (K0_prime - 4.0) * g)


def birch_murnaghan_4(x: Any, K0: float, K0_prime: float, K0_second: float = 0.0) -> Any:
    """Fourth-order Birch-Murnaghan pressure; K0_second is K'' in 1/GPa (Birch, J. Geophys. Res. 83, 1257 (1978))."""
    f = 0.5 * (x ** (-2.0 / 3.0) - 1.0)
    second = 1.5 * (K0 * K0_second + (K0_prime - 4.0) * (K0_prime - 3.0) + 35.0 / 9.0)
    return 3.0 * K0 * f * (1.0 + 2.0 * f) ** 2.5 * (1.0 + 1.5 * (K0_prime - 4.0) * f + second * f**2)


def vinet(x: Any, K0: float, K0_prime: float, K0_second: float = 0.0) -> Any:
    """Rydberg-Vinet pressure; Vinet et al., Phys. Rev. B 35, 1945 (1987), 10.1103/PhysRevB.35.1945."""
    y = x ** (1.0 / 3.0)
    return 3.0 * K0 * (1.0 - y) / y**2 * np.exp(1.5 * (K0_prime - 1.0) * (1.0 - y))


def vinet_energy(x: Any, K0: float, K0_prime: float) -> Any:
    """Energy per V0 above the minimum, in the unit of K0: -d/dx of it is `vinet`."""
    z = 1.5 * (K0_prime - 1.0) * (1.0 - x ** (1.0 / 3.0))
    # 1 + (z - 1) e^z over z^2 loses digits near z = 0, where every minimum lies; its series there is exact to 1e-16.
    small = np.abs(z) < 0.05
    safe = np.where(small, 1.0, z)
    series = sum((z**n / ((n + 2.0) * _factorial(n)) for n in range(10)), 0.0 * z)
    ratio = np.where(small, series, (1.0 + (safe - 1.0) * np.exp(safe)) / safe**2)
    return 9.0 * K0 * (1.0 - x ** (1.0 / 3.0)) ** 2 * ratio


def _factorial(n: int) -> float:
    return float(np.prod(np.arange(1, n + 1))) if n else 1.0


def holzapfel_ap2(x: Any, K0: float, K0_prime: float, fermi_GPa: float) -> Any:
    """Holzapfel's AP2 pressure, which ends in the Fermi gas.

    Holzapfel, Rep. Prog. Phys. 59, 29 (1996), 10.1088/0034-4885/59/1/002. `fermi_GPa` is the pressure of a free gas
    of all electrons at V0 (`fermi_pressure_GPa`).
    """
    y = x ** (1.0 / 3.0)
    c0 = -np.log(3.0 * K0 / fermi_GPa)
    c2 = 1.5 * (K0_prime - 3.0) - c0
    return 3.0 * K0 * (1.0 - y) / y**5 * np.exp(c0 * (1.0 - y)) * (1.0 + c2 * y * (1.0 - y))


def holzapfel_ap2_energy(x: Any, K0: float, K0_prime: float, fermi_GPa: float) -> Any:
    """Energy per V0 above the minimum, in the unit of K0: Gauss-Legendre from y to 1, exact to 1e-13 for y > 0.3."""
    y = np.asarray(x) ** (1.0 / 3.0)
    half = 0.5 * (1.0 - y)[..., None]
    t = y[..., None] + half * (1.0 + _NODES)
    return ((holzapfel_ap2(t**3, K0, K0_prime, fermi_GPa) * 3.0 * t**2) @ _WEIGHTS) * half[..., 0]


def fermi_pressure_GPa(electrons: float, volume_A3: Any) -> Any:
    """Pressure in GPa of `electrons` free electrons in `volume_A3`."""
    return FERMI_GAS_GPA_A5 * (electrons / volume_A3) ** (5.0 / 3.0)


COLD_CURVES: dict[str, ColdCurve] = {
    "BM3": birch_murnaghan_3,
    "BM4": birch_murnaghan_4,
    "Vinet": vinet,
}
