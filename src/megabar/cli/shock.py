"""`megabar shock`: Hugoniot states, impact, matching to a standard, release, laser breakout, and whole Hugoniots."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from megabar.cli.options import DryRun, Json, Out, Potential, Pressure, Seed
from megabar.cli.output import emit, stderr, table

if TYPE_CHECKING:
    from megabar.anvil.shock.hugoniot import ShockMaterial
    from megabar.anvil.shock.table import TableHugoniot

Name = Annotated[str, typer.Option("--material", help="Name in the tables; `megabar shock materials` lists them.")]
Draws = Annotated[int, typer.Option("--draws", min=10, max=1_000_000, help="Monte Carlo draws for the errors.")]


def _find(name: str) -> ShockMaterial:
    from megabar.anvil.shock.hugoniot import find
    from megabar.anvil.shock.materials import MATERIALS

    return find(name, MATERIALS)


def _say(warnings: tuple[str, ...] | list[str]) -> None:
    for warning in warnings:
        stderr.print(f"note: {warning}", soft_wrap=True)


def _save(out: Path | None, name: str, result: dict[str, Any]) -> None:
    from megabar.campaign.files import write_json

    if out is not None:
        write_json(out / f"{name}.json", result)


def hugoniot(
    material: Annotated[str | None, typer.Option("--material", help="A material of the tables.")] = None,
    particle_velocity: Annotated[float | None, typer.Option("--particle-velocity-km-s")] = None,
    shock_velocity: Annotated[float | None, typer.Option("--shock-velocity-km-s")] = None,
    pressure: Pressure = None,
    table_file: Annotated[Path | None, typer.Option("--table", help="CSV of volume_A3, temperature_K, energy_eV, "
                                                                    "pressure_GPa: the Hugoniot in it.")] = None,
    mass_amu: Annotated[float | None, typer.Option("--mass-amu", help="Mass of the table's cell.")] = None,
    v0_A3: Annotated[float | None, typer.Option("--v0-A3", help="Its volume before the shock.")] = None,
    e0_eV: Annotated[float | None, typer.Option("--e0-eV", help="Its energy before the shock.")] = None,
    structure: Annotated[Path | None, typer.Option("--structure", help="A cell, for the Hugoniot by MD.")] = None,
    potential: Potential = None,
    volume_ratios: Annotated[str, typer.Option("--volume-ratios", help="V/V0 of the runs.")] = "0.9,0.8,0.7,0.6",
    temperatures: Annotated[str, typer.Option("--temperatures-K", help="Their temperatures.")] = "300,1000,3000,6000",
    timestep_fs: Annotated[float, typer.Option("--timestep-fs", help="MD step.")] = 0.5,
    steps: Annotated[int, typer.Option("--steps", min=10, help="MD steps averaged in each run.")] = 2000,
    seed: Seed = None, dry_run: DryRun = False, out: Out = None, as_json: Json = False,
) -> None:
    """A state on a tabulated Hugoniot, or a whole Hugoniot from a P-V-T table or from a potential by MD."""
    from megabar.errors import InputError

    chosen = [x for x in (material, table_file, structure) if x is not None]
    if len(chosen) != 1:
        raise InputError("give one of --material, --table (with --mass-amu, --v0-A3, --e0-eV) or --structure (with "
                         "--potential)")
    if material is not None:
        _hugoniot_state(material, particle_velocity, shock_velocity, pressure, out, as_json)
    elif table_file is not None:
        from megabar.anvil.shock.table import InitialState, hugoniot_from_table, read_pvt_table

        if mass_amu is None or v0_A3 is None or e0_eV is None:
            raise InputError("--table needs the unshocked cell: --mass-amu, --v0-A3 and --e0-eV, of the same cell")
        _whole(hugoniot_from_table(read_pvt_table(table_file), InitialState(v0_A3, e0_eV), mass_amu), out, as_json)
    elif structure is not None:
        _by_dynamics(structure, potential, volume_ratios, temperatures, timestep_fs, steps, seed or 0, dry_run, out,
                     as_json)


def _hugoniot_state(name: str, up: float | None, us: float | None, pressure: str | None, out: Path | None,
                    as_json: bool) -> None:
    from megabar.anvil.shock.hugoniot import state
    from megabar.anvil.shock.impact import range_warnings
    from megabar.errors import InputError
    from megabar.units import parse_pressure_GPa

    if sum(x is not None for x in (up, us, pressure)) != 1:
        raise InputError("give one of --particle-velocity-km-s, --shock-velocity-km-s and --pressure")
    m = _find(name)
    if us is not None:
        up = float(m.particle_velocity_from_shock_velocity(us))
    elif pressure is not None:
        up = float(m.particle_velocity_from_pressure(parse_pressure_GPa(pressure)))
    result = state(m, up or 0.0)
    warnings = range_warnings(m, result.pressure_GPa)
    _say(warnings)
    full = asdict(result) | {"citation": m.source.citation, "warnings": warnings}
    _save(out, "hugoniot", full)
    emit(full, as_json, f"{m.name}: P {result.pressure_GPa:.2f} GPa, up {result.particle_velocity_km_s:.3f}, Us "
                        f"{result.shock_velocity_km_s:.3f} km/s, rho {result.density_g_cm3:.3f} g/cm3 "
                        f"(ratio {result.density_ratio:.4f})")


def _whole(result: TableHugoniot, out: Path | None, as_json: bool) -> None:
    _say(result.warnings)
    if out is not None:
        result.save(out)
    rows = list(zip(result.volume_A3, result.temperature_K, result.pressure_GPa, result.density_ratio,
                    result.shock_velocity_km_s, result.particle_velocity_km_s, strict=True))
    emit(result.as_dict(), as_json, table(["V / A^3", "T / K", "P / GPa", "rho/rho0", "Us km/s", "up km/s"],
                                          [[float(x) for x in row] for row in rows])
         + f"\nUs = {result.c0_km_s:.3f} + {result.s:.3f} up km/s")


def _numbers(text: str, what: str) -> list[float]:
    from megabar.anvil.columns import number

    return [number(part, what) for part in text.split(",")]


def _by_dynamics(structure: Path, potential: str | None, ratios: str, temperatures: str, timestep_fs: float, steps: int,
                 seed: int, dry_run: bool, out: Path | None, as_json: bool) -> None:
    from megabar.anvil.shock.dynamics import hugoniot_by_dynamics
    from megabar.crystals.files import read_frames
    from megabar.errors import InputError
    from megabar.potential.library import load

    if potential is None:
        raise InputError("--structure needs --potential: the name of a shipped potential, or a folder")
    atoms = read_frames(structure)[-1]
    chosen = load(potential)
    chosen.require_elements(atoms.get_chemical_symbols())
    volumes, kelvins = _numbers(ratios, "volume ratio"), _numbers(temperatures, "temperature")
    runs = 1 + len(volumes) * len(kelvins)
    if dry_run:
        work = runs * (steps + steps // 2) * len(atoms)
        emit({"runs": runs, "atom_steps": work}, as_json, f"{runs} runs, {work:.2g} atom-steps")
        return
    _whole(hugoniot_by_dynamics(atoms, chosen.calculator(), volumes, kelvins, timestep_fs=timestep_fs,
                                equilibration=steps // 2, steps=steps, seed=seed), out, as_json)


def impact(
    flyer: Annotated[str, typer.Option("--flyer", help="Material of the flyer.")],
    target: Annotated[str, typer.Option("--target", help="Material of the target.")],
    velocity_km_s: Annotated[float, typer.Option("--velocity-km-s", help="Impact velocity, km/s.")],
    sigma_velocity: Annotated[float, typer.Option("--sigma-velocity-km-s", help="Its standard error.")] = 0.0,
    draws: Draws = 4000, seed: Seed = None, out: Out = None, as_json: Json = False,
) -> None:
    """Pressure and particle velocity behind the impact of a flyer on a target."""
    from megabar.anvil.shock.impact import impact as run

    result = run(_find(flyer), _find(target), velocity_km_s, sigma_velocity_km_s=sigma_velocity, draws=draws,
                 seed=seed or 0)
    _say(result.warnings)
    if out is not None:
        result.save(out)
    emit(result.as_dict(), as_json,
         f"{flyer} at {velocity_km_s:g} km/s on {target}: P {result.pressure_GPa:.2f} +- "
         f"{result.pressure_error_GPa:.2f} GPa, up {result.particle_velocity_km_s:.4f} +- "
         f"{result.particle_velocity_error_km_s:.4f} km/s, rho/rho0 "
         f"{result.density_ratio:.4f} +- {result.density_ratio_error:.4f}")


def match(
    standard: Annotated[str, typer.Option("--standard", help="Material of the standard.")],
    standard_us: Annotated[float, typer.Option("--standard-us-km-s", help="Its measured shock velocity.")],
    sample_us: Annotated[float, typer.Option("--sample-us-km-s", help="Shock velocity in the sample.")],
    density: Annotated[float, typer.Option("--sample-density-g-cm3", help="Initial density of the sample.")],
    sigma_standard: Annotated[float, typer.Option("--sigma-standard-km-s")] = 0.0,
    sigma_sample: Annotated[float, typer.Option("--sigma-sample-km-s")] = 0.0,
    sigma_density: Annotated[float, typer.Option("--sigma-density-g-cm3")] = 0.0,
    draws: Draws = 4000, seed: Seed = None, out: Out = None, as_json: Json = False,
) -> None:
    """State of a sample behind a standard, from both shock velocities."""
    from megabar.anvil.shock.release import match_standard

    result = match_standard(_find(standard), standard_us, sample_us, density, sigma_standard_km_s=sigma_standard,
                            sigma_sample_km_s=sigma_sample, sigma_density_g_cm3=sigma_density, draws=draws,
                            seed=seed or 0)
    _say(result.warnings)
    _save(out, "match", result.as_dict())
    emit(result.as_dict(), as_json,
         f"P {result.pressure_GPa:.2f} +- {result.pressure_error_GPa:.2f} GPa ({result.path}; mirrored Hugoniot "
         f"{result.mirror_pressure_GPa:.2f}), up {result.particle_velocity_km_s:.3f} km/s, rho "
         f"{result.density_g_cm3:.3f} +- {result.density_error_g_cm3:.3f} g/cm3")


def release(
    material: Name,
    particle_velocity: Annotated[float | None, typer.Option("--particle-velocity-km-s")] = None,
    pressure: Pressure = None, out: Out = None, as_json: Json = False,
) -> None:
    """Release isentrope of a shocked state into vacuum: its path and its free-surface velocity."""
    from megabar.anvil.shock.hugoniot import state
    from megabar.anvil.shock.impact import range_warnings
    from megabar.anvil.shock.release import release_path
    from megabar.errors import InputError
    from megabar.units import parse_pressure_GPa

    if (particle_velocity is None) == (pressure is None):
        raise InputError("give one of --particle-velocity-km-s and --pressure")
    m = _find(material)
    up = particle_velocity if pressure is None else float(
        m.particle_velocity_from_pressure(parse_pressure_GPa(pressure)))
    start = state(m, up or 0.0)
    warnings = range_warnings(m, start.pressure_GPa)
    path = release_path(m, start.particle_velocity_km_s)
    _say(warnings)
    if out is not None:
        path.save(out)
    full = {"material": m.name, "shocked": asdict(start),
            "free_surface_velocity_km_s": float(path.particle_velocity_km_s[-1]),
            "released_density_g_cm3": float(path.density_g_cm3[-1]), "warnings": warnings}
    emit(full, as_json, f"from {start.pressure_GPa:.2f} GPa: free surface {path.particle_velocity_km_s[-1]:.3f} km/s "
                        f"(twice up is {2 * start.particle_velocity_km_s:.3f}), density {path.density_g_cm3[-1]:.3f} "
                        "g/cm3 at zero pressure")


def laser(
    material: Name,
    thickness_um: Annotated[float, typer.Option("--thickness-um", help="Thickness of the step.")],
    delay_ns: Annotated[float, typer.Option("--delay-ns", help="Delay between the two breakouts.")],
    sigma_um: Annotated[float, typer.Option("--sigma-um", help="Standard error of the thickness.")] = 0.0,
    sigma_ns: Annotated[float, typer.Option("--sigma-ns", help="Standard error of the delay.")] = 0.0,
    draws: Draws = 4000, seed: Seed = None, out: Out = None, as_json: Json = False,
) -> None:
    """Pressure and density from the breakout times of a laser-driven shock across a step."""
    from megabar.anvil.shock.laser import breakout

    result = breakout(_find(material), thickness_um, delay_ns, sigma_um=sigma_um, sigma_ns=sigma_ns, draws=draws,
                      seed=seed or 0)
    _say(result.warnings)
    _save(out, "laser", asdict(result))
    emit(asdict(result), as_json,
         f"Us {result.shock_velocity_km_s:.3f} +- {result.shock_velocity_error_km_s:.3f} km/s, P "
         f"{result.pressure_GPa:.1f} +- {result.pressure_error_GPa:.1f} GPa, rho {result.density_g_cm3:.3f} +- "
         f"{result.density_error_g_cm3:.3f} g/cm3")


def materials(as_json: Json = False) -> None:
    """The Us-up tables."""
    from megabar.anvil.shock.materials import MATERIALS

    rows = [[m.name, m.rho0_g_cm3, m.c0_km_s, m.s, m.gamma0, m.source.doi] for m in MATERIALS.values()]
    emit({"materials": [asdict(m) for m in MATERIALS.values()]}, as_json,
         table(["material", "rho0", "c0", "s", "gamma0", "source"], rows))


def register(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="Shock compression: Hugoniots, impact, matching, release, laser.")
    for command in (hugoniot, impact, match, release, laser, materials):
        group.command(command.__name__)(command)
    app.add_typer(group, name="shock")
