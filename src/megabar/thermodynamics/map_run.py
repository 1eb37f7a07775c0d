"""From settings to a synthesis map: find the cached parts, compute those that are missing, put them together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from megabar.campaign.settings import Settings, load_settings
from megabar.campaign.tasks import Store
from megabar.errors import InputError
from megabar.thermodynamics.enthalpy_run import EnthalpyPlan, run_enthalpy
from megabar.thermodynamics.inputs import parse_temperatures_K
from megabar.thermodynamics.map import Entropy, SynthesisMap, synthesis_map
from megabar.thermodynamics.map_parts import EXPERIMENTS, EnthalpyPart, MapPoint, MeltPart, read_runs
from megabar.thermodynamics.melt import MeltCampaign
from megabar.thermodynamics.melt_settings import MeltSettings
from megabar.thermodynamics.planets import select
from megabar.thermodynamics.reactions import Reaction, parse_formula, parse_reaction
from megabar.thermodynamics.settings import EnthalpySettings
from megabar.units import parse_pressures_GPa

Report = Callable[[str], None]


class MapSettings(Settings):
    """Settings of `megabar map`."""

    reaction: str = Field(description='Balanced, one product, like "CaH2 + H2 -> CaH4".')
    pressure: str = Field("0:120:2", description="Pressures of the map: 0:120:2 (GPa).")
    temperature: str = Field("300:3000:25", description="Temperatures of the map: 300:3000:25 (K).")
    potential: str | None = Field(None, description="Name of a shipped potential, or a folder.")
    enthalpy: str | None = Field(None, description="Folder of 'megabar enthalpy'; without it OUT/enthalpy, computed "
                                                   "if it is not there.")
    melt: str | None = Field(None, description="Folder of 'megabar melt'; without it OUT/melt, computed if not there.")
    melt_pressure: str = Field("20,50,100 GPa", description="Pressures of the melting line when it is computed.")
    runs: list[str] = Field(default_factory=lambda: ["runs"], description="Folders with reaction runs to place.")
    planets: list[str] = Field(default_factory=list, description="Profiles of planets to draw, like earth.")
    entropy: Entropy = Field("estimate", description="estimate: of hydrogen, as a band; none: enthalpy only.")
    skip_melt: bool = Field(False, description="Draw the map without the melting line when none is cached.")
    seed: int = Field(0, ge=0, description="Seed of runs that are missing.")


@dataclass(frozen=True)
class MapPlan:
    """Settings resolved: what is there, and what is missing with its cost in core hours."""

    settings: MapSettings
    reaction: Reaction
    pressure_GPa: np.ndarray
    temperature_K: np.ndarray
    out: Path
    enthalpy: EnthalpyPart | None
    melt: MeltPart | None
    runs: tuple[MapPoint, ...]
    overlays: tuple[str, ...]
    notes: tuple[str, ...]

    @classmethod
    def make(cls, settings: MapSettings, out: Path) -> MapPlan:
        """Check everything and read what is cached; writes nothing. Raises InputError."""
        reaction = parse_reaction(settings.reaction)
        if len(reaction.products) != 1:
            raise InputError(f"map {reaction}: needs one product, the hydride to be made; write it on the right")
        pressures = np.array(parse_pressures_GPa(settings.pressure))
        kelvins = parse_temperatures_K(settings.temperature)
        if len(pressures) < 2 or len(kelvins) < 2 or kelvins[0] <= 0.0:
            raise InputError("map: needs two or more pressures and temperatures above 0 K: --pressure 0:120:2 "
                             "--temperature 300:3000:25")
        product = reaction.products[0].formula.text
        enthalpy = _cached(settings.enthalpy, out / "enthalpy", lambda f: EnthalpyPart.load(f, reaction),
                           "enthalpy.json")
        melt = _cached(settings.melt, out / "melt", lambda f: MeltPart.load(f, product), "*result.json")
        runs, notes = read_runs(settings.runs)
        select(settings.planets)
        hosts = {t.formula.reduced for t in reaction.reactants}
        kept = tuple(r for r in runs if parse_formula(r.what).reduced in hosts)
        return cls(settings, reaction, pressures, kelvins, out, enthalpy, melt, kept,
                   tuple(settings.planets), notes)

    def enthalpy_settings(self) -> EnthalpySettings:
        low, high = self.pressure_GPa[0], self.pressure_GPa[-1]
        step = max((high - low) / 12.0, 1e-3)
        return load_settings(EnthalpySettings, reaction=self.settings.reaction, seed=self.settings.seed,
                             pressure=f"{low:g}:{high:.6g}:{step:.6g}", potential=self.settings.potential)

    def melt_campaign(self) -> MeltCampaign:
        settings = load_settings(MeltSettings, formula=self.reaction.products[0].formula.text, seed=self.settings.seed,
                                 pressure=self.settings.melt_pressure, potential=self.settings.potential)
        return MeltCampaign(settings, self.out / "melt" / "tasks")

    def missing(self) -> list[dict[str, Any]]:
        """What would be computed, with the command that does it alone and its cost in core hours."""
        found: list[dict[str, Any]] = []
        if self.enthalpy is None:
            plan = EnthalpyPlan.make(self.enthalpy_settings())
            # A relaxation of a few atoms with a potential takes about a second.
            found.append({"part": "enthalpy", "core_hours": round(plan.summary()["relaxations"] * 1.5 / 3600.0, 3),
                          "command": f'megabar enthalpy "{self.reaction}" --pressure {plan.settings.pressure}'})
        if self.melt is None and not self.settings.skip_melt:
            cost = self.melt_campaign().dry_run()["estimated_hours"]
            found.append({"part": f"melting line of {self.reaction.products[0].formula.text}", "core_hours": cost,
                          "command": f"megabar melt {self.reaction.products[0].formula.text} --pressure "
                                     f'"{self.settings.melt_pressure}"'})
        return found

    def summary(self) -> dict[str, Any]:
        """What a dry run says."""
        return {"reaction": str(self.reaction), "grid": [len(self.temperature_K), len(self.pressure_GPa)],
                "found": [name for name, part in (("enthalpy", self.enthalpy), ("melting line", self.melt)) if part],
                "runs": len(self.runs), "missing": self.missing(), "notes": list(self.notes)}


def run_map(plan: MapPlan, report: Report | None = None) -> SynthesisMap:
    """Compute what is missing and draw the map; nothing is computed twice."""
    enthalpy, melt, settings = plan.enthalpy, plan.melt, plan.settings
    product = plan.reaction.products[0].formula.text
    lost: tuple[str, ...] = ()
    if enthalpy is None:
        folder = plan.out / "enthalpy"
        if report is not None:
            report("enthalpies of the crystals")
        store = Store(folder / "tasks")
        with store.lock():
            found, _ = run_enthalpy(EnthalpyPlan.make(plan.enthalpy_settings()), store)
        found.save(folder)
        enthalpy = EnthalpyPart.load(folder, plan.reaction)
    if melt is None and not settings.skip_melt:
        folder = plan.out / "melt"
        campaign = plan.melt_campaign()
        melted, failed = campaign.run(report=report)
        lost = tuple(f"no melting point of {product} at {p:g} GPa: {text}" for p, text in failed.items())
        for point in melted:
            point.save(folder / f"{point.pressure_GPa:g}GPa")
        if (line := campaign.line(melted)) is not None:
            line.save(folder)
        melt = MeltPart.load(folder, product)
    metals = {e for e in plan.reaction.elements if e != "H"}
    known = tuple(x for x in EXPERIMENTS if any(x.what.startswith(e) for e in metals))
    return synthesis_map(plan.reaction, enthalpy, melt, plan.pressure_GPa, plan.temperature_K, settings.entropy,
                         (*known, *plan.runs), plan.overlays, (*plan.notes, *lost))


def _cached(given: str | None, own: Path, load: Callable[[Path], Any], pattern: str) -> Any:
    """The part in the folder that was given (which must hold it), or in our own, or None."""
    if given is not None:
        return load(Path(given))
    if any(own.glob(pattern)) or any(own.glob(f"*/{pattern}")):
        return load(own)
    return None
