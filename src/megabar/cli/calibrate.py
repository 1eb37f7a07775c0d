"""`megabar calibrate LABELLED...`: is the uncertainty of a potential trained on this set worth its name?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from megabar.cli.options import Config, DryRun, Json, Out
from megabar.potential.training import TrainSettings

SETTINGS = TrainSettings


def calibrate(
    data: Annotated[list[Path], typer.Argument(help="Labelled frames.")],
    members: Annotated[int, typer.Option("--members", min=2, help="Members of the committee.")] = 4,
    max_pressure: Annotated[str | None, typer.Option(
        "--max-pressure", help='Train below it only, and judge what lies beyond as well, like "100 GPa".')] = None,
    out: Out = None,
    config: Config = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Seed of split, bootstraps and starts.")] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", min=1, help="Passes over the data for a member.")] = None,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Train a bootstrap committee and a graded potential, and compare spread and grade with true errors on held-out
    families: coverage at 68 and 95 %, rank correlations, and what happens beyond the training pressures."""
    from rich.progress import Progress

    from megabar.campaign.record import RunRecord
    from megabar.campaign.settings import load_settings
    from megabar.cli.output import emit, stderr, table
    from megabar.errors import ExtraMissing
    from megabar.potential import trainer
    from megabar.potential.calibration import atom_errors
    from megabar.potential.calibration import calibrate as run
    from megabar.potential.committee import split_for_calibration, train_committee, train_graded
    from megabar.potential.dataset import dataset_hash, read_dataset
    from megabar.potential.library import load
    from megabar.units import parse_pressure_GPa

    settings = load_settings(TrainSettings, config, seed=seed, epochs=epochs)
    limit = None if max_pressure is None else parse_pressure_GPa(max_pressure)
    kept, held, beyond = split_for_calibration(read_dataset(data), settings.validation_share, settings.seed, limit)
    counts = {"training": len(kept), "held_out": len(held), "beyond": len(beyond), "members": members}
    if dry_run:
        emit({**counts, "epochs": settings.epochs}, json, f"{counts}\nnothing written (dry run)")
        return
    if (reason := trainer.available()) is not None:
        raise ExtraMissing(reason)
    folder = out or Path("calibration")
    with RunRecord(folder, "calibrate", {"data": data, "members": members, "max_pressure_GPa": limit,
                                         **settings.model_dump()}, settings.seed) as record, Progress(
            console=stderr, transient=True) as progress:
        record.hashes["dataset"] = dataset_hash([*kept, *held, *beyond])
        bar = progress.add_task("train", total=settings.epochs * (members + 1))
        committee = train_committee(
            kept, held, folder, settings, members, settings.seed,
            lambda m, epoch: progress.update(bar, completed=m * settings.epochs + epoch, description=f"member {m}"))
        graded = train_graded(
            kept, folder / "potential", settings, settings.seed,
            lambda epoch, _: progress.update(bar, completed=members * settings.epochs + epoch, description="graded"))
        result = run(atom_errors(held, committee, load(graded), beyond), settings.seed)
        result.save(folder)
        record.results = {**counts, "best": result.best}
        record.citations += ["bootstrap: Efron and Tibshirani (1993)", "grade: 10.1016/j.commatsci.2017.08.031"]
    summary = result.as_dict()
    rows = [[name, int(row["atoms"] or 0), row["spread"], row["grade"]] for name, row in result.ranks.items()]
    rows.append(["whole frames inside", int(result.frame_ranks["frames"] or 0), result.frame_ranks["spread"],
                 result.frame_ranks["grade"]])
    cover = [[name, f"{100 * c['raw']:.1f} %", f"{100 * c['calibrated']:.1f} %"]
             for name, c in summary["coverage"].items()]
    failing = [name for name, good in summary["passes"].items() if not good]
    verdict = (f"rank correlation below {summary['wanted_rank']}: {', '.join(failing)}; best is {result.best}"
               if failing else f"both measures reach {summary['wanted_rank']}; best is {result.best}")
    emit({**counts, **summary, "out": str(folder)}, json,
         table(["atoms of", "number", "spread", "grade"], rows, "rank correlation with the true force error") + "\n"
         + table(["claimed", "found", f"times {result.factor:.2f}"], cover, "coverage of force components")
         + f"\n{verdict}\nfigure in {folder}/calibration.png")


def register(app: typer.Typer) -> None:
    app.command("calibrate")(calibrate)
