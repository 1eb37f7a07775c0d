"""When things happen: hydrogen enters, units break, the surface melts and freezes, uptake saturates, a crystal forms.

A state counts from the first row of at least SUSTAINED rows in succession, so that no fluctuation becomes an event.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import uniform_filter1d

from megabar.campaign.files import write_csv
from megabar.reaction.kinetics import LEAST_ROWS, fit_rate

SUSTAINED = 3
ENTRY_H_PER_METAL = 0.05
"""Least gain that counts as uptake; more where the first rows scatter more (four standard deviations)."""
SATURATED_SHARE = 0.95
STILL_TO_COME = 0.2
"""Largest share of the gain that may come in another run as long, two standard errors included. With the noise of 600
atoms over 60 ps (0.05 to 0.3 H/M, correlated over 1.8 ps), of 300 seeds each of linear, parabolic, cube-root,
logarithmic, slowly exponential, paused and stepwise uptake less than 1 % gave an end. With a gain of 2.6 H/M an abrupt
end is seen in 91 % at a noise of 0.15 and 27 % at 0.3 H/M."""


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


def saturation(time_ps: np.ndarray, h_per_metal: np.ndarray, onset_ps: float | None, cell_h_per_metal: float,
               seed: int = 0) -> Event | None:
    """The end of the uptake, at the time when 95 % of the whole gain is reached; None when an end is not shown.

    h_per_metal (t,): inside the hydride; cell_h_per_metal: of the whole cell. A pause is no end, so that of the rows
    from that time on two things are asked: that they last as long as all that went before, incubation included; and
    that their slope, with twice its error (moving blocks, which respect autocorrelation), adds less than a fifth of the
    gain in another run as long as this one. Where less than that is left outside, neither is asked. seed: of the error.
    """
    if onset_ps is None or len(time_ps) < 4 * SUSTAINED:
        return None
    lead = max(1, min(5, len(time_ps) // 10))
    start, level = float(h_per_metal[:lead].mean()), float(h_per_metal[-(len(time_ps) // 3):].mean())
    gain = level - start
    if gain <= 0.0:
        return None
    reached = start + SATURATED_SHARE * gain
    width = max(SUSTAINED, len(time_ps) // 10)
    # A running mean says in which part of the run, the rows themselves when in it.
    row = int(np.argmax(uniform_filter1d(h_per_metal, width, mode="nearest") >= reached))
    row = min(row, first_sustained(h_per_metal >= reached, start=max(0, row - width // 2)) or row)
    flat = slice(row, None)
    length, risen = float(time_ps[-1] - time_ps[row]), float(time_ps[row] - time_ps[0])
    held = float(h_per_metal[flat].mean())
    if cell_h_per_metal - held <= STILL_TO_COME * gain:
        return Event("uptake saturates", float(time_ps[row]), "",
                     f"H/M {held:.2f} of {cell_h_per_metal:.2f}: no hydrogen is left outside")
    if length < risen or len(time_ps[flat]) < LEAST_ROWS:
        return None
    slope = fit_rate(time_ps[flat], h_per_metal[flat], "linear", seed=seed)
    rate, error = slope.values["rate_per_ps"], slope.errors["rate_per_ps"]
    if (abs(rate) + 2.0 * error) * (length + risen) > STILL_TO_COME * gain:
        return None
    return Event("uptake saturates", float(time_ps[row]), "",
                 f"H/M {held:.2f}, slope {rate:.4f} +- {error:.4f} per ps over {length:.1f} ps, longer than the "
                 f"{risen:.1f} ps before")


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
