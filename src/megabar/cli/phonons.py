"""`megabar phonons FILE --pressure "40 GPa"`: phonons at pressure, and with a range the quasi-harmonic Gibbs energy."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from megabar.cli.options import Config, DryRun, Json, Level, Out, Potential, Pressure, Supercell
from megabar.thermodynamics.settings import PhononSettings

SETTINGS = PhononSettings


def phonons(
    cell: Annotated[str, typer.Argument(help="Crystal: a file, or a library name like CaH4-I4/mmm.")],
    pressure: Pressure = None,
    temperature: Annotated[str | None, typer.Option("--temperature", help="For G(P,T), like 0:2000:100.")] = None,
    energies: Annotated[str | None, typer.Option(
        "--energies", help="More pressures, relaxed for the static curve, without phonons.")] = None,
    potential: Potential = None,
    engine: Annotated[str | None, typer.Option("--engine", help="gpaw or qe, for small cells.")] = None,
    level: Level = None,
    supercell: Supercell = None,
    displacement: Annotated[float | None, typer.Option("--displacement", help="In A.")] = None,
    jobs: Annotated[int | None, typer.Option("--jobs", min=1, help="Processes, for an engine.")] = None,
    config: Config = None,
    out: Out = None,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Relax at each pressure, then phonons by finite displacements: verdict on imaginary modes, bands, DOS, zero point.

    With four pressures or more, also the quasi-harmonic Gibbs energy (gibbs.json, which 'megabar phases' takes); begin
    below zero pressure, like --pressure=-10,0,10,20, where thermal expansion is wanted at the low end. Where phonons
    are dear, three pressures with them and more in --energies will do. Resumes.
    """
    from megabar.campaign.record import RunRecord
    from megabar.campaign.settings import load_settings
    from megabar.campaign.tasks import Store
    from megabar.cli.output import emit, stderr, table
    from megabar.errors import InputError, RunError
    from megabar.thermodynamics.engines import choose
    from megabar.thermodynamics.inputs import (
        crystal,
        folder_name,
        parse_static_pressures_GPa,
        parse_supercell,
        parse_temperatures_K,
    )
    from megabar.thermodynamics.phonons import (
        Phonons,
        default_displacement_A,
        default_length_A,
        estimated_cpu_s,
        phonon_series,
        standard_primitive,
        supercell_for,
    )
    from megabar.thermodynamics.quasiharmonic import gibbs_from
    from megabar.thermodynamics.series import relaxed_series

    given = load_settings(PhononSettings, config, pressure=pressure, temperature=temperature, energies=energies,
                          potential=potential, engine=engine, level=level, supercell=supercell,
                          displacement=displacement, jobs=jobs)
    if given.pressure is None:
        raise InputError('phonons: no pressure; write it like --pressure "40 GPa" or --pressure 0:100:20')
    pressures = parse_static_pressures_GPa(given.pressure)
    temperatures = None if given.temperature is None else parse_temperatures_K(given.temperature)
    relaxed_at = pressures if given.energies is None else sorted({*pressures,
                                                                  *parse_static_pressures_GPa(given.energies)})
    gibbs_wanted = len(pressures) >= 3 and len(relaxed_at) >= 4
    if temperatures is not None and not gibbs_wanted:
        raise InputError("phonons: a Gibbs energy wants four pressures or more, three of them with phonons; write a "
                         "range like 0:100:20, or add to --energies")
    counts = parse_supercell(given.supercell)
    source = choose(given.potential, given.engine, given.level)
    atoms = crystal(cell, max(0.0, pressures[0]))
    source.check([atoms], [p for p in relaxed_at if p >= 0.0])
    target = out or folder_name("phonons", cell)
    if dry_run:
        small = standard_primitive(atoms)
        chosen = counts or supercell_for(small, default_length_A(source))
        number, cost = estimated_cpu_s(small, source, chosen, given.displacement or default_displacement_A(source))
        emit({"would_write": str(target), "pressures": len(relaxed_at), "supercell": list(chosen),
              "calculations": number * len(pressures), "cost_s": cost * len(pressures) / given.jobs}, json,
             f"phonons: {len(relaxed_at)} relaxations and {number * len(pressures)} supercells {chosen}, about "
             f"{cost * len(pressures) / given.jobs / 60:.1f} min beside the relaxations; would write {target}/")
        return

    def report(result: Phonons) -> None:
        result.save(target, f"phonons-{result.relaxed.target_pressure_GPa:g}GPa")
        stderr.print(f"{result.relaxed.target_pressure_GPa:g} GPa: {result.verdict.kind}; {result.verdict.text}")

    settings = {"cell": cell, "pressure": given.pressure, "temperature": given.temperature, "energies": given.energies,
                "source": source.label, "supercell": given.supercell, "displacement": given.displacement}
    values: dict[str, Any] = {"source": source.label}
    with RunRecord(target, "phonons", settings) as record:
        record.citations = [*source.citations, "phonopy: 10.7566/JPSJ.92.012001"]
        store = Store(target / "tasks")
        with store.lock():
            series = relaxed_series(atoms, source, relaxed_at, store)
            vibrating = [relaxed for relaxed in series if relaxed.target_pressure_GPa in pressures]
            spectra = phonon_series(vibrating, source, store, supercell=counts, displacement_A=given.displacement,
                                    jobs=given.jobs, report=report)
        values["phonons"] = record.results["phonons"] = [s.to_dict() for s in spectra]
        notes = {note for s in spectra for note in (*s.notes, *s.relaxed.notes)}
        if gibbs_wanted:
            first = spectra[0].relaxed
            per_formula = len(first.atoms) // first.formula_units
            error = (source.energy_error_eV_per_atom(first.formula) or 0.0) * per_formula
            try:
                gibbs = gibbs_from(str(target.name).removeprefix("phonons-"), spectra, series, error)
            except (RunError, InputError) as problem:
                if temperatures is not None:
                    raise
                notes.add(f"no Gibbs energy: {problem}")
            else:
                grid = temperatures if temperatures is not None else parse_temperatures_K("0:2000:100")
                shown = [p for p in pressures if p >= 0.0]
                gibbs.save(target, shown, list(grid))
                notes |= {*gibbs.notes, *gibbs.refusals(shown, list(grid))}
                values["gibbs"] = gibbs.table(shown, list(grid))
        values["notes"] = sorted(notes)
    for note in values["notes"]:
        stderr.print(f"note: {note}")
    rows = [[s.relaxed.target_pressure_GPa, s.relaxed.volume_A3 / s.relaxed.formula_units, s.relaxed.space_group,
             f"{s.zero_point_eV_per_atom * 1e3:.1f}" if s.verdict.free_energy else None,
             f"{s.frequencies_THz.max():.1f}", f"{s.verdict.lowest_THz:.2f}", s.verdict.kind] for s in spectra]
    text = table(["P (GPa)", "V (A3/fu)", "symmetry", "ZPE (meV/atom)", "highest (THz)", "lowest", "verdict"], rows,
                 f"{spectra[0].relaxed.formula}, {source.label}, supercell {spectra[0].supercell}")
    emit(values, json, f"{text}\nfigures in {target}/")


def register(app: typer.Typer) -> None:
    app.command("phonons")(phonons)
