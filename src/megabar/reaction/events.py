"""When things happen: hydrogen enters, units break, the surface melts and freezes, uptake saturates, a crystal forms.

A state counts from the first row of at least SUSTAINED rows in succession, so that no fluctuation becomes an event.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from megabar.campaign.files import write_csv

SUSTAINED = 3
ENTRY_H_PER_METAL = 0.05
"""Least gain that counts as uptake; more where the first rows scatter more (four standard deviations)."""
SATURATED_SHARE = 0.95


@dataclass(frozen=True)
class Event:
    """Something that happened at time_ps; where: "lower", "upper" or ""; detail in words."""

    name: str
    time_ps: float
    where: str = ""
    detail: str = ""


def first_sustained(flags: np.ndarray, rows: int = SUSTAINED, start: int = 0) -> int | None:
    """First row from `start` at which flags (t,) hold for `rows` rows in succession; None when they never do."""
    run = 0
    for k in range(start, len(flags)):
        run = run + 1 if flags[k] else 0
        if run == rows:
            return k - rows + 1
    return None


def uptake_onset(time_ps: np.ndarray, h_per_metal: np.ndarray) -> float | None:
    """Time from which the uptake stays above its start; None when it never does."""
    lead = max(1, min(5, len(time_ps) // 10))
    first = float(h_per_metal[:lead].mean())
    threshold = first + max(ENTRY_H_PER_METAL, 4.0 * float(h_per_metal[:lead].std()))
    row = first_sustained(h_per_metal > threshold)
    return None if row is None or h_per_metal[-SUSTAINED:].mean() <= threshold else float(time_ps[row])


def saturation(time_ps: np.ndarray, h_per_metal: np.ndarray, onset_ps: float | None) -> float | None:
    """Time at which 95 % of the whole gain is reached, if the uptake is flat after it; None otherwise.

    Flat: over the last quarter of the run the fitted gain is below a twentieth of the whole, or below twice its error.
    """
    rows = max(SUSTAINED, len(time_ps) // 4)
    if onset_ps is None or len(time_ps) < 4 * SUSTAINED:
        return None
    late_t, late = time_ps[-rows:], h_per_metal[-rows:]
    gain = float(late.mean() - h_per_metal[0])
    slope, intercept = np.polyfit(late_t, late, 1)
    rise = slope * (late_t[-1] - late_t[0])
    noise = float(np.std(late - slope * late_t - intercept)) * np.sqrt(12.0 / rows)
    if abs(rise) > max(0.05 * abs(gain), 2.0 * noise):
        return None
    row = first_sustained(h_per_metal >= h_per_metal[0] + SATURATED_SHARE * gain)
    return None if row is None else float(time_ps[row])


def melting_events(time_ps: np.ndarray, depths: dict[str, np.ndarray]) -> list[Event]:
    """Onset, largest thickness and freezing of molten layers; depths by measure (t, 2), NaN where unknown."""
    found = []
    for measure, depth in depths.items():
        for k, face in enumerate(("lower", "upper")):
            layers = depth[:, k]
            known = np.flatnonzero(np.isfinite(layers))
            row = first_sustained(np.nan_to_num(layers) >= 1.0)
            if row is None:
                continue
            already = row == (known[0] if len(known) else 0)
            found.append(Event(f"melting ({measure}) begins", float(time_ps[row]), face,
                               "already so when it could first be told" if already else ""))
            most = int(np.nanargmax(layers))
            found.append(Event(f"melting ({measure}) is thickest", float(time_ps[most]), face,
                               f"{layers[most]:.0f} layers"))
            after = known[known > np.flatnonzero(np.nan_to_num(layers) >= 1.0)[-1]]
            if len(after) >= SUSTAINED:
                found.append(Event(f"melting ({measure}) ends", float(time_ps[after[0]]), face, "frozen to the end"))
    return found


def phase_events(time_ps: np.ndarray, shares: np.ndarray, names: Sequence[str]) -> list[Event]:
    """Each sublattice that comes to hold the majority of the deep metals after another one or none; shares (t, k)."""
    found: list[Event] = []
    majority = np.where(shares.max(axis=1) > 0.5, shares.argmax(axis=1), -1)
    current = int(majority[0])
    k = 1
    while k < len(majority):
        row = first_sustained(majority != current, start=k)
        if row is None:
            break
        new = int(np.bincount(majority[row:row + SUSTAINED] + 1).argmax()) - 1
        if new != current:
            before = names[current] if current >= 0 else "no known sublattice"
            found.append(Event("sublattice changes", float(time_ps[row]), "",
                               f"{before} to {names[new] if new >= 0 else 'no known sublattice'}"))
        current, k = new, row + SUSTAINED
    return found


def save_events(events: Sequence[Event], out: Path) -> list[Path]:
    """events.csv in the folder `out`."""
    names = ("time_ps", "name", "where", "detail")
    columns: dict[str, Any] = {name: [getattr(e, name) for e in events] for name in names}
    write_csv(out / "events.csv", columns)
    return [out / "events.csv"]
