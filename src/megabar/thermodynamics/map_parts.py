"""What a synthesis map is made of: cached enthalpies, cached melting points, experiments, and our own runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from megabar.errors import InputError
from megabar.thermodynamics.melting_curves import MeltingLine, fit_line
from megabar.thermodynamics.reactions import Reaction, parse_formula, parse_reaction


@dataclass(frozen=True)
class MapPoint:
    """Something that was made or run. `temperature_K` None: not reported in what we have. `made` tells a synthesis (or
    a run that ended as the product) from one that did not get there."""

    what: str
    kind: str
    pressure_GPa: float
    temperature_K: float | None
    made: bool
    source: str
    note: str = ""


EXPERIMENTS = (
    MapPoint("CaH4", "experiment", 25.5, None, True, "Wu et al., J. Chem. Phys. 150, 044507 (2019)",
             "laser-heated; temperature not in our source"),
    MapPoint("CaH4", "experiment", 116.0, 1600.0, True, "Mishra et al., J. Phys. Chem. C 122, 19370 (2018)",
             "laser-heated in H2"),
    MapPoint("Ca2H5", "experiment", 20.0, 700.0, True, "J. Phys. Chem. C (2018), 10.1021/acs.jpcc.8b05030",
             "above 20 GPa and 700 K"),
    MapPoint("CaH4", "simulation", 40.0, 1473.0, True, "Sato et al., PNAS (2025), 10.1073/pnas.2413480122",
             "molecular dynamics of others"),
)


@dataclass(frozen=True)
class EnthalpyPart:
    """What the map needs of a reaction's enthalpy, per reaction as written, at pressures (n,) in GPa.

    static_eV (n,); zero_point_eV (n,) the total with zero point, or None; error_eV or None. `liquid` rows (k, 4): P, T,
    enthalpy of the molten product above the reactants in their own states and its error (eV), from MD.
    """

    source: str
    pressure_GPa: np.ndarray
    static_eV: np.ndarray
    zero_point_eV: np.ndarray | None
    error_eV: float | None
    liquid: np.ndarray
    notes: tuple[str, ...]

    @classmethod
    def load(cls, folder: str | Path, reaction: Reaction) -> EnthalpyPart:
        """From the folder of the enthalpy verb; InputError when it is missing, damaged, or of another reaction."""
        values = _json(Path(folder) / "enthalpy.json", "megabar enthalpy")
        try:
            found = parse_reaction(str(values["reaction"]))
            if _sides(found) != _sides(reaction):
                raise InputError(f"{folder}: holds {values['reaction']}, not {reaction}; give its own folder")
            rows = [[r["pressure_GPa"], r["temperature_K"], r["liquid_eV"], r["liquid_error_eV"] or 0.0]
                    for r in values.get("hot", []) if r.get("liquid_eV") is not None]
            zero = values.get("with_zero_point_eV")
            return cls(str(values["source"]), _numbers(values["pressure_GPa"]), _numbers(values["static_eV"]),
                       None if zero is None else _numbers(zero), values.get("error_eV"),
                       np.array(rows, dtype=float).reshape(-1, 4), tuple(values.get("notes", [])))
        except (KeyError, TypeError) as error:
            raise InputError(f"{folder}/enthalpy.json: lacks {error}; run 'megabar enthalpy' again") from None

    def best_eV(self) -> np.ndarray:
        """(n,) with zero point where it was computed, else static."""
        return self.static_eV if self.zero_point_eV is None else self.zero_point_eV


def _sides(reaction: Reaction) -> list[list[tuple[str, float]]]:
    """Both sides as sorted lists of composition and number of atoms: equal for the same reaction."""
    return [sorted((t.formula.reduced.text, float(t.count * t.formula.atoms)) for t in side)
            for side in (reaction.reactants, reaction.products)]


def _numbers(values: Sequence[float | None]) -> np.ndarray:
    return np.array([np.nan if v is None else v for v in values], dtype=float)


def _json(path: Path, verb: str) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(f"{path}: no such file; make it with '{verb}', or leave the option away")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise InputError(f"{path}: is damaged; run '{verb}' again") from None
    if not isinstance(values, dict):
        raise InputError(f"{path}: is not what '{verb}' writes; give its folder")
    return values


@dataclass(frozen=True)
class MeltPart:
    """Melting of one formula: the line (None for a single point), points (n, 3) of P, T, error, and enthalpies of
    fusion (k, 3) of P, eV per formula unit, error."""

    formula: str
    line: MeltingLine | None
    points: np.ndarray
    fusion: np.ndarray

    @classmethod
    def load(cls, folder: str | Path, formula: str) -> MeltPart:
        """From the folder of the melt verb: every melting point of `formula` in it or one level below."""
        root = Path(folder)
        if not root.is_dir():
            raise InputError(f"{folder}: no such folder; make it with 'megabar melt {formula}', or leave it away")
        rows = []
        for path in [root / "result.json", *sorted(root.glob("*/result.json"))]:
            if path.is_file():
                values = _json(path, "megabar melt")
                if values.get("kind") == "melting point" and \
                        parse_formula(values["formula"]).reduced == parse_formula(formula).reduced:
                    rows.append([values[k] for k in ("pressure_GPa", "temperature_K", "error_K",
                                                     "fusion_enthalpy_eV_per_fu", "fusion_enthalpy_error_eV_per_fu")])
        if not rows:
            raise InputError(f"{folder}: holds no melting point of {formula}; run 'megabar melt {formula}' into it")
        table = np.array(sorted(rows), dtype=float)
        p, t, error = table[:, :3].T.tolist()
        line = fit_line(p, t, error, f"{formula} melts") if len(table) > 1 else None
        return cls(formula, line, table[:, :3], table[:, [0, 3, 4]])

    def temperature_K(self, pressure_GPa: np.ndarray) -> np.ndarray:
        """(n,) melting temperature; NaN where the line does not reach, everywhere off a single point's own pressure."""
        if self.line is not None:
            return np.atleast_1d(self.line.temperature_K(pressure_GPa))
        p, t, _ = self.points[0]
        return np.where(np.abs(np.asarray(pressure_GPa) - p) < 0.02 * max(p, 1.0), t, np.nan)

    def fusion_eV(self, pressure_GPa: np.ndarray) -> np.ndarray:
        """(n,) enthalpy of fusion, constant beyond its ends."""
        return np.interp(pressure_GPa, self.fusion[:, 0], self.fusion[:, 1])


def read_runs(folders: Sequence[str | Path]) -> tuple[tuple[MapPoint, ...], tuple[str, ...]]:
    """Finished reaction runs in the folders (each a run, a series, or full of runs), and notes on the unreadable.

    A run has made its product when the hydride took up at least 0.8 of what separates it from the next hydride with one
    more H2 per metal; the product's name is what its analysis says.
    """
    points, notes, seen = [], [], set()
    for folder in map(Path, folders):
        for path in sorted(p for depth in ("", "*/", "*/*/", "tasks/*/*/") for p in folder.glob(f"{depth}result.json")):
            if path.resolve() in seen:
                continue
            seen.add(path.resolve())
            try:
                values = json.loads(path.read_text(encoding="utf-8"))
                if not values.get("h2_molecules") or "analysis" not in values:
                    continue  # something else, or a control without hydrogen
                uptake = values["analysis"]["uptake"]
                first, last = float(uptake["first_H_per_metal"]), float(uptake["last_H_per_metal"])
                product = values["analysis"].get("product") or {}
                points.append(MapPoint(
                    str(values["formula"]), "run", float(values["mean_pressure_GPa"]),
                    float(values["mean_temperature_K"]), last - first >= 1.6, str(path.parent),
                    f"H per metal {first:.1f} to {last:.1f} in {float(values['time_ps']):g} ps, phase "
                    f"{product.get('phase', '?')}, potential {values.get('potential', '?')}"))
            except (OSError, ValueError, KeyError, TypeError) as error:
                notes.append(f"{path}: not read ({type(error).__name__}: {error})")
    return tuple(points), tuple(notes)
