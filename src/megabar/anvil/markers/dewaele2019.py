"""Dewaele: Equations of state of simple solids (including Pb, NaCl and LiF) compressed in helium or neon in the Mbar
range. Minerals 9, 684 (2019). Vinet fits on the ruby scale of Dorogokupets and Oganov (2007).
"""

from megabar.anvil.eos import Marker, Source

_SOURCE = Source("Dewaele, Minerals 9, 684 (2019)", "10.3390/min9110684",
                 "Vinet fits on the Dorogokupets-Oganov ruby scale")
_DATA = "helium or neon medium, to {} GPa on the Dorogokupets-Oganov ruby scale"

MARKERS = [
    Marker("W", "dewaele2019", _SOURCE, "Vinet", 31.716, 298.6, 4.37, (0.0, 155.0), _DATA.format(155),
           sigma={"V0_A3": 0.032, "K0_GPa": 4.1, "K0_prime": 0.11}),
    Marker("Re", "dewaele2019", _SOURCE, "Vinet", 29.468, 350.5, 4.62, (0.0, 144.0), _DATA.format(144),
           sigma={"V0_A3": 0.04, "K0_GPa": 8.0, "K0_prime": 0.17}, compared_GPa=310.0,
           compared_source="Sakai et al. (2018), 10.1080/08957959.2018.1448082"),
    Marker("Au", "dewaele2019", _SOURCE, "Vinet", 67.944, 163.4, 6.04, (0.0, 131.0), _DATA.format(131),
           sigma={"V0_A3": 0.08, "K0_GPa": 2.0, "K0_prime": 0.06}),
    Marker("Pt", "dewaele2019", _SOURCE, "Vinet", 60.392, 270.8, 5.50, (0.0, 95.0), _DATA.format(95),
           sigma={"V0_A3": 0.1, "K0_GPa": 2.5, "K0_prime": 0.08}),
    Marker("Cu", "dewaele2019", _SOURCE, "Vinet", 47.24, 133.1, 5.38, (0.0, 155.0), _DATA.format(155),
           sigma={"V0_A3": 0.06, "K0_GPa": 1.5, "K0_prime": 0.06}),
]
