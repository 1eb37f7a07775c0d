"""What a check is: measures with targets, figures, and a verdict that never hides a failure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from megabar.campaign.files import atomic_path, write_csv
from megabar.campaign.tasks import Store
from megabar.potential.dataset import LabelledFrame
from megabar.potential.library import Potential
from megabar.thermodynamics.curves import PhaseCurve
from megabar.thermodynamics.engines import EnergySource
from megabar.thermodynamics.library import Phase, enthalpy_curves
from megabar.thermodynamics.reactions import parse_formula
from megabar.validation.reference import ReferencePoint

NOT_RUN = "not run"


@dataclass(frozen=True)
class Measure:
    """A number (or word) with its unit, the target in words, and whether it is met; None: not judged or not run."""

    quantity: str
    value: float | str | None
    unit: str
    target: str
    passed: bool | None
    note: str = ""

    @property
    def verdict(self) -> str:
        if self.passed is None:
            return NOT_RUN if self.value is None else "-"
        return "pass" if self.passed else "FAIL"

    @property
    def shown(self) -> str:
        if self.value is None:
            return NOT_RUN
        text = f"{self.value:.4g}" if isinstance(self.value, float) else str(self.value)
        return f"{text} {self.unit}".strip()


def within(quantity: str, value: float, unit: str, low: float, high: float, note: str = "") -> Measure:
    """A measure that passes between `low` and `high`, either of which may be infinite; NaN fails."""
    if np.isinf(low):
        target = f"<= {high:g} {unit}"
    elif np.isinf(high):
        target = f">= {low:g} {unit}"
    else:
        target = f"{low:g} to {high:g} {unit}"
    return Measure(quantity, float(value), unit, target.strip(), bool(low <= value <= high), note)


def at_most(quantity: str, value: float, unit: str, limit: float, note: str = "") -> Measure:
    return within(quantity, value, unit, float("-inf"), limit, note)


def not_run(quantity: str, target: str, why: str) -> Measure:
    return Measure(quantity, None, "", target, None, why)


@dataclass(frozen=True)
class Check:
    """One of the ten. `figures` are names of PNG files beside the page, each with its .csv."""

    number: int
    title: str
    measures: tuple[Measure, ...]
    figures: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def status(self) -> str:
        """"fail" if any measure failed, "not run" if none was judged, "incomplete" if some were not, else "pass"."""
        judged = [m.passed for m in self.measures if m.passed is not None]
        if False in judged:
            return "fail"
        if not judged:
            return NOT_RUN
        return "incomplete" if any(m.verdict == NOT_RUN for m in self.measures) else "pass"

    def as_dict(self) -> dict[str, Any]:
        return {"number": self.number, "title": self.title, "status": self.status,
                "measures": [{**vars(m), "verdict": m.verdict} for m in self.measures],
                "figures": list(self.figures), "notes": list(self.notes)}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Check:
        measures = tuple(Measure(**{k: v for k, v in m.items() if k != "verdict"}) for m in value["measures"])
        return cls(value["number"], value["title"], measures, tuple(value["figures"]), tuple(value["notes"]))


@dataclass(frozen=True, eq=False)
class Bench:
    """What a check works with: the potential, where figures go, references and the frames and runs that were given.

    `held_out` are labelled frames that the potential was not trained on, `relabelled` frames of reaction runs,
    `reactions` folders of finished reaction runs; `md_scale` shortens the dynamics of checks 8 and 9.
    """

    potential: Potential
    metal: str
    source: EnergySource
    store: Store
    folder: Path
    references: Sequence[ReferencePoint] = ()
    held_out: Sequence[LabelledFrame] = ()
    relabelled: Sequence[LabelledFrame] = ()
    labels: Sequence[LabelledFrame] = ()
    reactions: Sequence[Path] = ()
    md_scale: float = 1.0
    jobs: int = 1
    cache: dict[Any, PhaseCurve] = field(default_factory=dict)

    def curve(self, prototype: str, ratio: str, pressures_GPa: Sequence[float]) -> PhaseCurve:
        """Prototype `prototype` of formula `ratio` (like "CaH4") relaxed at `pressures_GPa`, symmetry kept."""
        key = prototype, tuple(sorted(pressures_GPa))
        if key not in self.cache:
            phase = Phase(f"{ratio} {prototype.split('-', 1)[1]}", parse_formula(ratio).reduced, "prototype", prototype,
                          self.metal)
            found, = enthalpy_curves([phase], self.source, pressures_GPa, self.store, jobs=self.jobs)
            self.cache[key] = found
        return self.cache[key]

    def formula(self, ratio: str) -> str:
        """"H4" as "CaH4"."""
        return f"{self.metal}{ratio}"

    def reference(self, formula: str, pressure_GPa: float) -> ReferencePoint | None:
        """The lowest reference phase of `formula` at `pressure_GPa`."""
        found = [r for r in self.references if r.formula == formula and abs(r.pressure_GPa - pressure_GPa) < 0.01]
        return min(found, key=lambda r: r.enthalpy_eV_per_formula, default=None)

    def figure(self, name: str, draw: Any, columns: Mapping[str, Any], size: tuple[float, float] = (6.0, 3.8),
               ) -> str:
        """Draw `name`.png by draw(figure), with `name`.csv beside it; returns the file's name."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        write_csv(self.folder / f"{name}.csv", columns)
        with atomic_path(self.folder / f"{name}.png") as temporary:
            figure.savefig(temporary, dpi=140)
        return f"{name}.png"


def per_formula(curve: PhaseCurve, atoms: float) -> tuple[np.ndarray, np.ndarray]:
    """(enthalpy in eV, volume in A^3) per formula unit of `atoms` atoms."""
    return curve.enthalpy_eV * atoms, curve.volume_A3 * atoms
