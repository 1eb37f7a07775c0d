"""`megabar drude DATA.csv`: plasma energy, scattering time and carrier density from reflectance."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from megabar.cli.options import DryRun, Json, Out


def drude(
    data: Annotated[Path | None, typer.Argument(help="Wavelength (nm), reflectance (0-1), its error.")] = None,
    window: Annotated[str, typer.Option("--window", help="diamond, vacuum, or a refractive index.")] = "diamond",
    absorption: Annotated[Path | None, typer.Option("--absorption", help="Wavelength, window transmission.")] = None,
    epsilon_infinity: Annotated[float, typer.Option("--epsilon-infinity", help="Background permittivity.")] = 1.0,
    plasma: Annotated[float | None, typer.Option("--plasma-eV", help="Forward model: plasma energy.")] = None,
    time: Annotated[float | None, typer.Option("--time-fs", help="Forward model: scattering time.")] = None,
    wavelengths: Annotated[str, typer.Option("--wavelengths", help="Forward model: in nm.")] = "405,532,642,980",
    error: Annotated[float, typer.Option("--error", help="Forward model: error expected of each R.")] = 0.03,
    out: Out = None,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Drude fit of reflectance behind a window, with covariance and what the points cannot determine; or a plan."""
    from megabar.campaign.files import file_hash
    from megabar.campaign.record import RunRecord
    from megabar.cli.output import emit, table
    from megabar.electrons import drude as optics
    from megabar.errors import InputError

    if (data is None) == (plasma is None and time is None):
        raise InputError("drude: give a table of reflectances, or --plasma-eV and --time-fs to plan a measurement")
    if data is None and (plasma is None or time is None):
        raise InputError("drude: a plan needs both --plasma-eV and --time-fs")
    target = out or Path("drude-plan" if data is None else f"drude-{data.stem}")
    if data is not None:
        fit = optics.fit_drude(optics.read_reflectances(data, absorption), window, epsilon_infinity)
    else:
        assert plasma is not None and time is not None
        try:
            chosen = [float(part) for part in wavelengths.split(",")]
        except ValueError:
            raise InputError(f'--wavelengths {wavelengths!r} is not a list; write nm like "405,532,642,980"') from None
        if any(not 100.0 <= w <= 1e5 for w in chosen) or len(set(chosen)) < 2:
            raise InputError(f"--wavelengths {wavelengths!r}: give two or more between 100 and 100000 nm")
        fit = optics.plan(chosen, plasma, time, error, window, epsilon_infinity)
    result = fit.to_dict()
    if data is None:
        result["reflectance"] = [{"wavelength_nm": w, "reflectance": r}
                                 for w, r in zip(fit.data.wavelength_nm, fit.data.reflectance, strict=True)]
    if dry_run:
        emit({"would_write": str(target), "cost_s": 3}, json, f"drude: a few seconds; would write {target}/")
        return
    settings = {"data": data, "window": window, "absorption": absorption, "epsilon_infinity": epsilon_infinity,
                "plasma_eV": plasma, "time_fs": time, "wavelengths": wavelengths, "error": error}
    with RunRecord(target, "drude", settings) as record:
        fit.save(target)
        record.results = {k: result[k] for k in ("plasma_energy_eV", "scattering_time_fs", "carrier_density_per_cm3")}
        record.citations = ["Dias and Silvera, Science 355, 715 (2017), doi:10.1126/science.aal1579",
                            "Peter, Z. Phys. 15, 358 (1923) (index of diamond)"]
        record.hashes = {str(p): file_hash(p) for p in (data, absorption) if p is not None}

    def between(key: str) -> str:
        low, high = ("..." if v is None else f"{v:.3g}" for v in result[key])
        return f"{low} to {high}"

    rows = [
        ["plasma energy (eV)", f"{fit.plasma_eV:.4g}", between("plasma_energy_interval_eV")],
        ["scattering time (fs)", f"{fit.scattering_time_fs:.4g}", between("scattering_time_interval_fs")],
        ["carriers (1/cm3)", f"{result['carrier_density_per_cm3']:.3g}", between("carrier_density_interval_per_cm3")],
        ["conductivity (S/m)", f"{result['conductivity_S_per_m']:.3g}", ""],
    ]
    for point in result.get("reflectance", []):
        rows.append([f"R at {point['wavelength_nm']:g} nm", f"{point['reflectance']:.4f}", ""])
    text = table(["quantity", "best", "68 % interval"], rows)
    emit(result, json, f"{text}\n{result['verdict']}\nfigure in {target}/")


def register(app: typer.Typer) -> None:
    app.command("drude")(drude)
