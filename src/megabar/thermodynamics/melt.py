"""Melting point of a crystal at a pressure: automatic bracketing with crystal and melt side by side.

The crystal is heated until it melts (upper bound), its melt cooled (lower bound, where it freezes), and between them
the two-phase cell is run at temperatures chosen from what the runs before did, until the highest at which the crystal
grew and the lowest at which it melted are twice the tolerance apart. The rate of growth against temperature gives the
point inside that bracket; a run at constant enthalpy, and the hysteresis of heating and cooling, check it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from megabar.campaign.files import plain, write_csv, write_json
from megabar.campaign.tasks import Store, Task, run_tasks
from megabar.errors import InputError, RunError
from megabar.thermodynamics.coexistence import cell_record
from megabar.thermodynamics.melt_settings import MeltSettings, bulk_cell, starting_crystal
from megabar.thermodynamics.melting_curves import MeltingLine, fit_line
from megabar.thermodynamics.series import HereExecutor
from megabar.thermodynamics.solidity import Growth
from megabar.units import EV_PER_A3_IN_GPA, parse_pressures_GPa, parse_temperature_K, parse_time_ps

if TYPE_CHECKING:
    from matplotlib.axes import Axes

VERSIONS = {"heat": "5", "cool": "5", "coexist": "11"}
"""Of the tasks; they change with what the runs would give."""
CITATIONS = (
    "coexistence: Morris and Song, J. Chem. Phys. 116, 9352 (2002), 10.1063/1.1474581",
    "hysteresis: Luo et al., Phys. Rev. B 68, 134206 (2003), 10.1103/PhysRevB.68.134206",
    "LAMMPS: Thompson et al., Comput. Phys. Commun. 271, 108171 (2022), 10.1016/j.cpc.2021.108171",
)
SECONDS_PER_ATOM_STEP = 6e-6
"""One core, NEP4 in a dense hydride with guards and frames: for the estimate of a dry run only."""
MOST_RUNS = 12
HOT, LOOSE = 1.1, 1.05
"""One half is heated to this times the temperature at which the bulk crystal melted, which is a third too high already;
at 1.25 times (CaH2, 4100 K) calcium came too close for the potential."""
TALL = 1.5
"""Height over width of each half: order reaches 5 A into a melt from either side (calcium in CaH4), and more than that
must be left."""
FIRST_GUESS = 0.75
"""Melting point over that temperature: heated within picoseconds, small perfect crystals of Lennard-Jones atoms (0.71)
and hydrogen (0.75) stood a third above their melting points."""

Judge = Callable[[float], Growth]
Report = Callable[[str], None]


@dataclass(frozen=True)
class Bracket:
    """`low_K` is the highest temperature at which the crystal grew, `high_K` the lowest at which it melted; None where
    no run did. `runs` by temperature. `from_heating` when `high_K` is only where the bulk crystal melted."""

    low_K: float | None
    high_K: float | None
    runs: Mapping[float, Growth]
    from_heating: bool = False
    notes: tuple[str, ...] = ()


def bracket(judge: Judge, guess_K: float, ceiling_K: float, tolerance_K: float, most: int = MOST_RUNS) -> Bracket:
    """Ask `judge` at temperatures until grown and melted are at most twice `tolerance_K` apart, or after `most` runs.

    An undecided run stands near the melting point: its two sides at the tolerance are asked next.
    """
    runs: dict[float, Growth] = {}
    step, next_K = max(2.0 * tolerance_K, 0.1 * guess_K), guess_K
    while len(runs) < most:
        next_K = round(next_K, 1)
        runs[next_K] = judge(next_K)
        grew, melted = _ends(runs)
        open_K = sorted(t for t, g in runs.items() if g.verdict == "undecided"
                        and (grew is None or t > grew) and (melted is None or t < melted))
        if grew is not None and melted is not None:
            width = melted - grew
            if width <= 2.0 * tolerance_K * 1.001:
                break
            if open_K:
                choices = [t for t in (open_K[0] - tolerance_K, open_K[-1] + tolerance_K) if grew < t < melted]
                if not choices:
                    break
                next_K = choices[0]
            else:
                a, b = runs[grew].rate_per_ps, runs[melted].rate_per_ps
                share = a / (a - b) if a > 0.0 > b else 0.5
                next_K = grew + width * min(max(share, 0.25), 0.75)
        elif melted is not None:
            next_K = min([melted, *open_K]) - (tolerance_K if open_K else step)
        else:
            top = max(runs)
            next_K = top + (tolerance_K if open_K else step)
            if next_K >= ceiling_K:
                next_K = 0.5 * (top + ceiling_K)
                if ceiling_K - top <= tolerance_K:
                    break
        if next_K <= 1.0:
            break
    grew, melted = _ends(runs)
    notes = []
    if grew is not None and melted is not None and grew > melted:
        notes.append(f"the crystal grew at {grew:g} K and melted at {melted:g} K: runs are too short or too small")
        grew, melted = melted, grew
    from_heating = melted is None
    high = ceiling_K if melted is None else melted
    return Bracket(grew, high, dict(sorted(runs.items())), from_heating, tuple(notes))


def _ends(runs: Mapping[float, Growth]) -> tuple[float | None, float | None]:
    grew = [t for t, g in runs.items() if g.verdict == "grew"]
    melted = [t for t, g in runs.items() if g.verdict == "melted"]
    return (max(grew) if grew else None), (min(melted) if melted else None)


def zero_of_rate(found: Bracket, samples: int = 400, seed: int = 0) -> tuple[float, float] | None:
    """Temperature and standard error where a line through the growth rates inside the bracket vanishes; None with less
    than two of them.

    Those at its ends count, those beyond do not (far from melting, rates level off), but where nothing melted beside
    its melt the next one below stands in for the upper end. They are weighted by their errors plus a tenth of the
    largest rate for the line being only nearly straight; the zero is kept inside.
    """
    if found.low_K is None or found.high_K is None:
        return None
    middle = 0.5 * (found.low_K + found.high_K)
    known = {t: g for t, g in found.runs.items() if g.rate_error_per_ps < 1e5}
    near = {t: known[t] for t in sorted(known)[-2:]} if found.from_heating else {
        t: g for t, g in known.items() if found.low_K <= t <= found.high_K}
    if len(near) < 2:
        return None
    t = np.array(list(near))
    rate = np.array([g.rate_per_ps for g in near.values()])
    error = np.hypot([g.rate_error_per_ps for g in near.values()], 0.1 * np.abs(rate).max())
    rng = np.random.default_rng(seed)
    zeros = []
    for _ in range(samples):
        slope, offset = np.polyfit(t - middle, rate + rng.normal(size=len(t)) * error, 1, w=1.0 / error)
        if slope < 0.0:
            zeros.append(middle - offset / slope)
    if len(zeros) < samples // 2:
        return None
    kept = np.clip(zeros, found.low_K, found.high_K)
    return float(np.median(kept)), float(np.std(kept))


def hysteresis_K(melted_at_K: float, froze_at_K: float) -> float:
    """Melting point from superheating and supercooling at one rate: T+ + T- - sqrt(T+ T-) (Luo et al. 2003)."""
    return melted_at_K + froze_at_K - math.sqrt(melted_at_K * froze_at_K)


@dataclass(frozen=True)
class SizeResult:
    """Melting point of one cell size: `error_K` is half the bracket, or the error of the zero of the rate if larger."""

    atoms: int
    temperature_K: float
    error_K: float
    bracket: Bracket


@dataclass(frozen=True)
class MeltingPoint:
    """Melting point of one phase at one pressure.

    `temperature_K` with `error_K` (half the bracket, in quadrature with the difference of the two largest sizes when
    there are several); `superheated_to_K` and `supercooled_to_K` bound it from the bulk runs (None: did not freeze),
    `constant_enthalpy_K` with error is the check at constant enthalpy. Enthalpy and volume of fusion per formula unit
    at the melting point, from the ramps. `superionic_from_K` is where hydrogen began to flow in the heated crystal.
    """

    formula: str
    phase: str
    potential: str
    pressure_GPa: float
    temperature_K: float
    error_K: float
    bracket_K: tuple[float | None, float | None]
    superheated_to_K: float
    supercooled_to_K: float | None
    hysteresis_K: float | None
    constant_enthalpy_K: float | None
    constant_enthalpy_error_K: float | None
    fusion_enthalpy_eV_per_fu: float
    fusion_enthalpy_error_eV_per_fu: float
    fusion_volume_A3_per_fu: float
    fusion_volume_error_A3_per_fu: float
    slope_K_per_GPa: float
    superionic_from_K: float | None
    sizes: tuple[Mapping[str, Any], ...]
    runs: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...] = field(default=())

    def summary(self) -> dict[str, Any]:
        """Everything but the time series of the runs."""
        values = plain(vars(self))
        values["runs"] = [{k: v for k, v in run.items() if k not in ("time_ps", "solid_share")}
                          for run in values["runs"]]
        return values

    def save(self, folder: str | Path) -> None:
        """`result.json`, `melt.csv`, `melt-rates.csv` and `melt.png` in `folder`."""
        from megabar.thermodynamics.melting_figures import save_point

        folder = Path(folder)
        write_csv(folder / "melt.csv", {
            "temperature_K": [r["temperature_K"] for r in self.runs for _ in r["time_ps"]],
            "atoms": [r["atoms"] for r in self.runs for _ in r["time_ps"]],
            "time_ps": [t for r in self.runs for t in r["time_ps"]],
            "solid_share": [s for r in self.runs for s in r["solid_share"]]})
        names = ("temperature_K", "atoms", "verdict", "rate_per_ps", "rate_error_per_ps", "mean_temperature_K",
                 "mean_pressure_GPa")
        write_csv(folder / "melt-rates.csv", {name: [r[name] for r in self.runs] for name in names})
        save_point(self, folder)
        write_json(folder / "result.json", {"kind": "melting point", **plain(vars(self))})

    def plot(self, ax: Axes) -> None:
        """Share of the crystal against time, one line for each run."""
        from megabar.thermodynamics.melting_figures import plot_runs

        plot_runs(ax, self)


class MeltCampaign:
    """Melting points of `settings` over its pressures, with tasks in a store; making one writes nothing.

    Raises InputError for anything that cannot be run as asked.
    """

    def __init__(self, settings: MeltSettings, store: Path) -> None:
        self.settings, self.store = settings, Store(store)
        self.pressures_GPa = parse_pressures_GPa(settings.pressure)
        self.times_ps = {name: parse_time_ps(getattr(settings, name)) for name in ("time", "segment", "melt_time")}
        self.start_K, self.limit_K = parse_temperature_K(settings.start), parse_temperature_K(settings.limit)
        self.tolerance_K = parse_temperature_K(settings.tolerance)
        if not 0.0 < self.start_K < self.limit_K or self.tolerance_K <= 0.0:
            raise InputError("melt: start must lie above 0 K and below limit, tolerance above 0 K")
        self.crystals = {p: starting_crystal(settings, p) for p in self.pressures_GPa}
        self.pair, self.potential, self.domain = settings.forces()

    # tasks ---------------------------------------------------------------------------------------------------------

    def _base(self, pressure: float) -> dict[str, Any]:
        return {"pair": self.pair, "pressure_GPa": pressure, "timestep_fs": self.settings.timestep_fs,
                "seed": self.settings.seed, "alike": list(self.crystals[pressure].alike)}

    def heat_task(self, pressure: float) -> Task:
        cell = bulk_cell(self.crystals[pressure].unit, self.settings.atoms[0] // 2)
        return Task("megabar.thermodynamics.coexistence:heat", VERSIONS["heat"], {
            **self._base(pressure), "crystal": cell_record(cell), "start_K": self.start_K, "limit_K": self.limit_K,
            "segment_ps": self.times_ps["segment"]})

    def _cool_task(self, pressure: float, heated: Mapping[str, Any]) -> Task:
        return Task("megabar.thermodynamics.coexistence:cool", VERSIONS["cool"], {
            **self._base(pressure), "liquid": heated["liquid"], "start_K": heated["end_K"],
            "end_K": round(0.4 * heated["melted_at_K"], 1), "rate_K_per_ps": heated["rate_K_per_ps"]})

    def _coexist_task(self, pressure: float, heated: Mapping[str, Any], cooled: Mapping[str, Any], temperature: float,
                      atoms: int, thermostat: bool) -> Task:
        cell = bulk_cell(self.crystals[pressure].unit, atoms // 2, TALL)
        # Stretched a little beyond the melt's own density, a half melts sooner; the piston takes it back.
        ratio = heated["liquid_volume_A3"] / heated["solid_volume_A3"]
        stretch = LOOSE * ratio
        if cooled["fits"] is not None:
            ratio = (np.polyval(cooled["fits"]["volume_A3"], temperature)
                     / np.polyval(heated["fits"]["volume_A3"], temperature))
        solid = min(max(float(np.polyval(heated["order_fit"], temperature)), heated["liquid_order"] + 0.1), 1.0)
        return Task("megabar.thermodynamics.coexistence:coexist", VERSIONS["coexist"], {
            **self._base(pressure), "crystal": cell_record(cell), "temperature_K": temperature,
            "hot_K": round(HOT * heated["melted_at_K"], 1), "fits": {k: heated["fits"][k] for k in ("ex", "ey", "ez")},
            "stretch": round(min(max(stretch, LOOSE), 1.5), 4), "melt_ratio": round(min(float(ratio), 1.5), 4),
            "threshold": round(0.5 * (solid + heated["liquid_order"]), 4),
            "melt_ps": self.times_ps["melt_time"], "time_ps": self.times_ps["time"],
            "extensions": self.settings.extensions if thermostat else 0, "thermostat": thermostat})

    def _run(self, task: Task, what: str, report: Report | None) -> dict[str, Any]:
        if report is not None and self.store.result(task) is None:
            report(what)
        outcome = next(iter(run_tasks([task], self.store, executor=HereExecutor(),
                                      retry_failed=self.settings.retry_failed)))
        if outcome.result is None:
            raise RunError(f"melt: {what} failed: {outcome.reason}")
        return outcome.result

    # what it costs -------------------------------------------------------------------------------------------------

    def dry_run(self) -> dict[str, Any]:
        """What would run and for how long; nothing is written."""
        dt = self.settings.timestep_fs
        points: list[dict[str, Any]] = []
        for pressure in self.pressures_GPa:
            task = self.heat_task(pressure)
            n = len(task.inputs["crystal"]["numbers"])
            segments = 2 + math.ceil(math.log(2500.0 / self.start_K) / math.log(1.15))
            work = 2.0 * n * segments * self.times_ps["segment"]
            runs = [2 * len(bulk_cell(self.crystals[pressure].unit, a // 2, TALL)) for a in self.settings.atoms]
            each = self.times_ps["time"] + 2.0 * self.times_ps["melt_time"]
            work += sum(a * each * (6 if k == 0 else 4) for k, a in enumerate(runs)) + runs[-1] * each
            points.append({"pressure_GPa": pressure, "phase": self.crystals[pressure].name, "bulk_atoms": n,
                           "two_phase_atoms": runs, "heated": self.store.result(task) is not None,
                           "estimated_hours": round(work * 1e3 / dt * SECONDS_PER_ATOM_STEP / 3600.0, 3)})
        return {"formula": self.settings.formula, "potential": self.potential, "points": points,
                "estimated_hours": round(sum(p["estimated_hours"] for p in points), 3), "notes": list(self.notes())}

    def notes(self) -> tuple[str, ...]:
        low, high = self.domain
        return tuple(f"{p:g} GPa is outside the {low:g}-{high:g} GPa on which {self.potential} was trained"
                     for p in self.pressures_GPa if not low <= p <= high)

    # running -------------------------------------------------------------------------------------------------------

    def run(self, jobs: int = 1, report: Report | None = None) -> tuple[list[MeltingPoint], dict[float, str]]:
        """Melting points in order of pressure, `jobs` at a time, and what went wrong at the pressures that have none.

        Raises RunError when there is no point at all.
        """
        def one(pressure: float) -> MeltingPoint | str:
            try:
                return self.point(pressure, report)
            except RunError as error:
                return str(error)

        self.store.root.mkdir(parents=True, exist_ok=True)
        with self.store.lock(), ThreadPoolExecutor(jobs) as pool:
            found = dict(zip(self.pressures_GPa, pool.map(one, self.pressures_GPa), strict=True))
        failed = {p: text for p, text in found.items() if isinstance(text, str)}
        if len(failed) == len(found):
            raise RunError(next(iter(failed.values())))
        return [point for point in found.values() if isinstance(point, MeltingPoint)], failed

    def line(self, points: Sequence[MeltingPoint]) -> MeltingLine | None:
        """The melting line through `points`; None for a single one."""
        if len(points) < 2:
            return None
        return fit_line([p.pressure_GPa for p in points], [p.temperature_K for p in points],
                        [p.error_K for p in points], f"{self.settings.formula} melts")

    def point(self, pressure: float, report: Report | None = None) -> MeltingPoint:
        """Melting point at `pressure` GPa, from stored tasks where there are any."""
        name = f"{self.settings.formula} at {pressure:g} GPa"
        heated = self._run(self.heat_task(pressure), f"{name}: heating until it melts", report)
        top = float(heated["melted_at_K"])
        lost = ""
        try:  # a check, and the enthalpy of fusion: without it there is still a melting point
            cooled = self._run(self._cool_task(pressure, heated), f"{name}: melted at {top:.0f} K, cooling its melt",
                               report)
        except RunError as error:
            cooled, lost = {"froze_at_K": None, "coldest_K": top, "fits": None, "scatter": None}, str(error)
        froze = cooled["froze_at_K"]
        guess = hysteresis_K(top, froze) if froze else FIRST_GUESS * top
        outcomes: list[dict[str, Any]] = []
        sizes: list[SizeResult] = []
        for atoms in self.settings.atoms:
            def judge(kelvin: float, atoms: int = atoms) -> Growth:
                run = self._run(self._coexist_task(pressure, heated, cooled, kelvin, atoms, True),
                                f"{name}: crystal and melt of {atoms} atoms at {kelvin:.0f} K", report)
                outcomes.append({**run, "temperature_K": kelvin})
                return Growth(run["verdict"], run["rate_per_ps"], run["rate_error_per_ps"], run["solid_start"],
                              run["solid_end"])

            sizes.append(self._size(bracket(judge, guess, top, self.tolerance_K), outcomes[-1]["atoms"], name))
            guess = sizes[-1].temperature_K
        best = sizes[-1]
        steady, notes = None, list(self.notes())
        if self.settings.constant_enthalpy:
            steady = self._run(self._coexist_task(pressure, heated, cooled, round(best.temperature_K, 1),
                                                  self.settings.atoms[-1], False),
                               f"{name}: at constant enthalpy from {best.temperature_K:.0f} K", report)
            notes += [f"constant enthalpy: {w}" for w in steady["warnings"]]
        for run in outcomes:
            notes += [f"{run['temperature_K']:g} K, {run['atoms']} atoms: {w}" for w in run["warnings"]]
        notes += best.bracket.notes
        if best.bracket.from_heating:
            notes.append("no run with both phases melted: the upper end is where the heated crystal melted")
        if lost:
            notes.append(f"no enthalpy of fusion: {lost}")
        elif froze is None:
            notes.append(f"the melt did not freeze down to {cooled['coldest_K']:.0f} K while cooled")
        elif not froze < best.temperature_K < top:
            notes.append(f"outside the bounds of cooling and heating ({froze:.0f}-{top:.0f} K)")
        return self._assemble(pressure, heated, cooled, sizes, outcomes, steady, notes)

    def _size(self, found: Bracket, atoms: int, name: str) -> SizeResult:
        if found.low_K is None or found.high_K is None:
            raise RunError(f"melt: {name}: no temperature was found at which the crystal of {atoms} atoms grew; "
                           "lengthen --time, or heat more slowly (--segment)")
        middle, half = 0.5 * (found.low_K + found.high_K), 0.5 * (found.high_K - found.low_K)
        fitted = zero_of_rate(found)
        value, error = fitted if fitted is not None else (middle, half)
        return SizeResult(atoms, value, max(half, error), found)

    def _assemble(self, pressure: float, heated: Mapping[str, Any], cooled: Mapping[str, Any],
                  sizes: Sequence[SizeResult], outcomes: Sequence[Mapping[str, Any]],
                  steady: Mapping[str, Any] | None, notes: Sequence[str]) -> MeltingPoint:
        best = sizes[-1]
        error = best.error_K
        if len(sizes) > 1:
            error = math.hypot(error, best.temperature_K - sizes[-2].temperature_K)
        units = int(heated["atoms"]) / self.crystals[pressure].atoms_per_fu

        def change(name: str) -> tuple[float, float]:
            at = best.temperature_K
            if cooled["fits"] is None:
                return float("nan"), float("nan")
            value = np.polyval(cooled["fits"][name], at) - np.polyval(heated["fits"][name], at)
            return float(value / units), math.hypot(cooled["scatter"][name], heated["scatter"][name]) / units

        (dh, dh_error), (dv, dv_error) = change("enthalpy_eV"), change("volume_A3")
        return MeltingPoint(
            formula=self.settings.formula, phase=self.crystals[pressure].name, potential=self.potential,
            pressure_GPa=pressure, temperature_K=best.temperature_K, error_K=error,
            bracket_K=(best.bracket.low_K, best.bracket.high_K), superheated_to_K=float(heated["melted_at_K"]),
            supercooled_to_K=cooled["froze_at_K"],
            hysteresis_K=hysteresis_K(heated["melted_at_K"], cooled["froze_at_K"]) if cooled["froze_at_K"] else None,
            constant_enthalpy_K=steady["mean_temperature_K"] if steady else None,
            constant_enthalpy_error_K=steady["mean_temperature_error_K"] if steady else None,
            fusion_enthalpy_eV_per_fu=dh, fusion_enthalpy_error_eV_per_fu=dh_error, fusion_volume_A3_per_fu=dv,
            fusion_volume_error_A3_per_fu=dv_error,
            slope_K_per_GPa=best.temperature_K * dv / dh / EV_PER_A3_IN_GPA if dh > 0 else float("nan"),
            superionic_from_K=heated["superionic_from_K"],
            sizes=tuple({"atoms": s.atoms, "temperature_K": s.temperature_K, "error_K": s.error_K} for s in sizes),
            runs=tuple(outcomes), notes=tuple(dict.fromkeys(notes)))
