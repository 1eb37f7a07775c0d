"""Sokolova, Dorogokupets, Litasov: Self-consistent pressure scales based on the equations of state for ruby, diamond,
MgO, B2-NaCl, as well as Au, Pt, and other metals to 4 Mbar and 3000 K. Russ. Geol. Geophys. 54, 181 (2013). Eq. 20.
"""

from megabar.anvil.eos import Source
from megabar.anvil.optical import OpticalScale

SCALES = [
    OpticalScale("ruby", "sokolova2013", Source("Sokolova et al., Russ. Geol. Geophys. 54, 181 (2013)",
                                                "10.1016/j.rgg.2013.01.005", "eq. 20"),
                 "quadratic", {"A": 1870.0, "m": 6.0}, 694.24, (0.0, 150.0),
                 "room-temperature comparison data to about 150 GPa (the paper extrapolates to 400)"),
]
