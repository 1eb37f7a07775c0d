"""`megabar collect LABELLED...`: one set with its manifest, ready for a repository."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from megabar.cli.options import Json


def collect(
    labelled: Annotated[list[Path], typer.Argument(help="Labelled extxyz files.")],
    out: Annotated[Path, typer.Option("--out", help="The set, like data/Ca-H/labels.extxyz.gz.")],
    elements: Annotated[str | None, typer.Option("--elements", help="Keep frames of these elements only, like H or "
                                                 "Sr,H: labels of hydrogen serve every metal of the level.")] = None,
    json: Json = False,
) -> None:
    """Merge labelled files: repeats dropped, conflicts refused, frames sorted by kind; a manifest.yaml beside it."""
    from megabar.campaign.files import write_yaml
    from megabar.cli.output import emit, table
    from megabar.crystals.files import write_frames
    from megabar.potential.dataset import manifest, of_elements, read_dataset

    frames = sorted(read_dataset(labelled), key=lambda f: (f.kind, str(f.atoms.info.get("task", ""))))
    if elements is not None:
        frames = of_elements(frames, elements.replace(",", " ").split())
    write_frames(out, [f.atoms for f in frames])
    summary = manifest(frames)
    write_yaml(out.with_name("manifest.yaml"), {"file": out.name, **summary})
    rows = [[kind, count] for kind, count in summary["by_kind"].items()]
    emit(summary, json, table(["kind", "frames"], rows) + f"\n{summary['frames']} frames in {out}, and manifest.yaml")


def register(app: typer.Typer) -> None:
    app.command("collect")(collect)
