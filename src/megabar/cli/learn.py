"""`megabar learn PLAN`: explore, pick, label, retrain, until the potential knows what it meets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from megabar.cli.options import DryRun, Json, Out
from megabar.dynamics.learning_plan import LearnPlan

SETTINGS = LearnPlan


def learn(
    plan: Annotated[Path, typer.Argument(help="YAML plan; 'megabar init learn' writes a template.")],
    rounds: Annotated[int | None, typer.Option("--rounds", min=1, help="Most rounds, over the plan's.")] = None,
    jobs: Annotated[int | None, typer.Option("--jobs", min=1, help="Labels and runs at a time.")] = None,
    out: Out = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Seed of every random choice.")] = None,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Improve a potential by itself. Kill it anywhere, type it again, and it goes on; a failed label never stops it."""
    from megabar.campaign.settings import load_settings
    from megabar.cli.output import emit, stderr, table
    from megabar.dynamics.learning import Loop

    settings = load_settings(LearnPlan, plan, jobs=jobs, seed=seed)
    if rounds is not None:
        settings = settings.model_copy(update={"stop": settings.stop.model_copy(update={"rounds": rounds})})
    folder = out or Path(f"learn-{settings.metal}-H")
    loop = Loop(settings, folder, plan.resolve().parent, lambda line: stderr.print(line, soft_wrap=True))
    if dry_run:
        summary = loop.dry_run()
        emit(summary, json, table(["", ""], [[name, str(value)] for name, value in summary.items()])
             + "\nnothing written (dry run)")
        return
    result = loop.run()
    columns = ["round", "frames", "accurate", "candidate", "failed", "new labels", "failed labels", "labels",
               "F error new eV/A", "F error held out"]
    rows = [[r.number, r.frames, *(f"{100 * s:.1f} %" for s in (r.accurate, r.candidate, r.failed)), r.labelled,
             r.failed_labels, r.labels_total, r.force_rmse_eV_per_A, r.held_out_force_rmse_eV_per_A]
            for r in result.rounds]
    emit({**result.as_dict(), "out": str(folder)}, json,
         table(columns, rows) + f"\nended: {result.ended_by}\npotential in {result.potential}; convergence in "
         f"{folder}/convergence.png")


def register(app: typer.Typer) -> None:
    app.command("learn")(learn)
