"""A labelling run: progress on standard error, the labelled file rewritten as labels come, a record at the end."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

from ase import Atoms
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from megabar.campaign.files import file_hash
from megabar.campaign.record import RunRecord
from megabar.campaign.tasks import Store
from megabar.crystals.files import read_frames, write_frames
from megabar.firstprinciples import label as labels
from megabar.firstprinciples.levels import level

_SAVE_EVERY_S = 120.0


class LabelCampaign:
    """Labels of `cells` at a level, through the task store, into `target`."""

    def __init__(self, cells: Path, target: Path, store: Path, level_id: str, jobs: int, limit: int | None,
                 retry_failed: bool) -> None:
        self.level = level(level_id)
        self.cells_path, self.target, self.store = cells, target, Store(store)
        self.cells = read_frames(cells)
        labels.check_cells(self.cells, self.level)
        self.jobs, self.limit, self.retry_failed = jobs, limit, retry_failed
        self._by_hash = {labels.label_task(atoms, level_id).hash: atoms for atoms in self.cells}

    def _open_cells(self) -> list[Atoms]:
        """Cells without a stored outcome, cheapest first."""
        open_cells = []
        for key in sorted(self._by_hash):
            task = labels.label_task(self._by_hash[key], self.level.id)
            failed = self.store.failure(task) is not None and not self.retry_failed
            if self.store.result(task) is None and not failed:
                open_cells.append(self._by_hash[key])
        return sorted(open_cells, key=lambda atoms: labels.estimated_cpu_s(atoms, self.level))

    def dry_run(self) -> dict[str, Any]:
        """What would run and for how long; nothing is written."""
        open_cells = self._open_cells()[: self.limit]
        hours = sum(labels.estimated_cpu_s(atoms, self.level) for atoms in open_cells) / 3600.0 / self.jobs
        return {"labels": len(self._by_hash) - len(open_cells), "failed": 0, "left": len(open_cells), "failures": {},
                "estimated_hours": hours, "level": self.level.id}

    def run(self) -> dict[str, Any]:
        """Label until done or the limit; returns counts, failures by reason and labels per hour."""
        with self.store.lock(), RunRecord(self.target.parent, "label", {
            "cells": self.cells_path, "level": self.level.id, "jobs": self.jobs, "limit": self.limit,
            "out": self.target,
        }) as record:
            record.hashes["cells"] = file_hash(self.cells_path)
            record.citations += ["GPAW: 10.1063/5.0182685" if self.level.engine == "gpaw" else
                                 "Quantum ESPRESSO: 10.1088/1361-648X/aa8f79", "PBE: 10.1103/PhysRevLett.77.3865"]
            summary = self._label()
            record.results.update(summary)
            record.speed["labels_per_hour"] = summary["labels_per_hour"]
        self.store.rebuild_index()
        return summary

    def _label(self) -> dict[str, Any]:
        chosen = {labels.label_task(a, self.level.id).hash for a in self._open_cells()[: self.limit]}
        skipped = {key for key in self._by_hash if key not in chosen}
        frames: dict[str, Atoms] = {}
        failures: Counter[str] = Counter()
        new, start, saved = 0, time.monotonic(), time.monotonic()
        wanted = [atoms for key, atoms in self._by_hash.items()
                  if key in chosen or self._stored(atoms)]
        columns = (TextColumn("label"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
                   TextColumn("{task.fields[rate]}"))
        with Progress(*columns, console=Console(stderr=True)) as progress:
            bar = progress.add_task("label", total=len(wanted), rate="")
            for atoms, outcome in labels.label_cells(wanted, self.level.id, self.store, self.jobs, self.retry_failed):
                if outcome.result is not None:
                    frames[outcome.task.hash] = labels.labelled_frame(atoms, outcome.task, outcome.result)
                else:
                    failures[outcome.reason] += 1
                    if outcome.wall_time_s:
                        progress.console.print(f"quarantined {self.store.folder(outcome.task)}: {outcome.reason}")
                new += outcome.status == "done"
                per_hour = new / max(time.monotonic() - start, 1e-9) * 3600.0
                left_h = (len(wanted) - len(frames) - sum(failures.values())) / per_hour if new else float("nan")
                rate = f"{per_hour:.0f} labels/hour, {left_h:.1f} h left" if new else ""
                progress.update(bar, advance=1, rate=rate)
                if time.monotonic() - saved > _SAVE_EVERY_S:
                    self._save(frames)
                    saved = time.monotonic()
        self._save(frames)
        left = len(skipped) - sum(self._stored(self._by_hash[key]) for key in skipped)
        return {"labels": len(frames), "new": new, "failed": sum(failures.values()), "left": left,
                "failures": dict(failures), "level": self.level.id, "out": str(self.target),
                "labels_per_hour": new / max(time.monotonic() - start, 1e-9) * 3600.0}

    def _stored(self, atoms: Atoms) -> bool:
        task = labels.label_task(atoms, self.level.id)
        return self.store.result(task) is not None or self.store.failure(task) is not None

    def _save(self, frames: dict[str, Atoms]) -> None:
        if frames:
            write_frames(self.target, [frames[key] for key in sorted(frames)])
