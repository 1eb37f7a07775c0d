"""Mao, Xu, Bell: Calibration of the ruby pressure gauge to 800 kbar under quasi-hydrostatic conditions.
J. Geophys. Res. 91, 4673 (1986). B = 7.665, argon medium.
"""

from megabar.anvil.eos import Source
from megabar.anvil.optical import OpticalScale

SCALES = [
    OpticalScale("ruby", "mao1986", Source("Mao, Xu and Bell, J. Geophys. Res. 91, 4673 (1986)",
                                           "10.1029/JB091iB05p04673", "calibration equation"),
                 "power", {"A": 1904.0, "B": 7.665}, 694.24, (0.0, 80.0), "Cu and Ag in argon to 80 GPa",
                 compared_GPa=144.0, superseded=True,
                 compared_source="six metals of Dewaele et al. (2004), Table I, 10.1103/PhysRevB.70.094112",
                 note="the scale of most papers before 2004; about 6 % low at 150 GPa (Dewaele et al. 2004)"),
]
