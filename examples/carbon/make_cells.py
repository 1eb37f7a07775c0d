"""Writes diamond.extxyz and graphite.extxyz, the cells that README.md starts from (lattice constants at 300 K)."""

from ase.build import bulk
from ase.lattice.hexagonal import Graphite
from ase.spacegroup.symmetrize import refine_symmetry

diamond = bulk("C", "diamond", a=3.567)
graphite = Graphite("C", latticeconstant={"a": 2.461, "c": 6.708})
for name, atoms in (("diamond", diamond), ("graphite", graphite)):
    refine_symmetry(atoms, 1e-4)
    atoms.write(f"{name}.extxyz")
