"""Writes the crystals of this example from published cells (see docs/electrons.md for the papers)."""

from pathlib import Path

from ase.build import bulk
from ase.spacegroup import crystal

from megabar.crystals.prototypes import build

here = Path(__file__).parent
crystal(["Na", "He"], [(0.25, 0.25, 0.25), (0, 0, 0)], spacegroup=225, cellpar=[3.95, 3.95, 3.95, 90, 90, 90]).write(
    here / "Na2He.cif")
crystal(["Na", "Na"], [(0, 0, 0), (2 / 3, 1 / 3, 0.25)], spacegroup=194,
        cellpar=[2.784, 2.784, 3.873, 90, 90, 120]).write(here / "Na-hP4.cif")
bulk("Xe", "hcp", a=4.4, c=7.2).write(here / "Xe-hcp.cif")
# Molecules along c on an hcp lattice.
build("H2-P6_3/mmc", pressure_GPa=100.0).write(here / "H2-hcp.cif")
