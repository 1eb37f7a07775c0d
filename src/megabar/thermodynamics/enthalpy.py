"""The enthalpy of a reaction against pressure: static crystals, zero-point motion, and states at temperature.

Everything is per formula units as the reaction is written, in eV; negative means that the right side is lower.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from megabar.campaign.files import write_csv, write_json
from megabar.thermodynamics.curves import DerivativeCheck, PhaseCurve, lowest
from megabar.thermodynamics.engines import EnergySource
from megabar.thermodynamics.hot import HotState, default_state
from megabar.thermodynamics.reactions import Formula, Reaction


@dataclass(frozen=True)
class ReactionEnthalpy:
    """Enthalpies of a reaction at pressures (n,).

    Attributes:
        source: what the energies are from, in words.
        curves: the phases tried, by formula as written.
        static_eV: (n,) of the best phases, NaN where one is missing; volume_A3: (n,) change of volume.
        with_zero_point_eV: (n,), NaN where a zero-point energy is missing; None when it was not asked for.
        best: by formula, (n,) name of its best phase ("" for none).
        error_eV: one standard deviation from the error of the potential, independent between the formulas; None for
            first principles. error_how says how it was made.
        hot: states at temperature, or empty.
    """

    reaction: Reaction
    source: str
    pressure_GPa: np.ndarray
    curves: Mapping[str, tuple[PhaseCurve, ...]]
    static_eV: np.ndarray
    volume_A3: np.ndarray
    with_zero_point_eV: np.ndarray | None
    best: Mapping[str, tuple[str, ...]]
    error_eV: float | None
    error_how: str
    hot: tuple[HotState, ...] = ()

    @property
    def checks(self) -> tuple[DerivativeCheck, ...]:
        """dH/dP = V for every phase; d(Delta H)/dP = Delta V follows, being their sum."""
        return tuple(c.check() for group in self.curves.values() for c in group)

    def crossings_GPa(self, zero_point: bool = False) -> list[tuple[float, float | None]]:
        """Pressures at which the sign changes (of the static enthalpy, or of that with zero point), by linear
        interpolation, with the standard error that `error_eV` gives through the slope there."""
        found = []
        y, p = self.with_zero_point_eV if zero_point else self.static_eV, self.pressure_GPa
        if y is None:
            return []
        for k in range(len(p) - 1):
            # A zero on a point counts as positive, so that it is met in one of the two intervals and not in both.
            if np.isfinite(y[k:k + 2]).all() and (y[k] < 0) != (y[k + 1] < 0):
                slope = (y[k + 1] - y[k]) / (p[k + 1] - p[k])
                found.append((float(p[k] - y[k] / slope),
                              None if self.error_eV is None else float(self.error_eV / abs(slope))))
        return found

    def hot_table(self) -> list[dict[str, Any]]:
        """One row for each temperature, pressure and state of the first product: its enthalpy relative to the
        reactants in their own states, and liquid above solid, with statistical errors; None where a state failed."""
        rows = []
        product = self.reaction.products[0]
        for t, p in sorted({(s.temperature_K, s.pressure_GPa) for s in self.hot}):
            here = [s for s in self.hot if (s.temperature_K, s.pressure_GPa) == (t, p)]
            others = [(sign, term) for sign, term in self.reaction.terms if term is not product]
            base, base_error = 0.0, 0.0
            for sign, term in others:
                wanted = term.state or default_state(term.formula)
                match = [s for s in here if s.formula == term.formula.text and s.asked == wanted and s.good]
                value, error = (match[0].enthalpy_eV, match[0].error_eV) if match else (np.nan, np.nan)
                base += sign * float(term.count) * value
                base_error += (float(term.count) * error) ** 2
            states = {s.asked: s for s in here if s.formula == product.formula.text}
            row: dict[str, Any] = {"temperature_K": t, "pressure_GPa": p}
            n = float(product.count)
            for name in ("solid", "liquid", "fluid"):
                if name in states:
                    ok = states[name].good and np.isfinite(base)
                    row[f"{name}_eV"] = n * states[name].enthalpy_eV + base if ok else None
                    error = float(np.sqrt((n * states[name].error_eV) ** 2 + base_error))
                    row[f"{name}_error_eV"] = error if ok else None
            if {"solid", "liquid"} <= set(states) and states["solid"].good and states["liquid"].good:
                a, b = states["solid"], states["liquid"]
                row["liquid_above_solid_eV"] = b.enthalpy_eV - a.enthalpy_eV
                row["liquid_above_solid_error_eV"] = float(np.hypot(a.error_eV, b.error_eV))
            else:
                row["liquid_above_solid_eV"] = row["liquid_above_solid_error_eV"] = None
            rows.append(row)
        return rows

    @property
    def notes(self) -> tuple[str, ...]:
        notes = [text for group in self.curves.values() for c in group for text in c.remarks]
        if self.with_zero_point_eV is not None:
            notes += [text for group in self.curves.values() for text in _stand_ins(group)]
        return (*notes, *(note for state in self.hot for note in state.notes))

    def to_dict(self) -> dict[str, Any]:
        return {
            "reaction": str(self.reaction), "source": self.source, "pressure_GPa": self.pressure_GPa,
            "static_eV": self.static_eV, "with_zero_point_eV": self.with_zero_point_eV, "error_eV": self.error_eV,
            "error_how": self.error_how, "volume_change_A3": self.volume_A3,
            "best": {k: list(v) for k, v in self.best.items()},
            "zero_crossings_GPa": [{"pressure_GPa": p, "error_GPa": e} for p, e in self.crossings_GPa()],
            "zero_crossings_with_zero_point_GPa": [{"pressure_GPa": p, "error_GPa": e}
                                                   for p, e in self.crossings_GPa(zero_point=True)],
            "derivative_checks": [c.to_dict() for c in self.checks], "hot": self.hot_table(),
            "states": [s.to_dict() for s in self.hot], "notes": list(self.notes),
        }

    def save(self, directory: str | Path) -> list[str]:
        """enthalpy.json; enthalpy.png with enthalpy.csv, phases.png with phases.csv, and, with states at temperature,
        hydrogenation.png with hydrogenation.csv. Returns the names of the figures."""
        from megabar.thermodynamics.enthalpy_figures import draw

        target = Path(directory)
        write_json(target / "enthalpy.json", self.to_dict())
        columns: dict[str, Any] = {"pressure_GPa": self.pressure_GPa, "static_eV": self.static_eV,
                                   "volume_change_A3": self.volume_A3}
        if self.with_zero_point_eV is not None:
            columns["with_zero_point_eV"] = self.with_zero_point_eV
        if self.error_eV is not None:
            columns["error_eV"] = np.full(len(self.pressure_GPa), self.error_eV)
        columns |= {f"best_{name}": names for name, names in self.best.items()}
        write_csv(target / "enthalpy.csv", columns)
        every = [c for group in self.curves.values() for c in group]
        write_csv(target / "phases.csv", {
            "phase": [c.name for c in every for _ in c.pressure_GPa],
            "pressure_GPa": [p for c in every for p in c.pressure_GPa],
            "enthalpy_eV_per_atom": [h for c in every for h in c.enthalpy_eV],
            "volume_A3_per_atom": [v for c in every for v in c.volume_A3],
            "vibrational_eV_per_atom": [z for c in every for z in c.vibrational_eV],
            "space_group": [g for c in every for g in c.space_groups],
            "note": [t for c in every for t in c.notes]})
        if self.hot:
            rows = self.hot_table()
            keys = list(dict.fromkeys(k for row in rows for k in row))
            write_csv(target / "hydrogenation.csv", {k: [row.get(k) for row in rows] for k in keys})
            states = [s.to_dict() for s in self.hot]
            write_csv(target / "states.csv", {k: [s[k] for s in states] for k in states[0] if k != "notes"})
        return draw(self, target)

    def plot(self, ax: Any) -> None:
        from megabar.thermodynamics.enthalpy_figures import plot_curve

        plot_curve(ax, self)


def reaction_enthalpy(reaction: Reaction, curves: Mapping[str, tuple[PhaseCurve, ...]], source: EnergySource,
                      zero_point: bool = False, hot: Sequence[HotState] = ()) -> ReactionEnthalpy:
    """Put curves (by formula as written in the reaction, all on the same pressures) together."""
    pressures = next(iter(curves.values()))[0].pressure_GPa
    static, volume, total = (np.zeros(len(pressures)) for _ in range(3))
    best: dict[str, tuple[str, ...]] = {}
    for sign, term in reaction.terms:
        group = curves[term.formula.text]
        per_formula = sign * float(term.count * term.formula.atoms)
        at = lowest(group)
        static += per_formula * _pick(group, at, "enthalpy_eV")
        volume += per_formula * _pick(group, at, "volume_A3")
        best[term.formula.text] = tuple("" if k < 0 else group[k].labels[i] for i, k in enumerate(at))
        if zero_point:
            at = lowest(group, vibrational=True)
            total += per_formula * (_pick(group, at, "enthalpy_eV") + _pick(group, at, "vibrational_eV"))
    error, how = _error(reaction, source)
    return ReactionEnthalpy(reaction, source.label, pressures, curves, static, volume, total if zero_point else None,
                            best, error, how, tuple(hot))


def _pick(group: Sequence[PhaseCurve], at: np.ndarray, what: str) -> np.ndarray:
    return np.array([np.nan if k < 0 else getattr(group[k], what)[i] for i, k in enumerate(at)])


def kind_of(formula: Formula) -> str:
    """The kind under which frames of this composition go on a potential's card: "CaH4", "H2", "Ca"."""
    return formula.reduced.text


def _error(reaction: Reaction, source: EnergySource) -> tuple[float | None, str]:
    variance = 0.0
    for _, term in reaction.terms:
        sigma = source.energy_error_eV_per_atom(kind_of(term.formula))
        if sigma is None:
            return None, "no error: first principles at a fixed level" if source.kind != "potential" \
                else "no error: the potential's card has none"
        variance += (float(term.count * term.formula.atoms) * sigma) ** 2
    return float(np.sqrt(variance)), ("held-out energy errors of the potential's card by composition, taken as "
                                      "independent; errors that the compositions share would cancel")


def _stand_ins(group: Sequence[PhaseCurve]) -> list[str]:
    """Where the enthalpy with zero point is that of another phase, since the best one has no zero-point energy."""
    found: dict[str, list[int]] = {}
    for k, (best, used) in enumerate(zip(lowest(group), lowest(group, vibrational=True), strict=True)):
        if best >= 0 and not np.isfinite(group[best].vibrational_eV[k]):
            whose = f"that of {group[used].labels[k]}" if used >= 0 else "unknown"
            found.setdefault(f"the enthalpy of {group[0].formula.text} with zero point is {whose}", []).append(k)
    return [f"{what} {group[0].where(at)}: the best phase is not stable there" for what, at in found.items()]
