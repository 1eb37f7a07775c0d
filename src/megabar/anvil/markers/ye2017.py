"""Ye, Prakapenka, Meng, Shim: Intercomparison of the gold, platinum, and MgO pressure scales up to 140 GPa and 2500 K.
J. Geophys. Res. Solid Earth 122, 3450 (2017). Vinet isotherms at 300 K.
"""

from megabar.anvil.eos import Marker, Source

_SOURCE = Source("Ye et al., J. Geophys. Res. Solid Earth 122, 3450 (2017)", "10.1002/2016JB013811", "300 K Vinet fits")
_DATA = "Au, Pt and MgO co-compressed to 140 GPa, with literature data to 300 GPa"

MARKERS = [
    Marker("Au", "ye2017", _SOURCE, "Vinet", 67.85, 167.0, 5.897, (0.0, 300.0), _DATA, sigma={"K0_prime": 0.022}),
    Marker("Pt", "ye2017", _SOURCE, "Vinet", 60.38, 277.3, 5.226, (0.0, 300.0), _DATA, sigma={"K0_prime": 0.033}),
    Marker("MgO", "ye2017", _SOURCE, "Vinet", 74.71, 160.3, 4.182, (0.0, 300.0), _DATA, sigma={"K0_prime": 0.019}),
]
