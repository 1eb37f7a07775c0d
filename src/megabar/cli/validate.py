"""`megabar validate --potential NAME`: the ten checks an expert would run before believing it, as a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from megabar.cli.options import DryRun, Json, Out


def validate(
    potential: Annotated[str, typer.Option("--potential", help="Name of a shipped potential, or a folder.")] = "Ca-H",
    checks: Annotated[str | None, typer.Option("--checks", help='Only these, like "1,3,6".')] = None,
    frames: Annotated[list[Path] | None, typer.Option("--frames", help="Labelled frames it never saw.")] = None,
    relabelled: Annotated[list[Path] | None, typer.Option(
        "--relabelled", help="Labelled frames of a reaction run.")] = None,
    labels: Annotated[list[Path] | None, typer.Option("--labels", help="Labelled dimers, for check 1.")] = None,
    references: Annotated[Path | None, typer.Option("--references", help="Table of reference enthalpies.")] = None,
    reaction: Annotated[list[Path] | None, typer.Option("--reaction", help="Folder of a run of megabar react.")] = None,
    md_scale: Annotated[float, typer.Option("--md-scale", help="Length of the dynamics against the default.")] = 1.0,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Processes.")] = 1,
    out: Out = None,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Run the checks and write validation.md and .html: value, target, pass or fail, figure. Failures stay on the page;
    the exit status is 0 when all ran, whatever they found. Typed again, it goes on."""
    from megabar.campaign.record import RunRecord
    from megabar.cli.output import emit, stderr, table
    from megabar.errors import InputError
    from megabar.validation.run import CHECKS, CITATIONS, Inputs, make_bench
    from megabar.validation.run import validate as run

    try:
        numbers = sorted({int(word) for word in checks.split(",")}) if checks is not None else list(CHECKS)
    except ValueError:
        numbers = []
    if not numbers or not set(numbers) <= set(CHECKS):
        raise InputError(f'checks {checks!r}: write numbers from 1 to {max(CHECKS)}, like "1,3,6"')
    folder = out or Path(f"validation-{Path(potential).name}")
    inputs = Inputs(tuple(frames or ()), tuple(relabelled or ()), tuple(labels or ()), references,
                    tuple(reaction or ()))
    bench = make_bench(potential, folder, inputs, md_scale, jobs)
    if dry_run:
        rows = [[n, CHECKS[n][0]] for n in numbers]
        emit({"potential": bench.potential.name, "checks": numbers, "references": len(bench.references),
              "estimated_minutes": round(4.0 * md_scale + 4.0, 1)}, json,
             table(["check", ""], rows) + f"\n{len(bench.references)} reference points; about {4 * md_scale + 4:.0f} "
             "minutes on one core; nothing written (dry run)")
        return
    with RunRecord(folder, "validate", {"potential": potential, "checks": numbers, "md_scale": md_scale,
                                        **vars(inputs)}) as record:
        result = run(bench, numbers, lambda line: stderr.print(line))
        result.save(folder)
        record.hashes["nep.txt"] = result.potential_hash
        record.results = result.measures
        record.citations += CITATIONS
    rows = [[c.number, c.title, c.status, sum(m.verdict == "pass" for m in c.measures),
             sum(m.verdict == "FAIL" for m in c.measures), sum(m.verdict == "not run" for m in c.measures)]
            for c in result.checks]
    title = f"{result.potential}, version {result.version}"
    emit({**result.as_dict(), "out": str(folder)}, json,
         table(["", "check", "result", "passed", "failed", "not run"], rows, title)
         + f"\npage in {folder}/validation.html and .md")


def register(app: typer.Typer) -> None:
    app.command("validate")(validate)
