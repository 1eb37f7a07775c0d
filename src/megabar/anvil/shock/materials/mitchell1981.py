"""Mitchell, Nellis: Shock compression of aluminum, copper, and tantalum. J. Appl. Phys. 52, 3363 (1981).

Tantalum only: its line is confirmed by Holmes et al. (1989), Table III, whose pressures follow from it to 0.1 %.
"""

from megabar.anvil.eos import Source
from megabar.anvil.shock.hugoniot import ShockMaterial

MATERIALS = [
    ShockMaterial("Ta-mitchell1981", Source("Mitchell and Nellis, J. Appl. Phys. 52, 3363 (1981)",
                                            "10.1063/1.329160", "Us-up fit"),
                  16.675, 3.293, 1.307, gamma0=1.60, range_GPa=(50.0, 450.0), sigma_us_fraction=0.005,
                  note="the standard impactor of two-stage guns"),
]
