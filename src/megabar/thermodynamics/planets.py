"""Pressure and temperature inside planets, to lay over any pressure-temperature figure.

Every profile says where its numbers are from and how good they are. Few points are given where few are published as
numbers; the lines between them are guides, straight in log P and log T.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from megabar.campaign.files import atomic_path, write_csv, write_json
from megabar.errors import InputError

Provenance = Literal["table", "digitised", "approximate"]

# Dziewonski and Anderson, Phys. Earth Planet. Inter. 25, 297 (1981), 10.1016/0031-9201(81)90046-7, table of the
# isotropic model: depth in km, pressure in GPa.
PREM_KM_GPA = (
    (40.0, 1.12), (60.0, 1.79), (80.0, 2.45), (115.0, 3.62), (150.0, 4.78), (185.0, 5.94), (220.0, 7.11),
    (265.0, 8.65), (310.0, 10.20), (355.0, 11.77), (400.0, 13.35), (450.0, 15.23), (500.0, 17.13), (600.0, 21.04),
    (635.0, 22.43), (670.0, 23.83), (771.0, 28.29), (971.0, 37.29), (1171.0, 46.49), (1371.0, 55.90), (1571.0, 65.52),
    (1771.0, 75.36), (1971.0, 85.43), (2171.0, 95.76), (2371.0, 106.39), (2571.0, 117.35), (2741.0, 126.97),
    (2891.0, 135.75), (3171.0, 165.12), (3571.0, 205.60), (3971.0, 243.25), (4371.0, 277.04), (4771.0, 306.15),
    (5149.5, 328.85), (5771.0, 355.28), (6371.0, 363.85))

# Katsura, J. Geophys. Res. Solid Earth 127, e2021JB023562 (2022), 10.1029/2021JB023562, adiabatic mantle: depth in km,
# temperature in K, uncertainty in K. Two rows 0.001 km apart are the two sides of a phase transition.
MANTLE_KM_K = (
    (50.0, 1646.0, 35.0), (100.0, 1672.0, 36.0), (200.0, 1718.0, 37.0), (300.0, 1759.0, 38.0), (410.0, 1799.0, 39.0),
    (410.001, 1860.0, 38.0), (500.0, 1892.0, 39.0), (520.0, 1899.0, 39.0), (520.001, 1942.0, 39.0),
    (600.0, 1972.0, 39.0), (660.0, 1994.0, 40.0), (660.001, 1960.0, 40.0), (700.0, 1976.0, 40.0),
    (800.0, 2015.0, 41.0), (1000.0, 2090.0, 43.0), (1200.0, 2158.0, 45.0), (1400.0, 2223.0, 47.0),
    (1600.0, 2283.0, 48.0), (1800.0, 2340.0, 50.0), (2000.0, 2394.0, 52.0), (2200.0, 2445.0, 54.0),
    (2400.0, 2494.0, 56.0), (2600.0, 2541.0, 58.0), (2800.0, 2587.0, 60.0))

_PREM = "pressure: Dziewonski & Anderson, Phys. Earth Planet. Inter. 25, 297 (1981), 10.1016/0031-9201(81)90046-7"
_KATSURA = "mantle: Katsura, J. Geophys. Res. Solid Earth 127, e2021JB023562 (2022), 10.1029/2021JB023562"
_ANZELLINI = "core: Anzellini et al., Science 340, 464 (2013), 10.1126/science.1233514"
_GUILLOT = "Guillot, Science 286, 72 (1999), 10.1126/science.286.5437.72, schematic of the interiors"
_MILITZER = "Militzer, arXiv:2508.16754 (2025): interiors of Uranus and Neptune 15-30 % colder than earlier models"


@dataclass(frozen=True)
class Profile:
    """A planet: points (n,) of rising pressure with the uncertainty of the temperature.

    `provenance`: "table" (numbers printed by the source), "digitised" (read off its figure), "approximate" (a few round
    numbers that the source gives for layer boundaries).
    """

    key: str
    name: str
    provenance: Provenance
    pressure_GPa: tuple[float, ...]
    temperature_K: tuple[float, ...]
    error_K: tuple[float, ...]
    sources: tuple[str, ...]
    note: str

    def at_K(self, pressure_GPa: float) -> float:
        """Temperature at a pressure; InputError outside the profile."""
        low, high = self.pressure_GPa[0], self.pressure_GPa[-1]
        if not low <= pressure_GPa <= high:
            raise InputError(f"{self.name}: {pressure_GPa:g} GPa is outside its profile ({low:g} to {high:g} GPa)")
        return float(np.exp(np.interp(np.log(pressure_GPa), np.log(self.pressure_GPa), np.log(self.temperature_K))))

    def reaches(self, pressure_GPa: float) -> bool:
        return self.pressure_GPa[0] <= pressure_GPa <= self.pressure_GPa[-1]

    def to_dict(self) -> dict[str, Any]:
        return {"key": self.key, "name": self.name, "provenance": self.provenance, "sources": list(self.sources),
                "note": self.note, "pressure_GPa": list(self.pressure_GPa), "temperature_K": list(self.temperature_K),
                "error_K": list(self.error_K)}


def prem_pressure_GPa(depth_km: float) -> float:
    """Pressure inside the Earth at a depth between 40 km and its centre (linear between the rows of PREM)."""
    table = np.array(PREM_KM_GPA)
    return float(np.interp(depth_km, table[:, 0], table[:, 1]))


def _mantle() -> Profile:
    rows = [(prem_pressure_GPa(d), t, e) for d, t, e in MANTLE_KM_K]
    p, t, e = zip(*rows, strict=True)
    return Profile("earth-mantle", "Earth, mantle", "table", p, t, e, (_PREM, _KATSURA),
                   "adiabat from 50 to 2800 km; the boundary layer above the core (2800 to 2891 km) is left out")


PROFILES = (
    _mantle(),
    Profile("earth-core", "Earth, outer core", "digitised", (135.75, 328.85), (4050.0, 5500.0), (500.0, 500.0),
            (_PREM, _ANZELLINI), "adiabat below the melting of iron; ends at the inner core"),
    Profile("uranus", "Uranus", "approximate", (1e-4, 10.0, 800.0), (76.0, 2000.0, 8000.0), (2.0, 400.0, 2000.0),
            ("1 bar: Lindal et al., J. Geophys. Res. 92, 14987 (1987), 10.1029/JA092iA13p14987", _GUILLOT, _MILITZER),
            "1 bar, top of the ices, top of the rock; the upper end of what is now thought"),
    Profile("neptune", "Neptune", "approximate", (1e-4, 10.0, 800.0), (72.0, 2000.0, 8000.0), (2.0, 400.0, 2000.0),
            ("1 bar: Lindal, Astron. J. 103, 967 (1992), 10.1086/116119", _GUILLOT, _MILITZER),
            "1 bar, top of the ices, top of the rock; below 10 GPa that of Uranus within its error"),
    Profile("jupiter", "Jupiter", "approximate", (1e-4, 2.2e-3, 200.0, 4000.0), (166.0, 428.0, 6550.0, 18000.0),
            (2.0, 5.0, 250.0, 3000.0),
            ("to 22 bar: Seiff et al., J. Geophys. Res. 103, 22857 (1998), 10.1029/98JE01766", _GUILLOT),
            "1 bar, deepest reading of the Galileo probe, metallic hydrogen, core"),
    Profile("super-earth", "super-Earth, 1.5 Earth radii", "approximate", (1.46, 23.8, 130.4, 630.0),
            (1646.0, 1965.0, 2585.0, 5000.0), (100.0, 150.0, 300.0, 500.0),
            ("Unterborn & Panero, J. Geophys. Res. Planets 124, 1704 (2019), 10.1029/2018JE005844", _KATSURA),
            "upper limit at the bottom of the mantle of the largest planet likely to be rock (630 GPa, 5000 K); to "
            "130 GPa the Earth's adiabat; its central 1.5 to 2.5 TPa have no temperature there"),
)

_COLOURS = {"earth-mantle": "#238b45", "earth-core": "#238b45", "uranus": "#41b6c4", "neptune": "#225ea8",
            "jupiter": "#d94801", "super-earth": "#8c6d31"}
_GROUPS = {"earth": ("earth-mantle", "earth-core")}


def select(names: Sequence[str] = ()) -> tuple[Profile, ...]:
    """Profiles by key ("earth" stands for its two parts); all without names. InputError lists the keys."""
    if not names:
        return PROFILES
    table = {p.key: p for p in PROFILES}
    found = []
    for name in names:
        keys = _GROUPS.get(name.lower(), (name.lower(),))
        if any(k not in table for k in keys):
            raise InputError(f"planet {name!r} is unknown: use {', '.join([*_GROUPS, *table])}")
        found += [table[k] for k in keys]
    return tuple(dict.fromkeys(found))


def overlay(ax: Any, names: Sequence[str] = (), *, pressure_axis: Literal["x", "y"] = "x", labels: bool = True) -> None:
    """Lay profiles over the axes `ax` of a pressure (GPa) - temperature (K) figure without changing its limits.

    Tables and digitised profiles are drawn full, approximate ones dashed with their points; bands are uncertainties.
    """
    limits = ax.get_xlim(), ax.get_ylim()
    for profile in select(names):
        p = np.array(profile.pressure_GPa)
        grid = np.exp(np.linspace(np.log(p[0]), np.log(p[-1]), 200))
        line, error = (np.exp(np.interp(np.log(grid), np.log(p), np.log(values)))
                       for values in (profile.temperature_K, profile.error_K))
        style = {"color": _COLOURS[profile.key], "lw": 1.2, "ls": "--" if profile.provenance == "approximate" else "-"}
        label = None if not labels or profile.key == "earth-core" else profile.name.replace(", mantle", "")
        if pressure_axis == "x":
            ax.plot(grid, line, label=label, **style)
            ax.fill_between(grid, line - error, line + error, color=style["color"], alpha=0.12, lw=0.0)
        else:
            ax.plot(line, grid, label=label, **style)
            ax.fill_betweenx(grid, line - error, line + error, color=style["color"], alpha=0.12, lw=0.0)
        if profile.provenance == "approximate":
            points = (p, profile.temperature_K) if pressure_axis == "x" else (profile.temperature_K, p)
            ax.plot(*points, "o", ms=3.5, color=style["color"])
    ax.set_xlim(limits[0])
    ax.set_ylim(limits[1])


def save(directory: str | Path, names: Sequence[str] = (), curve: tuple[np.ndarray, np.ndarray, str] | None = None,
         ) -> None:
    """planets.json, planets.csv and planets.png; `curve` is (pressures, temperatures, name) of one's own to show."""
    from matplotlib.figure import Figure

    target, chosen = Path(directory), select(names)
    write_json(target / "planets.json", [p.to_dict() for p in chosen])
    write_csv(target / "planets.csv", {
        "planet": [p.key for p in chosen for _ in p.pressure_GPa],
        "pressure_GPa": [x for p in chosen for x in p.pressure_GPa],
        "temperature_K": [x for p in chosen for x in p.temperature_K],
        "error_K": [x for p in chosen for x in p.error_K],
        "provenance": [p.provenance for p in chosen for _ in p.pressure_GPa]})
    figure = Figure(figsize=(6.4, 4.6), layout="constrained")
    ax = figure.add_subplot()
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlim(0.5, 6000.0)
    ax.set_ylim(300.0, 30000.0)
    overlay(ax, names)
    if curve is not None:
        ax.plot(curve[0], curve[1], "k.-", lw=1.5, label=curve[2])
    ax.set_xlabel("pressure (GPa)")
    ax.set_ylabel("temperature (K)")
    ax.set_title("full: tables and digitised; dashed: approximate, lines between points are guides", fontsize=8)
    ax.legend(frameon=False, fontsize=8, loc="upper left")
    with atomic_path(target / "planets.png") as path:
        figure.savefig(path, dpi=150)
