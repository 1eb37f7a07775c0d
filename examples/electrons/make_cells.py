"""Writes the crystals of this example from published cells (see docs/electrons.md for the papers)."""

from pathlib import Path

from ase.build import bulk
from ase.spacegroup import crystal

here = Path(__file__).parent
crystal(["Na", "He"], [(0.25, 0.25, 0.25), (0, 0, 0)], spacegroup=225, cellpar=[3.95, 3.95, 3.95, 90, 90, 90]).write(
    here / "Na2He.cif")
crystal(["Na", "Na"], [(0, 0, 0), (2 / 3, 1 / 3, 0.25)], spacegroup=194,
        cellpar=[2.784, 2.784, 3.873, 90, 90, 120]).write(here / "Na-hP4.cif")
bulk("Xe", "hcp", a=4.4, c=7.2).write(here / "Xe-hcp.cif")
# Cmca with four atoms in the primitive cell, the arrangement of I2, at about the volume of hydrogen at 250 GPa.
crystal("H", [(0, 0.15, 0.117)], spacegroup=64, cellpar=[2.44, 1.60, 3.28, 90, 90, 90]).write(here / "H2-Cmca.cif")
