"""Settings of `megabar analyse`; kept apart so that reading them loads nothing heavy."""

from __future__ import annotations

from pydantic import Field, field_validator

from megabar.campaign.settings import Settings
from megabar.units import parse_pressure_GPa, parse_time_ps


class AnalysisSettings(Settings):
    """Settings of `megabar analyse`."""

    trajectory: str = Field(description="LAMMPS dump or extxyz file, plain or .gz.")
    normal: str | None = Field(None, description="Axis across the slab: a, b or c; found from the first frame.")
    pressure: str | None = Field(None, description="Pressure of the run with its unit, like 40 GPa, for enthalpies.")
    timestep: str | None = Field(None, description="Time step with its unit, like 0.5 fs, for files without times.")
    lag: str = Field("2 ps", description="Time over which displacements are taken.")
    seed: int = Field(0, ge=0, description="Seed of the bootstrap errors.")

    @field_validator("normal")
    @classmethod
    def _axis(cls, value: str | None) -> str | None:
        if value not in (None, "a", "b", "c"):
            raise ValueError("no axis of the cell: write a, b or c")
        return value

    @property
    def pressure_GPa(self) -> float | None:
        return None if self.pressure is None else parse_pressure_GPa(self.pressure)

    @property
    def timestep_fs(self) -> float | None:
        return None if self.timestep is None else parse_time_ps(self.timestep) * 1e3

    @property
    def lag_ps(self) -> float:
        return parse_time_ps(self.lag)
