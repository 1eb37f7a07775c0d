"""Which apparatus reaches a planned pressure and temperature: published reaches, a chart, a point judged on it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from megabar.anvil.figures import save_figure
from megabar.anvil.shock.materials import MATERIALS
from megabar.anvil.shock.temperature import ShockTemperatures, shock_temperatures
from megabar.campaign.files import write_csv, write_json
from megabar.errors import InputError

EDGE = 0.8
"""Beyond this share of the highest pressure reached, a method is at its limit: few groups, few successes."""


_COLOURS = ("tab:blue", "tab:orange", "tab:olive", "tab:red", "tab:purple", "tab:brown", "tab:pink", "black",
            "tab:green", "tab:cyan", "tab:gray")


@dataclass(frozen=True)
class Method:
    """One way to a pressure.

    `reach` is the published upper envelope, (temperature in K, highest pressure in GPa) by rising temperature; between
    its points the chart draws straight lines in log T and log P, a guide and no measurement. On the dynamic paths
    (`shock`, `ramp`) the path itself sets the temperature, so the envelope holds one pressure only.
    """

    name: str
    path: str
    reach: tuple[tuple[float, float], ...]
    duration: str
    sample: str
    sources: tuple[str, ...]

    def highest_GPa(self, temperature_K: float) -> float:
        """Highest pressure reached at a temperature; 0 outside the temperatures of the method."""
        T, P = (np.array(column) for column in zip(*self.reach, strict=True))
        if not T[0] <= temperature_K <= T[-1]:
            return 0.0
        return float(np.exp(np.interp(np.log(temperature_K), np.log(T), np.log(P))))


METHODS = (
    Method("clamp cell (piston-cylinder)", "static", ((1.5, 2.2), (300.0, 4.0)), "days",
           "5 mm, with wires or a neutron beam",
           ("Fujiwara et al., Rev. Sci. Instrum. 78, 073905 (2007), doi:10.1063/1.2757129: hybrid NiCrAl cell, 4 GPa",
            "Shermadini et al., arXiv:1707.09275 (2017): 2.6 GPa at 300 K, 2.2 GPa cold, 6 mm bore")),
    Method("cubic or multi-anvil press, tungsten carbide", "static", ((4.0, 20.0), (300.0, 65.0), (2000.0, 50.0)),
           "hours to days", "1 mm, well-known temperature",
           ("Ishii, Liu & Katsura, Engineering 5, 434 (2019), doi:10.1016/j.eng.2019.01.013: 65 GPa at 300 K, about "
            "50 GPa hot, 25 GPa as routine",
            "Ishigaki et al., Pap. Phys. 11, 110006 (2019), doi:10.4279/PIP.110006: press in a cryostat, 20 GPa")),
    Method("cubic or multi-anvil press, diamond anvils", "static", ((300.0, 88.0), (3770.0, 20.0)), "hours", "0.1-1 mm",
           ("Irifune et al., C. R. Geosci. 351, 260 (2019), doi:10.1016/j.crte.2018.07.005: 88 GPa at 300 K",
            "Shatskiy et al., Rev. Sci. Instrum. 80, 023907 (2009), doi:10.1063/1.3084209: 3500 C, diamond "
            "heater formed at 20 GPa")),
    Method("diamond anvil cell", "static", ((4.0, 400.0), (300.0, 400.0)), "as long as wanted",
           "5-100 um, transparent windows",
           ("Li et al., PNAS 115, 1713 (2018), doi:10.1073/pnas.1721425115: 400 GPa, the limit of plain anvils",)),
    Method("diamond anvil cell, toroidal anvils", "static", ((4.0, 600.0), (300.0, 600.0)), "as long as wanted",
           "3-10 um",
           ("Dewaele et al., Nat. Commun. 9, 2913 (2018), doi:10.1038/s41467-018-05294-2: 600 GPa",
            "Jenei et al., Nat. Commun. 9, 3563 (2018), doi:10.1038/s41467-018-06071-x: above 500 GPa")),
    Method("diamond anvil cell, double stage", "static", ((280.0, 1000.0), (300.0, 1000.0)), "as long as wanted",
           "3 um, few successes",
           ("Dubrovinskaia et al., Sci. Adv. 2, e1600341 (2016), doi:10.1126/sciadv.1600341: 1 TPa",)),
    Method("diamond anvil cell, resistive heating", "static", ((300.0, 400.0), (3000.0, 10.0)), "hours",
           "10-100 um, even temperature",
           ("Zha & Bassett, Rev. Sci. Instrum. 74, 1255 (2003), doi:10.1063/1.1539895: 3000 K at 10 GPa with an "
            "internal heater, 50 GPa held possible",)),
    Method("diamond anvil cell, laser heating", "static", ((1000.0, 377.0), (5700.0, 377.0), (6000.0, 300.0)),
           "microseconds to minutes", "5-30 um, steep temperature gradients",
           ("Tateno et al., Science 330, 359 (2010), doi:10.1126/science.1194662: 377 GPa at 5700 K",
            "Anzellini & Boccato, Crystals 10, 459 (2020), doi:10.3390/cryst10060459: 300 GPa, 6000 K")),
    Method("gas gun", "shock", ((300.0, 660.0),), "microseconds", "20 mm, exact impact velocity",
           ("Holmes et al., J. Appl. Phys. 66, 2962 (1989), doi:10.1063/1.344177: platinum to 660 GPa",)),
    Method("laser or pulsed-power shock", "shock", ((300.0, 3000.0),), "nanoseconds to microseconds", "0.5-10 mm",
           ("Knudson & Desjarlais, Phys. Rev. Lett. 103, 225501 (2009), doi:10.1103/PhysRevLett.103.225501: quartz to "
            "1.6 TPa",
            "Desjarlais, Knudson & Cochrane, J. Appl. Phys. 122, 035903 (2017), doi:10.1063/1.4991814: quartz to 3 TPa",
            "Kritcher et al., Nature 584, 51 (2020), doi:10.1038/s41586-020-2535-y: converging shocks, 45 TPa")),
    Method("laser or pulsed-power ramp", "ramp", ((300.0, 5000.0),), "nanoseconds to microseconds",
           "0.5-5 mm, foils 50 um thick",
           ("Smith et al., Nature 511, 330 (2014), doi:10.1038/nature13526: diamond to 5 TPa",
            "Lazicki et al., Nature 589, 532 (2021), doi:10.1038/s41586-020-03140-4: diffraction at 2 TPa")),
)


@cache
def _metal(name: str, molar_mass_g: float) -> ShockTemperatures:
    return shock_temperatures(MATERIALS[name], molar_mass_g, 6000.0)


def shock_window_K(pressure_GPa: float) -> tuple[float, float, float]:
    """Temperatures at a pressure: tungsten compressed slowly, tungsten shocked, sodium shocked.

    One shock lands between the last two in most matter: the stiffer and denser, the colder. Classical solids; melting
    and hot electrons are left out, so that above some 300 GPa these are upper bounds.
    """
    stiff, soft = _metal("W", 183.84), _metal("Na", 22.990)
    return (float(np.interp(pressure_GPa, stiff.isentrope_pressure_GPa, stiff.isentrope_K)),
            float(np.interp(pressure_GPa, stiff.pressure_GPa, stiff.hugoniot_K)),
            float(np.interp(pressure_GPa, soft.pressure_GPa, soft.hugoniot_K)))


@dataclass(frozen=True)
class Verdict:
    """What one method can do for the planned point; `at_its_limit` above four fifths of the highest pressure."""

    method: Method
    suitable: bool
    at_its_limit: bool
    reason: str

    def as_dict(self) -> dict[str, Any]:
        return {"method": self.method.name, "suitable": self.suitable, "at_its_limit": self.at_its_limit,
                "reason": self.reason, "duration": self.method.duration, "sample": self.method.sample,
                "sources": list(self.method.sources)}


@dataclass(frozen=True)
class Plan:
    """A planned point and what every method can do for it."""

    pressure_GPa: float
    temperature_K: float
    verdicts: tuple[Verdict, ...]

    @property
    def suitable(self) -> list[str]:
        return [v.method.name for v in self.verdicts if v.suitable]

    def as_dict(self) -> dict[str, Any]:
        return {"pressure_GPa": self.pressure_GPa, "temperature_K": self.temperature_K, "suitable": self.suitable,
                "methods": [v.as_dict() for v in self.verdicts]}

    def save(self, folder: str | Path) -> None:
        """Write apparatus.json, apparatus.csv (the lines of the chart) and apparatus.png into `folder`."""
        folder = Path(folder)
        write_json(folder / "apparatus.json", self.as_dict())
        write_csv(folder / "apparatus.csv", chart_rows())
        save_figure(folder / "apparatus.png", self.plot, (10.0, 5.5))

    def plot(self, ax: Any) -> None:
        """The chart with the planned point as a star."""
        draw_chart(ax)
        ax.plot([self.pressure_GPa], [self.temperature_K], "*", ms=16, color="black", mec="white", label="planned",
                zorder=10)
        ax.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 10.0 else f"{value:.2g}"


def judge(method: Method, pressure_GPa: float, temperature_K: float) -> Verdict:
    """Whether a method reaches a point, and in one line why or why not."""
    if method.path == "static":
        coldest, hottest = method.reach[0][0], method.reach[-1][0]
        if not 0.95 * coldest <= temperature_K <= 1.05 * hottest:
            side = "hotter than" if temperature_K > hottest else "colder than"
            edge = hottest if temperature_K > hottest else coldest
            return Verdict(method, False, False, f"{side} its {edge:g} K")
        limit = method.highest_GPa(min(max(temperature_K, coldest), hottest))
    else:
        limit = method.reach[0][1]
        cold, stiff, soft = shock_window_K(pressure_GPa)
        floor = 0.9 * cold if method.path == "ramp" else 0.8 * stiff
        if temperature_K < floor:
            what = "compressed slowly from 300 K" if method.path == "ramp" else "shocked once"
            return Verdict(method, False, False, f"colder than tungsten {what} ({floor:.0f} K with a margin)")
        if temperature_K > soft:
            return Verdict(method, False, False, f"hotter than shocked sodium ({soft:.0f} K): only porous or gaseous "
                           "targets get there")
    if pressure_GPa > limit:
        return Verdict(method, False, False, f"above the {_short(limit)} GPa reached at this temperature")
    near = pressure_GPa > EDGE * limit
    return Verdict(method, True, near, f"{pressure_GPa:g} of {_short(limit)} GPa" + (", at its limit" if near else ""))


def plan(pressure_GPa: float, temperature_K: float = 300.0) -> Plan:
    """All methods judged for a pressure and a temperature; raises InputError outside the chart."""
    if not (np.isfinite(pressure_GPa) and 0.0 < pressure_GPa <= 1e4):
        raise InputError(f"pressure {pressure_GPa:g} GPa: the chart goes from above 0 to 10000 GPa")
    if not (np.isfinite(temperature_K) and 0.0 < temperature_K <= 1e6):
        raise InputError(f"temperature {temperature_K:g} K: the chart goes from above 0 to 1000000 K")
    return Plan(pressure_GPa, temperature_K, tuple(judge(m, pressure_GPa, temperature_K) for m in METHODS))


def outline(method: Method) -> tuple[np.ndarray, np.ndarray]:
    """Closed outline of a method on the chart: pressures (GPa) and temperatures (K)."""
    lowest = 0.1
    if method.path == "static":
        T, P = (np.array(column) for column in zip(*method.reach, strict=True))
        return np.concatenate([[lowest], P, [lowest]]), np.concatenate([[T[0]], T, [T[-1]]])
    P = np.geomspace(5.0, method.reach[0][1], 60)
    cold, stiff, soft = (np.array(column) for column in zip(*(shock_window_K(float(p)) for p in P), strict=True))
    low, high = (cold, stiff) if method.path == "ramp" else (stiff, soft)
    return np.concatenate([P, P[::-1]]), np.concatenate([low, high[::-1]])


def chart_rows() -> dict[str, list[Any]]:
    """The outlines as columns: method, pressure, temperature."""
    rows: dict[str, list[Any]] = {"method": [], "pressure_GPa": [], "temperature_K": []}
    for m in METHODS:
        for P, T in zip(*outline(m), strict=True):
            rows["method"].append(m.name)
            rows["pressure_GPa"].append(float(P))
            rows["temperature_K"].append(float(T))
    return rows


def draw_chart(ax: Any, methods: Sequence[Method] = METHODS) -> None:
    """All outlines on logarithmic axes: filled for static methods, hatched for dynamic ones."""
    for m, colour in zip(methods, itertools.cycle(_COLOURS)):
        P, T = outline(m)
        if m.path == "static":
            ax.fill(P, T, alpha=0.12, color=colour)
        elif m.path == "ramp":
            ax.fill(P, T, fill=False, hatch="..", color=colour, alpha=0.3, lw=0.0)
        ax.plot(P, T, color=colour, lw=1.3, ls="-" if m.path == "static" else "--", label=m.name)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlim(0.5, 8000.0)
    ax.set_ylim(1.0, 1e5)
    ax.set_xlabel("pressure (GPa)")
    ax.set_ylabel("temperature (K)")
    ax.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
