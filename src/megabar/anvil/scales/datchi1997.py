"""Datchi, LeToullec, Loubeyre: Improved calibration of the SrB4O7:Sm2+ optical pressure gauge: advantages at very high
pressures and high temperatures. J. Appl. Phys. 81, 3333 (1997). 0-0 line; pressures on the ruby scale of Mao (1986).
"""

from megabar.anvil.eos import Source
from megabar.anvil.optical import OpticalScale

SCALES = [
    OpticalScale("sm", "datchi1997", Source("Datchi, LeToullec and Loubeyre, J. Appl. Phys. 81, 3333 (1997)",
                                            "10.1063/1.365025", "calibration equation"),
                 "rational", {"a": 4.032, "b": 9.29e-3, "c": 2.32e-2}, 685.41, (0.0, 120.0),
                 "ruby (Mao 1986) to about 120 GPa", superseded=True,
                 note="on the ruby scale of Mao et al. (1986); datchi2007 is its revision"),
]
