"""Enthalpy against pressure of one phase, and the check that it is an enthalpy: dH/dP = V."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.interpolate import CubicSpline, PchipInterpolator
from scipy.optimize import curve_fit

from megabar.thermodynamics.reactions import Formula
from megabar.thermodynamics.relax import Relaxed
from megabar.units import EV_PER_A3_IN_GPA

TOLERANCE_EV_PER_ATOM = 3e-3
"""Largest |H(b) - H(a) - integral of V dP| called consistent, beyond three times the error of the quadrature."""
COARSE = 0.85
"""A step in which the volume falls below this share of itself cannot be integrated from its ends: H2 from 0 to 10 GPa
loses two thirds, and every form between the ends is a guess."""
_FINE = 400
NO_ZERO_POINT = "no zero point: "
"""How the note on a crystal begins that has imaginary modes."""


@dataclass(frozen=True)
class DerivativeCheck:
    """dH/dP = V on one curve.

    `deviation_eV_per_atom` is |Delta H - integral V dP| of the worst step that is fine enough to integrate (None
    without one), `quadrature_eV_per_atom` what the integral itself is uncertain by there, `worst_GPa` where it starts.
    `within_bounds`: every step obeys V(b) dP <= Delta H <= V(a) dP, exact for a phase whose volume falls with pressure;
    `bounds_GPa` is where the first step starts that does not.
    `steps` counts the steps, `coarse` those in which the volume falls by too much to integrate: bounds only.
    """

    curve: str
    steps: int
    coarse: int
    deviation_eV_per_atom: float | None
    quadrature_eV_per_atom: float | None
    worst_GPa: float | None
    within_bounds: bool
    bounds_GPa: float | None = None

    @property
    def passed(self) -> bool:
        if self.deviation_eV_per_atom is None or self.quadrature_eV_per_atom is None:
            return self.within_bounds
        allowed = TOLERANCE_EV_PER_ATOM + 3.0 * self.quadrature_eV_per_atom
        return self.within_bounds and self.deviation_eV_per_atom <= allowed

    def to_dict(self) -> dict[str, Any]:
        def milli(value: float | None) -> float | None:
            return None if value is None else 1e3 * value

        return {"curve": self.curve, "steps": self.steps, "coarse_steps": self.coarse, "passed": self.passed,
                "within_bounds": self.within_bounds, "deviation_meV_per_atom": milli(self.deviation_eV_per_atom),
                "quadrature_meV_per_atom": milli(self.quadrature_eV_per_atom), "worst_GPa": self.worst_GPa,
                "bounds_broken_from_GPa": self.bounds_GPa}

    def text(self) -> str:
        """What is wrong, or "dH/dP = V holds"."""
        if self.passed:
            return "dH/dP = V holds"
        if not self.within_bounds:
            return f"dH/dP = V fails in the step from {self.bounds_GPa:g} GPa: another valley, not the same phase"
        return (f"dH/dP = V is off by {1e3 * (self.deviation_eV_per_atom or 0.0):.1f} meV/atom in the step from "
                f"{self.worst_GPa:g} GPa")


@dataclass(frozen=True)
class PhaseCurve:
    """One phase relaxed at several pressures; energies per atom, volumes in A^3 per atom, NaN where it failed.

    Attributes:
        name: of the phase; formula: its reduced composition; source: of its structure.
        pressure_GPa, enthalpy_eV, volume_A3: (n,), the enthalpy at exactly that pressure.
        space_groups: (n,), after relaxation; "" where it failed. notes: (n,), what was seen (or why it failed).
        transformed: (n,), True where the relaxation changed the space group.
        relaxed: (n,), the relaxed crystals, None where it failed.
        vibrational_eV: (n,) zero-point energy or harmonic free energy per atom, NaN where not computed.
    """

    name: str
    formula: Formula
    source: str
    pressure_GPa: np.ndarray
    enthalpy_eV: np.ndarray
    volume_A3: np.ndarray
    space_groups: tuple[str, ...]
    notes: tuple[str, ...]
    transformed: tuple[bool, ...]
    relaxed: tuple[Relaxed | None, ...]
    vibrational_eV: np.ndarray

    def check(self) -> DerivativeCheck:
        """On the points at which the phase stayed what it is."""
        own = ~np.array(self.transformed)
        if not own.any():
            own[:] = True
        return check_derivative(self.name, self.pressure_GPa[own], self.enthalpy_eV[own], self.volume_A3[own])

    @property
    def labels(self) -> tuple[str, ...]:
        """(n,) what the phase is at each pressure: its name, or its new space group where it transformed."""
        return tuple(f"{self.formula.text} {group.split()[0]}" if changed else self.name
                     for group, changed in zip(self.space_groups, self.transformed, strict=True))

    @property
    def remarks(self) -> tuple[str, ...]:
        """What has to be said of the phase, each once with its pressures: what it became while it was relaxed, where
        something failed or a zero point is missing, and where dH/dP = V does not hold."""
        found: dict[str, list[int]] = {}
        for k, (group, changed, text) in enumerate(zip(self.space_groups, self.transformed, self.notes, strict=True)):
            if changed:
                found.setdefault(f"became {group} while it was relaxed", []).append(k)
            for part in text.split("; "):
                if part.startswith(NO_ZERO_POINT):  # each pressure has its own q and frequency
                    found.setdefault("is not stable and has no zero-point energy", []).append(k)
                elif "failed" in part:
                    found.setdefault(part, []).append(k)
        lines = [f"{self.name} {what} {self.where(at)}" for what, at in found.items()]
        check = self.check()
        return (*lines, *([] if check.passed else [f"{self.name}: {check.text()}"]))

    def where(self, at: Sequence[int]) -> str:
        """The pressures with indices `at` in words, neighbours as a range: "at 20 and 80 to 100 GPa"."""
        runs: list[list[int]] = []
        for k in at:
            if runs and k == runs[-1][-1] + 1:
                runs[-1].append(k)
            else:
                runs.append([k])
        words = [f"{self.pressure_GPa[r[0]]:g}" + (f" to {self.pressure_GPa[r[-1]]:g}" if len(r) > 1 else "")
                 for r in runs]
        return f"at {', '.join(words[:-1])}{' and ' if len(words) > 1 else ''}{words[-1]} GPa"


def check_derivative(name: str, pressure_GPa: np.ndarray, enthalpy_eV: np.ndarray, volume_A3: np.ndarray,
                     ) -> DerivativeCheck:
    """dH/dP = V on arrays (n,) of rising pressures; values that are NaN split the curve.

    The volume is integrated as exp(Murnaghan fit + spline of what is left of ln V): soft matter such as H2 loses half
    its volume in the first 10 GPa, where a spline of V alone would be 100 meV off.
    """
    good = np.isfinite(enthalpy_eV) & np.isfinite(volume_A3)
    p, h, v = (np.asarray(a, dtype=float)[good] for a in (pressure_GPa, enthalpy_eV, volume_A3))
    if len(p) < 2:
        return DerivativeCheck(name, 0, 0, None, None, None, True)
    rise, step = np.diff(h), np.diff(p) / EV_PER_A3_IN_GPA
    slack = 1e-4  # eV per atom: what a relaxation to 0.01 GPa leaves
    held = (rise >= v[1:] * step - slack) & (rise <= v[:-1] * step + slack)
    within, broken = bool(held.all()), None if held.all() else float(p[int(np.argmin(held))])
    fine_enough = v[1:] > COARSE * v[:-1]
    coarse = int((~fine_enough).sum())
    if len(p) < 4 or not fine_enough.any():
        return DerivativeCheck(name, len(step), coarse, None, None, None, within, broken)
    shape = _murnaghan_shape(p, v)
    left = np.log(v) - shape(p)
    # Two interpolants that agree where the curve is sampled well enough; their difference is the quadrature's error.
    integrals = []
    for rest in (CubicSpline(p, left), PchipInterpolator(p, left)):
        parts = []
        for a, b in zip(p[:-1], p[1:], strict=True):
            # Even steps in ln(P + 0.1 GPa): a soft phase does most of its shrinking at the lower end.
            fine = np.exp(np.linspace(np.log(a + 0.1), np.log(b + 0.1), _FINE)) - 0.1
            parts.append(np.trapezoid(np.exp(shape(fine) + rest(fine)), fine) / EV_PER_A3_IN_GPA)
        integrals.append(np.array(parts))
    deviation, quadrature = np.abs(rise - integrals[0]), np.abs(integrals[0] - integrals[1])
    worst = int(np.where(fine_enough, deviation - quadrature, -np.inf).argmax())
    return DerivativeCheck(name, len(step), coarse, float(deviation[worst]), float(quadrature[worst]),
                           float(p[worst]), within, broken)


def _murnaghan_shape(p: np.ndarray, v: np.ndarray) -> Any:
    """ln V(P) of the Murnaghan form ln V0 - ln(1 + P K'/K0) / K' fitted to (n,) points; a line where it cannot be."""
    def form(x: np.ndarray, log_v0: float, log_k0: float, k_prime: float) -> np.ndarray:
        return log_v0 - np.log1p(x * k_prime / np.exp(log_k0)) / k_prime

    best: tuple[float, Any] | None = None
    for start in (0.2, 20.0, 100.0):
        try:
            found, _ = curve_fit(form, p, np.log(v), (float(np.log(v[0])), np.log(start), 4.0),
                                 bounds=([-5.0, np.log(1e-3), 1.0], [8.0, np.log(5e3), 15.0]), maxfev=4000)
        except (RuntimeError, ValueError):
            continue
        error = float(((form(p, *found) - np.log(v)) ** 2).sum())
        if best is None or error < best[0]:
            best = error, found
    if best is None:
        line = np.polyfit(p, np.log(v), 1)
        return lambda x: np.polyval(line, x)
    parameters = best[1]
    return lambda x: form(x, *parameters)


def lowest(curves: Sequence[PhaseCurve], vibrational: bool = False) -> np.ndarray:
    """(n,) index of the curve with the lowest enthalpy (with what its vibrations add, if asked) at each pressure; -1
    where none has a value. All curves are of one composition and on the same pressures."""
    table = np.array([c.enthalpy_eV + (c.vibrational_eV if vibrational else 0.0) for c in curves])
    filled = np.where(np.isfinite(table), table, np.inf)
    best = filled.argmin(axis=0)
    return np.where(np.isfinite(filled.min(axis=0)), best, -1)


def contenders(curves: Sequence[PhaseCurve], within_eV: float = 0.05) -> np.ndarray:
    """(curves, n) True where a phase is within `within_eV` per atom of the best, so that vibrations may make it so."""
    table = np.array([c.enthalpy_eV for c in curves])
    best = np.where(np.isfinite(table), table, np.inf).min(axis=0)
    with np.errstate(invalid="ignore"):
        return np.isfinite(table) & (table <= best + within_eV)
