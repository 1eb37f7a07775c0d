"""P-T phase diagram of phases of one composition: which has the lowest Gibbs energy, and how sure that is."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from scipy.optimize import brentq

from megabar.campaign.files import atomic_path, write_csv, write_json
from megabar.errors import InputError, RunError
from megabar.units import EV_PER_A3_IN_GPA

_COLOURS = ("#c6dbef", "#fdd0a2", "#c7e9c0", "#dadaeb", "#fcbba1", "#d9d9d9", "#fff7bc", "#ccebc5")


class GibbsSource(Protocol):
    """What a phase must answer, per formula unit; RunError where it cannot."""

    @property
    def name(self) -> str: ...

    @property
    def formula(self) -> str: ...

    def gibbs_eV(self, pressure_GPa: float, temperature_K: float) -> float: ...

    def sigma_eV(self, pressure_GPa: float, temperature_K: float) -> float: ...

    def volume_A3(self, pressure_GPa: float, temperature_K: float) -> float: ...

    def entropy_eV_per_K(self, pressure_GPa: float, temperature_K: float) -> float: ...


@dataclass(frozen=True)
class Overlay:
    """Points that others measured or computed: pressures and temperatures (n,) under one name."""

    name: str
    pressure_GPa: np.ndarray
    temperature_K: np.ndarray


def read_overlay(path: str | Path) -> tuple[Overlay, ...]:
    """Series of a .csv with columns pressure_GPa, temperature_K and series; lines that begin with # are comments."""
    source = Path(path)
    try:
        rows = list(csv.DictReader(line for line in source.read_text(encoding="utf-8").splitlines()
                                   if line.strip() and not line.startswith("#")))
        found: dict[str, list[tuple[float, float]]] = {}
        for row in rows:
            found.setdefault(row["series"], []).append((float(row["pressure_GPa"]), float(row["temperature_K"])))
    except OSError:
        raise InputError(f"{source}: cannot be read; give a table of pressure_GPa, temperature_K, series") from None
    except (KeyError, ValueError, TypeError):
        raise InputError(f"{source}: not a table of pressure_GPa, temperature_K, series; mend it") from None
    return tuple(Overlay(name, *np.array(points).T) for name, points in found.items())


@dataclass(frozen=True)
class Boundary:
    """Where two phases have the same Gibbs energy and no third one less: arrays (n,) in rising temperature.

    `sigma_pressure_GPa` follows from the errors of both phases taken as independent, `slope_GPa_per_K` is Clapeyron's
    dS/dV. `low` is the phase of the low-pressure side.
    """

    low: str
    high: str
    temperature_K: np.ndarray
    pressure_GPa: np.ndarray
    sigma_pressure_GPa: np.ndarray
    slope_GPa_per_K: np.ndarray

    def at(self, temperature_K: float) -> float:
        """Pressure of the line at a temperature, linear between its points; nan off its ends."""
        return float(np.interp(temperature_K, self.temperature_K, self.pressure_GPa, left=np.nan, right=np.nan))


@dataclass(frozen=True)
class PhaseDiagram:
    """Gibbs energies (phases, P, T) in eV per formula unit, nan where a phase has none, with their errors."""

    formula: str
    names: tuple[str, ...]
    pressures_GPa: np.ndarray
    temperatures_K: np.ndarray
    gibbs_eV: np.ndarray
    sigma_eV: np.ndarray
    boundaries: tuple[Boundary, ...]
    notes: tuple[str, ...]

    @property
    def stable(self) -> np.ndarray:
        """Index of the phase of lowest Gibbs energy (P, T); -1 where none is known."""
        filled = np.where(np.isnan(self.gibbs_eV), np.inf, self.gibbs_eV)
        return np.where(np.isinf(filled).all(axis=0), -1, filled.argmin(axis=0))

    @property
    def known(self) -> np.ndarray:
        """How many phases have a Gibbs energy (P, T): where not all have, the lowest of the known may not be lowest."""
        return np.sum(~np.isnan(self.gibbs_eV), axis=0)

    def to_dict(self) -> dict[str, Any]:
        shares = {name: float(np.mean(self.stable == i)) for i, name in enumerate(self.names)}
        return {"formula": self.formula, "phases": list(self.names), "share_of_map": shares,
                "boundaries": [{"low": b.low, "high": b.high, "temperature_K": b.temperature_K.tolist(),
                                "pressure_GPa": b.pressure_GPa.tolist(),
                                "sigma_pressure_GPa": b.sigma_pressure_GPa.tolist(),
                                "slope_GPa_per_K": b.slope_GPa_per_K.tolist()} for b in self.boundaries],
                "notes": list(self.notes)}

    def save(self, directory: str | Path, overlay: Sequence[Overlay] = ()) -> None:
        """`result.json`, `phases.png`, the map in `phases.csv`, the lines in `boundaries.csv`."""
        from matplotlib.figure import Figure

        target = Path(directory)
        write_json(target / "result.json", self.to_dict())
        p, t = np.meshgrid(self.pressures_GPa, self.temperatures_K, indexing="ij")
        names = np.array([*self.names, ""])
        columns: dict[str, Any] = {"pressure_GPa": p.ravel(), "temperature_K": t.ravel(),
                                   "stable": names[self.stable.ravel()], "phases_known": self.known.ravel()}
        for i, name in enumerate(self.names):
            columns[f"gibbs_eV {name}"] = self.gibbs_eV[i].ravel()
            columns[f"sigma_eV {name}"] = self.sigma_eV[i].ravel()
        write_csv(target / "phases.csv", {k: list(v) for k, v in columns.items()})
        lines: dict[str, list[Any]] = {k: [] for k in ("low", "high", "temperature_K", "pressure_GPa",
                                                       "sigma_pressure_GPa", "slope_GPa_per_K")}
        for b in self.boundaries:
            for row in zip(b.temperature_K, b.pressure_GPa, b.sigma_pressure_GPa, b.slope_GPa_per_K, strict=True):
                for key, value in zip(lines, (b.low, b.high, *row), strict=True):
                    lines[key].append(value)
        write_csv(target / "boundaries.csv", lines)
        figure = Figure(figsize=(6.4, 4.6), layout="constrained")
        self.plot(figure.add_subplot(), overlay)
        with atomic_path(target / "phases.png") as path:
            figure.savefig(path, dpi=150)

    def plot(self, ax: Any, overlay: Sequence[Overlay] = ()) -> None:
        """Regions by colour, lines of equal Gibbs energy with a band of one standard error, and what others found."""
        from matplotlib import rc_context
        from matplotlib.colors import ListedColormap

        p, t, stable = self.pressures_GPa, self.temperatures_K, self.stable
        ax.pcolormesh(p, t, np.ma.masked_less(stable, 0).T, cmap=ListedColormap(_COLOURS), vmin=-0.5,
                      vmax=len(_COLOURS) - 0.5, shading="nearest", rasterized=True)
        if np.any(self.known < len(self.names)):
            with rc_context({"hatch.linewidth": 0.5, "hatch.color": "0.5"}):
                ax.contourf(p, t, (self.known < len(self.names)).T.astype(float), levels=[0.5, 1.5], colors="none",
                            hatches=["///"])
        for i, name in enumerate(self.names):
            where = np.argwhere(stable == i)
            if len(where):
                # The label stands on the point of the region nearest to its middle, so that it lies inside.
                row, column = where[np.argmin(np.sum((where - where.mean(axis=0)) ** 2, axis=1))]
                ax.text(p[row], t[column], name, ha="center", va="center", fontsize=9)
        for b in self.boundaries:
            ax.fill_betweenx(b.temperature_K, b.pressure_GPa - b.sigma_pressure_GPa,
                             b.pressure_GPa + b.sigma_pressure_GPa, color="0.3", alpha=0.25, lw=0)
            ax.plot(b.pressure_GPa, b.temperature_K, "-", color="black", lw=1.4)
        for i, series in enumerate(overlay):
            ax.plot(series.pressure_GPa, series.temperature_K, ("o", "s", "^", "D")[i % 4] + ":", ms=4, lw=1.0,
                    color=("#cb181d", "#2171b5", "#238b45", "#6a51a3")[i % 4], mfc="white", label=series.name)
        if overlay:
            ax.legend(fontsize=8, loc="best")
        ax.set_xlim(p[0], p[-1])
        ax.set_ylim(t[0], t[-1])
        ax.set_xlabel("pressure (GPa)")
        ax.set_ylabel("temperature (K)")
        hatched = "; hatched: not all phases known" if np.any(self.known < len(self.names)) else ""
        ax.set_title(f"{self.formula}, quasi-harmonic; bands: one standard error{hatched}", fontsize=10)


def phase_diagram(phases: Sequence[GibbsSource], pressures_GPa: Sequence[float], temperatures_K: Sequence[float],
                  ) -> PhaseDiagram:
    """Gibbs energies on the grid, and every line between two of the phases that no third one hides.

    Raises InputError for phases of different composition, or fewer than two of each.
    """
    formulas = {phase.formula for phase in phases}
    if len(formulas) > 1:
        raise InputError(f"phases of different composition ({', '.join(sorted(formulas))}): a P-T diagram compares one "
                         "formula; for reactions use 'megabar enthalpy', for compositions 'megabar hull'")
    if len(phases) < 2 or len({phase.name for phase in phases}) < len(phases):
        raise InputError("phases: give two or more phases, each with a name of its own")
    pressure, temperature = np.asarray(pressures_GPa, dtype=float), np.asarray(temperatures_K, dtype=float)
    if len(pressure) < 2 or len(temperature) < 2:
        raise InputError("phases: give ranges of two or more pressures and temperatures, like 0:20:1 and 0:2000:100")
    gibbs = np.full((len(phases), len(pressure), len(temperature)), np.nan)
    sigma = gibbs.copy()
    notes = []
    for i, phase in enumerate(phases):
        refused = []
        for j, p in enumerate(pressure):
            for k, t in enumerate(temperature):
                try:
                    gibbs[i, j, k] = phase.gibbs_eV(p, t)
                    sigma[i, j, k] = phase.sigma_eV(p, t)
                except RunError as error:
                    refused.append(str(error))
        if refused:
            notes.append(f"{refused[0]} ({len(refused)} of {pressure.size * temperature.size} points: hatched; the "
                         "edge of a field there is no line of equal Gibbs energy)")
        notes += list(getattr(phase, "notes", ()))
    boundaries = [line for a, b in combinations(range(len(phases)), 2)
                  if (line := _boundary(phases, a, b, pressure, temperature, gibbs)) is not None]
    return PhaseDiagram(next(iter(formulas)), tuple(p.name for p in phases), pressure, temperature, gibbs, sigma,
                        tuple(boundaries), tuple(notes))


def _boundary(phases: Sequence[GibbsSource], a: int, b: int, pressure: np.ndarray, temperature: np.ndarray,
              gibbs: np.ndarray) -> Boundary | None:
    """The line between phases `a` and `b`: roots along P at each temperature, along T at each pressure."""
    difference = gibbs[a] - gibbs[b]
    points: list[tuple[float, float]] = []

    def excess(p: float, t: float) -> float:
        return phases[a].gibbs_eV(p, t) - phases[b].gibbs_eV(p, t)

    for k, t in enumerate(temperature):
        for j in _crossings(difference[:, k]):
            root = brentq(lambda p, t=t: excess(p, t), pressure[j], pressure[j + 1], xtol=1e-6)
            points.append((float(root), float(t)))
    for j, p in enumerate(pressure):
        for k in _crossings(difference[j]):
            points.append((float(p), float(brentq(lambda t, p=p: excess(p, t), temperature[k], temperature[k + 1],
                                                  xtol=1e-3))))
    rows = []
    for p, t in sorted(set(points), key=lambda q: (q[1], q[0])):
        if _hidden(phases, a, b, p, t):
            continue
        volume = phases[a].volume_A3(p, t) - phases[b].volume_A3(p, t)
        entropy = phases[a].entropy_eV_per_K(p, t) - phases[b].entropy_eV_per_K(p, t)
        error = np.hypot(phases[a].sigma_eV(p, t), phases[b].sigma_eV(p, t))
        per_GPa = volume / EV_PER_A3_IN_GPA
        rows.append((t, p, error / abs(per_GPa) if per_GPa else np.inf, entropy / per_GPa if per_GPa else np.inf,
                     volume))
    if not rows:
        return None
    table = np.array(rows)
    low, high = (a, b) if np.median(table[:, 4]) > 0.0 else (b, a)
    return Boundary(phases[low].name, phases[high].name, table[:, 0], table[:, 1], table[:, 2], table[:, 3])


def _crossings(values: np.ndarray) -> list[int]:
    """Indices i where `values` changes sign between i and i + 1, both known."""
    known = np.isfinite(values[:-1]) & np.isfinite(values[1:])
    with np.errstate(invalid="ignore"):
        return [int(i) for i in np.flatnonzero(known & (np.sign(values[:-1]) * np.sign(values[1:]) < 0))]


def _hidden(phases: Sequence[GibbsSource], a: int, b: int, p: float, t: float) -> bool:
    """Whether a third phase has a lower Gibbs energy than the two that meet at (p, t)."""
    meeting = phases[a].gibbs_eV(p, t)
    for i, phase in enumerate(phases):
        if i in (a, b):
            continue
        try:
            if phase.gibbs_eV(p, t) < meeting - 1e-9:
                return True
        except RunError:
            continue
    return False
