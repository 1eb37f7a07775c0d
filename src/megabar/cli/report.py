"""`megabar report RUN`: one self-contained page about a finished reaction run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from megabar.cli.options import DryRun, Json, Out


def report(
    run: Annotated[Path, typer.Argument(help="Folder of a 'megabar react' that has ended.")],
    frames: Annotated[int, typer.Option("--frames", min=1, max=5000, help="Most frames of the 3D view.")] = 150,
    out: Out = None,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Write report.html (figures, 3D view of the trajectory, tables, methods, references; nothing is loaded from the
    net) and references.bib into the run's folder, or into --out."""
    from megabar.cli.output import emit
    from megabar.errors import InputError
    from megabar.report.page import BIBLIOGRAPHY, REPORT, write_report
    from megabar.report.run_folder import RunFolder

    if out is not None and out.exists() and not out.is_dir():
        raise InputError(f"--out {out}: is a file; give a folder")
    target = RunFolder.open(run).path if out is None else out
    if dry_run:
        emit({"run": str(run), "report": str(target / REPORT)}, json,
             f"would write {target / REPORT} and {BIBLIOGRAPHY}; nothing written (dry run)")
        return
    path = write_report(run, out, frames)
    emit({"run": str(run), "report": str(path), "references": str(path.with_name(BIBLIOGRAPHY)),
          "bytes": path.stat().st_size}, json, f"{path} ({path.stat().st_size / 1e6:.1f} MB)")


def register(app: typer.Typer) -> None:
    app.command("report")(report)
