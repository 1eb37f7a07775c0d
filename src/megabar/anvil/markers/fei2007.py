"""Fei, Ricolleau, Frank, Mibe, Shen, Prakapenka: Toward an internally consistent pressure scale. PNAS 104, 9182 (2007).

Table 1: Vinet (and BM3) isotherms with Mie-Grueneisen-Debye thermal pressure; V0 of Ne and NaCl-B2 are extrapolated.
"""

from megabar.anvil.eos import Marker, Source
from megabar.anvil.thermal import MieGrueneisenDebye, PowerLaw

_SOURCE = Source("Fei et al., PNAS 104, 9182 (2007)", "10.1073/pnas.0609013104", "Table 1")
_CO_COMPRESSION = "Au and Pt co-compressed with MgO by Dorfman et al. (2012), 10.1029/2012JB009292"

MARKERS = [
    Marker("Au", "fei2007", _SOURCE, "Vinet", 67.850, 167.0, 6.00, (0.0, 118.0),
           "Au data to 117.9 GPa, Fei et al. (2007)", temperature_K=(298.0, 2330.0),
           thermal=MieGrueneisenDebye(PowerLaw(2.97, 0.6, 170.0)),
           sigma={"V0_A3": 0.004, "K0_prime": 0.02}, compared_GPa=259.0, compared_source=_CO_COMPRESSION),
    Marker("Pt", "fei2007", _SOURCE, "Vinet", 60.38, 277.0, 5.08, (0.0, 94.0),
           "ruby-referenced data of Dewaele et al. (2004) to 93.6 GPa", temperature_K=(300.0, 1873.0),
           thermal=MieGrueneisenDebye(PowerLaw(2.72, 0.5, 230.0)),
           sigma={"V0_A3": 0.01, "K0_prime": 0.02}, compared_GPa=226.0, compared_source=_CO_COMPRESSION),
    Marker("NaCl-B2", "fei2007", _SOURCE, "Vinet", 41.35, 26.86, 5.25, (30.0, 107.0),
           "room-temperature data to 107 GPa; B2 is stable above about 30 GPa", temperature_K=(300.0, 1000.0),
           thermal=MieGrueneisenDebye(PowerLaw(1.70, 0.5, 290.0)), sigma={"K0_GPa": 2.9, "K0_prime": 0.26}),
    Marker("Ne", "fei2007", _SOURCE, "Vinet", 88.967, 1.16, 8.23, (4.7, 115.0),
           "solid Ne from its freezing at 4.7 GPa (300 K) to 115 GPa", temperature_K=(300.0, 1000.0),
           thermal=MieGrueneisenDebye(PowerLaw(2.05, 0.6, 75.1)), sigma={"K0_GPa": 0.14, "K0_prime": 0.31}),
    Marker("Ne", "fei2007-bm3", _SOURCE, "BM3", 88.967, 1.43, 8.02, (4.7, 115.0),
           "solid Ne from its freezing at 4.7 GPa (300 K) to 115 GPa", temperature_K=(300.0, 1000.0),
           thermal=MieGrueneisenDebye(PowerLaw(2.05, 0.6, 75.1)), sigma={"K0_GPa": 0.14, "K0_prime": 0.31},
           note="the Birch-Murnaghan fit to the same data as fei2007"),
]
