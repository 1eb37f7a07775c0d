"""A series of reactions as tasks: seeds, temperatures, pressures, faces, thicknesses and controls; pooled at the end.

Every run is a content-addressed task in the series' own store, `tasks/`, so that typing the command again resumes it,
and a longer list of seeds runs only what is new.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from megabar.campaign.files import file_hash
from megabar.campaign.record import RunRecord
from megabar.campaign.tasks import Outcome, Store, Task, run_tasks
from megabar.errors import InputError
from megabar.reaction.campaign_settings import read_series
from megabar.reaction.grades import run_grades
from megabar.reaction.pooled import Pooled, RunData, pool, read_run
from megabar.reaction.run import CITATIONS, ReactionPlan, run_reaction
from megabar.reaction.settings import ReactSettings, beside

FUNCTION, VERSION = "megabar.reaction.campaign:react_task", "1"
RUN_FOLDER = "run"
"""Where in its task's folder a reaction run lives."""
_SHOWN = {"pressure": "{}", "temperature": "{}", "face": "face {}", "slab_cells": "{} cells thick", "atoms": "{} atoms",
          "phase": "{}", "time": "{}", "potential": "{}", "h2_per_metal": "{} H2 per metal", "timestep_fs": "{} fs",
          "equilibration": "after {}", "frame_every_fs": "frames every {} fs"}
_UNSHOWN = ("formula", "reactant", "seed", "ranks")
"""What a label says by other means, or what is no part of a condition."""


@dataclass(frozen=True)
class SeriesRun:
    """One run: its block, what sets its condition apart from the others in words (`label`), and the checked plan."""

    block: str
    label: str
    plan: ReactionPlan

    @property
    def task(self) -> Task:
        settings = self.plan.settings.model_dump()
        if settings["ranks"] == 1:  # no part of what is computed, so that a hash does not depend on a default
            del settings["ranks"]
        potential = file_hash(self.plan.potential.nep_path)
        return Task(FUNCTION, VERSION, {"settings": settings, "potential_hash": potential})

    @property
    def core_hours(self) -> float:
        return float(self.plan.summary()["estimated_hours"]) * self.plan.settings.ranks


@dataclass(frozen=True)
class Series:
    """All runs of a series, checked; making one writes nothing."""

    name: str
    runs: tuple[SeriesRun, ...]

    @classmethod
    def make(cls, path: str | Path, **line: Any) -> Series:
        """From a YAML file (see `campaign_settings`); InputError names the file, the block and the remedy."""
        name, listed = read_series(path, **line)
        plans = []
        for block, settings in listed:
            try:
                plans.append(ReactionPlan.make(settings))
            except InputError as error:
                raise InputError(f"{path}, {block}: {error}") from None
        labels = _labels(plans)
        return cls(name, tuple(SeriesRun(block, label, plan)
                               for (block, _), label, plan in zip(listed, labels, plans, strict=True)))

    def summary(self, jobs: int) -> dict[str, Any]:
        """What a dry run says: conditions with their seeds, atoms and estimated hours."""
        table: dict[tuple[str, str], dict[str, Any]] = {}
        for run in self.runs:
            row = table.setdefault((run.block, run.label), {
                "block": run.block, "condition": run.label, "seeds": 0, "atoms": run.plan.layout.n_atoms,
                "time_ps": run.plan.time_ps, "core_hours": 0.0})
            row["seeds"] += 1
            row["core_hours"] = round(row["core_hours"] + run.core_hours, 3)
        hours = sum(run.core_hours for run in self.runs)
        slowest = max(run.core_hours / run.plan.settings.ranks for run in self.runs)
        notes = sorted({note for run in self.runs for note in run.plan.notes()})
        return {"name": self.name, "runs": len(self.runs), "conditions": list(table.values()),
                "atoms_in_all": sum(run.plan.layout.n_atoms for run in self.runs), "core_hours": round(hours, 2),
                "jobs": jobs, "estimated_hours": round(max(hours / jobs, slowest), 2), "notes": notes}


def _labels(plans: Sequence[ReactionPlan]) -> list[str]:
    """Conditions in words: the system, P and T, and every other setting that is not the same in all runs."""
    forms = _SHOWN | {name: name + " {}" for name in ReactSettings.model_fields if name not in {*_SHOWN, *_UNSHOWN}}
    always = {"pressure", "temperature"}
    varied = {name for name in forms if name in always or len({getattr(p.settings, name) for p in plans}) > 1}
    found = []
    for plan in plans:
        values = {**plan.settings.model_dump(), "atoms": plan.layout.n_atoms}  # what is there, not what was asked for
        bulk = plan.settings.reactant == "none"
        words = [form.format(values[name]) for name, form in forms.items()
                 if name in varied and values[name] is not None and not (bulk and name in ("face", "slab_cells"))]
        found.append(", ".join([beside(plan.settings.formula, plan.settings.reactant), *words]))
    return found


def react_task(inputs: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """One run of a series, as `run_tasks` calls it."""
    settings = ReactSettings.model_validate(inputs["settings"])
    potential = ReactionPlan.make(settings).potential
    if file_hash(potential.nep_path) != inputs["potential_hash"]:
        raise InputError(f"{potential.name}: has changed since the series was planned; type the command again")
    result = run_reaction(settings, Path(folder) / RUN_FOLDER)
    run_grades(Path(folder) / RUN_FOLDER)
    return result.summary()


def run_series(series: Series, out: str | Path, jobs: int = 1, retry_failed: bool = False,
               on_outcome: Callable[[Outcome, RunData], None] | None = None,
               executor: Executor | None = None) -> Pooled:
    """Run what is missing, pool all that has ended, and save tables and figures in the folder `out`.

    `on_outcome` gets every run as it ends, is stopped by a guard, fails, or is found so. Raises InputError when the
    folder is in use.
    """
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file; give a folder to --out")
    store = Store(out / "tasks")
    by_hash = {run.task.hash: run for run in series.runs}
    found: list[RunData] = []
    lock = store.lock()
    try:
        with RunRecord(out, "react --series", {"name": series.name, "runs": [
                {"block": run.block, "condition": run.label, "task": key, **run.plan.settings.model_dump()}
                for key, run in by_hash.items()]}) as record:
            record.citations += CITATIONS
            for outcome in run_tasks([run.task for run in series.runs], store, jobs, retry_failed, executor):
                run = by_hash[outcome.task.hash]
                folder = store.folder(outcome.task) / RUN_FOLDER
                found.append(read_run(folder, run.block, run.label, run.plan, outcome.status == "failed",
                                      outcome.reason))
                if on_outcome is not None:
                    on_outcome(outcome, found[-1])
            order = {id_: k for k, id_ in enumerate((r.block, r.label, r.plan.settings.seed) for r in series.runs)}
            found.sort(key=lambda data: order[data.block, data.label, data.seed])
            pooled = pool(series.name, found)
            pooled.save(out)
            record.results = pooled.summary()
            record.hashes["potentials"] = ", ".join(sorted({run.task.inputs["potential_hash"] for run in series.runs}))
        store.rebuild_index()
    finally:
        lock.close()
    return pooled
