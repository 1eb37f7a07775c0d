"""Tange, Nishihara, Tsuchiya: Unified analyses for P-V-T equation of state of MgO. J. Geophys. Res. 114, B03208 (2009).
The two pressure-scale-free fits ("fit 3"): BM3 and Vinet, both with an asymptotic Grueneisen parameter.
"""

from megabar.anvil.eos import Marker, Source
from megabar.anvil.thermal import Asymptotic, MieGrueneisenDebye

_DATA = "static, elastic and shock data, no pressure scale assumed, to 196 GPa and 3700 K"

MARKERS = [
    Marker("MgO", "tange2009", Source("Tange et al., J. Geophys. Res. 114, B03208 (2009)", "10.1029/2008JB005813",
                                      "fit 3, BM3"),
           "BM3", 74.698, 160.64, 4.221, (0.0, 196.0), _DATA, temperature_K=(300.0, 3700.0),
           thermal=MieGrueneisenDebye(Asymptotic(1.431, 0.29, 3.5, 761.0)), sigma={"V0_A3": 0.016}),
    Marker("MgO", "tange2009-vinet", Source("Tange et al., J. Geophys. Res. 114, B03208 (2009)",
                                            "10.1029/2008JB005813", "fit 3, Vinet"),
           "Vinet", 74.698, 160.63, 4.367, (0.0, 196.0), _DATA, temperature_K=(300.0, 3700.0),
           thermal=MieGrueneisenDebye(Asymptotic(1.442, 0.138, 5.4, 761.0)),
           sigma={"V0_A3": 0.016, "K0_GPa": 0.18, "K0_prime": 0.013}),
]
