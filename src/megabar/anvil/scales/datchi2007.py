"""Datchi et al.: Optical pressure sensors for high-pressure-high-temperature studies in a diamond anvil cell.
High Press. Res. 27, 447 (2007). The Sm:SrB4O7 data of 1997 on the ruby scale of Dorogokupets and Oganov.
"""

from megabar.anvil.eos import Source
from megabar.anvil.optical import OpticalScale

SCALES = [
    OpticalScale("sm", "datchi2007", Source("Datchi et al., High Press. Res. 27, 447 (2007)",
                                            "10.1080/08957950701659593", "revised SrB4O7:Sm2+ calibration"),
                 "rational", {"a": 3.989, "b": 0.006915, "c": 0.0166}, 685.44, (0.0, 120.0),
                 "the data of Datchi et al. (1997), to about 120 GPa"),
]
