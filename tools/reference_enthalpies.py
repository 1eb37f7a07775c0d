"""Extends the reference enthalpies shipped with a potential: crystals relaxed at the reference level, one resumable
task a point.

    python tools/reference_enthalpies.py --pressures 20,30,75,100 --store work/reference.tasks --jobs 2

CaH4, CaH2 and H2 at five pressures are about 15 relaxations of 5 to 20 symmetric single points (10-30 s each on one
core): one to two hours. Killed, it goes on with the relaxation it was in begun anew. With --potential instead of the
level it only shows what the points would be.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from megabar.campaign.tasks import Store
from megabar.potential.library import LIBRARY
from megabar.thermodynamics.engines import choose
from megabar.thermodynamics.library import Phase, enthalpy_curves
from megabar.thermodynamics.reactions import parse_formula
from megabar.validation.reference import ReferencePoint, read, write

PHASES = (("{M}H2", "MH2-P6_3/mmc", 3.0, 15.0), ("{M}H2", "MH2-Pnma", 3.0, 0.0), ("{M}H4", "MH4-I4/mmm", 5.0, 15.0),
          ("H2", "H2-Pa-3", 2.0, 0.0))
"""Formula, prototype, atoms per formula unit, lowest pressure at which the phase is asked for (GPa)."""
PNMA_UP_TO_GPA = 15.0
"""Above it the phase slides slowly into P6_3/mmc (36 steps at 20 GPa, and not there)."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pressures", default="20,30,50,75,100", help="GPa")
    parser.add_argument("--metal", default="Ca")
    parser.add_argument("--level", default="pbe-gpaw-1")
    parser.add_argument("--potential", default=None)
    parser.add_argument("--store", type=Path, default=Path("work/reference.tasks"))
    parser.add_argument("--out", type=Path, default=LIBRARY / "Ca-H" / "reference_enthalpy.csv")
    parser.add_argument("--jobs", type=int, default=1)
    arguments = parser.parse_args()
    pressures = [float(word) for word in arguments.pressures.split(",")]
    source = choose(potential=arguments.potential) if arguments.potential else choose(level_id=arguments.level)
    points = read(arguments.out) if arguments.out.is_file() and not arguments.potential else []
    for formula, prototype, atoms, least in PHASES:
        text = formula.format(M=arguments.metal)
        mine = [p for p in pressures if p >= least and (prototype != "MH2-Pnma" or p <= PNMA_UP_TO_GPA)]
        if not mine:
            continue
        phase = Phase(f"{text} {prototype}", parse_formula(text).reduced, "prototype", prototype, arguments.metal)
        curve, = enthalpy_curves([phase], source, mine, Store(arguments.store), jobs=arguments.jobs)
        for k, pressure in enumerate(curve.pressure_GPa):
            if curve.relaxed[k] is None or curve.transformed[k]:
                print(f"{curve.name} at {pressure:g} GPa left out: {curve.notes[k]}", flush=True)
                continue
            point = ReferencePoint(text, prototype.split("-", 1)[1], float(pressure),
                                   round(float(curve.enthalpy_eV[k] * atoms), 4),
                                   round(float(curve.volume_A3[k] * atoms), 3), arguments.level)
            points.append(point)
            print(point, flush=True)
        if not arguments.potential:
            write(arguments.out, points)  # after each phase, so that what is known is kept


if __name__ == "__main__":
    main()
