"""Isothermal compression curves: P(V/V0) from V0, K0 and K0'.

Every curve is a function of x = V/V0 that also takes complex x, so that bulk moduli come from the complex step
dP/dx = Im P(x + ih)/h, exact to rounding (Squire & Trapp, SIAM Rev. 40, 110 (1998), 10.1137/S003614459631241X).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

ColdCurve = Callable[[Any, float, float, float], Any]


def birch_murnaghan_3(x: Any, K0: float, K0_prime: float, K0_second: float = 0.0) -> Any:
    """Third-order Birch-Murnaghan pressure; Birch, Phys. Rev. 71, 809 (1947), 10.1103/PhysRev.71.809."""
    f = x ** (-1.0 / 3.0)
    return 1.5 * K0 * (f**7 - f**5) * (1.0 + 0.75 * (K0_prime - 4.0) * (f**2 - 1.0))


def birch_murnaghan_4(x: Any, K0: float, K0_prime: float, K0_second: float = 0.0) -> Any:
    """Fourth-order Birch-Murnaghan pressure; K0_second is K'' in 1/GPa (Birch, J. Geophys. Res. 83, 1257 (1978))."""
    f = 0.5 * (x ** (-2.0 / 3.0) - 1.0)
    second = 1.5 * (K0 * K0_second + (K0_prime - 4.0) * (K0_prime - 3.0) + 35.0 / 9.0)
    return 3.0 * K0 * f * (1.0 + 2.0 * f) ** 2.5 * (1.0 + 1.5 * (K0_prime - 4.0) * f + second * f**2)


def vinet(x: Any, K0: float, K0_prime: float, K0_second: float = 0.0) -> Any:
    """Rydberg-Vinet pressure; Vinet et al., Phys. Rev. B 35, 1945 (1987), 10.1103/PhysRevB.35.1945."""
    y = x ** (1.0 / 3.0)
    return 3.0 * K0 * (1.0 - y) / y**2 * np.exp(1.5 * (K0_prime - 1.0) * (1.0 - y))


COLD_CURVES: dict[str, ColdCurve] = {
    "BM3": birch_murnaghan_3,
    "BM4": birch_murnaghan_4,
    "Vinet": vinet,
}
