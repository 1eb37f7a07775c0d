"""Training a potential: data in, a folder out that `load` takes, with its errors by kind on frames it never saw."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from megabar.campaign.files import write_yaml
from megabar.errors import InputError
from megabar.potential import trainer
from megabar.potential.calculator import NEP
from megabar.potential.dataset import (
    LabelledFrame,
    dataset_hash,
    element_order,
    element_shifts_eV,
    manifest,
    read_dataset,
    split_by_parent,
)
from megabar.potential.domain import Domain
from megabar.potential.evaluation import Evaluation, evaluate
from megabar.potential.nep import NEPModel
from megabar.potential.refinement import Prior, Targets, refine
from megabar.potential.uncertainty import ActiveSet


class TrainSettings(trainer.NEPSettings):
    """What `megabar train` takes beside its data."""

    validation_share: float = Field(0.1, ge=0.0, lt=1.0, description="Share of each kind's families held out.")
    seed: int = Field(0, ge=0, description="Seed of the split, the start and the order of frames.")
    refine_iterations: int = Field(30, ge=0, description="Most Gauss-Newton steps after the trainer; 0: none.")
    refine_ridge: float = Field(1.0, gt=0.0, description="Ridge of the Gauss-Newton steps.")
    draft_weight: float = Field(0.5, gt=0.0, description="Weight of a draft label against one of the reference level, "
                                                         "where a draft leads the fit (--draft).")
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
          start: Path | None = None, draft: Sequence[str | Path] = (),
          progress: Callable[[int, str], None] | None = None) -> Training:
    """Train on the labelled files `paths` into folder `out` (nep.txt, card.yaml, parity of both sets).

    With `draft`, labels of a cheaper level, a potential is first trained on those alone, in `out`/draft; labels of the
    two levels never meet in one set: of the draft's, only the slope and curvature of their misfit go on (`Prior`),
    and Gauss-Newton steps on `paths` do the rest. Typed again it resumes from the trainer's checkpoint,
    or after the last whole Gauss-Newton step. Raises LabelMissing, InputError or ExtraMissing.
    """
    if draft and (start is not None or not settings.refine_iterations):
        raise InputError("a draft is where the fit starts and Gauss-Newton steps take it on: leave out --start, and "
                         "give refine_iterations of 1 or more")
    return _train(read_dataset(paths), out, settings, name, start, read_dataset(draft) if draft else [], progress)


def _train(frames: Sequence[LabelledFrame], out: Path, settings: TrainSettings, name: str | None, start: Path | None,
           drafts: Sequence[LabelledFrame], progress: Callable[[int, str], None] | None) -> Training:
    begin = time.monotonic()
    elements = element_order(frames)
    if drafts and element_order(drafts) != elements:
        raise InputError(f"the draft labels hold {', '.join(element_order(drafts))}, the others {', '.join(elements)}; "
                         "keep the frames of one set of elements with 'megabar collect --elements'")
    kept, held = split_by_parent(frames, settings.validation_share, settings.seed)
    if len(kept) < 2:
        raise InputError(f"{len(frames)} labelled frames are too few to train on; label more with 'megabar label'")
    model = fit(kept, held, elements, settings, out, settings.seed, start, drafts, progress)
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
        "draft": {"level": manifest(drafts)["levels"], "frames": len(drafts), "hash": dataset_hash(drafts)}
        if drafts else None,
        "domain": Domain.of(frames).as_dict(),
        "settings": settings.model_dump(),
        "energy_shift_in_file_eV": dict(zip(elements, np.round(trainer.energy_shifts_eV(model), 6).tolist(),
                                            strict=True)),
        "errors_validation": on_held.groups if on_held else None,
        "errors_training": on_train.groups,
        "references": ["NEP: 10.1103/PhysRevB.104.104309", "NEP4: 10.1063/5.0106617", "torchnep: arXiv:2606.19557"],
    })
    return Training(out, on_train, on_held, (len(kept), len(held)), time.monotonic() - begin)


def fit(kept: Sequence[LabelledFrame], held: Sequence[LabelledFrame], elements: Sequence[str], settings: TrainSettings,
        out: Path, start_seed: int, start: Path | None = None, drafts: Sequence[LabelledFrame] = (),
        progress: Callable[[int, str], None] | None = None) -> NEPModel:
    """The potential of the frames `kept`, its best step chosen by `held`: the trainer, then Gauss-Newton steps."""
    targets = Targets(settings.target_energy_meV_per_atom / 1000.0, settings.target_force_eV_per_A,
                      settings.target_stress_GPa)
    prior = None
    if drafts:
        hidden = {f.parent for f in held}
        model, prior = _from_draft([f for f in drafts if f.parent not in hidden], kept, out / "draft", settings,
                                   targets, progress)
    else:
        model = NEPModel.read(trainer.fit(kept, held, elements, element_shifts_eV(kept, elements), settings,
                                          out / "trainer", start_seed, start, progress))
    if settings.refine_iterations:
        with (out / "refinement.log").open("a", encoding="utf-8") as log:
            model = refine(model, kept, held, targets, lambda frame: trainer.frame_weight(frame, settings),
                           settings.refine_iterations, settings.refine_ridge,
                           lambda iteration, line: print(iteration, line, file=log, flush=True), prior,
                           out / "refinement.npz")
    return model


def _from_draft(drafts: Sequence[LabelledFrame], frames: Sequence[LabelledFrame], folder: Path,
                settings: TrainSettings, targets: Targets,
                progress: Callable[[int, str], None] | None) -> tuple[NEPModel, Prior]:
    """The potential of `drafts` with the energy of each element moved to the level of `frames`, and what the drafts say
    of changing it. They should hold every region that `frames` do: what the draft has never seen, such as
    dimers, costs the second fit more than all the rest."""
    if not (folder / "nep.txt").is_file():
        _train(drafts, folder, settings.model_copy(update={"refine_iterations": 0}), None, None, [], progress)
    model = NEPModel.read(folder / "nep.txt")
    prior = Prior.of(model, drafts, targets, lambda f: trainer.frame_weight(f, settings), settings.draft_weight)
    counts = np.array([[f.atoms.get_chemical_symbols().count(e) for e in model.elements] for f in frames], dtype=float)
    calculator = NEP(model)
    misfit = np.array([f.energy_eV - calculator.get_potential_energy(f.atoms) for f in frames])
    size = counts.sum(axis=1)
    shares, misfit, trust = counts / size[:, None], misfit / size, np.ones(len(frames))
    for _ in range(30):  # least absolute deviations: a few walls that the drafts do not know must not set the level
        shifts = np.linalg.lstsq(shares * trust[:, None], misfit * trust, rcond=None)[0]
        trust = 1.0 / np.sqrt(np.maximum(np.abs(misfit - shares @ shifts), 1e-3))
    return trainer.moved(model, shifts), prior
