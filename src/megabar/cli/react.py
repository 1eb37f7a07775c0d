"""`megabar react CaH2 --with H2`: run the synthesis reaction at a pressure and a temperature."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from megabar.cli.options import Config, DryRun, Json, Out, Potential, Pressure, Seed, Temperature
from megabar.reaction.settings import ReactSettings

if TYPE_CHECKING:
    from megabar.reaction.run import RunProgress

SETTINGS = ReactSettings


def react(
    formula: Annotated[str | None, typer.Argument(help="The hydride, like CaH2.")] = None,
    with_: Annotated[str | None, typer.Option("--with", help="What it reacts with: H2.")] = None,
    pressure: Pressure = None,
    temperature: Temperature = None,
    time: Annotated[str | None, typer.Option("--time", help='Length of the reaction, like "20 ps".')] = None,
    potential: Potential = None,
    phase: Annotated[str | None, typer.Option("--phase", help="Prototype of the hydride; see cells --list.")] = None,
    face: Annotated[str | None, typer.Option("--face", help="Face of the slab, like 001r.")] = None,
    atoms: Annotated[int | None, typer.Option("--atoms", help="Number of atoms, 600 without it.")] = None,
    timestep_fs: Annotated[float | None, typer.Option("--timestep-fs", help="Time step in fs, 0.5 without it.")] = None,
    ranks: Annotated[int | None, typer.Option("--ranks", help="MPI processes, 1 without it.")] = None,
    out: Out = None,
    config: Config = None,
    seed: Seed = None,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """React a hydride slab with fluid H2. Kill it, type it again, and it goes on; a finished run answers at once."""
    from megabar.campaign.settings import load_settings
    from megabar.cli.output import emit, table
    from megabar.reaction.run import ReactionPlan, run_reaction

    values = {"formula": formula, "reactant": with_, "pressure": pressure, "temperature": temperature, "time": time,
              "potential": potential, "phase": phase, "face": face, "atoms": atoms, "timestep_fs": timestep_fs,
              "ranks": ranks, "seed": seed}
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
    with LiveLine() as line:
        result = run_reaction(settings, folder, line.show)
    summary = {**result.summary(), "out": str(folder)}
    text = (f"{result.formula} + H2: {result.atoms} atoms, {result.time_ps:g} ps at {result.mean_pressure_GPa:.1f} GPa "
            f"and {result.mean_temperature_K:.0f} K, {result.ns_per_day:.2f} ns/day\n"
            + table(["", "start", "end"], result.overview) + "\nfigures:\n"
            + "\n".join(f"  {folder / name}" for name in result.figures)
            + "".join(f"\nnote: {note}" for note in result.notes))
    emit(summary, json, text)


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
