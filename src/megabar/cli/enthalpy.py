"""`megabar enthalpy "CaH2 + H2 -> CaH4" --pressure 0:120:10`: the enthalpy of a reaction under pressure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

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
from megabar.thermodynamics.settings import EnthalpySettings

SETTINGS = EnthalpySettings


def enthalpy(
    reaction: Annotated[str | None, typer.Argument(help='Like "CaH2 + H2 -> CaH4".')] = None,
    pressure: Pressure = None,
    temperature: Annotated[str | None, typer.Option("--temperature", help='Of MD, like "1473 K"; bare: K.')] = None,
    md_pressure: Annotated[str | None, typer.Option("--md-pressure", help='Of the MD, like "20,40,100 GPa".')] = None,
    time: Annotated[str | None, typer.Option("--time", help="Averaged over in each run, 10 ps without it.")] = None,
    atoms: Annotated[int | None, typer.Option("--atoms", help="Of each run, about 200 without it.")] = None,
    potential: Potential = None,
    engine: Annotated[str | None, typer.Option("--engine", help="gpaw or qe, for crystals.")] = None,
    level: Level = None,
    phase: Phase = None,
    library: KnownPhases = None,
    symmetry: Annotated[Literal["keep", "free", "break"] | None,
                        typer.Option("--symmetry", help="As in relax.")] = None,
    zero_point: ZeroPoint = None,
    jobs: Annotated[int | None, typer.Option("--jobs", min=1, help="Runs at a time.")] = None,
    store: TaskStore = None,
    out: Out = None,
    config: Config = None,
    seed: Seed = None,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Static enthalpies of the best phases, with zero point and MD states (solid, liquid, fluid) on request; figures
    of the reaction, its phases and the road through the liquid. Type it again and it goes on."""
    from megabar.campaign.record import RunRecord
    from megabar.campaign.settings import load_settings
    from megabar.campaign.tasks import Outcome, Store
    from megabar.cli.output import emit, stderr, table
    from megabar.thermodynamics.enthalpy_run import EnthalpyPlan, run_enthalpy

    settings = load_settings(SETTINGS, config, reaction=reaction, pressure=pressure, temperature=temperature,
                             md_pressure=md_pressure, time=time, atoms=atoms, potential=potential, engine=engine,
                             level=level, phase=None if phase is None else [str(p) for p in phase], library=library,
                             symmetry=symmetry, zero_point=zero_point, jobs=jobs, seed=seed)
    plan = EnthalpyPlan.make(settings)
    target = out or Path("enthalpy-" + "".join(c if c.isalnum() or c in ".-" else "_" for c in
                                               str(plan.reaction).replace(" -> ", "-to-").replace(" + ", "-")))
    summary = plan.summary()
    if dry_run:
        lines = [[name, str(value)] for name, value in summary.items()]
        emit({**summary, "would_write": str(target)}, json, table(["", ""], lines) + "\nnothing written (dry run)")
        return

    done = {"relax": 0, "phonons": 0, "md": 0}

    def show(stage: str, outcome: Outcome) -> None:
        done[stage] += 1
        if stage == "relax" and outcome.status == "failed":
            stderr.print(f"relaxation failed: {outcome.reason}", markup=False)
        if stage != "relax":
            stderr.print(f"{stage} {done[stage]}: {outcome.status} in {outcome.wall_time_s:.0f} s", markup=False)

    with RunRecord(target, "enthalpy", settings.model_dump(), settings.seed) as record:
        tasks = Store(store or target / "tasks")
        with tasks.lock():
            result, missing = run_enthalpy(plan, tasks, show)
        figures = result.save(target)
        record.results = {"zero_crossings_GPa": result.crossings_GPa()}
        record.citations = plan.source.citations
    values = {**result.to_dict(), "not_run": missing, "figures": figures, "out": str(target)}
    formulas = [f.text for f in plan.reaction.formulas]
    rows: list[list[Any]] = []
    for k, p in enumerate(result.pressure_GPa):
        row: list[Any] = [float(p), float(result.static_eV[k]), float(result.volume_A3[k])]
        if result.with_zero_point_eV is not None:
            row.append(float(result.with_zero_point_eV[k]))
        rows.append([*row, *(result.best[name][k] for name in formulas)])
    extra = [] if result.with_zero_point_eV is None else ["with zero point"]
    head = ["P (GPa)", "static (eV)", "dV (A3)", *extra, *formulas]
    text = table(head, rows, f"{plan.reaction}, {result.source}")
    if result.error_eV is not None:
        text += f"\nerror of the potential +- {result.error_eV:.3f} eV ({result.error_how})"
    for zero_point in (False, True):
        for crossing, error in result.crossings_GPa(zero_point):
            text += (f"\n{'with zero point it changes' if zero_point else 'changes'} sign at {crossing:.1f} GPa"
                     + ("" if error is None else f" +- {error:.1f}"))
    if result.hot:
        keys = ("pressure_GPa", "solid_eV", "solid_error_eV", "liquid_eV", "liquid_error_eV", "liquid_above_solid_eV",
                "liquid_above_solid_error_eV")
        text += "\n\n" + table(["P (GPa)", "solid (eV)", "+-", "liquid (eV)", "+- ", "liquid - solid", "+-  "],
                               [[row.get(k) for k in keys] for row in result.hot_table()],
                               f"at {plan.temperature_K:g} K, relative to the reactants")
    bad = [c.curve for c in result.checks if not c.passed]
    text += f"\ndH/dP = V: {len(result.checks) - len(bad)} of {len(result.checks)} curves pass"
    text += "".join(f"\nnote: {note}" for note in (*result.notes, *missing)) + f"\nfigures and tables in {target}/"
    emit(values, json, text)


def register(app: typer.Typer) -> None:
    app.command("enthalpy")(enthalpy)
