"""Is the uncertainty worth its name? Coverage of the committee's spread, and what ranks atoms by their true error.

A spread sigma claims that the true error of a force component lies within sigma in 68.3 % and within 1.96 sigma in 95 %
of cases. The committee's spread is widened by one factor, fitted so that the first claim holds, and both are then
counted on families that the factor has not seen (halves of the held-out families, each judged with the factor of the
other half). Ranks are Spearman's over atoms. What fails is said, not hidden: `best` names the measure that ranks best.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import norm, spearmanr

from megabar.campaign.files import atomic_path, write_csv, write_json
from megabar.errors import InputError
from megabar.potential.committee import Committee
from megabar.potential.dataset import LabelledFrame
from megabar.potential.library import Potential

WANTED_RANK = 0.6
LEVELS = (0.683, 0.95)
"""Shares of errors that one and 1.96 standard deviations of a normal distribution hold."""
_ZERO_FORCE_EV_PER_A = 1e-5
"""Below this a force of the model, which keeps every symmetry of a cell exactly, is zero by symmetry."""
_SPLITS = 20
"""Random halvings of the held-out families over which the calibrated coverage is averaged."""


@dataclass(frozen=True, eq=False)
class AtomErrors:
    """Per atom (N,) over all frames: true error and what claimed to know it.

    error and spread are (N, 3) force components in eV/A of the committee's mean; `potential_error` (N,) is the length
    of the force error of the potential that carries the grade; frame (N,) counts frames, `outside` marks frames beyond
    the training pressures.
    """

    error_eV_per_A: np.ndarray
    spread_eV_per_A: np.ndarray
    potential_error_eV_per_A: np.ndarray
    grade: np.ndarray
    frame: np.ndarray
    kind: np.ndarray
    family: np.ndarray
    pressure_GPa: np.ndarray
    outside: np.ndarray


def atom_errors(frames: Sequence[LabelledFrame], committee: Committee, potential: Potential,
                outside: Sequence[LabelledFrame] = ()) -> AtomErrors:
    """Errors and measures of every atom of held-out `frames` and of `outside` ones.

    Atoms whose force vanishes by symmetry are left out: the model gets them right without knowing anything, and what
    noise the reference leaves there would flatter every measure.
    Raises InputError when the potential has no active set.
    """
    calculator = potential.calculator()
    if calculator.active_set is None:
        raise InputError(f"potential {potential.name}: has no active_set.txt, so there is no grade to calibrate; "
                         "train it again")
    columns: dict[str, list[Any]] = {name: [] for name in AtomErrors.__dataclass_fields__}
    for number, frame in enumerate([*frames, *outside]):
        atoms, reference = frame.atoms.copy(), frame.forces_eV_per_A
        atoms.calc = None
        calculator.calculate(atoms)
        own = calculator.results["forces"]
        spread = committee.spread(atoms)
        real = np.abs(own).max(axis=1) > _ZERO_FORCE_EV_PER_A
        n = int(real.sum())
        columns["error_eV_per_A"].append((spread.forces_eV_per_A - reference)[real])
        columns["spread_eV_per_A"].append(spread.force_spread_eV_per_A[real])
        columns["potential_error_eV_per_A"].append(np.linalg.norm(own - reference, axis=1)[real])
        columns["grade"].append(calculator.results["grade"][real])
        for name, value in (("frame", number), ("kind", frame.kind), ("family", frame.parent),
                            ("pressure_GPa", frame.pressure_GPa), ("outside", number >= len(frames))):
            columns[name].append(np.full(n, value))
    return AtomErrors(**{name: np.concatenate(parts) for name, parts in columns.items()})


@dataclass(frozen=True, eq=False)
class Calibration:
    """Coverage and ranks.

    `factor` widens the committee's spread. `coverage` has a row for each nominal share: raw, and calibrated on other
    families. `ranks` are Spearman's correlations by measure and set ("inside", "outside", "all", and regions);
    `frame_ranks` those of whole frames, inside: RMS spread and largest grade against the RMS error. `hindsight` is how
    well the RMS error of its own frame ranks an atom inside: where all frames are alike, no measure gets far.
    `by_pressure` tells error and measures beyond the training pressures from those within; `grade_law` is (a, b) of
    error = a grade^b, fitted to the medians of inside atoms, eV/A.
    """

    atoms: AtomErrors
    factor: float
    coverage: tuple[tuple[float, float, float], ...]
    ranks: Mapping[str, Mapping[str, float | None]]
    frame_ranks: Mapping[str, float | None]
    hindsight: float | None
    by_pressure: tuple[Mapping[str, float], ...]
    grade_law: tuple[float, float]

    @property
    def best(self) -> str:
        inside = self.ranks["inside"]
        return max((m for m in MEASURES if inside[m] is not None), key=lambda m: float(inside[m] or -1.0))

    @property
    def shares(self) -> dict[float, tuple[float, float]]:
        """Nominal share: (raw, calibrated)."""
        return {nominal: (raw, calibrated) for nominal, raw, calibrated in self.coverage}

    def as_dict(self) -> dict[str, Any]:
        at = self.shares
        inside = self.ranks["inside"]
        return {
            "atoms": int(np.sum(~self.atoms.outside)), "atoms_outside": int(np.sum(self.atoms.outside)),
            "spread_factor": self.factor,
            "coverage": {f"{share:.1%}": {"raw": at[share][0], "calibrated": at[share][1]} for share in LEVELS},
            "rank_correlation": {name: dict(row) for name, row in self.ranks.items()},
            "rank_correlation_of_frames": dict(self.frame_ranks), "rank_correlation_in_hindsight": self.hindsight,
            "wanted_rank": WANTED_RANK, "passes": {m: (inside[m] or 0.0) >= WANTED_RANK for m in MEASURES},
            "best_measure": self.best, "by_pressure": [dict(row) for row in self.by_pressure],
            "grade_law_eV_per_A": {"a": self.grade_law[0], "b": self.grade_law[1]},
        }

    def save(self, out: str | Path) -> None:
        """`calibration.json`, `coverage.csv`, `atoms.csv` and `calibration.png` in folder `out`."""
        from matplotlib.figure import Figure

        out, a = Path(out), self.atoms
        write_json(out / "calibration.json", self.as_dict())
        write_csv(out / "coverage.csv", {name: [row[k] for row in self.coverage] for k, name in
                                         enumerate(("nominal_share", "raw_share", "calibrated_share"))})
        columns: dict[str, Any] = {
            "kind": a.kind, "pressure_GPa": a.pressure_GPa.round(2), "outside": a.outside.astype(int),
            "grade": a.grade.round(4), "spread_eV_per_A": _length(a.spread_eV_per_A).round(5),
            "committee_error_eV_per_A": _length(a.error_eV_per_A).round(5),
            "potential_error_eV_per_A": a.potential_error_eV_per_A.round(5)}
        write_csv(out / "atoms.csv", columns)
        figure = Figure(figsize=(11.0, 3.7), layout="constrained")
        axes = figure.subplots(1, 3)
        self.plot(axes[0])
        self._scatter(axes[1], _length(a.spread_eV_per_A), _length(a.error_eV_per_A), "committee spread (eV/A)",
                      "spread")
        axes[1].axline((0.1, 0.1), (1, 1), color="0.4", lw=0.8)
        self._scatter(axes[2], a.grade, a.potential_error_eV_per_A, "extrapolation grade", "grade")
        grid = np.geomspace(max(a.grade.min(), 1e-2), a.grade.max(), 50)
        axes[2].plot(grid, self.grade_law[0] * grid ** self.grade_law[1], color="0.3", lw=0.8)
        with atomic_path(out / "calibration.png") as temporary:
            figure.savefig(temporary, dpi=160)

    def plot(self, ax: Any) -> None:
        """Share of errors inside the claimed interval against the claim; the diagonal is an honest uncertainty."""
        nominal, raw, calibrated = np.array(self.coverage).T
        ax.plot([0, 1], [0, 1], color="0.4", lw=0.8)
        ax.plot(nominal, raw, color="C3", label="committee spread as it is")
        ax.plot(nominal, calibrated, color="C0", label=f"times {self.factor:.2f}, other families")
        for share in LEVELS:
            ax.plot(share, self.shares[share][1], "o", color="C0")
            ax.annotate(f"{share:.0%}: {self.shares[share][0]:.0%} / {self.shares[share][1]:.0%}",
                        (share, self.shares[share][1]), xytext=(-8, 6), textcoords="offset points", fontsize=8,
                        ha="right")
        ax.set_xlabel("claimed share of force errors")
        ax.set_ylabel("share found (held-out frames)")
        ax.legend(fontsize=7, loc="lower right")

    def _scatter(self, ax: Any, x: np.ndarray, y: np.ndarray, label: str, measure: str) -> None:
        out = self.atoms.outside
        ax.loglog(x[~out], np.maximum(y[~out], 1e-4), ".", ms=3, alpha=0.5, color="C0", label="training pressures")
        if out.any():
            ax.loglog(x[out], np.maximum(y[out], 1e-4), ".", ms=3, alpha=0.5, color="C1", label="beyond them")
        ax.set_xlabel(label)
        ax.set_ylabel("true force error (eV/A)")
        ax.set_title(f"Spearman {_text(self.ranks['inside'][measure])}, all {_text(self.ranks['all'][measure])}",
                     fontsize=9)
        ax.legend(fontsize=7, loc="lower right")


MEASURES = ("spread", "grade")


def calibrate(atoms: AtomErrors, seed: int = 0) -> Calibration:
    """Coverage, ranks and the two laws; InputError with fewer than four families or ten atoms inside."""
    inside = ~atoms.outside
    families = sorted(set(atoms.family[inside].tolist()))
    if len(families) < 4 or inside.sum() < 10:
        raise InputError(f"{len(families)} families with {int(inside.sum())} atoms held out are too few to calibrate "
                         "on; raise validation_share or label more")
    z = np.abs(atoms.error_eV_per_A[inside]) / np.maximum(atoms.spread_eV_per_A[inside], 1e-9)
    z = np.where(atoms.spread_eV_per_A[inside] > 1e-9, z, np.nan)  # components that vanish by symmetry claim nothing
    member = atoms.family[inside]
    rng = np.random.default_rng(seed)
    nominal = sorted({*np.arange(0.05, 1.0, 0.05).round(3).tolist(), *LEVELS})
    limit = norm.ppf(0.5 + np.array(nominal) / 2.0)
    found = []
    for _ in range(_SPLITS):
        first = np.isin(member, rng.permutation(families)[: len(families) // 2])
        for fitted, judged in ((first, ~first), (~first, first)):
            factor = _factor(z[fitted])
            found.append([np.nanmean(np.where(np.isnan(z[judged]), np.nan, z[judged] <= factor * k)) for k in limit])
    raw = [float(np.nanmean(np.where(np.isnan(z), np.nan, z <= k))) for k in limit]
    coverage = tuple((float(n), r, float(c)) for n, r, c in zip(nominal, raw, np.mean(found, axis=0), strict=True))
    sets = {"inside": inside, "all": np.ones_like(inside), "outside": atoms.outside}
    sets |= {str(kind): inside & (atoms.kind == kind) for kind in sorted(set(atoms.kind[inside].tolist()))}
    ranks = {name: {"spread": _rank(_length(atoms.spread_eV_per_A)[mask], _length(atoms.error_eV_per_A)[mask]),
                    "grade": _rank(atoms.grade[mask], atoms.potential_error_eV_per_A[mask]),
                    "atoms": float(mask.sum())}
             for name, mask in sets.items() if mask.any()}
    return Calibration(atoms, _factor(z), coverage, ranks, *_by_frame(atoms, inside), tuple(_by_pressure(atoms)),
                       _grade_law(atoms.grade[inside], atoms.potential_error_eV_per_A[inside]))


def _factor(z: np.ndarray) -> float:
    """What makes one standard deviation hold 68.3 % of the errors; a quantile, so that a few wild ones do not rule."""
    return float(np.nanquantile(z, LEVELS[0]))


def _rank(measure: np.ndarray, error: np.ndarray) -> float | None:
    if len(measure) < 10 or np.ptp(measure) == 0.0 or np.ptp(error) == 0.0:
        return None
    return float(spearmanr(measure, error).statistic)


def _by_frame(atoms: AtomErrors, mask: np.ndarray) -> tuple[dict[str, float | None], float | None]:
    """Ranks of whole frames by measure, and of atoms by what the error of their frame turned out to be."""
    error, spread = (_length(v[mask]) for v in (atoms.error_eV_per_A, atoms.spread_eV_per_A))
    _, frame = np.unique(atoms.frame[mask], return_inverse=True)

    def root_mean_square(values: np.ndarray) -> np.ndarray:
        return np.asarray(np.sqrt(np.bincount(frame, values**2) / np.bincount(frame)))

    largest = np.zeros(int(frame.max()) + 1)
    np.maximum.at(largest, frame, atoms.grade[mask])
    whole = root_mean_square(error)
    return {"spread": _rank(root_mean_square(spread), whole),
            "grade": _rank(largest, root_mean_square(atoms.potential_error_eV_per_A[mask])),
            "frames": float(len(whole))}, _rank(whole[frame], error)


def _grade_law(grade: np.ndarray, error: np.ndarray, bins: int = 8) -> tuple[float, float]:
    """(a, b) of error = a grade^b through the medians of bins with equally many atoms."""
    order = np.argsort(grade)
    parts = [part for part in np.array_split(order, min(bins, max(2, len(order) // 5))) if len(part)]
    x = np.log([max(float(np.median(grade[part])), 1e-6) for part in parts])
    y = np.log([max(float(np.median(error[part])), 1e-6) for part in parts])
    slope, offset = np.polyfit(x, y, 1) if np.ptp(x) > 0 else (0.0, float(y.mean()))
    return float(np.exp(offset)), float(slope)


def _by_pressure(atoms: AtomErrors) -> list[Mapping[str, float]]:
    rows: list[Mapping[str, float]] = []
    for outside in (False, True):
        mask = atoms.outside == outside
        if mask.any():
            rows.append({"outside": float(outside), "atoms": float(mask.sum()),
                         "pressure_from_GPa": float(atoms.pressure_GPa[mask].min()),
                         "pressure_to_GPa": float(atoms.pressure_GPa[mask].max()),
                         "median_error_eV_per_A": float(np.median(atoms.potential_error_eV_per_A[mask])),
                         "median_grade": float(np.median(atoms.grade[mask])),
                         "share_grade_above_1": float(np.mean(atoms.grade[mask] > 1.0)),
                         "median_spread_eV_per_A": float(np.median(_length(atoms.spread_eV_per_A[mask])))})
    return rows


def _length(components: np.ndarray) -> np.ndarray:
    return np.linalg.norm(components, axis=1)


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
