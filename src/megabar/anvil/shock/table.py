"""The Hugoniot of a material from tabulated energies and pressures E(V, T), P(V, T)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from megabar.anvil.columns import number, read_table
from megabar.anvil.figures import save_figure
from megabar.campaign.files import write_csv, write_json
from megabar.errors import InputError
from megabar.units import AMU_PER_A3_IN_G_PER_CM3, EV_PER_A3_IN_GPA

_COLUMNS = ("volume_A3", "temperature_K", "energy_eV", "pressure_GPa")


@dataclass(frozen=True)
class InitialState:
    """The unshocked state of the same amount of matter as in the table."""

    volume_A3: float
    energy_eV: float
    pressure_GPa: float = 0.0


@dataclass(frozen=True)
class TableHugoniot:
    """A Hugoniot found in a table, one state an isochore, by falling volume. Arrays of equal length."""

    volume_A3: np.ndarray
    temperature_K: np.ndarray
    pressure_GPa: np.ndarray
    energy_eV: np.ndarray
    density_g_cm3: np.ndarray
    density_ratio: np.ndarray
    shock_velocity_km_s: np.ndarray
    particle_velocity_km_s: np.ndarray
    c0_km_s: float
    s: float
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        return {**vars(self), "warnings": list(self.warnings)}

    def save(self, folder: str | Path) -> None:
        """Write hugoniot.json, hugoniot.csv and hugoniot.png into `folder`."""
        folder = Path(folder)
        write_json(folder / "hugoniot.json", self.as_dict())
        write_csv(folder / "hugoniot.csv", {k: v.tolist() for k, v in vars(self).items() if isinstance(v, np.ndarray)})
        save_figure(folder / "hugoniot.png", self.plot)

    def plot(self, ax: Any) -> None:
        """Us against up with the straight line through it."""
        ax.plot(self.particle_velocity_km_s, self.shock_velocity_km_s, "o", label="states")
        up = np.array([0.0, float(self.particle_velocity_km_s.max())])
        ax.plot(up, self.c0_km_s + self.s * up, label=f"Us = {self.c0_km_s:.2f} + {self.s:.2f} up")
        ax.set_xlabel("particle velocity (km/s)")
        ax.set_ylabel("shock velocity (km/s)")
        ax.legend()


def read_pvt_table(path: str | Path) -> np.ndarray:
    """Rows (volume_A3, temperature_K, energy_eV, pressure_GPa) of a CSV file with those columns."""
    rows = read_table(path, _COLUMNS)
    return np.array([[number(row[c], f"{path}: row {i}, {c}") for c in _COLUMNS] for i, row in enumerate(rows, 1)])


def hugoniot_from_table(table: np.ndarray, initial: InitialState, mass_amu: float) -> TableHugoniot:
    """States of a table (rows of volume_A3, temperature_K, energy_eV, pressure_GPa) that fulfil Rankine-Hugoniot.

    On each isochore the defect E - E0 - (P + P0)(V0 - V)/2 is interpolated in T to zero; isochores whose temperatures
    do not bracket it are left out and named. Energies are those of the cell, kinetic part included, on one zero
    with E0. `mass_amu` is the mass of the cell. Raises InputError with fewer than two states.
    """
    table = np.asarray(table, dtype=float)
    if table.ndim != 2 or table.shape[1] != 4 or not np.all(np.isfinite(table)):
        raise InputError("a P-V-T table needs finite rows of volume_A3, temperature_K, energy_eV, pressure_GPa")
    if mass_amu <= 0.0 or initial.volume_A3 <= 0.0:
        raise InputError("the mass of the cell and its initial volume have to be positive (amu, A^3)")
    states, warnings = [], []
    for volume in sorted(set(table[:, 0]), reverse=True):
        if volume >= initial.volume_A3:
            continue
        part = table[table[:, 0] == volume]
        part = part[np.argsort(part[:, 1])]
        T, E, P = part[:, 1], part[:, 2], part[:, 3]
        work = 0.5 * (P + initial.pressure_GPa) * (initial.volume_A3 - volume) / EV_PER_A3_IN_GPA
        defect = E - initial.energy_eV - work
        sign = np.flatnonzero((defect[:-1] <= 0.0) & (defect[1:] > 0.0))
        if not sign.size:
            side = "hotter" if defect[-1] <= 0.0 else "colder"
            warnings.append(f"V = {volume:g} A^3: the Hugoniot is {side} than {T[-1 if side == 'hotter' else 0]:g} K, "
                            "the table's end; left out")
            continue
        i = int(sign[0])
        w = -defect[i] / (defect[i + 1] - defect[i])
        states.append((volume, *(column[i] + w * (column[i + 1] - column[i]) for column in (T, P, E))))
    if len(states) < 2:
        raise InputError("fewer than two states of the table lie on the Hugoniot: "
                         + ("; ".join(warnings) or "add volumes below the initial one"))
    V, T, P, E = (np.array(column) for column in zip(*states, strict=True))
    rho0 = mass_amu * AMU_PER_A3_IN_G_PER_CM3 / initial.volume_A3
    rise, compression = P - initial.pressure_GPa, 1.0 - V / initial.volume_A3
    if np.any(rise <= 0.0):
        raise InputError("the table has Hugoniot states below the initial pressure: E0 is not on the table's zero")
    us = np.sqrt(rise / (rho0 * compression))
    up = us * compression
    s, c0 = np.polyfit(up, us, 1)
    return TableHugoniot(V, T, P, E, rho0 * initial.volume_A3 / V, initial.volume_A3 / V, us, up, float(c0), float(s),
                         tuple(warnings))
