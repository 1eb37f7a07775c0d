"""Settings files of the verbs relax, eos, phonons and phases."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from megabar.campaign.settings import Settings

Symmetry = Literal["keep", "free", "break"]


class _Source(Settings):
    pressure: str | None = Field(None, description='Pressures: "40 GPa", "0,20,40" or a range 0:200:20 (GPa).')
    potential: str | None = Field(None, description="Name of a shipped potential, or a folder; or give an engine.")
    engine: str | None = Field(None, description="gpaw or qe, for small cells.")
    level: str | None = Field(None, description="Level of theory of the engine; its reference level without.")


class RelaxSettings(_Source):
    symmetry: Symmetry = Field("keep", description="keep the space group, free: hold nothing, break: move off it.")
    seed: int = Field(0, ge=0, description="Seed of the displacements that break a symmetry.")


class EOSSettings(_Source):
    form: Literal["BM3", "Vinet", "AP2"] = Field("Vinet", description="Form that the tables come from.")
    formula: str | None = Field(None, description="What the volumes of a table belong to (AP2 wants it).")
    symmetry: Symmetry = Field("keep", description="keep, free or break, as in relax.")


class PhononSettings(_Source):
    temperature: str | None = Field(None, description="Temperatures of G(P,T): a range like 0:2000:100 (K).")
    supercell: str | None = Field(None, description="Repeats like 3,3,2; chosen by length without.")
    displacement: float | None = Field(None, gt=0.0, le=0.2, description="In A; 0.01 (potential) or 0.03 (engine).")
    jobs: int = Field(1, ge=1, description="Processes, for an engine.")


class PhasesSettings(_Source):
    temperature: str = Field("0:2000:100", description="Temperatures: a range like 0:3000:100 (K).")
    static: str | None = Field(None, description="Pressures at which crystals are relaxed and get phonons.")
    overlay: str | None = Field(None, description="Table of pressure_GPa, temperature_K, series to draw on top.")
    supercell: str | None = Field(None, description="Repeats like 3,3,2; chosen by length without.")
    jobs: int = Field(1, ge=1, description="Processes, for an engine.")
