"""Anderson, Isaak, Yamamoto: Anharmonicity and the equation of state for gold. J. Appl. Phys. 65, 1534 (1989).
BM3 at 300 K with a thermal pressure linear in T, eq. 29; the older standard of laser-heating work.
"""

from megabar.anvil.eos import Marker, Source
from megabar.anvil.thermal import LinearInT

MARKERS = [
    Marker("Au", "anderson1989", Source("Anderson, Isaak and Yamamoto, J. Appl. Phys. 65, 1534 (1989)",
                                        "10.1063/1.342969", "eq. 29"),
           "BM3", 67.79, 166.65, 5.4823, (0.0, 216.0), "the authors' own pressure grid, Table V, to V/V0 = 0.66",
           temperature_K=(300.0, 3000.0), thermal=LinearInT(0.00714, -0.0115)),
]
