"""`megabar eos FILE`: equations of state from a table, a potential or an engine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from megabar.cli.options import Config, DryRun, Json, Level, Out, Potential, Pressure
from megabar.thermodynamics.settings import EOSSettings

SETTINGS = EOSSettings


def eos(
    source_file: Annotated[str, typer.Argument(
        metavar="FILE", help="Table (.csv, .yaml) of volume_A3 with energy_eV or pressure_GPa; or a crystal.")],
    pressure: Pressure = None,
    form: Annotated[Literal["BM3", "Vinet", "AP2"] | None, typer.Option("--form", help="For the tables.")] = None,
    formula: Annotated[str | None, typer.Option("--formula", help="What the volumes of a table belong to.")] = None,
    potential: Potential = None,
    engine: Annotated[str | None, typer.Option("--engine", help="gpaw or qe, for small cells.")] = None,
    level: Level = None,
    symmetry: Annotated[Literal["keep", "free", "break"] | None, typer.Option(
        "--symmetry", help="As in relax.")] = None,
    config: Config = None,
    out: Out = None,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Fit BM3, Vinet and Holzapfel AP2 with covariance; V(P) and K(P) with their errors.

    A table is fitted as it is (--pressure then says where to print V and K); a crystal is relaxed at every --pressure
    (0:200:20) first, and resumes where it stopped.
    """
    from megabar.campaign.record import RunRecord
    from megabar.campaign.settings import load_settings
    from megabar.campaign.tasks import Store
    from megabar.cli.output import emit, stderr, table
    from megabar.errors import InputError
    from megabar.thermodynamics.engines import choose
    from megabar.thermodynamics.eos import fit_all
    from megabar.thermodynamics.eosdata import compute_points, read_points
    from megabar.thermodynamics.inputs import crystal, folder_name, with_error
    from megabar.units import parse_pressures_GPa

    given = load_settings(EOSSettings, config, pressure=pressure, form=form, formula=formula, potential=potential,
                          engine=engine, level=level, symmetry=symmetry)
    is_table = Path(source_file).suffix.lower() in (".csv", ".yaml", ".yml", ".dat", ".txt")
    pressures = None if given.pressure is None else parse_pressures_GPa(given.pressure)
    target = out or folder_name("eos", source_file)
    settings = {"file": source_file, "pressure": given.pressure, "form": given.form,
                "formula": given.formula, "symmetry": given.symmetry}
    notes: tuple[str, ...] = ()
    if is_table:
        if given.potential is not None or given.engine is not None or given.level is not None:
            raise InputError(f"{source_file} is a table and needs no energies; leave --potential and --engine away")
        data = read_points(source_file, given.formula)
        result = fit_all(data, chosen=given.form)
        if dry_run:
            emit({"would_write": str(target), "points": len(data.volume_A3)}, json,
                 f"eos: {len(data.volume_A3)} points; would write {target}/")
            return
        with RunRecord(target, "eos", settings) as record:
            result.save(target)
            record.results = result.to_dict()
    else:
        source = choose(given.potential, given.engine, given.level)
        if pressures is None or len(pressures) < 4:
            raise InputError("eos: a curve wants four pressures or more; write a range like --pressure 0:200:20")
        atoms = crystal(source_file, pressures[0])
        source.check([atoms], pressures)
        if dry_run:
            emit({"would_write": str(target), "tasks": len(pressures), "atoms": len(atoms), "source": source.label},
                 json, f"eos: {len(pressures)} relaxations, {len(atoms)} atoms, {source.label}; would write {target}/")
            return
        with RunRecord(target, "eos", settings | {"source": source.label}) as record:
            store = Store(target / "tasks")
            with store.lock():
                data, _, notes = compute_points(atoms, source, pressures, store, given.symmetry, lambda r: stderr.print(
                    f"{r.target_pressure_GPa:g} GPa: {r.volume_A3 / r.formula_units:.3f} A3/fu, {r.space_group}"))
            result = fit_all(data, chosen=given.form)
            result.save(target)
            record.results, record.citations = result.to_dict(), source.citations
    for note in (*notes, *result.notes):
        stderr.print(f"note: {note}")
    shown = pressures if pressures is not None else list(result.pressures_GPa[::20])
    values = result.table(shown)
    rows = [[f.form, *(with_error(float(v), float(e)) for v, e in zip(f.values[:3], f.sigma[:3], strict=True)),
             None if data.energy_eV is None else f"{f.rms_energy_eV * 1e3:.2f}",
             None if data.pressure_GPa is None else f"{f.rms_pressure_GPa:.3f}"] for f in result.fits.values()]
    text = table(["form", "V0 (A3)", "K0 (GPa)", "K'", "rms E (meV)", "rms P (GPa)"], rows)
    points = [[p, with_error(v, dv), with_error(k, dk), f"{spread:.3f}"]
              for p, v, dv, k, dk, spread in zip(*values.values(), strict=True)]
    text += "\n\n" + table(["P (GPa)", "V (A3)", "K (GPa)", "forms differ (A3)"], points,
                           f"{result.chosen}, per {data.unit}")
    emit(result.to_dict() | {"notes": [*notes, *result.notes], "table": values}, json, f"{text}\nfigure in {target}/")


def register(app: typer.Typer) -> None:
    app.command("eos")(eos)
