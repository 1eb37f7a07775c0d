"""`megabar hull Ca H --pressure 0:200:10`: the convex hull under pressure, and how sure it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from megabar.cli.options import (
    Config,
    DryRun,
    Json,
    KnownPhases,
    Level,
    Out,
    Phase,
    Potential,
    Pressure,
    Seed,
    TaskStore,
    ZeroPoint,
)
from megabar.thermodynamics.settings import HullSettings

SETTINGS = HullSettings


def hull(
    elements: Annotated[list[str] | None, typer.Argument(help="Like Ca H.")] = None,
    pressure: Pressure = None,
    table: Annotated[Path | None, typer.Option("--table", help="CSV of published enthalpies instead.")] = None,
    potential: Potential = None,
    engine: Annotated[str | None, typer.Option("--engine", help="gpaw or qe.")] = None,
    level: Level = None,
    phase: Phase = None,
    library: KnownPhases = None,
    symmetry: Annotated[Literal["keep", "free", "break"] | None,
                        typer.Option("--symmetry", help="As in relax.")] = None,
    zero_point: ZeroPoint = None,
    temperature: Annotated[str | None, typer.Option("--temperature", help='Harmonic, like "300 K"; bare: K.')] = None,
    error_meV: Annotated[float | None, typer.Option("--error-meV", help="Per atom; else the potential's.")] = None,
    samples: Annotated[int | None, typer.Option("--samples", help="Draws of the error analysis.")] = None,
    jobs: Annotated[int | None, typer.Option("--jobs", min=1, help="Relaxations at a time.")] = None,
    store: TaskStore = None,
    out: Out = None,
    config: Config = None,
    seed: Seed = None,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Hull of all known and given phases at every pressure; probabilities and stability ranges from the errors of the
    energies; hull.png, hull.csv, ranges.csv and a page to move through pressure."""
    from megabar.campaign.files import file_hash
    from megabar.campaign.record import RunRecord
    from megabar.campaign.settings import load_settings
    from megabar.campaign.tasks import Outcome, Store
    from megabar.cli.output import emit, stderr
    from megabar.thermodynamics.hull import above_hull
    from megabar.thermodynamics.hull_run import plan_phases, run_hull, table_hull

    settings = load_settings(SETTINGS, config, elements=elements or None, pressure=pressure,
                             table=None if table is None else str(table), potential=potential, engine=engine,
                             level=level, phase=None if phase is None else [str(p) for p in phase], library=library,
                             symmetry=symmetry, zero_point=zero_point, temperature=temperature, error_meV=error_meV,
                             samples=samples, jobs=jobs, seed=seed)
    name = Path(settings.table).stem if settings.table else "-".join(settings.elements)
    target = out or Path(f"hull-{name}")
    if settings.table is not None:
        result = table_hull(settings)
        count = 0
    else:
        _, source, pressures, groups, _ = plan_phases(settings)
        count = sum(map(len, groups)) * len(pressures)
    if dry_run:
        emit({"relaxations": count, "would_write": str(target)}, json,
             f"hull: {count} relaxations; would write {target}/")
        return

    def show(stage: str, outcome: Outcome) -> None:
        if outcome.status == "failed":
            stderr.print(f"{stage} failed: {outcome.reason}", markup=False)

    with RunRecord(target, "hull", settings.model_dump(), settings.seed) as record:
        if settings.table is not None:
            record.hashes[settings.table] = file_hash(settings.table)
        else:
            tasks = Store(store or target / "tasks")
            with tasks.lock():
                result, _, source = run_hull(settings, tasks, show)
            record.citations = source.citations
        figures = result.save(target)
        record.citations.append("pymatgen phase diagrams: 10.1016/j.commatsci.2012.10.028")
        record.results = {"ranges": [r.text() for r in result.ranges]}
    lines = [f"{'-'.join(result.elements)}, {result.condition}, {result.source}"]
    lines += [f"  {r.text()}" for r in result.ranges] or ["  no compound is on the hull"]
    far = above_hull(result.margin_eV)
    stable = {r.formula for r in result.ranges}
    for i, compound in enumerate(result.compounds):
        if len(compound.formula.elements) > 1 and compound.formula.text not in stable:
            k = int(far[i].argmin())
            chance = "" if result.probability is None else f", probability at most {result.probability[i].max():.2f}"
            lines.append(f"  {compound.formula.text}: never; nearest {1e3 * far[i, k]:.1f} meV/atom above it at "
                         f"{result.pressure_GPa[k]:g} GPa{chance}")
    lines += [f"note: {note}" for note in result.notes] + [f"figures and tables in {target}/"]
    emit({**result.to_dict(), "figures": figures, "out": str(target)}, json, "\n".join(lines))


def register(app: typer.Typer) -> None:
    app.command("hull")(hull)
