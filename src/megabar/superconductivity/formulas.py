"""Closed formulas for Tc and for the ratios around it, from the moments of alpha^2F.

McMillan, Phys. Rev. 167, 331 (1968), doi:10.1103/PhysRev.167.331, in the form of Allen and Dynes with omega_log / 1.2;
Allen and Dynes, Phys. Rev. B 12, 905 (1975), doi:10.1103/PhysRevB.12.905;
Xie et al., npj Comput. Mater. 8, 14 (2022), doi:10.1038/s41524-021-00666-7;
Mitrovic, Zarate and Carbotte, Phys. Rev. B 29, 184 (1984), doi:10.1103/PhysRevB.29.184 (gap ratio);
Marsiglio and Carbotte, Phys. Rev. B 33, 6141 (1986), doi:10.1103/PhysRevB.33.6141 (specific heat and field).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from megabar.errors import InputError

F2Form = Literal["standard", "no-ratio"]


@dataclass(frozen=True)
class Moments:
    """lambda, omega_log and omega_2; omega_2 may be unknown (None), as in older papers."""

    coupling: float
    omega_log_K: float
    omega_2_K: float | None = None

    def __post_init__(self) -> None:
        if not 0.0 < self.coupling < 1e6:
            raise InputError(f"lambda = {self.coupling:g} is not a coupling constant; give a number between 0 and 15")
        if not 0.0 < self.omega_log_K < 1e4:
            raise InputError(f"omega_log = {self.omega_log_K:g} K is not a phonon frequency; give it in K, like 1335")
        if self.omega_2_K is not None and not self.omega_log_K <= self.omega_2_K * (1.0 + 1e-9) < 1e4:
            raise InputError(f"omega_2 = {self.omega_2_K:g} K cannot be below omega_log = {self.omega_log_K:g} K "
                             "(a mean square and a geometric mean of the same spectrum); check the two numbers")


def check_mu_star(mu_star: float) -> float:
    """`mu_star` itself when it lies in 0-0.3; InputError otherwise."""
    if not 0.0 <= mu_star <= 0.3:
        raise InputError(f"mu* = {mu_star:g} is outside 0-0.3; give 0.10-0.13, as is usual")
    return mu_star


def mcmillan_tc_K(moments: Moments, mu_star: float) -> float:
    """(omega_log / 1.2) exp{-1.04 (1 + lambda) / [lambda - mu* (1 + 0.62 lambda)]}; 0 where the bracket is negative."""
    coupling = moments.coupling
    attraction = coupling - mu_star * (1.0 + 0.62 * coupling)
    if attraction <= 0.0:
        return 0.0
    return moments.omega_log_K / 1.2 * math.exp(-1.04 * (1.0 + coupling) / attraction)


def allen_dynes_tc_K(moments: Moments, mu_star: float, f2: F2Form = "standard") -> float:
    """McMillan's Tc times f1 f2 (Allen and Dynes 1975, eqs. 34-38).

    The standard Lambda_2 = 1.82 (1 + 6.3 mu*) omega_2 / omega_log; "no-ratio" leaves the last factor out, as some
    hydride papers and scripts do, and gives 3-8 % more for them. Without omega_2, f2 = 1.
    """
    coupling = moments.coupling
    f1 = (1.0 + (coupling / (2.46 * (1.0 + 3.8 * mu_star))) ** 1.5) ** (1.0 / 3.0)
    f2_value = 1.0
    if moments.omega_2_K is not None:
        ratio = moments.omega_2_K / moments.omega_log_K
        scale = 1.82 * (1.0 + 6.3 * mu_star) * (ratio if f2 == "standard" else 1.0)
        f2_value = 1.0 + (ratio - 1.0) * coupling**2 / (coupling**2 + scale**2)
    return f1 * f2_value * mcmillan_tc_K(moments, mu_star)


def mcmillan_isotope_exponent(coupling: float, mu_star: float) -> float | None:
    """alpha = -dlnTc/dlnM when all masses change: 1/2 {1 - 1.04 (1+l)(1+0.62 l) mu*^2 / [l - mu*(1+0.62 l)]^2}.

    McMillan 1968: omega_log scales with M^(-1/2), and mu* with the logarithm of the frequency at which it is defined.
    """
    attraction = coupling - mu_star * (1.0 + 0.62 * coupling)
    if attraction <= 0.0:
        return None
    return 0.5 * (1.0 - 1.04 * (1.0 + coupling) * (1.0 + 0.62 * coupling) * mu_star**2 / attraction**2)


def gap_ratio(tc_K: float, omega_log_K: float) -> float:
    """2 Delta(0) / k Tc = 3.53 [1 + 12.5 x^2 ln(1/2x)], x = Tc / omega_log (Mitrovic et al. 1984). For x below 0.25."""
    x = tc_K / omega_log_K
    return 3.53 * (1.0 + 12.5 * x**2 * math.log(1.0 / (2.0 * x)))


def specific_heat_jump_ratio(tc_K: float, omega_log_K: float) -> float:
    """Delta C / (gamma Tc) = 1.43 [1 + 53 x^2 ln(1/3x)] (Marsiglio and Carbotte 1986). For x below 0.2."""
    x = tc_K / omega_log_K
    return 1.43 * (1.0 + 53.0 * x**2 * math.log(1.0 / (3.0 * x)))


def field_ratio(tc_K: float, omega_log_K: float) -> float:
    """gamma Tc^2 / Hc(0)^2 (Gaussian units) = 0.168 [1 - 12.2 x^2 ln(1/3x)] (Marsiglio and Carbotte 1986)."""
    x = tc_K / omega_log_K
    return 0.168 * (1.0 - 12.2 * x**2 * math.log(1.0 / (3.0 * x)))


def rescaled_mu_star(mu_star: float, from_K: float, to_K: float) -> float:
    """mu* defined at frequency `from_K` carried to `to_K`: 1/mu*(to) = 1/mu* + ln(from / to) (Morel and Anderson 1962).

    Raises InputError where the repulsion would diverge on the way, which means that mu* was too large for `from_K`.
    """
    denominator = 1.0 + mu_star * math.log(from_K / to_K)
    if denominator <= 0.02:
        raise InputError(f"mu* = {mu_star:g} at {from_K:.4g} K diverges before the cutoff at {to_K:.4g} K; "
                         "lower mu* or the cutoff")
    return mu_star / denominator


def xie_tc_K(moments: Moments, mu_star: float) -> float | None:
    """f_omega f_mu times McMillan's Tc, fitted to Eliashberg solutions by symbolic regression (Xie et al. 2022).

    None without omega_2, or without mu* (the fit divides by it).
    """
    if moments.omega_2_K is None or mu_star <= 0.0:
        return None
    coupling, ratio = moments.coupling, moments.omega_log_K / moments.omega_2_K
    f_omega = 1.92 * (coupling + ratio - mu_star ** (1.0 / 3.0)) / (math.sqrt(coupling) * math.exp(ratio)) - 0.08
    f_mu = 6.86 * math.exp(-coupling / mu_star) / (1.0 / coupling - mu_star - ratio) + 1.0
    return f_omega * f_mu * mcmillan_tc_K(moments, mu_star)
