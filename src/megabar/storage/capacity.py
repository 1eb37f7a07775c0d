"""Gravimetric and volumetric hydrogen capacity of a hydride, each number with its basis.

Three bases are in use and differ by up to ten per cent and more: grams of H2 per kg of the hydride (hydrogen included),
per kg of the host without its hydrogen, and per kg of a whole store. And two volumes: that at the pressure of
synthesis, and that after decompression, the only one a tank could have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ase.data import atomic_masses, atomic_numbers

from megabar.campaign.files import atomic_path, write_csv, write_json
from megabar.crystals.volumes import Vinet
from megabar.errors import InputError
from megabar.storage.targets import TARGETS
from megabar.units import AMU_PER_A3_IN_G_PER_CM3

G_PER_L = 1000.0 * AMU_PER_A3_IN_G_PER_CM3
"""1 amu/A^3 in g/L."""


@dataclass(frozen=True)
class Capacity:
    """What a hydride holds.

    Attributes:
        formula: as given; all amounts are per this formula unit. amounts: atoms of each element in it.
        volume_A3: per formula unit at `pressure_GPa` (None where the pressure was not said).
        decompressed_volume_A3: per formula unit at zero pressure, `decompressed_how` says where it is from.
        residue_hydrogen: H that stays in the residue when the hydride gives off what it can (0: all counts).
        residue: its formula, "" for none.
        system_mass_share, system_volume_share: share of the hydride in mass and volume of the store (None: not said).
    """

    formula: str
    amounts: Mapping[str, float]
    volume_A3: float | None
    pressure_GPa: float | None
    decompressed_volume_A3: float | None
    decompressed_how: str
    residue_hydrogen: float
    residue: str
    system_mass_share: float | None
    system_volume_share: float | None

    @property
    def hydrogen_amu(self) -> float:
        return self.amounts["H"] * float(atomic_masses[1])

    @property
    def host_amu(self) -> float:
        return sum(n * float(atomic_masses[atomic_numbers[e]]) for e, n in self.amounts.items() if e != "H")

    @property
    def usable_share(self) -> float:
        """Share of the hydrogen that is given off when the residue is what stays."""
        return 1.0 - self.residue_hydrogen / self.amounts["H"]

    @property
    def g_per_kg_hydride(self) -> float:
        return 1000.0 * self.hydrogen_amu / (self.hydrogen_amu + self.host_amu)

    @property
    def weight_percent(self) -> float:
        """On the hydride basis."""
        return 0.1 * self.g_per_kg_hydride

    @property
    def g_per_kg_metal(self) -> float | None:
        """Per kg of the host without hydrogen; None for pure hydrogen."""
        return 1000.0 * self.hydrogen_amu / self.host_amu if self.host_amu > 0 else None

    @property
    def g_per_kg_system(self) -> float | None:
        """Usable hydrogen per kg of the store."""
        if self.system_mass_share is None:
            return None
        return self.g_per_kg_hydride * self.usable_share * self.system_mass_share

    @property
    def g_per_L_at_pressure(self) -> float | None:
        return None if self.volume_A3 is None else self.hydrogen_amu / self.volume_A3 * G_PER_L

    @property
    def g_per_L_decompressed(self) -> float | None:
        v = self.decompressed_volume_A3
        return None if v is None else self.hydrogen_amu / v * G_PER_L

    @property
    def g_per_L_system(self) -> float | None:
        """Usable hydrogen per litre of the store, from the decompressed volume only: a store holds no gigapascals."""
        if self.system_volume_share is None or self.g_per_L_decompressed is None:
            return None
        return self.g_per_L_decompressed * self.usable_share * self.system_volume_share

    @property
    def density_g_per_cm3(self) -> float | None:
        if self.volume_A3 is None:
            return None
        return (self.hydrogen_amu + self.host_amu) / self.volume_A3 * AMU_PER_A3_IN_G_PER_CM3

    def verdicts(self) -> list[dict[str, Any]]:
        """Each DOE target against the system numbers where they are known, else against the material's own, which then
        is the most any store of it could reach: `basis` says which."""
        system = self.g_per_kg_system is not None
        mass = self.g_per_kg_system if system else self.g_per_kg_hydride * self.usable_share
        litre_system = self.g_per_L_system is not None
        litre = self.g_per_L_system
        if litre is None and self.g_per_L_decompressed is not None:
            litre = self.g_per_L_decompressed * self.usable_share
        assert mass is not None
        return [{"target": t.name, "target_g_per_kg": t.g_per_kg, "target_g_per_L": t.g_per_L,
                 "mass_met": bool(mass >= t.g_per_kg), "mass_basis": "system" if system else "hydride only",
                 "volume_met": None if litre is None else bool(litre >= t.g_per_L),
                 "volume_basis": "system" if litre_system else "hydride only", "source": t.source}
                for t in TARGETS]

    @property
    def notes(self) -> tuple[str, ...]:
        notes = []
        if self.volume_A3 is not None and (self.pressure_GPa or 0.0) > 0.0:
            notes.append(f"{self.g_per_L_at_pressure:.0f} g/L is at {self.pressure_GPa:g} GPa: no tank holds that")
        if self.decompressed_volume_A3 is None:
            notes.append("no volume after decompression is known: give --decompressed-volume-A3, or --bulk-modulus-GPa "
                         "with --pressure")
        if not self.residue:
            notes.append("all hydrogen is counted; name what stays behind with --residue for what can be taken out")
        return tuple(notes)

    def to_dict(self) -> dict[str, Any]:
        return {
            "formula": self.formula, "amounts": dict(self.amounts), "weight_percent_hydride_basis": self.weight_percent,
            "g_per_kg_hydride": self.g_per_kg_hydride, "g_per_kg_metal": self.g_per_kg_metal,
            "g_per_kg_system": self.g_per_kg_system, "volume_A3": self.volume_A3, "pressure_GPa": self.pressure_GPa,
            "density_g_per_cm3": self.density_g_per_cm3, "g_per_L_at_pressure": self.g_per_L_at_pressure,
            "decompressed_volume_A3": self.decompressed_volume_A3, "decompressed_how": self.decompressed_how,
            "g_per_L_decompressed": self.g_per_L_decompressed, "g_per_L_system": self.g_per_L_system,
            "residue": self.residue, "usable_share": self.usable_share, "targets": self.verdicts(),
            "notes": list(self.notes),
        }

    def save(self, directory: str | Path) -> None:
        """storage.json, storage.csv and storage.png in `directory`."""
        from matplotlib.figure import Figure

        target = Path(directory)
        write_json(target / "storage.json", self.to_dict())
        points = self.points()
        write_csv(target / "storage.csv", {
            "what": [p[0] for p in points], "g_per_kg": [p[1] for p in points], "g_per_L": [p[2] for p in points]})
        figure = Figure(figsize=(6.0, 4.2), layout="constrained")
        self.plot(figure.add_subplot())
        with atomic_path(target / "storage.png") as path:
            figure.savefig(path, dpi=150)

    def points(self) -> list[tuple[str, float, float]]:
        """(name, g/kg, g/L) of what has both numbers, and of the targets."""
        found = []
        for name, litre in (("at pressure", self.g_per_L_at_pressure), ("decompressed", self.g_per_L_decompressed)):
            if litre is not None:
                found.append((f"{self.formula}, {name}", self.g_per_kg_hydride, litre))
                if self.residue:
                    share = self.usable_share
                    found.append((f"{self.formula} to {self.residue}, {name}", self.g_per_kg_hydride * share,
                                  litre * share))
        if self.g_per_kg_system is not None and self.g_per_L_system is not None:
            found.append((f"{self.formula}, store", self.g_per_kg_system, self.g_per_L_system))
        return found + [(t.name, t.g_per_kg, t.g_per_L) for t in TARGETS]

    def plot(self, ax: Any) -> None:
        for name, mass, litre in self.points():
            target = name.startswith("DOE")
            ax.plot(mass, litre, "s" if target else "o", color="black" if target else "#cb181d",
                    mfc="none" if "at pressure" in name or target else "#cb181d", ms=6)
            ax.annotate(name, (mass, litre), textcoords="offset points", xytext=(6, 3), fontsize=8)
        ax.set_xlabel("g H2 per kg (of the hydride; of the system for targets)")
        ax.set_ylabel("g H2 per litre")
        ax.set_xlim(0.0, 1.45 * max(p[1] for p in self.points()))
        ax.set_ylim(0.0, 1.15 * max(p[2] for p in self.points()))


def capacity(formula: str, amounts: Mapping[str, float], *, volume_A3: float | None = None,
             pressure_GPa: float | None = None, decompressed_volume_A3: float | None = None,
             bulk_modulus_GPa: float | None = None, bulk_modulus_prime: float = 4.0, residue: str = "",
             residue_amounts: Mapping[str, float] | None = None, system_mass_share: float | None = None,
             system_volume_share: float | None = None) -> Capacity:
    """Capacity of a hydride with `amounts` atoms of each element in its formula unit of `volume_A3`.

    The volume after decompression is `decompressed_volume_A3`, or follows from the Vinet equation with
    `bulk_modulus_GPa` (at zero pressure) and its derivative. `residue_amounts` is what stays when hydrogen is given
    off; it must hold the same host. Raises InputError for what is not a hydride, not positive, or not consistent.
    """
    if amounts.get("H", 0.0) <= 0.0:
        raise InputError(f"{formula}: holds no hydrogen; give a hydride, like CaH4")
    for name, value in (("volume", volume_A3), ("decompressed volume", decompressed_volume_A3),
                        ("bulk modulus", bulk_modulus_GPa)):
        if value is not None and not 0.0 < value < 1e6:
            raise InputError(f"{name} {value:g} is not a positive number; give it per formula unit of {formula}")
    for name, value in (("mass", system_mass_share), ("volume", system_volume_share)):
        if value is not None and not 0.0 < value <= 1.0:
            raise InputError(f"share of the system's {name} {value:g} is not between 0 and 1; give 0.5 for one half")
    how = "given" if decompressed_volume_A3 is not None else ""
    if decompressed_volume_A3 is None and pressure_GPa == 0.0 and volume_A3 is not None:
        decompressed_volume_A3, how = volume_A3, "the volume given is at zero pressure"
    elif decompressed_volume_A3 is None and bulk_modulus_GPa is not None:
        if volume_A3 is None or pressure_GPa is None:
            raise InputError("a bulk modulus without a volume and its pressure: give --volume-A3 and --pressure too")
        ratio = Vinet(1.0, bulk_modulus_GPa, bulk_modulus_prime).volume_A3(pressure_GPa)
        decompressed_volume_A3 = volume_A3 / ratio
        how = (f"Vinet equation from {pressure_GPa:g} GPa with K0 {bulk_modulus_GPa:g} GPa and K0' "
               f"{bulk_modulus_prime:g}; supposes that the phase survives")
    left = 0.0
    if residue_amounts is not None:
        hosts = {e: n for e, n in amounts.items() if e != "H"}
        kept = {e: n for e, n in residue_amounts.items() if e != "H"}
        ratios = {kept.get(e, 0.0) / n for e, n in hosts.items()}
        if set(kept) != set(hosts) or not hosts or max(ratios) - min(ratios) > 1e-9:
            raise InputError(f"residue {residue}: its host is not that of {formula}; give the same metals")
        left = residue_amounts.get("H", 0.0) / ratios.pop()
        if left >= amounts["H"]:
            raise InputError(f"residue {residue}: holds no less hydrogen than {formula}; give what is left behind")
    return Capacity(formula, dict(amounts), volume_A3, pressure_GPa, decompressed_volume_A3, how, left, residue,
                    system_mass_share, system_volume_share)
