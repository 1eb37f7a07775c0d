"""Dewaele, Loubeyre, Mezouar: Equations of state of six metals above 94 GPa. Phys. Rev. B 70, 094112 (2004)."""

from megabar.anvil.eos import Source
from megabar.anvil.optical import OpticalScale

SCALES = [
    OpticalScale("ruby", "dewaele2004", Source("Dewaele, Loubeyre and Mezouar, Phys. Rev. B 70, 094112 (2004)",
                                               "10.1103/PhysRevB.70.094112", "revised ruby calibration"),
                 "power", {"A": 1904.0, "B": 9.5}, 694.24, (0.0, 153.0), "six metals in helium to 153 GPa"),
]
