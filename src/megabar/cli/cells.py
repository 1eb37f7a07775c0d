"""`megabar cells PLAN.yaml`: training cells from one plan file, or carved out of a reaction run."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from megabar.cli.options import DryRun, Json, Out, Seed


def cells(
    plan: Annotated[Path | None, typer.Argument(help="Plan of blocks; see examples/Ca-H/seed.yaml.")] = None,
    from_run: Annotated[Path | None, typer.Option("--from-run", help="Carve cells out of this run of 'megabar react' "
                                                  "instead.")] = None,
    count: Annotated[int | None, typer.Option("--count", min=1, help="Cells to carve with --from-run, 100 without it.")
                     ] = None,
    out: Out = None,
    seed: Seed = None,
    list_: Annotated[bool, typer.Option("--list", help="List the prototypes and leave.")] = False,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Make training cells: prototypes, random cells, fluids, melts, interfaces and the repulsive wall. Same plan and
    seed, same cells. With --from-run: small cells carved out of a reaction run by region and time, strangest and
    typical atoms in turn, ready for 'megabar label'; 'megabar evaluate' then gives errors by region."""
    from megabar.campaign.settings import load_settings
    from megabar.cli.output import emit, table
    from megabar.crystals import prototypes
    from megabar.crystals.files import write_frames
    from megabar.crystals.plan import Plan, generate
    from megabar.errors import InputError

    if list_:
        entries = [prototypes.prototype(name) for name in prototypes.names()]
        rows = [[e.name, e.space_group, "metal" if e.metallic else "insulator", e.source] for e in entries]
        emit({"prototypes": [e.name for e in entries]}, json, table(["name", "space group", "as", "source"], rows))
        return
    if (plan is None) == (from_run is None):
        raise InputError("cells: give a plan, like examples/Ca-H/seed.yaml, or --from-run RUN, one of them")
    if from_run is not None:
        from megabar.reaction.carving import carve_run

        carving = carve_run(from_run, 100 if count is None else count, seed or 0)
        frames, target = list(carving.cells), out or Path(f"{from_run.resolve().name}-cells.extxyz")
        made = f"from {carving.instants} instants of {from_run}"
        if len(frames) < carving.asked:
            made += f" ({carving.asked} were asked for; no more without repeats)"
    else:
        assert plan is not None
        if count is not None:
            raise InputError("--count: belongs to --from-run; a plan says how many cells each block makes")
        frames, target = list(generate(load_settings(Plan, plan, seed=seed))), out or plan.with_suffix(".extxyz")
        made = f"from {plan}"
    counts = Counter(f.info["kind"] for f in frames)
    sizes = sorted(len(f) for f in frames)
    result = {"cells": len(frames), "kinds": dict(counts), "atoms_median": sizes[len(sizes) // 2],
              "atoms_max": sizes[-1], "out": None if dry_run else str(target)}
    if not dry_run:
        write_frames(target, frames)
    rows = [[kind, count] for kind, count in counts.items()]
    tail = "nothing written (dry run)" if dry_run else f"written to {target}; next: megabar label {target}"
    emit(result, json, table(["kind", "cells"], rows)
         + f"\n{len(frames)} cells {made}, {sizes[0]}-{sizes[-1]} atoms; {tail}")


def register(app: typer.Typer) -> None:
    app.command("cells")(cells)
