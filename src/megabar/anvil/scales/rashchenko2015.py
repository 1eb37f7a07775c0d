"""Rashchenko, Kurnosov, Dubrovinsky, Litasov: Revised calibration of the Sm:SrB4O7 pressure sensor using the Sm-doped
yttrium-aluminum garnet primary pressure scale. J. Appl. Phys. 117, 145902 (2015).
"""

from megabar.anvil.eos import Source
from megabar.anvil.optical import OpticalScale

SCALES = [
    OpticalScale("sm", "rashchenko2015", Source("Rashchenko et al., J. Appl. Phys. 117, 145902 (2015)",
                                                "10.1063/1.4918304", "abstract"),
                 "power", {"A": 2836.0, "B": -14.3}, 685.51, (0.0, 60.0), "helium medium to 60 GPa"),
]
