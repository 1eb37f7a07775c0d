"""`megabar cells PLAN.yaml`: training cells from one plan file."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from megabar.cli.options import DryRun, Json, Out, Seed


def cells(
    plan: Annotated[Path | None, typer.Argument(help="Plan of blocks; see examples/Ca-H/seed.yaml.")] = None,
    out: Out = None,
    seed: Seed = None,
    list_: Annotated[bool, typer.Option("--list", help="List the prototypes and leave.")] = False,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Make training cells: prototypes, random cells, fluids, melts, interfaces and the repulsive wall. Same plan and
    seed, same cells."""
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
    if plan is None:
        raise InputError("cells: no plan given; write one like examples/Ca-H/seed.yaml and name it")
    settings = load_settings(Plan, plan, seed=seed)
    target = out or plan.with_suffix(".extxyz")
    frames = list(generate(settings))
    counts = Counter(f.info["kind"] for f in frames)
    sizes = sorted(len(f) for f in frames)
    result = {"cells": len(frames), "kinds": dict(counts), "atoms_median": sizes[len(sizes) // 2],
              "atoms_max": sizes[-1], "out": None if dry_run else str(target)}
    if not dry_run:
        write_frames(target, frames)
    rows = [[kind, count] for kind, count in counts.items()]
    tail = "nothing written (dry run)" if dry_run else f"written to {target}; next: megabar label {target}"
    emit(result, json, table(["kind", "cells"], rows) + f"\n{len(frames)} cells, {sizes[0]}-{sizes[-1]} atoms; {tail}")


def register(app: typer.Typer) -> None:
    app.command("cells")(cells)
