"""From settings to the enthalpy of a reaction: phases, relaxations, zero point, states at temperature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms

from megabar.campaign.tasks import Store, Task
from megabar.errors import InputError
from megabar.thermodynamics.curves import PhaseCurve
from megabar.thermodynamics.engines import EnergySource, choose
from megabar.thermodynamics.enthalpy import ReactionEnthalpy, reaction_enthalpy
from megabar.thermodynamics.hot import default_state, hot_states, hot_task
from megabar.thermodynamics.inputs import temperature_K
from megabar.thermodynamics.library import Phase, Progress, check_phases, group_curves, phases_of, told
from megabar.thermodynamics.reactions import Formula, Reaction, State, parse_reaction
from megabar.thermodynamics.settings import EnthalpySettings
from megabar.units import parse_pressures_GPa, parse_time_ps


@dataclass(frozen=True)
class EnthalpyPlan:
    """What will be computed: phases by formula as written, pressures of crystals and of runs."""

    reaction: Reaction
    source: EnergySource
    pressures_GPa: tuple[float, ...]
    phases: dict[str, tuple[Phase, ...]]
    temperature_K: float | None
    md_pressures_GPa: tuple[float, ...]
    settings: EnthalpySettings

    @classmethod
    def make(cls, settings: EnthalpySettings) -> EnthalpyPlan:
        """Check everything that can be checked before a run; raises InputError."""
        reaction = parse_reaction(settings.reaction)
        pressures = parse_pressures_GPa(settings.pressure)
        kelvin = None if settings.temperature is None else temperature_K(settings.temperature)
        parse_time_ps(settings.time)
        source = choose(settings.potential, settings.engine, settings.level, reaction.elements)
        hot: tuple[float, ...] = ()
        if kelvin is not None:
            if source.kind != "potential":
                raise InputError(f"states at {kelvin:g} K need a potential: molecular dynamics with {source.label} "
                                 "would take weeks; give --potential, or leave --temperature away")
            if kelvin < 1.0:
                raise InputError(f"temperature {settings.temperature}: classical dynamics needs 1 K or more")
            if settings.md_pressure is not None:
                hot = tuple(parse_pressures_GPa(settings.md_pressure))
            else:
                picks = {round(share * (len(pressures) - 1)) for share in (1 / 6, 1 / 2, 1.0)}
                hot = tuple(pressures[k] for k in sorted(picks))
        every = sorted(set(pressures) | set(hot))
        phases = {f.text: phases_of(f, settings.phase, settings.library) for f in reaction.formulas}
        check_phases(list(phases.values()), source, every)
        return cls(reaction, source, tuple(every), phases, kelvin, hot, settings)

    def summary(self) -> dict[str, Any]:
        count = sum(len(group) for group in self.phases.values())
        runs = len(self._wanted()) * len(self.md_pressures_GPa)
        seconds = runs * self.settings.atoms * (parse_time_ps(self.settings.time) + 3.0) * 2000.0 * 2.5e-5
        return {"reaction": str(self.reaction), "source": self.source.label,
                "phases": {k: [p.name for p in v] for k, v in self.phases.items()},
                "pressures_GPa": list(self.pressures_GPa), "relaxations": count * len(self.pressures_GPa),
                "temperature_K": self.temperature_K, "md_pressures_GPa": list(self.md_pressures_GPa), "runs": runs,
                "run_core_hours": round(seconds / 3600.0, 2)}

    def _wanted(self) -> list[tuple[Formula, State]]:
        """States to run: each substance in its own (or written) state, products as solid and as liquid."""
        if self.temperature_K is None:
            return []
        found: list[tuple[Formula, State]] = []
        for sign, term in self.reaction.terms:
            states: list[State] = [term.state or default_state(term.formula)]
            if sign > 0 and "fluid" not in states:
                states = ["solid", "liquid"]
            found += [(term.formula, s) for s in states if (term.formula, s) not in found]
        return found

    def hot_tasks(self, curves: dict[str, tuple[PhaseCurve, ...]]) -> tuple[list[Task], list[str]]:
        """Tasks of all states, from the best crystal that fits a rectangular cell, and what could not be run."""
        tasks, missing = [], []
        assert self.temperature_K is not None
        for p in self.md_pressures_GPa:
            for formula, state in self._wanted():
                reasons = []
                for phase, cell in _by_enthalpy(curves[formula.text], self.pressures_GPa.index(p)):
                    try:
                        tasks.append(hot_task(self.source, formula, phase, cell, state, p, self.temperature_K,
                                              parse_time_ps(self.settings.time), self.settings.atoms,
                                              self.settings.seed))
                        break
                    except InputError as error:
                        reasons.append(str(error))
                else:
                    why = "; ".join(reasons) or "no crystal"
                    missing.append(f"{formula.text} {state} at {p:g} GPa: not run: {why}")
        return tasks, missing


def _by_enthalpy(group: Sequence[PhaseCurve], k: int) -> list[tuple[str, Atoms]]:
    rows = [(c.enthalpy_eV[k], c.labels[k], c.relaxed[k]) for c in group if np.isfinite(c.enthalpy_eV[k])]
    return [(label, found.atoms) for _, label, found in sorted(rows, key=lambda r: r[0]) if found is not None]


def run_enthalpy(plan: EnthalpyPlan, store: Store, progress: Progress | None = None,
                 ) -> tuple[ReactionEnthalpy, list[str]]:
    """Compute (or read from `store`) all parts of `plan`; returns the result and what could not be run."""
    settings = plan.settings
    groups = group_curves(list(plan.phases.values()), plan.source, plan.pressures_GPa, settings, store,
                          0.0 if settings.zero_point else None, progress)
    curves = dict(zip(plan.phases, groups, strict=True))
    missing: list[str] = []
    hot: tuple[Any, ...] = ()
    if plan.temperature_K is not None:
        tasks, missing = plan.hot_tasks(curves)
        hot = hot_states(tasks, store, settings.jobs, told(progress, "md"))
    return reaction_enthalpy(plan.reaction, curves, plan.source, settings.zero_point, hot), missing
