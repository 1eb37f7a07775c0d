"""What users name: crystals by file or library name, and ranges of temperatures."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms

from megabar.crystals import prototypes
from megabar.crystals.files import read_frames
from megabar.errors import InputError, PhaseUnknown
from megabar.units import parse_pressures_GPa, parse_temperature_K

_NAME = re.compile(r"^([A-Z][a-z]?)(H[\d.]*)?-(.+)$")


def crystal(text: str, pressure_GPa: float = 0.0, metal: str = "Ca") -> Atoms:
    """The crystal in a file, or a prototype of the library near `pressure_GPa`: "MH4-I4/mmm" (of `metal`),
    "CaH4-I4/mmm" (of Ca), "H2-Pa-3". PhaseUnknown says what is near when there is neither."""
    if Path(text).is_file():
        return primitive(read_frames(text)[-1])
    if Path(text).suffix.lower() in (".cif", ".extxyz", ".xyz", ".res", ".vasp", ".json"):
        raise InputError(f"{text}: no such file; give the path of a crystal, or a name such as "
                         f"{', '.join(prototypes.names()[:3])}")
    name = text
    found = _NAME.match(text)
    if text not in prototypes.names() and found is not None:
        symbol, hydrogen, rest = found.groups()
        candidate = f"M{hydrogen or ''}-{rest}"
        if candidate in prototypes.names():
            name, metal = candidate, symbol
    try:
        return prototypes.build(name, metal, pressure_GPa)
    except PhaseUnknown as error:
        raise PhaseUnknown(f"{text!r} is neither a file nor a phase of the library: {error}") from None
    except ValueError:
        raise InputError(f"{text}: no starting volume known at {pressure_GPa:g} GPa; give a cell as a file") from None


def primitive(atoms: Atoms) -> Atoms:
    """Primitive cell of a crystal in its own orientation (to 1e-3 A); what has none smaller comes back as it is."""
    import spglib

    if abs(atoms.cell.volume) < 1e-3 or not atoms.pbc.all():
        return atoms
    found = spglib.standardize_cell((atoms.cell[:], atoms.get_scaled_positions(), atoms.numbers), to_primitive=True,
                                    no_idealize=True, symprec=1e-3)
    if found is None or len(found[2]) >= len(atoms):
        return atoms
    cell, positions, numbers = found
    return Atoms(numbers, cell=cell, scaled_positions=positions, pbc=True, info=dict(atoms.info))


def parse_temperatures_K(text: str) -> np.ndarray:
    """Temperatures in K from "300 K", "1200 C", a list "300,1000 K" or a range "0:2000:50" (K, ends included)."""
    body = re.sub(r"\s*K\s*$", "", str(text))
    if ":" in body:
        try:
            start, stop, step = (float(p) for p in body.split(":"))
        except ValueError:
            raise InputError(f"temperatures {text!r} are no range: write '0:2000:50' (start:stop:step)") from None
        if not (0.0 <= start <= stop and step > 0.0 and math.isfinite(stop)):
            raise InputError(f"temperatures {text!r} do not rise from 0 K or more in positive steps: write '0:2000:50'")
        return start + step * np.arange(int(math.floor((stop - start) / step + 1e-9)) + 1)
    if "," in body:
        return np.array(sorted({parse_temperature_K(f"{part} K") for part in body.split(",")}))
    return np.array([parse_temperature_K(str(text))])


def temperature_K(text: str) -> float:
    """As `parse_temperature_K`, and a bare number is in kelvin, as in the tables of the field."""
    return parse_temperature_K(f"{text} K" if re.fullmatch(r"[-+.\deE\s]+", text) else text)


def folder_name(verb: str, text: str) -> Path:
    """The folder a verb writes to when none is given: of a file its stem, of a library name the name."""
    return Path(f"{verb}-{Path(text).stem if Path(text).suffix else text.replace('/', '_')}")


def with_error(value: float, sigma: float) -> str:
    """"44.49 +- 0.57": two digits of the error, as many places of the value; without an error six digits."""
    if not math.isfinite(sigma) or sigma <= 0.0:
        return f"{value:.6g}"
    places = max(0, min(6, 1 - math.floor(math.log10(sigma))))
    return f"{value:.{places}f} +- {sigma:.{places}f}"


def parse_supercell(text: str | None) -> tuple[int, int, int] | None:
    """(3, 3, 2) from "3,3,2", "3x3x2" or "3 3 2"."""
    if text is None:
        return None
    try:
        counts = [int(part) for part in re.split(r"[\s,xX]+", text.strip())]
    except ValueError:
        counts = []
    if len(counts) != 3 or min(counts) < 1:
        raise InputError(f"supercell {text!r} is not three whole numbers: write it like 3,3,2")
    return counts[0], counts[1], counts[2]


def parse_static_pressures_GPa(text: str) -> list[float]:
    """Pressures as in `parse_pressures_GPa`, and below zero too ("-5:25:5", "-5,0,10"): a crystal without zero-point
    motion must be stretched to have the volume it has at zero pressure."""
    body = re.sub(r"\s*GPa\s*$", "", str(text), flags=re.IGNORECASE)
    if "-" not in body:
        return parse_pressures_GPa(text)
    try:
        if ":" in body:
            start, stop, step = (float(p) for p in body.split(":"))
            if step <= 0.0 or stop < start:
                raise ValueError
            values = [start + i * step for i in range(int(math.floor((stop - start) / step + 1e-9)) + 1)]
        else:
            values = sorted(float(p) for p in body.split(","))
    except ValueError:
        raise InputError(f"pressures {text!r} are no list or rising range: write '-5:25:5' or '-5,0,10'") from None
    if not np.isfinite(values).all():
        raise InputError(f"pressures {text!r} are not finite: write '-5:25:5'")
    return values


def default_static_pressures_GPa(pressures_GPa: Sequence[float]) -> list[float]:
    """Seven pressures that enclose a range: below its low end by what zero-point motion and heat push outwards (about
    a tenth of the range and 4 GPa), down to no less than -5 GPa, at which crystals still hold together."""
    low, high = min(pressures_GPa), max(pressures_GPa)
    start = max(low - 4.0 - 0.1 * (high - low), -5.0)
    return [round(float(p), 6) for p in np.linspace(start, high, 7)]
