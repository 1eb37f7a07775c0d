"""`megabar relax FILE --pressure "40 GPa"`: cell and ions at a pressure."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from megabar.cli.options import Config, DryRun, Json, Level, Out, Potential, Pressure, Seed
from megabar.thermodynamics.settings import RelaxSettings

SETTINGS = RelaxSettings


def relax(
    cell: Annotated[str, typer.Argument(help="Crystal: a file, or a library name like CaH4-I4/mmm.")],
    pressure: Pressure = None,
    potential: Potential = None,
    engine: Annotated[str | None, typer.Option("--engine", help="gpaw or qe, for small cells.")] = None,
    level: Level = None,
    symmetry: Annotated[Literal["keep", "free", "break"] | None, typer.Option(
        "--symmetry", help="Keep the space group, hold nothing, or move off it at random first.")] = None,
    seed: Seed = None,
    config: Config = None,
    out: Out = None,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Relax cell and ions at one or more pressures, to 1e-3 eV/A and 0.01 GPa; enthalpy with the pressure reached.

    Says when the space group changed, and into what. Resumes where it stopped.
    """
    from megabar.campaign.record import RunRecord
    from megabar.campaign.settings import load_settings
    from megabar.campaign.tasks import Store
    from megabar.cli.output import emit, stderr, table
    from megabar.errors import InputError
    from megabar.thermodynamics.engines import choose
    from megabar.thermodynamics.inputs import crystal, folder_name
    from megabar.thermodynamics.relax import Relaxed
    from megabar.thermodynamics.series import relaxed_series
    from megabar.units import parse_pressures_GPa

    given = load_settings(RelaxSettings, config, pressure=pressure, potential=potential, engine=engine, level=level,
                          symmetry=symmetry, seed=seed)
    if given.pressure is None:
        raise InputError('relax: no pressure; write it like --pressure "40 GPa" or --pressure 0:100:20')
    pressures = parse_pressures_GPa(given.pressure)
    source = choose(given.potential, given.engine, given.level)
    atoms = crystal(cell, pressures[0])
    source.check([atoms], pressures)
    target = out or folder_name("relax", cell)
    if dry_run:
        emit({"would_write": str(target), "tasks": len(pressures), "atoms": len(atoms), "source": source.label}, json,
             f"relax: {len(pressures)} pressures, {len(atoms)} atoms, {source.label}; would write {target}/")
        return

    def report(result: Relaxed) -> None:
        for note in result.notes:
            stderr.print(f"note: {result.target_pressure_GPa:g} GPa: {note}")

    settings = {"cell": cell, "pressure": given.pressure, "source": source.label, "symmetry": given.symmetry}
    with RunRecord(target, "relax", settings, given.seed) as record:
        store = Store(target / "tasks")
        with store.lock():
            series = relaxed_series(atoms, source, pressures, store, given.symmetry, given.seed or 0, report)
        for result in series:
            result.save(target, f"{result.formula}-{result.target_pressure_GPa:g}GPa")
        record.citations += source.citations
        record.results["relaxed"] = [r.to_dict() for r in series]
    rows = [[r.target_pressure_GPa, r.pressure_GPa, r.volume_A3 / r.formula_units, r.enthalpy_eV_per_formula,
             r.space_group, len(r.history) - 1] for r in series]
    text = table(["P (GPa)", "reached (GPa)", "V (A3/fu)", "H (eV/fu)", "symmetry", "steps"], rows,
                 f"{series[0].formula}, {source.label}")
    emit({"source": source.label, "relaxed": [r.to_dict() for r in series]}, json, f"{text}\ncells in {target}/")


def register(app: typer.Typer) -> None:
    app.command("relax")(relax)
