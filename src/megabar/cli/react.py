"""`megabar react CaH2 --with H2`: run the synthesis reaction at a pressure and a temperature."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from megabar.cli.options import Config, DryRun, Json, Out, Potential, Pressure, Seed, Temperature
from megabar.reaction.settings import ReactSettings, beside

if TYPE_CHECKING:
    from megabar.reaction.run import RunProgress

SETTINGS = ReactSettings


def react(
    formula: Annotated[str | None, typer.Argument(help="The hydride, like CaH2.")] = None,
    with_: Annotated[str | None, typer.Option("--with", help="What stands beside it: H2; as controls vacuum or none "
                                              "(bulk).")] = None,
    pressure: Pressure = None,
    temperature: Temperature = None,
    time: Annotated[str | None, typer.Option("--time", help='Length of the reaction, like "20 ps".')] = None,
    potential: Potential = None,
    phase: Annotated[str | None, typer.Option("--phase", help="Prototype of the hydride; see cells --list.")] = None,
    face: Annotated[str | None, typer.Option("--face", help="Face of the slab, like 001r.")] = None,
    atoms: Annotated[int | None, typer.Option("--atoms", help="Number of atoms, 600 without it.")] = None,
    timestep_fs: Annotated[float | None, typer.Option("--timestep-fs", help="Time step in fs, 0.5 without it.")] = None,
    slab_cells: Annotated[int | None, typer.Option("--slab-cells", help="Surface cells across the slab.")] = None,
    ranks: Annotated[int | None, typer.Option("--ranks", help="MPI processes, 1 without it.")] = None,
    series: Annotated[Path | None, typer.Option("--series", help="YAML of many runs; their seeds are pooled.")] = None,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Runs of a series at the same time.")] = 1,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try runs of a series again that failed.")
                            ] = False,
    report: Annotated[bool, typer.Option("--report/--no-report", help="Write report.html for every run.")] = True,
    out: Out = None,
    config: Config = None,
    seed: Seed = None,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """React a hydride slab with fluid H2, or run its controls. Kill it, type it again, and it goes on; a finished run
    answers at once. With --series many runs are pooled."""
    from megabar.campaign.settings import load_settings
    from megabar.cli.output import emit, stderr, table
    from megabar.errors import GuardFired, InputError
    from megabar.reaction.run import ReactionPlan, run_reaction, stopped_result

    values = {"formula": formula, "reactant": with_, "pressure": pressure, "temperature": temperature, "time": time,
              "potential": potential, "phase": phase, "face": face, "atoms": atoms, "timestep_fs": timestep_fs,
              "slab_cells": slab_cells, "ranks": ranks, "seed": seed}
    if series is not None:
        if config is not None:
            raise InputError("--config and --series: give one; what runs share stands in the series under 'defaults'")
        _run_series(series, values, out, jobs, retry_failed, report, dry_run, json)
        return
    settings = load_settings(SETTINGS, config, **values)
    if dry_run:
        summary = ReactionPlan.make(settings).summary()
        steps = summary["steps"]
        rows = [[name, str(value)] for name, value in summary.items() if name not in ("steps", "notes")]
        text = (table(["", ""], [*rows, *([f"{stage} steps", str(n)] for stage, n in steps.items())])
                + "\nnothing written (dry run)" + "".join(f"\nnote: {note}" for note in summary["notes"]))
        emit(summary, json, text)
        return
    folder = out or Path(default_folder(settings))
    try:
        with LiveLine() as line:
            result = run_reaction(settings, folder, line.show)
    except GuardFired:
        with contextlib.suppress(InputError):  # it was stopped before its first frame
            if stopped_result(ReactionPlan.make(settings), folder) is not None and report:
                stderr.print(f"report of what was reached: {_report(folder)}", markup=False, soft_wrap=True)
        raise
    written = _report(folder) if report else None
    summary = {**result.summary(), "out": str(folder), "report": None if written is None else str(written)}
    text = (f"{beside(result.formula, result.reactant)}: {result.atoms} atoms, {result.time_ps:g} ps at "
            f"{result.mean_pressure_GPa:.1f} GPa and {result.mean_temperature_K:.0f} K, "
            f"{result.ns_per_day:.2f} ns/day\n"
            + table(["", "start", "end"], result.overview) + "\nfigures:\n"
            + "\n".join(f"  {folder / name}" for name in result.figures)
            + (f"\nreport: {written}" if written else "")
            + "".join(f"\nnote: {note}" for note in result.notes))
    emit(summary, json, text)


def _report(folder: Path) -> Path | None:
    """report.html of a run, unless it is there; a report that fails does not spoil the run it is about."""
    from megabar.cli.output import stderr
    from megabar.report.page import REPORT, write_report

    if (folder / REPORT).is_file():
        return folder / REPORT
    try:
        return write_report(folder)
    except Exception as error:
        stderr.print(f"note: no report ({type(error).__name__}: {error}); try 'megabar report {folder}'", markup=False)
        return None


def _run_series(path: Path, values: dict[str, Any], out: Path | None, jobs: int, retry_failed: bool, report: bool,
                dry_run: bool, json: bool) -> None:
    from megabar.campaign.tasks import Outcome
    from megabar.cli.output import emit, stderr, table
    from megabar.reaction.campaign import Series, run_series
    from megabar.reaction.controls import HEADINGS, control_cells, plus_minus
    from megabar.reaction.pooled import RunData
    from megabar.reaction.pooled_figures import short_labels

    series = Series.make(path, **values)
    folder = out or Path(f"series-{series.name}")
    plan = series.summary(jobs)
    if dry_run:
        rows = [[c["block"], c["condition"], c["seeds"], c["atoms"], c["time_ps"], c["core_hours"]]
                for c in plan["conditions"]]
        emit(plan, json, table(["block", "condition", "seeds", "atoms", "ps", "core h"], rows)
             + f"\n{plan['runs']} runs, {plan['core_hours']:g} core hours, about {plan['estimated_hours']:g} h with "
             f"--jobs {jobs}\nnothing written (dry run)" + "".join(f"\nnote: {note}" for note in plan["notes"]))
        return
    count = 0

    def ended(outcome: Outcome, run: RunData) -> None:
        nonlocal count
        count += 1
        how = {"stopped": f"stopped at {run.lived_ps:.3f} ps ({run.reason})", "failed": f"failed ({run.reason})"}.get(
            run.status, f"{outcome.status} ({outcome.wall_time_s:.0f} s)")
        stderr.print(f"{count}/{plan['runs']} {run.label}, seed {run.seed}: {how}", markup=False, soft_wrap=True)
        if report and run.status in ("done", "stopped"):
            _report(run.folder)

    pooled = run_series(series, folder, jobs, retry_failed, ended)
    rows, controls = [], []
    common, names = short_labels(pooled.conditions)
    said = pooled.summary()
    for name, row, control in zip(names, said["conditions"], said["controls"], strict=True):
        seeds = f"{row['seeds']}" + (f" + {row['stopped']} stopped" if row["stopped"] else "")
        rows.append([name, seeds, plus_minus(row, "h_per_metal_last", 2), plus_minus(row, "rate_per_ps", 3),
                     plus_minus(row, "molten_share_by_order", 2), plus_minus(row, "molten_share_by_mobility", 2),
                     row["product"] or "-"])
        controls.append(control_cells(control, name))
    columns = ["condition", "seeds", "H/M at the end", "H/M per ps", "molten (order)", "(mobility)", "product"]
    text = table(columns, rows, common) + "\n" + table(list(HEADINGS), controls, "controls")
    text += "".join(f"\n{label}: barrier {fit.barrier_eV:.2f} +- {fit.barrier_error_eV:.2f} eV"
                    for label, fit in pooled.arrhenius)
    emit({**said, "out": str(folder)}, json,
         text + f"\ntables and figures in {folder}" + "".join(f"\nnote: {note}" for note in pooled.notes))


def default_folder(settings: ReactSettings) -> str:
    """A folder named after what is run, like react-CaH2-40GPa-1200C-s0."""
    parts = [settings.formula, settings.pressure, settings.temperature]
    return "react-" + "-".join("".join(part.split()) for part in parts) + f"-s{settings.seed}"


class LiveLine:
    """One line on standard error that is rewritten; in a log file, one line every half minute."""

    def __init__(self) -> None:
        from megabar.cli.output import stderr

        self._console, self._last = stderr, 0.0
        self._status = stderr.status("starting") if stderr.is_terminal else None

    def __enter__(self) -> LiveLine:
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._status is not None:
            self._status.stop()

    def show(self, now: RunProgress) -> None:
        import time

        uptake = "" if now.h_per_metal is None else f"  H/M {now.h_per_metal:.2f}"
        minutes, seconds = divmod(int(now.left_s), 60)
        left = f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"
        text = (f"{now.stage} {now.time_ps:.2f}/{now.total_ps:g} ps  {now.temperature_K:.0f} K  "
                f"{now.pressure_GPa:.1f} GPa{uptake}  {now.ns_per_day:.2f} ns/day  {left} left")
        if self._status is not None:
            self._status.update(text)
        elif time.monotonic() - self._last > 30.0:
            self._last = time.monotonic()
            self._console.print(text)


def register(app: typer.Typer) -> None:
    app.command("react")(react)
