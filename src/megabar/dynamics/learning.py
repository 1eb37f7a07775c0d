"""The closed loop: explore, pick, label, retrain, until the potential knows what it meets.

A round lives in `round-NN/` of the loop's folder: `starts.extxyz`, `runs/`, `picked.extxyz`, `labelled.extxyz`,
`potential/` and, when it has ended, `round.json`. Every step is found again after a kill: runs go on from their
checkpoints, labels are tasks in `tasks/`, training resumes, and a file that exists is not made again. A label that
fails is counted and left out.
"""

from __future__ import annotations

import fcntl
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from megabar.campaign.files import atomic_path, content_hash, read_yaml, write_csv, write_json, write_text, write_yaml
from megabar.campaign.record import RunRecord
from megabar.campaign.tasks import Store
from megabar.crystals.files import read_frames, write_frames
from megabar.dynamics.exploration import Excursion, excursion
from megabar.dynamics.lammps import lammps_command
from megabar.dynamics.learning_plan import LearnPlan
from megabar.dynamics.selection import CLASSES, select
from megabar.dynamics.starts import Start, check, seed_cells, starts
from megabar.errors import ExtraMissing, InputError, RunError
from megabar.firstprinciples import label as labels
from megabar.firstprinciples.levels import level
from megabar.potential import trainer
from megabar.potential.committee import Committee, train_committee
from megabar.potential.dataset import dataset_hash, read_dataset, split_by_parent
from megabar.potential.evaluation import evaluate
from megabar.potential.library import Potential, load
from megabar.potential.training import train

CITATIONS = ("concurrent learning: Zhang et al. (2019), 10.1103/PhysRevMaterials.3.023804",
             "extrapolation grade: Podryabinkin and Shapeev, 10.1016/j.commatsci.2017.08.031",
             "NEP4: 10.1063/5.0106617", "torchnep: arXiv:2606.19557")
SECONDS_PER_ATOM_STEP = 8e-6
"""One core, for the estimate of a dry run only (docs/performance.md has measured 4e-6 in large cells)."""
Report = Callable[[str], None]


@dataclass(frozen=True)
class Round:
    """One round. Shares are of all frames of its runs, judged by the potential that made them.

    `force_rmse_eV_per_A` is the error of that potential on the round's new labels, before it was trained on them: the
    figure of convergence, and a hard one, since these frames were picked for being strange. None without new labels.
    """

    number: int
    runs: int
    stopped: int
    frames: int
    accurate: float
    candidate: float
    failed: float
    picked: int
    carved: int
    labelled: int
    failed_labels: int
    failures: dict[str, int]
    labels_total: int
    force_rmse_eV_per_A: float | None
    energy_rmse_meV_per_atom: float | None
    held_out_force_rmse_eV_per_A: float | None
    by_kind: dict[str, dict[str, int]]

    @property
    def line(self) -> str:
        error = "-" if self.force_rmse_eV_per_A is None else f"{self.force_rmse_eV_per_A:.3f} eV/A"
        return (f"round {self.number}: {self.frames} frames of {self.runs} runs ({self.stopped} stopped): "
                f"{self.accurate:.0%} accurate, {self.candidate:.0%} candidate, {self.failed:.0%} failed; "
                f"{self.labelled} new labels ({self.failed_labels} failed), {self.labels_total} in all; "
                f"force error on the new ones before training {error}")


@dataclass(frozen=True)
class Learning:
    """The loop as far as it has come: its rounds, why it ended, and where the newest potential lies."""

    rounds: tuple[Round, ...]
    ended_by: str
    potential: Path

    def as_dict(self) -> dict[str, Any]:
        return {"rounds": [vars(r) for r in self.rounds], "ended_by": self.ended_by, "potential": str(self.potential)}

    def save(self, out: str | Path) -> None:
        """`convergence.csv` and `convergence.png` in folder `out`."""
        from matplotlib.figure import Figure

        out = Path(out)
        names = ("number", "labels_total", "accurate", "candidate", "failed", "force_rmse_eV_per_A",
                 "held_out_force_rmse_eV_per_A", "runs", "stopped", "labelled", "failed_labels")
        write_csv(out / "convergence.csv", {n: [getattr(r, n) for r in self.rounds] for n in names})
        figure = Figure(figsize=(6.0, 4.0), layout="constrained")
        self.plot(figure.subplots())
        with atomic_path(out / "convergence.png") as temporary:
            figure.savefig(temporary, dpi=160)

    def plot(self, ax: Any) -> None:
        """Bars of accurate, candidate and failed shares by round; the force error on new labels as points."""
        x, bottom = np.array([r.number for r in self.rounds]), np.zeros(len(self.rounds))
        for name, color in zip(CLASSES, ("#7fbf7b", "#fdc086", "#d7191c"), strict=True):
            share = np.array([getattr(r, name) for r in self.rounds])
            ax.bar(x, share, 0.6, bottom=bottom, color=color, label=name)
            bottom += share
        ax.set_xlabel("round")
        ax.set_ylabel("share of frames")
        ax.set_xticks(x)
        ax.set_ylim(0, 1)
        right = ax.twinx()
        for key, style, text in (("force_rmse_eV_per_A", "ko-", "force error, new labels"),
                                 ("held_out_force_rmse_eV_per_A", "k^:", "force error, held out")):
            points = [(r.number, getattr(r, key)) for r in self.rounds if getattr(r, key) is not None]
            if points:
                right.plot(*np.array(points, dtype=float).T, style, ms=4, label=text)
        right.set_ylim(bottom=0)
        right.set_ylabel("force RMSE (eV/A)")
        handles = [*ax.get_legend_handles_labels()[0], *right.get_legend_handles_labels()[0]]
        ax.legend(handles=handles, fontsize=7, loc="upper center", ncols=3, bbox_to_anchor=(0.5, 1.17), frameon=False)


class Loop:
    """A plan in a folder. Making one checks everything that can be checked without running, and writes nothing."""

    def __init__(self, plan: LearnPlan, out: Path, base: Path, report: Report) -> None:
        self.plan, self.out, self.report = plan, out, report
        self.level = level(plan.level)
        self.data = [path if path.is_absolute() else base / path for path in plan.data]
        self.given = read_dataset(self.data) if self.data else []
        check(plan)
        if self.level.pulay_GPa_A3:  # an engine would find it missing only after each label's self-consistency
            self.level.add_pulay(np.zeros((3, 3)), Atoms([plan.metal, "H"], cell=np.eye(3)))
        if strange := sorted({s for f in self.given for s in f.atoms.get_chemical_symbols()} - {"H", plan.metal}):
            raise InputError(f"plan: data holds {', '.join(strange)}, the plan is of {plan.metal} and H; keep the "
                             f"frames without with 'megabar collect FILE --elements H,{plan.metal} --out NEW'")
        if self.given and (mine := {str(f.atoms.info["level"]) for f in self.given if "level" in f.atoms.info}):
            if mine != {plan.level}:
                raise InputError(f"plan: data is labelled at {', '.join(sorted(mine))}, the plan labels at "
                                 f"{plan.level}; never mix levels in one set")
        self.store = Store(out / "tasks")
        self.identity = {**plan.identity(), "data": dataset_hash(self.given) if self.given else None}

    def dry_run(self) -> dict[str, Any]:
        """What a round would run, and for how long; nothing is written."""
        runs = list(starts(self.plan, 1))
        steps = {id(s): s.exploration.time_ps * 1e3 / self.plan.timestep_fs for s in runs}
        small = [s.atoms for s in runs if len(s.atoms) <= self.plan.pick.max_atoms] or [s.atoms for s in runs]
        label_s = float(np.mean([labels.estimated_cpu_s(a, self.level) for a in small]))
        kinds = Counter(str(s.atoms.info["kind"]) for s in runs)
        return {"labels_given": len(self.given), "seed_cells": sum(b.count for b in self.plan.seed_cells),
                "rounds_at_most": self.plan.stop.rounds, "runs_per_round": len(runs), "runs_by_kind": dict(kinds),
                "largest_run_atoms": max(len(s.atoms) for s in runs),
                "labels_per_round": self.plan.pick.labels,
                "estimated_seed_label_hours": sum(labels.estimated_cpu_s(a, self.level) for a in seed_cells(self.plan))
                / 3600.0 / self.plan.jobs,
                "estimated_md_hours_per_round": sum(len(s.atoms) * steps[id(s)] for s in runs)
                * SECONDS_PER_ATOM_STEP / 3600.0 / self.plan.jobs,
                "estimated_label_hours_per_round": label_s * self.plan.pick.labels / 3600.0 / self.plan.jobs}

    def run(self) -> Learning:
        """Go on until the stop rule holds. Raises InputError for a folder of another plan, RunError when nothing can
        be trained."""
        self._require_tools()
        stored = self.out / "plan.yaml"
        if stored.is_file() and (before := read_yaml(stored)) != self.identity:
            keys = [k for k in self.identity if not isinstance(before, dict) or before.get(k) != self.identity[k]]
            raise InputError(f"{self.out}: holds a loop with other {', '.join(keys)}; give another --out, or the same "
                             "plan to go on (stop and jobs may change)")
        self.out.mkdir(parents=True, exist_ok=True)
        with _locked(self.out), RunRecord(self.out, "learn", self.identity, self.plan.seed) as record:
            write_yaml(stored, self.identity)
            record.citations += CITATIONS
            result = self._rounds()
            record.results = {"rounds": len(result.rounds), "ended_by": result.ended_by}
        return result

    def _require_tools(self) -> None:
        labels.check_cells([], self.level)
        if (reason := trainer.available()) is not None:
            raise ExtraMissing(reason)
        lammps_command()

    def _rounds(self) -> Learning:
        potential = self._first()
        done: list[Round] = []
        ended_by = f"{self.plan.stop.rounds} rounds are done"
        for number in range(1, self.plan.stop.rounds + 1):
            done.append(self._round(number, potential))
            potential = load(self._folder(number) / "potential")
            self._publish(potential)
            learning = Learning(tuple(done), "", self.out / "potential")
            learning.save(self.out)
            self.report(done[-1].line)
            if (reason := self._stops(done)) is not None:
                ended_by = reason
                break
        return Learning(tuple(done), ended_by, self.out / "potential")

    def _stops(self, done: Sequence[Round]) -> str | None:
        """Why the loop ends here, or None. A round that asked for nothing is quiet; one whose labels failed is not."""
        stop = self.plan.stop

        def quiet(r: Round) -> bool:
            error = r.force_rmse_eV_per_A
            close = r.picked == 0 if error is None else error <= stop.force_rmse_eV_per_A
            return r.candidate + r.failed <= stop.inaccurate_share and close

        if len(done) >= stop.patience and all(quiet(r) for r in done[-stop.patience:]):
            return (f"{stop.patience} quiet rounds: at most {stop.inaccurate_share:.0%} of frames not accurate and at "
                    f"most {stop.force_rmse_eV_per_A:g} eV/A on the new labels")
        return None

    def _folder(self, number: int) -> Path:
        return self.out / f"round-{number:02d}"

    def _first(self) -> Potential:
        """Round 0: seed cells labelled, a first potential trained."""
        folder = self._folder(0)
        if self.plan.seed_cells and not (folder / "labelled.extxyz").is_file():
            if not (folder / "picked.extxyz").is_file():
                write_frames(folder / "picked.extxyz", seed_cells(self.plan))
            self._label(folder, 0)
        return self._train(0)

    def _round(self, number: int, potential: Potential) -> Round:
        folder = self._folder(number)
        if (folder / "round.json").is_file():
            return Round(**json.loads((folder / "round.json").read_text(encoding="utf-8")))
        known = [f.atoms for f in self._dataset(number - 1)]
        if not (folder / "selection.json").is_file():
            runs = self._explore(folder, number, potential)
            if not any(r.frames for r in runs):
                raise RunError(f"{folder / 'runs'}: no run gave a frame; the first says: "
                               f"{runs[0].ended_by or 'nothing'}")
            chosen = select(runs, known, potential, self.plan.pick, self._committee(number - 1))
            if chosen.cells:
                write_frames(folder / "picked.extxyz", chosen.cells)
            write_csv(folder / "runs.csv", {
                "kind": [r.kind for r in runs], "pressure_GPa": [r.pressure_GPa for r in runs],
                "temperature_K": [r.temperature_K for r in runs], "lived_ps": [r.lived_ps for r in runs],
                "ended_by": [r.ended_by for r in runs]})
            write_json(folder / "selection.json", {
                "runs": len(runs), "stopped": sum(bool(r.ended_by) for r in runs),
                "frames": sum(chosen.counts.values()),
                **{name: chosen.share(name) for name in CLASSES}, "picked": len(chosen.cells), "carved": chosen.carved,
                "by_kind": chosen.by_kind})
        judged = json.loads((folder / "selection.json").read_text(encoding="utf-8"))
        new, failures = self._label(folder, number)
        error = evaluate(potential.calculator(), read_dataset([folder / "labelled.extxyz"])).overall if new else None
        if error is not None:
            write_json(folder / "error_before.json", error)
        self._train(number)
        card = read_yaml(folder / "potential" / "card.yaml")
        held = card.get("errors_validation") or {}
        atoms = np.array([float(e["atoms"]) for e in held.values()])
        squares = np.array([float(e["force_rmse_eV_per_A"]) ** 2 for e in held.values()])
        result = Round(
            number=number, **judged, labelled=new, failed_labels=sum(failures.values()), failures=dict(failures),
            labels_total=len(self._dataset(number)),
            force_rmse_eV_per_A=error["force_rmse_eV_per_A"] if error else None,
            energy_rmse_meV_per_atom=error["energy_rmse_meV_per_atom"] if error else None,
            held_out_force_rmse_eV_per_A=float(np.sqrt(atoms @ squares / atoms.sum())) if len(atoms) else None)
        write_json(folder / "round.json", vars(result))
        return result

    def _explore(self, folder: Path, number: int, potential: Potential) -> list[Excursion]:
        planned = list(starts(self.plan, number))
        self.report(f"round {number}: {len(planned)} runs")
        pick = self.plan.pick

        def one(index: int, start: Start) -> Excursion:
            start.atoms.info["parent"] = f"r{number}-{index}"
            e = start.exploration
            seed = int(content_hash([self.plan.seed, number, index], 7), 16)
            return excursion(start.atoms, potential, start.pressure_GPa, start.temperature_K, e.time_ps,
                             folder / "runs" / f"{index:04d}", seed, e.frames, self.plan.timestep_fs, e.protocol,
                             e.to_pressure_GPa, pick.grade_failed)

        # LAMMPS is a process of its own, so threads are enough to keep `jobs` of them busy.
        with ThreadPoolExecutor(self.plan.jobs) as pool:
            return list(pool.map(one, range(len(planned)), planned))

    def _label(self, folder: Path, number: int) -> tuple[int, Counter[str]]:
        """Label `picked.extxyz`; (labels, failures by reason). Labels are tasks, so this is quick when typed again."""
        failures: Counter[str] = Counter()
        if not (folder / "picked.extxyz").is_file():
            return 0, failures
        wanted = read_frames(folder / "picked.extxyz")
        if not (folder / "labelled.extxyz").is_file():
            self.report(f"round {number}: {len(wanted)} labels at {self.level.id}")
        frames: dict[str, Atoms] = {}
        for atoms, outcome in labels.label_cells(wanted, self.plan.level, self.store, self.plan.jobs):
            if outcome.result is None:
                failures[outcome.reason] += 1
            else:
                frames[outcome.task.hash] = labels.labelled_frame(atoms, outcome.task, outcome.result)
        if frames:
            write_frames(folder / "labelled.extxyz", [frames[key] for key in sorted(frames)])
        return len(frames), failures

    def _files(self, number: int) -> list[Path]:
        mine = [self._folder(k) / "labelled.extxyz" for k in range(number + 1)]
        return [*self.data, *(path for path in mine if path.is_file())]

    def _dataset(self, number: int) -> list[Any]:
        return read_dataset(self._files(number))

    def _train(self, number: int) -> Potential:
        folder = self._folder(number) / "potential"
        if not (folder / "card.yaml").is_file():  # written last
            if not self._files(number):
                raise RunError(f"{self.out}: every seed label failed, so there is nothing to train on; look into "
                               f"{self.store.root}")
            self.report(f"round {number}: training on {len(self._dataset(number))} labels")
            train(self._files(number), folder, self.plan.train, name=f"{self.plan.metal}-H")
        return load(folder)

    def _committee(self, number: int) -> Committee | None:
        """The committee of the potential that round `number` left, trained on the same frames."""
        members = self.plan.pick.committee
        if members == 0:
            return None
        self.report(f"round {number}: training a committee of {members}")
        kept, held = split_by_parent(self._dataset(number), self.plan.train.validation_share, self.plan.train.seed)
        return train_committee(kept, held, self._folder(number) / "committee", self.plan.train, members,
                               self.plan.train.seed)

    def _publish(self, potential: Potential) -> None:
        """The newest potential as `potential/`; nep.txt last, since the active set refuses any other."""
        for name in ("card.yaml", "active_set.txt", "nep.txt"):
            write_text(self.out / "potential" / name, (potential.path / name).read_text(encoding="utf-8"))


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    with (out / ".lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"{out}: another loop is at work there; wait for it, or give another --out") from None
        yield
