"""Yokoo, Kawai, Nakamura, Kondo, Tange, Tsuchiya: Ultrahigh-pressure scales for gold and platinum at pressures up to
550 GPa. Phys. Rev. B 80, 104114 (2009). BM3 isotherms of Tables II and IV; the scales are given in V/V0.
"""

from megabar.anvil.eos import Marker, Source
from megabar.anvil.thermal import Asymptotic, MieGrueneisenDebye

_SOURCE = "Yokoo et al., Phys. Rev. B 80, 104114 (2009)"
_DOI = "10.1103/PhysRevB.80.104114"
_NOTE = ("the paper's isotherm is a function of V/V0 and its density is printed to four figures; V0 here is the X-ray "
         "value, so lattice parameters are read on the same footing as in the other scales")

MARKERS = [
    # Electronic pressure of Tsuchiya & Kawamura as a cubic in T; only differences from 300 K are used.
    Marker("Pt", "yokoo2009", Source(_SOURCE, _DOI, "Table IV"), "BM3", 60.38, 276.4, 5.12, (0.0, 550.0),
           "shock data reduced to isotherms up to 550 GPa", temperature_K=(300.0, 3000.0),
           thermal=MieGrueneisenDebye(Asymptotic(2.63, 0.39, 5.2, 230.0),
                                      electronic_GPa=(0.011316, -5.6486e-7, 2.67e-7, -2.8531e-11)),
           sigma={"K0_prime": 0.1}, note=_NOTE),
    Marker("Au", "yokoo2009", Source(_SOURCE, _DOI, "Table II"), "BM3", 67.85, 167.5, 5.79, (0.0, 550.0),
           "shock data reduced to isotherms up to 550 GPa", temperature_K=(300.0, 3000.0),
           thermal=MieGrueneisenDebye(Asymptotic(2.96, 0.45, 4.2, 170.0),
                                      electronic_GPa=(-0.00021606, -4.3795e-6, 1.4526e-8, 7.8072e-14)),
           sigma={"K0_prime": 0.1}, note=_NOTE),
]
