"""Solid hydrogen: molecular arrangements and the atomic Cs-IV form."""

from __future__ import annotations

from megabar.crystals.prototypes.prototype import Prototype

PROTOTYPES = (
    # Four molecules on an fcc lattice along the body diagonals, as in alpha-N2; molecules at 8c (u, u, u).
    Prototype("H2-Pa-3", 205, (("H", (0.06, 0.06, 0.06)),), 1.0, 1.0, 90.0, None, "alpha-N2 aristotype",
              h2_bond_A=0.74),
    # hcp molecular centres, molecules along c: the orientationally ordered stand-in for phase I.
    Prototype("H2-P6_3/mmc", 194, (("H", (1 / 3, 2 / 3, 0.32)),), 1.0, 1.62, 120.0, None, "hcp aristotype",
              h2_bond_A=0.74),
    # Cs-IV: McMahon and Ceperley, Phys. Rev. Lett. 106, 165302 (2011), 10.1103/PhysRevLett.106.165302; c/a 2.475 at
    # rs 1.226. Its density at a pressure is near that of the extrapolated molecular curve.
    Prototype("H-I4_1/amd", 141, (("H", (0.0, 0.0, 0.0)),), 1.0, 2.475, 90.0, None,
              "10.1103/PhysRevLett.106.165302", metallic=True, volume_scale=0.9),
)
