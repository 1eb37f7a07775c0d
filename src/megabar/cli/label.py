"""`megabar label CELLS`: first-principles energies, forces and stresses, resumable."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from megabar.cli.options import DryRun, Json, Out


def label(
    cells: Annotated[Path, typer.Argument(help="Cells to label: extxyz, CIF, POSCAR or .res.")],
    level: Annotated[str, typer.Option("--level", help="Reference level of theory.")] = "pbe-gpaw-1",
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Processes, one core each.")] = 1,
    out: Out = None,
    store: Annotated[Path | None, typer.Option("--store", help="Folder of the tasks; default: beside --out.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Label at most so many new cells.")] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try quarantined cells again.")] = False,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Label cells at a reference level. Finished labels are kept: kill it, type it again, and it goes on."""
    from megabar.cli.output import emit
    from megabar.firstprinciples.campaign import LabelCampaign

    target = out or cells.with_name(cells.name.split(".")[0] + ".labelled.extxyz")
    campaign = LabelCampaign(cells, target, store or target.with_name(target.name.split(".")[0] + ".tasks"), level,
                             jobs, limit, retry_failed)
    summary = campaign.dry_run() if dry_run else campaign.run()
    text = (f"{summary['labels']} labels in {target}; {summary['failed']} failed; {summary['left']} left"
            + (f"; about {summary['estimated_hours']:.1f} h on {jobs} core(s) (dry run, nothing written)"
               if dry_run else f"; {summary['labels_per_hour']:.0f} labels/hour"))
    for reason, count in summary["failures"].items():
        text += f"\n  {count} x {reason}"
    emit(summary, json, text)


def register(app: typer.Typer) -> None:
    app.command("label")(label)
