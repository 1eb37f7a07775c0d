"""Optical pressure scales: the shift of a luminescence line or of the diamond Raman edge, as published formulas."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy.optimize import brentq

from megabar.anvil.eos import EXTRAPOLATION_LIMIT, Source
from megabar.errors import InputError

Form = Callable[[Mapping[str, float], Any, float], Any]


def _power(p: Mapping[str, float], value: Any, reference: float) -> Any:
    """A/B [(v/v0)^B - 1]."""
    return p["A"] / p["B"] * ((value / reference) ** p["B"] - 1.0)


def _quadratic(p: Mapping[str, float], value: Any, reference: float) -> Any:
    """A d (1 + m d), d = v/v0 - 1."""
    d = value / reference - 1.0
    return p["A"] * d * (1.0 + p["m"] * d)


def _freund_ingalls(p: Mapping[str, float], value: Any, reference: float) -> Any:
    """A/(B+C) {exp[(B+C)/C (1 - (v/v0)^-C)] - 1}."""
    total = p["B"] + p["C"]
    return p["A"] / total * (np.exp(total / p["C"] * (1.0 - (value / reference) ** (-p["C"]))) - 1.0)


def _rational(p: Mapping[str, float], value: Any, reference: float) -> Any:
    """a D (1 + b D)/(1 + c D), D = v - v0."""
    shift = value - reference
    return p["a"] * shift * (1.0 + p["b"] * shift) / (1.0 + p["c"] * shift)


def _solid(p: Mapping[str, float], value: Any, reference: float) -> Any:
    """K0 x [1 + (K0' - 1) x/2], x = v/v0 - 1: the edge read as an equation of state."""
    x = value / reference - 1.0
    return p["K0"] * x * (1.0 + 0.5 * (p["K0_prime"] - 1.0) * x)


def _polynomial(p: Mapping[str, float], value: Any, reference: float) -> Any:
    """c0 + c1 v + c2 v^2 in the frequency itself: the reference does not enter."""
    return p["c0"] + p["c1"] * value + p["c2"] * value**2


FORMS: dict[str, Form] = {
    "power": _power, "quadratic": _quadratic, "freund-ingalls": _freund_ingalls, "rational": _rational,
    "solid": _solid, "polynomial": _polynomial,
}

UNITS = {"ruby": "nm", "sm": "nm", "diamond-edge": "cm-1"}


@dataclass(frozen=True)
class OpticalScale:
    """One published scale of one optical gauge.

    `reference` is the line at ambient conditions as the paper has it (nm, or cm^-1 for the diamond edge), `sigma` the
    published standard errors by parameter name. `range_GPa` is the calibrated range with its source; `compared_GPa` the
    highest pressure at which a later paper has set the scale against others: it sets where the scale refuses.
    `lowest_value` guards a formula that is not monotonic down to zero pressure. A `superseded` scale is offered for
    converting old pressures and is left out of the disagreement between scales.
    """

    gauge: str
    scale: str
    source: Source
    form: str
    parameters: Mapping[str, float]
    reference: float
    range_GPa: tuple[float, float]
    range_source: str
    sigma: Mapping[str, float] = field(default_factory=dict)
    compared_GPa: float = 0.0
    compared_source: str = ""
    lowest_value: float = 0.0
    superseded: bool = False
    note: str = ""

    @property
    def refused_above_GPa(self) -> float:
        return EXTRAPOLATION_LIMIT * max(self.range_GPa[1], self.compared_GPa)

    def pressure_GPa(self, value: Any, reference: float | None = None) -> Any:
        """Pressure in GPa from the measured line (nm or cm^-1), with a measured reference if there is one."""
        return FORMS[self.form](self.parameters, value, self.reference if reference is None else reference)

    def slope_GPa(self, value: float, reference: float | None = None) -> float:
        """dP/dvalue in GPa/nm or GPa cm, by the complex step."""
        h = 1e-20
        return float(np.imag(self.pressure_GPa(complex(value, h), reference)) / h)

    def value(self, pressure_GPa: float, reference: float | None = None) -> float:
        """The line (nm or cm^-1) at a pressure in GPa; raises InputError where the scale has none."""
        start = max(self.lowest_value, self.reference if reference is None else reference)
        if pressure_GPa < float(self.pressure_GPa(start, reference)):
            raise InputError(f"{self.gauge} {self.scale}: {pressure_GPa:g} GPa is below what this scale describes "
                             f"({float(self.pressure_GPa(start, reference)):.0f} GPa); use another scale")
        top = start
        while float(self.pressure_GPa(top, reference)) < pressure_GPa:
            top += 0.02 * start
            if top > 3.0 * start:
                raise InputError(f"{self.gauge} {self.scale}: {pressure_GPa:g} GPa is beyond this scale")
        if top == start:
            return float(start)
        return float(brentq(lambda v: float(self.pressure_GPa(v, reference)) - pressure_GPa, start, top, xtol=1e-12))

    def parameter_sigma_GPa(self, value: float, reference: float | None = None) -> float:
        """Standard error of P from the published errors of the coefficients, taken as independent."""
        total = 0.0
        for name, sigma in self.sigma.items():
            moved = replace(self, parameters={**self.parameters, name: self.parameters[name] + sigma})
            shift = float(moved.pressure_GPa(value, reference)) - float(self.pressure_GPa(value, reference))
            total += shift**2
        return total**0.5
