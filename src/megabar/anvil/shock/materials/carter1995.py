"""Carter, Marsh: Hugoniot equation of state of polymers. Los Alamos report LA-13006-MS (1995), 10.2172/95183; the
Al-1100 line as used by Katz et al., Int. J. Impact Eng. 50, 90 (2012), 10.1016/j.ijimpeng.2012.09.001.
"""

from megabar.anvil.eos import Source
from megabar.anvil.shock.hugoniot import ShockMaterial

MATERIALS = [
    ShockMaterial("Al-1100", Source("Carter and Marsh, LA-13006-MS (1995)", "10.1016/j.ijimpeng.2012.09.001",
                                    "standards"),
                  2.714, 5.390, 1.340, gamma0=1.97, aliases=("Al",)),
]
