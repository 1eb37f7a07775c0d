"""`megabar scan LABELLED... --config PLAN`: hyper-parameters by a recorded scan."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from megabar.cli.options import Config, DryRun, Json, Out
from megabar.potential.scan import ScanPlan

SETTINGS = ScanPlan


def scan(
    data: Annotated[list[Path], typer.Argument(help="Labelled frames.")],
    config: Config = None,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Trainings at a time, one core each.")] = 1,
    out: Out = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Seed of the start, instead of the plan's.")] = None,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Train a point for every value of the plan's grid on one split and rank them. Finished points are kept: kill it,
    type it again, and it goes on."""
    from rich.progress import Progress

    from megabar.campaign.record import RunRecord
    from megabar.campaign.settings import load_settings
    from megabar.campaign.tasks import Store
    from megabar.cli.output import emit, stderr, table
    from megabar.errors import ExtraMissing, InputError
    from megabar.potential import trainer
    from megabar.potential.dataset import read_dataset
    from megabar.potential.scan import TARGETS, run_scan

    if config is None:
        raise InputError("scan: no plan; give --config FILE ('megabar init scan' writes a template)")
    plan = load_settings(ScanPlan, config, seeds=None if seed is None else [seed])
    points, frames = plan.points(), read_dataset(data)
    total = len(points) * len(plan.seeds)
    # Measured: 3 ms for a frame and epoch (default form), 50 ms for a frame and Gauss-Newton step (50 neurons).
    seconds = plan.families_share * len(frames) * (0.003 * plan.base.epochs + 0.05 * plan.base.refine_iterations)
    hours = total * seconds / 3600.0 / jobs
    if dry_run:
        emit({"points": points, "trainings": total, "estimated_hours": hours}, json,
             "\n".join(str(p) for p in points) + f"\n{total} trainings, about {hours:.1f} h (dry run, nothing written)")
        return
    if (reason := trainer.available()) is not None:
        raise ExtraMissing(reason)
    folder = out or Path("scan")
    store = Store(folder / "tasks")
    with store.lock(), RunRecord(folder, "scan", {"data": data, **plan.model_dump(mode="json")}) as record, Progress(
            console=stderr, transient=True) as progress:
        bar = progress.add_task("scan", total=total)
        result = run_scan(plan, data, store, jobs, lambda _: progress.advance(bar))
        result.save(folder)
        record.hashes["dataset"] = result.dataset
        record.results = {"best": result.best.name}
        record.citations += ["NEP4: 10.1063/5.0106617", "torchnep: arXiv:2606.19557"]
    rows = [[p.name, p.score, *(p.errors.get(k) for k in TARGETS), p.parameters, p.reason] for p in result.points]
    emit({**result.as_dict(), "out": str(folder)}, json,
         table(["point", "score", "E meV/atom", "F eV/A", "S GPa", "parameters", ""], rows)
         + f"\nbest: {result.best.name}; settings in {folder}/best.yaml")


def register(app: typer.Typer) -> None:
    app.command("scan")(scan)
