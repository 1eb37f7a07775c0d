"""`megabar movie RUN`: a reaction run as a GIF, and as an MP4 where ffmpeg is found."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from megabar.cli.options import DryRun, Json, Out


def movie(
    run: Annotated[Path, typer.Argument(help="Folder of a 'megabar react' that has ended.")],
    format_: Annotated[str | None, typer.Option("--format", help="gif or mp4; without it gif, and mp4 if ffmpeg is "
                                                "found.")] = None,
    frames: Annotated[int, typer.Option("--frames", min=2, max=2000, help="Most frames.")] = 120,
    rate: Annotated[float, typer.Option("--rate", min=1.0, max=60.0, help="Frames a second.")] = 12.0,
    out: Out = None,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """The slab from the side, H-H bonds drawn, beside its uptake; movie.gif and movie.mp4 in the run's folder, or in
    --out."""
    from megabar.cli.output import emit
    from megabar.errors import InputError
    from megabar.report.movie import ffmpeg, write_movies
    from megabar.report.run_folder import RunFolder

    if out is not None and out.exists() and not out.is_dir():
        raise InputError(f"--out {out}: is a file; give a folder")
    if dry_run:
        target = RunFolder.open(run).path if out is None else out
        formats = [format_] if format_ else ["gif", *(["mp4"] if ffmpeg() else [])]
        files = [str(target / f"movie.{name}") for name in formats]
        emit({"run": str(run), "files": files}, json, f"would write {', '.join(files)}; nothing written (dry run)")
        return
    written = write_movies(run, out, (format_,) if format_ else (), frames, rate)
    emit({"run": str(run), "files": [str(path) for path in written]}, json,
         "\n".join(f"{path} ({path.stat().st_size / 1e6:.1f} MB)" for path in written))


def register(app: typer.Typer) -> None:
    app.command("movie")(movie)
