"""Of all frames of a round's runs: how many the potential knows, and which are worth a label.

By extrapolation grade, and by committee spread where there is one, a frame is accurate, a candidate or failed,
as in the
concurrent learning of Zhang et al., Phys. Rev. Materials 3, 023804 (2019), 10.1103/PhysRevMaterials.3.023804. Time is
never the criterion: of frames that look alike one is labelled. Half of a round's labels go to those that enlarge the
active set most (MaxVol), half to those farthest from everything known in descriptor space, kind by kind in turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from megabar.dynamics.exploration import LARGEST_VOLUME_A3, Excursion, labellable, pick
from megabar.dynamics.guards import neighbourhood
from megabar.dynamics.learning_plan import Picking
from megabar.errors import InputError
from megabar.potential.committee import Committee
from megabar.potential.library import Potential

CLASSES = ("accurate", "candidate", "failed")
_CLEAR_A = 1.5
"""A carved cell is used only if nothing within this of its centre, a hydride's first shell, was moved or cut off."""


@dataclass(frozen=True)
class Selection:
    """Frames counted by class (also by kind), the cells to label, and how many of them were carved."""

    counts: dict[str, int]
    by_kind: dict[str, dict[str, int]]
    cells: tuple[Atoms, ...]
    carved: int

    def share(self, name: str) -> float:
        total = sum(self.counts.values())
        return self.counts[name] / total if total else 0.0


@dataclass(frozen=True, eq=False)
class Judge:
    """What tells known from unknown: the potential's grade and, where there is one, a committee's spread.

    The grade alone tells extrapolation; how wrong atoms are that lie inside the training set the spread tells better
    (rank correlations in docs/potential.md).
    """

    potential: Potential
    settings: Picking
    committee: Committee | None = None

    def strangeness(self, atoms: Atoms) -> tuple[np.ndarray, str]:
        """(n,) grade or spread of every atom over its limit for accurate frames, whichever is larger, and the class of
        the frame. InputError for a potential without an active set."""
        settings, grade = self.settings, grades(atoms, self.potential)
        score, failed = grade / settings.grade_accurate, bool(grade.max() >= settings.grade_failed)
        if self.committee is not None:
            spread = np.linalg.norm(self.committee.spread(atoms).force_spread_eV_per_A, axis=1)
            score = np.maximum(score, spread / settings.spread_accurate_eV_per_A)
            failed = failed or bool(spread.max() >= settings.spread_failed_eV_per_A)
        return score, "failed" if failed else "accurate" if score.max() < 1.0 else "candidate"


def grades(atoms: Atoms, potential: Potential) -> np.ndarray:
    """Extrapolation grade (n,) of every atom; InputError for a potential without an active set."""
    calculator = potential.calculator()
    if calculator.active_set is None:
        raise InputError(f"potential {potential.name}: has no active_set.txt, so nothing tells what is new to it; "
                         "train it again")
    calculator.calculate(atoms)
    return np.asarray(calculator.results["grade"])


def select(runs: Sequence[Excursion], known: Sequence[Atoms], potential: Potential, settings: Picking,
           committee: Committee | None = None) -> Selection:
    """Judge the frames of `runs` and choose at most `settings.labels` cells of at most a label's size.

    `known` are the labelled frames. `info` of each cell has strangeness (its largest, in units of the limit of accurate
    frames), grade and class; carved ones carved_from.
    """
    judge = Judge(potential, settings, committee)
    counts = dict.fromkeys(CLASSES, 0)
    by_kind: dict[str, dict[str, int]] = {}
    candidates: list[Atoms] = []
    for run in runs:
        mine = by_kind.setdefault(run.kind, dict.fromkeys(CLASSES, 0))
        judged = [judge.strangeness(frame) for frame in run.frames]
        for name in [*(name for _, name in judged), *["failed"] * run.broken]:
            counts[name] += 1
            mine[name] += 1

        def order(k: int, judged: list[tuple[np.ndarray, str]] = judged) -> tuple[bool, float]:
            # Candidates first, strangest ahead; then failed ones from the mildest: a cell just outside teaches more
            # than a wreck.
            score, name = judged[k]
            return name == "failed", float(score.max()) * (1.0 if name == "failed" else -1.0)

        chosen = sorted((k for k, (_, name) in enumerate(judged) if name != "accurate"), key=order)
        for k in chosen[: settings.per_run]:
            score, name = judged[k]
            cell = _small(run.frames[k], score, settings)
            if cell is None:
                continue
            cell.info.update({"strangeness": round(float(judge.strangeness(cell)[0].max()), 3),
                              "grade": round(float(grades(cell, potential).max()), 3), "class": name})
            candidates.append(cell)
    cells = _choose(candidates, known, potential, settings)
    return Selection(counts, by_kind, tuple(cells), sum("carved_from" in c.info for c in cells))


def _small(frame: Atoms, score: np.ndarray, settings: Picking) -> Atoms | None:
    """`frame` itself, or a periodic carve around its worst atom; None when the carve would not be worth its label."""
    if len(frame) <= settings.max_atoms:
        return frame.copy() if frame.get_volume() < LARGEST_VOLUME_A3 else None
    worst = int(score.argmax())
    cell = neighbourhood(frame, worst, settings.carve_atoms)
    if (len(cell) > 1.5 * settings.carve_atoms or cell.info["kept_within_A"] < _CLEAR_A or not labellable(cell)
            or cell.get_volume() > LARGEST_VOLUME_A3):
        return None
    cell.info = {**frame.info, "carved_from": len(frame), "kept_within_A": cell.info["kept_within_A"],
                 "origin": f"{frame.info.get('origin', '')} carved around atom {worst + 1} of {len(frame)}"}
    return cell


def _choose(candidates: list[Atoms], known: Sequence[Atoms], potential: Potential, settings: Picking) -> list[Atoms]:
    if not candidates:
        return []
    active_set = potential.calculator().active_set
    assert active_set is not None
    failed_left = int(settings.failed_share * settings.labels)
    allowed = [c for c in candidates if c.info["class"] == "candidate"]
    failed = sorted((c for c in candidates if c.info["class"] == "failed"), key=lambda c: float(c.info["strangeness"]))
    allowed += failed[:failed_left]
    rows = active_set.select(potential.model, allowed, threshold=1.2)
    rows.sort(key=lambda k: -float(allowed[k].info["strangeness"]))
    first = [allowed[k] for k in rows[: (settings.labels + 1) // 2]]
    taken = {id(cell) for cell in first}
    rest = [cell for cell in allowed if id(cell) not in taken]
    return first + pick(rest, [*known, *first], potential, settings.labels - len(first))
