"""Chijioke, Nellis, Soldatov, Silvera: The ruby pressure standard to 150 GPa. J. Appl. Phys. 98, 114905 (2005)."""

from megabar.anvil.eos import Source
from megabar.anvil.optical import OpticalScale

SCALES = [
    OpticalScale("ruby", "chijioke2005", Source("Chijioke et al., J. Appl. Phys. 98, 114905 (2005)",
                                                "10.1063/1.2135877", "abstract"),
                 "power", {"A": 1876.0, "B": 10.71}, 694.24, (0.0, 150.0), "shock-reduced isotherms to 150 GPa",
                 sigma={"A": 6.7, "B": 0.14}),
]
