"""Dorfman, Prakapenka, Meng, Duffy: Intercomparison of pressure standards (Au, Pt, Mo, MgO, NaCl and Ne) to 2.5 Mbar.
J. Geophys. Res. 117, B08210 (2012). Vinet, K0 fixed (Table 2), on the MgO scale of Tange et al. (2009).
"""

from megabar.anvil.eos import Marker, Source

_SOURCE = Source("Dorfman et al., J. Geophys. Res. 117, B08210 (2012)", "10.1029/2012JB009292", "Table 2")
_ANCHOR = "co-compressed with MgO (Tange et al. 2009) to {} GPa"

MARKERS = [
    Marker("Au", "dorfman2012", _SOURCE, "Vinet", 67.85, 167.0, 5.88, (0.0, 259.0), _ANCHOR.format(259),
           sigma={"K0_prime": 0.02}),
    Marker("Pt", "dorfman2012", _SOURCE, "Vinet", 60.38, 277.0, 5.43, (0.0, 226.0), _ANCHOR.format(226),
           sigma={"K0_prime": 0.02}),
]
