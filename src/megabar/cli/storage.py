"""`megabar storage FILE` or `--formula CaH4 --volume-A3 26.78`: hydrogen by mass and volume, each with its basis."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from megabar.cli.options import DryRun, Json, Out, Pressure


def storage(
    file: Annotated[Path | None, typer.Argument(help="A cell: extxyz, CIF, POSCAR, .res.")] = None,
    formula: Annotated[str | None, typer.Option("--formula", help="Without a file: like CaH4 or CaH5.75.")] = None,
    volume: Annotated[float | None, typer.Option("--volume-A3", help="Per formula unit, at --pressure.")] = None,
    pressure: Pressure = None,
    decompressed: Annotated[float | None, typer.Option("--decompressed-volume-A3",
                                                       help="Per formula unit, at zero pressure.")] = None,
    bulk_modulus: Annotated[float | None, typer.Option("--bulk-modulus-GPa", help="K0: decompress by Vinet.")] = None,
    prime: Annotated[float, typer.Option("--bulk-modulus-prime", help="K0'.")] = 4.0,
    residue: Annotated[str | None, typer.Option("--residue", help="What stays behind, like CaH2.")] = None,
    mass_share: Annotated[float | None, typer.Option("--system-mass-share", help="Hydride's share of a store.")] = None,
    volume_share: Annotated[float | None, typer.Option("--system-volume-share", help="The same by volume.")] = None,
    out: Out = None,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Weight per cent, g H2/kg of hydride, metal and system, g H2/L at pressure and decompressed, DOE targets."""
    from megabar.campaign.files import file_hash
    from megabar.campaign.record import RunRecord
    from megabar.cli.output import emit, table
    from megabar.crystals.files import read_frames
    from megabar.errors import InputError
    from megabar.storage.capacity import capacity
    from megabar.storage.targets import TARGETS
    from megabar.thermodynamics.reactions import formula_of, parse_formula
    from megabar.units import parse_pressure_GPa

    if (file is None) == (formula is None):
        raise InputError("storage: give either a file with a cell, or --formula (with --volume-A3)")
    pressure_GPa = None if pressure is None else parse_pressure_GPa(pressure)
    if file is not None:
        if volume is not None:
            raise InputError(f"storage: {file} has its own volume; leave --volume-A3 away, or give --formula")
        atoms = read_frames(file)[-1]
        parsed = formula_of(atoms)
        whole = {e: float(atoms.symbols.count(e)) for e in parsed.elements}  # type: ignore[attr-defined]
        volume = atoms.get_volume() / (whole[parsed.elements[0]] / float(parsed.amounts[0][1]))
    else:
        parsed = parse_formula(formula or "")
    rest = None if residue is None else parse_formula(residue)
    result = capacity(
        parsed.text, {e: float(n) for e, n in parsed.amounts}, volume_A3=volume, pressure_GPa=pressure_GPa,
        decompressed_volume_A3=decompressed, bulk_modulus_GPa=bulk_modulus, bulk_modulus_prime=prime,
        residue=residue or "", residue_amounts=None if rest is None else {e: float(n) for e, n in rest.amounts},
        system_mass_share=mass_share, system_volume_share=volume_share)
    values = result.to_dict()
    if out is not None and not dry_run:
        settings: dict[str, Any] = {"file": file, "formula": formula, "volume_A3": volume, "pressure": pressure,
                                    "decompressed_volume_A3": decompressed, "bulk_modulus_GPa": bulk_modulus,
                                    "bulk_modulus_prime": prime, "residue": residue, "system_mass_share": mass_share,
                                    "system_volume_share": volume_share}
        with RunRecord(out, "storage", settings) as record:
            result.save(out)
            record.results, record.citations = values, sorted({t.source for t in TARGETS})
            if file is not None:
                record.hashes[str(file)] = file_hash(file)
    at = "" if pressure_GPa is None else f" at {pressure_GPa:g} GPa"
    rows: list[list[Any]] = [
            ["wt% (hydride basis)", result.weight_percent], ["g H2/kg hydride", result.g_per_kg_hydride],
            ["g H2/kg metal", result.g_per_kg_metal], ["g H2/kg system", result.g_per_kg_system],
            [f"g H2/L{at}", result.g_per_L_at_pressure], ["g H2/L decompressed", result.g_per_L_decompressed],
            ["g H2/L system", result.g_per_L_system], [f"density{at} (g/cm3)", result.density_g_per_cm3]]
    if result.residue:
        rows.append([f"share given off to {result.residue}", result.usable_share])
    word = {True: "yes", False: "no", None: "-"}
    goals: list[list[Any]] = [[v["target"], v["target_g_per_kg"], word[v["mass_met"]], v["mass_basis"],
                               v["target_g_per_L"], word[v["volume_met"]], v["volume_basis"]]
                              for v in result.verdicts()]
    text = (table([result.formula, ""], rows) + "\n\n"
            + table(["target (system)", "g/kg", "met", "by", "g/L", "met ", "by "], goals)
            + "".join(f"\nnote: {note}" for note in result.notes))
    emit(values, json, text)


def register(app: typer.Typer) -> None:
    app.command("storage")(storage)
