"""Holmes, Moriarty, Gathers, Nellis: The equation of state of platinum to 660 GPa (6.6 Mbar).
J. Appl. Phys. 66, 2962 (1989). Eq. 11 and Table IV: V0 = 101.9 bohr^3 per atom, P_T = 798.31 GPa, eta = 7.2119.
"""

from megabar.anvil.eos import Marker, Source
from megabar.anvil.thermal import LinearInT

_BOHR3_IN_A3 = 0.529177210903**3

MARKERS = [
    # Their universal curve is Vinet's with K0 = P_T/3 and K0' = 1 + eta/1.5.
    Marker("Pt", "holmes1989", Source("Holmes et al., J. Appl. Phys. 66, 2962 (1989)", "10.1063/1.344177",
                                      "eq. 11, Table IV"),
           "Vinet", 4 * 101.9 * _BOHR3_IN_A3, 798.31 / 3.0, 1.0 + 7.2119 / 1.5, (0.0, 550.0),
           "theory held against shock data, which end at 660 GPa", temperature_K=(300.0, 2000.0),
           thermal=LinearInT(2.61e-5 * 798.31 / 3.0)),
]
