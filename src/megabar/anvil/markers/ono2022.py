"""Ono: Equation of state determination for rhenium using first-principles molecular dynamics calculations and
high-pressure experiments. Adv. Condens. Matter Phys. 2022, 7545777. Vinet with thermal pressure linear in T.
"""

from megabar.anvil.eos import CM3_PER_MOL_IN_A3, Marker, Source
from megabar.anvil.thermal import LinearInT

MARKERS = [
    Marker("Re", "ono2022", Source("Ono, Adv. Condens. Matter Phys. 2022, 7545777", "10.1155/2022/7545777",
                                   "Vinet fit"),
           "Vinet", 2 * 8.87798 * CM3_PER_MOL_IN_A3, 384.0, 3.26, (0.0, 115.0),
           "laser-annealed diamond-anvil data to 115 GPa; temperatures by first-principles MD",
           temperature_K=(300.0, 4000.0), thermal=LinearInT(0.0056, -0.00042), compared_GPa=310.0,
           compared_source="Sakai et al. (2018), 10.1080/08957959.2018.1448082"),
]
