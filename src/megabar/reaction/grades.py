"""How far a run went beyond what its potential was trained on: extrapolation grades of its atoms against time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from megabar.campaign.files import read_csv, write_csv
from megabar.dynamics.guards import frame_atoms
from megabar.dynamics.trajectory import read_trajectory
from megabar.errors import InputError
from megabar.potential.library import load
from megabar.reaction.series import Thinned

FILE = "grades.csv"
INSTANTS = 100


@dataclass(frozen=True)
class Grades:
    """Of at most INSTANTS instants, evenly spread: time_ps (t,), share_above_1 (t,) of all atoms with a grade above 1
    (outside what was trained on), largest (t,) grade. Empty where the potential has no grade."""

    time_ps: np.ndarray
    share_above_1: np.ndarray
    largest: np.ndarray

    @property
    def share(self) -> float:
        """Mean share of atoms above 1; NaN where unknown."""
        return float(self.share_above_1.mean()) if len(self.time_ps) else math.nan

    @property
    def most(self) -> float:
        """Largest grade; NaN where unknown."""
        return float(self.largest.max()) if len(self.time_ps) else math.nan


def run_grades(run: str | Path) -> Grades:
    """Grades of the reaction stage of the run in folder `run`, worked out once and kept there as `grades.csv`.

    Raises InputError when the stage has no frames.
    """
    folder = Path(run)
    if (folder / FILE).is_file():
        return Grades(**read_csv(folder / FILE))
    potential = load(folder)
    if not potential.has_grade:
        return Grades(*np.zeros((3, 0)))
    calculator, instants = potential.calculator(), Thinned(INSTANTS)
    for frame in read_trajectory(folder / "reaction" / "trajectory.dump"):
        instants.offer(lambda frame=frame: frame)
    rows = []
    for frame in instants.chosen():
        calculator.calculate(frame_atoms(frame))
        grade = calculator.results["grade"]
        rows.append((frame.time_ps, float(np.mean(grade > 1.0)), float(grade.max())))
    if not rows:
        raise InputError(f"{folder}: the reaction stage has no frames; run it longer")
    found = Grades(*np.array(rows).T)
    write_csv(folder / FILE, {name: getattr(found, name) for name in ("time_ps", "share_above_1", "largest")})
    return found
