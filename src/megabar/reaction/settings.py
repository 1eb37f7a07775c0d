"""Settings of `megabar react`; kept apart so that reading them loads nothing heavy."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator, model_validator

from megabar.campaign.settings import Settings
from megabar.errors import InputError

_REQUIRED = {"formula": "the hydride, like CaH2", "pressure": '--pressure "40 GPa"',
             "temperature": '--temperature "1200 C"', "time": '--time "20 ps"'}

REACTANTS = ("H2", "vacuum", "none")
"""What a hydride can stand beside; "none" is a bulk crystal. The last two are the controls of the first."""


class ReactSettings(Settings):
    """Settings of `megabar react`."""

    formula: str = Field(description="The hydride, like CaH2.")
    reactant: str = Field("H2", description="What stands beside it: H2, vacuum, or none (a bulk crystal).")
    pressure: str = Field(description="Pressure with its unit, like 40 GPa.")
    temperature: str = Field(description="Temperature with its unit, like 1200 C.")
    time: str = Field(description="Length of the reaction stage with its unit, like 20 ps.")
    potential: str | None = Field(None, description="Name of a shipped potential, or a folder; default: METAL-H.")
    phase: str | None = Field(None, description="Prototype of the hydride; default: the one known at this pressure.")
    face: str | None = Field(None, description="Face of the slab, like 001r; default: the rectangular basal face.")
    atoms: int = Field(600, ge=100, le=1_000_000, description="Number of atoms (or one more).")
    h2_per_metal: float = Field(2.5, ge=0.3, le=20.0, description="H2 molecules per metal atom, roughly.")
    slab_cells: int | None = Field(None, ge=1, le=1000, description="Surface cells across the slab; default: so that "
                                   "it is about as thick as wide.")
    equilibration: str = Field("1.5 ps", description="Length of the crystal and fluid stages; contact takes a third.")
    timestep_fs: float = Field(0.5, ge=0.05, le=0.5, description="Time step; the H2 vibration takes 7.6 fs.")
    frame_every_fs: float = Field(50.0, ge=1.0, le=10_000.0, description="Time between frames of the trajectory.")
    seed: int = Field(0, ge=0, le=1_000_000, description="Seed of velocities and of the fluid.")
    ranks: int = Field(1, ge=1, le=4096, description="MPI processes.")
    grade_max: float = Field(10.0, gt=0.0, description="Extrapolation grade at which the run stops, where the "
                                                       "potential has an active set; a healthy run stays near 1.")
    outside_domain: bool = Field(False, description="Run also far outside what the potential was trained on.")

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, values: Any) -> Any:
        if isinstance(values, dict) and set(values) <= set(cls.model_fields):  # else the unknown key is named
            for name, example in _REQUIRED.items():
                if values.get(name) is None:
                    raise InputError(f"react: {name} is missing: give {example}")
        return values

    @field_validator("reactant")
    @classmethod
    def _hydrogen(cls, value: str) -> str:
        known = {name.lower(): name for name in REACTANTS}
        if value.lower() not in known:
            raise ValueError(f"a hydride stands beside {', '.join(REACTANTS[:-1])} or {REACTANTS[-1]} here: write H2")
        return known[value.lower()]


def beside(formula: str, reactant: str) -> str:
    """The system in words: "CaH2 | H2", "CaH2 | vacuum" or "bulk CaH2"."""
    return f"bulk {formula}" if reactant == "none" else f"{formula} | {reactant}"
