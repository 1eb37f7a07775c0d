"""The controls of a series: per condition, what an expert asks before believing it, pooled over seeds.

How much hydrogen is inside at the end; when the surface melts, by order, by mobility and by both; whether the cell is
solid or liquid at the end; which sublattices it holds; how far the potential was taken beyond its training. A time
that was not seen is no number: it is known to be longer than the run lived.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from megabar.campaign.files import read_csv
from megabar.reaction.averages import mean_and_error
from megabar.reaction.events import first_sustained
from megabar.reaction.grades import run_grades

if TYPE_CHECKING:
    from megabar.reaction.pooled import Condition, RunData

MEASURES = {"order": "liquid_by_order", "mobility": "liquid_by_mobility", "both": "liquid"}
"""Ways in which a layer is found liquid, and their columns in surface_melting.csv, which end in the face."""
_SHOWN_SHARE = 0.02


@dataclass(frozen=True)
class Controls:
    """Of one run.

    Attributes:
        melting_ps: time from which a layer at a face (in a bulk cell, the cell) is liquid, by measure; NaN when it was
            not seen. state: "solid" or "liquid" in the last tenth, when more than half of the layers are so by order
            and by mobility alike; else "by order only" or "by mobility only".
        sublattices: mean share of the deep metals by sublattice in the last tenth, "none" included.
        h_per_metal_deep: in the part away from the faces that `product` names. grade_share, grade_largest: mean share
            of atoms above grade 1, and the largest grade.
    """

    melting_ps: Mapping[str, float]
    state: str
    sublattices: Mapping[str, float]
    h_per_metal_deep: float
    grade_share: float
    grade_largest: float


def melting_onset_ps(time_ps: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> float:
    """First time from which either face has a liquid layer for some rows on; layers (t,), NaN where unknown."""
    rows = [first_sustained(np.nan_to_num(face) >= 1.0) for face in (lower, upper)]
    return min((float(time_ps[row]) for row in rows if row is not None), default=math.nan)


def state(share_by_order: float, share_by_mobility: float) -> str:
    """Solid, liquid, or by which measure alone it is liquid, from the shares of layers that are; "" when unknown."""
    if math.isnan(share_by_order):
        return ""
    if math.isnan(share_by_mobility):
        return "mobility unknown"
    liquid = share_by_order > 0.5, share_by_mobility > 0.5
    return {(True, True): "liquid", (False, False): "solid", (True, False): "liquid by order only",
            (False, True): "liquid by mobility only"}[liquid]


def read_controls(folder: Path, molten_share: tuple[float, float], product: Mapping[str, Any]) -> Controls:
    """Controls of the analysed run in `folder`; molten_share of its layers in the last tenth by order and mobility."""
    melting = read_csv(folder / "surface_melting.csv")
    onsets = {measure: melting_onset_ps(melting["time_ps"], melting[f"{name}_lower"], melting[f"{name}_upper"])
              for measure, name in MEASURES.items()}
    shares = read_csv(folder / "product.csv")
    tail = max(1, len(shares.pop("time_ps")) // 10)
    deep = product.get("H_per_metal")
    grades = run_grades(folder)
    return Controls(onsets, state(*molten_share), {name: float(v[-tail:].mean()) for name, v in shares.items()},
                    math.nan if deep is None else float(deep), grades.share, grades.most)


def onset_in_words(onsets_ps: Sequence[float], lived_ps: Sequence[float]) -> str:
    """Mean and standard error of what was seen and, for the seeds that did not see it, how long they looked."""
    unseen = sorted({round(lived, 1) for onset, lived in zip(onsets_ps, lived_ps, strict=True) if math.isnan(onset)})
    looked = f"not seen in {unseen[0]:g}{f'-{unseen[-1]:g}' if len(unseen) > 1 else ''} ps" if unseen else ""
    mean, error, seen = mean_and_error(onsets_ps)
    if seen == 0:
        return looked
    text = f"{mean:.1f}" + ("" if math.isnan(error) else f" +- {error:.1f}") + " ps"
    return f"{text} in {seen} of {len(onsets_ps)}, else {looked}" if looked else text


def control_row(condition: Condition) -> dict[str, Any]:
    """The controls of a condition with standard errors over seeds.

    What belongs to the end is of finished runs. Times of melting and grades are of stopped ones too: these looked for
    as long as they lived.
    """
    done = [(run, run.controls) for run in condition.done if run.controls is not None]
    known = [(run, run.controls) for run in condition.reached if run.controls is not None]
    row: dict[str, Any] = {"block": condition.block, "condition": condition.label, "seeds": len(condition.done),
                           "stopped": len(condition.stopped), "failed": len(condition.failed)}
    for name, values in (("h_per_metal_inside", [run.h_per_metal_last for run, _ in done]),
                         ("h_per_metal_deep", [c.h_per_metal_deep for _, c in done])):
        row[name], row[f"{name}_error"], _ = mean_and_error(values)
    for measure in MEASURES:
        onsets, lived = [c.melting_ps[measure] for _, c in known], [run.lived_ps for run, _ in known]
        row[f"melts_by_{measure}_ps"], row[f"melts_by_{measure}_ps_error"], seen = mean_and_error(onsets)
        row[f"melts_by_{measure}_seen"] = seen
        row[f"melts_by_{measure}"] = onset_in_words(onsets, lived) if known else ""
    row["at_the_end"] = _counted([c.state for _, c in done])
    names = list(dict.fromkeys(name for _, c in done for name in c.sublattices))
    for name in names:
        row[f"share {name}"], row[f"share {name}_error"], _ = mean_and_error([c.sublattices[name] for _, c in done])
    row["product"] = _counted([run.phase for run, _ in done])
    row["grade_share_above_1"], row["grade_share_above_1_error"], _ = mean_and_error([c.grade_share for _, c in known])
    row["grade_largest"] = max((c.grade_largest for _, c in known), default=math.nan)
    return row


def _counted(words: Sequence[str]) -> str:
    return "; ".join(f"{word} x{count}" for word, count in Counter(words).most_common())


def stopped_in_words(runs: Sequence[RunData]) -> str:
    """When each stopped run was stopped, for a table."""
    return "; ".join(f"{run.lived_ps:.2f} ps" for run in runs)


def plus_minus(row: Mapping[str, Any], name: str, digits: int) -> str:
    """Mean and standard error of a column of a row; "-" where they are not known."""
    value, error = row.get(name), row.get(f"{name}_error")
    if value is None or value != value:
        return "-"
    return f"{value:.{digits}f}" + (f" +- {error:.{digits}f}" if error is not None and error == error else "")


HEADINGS = ("condition", "H/M inside", "deep", "melts by order", "by mobility", "by both", "at the end",
            "sublattices", "grade > 1", "largest")


def control_cells(row: Mapping[str, Any], label: str) -> list[str]:
    """The row of the printed table under HEADINGS, the condition as `label`."""
    shares = sorted(((value, key) for key, value in row.items()
                     if key.startswith("share ") and not key.endswith("_error") and value > _SHOWN_SHARE), reverse=True)
    most = row["grade_largest"]
    return [label, plus_minus(row, "h_per_metal_inside", 2), plus_minus(row, "h_per_metal_deep", 2),
            *(row[f"melts_by_{measure}"] or "-" for measure in MEASURES), row["at_the_end"] or "-",
            "; ".join(f"{key.removeprefix('share ')} {plus_minus(row, key, 2)}" for _, key in shares) or "-",
            plus_minus(row, "grade_share_above_1", 4), "-" if most is None or most != most else f"{most:.2f}"]
