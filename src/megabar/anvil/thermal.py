"""Thermal pressure of a pressure marker, relative to the reference temperature of its scale.

Each model has `pressure_GPa(x, temperature_K, volume_A3, atoms)`: x = V/V0, `volume_A3` the volume of the conventional
cell and `atoms` the atoms in it. x and volume may be complex (see `coldcurves`). Nothing here knows moles: k_B per atom
and A^3 per cell leave no room for mistaking Z.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from megabar.units import BOLTZMANN_EV_PER_K, EV_PER_A3_IN_GPA

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(48)


def debye_energy_eV(theta_K: Any, temperature_K: Any) -> Any:
    """Thermal Debye energy of one atom in eV, 3 k_B T D3(theta/T), without the zero-point part.

    Gauss-Legendre on [0, min(theta/T, 40)]: the integrand t^3/(e^t - 1) beyond t = 40 adds less than 1e-12.
    """
    theta = np.asarray(theta_K)
    t = theta / np.asarray(temperature_K, dtype=float)
    upper = np.where(t.real > 40.0, 40.0 + 0.0j, t) if np.iscomplexobj(t) else np.minimum(t, 40.0)
    s = upper[..., None] * (0.5 * (_NODES + 1.0))
    # s/expm1(s) is finite at 0; expm1 of a complex number keeps its small imaginary part in NumPy.
    integral = (s**2 * (s / np.expm1(s))) @ (0.5 * _WEIGHTS) * upper
    return 3.0 * BOLTZMANN_EV_PER_K * temperature_K * 3.0 * integral / t**3


class Grueneisen:
    """gamma(x) and the Debye temperature that follows from it by d ln theta / d ln V = -gamma."""

    def gamma(self, x: Any) -> Any:
        raise NotImplementedError

    def theta_K(self, x: Any) -> Any:
        raise NotImplementedError


@dataclass(frozen=True)
class PowerLaw(Grueneisen):
    """gamma = gamma0 x^q."""

    gamma0: float
    q: float
    theta0_K: float

    def gamma(self, x: Any) -> Any:
        return self.gamma0 * x**self.q

    def theta_K(self, x: Any) -> Any:
        if self.q == 0.0:
            return self.theta0_K * x ** (-self.gamma0)
        return self.theta0_K * np.exp((self.gamma0 - self.gamma(x)) / self.q)


@dataclass(frozen=True)
class Asymptotic(Grueneisen):
    """gamma = gamma0 {1 + a (x^b - 1)}; Tange et al., J. Geophys. Res. 114, B03208 (2009), 10.1029/2008JB005813.

    The form of Al'tshuler et al. (1987), gamma_inf + (gamma0 - gamma_inf) x^beta, is the same with
    a = 1 - gamma_inf/gamma0 and b = beta: `Asymptotic.altshuler` takes it so.
    """

    gamma0: float
    a: float
    b: float
    theta0_K: float

    @classmethod
    def altshuler(cls, gamma0: float, gamma_inf: float, beta: float, theta0_K: float) -> Asymptotic:
        return cls(gamma0, 1.0 - gamma_inf / gamma0, beta, theta0_K)

    def gamma(self, x: Any) -> Any:
        return self.gamma0 * (1.0 + self.a * (x**self.b - 1.0))

    def theta_K(self, x: Any) -> Any:
        decay = np.exp(self.gamma0 * self.a / self.b * (1.0 - x**self.b))
        return self.theta0_K * x ** (-self.gamma0 * (1.0 - self.a)) * decay


@dataclass(frozen=True)
class VariableQ(Grueneisen):
    """q = q0 x^q1, so gamma = gamma0 exp[q0/q1 (x^q1 - 1)]; Speziale et al. (2001), 10.1029/2000JB900318, eq. 11."""

    gamma0: float
    q0: float
    q1: float
    theta0_K: float

    def gamma(self, x: Any) -> Any:
        return self.gamma0 * np.exp(self.q0 / self.q1 * (x**self.q1 - 1.0))

    def theta_K(self, x: Any) -> Any:
        # Integral of gamma/x by the power series of the exponential integral, which keeps complex x exact.
        c = self.q0 / self.q1
        total, term = np.log(x), 1.0
        for n in range(1, 30):
            term *= c / n
            total = total + term * (x ** (n * self.q1) - 1.0) / (n * self.q1)
        return self.theta0_K * np.exp(-self.gamma0 * np.exp(-c) * total)


@dataclass(frozen=True)
class LinearInT:
    """P_th = [aKT + dKdT_V ln(V0/V)](T - T0), in GPa/K: the constant-alpha-K_T form of Anderson."""

    alpha_KT_GPa_per_K: float
    dKdT_V_GPa_per_K: float = 0.0
    reference_K: float = 300.0

    def pressure_GPa(self, x: Any, temperature_K: Any, volume_A3: Any, atoms: int) -> Any:
        slope = self.alpha_KT_GPa_per_K - self.dKdT_V_GPa_per_K * np.log(x)
        return slope * (temperature_K - self.reference_K)


@dataclass(frozen=True)
class MieGrueneisenDebye:
    """P_th = gamma/V [E_D(T) - E_D(T0)], plus terms in T^2 and a volume-independent electronic polynomial if given.

    `a0_per_K`, `m` are the intrinsic anharmonicity and `e0_per_K`, `g` the electrons of Zharkov & Kalinin, as used by
    Dorogokupets & Dewaele, High Press. Res. 27, 431 (2007), 10.1080/08957950701659700: (3 k_B/2V) a0 m x^m T^2 and
    the same with e0 and g. `electronic_GPa` are the coefficients of a polynomial in T (lowest power first).
    """

    grueneisen: Grueneisen
    reference_K: float = 300.0
    a0_per_K: float = 0.0
    m: float = 0.0
    e0_per_K: float = 0.0
    g: float = 0.0
    electronic_GPa: tuple[float, ...] = ()

    def pressure_GPa(self, x: Any, temperature_K: Any, volume_A3: Any, atoms: int) -> Any:
        def total(kelvin: Any) -> Any:
            energy = debye_energy_eV(self.grueneisen.theta_K(x), kelvin) * self.grueneisen.gamma(x)
            quadratic = self.a0_per_K * self.m * x**self.m + self.e0_per_K * self.g * x**self.g
            energy = energy + 1.5 * BOLTZMANN_EV_PER_K * quadratic * np.asarray(kelvin, dtype=float) ** 2
            electrons = sum(c * np.asarray(kelvin, dtype=float) ** k for k, c in enumerate(self.electronic_GPa))
            return atoms * energy / volume_A3 * EV_PER_A3_IN_GPA + electrons

        return total(temperature_K) - total(self.reference_K)


@dataclass(frozen=True)
class MultiOscillator:
    """Two "Bose-Einstein" (parameter d) and two Einstein oscillators with anharmonicity, electrons and vacancies.

    The Helmholtz energy of Dorogokupets & Oganov, Phys. Rev. B 75, 024115 (2007), 10.1103/PhysRevB.75.024115, eqs. 8,
    10 and 12-14, per formula unit in units of k_B; the pressure is -dF/dV.
    `bose` holds (m, theta_K, d), `einstein` (m, theta_K); the sum of all m is 3n. `vacancy` is (H_K, S, f, h).
    """

    atoms_per_formula: int
    bose: tuple[tuple[float, float, float], ...]
    einstein: tuple[tuple[float, float], ...]
    gamma0: float
    gamma_inf: float
    beta: float
    a_per_K: float
    m: float
    e_per_K: float = 0.0
    g: float = 0.0
    vacancy: tuple[float, float, float, float] | None = None
    reference_K: float = 298.15

    def free_energy_K(self, x: Any, kelvin: Any) -> Any:
        scale = x ** (-self.gamma_inf) * np.exp((self.gamma0 - self.gamma_inf) / self.beta * (1.0 - x**self.beta))
        total: Any = 0.0
        for weight, theta0, d in self.bose:
            theta = theta0 * scale
            occupation = 1.0 / (np.exp(d * np.log(1.0 + theta / (kelvin * d))) - 1.0)
            total = total + weight * ((d - 1.0) / (2.0 * d) * theta - kelvin * np.log(1.0 + occupation))
        for weight, theta0 in self.einstein:
            theta = theta0 * scale
            total = total + weight * (0.5 * theta + kelvin * np.log(1.0 - np.exp(-theta / kelvin)))
        for weight, theta0 in [(b[0], b[1]) for b in self.bose] + list(self.einstein):
            theta = theta0 * scale
            z = np.exp(theta / kelvin)
            squares = (0.5 * theta + theta / (z - 1.0)) ** 2 + 2.0 * theta**2 * z / (z - 1.0) ** 2
            total = total + self.a_per_K * x**self.m / 6.0 * weight * squares
        n = self.atoms_per_formula
        total = total - 1.5 * n * self.e_per_K * x**self.g * kelvin**2
        if self.vacancy is not None:
            H, S, f, h = self.vacancy
            total = total - 1.5 * n * kelvin * np.exp(S * x**f - H * x**h / kelvin)
        return total

    def pressure_GPa(self, x: Any, temperature_K: Any, volume_A3: Any, atoms: int) -> Any:
        # A five-point difference in x, so that x itself may still carry the complex step of the caller (bulk modulus).
        step = 1e-3 * x

        def total(kelvin: Any) -> Any:
            near = self.free_energy_K(x + step, kelvin) - self.free_energy_K(x - step, kelvin)
            far = self.free_energy_K(x + 2 * step, kelvin) - self.free_energy_K(x - 2 * step, kelvin)
            return (8.0 * near - far) / (12.0 * step)

        formulas = atoms / self.atoms_per_formula
        slope_K = total(np.asarray(temperature_K, dtype=float)) - total(self.reference_K)
        return -formulas * BOLTZMANN_EV_PER_K * slope_K * x / volume_A3 * EV_PER_A3_IN_GPA
