"""The plan of `megabar learn`: what to explore, what to label, when to stop. Reading and checking it is cheap."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from megabar.campaign.settings import Settings
from megabar.crystals import volumes
from megabar.crystals.interfaces import FACES
from megabar.crystals.plan import (
    AnyBlock,
    Block,
    DimerBlock,
    InterfaceBlock,
    PrototypeBlock,
    RandomBlock,
    SqueezedBlock,
)
from megabar.potential.training import TrainSettings


class VacuumBlock(Block):
    """A slab of a hydride beside vacuum: the free surface, against which the one beside hydrogen is judged."""

    generator: Literal["vacuum"]
    phase: str = Field(description="Prototype of the slab.")
    faces: list[str] = Field(description="Faces, taken in turn.")
    repeat: tuple[int, int, int] = Field((1, 1, 1), description="Repeats of the surface cell; third along the normal.")
    vacuum_A: tuple[float, float] = Field((6.0, 10.0), description="Range of the width of the vacuum.")
    displacement_A: tuple[float, float] = Field((0.02, 0.1), description="Range of the width of displacements, A.")

    @model_validator(mode="after")
    def _faces(self) -> VacuumBlock:
        known = FACES.get(self.phase, {})
        for face in self.faces:
            if face not in known:
                raise ValueError(f"face {face!r} of {self.phase} is unknown: known faces: {', '.join(known) or 'none'}")
        return self


class CoexistenceBlock(Block):
    """A crystal whose upper half starts disordered: solid, melt and the faces between them in one cell."""

    generator: Literal["coexistence"]
    names: list[str] = Field(description="Prototypes, taken in turn.")
    repeat: tuple[int, int, int] = Field((2, 2, 4), description="Supercell of the primitive; halved along the third.")
    disorder_A: float = Field(0.6, gt=0.0, le=2.0, description="Width of the displacements in the disordered half, A.")


Start = Annotated[
    PrototypeBlock | RandomBlock | InterfaceBlock | DimerBlock | SqueezedBlock | VacuumBlock | CoexistenceBlock,
    Field(discriminator="generator")]
Protocol = Literal["npt", "search", "compress", "fixed"]


class Exploration(Settings):
    """Runs from one kind of start."""

    start: Start = Field(description="Where runs begin: a block of cells; count is for each pressure.")
    pressures_GPa: list[float] | None = Field(None, description="Grid; without it, drawn from the block's range.")
    temperatures_K: list[float] = Field(min_length=1, description="Grid, taken in turn over the runs.")
    time_ps: float = Field(0.5, gt=0.0, le=1000.0, description="Length of each run.")
    protocol: Protocol = Field("npt", description="npt; search: enthalpy minimised first; compress: pressure ramped to "
                                                  "to_pressure_GPa; fixed: the cell held (vacuum).")
    to_pressure_GPa: float | None = Field(None, description="End of a compression.")
    frames: int = Field(10, ge=2, le=200, description="Frames looked at in each run.")

    @field_validator("temperatures_K")
    @classmethod
    def _warm(cls, value: list[float]) -> list[float]:
        for temperature in value:
            if not 0.0 < temperature <= 20_000.0:
                raise ValueError(f"{temperature:g} K is outside 0-20000 K")
        return value

    @field_validator("pressures_GPa")
    @classmethod
    def _pressures(cls, value: list[float] | None) -> list[float] | None:
        for pressure in value or []:
            if not 0.0 <= pressure <= 1000.0:
                raise ValueError(f"{pressure:g} GPa is outside 0-1000 GPa")
        return value

    @model_validator(mode="after")
    def _together(self) -> Exploration:
        if (self.protocol == "compress") != (self.to_pressure_GPa is not None):
            raise ValueError("to_pressure_GPa belongs to protocol compress, and compress needs it")
        if isinstance(self.start, VacuumBlock) and self.protocol != "fixed":
            raise ValueError("a slab beside vacuum has no pressure to hold: use protocol fixed")
        if isinstance(self.start, DimerBlock | SqueezedBlock):
            raise ValueError(f"{self.start.generator} cells are labelled as they are: put them under seed_cells")
        return self


class Picking(Settings):
    """Which frames get a label."""

    labels: int = Field(60, ge=1, description="Labels asked for in each round.")
    grade_accurate: float = Field(1.0, gt=0.0, description="Frames whose largest grade is below count as accurate.")
    grade_failed: float = Field(10.0, gt=0.0, description="Frames above count as failed, and runs are stopped there.")
    committee: int = Field(0, ge=0, le=20, description="Members of a bootstrap committee trained in each round; its "
                                                       "spread then judges frames beside the grade. 0: grade alone.")
    spread_accurate_eV_per_A: float = Field(0.3, gt=0.0, description="Frames whose largest spread of a force is below "
                                                                     "count as accurate (with a committee).")
    spread_failed_eV_per_A: float = Field(3.0, gt=0.0, description="Frames above count as failed.")
    failed_share: float = Field(0.25, ge=0.0, le=1.0, description="Largest share of a round's labels given to them.")
    per_run: int = Field(3, ge=1, description="Largest number of candidates from one run.")
    max_atoms: int = Field(20, ge=2, le=200, description="Larger cells are carved around their worst atom.")
    carve_atoms: int = Field(24, ge=8, le=200,
                             description="Rough size of a carved cell; at most half more is labelled.")

    @model_validator(mode="after")
    def _order(self) -> Picking:
        if self.grade_failed <= self.grade_accurate:
            raise ValueError("grade_failed must exceed grade_accurate")
        if self.spread_failed_eV_per_A <= self.spread_accurate_eV_per_A:
            raise ValueError("spread_failed_eV_per_A must exceed spread_accurate_eV_per_A")
        if self.committee == 1:
            raise ValueError("a committee of one has no spread: give 2 or more members, or 0")
        return self


class Stop(Settings):
    """When the loop is done."""

    rounds: int = Field(8, ge=1, le=1000, description="Most rounds.")
    inaccurate_share: float = Field(0.05, ge=0.0, le=1.0, description="Share of candidate and failed frames below "
                                                                      "which a round counts as quiet.")
    force_rmse_eV_per_A: float = Field(0.2, ge=0.0, description="Error on the round's new labels, before training on "
                                                                "them, below which it counts as quiet.")
    patience: int = Field(2, ge=1, description="Quiet rounds in a row that end the loop.")


class LearnPlan(Settings):
    """What `megabar learn` does."""

    metal: str = Field(description="The metal M of every prototype.")
    seed: int = Field(0, ge=0, description="Seed of every random choice.")
    level: str = Field("pbe-gpaw-1", description="Reference level of theory of the labels.")
    data: list[Path] = Field(default_factory=list, description="Labelled files to begin with (beside the plan, or full "
                                                               "paths).")
    seed_cells: list[AnyBlock] = Field(default_factory=list, description="Cells labelled before the first round.")
    explore: list[Exploration] = Field(min_length=1, description="Runs of each round.")
    timestep_fs: float = Field(0.5, gt=0.0, le=0.5, description="Time step; the H2 vibration takes 7.6 fs.")
    pick: Picking = Field(default_factory=Picking, description="Which frames get a label.")  # type: ignore[arg-type]
    train: TrainSettings = Field(default_factory=TrainSettings,  # type: ignore[arg-type]
                                 description="As for megabar train.")
    stop: Stop = Field(default_factory=Stop, description="When the loop is done.")  # type: ignore[arg-type]
    jobs: int = Field(1, ge=1, le=4096, description="Labels and runs at a time, one core each.")

    @field_validator("metal")
    @classmethod
    def _metal(cls, value: str) -> str:
        if value not in volumes.metals():
            raise ValueError(f"no starting volumes for it; known metals: {', '.join(volumes.metals())}")
        return value

    @model_validator(mode="after")
    def _begins(self) -> LearnPlan:
        if not self.data and not self.seed_cells:
            raise ValueError("nothing to begin with: give data (labelled files), seed_cells, or both")
        return self

    def identity(self) -> dict[str, object]:
        """What must not change between a loop and its resumption: all but the stop rule and the number of jobs."""
        return self.model_dump(mode="json", exclude={"stop", "jobs", "data"})
