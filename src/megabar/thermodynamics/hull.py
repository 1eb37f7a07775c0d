"""The convex hull against pressure, and how sure it is: probabilities and stability ranges with error bars.

Central values come from pymatgen's phase diagram. For the thousands of hulls of the error analysis each composition is
compared with every mixture of the others that has its composition; these mixtures do not change from draw to draw.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from megabar.campaign.files import write_csv, write_json, write_text
from megabar.errors import InputError
from megabar.thermodynamics.reactions import Formula

ON_HULL_EV = 1e-6
"""Distances below this are rounding."""


@dataclass(frozen=True)
class Compound:
    """One composition on pressures (n,): the enthalpy per atom of its best phase and the name of that phase; NaN and ""
    where there is none. `error_eV` is one standard deviation per atom, shared by all its phases and pressures."""

    formula: Formula
    enthalpy_eV: np.ndarray
    phases: tuple[str, ...]
    error_eV: float


@dataclass(frozen=True)
class Range:
    """Pressures over which a composition is on the hull. An end that lies outside the pressures asked for is None; its
    error is the standard deviation of the end over the draws that have one, `share` the share of draws that do."""

    formula: str
    low_GPa: float | None
    low_error_GPa: float | None
    low_share: float | None
    high_GPa: float | None
    high_error_GPa: float | None
    high_share: float | None

    def text(self) -> str:
        def end(value: float | None, error: float | None, word: str) -> str:
            return word if value is None else f"{value:.1f}" + ("" if error is None else f" +- {error:.1f}")

        return (f"{self.formula}: {end(self.low_GPa, self.low_error_GPa, 'from below')} to "
                f"{end(self.high_GPa, self.high_error_GPa, 'beyond')} GPa")


@dataclass(frozen=True)
class Hull:
    """Hull of `compounds` (m) on pressures (n,).

    Attributes:
        formation_eV: (m, n) per atom, relative to the best phases of the elements.
        margin_eV: (m, n) per atom by which a compound lies below all mixtures of the others (negative: above them, then
            it is minus the distance from the hull). NaN for elements, which are always on it.
        probability: (m, n) share of draws in which it is on the hull; None without errors.
        ranges: where the central values are stable.
    """

    elements: tuple[str, ...]
    source: str
    pressure_GPa: np.ndarray
    compounds: tuple[Compound, ...]
    formation_eV: np.ndarray
    margin_eV: np.ndarray
    probability: np.ndarray | None
    ranges: tuple[Range, ...]
    samples: int
    condition: str
    notes: tuple[str, ...] = ()

    @property
    def fraction(self) -> np.ndarray:
        """(m,) atomic share of the last element: the axis of a binary hull."""
        return np.array([float(c.formula.amount(self.elements[-1]) / c.formula.atoms) for c in self.compounds])

    @property
    def on_hull(self) -> np.ndarray:
        """(m, n) bool; elements always."""
        with np.errstate(invalid="ignore"):
            return np.isfinite(self.formation_eV) & ~(self.margin_eV < -ON_HULL_EV)

    def to_dict(self) -> dict[str, Any]:
        return {
            "elements": list(self.elements), "source": self.source, "condition": self.condition,
            "pressure_GPa": self.pressure_GPa, "samples": self.samples,
            "compounds": [{
                "formula": c.formula.text, "error_meV_per_atom": 1e3 * c.error_eV, "phases": list(c.phases),
                "formation_eV_per_atom": self.formation_eV[i], "above_hull_eV_per_atom": above_hull(self.margin_eV[i]),
                "on_hull": self.on_hull[i],
                "probability": None if self.probability is None else self.probability[i]}
                for i, c in enumerate(self.compounds)],
            "ranges": [{**vars(r), "text": r.text()} for r in self.ranges], "notes": list(self.notes),
        }

    def save(self, directory: str | Path) -> list[str]:
        """hull.json, hull.csv, ranges.csv, hull.png and, for two elements, hull.html; returns the figures' names."""
        from megabar.thermodynamics.hull_figures import draw, page

        target = Path(directory)
        write_json(target / "hull.json", self.to_dict())
        m, n = self.formation_eV.shape
        write_csv(target / "hull.csv", {
            "formula": [c.formula.text for c in self.compounds for _ in range(n)],
            "phase": [p for c in self.compounds for p in c.phases],
            "pressure_GPa": np.tile(self.pressure_GPa, m).tolist(),
            "formation_eV_per_atom": self.formation_eV.ravel().tolist(),
            "above_hull_eV_per_atom": above_hull(self.margin_eV).ravel().tolist(),
            "on_hull": self.on_hull.ravel().tolist(),
            "probability": [None] * (m * n) if self.probability is None else self.probability.ravel().tolist()})
        fields = ("formula", "low_GPa", "low_error_GPa", "low_share", "high_GPa", "high_error_GPa", "high_share")
        write_csv(target / "ranges.csv", {k: [getattr(r, k) for r in self.ranges] for k in fields})
        figures = draw(self, target)
        if len(self.elements) == 2:
            write_text(target / "hull.html", page(self))
            figures.append("hull.html")
        return figures

    def plot(self, ax: Any) -> None:
        from megabar.thermodynamics.hull_figures import plot_hull

        plot_hull(ax, self, [len(self.pressure_GPa) - 1])


def above_hull(margin_eV: np.ndarray) -> np.ndarray:
    """Distance from the hull: zero on it (and for elements), minus the margin above it."""
    return np.where(np.isnan(margin_eV), 0.0, np.maximum(-margin_eV, 0.0))


def mixtures(fractions: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each of m compositions (m, d) of d elements: the other compositions whose mixtures can be it, as index sets
    (k, d) and weights per atom (k, d). Exact for any d: a point of the hull of the others lies in one of these."""
    m, d = fractions.shape
    found = []
    for i in range(m):
        sets, weights = [], []
        for chosen in combinations([j for j in range(m) if j != i], d):
            corner = fractions[list(chosen)]
            if abs(np.linalg.det(corner)) < 1e-12:
                continue
            share = np.linalg.solve(corner.T, fractions[i])
            if share.min() > -1e-9:
                sets.append(chosen)
                weights.append(share)
        found.append((np.array(sets, dtype=int).reshape(-1, d), np.array(weights).reshape(-1, d)))
    return found


def margins(enthalpy_eV: np.ndarray, mixed: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """(m, ...) lowest mixture of the others minus own enthalpy (m, ...) per atom; NaN where nothing can be compared
    (elements, or missing values). Missing compositions (NaN) are not part of any mixture."""
    filled = np.where(np.isfinite(enthalpy_eV), enthalpy_eV, np.inf)
    out = np.full(enthalpy_eV.shape, np.nan)
    for i, (sets, weights) in enumerate(mixed):
        if len(sets) == 0:
            continue
        best = np.full(enthalpy_eV.shape[1:], np.inf)
        for chosen, share in zip(sets, weights, strict=True):
            # A zero share of a missing compound would be 0 x infinity.
            value = sum(s * filled[j] for j, s in zip(chosen, share, strict=True) if s > 1e-9)
            best = np.minimum(best, value)
        out[i] = np.where(np.isfinite(best), best - enthalpy_eV[i], np.nan)
    return out


def build_hull(elements: Sequence[str], compounds: Sequence[Compound], pressure_GPa: np.ndarray, source: str, *,
               samples: int = 2000, seed: int = 0, condition: str = "static", notes: Sequence[str] = ()) -> Hull:
    """The hull on all pressures. Raises InputError when an element has no phase at some pressure.

    Errors are drawn once for a composition and hold at all pressures (what a potential gets wrong about a compound it
    gets wrong at neighbouring pressures too), independently for each composition.
    """
    order = sorted(compounds, key=lambda c: [float(c.formula.amount(e) / c.formula.atoms) for e in elements[::-1]])
    fractions = np.array([[float(c.formula.amount(e) / c.formula.atoms) for e in elements] for c in order])
    table = np.array([c.enthalpy_eV for c in order])
    corners = []
    for k, element in enumerate(elements):
        pure = [i for i in range(len(order)) if fractions[i, k] > 1.0 - 1e-12]
        if not pure or not np.isfinite(table[pure[0]]).all():
            where = "" if not pure else f" at {pressure_GPa[int(np.argmax(~np.isfinite(table[pure[0]])))]:g} GPa"
            raise InputError(f"hull: no phase of {element}{where}, and a hull needs every element: give a cell with "
                             "--phase")
        corners.append(pure[0])
    formation = table - fractions @ table[corners]
    mixed = mixtures(fractions)
    central = _by_pymatgen(order, table, margins(table, mixed))
    sigma = np.array([c.error_eV for c in order])
    probability, draws = None, None
    if sigma.any() and samples:
        shift = np.random.default_rng(seed).normal(size=(samples, len(order))) * sigma
        draws = margins(table[:, :, None] + shift.T[:, None, :], mixed)  # (m, n, samples)
        with np.errstate(invalid="ignore"):
            probability = np.where(np.isnan(draws).all(axis=2), np.where(np.isfinite(table), 1.0, np.nan),
                                   (draws > -ON_HULL_EV).mean(axis=2))
    ranges = [r for i in range(len(order)) for r in
              _ranges(order[i].formula.text, pressure_GPa, central[i], None if draws is None else draws[i])]
    return Hull(tuple(elements), source, np.asarray(pressure_GPa, dtype=float), tuple(order), formation, central,
                probability, tuple(ranges), samples if draws is not None else 0, condition, tuple(notes))


def _by_pymatgen(order: Sequence[Compound], table: np.ndarray, own: np.ndarray) -> np.ndarray:
    """(m, n) margins from pymatgen's phase diagram, pressure by pressure; NaN where `own` is."""
    from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
    from pymatgen.core import Composition

    result = np.full(table.shape, np.nan)
    for k in range(table.shape[1]):
        there = [i for i in range(len(order)) if np.isfinite(table[i, k])]
        entries = {i: PDEntry(Composition({e: float(n) for e, n in order[i].formula.amounts}),
                              float(table[i, k] * float(order[i].formula.atoms))) for i in there}
        diagram = PhaseDiagram(list(entries.values()))
        for i, entry in entries.items():
            if not np.isnan(own[i, k]):
                # Not only against the stable others: what this one hides would be stable without it.
                energy = diagram.get_phase_separation_energy(entry, stable_only=False)
                result[i, k] = -float(energy)
    return result


def _ranges(name: str, pressure_GPa: np.ndarray, margin: np.ndarray, draws: np.ndarray | None) -> list[Range]:
    """Stretches where `margin` (n,) is positive, with ends by linear interpolation and their spread over `draws`."""
    if np.isnan(margin).all():
        return []
    stable = np.where(np.isfinite(margin), margin, -1.0) > -ON_HULL_EV
    found, k = [], 0
    while k < len(stable):
        if not stable[k]:
            k += 1
            continue
        end = k
        while end + 1 < len(stable) and stable[end + 1]:
            end += 1
        low = _zero(pressure_GPa, margin, k - 1) if k > 0 else None
        high = _zero(pressure_GPa, margin, end) if end + 1 < len(stable) else None
        found.append(Range(name, low, *_spread(pressure_GPa, draws, low, rising=True), high,
                           *_spread(pressure_GPa, draws, high, rising=False)))
        k = end + 1
    return found


def _zero(p: np.ndarray, y: np.ndarray, k: int) -> float:
    """Where the line from point k to the next crosses zero; the middle where one of them is missing."""
    a, b = y[k], y[k + 1]
    if not (np.isfinite(a) and np.isfinite(b)) or a == b:
        return float(0.5 * (p[k] + p[k + 1]))
    return float(p[k] + (p[k + 1] - p[k]) * np.clip(a / (a - b), 0.0, 1.0))


def _spread(p: np.ndarray, draws: np.ndarray | None, centre: float | None, rising: bool,
            ) -> tuple[float | None, float | None]:
    """Standard deviation, over draws (n, samples), of the crossing of the same kind nearest to `centre`, and the share
    of draws that have one within the pressures; a small share means that the end may lie outside them."""
    if draws is None or centre is None:
        return None, None
    sign = 1.0 if rising else -1.0
    ends = []
    for row in draws.T:
        steps = np.flatnonzero((sign * row[:-1] < 0) & (sign * row[1:] >= 0))
        if len(steps):
            ends.append(min((_zero(p, row, int(k)) for k in steps), key=lambda x: abs(x - centre)))
    share = len(ends) / draws.shape[1]
    return (float(np.std(ends)) if len(ends) > 1 else None), share
