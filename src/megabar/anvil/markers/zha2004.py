"""Zha, Bassett, Shim: Rhenium, an in situ pressure calibrant for internally heated diamond anvil cells.
Rev. Sci. Instrum. 75, 2409 (2004). BM3 with thermal pressure linear in T, eq. 6 and Table III.
"""

from megabar.anvil.eos import CM3_PER_MOL_IN_A3, Marker, Source
from megabar.anvil.thermal import LinearInT

MARKERS = [
    Marker("Re", "zha2004", Source("Zha, Bassett and Shim, Rev. Sci. Instrum. 75, 2409 (2004)", "10.1063/1.1765752",
                                   "eq. 6, Table III"),
           "BM3", 2 * 8.85516 * CM3_PER_MOL_IN_A3, 360.0, 4.5, (0.0, 134.0),
           "the authors' own pressure grid, Table V, to V/V0 = 0.80 (133.2 GPa)", temperature_K=(300.0, 3000.0),
           thermal=LinearInT(0.00776, -0.00815), compared_GPa=310.0,
           compared_source="Sakai et al. (2018), 10.1080/08957959.2018.1448082"),
]
