"""Units at the surface and the stress sign, said once.

Units everywhere: GPa, eV, A, fs or ps, K, amu. Stress follows ASE: tension is positive, eV/A^3, so
P = -trace(stress)/3. Conversion factors are CODATA 2018 (exact SI 2019 values where they exist).
"""

from __future__ import annotations

import math
import re

import numpy as np

from megabar.errors import InputError, UnitMissing

EV_PER_A3_IN_GPA = 160.2176634
"""1 eV/A^3 in GPa: e / (1e-10 m)^3 / 1e9 (SI 2019, exact)."""
BOLTZMANN_EV_PER_K = 8.617333262e-5
"""k_B in eV/K (CODATA 2018, exact)."""
AMU_PER_A3_IN_G_PER_CM3 = 1.66053906660
"""1 amu/A^3 in g/cm^3 (CODATA 2018)."""
CELSIUS_ZERO_K = 273.15

_PRESSURE_GPA = {"gpa": 1.0, "mbar": 100.0, "megabar": 100.0, "tpa": 1000.0, "kbar": 0.1, "pa": 1e-9, "mpa": 1e-3,
                 "bar": 1e-4, "atm": 1.01325e-4}
_TIME_PS = {"fs": 1e-3, "ps": 1.0, "ns": 1e3, "us": 1e6}
_QUANTITY = re.compile(r"^\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([^\d\s].*?)?\s*$")


def _split(text: str | float, what: str, example: str) -> tuple[float, str]:
    match = _QUANTITY.match(str(text))
    if match is None:
        raise InputError(f"{what} {str(text)!r} is not a number with a unit: write it like {example!r}")
    value, unit = float(match.group(1)), match.group(2)
    if unit is None:
        raise UnitMissing(f"{what} {str(text)!r} has no unit: write it like {example!r}")
    if not math.isfinite(value):
        raise InputError(f"{what} {str(text)!r} is not finite: write it like {example!r}")
    return value, unit


def parse_pressure_GPa(text: str) -> float:
    """Pressure in GPa from text such as "40 GPa" or "1.5 Mbar".

    Raises UnitMissing without a unit and InputError for an unknown unit or a negative value. "Mbar" is megabar
    (100 GPa) whatever its capitals, as no millibar occurs in this field; "MPa" is megapascal.
    """
    value, unit = _split(text, "pressure", "40 GPa")
    factor = _PRESSURE_GPA.get(unit.lower())
    if factor is None:
        raise InputError(f"pressure {text!r} has an unknown unit {unit!r}: use GPa, Mbar, TPa or kbar, like '40 GPa'")
    if value < 0:
        raise InputError(f"pressure {text!r} is negative: give a pressure of 0 GPa or more")
    return value * factor


def parse_temperature_K(text: str) -> float:
    """Temperature in K from text such as "1473 K" or "1200 C"; raises below absolute zero or without a unit."""
    value, unit = _split(text, "temperature", "1200 C")
    key = unit.lower().replace("°", "").replace("deg", "").strip()
    if key in ("k", "kelvin"):
        kelvin = value
    elif key in ("c", "celsius"):
        kelvin = value + CELSIUS_ZERO_K
    else:
        raise InputError(f"temperature {text!r} has an unknown unit {unit!r}: use K or C, like '1200 C'")
    if kelvin < 0:
        raise InputError(f"temperature {text!r} is below absolute zero: give 0 K or more")
    return kelvin


def parse_time_ps(text: str) -> float:
    """Time in ps from text such as "20 ps" or "500 fs"; raises when zero, negative or without a unit."""
    value, unit = _split(text, "time", "20 ps")
    factor = _TIME_PS.get(unit.lower())
    if factor is None:
        raise InputError(f"time {text!r} has an unknown unit {unit!r}: use fs, ps or ns, like '20 ps'")
    if value <= 0:
        raise InputError(f"time {text!r} is not positive: give a time longer than zero, like '20 ps'")
    return value * factor


def parse_pressures_GPa(text: str) -> list[float]:
    """Pressures in GPa from "40 GPa", a list "20,40,60 GPa" or a range "0:200:10" / "0:200:10 GPa" (ends included).

    A bare range or list is in GPa: the colon form is the field's habit, and nothing else is ever meant by it.
    """
    body = re.sub(r"\s*GPa\s*$", "", str(text), flags=re.IGNORECASE)
    if ":" in body:
        parts = body.split(":")
        try:
            start, stop, step = (float(p) for p in parts)
        except ValueError:
            raise InputError(f"pressures {text!r} is not a range: write it like '0:200:10' (start:stop:step)") from None
        if step <= 0 or stop < start or start < 0 or not all(map(math.isfinite, (start, stop, step))):
            raise InputError(f"pressures {text!r} does not rise from 0 or more in positive steps: write '0:200:10'")
        return [start + i * step for i in range(int(math.floor((stop - start) / step + 1e-9)) + 1)]
    if "," in body:
        return [parse_pressure_GPa(f"{part} GPa") for part in body.split(",")]
    return [parse_pressure_GPa(str(text))]


def stress_matrix(stress: np.ndarray) -> np.ndarray:
    """3x3 tension-positive stress from a 3x3, nine numbers, or six in ASE's Voigt order (xx yy zz yz xz xy)."""
    array = np.asarray(stress, dtype=float)
    if array.size == 9:
        return array.reshape(3, 3)
    if array.size == 6:
        xx, yy, zz, yz, xz, xy = array.ravel()
        return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    raise InputError(f"a stress of {array.size} numbers: give 3x3, nine numbers, or six in Voigt order")


def pressure_GPa(stress_eV_per_A3: np.ndarray) -> float:
    """Hydrostatic pressure in GPa of a tension-positive stress in eV/A^3: P = -trace/3."""
    return float(-np.trace(stress_matrix(stress_eV_per_A3)) / 3.0 * EV_PER_A3_IN_GPA)
