"""Options that every verb shares, so that they are spelt and explained once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Out = Annotated[Path | None, typer.Option("--out", help="Folder (or file) for the results.")]
Config = Annotated[Path | None, typer.Option("--config", help="YAML settings; what is given here on the line wins.")]
Seed = Annotated[int | None, typer.Option("--seed", min=0, help="Seed of every random choice.")]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable result on standard output, and nothing else.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would run and what it would cost; write nothing.")]
Pressure = Annotated[str | None, typer.Option("--pressure", help='With its unit, like "40 GPa".')]
Temperature = Annotated[str | None, typer.Option("--temperature", help='With its unit, like "1200 C" or "1473 K".')]
Potential = Annotated[str | None, typer.Option("--potential", help="Name of a shipped potential, or a folder.")]
Level = Annotated[str | None, typer.Option("--level", help="Level of theory of the engine.")]
Phase = Annotated[list[Path] | None, typer.Option("--phase", help="Cell of a phase to try; repeat it.")]
KnownPhases = Annotated[bool | None, typer.Option("--library/--no-library", help="Try the known phases.")]
ZeroPoint = Annotated[bool | None, typer.Option("--zero-point/--static", help="Add zero-point energies.")]
Supercell = Annotated[str | None, typer.Option("--supercell", help="Like 3,3,2; else by length.")]
TaskStore = Annotated[Path | None, typer.Option("--store", help="Folder of tasks; in --out without it.")]
