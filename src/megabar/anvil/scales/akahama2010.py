"""Akahama, Kawamura: Pressure calibration of diamond anvil Raman gauge to 410 GPa.
J. Phys.: Conf. Ser. 215, 012195 (2010). A quadratic in the edge frequency for 200-410 GPa.

The coefficients are taken from control software of a French anvil-cell group that applies them above 200 GPa, not from
the printed page; from 200 to 310 GPa they agree with akahama2006 within its published errors, and eremets2023 falls a
fifth below them at 500 GPa as its abstract says: both are tested.
"""

from megabar.anvil.eos import Source
from megabar.anvil.optical import OpticalScale

SCALES = [
    OpticalScale("diamond-edge", "akahama2010", Source("Akahama and Kawamura, J. Phys.: Conf. Ser. 215, 012195 (2010)",
                                                       "10.1088/1742-6596/215/1/012195", "quadratic fit"),
                 "polynomial", {"c0": 3141.0, "c1": -4.157, "c2": 1.429e-3}, 1334.0, (200.0, 410.0),
                 "data to 410 GPa, the quadratic used from 200 GPa", compared_GPa=500.0,
                 compared_source="Eremets et al. (2023), 10.1038/s41467-023-36429-9", lowest_value=1640.0,
                 note="coefficients from a secondary source; not monotonic below 1455 cm-1, so refused below 1640"),
]
