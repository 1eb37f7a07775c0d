"""Hyper-parameters chosen by a recorded scan: one training a point, each a resumable task, errors on the same split."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, field_validator

from megabar.campaign.files import atomic_path, file_hash, plain, write_csv, write_yaml
from megabar.campaign.settings import Settings, validate
from megabar.campaign.tasks import Outcome, Store, Task, run_tasks
from megabar.errors import InputError, RunError
from megabar.potential.dataset import dataset_hash, read_dataset
from megabar.potential.training import TrainSettings

CODE_VERSION = "2"
TARGETS = {"energy_mae_meV_per_atom": 8.0, "force_mae_eV_per_A": 0.12, "stress_mae_GPa": 0.4}
"""Mean absolute errors that normal errors of the wanted 10 meV/atom, 0.15 eV/A and 0.5 GPa (RMSE) would have; a few
crushed cells among the held-out frames, gigapascals off, would decide by their squares. The score is the mean of errors
over these, so that 1 means good enough on the whole."""
LARGEST = 2000


class ScanPlan(Settings):
    """What `megabar scan` does: every combination of `grid`, or each key of it varied alone about `base`."""

    base: TrainSettings = Field(default_factory=TrainSettings,  # type: ignore[arg-type]
                                description="Settings of all points.")
    grid: dict[str, list[Any]] = Field(min_length=1, description="Values by setting of megabar train, like "
                                                                 "cutoff_radial_A: [5, 6].")
    mode: str = Field("one-at-a-time", description="one-at-a-time about base, or product (every combination).")
    seeds: list[int] = Field(default=[0], min_length=1, description="Each point is trained once for every seed of the "
                                                                    "start; the split is that of base.")
    families_share: float = Field(1.0, gt=0.0, le=1.0, description="Share of each kind's families that takes part: "
                                                                   "settings are told apart on fewer frames than a "
                                                                   "potential needs.")

    @field_validator("mode")
    @classmethod
    def _mode(cls, value: str) -> str:
        if value not in ("one-at-a-time", "product"):
            raise ValueError("use one-at-a-time or product")
        return value

    @field_validator("grid")
    @classmethod
    def _grid(cls, value: dict[str, list[Any]]) -> dict[str, list[Any]]:
        for name, values in value.items():
            if name in ("seed", "validation_share"):
                raise ValueError(f"{name} belongs under {'seeds' if name == 'seed' else 'base'}: points are compared "
                                 "on one split")
            if not values:
                raise ValueError(f"{name} has no values: list some")
        return value

    def points(self) -> list[dict[str, Any]]:
        """Changes against `base`, the unchanged one first, each once. InputError for a value that training refuses."""
        names = list(self.grid)
        if self.mode == "product":
            changes = [dict(zip(names, values, strict=True)) for values in itertools.product(*self.grid.values())]
        else:
            changes = [{name: v} for name in names for v in self.grid[name]]
        found: dict[str, dict[str, Any]] = {}
        if len(changes) > LARGEST:
            raise InputError(f"scan: {len(changes)} points are more than {LARGEST}; use mode one-at-a-time or fewer "
                             "values")
        for change in [{}, *changes]:
            resolved = validate(TrainSettings, {**self.base.model_dump(), **change}, "scan")
            found.setdefault(str(resolved), change)
        return list(found.values())


@dataclass(frozen=True)
class Point:
    """One point: what it changes, errors on the held-out frames (mean over seeds and spread of the force error), the
    number of parameters and the time of one training; `reason` when it failed."""

    change: Mapping[str, Any]
    errors: Mapping[str, float]
    force_spread_eV_per_A: float
    parameters: int
    wall_time_s: float
    reason: str = ""

    @property
    def score(self) -> float:
        """Mean of errors over targets; infinite for a point that failed."""
        return float(np.mean([self.errors[k] / t for k, t in TARGETS.items()])) if self.errors else float("inf")

    @property
    def name(self) -> str:
        return ", ".join(f"{k} {plain(v)}" for k, v in self.change.items()) or "base"


@dataclass(frozen=True)
class Scan:
    """All points in the order of the plan."""

    points: tuple[Point, ...]
    base: Mapping[str, Any]
    dataset: str

    @property
    def best(self) -> Point:
        return min(self.points, key=lambda p: p.score)

    def as_dict(self) -> dict[str, Any]:
        return {"dataset": self.dataset, "targets": TARGETS, "best": self.best.name,
                "best_change": dict(self.best.change),
                "points": [{"point": p.name, "score": p.score, **vars(p)} for p in self.points]}

    def save(self, out: str | Path) -> None:
        """`scan.yaml` (everything), `scan.csv` and `scan.png`, and `best.yaml` for `megabar train --config`."""
        from matplotlib.figure import Figure

        out = Path(out)
        write_yaml(out / "scan.yaml", {"base": dict(self.base), **self.as_dict()})
        write_yaml(out / "best.yaml", {**dict(self.base), **dict(self.best.change)})
        write_csv(out / "scan.csv", {
            "point": [p.name for p in self.points], "score": [p.score for p in self.points],
            **{key: [p.errors.get(key, float("nan")) for p in self.points] for key in TARGETS},
            "force_spread_eV_per_A": [p.force_spread_eV_per_A for p in self.points],
            "parameters": [p.parameters for p in self.points], "wall_time_s": [p.wall_time_s for p in self.points],
            "failed": [p.reason for p in self.points]})
        figure = Figure(figsize=(7.0, 1.2 + 0.28 * len(self.points)), layout="constrained")
        self.plot(figure.subplots())
        with atomic_path(out / "scan.png") as temporary:
            figure.savefig(temporary, dpi=150)

    def plot(self, ax: Any) -> None:
        """Errors over their targets by point, the one with the lowest mean marked."""
        y = np.arange(len(self.points))
        for (key, target), marker in zip(TARGETS.items(), "os^", strict=True):
            ax.plot([p.errors.get(key, np.nan) / target for p in self.points], y, marker, ms=5, label=key.split("_")[0])
        ax.axvline(1.0, color="0.5", lw=0.8)
        ax.set_yticks(y, [("* " if p is self.best else "") + p.name for p in self.points], fontsize=7)
        ax.invert_yaxis()
        ax.set_xlabel("held-out MAE over its target")
        ax.legend(fontsize=7, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False)


def run_scan(plan: ScanPlan, data: Sequence[Path], store: Store, jobs: int = 1,
             progress: Callable[[Outcome], None] | None = None) -> Scan:
    """Train every point that is not stored. Raises RunError when no point could be trained."""
    frames = read_dataset(data)
    content = [[str(p.resolve()), file_hash(p)] for p in data]
    outcomes: dict[tuple[int, int], Outcome] = {}
    tasks = {}
    for k, change in enumerate(plan.points()):
        for s in plan.seeds:
            settings = validate(TrainSettings, {**plan.base.model_dump(), **change}, "scan").model_dump(mode="json")
            tasks[k, s] = Task("megabar.potential.scan:train_point", CODE_VERSION,
                               {"data": content, "families_share": plan.families_share, "settings": settings,
                                "start_seed": s})
    where: dict[str, list[tuple[int, int]]] = {}
    for key, task in tasks.items():
        where.setdefault(task.hash, []).append(key)
    for outcome in run_tasks(list(tasks.values()), store, jobs):
        for key in where[outcome.task.hash]:
            outcomes[key] = outcome
        if progress is not None:
            progress(outcome)
    points = tuple(_point(change, [outcomes[k, s] for s in plan.seeds]) for k, change in enumerate(plan.points()))
    if all(p.reason for p in points):
        raise RunError(f"no point of the scan could be trained; the first says: {points[0].reason}")
    return Scan(points, plan.base.model_dump(mode="json"), dataset_hash(frames))


def train_point(inputs: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The body of a scan's task: train in its folder (resumes from the trainer's checkpoint) and judge on the split."""
    from megabar.potential.calculator import NEP
    from megabar.potential.dataset import element_order, split_by_parent
    from megabar.potential.domain import teaches_wall
    from megabar.potential.evaluation import evaluate
    from megabar.potential.training import fit

    for path, digest in inputs["data"]:
        if file_hash(path) != digest:
            raise InputError(f"{path}: has changed since the scan began; start the scan anew")
    settings = TrainSettings.model_validate(inputs["settings"])
    frames = read_dataset([path for path, _ in inputs["data"]])
    if inputs["families_share"] < 1.0:
        frames, _ = split_by_parent(frames, 1.0 - inputs["families_share"], settings.seed)
    kept, held = split_by_parent(frames, settings.validation_share, settings.seed)
    # A few walls, whose errors are hundreds of times a state's, would choose the settings by themselves.
    judged = [f for f in held if not teaches_wall(f)]
    if not judged or len(kept) < 2:
        raise InputError(f"{len(frames)} frames leave nothing to compare points on: raise validation_share or label "
                         "more")
    model = fit(kept, held, element_order(frames), settings, folder, inputs["start_seed"])
    model.write(folder / "nep.txt")
    found = evaluate(NEP(model), judged)
    count = sum(a.size for a in (model.w0, model.b0, model.w1, model.c_radial, model.c_angular)) + 1
    return {"overall": found.overall, "groups": found.groups, "parameters": int(count)}


def _point(change: Mapping[str, Any], outcomes: Sequence[Outcome]) -> Point:
    done = [o for o in outcomes if o.result is not None]
    if not done:
        return Point(change, {}, float("nan"), 0, 0.0, outcomes[0].reason)
    results = [o.result for o in done if o.result is not None]
    forces = [r["overall"]["force_mae_eV_per_A"] for r in results]
    return Point(change, {key: float(np.mean([r["overall"][key] for r in results])) for key in TARGETS},
                 float(np.std(forces)), int(results[0]["parameters"]),
                 float(np.mean([r["wall_time_s"] for r in results])))
