"""A chain of gauges up a loading run, as extreme-pressure claims are built: one gauge hands over to the next.

Each row of the run is a load and what was measured there: ruby, sm or diamond-edge (a line), `given` (a pressure
published with its own gauge, such as an infrared vibron), or `load` (nothing but the load: the straight line through
the rows below decides). Every choice of scale is followed through to the end, which shows what the final number owes to
the choices.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from megabar.anvil.calibration import load_line
from megabar.anvil.columns import number, read_table
from megabar.anvil.figures import save_figure
from megabar.anvil.gauge import optical_scale, optical_scales, read_optical
from megabar.anvil.optical import UNITS
from megabar.campaign.files import write_csv, write_json
from megabar.errors import InputError

_COLUMNS = ("load", "gauge", "value")
_OPTIONAL = ("sigma", "reference", "temperature_K", "label")


@dataclass(frozen=True)
class ChainRow:
    """One step of the loading run and its pressure on every scale that answers, in GPa."""

    load: float
    gauge: str
    value: float | None
    label: str
    pressures_GPa: dict[str, float]


@dataclass(frozen=True)
class Chain:
    """A loading run read with every combination of scales.

    `final_GPa` maps each way of getting the last row's pressure to its value: an edge scale's name where the edge was
    measured there, and "line through ..." for the straight line in load through rows read with that combination.
    `pressure_GPa` is the median of them and `lowest_GPa`, `highest_GPa` their spread.
    """

    rows: tuple[ChainRow, ...]
    final_GPa: dict[str, float]
    pressure_GPa: float
    lowest_GPa: float
    highest_GPa: float
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        return {**vars(self), "rows": [vars(r) for r in self.rows], "warnings": list(self.warnings)}

    def save(self, folder: str | Path) -> None:
        """Write chain.json, chain.csv and chain.png into `folder`."""
        folder = Path(folder)
        write_json(folder / "chain.json", self.as_dict())
        flat = [(r, scale, p) for r in self.rows for scale, p in r.pressures_GPa.items()]
        write_csv(folder / "chain.csv", {
            "load": [r.load for r, _, _ in flat], "gauge": [r.gauge for r, _, _ in flat],
            "scale": [s for _, s, _ in flat], "pressure_GPa": [p for _, _, p in flat]})
        save_figure(folder / "chain.png", self.plot)

    def plot(self, ax: Any) -> None:
        """Pressure against load: one colour a gauge, one symbol a scale; the last row's spread as a bar."""
        colours = {"ruby": "tab:red", "sm": "tab:purple", "given": "tab:green", "diamond-edge": "tab:blue",
                   "load": "tab:gray"}
        seen = set()
        for r in self.rows:
            for p in r.pressures_GPa.values():
                label = r.gauge if r.gauge not in seen else None
                seen.add(r.gauge)
                ax.plot(r.load, p, "o", color=colours[r.gauge], alpha=0.6, label=label)
        last = self.rows[-1].load
        ax.vlines(last, self.lowest_GPa, self.highest_GPa, color="black", lw=2)
        ax.annotate(f"{self.lowest_GPa:.0f}-{self.highest_GPa:.0f} GPa", (last, self.highest_GPa), ha="right",
                    va="bottom")
        ax.set_xlabel("load (units of the file)")
        ax.set_ylabel("pressure (GPa)")
        ax.legend()


def _row(entry: dict[str, str], index: int, source: Path) -> tuple[ChainRow, list[str]]:
    where = f"{source}: row {index}"
    load = number(entry["load"], f"{where}, load")
    gauge = entry["gauge"].lower()
    label = entry.get("label", "")
    if gauge == "load":
        return ChainRow(load, gauge, None, label, {}), []
    value = number(entry["value"], f"{where}, value")
    if gauge == "given":
        if value < 0.0:
            raise InputError(f"{where}: pressure {value:g} GPa is negative")
        return ChainRow(load, gauge, value, label, {"given": value}), []
    if gauge not in UNITS:
        raise InputError(f"{where}: gauge {gauge!r} is unknown; use {', '.join([*UNITS, 'given', 'load'])}")
    extras: dict[str, float] = {}
    for key, target in (("sigma", "sigma"), ("reference", "reference"), ("temperature_K", "temperature_K")):
        if entry.get(key):
            extras[target] = number(entry[key], f"{where}, {key}")
    pressures: dict[str, float] = {}
    warnings: list[str] = []
    for scale in optical_scales(gauge):
        if scale.superseded:
            continue
        try:
            reading = read_optical(gauge, value, scale=scale.scale, **extras)
        except InputError as error:
            warnings.append(f"{where}: {error}")
            continue
        pressures[scale.scale] = reading.pressure_GPa
    if not pressures:
        raise InputError(f"{where}: no {gauge} scale answers for {value:g} {UNITS[gauge]}; "
                         f"{optical_scale(gauge).scale} is its default")
    return ChainRow(load, gauge, value, label, pressures), warnings


def read_chain(path: str | Path) -> Chain:
    """Read a loading run (CSV: load, gauge, value, and optionally sigma, reference, temperature_K, label).

    Values are nm for ruby and sm, cm^-1 for diamond-edge, GPa for given, empty for load. Loads have to rise, and the
    straight line in load needs at least three rows with a pressure below the last. Raises InputError naming the row.
    """
    source = Path(path)
    rows: list[ChainRow] = []
    warnings: list[str] = []
    for index, entry in enumerate(read_table(source, _COLUMNS, _OPTIONAL), start=1):
        row, said = _row(entry, index, source)
        if rows and row.load <= rows[-1].load:
            raise InputError(f"{source}: row {index}: load {row.load:g} does not rise above {rows[-1].load:g}; sort by "
                             "load")
        rows.append(row)
        warnings += said
    below = [r for r in rows[:-1] if r.pressures_GPa]
    last = rows[-1]
    if len(below) < 3:
        raise InputError(f"{source}: {len(below)} rows with a pressure below the last; the line in load needs three")
    final: dict[str, float] = dict(last.pressures_GPa)
    gauges = sorted({r.gauge for r in below})
    choices = [sorted({s for r in below if r.gauge == g for s in r.pressures_GPa}) for g in gauges]
    loads = np.array([r.load for r in below])
    filled: dict[str, dict[float, float]] = {}
    for combination in itertools.product(*choices):
        chosen = dict(zip(gauges, combination, strict=True))
        pressures = [r.pressures_GPa.get(chosen[r.gauge], next(iter(r.pressures_GPa.values()))) for r in below]
        line, _, power = load_line(loads, np.array(pressures), last.load)
        names = [name for g, name in chosen.items() if g != "given"] or ["the given points"]
        key = f"line through {' + '.join(names)}"
        final[key] = line
        if np.isfinite(power):
            final[key.replace("line", "power law")] = power
        filled[key] = {r.load: load_line(loads, np.array(pressures), r.load)[0] for r in rows if r.gauge == "load"}
    if filled:
        first = next(iter(filled))
        rows = [r if r.gauge != "load" else ChainRow(r.load, r.gauge, None, r.label, {first: filled[first][r.load]})
                for r in rows]
    values = list(final.values())
    return Chain(tuple(rows), final, float(np.median(values)), min(values), max(values), tuple(warnings))
