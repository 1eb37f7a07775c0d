"""`megabar train DATA`: a NEP potential from labelled frames."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from megabar.cli.options import Config, DryRun, Json, Out, Seed
from megabar.potential.training import TrainSettings

SETTINGS = TrainSettings


def train(
    data: Annotated[list[Path], typer.Argument(help="Labelled extxyz files (REF_energy, REF_forces, REF_stress).")],
    out: Out = None,
    config: Config = None,
    seed: Seed = None,
    epochs: Annotated[int | None, typer.Option("--epochs", min=1, help="Passes over the frames.")] = None,
    start: Annotated[Path | None, typer.Option("--start", help="Potential to start from, folder or nep.txt.")] = None,
    draft: Annotated[list[Path] | None, typer.Option(
        "--draft", help="Labels of a cheaper level: a potential of them leads the fit.")] = None,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Train a potential; siblings of one parent stay on one side of the split. Typed again, it resumes."""
    from rich.progress import Progress

    from megabar.campaign.record import RunRecord
    from megabar.campaign.settings import load_settings
    from megabar.cli.output import emit, stderr, table
    from megabar.errors import ExtraMissing
    from megabar.potential import trainer
    from megabar.potential.dataset import dataset_hash, manifest, read_dataset
    from megabar.potential.evaluation import error_rows
    from megabar.potential.training import train as run

    settings = load_settings(TrainSettings, config, seed=seed, epochs=epochs)
    frames = read_dataset(data)
    if dry_run:
        emit({"manifest": manifest(frames), "settings": settings.model_dump()}, True)
        return
    reason = trainer.available()
    if reason is not None:
        raise ExtraMissing(reason)
    folder = out or Path("potential")
    with RunRecord(folder, "train", {"data": data, **settings.model_dump()}, settings.seed) as record, Progress(
        console=stderr, transient=True
    ) as progress:
        record.hashes["dataset"] = dataset_hash(frames)
        bar = progress.add_task("train", total=settings.epochs)
        result = run(data, folder, settings, start=start, draft=draft or [],
                     progress=lambda epoch, _: progress.update(bar, completed=epoch))
        record.results.update(frames=result.frames, overall=(result.validation or result.train).overall)
        record.citations += ["NEP4: 10.1063/5.0106617", "torchnep: arXiv:2606.19557"]
    shown = result.validation or result.train
    columns, rows = error_rows(shown)
    text = table(columns, rows, "held-out frames" if result.validation else "training frames")
    emit(result.as_dict(), json, f"{text}\n{folder}/nep.txt in {result.wall_time_s:.0f} s; parity in {folder}/parity-*")


def register(app: typer.Typer) -> None:
    app.command("train")(train)
