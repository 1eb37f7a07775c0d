"""A P-V-T table by molecular dynamics with any ASE calculator, for the Hugoniot of what has no table yet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator
from ase.md.langevin import Langevin

from megabar.anvil.shock.table import InitialState, TableHugoniot, hugoniot_from_table
from megabar.errors import InputError, RunError
from megabar.units import pressure_GPa


def average_state(
    atoms: Atoms, calculator: Calculator, temperature_K: float, *, timestep_fs: float, equilibration: int, steps: int,
    seed: int,
) -> tuple[float, float]:
    """Mean energy (eV, kinetic included) and pressure (GPa, kinetic included) of an NVT run of `steps` steps."""
    run = atoms.copy()
    run.calc = calculator
    rng = np.random.default_rng(seed)
    spread = np.sqrt(run.get_masses() * units.kB * temperature_K)
    run.set_momenta(rng.standard_normal((len(run), 3)) * spread[:, None])
    # The centre of mass is left free: fixing it would not sample the canonical ensemble of N atoms.
    motion = Langevin(run, timestep_fs * units.fs, temperature_K=temperature_K, friction=0.02 / units.fs, fixcm=False,
                      rng=rng)
    motion.run(equilibration)
    energies, pressures = [], []
    for _ in range(max(1, steps // 5)):
        motion.run(5)
        energies.append(run.get_total_energy())
        pressures.append(pressure_GPa(run.get_stress(voigt=False, include_ideal_gas=True)))
    if not np.all(np.isfinite(energies)):
        raise RunError(f"the run at {temperature_K:g} K and {run.get_volume():.1f} A^3 blew up: shorten --timestep-fs")
    return float(np.mean(energies)), float(np.mean(pressures))


def pvt_table(
    atoms: Atoms, calculator: Calculator, volume_ratios: Sequence[float], temperatures_K: Sequence[float], *,
    timestep_fs: float = 1.0, equilibration: int = 400, steps: int = 1000, seed: int = 0,
) -> np.ndarray:
    """Rows (volume_A3, temperature_K, energy_eV, pressure_GPa) of NVT runs of the cell scaled to each V/V0.

    Nuclei are classical: below the Debye temperature the energies lack zero-point motion, which cancels in E - E0 only
    in part.
    """
    if not volume_ratios or not temperatures_K or min(volume_ratios) <= 0.0 or min(temperatures_K) <= 0.0:
        raise InputError("give volume ratios and temperatures, all positive")
    rows = []
    for i, ratio in enumerate(volume_ratios):
        scaled = atoms.copy()
        scaled.set_cell(atoms.cell * ratio ** (1.0 / 3.0), scale_atoms=True)
        for j, kelvin in enumerate(temperatures_K):
            energy, pressure = average_state(scaled, calculator, kelvin, timestep_fs=timestep_fs,
                                             equilibration=equilibration, steps=steps, seed=seed + 1000 * i + j)
            rows.append((scaled.get_volume(), kelvin, energy, pressure))
    return np.array(rows)


def hugoniot_by_dynamics(
    atoms: Atoms, calculator: Calculator, volume_ratios: Sequence[float], temperatures_K: Sequence[float], *,
    initial_temperature_K: float = 300.0, timestep_fs: float = 1.0, equilibration: int = 400, steps: int = 1000,
    seed: int = 0,
) -> TableHugoniot:
    """The Hugoniot of the cell `atoms` at its own volume and `initial_temperature_K`, from NVT runs on a V, T grid."""
    energy, pressure = average_state(atoms, calculator, initial_temperature_K, timestep_fs=timestep_fs,
                                     equilibration=equilibration, steps=steps, seed=seed)
    table = pvt_table(atoms, calculator, volume_ratios, temperatures_K, timestep_fs=timestep_fs,
                      equilibration=equilibration, steps=steps, seed=seed + 1)
    start = InitialState(atoms.get_volume(), energy, pressure)
    return hugoniot_from_table(table, start, float(atoms.get_masses().sum()))
