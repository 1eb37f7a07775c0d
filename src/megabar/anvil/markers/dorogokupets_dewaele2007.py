"""Dorogokupets, Dewaele: Equations of state of MgO, Au, Pt, NaCl-B1, and NaCl-B2: internally consistent
high-temperature pressure scales. High Press. Res. 27, 431 (2007).
Vinet + Debye with Al'tshuler's gamma + anharmonicity; NaCl only here.
"""

from megabar.anvil.eos import Marker, Source
from megabar.anvil.thermal import Asymptotic, MieGrueneisenDebye

_SOURCE = Source("Dorogokupets and Dewaele, High Press. Res. 27, 431 (2007)", "10.1080/08957950701659700", "Table 1")

MARKERS = [
    Marker("NaCl-B1", "dorogokupets2007", _SOURCE, "Vinet", 179.44, 23.83, 5.09, (0.0, 30.0),
           "the stability of B1, to about 30 GPa at 300 K", temperature_K=(300.0, 1000.0),
           thermal=MieGrueneisenDebye(Asymptotic.altshuler(1.64, 1.12, 4.36, 270.0), a0_per_K=-24e-6, m=7.02)),
    Marker("NaCl-B2", "dorogokupets2007", _SOURCE, "Vinet", 40.733, 29.72, 5.14, (30.0, 107.0),
           "B2 above about 30 GPa; the data of Fei et al. (2007) end at 107 GPa", temperature_K=(300.0, 1000.0),
           thermal=MieGrueneisenDebye(Asymptotic.altshuler(1.64, 1.23, 6.83, 270.0), a0_per_K=-24e-6, m=7.02)),
]
