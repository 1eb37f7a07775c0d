"""Speziale, Zha, Duffy, Hemley, Mao: Quasi-hydrostatic compression of magnesium oxide to 52 GPa: implications for the
pressure-volume-temperature equation of state. J. Geophys. Res. 106, 515 (2001). BM3, and q = q0 (V/V0)^q1 (eq. 11).
"""

from megabar.anvil.eos import Marker, Source
from megabar.anvil.thermal import MieGrueneisenDebye, VariableQ

MARKERS = [
    Marker("MgO", "speziale2001", Source("Speziale et al., J. Geophys. Res. 106, 515 (2001)", "10.1029/2000JB900318",
                                         "BM3 and the variable-q model of section 5.4"),
           "BM3", 74.71, 160.2, 3.99, (0.0, 52.0), "quasi-hydrostatic data to 52 GPa", temperature_K=(300.0, 2500.0),
           thermal=MieGrueneisenDebye(VariableQ(1.524, 1.65, 11.8, 773.0)),
           sigma={"V0_A3": 0.01, "K0_prime": 0.01}, compared_GPa=196.0,
           compared_source="Tange et al. (2009), 10.1029/2008JB005813"),
]
