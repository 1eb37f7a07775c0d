"""Akahama, Kawamura: Pressure calibration of diamond anvil Raman gauge to 310 GPa. J. Appl. Phys. 100, 043516
(2006).
"""

from megabar.anvil.eos import Source
from megabar.anvil.optical import OpticalScale

SCALES = [
    OpticalScale("diamond-edge", "akahama2006", Source("Akahama and Kawamura, J. Appl. Phys. 100, 043516 (2006)",
                                                       "10.1063/1.2335683", "abstract"),
                 "solid", {"K0": 547.0, "K0_prime": 3.75}, 1334.0, (0.0, 310.0), "Pt (Holmes 1989) to 310 GPa",
                 sigma={"K0": 11.0, "K0_prime": 0.20}, compared_GPa=500.0,
                 compared_source="Eremets et al. (2023), 10.1038/s41467-023-36429-9"),
]
