"""Runs that differ in their seed alone, pooled: means, standard errors, products, rates and their temperature law.

A run that a guard stopped is neither finished nor lost: it counts in curves, rates and times of melting for as long as
it lived, and in nothing that belongs to the end.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from megabar.campaign.files import plain, read_csv, write_csv, write_json
from megabar.errors import InputError
from megabar.reaction.averages import mean_and_error, weighted_mean_and_error
from megabar.reaction.controls import Controls, control_row, read_controls, stopped_in_words
from megabar.reaction.kinetics import Arrhenius, fit_arrhenius

if TYPE_CHECKING:
    from megabar.reaction.run import ReactionPlan

MEASURES = ("order", "mobility")
LEAST_TEMPERATURES = 3


@dataclass(frozen=True)
class RunData:
    """What pooling needs of one run.

    Attributes:
        block, label, seed: which run; `ladder` is its condition without the temperature, so that runs with the same
            ladder make an Arrhenius series. folder: where it lives.
        status: "done", "stopped" (by a guard, in its reaction stage) or "failed"; reason: the guard, or why it failed.
        lived_ps: length of the reaction stage, up to the guard in a stopped run, 0 in a failed one.
        time_ps, h_per_metal: (t,), empty for a failed run. molten_A: (t, 2) molten thickness a face (mean over both
            faces), by order and by mobility, NaN where unknown.
        molten_share_last: of all layers, by order and by mobility, mean over the last tenth.
        h_per_metal_last, gain: at the end, and against the start. phase: product. rate_per_ps, rate_error_per_ps: slope
            of the uptake from onset to saturation or the end; 0 where nothing was taken up, NaN where too short.
        controls: see there; None without frames.
    """

    block: str
    label: str
    ladder: str
    seed: int
    folder: Path
    pressure_GPa: float
    temperature_K: float
    atoms: int
    status: str
    reason: str
    time_ps: np.ndarray
    h_per_metal: np.ndarray
    molten_A: np.ndarray
    molten_share_last: tuple[float, float] = (math.nan, math.nan)
    h_per_metal_last: float = math.nan
    gain: float = math.nan
    phase: str = ""
    rate_per_ps: float = math.nan
    rate_error_per_ps: float = math.nan
    mean_pressure_GPa: float = math.nan
    mean_temperature_K: float = math.nan
    saturation_ps: float = math.nan
    lived_ps: float = 0.0
    controls: Controls | None = None


def read_run(folder: Path, block: str, label: str, plan: ReactionPlan, failed: bool, reason: str) -> RunData:
    """The run in `folder`; of a `failed` one what it reached before a guard stopped it, else its condition alone."""
    from megabar.reaction.run import RESULT, STOPPED, stopped_result

    settings = plan.settings
    ladder = json.dumps([block, settings.model_dump(exclude={"seed", "ranks", "temperature"})], sort_keys=True)
    empty = RunData(block, label, ladder, settings.seed, folder, plan.pressure_GPa, plan.temperature_K,
                    plan.layout.n_atoms, "failed", reason, np.zeros(0), np.zeros(0), np.zeros((0, 2)))
    if not failed:
        return _numbers(replace(empty, status="done", reason="", lived_ps=plan.time_ps), RESULT)
    try:
        stopped = stopped_result(plan, folder)
    except InputError as error:
        return replace(empty, reason=f"{reason}; {error}")
    if stopped is None or stopped.stopped_ps is None:
        return empty
    return _numbers(replace(empty, status="stopped", reason=stopped.stopped_by, lived_ps=stopped.stopped_ps), STOPPED)


def _numbers(run: RunData, result_file: str) -> RunData:
    """`run` with the numbers of its analysis."""
    folder = run.folder
    result = json.loads((folder / result_file).read_text(encoding="utf-8"))
    uptake, melting = read_csv(folder / "uptake.csv"), read_csv(folder / "surface_melting.csv")
    analysis = result["analysis"]
    layers = max(1, int(analysis["layers"]["layers"]))
    thickness = np.stack([0.5 * (melting[f"liquid_by_{m}_A_lower"] + melting[f"liquid_by_{m}_A_upper"])
                          for m in MEASURES], axis=1)
    share = np.stack([(melting[f"liquid_by_{m}_lower"] + melting[f"liquid_by_{m}_upper"]) / layers
                      for m in MEASURES], axis=1)
    h, tail = uptake["h_per_metal"], max(1, len(uptake["h_per_metal"]) // 10)
    rate, error = _rate(analysis.get("kinetics"))
    saturated = [event["time_ps"] for event in analysis["events"] if event["name"] == "uptake saturates"]
    molten = _last(share[:, 0]), _last(share[:, 1])
    end = float(h[-tail:].mean())
    return replace(run, time_ps=uptake["time_ps"], h_per_metal=h, molten_A=thickness, molten_share_last=molten,
                   h_per_metal_last=end, gain=end - float(h[0]), phase=analysis["product"]["phase"], rate_per_ps=rate,
                   rate_error_per_ps=error, mean_pressure_GPa=result["mean_pressure_GPa"],
                   mean_temperature_K=result["mean_temperature_K"],
                   saturation_ps=saturated[0] if saturated else math.nan,
                   controls=read_controls(folder, molten, analysis["product"]))


def _rate(kinetics: dict[str, Any] | None) -> tuple[float, float]:
    if kinetics is None:
        return math.nan, math.nan
    law = kinetics["laws"].get("linear")
    if law is None:
        return (0.0, math.nan) if "no uptake" in kinetics["reason"] else (math.nan, math.nan)
    return law["values"]["rate_per_ps"], law["errors"]["rate_per_ps"]


def _last(values: np.ndarray) -> float:
    """Mean of the last tenth of what is known."""
    known = values[np.isfinite(values)]
    return float(known[-max(1, len(known) // 10):].mean()) if len(known) else math.nan


@dataclass(frozen=True)
class Condition:
    """All seeds of one condition."""

    block: str
    label: str
    runs: tuple[RunData, ...]

    @property
    def done(self) -> tuple[RunData, ...]:
        return tuple(run for run in self.runs if run.status == "done")

    @property
    def stopped(self) -> tuple[RunData, ...]:
        """Runs that a guard stopped."""
        return tuple(run for run in self.runs if run.status == "stopped")

    @property
    def failed(self) -> tuple[RunData, ...]:
        return tuple(run for run in self.runs if run.status == "failed")

    @property
    def reached(self) -> tuple[RunData, ...]:
        """Finished and stopped runs that have something to show."""
        return tuple(run for run in (*self.done, *self.stopped) if len(run.time_ps))

    def against_time(self, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Times (t,), mean and standard error over seeds of "h_per_metal" (t,) or "molten_A" (t, 2), and the number
        (t,) of seeds: stopped runs count for as long as they lived.

        Times are those of the first finished run up to where the shortest finished one ends (of the longest stopped
        one when none has). The error is NaN with one seed.
        """
        runs = self.reached
        if not runs:
            return np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0)
        first = self.done[0] if self.done else max(runs, key=lambda run: run.lived_ps)
        end = min((float(run.time_ps[-1]) for run in self.done), default=float(first.time_ps[-1])) + 1e-9
        time = first.time_ps[first.time_ps <= end]
        stack = np.array([[np.interp(time, run.time_ps, column) for column in
                           np.atleast_2d(getattr(run, name).T)] for run in runs]).transpose(0, 2, 1)
        alive = np.array([time <= run.time_ps[-1] + 1e-9 for run in runs])
        seeds = alive.sum(axis=0)
        weight = alive[:, :, None] / seeds[:, None]
        mean = np.where(weight > 0, weight * stack, 0.0).sum(axis=0)
        spread = np.where(weight > 0, weight * (stack - mean) ** 2, 0.0).sum(axis=0)
        few = np.maximum(seeds - 1.0, 0.0)[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            error = np.where(few > 0, np.sqrt(spread / few), np.nan)
        flat = getattr(runs[0], name).ndim == 1
        return time, mean[:, 0] if flat else mean, error[:, 0] if flat else error, seeds

    def rate(self) -> tuple[float, float, int]:
        """Mean rate in 1/ps, its standard error and the number of runs, each weighed by the time it lived."""
        return weighted_mean_and_error([r.rate_per_ps for r in self.reached], [r.lived_ps for r in self.reached])

    def row(self) -> dict[str, Any]:
        """The condition as a row of a table: at the end for finished runs, the rate for stopped ones too."""
        first, runs = self.runs[0], self.done
        result: dict[str, Any] = {"block": self.block, "condition": self.label, "pressure_GPa": first.pressure_GPa,
                                  "temperature_K": first.temperature_K, "atoms": first.atoms, "seeds": len(runs),
                                  "stopped": len(self.stopped), "stopped_at": stopped_in_words(self.stopped),
                                  "failed": len(self.failed)}
        for name, values in (("h_per_metal_last", [r.h_per_metal_last for r in runs]),
                             ("gain_h_per_metal", [r.gain for r in runs]),
                             ("molten_share_by_order", [r.molten_share_last[0] for r in runs]),
                             ("molten_share_by_mobility", [r.molten_share_last[1] for r in runs]),
                             ("mean_pressure_GPa", [r.mean_pressure_GPa for r in runs])):
            result[name], result[f"{name}_error"], _ = mean_and_error(values)
        result["rate_per_ps"], result["rate_per_ps_error"], _ = self.rate()
        result["saturated_seeds"] = sum(math.isfinite(r.saturation_ps) for r in runs)
        result["product"] = "; ".join(f"{phase} x{count}" for phase, count
                                      in Counter(r.phase for r in runs).most_common())
        return result


@dataclass(frozen=True)
class Pooled:
    """A series, pooled. `arrhenius` has a fit by (block and) condition without its temperature, where at least three
    temperatures took up hydrogen; `notes` say what was left out."""

    name: str
    conditions: tuple[Condition, ...]
    arrhenius: tuple[tuple[str, Arrhenius], ...]
    notes: tuple[str, ...]

    def summary(self) -> dict[str, Any]:
        return plain({"name": self.name, "runs": sum(len(c.runs) for c in self.conditions),
                      "stopped": sum(len(c.stopped) for c in self.conditions),
                      "failed": sum(len(c.failed) for c in self.conditions),
                      "conditions": [c.row() for c in self.conditions],
                      "controls": [control_row(c) for c in self.conditions],
                      "arrhenius": [{"condition": label, "barrier_eV": fit.barrier_eV,
                                     "barrier_error_eV": fit.barrier_error_eV, "log_prefactor": fit.log_prefactor,
                                     "log_prefactor_error": fit.log_prefactor_error} for label, fit in self.arrhenius],
                      "notes": list(self.notes)})

    def save(self, out: str | Path) -> list[Path]:
        """runs.csv, conditions.csv, controls.csv and series.json; uptake, molten, final and arrhenius figures with
        their CSV."""
        from megabar.reaction import pooled_figures

        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        runs = [run for condition in self.conditions for run in condition.runs]
        write_csv(folder / "runs.csv", {
            "block": [r.block for r in runs], "condition": [r.label for r in runs], "seed": [r.seed for r in runs],
            "status": [r.status for r in runs], "lived_ps": [r.lived_ps for r in runs],
            "h_per_metal_last": [r.h_per_metal_last for r in runs],
            "gain_h_per_metal": [r.gain for r in runs], "rate_per_ps": [r.rate_per_ps for r in runs],
            "rate_error_per_ps": [r.rate_error_per_ps for r in runs],
            "saturation_ps": [r.saturation_ps for r in runs],
            "molten_share_by_order": [r.molten_share_last[0] for r in runs],
            "molten_share_by_mobility": [r.molten_share_last[1] for r in runs], "product": [r.phase for r in runs],
            "mean_pressure_GPa": [r.mean_pressure_GPa for r in runs],
            "mean_temperature_K": [r.mean_temperature_K for r in runs], "reason": [r.reason for r in runs],
            "folder": [_inside(r.folder, folder) for r in runs]})
        rows = [condition.row() for condition in self.conditions]
        write_csv(folder / "conditions.csv", {name: [row[name] for row in rows] for name in rows[0]})
        controls = [control_row(condition) for condition in self.conditions]
        names = dict.fromkeys(name for row in controls for name in row)
        write_csv(folder / "controls.csv", {name: [row.get(name, math.nan) for row in controls] for name in names})
        write_json(folder / "series.json", self.summary())
        written = [folder / name for name in ("runs.csv", "conditions.csv", "controls.csv", "series.json")]
        return written + pooled_figures.save_figures(self, folder)


def _inside(path: Path, folder: Path) -> str:
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)


def pool(name: str, runs: Sequence[RunData]) -> Pooled:
    """Pool runs by condition, in order. Raises InputError without any run."""
    if not runs:
        raise InputError(f"{name}: no runs to pool")
    groups: dict[tuple[str, str], list[RunData]] = {}
    for run in runs:
        groups.setdefault((run.block, run.label), []).append(run)
    conditions = tuple(Condition(block, label, tuple(group)) for (block, label), group in groups.items())
    notes = [f"{run.label}, seed {run.seed}: "
             + (f"stopped at {run.lived_ps:.3f} ps by the {run.reason}" if run.status == "stopped" else run.reason)
             for run in runs if run.status != "done"]
    ladders: dict[str, list[Condition]] = {}
    for condition in conditions:
        ladders.setdefault(condition.runs[0].ladder, []).append(condition)
    fits = []
    for ladder in ladders.values():
        fit, note = _arrhenius(ladder)
        if fit is not None:
            fits.append((_without_temperature(ladder), fit))
        if note:
            notes.append(f"{_without_temperature(ladder)}: {note}")
    return Pooled(name, conditions, tuple(fits), tuple(notes))


def _without_temperature(ladder: Sequence[Condition]) -> str:
    """Label of the words that all conditions of a temperature ladder share."""
    words = [condition.label.split(", ") for condition in ladder]
    return ", ".join(word for word in words[0] if all(word in other for other in words))


def _arrhenius(ladder: Sequence[Condition]) -> tuple[Arrhenius | None, str]:
    """Fit to the mean rates of a temperature ladder; None, and why, when fewer than three have one."""
    if len(ladder) < LEAST_TEMPERATURES:
        return None, ""
    temperature, rate, error = [], [], []
    for condition in ladder:
        mean, spread, count = condition.rate()
        if count == 0 or mean <= 0:
            continue
        fitted = [r.rate_error_per_ps for r in condition.reached if math.isfinite(r.rate_error_per_ps)]
        own = math.sqrt(sum(e * e for e in fitted)) / max(1, len(fitted)) if fitted else 0.0
        # Two or three seeds can agree by chance: never less than the fits' own errors allow.
        temperature.append(condition.runs[0].temperature_K)
        rate.append(mean)
        error.append(max(own, spread if math.isfinite(spread) else 0.0, 1e-3 * mean))
    if len(set(temperature)) < LEAST_TEMPERATURES:
        return None, f"{len(set(temperature))} temperatures took up hydrogen: no Arrhenius fit below three"
    left_out = len(ladder) - len(temperature)
    return (fit_arrhenius(np.array(temperature), np.array(rate), np.array(error)),
            f"{left_out} temperatures without uptake are not in the Arrhenius fit" if left_out else "")
