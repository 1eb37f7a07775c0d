"""`megabar evaluate FRAMES`: errors of a potential on labelled frames."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from megabar.cli.options import Json, Out


def evaluate(
    frames: Annotated[list[Path], typer.Argument(help="Frames with REF_* keys or a calculator's results.")],
    potential: Annotated[str, typer.Option("--potential", help="Name of a shipped potential, or a folder.")] = "Ca-H",
    group_by: Annotated[str, typer.Option("--group-by", help="Key of info by which errors are grouped.")] = "kind",
    out: Out = None,
    json: Json = False,
) -> None:
    """Energy, force and stress errors (RMSE and MAE) by group; with --out also parity figures."""
    from megabar.cli.output import emit, table
    from megabar.potential.dataset import read_dataset
    from megabar.potential.evaluation import error_rows
    from megabar.potential.evaluation import evaluate as run
    from megabar.potential.library import load

    chosen = load(potential)
    labelled = read_dataset(frames)
    chosen.require_elements(sorted({s for f in labelled for s in f.atoms.get_chemical_symbols()}))
    result = run(chosen.calculator(), labelled, group_by)
    if out is not None:
        result.save(out)
    columns, rows = error_rows(result)
    emit({"potential": chosen.name, "group_by": group_by, **result.as_dict()}, json,
         table(columns, rows, f"{chosen.name}, by {group_by}"))


def register(app: typer.Typer) -> None:
    app.command("evaluate")(evaluate)
