"""Mao, Bell, Shaner, Steinberg: Specific volume measurements of Cu, Mo, Pd, and Ag and calibration of the ruby R1
fluorescence pressure gauge from 0.06 to 1 Mbar. J. Appl. Phys. 49, 3276 (1978). B = 5: no pressure medium.
"""

from megabar.anvil.eos import Source
from megabar.anvil.optical import OpticalScale

SCALES = [
    OpticalScale("ruby", "mao1978", Source("Mao et al., J. Appl. Phys. 49, 3276 (1978)", "10.1063/1.325277",
                                           "calibration equation"),
                 "power", {"A": 1904.0, "B": 5.0}, 694.24, (0.0, 100.0),
                 "Cu, Mo, Pd and Ag, non-hydrostatic, 6 to 100 GPa", compared_GPa=144.0,
                 compared_source="Dewaele et al. (2004), 10.1103/PhysRevB.70.094112", superseded=True,
                 note="non-hydrostatic calibration: for pressures that were published on it"),
]
