"""Akahama, Kawamura: High-pressure Raman spectroscopy of diamond anvils to 250 GPa: method for pressure determination
in the multimegabar pressure range. J. Appl. Phys. 96, 3748 (2004).
"""

from megabar.anvil.eos import Source
from megabar.anvil.optical import OpticalScale

SCALES = [
    OpticalScale("diamond-edge", "akahama2004", Source("Akahama and Kawamura, J. Appl. Phys. 96, 3748 (2004)",
                                                       "10.1063/1.1778482", "quadratic fit"),
                 "polynomial", {"c0": 66.9, "c1": -0.5281, "c2": 3.585e-4}, 1334.0, (0.0, 250.0),
                 "Pt (Holmes 1989) to 250 GPa", compared_GPa=310.0,
                 compared_source="Akahama and Kawamura (2006), 10.1063/1.2335683"),
]
