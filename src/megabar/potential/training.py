"""Training a potential: data in, a folder out that `load` takes, with its errors by kind on frames it never saw."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from megabar.campaign.files import write_yaml
from megabar.errors import InputError
from megabar.potential import trainer
from megabar.potential.dataset import dataset_hash, element_shifts_eV, manifest, read_dataset, split_by_parent
from megabar.potential.domain import Domain
from megabar.potential.evaluation import Evaluation, evaluate
from megabar.potential.nep import NEPModel
from megabar.potential.refinement import Targets, refine
from megabar.potential.uncertainty import ActiveSet


class TrainSettings(trainer.NEPSettings):
    """What `megabar train` takes beside its data."""

    validation_share: float = Field(0.1, ge=0.0, lt=1.0, description="Share of each kind's families held out.")
    seed: int = Field(0, ge=0, description="Seed of the split, the start and the order of frames.")
    refine_iterations: int = Field(30, ge=0, description="Most Gauss-Newton steps after the trainer; 0: none.")
    refine_ridge: float = Field(1.0, gt=0.0, description="Ridge of the Gauss-Newton steps.")
    target_energy_meV_per_atom: float = Field(20.0, gt=0.0, description="Error that weighs as much as the next two.")
    target_force_eV_per_A: float = Field(0.3, gt=0.0, description="Error of a force component that weighs as much.")
    target_stress_GPa: float = Field(2.0, gt=0.0, description="Error of a stress component that weighs as much.")


@dataclass(frozen=True)
class Training:
    """A trained potential: its folder, errors on training and on held-out frames, and the time it took."""

    folder: Path
    train: Evaluation
    validation: Evaluation | None
    frames: tuple[int, int]
    wall_time_s: float

    def as_dict(self) -> dict[str, Any]:
        return {
            "folder": str(self.folder), "frames_train": self.frames[0], "frames_validation": self.frames[1],
            "train": self.train.as_dict(), "validation": self.validation.as_dict() if self.validation else None,
            "wall_time_s": round(self.wall_time_s, 1),
        }


def train(paths: Sequence[str | Path], out: Path, settings: TrainSettings, name: str | None = None,
          start: Path | None = None, progress: Callable[[int, str], None] | None = None) -> Training:
    """Train on the labelled files `paths` into folder `out` (nep.txt, card.yaml, parity of both sets).

    Typed again it resumes from the trainer's checkpoint. Raises LabelMissing, InputError or ExtraMissing.
    """
    begin = time.monotonic()
    frames = read_dataset(paths)
    # Hydrogen first, then by symbol: the order of elements in the file.
    elements = sorted({s for f in frames for s in f.atoms.get_chemical_symbols()}, key=lambda s: (s != "H", s))
    kept, held = split_by_parent(frames, settings.validation_share, settings.seed)
    if len(kept) < 2:
        raise InputError(f"{len(frames)} labelled frames are too few to train on; label more with 'megabar label'")
    shifts = element_shifts_eV(kept, elements)
    work = out / "trainer"
    nep = trainer.fit(kept, held, elements, shifts, settings, work, settings.seed, start, progress)
    model = NEPModel.read(nep)
    if settings.refine_iterations:
        targets = Targets(settings.target_energy_meV_per_atom / 1000.0, settings.target_force_eV_per_A,
                          settings.target_stress_GPa)
        with (out / "refinement.log").open("w", encoding="utf-8") as log:
            model = refine(model, kept, held, targets, lambda frame: trainer.frame_weight(frame, settings),
                           settings.refine_iterations, settings.refine_ridge,
                           lambda iteration, line: print(iteration, line, file=log, flush=True),
                           anchored=start is not None)
    model.write(out / "nep.txt")
    ActiveSet.build(NEPModel.read(out / "nep.txt"), [f.atoms for f in kept]).save(out)

    from megabar.potential.library import load

    calculator = load(out).calculator()
    on_train = evaluate(calculator, kept)
    on_held = evaluate(calculator, held) if held else None
    on_train.save(out / "parity-train")
    if on_held is not None:
        on_held.save(out / "parity-validation")
    write_yaml(out / "card.yaml", {
        "name": name or out.name,
        "version": 1,
        "elements": elements,
        "level": manifest(frames)["levels"],
        "dataset": {"hash": dataset_hash(frames), "frames": len(frames), "training": len(kept),
                    "validation": len(held), "by_kind": manifest(frames)["by_kind"]},
        "domain": Domain.of(frames).as_dict(),
        "settings": settings.model_dump(),
        "energy_shift_in_file_eV": dict(zip(elements, (round(float(s), 6) for s in shifts), strict=True)),
        "errors_validation": on_held.groups if on_held else None,
        "errors_training": on_train.groups,
        "references": ["NEP: 10.1103/PhysRevB.104.104309", "NEP4: 10.1063/5.0106617", "torchnep: arXiv:2606.19557"],
    })
    return Training(out, on_train, on_held, (len(kept), len(held)), time.monotonic() - begin)
