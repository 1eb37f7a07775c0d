"""Measures the Pulay constant of a metal at a reference level: what the level's cutoff leaves out of the pressure, as
c / V for each atom, against twice the cutoff. The line it ends with goes into levels.py, before anything is labelled.

    python tools/pulay_constant.py Sr --out work/pulay-Sr

Three symmetric cells at two cutoffs, one to three minutes on one core; typed again it takes up what is there. The three
must agree: their spread over the volume of an atom is the pressure that remains unknown.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from ase import Atoms

from megabar.campaign.files import write_json
from megabar.crystals import prototypes
from megabar.firstprinciples.engine import engine
from megabar.firstprinciples.levels import Level, level
from megabar.units import pressure_GPa

CELLS = (("M-fcc", 0.0), ("M-fcc", 60.0), ("MH2-Fm-3m", 20.0))
"""Prototype and pressure in GPa: the metal at two volumes, and as it is among hydrogen."""


def stress_at(atoms: Atoms, chosen: Level, times: float, out: Path) -> np.ndarray:
    """Stress (3, 3) of `atoms` in eV/A^3 at `times` the cutoff, without any Pulay term."""
    done = out / f"{times:g}.json"
    if not done.is_file():
        out.mkdir(parents=True, exist_ok=True)
        bare = replace(chosen, cutoff_eV=chosen.cutoff_eV * times, hard_cutoff_eV=chosen.hard_cutoff_eV * times,
                       pulay_GPa_A3=dict.fromkeys(set(atoms.get_chemical_symbols()), 0.0))
        label = engine(chosen.engine).compute(atoms, bare, out)
        write_json(done, {"stress_eV_per_A3": label.stress_eV_per_A3.tolist()})
    return np.array(json.loads(done.read_text(encoding="utf-8"))["stress_eV_per_A3"])


def constants(metal: str, chosen: Level, out: Path) -> list[tuple[str, float, float]]:
    """(cell, A^3 per metal atom, constant of the metal in GPa A^3) for every cell of CELLS."""
    rows = []
    for name, at_GPa in CELLS:
        atoms = prototypes.build(name, metal, at_GPa)
        folder = out / f"{name.replace('/', '_')}-{at_GPa:g}"
        short, full = (pressure_GPa(stress_at(atoms, chosen, times, folder)) for times in (1.0, 2.0))
        hydrogen = int(np.sum(atoms.numbers == 1))
        metals = len(atoms) - hydrogen
        missing = (full - short) * atoms.get_volume() - (chosen.pulay_GPa_A3["H"] * hydrogen if hydrogen else 0.0)
        rows.append((f"{name} at about {at_GPa:g} GPa", atoms.get_volume() / metals, missing / metals))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("metal", help="one with starting volumes")
    parser.add_argument("--level", default="pbe-gpaw-1")
    parser.add_argument("--out", type=Path, default=None, help="default: work/pulay-METAL")
    arguments = parser.parse_args()
    chosen = level(arguments.level)
    if "H" not in chosen.pulay_GPa_A3:
        parser.error(f"--level {chosen.id}: has no constant for H, which the metal's is found beside")
    rows = constants(arguments.metal, chosen, arguments.out or Path(f"work/pulay-{arguments.metal}"))
    for cell, volume, constant in rows:
        print(f"{cell}: {constant:.3f} GPa A^3 (V {volume:.2f} A^3 per {arguments.metal})")
    values = np.array([constant for *_, constant in rows])
    volume = min(volume for _, volume, _ in rows)
    print(f'pulay_GPa_A3: "{arguments.metal}": {values.mean():.2f}; uncertain by at most '
          f"{np.abs(values - values.mean()).max() / volume:.4f} GPa")


if __name__ == "__main__":
    main()
