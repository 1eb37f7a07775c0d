"""`megabar phases A B ... --pressure 0:20:1 --temperature 0:3000:100`: P-T diagram of phases of one composition."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from megabar.cli.options import Config, DryRun, Json, Level, Out, Potential, Pressure, Supercell
from megabar.thermodynamics.settings import PhasesSettings

SETTINGS = PhasesSettings


def phases(
    phase: Annotated[list[str], typer.Argument(
        help="Folders of 'megabar phonons' (or gibbs.json), crystals as files, or library names like CaH2-Pnma.")],
    pressure: Pressure = None,
    temperature: Annotated[str | None, typer.Option("--temperature", help="Range in K, like 0:3000:100.")] = None,
    overlay: Annotated[Path | None, typer.Option(
        "--overlay", help="Table of pressure_GPa, temperature_K, series to draw on top (experiments).")] = None,
    static: Annotated[str | None, typer.Option(
        "--static", help="Pressures at which crystals are relaxed and get phonons; default from --pressure.")] = None,
    potential: Potential = None,
    engine: Annotated[str | None, typer.Option("--engine", help="gpaw or qe, for small cells.")] = None,
    level: Level = None,
    supercell: Supercell = None,
    jobs: Annotated[int | None, typer.Option("--jobs", min=1, help="Processes, for an engine.")] = None,
    config: Config = None,
    out: Out = None,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Which phase has the lowest quasi-harmonic Gibbs energy at each P and T; lines with error bands. Resumes."""
    from megabar.campaign.record import RunRecord
    from megabar.campaign.settings import load_settings
    from megabar.campaign.tasks import Store
    from megabar.cli.output import emit, stderr, table
    from megabar.errors import InputError
    from megabar.thermodynamics.engines import choose
    from megabar.thermodynamics.inputs import (
        crystal,
        default_static_pressures_GPa,
        folder_name,
        parse_static_pressures_GPa,
        parse_supercell,
        parse_temperatures_K,
    )
    from megabar.thermodynamics.phases import phase_diagram, read_overlay
    from megabar.thermodynamics.phonons import Phonons, phonon_series
    from megabar.thermodynamics.quasiharmonic import Gibbs, gibbs_from, load_gibbs
    from megabar.thermodynamics.series import relaxed_series, same_phase
    from megabar.units import parse_pressures_GPa

    given = load_settings(PhasesSettings, config, pressure=pressure, temperature=temperature, static=static,
                          overlay=None if overlay is None else str(overlay), potential=potential, engine=engine,
                          level=level, supercell=supercell, jobs=jobs)
    if given.pressure is None:
        raise InputError("phases: no pressures; write a range like --pressure 0:20:1")
    pressures, temperatures = parse_pressures_GPa(given.pressure), parse_temperatures_K(given.temperature)
    if len(pressures) < 2 or len(temperatures) < 2:
        raise InputError("phases: give ranges of pressures and temperatures, like 0:20:1 and 0:2000:100")
    if len(phase) < 2:
        raise InputError("phases: one phase makes no diagram; name two or more")
    counts = parse_supercell(given.supercell)
    known: dict[str, Gibbs] = {}
    cells = {}
    grid = default_static_pressures_GPa(pressures) if given.static is None else parse_static_pressures_GPa(given.static)
    for text in phase:
        path = Path(text)
        if path.is_dir() or path.name == "gibbs.json":
            known[text] = load_gibbs(path)
        else:
            cells[text] = crystal(text, max(0.0, grid[0]))
    formulas = {g.formula for g in known.values()} | {a.symbols.formula.reduce()[0].format("metal")
                                                      for a in cells.values()}
    if len(formulas) > 1:
        raise InputError(f"phases of different composition ({', '.join(sorted(formulas))}): a P-T diagram compares one "
                         "formula; for reactions use 'megabar enthalpy'")
    source = choose(given.potential, given.engine, given.level) if cells else None
    if source is not None:
        source.check(list(cells.values()), [p for p in grid if p >= 0.0])
        if len(grid) < 4:
            raise InputError("phases: phonons at four pressures or more are wanted; write --static=-5:25:5")
    drawn = () if given.overlay is None else read_overlay(given.overlay)
    target = out or folder_name("phases", formulas.pop())
    if dry_run:
        emit({"would_write": str(target), "from_files": len(known), "to_compute": len(cells),
              "relaxations": len(cells) * len(grid)}, json,
             f"phases: {len(known)} from files, {len(cells)} to compute at {len(grid)} pressures each; to {target}/")
        return
    settings = {"phases": phase, "pressure": given.pressure, "temperature": given.temperature, "static": given.static,
                "source": None if source is None else source.label, "supercell": given.supercell}
    with RunRecord(target, "phases", settings) as record:
        store = Store(target / "tasks")
        for text, atoms in cells.items():
            assert source is not None
            name = Path(text).stem if Path(text).is_file() else text

            def report(result: Phonons, name: str = name) -> None:
                stderr.print(f"{name} {result.relaxed.target_pressure_GPa:g} GPa: {result.verdict.kind}; "
                             f"{result.verdict.text}")

            with store.lock():
                series = relaxed_series(atoms, source, grid, store)
                kept, _ = same_phase(series)
                spectra = phonon_series(kept, source, store, supercell=counts, jobs=given.jobs, report=report)
            first = series[0]
            error = source.energy_error_eV_per_atom(first.formula) or 0.0
            known[text] = gibbs_from(name, spectra, series, error * len(first.atoms) / first.formula_units)
            known[text].save(target / name.replace("/", "_"), pressures, list(temperatures))
        if source is not None:
            record.citations = [*source.citations, "phonopy: 10.7566/JPSJ.92.012001"]
        result = phase_diagram([known[text] for text in phase], pressures, list(temperatures))
        result.save(target, drawn)
        record.results = {k: v for k, v in result.to_dict().items() if k != "boundaries"}
    for note in result.notes:
        stderr.print(f"note: {note}")
    rows = []
    for line in result.boundaries:
        for t, p, s, slope in list(zip(line.temperature_K, line.pressure_GPa, line.sigma_pressure_GPa,
                                       line.slope_GPa_per_K, strict=True))[:: max(1, len(line.temperature_K) // 8)]:
            rows.append([f"{line.low} / {line.high}", f"{t:.0f}", f"{p:.2f}", f"{s:.2f}", f"{1e3 * slope:.2f}"])
    shown = table(["line (low P / high P)", "T (K)", "P (GPa)", "+-", "slope (MPa/K)"], rows) if rows else \
        "no line between these phases in this range"
    emit(result.to_dict(), json, f"{shown}\nfigure in {target}/")


def register(app: typer.Typer) -> None:
    app.command("phases")(phases)
