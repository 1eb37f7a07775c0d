"""`megabar tc ALPHA2F`: the critical temperature from a spectral function or from its moments."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from megabar.cli.options import DryRun, Json, Out

F2 = Literal["standard", "no-ratio"]


def tc(
    alpha2f: Annotated[Path | None, typer.Argument(help="alpha2F table of QE, EPW, ABINIT, Elk, or plain.")] = None,
    unit: Annotated[str | None, typer.Option("--unit", help="Of the frequencies: THz, meV, cm-1, Ry, Ha, K.")] = None,
    mu_star: Annotated[float, typer.Option("--mu-star", help="Defined at the highest phonon.")] = 0.10,
    column: Annotated[int, typer.Option("--column", min=2, help="Column that holds alpha2F, counted from 1.")] = 2,
    split: Annotated[float | None, typer.Option("--split", help="Frequency above which modes are hydrogen's.")] = None,
    f2: Annotated[F2, typer.Option("--f2", help="Allen-Dynes f2; no-ratio lacks omega_2/omega_log.")] = "standard",
    dos: Annotated[float | None, typer.Option("--dos", help="States/eV per cell, both spins, for Hc in tesla.")] = None,
    volume: Annotated[float | None, typer.Option("--volume", help="A^3 of that cell.")] = None,
    coupling: Annotated[float | None, typer.Option("--lambda", help="Without a file: lambda.")] = None,
    omega_log: Annotated[float | None, typer.Option("--omega-log-K", help="Without a file: omega_log in K.")] = None,
    omega_2: Annotated[float | None, typer.Option("--omega-2-K", help="Without a file: omega_2 in K.")] = None,
    out: Out = None,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Tc by McMillan, Allen-Dynes, Xie and isotropic Migdal-Eliashberg; gap, thermodynamics, isotope effect."""
    from megabar.campaign.files import file_hash
    from megabar.campaign.record import RunRecord
    from megabar.cli.output import emit, stderr, table
    from megabar.errors import InputError
    from megabar.superconductivity.formulas import Moments, check_mu_star
    from megabar.superconductivity.readers import read_alpha2f
    from megabar.superconductivity.spectrum import KELVIN_PER
    from megabar.superconductivity.tc import CITATIONS, tc_from_moments, tc_from_spectrum

    check_mu_star(mu_star)
    moments = (coupling, omega_log, omega_2)
    if alpha2f is not None and any(value is not None for value in moments):
        raise InputError("tc: give either an alpha2F file or --lambda and --omega-log-K, not both")
    if alpha2f is None and (coupling is None or omega_log is None):
        raise InputError("tc: no alpha2F file; name one, or give --lambda and --omega-log-K (and --omega-2-K)")
    curve = None if alpha2f is None else read_alpha2f(alpha2f, unit, column)
    target = out or Path("tc-moments" if alpha2f is None else f"tc-{alpha2f.stem}")
    if dry_run:
        emit({"would_write": str(target), "cost_s": 5}, json, f"tc: a few seconds on one core; would write {target}/")
        return
    settings: dict[str, Any] = {
        "alpha2f": alpha2f, "unit": unit, "mu_star": mu_star, "column": column, "split": split, "f2": f2, "dos": dos,
        "volume": volume, "lambda": coupling, "omega_log_K": omega_log, "omega_2_K": omega_2}
    if curve is None:
        assert coupling is not None and omega_log is not None
        result = tc_from_moments(Moments(coupling, omega_log, omega_2), mu_star, f2)
    else:
        split_K = None if split is None else split * KELVIN_PER[curve.unit]
        result = tc_from_spectrum(curve, mu_star, f2, split_K, dos, volume)
    with RunRecord(target, "tc", settings) as record:
        result.save(target)
        record.results, record.citations = {"tc_K": result.tc_K}, list(CITATIONS)
        if alpha2f is not None:
            record.hashes[str(alpha2f)] = file_hash(alpha2f)
    for warning in result.warnings:
        stderr.print(f"note: {warning}")
    values = result.to_dict()
    names = {"lambda": "lambda", "omega_log_K": "omega_log (K)", "omega_2_K": "omega_2 (K)"}
    rows = [[name, values[key]] for key, name in names.items()]
    rows += [[f"Tc, {name.replace('_', '-')} (K)", tc_K] for name, tc_K in values["tc_K"].items()]
    if result.solution is not None:
        rows += [["gap (meV)", result.solution.gap_edge_meV], ["2 gap / k Tc", result.solution.gap_ratio],
                 ["Delta C / gamma Tc", result.solution.specific_heat_jump_ratio]]
    if result.isotopes is not None:
        rows += [["isotope exponent, all masses", result.isotopes.exponent_all]]
    if result.isotopes is not None and result.isotopes.split_K is not None:
        rows += [["Tc after H -> D (K)", result.isotopes.tc_D_K],
                 ["isotope exponent, H -> D", result.isotopes.exponent_H_to_D]]
    emit(values, json, table(["quantity", f"mu* = {mu_star:g}"], rows) + f"\nfigures and tables in {target}/")


def register(app: typer.Typer) -> None:
    app.command("tc")(tc)
