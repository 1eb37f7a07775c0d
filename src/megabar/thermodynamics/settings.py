"""Settings files of the verbs relax, eos, phonons, phases, enthalpy and hull; light to import, since the command line
reads them at every start."""

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
    energies: str | None = Field(None, description="More pressures, relaxed for the static curve, without phonons.")
    supercell: str | None = Field(None, description="Repeats like 3,3,2; chosen by length without.")
    displacement: float | None = Field(None, gt=0.0, le=0.2, description="In A; 0.01 (potential) or 0.03 (engine).")
    jobs: int = Field(1, ge=1, description="Processes, for an engine.")


class PhasesSettings(_Source):
    temperature: str = Field("0:2000:100", description="Temperatures: a range like 0:3000:100 (K).")
    static: str | None = Field(None, description="Pressures at which crystals are relaxed and get phonons.")
    overlay: str | None = Field(None, description="Table of pressure_GPa, temperature_K, series to draw on top.")
    supercell: str | None = Field(None, description="Repeats like 3,3,2; chosen by length without.")
    jobs: int = Field(1, ge=1, description="Processes, for an engine.")


class PhaseSettings(Settings):
    """Energies of all known and given phases of some compositions."""

    potential: str | None = Field(None, description="Name or folder; the shipped one with these elements without it.")
    engine: str | None = Field(None, description="gpaw or qe instead of a potential, for crystals.")
    level: str | None = Field(None, description="Level of theory of the engine.")
    phase: list[str] = Field(default_factory=list, description="Files with phases to try beside the known ones.")
    library: bool = Field(True, description="Try the known phases; false: only those of the files.")
    symmetry: Symmetry = Field("keep", description="As in the relax verb.")
    zero_point: bool = Field(False, description="Add zero-point energies of the best phases (phonons).")
    seed: int = Field(0, ge=0, description="Seed of every random choice.")
    jobs: int = Field(1, ge=1, description="Runs at a time.")


class EnthalpySettings(PhaseSettings):
    reaction: str = Field(description='Balanced reaction, like "CaH2 + H2 -> CaH4".')
    pressure: str = Field("0:120:10", description='Pressures of the crystals: "0:120:10", "20,40,60 GPa" or "40 GPa".')
    temperature: str | None = Field(None, description='For states at temperature, like "1473 K"; none: crystals only.')
    md_pressure: str | None = Field(None, description="Pressures of these states; three of the range without it.")
    time: str = Field("10 ps", description="Length of each run that is averaged over.")
    atoms: int = Field(200, ge=20, le=100_000, description="Atoms of each run, about.")


class HullSettings(PhaseSettings):
    elements: list[str] = Field(default_factory=list, description="Elements, like Ca H.")
    pressure: str = Field("0:200:10", description='Pressures, like "0:200:10".')
    table: str | None = Field(None, description="CSV of published enthalpies instead of a potential.")
    temperature: str | None = Field(None, description="Add harmonic free energies at this temperature.")
    error_meV: float | None = Field(None, ge=0, description="Error per atom of every compound; the card's without it.")
    samples: int = Field(2000, ge=0, le=1_000_000, description="Draws of the error analysis.")
