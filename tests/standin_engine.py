"""A level of theory that costs nothing, for tests of what labels do: the shipped Ca-H potential plays the truth.

It refuses one cell in `REFUSED` by its volume, as a real engine fails to converge for some. Used as
`level: standin_engine:LEVEL` with this folder on the path.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from megabar.errors import NotConverged
from megabar.firstprinciples.engine import Label
from megabar.firstprinciples.levels import PBE_GPAW_1
from megabar.potential.library import load
from megabar.units import stress_matrix

REFUSED = 5
LEVEL = replace(PBE_GPAW_1, id="standin_engine:LEVEL", engine="module:standin_engine")


def available():
    return None


def compute(atoms, level, folder):
    if int(atoms.get_volume() * 1e4) % REFUSED == 0:
        raise NotConverged("self-consistency not reached (stand-in)")
    (folder / "standin.txt").write_text("computed\n")
    atoms = atoms.copy()
    atoms.calc = load("Ca-H").calculator()
    return Label(float(atoms.get_potential_energy()), np.array(atoms.get_forces()),
                 stress_matrix(atoms.get_stress(voigt=False)), 1)
